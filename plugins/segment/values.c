/* values.c - see values.h. */
#include <string.h>

#include "core/limits.h"
#include "core/values.h"
#include "segment/blocks.h"
#include "segment/channels.h"
#include "segment/log.h"
#include "segment/values.h"

_Static_assert(PUSH_VALUE_BYTES_MAX + PUSH_VALUE_NAME_BYTES_MAX + 2 * PUSH_VALUE_OVERHEAD_BYTES <=
		       PUSH_VALUES_BYTES_MAX / 2,
	"one always has room");

/* All values, or all notices, in the order in which they came. */
struct kept {
	unsigned int kinds;
	segment_index *oldest, *newest;
	uint64_t *count, *bytes;
	uint64_t count_max, bytes_max;
};

static struct kept
values_of(struct segment_header *header)
{
	return (struct kept){1u << SEGMENT_VALUE, &header->value_oldest, &header->value_newest,
		&header->value_count, &header->value_bytes, PUSH_VALUES_MAX, PUSH_VALUES_BYTES_MAX};
}

static struct kept
notices_of(struct segment_header *header)
{
	return (struct kept){1u << SEGMENT_NOTICE, &header->notice_oldest, &header->notice_newest,
		&header->notice_count, &header->notice_bytes, PUSH_NOTICES_MAX,
		PUSH_SEGMENT_NOTICES_BYTES_MAX};
}

/* One that is kept; NULL: none is there. */
static struct segment_record *
kept_at(struct push_segment *segment, const struct kept *kept, segment_index index)
{
	struct segment_record *record = segment_record(segment, index, kept->kinds);

	return record && atomic_load_explicit(&record->state, memory_order_relaxed) == SEGMENT_LIVE ? record
												    : NULL;
}

static void
add_newest(struct push_segment *segment, const struct kept *kept, segment_index index,
	struct segment_record *record)
{
	struct segment_record *newest = kept_at(segment, kept, *kept->newest);

	SEGMENT_SET(record->age_older, newest ? *kept->newest : 0);
	SEGMENT_SET(record->age_newer, 0);
	if (newest)
		SEGMENT_SET(newest->age_newer, index);
	else
		*kept->oldest = index;
	*kept->newest = index;
	*kept->count += 1;
	*kept->bytes += segment_bytes(record);
}

static bool
unlink_by_age(struct push_segment *segment, const struct kept *kept, segment_index index,
	const struct segment_record *record)
{
	struct segment_record *newer = kept_at(segment, kept, record->age_newer);
	struct segment_record *older = kept_at(segment, kept, record->age_older);

	if ((newer ? newer->age_older != index : *kept->newest != index) ||
		(older ? older->age_newer != index : *kept->oldest != index))
		return false;
	if (newer)
		SEGMENT_SET(newer->age_older, record->age_older);
	else
		*kept->newest = record->age_older;
	if (older)
		SEGMENT_SET(older->age_newer, record->age_newer);
	else
		*kept->oldest = record->age_newer;
	return true;
}

static _Atomic segment_index *
bucket_of(const struct push_segment *segment, uint64_t hash)
{
	return &segment->value_buckets[hash & segment->bucket_mask];
}

static bool
unlink_of_bucket(struct push_segment *segment, segment_index index, const struct segment_record *record)
{
	_Atomic segment_index *place = bucket_of(segment, record->number);
	segment_index found = atomic_load_explicit(place, memory_order_relaxed);
	struct segment_record *before = NULL;

	for (uint32_t steps = 0; found && found != index; steps++) {
		before = segment_record(segment, found, 1u << SEGMENT_VALUE);
		if (!before || steps > segment->block_count)
			return false;
		found = before->newer;
	}
	if (!found)
		return false;
	if (before)
		SEGMENT_SET(before->newer, record->newer);
	else
		atomic_store_explicit(place, record->newer, memory_order_relaxed);
	return true;
}

/* False: something is broken, and the record stays. */
static bool
drop(struct push_segment *segment, const struct kept *kept, segment_index index)
{
	const struct segment_record *record = kept_at(segment, kept, index);
	uint64_t bytes;

	if (!record || (record->kind == SEGMENT_VALUE && !unlink_of_bucket(segment, index, record)) ||
		!unlink_by_age(segment, kept, index, record)) {
		segment_broken(segment);
		return false;
	}
	bytes = segment_bytes(record);
	*kept->count -= *kept->count > 0;
	*kept->bytes -= bytes < *kept->bytes ? bytes : *kept->bytes;
	segment_give_back(segment, index);
	return true;
}

/* The oldest but `except`; false: there is none. */
static bool
drop_oldest(struct push_segment *segment, const struct kept *kept, segment_index except)
{
	segment_index index = *kept->oldest;
	const struct segment_record *record = kept_at(segment, kept, index);

	if (record && index == except)
		index = record->age_newer;
	return index && drop(segment, kept, index);
}

/* Within the limits, and where the segment is full.  `except` is what is replaced, and does not count. */
static bool
make_room(struct push_segment *segment, const struct kept *kept, uint64_t size, segment_index except)
{
	const struct segment_record *replaced = kept_at(segment, kept, except);
	uint64_t bytes_less = replaced ? segment_bytes(replaced) : 0, count_less = replaced ? 1 : 0;
	uint32_t blocks = segment_chain_blocks(size);
	uint64_t bytes = (uint64_t)blocks * PUSH_SEGMENT_BLOCK_BYTES;

	while (*kept->count - count_less >= kept->count_max ||
		*kept->bytes - bytes_less + bytes > kept->bytes_max)
		if (!drop_oldest(segment, kept, except)) {
			/* nothing is there, and it is too much: figures that cannot be */
			segment_broken(segment);
			break;
		}
	while (!segment_make_room(segment, blocks))
		if (segment->is_broken || !drop_oldest(segment, kept, except))
			return false;
	return true;
}

static uint64_t
after(uint64_t now_us, uint64_t ttl_us)
{
	return ttl_us < UINT64_MAX - now_us ? now_us + ttl_us : UINT64_MAX;
}

/* Written, and kept from here on; 0: there is no room. */
static segment_index
commit(struct push_segment *segment, struct segment_record *head, const struct segment_piece *pieces)
{
	segment_index index;
	struct segment_record *record;

	head->seq = ++segment->header->serial;
	index = segment_write_record(segment, head, pieces);
	record = segment_record(segment, index, 1u << head->kind);
	if (!record)
		return 0;
	/* whoever makes lists anew takes it from here on */
	atomic_signal_fence(memory_order_seq_cst);
	atomic_store_explicit(&record->state, SEGMENT_LIVE, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	return index;
}

/* --- values --- */

static segment_index
find(struct push_segment *segment, const char *name, size_t size, uint64_t hash)
{
	segment_index index = atomic_load_explicit(bucket_of(segment, hash), memory_order_relaxed);
	const struct segment_record *record;

	for (uint32_t steps = 0; index; index = record->newer) {
		record = segment_record(segment, index, 1u << SEGMENT_VALUE);
		if (!record || ++steps > segment->block_count) {
			segment_broken(segment);
			return 0;
		}
		if (record->number == hash && record->name_size == size &&
			segment_equals(segment, index, name, size))
			return index;
	}
	return 0;
}

segment_index
segment_value_before(struct push_segment *segment, segment_index index)
{
	const struct segment_record *record = segment_record(segment, index, 1u << SEGMENT_VALUE);
	char name[PUSH_VALUE_NAME_BYTES_MAX];
	size_t size = record ? SEGMENT_GET(record->name_size) : 0;

	if (!record || size > sizeof(name) || !segment_read(segment, index, 0, name, size))
		return 0;
	return find(segment, name, size, record->number);
}

void
segment_value_link(struct push_segment *segment, segment_index index)
{
	const struct kept kept = values_of(segment->header);
	struct segment_record *record = segment_record(segment, index, kept.kinds);
	_Atomic segment_index *bucket;

	if (!record) {
		segment_broken(segment);
		return;
	}
	bucket = bucket_of(segment, record->number);
	SEGMENT_SET(record->newer, atomic_load_explicit(bucket, memory_order_relaxed));
	atomic_store_explicit(bucket, index, memory_order_relaxed);
	add_newest(segment, &kept, index, record);
}

void
segment_value_forget(struct push_segment *segment, segment_index index)
{
	const struct kept kept = values_of(segment->header);

	(void)drop(segment, &kept, index);
}

enum push_status
push_segment_value_get(struct push_segment *segment, const char *name, size_t name_size, uint64_t now_us,
	struct push_buf *to)
{
	const struct kept kept = values_of(segment->header);
	segment_index index = find(segment, name, name_size, push_segment_hash(segment, name, name_size));
	const struct segment_record *record = kept_at(segment, &kept, index);
	size_t size;
	char *bytes;

	PUSH_ASSERT(segment_has_lock(segment));
	if (!record)
		return PUSH_NOT_FOUND;
	if (record->expires_us <= now_us) {
		(void)drop(segment, &kept, index);
		return PUSH_NOT_FOUND;
	}
	size = SEGMENT_GET(record->value_size);
	if (size > PUSH_VALUE_BYTES_MAX) {
		segment_broken(segment);
		return PUSH_NOT_FOUND;
	}
	if (!size)
		return PUSH_OK;
	bytes = push_buf_reserve(to, size);
	if (!bytes)
		return PUSH_OUT_OF_MEMORY;
	if (!segment_read(segment, index, name_size, bytes, size)) {
		segment_broken(segment);
		return PUSH_NOT_FOUND;
	}
	to->size += size;
	return PUSH_OK;
}

enum push_status
push_segment_value_put(struct push_segment *segment, const char *name, size_t name_size, const char *value,
	size_t value_size, uint64_t ttl_us, uint64_t now_us)
{
	const struct kept kept = values_of(segment->header);
	const struct segment_piece pieces[2] = {{name, name_size}, {value, value_size}};
	struct segment_record head = {.kind = SEGMENT_VALUE,
		.number = push_segment_hash(segment, name, name_size),
		.time_us = now_us,
		.expires_us = after(now_us, ttl_us)};
	segment_index before, index;

	PUSH_ASSERT(segment_has_lock(segment));
	if (name_size > PUSH_VALUE_NAME_BYTES_MAX || value_size > PUSH_VALUE_BYTES_MAX)
		return PUSH_TOO_LARGE;
	before = find(segment, name, name_size, head.number);
	if (ttl_us) {
		if (!make_room(segment, &kept, (uint64_t)name_size + value_size, before))
			return PUSH_OUT_OF_MEMORY;
		index = commit(segment, &head, pieces);
		if (!index)
			return PUSH_OUT_OF_MEMORY;
		segment_value_link(segment, index);
	}
	if (before)
		(void)drop(segment, &kept, before);
	return PUSH_OK;
}

/* --- notices --- */

void
segment_notice_link(struct push_segment *segment, segment_index index)
{
	const struct kept kept = notices_of(segment->header);
	struct segment_record *record = segment_record(segment, index, kept.kinds);

	if (!record) {
		segment_broken(segment);
		return;
	}
	add_newest(segment, &kept, index, record);
}

enum push_status
push_segment_notice_put(
	struct push_segment *segment, const char *text, size_t size, uint64_t ttl_us, uint64_t now_us)
{
	const struct kept kept = notices_of(segment->header);
	const struct segment_piece pieces[2] = {{"", 0}, {text, size}};
	struct segment_record head = {
		.kind = SEGMENT_NOTICE, .time_us = now_us, .expires_us = after(now_us, ttl_us)};
	segment_index index;

	PUSH_ASSERT(segment_has_lock(segment));
	if (size > PUSH_NOTICE_BYTES_MAX)
		return PUSH_TOO_LARGE;
	if (!make_room(segment, &kept, size, 0))
		return PUSH_OUT_OF_MEMORY;
	index = commit(segment, &head, pieces);
	if (!index)
		return PUSH_OUT_OF_MEMORY;
	segment_notice_link(segment, index);
	return PUSH_OK;
}

/* False: something is broken. */
static bool
visit(struct push_segment *segment, segment_index index, const struct segment_record *record,
	struct push_buf *scratch, void (*visit_one)(void *context, const char *text, size_t size),
	void *context)
{
	size_t size = SEGMENT_GET(record->value_size);

	push_buf_clear(scratch);
	if (size > PUSH_NOTICE_BYTES_MAX) {
		segment_broken(segment);
		return false;
	}
	if (!push_buf_reserve(scratch, size + 1))
		return false;
	if (!segment_read(segment, index, record->name_size, scratch->bytes, size)) {
		segment_broken(segment);
		return false;
	}
	visit_one(context, scratch->bytes, size);
	return true;
}

/* The first one behind a number: where this process was last, or from the oldest on. */
static segment_index
first_behind(struct push_segment *segment, const struct kept *kept, uint64_t number)
{
	const struct segment_record *record = kept_at(segment, kept, segment->notice_read);
	segment_index index;

	if (record && record->seq == number)
		return record->age_newer;
	index = *kept->oldest;
	for (uint32_t steps = 0; index; steps++) {
		record = kept_at(segment, kept, index);
		if (!record || steps > segment->block_count) {
			segment_broken(segment);
			return 0;
		}
		if (record->seq > number)
			break;
		index = record->age_newer;
	}
	return index;
}

uint64_t
push_segment_notices_read(struct push_segment *segment, uint64_t number, uint32_t max, uint64_t now_us,
	struct push_buf *scratch, void (*visit_one)(void *context, const char *text, size_t size),
	void *context)
{
	const struct kept kept = notices_of(segment->header);
	segment_index index;
	uint64_t last = 0;

	PUSH_ASSERT(segment_has_lock(segment));
	index = first_behind(segment, &kept, number);
	for (; index && max; max--) {
		const struct segment_record *record = kept_at(segment, &kept, index);

		/* numbers grow: a list that goes round ends */
		if (!record || record->seq <= number) {
			segment_broken(segment);
			return 0;
		}
		if (record->expires_us > now_us &&
			!visit(segment, index, record, scratch, visit_one, context))
			return 0;
		last = number = record->seq;
		segment->notice_read = index;
		index = record->age_newer;
	}
	return last;
}

/* --- by time --- */

static void
expire(struct push_segment *segment, const struct kept *kept, segment_index *looked, uint32_t max,
	uint64_t now_us)
{
	if (!kept_at(segment, kept, *looked))
		*looked = *kept->oldest;
	for (; max && *looked; max--) {
		const struct segment_record *record = kept_at(segment, kept, *looked);
		segment_index next;

		if (!record) {
			segment_broken(segment);
			return;
		}
		next = record->age_newer;
		if (record->expires_us <= now_us && !drop(segment, kept, *looked))
			return;
		*looked = next;
	}
}

void
push_segment_values_expire(struct push_segment *segment, uint32_t max, uint64_t now_us)
{
	const struct kept values = values_of(segment->header), notices = notices_of(segment->header);

	PUSH_ASSERT(segment_has_lock(segment));
	expire(segment, &values, &segment->value_looked, max, now_us);
	expire(segment, &notices, &segment->notice_looked, max, now_us);
}

void
push_segment_values_limit(struct push_segment *segment, uint64_t bytes_max, uint32_t max)
{
	const struct kept values = values_of(segment->header);

	PUSH_ASSERT(segment_has_lock(segment));
	for (; max && *values.bytes > bytes_max; max--)
		if (!drop_oldest(segment, &values, 0))
			return;
}
