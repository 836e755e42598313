/*
 * loggers.h - the level of the log, seen and changed while Push runs, by the paths of Spring's actuator:
 *
 *   GET  /actuator/loggers        {"levels":["ERROR",...],"loggers":{"ROOT":{...}}}
 *   GET  /actuator/loggers/ROOT   {"configuredLevel":"INFO","effectiveLevel":"INFO"}
 *   POST /actuator/loggers/ROOT   {"configuredLevel":"DEBUG"}; null: as push.log.level says
 *
 * There is one logger.  The level is that of all workers, and of pushd (broker/debug_log.h), until Push is
 * started anew or reloaded.
 */
#ifndef PUSH_HTTP_LOGGERS_H
#define PUSH_HTTP_LOGGERS_H

#include <libwebsockets.h>

#include "lwsio/find_broker.h"

/* A change of the level, whose body is still to come. */
struct loggers_change;

/* loggers_list, loggers_get - answer these requests.  Return what the lws callback is to return. */
int
loggers_list(struct lws *wsi, struct push_broker_link *link);

int
loggers_get(struct lws *wsi, struct push_broker_link *link);

/*
 * loggers_post - the head of a POST has come.
 *
 * Sets *ret_change, which the caller owes loggers_close(), where the body is to be read; else it is answered.
 * Returns what the lws callback is to return.
 */
int
loggers_post(struct lws *wsi, struct push_broker_link *link, struct loggers_change **ret_change);

/* loggers_body - a piece of the body; the last one is answered.  Returns as above. */
int
loggers_body(struct lws *wsi, struct loggers_change *change, const char *bytes, size_t size);

/* loggers_close - NULL is allowed. */
void
loggers_close(struct loggers_change *change);

#endif
