/*
 * deliver.c - from the log of the segment to the hub, in the order in which the broker took it.
 *
 * Only messages are given on while it is read; what calls and receipts lead to is done when it has been read, since
 * that may publish.
 */
#include "shared/shared_private.h"
#include "trace/tracer.h"

void
shared_deliver(struct shared_engine *engine, struct push_channel *channel, const struct push_kept *kept,
	const struct push_trace *trace)
{
	struct push_delivery *delivery = NULL;
	bool is_kept = kept->at.number && channel->history;
	enum push_status status;

	if (trace)
		delivery = push_tracer_deliver(
			engine->engine.tracer, engine->hub, channel, trace, kept->value_size);
	status = is_kept ? push_hub_deliver_kept(engine->hub, channel, kept, engine->now_us)
			 : push_hub_deliver_to(
				   engine->hub, channel, kept->value, kept->value_size, engine->now_us);
	push_tracer_delivered(engine->engine.tracer, engine->hub, delivery);
	if (status == PUSH_OK)
		return;
	if (!is_kept) {
		/* nobody was given it: that must not go without a word */
		push_hub_confirm(engine->hub, channel, true, engine->now_us);
		return;
	}
	shared_interest_check(engine, channel);
	if (status == PUSH_UNCERTAIN) /* now it is pending; whatever fails, history brings it */
		(void)!push_hub_deliver_kept(engine->hub, channel, kept, engine->now_us);
}

static uint64_t
age_of(const struct shared_engine *engine, const struct push_segment_item *item)
{
	uint64_t now_us = shared_time(engine);

	return item->time_us < now_us ? now_us - item->time_us : 0;
}

static void
message_came(struct shared_engine *engine, const struct push_segment_item *item)
{
	struct push_channel *channel = push_hub_find(engine->hub, item->name, item->name_size);
	struct shared_receipt *receipt = NULL;
	const struct push_kept kept = {
		.at = {engine->epoch, item->number},
		.before = {engine->epoch, item->before},
		.value = item->value,
		.value_size = item->value_size,
		.ttl_us = item->expires_us == UINT64_MAX ? 0 : item->expires_us - item->time_us,
		.age_us = age_of(engine, item),
	};

	if (item->receipt)
		receipt = shared_receipt_begin(engine, item->slot, item->receipt);
	if (channel && channel->count)
		shared_deliver(engine, channel, &kept, NULL);
	shared_receipt_end(engine, receipt);
}

static void
item_came(struct shared_engine *engine, const struct push_segment_item *item)
{
	switch (item->verb) {
	case PUSH_SEGMENT_MESSAGE: message_came(engine, item); break;
	case PUSH_SEGMENT_CALL: shared_call_came(engine, item); break;
	case PUSH_SEGMENT_ANSWER: shared_answer_came(engine, item); break;
	case PUSH_SEGMENT_RECEIPT: shared_receipt_came(engine, item); break;
	case PUSH_SEGMENT_NOTICE_SENT: shared_notice_came(engine, item); break;
	default: break;
	}
}

/* What was read up to there has been delivered. */
static void
move_head(struct shared_engine *engine, uint64_t number)
{
	if (number && engine->has_history)
		push_hub_move_head(engine->hub, 0, (struct push_position){engine->epoch, number});
}

bool
shared_read(struct shared_engine *engine, uint64_t upto, uint32_t max)
{
	enum push_segment_reading reading = PUSH_SEGMENT_OTHERS;
	struct push_segment_item item;
	uint64_t number = 0;

	if (engine->is_reading)
		return push_segment_position(engine->segment) >= upto;
	engine->is_reading = true;
	while (push_segment_position(engine->segment) < upto && max-- > 0) {
		reading = push_segment_read(engine->segment, &engine->item, &item);
		if (reading == PUSH_SEGMENT_NOTHING || reading == PUSH_SEGMENT_OVERRUN)
			break;
		if (reading == PUSH_SEGMENT_ITEM)
			item_came(engine, &item);
		if (reading == PUSH_SEGMENT_OTHERS || item.verb == PUSH_SEGMENT_MESSAGE)
			number = item.number ? item.number : number;
	}
	if (engine->item.capacity > PUSH_SHARED_BUFFER_BYTES)
		push_buf_reset(&engine->item);
	engine->is_reading = false;
	move_head(engine, number);
	if (reading == PUSH_SEGMENT_OVERRUN)
		return shared_interest_missed(engine);
	return reading == PUSH_SEGMENT_NOTHING || push_segment_position(engine->segment) >= upto;
}
