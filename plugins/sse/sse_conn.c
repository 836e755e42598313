/* sse_conn.c - see sse_conn.h. */
#include <string.h>

#include "core/limits.h"
#include "core/paths.h"
#include "core/tokens.h"
#include "http/publish_conn.h"
#include "lwsio/claim.h"
#include "lwsio/find_broker.h"
#include "lwsio/request.h"
#include "sse/sse_conn.h"

#define RETRY_AFTER_S 1

/* Answers whatever is no request for a stream; returns true where it is one. */
static bool
is_stream_request(struct lws *wsi, const char *rest, struct push_reply reply, int *ret)
{
	enum push_method method = push_request_method(wsi);

	if (!push_path_is_end(rest)) {
		char path[PUSH_PATH_BYTES_MAX];
		struct push_error error;

		push_request_path(wsi, path, sizeof(path));
		(void)push_path_not_found(PUSH_PORT_CLIENTS, path, &error);
		reply.status = 404;
		reply.close = method != PUSH_METHOD_GET && method != PUSH_METHOD_OPTIONS;
		*ret = push_reply_error(wsi, reply, error.text);
	} else if (method == PUSH_METHOD_OPTIONS) {
		reply.status = 204;
		reply.allow = reply.allow_methods = "GET, OPTIONS";
		*ret = push_reply_send(wsi, &reply);
	} else if (method != PUSH_METHOD_GET) {
		reply.status = 405;
		reply.allow = "GET, OPTIONS";
		reply.close = true; /* it may bring a body that nobody reads */
		*ret = push_reply_error(wsi, reply,
			method == PUSH_METHOD_POST ? "method not allowed, use GET; " PUSH_PATH_PUBLISH_HINT
						   : "method not allowed, use GET");
	} else {
		return true;
	}
	return false;
}

/* ?control=true, or no such argument; returns false where it is another one. */
static bool
read_control(struct lws *wsi, bool *ret)
{
	static const char yes[] = "true";
	struct push_buf value;
	bool right = true;

	push_buf_init(&value, PUSH_QUERY_BYTES_MAX);
	*ret = push_request_query(wsi, "control", &value);
	if (*ret)
		right = value.size == sizeof(yes) - 1 && !memcmp(value.bytes, yes, value.size);
	push_buf_fini(&value);
	return right;
}

/* What the request asks for beside its channels. */
static enum push_status
prepare(struct push_connection *connection, bool with_token)
{
	enum push_status status = push_connection_resume(connection);

	if (status == PUSH_OK && with_token)
		status = connection->ops->subscriber_control(connection->broker, connection->subscriber);
	return status;
}

/* From here on the response is a stream that lasts; its headers are no longer needed. */
static int
start_stream(struct lws *wsi, struct push_broker_link *link, const struct push_channels *channels,
	bool with_token, struct push_reply reply, struct push_connection **ret_connection)
{
	struct push_connection *connection = push_connection_open(wsi, link, PUSH_ENCODING_SSE);

	enum push_status status = PUSH_OUT_OF_MEMORY;

	if (connection)
		status = link->ops->subscriber_subscribe(connection->subscriber, channels);
	if (status == PUSH_OK)
		status = prepare(connection, with_token);
	if (status != PUSH_OK) {
		push_connection_destroy(connection);
		reply.status = 503;
		reply.retry_after_s = RETRY_AFTER_S;
		return push_reply_error(wsi, reply, push_channels_join_error(status));
	}
	/* from here on the callback that ends the connection frees it */
	*ret_connection = connection;
	lws_set_timeout(wsi, NO_PENDING_TIMEOUT, 0);
	reply.status = 200;
	reply.content_type = "text/event-stream";
	reply.stream = true;
	reply.chunked = connection->chunked;
	reply.close = true; /* nothing follows it on its connection */
	if (link->ops->subscriber_will_wait(connection->subscriber)) {
		if (push_connection_keep_head(connection, &reply) != PUSH_OK)
			return -1;
	} else if (push_connection_send_head(wsi, &reply)) {
		return -1;
	}
	link->ops->subscriber_start(connection->subscriber);
	return 0;
}

static int
open_stream(struct lws *wsi, struct push_broker_link *link, struct push_reply reply,
	struct push_connection **ret_connection)
{
	struct push_channels channels;
	struct push_acks_request acks;
	struct push_error error = {"out of memory"};
	struct push_buf list;
	bool with_token;
	int result;

	push_buf_init(&list, PUSH_QUERY_BYTES_MAX);
	if (!push_request_is_whole(wsi)) {
		reply.status = 400;
		reply.close = true; /* what lws took for headers is not */
		result = push_reply_error(wsi, reply, "the query has a control character");
	} else if (!push_request_query(wsi, "channels", &list)) {
		reply.status = 400;
		result = push_reply_error(wsi, reply, "'channels' query parameter required");
	} else if (push_channels_parse(&channels, list.bytes ? list.bytes : "", list.size,
			   link->ops->options(link->broker), &error) != PUSH_OK) {
		reply.status = 400;
		result = push_reply_error(wsi, reply, error.text);
	} else if (push_request_acks(wsi, PUSH_ENCODING_SSE, link->ops->options(link->broker), &acks,
			   &error) != PUSH_OK) {
		reply.status = 400;
		result = push_reply_error(wsi, reply, error.text);
		push_channels_fini(&channels);
	} else if (!read_control(wsi, &with_token)) {
		reply.status = 400;
		result = push_reply_error(wsi, reply, "'control' must be 'true'");
		push_channels_fini(&channels);
	} else {
		result = start_stream(wsi, link, &channels, with_token, reply, ret_connection);
		push_channels_fini(&channels);
	}
	push_buf_fini(&list);
	return result;
}

int
sse_conn_request(struct lws *wsi, const char *rest, struct sse_session *session)
{
	struct push_broker_link *link = push_find_broker(wsi);
	struct push_reply reply = {0};
	char origin[PUSH_REQUEST_ORIGIN_BYTES_MAX];
	struct push_error error;
	int result = -1;

	if (*rest == '/' && push_token_is_shaped(rest + 1, strlen(rest + 1)))
		return publish_conn_control(wsi, rest + 1, &session->change);
	if (!link || link->ops->is_draining(link->broker)) {
		reply.status = 503;
		reply.retry_after_s = RETRY_AFTER_S;
		reply.close = true;
		return push_reply_error(
			wsi, reply, link ? "the server is draining" : push_find_broker_trouble(wsi));
	}
	if (!push_request_origin(wsi, link, origin, &reply.cors, &error)) {
		reply.status = 403;
		reply.close = push_request_method(wsi) != PUSH_METHOD_GET;
		return push_reply_error(wsi, reply, error.text);
	}
	if (!is_stream_request(wsi, rest, reply, &result))
		return result;
	if (push_claim(wsi, link, PUSH_DIRECT_SSE))
		return -1;
	return open_stream(wsi, link, reply, &session->stream);
}
