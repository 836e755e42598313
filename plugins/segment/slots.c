/*
 * slots.c - see slots.h.
 *
 * Sleep and wake:
 *
 *   worker                              whoever appended
 *   asleep := odd                       tail := more
 *   fence                               fence
 *   tail == position? then sleep        asleep odd? then write to the eventfd, and make it even
 *
 * The fences are sequentially consistent, so one of the two comes first, and whoever comes second sees what the
 * other stored: not both can miss it (Dekker; C11 7.17.3).  What was written before the fence needs no order of
 * its own.
 *
 * `asleep` counts.  To wake is to write first and to count on afterwards: one that is killed in between has woken
 * it, and others only do it again; one that is late counts on nothing, for the worker has counted on by then.
 *
 * A slot's life: FREE, a process comes (push_segment_be), ATTACHED, ENDED while its counts are taken back, FREE.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "segment/channels.h"
#include "segment/lock.h"
#include "segment/process.h"
#include "segment/slots.h"

#define TEXT_BYTES   1024 /* of it: a number takes 10 digits and a blank at most */
#define IS_ASLEEP(n) ((n)&1u)

_Static_assert(
	TEXT_BYTES > (3 + PUSH_SEGMENT_SLOTS_MAX) * sizeof("2147483647"), "all descriptors of a seat fit");

static uint64_t
bit(unsigned int slot)
{
	return slot < PUSH_SEGMENT_SLOTS_MAX ? 1ull << slot : 0;
}

/* Who is in a slot. */

static uint32_t
state_of(const struct push_segment *segment, unsigned int slot)
{
	/* acquire: what stands in the slot was written before its state */
	return atomic_load_explicit(&segment->header->slots[slot].state, memory_order_acquire);
}

static void
set_state(struct push_segment *segment, unsigned int slot, enum segment_slot_state state)
{
	atomic_store_explicit(&segment->header->slots[slot].state, state, memory_order_release);
}

static void
set_node(struct segment_slot *slot, const char *node)
{
	uint64_t words[SEGMENT_NODE_WORDS] = {0};
	size_t i;

	PUSH_ASSERT(strlen(node) < sizeof(words));
	memcpy(words, node, strlen(node));
	/* relaxed: read as words by who has seen the state */
	for (i = 0; i < SEGMENT_NODE_WORDS; i++)
		atomic_store_explicit(&slot->node[i], words[i], memory_order_relaxed);
}

enum push_status
push_segment_join(struct push_segment *segment, unsigned int slot, const char *node, uint64_t now_us)
{
	struct segment_header *header = segment->header;
	struct segment_slot *self;

	PUSH_ASSERT(segment_has_lock(segment) && slot < PUSH_SEGMENT_SLOTS_MAX);
	PUSH_ASSERT(segment->lock_word == slot + 1);
	self = &header->slots[slot];
	if (state_of(segment, slot) != SEGMENT_SLOT_FREE)
		return PUSH_UNAVAILABLE;
	/* all relaxed: others see it by the state, or by the lock */
	segment->position = atomic_load_explicit(&header->tail, memory_order_relaxed);
	atomic_store_explicit(&self->position, segment->position, memory_order_relaxed);
	atomic_fetch_and_explicit(&self->asleep, ~1u, memory_order_relaxed);
	atomic_store_explicit(&self->wakers, segment->wakers, memory_order_relaxed);
	atomic_store_explicit(&self->joined_us, now_us, memory_order_relaxed);
	set_node(self, node);
	set_state(segment, slot, SEGMENT_SLOT_ATTACHED);
	atomic_fetch_or_explicit(&header->attached, bit(slot), memory_order_release);
	segment->slot = slot;
	return PUSH_OK;
}

/* Nothing is sent to it any more. */
static bool
end_slot(struct push_segment *segment, unsigned int slot)
{
	if (push_segment_lock(segment, PUSH_SEGMENT_LOCK_WAIT_US))
		return false;
	atomic_fetch_and_explicit(&segment->header->attached, ~bit(slot), memory_order_relaxed);
	atomic_fetch_and_explicit(&segment->header->slots[slot].asleep, ~1u, memory_order_relaxed);
	set_state(segment, slot, SEGMENT_SLOT_ENDED);
	push_segment_unlock(segment);
	return true;
}

/* The lock is given back between the slices, so that nobody waits for all of them. */
static bool
take_back_counts(struct push_segment *segment, unsigned int slot)
{
	uint32_t bucket = 0;
	bool more;

	do {
		if (push_segment_lock(segment, PUSH_SEGMENT_LOCK_WAIT_US))
			return false;
		more = segment_channels_forget(segment, slot, &bucket, PUSH_SEGMENT_FORGET_BUCKETS);
		if (!more)
			set_state(segment, slot, SEGMENT_SLOT_FREE);
		push_segment_unlock(segment);
	} while (more);
	return true;
}

uint64_t
push_segment_attached(const struct push_segment *segment)
{
	return atomic_load_explicit(&segment->header->attached, memory_order_acquire);
}

uint64_t
push_segment_incarnation(const struct push_segment *segment)
{
	return atomic_load_explicit(&segment->header->incarnation, memory_order_acquire);
}

bool
push_segment_slot_ended(struct push_segment *segment, unsigned int slot)
{
	PUSH_ASSERT(slot < PUSH_SEGMENT_SLOTS_MAX);
	push_segment_break_lock(segment, slot);
	if (state_of(segment, slot) != SEGMENT_SLOT_FREE &&
		(!end_slot(segment, slot) || !take_back_counts(segment, slot)))
		return false;
	/* last: the slot may be given from now on */
	segment_process_clear(&segment->header->slots[slot].process);
	return true;
}

void
push_segment_leave(struct push_segment *segment)
{
	unsigned int slot = segment->slot;

	if (slot < PUSH_SEGMENT_SLOTS_MAX) {
		segment->slot = PUSH_SEGMENT_SLOTS_MAX;
		if (!end_slot(segment, slot) || !take_back_counts(segment, slot))
			return;
	} else if (segment->lock_word && segment->lock_word <= PUSH_SEGMENT_SLOTS_MAX) {
		slot = segment->lock_word - 1; /* it has never joined */
	} else {
		return;
	}
	/* another process may be in the slot as soon as this one is not */
	segment->lock_word = 0;
	segment_process_clear(&segment->header->slots[slot].process);
}

int
push_segment_free_slot(const struct push_segment *segment, uint64_t allowed)
{
	unsigned int slot;

	for (slot = 0; slot < PUSH_SEGMENT_SLOTS_MAX; slot++)
		if ((allowed & bit(slot)) && !push_segment_slot_pid(segment, slot) &&
			state_of(segment, slot) == SEGMENT_SLOT_FREE)
			return (int)slot;
	return -1;
}

int
push_segment_slot_pid(const struct push_segment *segment, unsigned int slot)
{
	PUSH_ASSERT(slot < PUSH_SEGMENT_SLOTS_MAX);
	/* acquire: pairs with segment_process_clear() */
	return (int)atomic_load_explicit(&segment->header->slots[slot].process.pid, memory_order_acquire);
}

bool
push_segment_node_of(const struct push_segment *segment, unsigned int slot, char *to, size_t size)
{
	uint64_t words[SEGMENT_NODE_WORDS];
	size_t i, length;

	if (slot >= PUSH_SEGMENT_SLOTS_MAX || !size || state_of(segment, slot) != SEGMENT_SLOT_ATTACHED)
		return false;
	for (i = 0; i < SEGMENT_NODE_WORDS; i++)
		words[i] = atomic_load_explicit(&segment->header->slots[slot].node[i], memory_order_relaxed);
	length = strnlen((const char *)words, sizeof(words) - 1);
	if (length >= size)
		length = size - 1;
	memcpy(to, words, length);
	to[length] = '\0';
	return true;
}

int
push_segment_find_node(const struct push_segment *segment, const char *node, size_t size)
{
	char name[PUSH_SEGMENT_NODE_BYTES];
	unsigned int slot;

	for (slot = 0; slot < PUSH_SEGMENT_SLOTS_MAX; slot++)
		if (push_segment_node_of(segment, slot, name, sizeof(name)) && strlen(name) == size &&
			!memcmp(name, node, size))
			return (int)slot;
	return -1;
}

/* Sleep and wake. */

bool
push_segment_sleep(struct push_segment *segment)
{
	struct segment_slot *self;
	uint32_t before;

	PUSH_ASSERT(segment->slot < PUSH_SEGMENT_SLOTS_MAX);
	self = &segment->header->slots[segment->slot];
	before = atomic_load_explicit(&self->asleep, memory_order_relaxed);
	atomic_store_explicit(&self->asleep, (before + 1) | 1u, memory_order_relaxed);
	/* see the top */
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&segment->header->tail, memory_order_relaxed) == segment->position)
		return true;
	push_segment_awake(segment);
	return false;
}

void
push_segment_awake(struct push_segment *segment)
{
	struct segment_slot *self;
	uint32_t now;

	PUSH_ASSERT(segment->slot < PUSH_SEGMENT_SLOTS_MAX);
	self = &segment->header->slots[segment->slot];
	now = atomic_load_explicit(&self->asleep, memory_order_relaxed);
	/* a waker that comes now stores the same */
	if (IS_ASLEEP(now))
		atomic_store_explicit(&self->asleep, now + 1, memory_order_relaxed);
}

static void
wake_one(struct push_segment *segment, unsigned int at)
{
	struct segment_slot *slot = &segment->header->slots[at];
	uint32_t asleep = atomic_load_explicit(&slot->asleep, memory_order_relaxed);
	uint64_t one = 1;

	if (!IS_ASLEEP(asleep) || segment->wake_fds[at] < 0 ||
		atomic_load_explicit(&slot->wakers, memory_order_relaxed) != segment->wakers)
		return;
	/* it cannot be full: who sleeps has read it */
	(void)!write(segment->wake_fds[at], &one, sizeof(one));
	(void)atomic_compare_exchange_strong_explicit(
		&slot->asleep, &asleep, asleep + 1, memory_order_relaxed, memory_order_relaxed);
	atomic_fetch_add_explicit(&segment->header->wakes, 1, memory_order_relaxed);
}

void
push_segment_wake(struct push_segment *segment, uint64_t mask)
{
	mask &= ~bit(segment->slot);
	if (!mask)
		return;
	/* see the top */
	atomic_thread_fence(memory_order_seq_cst);
	for (; mask; mask &= mask - 1)
		wake_one(segment, (unsigned int)__builtin_ctzll(mask));
}

/* Eventfds, and how they are given. */

int
push_segment_wake_fd(const struct push_segment *segment)
{
	return segment->slot < PUSH_SEGMENT_SLOTS_MAX ? segment->wake_fds[segment->slot] : -1;
}

enum push_status
push_segment_open_wakers(struct push_segment *segment, uint32_t wakers, size_t count)
{
	int fds[PUSH_SEGMENT_SLOTS_MAX];
	size_t opened;

	memset(fds, -1, sizeof(fds));
	for (opened = 0; opened < count && opened < PUSH_SEGMENT_SLOTS_MAX; opened++) {
		fds[opened] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fds[opened] < 0)
			break;
	}
	if (opened == count || opened == PUSH_SEGMENT_SLOTS_MAX) {
		push_segment_set_wakers(segment, wakers, fds);
		return PUSH_OK;
	}
	while (opened)
		close(fds[--opened]);
	return PUSH_OUT_OF_MEMORY;
}

void
push_segment_close_wakers(struct push_segment *segment)
{
	size_t i;

	for (i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++) {
		if (segment->wake_fds[i] >= 0)
			close(segment->wake_fds[i]);
		segment->wake_fds[i] = -1;
	}
}

void
push_segment_set_wakers(struct push_segment *segment, uint32_t wakers, const int *fds)
{
	memcpy(segment->wake_fds, fds, sizeof(segment->wake_fds));
	segment->wakers = wakers;
}

void
push_segment_give(const struct push_segment *segment, unsigned int slot)
{
	char text[TEXT_BYTES];
	int length = snprintf(text, sizeof(text), "%d %u %u", segment->fd, slot, segment->wakers);
	size_t i;

	/* of this process only: they stay open over exec */
	(void)fcntl(segment->fd, F_SETFD, 0);
	for (i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++) {
		PUSH_ASSERT(length > 0 && (size_t)length < sizeof(text));
		length += snprintf(text + length, sizeof(text) - (size_t)length, " %d", segment->wake_fds[i]);
		if (segment->wake_fds[i] >= 0)
			(void)fcntl(segment->wake_fds[i], F_SETFD, 0);
	}
	(void)setenv(PUSH_SEGMENT_SEAT_ENV, text, 1);
}

/* The next number, of at most `max`; -1 stands for none where `may_be_none`.  It ends with a blank or the text. */
static bool
next_number(const char **at, uint32_t max, bool may_be_none, int64_t *ret)
{
	const char *text = *at;
	int64_t number = 0;

	if (may_be_none && text[0] == '-' && text[1] == '1') {
		number = -1;
		text += 2;
	} else {
		if (*text < '0' || *text > '9')
			return false;
		for (; *text >= '0' && *text <= '9' && number <= max; text++)
			number = number * 10 + (*text - '0');
	}
	if ((*text && *text != ' ') || number > max)
		return false;
	*ret = number;
	*at = *text ? text + 1 : text;
	return true;
}

static bool
next_descriptor(const char **at, bool may_be_none, int *ret)
{
	int64_t fd;

	if (!next_number(at, INT32_MAX, may_be_none, &fd))
		return false;
	*ret = (int)fd;
	return fd < 0 || fcntl((int)fd, F_GETFD) >= 0;
}

static bool
parse(const char *text, struct push_segment_seat *ret)
{
	int64_t slot, wakers;
	size_t i;

	if (!next_descriptor(&text, false, &ret->fd) ||
		!next_number(&text, PUSH_SEGMENT_SUPERVISOR, false, &slot) ||
		!next_number(&text, UINT32_MAX, false, &wakers))
		return false;
	for (i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++)
		if (!next_descriptor(&text, true, &ret->wake_fds[i]))
			return false;
	ret->slot = (unsigned int)slot;
	ret->wakers = (uint32_t)wakers;
	return !*text;
}

bool
push_segment_seat_read(struct push_segment_seat *ret)
{
	const char *text = getenv(PUSH_SEGMENT_SEAT_ENV);
	struct push_segment_seat seat;
	size_t i;

	if (!text || !parse(text, &seat))
		return false;
	(void)fcntl(seat.fd, F_SETFD, FD_CLOEXEC);
	for (i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++)
		if (seat.wake_fds[i] >= 0)
			(void)fcntl(seat.wake_fds[i], F_SETFD, FD_CLOEXEC);
	*ret = seat;
	return true;
}
