/*
 * repair.c - see repair.h.
 *
 *   1. look at every block        which records and channels are whole; nothing is written
 *   2. the log                    `first` moves past what is gone, before anything is overwritten
 *   3. channels                   their lists are emptied, counts of workers that have left go
 *   4. records that nobody needs  say UNUSED
 *   5. free blocks                are all others
 *   6. lists (relink.c)
 *
 * A process that is killed here leaves what the next repair takes for the same: every step leaves the records as
 * true as they were, and what a step has learnt from a list is written down before the list is emptied.
 *
 * Readers of the log read on meanwhile: a record in the log that is whole is not touched but in its links.
 */
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/push_assert.h"
#include "segment/blocks.h"
#include "segment/channels.h"
#include "segment/lock.h"
#include "segment/repair_private.h"

/* Numbers of messages and places of the log stay far below: more is junk. */
#define NUMBER_MAX (1ull << 62)

/* The last number is junk: so far behind the last one that was found the next are for certain new. */
#define NUMBERS_SKIPPED (1ull << 32)

/* Along chains, for each block: each is looked at once, hashed once, and released once. */
#define STEPS_EACH 16u

void
segment_repair_recounts(struct segment_repairing *repairing)
{
	if (!repairing->is_recounted)
		atomic_fetch_add_explicit(&repairing->segment->header->incarnation, 1, memory_order_relaxed);
	repairing->is_recounted = true;
}

void
segment_repair_loses(struct segment_repairing *repairing)
{
	repairing->is_lossy = true;
	segment_repair_recounts(repairing);
}

static void
breaks(struct segment_repairing *repairing)
{
	repairing->ret->broken++;
	segment_repair_loses(repairing);
}

/* --- 1: what there is --- */

static void
release(struct segment_repairing *repairing, segment_index first, uint32_t count)
{
	segment_index index = first;

	for (; count && index && index < repairing->count; count--) {
		repairing->what[index] = SEGMENT_IS_FREE;
		index = repairing->segment->blocks[index].more.next;
	}
}

/* A chain of so many blocks that nobody else has; what hangs behind it is cut.  False: that is none. */
static bool
claim(struct segment_repairing *repairing, segment_index first, uint32_t count)
{
	union segment_block *block = NULL;
	segment_index index = first;
	uint32_t i;

	for (i = 0; i < count; i++) {
		if (!index || index >= repairing->count || repairing->what[index] || !repairing->steps_left)
			break;
		block = &repairing->segment->blocks[index];
		if (i && segment_kind_of(block) != SEGMENT_MORE)
			break;
		repairing->steps_left--;
		repairing->what[index] = SEGMENT_IS_REST;
		index = block->more.next;
	}
	if (i < count) {
		release(repairing, first, i);
		return false;
	}
	if (index && block)
		SEGMENT_SET(block->more.next, 0);
	return true;
}

static bool
has_sane_sizes(const struct segment_repairing *repairing, const struct segment_record *record)
{
	uint32_t name_size = record->name_size, value_size = record->value_size;

	if (segment_chain_blocks((uint64_t)name_size + value_size) >= repairing->count)
		return false;
	switch (record->kind) {
	case SEGMENT_MESSAGE: return name_size && name_size <= PUSH_SEGMENT_NAME_BYTES_MAX;
	case SEGMENT_SENT:
		return name_size <= PUSH_SEGMENT_NAME_BYTES_MAX && value_size <= PUSH_SEGMENT_CALL_BYTES_MAX;
	case SEGMENT_VALUE:
		return name_size <= PUSH_VALUE_NAME_BYTES_MAX && value_size <= PUSH_VALUE_BYTES_MAX;
	default: return !name_size && value_size <= PUSH_NOTICE_BYTES_MAX;
	}
}

static bool
is_whole(struct segment_repairing *repairing, segment_index index, const struct segment_record *record)
{
	uint32_t count;

	if (!has_sane_sizes(repairing, record) || record->seq >= NUMBER_MAX ||
		(record->kind == SEGMENT_MESSAGE && record->number >= NUMBER_MAX))
		return false;
	count = segment_chain_blocks((uint64_t)record->name_size + record->value_size);
	if (!claim(repairing, index, count))
		return false;
	if (segment_checksum(repairing->segment, index) == record->checksum)
		return true;
	release(repairing, index, count);
	return false;
}

static uint64_t
higher(uint64_t one, uint64_t other)
{
	return one > other ? one : other;
}

static enum segment_what
look_at_record(struct segment_repairing *repairing, segment_index index, const struct segment_record *record,
	enum segment_kind kind)
{
	static const uint8_t whats[] = {[SEGMENT_MESSAGE] = SEGMENT_IS_MESSAGE,
		[SEGMENT_SENT] = SEGMENT_IS_SENT,
		[SEGMENT_VALUE] = SEGMENT_IS_VALUE,
		[SEGMENT_NOTICE] = SEGMENT_IS_NOTICE};
	bool is_in_log = kind == SEGMENT_MESSAGE || kind == SEGMENT_SENT;
	uint64_t tail = atomic_load_explicit(&repairing->segment->header->tail, memory_order_relaxed);
	uint8_t state = atomic_load_explicit(&record->state, memory_order_relaxed);

	if (state == SEGMENT_UNUSED)
		return SEGMENT_IS_FREE;
	if (state == SEGMENT_DRAFT || (is_in_log && record->seq == tail)) {
		repairing->ret->torn++;
		/* it may have been linked by then */
		repairing->found_kept += kind == SEGMENT_MESSAGE;
		return SEGMENT_IS_TORN;
	}
	if (state != SEGMENT_LIVE || !is_whole(repairing, index, record)) {
		breaks(repairing);
		return SEGMENT_IS_FREE;
	}
	repairing->ret->newest_us = higher(repairing->ret->newest_us, record->time_us);
	if (is_in_log)
		repairing->seq = higher(repairing->seq, record->seq);
	else
		repairing->serial = higher(repairing->serial, record->seq);
	if (kind == SEGMENT_MESSAGE) {
		repairing->number = higher(repairing->number, record->number);
		repairing->found_kept += (record->flags & SEGMENT_IN_HISTORY) != 0;
	}
	return (enum segment_what)whats[kind];
}

static enum segment_what
look_at_channel(
	struct segment_repairing *repairing, segment_index index, const struct segment_channel *channel)
{
	char name[PUSH_SEGMENT_NAME_BYTES_MAX];
	uint8_t state = atomic_load_explicit(&channel->state, memory_order_relaxed);
	uint32_t count, size = channel->name_size;

	if (state != SEGMENT_LIVE) {
		repairing->ret->torn += state == SEGMENT_DRAFT;
		return SEGMENT_IS_FREE;
	}
	count = segment_channel_blocks(size);
	if (!size || size > sizeof(name) || !claim(repairing, index, count)) {
		breaks(repairing);
		return SEGMENT_IS_FREE;
	}
	/* the hash is its name's checksum */
	if (!segment_channel_name(repairing->segment, channel, name) ||
		push_segment_hash(repairing->segment, name, size) != channel->hash) {
		release(repairing, index, count);
		breaks(repairing);
		return SEGMENT_IS_FREE;
	}
	repairing->found_channels++;
	return SEGMENT_IS_CHANNEL;
}

static void
look_at_all(struct segment_repairing *repairing)
{
	for (segment_index index = 1; index < repairing->count; index++) {
		const union segment_block *block = &repairing->segment->blocks[index];
		enum segment_kind kind = (enum segment_kind)SEGMENT_GET(block->more.kind);
		enum segment_what what = SEGMENT_IS_FREE;

		segment_repair_beat(repairing, index);
		switch (kind) {
		case SEGMENT_MESSAGE:
		case SEGMENT_SENT:
		case SEGMENT_VALUE:
		case SEGMENT_NOTICE: what = look_at_record(repairing, index, &block->record, kind); break;
		case SEGMENT_CHANNEL: what = look_at_channel(repairing, index, &block->channel); break;
		default: continue;
		}
		repairing->what[index] = (uint8_t)what;
	}
}

/* --- 2: the log --- */

static struct segment_cell *
cell_of(const struct push_segment *segment, uint64_t seq)
{
	return &segment->cells[seq & segment->cell_mask];
}

/* The record that a place of the log leads to; 0: it is not there. */
static segment_index
record_in_log(const struct segment_repairing *repairing, uint64_t seq)
{
	const struct push_segment *segment = repairing->segment;
	segment_index index = atomic_load_explicit(&cell_of(segment, seq)->block, memory_order_relaxed);

	if (!index || index >= repairing->count ||
		(repairing->what[index] != SEGMENT_IS_MESSAGE && repairing->what[index] != SEGMENT_IS_SENT) ||
		segment->blocks[index].record.seq != seq)
		return 0;
	return index;
}

/* From where on everything is there: of what is not, the blocks may be overwritten while it is read. */
static uint64_t
mended_first(struct segment_repairing *repairing, uint64_t first, uint64_t tail)
{
	uint64_t seq;

	if (first > tail || tail - first > repairing->segment->cell_mask + 1ull) {
		segment_repair_loses(repairing);
		return tail;
	}
	for (seq = tail; seq > first; seq--)
		if (!record_in_log(repairing, seq - 1)) {
			segment_repair_loses(repairing);
			break;
		}
	return seq;
}

static void
mend_log(struct segment_repairing *repairing)
{
	struct push_segment *segment = repairing->segment;
	struct segment_header *header = segment->header;
	uint64_t tail = atomic_load_explicit(&header->tail, memory_order_relaxed), first;

	if (repairing->seq > tail || tail >= NUMBER_MAX) {
		/* no record is written behind the one that is next */
		segment_repair_loses(repairing);
		tail = repairing->seq + 1;
		atomic_store_explicit(&header->first, tail, memory_order_relaxed);
	}
	first = mended_first(repairing, atomic_load_explicit(&header->first, memory_order_relaxed), tail);
	atomic_store_explicit(&header->first, first, memory_order_relaxed);
	/* as where the log is freed (log.c): who reads what is written from here on sees it */
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&header->tail, tail, memory_order_release);
	header->low = first;
	header->log_bytes = 0;
	for (uint64_t seq = first; seq < tail; seq++) {
		segment_index index = record_in_log(repairing, seq);
		uint64_t bytes = index ? segment_bytes(&segment->blocks[index].record) : 0;

		atomic_store_explicit(&cell_of(segment, seq)->bytes, (uint32_t)bytes, memory_order_relaxed);
		header->log_bytes += bytes;
	}
}

/* Less is there than the figures say; by who is killed there may only be more. */
static void
mend_numbers(struct segment_repairing *repairing)
{
	struct segment_header *header = repairing->segment->header;

	if (header->number >= NUMBER_MAX) {
		segment_repair_loses(repairing);
		header->number = repairing->number + NUMBERS_SKIPPED;
	}
	header->number = higher(header->number, repairing->number);
	header->serial = higher(header->serial < NUMBER_MAX ? header->serial : 0, repairing->serial);
	if (repairing->found_kept < header->history_messages || repairing->found_channels < header->channels)
		segment_repair_loses(repairing);
	/* whatever channel is gone, of its messages nobody knows any more */
	for (size_t i = 0; i < PUSH_SEGMENT_FORGOTTEN_COUNT; i++)
		if (repairing->is_lossy || header->forgotten[i] > header->number)
			header->forgotten[i] = header->number;
}

/* Who is told what is published: all that have joined. */
static uint64_t
mend_slots(struct segment_header *header)
{
	uint64_t attached = 0;

	for (unsigned int i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++)
		if (atomic_load_explicit(&header->slots[i].state, memory_order_relaxed) ==
			SEGMENT_SLOT_ATTACHED)
			attached |= 1ull << i;
	atomic_store_explicit(&header->attached, attached, memory_order_relaxed);
	return attached;
}

/* --- 3: channels --- */

static void
mend_words(struct segment_repairing *repairing, _Atomic uint32_t *words, size_t count, uint64_t attached,
	uint64_t *seen)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t word = atomic_load_explicit(&words[i], memory_order_relaxed);
		uint32_t slot = (word >> SEGMENT_COUNT_BITS) - 1;
		bool is_slot = slot < PUSH_SEGMENT_SLOTS_MAX && !(*seen & 1ull << slot) &&
			       (word & SEGMENT_COUNT_MAX);

		if (!word)
			continue;
		if (!is_slot)
			segment_repair_recounts(repairing);
		if (is_slot && (attached & 1ull << slot))
			*seen |= 1ull << slot;
		else
			atomic_store_explicit(&words[i], 0, memory_order_relaxed);
	}
}

static void
mend_counts(struct segment_repairing *repairing, struct segment_channel *channel, uint64_t attached)
{
	segment_index index = channel->more_counts;
	struct segment_counts *before = NULL;
	uint64_t seen = 0;

	mend_words(repairing, channel->counts, SEGMENT_COUNTS_HERE, attached, &seen);
	for (uint32_t steps = 0; index; steps++) {
		union segment_block *block =
			index < repairing->count ? &repairing->segment->blocks[index] : NULL;

		if (!block || repairing->what[index] || segment_kind_of(block) != SEGMENT_COUNTS ||
			steps >= PUSH_SEGMENT_SLOTS_MAX) {
			segment_repair_recounts(repairing);
			if (before)
				SEGMENT_SET(before->next, 0);
			else
				SEGMENT_SET(channel->more_counts, 0);
			return;
		}
		repairing->what[index] = SEGMENT_IS_REST;
		before = &block->counts;
		mend_words(repairing, before->counts, SEGMENT_COUNTS_MORE, attached, &seen);
		index = before->next;
	}
}

/* Messages are gone, nobody knows how many: all up to here count as missed. */
static void
lose_history(struct segment_repairing *repairing, struct segment_channel *channel)
{
	segment_repair_loses(repairing);
	SEGMENT_SET(channel->after, repairing->segment->header->number);
	SEGMENT_SET(channel->created, 0);
}

static void
mend_channel(struct segment_repairing *repairing, struct segment_channel *channel, uint64_t attached)
{
	uint64_t number = repairing->segment->header->number;
	segment_index newest = channel->newest;
	enum segment_what what = newest < repairing->count ? repairing->what[newest] : SEGMENT_IS_FREE;

	if (channel->after > number || (newest && what != SEGMENT_IS_MESSAGE && what != SEGMENT_IS_TORN))
		lose_history(repairing, channel);
	if (channel->created > number || channel->known_since > channel->created)
		SEGMENT_SET(channel->created, 0);
	mend_counts(repairing, channel, attached);
	/* behind the signal fence: what the list has said is written down */
	atomic_signal_fence(memory_order_seq_cst);
	SEGMENT_SET(channel->newest, 0);
	SEGMENT_SET(channel->oldest, 0);
	SEGMENT_SET(channel->kept, 0);
}

static void
mend_channels(struct segment_repairing *repairing, uint64_t attached)
{
	for (segment_index index = 1; index < repairing->count; index++) {
		segment_repair_beat(repairing, index);
		if (repairing->what[index] == SEGMENT_IS_CHANNEL)
			mend_channel(repairing, &repairing->segment->blocks[index].channel, attached);
	}
}

/* --- 4, 5: what nobody needs --- */

static void
clear_figures(struct push_segment *segment)
{
	struct segment_header *header = segment->header;

	for (uint32_t i = 0; i <= segment->bucket_mask; i++) {
		atomic_store_explicit(&segment->channel_buckets[i], 0, memory_order_relaxed);
		atomic_store_explicit(&segment->value_buckets[i], 0, memory_order_relaxed);
	}
	header->history_bytes = header->history_messages = header->channels = 0;
	memset(header->by_age, 0, sizeof(header->by_age));
	header->value_oldest = header->value_newest = header->notice_oldest = header->notice_newest = 0;
	header->value_count = header->value_bytes = header->notice_count = header->notice_bytes = 0;
	atomic_signal_fence(memory_order_seq_cst);
}

/* Whether it stays; and what it is in. */
static void
mend_record(struct segment_repairing *repairing, segment_index index)
{
	const struct segment_header *header = repairing->segment->header;
	struct segment_record *record = &repairing->segment->blocks[index].record;
	uint64_t seq = record->seq;
	uint8_t flags = 0;

	if (seq >= atomic_load_explicit(&header->first, memory_order_relaxed) &&
		seq < atomic_load_explicit(&header->tail, memory_order_relaxed) &&
		record_in_log(repairing, seq) == index)
		flags |= SEGMENT_IN_LOG;
	if (record->kind == SEGMENT_MESSAGE && record->number)
		flags |= record->flags & SEGMENT_IN_HISTORY;
	if (flags) {
		SEGMENT_SET(record->flags, flags);
		return;
	}
	atomic_store_explicit(&record->state, SEGMENT_UNUSED, memory_order_relaxed);
	release(repairing, index, segment_chain_blocks((uint64_t)record->name_size + record->value_size));
}

static void
mend_records(struct segment_repairing *repairing)
{
	for (segment_index index = 1; index < repairing->count; index++) {
		uint8_t what = repairing->what[index];

		segment_repair_beat(repairing, index);
		if (what == SEGMENT_IS_MESSAGE || what == SEGMENT_IS_SENT)
			mend_record(repairing, index);
	}
	atomic_signal_fence(memory_order_seq_cst);
}

/* All that nobody has, the lowest first; behind the last one that is used all are fresh. */
static void
collect_free(struct segment_repairing *repairing)
{
	struct segment_header *header = repairing->segment->header;
	segment_index index, last = 0;

	header->free_first = header->free_count = 0;
	for (index = repairing->count - 1; index; index--) {
		union segment_block *block = &repairing->segment->blocks[index];

		segment_repair_beat(repairing, index);
		if (repairing->what[index] > SEGMENT_IS_TORN || repairing->what[index] == SEGMENT_IS_REST) {
			last = last ? last : index;
			continue;
		}
		if (segment_kind_of(block) != SEGMENT_FREE)
			SEGMENT_SET(block->more.kind, SEGMENT_FREE);
		if (!last)
			continue;
		SEGMENT_SET(block->more.next, header->free_first);
		header->free_first = index;
		header->free_count++;
	}
	header->fresh = last + 1;
}

/* --- all of it --- */

/* Nothing is kept, and nobody has read anything: what is left when nothing can be made of what there is. */
static void
empty(struct push_segment *segment)
{
	struct segment_header *header = segment->header;
	uint64_t tail = atomic_load_explicit(&header->tail, memory_order_relaxed);

	tail = tail < NUMBER_MAX ? tail : 1;
	atomic_store_explicit(&header->first, tail, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	atomic_store_explicit(&header->tail, tail, memory_order_release);
	header->number = header->number < NUMBER_MAX ? header->number : 0;
	for (size_t i = 0; i < PUSH_SEGMENT_FORGOTTEN_COUNT; i++)
		header->forgotten[i] = header->number;
	atomic_fetch_add_explicit(&header->incarnation, 1, memory_order_relaxed);
	clear_figures(segment);
	header->low = tail;
	header->log_bytes = 0;
	for (segment_index index = 1; index < segment->block_count; index++) {
		if (!(index & 0xffff))
			segment_lock_beat(segment);
		if (segment_kind_of(&segment->blocks[index]) != SEGMENT_FREE)
			SEGMENT_SET(segment->blocks[index].more.kind, SEGMENT_FREE);
	}
	header->fresh = 1;
	header->free_first = header->free_count = 0;
}

static void
repair_all(struct segment_repairing *repairing)
{
	struct push_segment *segment = repairing->segment;

	look_at_all(repairing);
	mend_log(repairing);
	mend_numbers(repairing);
	mend_channels(repairing, mend_slots(segment->header));
	clear_figures(segment);
	mend_records(repairing);
	collect_free(repairing);
	if (!segment_relink(repairing))
		segment_broken(segment);
}

void
push_segment_repair(struct push_segment *segment, struct push_segment_repaired *ret)
{
	struct segment_repairing repairing = {.segment = segment, .ret = ret};

	PUSH_ASSERT(segment_has_lock(segment));
	*ret = (struct push_segment_repaired){0};
	segment->is_broken = false;
	/* as long as the file is now */
	(void)segment_grown(segment, segment->block_limit - 1);
	repairing.count = segment->block_count;
	repairing.steps_left = (uint64_t)STEPS_EACH * segment->block_count;
	repairing.what = segment->block_count ? calloc(segment->block_count, 1) : NULL;
	if (repairing.what)
		repair_all(&repairing);
	else
		segment_broken(segment);
	if (repairing.is_lossy && !ret->broken)
		ret->broken = 1;
	if (segment->is_broken) {
		/* no memory, or it is not as it was left: somebody writes where it may not */
		*ret = (struct push_segment_repaired){.broken = ret->broken + 1, .torn = ret->torn};
		empty(segment);
		segment->is_broken = false;
	}
	free(repairing.what);
}
