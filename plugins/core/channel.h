/*
 * channel.h - channels by name, and who is subscribed to each.
 *
 * A channel exists while it has subscribers, or an engine holds it, or messages of it are kept.  Its
 * subscribers stand in a dense array, which a fan-out walks without a jump; each entry knows where it stands
 * in its subscriber's own list and the other way round, so that leaving is O(1): the last entry takes the
 * place of the one that leaves.
 *
 *   channel.entries[p]          = { subscriber, i }
 *   subscriber.subscriptions[i] = { channel, p }
 *
 * Names come from clients, so the hash is seeded at start: nobody can prepare names that collide.
 */
#ifndef PUSH_CORE_CHANNEL_H
#define PUSH_CORE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "encoding.h"
#include "list.h"
#include "status.h"

struct push_history;
struct push_subscriber;

struct push_channel_entry {
	struct push_subscriber *subscriber;
	uint32_t index; /* in the subscriber's list */
};

struct push_channel {
	struct push_channel *next; /* of the same bucket */
	uint64_t hash;
	struct push_channel_entry *entries;
	uint32_t count, capacity;
	uint32_t count_by_encoding[PUSH_ENCODING_COUNT];
	struct push_list changed;     /* in the hub's, until its engine has seen the new count */
	struct push_list unconfirmed; /* in the hub's while it is not, or alone */
	uint64_t change;              /* what number among those */
	struct push_history *history; /* owned; NULL: nothing is kept of it */
	void *upstream; /* the engine's own, behind the name, 0 at first; NULL where it has none */
	bool held;      /* by the engine: the channel stays though nobody is subscribed */
	bool kept;      /* by its history, likewise */
	bool confirmed; /* messages come in: a new subscriber need not wait for its start */
	uint32_t name_size;
	char name[];
};

struct push_memory;

struct push_channel_map {
	struct push_channel **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
	uint64_t seed;
	size_t upstream_bytes;      /* to allocate with each channel */
	struct push_memory *memory; /* borrowed: what channels are charged to; NULL: nothing */
};

/* push_channel_map_init - an empty map.  Errors: PUSH_OUT_OF_MEMORY. */
enum push_status PUSH_MUST_USE
push_channel_map_init(struct push_channel_map *map, uint64_t seed);

/* push_channel_map_fini - free the map; there must be no channel left. */
void
push_channel_map_fini(struct push_channel_map *map);

/* push_channel_map_find - the channel of that name, borrowed, or NULL. */
struct push_channel *
push_channel_map_find(const struct push_channel_map *map, const char *name, size_t size);

/*
 * push_channel_map_obtain - the channel of that name; a new, empty one if there is none.
 *
 * Returns NULL when memory is out.  A channel that is left empty must be given to push_channel_map_release().
 */
struct push_channel *
push_channel_map_obtain(struct push_channel_map *map, const char *name, size_t size);

/* push_channel_map_release - remove and free a channel if nobody is subscribed to it, holds it or keeps it.
 */
void
push_channel_map_release(struct push_channel_map *map, struct push_channel *channel);

/* push_channel_map_each - call `step` with every channel; it may close clients, but begin no channel. */
void
push_channel_map_each(struct push_channel_map *map, void (*step)(void *context, struct push_channel *channel),
	void *context);

/* push_channel_reserve - make room for one more entry.  Errors: PUSH_OUT_OF_MEMORY. */
enum push_status PUSH_MUST_USE
push_channel_reserve(const struct push_channel_map *map, struct push_channel *channel);

#endif
