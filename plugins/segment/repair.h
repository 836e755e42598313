/*
 * repair.h - make everything again from what says by itself what it is.
 *
 * Looks at every block: keeps live records whose checksum is right and that were committed, and live channels;
 * then makes buckets, lists and free blocks anew.  What it throws away it counts.  The channels of messages that
 * were lost begin behind them, so that a gap is told.  Needs the lock; O(blocks).
 */
#ifndef PUSH_SEGMENT_REPAIR_H
#define PUSH_SEGMENT_REPAIR_H

#include "segment/segment.h"

struct push_segment_repaired {
	uint64_t messages, values, notices, channels; /* kept */
	uint64_t torn;      /* not committed: what was being written when somebody was killed */
	uint64_t broken;    /* committed, and not what was written: should be 0 */
	uint64_t newest_us; /* when the newest record was written */
};

/* push_segment_repair - under the lock. */
void
push_segment_repair(struct push_segment *segment, struct push_segment_repaired *ret);

#endif
