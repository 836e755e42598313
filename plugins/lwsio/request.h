/*
 * request.h - what a plugin wants to know of an HTTP request, and how it answers one.
 *
 * Works for HTTP/1.1 and HTTP/2, with and without TLS.
 */
#ifndef PUSH_LWSIO_REQUEST_H
#define PUSH_LWSIO_REQUEST_H

#include <libwebsockets.h>
#include <stdbool.h>

#include "core/buf.h"
#include "request/request.h"
#include "request/response.h"

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

/*
 * push_request_is_whole - whether the request line was read to its end.
 *
 * lws 4.3 decodes %0A and %0D before it looks for the end of the line: `?channels=a%0Ab` looks like
 * `?channels=a`, and the rest like a header.  What tells is that the version is missing.
 */
bool
push_request_is_whole(struct lws *wsi);

/* push_request_takes_chunks - whether the answer may be chunked: HTTP/1.1 (RFC 9112, 7.1), not 1.0 and not 2.
 */
bool
push_request_takes_chunks(struct lws *wsi);

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

/*
 * push_response_send - write an answer; of a stream, its head.
 *
 * @is_head: it answers HEAD, and has no body.
 * Returns what the lws callback is to return: 0, or -1 if the connection is to be closed.  The session may
 * have ended within the call.
 */
int
push_response_send(struct lws *wsi, const struct push_response *response, bool is_head);

/*
 * push_reply_send - likewise, with a body of JSON unless `response` names another type, which it fini()s;
 * status 500 if that was cut for want of memory.
 */
int
push_reply_send(struct lws *wsi, struct push_response response, struct push_buf *body);

/* push_reply_error - `{"error":"text"}`, with everything else from `response`. */
int
push_reply_error(struct lws *wsi, struct push_response response, const char *text);

#endif
