/* blocks.c - see blocks.h. */
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "segment/blocks.h"

#define HEAD_BYTES (sizeof(((struct segment_record *)0)->bytes))
#define MORE_BYTES (sizeof(((struct segment_more *)0)->bytes))

_Static_assert(offsetof(struct segment_record, bytes) % 8 == 0, "words");
_Static_assert(
	offsetof(struct segment_more, bytes) % 8 == 0 && sizeof(((struct segment_more *)0)->bytes) % 8 == 0,
	"words");

uint32_t
segment_chain_blocks(uint64_t bytes)
{
	return bytes <= HEAD_BYTES ? 1 : (uint32_t)((bytes - HEAD_BYTES + MORE_BYTES - 1) / MORE_BYTES) + 1;
}

bool
segment_has_room(struct push_segment *segment, uint32_t count)
{
	struct segment_header *header = segment->header;

	PUSH_ASSERT(segment_has_lock(segment));
	while (header->free_count + (uint64_t)(segment->block_count > header->fresh
						       ? segment->block_count - header->fresh
						       : 0) <
		count)
		if (!segment_grow(segment))
			return false;
	return true;
}

/* One that nobody has; NULL: the free blocks are not what they should be. */
static union segment_block *
take_one(struct push_segment *segment, segment_index *ret)
{
	struct segment_header *header = segment->header;
	union segment_block *block;

	if (header->free_first) {
		*ret = header->free_first;
		block = segment_block(segment, *ret);
		if (!block || segment_kind_of(block) != SEGMENT_FREE || !header->free_count)
			return NULL;
		header->free_first = block->more.next;
		header->free_count--;
		return block;
	}
	*ret = header->fresh;
	block = segment_block(segment, *ret);
	if (block)
		header->fresh = *ret + 1;
	return block;
}

segment_index
segment_take(struct push_segment *segment, enum segment_kind kind, uint32_t count)
{
	segment_index first = 0, index;
	union segment_block *block, *last = NULL;

	PUSH_ASSERT(segment_has_lock(segment) && count > 0);
	if (!segment_has_room(segment, count))
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		block = take_one(segment, &index);
		if (!block) {
			/* those that were taken are found again by the repair */
			segment_broken(segment);
			return 0;
		}
		if (last)
			SEGMENT_SET(last->more.next, index);
		else
			first = index;
		if (last) {
			SEGMENT_SET(block->more.kind, SEGMENT_MORE);
		} else {
			for (size_t w = 0; w < PUSH_SEGMENT_BLOCK_BYTES / 8; w++)
				atomic_store_explicit(&block->words[w], 0, memory_order_relaxed);
			SEGMENT_SET(block->record.kind, (uint8_t)kind);
			atomic_store_explicit(&block->record.state, SEGMENT_DRAFT, memory_order_relaxed);
		}
		SEGMENT_SET(block->more.next, 0);
		last = block;
	}
	return first;
}

void
segment_give_back(struct push_segment *segment, segment_index first)
{
	struct segment_header *header = segment->header;
	union segment_block *block = segment_block(segment, first);
	segment_index index = first;

	PUSH_ASSERT(segment_has_lock(segment));
	if (!block)
		return;
	atomic_store_explicit(&block->record.state, SEGMENT_UNUSED, memory_order_relaxed);
	/* nobody who ends from here on leaves a record that is whole and is not */
	atomic_signal_fence(memory_order_seq_cst);
	for (uint32_t steps = 0; block; steps++) {
		segment_index next = block->more.next;

		if (segment_kind_of(block) == SEGMENT_FREE || steps > segment->block_count ||
			(index != first && segment_kind_of(block) != SEGMENT_MORE &&
				segment_kind_of(block) != SEGMENT_COUNTS)) {
			segment_broken(segment);
			return;
		}
		SEGMENT_SET(block->more.kind, SEGMENT_FREE);
		SEGMENT_SET(block->more.next, header->free_first);
		header->free_first = index;
		header->free_count++;
		index = next;
		block = segment_block(segment, index);
	}
}

/* Where the bytes of a chain's block lie, and how many. */
static _Atomic uint64_t *
bytes_of(union segment_block *block, bool is_first, size_t *ret_size)
{
	size_t at = is_first ? offsetof(struct segment_record, bytes) : offsetof(struct segment_more, bytes);

	*ret_size = is_first ? HEAD_BYTES : MORE_BYTES;
	return &block->words[at / 8];
}

/* Collects bytes into words, so that none is written in part: others may read them meanwhile. */
struct writer {
	struct push_segment *segment;
	union segment_block *block;
	_Atomic uint64_t *words;
	size_t left; /* words of this block */
	unsigned char word[8];
	size_t filled;
};

static void
put_word(struct writer *writer)
{
	uint64_t word;

	while (!writer->left) {
		size_t size;

		writer->block = segment_block(writer->segment, writer->block->more.next);
		if (!writer->block) {
			segment_broken(writer->segment);
			writer->filled = 0;
			return;
		}
		writer->words = bytes_of(writer->block, false, &size);
		writer->left = size / 8;
	}
	memcpy(&word, writer->word, 8);
	atomic_store_explicit(writer->words++, word, memory_order_relaxed);
	writer->left--;
	writer->filled = 0;
}

/* Whole words of what is written, as long as they fit into this block. */
static size_t
put_words(struct writer *writer, const unsigned char *bytes, size_t size)
{
	size_t count = size / 8 < writer->left ? size / 8 : writer->left;

	for (size_t i = 0; i < count; i++) {
		uint64_t word;

		memcpy(&word, bytes + i * 8, 8);
		atomic_store_explicit(&writer->words[i], word, memory_order_relaxed);
	}
	writer->words += count;
	writer->left -= count;
	return count * 8;
}

static void
put_bytes(struct writer *writer, const unsigned char *bytes, size_t size)
{
	while (size && writer->block) {
		size_t part = 0;

		if (!writer->filled)
			part = put_words(writer, bytes, size);
		if (!part) {
			part = 8 - writer->filled < size ? 8 - writer->filled : size;
			memcpy(writer->word + writer->filled, bytes, part);
			writer->filled += part;
			if (writer->filled == 8)
				put_word(writer);
		}
		bytes += part;
		size -= part;
	}
}

void
segment_write(
	struct push_segment *segment, segment_index first, const struct segment_piece *pieces, size_t count)
{
	struct writer writer = {.segment = segment, .block = segment_block(segment, first)};
	size_t size;

	PUSH_ASSERT(segment_has_lock(segment) && writer.block);
	writer.words = bytes_of(writer.block, true, &size);
	writer.left = size / 8;
	for (size_t i = 0; i < count; i++)
		put_bytes(&writer, pieces[i].bytes, pieces[i].size);
	if (!writer.filled || !writer.block)
		return;
	memset(writer.word + writer.filled, 0, 8 - writer.filled);
	put_word(&writer);
}

/* What is copied may be written meanwhile: by whole words, each of which is one or the other. */
static void
copy_out(unsigned char *to, const _Atomic uint64_t *words, size_t offset, size_t size)
{
	uint64_t word;

	words += offset / 8;
	offset %= 8;
	while (size) {
		size_t part = 8 - offset < size ? 8 - offset : size;

		word = atomic_load_explicit(words++, memory_order_relaxed);
		memcpy(to, (unsigned char *)&word + offset, part);
		to += part;
		size -= part;
		offset = 0;
	}
}

/* The chain goes on here; read by whole words likewise. */
static segment_index
next_of(union segment_block *block)
{
	uint64_t word = atomic_load_explicit(&block->words[0], memory_order_relaxed);
	segment_index next;

	memcpy(&next, &word, sizeof(next));
	return next;
}

/* Calls for each piece of a chain's bytes; returns false where there are fewer than `size` behind `offset`. */
struct walk {
	unsigned char *to;       /* copied to, or */
	const unsigned char *as; /* compared with, or */
	XXH3_state_t *hash;      /* hashed */
};

static bool
take_piece(struct walk *walk, const _Atomic uint64_t *words, size_t offset, size_t size)
{
	unsigned char bytes[MORE_BYTES];

	if (walk->to) {
		copy_out(walk->to, words, offset, size);
		walk->to += size;
		return true;
	}
	copy_out(bytes, words, offset, size);
	if (walk->hash) {
		(void)XXH3_64bits_update(walk->hash, bytes, size);
		return true;
	}
	if (memcmp(bytes, walk->as, size) != 0)
		return false;
	walk->as += size;
	return true;
}

static bool
walk_bytes(struct push_segment *segment, segment_index first, size_t offset, size_t size, struct walk *walk)
{
	union segment_block *block = segment_block(segment, first);
	bool is_first = true;
	uint64_t steps = 0;

	while (size && block) {
		size_t here;
		const _Atomic uint64_t *words = bytes_of(block, is_first, &here);

		if (offset < here) {
			size_t part = here - offset < size ? here - offset : size;

			if (!take_piece(walk, words, offset, part))
				return false;
			size -= part;
			offset = 0;
		} else {
			offset -= here;
		}
		if (size)
			block = ++steps > segment->block_count ? NULL
							       : segment_block(segment, next_of(block));
		is_first = false;
	}
	return !size;
}

bool
segment_read(struct push_segment *segment, segment_index first, size_t offset, void *to, size_t size)
{
	struct walk walk = {.to = to};

	return walk_bytes(segment, first, offset, size, &walk);
}

bool
segment_equals(struct push_segment *segment, segment_index first, const void *bytes, size_t size)
{
	struct walk walk = {.as = bytes};

	return walk_bytes(segment, first, 0, size, &walk);
}

/* What does not change of a record's head, without gaps. */
struct fixed {
	uint64_t seq, number, before, receipt, time_us, expires_us;
	uint32_t value_size;
	uint16_t name_size, slot;
	uint8_t kind, verb, spare[6];
};

static struct fixed
fixed_of(const struct segment_record *record)
{
	struct fixed fixed;

	memset(&fixed, 0, sizeof(fixed));
	fixed.seq = record->seq;
	fixed.number = record->number;
	fixed.before = record->before;
	fixed.receipt = record->receipt;
	fixed.time_us = record->time_us;
	fixed.expires_us = record->expires_us;
	fixed.value_size = record->value_size;
	fixed.name_size = record->name_size;
	fixed.slot = record->slot;
	fixed.kind = record->kind;
	fixed.verb = record->verb;
	return fixed;
}

uint64_t
segment_checksum(struct push_segment *segment, segment_index first)
{
	union segment_block *block = segment_block(segment, first);
	XXH3_state_t state;
	struct walk walk = {.hash = &state};
	struct fixed fixed;

	PUSH_ASSERT(block);
	fixed = fixed_of(&block->record);
	XXH3_64bits_reset(&state);
	(void)XXH3_64bits_update(&state, &fixed, sizeof(fixed));
	/* a chain that is too short has another sum: that of less */
	(void)walk_bytes(segment, first, 0, (size_t)fixed.name_size + fixed.value_size, &walk);
	return XXH3_64bits_digest(&state);
}

uint64_t
segment_checksum_of(const struct segment_record *record, const struct segment_piece *pieces, size_t count)
{
	struct fixed fixed = fixed_of(record);
	XXH3_state_t state;

	XXH3_64bits_reset(&state);
	(void)XXH3_64bits_update(&state, &fixed, sizeof(fixed));
	for (size_t i = 0; i < count; i++)
		(void)XXH3_64bits_update(&state, pieces[i].bytes, pieces[i].size);
	return XXH3_64bits_digest(&state);
}

uint64_t
segment_bytes(const struct segment_record *record)
{
	return (uint64_t)segment_chain_blocks((uint64_t)record->name_size + record->value_size) *
	       PUSH_SEGMENT_BLOCK_BYTES;
}

segment_index
segment_write_record(
	struct push_segment *segment, struct segment_record *head, const struct segment_piece *pieces)
{
	segment_index index = segment_take(segment, (enum segment_kind)head->kind,
		segment_chain_blocks((uint64_t)pieces[0].size + pieces[1].size));
	struct segment_record *record = segment_record(segment, index, 1u << head->kind);

	if (!record)
		return 0;
	head->name_size = (uint16_t)pieces[0].size;
	head->value_size = (uint32_t)pieces[1].size;
	head->checksum = segment_checksum_of(head, pieces, 2);
	SEGMENT_SET(record->flags, head->flags);
	SEGMENT_SET(record->verb, head->verb);
	SEGMENT_SET(record->name_size, head->name_size);
	SEGMENT_SET(record->slot, head->slot);
	SEGMENT_SET(record->value_size, head->value_size);
	SEGMENT_SET(record->checksum, head->checksum);
	SEGMENT_SET(record->seq, head->seq);
	SEGMENT_SET(record->number, head->number);
	SEGMENT_SET(record->before, head->before);
	SEGMENT_SET(record->receipt, head->receipt);
	SEGMENT_SET(record->time_us, head->time_us);
	SEGMENT_SET(record->expires_us, head->expires_us);
	segment_write(segment, index, pieces, 2);
	return index;
}

struct segment_record *
segment_record(struct push_segment *segment, segment_index index, unsigned int kinds)
{
	union segment_block *block = segment_block(segment, index);

	return block && segment_kind_of(block) <= SEGMENT_COUNTS && (kinds & 1u << segment_kind_of(block))
		       ? &block->record
		       : NULL;
}

struct segment_channel *
segment_channel(struct push_segment *segment, segment_index index)
{
	union segment_block *block = segment_block(segment, index);

	return block && segment_kind_of(block) == SEGMENT_CHANNEL ? &block->channel : NULL;
}
