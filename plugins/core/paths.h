/*
 * paths.h - the paths of both ports, as docs/reference/openapi.yaml has them, and what a request for another one is answered.
 *
 * Which of them a vhost serves is a matter of its mounts; this is for the texts of errors.
 */
#ifndef PUSH_CORE_PATHS_H
#define PUSH_CORE_PATHS_H

#include <stdbool.h>

#include "options.h"

#define PUSH_PATH_PUBLISH "/messages"
#define PUSH_PATH_SSE     "/sse/messages"
#define PUSH_PATH_WS      "/ws/messages"
#define PUSH_PATH_TICKETS "/auth/tickets" /* where clients have to show who they are */

/* How to publish and to subscribe, for an error's end. */
#define PUSH_PATH_PUBLISH_HINT   "publish by POST to " PUSH_PATH_PUBLISH
#define PUSH_PATH_SUBSCRIBE_HINT "subscribe at " PUSH_PATH_SSE " or " PUSH_PATH_WS

/* The longest path that is compared with the known ones; any longer one is like none. */
#define PUSH_PATH_BYTES_MAX 64

/* Of the management port. */
#define PUSH_PATH_ACTUATOR      "/actuator"
#define PUSH_PATH_HEALTH        "/actuator/health"
#define PUSH_PATH_LIVENESS      "/actuator/health/liveness"
#define PUSH_PATH_READINESS     "/actuator/health/readiness"
#define PUSH_PATH_PROMETHEUS    "/actuator/prometheus"
#define PUSH_PATH_SHORT_METRICS "/metrics" /* the same; Prometheus asks for it unless told */
#define PUSH_PATH_METRICS       "/actuator/metrics"
#define PUSH_PATH_CHANNELS      "/actuator/channels"
#define PUSH_PATH_LOGGERS       "/actuator/loggers"
#define PUSH_PATH_LOGGER        "/actuator/loggers/ROOT" /* the one that can be changed */

#define PUSH_PATH_REVOKE     "/tokens/revoke"
#define PUSH_PATH_DISCONNECT "/connections/disconnect"

enum push_port { PUSH_PORT_CLIENTS, PUSH_PORT_OPERATORS };

/* push_path_is_end - of what follows a known path: nothing, or the one slash that may stand there. */
bool
push_path_is_end(const char *rest);

/* push_path_is - whether `path` is `known`, with a slash at its end or without. */
bool
push_path_is(const char *path, const char *known);

/*
 * push_path_not_found - a line for a request that came to a port where nothing has this path.
 *
 * Returns true where the path is like a known one, which the line names.
 */
bool
push_path_not_found(enum push_port port, const char *path, struct push_error *error);

#endif
