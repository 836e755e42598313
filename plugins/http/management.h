/*
 * management.h - what operators ask: health, liveness, readiness, metrics, the level of the log.
 */
#ifndef PUSH_HTTP_MANAGEMENT_H
#define PUSH_HTTP_MANAGEMENT_H

#include <libwebsockets.h>

struct loggers_change;

/*
 * management_request - answer one request.  Returns what the lws callback is to return.
 *
 * *session is NULL before, and what is to be given the body (loggers.h) where that is not NULL behind it.
 */
int
management_request(struct lws *wsi, struct loggers_change **session);

/* management_upgrade - there is no WebSocket on this port: answer so.  Returns what refuses the upgrade. */
int
management_upgrade(struct lws *wsi);

#endif
