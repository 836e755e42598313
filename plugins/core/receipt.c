/* receipt.c - see receipt.h. */
#include "receipt.h"
#include "hub.h"
#include "limits.h"

void
push_receipts_init(struct push_receipts *receipts, struct push_hub *hub, uint64_t wait_us,
	void (*wake)(void *context), void *context)
{
	*receipts = (struct push_receipts){.hub = hub, .wait_us = wait_us, .wake = wake, .context = context};
	push_list_init(&receipts->open);
	push_list_init(&receipts->over);
}

static void
on_over(struct push_tracker *tracker)
{
	struct push_receipt *receipt = tracker->context;
	struct push_receipts *receipts = receipt->receipts;

	push_list_remove(&receipt->item);
	push_list_append(&receipts->over, &receipt->item);
	receipts->wake(receipts->context);
}

void
push_receipt_begin(struct push_receipts *receipts, struct push_receipt *receipt)
{
	*receipt = (struct push_receipt){.receipts = receipts};
	push_list_init(&receipt->item);
	push_tracker_init(&receipt->tracker, on_over, receipt);
	receipts->count++;
	push_hub_track(receipts->hub, &receipt->tracker);
}

void
push_receipt_end(struct push_receipt *receipt, uint64_t now_us)
{
	struct push_receipts *receipts = receipt->receipts;
	uint64_t way_us = receipts->wait_us / 4;

	push_hub_track(receipts->hub, NULL);
	push_tracker_delivered(&receipt->tracker);
	way_us = way_us < PUSH_RECEIPT_WAY_US ? way_us : PUSH_RECEIPT_WAY_US;
	receipt->deadline_us = now_us + receipts->wait_us - way_us;
	if (push_tracker_is_over(&receipt->tracker))
		on_over(&receipt->tracker);
	else
		push_list_append(&receipts->open, &receipt->item);
}

struct push_receipt *
push_receipts_next(const struct push_receipts *receipts, uint64_t until_us)
{
	struct push_receipt *first;

	if (!push_list_is_empty(&receipts->over))
		return push_container_of(receipts->over.next, struct push_receipt, item);
	if (push_list_is_empty(&receipts->open))
		return NULL;
	first = push_container_of(receipts->open.next, struct push_receipt, item);
	return first->deadline_us <= until_us ? first : NULL;
}

void
push_receipt_fini(struct push_receipt *receipt)
{
	push_list_remove(&receipt->item);
	push_tracker_fini(&receipt->tracker);
	receipt->receipts->count--;
}
