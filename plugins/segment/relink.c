/* relink.c - the repair's second half (repair.c): lists of all that is left. */
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "segment/blocks.h"
#include "segment/channels.h"
#include "segment/history.h"
#include "segment/lock.h"
#include "segment/repair_private.h"
#include "segment/values.h"

#define DIGIT_BITS 8u
#define DIGITS     (1u << DIGIT_BITS)

/* Digit by digit, the lowest first (LSD radix sort): some millions are to be sorted while nobody can publish. */
static void
sort(struct segment_sorted *sorted, struct segment_sorted *spare, size_t count)
{
	struct segment_sorted *from = sorted, *to = spare, *swap;
	uint64_t all = 0;

	for (size_t i = 0; i < count; i++)
		all |= sorted[i].key;
	for (unsigned int shift = 0; shift < 64 && all >> shift; shift += DIGIT_BITS) {
		size_t starts[DIGITS] = {0}, sum = 0;

		for (size_t i = 0; i < count; i++)
			starts[from[i].key >> shift & (DIGITS - 1)]++;
		for (size_t digit = 0; digit < DIGITS; digit++) {
			size_t here = starts[digit];

			starts[digit] = sum;
			sum += here;
		}
		for (size_t i = 0; i < count; i++)
			to[starts[from[i].key >> shift & (DIGITS - 1)]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	if (from != sorted)
		memcpy(sorted, from, count * sizeof(*sorted));
}

/* --- channels --- */

static void
link_channel(struct segment_repairing *repairing, segment_index index)
{
	struct push_segment *segment = repairing->segment;
	const struct segment_channel *channel = &segment->blocks[index].channel;
	char name[PUSH_SEGMENT_NAME_BYTES_MAX];
	size_t size = SEGMENT_GET(channel->name_size);

	if (size > sizeof(name) || !segment_channel_name(segment, channel, name)) {
		segment_broken(segment);
		return;
	}
	if (!push_segment_channel_find(segment, name, size, channel->hash, 0)) {
		segment_channel_link(segment, index);
		return;
	}
	/* two of one name */
	segment_repair_loses(repairing);
	repairing->what[index] = SEGMENT_IS_FREE;
	if (channel->more_counts)
		segment_give_back(segment, channel->more_counts);
	segment_give_back(segment, index);
}

/* The channel of a message; one that is gone is made again, and begins where it is certain that nothing is missing. */
static segment_index
channel_of(struct segment_repairing *repairing, segment_index index, const struct segment_record *record)
{
	struct push_segment *segment = repairing->segment;
	char name[PUSH_SEGMENT_NAME_BYTES_MAX];
	size_t size = SEGMENT_GET(record->name_size);
	struct segment_channel *channel;
	segment_index at;
	uint64_t hash;

	if (size > sizeof(name) || !segment_read(segment, index, 0, name, size))
		return 0;
	hash = push_segment_hash(segment, name, size);
	at = push_segment_channel_find(segment, name, size, hash, record->channel);
	if (at)
		return at;
	segment_repair_loses(repairing);
	at = segment_channel_obtain(segment, name, size, hash);
	channel = segment_channel(segment, at);
	if (channel) {
		SEGMENT_SET(channel->created, 0);
		/* its rule is unknown: until the next message is kept */
		SEGMENT_SET(channel->ttl_s, (uint32_t)(PUSH_DURATION_US_MAX / 1000000));
	}
	return at;
}

/* --- history --- */

static struct segment_channel *
kept_by(struct push_segment *segment, segment_index index)
{
	return segment_channel(segment, segment->blocks[index].record.channel);
}

/* The newest so far is noted in the channel: whether a message's predecessor is there, or has left. */
static void
find_gap(struct segment_repairing *repairing, segment_index index)
{
	struct push_segment *segment = repairing->segment;
	struct segment_record *record = &segment->blocks[index].record;
	const struct segment_record *newest;
	struct segment_channel *channel;

	SEGMENT_SET(record->channel, channel_of(repairing, index, record));
	channel = kept_by(segment, index);
	if (!channel) {
		segment_repair_loses(repairing);
		return;
	}
	if (record->number <= channel->after) {
		/* it was just leaving: whether it was counted is unknown */
		SEGMENT_SET(channel->created, 0);
		return;
	}
	newest = segment_record(segment, channel->newest, 1u << SEGMENT_MESSAGE);
	if (newest && newest->number == record->number) {
		/* twice: one of them is nobody's */
		SEGMENT_SET(record->channel, 0);
		segment_repair_loses(repairing);
		return;
	}
	if (newest ? newest->number != record->before : record->before > channel->after) {
		segment_repair_loses(repairing);
		if (record->before > channel->after && record->before < record->number)
			SEGMENT_SET(channel->after, record->before);
		else
			SEGMENT_SET(channel->after, record->number - 1);
		SEGMENT_SET(channel->created, 0);
	}
	SEGMENT_SET(channel->newest, index);
}

static void
keep_or_drop(struct segment_repairing *repairing, segment_index index)
{
	struct push_segment *segment = repairing->segment;
	struct segment_record *record = &segment->blocks[index].record;
	const struct segment_channel *channel = kept_by(segment, index);

	if (channel && record->number > channel->after) {
		segment_history_link(segment, record->channel, index, record->age_class & 1);
		return;
	}
	SEGMENT_SET(record->flags, (uint8_t)(record->flags & ~SEGMENT_IN_HISTORY));
	if (record->flags & SEGMENT_IN_LOG)
		return;
	repairing->what[index] = SEGMENT_IS_FREE;
	segment_give_back(segment, index);
}

static void
relink_history(struct segment_repairing *repairing)
{
	struct push_segment *segment = repairing->segment;
	size_t count = 0;

	for (segment_index index = 1; index < repairing->count; index++) {
		const struct segment_record *record = &segment->blocks[index].record;

		if (repairing->what[index] == SEGMENT_IS_MESSAGE && (record->flags & SEGMENT_IN_HISTORY))
			repairing->sorted[count++] = (struct segment_sorted){record->number, index};
	}
	sort(repairing->sorted, repairing->spare, count);
	for (size_t i = 0; i < count; i++) {
		segment_repair_beat(repairing, i);
		find_gap(repairing, repairing->sorted[i].index);
	}
	for (size_t i = 0; i < count; i++) {
		struct segment_channel *channel = kept_by(segment, repairing->sorted[i].index);

		if (channel)
			SEGMENT_SET(channel->newest, 0);
	}
	for (size_t i = 0; i < count; i++) {
		segment_repair_beat(repairing, i);
		keep_or_drop(repairing, repairing->sorted[i].index);
	}
	/* one that was made again, and then kept none of them */
	for (size_t i = 0; i < count; i++)
		segment_channel_release(segment, segment->blocks[repairing->sorted[i].index].record.channel);
}

/* --- values and notices --- */

static void
link_value(struct push_segment *segment, segment_index index)
{
	segment_index before = segment_value_before(segment, index);

	segment_value_link(segment, index);
	/* the one that it replaced */
	if (before)
		segment_value_forget(segment, before);
}

/* Numbers of notices grow: of two with the same number one is junk. */
static void
link_notice(struct segment_repairing *repairing, segment_index index)
{
	struct push_segment *segment = repairing->segment;
	const struct segment_record *newest =
		segment_record(segment, segment->header->notice_newest, 1u << SEGMENT_NOTICE);

	if (!newest || newest->seq != segment->blocks[index].record.seq) {
		segment_notice_link(segment, index);
		return;
	}
	segment_repair_loses(repairing);
	segment_give_back(segment, index);
}

static void
relink_values(struct segment_repairing *repairing)
{
	struct push_segment *segment = repairing->segment;
	size_t count = 0;

	for (segment_index index = 1; index < repairing->count; index++)
		if (repairing->what[index] == SEGMENT_IS_VALUE || repairing->what[index] == SEGMENT_IS_NOTICE)
			repairing->sorted[count++] =
				(struct segment_sorted){segment->blocks[index].record.seq, index};
	sort(repairing->sorted, repairing->spare, count);
	for (size_t i = 0; i < count; i++) {
		segment_index index = repairing->sorted[i].index;

		segment_repair_beat(repairing, i);
		if (repairing->what[index] == SEGMENT_IS_VALUE)
			link_value(segment, index);
		else
			link_notice(repairing, index);
	}
}

static bool
make_room_to_sort(struct segment_repairing *repairing)
{
	size_t count = 1;

	for (segment_index index = 1; index < repairing->count; index++)
		count += repairing->what[index] == SEGMENT_IS_MESSAGE ||
			 repairing->what[index] == SEGMENT_IS_VALUE ||
			 repairing->what[index] == SEGMENT_IS_NOTICE;
	repairing->sorted = calloc(count, sizeof(*repairing->sorted));
	repairing->spare = calloc(count, sizeof(*repairing->spare));
	return repairing->sorted && repairing->spare;
}

static void
relink_all(struct segment_repairing *repairing)
{
	struct push_segment *segment = repairing->segment;

	for (segment_index index = 1; index < repairing->count; index++) {
		segment_repair_beat(repairing, index);
		if (repairing->what[index] == SEGMENT_IS_CHANNEL)
			link_channel(repairing, index);
	}
	relink_history(repairing);
	relink_values(repairing);
	for (segment_index index = 1; index < repairing->count; index++) {
		segment_repair_beat(repairing, index);
		if (repairing->what[index] == SEGMENT_IS_CHANNEL)
			segment_channel_release(segment, index);
		repairing->ret->messages += repairing->what[index] == SEGMENT_IS_MESSAGE;
	}
	repairing->ret->values = segment->header->value_count;
	repairing->ret->notices = segment->header->notice_count;
	repairing->ret->channels = segment->header->channels;
}

bool
segment_relink(struct segment_repairing *repairing)
{
	bool has_room = make_room_to_sort(repairing);

	if (has_room)
		relink_all(repairing);
	free(repairing->sorted);
	free(repairing->spare);
	return has_room;
}
