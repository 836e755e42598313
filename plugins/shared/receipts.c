/*
 * receipts.c - who asks how many a message was written to is told by each worker that has it.
 *
 *   the publisher's worker                       a worker with clients of the channel
 *     the message, with a number          ─▶       tracks its deliveries (core/tracker.h)
 *     written += 3                        ◀─       a letter: number, 3
 *
 * The publisher's worker is one of them itself, without a letter.  It waits no longer than push.publish.wait.max;
 * whoever has not said anything by then, or is gone, counts nothing.  So that the number still comes in time, a worker
 * that is not done says what it has a little earlier.
 *
 * A letter counts once, and only from a worker that is waited for; all together say no more than the publish was
 * counted with.
 */
#include <stdlib.h>
#include <string.h>

#include "shared/shared_private.h"

/* --- where a message is written --- */

struct shared_receipt {
	struct push_receipt receipt;
	unsigned int to;
	uint64_t number;
};

struct shared_receipt *
shared_receipt_begin(struct shared_engine *engine, unsigned int to, uint64_t number)
{
	struct shared_receipt *receipt =
		engine->receipts.count < PUSH_SHARED_RECEIPTS_MAX ? malloc(sizeof(*receipt)) : NULL;

	/* whoever asks waits for it until his time is over */
	if (!receipt)
		return NULL;
	*receipt = (struct shared_receipt){.to = to, .number = number};
	push_receipt_begin(&engine->receipts, &receipt->receipt);
	return receipt;
}

void
shared_receipt_end(struct shared_engine *engine, struct shared_receipt *receipt)
{
	if (receipt)
		push_receipt_end(&receipt->receipt, engine->now_us);
}

static void
count_receipt(struct shared_engine *engine, unsigned int slot, uint64_t number, uint64_t written);

static void
tell(struct shared_engine *engine, struct shared_receipt *receipt)
{
	uint64_t written = receipt->receipt.tracker.written;

	/* what cannot be sent now counts nothing: the publisher does not wait for long */
	if (receipt->to == engine->slot)
		count_receipt(engine, engine->slot, receipt->number, written);
	else if (receipt->to < PUSH_SEGMENT_SLOTS_MAX)
		(void)!shared_send(engine, &(struct push_segment_letter){.verb = PUSH_SEGMENT_RECEIPT,
						   .mask = 1ull << receipt->to,
						   .number = receipt->number,
						   .name = "",
						   .value = (const char *)&written,
						   .value_size = sizeof(written)});
	push_receipt_fini(&receipt->receipt);
	free(receipt);
}

static void
tell_all(struct shared_engine *engine, uint64_t until_us)
{
	struct push_receipt *receipt;

	while ((receipt = push_receipts_next(&engine->receipts, until_us)))
		tell(engine, push_container_of(receipt, struct shared_receipt, receipt));
}

/* --- where it was published --- */

struct shared_tracking {
	struct push_list bucket; /* in engine->tracked */
	struct push_list item;   /* in engine->waiting, by deadline, or in engine->written */
	uint64_t number, deadline_us;
	uint64_t mask; /* workers that have not said anything */
	uint64_t written, subscribers;
	struct push_tracker *tracker; /* borrowed: it lives as long as the publish is not done */
	push_publish_done_fn done;    /* NULL: it is not published yet */
	void *context;
};

static struct push_list *
bucket_of(struct shared_engine *engine, uint64_t number)
{
	return &engine->tracked[number % PUSH_SHARED_TRACKED_BUCKETS];
}

struct shared_tracking *
shared_tracking_create(struct shared_engine *engine)
{
	struct shared_tracking *tracking =
		engine->tracked_count < PUSH_SHARED_TRACKED_MAX ? calloc(1, sizeof(*tracking)) : NULL;

	if (!tracking)
		return NULL;
	tracking->number = ++engine->last_number;
	tracking->mask = UINT64_MAX; /* who it is is not known yet */
	push_list_init(&tracking->item);
	push_list_append(bucket_of(engine, tracking->number), &tracking->bucket);
	engine->tracked_count++;
	return tracking;
}

uint64_t
shared_tracking_number(const struct shared_tracking *tracking)
{
	return tracking->number;
}

void
shared_tracking_destroy(struct shared_engine *engine, struct shared_tracking *tracking)
{
	if (!tracking)
		return;
	push_list_remove(&tracking->bucket);
	push_list_remove(&tracking->item);
	engine->tracked_count--;
	free(tracking);
}

/* The publish is answered in the next turn, as its answer may publish again. */
static void
end_if_over(struct shared_engine *engine, struct shared_tracking *tracking)
{
	if (!tracking->done || tracking->mask)
		return;
	push_list_remove(&tracking->item);
	push_list_append(&engine->written, &tracking->item);
	shared_wake(engine);
}

void
shared_tracking_wait(struct shared_engine *engine, struct shared_tracking *tracking, uint64_t mask,
	uint64_t subscribers, struct push_tracker *tracker, push_publish_done_fn done, void *context)
{
	tracking->mask &= mask;
	tracking->subscribers = subscribers;
	tracking->tracker = tracker;
	tracking->done = done;
	tracking->context = context;
	tracking->deadline_us = engine->now_us + engine->options->publish_wait_max_us;
	push_list_append(&engine->waiting, &tracking->item);
	end_if_over(engine, tracking);
}

static void
count_receipt(struct shared_engine *engine, unsigned int slot, uint64_t number, uint64_t written)
{
	struct push_list *list = bucket_of(engine, number);

	for (struct push_list *item = list->next; item != list; item = item->next) {
		struct shared_tracking *tracking = push_container_of(item, struct shared_tracking, bucket);

		if (tracking->number != number)
			continue;
		if (!(tracking->mask & 1ull << slot))
			return;
		tracking->mask &= ~(1ull << slot);
		tracking->written += written < UINT32_MAX ? written : UINT32_MAX;
		end_if_over(engine, tracking);
		return;
	}
}

void
shared_receipt_came(struct shared_engine *engine, const struct push_segment_item *item)
{
	uint64_t written;

	if (item->value_size != sizeof(written) || item->slot >= PUSH_SEGMENT_SLOTS_MAX ||
		item->slot == engine->slot)
		return;
	memcpy(&written, item->value, sizeof(written));
	count_receipt(engine, item->slot, item->number, written);
}

static void
finish(struct shared_engine *engine, struct shared_tracking *tracking)
{
	push_publish_done_fn done = tracking->done;
	void *context = tracking->context;
	uint64_t subscribers = tracking->subscribers;

	push_tracker_written_elsewhere(tracking->tracker,
		tracking->written < tracking->subscribers ? tracking->written : tracking->subscribers);
	shared_tracking_destroy(engine, tracking);
	done(context, PUSH_OK, subscribers);
}

static void
finish_all(struct shared_engine *engine, struct push_list *list, uint64_t until_us)
{
	while (!push_list_is_empty(list)) {
		struct shared_tracking *tracking =
			push_container_of(list->next, struct shared_tracking, item);

		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the one before has left the list */
		if (tracking->deadline_us > until_us)
			return;
		finish(engine, tracking);
	}
}

/* Nobody waits for a worker that is gone. */
static void
forget_dead(struct shared_engine *engine)
{
	uint64_t attached = push_segment_attached(engine->segment);
	struct push_list *item = engine->waiting.next, *next;

	if (attached == engine->attached)
		return;
	engine->attached = attached;
	for (; item != &engine->waiting; item = next) {
		struct shared_tracking *tracking = push_container_of(item, struct shared_tracking, item);

		next = item->next;
		tracking->mask &= attached;
		end_if_over(engine, tracking);
	}
}

/* --- its life --- */

static void
wake(void *context)
{
	shared_wake(context);
}

void
shared_receipts_init(struct shared_engine *engine)
{
	push_list_init(&engine->waiting);
	push_list_init(&engine->written);
	push_receipts_init(
		&engine->receipts, engine->hub, engine->options->publish_wait_max_us, wake, engine);
	for (size_t i = 0; i < PUSH_SHARED_TRACKED_BUCKETS; i++)
		push_list_init(&engine->tracked[i]);
}

void
shared_receipts_flush(struct shared_engine *engine)
{
	tell_all(engine, 0);
	finish_all(engine, &engine->written, UINT64_MAX);
}

void
shared_receipts_tick(struct shared_engine *engine)
{
	tell_all(engine, engine->now_us);
	forget_dead(engine);
	finish_all(engine, &engine->waiting, engine->now_us);
}

void
shared_receipts_fini(struct shared_engine *engine)
{
	tell_all(engine, UINT64_MAX);
	finish_all(engine, &engine->written, UINT64_MAX);
	finish_all(engine, &engine->waiting, UINT64_MAX);
}
