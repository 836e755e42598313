/*
 * management.h - what operators ask: health, liveness, readiness, metrics.
 */
#ifndef PUSH_HTTP_MANAGEMENT_H
#define PUSH_HTTP_MANAGEMENT_H

#include <libwebsockets.h>

/* management_request - answer one request.  Returns what the lws callback is to return. */
int
management_request(struct lws *wsi);

#endif
