/*
 * debug_log.h - the broker's log: what it says, whether the level lets it pass, and each connection and each
 * publish where that is debug.
 *
 * The level is a word in memory that workers share with pushd (shared_stats.h), so that a change at one of
 * them is one at all, without a message.  It is looked at with every tick; in between nothing asks for it,
 * and what is not observed costs a comparison with NULL.
 *
 * A line is words and, where there is something to say of a client or a message, a JSON object at its end:
 *
 *     push: debug: opened {"transport":"ws","peer":"127.0.0.1:4711","channels":["a"],"channel_count":1}
 *
 * Of a message its channel, its size and its number of subscribers; never the message.
 */
#ifndef PUSH_BROKER_DEBUG_LOG_H
#define PUSH_BROKER_DEBUG_LOG_H

#include <stdint.h>

#include "core/describe.h"
#include "core/log_level.h"
#include "core/status.h"

struct push_debug_log {
	void (*log)(void *context, enum push_log_level level, const char *line);
	void *context;
	uint32_t own_level;
	uint32_t *level; /* enum push_log_level; own_level, or shared */
	enum push_log_level configured;
	bool is_on;
	uint64_t second;
	uint32_t line_count; /* in it */
	struct push_hub *hub;
	struct push_hub_observer observer;
};

/*
 * push_debug_log_init - `level` is the configured one.
 *
 * @shared: where all workers look; NULL: there is no such place.  `log` is called with lines that may pass.
 */
void
push_debug_log_init(struct push_debug_log *self, enum push_log_level level, uint32_t *shared,
	void (*log)(void *context, enum push_log_level level, const char *line), void *context);

/* push_debug_log_watch - from now on, if the level is debug, what becomes of the clients of a hub. */
void
push_debug_log_watch(struct push_debug_log *self, struct push_hub *hub);

/* push_debug_log_tick - see whether the level has changed, and say how many lines were left out. */
void
push_debug_log_tick(struct push_debug_log *self, uint64_t now_us);

/* push_debug_log_level - as it is now. */
enum push_log_level
push_debug_log_level(const struct push_debug_log *self);

/* push_debug_log_set_level - for all workers; they see it with their next tick. */
void
push_debug_log_set_level(struct push_debug_log *self, enum push_log_level level);

/* push_debug_log_say - a line, if the level lets it pass. */
void
push_debug_log_say(struct push_debug_log *self, enum push_log_level level, const char *line);

/* push_debug_log_refused - a client has no right for something. */
void
push_debug_log_refused(struct push_debug_log *self, const char *text);

/* push_debug_log_published - how a publish has ended; to be called only where is_on. */
void
push_debug_log_published(struct push_debug_log *self, const char *channel, size_t channel_size, size_t bytes,
	enum push_status status, uint64_t subscribers);

#endif
