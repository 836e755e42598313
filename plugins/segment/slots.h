/*
 * slots.h - the workers that have the segment, and how one wakes another.
 *
 * pushd gives each worker a slot.  A worker's `position` says how far it has read; before it sleeps it sets
 * `asleep` and looks at the log once more, so that either it sees what was appended or whoever appended sees
 * that it sleeps (both are sequentially consistent: store, then load, on either side).  One that is awake costs
 * no system call.
 *
 * To wake is to write to an eventfd, which pushd made for each slot and all workers inherit.  After pushd was
 * killed a new one makes others; workers of the two do not know each other's, and read at each tick instead.
 */
#ifndef PUSH_SEGMENT_SLOTS_H
#define PUSH_SEGMENT_SLOTS_H

#include "segment/segment.h"

/* Where a worker finds what pushd gives it. */
#define PUSH_SEGMENT_SEAT_ENV "PUSHD_BROKER"

/* What a worker is given by pushd, in its environment. */
struct push_segment_seat {
	int fd; /* the segment's */
	unsigned int slot;
	uint32_t wakers; /* a random number: which set of eventfds */
	int wake_fds[PUSH_SEGMENT_SLOTS_MAX];
};

/*
 * push_segment_open_wakers - by pushd: an eventfd for each of the first `count` slots, close-on-exec.
 *
 * Each worker inherits them all.  Workers in other slots read at each tick.  Errors: PUSH_OUT_OF_MEMORY, of
 * descriptors.
 */
enum push_status PUSH_MUST_USE
push_segment_open_wakers(struct push_segment *segment, uint32_t wakers, size_t count);

/* push_segment_close_wakers - those of push_segment_open_wakers(). */
void
push_segment_close_wakers(struct push_segment *segment);

/* push_segment_set_wakers - use these, which stay the caller's. */
void
push_segment_set_wakers(struct push_segment *segment, uint32_t wakers, const int *fds);

/* push_segment_give - between fork and exec: let the program that this process is about to become find its seat; a
 * pushd that becomes another one gives PUSH_SEGMENT_SUPERVISOR. */
void
push_segment_give(const struct push_segment *segment, unsigned int slot);

/* push_segment_seat_read - what pushd gave; descriptors are closed on exec from now on.  False: nothing. */
bool
push_segment_seat_read(struct push_segment_seat *ret);

/*
 * push_segment_join - this process reads the log from now on.
 *
 * @node: its name for calls, lower-case letters and digits, below PUSH_SEGMENT_NODE_BYTES.
 * Under the lock, which it has as this slot.  Errors: PUSH_UNAVAILABLE: the slot is in use.
 */
enum push_status PUSH_MUST_USE
push_segment_join(struct push_segment *segment, unsigned int slot, const char *node, uint64_t now_us);

/* push_segment_attached - the slots whose workers read the log (bits). */
uint64_t
push_segment_attached(const struct push_segment *segment);

/* push_segment_incarnation - another number where counts may have been lost: all workers set theirs again. */
uint64_t
push_segment_incarnation(const struct push_segment *segment);

/* push_segment_wake_fd - the eventfd that is written to when there is something to read; borrowed; -1: none.  Who
 * polls it reads it. */
int
push_segment_wake_fd(const struct push_segment *segment);

/*
 * push_segment_sleep - say that this worker is about to sleep.
 *
 * Returns false where there is something to read: it stays awake.
 */
bool
push_segment_sleep(struct push_segment *segment);

/* push_segment_awake - it need not be woken until it sleeps again. */
void
push_segment_awake(struct push_segment *segment);

/* push_segment_wake - those of `mask` that sleep, but for this one.  Without the lock. */
void
push_segment_wake(struct push_segment *segment, uint64_t mask);

/* push_segment_find_node - the slot of a worker by its name; -1: there is no such one. */
int
push_segment_find_node(const struct push_segment *segment, const char *node, size_t size);

/* push_segment_node_of - the name of a slot's worker, at most `size` bytes with the NUL.  False: nobody is there. */
bool
push_segment_node_of(const struct push_segment *segment, unsigned int slot, char *to, size_t size);

/*
 * push_segment_slot_ended - by pushd: whoever was in the slot is gone.
 *
 * Its lock is broken, its counts are taken back, in slices between which others have the lock; then the slot is
 * free.  False: somebody else has the lock for too long; call it again, the slot stays taken until then.
 */
bool PUSH_MUST_USE
push_segment_slot_ended(struct push_segment *segment, unsigned int slot);

/* push_segment_leave - by the worker itself; likewise, but what it cannot finish is left to pushd. */
void
push_segment_leave(struct push_segment *segment);

/* push_segment_free_slot - a slot that nobody is in, of those in `allowed` (bits); -1: all are taken.  A slot that
 * was given away looks free until its process is there: pushd leaves it out of `allowed`. */
int
push_segment_free_slot(const struct push_segment *segment, uint64_t allowed);

/* push_segment_slot_pid - who is in a slot, also before it has joined and until its end is dealt with; 0: nobody. */
int
push_segment_slot_pid(const struct push_segment *segment, unsigned int slot);

#endif
