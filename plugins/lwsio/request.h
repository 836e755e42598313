/*
 * request.h - what a plugin wants to know of an HTTP request, and how it answers one.
 *
 * Works for HTTP/1.1 and HTTP/2, with and without TLS.
 */
#ifndef PUSH_LWSIO_REQUEST_H
#define PUSH_LWSIO_REQUEST_H

#include <libwebsockets.h>
#include <stdbool.h>

#include "broker/broker.h"
#include "core/acks_request.h"
#include "core/buf.h"
#include "core/cors.h"

enum push_method {
	PUSH_METHOD_GET,
	PUSH_METHOD_HEAD,
	PUSH_METHOD_POST,
	PUSH_METHOD_OPTIONS,
	PUSH_METHOD_OTHER
};

/* push_request_method - of the request whose headers lws has now. */
enum push_method
push_request_method(struct lws *wsi);

/* push_request_path - its path without the query, NUL-terminated; the empty text where it does not fit. */
void
push_request_path(struct lws *wsi, char *to, size_t size);

/*
 * push_request_header - the value of a header as a NUL-terminated text.
 *
 * Returns false where there is none, or it is longer than the buffer, which is then the empty text.
 */
bool
push_request_header(struct lws *wsi, enum lws_token_indexes token, char *to, size_t size);

/* The longest Origin that may be listed; any longer one is not. */
#define PUSH_REQUEST_ORIGIN_BYTES_MAX 512

/*
 * push_request_origin - the header Origin: what an answer may say of it, and whether the request may be
 * served.
 *
 * @text: where `ret_cors` finds the origin; it has to live as long.
 * Returns true, or false with a line in `error`, to be answered with 403.  A preflight is always served.
 */
bool
push_request_origin(struct lws *wsi, const struct push_broker_link *link,
	char text[PUSH_REQUEST_ORIGIN_BYTES_MAX], struct push_cors *ret_cors, struct push_error *error);

/*
 * push_request_is_whole - whether the request line was read to its end.
 *
 * lws 4.3 decodes %0A and %0D before it looks for the end of the line: `?channels=a%0Ab` looks like
 * `?channels=a`, and the rest like a header.  What tells is that the version is missing.
 */
bool
push_request_is_whole(struct lws *wsi);

/* push_request_takes_chunks - whether the answer may be chunked: HTTP/1.1 (RFC 9112, 7.1), not 1.0 and not 2. */
bool
push_request_takes_chunks(struct lws *wsi);

/*
 * push_request_query - append the values of all query arguments `name`, percent-decoded, joined by commas.
 *
 * Returns false where the query has none.
 */
bool
push_request_query(struct lws *wsi, const char *name, struct push_buf *to);

/*
 * push_request_last_id - append what the client has read last: the header Last-Event-ID (WHATWG HTML, 9.2.4),
 * or the query's last_event_id (push_position_is_argument).
 *
 * Returns false where the request has neither.
 */
bool
push_request_last_id(struct lws *wsi, struct push_buf *to);

/*
 * push_request_acks - what the request says of acknowledgements.  As push_acks_request_read().
 */
enum push_status PUSH_MUST_USE
push_request_acks(struct lws *wsi, enum push_encoding encoding, const struct push_options *options,
	struct push_acks_request *ret_request, struct push_error *error);

/*
 * The end of an HTTP/2 stream.
 *
 * lws 4.3 ends the whole connection where a callback for the head of a POST, or for a body that came with it,
 * returns -1, and where a body goes on for a stream that it has forgotten.  So push_reply_send() never
 * returns -1 there.  The stream is given up once the body has come, from LWS_CALLBACK_HTTP_WRITEABLE, or
 * after a while.  A plugin passes on four callbacks:
 */

/*
 * push_request_on_body - LWS_CALLBACK_HTTP_BODY.
 *
 * Returns what the callback is to return if it is -1: lws, given a request without content-length whose body
 * comes with its head, takes the unknown length for 0 and repeats an empty piece without end, in which no
 * other connection of the process is served.
 */
int
push_request_on_body(struct lws *wsi, size_t size);

/* push_request_on_body_end - LWS_CALLBACK_HTTP_BODY_COMPLETION, and where else the end is known.  Returns 0.
 */
int
push_request_on_body_end(struct lws *wsi);

/* push_request_give_up - LWS_CALLBACK_HTTP_WRITEABLE and LWS_CALLBACK_TIMER of an answered request. */
int
push_request_give_up(struct lws *wsi);

/* What is said in an answer.  Unset members are left out. */
struct push_reply {
	unsigned int status;
	const char *content_type; /* default: application/json */
	const char *body;
	size_t body_size;
	const char *allow; /* 405 and preflights */
	struct push_cors cors;
	const char *allow_methods; /* a preflight's Access-Control-Allow-Methods */
	bool allow_traceparent;    /* among the headers that may be sent there */
	unsigned int retry_after_s;
	bool close;   /* HTTP/1.1: say `connection: close` and do so */
	bool stream;  /* the body follows: no content-length, and the request goes on */
	bool chunked; /* and it comes in chunks, which the caller makes */
	bool no_store;
};

/*
 * push_reply_send - write an answer.
 *
 * Returns what the lws callback is to return: 0, or -1 where the connection is to be closed.
 */
int
push_reply_send(struct lws *wsi, const struct push_reply *reply);

/*
 * push_reply_send_buf - likewise, with `body`, which it fini()s; status 500 where that was cut for want of
 * memory.
 */
int
push_reply_send_buf(struct lws *wsi, struct push_reply reply, struct push_buf *body);

/* push_reply_error - `{"error":"text"}`, with everything else from `reply`.  Returns as push_reply_send(). */
int
push_reply_error(struct lws *wsi, struct push_reply reply, const char *text);

#endif
