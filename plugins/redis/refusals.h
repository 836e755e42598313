/*
 * refusals.h - whether a server refuses every publish: it is over its memory, may not write its files, or its
 * user has lost a right.
 *
 * Then the server can be reached, its channels can be subscribed, and publishes are answered 503.  What is
 * refused for a channel's or a key's name says nothing of other publishes and does not count.
 */
#ifndef PUSH_REDIS_REFUSALS_H
#define PUSH_REDIS_REFUSALS_H

#include <stdbool.h>
#include <stdint.h>

/* So many refusals in a row, and the last one not longer ago than this: then the next publish is refused,
 * too, as far as anybody knows.  A server that nobody publishes to has no refusals. */
#define PUSH_REDIS_REFUSALS_MIN 3
#define PUSH_REDIS_REFUSALS_US  60000000ull

#define PUSH_REDIS_REFUSAL_BYTES_MAX 96

/* Of one server; all 0 at first. */
struct push_redis_refusals {
	unsigned int count; /* since the last publish that was accepted */
	uint64_t last_us;
	char text[PUSH_REDIS_REFUSAL_BYTES_MAX]; /* the server's words */
};

/* push_redis_refusal_is_general - whether other commands of the kind would be refused with this text, too,
 * whatever their channel or key: no memory, no disk, a replica, a right that is missing. */
bool
push_redis_refusal_is_general(const char *text, uint64_t size);

/* push_redis_refusal_is_memory - whether it is for want of memory. */
bool
push_redis_refusal_is_memory(const char *text, uint64_t size);

/* push_redis_refusals_add - a publish was refused with this text; it counts if it is general. */
void
push_redis_refusals_add(
	struct push_redis_refusals *refusals, const char *text, uint64_t size, uint64_t now_us);

/* push_redis_refusals_clear - one was accepted, or the connection is a new one. */
static inline void
push_redis_refusals_clear(struct push_redis_refusals *refusals)
{
	refusals->count = 0;
}

static inline bool
push_redis_refusals_go_on(const struct push_redis_refusals *refusals, uint64_t now_us)
{
	return refusals->count >= PUSH_REDIS_REFUSALS_MIN &&
	       now_us - refusals->last_us < PUSH_REDIS_REFUSALS_US;
}

#endif
