/*
 * tracker.h - did this subscriber get every message of this stream once, and in order?
 *
 * It remembers the highest number, which of the 64 numbers up to it have come, and how many are missing:
 * 16 bytes, however long the run is.  A number that comes after a higher one is late (the order was broken)
 * if it was missing, else a duplicate.  A late one that is more than 64 behind is told from a duplicate by
 * whether anything is missing at all.
 */
#ifndef BENCH_TRACKER_H
#define BENCH_TRACKER_H

#include <stdint.h>

struct tracker {
	uint32_t highest; /* 0: none yet; numbers begin with 1 */
	uint32_t missing; /* below `highest` */
	uint64_t seen;    /* bit i: highest - i has come */
};

/* Of a subscriber that joined while messages were under way: the first that comes is where it begins. */
#define TRACKER_JOINING UINT32_MAX

enum tracker_verdict { TRACKER_NEXT, TRACKER_GAP, TRACKER_LATE, TRACKER_DUPLICATE };

static inline void
tracker_init(struct tracker *tracker, uint32_t sent)
{
	*tracker = (struct tracker){.highest = sent ? TRACKER_JOINING : 0};
}

/* tracker_take - a message has come. */
enum tracker_verdict tracker_take(struct tracker *tracker, uint32_t number);

/* tracker_lost - how many of the `sent` messages of the stream have not come. */
uint32_t tracker_lost(const struct tracker *tracker, uint32_t sent);

#endif
