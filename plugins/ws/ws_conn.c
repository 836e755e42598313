/* ws_conn.c - see ws_conn.h. */
#include <string.h>

#include "core/paths.h"
#include "lwsio/claim.h"
#include "lwsio/client.h"
#include "lwsio/find_broker.h"
#include "lwsio/head.h"
#include "lwsio/request.h"
#include "request/route.h"
#include "request/socket_opening.h"
#include "ws/subprotocol.h"
#include "ws/ws_conn.h"

static bool
refuse(struct lws *wsi, unsigned int status, const char *text, struct push_cors cors)
{
	const struct push_response response = {.status = status,
		.cors = cors,
		.retries = status == 503,
		.upgrades = status == 426,
		.closes = true};

	(void)push_reply_error(wsi, response, text);
	return false;
}

bool
ws_conn_admit(struct lws *wsi)
{
	struct push_broker_link *link = push_find_broker(wsi);
	struct push_cors cors = {NULL, false, false};
	struct push_lws_head head;
	struct push_error error;
	struct push_str origin;
	unsigned int status = push_lws_head_read(&head, wsi, link, PUSH_PLACE_SOCKETS, "", &error);

	/* what is wrong with the query is said by the WebSocket */
	if (!push_request_is_whole(wsi))
		status = 0;
	if (!status)
		status = push_route_check_socket(&head.request, &error);
	if (status)
		return refuse(wsi, status, error.text, cors);
	if (!link)
		return refuse(wsi, 503, push_find_broker_trouble(wsi), cors);
	origin = head.request.origin;
	cors = push_cors_answer(link->ops->options(link->broker)->cors_origins, origin.bytes);
	if (!link->ops->admits_origin(link->broker, origin.bytes, origin.size, head.request.host.bytes,
		    head.request.host.size, &error))
		return refuse(wsi, 403, error.text, cors);
	return !push_claim(wsi, link, PUSH_PLACE_SOCKETS, "");
}

/* The client's address, where limits or an application go by it. */
static bool
find_client(struct lws *wsi, const struct push_broker_link *link, const struct push_request *request,
	struct push_address *ret)
{
	const struct push_limiter *limiter = link->ops->limiter(link->broker);

	if (!limiter || !push_lws_client_peer(wsi, link, ret))
		return false;
	*ret = push_forwarded_client(
		push_limiter_trusted(limiter), ret, &request->x_forwarded_for, &request->forwarded);
	return true;
}

/* Whether the limits of addresses let it in.  Returns false where it has been told that they do not. */
static bool
claim(struct push_connection *connection, const struct push_broker_link *link,
	const struct push_address *client)
{
	const struct push_broker_ops *ops = link->ops;
	enum push_limit limit;

	if (push_lws_client_claim(connection->wsi, link, client, &connection->entered, &limit))
		return true;
	if (limit == PUSH_LIMIT_RESERVED_DESCRIPTORS)
		ops->subscriber_put_off(connection->subscriber, push_limit_text(limit));
	else
		ops->subscriber_refuse(connection->subscriber, push_limit_text(limit));
	return false;
}

/* Subscribes the client and starts it, or says why not and closes it. */
static void
subscribe(struct push_connection *connection, const struct push_request *request,
	const struct push_address *client)
{
	char address[PUSH_ADDRESS_TEXT_BYTES];
	const struct push_broker_ops *ops = connection->ops;
	struct push_socket_opening socket;
	enum push_status status;

	push_socket_opening_read(&socket, request, ops, connection->broker);
	if (client)
		socket.asked.address =
			(struct push_str){push_address_print(client, address), strlen(address)};
	status = push_opening_settle(&socket.opening, ops, connection->broker, connection->subscriber);
	if (status == PUSH_OK)
		push_opening_start(&socket.opening, ops, connection->broker, connection->subscriber);
	else
		ops->subscriber_put_off(connection->subscriber, push_channels_join_error(status));
	push_socket_opening_fini(&socket);
}

struct push_connection *
ws_conn_open(struct lws *wsi)
{
	struct push_broker_link *link = push_find_broker(wsi);
	struct push_connection *connection = link ? push_connection_open(wsi, link, PUSH_ENCODING_WS) : NULL;
	struct push_address address, *client = NULL;
	struct push_lws_head head;
	struct push_error error;

	if (!connection)
		return NULL;
	if (push_lws_head_read(&head, wsi, link, PUSH_PLACE_SOCKETS, "", &error)) {
		link->ops->subscriber_refuse(connection->subscriber, error.text);
		return connection;
	}
	if (find_client(wsi, link, &head.request, &address))
		client = &address;
	if (subprotocol_token(wsi).bytes)
		head.request.ws_token = subprotocol_token(wsi);
	if (claim(connection, link, client))
		subscribe(connection, &head.request, client);
	return connection;
}

/* The memory for a message is there only while one is coming. */
static void
forget_received(struct push_connection *connection)
{
	push_buf_reset(&connection->received);
}

void
ws_conn_receive(struct push_connection *connection, const char *bytes, size_t size)
{
	struct push_subscriber *subscriber = connection->subscriber;

	if (lws_frame_is_binary(connection->wsi)) {
		connection->ops->subscriber_close(subscriber, PUSH_CLOSE_BINARY);
		return;
	}
	if (!push_memory_has_room(connection->ops->memory(connection->broker), size)) {
		connection->ops->subscriber_close(subscriber, PUSH_CLOSE_MEMORY);
		forget_received(connection);
		return;
	}
	push_buf_append(&connection->received, bytes, size);
	if (connection->received.status == PUSH_OK && !lws_is_final_fragment(connection->wsi))
		return;
	switch (connection->received.status) {
	case PUSH_OK:
		connection->ops->subscriber_receive(subscriber,
			connection->received.bytes ? connection->received.bytes : "",
			connection->received.size);
		break;
	case PUSH_TOO_LARGE: connection->ops->subscriber_close(subscriber, PUSH_CLOSE_TOO_LARGE); break;
	default: connection->ops->subscriber_close(subscriber, PUSH_CLOSE_FAULT); break;
	}
	forget_received(connection);
}

/*
 * This protocol is the vhost's default, so that clients need no subprotocol, and with that it gets every
 * request that no mount serves.
 */
int
ws_conn_plain_request(struct lws *wsi, struct push_http_session *session, const char *rest)
{
	return push_http_session_begin(session, wsi, PUSH_PLACE_SOCKETS, rest);
}

bool
ws_conn_is_preflight(struct lws *wsi)
{
	char path[PUSH_PATH_BYTES_MAX];
	const struct push_broker_link *link;

	if (push_request_method(wsi) != PUSH_METHOD_OPTIONS)
		return false;
	push_request_path(wsi, path, sizeof(path));
	link = push_path_is(path, PUSH_PATH_TICKETS) ? push_find_broker(wsi) : NULL;
	return link && link->ops->is_guarded(link->broker);
}
