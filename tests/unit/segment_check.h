/* segment_check.h - whether everything in a segment leads to what it should, by other ways than the code has. */
#ifndef PUSH_TESTS_SEGMENT_CHECK_H
#define PUSH_TESTS_SEGMENT_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "segment/blocks.h"
#include "segment/channels.h"
#include "segment/layout.h"

struct segment_check {
	struct push_segment *segment;
	const struct segment_header *header;
	unsigned char *used; /* of each block: how often something leads to it */
	uint64_t kept, kept_bytes, channels, values, notices;
	char what[256]; /* the first thing that is wrong */
};

static inline void
check_that(struct segment_check *check, int holds, const char *text, unsigned long long at)
{
	if (!holds && !check->what[0])
		snprintf(check->what, sizeof(check->what), "%s (%llu)", text, at);
}

#define CHECK_THAT(holds, at) check_that(check, (holds), #holds, (unsigned long long)(at))

static inline void
check_chain(struct segment_check *check, uint32_t first, uint32_t count, enum segment_kind rest)
{
	uint32_t index = first;

	for (uint32_t i = 0; i < count; i++) {
		CHECK_THAT(index > 0 && index < check->header->fresh, first);
		if (check->what[0])
			return;
		CHECK_THAT(!check->used[index], index);
		CHECK_THAT(!i || segment_kind_of(&check->segment->blocks[index]) == rest, index);
		check->used[index]++;
		index = check->segment->blocks[index].more.next;
	}
	CHECK_THAT(index == 0, first);
}

static inline void
check_record(struct segment_check *check, uint32_t index, enum segment_kind kind)
{
	const struct segment_record *record = &check->segment->blocks[index].record;

	CHECK_THAT(index > 0 && index < check->header->fresh, index);
	if (check->what[0])
		return;
	CHECK_THAT(record->kind == kind, index);
	CHECK_THAT(record->state == SEGMENT_LIVE, index);
	CHECK_THAT(record->checksum == segment_checksum(check->segment, index), index);
	if (!check->used[index])
		check_chain(check, index,
			segment_chain_blocks((uint64_t)record->name_size + record->value_size), SEGMENT_MORE);
}

static inline void
check_history(struct segment_check *check, uint32_t at, const struct segment_channel *channel)
{
	uint32_t index = channel->oldest, older = 0, count = 0;
	uint64_t number = channel->after;

	for (; index && !check->what[0]; count++) {
		const struct segment_record *record = &check->segment->blocks[index].record;

		CHECK_THAT(count < channel->kept, at);
		check_record(check, index, SEGMENT_MESSAGE);
		CHECK_THAT(record->number > number && record->number <= check->header->number, index);
		CHECK_THAT(older ? record->before == number : record->before <= number, index);
		CHECK_THAT(record->older == older && record->channel == at, index);
		CHECK_THAT(record->flags & SEGMENT_IN_HISTORY, index);
		check->kept_bytes += segment_bytes(record);
		number = record->number;
		older = index;
		index = record->newer;
	}
	CHECK_THAT(channel->newest == older && channel->kept == count, at);
	check->kept += count;
}

static inline void
check_channel(struct segment_check *check, uint32_t index, uint32_t bucket)
{
	const struct segment_channel *channel = &check->segment->blocks[index].channel;
	char name[PUSH_SEGMENT_NAME_BYTES_MAX];
	uint32_t counts = channel->more_counts, found;

	CHECK_THAT(index > 0 && index < check->header->fresh && channel->kind == SEGMENT_CHANNEL, index);
	if (check->what[0])
		return;
	CHECK_THAT(channel->state == SEGMENT_LIVE, index);
	CHECK_THAT(segment_channel_name(check->segment, channel, name), index);
	CHECK_THAT(push_segment_hash(check->segment, name, channel->name_size) == channel->hash, index);
	CHECK_THAT((channel->hash & check->segment->bucket_mask) == bucket, index);
	found = push_segment_channel_find(check->segment, name, channel->name_size, channel->hash, 0);
	CHECK_THAT(found == index, index);
	CHECK_THAT(channel->after <= check->header->number, index);
	check_chain(check, index, segment_channel_blocks(channel->name_size), SEGMENT_MORE);
	for (; counts && !check->what[0]; counts = check->segment->blocks[counts].counts.next) {
		CHECK_THAT(counts < check->header->fresh && !check->used[counts], counts);
		CHECK_THAT(check->segment->blocks[counts].more.kind == SEGMENT_COUNTS, counts);
		check->used[counts]++;
	}
	check_history(check, index, channel);
	check->channels++;
}

static inline void
check_buckets(struct segment_check *check)
{
	for (uint32_t bucket = 0; bucket <= check->segment->bucket_mask; bucket++) {
		uint32_t index = check->segment->channel_buckets[bucket];

		for (; index && !check->what[0]; index = check->segment->blocks[index].channel.bucket_next)
			check_channel(check, index, bucket);
		index = check->segment->value_buckets[bucket];
		for (; index && !check->what[0]; index = check->segment->blocks[index].record.newer) {
			CHECK_THAT(!check->used[index], index);
			check_record(check, index, SEGMENT_VALUE);
			CHECK_THAT((check->segment->blocks[index].record.number &
					   check->segment->bucket_mask) == bucket,
				index);
			check->values++;
		}
	}
}

static inline uint64_t
check_by_age(struct segment_check *check, uint32_t oldest, uint32_t newest, enum segment_kind kind)
{
	uint32_t index = oldest, older = 0;
	uint64_t count = 0;

	for (; index && !check->what[0]; count++) {
		const struct segment_record *record = &check->segment->blocks[index].record;

		check_record(check, index, kind);
		CHECK_THAT(record->age_older == older, index);
		CHECK_THAT(count < check->header->fresh, index);
		CHECK_THAT(!older || kind != SEGMENT_NOTICE ||
				   record->seq > check->segment->blocks[older].record.seq,
			index);
		older = index;
		index = record->age_newer;
	}
	CHECK_THAT(newest == older, kind);
	return count;
}

static inline void
check_log(struct segment_check *check)
{
	uint64_t first = check->header->first, tail = check->header->tail, bytes = 0;

	CHECK_THAT(first <= tail && tail - first <= check->segment->cell_mask + 1ull, first);
	for (uint64_t seq = first; seq < tail && !check->what[0]; seq++) {
		const struct segment_cell *cell = &check->segment->cells[seq & check->segment->cell_mask];
		const struct segment_record *record;

		CHECK_THAT(cell->block > 0 && cell->block < check->header->fresh, seq);
		if (check->what[0])
			return;
		record = &check->segment->blocks[cell->block].record;
		check_record(check, cell->block, (enum segment_kind)record->kind);
		CHECK_THAT(record->kind == SEGMENT_MESSAGE || record->kind == SEGMENT_SENT, seq);
		CHECK_THAT(record->seq == seq && (record->flags & SEGMENT_IN_LOG), seq);
		CHECK_THAT(cell->bytes == segment_bytes(record), seq);
		bytes += cell->bytes;
	}
	CHECK_THAT(bytes == check->header->log_bytes, bytes);
}

static inline void
check_free(struct segment_check *check)
{
	uint32_t index = check->header->free_first, count = 0;

	for (; index && !check->what[0]; index = check->segment->blocks[index].more.next, count++) {
		CHECK_THAT(index < check->header->fresh && !check->used[index], index);
		if (check->what[0])
			return;
		CHECK_THAT(check->segment->blocks[index].more.kind == SEGMENT_FREE, index);
		check->used[index]++;
	}
	CHECK_THAT(count == check->header->free_count, count);
	for (index = 1; index < check->header->fresh; index++)
		CHECK_THAT(check->used[index], index);
}

/* segment_check - under the lock.  Empty: all is as it should be; else what is not. */
static inline struct segment_check
segment_check(struct push_segment *segment)
{
	struct segment_check all = {.segment = segment, .header = segment->header}, *check = &all;
	uint64_t count;

	(void)segment_grown(segment, segment->block_limit - 1);
	CHECK_THAT(all.header->fresh <= segment->block_count, all.header->fresh);
	if (check->what[0])
		return all;
	all.used = calloc(segment->block_count, 1);
	check_buckets(check);
	count = check_by_age(
			check, all.header->by_age[0].oldest, all.header->by_age[0].newest, SEGMENT_MESSAGE) +
		check_by_age(
			check, all.header->by_age[1].oldest, all.header->by_age[1].newest, SEGMENT_MESSAGE);
	CHECK_THAT(count == check->kept && count == check->header->history_messages, count);
	CHECK_THAT(check->kept_bytes == check->header->history_bytes, check->kept_bytes);
	CHECK_THAT(check->channels == check->header->channels, check->channels);
	count = check_by_age(check, all.header->value_oldest, all.header->value_newest, SEGMENT_VALUE);
	CHECK_THAT(count == check->values && count == check->header->value_count, count);
	count = check_by_age(check, all.header->notice_oldest, all.header->notice_newest, SEGMENT_NOTICE);
	CHECK_THAT(count == check->header->notice_count, count);
	check_log(check);
	check_free(check);
	free(all.used);
	all.used = NULL;
	return all;
}

#endif
