/*
 * management.h - what operators ask: health, liveness, readiness, metrics.
 */
#ifndef PUSH_HTTP_MANAGEMENT_H
#define PUSH_HTTP_MANAGEMENT_H

#include <libwebsockets.h>

/* management_request - answer one request.  Returns what the lws callback is to return. */
int
management_request(struct lws *wsi);

/* management_upgrade - there is no WebSocket on this port: answer so.  Returns what refuses the upgrade. */
int
management_upgrade(struct lws *wsi);

#endif
