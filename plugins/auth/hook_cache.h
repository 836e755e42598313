/*
 * hook_cache.h - the application's answers, for as long as their Cache-Control allows.
 *
 * The key of an entry is the SHA-256 of the question: only exactly the same question hits it, and no cookie is
 * stored.  Beyond the maximum of entries or bytes, the oldest entry is evicted.
 */
#ifndef PUSH_AUTH_HOOK_CACHE_H
#define PUSH_AUTH_HOOK_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "broker/authenticator.h"

#define PUSH_HOOK_HASH_BYTES 32

struct push_hook_cache;

/* push_hook_cache_create - an empty cache; NULL if out of memory. */
struct push_hook_cache *
push_hook_cache_create(uint64_t seed, size_t count_max, size_t bytes_max);

/* push_hook_cache_destroy - NULL is allowed. */
void
push_hook_cache_destroy(struct push_hook_cache *cache);

/*
 * push_hook_cache_find - the answer to a question, borrowed until the cache is changed; NULL: it is not known.
 *
 * @hash: PUSH_HOOK_HASH_BYTES.
 */
const struct push_verdict *
push_hook_cache_find(struct push_hook_cache *cache, const unsigned char *hash, uint64_t now_us);

/* push_hook_cache_put - keep a verdict, with its text and a reference to its identity; without memory it is not
 * kept. */
void
push_hook_cache_put(struct push_hook_cache *cache, const unsigned char *hash,
	const struct push_verdict *verdict, uint64_t now_us, uint64_t until_us);

/* push_hook_cache_tick - free expired entries, some of them at each call. */
void
push_hook_cache_tick(struct push_hook_cache *cache, uint64_t now_us);

/* push_hook_cache_count - entries, including expired ones that are not freed yet. */
size_t
push_hook_cache_count(const struct push_hook_cache *cache);

#endif
