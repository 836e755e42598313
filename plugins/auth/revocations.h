/*
 * revocations.h - revoked tokens: by user, by token id, by the name of a key.
 *
 * A revocation covers tokens issued (`iat`) before its `before`; a token without `iat` counts as issued before.  It
 * is remembered until its `until`, which should be the end of the last token that it covers.  Of two revocations
 * of the same name, the later times count.
 *
 * The check is on the path of each request with a token: one look-up by a seeded hash.  The tick frees expired
 * revocations, some buckets at a time.  At PUSH_REVOCATIONS_MAX a new one is refused, and none is evicted, which
 * would make a revoked token valid again: to revoke more tokens, change the key.
 *
 * Each process has its own table; the engine's notices (notice.h) keep them equal.
 */
#ifndef PUSH_AUTH_REVOCATIONS_H
#define PUSH_AUTH_REVOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/limits.h"
#include "auth/notice.h"
#include "core/identity.h"

struct push_revocations;

/* push_revocations_create - an empty table.  @seed: of the hash.  NULL if out of memory. */
struct push_revocations *
push_revocations_create(uint64_t seed);

/* push_revocations_destroy - NULL is allowed. */
void
push_revocations_destroy(struct push_revocations *revocations);

/*
 * push_revocations_add - from now on what a PUSH_NOTICE_REVOKE says.
 *
 * @ret_is_news: whether it covers more than before, or longer; false: connections need not be looked
 * through for it again.
 * Returns PUSH_OK, also for one that is over already; PUSH_TOO_MANY; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_revocations_add(struct push_revocations *revocations, const struct push_notice *notice, int64_t wall_s,
	bool *ret_is_news);

/* push_revocations_covers - whether any covers this identity; false of NULL, and of everybody. */
bool
push_revocations_covers(
	const struct push_revocations *revocations, const struct push_identity *identity, int64_t wall_s);

/* push_revocations_tick - free those that are over, of the next PUSH_REVOCATIONS_SLICE buckets. */
void
push_revocations_tick(struct push_revocations *revocations, int64_t wall_s);

/* push_revocations_count - how many are remembered. */
size_t
push_revocations_count(const struct push_revocations *revocations);

#endif
