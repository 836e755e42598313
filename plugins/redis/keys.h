/*
 * keys.h - names in Redis: `push:clients:CHANNEL`, a hash of how many clients each Push node has.
 *
 * In a cluster a key has to lie in its channel's slot.  A hash tag of the channel's own name will not do,
 * since names may hold braces; so each slot has a tag that was computed for it: `push:clients:{TAG}CHANNEL`.
 *
 * `push:value:NAME` is a small value that is kept for everybody; it lies where its own name hashes to.
 */
#ifndef PUSH_REDIS_KEYS_H
#define PUSH_REDIS_KEYS_H

#include "redis/redis_private.h"

/* redis_append_counts_key - one part of a command. */
void
redis_append_counts_key(
	struct redis_engine *engine, struct push_buf *to, const char *channel, size_t size, uint16_t slot);

/* Longest: PUSH_REDIS_VALUE_PREFIX and a name. */
#define PUSH_REDIS_VALUE_PREFIX    "push:value:"
#define PUSH_REDIS_VALUE_KEY_BYTES (sizeof(PUSH_REDIS_VALUE_PREFIX) + PUSH_VALUE_NAME_BYTES_MAX)

#endif
