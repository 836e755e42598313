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

/* The longest name of a header that is added. */
#define HEADER_NAME_BYTES_MAX 64

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
add(void *context, const char *name, const char *value)
{
	struct head *head = context;
	char field[HEADER_NAME_BYTES_MAX];
	int size = lws_snprintf(field, sizeof(field), "%s:", name); /* as lws wants it */

	PUSH_ASSERT(size < (int)sizeof(field));
	if (lws_add_http_header_by_name(head->wsi, (const unsigned char *)field, (const unsigned char *)value,
		    (int)strlen(value), &head->p, head->end))
		head->failed = true;
}

/* lws knows few of the words, and would leave "HTTP/1.1 202 ". */
static void
add_status(struct head *head, unsigned int status)
{
	const char *words = push_status_words(status);
	size_t size = strlen(words);
	unsigned char *place;

	if (lws_add_http_header_status(head->wsi, status, &head->p, head->end)) {
		head->failed = true;
		return;
	}
	place = memmem(head->start, (size_t)(head->p - head->start), " \r\n", 3);
	if (!place || (size_t)(head->end - head->p) < size)
		return;
	place++;
	memmove(place + size, place, (size_t)(head->p - place));
	memcpy(place, words, size);
	head->p += size;
}

static void
build_head(struct head *head, const struct push_response *response)
{
	bool has_length = !response->is_stream && response->status != 204;

	add_status(head, response->status);
	push_response_fields(response, add, head);
	if (has_length &&
		lws_add_http_header_content_length(head->wsi, response->body.size, &head->p, head->end))
		head->failed = true;
	if (response->is_chunked)
		add(head, "transfer-encoding", "chunked");
	if (response->closes && !is_mux(head->wsi))
		add(head, "connection", "close");
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
write_large_body(struct lws *wsi, struct push_str body)
{
	unsigned char *copy = malloc(LWS_PRE + body.size);
	bool written;

	if (!copy)
		return false;
	memcpy(copy + LWS_PRE, body.bytes, body.size);
	written = write_bytes(wsi, copy + LWS_PRE, body.size, LWS_WRITE_HTTP_FINAL);
	free(copy);
	return written;
}

/* @follows: a body comes later. */
static bool
write_response(struct lws *wsi, const struct push_response *response, struct push_str body, bool follows)
{
	unsigned char buffer[LWS_PRE + HEAD_BYTES_MAX + SMALL_BODY_BYTES_MAX];
	struct head head = {.wsi = wsi,
		.start = buffer + LWS_PRE,
		.p = buffer + LWS_PRE,
		.end = buffer + LWS_PRE + HEAD_BYTES_MAX};

	build_head(&head, response);
	if (head.failed)
		return false;
	if (!is_mux(wsi) && body.size <= SMALL_BODY_BYTES_MAX) {
		memcpy(head.p, body.size ? body.bytes : "", body.size);
		return write_bytes(
			wsi, head.start, (size_t)(head.p - head.start) + body.size, LWS_WRITE_HTTP_HEADERS);
	}
	if (!write_bytes(wsi, head.start, (size_t)(head.p - head.start),
		    LWS_WRITE_HTTP_HEADERS |
			    (body.size || follows ? 0u : (unsigned int)LWS_WRITE_H2_STREAM_END)))
		return false;
	return !body.size || write_large_body(wsi, body);
}

int
push_response_send(struct lws *wsi, const struct push_response *response, bool is_head)
{
	bool follows = response->is_stream && !is_head;

	/* the answer to HEAD has the length of a body, and none (RFC 9110, 9.3.2) */
	if (!write_response(wsi, response, is_head ? (struct push_str){NULL, 0} : response->body, follows))
		return -1;
	if (follows)
		return 0;
	if (is_mux(wsi)) {
		lws_set_timer_usecs(wsi, MUX_BODY_US);
		return 0;
	}
	if (response->closes)
		return -1;
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

int
push_reply_error(struct lws *wsi, struct push_response response, const char *text)
{
	struct push_buf body;

	push_buf_init(&body, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_json_append_error(&body, text);
	response.content_type = NULL;
	return push_reply_send(wsi, response, &body);
}

int
push_reply_send(struct lws *wsi, struct push_response response, struct push_buf *body)
{
	bool is_head = push_request_method(wsi) == PUSH_METHOD_HEAD;
	int result;

	if (!response.content_type)
		response.content_type = "application/json";
	response.body = (struct push_str){body->bytes, body->size};
	result = body->status == PUSH_OK
			 ? push_response_send(wsi, &response, is_head)
			 : push_reply_error(wsi, (struct push_response){.status = 500}, "out of memory");
	push_buf_fini(body);
	return result;
}
