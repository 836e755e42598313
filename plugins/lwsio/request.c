/* request.c - see request.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/limits.h"
#include "core/position.h"
#include "core/push_assert.h"
#include "lwsio/request.h"

/* Head of an answer: our own headers, and what the vhost's configuration adds. */
#define HEAD_BYTES_MAX 2048

/* What a page of another origin may send. */
#define ALLOWED_HEADERS "Content-Type, Authorization, Cache-Control, Last-Event-ID, Idempotency-Key"

/* Answers up to this go out in one write with their head. */
#define SMALL_BODY_BYTES_MAX PUSH_REPLY_BYTES_MAX

/* How long an HTTP/2 stream is kept for the body of a request that is answered already. */
#define MUX_BODY_US 1000000

static bool
is_mux(struct lws *wsi)
{
	return lws_get_network_wsi(wsi) != wsi;
}

enum push_method
push_request_method(struct lws *wsi)
{
	static const struct {
		enum lws_token_indexes token;
		enum push_method method;
	} uris[] = {
		{WSI_TOKEN_GET_URI, PUSH_METHOD_GET},
		{WSI_TOKEN_POST_URI, PUSH_METHOD_POST},
		{WSI_TOKEN_OPTIONS_URI, PUSH_METHOD_OPTIONS},
		{WSI_TOKEN_HEAD_URI, PUSH_METHOD_HEAD},
	};
	char name[8];

	for (size_t i = 0; i < LWS_ARRAY_SIZE(uris); i++)
		if (lws_hdr_total_length(wsi, uris[i].token))
			return uris[i].method;
	/* HTTP/2 */
	if (!push_request_header(wsi, WSI_TOKEN_HTTP_COLON_METHOD, name, sizeof(name)))
		return PUSH_METHOD_OTHER;
	return !strcmp(name, "GET")       ? PUSH_METHOD_GET
	       : !strcmp(name, "POST")    ? PUSH_METHOD_POST
	       : !strcmp(name, "OPTIONS") ? PUSH_METHOD_OPTIONS
	       : !strcmp(name, "HEAD")    ? PUSH_METHOD_HEAD
					  : PUSH_METHOD_OTHER;
}

void
push_request_path(struct lws *wsi, char *to, size_t size)
{
	char *path;
	int length = 0;

	to[0] = '\0';
	if (lws_http_get_uri_and_method(wsi, &path, &length) < 0 || (size_t)length >= size)
		return;
	memcpy(to, path, (size_t)length);
	to[length] = '\0';
}

bool
push_request_header(struct lws *wsi, enum lws_token_indexes token, char *to, size_t size)
{
	int length = lws_hdr_total_length(wsi, token);

	to[0] = '\0';
	return length > 0 && (size_t)length < size && lws_hdr_copy(wsi, to, (int)size, token) > 0;
}

static enum lws_token_indexes
host_token(struct lws *wsi)
{
	return is_mux(wsi) && lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_COLON_AUTHORITY) > 0
		       ? WSI_TOKEN_HTTP_COLON_AUTHORITY
		       : WSI_TOKEN_HOST;
}

bool
push_request_origin(struct lws *wsi, const struct push_broker_link *link,
	char text[PUSH_REQUEST_ORIGIN_BYTES_MAX], struct push_cors *ret_cors, struct push_error *error)
{
	static const char too_long[] = "(a long one)";
	char host[PUSH_REQUEST_ORIGIN_BYTES_MAX];
	int size = lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN);
	bool fits = push_request_header(wsi, WSI_TOKEN_ORIGIN, text, PUSH_REQUEST_ORIGIN_BYTES_MAX);

	*ret_cors = push_cors_answer(link->ops->options(link->broker)->cors_origins, fits ? text : NULL);
	(void)push_request_header(wsi, host_token(wsi), host, sizeof(host));
	if (size <= 0 || push_request_method(wsi) == PUSH_METHOD_OPTIONS)
		return true;
	return link->ops->admits_origin(link->broker, fits ? text : too_long,
		fits ? strlen(text) : sizeof(too_long) - 1, host, strlen(host), error);
}

bool
push_request_is_whole(struct lws *wsi)
{
	return is_mux(wsi) || lws_hdr_total_length(wsi, WSI_TOKEN_HTTP) > 0;
}

bool
push_request_takes_chunks(struct lws *wsi)
{
	char version[sizeof("HTTP/1.1")];

	return !is_mux(wsi) && push_request_header(wsi, WSI_TOKEN_HTTP, version, sizeof(version)) &&
	       !strcmp(version, "HTTP/1.1");
}

bool
push_request_query(struct lws *wsi, const char *name, struct push_buf *to)
{
	char argument[PUSH_QUERY_BYTES_MAX + 1];
	size_t name_size = strlen(name);
	bool found = false;
	int size;

	for (int i = 0; (size = lws_hdr_copy_fragment(
				 wsi, argument, sizeof(argument), WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0;
		i++) {
		if ((size_t)size < name_size + 1 || memcmp(argument, name, name_size) ||
			argument[name_size] != '=')
			continue;
		if (found)
			push_buf_append(to, ",", 1);
		push_buf_append(to, argument + name_size + 1, (size_t)size - name_size - 1);
		found = true;
	}
	return found;
}

static bool
query_last_id(struct lws *wsi, struct push_buf *to)
{
	char argument[PUSH_QUERY_BYTES_MAX + 1];
	bool found = false;
	int size;

	for (int i = 0; (size = lws_hdr_copy_fragment(
				 wsi, argument, sizeof(argument), WSI_TOKEN_HTTP_URI_ARGS, i)) >= 0;
		i++) {
		const char *value = memchr(argument, '=', (size_t)size);

		if (!value || !push_position_is_argument(argument, (size_t)(value - argument)))
			continue;
		found = true;
		value++;
		if (value == argument + size)
			continue;
		push_buf_clear(to);
		push_buf_append(to, value, (size_t)(argument + size - value));
	}
	return found;
}

bool
push_request_last_id(struct lws *wsi, struct push_buf *to)
{
	static const char name[] = "last-event-id:";
	char id[PUSH_QUERY_BYTES_MAX + 1];
	int size = lws_hdr_custom_length(wsi, name, sizeof(name) - 1);

	if (size < 0)
		return query_last_id(wsi, to);
	/* one that is too long is an id all the same, and is answered as any that is none */
	if ((size_t)size < sizeof(id) &&
		lws_hdr_custom_copy(wsi, id, (int)sizeof(id), name, sizeof(name) - 1) >= 0)
		push_buf_append(to, id, (size_t)size);
	return true;
}

/* NULL where there is none. */
static const char *
query_value(struct lws *wsi, const char *name, struct push_buf *buf)
{
	push_buf_init(buf, PUSH_QUERY_BYTES_MAX);
	if (!push_request_query(wsi, name, buf))
		return NULL;
	return buf->bytes ? buf->bytes : "";
}

enum push_status
push_request_acks(struct lws *wsi, enum push_encoding encoding, const struct push_options *options,
	struct push_acks_request *ret_request, struct push_error *error)
{
	struct push_acks_query query = {0};
	struct push_buf acks, client;
	enum push_status status;

	query.acks = query_value(wsi, "acks", &acks);
	query.acks_size = acks.size;
	query.client = query_value(wsi, "client", &client);
	query.client_size = client.size;
	status = push_acks_request_read(ret_request, &query, encoding, options, error);
	push_buf_fini(&acks);
	push_buf_fini(&client);
	return status;
}

/*
 * With the headers gone, lws can neither begin the request anew, as it does with one that has come whole, nor
 * take a DATA frame in several reads for more than content-length.
 */
int
push_request_on_body(struct lws *wsi, size_t size)
{
	if (!is_mux(wsi))
		return 0;
	lws_http_headers_detach(wsi);
	return size ? 0 : -1;
}

int
push_request_on_body_end(struct lws *wsi)
{
	if (is_mux(wsi)) {
		lws_http_headers_detach(wsi);
		lws_callback_on_writable(wsi);
	}
	return 0;
}

int
push_request_give_up(struct lws *wsi)
{
	return is_mux(wsi) ? -1 : 0;
}

struct head {
	struct lws *wsi;
	unsigned char *start, *p, *end;
	bool failed;
};

static void
add(struct head *head, const char *name, const char *value)
{
	if (value && lws_add_http_header_by_name(head->wsi, (const unsigned char *)name,
			     (const unsigned char *)value, (int)strlen(value), &head->p, head->end))
		head->failed = true;
}

/* The words that lws does not know: it would leave "HTTP/1.1 202 ". */
static const char *
missing_words(unsigned int status)
{
	switch (status) {
	case 202: return "Accepted";
	case 204: return "No Content";
	case 422: return "Unprocessable Content";
	case 426: return "Upgrade Required";
	default: return NULL;
	}
}

static void
add_status(struct head *head, unsigned int status)
{
	const char *words = missing_words(status);
	size_t size = words ? strlen(words) : 0;
	unsigned char *place;

	if (lws_add_http_header_status(head->wsi, status, &head->p, head->end)) {
		head->failed = true;
		return;
	}
	place = words ? memmem(head->start, (size_t)(head->p - head->start), " \r\n", 3) : NULL;
	if (!place || (size_t)(head->end - head->p) < size)
		return;
	place++;
	memmove(place + size, place, (size_t)(head->p - place));
	memcpy(place, words, size);
	head->p += size;
}

static void
add_optional(struct head *head, const struct push_reply *reply)
{
	char seconds[16];

	add(head, "allow:", reply->allow);
	add(head, "access-control-allow-origin:", reply->cors.allow_origin);
	add(head, "access-control-allow-credentials:", reply->cors.allows_credentials ? "true" : NULL);
	add(head, "vary:", reply->cors.varies ? "Origin" : NULL);
	if (reply->allow_methods) {
		add(head, "access-control-allow-methods:", reply->allow_methods);
		add(head, "access-control-allow-headers:",
			reply->allow_traceparent ? ALLOWED_HEADERS ", Traceparent" : ALLOWED_HEADERS);
		add(head, "access-control-max-age:", "86400");
	}
	if (reply->retry_after_s) {
		snprintf(seconds, sizeof(seconds), "%u", reply->retry_after_s);
		add(head, "retry-after:", seconds);
	}
	if (reply->stream || reply->no_store)
		add(head, "cache-control:", reply->stream ? "no-cache, no-store" : "no-store");
	if (reply->stream)
		add(head, "x-accel-buffering:", "no");
	if (reply->chunked)
		add(head, "transfer-encoding:", "chunked");
	if (reply->close && !is_mux(head->wsi))
		add(head, "connection:", "close");
}

static void
build_head(struct head *head, const struct push_reply *reply)
{
	const char *type = reply->content_type ? reply->content_type : "application/json";

	add_status(head, reply->status);
	if (reply->body_size || reply->stream)
		add(head, "content-type:", type);
	if (!reply->stream && reply->status != 204 &&
		lws_add_http_header_content_length(head->wsi, reply->body_size, &head->p, head->end))
		head->failed = true;
	add_optional(head, reply);
	if (lws_finalize_http_header(head->wsi, &head->p, head->end))
		head->failed = true;
}

static bool
write_bytes(struct lws *wsi, unsigned char *bytes, size_t size, unsigned int kind)
{
	return lws_write(wsi, bytes, size, (enum lws_write_protocol)kind) >= 0;
}

/* A body that does not fit beside the head; lws wants writable bytes before what it is given. */
static bool
write_large_body(struct lws *wsi, const struct push_reply *reply)
{
	unsigned char *copy = malloc(LWS_PRE + reply->body_size);
	bool written;

	if (!copy)
		return false;
	memcpy(copy + LWS_PRE, reply->body, reply->body_size);
	written = write_bytes(wsi, copy + LWS_PRE, reply->body_size, LWS_WRITE_HTTP_FINAL);
	free(copy);
	return written;
}

static bool
write_reply(struct lws *wsi, const struct push_reply *reply)
{
	unsigned char buffer[LWS_PRE + HEAD_BYTES_MAX + SMALL_BODY_BYTES_MAX];
	struct head head = {.wsi = wsi,
		.start = buffer + LWS_PRE,
		.p = buffer + LWS_PRE,
		.end = buffer + LWS_PRE + HEAD_BYTES_MAX};
	/* the answer to HEAD has the length of a body, and none (RFC 9110, 9.3.2) */
	size_t body_size = push_request_method(wsi) == PUSH_METHOD_HEAD ? 0 : reply->body_size;

	build_head(&head, reply);
	if (head.failed)
		return false;
	if (!is_mux(wsi) && body_size <= SMALL_BODY_BYTES_MAX) {
		memcpy(head.p, reply->body ? reply->body : "", body_size);
		return write_bytes(
			wsi, head.start, (size_t)(head.p - head.start) + body_size, LWS_WRITE_HTTP_HEADERS);
	}
	if (!write_bytes(wsi, head.start, (size_t)(head.p - head.start),
		    LWS_WRITE_HTTP_HEADERS |
			    (body_size || reply->stream ? 0u : (unsigned int)LWS_WRITE_H2_STREAM_END)))
		return false;
	return !body_size || write_large_body(wsi, reply);
}

int
push_reply_send(struct lws *wsi, const struct push_reply *reply)
{
	if (!write_reply(wsi, reply))
		return -1;
	if (reply->stream)
		return 0;
	if (is_mux(wsi)) {
		lws_set_timer_usecs(wsi, MUX_BODY_US);
		return 0;
	}
	if (reply->close)
		return -1;
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

int
push_reply_error(struct lws *wsi, struct push_reply reply, const char *text)
{
	struct push_buf body;
	int result;

	push_buf_init(&body, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_json_append_error(&body, text);
	reply.body = body.bytes;
	reply.body_size = body.size;
	result = push_reply_send(wsi, &reply);
	push_buf_fini(&body);
	return result;
}

int
push_reply_send_buf(struct lws *wsi, struct push_reply reply, struct push_buf *body)
{
	int result;

	reply.body = body->bytes;
	reply.body_size = body->size;
	result = body->status == PUSH_OK
			 ? push_reply_send(wsi, &reply)
			 : push_reply_error(wsi, (struct push_reply){.status = 500}, "out of memory");
	push_buf_fini(body);
	return result;
}
