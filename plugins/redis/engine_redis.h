/*
 * engine_redis.h - the engine with Redis behind it: any number of Push nodes act as one.
 *
 *   publish ──▶ PUBLISH ──▶ Redis ──▶ each node that is subscribed ──▶ hub ──▶ clients
 *
 * - Each server has two connections: one for commands, one for subscriptions.  What a turn publishes leaves
 * in one write; answers come in order.
 * - A channel is subscribed once per process, however many clients it has, and for some seconds after the
 * last one.  A client's first heartbeat waits for the confirmation: it says that nothing is missed from then
 * on.
 * - When a connection for subscriptions is lost, messages may be missed.  All channels are subscribed again;
 *   at each confirmation, which Redis puts in front of the channel's next message, its clients are told
 * `gap`.
 * - A publish that finds no connection waits a little, and is refused then.  One whose answer is lost is an
 *   error, though it may have been published: it is never sent twice.
 * - A message travels as its plain text, anything but a string in an envelope (core/payload.h).
 * - Beside each channel's subscribers Redis has a hash of how many clients each Push node has there.  It is
 *   read with the PUBLISH, in the same write: the answer adds up our own clients, those of the other nodes
 *   that are alive, and Redis' receivers that are no Push nodes.
 * - Every node says on a private channel that it lives, and watches each server by a private channel of its
 *   own: one that takes the publish and does not deliver it is left, and everything subscribed again.
 *
 * No lws: the engine has an epoll set, whose descriptor the broker's plugin watches.
 */
#ifndef PUSH_REDIS_ENGINE_REDIS_H
#define PUSH_REDIS_ENGINE_REDIS_H

#include "broker/engine.h"
#include "core/log_level.h"
#include "core/options.h"
#include "core/redis_stats.h"

/*
 * push_engine_redis_create - with push.redis.url set.
 *
 * `options`, `hub` and `stats` are borrowed and outlive it; the hub has no subscribers yet.  It begins to
 * connect at once.  Returns NULL with a line in `error` that names the option.
 */
struct push_engine *
push_engine_redis_create(const struct push_options *options, struct push_hub *hub,
	struct push_redis_stats *stats, const struct push_engine_host *host, uint64_t seed, uint64_t now_us,
	struct push_error *error);

#endif
