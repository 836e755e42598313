/* outbox.c - see outbox.h. */
#include <stdlib.h>
#include <string.h>

#include "limits.h"
#include "outbox.h"
#include "push_assert.h"
#include "tracker.h"

#define RING_MARK           1u
#define RING_FIRST_CAPACITY 8

struct ring {
	struct push_account *account;   /* what it is charged to; NULL: nothing */
	uint32_t head, count, capacity; /* frames; capacity is a power of two */
	struct push_frame *frames[];
};

_Static_assert((RING_FIRST_CAPACITY & (RING_FIRST_CAPACITY - 1)) == 0, "the ring is indexed by a mask");
_Static_assert((PUSH_OUTBOX_FRAMES_MAX & (PUSH_OUTBOX_FRAMES_MAX - 1)) == 0, "the ring doubles up to this");
/* what may wait, the frame that an empty outbox takes whatever its size, and a Close frame */
_Static_assert(8ull * PUSH_SIZE_MAX < UINT32_MAX, "bytes are counted in 32 bits");

static uint64_t
ring_bytes(uint32_t capacity)
{
	return sizeof(struct ring) + PUSH_MALLOC_BYTES + capacity * sizeof(struct push_frame *);
}

static void
free_ring(struct ring *ring)
{
	if (ring && ring->account)
		push_account_take(ring->account, ring_bytes(ring->capacity));
	free(ring);
}

static struct ring *
ring_of(const struct push_outbox *outbox)
{
	return outbox->item & RING_MARK ? (struct ring *)(outbox->item - RING_MARK) : NULL;
}

static struct push_frame **
slot(struct ring *ring, uint32_t index)
{
	return &ring->frames[(ring->head + index) & (ring->capacity - 1)];
}

void
push_outbox_init(struct push_outbox *outbox)
{
	memset(outbox, 0, sizeof(*outbox));
}

uint32_t
push_outbox_count(const struct push_outbox *outbox)
{
	const struct ring *ring = ring_of(outbox);

	return ring ? ring->count : outbox->item != 0;
}

static struct push_frame *
first(const struct push_outbox *outbox)
{
	struct ring *ring = ring_of(outbox);

	return ring ? *slot(ring, 0) : (struct push_frame *)outbox->item;
}

const struct push_frame *
push_outbox_last(const struct push_outbox *outbox)
{
	struct ring *ring = ring_of(outbox);

	return ring ? *slot(ring, ring->count - 1) : (const struct push_frame *)outbox->item;
}

/* A frame leaves. */
static void
release(struct push_frame *frame, bool written)
{
	if (__builtin_expect(frame->tracker != NULL, 0))
		push_tracker_gone(frame->tracker, written);
	push_frame_unref(frame);
}

/* A frame comes. */
static struct push_frame *
retain(struct push_frame *frame)
{
	if (__builtin_expect(frame->tracker != NULL, 0))
		push_tracker_taken(frame->tracker);
	return push_frame_ref(frame);
}

/* What is left is nothing, and owns nothing. */
static void
let_go(struct push_outbox *outbox)
{
	PUSH_ASSERT(outbox->sent == 0 && outbox->bytes == 0);
	free_ring(ring_of(outbox));
	outbox->item = 0;
}

/* Of one frame; a ring that was large is not kept for it. */
static void
shrink(struct push_outbox *outbox)
{
	struct ring *ring = ring_of(outbox);

	if (ring->count > 1)
		return;
	outbox->item = (uintptr_t)*slot(ring, 0);
	free_ring(ring);
}

static void
drop_from(struct push_outbox *outbox, uint32_t index)
{
	struct ring *ring = ring_of(outbox);
	uint32_t count = push_outbox_count(outbox);

	if (count <= index)
		return;
	while (count > index) {
		struct push_frame *frame = ring ? *slot(ring, count - 1) : first(outbox);

		outbox->bytes -= frame->size;
		if (!--count) {
			outbox->bytes += outbox->sent;
			outbox->sent = 0;
		}
		release(frame, false);
	}
	if (ring)
		ring->count = count;
	if (!count)
		let_go(outbox);
	else if (ring)
		shrink(outbox);
}

void
push_outbox_fini(struct push_outbox *outbox)
{
	drop_from(outbox, 0);
	PUSH_ASSERT(outbox->bytes == 0);
}

/* A ring with room for one more; the frames are laid out from its start. */
static enum push_status
grow(struct push_outbox *outbox, const struct push_frame *frame)
{
	struct ring *old = ring_of(outbox), *ring;
	uint32_t capacity = old ? old->capacity * 2 : RING_FIRST_CAPACITY;

	if (capacity > PUSH_OUTBOX_FRAMES_MAX)
		return PUSH_TOO_LARGE;
	ring = malloc(sizeof(*ring) + capacity * sizeof(struct push_frame *));
	if (!ring)
		return PUSH_OUT_OF_MEMORY;
	ring->account = frame->account ? &frame->account->memory->accounts[PUSH_MEMORY_QUEUES] : NULL;
	if (ring->account)
		push_account_add(ring->account, ring_bytes(capacity));
	ring->head = 0;
	ring->capacity = capacity;
	ring->count = (uint32_t)push_outbox_peek(outbox, ring->frames, capacity);
	free_ring(old);
	outbox->item = (uintptr_t)ring + RING_MARK;
	/* cppcheck-suppress memleak ; the word owns the ring */
	return PUSH_OK;
}

enum push_status
push_outbox_push(struct push_outbox *outbox, struct push_frame *frame, size_t bytes_max)
{
	struct ring *ring;

	if (!outbox->item) {
		PUSH_ASSERT(outbox->bytes == 0);
		outbox->item = (uintptr_t)retain(frame);
		outbox->bytes = frame->size;
		return PUSH_OK;
	}
	if ((size_t)outbox->bytes + frame->size > bytes_max)
		return PUSH_TOO_LARGE;
	ring = ring_of(outbox);
	if (!ring || ring->count == ring->capacity) {
		enum push_status status = grow(outbox, frame);

		if (status != PUSH_OK)
			return status;
		ring = ring_of(outbox);
	}
	*slot(ring, ring->count++) = retain(frame);
	outbox->bytes += frame->size;
	return PUSH_OK;
}

size_t
push_outbox_peek(const struct push_outbox *outbox, struct push_frame **frames, size_t max)
{
	struct ring *ring = ring_of(outbox);
	size_t count = push_outbox_count(outbox);

	if (count > max)
		count = max;
	if (!ring && count)
		frames[0] = first(outbox);
	for (uint32_t i = 0; ring && i < count; i++)
		frames[i] = *slot(ring, i);
	return count;
}

void
push_outbox_advance(struct push_outbox *outbox, size_t bytes)
{
	struct ring *ring = ring_of(outbox);
	uint32_t count = push_outbox_count(outbox);

	PUSH_ASSERT(bytes <= outbox->bytes);
	outbox->bytes -= (uint32_t)bytes;
	bytes += outbox->sent;
	outbox->sent = 0;
	while (count && bytes >= first(outbox)->size) {
		struct push_frame *frame = first(outbox);

		bytes -= frame->size;
		count--;
		if (ring) {
			ring->head = (ring->head + 1) & (ring->capacity - 1);
			ring->count = count;
		}
		release(frame, true);
	}
	outbox->sent = (uint32_t)bytes;
	if (!count && outbox->item)
		let_go(outbox);
}

void
push_outbox_drop_unsent(struct push_outbox *outbox)
{
	drop_from(outbox, outbox->sent ? 1 : 0);
}
