/*
 * lock.h - the one who may change the segment.
 *
 * A word: who has it (0: nobody), whether somebody waits, and how often it was taken.  Taken by a
 * compare-and-swap; who finds it taken spins, then sleeps by futex(2) for some milliseconds at a time, with the
 * bit set that has the owner wake one when it leaves (after Drepper, "Futexes Are Tricky", mutex 3).
 *
 * A robust mutex of pthreads would notice dead owners by itself, but keeps a list of pointers in shared memory
 * and follows them: junk there would crash whoever unlocks.  So the owner's slot stands in the word, and who
 * waits looks whether that process is gone; it then takes the lock over, repairs (repair.h), and goes on.
 *
 * An owner that is stopped is not gone.  pushd looks at push_segment_holder(): one that stays the same for
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

/* push_segment_unlock - with a repair before, if something was found broken; wakes one that waits. */
void
push_segment_unlock(struct push_segment *segment);

/* push_segment_break_lock - whoever is in that slot is dead for certain: if it has the lock, repair and release it. */
void
push_segment_break_lock(struct push_segment *segment, unsigned int slot);

/* What pushd looks at from time to time. */
struct push_segment_holder {
	int slot;      /* -1: nobody has it; PUSH_SEGMENT_SUPERVISOR, or more: none that there is */
	uint32_t turn; /* differs for each time that it is taken */
};

void
push_segment_holder(const struct push_segment *segment, struct push_segment_holder *ret);

/* segment_lock_beat - in what takes long: it is as if the lock was taken anew, so that pushd sees that its owner goes
 * on. */
void
segment_lock_beat(struct push_segment *segment);

/* By pushd, which has no slot: who it is to the lock. */
#define PUSH_SEGMENT_SUPERVISOR PUSH_SEGMENT_SLOTS_MAX

/*
 * push_segment_be - this process is in that slot, or PUSH_SEGMENT_SUPERVISOR; before it takes the lock.
 *
 * While another process is there it is nobody, and gets the lock never.  A slot is another's until
 * push_segment_slot_ended(), the supervisor's place until that process is gone.
 */
void
push_segment_be(struct push_segment *segment, unsigned int slot);

#endif
