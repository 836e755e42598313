/* identities.c - see identities.h. */
#include <stdint.h>
#include <stdlib.h>

#include "identities.h"
#include "push_assert.h"

#define FIRST_CAPACITY 16

void
identities_init(struct push_identities *identities, struct push_memory *memory)
{
	*identities = (struct push_identities){.memory = memory};
}

static struct push_account *
account(const struct push_identities *identities)
{
	return &identities->memory->accounts[PUSH_MEMORY_IDENTITIES];
}

static uint64_t
table_bytes(size_t capacity)
{
	return capacity ? capacity * sizeof(struct push_identity_slot) + PUSH_MALLOC_BYTES : 0;
}

void
identities_fini(struct push_identities *identities)
{
	PUSH_ASSERT(identities->count == 0);
	push_account_take(account(identities), table_bytes(identities->capacity));
	free(identities->slots);
	identities_init(identities, identities->memory);
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
	struct push_identities other = *identities;

	other.slots = calloc(capacity, sizeof(*other.slots));
	other.capacity = capacity;
	if (!other.slots)
		return PUSH_OUT_OF_MEMORY;
	push_account_change(account(identities), table_bytes(identities->capacity), table_bytes(capacity));
	for (size_t i = 0; i < identities->capacity; i++)
		if (identities->slots[i].subscriber)
			other.slots[place_of(&other, identities->slots[i].subscriber)] = identities->slots[i];
	free(identities->slots);
	*identities = other;
	return PUSH_OK;
}

static size_t
capacity_for_one_more(const struct push_identities *identities)
{
	size_t capacity = identities->capacity;

	if (8 * (identities->count + 1) <= 7 * capacity)
		return capacity;
	return capacity ? 2 * capacity : FIRST_CAPACITY;
}

static bool
has_room(const struct push_identities *identities, const struct push_identity *identity, size_t capacity)
{
	uint64_t bytes = table_bytes(capacity) - table_bytes(identities->capacity);

	if (!push_identity_is_charged(identity))
		bytes += push_identity_bytes(identity);
	return !bytes || push_memory_has_room_for_identity(identities->memory, bytes);
}

static void
leave(const struct push_identities *identities, const struct push_identity_slot *slot)
{
	if (!slot->identity)
		return;
	push_identity_discharge(slot->identity, account(identities));
	push_identity_unref(slot->identity);
}

enum push_status
identities_put(struct push_identities *identities, struct push_subscriber *subscriber,
	const struct push_identity *identity)
{
	size_t capacity = capacity_for_one_more(identities);
	struct push_identity_slot *slot;

	if (!has_room(identities, identity, capacity))
		return PUSH_TOO_LARGE;
	if (capacity != identities->capacity && resize(identities, capacity) != PUSH_OK)
		return PUSH_OUT_OF_MEMORY;
	slot = &identities->slots[place_of(identities, subscriber)];
	identities->count += !slot->subscriber;
	(void)push_identity_ref(identity);
	push_identity_charge(identity, account(identities));
	leave(identities, slot);
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
	leave(identities, &identities->slots[hole]);
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
