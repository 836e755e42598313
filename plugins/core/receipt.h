/*
 * receipt.h - messages that were delivered here, and whose publishers wait elsewhere for how many they were written to.
 *
 *   push_receipt_begin     what is delivered from now on is counted for it
 *   push_receipt_end         ... no longer: it is over with the last write, or when its time is
 *   push_receipts_next     one that is to be sent now; whoever sent it ends it by push_receipt_fini
 *
 * A publisher waits for push.publish.wait.max; so that the number still comes in time, one that is not over is sent a
 * little earlier.  How it is sent is its engine's: a struct push_receipt is a part of the engine's own.
 */
#ifndef PUSH_CORE_RECEIPT_H
#define PUSH_CORE_RECEIPT_H

#include <stddef.h>
#include <stdint.h>

#include "list.h"
#include "tracker.h"

struct push_hub;

/* Those of an engine. */
struct push_receipts {
	struct push_list open, over; /* by deadline; by when the last was written */
	uint32_t count;
	struct push_hub *hub; /* borrowed */
	uint64_t wait_us;     /* how long publishers wait */
	void (*wake)(void *context);
	void *context;
};

struct push_receipt {
	struct push_list item; /* in receipts->open or receipts->over, or alone */
	struct push_receipts *receipts;
	struct push_tracker tracker; /* its `written` is what is to be sent */
	uint64_t deadline_us;
};

/* push_receipts_init - none yet.  @wake: called when one is over, from within a write; it may neither write nor free. */
void
push_receipts_init(struct push_receipts *receipts, struct push_hub *hub, uint64_t wait_us,
	void (*wake)(void *context), void *context);

void
push_receipt_begin(struct push_receipts *receipts, struct push_receipt *receipt);

void
push_receipt_end(struct push_receipt *receipt, uint64_t now_us);

/* push_receipts_next - one that is over, or whose time is by then; NULL: none.  It stays where it is. */
struct push_receipt *
push_receipts_next(const struct push_receipts *receipts, uint64_t until_us);

/* push_receipt_fini - it has been sent: to be freed. */
void
push_receipt_fini(struct push_receipt *receipt);

#endif
