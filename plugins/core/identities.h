/*
 * identities.h - the identity of each subscriber: a table beside them, which takes no memory unless identities are
 * required.  Part of the hub; nobody else includes this.
 *
 * Open addressing with linear probing: 16 bytes a slot, at most 7 of 8 in use, so that a client costs 18 to 36
 * bytes and the subscriber itself none.  Keys are addresses of the heap, which no client chooses.
 *
 * The preferred slot of a key is the upper bits of its hash: slots are in the order of the hashes at every size of
 * the table, so that a walk in slices misses no entry while the table grows, shrinks, and closes its gaps.
 *
 * The table and the identities in it, each once however many clients share it, are charged to the budget of memory.
 */
#ifndef PUSH_CORE_IDENTITIES_H
#define PUSH_CORE_IDENTITIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "identity.h"
#include "memory.h"

struct push_subscriber;

struct push_identity_slot {
	struct push_subscriber *subscriber;   /* NULL: free */
	const struct push_identity *identity; /* a reference */
};

struct push_identities {
	struct push_identity_slot *slots; /* owned; NULL while there are none */
	size_t capacity;                  /* a power of two */
	size_t count;
	struct push_memory *memory; /* borrowed */
};

void
identities_init(struct push_identities *identities, struct push_memory *memory);

/* identities_fini - free the table, which is empty. */
void
identities_fini(struct push_identities *identities);

/* identities_put - remember who that is; takes a reference, and drops the one before.  Errors, after which
 * nothing has changed: PUSH_OUT_OF_MEMORY; PUSH_TOO_LARGE: the budget has no room for it (PUSH_IDENTITIES_SHARE). */
enum push_status PUSH_MUST_USE
identities_put(struct push_identities *identities, struct push_subscriber *subscriber,
	const struct push_identity *identity);

/* identities_get - borrowed; NULL: it is not known. */
const struct push_identity *
identities_get(const struct push_identities *identities, const struct push_subscriber *subscriber);

/* identities_forget - does nothing where it is not known.  The slots behind may move up. */
void
identities_forget(struct push_identities *identities, const struct push_subscriber *subscriber);

/*
 * identities_walk - call `each` with who has a home in the next `homes` slots, and maybe with some more.
 *
 * @at: 0 at first; the same until it returns true: all that were there from the first call on have been seen.
 * @each: neither puts nor forgets.
 */
bool
identities_walk(const struct push_identities *identities, uint64_t *at, size_t homes,
	void (*each)(void *context, struct push_subscriber *subscriber, const struct push_identity *identity),
	void *context);

#endif
