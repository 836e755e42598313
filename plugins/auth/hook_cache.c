/* hook_cache.c - see hook_cache.h. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <stdlib.h>
#include <string.h>

#include "auth/hook_cache.h"
#include "core/list.h"

#define BUCKETS 1024u /* a power of two */

struct entry {
	struct entry *next;    /* of the bucket */
	struct push_list node; /* by age */
	unsigned char hash[PUSH_HOOK_HASH_BYTES];
	uint64_t until_us;
	size_t bytes;
	struct push_verdict verdict; /* with one reference to its identity */
	char text[];                 /* the verdict's */
};

struct push_hook_cache {
	uint64_t seed;
	size_t count, count_max, bytes, bytes_max;
	unsigned int sweep; /* the bucket that is looked through next */
	struct push_list entries;
	struct entry *buckets[BUCKETS];
};

static struct entry **
find_bucket(struct push_hook_cache *cache, const unsigned char *hash)
{
	return &cache->buckets[XXH3_64bits_withSeed(hash, PUSH_HOOK_HASH_BYTES, cache->seed) % BUCKETS];
}

static void
drop(struct push_hook_cache *cache, struct entry *entry)
{
	struct entry **at = find_bucket(cache, entry->hash);

	while (*at != entry)
		at = &(*at)->next;
	*at = entry->next;
	push_list_remove(&entry->node);
	cache->count--;
	cache->bytes -= entry->bytes;
	push_identity_unref(entry->verdict.identity);
	free(entry);
}

struct push_hook_cache *
push_hook_cache_create(uint64_t seed, size_t count_max, size_t bytes_max)
{
	struct push_hook_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->seed = seed;
	cache->count_max = count_max;
	cache->bytes_max = bytes_max;
	push_list_init(&cache->entries);
	return cache;
}

void
push_hook_cache_destroy(struct push_hook_cache *cache)
{
	if (!cache)
		return;
	while (!push_list_is_empty(&cache->entries))
		drop(cache, push_container_of(cache->entries.next, struct entry, node));
	free(cache);
}

static struct entry *
find(struct push_hook_cache *cache, const unsigned char *hash)
{
	struct entry *entry = *find_bucket(cache, hash);

	while (entry && memcmp(entry->hash, hash, PUSH_HOOK_HASH_BYTES) != 0)
		entry = entry->next;
	return entry;
}

const struct push_verdict *
push_hook_cache_find(struct push_hook_cache *cache, const unsigned char *hash, uint64_t now_us)
{
	struct entry *entry = find(cache, hash);

	if (entry && now_us < entry->until_us)
		return &entry->verdict;
	if (entry)
		drop(cache, entry);
	return NULL;
}

void
push_hook_cache_put(struct push_hook_cache *cache, const unsigned char *hash,
	const struct push_verdict *verdict, uint64_t now_us, uint64_t until_us)
{
	size_t text_size = verdict->text ? strlen(verdict->text) + 1 : 0;
	struct entry *entry = find(cache, hash), **bucket = find_bucket(cache, hash);
	size_t bytes =
		sizeof(*entry) + text_size + (verdict->identity ? push_identity_bytes(verdict->identity) : 0);

	if (entry)
		drop(cache, entry);
	if (now_us >= until_us || bytes > cache->bytes_max)
		return;
	while (cache->count && (cache->count >= cache->count_max || cache->bytes + bytes > cache->bytes_max))
		drop(cache, push_container_of(cache->entries.next, struct entry, node));
	entry = malloc(sizeof(*entry) + text_size);
	if (!entry)
		return;
	*entry = (struct entry){.next = *bucket, .until_us = until_us, .bytes = bytes, .verdict = *verdict};
	memcpy(entry->hash, hash, PUSH_HOOK_HASH_BYTES);
	if (text_size)
		entry->verdict.text = memcpy(entry->text, verdict->text, text_size);
	(void)push_identity_ref(entry->verdict.identity);
	*bucket = entry;
	push_list_append(&cache->entries, &entry->node);
	cache->count++;
	cache->bytes += bytes;
}

void
push_hook_cache_tick(struct push_hook_cache *cache, uint64_t now_us)
{
	struct entry *entry = cache->buckets[cache->sweep++ % BUCKETS], *next;

	for (; entry; entry = next) {
		next = entry->next;
		if (now_us >= entry->until_us)
			drop(cache, entry);
	}
}

size_t
push_hook_cache_count(const struct push_hook_cache *cache)
{
	return cache->count;
}
