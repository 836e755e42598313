/*
 * lock.c - see lock.h.
 *
 *   31       30                    7 6        0
 *   ┌─────────┬─────────────────────┬──────────┐
 *   │ waiters │ turn                │ owner    │   owner: slot + 1, the supervisor's is SLOTS_MAX + 1; 0: nobody
 *   └─────────┴─────────────────────┴──────────┘
 *
 * The turn counts how often the lock was taken, and stays when it is released.  Whoever has found that an owner is
 * gone takes over by comparing the whole word: had another one done so first, and the slot been given to a new
 * process that has the lock now, the turn would differ.
 *
 * The waiters' bit is lost where an owner comes in between the release and the one that was woken, or where that
 * one gives up or is killed: others then sleep on, for PUSH_SEGMENT_LOCK_SLEEP_US at most, and set it again.
 *
 * Order: taking acquires what the owner before has released; a new owner reads what an old one wrote.  One that
 * was killed has released nothing: what it wrote is seen because the kernel's word that it is gone comes after all
 * that it did.  In which of its steps it was does not matter to repair.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "segment/layout.h"
#include "segment/lock.h"
#include "segment/process.h"
#include "segment/repair.h"

#define OWNER     0x7fu
#define TURN_ONE  0x80u
#define TURNS     0x7fffff80u
#define WAITERS   0x80000000u
#define OWNER_MAX (PUSH_SEGMENT_SUPERVISOR + 1u)

_Static_assert(OWNER_MAX <= OWNER, "an owner fits");

static uint64_t
clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Where the word is not `word`, or after a while, it returns; also for no reason. */
static void
futex_wait(_Atomic uint32_t *at, uint32_t word, uint64_t wait_us)
{
	struct timespec wait = {
		.tv_sec = (time_t)(wait_us / 1000000), .tv_nsec = (long)(wait_us % 1000000) * 1000};

	/* not FUTEX_PRIVATE_FLAG: the others are other processes */
	(void)syscall(SYS_futex, (void *)at, FUTEX_WAIT, word, &wait, NULL, 0);
}

static void
futex_wake_one(_Atomic uint32_t *at)
{
	(void)syscall(SYS_futex, (void *)at, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline void
relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Ours instead of `word`, if that still stands there. */
static bool
take(struct push_segment *segment, uint32_t word, uint32_t waiters)
{
	uint32_t taken = ((word + TURN_ONE) & TURNS) | segment->lock_word;

	/* acquire: see the top.  Release: who reads that we have it finds our process in our slot. */
	if (!atomic_compare_exchange_strong_explicit(&segment->header->lock, &word, taken | waiters,
		    memory_order_acq_rel, memory_order_relaxed))
		return false;
	segment->lock_taken = taken;
	segment->is_locked = true;
	segment->is_broken = false;
	return true;
}

static void
repair(struct push_segment *segment)
{
	struct push_segment_repaired repaired;

	push_segment_repair(segment, &repaired);
	segment->is_broken = false;
	atomic_fetch_add_explicit(&segment->header->repairs, 1, memory_order_relaxed);
}

/* From an owner that is gone.  Others may wait: the bit is set in any case. */
static bool
take_over(struct push_segment *segment, uint32_t word)
{
	if (!take(segment, word, WAITERS))
		return false;
	repair(segment);
	return true;
}

/* No process has it, whatever the word says. */
static bool
has_no_owner(const struct push_segment *segment, uint32_t word)
{
	uint32_t owner = word & OWNER;

	/* ours, and we do not have it: of one that was in our place before us */
	return owner > OWNER_MAX || owner == segment->lock_word;
}

static bool
owner_is_gone(const struct push_segment *segment, uint32_t word)
{
	uint32_t owner = word & OWNER;

	if (!owner || owner > OWNER_MAX)
		return owner > OWNER_MAX;
	return segment_process_is_gone(owner == OWNER_MAX ? &segment->header->supervisor
							  : &segment->header->slots[owner - 1].process);
}

static bool
spin(struct push_segment *segment)
{
	unsigned int turn;

	for (turn = 0; turn < PUSH_SEGMENT_SPINS; turn++) {
		uint32_t word = atomic_load_explicit(&segment->header->lock, memory_order_relaxed);

		if (!(word & OWNER) && take(segment, word, word & WAITERS))
			return true;
		relax();
	}
	return false;
}

/* It is taken: sleep until it may be otherwise.  Returns the word that was slept on, 0: it has changed before. */
static uint32_t
sleep_on(struct push_segment *segment, uint32_t word, uint64_t wait_us)
{
	_Atomic uint32_t *at = &segment->header->lock;

	/* relaxed: the bit says nothing of the memory; if the owner leaves first, this fails or futex_wait does */
	if (!(word & WAITERS) && !atomic_compare_exchange_strong_explicit(at, &word, word | WAITERS,
					 memory_order_relaxed, memory_order_relaxed))
		return 0;
	futex_wait(at, word | WAITERS,
		wait_us < PUSH_SEGMENT_LOCK_SLEEP_US ? wait_us : PUSH_SEGMENT_LOCK_SLEEP_US);
	return word | WAITERS;
}

/* Who wakes does not know how many wait: whoever has slept takes it with the bit set, so that it wakes the next. */
static bool
wait_for(struct push_segment *segment, uint64_t wait_us)
{
	uint64_t began_us = clock_us(), past_us = 0;
	uint32_t slept_on = 0;

	for (;; past_us = clock_us() - began_us) {
		/* acquire: the owner's process stands in its slot (take) */
		uint32_t word = atomic_load_explicit(&segment->header->lock, memory_order_acquire);

		if (!(word & OWNER)) {
			if (take(segment, word, WAITERS))
				return true;
		} else if (has_no_owner(segment, word) ||
			   (word == slept_on && owner_is_gone(segment, word))) {
			if (take_over(segment, word))
				return true;
		} else if (past_us < wait_us) {
			slept_on = sleep_on(segment, word, wait_us - past_us);
		}
		if (past_us >= wait_us)
			return false;
	}
}

/* It is taken.  Whoever asks again and again looks after the owner only if that is the same as before. */
static bool
take_without_waiting(struct push_segment *segment, uint32_t word)
{
	bool is_same = (word & ~WAITERS) == (segment->lock_refused & ~WAITERS);

	segment->lock_refused = word;
	return is_same && (has_no_owner(segment, word) || owner_is_gone(segment, word)) &&
	       take_over(segment, word);
}

enum push_status
push_segment_lock(struct push_segment *segment, uint64_t wait_us)
{
	uint32_t word = atomic_load_explicit(&segment->header->lock, memory_order_relaxed);

	PUSH_ASSERT(!segment->is_locked);
	if (!segment->lock_word)
		return PUSH_UNAVAILABLE;
	if (!(word & OWNER) && take(segment, word, word & WAITERS))
		return PUSH_OK;
	if (!wait_us)
		return take_without_waiting(segment, word) ? PUSH_OK : PUSH_UNAVAILABLE;
	return spin(segment) || wait_for(segment, wait_us) ? PUSH_OK : PUSH_UNAVAILABLE;
}

void
push_segment_unlock(struct push_segment *segment)
{
	_Atomic uint32_t *at = &segment->header->lock;
	uint32_t word = atomic_load_explicit(at, memory_order_relaxed);

	PUSH_ASSERT(segment->is_locked);
	if (segment->is_broken)
		repair(segment);
	segment->is_locked = false;
	do {
		/* taken away from us, which was taken for dead: it is not ours to release */
		if ((word & ~WAITERS) != segment->lock_taken)
			return;
		/* release: what was written under the lock, for the next one that takes it */
	} while (!atomic_compare_exchange_weak_explicit(
		at, &word, word & TURNS, memory_order_release, memory_order_relaxed));
	if (word & WAITERS)
		futex_wake_one(at);
}

void
segment_lock_beat(struct push_segment *segment)
{
	_Atomic uint32_t *at = &segment->header->lock;
	uint32_t word = atomic_load_explicit(at, memory_order_relaxed), next;

	PUSH_ASSERT(segment->is_locked);
	do {
		/* taken away from us */
		if ((word & ~WAITERS) != segment->lock_taken)
			return;
		next = ((word + TURN_ONE) & TURNS) | segment->lock_word;
	} while (!atomic_compare_exchange_weak_explicit(
		at, &word, next | (word & WAITERS), memory_order_relaxed, memory_order_relaxed));
	segment->lock_taken = next;
}

void
push_segment_break_lock(struct push_segment *segment, unsigned int slot)
{
	uint32_t word;

	PUSH_ASSERT(!segment->is_locked);
	do {
		word = atomic_load_explicit(&segment->header->lock, memory_order_relaxed);
		if ((word & OWNER) != slot + 1 || !segment->lock_word)
			return;
	} while (!take_over(segment, word));
	push_segment_unlock(segment);
}

void
push_segment_holder(const struct push_segment *segment, struct push_segment_holder *ret)
{
	uint32_t word = atomic_load_explicit(&segment->header->lock, memory_order_relaxed);

	ret->slot = (int)(word & OWNER) - 1;
	ret->turn = (word & TURNS) / TURN_ONE;
}

void
push_segment_be(struct push_segment *segment, unsigned int slot)
{
	struct segment_header *header = segment->header;
	bool is_ours;

	PUSH_ASSERT(slot <= PUSH_SEGMENT_SUPERVISOR && !segment->is_locked);
	/* of a worker that is gone there are counts yet; of pushd there is nothing */
	is_ours = slot == PUSH_SEGMENT_SUPERVISOR
			  ? segment_process_claim(&header->supervisor, true)
			  : segment_process_claim(&header->slots[slot].process, false);
	segment->lock_word = is_ours ? slot + 1 : 0;
}
