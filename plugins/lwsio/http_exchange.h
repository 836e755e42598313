/*
 * http_exchange.h - an exchange (request/exchange.h) on lws' sockets, and what it becomes: HTTP/1.1 over TLS
 * or plain, and HTTP/2.
 *
 * lws hands out the head, then the body in pieces.  Closing while the client still sends would make the
 * kernel reset the connection, and the reset may overtake the answer.  So such a connection lingers: it is
 * shut down for writing, and what comes is thrown away for a while (RFC 9112, 9.6).
 *
 * lws 4.3 gives the body callback also what follows the body: a second, pipelined request.  So the bytes are
 * counted here; the first request is answered and the connection closed.
 *
 * All functions return what the lws callback is to return.
 */
#ifndef PUSH_LWSIO_HTTP_EXCHANGE_H
#define PUSH_LWSIO_HTTP_EXCHANGE_H

#include "lwsio/connection.h"
#include "request/page.h"

/* In a connection's session data. */
struct push_http_session {
	struct push_http_exchange *exchange; /* owned; NULL: nothing is to follow */
	struct push_connection *stream;      /* owned; what the request has become */
};

/* push_http_session_begin - LWS_CALLBACK_HTTP: a head has come.  @rest: its path behind the mount. */
int
push_http_session_begin(
	struct push_http_session *session, struct lws *wsi, enum push_place place, const char *rest);

/* push_http_session_begin_page - likewise, for what operators see: the pages of this table. */
int
push_http_session_begin_page(
	struct push_http_session *session, struct lws *wsi, const struct push_page *list, size_t count);

/* push_http_session_body - LWS_CALLBACK_HTTP_BODY. */
int
push_http_session_body(struct push_http_session *session, struct lws *wsi, const char *bytes, size_t size);

/* push_http_session_body_end - LWS_CALLBACK_HTTP_BODY_COMPLETION. */
int
push_http_session_body_end(struct push_http_session *session, struct lws *wsi);

/* push_http_session_timer - LWS_CALLBACK_TIMER: the body has stalled. */
int
push_http_session_timer(struct push_http_session *session, struct lws *wsi);

/* push_http_session_writeable - LWS_CALLBACK_HTTP_WRITEABLE. */
int
push_http_session_writeable(struct push_http_session *session, struct lws *wsi);

/* push_http_session_end - the request or its connection is over.  NULL is allowed. */
void
push_http_session_end(struct push_http_session *session);

/* push_http_session_callback - all of the above, for a plugin whose mounts are a place's. */
int
push_http_session_callback(enum push_place place, struct lws *wsi, enum lws_callback_reasons reason,
	struct push_http_session *session, void *in, size_t size);

#endif
