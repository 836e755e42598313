/*
 * blocks.h - chains of blocks: where names and values of any size lie.
 *
 * All functions want the lock, but for those that copy out of a chain, which also read what another process is
 * writing: they read whole words, stop where a chain ends, and return whatever stands there.  Whoever reads
 * without the lock has to see afterwards that it was still valid (log.h).
 */
#ifndef PUSH_SEGMENT_BLOCKS_H
#define PUSH_SEGMENT_BLOCKS_H

#include "segment/layout.h"
#include "segment/segment.h"

/* segment_chain_blocks - how many blocks a record takes with so many bytes of name and value. */
uint32_t
segment_chain_blocks(uint64_t bytes);

/*
 * segment_take - a chain of `count` blocks, all unused; 0: there are not so many, make room first.
 *
 * The first is a DRAFT of `kind`, the others are MORE; the rest of the first is zero.
 */
segment_index
segment_take(struct push_segment *segment, enum segment_kind kind, uint32_t count);

/* segment_give_back - a chain: its first block says UNUSED before anything else happens. */
void
segment_give_back(struct push_segment *segment, segment_index first);

/* segment_has_room - whether `count` blocks can be taken. */
bool
segment_has_room(struct push_segment *segment, uint32_t count);

/* One piece of what is written to a chain. */
struct segment_piece {
	const void *bytes;
	size_t size;
};

/* segment_write - a record's bytes, behind its head; the chain is long enough. */
void
segment_write(
	struct push_segment *segment, segment_index first, const struct segment_piece *pieces, size_t count);

/* segment_read - `size` of a record's bytes from `offset` on.  False: the chain is shorter than that. */
bool
segment_read(struct push_segment *segment, segment_index first, size_t offset, void *to, size_t size);

/* segment_equals - whether a record's bytes from 0 on are these. */
bool
segment_equals(struct push_segment *segment, segment_index first, const void *bytes, size_t size);

/* segment_checksum - of a record as it stands (layout.h says of what). */
uint64_t
segment_checksum(struct push_segment *segment, segment_index first);

/* segment_checksum_of - the same before it is written: of a head and the pieces behind it. */
uint64_t
segment_checksum_of(const struct segment_record *record, const struct segment_piece *pieces, size_t count);

/*
 * segment_write_record - a new record, still a DRAFT; 0: there is no room.
 *
 * @head: what is to stand in it; sizes and checksum are those of the pieces: its name, its value.
 */
segment_index
segment_write_record(
	struct push_segment *segment, struct segment_record *head, const struct segment_piece *pieces);

/* segment_bytes - what a record takes, in blocks. */
uint64_t
segment_bytes(const struct segment_record *record);

/* segment_record - a record of one of these kinds (bits of 1 << enum segment_kind); NULL: that is none. */
struct segment_record *
segment_record(struct push_segment *segment, segment_index index, unsigned int kinds);

/* segment_channel - likewise a channel. */
struct segment_channel *
segment_channel(struct push_segment *segment, segment_index index);

#endif
