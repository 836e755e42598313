/* log.c - see log.h. */
#include <stdlib.h>
#include <string.h>

#include "segment/blocks.h"
#include "segment/channels.h"
#include "segment/history.h"
#include "segment/layout.h"
#include "segment/log.h"

/* Messages that all have read and that stay until the next look at everybody's position. */
#define LOOK_EVERY 64u

/* Of those, freed with each that is appended: more than come. */
#define FREED_EACH 2u

/* What a reader copies of a record's head: up to expires_us. */
#define HEAD_WORDS (offsetof(struct segment_record, newer) / 8)

_Static_assert(offsetof(struct segment_record, newer) % 8 == 0, "whole words");

static struct segment_cell *
cell_of(const struct push_segment *segment, uint64_t seq)
{
	return &segment->cells[seq & segment->cell_mask];
}

static uint64_t
own_bit(const struct push_segment *segment)
{
	return segment->slot < PUSH_SEGMENT_SLOTS_MAX ? 1ull << segment->slot : 0;
}

uint64_t
push_segment_tail(const struct push_segment *segment)
{
	/* acquire: what stands before it can be read */
	return atomic_load_explicit(&segment->header->tail, memory_order_acquire);
}

/* --- freeing --- */

/* The oldest message in the log is not read any more; false: there is none. */
static bool
drop_first(struct push_segment *segment)
{
	struct segment_header *header = segment->header;
	uint64_t seq = atomic_load_explicit(&header->first, memory_order_relaxed);
	struct segment_cell *cell = cell_of(segment, seq);
	segment_index index = atomic_load_explicit(&cell->block, memory_order_relaxed);
	uint32_t bytes = atomic_load_explicit(&cell->bytes, memory_order_relaxed);
	struct segment_record *record;

	if (seq == atomic_load_explicit(&header->tail, memory_order_relaxed))
		return false;
	/* release fence: whoever reads what is written to the blocks from here on sees this */
	atomic_store_explicit(&header->first, seq + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	header->log_bytes -= bytes < header->log_bytes ? bytes : header->log_bytes;
	record = segment_record(segment, index, 1u << SEGMENT_MESSAGE | 1u << SEGMENT_SENT);
	if (!record || record->seq != seq || !(record->flags & SEGMENT_IN_LOG)) {
		segment_broken(segment);
		return true;
	}
	SEGMENT_SET(record->flags, (uint8_t)(record->flags & ~SEGMENT_IN_LOG));
	if (!(record->flags & SEGMENT_IN_HISTORY))
		segment_give_back(segment, index);
	return true;
}

/* Behind that nobody has read everything. */
static uint64_t
lowest_position(const struct push_segment *segment)
{
	const struct segment_header *header = segment->header;
	uint64_t low = atomic_load_explicit(&header->tail, memory_order_relaxed);
	uint64_t attached = atomic_load_explicit(&header->attached, memory_order_relaxed);

	for (; attached; attached &= attached - 1) {
		/* acquire: it has read what is freed because of this */
		uint64_t position = atomic_load_explicit(
			&header->slots[__builtin_ctzll(attached)].position, memory_order_acquire);

		low = position < low ? position : low;
	}
	return low;
}

/* The ring is not full, nor is what waits in it too much; what all have read is freed bit by bit. */
static void
tidy(struct push_segment *segment)
{
	struct segment_header *header = segment->header;
	uint64_t tail = atomic_load_explicit(&header->tail, memory_order_relaxed);
	uint64_t first = atomic_load_explicit(&header->first, memory_order_relaxed);

	if (tail - first > segment->cell_mask + 1ull) {
		/* junk: begin anew; readers are told that they have missed some */
		atomic_store_explicit(&header->first, tail, memory_order_relaxed);
		segment_broken(segment);
		return;
	}
	if (first >= header->low && tail - first >= LOOK_EVERY)
		header->low = lowest_position(segment);
	for (uint32_t i = 0; i < FREED_EACH && first < header->low && first < tail; i++, first++)
		(void)drop_first(segment);
	while (tail - first > segment->cell_mask || header->log_bytes > PUSH_SEGMENT_LOG_BYTES_MAX) {
		if (!drop_first(segment))
			break;
		first++;
	}
}

/* What history would give up next is also what a slow reader has not read: that would free nothing. */
static bool
is_oldest_in_log(struct push_segment *segment)
{
	const struct segment_record *oldest = segment_history_oldest(segment);

	return !oldest || oldest->flags & SEGMENT_IN_LOG;
}

/* What nobody needs goes first; then the oldest, of history or of what slow readers have not read. */
bool
segment_make_room(struct push_segment *segment, uint32_t blocks)
{
	struct segment_header *header = segment->header;

	if (segment_has_room(segment, blocks))
		return true;
	header->low = lowest_position(segment);
	while (atomic_load_explicit(&header->first, memory_order_relaxed) < header->low &&
		!segment->is_broken)
		if (!drop_first(segment))
			break;
	while (!segment_has_room(segment, blocks) && !segment->is_broken)
		if (!(is_oldest_in_log(segment) && drop_first(segment)) &&
			!segment_history_drop_oldest(segment))
			return false;
	return segment_has_room(segment, blocks);
}

/* --- appending --- */

struct entry {
	struct segment_record head;
	struct segment_piece pieces[2]; /* name and value */
	uint64_t mask;
};

static uint32_t
blocks_of(const struct entry *entry)
{
	return segment_chain_blocks((uint64_t)entry->pieces[0].size + entry->pieces[1].size);
}

/* The commit: from here on it is published. */
static void
commit(struct push_segment *segment, const struct entry *entry, segment_index index)
{
	struct segment_header *header = segment->header;
	struct segment_cell *cell = cell_of(segment, entry->head.seq);
	uint32_t bytes = blocks_of(entry) * PUSH_SEGMENT_BLOCK_BYTES;
	struct segment_record *record = segment_record(segment, index, 1u << entry->head.kind);

	if (record)
		atomic_store_explicit(&record->state, SEGMENT_LIVE, memory_order_relaxed);
	/* relaxed: whoever reads the cell before it is committed has been told by `first` that it is not his */
	atomic_store_explicit(&cell->mask, entry->mask, memory_order_relaxed);
	atomic_store_explicit(&cell->number, header->number, memory_order_relaxed);
	atomic_store_explicit(&cell->block, index, memory_order_relaxed);
	atomic_store_explicit(&cell->bytes, bytes, memory_order_relaxed);
	header->log_bytes += bytes;
	/* release: all of the above comes before it, for readers (acquire), and for whoever looks after a kill */
	atomic_store_explicit(&header->tail, entry->head.seq + 1, memory_order_release);
}

static struct entry
begin(const struct push_segment *segment, enum segment_kind kind, uint64_t now_us)
{
	return (struct entry){
		.head = {.kind = (uint8_t)kind,
			.flags = SEGMENT_IN_LOG,
			.slot = (uint16_t)segment->slot,
			.seq = atomic_load_explicit(&segment->header->tail, memory_order_relaxed),
			.time_us = now_us,
			.expires_us = UINT64_MAX}};
}

/* Its channel keeps it; false: there is no room. */
static bool
keep(struct push_segment *segment, const struct push_segment_message *message, struct entry *entry,
	struct push_segment_published *ret)
{
	const struct segment_channel *channel;
	const struct segment_record *newest;

	if (!ret->channel)
		ret->channel =
			segment_channel_obtain(segment, message->name, message->name_size, message->hash);
	channel = segment_channel(segment, ret->channel);
	if (!channel)
		return false;
	newest = segment_record(segment, channel->newest, 1u << SEGMENT_MESSAGE);
	entry->head.before = newest ? newest->number : channel->after;
	entry->head.number = segment->header->number + 1;
	ret->before = entry->head.before;
	ret->number = entry->head.number;
	return true;
}

static void
look_up(struct push_segment *segment, const struct push_segment_message *message,
	struct push_segment_published *ret)
{
	uint64_t mask;

	ret->channel = push_segment_channel_find(
		segment, message->name, message->name_size, message->hash, message->hint);
	ret->subscribers = push_segment_subscribers(segment, ret->channel, &mask);
	ret->others = mask & ~own_bit(segment);
}

enum push_status
push_segment_publish(struct push_segment *segment, const struct push_segment_message *message,
	uint64_t now_us, struct push_segment_published *ret)
{
	struct entry entry = begin(segment, SEGMENT_MESSAGE, now_us);
	segment_index index;
	uint32_t needed;

	PUSH_ASSERT(segment_has_lock(segment));
	*ret = (struct push_segment_published){.seq = entry.head.seq, .upto = entry.head.seq};
	if (!message->name_size || message->name_size > PUSH_SEGMENT_NAME_BYTES_MAX)
		return PUSH_INVALID;
	look_up(segment, message, ret);
	if (!message->history_size && !ret->others)
		return PUSH_OK;
	entry.pieces[0] = (struct segment_piece){message->name, message->name_size};
	entry.pieces[1] = (struct segment_piece){message->value, message->value_size};
	entry.head.receipt = message->receipt;
	if (message->ttl_us)
		entry.head.expires_us = now_us + message->ttl_us;
	tidy(segment);
	needed = blocks_of(&entry) + segment_channel_blocks(message->name_size);
	if (!segment_has_room(segment, needed)) {
		if (!segment_make_room(segment, needed))
			return PUSH_OUT_OF_MEMORY;
		/* its channel may have gone with what it kept */
		look_up(segment, message, ret);
	}
	entry.mask = ret->others | own_bit(segment);
	if (message->history_size && !keep(segment, message, &entry, ret))
		return PUSH_OUT_OF_MEMORY;
	index = segment_write_record(segment, &entry.head, entry.pieces);
	if (!index) {
		segment_channel_release(segment, ret->channel);
		return PUSH_OUT_OF_MEMORY;
	}
	if (message->history_size) {
		segment->header->number = entry.head.number;
		segment_history_append(
			segment, ret->channel, index, message->history_size, message->history_ttl_us, now_us);
	}
	commit(segment, &entry, index);
	ret->in_log = true;
	return PUSH_OK;
}

enum push_status
push_segment_send(struct push_segment *segment, const struct push_segment_letter *letter, uint64_t now_us,
	uint64_t *ret_mask)
{
	struct entry entry = begin(segment, SEGMENT_SENT, now_us);
	segment_index index;

	PUSH_ASSERT(segment_has_lock(segment));
	entry.mask = letter->mask & atomic_load_explicit(&segment->header->attached, memory_order_relaxed);
	*ret_mask = entry.mask & ~own_bit(segment);
	if (letter->name_size > PUSH_SEGMENT_NAME_BYTES_MAX ||
		letter->value_size > PUSH_SEGMENT_CALL_BYTES_MAX)
		return PUSH_TOO_LARGE;
	entry.head.verb = (uint8_t)letter->verb;
	entry.head.number = letter->number;
	entry.pieces[0] = (struct segment_piece){letter->name, letter->name_size};
	entry.pieces[1] = (struct segment_piece){letter->value, letter->value_size};
	tidy(segment);
	if (!segment_make_room(segment, blocks_of(&entry)))
		return PUSH_OUT_OF_MEMORY;
	index = segment_write_record(segment, &entry.head, entry.pieces);
	if (!index)
		return PUSH_OUT_OF_MEMORY;
	commit(segment, &entry, index);
	return PUSH_OK;
}

/* --- reading --- */

static void
move_to(struct push_segment *segment, uint64_t position)
{
	segment->position = position;
	/* release: what was read before may be freed by whoever sees this */
	if (segment->slot < PUSH_SEGMENT_SLOTS_MAX)
		atomic_store_explicit(
			&segment->header->slots[segment->slot].position, position, memory_order_release);
}

/* Whether what was copied from there was still that; comes behind the copying. */
static bool
was_valid(const struct push_segment *segment, uint64_t seq)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&segment->header->first, memory_order_relaxed) <= seq;
}

static void
copy_head(union segment_block *block, struct segment_record *to)
{
	for (size_t i = 0; i < HEAD_WORDS; i++) {
		uint64_t word = atomic_load_explicit(&block->words[i], memory_order_relaxed);

		memcpy((char *)to + i * sizeof(word), &word, sizeof(word));
	}
}

/* Any bytes may have been copied; whether they were the record's says was_valid(). */
static bool
copy_record(
	struct push_segment *segment, segment_index index, struct segment_record *head, struct push_buf *to)
{
	union segment_block *block = segment_block(segment, index);
	size_t size;

	if (!block)
		return false;
	copy_head(block, head);
	if ((head->kind != SEGMENT_MESSAGE && head->kind != SEGMENT_SENT) ||
		head->name_size > PUSH_SEGMENT_NAME_BYTES_MAX ||
		head->value_size > (uint64_t)segment->block_count * PUSH_SEGMENT_BLOCK_BYTES)
		return false;
	size = (size_t)head->name_size + head->value_size;
	push_buf_clear(to);
	if (!push_buf_reserve(to, size))
		return false;
	if (!segment_read(segment, index, 0, to->bytes, size))
		return false;
	to->size = size;
	return true;
}

static void
show(struct push_segment_item *ret, const struct segment_record *head, const struct push_buf *from)
{
	*ret = (struct push_segment_item){
		.verb = (enum push_segment_verb)head->verb,
		.slot = head->slot,
		.name = from->bytes,
		.name_size = head->name_size,
		.value = from->bytes + head->name_size,
		.value_size = head->value_size,
		.seq = head->seq,
		.number = head->number,
		.before = head->before,
		.receipt = head->receipt,
		.time_us = head->time_us,
		.expires_us = head->expires_us,
	};
}

enum push_segment_reading
push_segment_read(struct push_segment *segment, struct push_buf *to, struct push_segment_item *ret)
{
	uint64_t seq = segment->position, tail = push_segment_tail(segment);
	const struct segment_cell *cell = cell_of(segment, seq);
	struct segment_record head = {0};
	uint64_t mask, number;
	bool is_whole = true;

	if (seq == tail)
		return PUSH_SEGMENT_NOTHING;
	if (tail - seq > segment->cell_mask + 1ull)
		return PUSH_SEGMENT_OVERRUN;
	mask = atomic_load_explicit(&cell->mask, memory_order_relaxed);
	number = atomic_load_explicit(&cell->number, memory_order_relaxed);
	if (mask & own_bit(segment))
		is_whole = copy_record(
			segment, atomic_load_explicit(&cell->block, memory_order_relaxed), &head, to);
	if (!was_valid(segment, seq))
		return PUSH_SEGMENT_OVERRUN;
	if (!(mask & own_bit(segment))) {
		*ret = (struct push_segment_item){.seq = seq, .number = number};
		move_to(segment, seq + 1);
		return PUSH_SEGMENT_OTHERS;
	}
	/* committed, and not what it was, or no memory for a copy: it is missed */
	if (!is_whole || head.seq != seq)
		return PUSH_SEGMENT_OVERRUN;
	show(ret, &head, to);
	move_to(segment, seq + 1);
	return PUSH_SEGMENT_ITEM;
}

uint64_t
push_segment_position(const struct push_segment *segment)
{
	return segment->position;
}

void
push_segment_skip_own(struct push_segment *segment)
{
	move_to(segment, segment->position + 1);
}

void
push_segment_catch_up(struct push_segment *segment)
{
	PUSH_ASSERT(segment_has_lock(segment));
	atomic_fetch_add_explicit(&segment->header->overruns, 1, memory_order_relaxed);
	move_to(segment, atomic_load_explicit(&segment->header->tail, memory_order_relaxed));
}

uint64_t
push_segment_head(const struct push_segment *segment)
{
	PUSH_ASSERT(segment_has_lock(segment));
	return segment->header->number;
}

uint64_t
push_segment_behind(const struct push_segment *segment)
{
	uint64_t tail = push_segment_tail(segment), low = lowest_position(segment);

	return tail - low < segment->cell_mask + 1ull ? tail - low : segment->cell_mask + 1ull;
}
