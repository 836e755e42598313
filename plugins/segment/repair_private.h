/* repair_private.h - what the two halves of the repair share: what it knows of every block (repair.c), and lists that
 * are made of it (relink.c). */
#ifndef PUSH_SEGMENT_REPAIR_PRIVATE_H
#define PUSH_SEGMENT_REPAIR_PRIVATE_H

#include "segment/layout.h"
#include "segment/lock.h"
#include "segment/repair.h"

/* What a block is; of a chain's first, what the chain is. */
enum segment_what {
	SEGMENT_IS_FREE,
	SEGMENT_IS_REST, /* of a chain that stays */
	SEGMENT_IS_TORN, /* was being written: free */
	SEGMENT_IS_MESSAGE,
	SEGMENT_IS_SENT,
	SEGMENT_IS_VALUE,
	SEGMENT_IS_NOTICE,
	SEGMENT_IS_CHANNEL,
};

struct segment_sorted {
	uint64_t key;
	segment_index index;
};

struct segment_repairing {
	struct push_segment *segment;
	struct push_segment_repaired *ret;
	uint8_t *what;                /* enum segment_what, of each block */
	uint32_t count;               /* blocks */
	uint64_t steps_left;          /* along chains: of junk no more than so many */
	uint64_t number, serial, seq; /* the highest that were found */
	uint64_t found_kept;          /* messages that say that they are in history */
	uint64_t found_channels;
	bool is_lossy; /* something that was committed is not there */
	bool is_recounted;
	/* room to sort */
	struct segment_sorted *sorted, *spare;
};

/* segment_repair_beat - with each of many: now and then pushd is shown that this process goes on. */
static inline void
segment_repair_beat(const struct segment_repairing *repairing, size_t index)
{
	if (!(index & 0xffff))
		segment_lock_beat(repairing->segment);
}

/* segment_repair_recounts - counts may be lost: workers say theirs again. */
void
segment_repair_recounts(struct segment_repairing *repairing);

/* segment_repair_loses - something that was committed is not there. */
void
segment_repair_loses(struct segment_repairing *repairing);

/* segment_relink - all lists anew, when the free blocks are known.  False: no memory. */
bool
segment_relink(struct segment_repairing *repairing);

#endif
