/*
 * engine_shared.h - the engine whose broker is memory that all workers of this machine share (segment/segment.h).
 *
 *   publish ─▶ the segment ─▶ other workers, which read it in the same order ─▶ their clients
 *         └──▶ this worker's clients, within the call
 *
 * What a publish costs beside that of the engine in memory is the lock of the segment and one copy, and nothing at
 * all while this worker is the only one and the channel has no history.
 *
 * The rules that it keeps:
 *
 *   order      a worker delivers in the order of the log: before its own message it reads what was accepted earlier
 *   counts     a client counts from where it gets messages on, to the message: its count is set under the lock when
 *              all that came before has been read
 *   history    is in the segment once; the hub has a cache of it as frames, of bounded size (core/hub.h)
 *   overrun    a worker that was too slow for the log reads from history what it has missed, and tells a gap of
 *              channels that have none
 *   no lock    a publish is answered PUSH_UNAVAILABLE, what else is to be said is said later (is_ready, accepts)
 *
 * No lws: the eventfd of the worker's slot is watched by the broker's plugin.  A worker is woken only while it sleeps,
 * and looks at the log with each tick anyway.
 */
#ifndef PUSH_SHARED_ENGINE_SHARED_H
#define PUSH_SHARED_ENGINE_SHARED_H

#include "broker/engine.h"
#include "core/options.h"
#include "segment/segment.h"

/*
 * push_engine_shared_create - over a segment that is attached, in a slot of it that is free.
 *
 * @segment: taken over, and detached with the engine; push_segment_set_wakers() was called.  The others are borrowed
 * and outlive the engine; the hub has no subscribers yet.
 * @seed: for its name, where the kernel has nothing random yet.
 * Returns NULL with a line in `error`; the segment is detached then, too.
 */
struct push_engine *
push_engine_shared_create(const struct push_options *options, struct push_hub *hub,
	struct push_segment *segment, unsigned int slot, const struct push_engine_host *host, uint64_t seed,
	uint64_t now_us, struct push_error *error);

#endif
