/*
 * sse_conn.h - what an EventSource's request does, between lws' callbacks and the broker.
 */
#ifndef PUSH_SSE_CONN_H
#define PUSH_SSE_CONN_H

#include "lwsio/connection.h"

/*
 * sse_conn_request - a request has come.
 *
 * @rest: its path behind the mount point.  @ret_connection: set where it becomes a stream.
 * Returns what the lws callback is to return.
 */
int
sse_conn_request(struct lws *wsi, const char *rest, struct push_connection **ret_connection);

#endif
