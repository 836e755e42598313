/* identities.c - see identities.h. */
#include <stdint.h>
#include <stdlib.h>

#include "identities.h"
#include "push_assert.h"

#define FIRST_CAPACITY 16

void
identities_fini(struct push_identities *identities)
{
	PUSH_ASSERT(identities->count == 0);
	free(identities->slots);
	*identities = (struct push_identities){NULL, 0, 0};
}

/* Bits of a hash that are not of the home. */
static unsigned int
low_bits(const struct push_identities *identities)
{
	return (unsigned int)__builtin_clzll(identities->capacity) + 1;
}

/* Where it would stand if nobody else did (Knuth, TAOCP 3, 6.4: multiplicative hashing). */
static size_t
home_of(const struct push_identities *identities, const struct push_subscriber *subscriber)
{
	uint64_t hash = (uint64_t)(uintptr_t)subscriber * 0x9E3779B97F4A7C15ull;

	return (size_t)(hash >> low_bits(identities));
}

/* Its slot, or the free one where it belongs; there is one. */
static size_t
place_of(const struct push_identities *identities, const struct push_subscriber *subscriber)
{
	size_t at = home_of(identities, subscriber);

	while (identities->slots[at].subscriber && identities->slots[at].subscriber != subscriber)
		at = (at + 1) & (identities->capacity - 1);
	return at;
}

static enum push_status
resize(struct push_identities *identities, size_t capacity)
{
	struct push_identities other = {calloc(capacity, sizeof(*other.slots)), capacity, identities->count};

	if (!other.slots)
		return PUSH_OUT_OF_MEMORY;
	for (size_t i = 0; i < identities->capacity; i++)
		if (identities->slots[i].subscriber)
			other.slots[place_of(&other, identities->slots[i].subscriber)] = identities->slots[i];
	free(identities->slots);
	*identities = other;
	return PUSH_OK;
}

enum push_status
identities_put(struct push_identities *identities, struct push_subscriber *subscriber,
	const struct push_identity *identity)
{
	size_t capacity = identities->capacity;
	struct push_identity_slot *slot;

	if (8 * (identities->count + 1) > 7 * capacity &&
		resize(identities, capacity ? 2 * capacity : FIRST_CAPACITY) != PUSH_OK)
		return PUSH_OUT_OF_MEMORY;
	slot = &identities->slots[place_of(identities, subscriber)];
	identities->count += !slot->subscriber;
	(void)push_identity_ref(identity);
	push_identity_unref(slot->identity);
	*slot = (struct push_identity_slot){subscriber, identity};
	return PUSH_OK;
}

const struct push_identity *
identities_get(const struct push_identities *identities, const struct push_subscriber *subscriber)
{
	return identities->count ? identities->slots[place_of(identities, subscriber)].identity : NULL;
}

/* Whether a slot's owner may stand at `hole`: that lies between its home and where it stands. */
static bool
may_move(const struct push_identities *identities, size_t at, size_t hole)
{
	size_t mask = identities->capacity - 1;
	size_t home = home_of(identities, identities->slots[at].subscriber);

	return ((hole - home) & mask) <= ((at - home) & mask);
}

void
identities_forget(struct push_identities *identities, const struct push_subscriber *subscriber)
{
	size_t mask = identities->capacity - 1, hole, at;

	if (!identities->count)
		return;
	hole = at = place_of(identities, subscriber);
	if (!identities->slots[hole].subscriber)
		return;
	push_identity_unref(identities->slots[hole].identity);
	while (identities->slots[at = (at + 1) & mask].subscriber)
		if (may_move(identities, at, hole)) {
			identities->slots[hole] = identities->slots[at];
			hole = at;
		}
	identities->slots[hole] = (struct push_identity_slot){NULL, NULL};
	identities->count--;
	/* where memory is out the table stays as large as it is */
	if (identities->capacity > FIRST_CAPACITY && 8 * identities->count < identities->capacity)
		(void)resize(identities, identities->capacity / 2);
}

bool
identities_walk(const struct push_identities *identities, uint64_t *at, size_t homes,
	void (*each)(void *context, struct push_subscriber *subscriber, const struct push_identity *identity),
	void *context)
{
	size_t first, last;

	if (!identities->count)
		return true;
	first = (size_t)(*at >> low_bits(identities));
	last = homes < identities->capacity - first ? first + homes : identities->capacity;
	/* who has a home before `last` stands before the first free slot from there on */
	for (size_t i = first; i < last + identities->capacity; i++) {
		const struct push_identity_slot *slot = &identities->slots[i & (identities->capacity - 1)];

		if (slot->subscriber)
			each(context, slot->subscriber, slot->identity);
		else if (i >= last)
			break;
	}
	*at = (uint64_t)last << low_bits(identities);
	return last == identities->capacity;
}
