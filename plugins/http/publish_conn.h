/*
 * publish_conn.h - one publish request, from its head to its answer; or one that changes the channels of an
 * event stream, which differs in what is done with its body.
 *
 * lws hands out the head, then the body in pieces.  Whatever can be decided by the head is decided there; an
 * error is answered once the body is through, so that the connection stays usable, or, where the body is
 * too large or its end cannot be told, at once, and the connection is closed.
 *
 * Closing while the client still sends would make the kernel reset the connection, and the reset may
 * overtake the answer.  So such a connection lingers: it is shut down for writing, and what comes is thrown
 * away for a while (RFC 9112, 9.6).
 *
 * lws 4.3 gives the body callback also what follows the body: a second, pipelined request.  So the bytes are
 * counted here; the first request is answered and the connection closed.
 */
#ifndef PUSH_HTTP_PUBLISH_CONN_H
#define PUSH_HTTP_PUBLISH_CONN_H

#include <libwebsockets.h>

struct publish;

/*
 * publish_conn_request - the head of a request has come.
 *
 * @rest: its path behind the mount point.
 * @ret_publish: set where a body is to follow; the caller then owes publish_conn_close().
 * All functions return what the lws callback is to return.
 */
int
publish_conn_request(struct lws *wsi, const char *rest, struct publish **ret_publish);

/* publish_conn_control - likewise, of a request that changes a stream's channels.  @token:
 * push_token_is_shaped(). */
int
publish_conn_control(struct lws *wsi, const char *token, struct publish **ret_publish);

/* publish_conn_body - a piece of the body. */
int
publish_conn_body(struct publish *publish, const char *bytes, size_t size);

/* publish_conn_complete - lws has seen the body's end. */
int
publish_conn_complete(struct publish *publish);

/* publish_conn_timeout - the body has stalled. */
int
publish_conn_timeout(struct publish *publish);

/* publish_conn_writeable - the answer of a broker that took its time can be written. */
int
publish_conn_writeable(struct publish *publish);

/* publish_conn_close - the request or its connection is over.  NULL is allowed. */
void
publish_conn_close(struct publish *publish);

#endif
