/*
 * sse_conn.h - what an EventSource's request does, between lws' callbacks and the broker.
 */
#ifndef PUSH_SSE_CONN_H
#define PUSH_SSE_CONN_H

#include "lwsio/connection.h"

struct publish;

/* What a request has become; nothing, where it was answered. */
struct sse_session {
	struct push_connection *stream; /* owned */
	struct publish *change;         /* of a stream's channels (http/publish_conn.h); owned */
};

/*
 * sse_conn_request - a request has come: for a stream, or, behind its token, for a change of its channels.
 *
 * @rest: its path behind the mount point.  @session: empty; set where more is to follow.
 * Returns what the lws callback is to return.
 */
int
sse_conn_request(struct lws *wsi, const char *rest, struct sse_session *session);

#endif
