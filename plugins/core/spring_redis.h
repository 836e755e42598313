/*
 * spring_redis.h - the place of Redis as a Spring application is given it, as a push.redis.url.
 *
 *   SPRING_REDIS_URL                                        redis:// or rediss://; before HOST and PORT
 *   SPRING_REDIS_HOST, _PORT, _DATABASE                     one server
 *   SPRING_REDIS_CLUSTER_NODES                              host:port,host:port; before one server
 *   SPRING_REDIS_SENTINEL_NODES with _SENTINEL_MASTER       before a cluster
 *   SPRING_REDIS_USERNAME, _PASSWORD, _SSL (_SSL_ENABLED)   with any of them
 *
 * SPRING_DATA_REDIS_... (Spring Boot 3) is the same, a list may be given by its elements
 * (SPRING_REDIS_CLUSTER_NODES_0), and names may be written as Spring writes them (spring.redis.host).
 */
#ifndef PUSH_CORE_SPRING_REDIS_H
#define PUSH_CORE_SPRING_REDIS_H

#include "buf.h"
#include "options.h"
#include "status.h"

/*
 * push_spring_redis_url - append the URL that the variables make; nothing where there are none.
 *
 * What only tunes a Java client (timeouts, pools) is ignored.  Errors: PUSH_INVALID for any other variable of
 * that kind, for two that contradict each other, and for values that make no URL; `error` names the variable
 * and shows no password.
 */
enum push_status PUSH_MUST_USE
push_spring_redis_url(char *const *environment, struct push_buf *to, struct push_error *error);

#endif
