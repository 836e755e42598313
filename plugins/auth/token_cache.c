/* token_cache.c - see token_cache.h. */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/list.h"
#include "core/memory.h"
#include "core/push_assert.h"
#include "limits.h"
#include "token_cache.h"

#define DIGEST_BYTES  32
#define FIRST_BUCKETS 64

/* Buckets that a tick looks at: all of a full table in 256 ticks. */
#define TICK_BUCKETS 256

struct digest {
	unsigned char bytes[DIGEST_BYTES];
	uint64_t hash;
};

struct entry {
	struct entry *next;   /* of the same bucket */
	struct push_list age; /* in cache->by_age, oldest first */
	struct digest digest;
	const struct push_identity *identity; /* a reference */
	uint64_t expires_us;
};

struct refusal {
	struct digest digest;
	uint64_t until_us;
	enum push_token_refusal refusal;
	struct push_error why;
};

struct push_token_cache {
	struct entry **buckets;
	size_t bucket_count; /* a power of two */
	size_t count, count_max, bytes, bytes_max, next_bucket;
	struct push_list by_age;
	struct refusal *refusals; /* PUSH_TOKEN_REFUSALS_MAX; NULL until there is one */
	EVP_MD *sha256;
	EVP_MD_CTX *context;
	uint64_t seed;
};

_Static_assert((PUSH_TOKEN_REFUSALS_MAX & (PUSH_TOKEN_REFUSALS_MAX - 1)) == 0, "a mask");

struct push_token_cache *
push_token_cache_create(uint64_t seed, size_t count_max, size_t bytes_max)
{
	struct push_token_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	push_list_init(&cache->by_age);
	cache->seed = seed;
	cache->count_max = count_max;
	cache->bytes_max = bytes_max;
	cache->bucket_count = FIRST_BUCKETS;
	cache->buckets = calloc(cache->bucket_count, sizeof(struct entry *));
	cache->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	cache->context = EVP_MD_CTX_new();
	if (cache->buckets && cache->sha256 && cache->context)
		return cache;
	push_token_cache_destroy(cache);
	return NULL;
}

void
push_token_cache_destroy(struct push_token_cache *cache)
{
	if (!cache)
		return;
	push_token_cache_forget_all(cache);
	EVP_MD_CTX_free(cache->context);
	EVP_MD_free(cache->sha256);
	free(cache->buckets);
	free(cache);
}

/* Returns false when memory is out. */
static bool
digest_of(struct push_token_cache *cache, struct push_str token, struct digest *digest)
{
	bool is_done;

	is_done = EVP_DigestInit_ex2(cache->context, cache->sha256, NULL) == 1 &&
		  EVP_DigestUpdate(cache->context, token.bytes, token.size) == 1 &&
		  EVP_DigestFinal_ex(cache->context, digest->bytes, NULL) == 1;
	ERR_clear_error();
	digest->hash = XXH64(digest->bytes, sizeof(digest->bytes), cache->seed);
	return is_done;
}

static bool
is_same(const struct digest *a, const struct digest *b)
{
	return a->hash == b->hash && !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static struct entry **
bucket(const struct push_token_cache *cache, uint64_t hash)
{
	return &cache->buckets[hash & (cache->bucket_count - 1)];
}

static struct refusal *
place(const struct push_token_cache *cache, uint64_t hash)
{
	return &cache->refusals[hash & (PUSH_TOKEN_REFUSALS_MAX - 1)];
}

static size_t
bytes_of(const struct entry *entry)
{
	return sizeof(*entry) + PUSH_MALLOC_BYTES + push_identity_bytes(entry->identity);
}

static void
drop(struct push_token_cache *cache, struct entry *entry)
{
	struct entry **link = bucket(cache, entry->digest.hash);

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	cache->count--;
	cache->bytes -= bytes_of(entry);
	push_list_remove(&entry->age);
	push_identity_unref(entry->identity);
	free(entry);
}

static struct entry *
oldest(const struct push_token_cache *cache)
{
	return push_container_of(cache->by_age.next, struct entry, age);
}

static struct entry *
find(const struct push_token_cache *cache, const struct digest *digest)
{
	struct entry *entry = *bucket(cache, digest->hash);

	while (entry && !is_same(&entry->digest, digest))
		entry = entry->next;
	return entry;
}

enum push_token_known
push_token_cache_find(struct push_token_cache *cache, struct push_str token, uint64_t now_us,
	struct push_token_finding *ret_finding)
{
	const struct refusal *refused;
	struct digest digest;
	struct entry *entry;

	if (!digest_of(cache, token, &digest))
		return PUSH_TOKEN_IS_NEW;
	entry = find(cache, &digest);
	if (entry && now_us < entry->expires_us) {
		*ret_finding = (struct push_token_finding){.identity = entry->identity};
		return PUSH_TOKEN_IS_GOOD;
	}
	refused = cache->refusals ? place(cache, digest.hash) : NULL;
	if (!refused || now_us >= refused->until_us || !is_same(&refused->digest, &digest))
		return PUSH_TOKEN_IS_NEW;
	*ret_finding = (struct push_token_finding){.refusal = refused->refusal, .why = refused->why.text};
	return PUSH_TOKEN_IS_REFUSED;
}

/* Twice as many buckets if there is memory for them; otherwise the chains grow. */
static void
grow(struct push_token_cache *cache)
{
	size_t bucket_count = 2 * cache->bucket_count;
	struct entry **buckets = calloc(bucket_count, sizeof(struct entry *));

	if (!buckets)
		return;
	for (size_t i = 0; i < cache->bucket_count; i++)
		for (struct entry *entry = cache->buckets[i], *next; entry; entry = next) {
			struct entry **first = &buckets[entry->digest.hash & (bucket_count - 1)];

			next = entry->next;
			entry->next = *first;
			*first = entry;
		}
	free(cache->buckets);
	cache->buckets = buckets;
	cache->bucket_count = bucket_count;
}

static void
insert(struct push_token_cache *cache, struct entry *entry)
{
	struct entry **first = bucket(cache, entry->digest.hash);

	entry->next = *first;
	*first = entry;
	push_list_append(&cache->by_age, &entry->age);
	cache->count++;
	cache->bytes += bytes_of(entry);
	while (cache->count > cache->count_max || cache->bytes > cache->bytes_max)
		drop(cache, oldest(cache));
	if (cache->count > cache->bucket_count)
		grow(cache);
}

void
push_token_cache_put(struct push_token_cache *cache, struct push_str token,
	const struct push_identity *identity, uint64_t now_us)
{
	uint64_t expires_us = push_identity_facts(identity).expires_us;
	struct digest digest;
	struct entry *entry;

	if (now_us >= expires_us || !digest_of(cache, token, &digest))
		return;
	entry = find(cache, &digest);
	if (entry)
		drop(cache, entry);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return;
	entry->digest = digest;
	entry->identity = push_identity_ref(identity);
	entry->expires_us = expires_us;
	insert(cache, entry);
}

void
push_token_cache_put_refusal(struct push_token_cache *cache, struct push_str token,
	enum push_token_refusal refusal, const struct push_error *why, uint64_t now_us)
{
	struct digest digest;
	struct refusal *refused;

	PUSH_ASSERT(refusal != PUSH_TOKEN_OK);
	if (refusal == PUSH_TOKEN_MEMORY || !digest_of(cache, token, &digest))
		return;
	if (!cache->refusals)
		cache->refusals = calloc(PUSH_TOKEN_REFUSALS_MAX, sizeof(*cache->refusals));
	if (!cache->refusals)
		return;
	refused = place(cache, digest.hash);
	refused->digest = digest;
	refused->until_us = now_us + PUSH_TOKEN_REFUSAL_US;
	refused->refusal = refusal;
	refused->why = *why;
}

void
push_token_cache_forget_all(struct push_token_cache *cache)
{
	while (!push_list_is_empty(&cache->by_age))
		drop(cache, oldest(cache));
	free(cache->refusals);
	cache->refusals = NULL;
	PUSH_ASSERT(!cache->count && !cache->bytes);
}

void
push_token_cache_tick(struct push_token_cache *cache, uint64_t now_us)
{
	size_t count = cache->bucket_count < TICK_BUCKETS ? cache->bucket_count : TICK_BUCKETS;

	for (size_t i = 0; i < count; i++) {
		size_t at = cache->next_bucket++ & (cache->bucket_count - 1);

		for (struct entry *entry = cache->buckets[at], *next; entry; entry = next) {
			next = entry->next;
			if (now_us >= entry->expires_us)
				drop(cache, entry);
		}
	}
}

size_t
push_token_cache_count(const struct push_token_cache *cache)
{
	return cache->count;
}

size_t
push_token_cache_bytes(const struct push_token_cache *cache)
{
	return cache->bytes;
}
