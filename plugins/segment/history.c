/* history.c - see history.h. */
#include <string.h>

#include "core/limits.h"
#include "segment/blocks.h"
#include "segment/channels.h"
#include "segment/history.h"

#define MESSAGE (1u << SEGMENT_MESSAGE)

static struct segment_record *
message_at(struct push_segment *segment, segment_index index)
{
	return segment_record(segment, index, MESSAGE);
}

/* --- by age --- */

static void
add_by_age(struct push_segment *segment, segment_index index, struct segment_record *record, bool is_in_use)
{
	struct segment_age_list *list = &segment->header->by_age[is_in_use];
	struct segment_record *newest = message_at(segment, list->newest);

	SEGMENT_SET(record->age_class, is_in_use);
	SEGMENT_SET(record->age_older, newest ? list->newest : 0);
	SEGMENT_SET(record->age_newer, 0);
	if (newest)
		SEGMENT_SET(newest->age_newer, index);
	else
		list->oldest = index;
	list->newest = index;
}

static void
take_by_age(struct push_segment *segment, segment_index index, const struct segment_record *record)
{
	struct segment_age_list *list = &segment->header->by_age[record->age_class & 1];
	struct segment_record *newer = message_at(segment, record->age_newer);
	struct segment_record *older = message_at(segment, record->age_older);

	if ((newer ? newer->age_older != index : list->newest != index) ||
		(older ? older->age_newer != index : list->oldest != index)) {
		segment_broken(segment);
		return;
	}
	if (newer)
		SEGMENT_SET(newer->age_older, record->age_older);
	else
		list->newest = record->age_older;
	if (older)
		SEGMENT_SET(older->age_newer, record->age_newer);
	else
		list->oldest = record->age_newer;
}

/* --- of a channel --- */

/* Its oldest message leaves; false: that is none, and something is broken. */
static bool
drop_oldest(struct push_segment *segment, segment_index at, struct segment_channel *channel)
{
	struct segment_header *header = segment->header;
	segment_index index = channel->oldest;
	struct segment_record *record = message_at(segment, index), *newer;
	uint64_t bytes;

	if (!record || record->channel != at || !channel->kept) {
		segment_broken(segment);
		return false;
	}
	newer = message_at(segment, record->newer);
	if (!newer && channel->kept > 1) {
		segment_broken(segment);
		return false;
	}
	/* first: what leaves counts as missed from here on, whatever becomes of this process */
	if (channel->after < record->number)
		SEGMENT_SET(channel->after, record->number);
	atomic_signal_fence(memory_order_seq_cst);
	SEGMENT_SET(channel->dropped, channel->dropped + 1);
	SEGMENT_SET(channel->oldest, newer ? record->newer : 0);
	if (newer)
		SEGMENT_SET(newer->older, 0);
	else
		SEGMENT_SET(channel->newest, 0);
	SEGMENT_SET(channel->kept, channel->kept - 1);
	take_by_age(segment, index, record);
	bytes = segment_bytes(record);
	header->history_bytes -= bytes < header->history_bytes ? bytes : header->history_bytes;
	header->history_messages -= header->history_messages > 0;
	SEGMENT_SET(record->flags, (uint8_t)(record->flags & ~SEGMENT_IN_HISTORY));
	if (!(record->flags & SEGMENT_IN_LOG))
		segment_give_back(segment, index);
	return true;
}

/* The two lists' oldest, as if those in use had come later. */
struct segment_record *
segment_history_oldest(struct push_segment *segment)
{
	const struct segment_header *header = segment->header;
	struct segment_record *young = message_at(segment, header->by_age[0].oldest);
	struct segment_record *used = message_at(segment, header->by_age[1].oldest);

	if (!young || !used)
		return young ? young : used;
	return used->time_us + PUSH_HISTORY_SAFE_US < young->time_us ? used : young;
}

bool
segment_history_drop_oldest(struct push_segment *segment)
{
	const struct segment_record *oldest = segment_history_oldest(segment);
	struct segment_channel *channel;
	segment_index at;

	PUSH_ASSERT(segment_has_lock(segment));
	if (!oldest)
		return false;
	at = oldest->channel;
	channel = segment_channel(segment, at);
	if (!channel) {
		segment_broken(segment);
		return false;
	}
	if (!drop_oldest(segment, at, channel))
		return false;
	segment->header->dropped_messages++;
	segment_channel_release(segment, at);
	return true;
}

static void
expire(struct push_segment *segment, segment_index at, struct segment_channel *channel, uint64_t now_us)
{
	const struct segment_record *oldest;

	while (channel->kept) {
		oldest = message_at(segment, channel->oldest);
		if (oldest && oldest->time_us + channel->ttl_s * 1000000ull > now_us)
			return;
		if (!drop_oldest(segment, at, channel))
			return;
	}
}

void
segment_history_link(struct push_segment *segment, segment_index at, segment_index index, bool is_in_use)
{
	struct segment_channel *channel = segment_channel(segment, at);
	struct segment_record *record = message_at(segment, index), *newest;

	if (!channel || !record) {
		segment_broken(segment);
		return;
	}
	newest = message_at(segment, channel->newest);
	if (channel->kept && !newest)
		segment_broken(segment);
	SEGMENT_SET(record->channel, at);
	SEGMENT_SET(record->newer, 0);
	SEGMENT_SET(record->older, newest ? channel->newest : 0);
	if (newest)
		SEGMENT_SET(newest->newer, index);
	else
		SEGMENT_SET(channel->oldest, index);
	SEGMENT_SET(channel->newest, index);
	SEGMENT_SET(channel->kept, channel->kept + 1);
	add_by_age(segment, index, record, is_in_use);
	segment->header->history_bytes += segment_bytes(record);
	segment->header->history_messages++;
	SEGMENT_SET(record->flags, (uint8_t)(record->flags | SEGMENT_IN_HISTORY));
}

void
segment_history_append(struct push_segment *segment, segment_index at, segment_index index, uint32_t size_max,
	uint64_t ttl_us, uint64_t now_us)
{
	struct segment_header *header = segment->header;
	struct segment_channel *channel = segment_channel(segment, at);
	uint64_t now_s = now_us / 1000000;

	PUSH_ASSERT(segment_has_lock(segment) && size_max);
	if (!channel) {
		segment_broken(segment);
		return;
	}
	SEGMENT_SET(channel->ttl_s, (uint32_t)((ttl_us + 999999) / 1000000));
	expire(segment, at, channel, now_us);
	if (!channel->kept)
		SEGMENT_SET(channel->kept_since_s, (uint32_t)now_s);
	segment_history_link(
		segment, at, index, now_s >= channel->kept_since_s + PUSH_HISTORY_SAFE_US / 1000000);
	while (channel->kept > size_max && drop_oldest(segment, at, channel))
		continue;
	/* one that is too large for all of it goes at once: it was published, and is not kept */
	while (header->history_bytes > header->history_bytes_max && segment_history_drop_oldest(segment))
		continue;
}

void
push_segment_kept(struct push_segment *segment, uint32_t index, uint64_t hash, struct push_segment_kept *ret)
{
	const struct segment_header *header = segment->header;
	const struct segment_channel *channel = segment_channel(segment, index);
	const struct segment_record *oldest, *newest;
	uint64_t gone = header->forgotten[hash % PUSH_SEGMENT_FORGOTTEN_COUNT];

	PUSH_ASSERT(segment_has_lock(segment));
	if (!channel) {
		*ret = (struct push_segment_kept){
			.after = gone, .known_since = gone, .created = header->number};
		return;
	}
	oldest = message_at(segment, channel->oldest);
	newest = message_at(segment, channel->newest);
	*ret = (struct push_segment_kept){.after = channel->after,
		.oldest = oldest ? oldest->number : 0,
		.newest = newest ? newest->number : 0,
		.known_since = channel->known_since,
		.created = channel->created,
		.dropped = channel->dropped,
		.count = channel->kept};
}

/* --- reading --- */

struct reading {
	struct push_segment *segment;
	uint32_t channel;
	uint64_t low, high;
	bool newest_first;
	uint32_t count, count_max;
	uint64_t bytes, bytes_max;
	struct push_buf *scratch;
	bool (*visit)(void *context, const struct push_segment_item *item);
	void *context;
};

static segment_index
next_of(const struct reading *reading, const struct segment_record *record)
{
	return reading->newest_first ? record->older : record->newer;
}

static bool
is_before(const struct reading *reading, uint64_t number)
{
	return reading->newest_first ? number > reading->high : number <= reading->low;
}

static bool
is_behind(const struct reading *reading, uint64_t number)
{
	return reading->newest_first ? number <= reading->low : number > reading->high;
}

/* False: no more of them. */
static bool
visit(struct reading *reading, segment_index index, const struct segment_record *record)
{
	size_t name_size = SEGMENT_GET(record->name_size), value_size = SEGMENT_GET(record->value_size);
	size_t size = name_size + value_size;
	struct push_buf *to = reading->scratch;
	struct push_segment_item item;

	if (reading->count >= reading->count_max ||
		(reading->count && reading->bytes + size > reading->bytes_max))
		return false;
	push_buf_clear(to);
	if (size > (uint64_t)reading->segment->block_count * PUSH_SEGMENT_BLOCK_BYTES ||
		!push_buf_reserve(to, size) || !segment_read(reading->segment, index, 0, to->bytes, size))
		return false;
	item = (struct push_segment_item){.name = to->bytes,
		.name_size = name_size,
		.value = to->bytes + name_size,
		.value_size = value_size,
		.seq = record->seq,
		.number = record->number,
		.before = record->before,
		.time_us = record->time_us,
		.expires_us = record->expires_us,
		.slot = record->slot};
	reading->count++;
	reading->bytes += size;
	return reading->visit(reading->context, &item);
}

/* The end that is nearer, or where the reader was before. */
static segment_index
start_of(const struct reading *reading, const struct segment_channel *channel, segment_index hint)
{
	const struct segment_record *there = message_at(reading->segment, hint);

	if (there && there->channel == reading->channel && (there->flags & SEGMENT_IN_HISTORY) &&
		atomic_load_explicit(&there->state, memory_order_relaxed) == SEGMENT_LIVE &&
		(reading->newest_first ? there->number >= reading->high : there->number <= reading->low))
		return hint;
	return reading->newest_first ? channel->newest : channel->oldest;
}

bool
push_segment_history_read(struct push_segment *segment, uint32_t at, uint64_t low, uint64_t high,
	bool newest_first, uint32_t max_count, uint64_t max_bytes, uint32_t *hint, struct push_buf *scratch,
	uint64_t now_us, bool (*visit_one)(void *context, const struct push_segment_item *item),
	void *context)
{
	struct reading reading = {segment, at, low, high, newest_first, 0, max_count, 0, max_bytes, scratch,
		visit_one, context};
	struct segment_channel *channel = segment_channel(segment, at);
	segment_index index;
	uint32_t steps = 0;

	PUSH_ASSERT(segment_has_lock(segment));
	if (!channel)
		return true;
	expire(segment, at, channel, now_us);
	for (index = start_of(&reading, channel, hint ? *hint : 0); index;) {
		const struct segment_record *record = message_at(segment, index);

		if (!record || record->channel != at || ++steps > segment->block_count) {
			segment_broken(segment);
			return false;
		}
		if (is_behind(&reading, record->number))
			break;
		if (!is_before(&reading, record->number) && !visit(&reading, index, record))
			return false;
		if (hint)
			*hint = index;
		index = next_of(&reading, record);
	}
	return true;
}

void
push_segment_expire(struct push_segment *segment, uint32_t *bucket, uint32_t max, uint64_t now_us)
{
	uint32_t steps = 0;

	PUSH_ASSERT(segment_has_lock(segment));
	for (; max; max--, *bucket = (*bucket + 1) & segment->bucket_mask) {
		segment_index index = atomic_load_explicit(
			&segment->channel_buckets[*bucket & segment->bucket_mask], memory_order_relaxed);

		while (index) {
			struct segment_channel *channel = segment_channel(segment, index);
			segment_index next;

			if (!channel || ++steps > segment->block_count) {
				segment_broken(segment);
				return;
			}
			next = channel->bucket_next;
			if (channel->kept) {
				expire(segment, index, channel, now_us);
				segment_channel_release(segment, index);
			}
			index = next;
		}
	}
}

size_t
push_segment_relieve(struct push_segment *segment, size_t max)
{
	size_t count = 0;

	while (count < max && segment_history_drop_oldest(segment))
		count++;
	return count;
}
