/* ws_conn.c - see ws_conn.h. */
#include <stdio.h>
#include <string.h>

#include "core/limits.h"
#include "core/paths.h"
#include "lwsio/claim.h"
#include "lwsio/find_broker.h"
#include "lwsio/request.h"
#include "ws/ws_conn.h"

#define RETRY_AFTER_S 1

bool
ws_conn_admit(struct lws *wsi)
{
	struct push_broker_link *link = push_find_broker(wsi);
	char path[sizeof(PUSH_PATH_WS) + 1], version[8], origin[PUSH_REQUEST_ORIGIN_BYTES_MAX];
	struct push_reply reply = {.status = 403, .close = true};
	struct push_error error;

	push_request_path(wsi, path, sizeof(path));
	if (!push_path_is(path, PUSH_PATH_WS)) {
		(void)push_reply_error(wsi, (struct push_reply){.status = 404, .close = true},
			"no WebSocket here; it is at " PUSH_PATH_WS);
		return false;
	}
	/* RFC 6455, 4.4; lws would take any version for 13 */
	if (lws_get_network_wsi(wsi) == wsi &&
		(!push_request_header(wsi, WSI_TOKEN_VERSION, version, sizeof(version)) ||
			strcmp(version, "13"))) {
		(void)push_reply_error(wsi, (struct push_reply){.status = 426, .close = true},
			"Sec-WebSocket-Version must be 13");
		return false;
	}
	if (!link) {
		reply.status = 503;
		reply.retry_after_s = RETRY_AFTER_S;
		(void)push_reply_error(wsi, reply, push_find_broker_trouble(wsi));
		return false;
	}
	if (!push_request_origin(wsi, link, origin, &reply.cors, &error)) {
		(void)push_reply_error(wsi, reply, error.text);
		return false;
	}
	return !push_claim(wsi, link, PUSH_PLACE_SOCKETS, "");
}

/* Subscribes the client and starts it, or says why not and closes it. */
static void
subscribe(struct push_connection *connection, const char *list, size_t size)
{
	const struct push_broker_ops *ops = connection->ops;
	struct push_error error = {"out of memory"};
	struct push_channels channels;
	enum push_status status =
		push_channels_parse(&channels, list, size, ops->options(connection->broker), &error);

	if (status == PUSH_OK) {
		status = ops->subscriber_subscribe(connection->subscriber, &channels);
		push_channels_fini(&channels);
		if (status != PUSH_OK) {
			ops->subscriber_put_off(connection->subscriber, push_channels_join_error(status));
			return;
		}
		status = push_connection_resume(connection);
	}
	if (status == PUSH_OK)
		status = push_connection_acknowledge(connection, &error);
	if (status == PUSH_OK)
		ops->subscriber_start(connection->subscriber);
	else if (status == PUSH_OUT_OF_MEMORY)
		ops->subscriber_put_off(connection->subscriber, error.text);
	else
		ops->subscriber_refuse(connection->subscriber, error.text);
}

struct push_connection *
ws_conn_open(struct lws *wsi)
{
	struct push_broker_link *link = push_find_broker(wsi);
	struct push_connection *connection = link ? push_connection_open(wsi, link, PUSH_ENCODING_WS) : NULL;
	struct push_buf list;

	if (!connection)
		return NULL;
	push_buf_init(&list, PUSH_QUERY_BYTES_MAX);
	if (!push_request_is_whole(wsi))
		link->ops->subscriber_refuse(connection->subscriber, "the query has a control character");
	else if (!push_request_query(wsi, "channels", &list))
		link->ops->subscriber_refuse(connection->subscriber, "'channels' query parameter required");
	else
		subscribe(connection, list.bytes ? list.bytes : "", list.size);
	push_buf_fini(&list);
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
ws_conn_plain_request(struct lws *wsi, const char *rest)
{
	struct push_reply reply = {.status = 404, .close = true};
	char path[PUSH_PATH_BYTES_MAX];
	struct push_error error;

	push_request_path(wsi, path, sizeof(path));
	if (push_path_is(path, PUSH_PATH_WS) || !*rest) {
		reply.status = 426;
		return push_reply_error(wsi, reply, "this is a WebSocket: send an Upgrade");
	}
	if (push_path_not_found(PUSH_PORT_CLIENTS, path, &error) ||
		push_request_method(wsi) == PUSH_METHOD_GET)
		return push_reply_error(wsi, reply, error.text);
	reply.status = 405;
	reply.allow = "GET, HEAD";
	return push_reply_error(
		wsi, reply, "method not allowed; " PUSH_PATH_PUBLISH_HINT ", " PUSH_PATH_SUBSCRIBE_HINT);
}
