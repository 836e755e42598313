/* channel.c - see channel.h. */
#include <stdlib.h>
#include <string.h>

/* the hash is small and hot: compiled in, no library at run time */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "channel.h"
#include "history.h"
#include "memory.h"
#include "push_assert.h"

#define MAP_FIRST_BUCKETS     64
#define CHANNEL_FIRST_ENTRIES 1

enum push_status
push_channel_map_init(struct push_channel_map *map, uint64_t seed)
{
	*map = (struct push_channel_map){.bucket_count = MAP_FIRST_BUCKETS, .seed = seed};
	map->buckets = calloc(map->bucket_count, sizeof(struct push_channel *));
	return map->buckets ? PUSH_OK : PUSH_OUT_OF_MEMORY;
}

void
push_channel_map_fini(struct push_channel_map *map)
{
	PUSH_ASSERT(map->count == 0);
	free(map->buckets);
}

static struct push_channel **
bucket(const struct push_channel_map *map, uint64_t hash)
{
	return &map->buckets[hash & (map->bucket_count - 1)];
}

static struct push_channel *
find(const struct push_channel_map *map, const char *name, size_t size, uint64_t hash)
{
	struct push_channel *channel = *bucket(map, hash);

	while (channel &&
		(channel->hash != hash || channel->name_size != size || memcmp(channel->name, name, size)))
		channel = channel->next;
	return channel;
}

struct push_channel *
push_channel_map_find(const struct push_channel_map *map, const char *name, size_t size)
{
	return find(map, name, size, XXH3_64bits_withSeed(name, size, map->seed));
}

/* Doubles the buckets when there are as many channels; where memory is out, chains just grow longer. */
static void
grow(struct push_channel_map *map)
{
	struct push_channel_map bigger = *map;

	if (map->count < map->bucket_count)
		return;
	bigger.bucket_count *= 2;
	bigger.buckets = calloc(bigger.bucket_count, sizeof(struct push_channel *));
	if (!bigger.buckets)
		return;
	for (size_t i = 0; i < map->bucket_count; i++)
		while (map->buckets[i]) {
			struct push_channel *channel = map->buckets[i];
			struct push_channel **to = bucket(&bigger, channel->hash);

			map->buckets[i] = channel->next;
			channel->next = *to;
			*to = channel;
		}
	free(map->buckets);
	*map = bigger;
}

/* Behind the name, aligned for anything. */
static size_t
upstream_offset(size_t name_size)
{
	size_t align = _Alignof(max_align_t);

	return (sizeof(struct push_channel) + name_size + align - 1) / align * align;
}

static void
charge(const struct push_channel_map *map, uint64_t before, uint64_t after)
{
	if (map->memory)
		push_account_change(&map->memory->accounts[PUSH_MEMORY_CHANNELS], before, after);
}

static uint64_t
bytes_of(const struct push_channel_map *map, const struct push_channel *channel)
{
	return upstream_offset(channel->name_size) + map->upstream_bytes +
	       channel->capacity * sizeof(struct push_channel_entry) + 2 * PUSH_MALLOC_BYTES;
}

struct push_channel *
push_channel_map_obtain(struct push_channel_map *map, const char *name, size_t size)
{
	uint64_t hash = XXH3_64bits_withSeed(name, size, map->seed);
	struct push_channel *channel = find(map, name, size, hash);
	struct push_channel **to;

	if (channel)
		return channel;
	PUSH_ASSERT(size <= UINT32_MAX);
	if (map->memory && !push_memory_has_room_for_channel(map->memory, upstream_offset(size)))
		return NULL;
	grow(map);
	channel = malloc(upstream_offset(size) + map->upstream_bytes);
	if (!channel)
		return NULL;
	*channel = (struct push_channel){.hash = hash, .name_size = (uint32_t)size};
	push_list_init(&channel->changed);
	push_list_init(&channel->unconfirmed);
	memcpy(channel->name, name, size);
	if (map->upstream_bytes)
		channel->upstream = memset((char *)channel + upstream_offset(size), 0, map->upstream_bytes);
	to = bucket(map, hash);
	channel->next = *to;
	*to = channel;
	map->count++;
	charge(map, 0, bytes_of(map, channel));
	return channel;
}

void
push_channel_map_release(struct push_channel_map *map, struct push_channel *channel)
{
	struct push_channel **link = bucket(map, channel->hash);

	if (channel->count || channel->held || channel->kept)
		return;
	while (*link != channel)
		link = &(*link)->next;
	*link = channel->next;
	map->count--;
	push_list_remove(&channel->changed);
	charge(map, bytes_of(map, channel), 0);
	push_list_remove(&channel->unconfirmed);
	if (channel->history)
		push_history_free(channel->history);
	free(channel->entries);
	free(channel);
}

/* The next one is pinned meanwhile: a step may close clients, and with the last of them channels go. */
void
push_channel_map_each(struct push_channel_map *map, void (*step)(void *context, struct push_channel *channel),
	void *context)
{
	for (size_t i = 0; i < map->bucket_count; i++) {
		struct push_channel *channel = map->buckets[i], *next;
		bool was_held = channel && channel->held;

		if (channel)
			channel->held = true;
		for (; channel; channel = next) {
			bool is_held = was_held;

			next = channel->next;
			was_held = next && next->held;
			if (next)
				next->held = true;
			step(context, channel);
			channel->held = is_held;
			push_channel_map_release(map, channel);
		}
	}
}

enum push_status
push_channel_reserve(const struct push_channel_map *map, struct push_channel *channel)
{
	uint32_t capacity = channel->capacity ? channel->capacity * 2 : CHANNEL_FIRST_ENTRIES;
	struct push_channel_entry *entries;

	if (channel->count < channel->capacity)
		return PUSH_OK;
	entries = realloc(channel->entries, capacity * sizeof(*entries));
	if (!entries)
		return PUSH_OUT_OF_MEMORY;
	charge(map, channel->capacity * sizeof(*entries), capacity * sizeof(*entries));
	channel->entries = entries;
	channel->capacity = capacity;
	return PUSH_OK;
}
