/* values.c - see values.h. */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "limits.h"
#include "list.h"
#include "push_assert.h"
#include "values.h"
#include "wheel.h"

#define FIRST_BUCKETS 64

struct value {
	struct value *next; /* of the same bucket */
	uint64_t hash;
	struct push_list age; /* in values->by_age, oldest first */
	struct push_timer expiry;
	uint64_t until_us;
	struct push_values *values;
	uint32_t name_size, size;
	char bytes[]; /* the name, the value */
};

struct push_values {
	struct value **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
	uint64_t bytes, seed;
	struct push_account *account; /* borrowed; NULL: it is charged to nobody */
	struct push_list by_age;
	struct push_wheel wheel;
};

_Static_assert(sizeof(struct value) <= PUSH_VALUE_OVERHEAD_BYTES, "what is counted");
_Static_assert(
	PUSH_VALUE_BYTES_MAX + PUSH_VALUE_NAME_BYTES_MAX + PUSH_VALUE_OVERHEAD_BYTES <= PUSH_VALUES_BYTES_MAX,
	"one always has room");

struct push_values *
push_values_create(uint64_t seed, struct push_account *account, uint64_t now_us)
{
	struct push_values *values = calloc(1, sizeof(*values));

	if (!values)
		return NULL;
	values->seed = seed;
	values->account = account;
	values->bucket_count = FIRST_BUCKETS;
	values->buckets = calloc(values->bucket_count, sizeof(struct value *));
	if (!values->buckets) {
		free(values);
		return NULL;
	}
	push_list_init(&values->by_age);
	push_wheel_init(&values->wheel, now_us);
	return values;
}

static struct value **
bucket(const struct push_values *values, uint64_t hash)
{
	return &values->buckets[hash & (values->bucket_count - 1)];
}

static struct value *
find(const struct push_values *values, const char *name, size_t size, uint64_t hash)
{
	struct value *value = *bucket(values, hash);

	while (value &&
		(value->hash != hash || value->name_size != size || memcmp(value->bytes, name, size) != 0))
		value = value->next;
	return value;
}

static uint64_t
bytes_of(const struct value *value)
{
	return (uint64_t)PUSH_VALUE_OVERHEAD_BYTES + value->name_size + value->size;
}

static void
drop(struct value *value)
{
	struct push_values *values = value->values;
	struct value **link = bucket(values, value->hash);

	while (*link != value)
		link = &(*link)->next;
	*link = value->next;
	values->count--;
	values->bytes -= bytes_of(value);
	if (values->account)
		push_account_take(values->account, bytes_of(value));
	push_list_remove(&value->age);
	push_timer_disarm(&value->expiry);
	free(value);
}

static struct value *
oldest(struct push_values *values)
{
	return push_container_of(values->by_age.next, struct value, age);
}

void
push_values_destroy(struct push_values *values)
{
	if (!values)
		return;
	while (!push_list_is_empty(&values->by_age))
		drop(oldest(values));
	PUSH_ASSERT(!values->count && !values->bytes);
	free(values->buckets);
	free(values);
}

enum push_status
push_values_get(struct push_values *values, const char *name, size_t name_size, uint64_t now_us,
	const char **ret_value, size_t *ret_size)
{
	struct value *value =
		find(values, name, name_size, XXH3_64bits_withSeed(name, name_size, values->seed));

	if (value && value->until_us <= now_us) {
		drop(value);
		value = NULL;
	}
	if (!value)
		return PUSH_NOT_FOUND;
	*ret_value = value->bytes + value->name_size;
	*ret_size = value->size;
	return PUSH_OK;
}

/* Doubles the buckets when there are as many values; where memory is out, chains just grow longer. */
static void
grow(struct push_values *values)
{
	struct push_values bigger = {.bucket_count = values->bucket_count * 2};

	if (values->count < values->bucket_count)
		return;
	bigger.buckets = calloc(bigger.bucket_count, sizeof(struct value *));
	if (!bigger.buckets)
		return;
	for (size_t i = 0; i < values->bucket_count; i++)
		while (values->buckets[i]) {
			struct value *value = values->buckets[i];
			struct value **to = bucket(&bigger, value->hash);

			values->buckets[i] = value->next;
			value->next = *to;
			*to = value;
		}
	free(values->buckets);
	values->buckets = bigger.buckets;
	values->bucket_count = bigger.bucket_count;
}

static struct value *
create(const char *name, size_t name_size, const char *bytes, size_t size)
{
	struct value *value = malloc(sizeof(*value) + name_size + size);

	if (!value)
		return NULL;
	*value = (struct value){.name_size = (uint32_t)name_size, .size = (uint32_t)size};
	push_list_init(&value->age);
	push_timer_init(&value->expiry);
	memcpy(value->bytes, name, name_size);
	if (size)
		memcpy(value->bytes + name_size, bytes, size);
	return value;
}

/* Of a small budget no more than a quarter, though it cannot be freed for anything else. */
static uint64_t
bytes_max(const struct push_values *values)
{
	uint64_t share = values->account ? values->account->memory->bytes_max / 4 : UINT64_MAX;

	return share < PUSH_VALUES_BYTES_MAX ? share : PUSH_VALUES_BYTES_MAX;
}

static void
make_room(struct push_values *values, uint64_t bytes)
{
	while (values->count &&
		(values->count >= PUSH_VALUES_MAX || values->bytes + bytes > bytes_max(values)))
		drop(oldest(values));
}

static void
insert(struct push_values *values, struct value *value, uint64_t until_us)
{
	struct value **to;

	make_room(values, bytes_of(value));
	grow(values);
	to = bucket(values, value->hash);
	value->next = *to;
	*to = value;
	value->values = values;
	value->until_us = until_us;
	values->count++;
	values->bytes += bytes_of(value);
	if (values->account)
		push_account_add(values->account, bytes_of(value));
	push_list_append(&values->by_age, &value->age);
	push_wheel_arm(&values->wheel, &value->expiry, until_us);
}

enum push_status
push_values_put(struct push_values *values, const char *name, size_t name_size, const char *bytes,
	size_t size, uint64_t ttl_us, uint64_t now_us)
{
	uint64_t hash = XXH3_64bits_withSeed(name, name_size, values->seed);
	struct value *before = find(values, name, name_size, hash), *value = NULL;

	PUSH_ASSERT(ttl_us <= PUSH_DURATION_US_MAX);
	if (name_size > PUSH_VALUE_NAME_BYTES_MAX || size > PUSH_VALUE_BYTES_MAX)
		return PUSH_TOO_LARGE;
	if (ttl_us) {
		value = create(name, name_size, bytes, size);
		if (!value)
			return PUSH_OUT_OF_MEMORY;
		value->hash = hash;
	}
	if (before)
		drop(before);
	if (value)
		insert(values, value, now_us + ttl_us);
	return PUSH_OK;
}

static void
on_expiry(struct push_timer *timer, uint64_t now_us)
{
	(void)now_us;
	drop(push_container_of(timer, struct value, expiry));
}

void
push_values_tick(struct push_values *values, uint64_t now_us, unsigned int max)
{
	push_wheel_advance(&values->wheel, now_us, max, on_expiry);
}

size_t
push_values_count(const struct push_values *values)
{
	return values->count;
}

uint64_t
push_values_bytes(const struct push_values *values)
{
	return values->bytes;
}
