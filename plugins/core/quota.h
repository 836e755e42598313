/*
 * quota.h - who has how many and has had how much: counts and rates by key, in a table of fixed size.
 *
 * A key stands for a client in one respect: the hash of a kind and an address, a name, a pointer.  The hash has a
 * seed, so that nobody outside can make two of them one.
 *
 *   count   connections that are open now: push_quotas_enter(), push_quotas_leave()
 *   rate    a bucket that holds what may come in one period, is full at first and fills up steadily:
 *           push_quotas_take()
 *
 * A key without a count whose bucket is full says nothing, so that it can be forgotten.  When the table is full,
 * such keys are, the longest unused first; where there are none, the bucket that was not used for longest: its
 * client may then send what it has sent already, and nothing worse.  Keys with a count are never forgotten.  If
 * there is nothing else in the table, a new key is let through uncounted: more clients than the table has room
 * for are no one client.
 *
 * Each call is O(1).  Memory is touched as keys come.
 */
#ifndef PUSH_CORE_QUOTA_H
#define PUSH_CORE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The most keys of a table. */
#define PUSH_QUOTA_KEYS_MAX (1u << 24)

/* Of the keys that may be forgotten, so many are looked at for one that says nothing. */
#define PUSH_QUOTA_LOOK_MAX 8

struct push_quotas;

struct push_quota_key {
	uint64_t high, low;
};

/* So much in each period; amount 0: no limit. */
struct push_rate {
	uint64_t amount, period_us;
};

/*
 * push_quotas_create - an empty table for `key_count` keys, from 1 to PUSH_QUOTA_KEYS_MAX.
 *
 * Returns NULL when memory is out.
 */
struct push_quotas *
push_quotas_create(size_t key_count, uint64_t seed);

/* push_quotas_destroy - NULL is allowed. */
void
push_quotas_destroy(struct push_quotas *quotas);

/* push_quota_key_make - the key of some bytes, which differs by `kind`. */
struct push_quota_key
push_quota_key_make(const struct push_quotas *quotas, unsigned int kind, const void *bytes, size_t size);

/*
 * push_quotas_take - take `amount` out of a key's bucket, which holds rate.amount and gets as much each period.
 *
 * A full bucket gives any amount: what is larger than it is made up for by a longer wait.
 * @rate: of neither 0.  The same key always comes with the same one.
 * Returns 0 if it was taken; else nothing was, and the microseconds after which it could be.
 */
uint64_t
push_quotas_take(struct push_quotas *quotas, const struct push_quota_key *key, uint64_t amount,
	struct push_rate rate, uint64_t now_us);

/* push_quotas_enter - one more of the key, unless it has `max`; false then. */
bool
push_quotas_enter(struct push_quotas *quotas, const struct push_quota_key *key, uint64_t max);

/* push_quotas_leave - one less; of a key that has none, nothing. */
void
push_quotas_leave(struct push_quotas *quotas, const struct push_quota_key *key);

/* push_quotas_count - how many a key has now. */
uint32_t
push_quotas_count(const struct push_quotas *quotas, const struct push_quota_key *key);

/* push_quotas_size - keys in the table. */
size_t
push_quotas_size(const struct push_quotas *quotas);

#endif
