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

#include "request/page.h"

void
loggers_list(const struct push_page_call *call);

void
loggers_get(const struct push_page_call *call);

void
loggers_post(const struct push_page_call *call);

#endif
