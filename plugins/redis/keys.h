/*
 * keys.h - names in Redis, of keys and of channels, and nothing else knows how they are made.  All begin with
 * push.redis.prefix, so that several installations on one Redis stay apart; it has no braces, and so leaves
 * every hash tag what it is.
 *
 * `push:clients:CHANNEL`, a hash of how many clients each Push node has, and those
 * of history (scripts.h).
 *
 * In a cluster a key has to lie in its channel's slot.  A hash tag of the channel's own name will not do,
 * since names may hold braces; so each slot has a tag that was computed for it: `push:clients:{TAG}CHANNEL`.
 *
 * `push:once:ID` says that a publish with that id has happened (scripts.h); it lies with its channel, too.
 *
 * `push:notices` is the set of notices to all nodes (notices.c).
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

/* redis_append_once_key - of a publish that happens once, one part of a command: it lies with its channel. */
void
redis_append_once_key(
	struct redis_engine *engine, struct push_buf *to, const char *id, size_t size, uint16_t slot);

/* redis_append_notices_key - of the set of notices, one part of a command: it lies with their channel. */
void
redis_append_notices_key(const struct redis_engine *engine, struct push_buf *to, uint16_t slot);

/* redis_history_key - the name of a partition's hash (scripts.h), in `to`. */
const char *
redis_history_key(
	const struct redis_engine *engine, const struct redis_partition *partition, char *to, size_t size);

/* redis_append_history_keys - the keys of a channel with history, three parts of a command. */
void
redis_append_history_keys(const struct redis_engine *engine, struct push_buf *to,
	const struct redis_partition *partition, const char *channel, size_t size);

/* redis_append_channel - the name of a channel in Redis, clients' or private: with shards one with history
 * has a tag in front, and so has one whose own name looks like that.  No two channels have one name. */
void
redis_append_channel(
	const struct redis_engine *engine, struct push_buf *to, const char *channel, size_t size);

/* redis_channel_slot - of a channel's name in Redis, where that has no tag of ours. */
uint16_t
redis_channel_slot(const struct redis_engine *engine, const char *channel, size_t size);

/* redis_channel_name - the other way round: the channel's name in a name of Redis', borrowed; empty where
 * that is none of ours. */
const char *
redis_channel_name(const struct redis_engine *engine, const char *name, size_t *size);

/* Longest: push.redis.prefix, PUSH_REDIS_VALUE_PREFIX and a name. */
#define PUSH_REDIS_VALUE_PREFIX "push:value:"
#define PUSH_REDIS_VALUE_KEY_BYTES                                                                           \
	(PUSH_REDIS_PREFIX_BYTES_MAX + sizeof(PUSH_REDIS_VALUE_PREFIX) + PUSH_VALUE_NAME_BYTES_MAX)

#endif
