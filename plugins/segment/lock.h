/*
 * lock.h - the one who may change the segment.
 *
 * A word: 0, or who has it and whether somebody waits.  Taken by a compare-and-swap; who finds it taken spins,
 * then sleeps by futex(2) for some milliseconds at a time, with the bit set that has the owner wake one when it
 * leaves (after Drepper, "Futexes Are Tricky", mutex 3).
 *
 * A robust mutex of pthreads would notice dead owners by itself, but keeps a list of pointers in shared memory
 * and follows them: junk there would crash whoever unlocks.  So the owner's slot stands in the word, and who
 * waits looks whether that process is gone; it then takes the lock over, repairs (repair.h), and goes on.
 *
 * An owner that is stopped is not gone.  pushd looks at `acquisitions`: an owner that stays the same for
 * PUSH_SEGMENT_LOCK_HELD_US_MAX is killed.
 */
#ifndef PUSH_SEGMENT_LOCK_H
#define PUSH_SEGMENT_LOCK_H

#include "segment/segment.h"

/*
 * push_segment_lock - wait for it, for at most `wait_us`; 0: do not wait.
 *
 * Errors: PUSH_UNAVAILABLE: somebody else has it.
 */
enum push_status PUSH_MUST_USE
push_segment_lock(struct push_segment *segment, uint64_t wait_us);

/* push_segment_unlock - with a repair before, if something was found broken. */
void
push_segment_unlock(struct push_segment *segment);

/* push_segment_break_lock - whoever is in that slot is dead for certain: if it has the lock, repair and release it. */
void
push_segment_break_lock(struct push_segment *segment, unsigned int slot);

/* What pushd looks at from time to time. */
struct push_segment_holder {
	int slot;      /* -1: nobody has it */
	uint64_t turn; /* differs for each time that it is taken */
};

void
push_segment_holder(const struct push_segment *segment, struct push_segment_holder *ret);

/* By pushd, which has no slot: who it is to the lock. */
#define PUSH_SEGMENT_SUPERVISOR PUSH_SEGMENT_SLOTS_MAX

/* push_segment_be - this process is in that slot, or PUSH_SEGMENT_SUPERVISOR; before it takes the lock. */
void
push_segment_be(struct push_segment *segment, unsigned int slot);

#endif
