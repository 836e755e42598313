/*
 * seen.h - which of many things were seen already, by 64-bit ids that are random.
 *
 * Two generations of PUSH_REDIS_SEEN_MAX: a full one becomes the older one, and what the older one had is
 * forgotten, but for what was asked for since.  So at least the last PUSH_REDIS_SEEN_MAX are known.
 * Each is an open hash table that grows with what it holds; the ids are their own hashes.
 */
#ifndef PUSH_REDIS_SEEN_H
#define PUSH_REDIS_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "redis/limits.h"

struct push_redis_seen_table {
	uint64_t *ids; /* 0: a free slot; NULL while there are none */
	size_t slot_count, count;
};

struct push_redis_seen {
	struct push_redis_seen_table newer, older;
};

/* push_redis_seen_init - nothing was seen; nothing is allocated. */
void
push_redis_seen_init(struct push_redis_seen *seen);

void
push_redis_seen_fini(struct push_redis_seen *seen);

/* push_redis_seen_add - whether it is new; from now on it is not, unless memory is out. */
bool
push_redis_seen_add(struct push_redis_seen *seen, uint64_t id);

#endif
