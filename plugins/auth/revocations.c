/* revocations.c - see revocations.h. */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "auth/revocations.h"
#include "core/push_assert.h"

#define FIRST_BUCKETS 64u

struct revocation {
	struct revocation *next; /* of the same bucket */
	uint64_t hash;
	int64_t before_s, until_s;
	uint8_t by; /* enum push_notice_by */
	uint8_t size;
	char name[];
};

struct push_revocations {
	struct revocation **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
	size_t swept; /* the bucket that the next tick begins with */
	uint64_t seed;
};

_Static_assert(PUSH_NOTICE_NAME_BYTES_MAX <= UINT8_MAX, "size");
_Static_assert(PUSH_USER_BYTES_MAX <= PUSH_NOTICE_NAME_BYTES_MAX, "each user can be revoked");
_Static_assert(PUSH_TOKEN_ID_BYTES_MAX <= PUSH_NOTICE_NAME_BYTES_MAX, "each token can be revoked");

struct push_revocations *
push_revocations_create(uint64_t seed)
{
	struct push_revocations *revocations = calloc(1, sizeof(*revocations));

	if (!revocations)
		return NULL;
	revocations->seed = seed;
	revocations->bucket_count = FIRST_BUCKETS;
	revocations->buckets = calloc(FIRST_BUCKETS, sizeof(struct revocation *));
	if (!revocations->buckets) {
		free(revocations);
		return NULL;
	}
	return revocations;
}

void
push_revocations_destroy(struct push_revocations *revocations)
{
	if (!revocations)
		return;
	for (size_t i = 0; i < revocations->bucket_count; i++)
		for (struct revocation *each = revocations->buckets[i], *next; each; each = next) {
			next = each->next;
			free(each);
		}
	free(revocations->buckets);
	free(revocations);
}

static uint64_t
hash_of(const struct push_revocations *revocations, enum push_notice_by by, struct push_str name)
{
	return XXH3_64bits_withSeed(name.bytes, name.size, revocations->seed + by);
}

static struct revocation *
find(const struct push_revocations *revocations, enum push_notice_by by, struct push_str name)
{
	uint64_t hash = hash_of(revocations, by, name);
	struct revocation *each = revocations->buckets[hash & (revocations->bucket_count - 1)];

	while (each && (each->hash != hash || each->by != by || each->size != name.size ||
			       memcmp(each->name, name.bytes, name.size) != 0))
		each = each->next;
	return each;
}

/* Doubles the buckets when there are as many entries; where memory is out, chains just grow longer. */
static void
grow(struct push_revocations *revocations)
{
	size_t count = revocations->bucket_count * 2;
	struct revocation **buckets;

	if (revocations->count < revocations->bucket_count)
		return;
	buckets = calloc(count, sizeof(struct revocation *));
	if (!buckets)
		return;
	for (size_t i = 0; i < revocations->bucket_count; i++)
		for (struct revocation *each = revocations->buckets[i], *next; each; each = next) {
			next = each->next;
			each->next = buckets[each->hash & (count - 1)];
			buckets[each->hash & (count - 1)] = each;
		}
	free(revocations->buckets);
	revocations->buckets = buckets;
	revocations->bucket_count = count;
}

static enum push_status
insert(struct push_revocations *revocations, const struct push_notice *notice)
{
	struct revocation *each, **to;

	if (revocations->count >= PUSH_REVOCATIONS_MAX)
		return PUSH_TOO_MANY;
	each = malloc(sizeof(*each) + notice->name_size);
	if (!each)
		return PUSH_OUT_OF_MEMORY;
	*each = (struct revocation){.before_s = notice->before_s,
		.until_s = notice->until_s,
		.by = (uint8_t)notice->by,
		.size = (uint8_t)notice->name_size};
	memcpy(each->name, notice->name, notice->name_size);
	each->hash = hash_of(revocations, notice->by, (struct push_str){notice->name, notice->name_size});
	grow(revocations);
	to = &revocations->buckets[each->hash & (revocations->bucket_count - 1)];
	each->next = *to;
	*to = each;
	revocations->count++;
	return PUSH_OK;
}

enum push_status
push_revocations_add(struct push_revocations *revocations, const struct push_notice *notice, int64_t wall_s,
	bool *ret_is_news)
{
	struct revocation *before;

	PUSH_ASSERT(notice->act == PUSH_NOTICE_REVOKE && notice->name_size <= PUSH_NOTICE_NAME_BYTES_MAX);
	*ret_is_news = false;
	if (notice->until_s <= wall_s)
		return PUSH_OK;
	before = find(revocations, notice->by, (struct push_str){notice->name, notice->name_size});
	if (!before) {
		enum push_status status = insert(revocations, notice);

		*ret_is_news = status == PUSH_OK;
		return status;
	}
	/* one that is over may be there yet */
	*ret_is_news = before->until_s <= wall_s || notice->before_s > before->before_s;
	if (before->until_s <= wall_s || notice->before_s > before->before_s)
		before->before_s = notice->before_s;
	if (notice->until_s > before->until_s) {
		before->until_s = notice->until_s;
		*ret_is_news = true;
	}
	return PUSH_OK;
}

static bool
covers(const struct push_revocations *revocations, enum push_notice_by by, struct push_str name,
	int64_t issued_s, int64_t wall_s)
{
	const struct revocation *revocation = name.size ? find(revocations, by, name) : NULL;

	return revocation && wall_s < revocation->until_s && issued_s < revocation->before_s;
}

bool
push_revocations_covers(
	const struct push_revocations *revocations, const struct push_identity *identity, int64_t wall_s)
{
	struct push_identity_facts facts;

	if (!revocations->count || !identity)
		return false;
	facts = push_identity_facts(identity);
	return covers(revocations, PUSH_NOTICE_BY_USER, facts.user, facts.issued_s, wall_s) ||
	       covers(revocations, PUSH_NOTICE_BY_TOKEN_ID, facts.token_id, facts.issued_s, wall_s) ||
	       covers(revocations, PUSH_NOTICE_BY_KEY, facts.key_name, facts.issued_s, wall_s);
}

void
push_revocations_tick(struct push_revocations *revocations, int64_t wall_s)
{
	if (!revocations->count)
		return;
	for (unsigned int i = 0; i < PUSH_REVOCATIONS_SLICE; i++) {
		struct revocation **link =
			&revocations->buckets[revocations->swept++ & (revocations->bucket_count - 1)];

		while (*link) {
			struct revocation *each = *link;

			if (wall_s < each->until_s) {
				link = &each->next;
				continue;
			}
			*link = each->next;
			free(each);
			revocations->count--;
		}
	}
}

size_t
push_revocations_count(const struct push_revocations *revocations)
{
	return revocations->count;
}
