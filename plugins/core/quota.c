/* quota.c - see quota.h. */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "push_assert.h"
#include "quota.h"

#define NONE UINT32_MAX

struct entry {
	struct push_quota_key key;
	uint64_t full_at_ns; /* when its bucket is full again; in the past: it is full */
	uint32_t count;
	uint32_t chain;      /* the next one of its slot */
	uint32_t next, prev; /* among those without a count, the longest unused first */
};

/* entries[key_count] is the head of the list of those without a count. */
struct push_quotas {
	uint64_t seed;
	uint32_t key_count, used, slot_mask;
	uint32_t *slots;
	struct entry *entries;
};

static uint32_t
slot_count_for(size_t key_count)
{
	uint32_t count = 1;

	while (count < key_count)
		count *= 2;
	return count;
}

struct push_quotas *
push_quotas_create(size_t key_count, uint64_t seed)
{
	struct push_quotas *quotas = calloc(1, sizeof(*quotas));
	uint32_t slot_count;

	PUSH_ASSERT(key_count > 0 && key_count <= PUSH_QUOTA_KEYS_MAX);
	if (!quotas)
		return NULL;
	slot_count = slot_count_for(key_count);
	quotas->seed = seed;
	quotas->key_count = (uint32_t)key_count;
	quotas->slot_mask = slot_count - 1;
	/* of a slot, 0 is none and i + 1 is entry i: memory that is not used is not touched */
	quotas->slots = calloc(slot_count, sizeof(*quotas->slots));
	quotas->entries = calloc(key_count + 1, sizeof(*quotas->entries));
	if (!quotas->slots || !quotas->entries) {
		push_quotas_destroy(quotas);
		return NULL;
	}
	quotas->entries[key_count].next = quotas->entries[key_count].prev = quotas->key_count;
	return quotas;
}

void
push_quotas_destroy(struct push_quotas *quotas)
{
	if (!quotas)
		return;
	free(quotas->slots);
	free(quotas->entries);
	free(quotas);
}

struct push_quota_key
push_quota_key_make(const struct push_quotas *quotas, unsigned int kind, const void *bytes, size_t size)
{
	XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, size, quotas->seed + kind);

	return (struct push_quota_key){hash.high64, hash.low64};
}

static bool
is_key(const struct entry *entry, const struct push_quota_key *key)
{
	return entry->key.high == key->high && entry->key.low == key->low;
}

static uint32_t *
slot_of(const struct push_quotas *quotas, const struct push_quota_key *key)
{
	return &quotas->slots[key->low & quotas->slot_mask];
}

static uint32_t
find(const struct push_quotas *quotas, const struct push_quota_key *key)
{
	for (uint32_t i = *slot_of(quotas, key); i; i = quotas->entries[i - 1].chain)
		if (is_key(&quotas->entries[i - 1], key))
			return i - 1;
	return NONE;
}

static void
unlink_entry(struct push_quotas *quotas, uint32_t i)
{
	struct entry *entries = quotas->entries;

	entries[entries[i].prev].next = entries[i].next;
	entries[entries[i].next].prev = entries[i].prev;
}

/* As the one that was used last. */
static void
link_entry(struct push_quotas *quotas, uint32_t i)
{
	struct entry *entries = quotas->entries, *head = &entries[quotas->key_count];

	entries[i].prev = head->prev;
	entries[i].next = quotas->key_count;
	entries[head->prev].next = i;
	head->prev = i;
}

static void
forget(struct push_quotas *quotas, uint32_t i)
{
	uint32_t *at = slot_of(quotas, &quotas->entries[i].key);

	while (*at != i + 1)
		at = &quotas->entries[*at - 1].chain;
	*at = quotas->entries[i].chain;
	unlink_entry(quotas, i);
}

/* An entry that nobody has, maybe taken from somebody; NONE: all have a count. */
static uint32_t
find_room(struct push_quotas *quotas, uint64_t now_ns)
{
	const struct entry *entries = quotas->entries;
	uint32_t oldest = entries[quotas->key_count].next, i = oldest;

	if (quotas->used < quotas->key_count)
		return quotas->used++;
	for (int looks = 0; i != quotas->key_count && looks < PUSH_QUOTA_LOOK_MAX; looks++) {
		if (entries[i].full_at_ns <= now_ns)
			break;
		i = entries[i].next;
	}
	if (i == quotas->key_count || entries[i].full_at_ns > now_ns)
		i = oldest;
	if (i == quotas->key_count)
		return NONE;
	forget(quotas, i);
	return i;
}

/* The entry of a key, which is among those without a count if it is new. */
static struct entry *
find_or_add(struct push_quotas *quotas, const struct push_quota_key *key, uint64_t now_ns)
{
	uint32_t i = find(quotas, key), *slot = slot_of(quotas, key);

	if (i != NONE) {
		if (!quotas->entries[i].count) {
			unlink_entry(quotas, i);
			link_entry(quotas, i);
		}
		return &quotas->entries[i];
	}
	i = find_room(quotas, now_ns);
	if (i == NONE)
		return NULL;
	quotas->entries[i] = (struct entry){.key = *key, .chain = *slot};
	*slot = i + 1;
	link_entry(quotas, i);
	return &quotas->entries[i];
}

/* How long the bucket takes to get the amount; at most half of all time. */
static uint64_t
cost_of(uint64_t amount, struct push_rate rate)
{
	/* exact to the nanosecond for whatever takes less than a hundred days */
	double cost_ns = (double)amount * (double)(rate.period_us * 1000) / (double)rate.amount;

	return cost_ns < (double)(UINT64_MAX / 2) ? (uint64_t)cost_ns : UINT64_MAX / 2;
}

uint64_t
push_quotas_take(struct push_quotas *quotas, const struct push_quota_key *key, uint64_t amount,
	struct push_rate rate, uint64_t now_us)
{
	uint64_t now_ns = now_us * 1000, period_ns = rate.period_us * 1000, cost_ns, level_ns;
	struct entry *entry = find_or_add(quotas, key, now_ns);

	PUSH_ASSERT(rate.amount > 0);
	PUSH_ASSERT(period_ns > 0);
	if (!entry)
		return 0;
	cost_ns = cost_of(amount, rate);
	level_ns = entry->full_at_ns > now_ns ? entry->full_at_ns - now_ns : 0;
	if (level_ns && level_ns + cost_ns > period_ns) {
		/* what is larger than the bucket waits until that is full */
		uint64_t wait_ns = cost_ns < period_ns ? level_ns + cost_ns - period_ns : level_ns;

		return wait_ns / 1000 + 1;
	}
	entry->full_at_ns = now_ns + level_ns + cost_ns;
	return 0;
}

bool
push_quotas_enter(struct push_quotas *quotas, const struct push_quota_key *key, uint64_t max)
{
	/* a bucket that is not full is worth less than a count */
	struct entry *entry = find_or_add(quotas, key, UINT64_MAX);

	if (!entry)
		return true;
	if (entry->count >= max || entry->count == UINT32_MAX)
		return false;
	if (!entry->count++)
		unlink_entry(quotas, (uint32_t)(entry - quotas->entries));
	return true;
}

void
push_quotas_leave(struct push_quotas *quotas, const struct push_quota_key *key)
{
	uint32_t i = find(quotas, key);

	if (i != NONE && quotas->entries[i].count && !--quotas->entries[i].count)
		link_entry(quotas, i);
}

uint32_t
push_quotas_count(const struct push_quotas *quotas, const struct push_quota_key *key)
{
	uint32_t i = find(quotas, key);

	return i == NONE ? 0 : quotas->entries[i].count;
}

size_t
push_quotas_size(const struct push_quotas *quotas)
{
	return quotas->used;
}
