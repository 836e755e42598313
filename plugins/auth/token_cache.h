/*
 * token_cache.h - verified tokens, so that a reconnect with the same token costs a hash instead of a signature.
 *
 * The key of an entry is the token's SHA-256: the cache stores no token.  The hash of its table is seeded, so that an
 * attacker cannot prepare tokens that collide.  Beyond the maximum of entries, or of their bytes including the
 * identities, the oldest entry is evicted.
 *
 * Refusals are cached for PUSH_TOKEN_REFUSAL_US: short enough that a new key, or a `nbf` that has passed, takes
 * effect soon; long enough that a bad token in a storm is verified once a second.  They have PUSH_TOKEN_REFUSALS_MAX
 * fixed slots, in which two tokens with the same slot displace each other: bad tokens take no memory, and never
 * evict good ones.
 */
#ifndef PUSH_AUTH_TOKEN_CACHE_H
#define PUSH_AUTH_TOKEN_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "core/identity.h"
#include "core/options.h"
#include "core/str.h"
#include "token_refusal.h"

struct push_token_cache;

/* What is known of a token. */
enum push_token_known { PUSH_TOKEN_IS_NEW, PUSH_TOKEN_IS_GOOD, PUSH_TOKEN_IS_REFUSED };

struct push_token_finding {
	const struct push_identity *identity; /* borrowed until the cache is changed; if it is good */
	enum push_token_refusal refusal;      /* if it is refused */
	const char *why; /* likewise, the line for the client; borrowed in the same way */
};

/*
 * push_token_cache_create - an empty cache; NULL if out of memory.
 *
 * @count_max, @bytes_max: PUSH_TOKEN_CACHE_MAX and PUSH_TOKEN_CACHE_BYTES_MAX; an identity of its largest size
 * must fit.
 */
struct push_token_cache *
push_token_cache_create(uint64_t seed, size_t count_max, size_t bytes_max);

/* push_token_cache_destroy - free it; NULL is allowed. */
void
push_token_cache_destroy(struct push_token_cache *cache);

/* push_token_cache_find - what is known of a token at this (monotonic) time. */
enum push_token_known
push_token_cache_find(struct push_token_cache *cache, struct push_str token, uint64_t now_us,
	struct push_token_finding *ret_finding);

/* push_token_cache_put - keep a verified token, with a reference of the cache's own, until its identity expires.
 * Without memory, or for an identity that has expired, nothing is kept. */
void
push_token_cache_put(struct push_token_cache *cache, struct push_str token,
	const struct push_identity *identity, uint64_t now_us);

/* push_token_cache_put_refusal - remember why a token is refused.  PUSH_TOKEN_MEMORY is not remembered. */
void
push_token_cache_put_refusal(struct push_token_cache *cache, struct push_str token,
	enum push_token_refusal refusal, const struct push_error *why, uint64_t now_us);

/* push_token_cache_forget_all - of new keys, and of revocations. */
void
push_token_cache_forget_all(struct push_token_cache *cache);

/* push_token_cache_tick - free what has expired, some of the table at each call.  Expired ones are never found;
 * this only gives their memory back. */
void
push_token_cache_tick(struct push_token_cache *cache, uint64_t now_us);

/* push_token_cache_count - verified tokens that are kept. */
size_t
push_token_cache_count(const struct push_token_cache *cache);

/* push_token_cache_bytes - what they take, with their identities. */
size_t
push_token_cache_bytes(const struct push_token_cache *cache);

#endif
