/* tracer.c - see tracer.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/channel.h"
#include "core/frame.h"
#include "core/push_assert.h"
#include "core/random.h"
#include "core/tracker.h"
#include "core/units.h"
#include "trace/tracer.h"

#define INSTANCE_BYTES 40

struct push_delivery {
	struct push_list item; /* in tracer->followed, the oldest first, or in ->over */
	struct push_tracer *tracer;
	struct push_tracker tracker; /* where span.is_followed */
	uint64_t frame_bytes;        /* that are kept for it */
	struct push_span span;
};

struct push_tracer {
	const struct push_options *options;
	struct push_stats *stats;
	struct push_tracer_host host;
	char instance[INSTANCE_BYTES];
	uint64_t random; /* which publishes are drawn; no secret */
	uint64_t tokens; /* millionths of a trace that may be asked for */
	uint64_t tokens_us;
	uint32_t open_count;             /* spans that have begun */
	struct push_list followed, over; /* deliveries */
	uint32_t followed_count;
	uint64_t followed_bytes;
	struct push_list batches; /* the oldest first; the last one may grow */
	uint32_t batch_count;     /* those that were taken among them */
};

#define TOKEN 1000000ull

struct push_tracer *
push_tracer_create(
	const struct push_options *options, struct push_stats *stats, const struct push_tracer_host *host)
{
	struct push_tracer *tracer = calloc(1, sizeof(*tracer));

	if (!tracer)
		return NULL;
	tracer->options = options;
	tracer->stats = stats;
	tracer->host = *host;
	snprintf(tracer->instance, sizeof(tracer->instance), "%s", host->instance);
	tracer->host.instance = tracer->instance;
	host->random(&tracer->random, sizeof(tracer->random));
	tracer->random |= 1; /* xorshift must not start at 0 */
	tracer->tokens = PUSH_TRACE_ASKED_PER_S * TOKEN;
	tracer->tokens_us = host->now_us();
	push_list_init(&tracer->followed);
	push_list_init(&tracer->over);
	push_list_init(&tracer->batches);
	return tracer;
}

static void
drop(struct push_tracer *tracer, uint64_t count)
{
	tracer->stats->trace_spans[PUSH_TRACE_DROPPED] += count;
}

/* --- batches --- */

static bool
is_full(const struct push_trace_batch *batch)
{
	return batch->count >= PUSH_TRACE_BATCH_SPANS || batch->text.size >= PUSH_TRACE_BATCH_BYTES;
}

/* The one that grows; NULL where there is none. */
static struct push_trace_batch *
last(const struct push_tracer *tracer)
{
	struct push_trace_batch *batch = NULL;

	if (!push_list_is_empty(&tracer->batches))
		batch = push_container_of(tracer->batches.prev, struct push_trace_batch, item);
	return batch && !is_full(batch) ? batch : NULL;
}

static void
free_batch(struct push_tracer *tracer, struct push_trace_batch *batch)
{
	push_list_remove(&batch->item);
	push_buf_fini(&batch->text);
	free(batch);
	tracer->batch_count--;
}

/* NULL: there are too many, or memory is out. */
static struct push_trace_batch *
add_batch(struct push_tracer *tracer)
{
	struct push_trace_batch *batch =
		tracer->batch_count < PUSH_TRACE_BATCHES_MAX ? malloc(sizeof(*batch)) : NULL;

	if (!batch)
		return NULL;
	*batch = (struct push_trace_batch){.since_us = tracer->host.now_us()};
	push_buf_init(&batch->text, PUSH_TRACE_BATCH_BYTES_MAX);
	push_otlp_begin(&batch->text, tracer->options->trace_service, tracer->host.version, tracer->instance);
	if (batch->text.status != PUSH_OK) {
		push_buf_fini(&batch->text);
		free(batch);
		return NULL;
	}
	push_list_append(&tracer->batches, &batch->item);
	tracer->batch_count++;
	return batch;
}

/* Appends a span that has ended to what waits. */
static void
keep(struct push_tracer *tracer, const struct push_span *span)
{
	struct push_trace_batch *batch = last(tracer);
	size_t size;

	if (!batch)
		batch = add_batch(tracer);
	if (!batch) {
		drop(tracer, 1);
		return;
	}
	size = batch->text.size;
	push_otlp_span(&batch->text, span, !batch->count, tracer->host.wall_us() - tracer->host.now_us());
	if (batch->text.status == PUSH_OK) {
		batch->count++;
		return;
	}
	/* as if it had not been tried: half a span would spoil all of them */
	batch->text.size = size;
	batch->text.status = PUSH_OK;
	drop(tracer, 1);
}

struct push_trace_batch *
push_tracer_take(struct push_tracer *tracer, bool all)
{
	struct push_trace_batch *batch;

	if (push_list_is_empty(&tracer->batches))
		return NULL;
	batch = push_container_of(tracer->batches.next, struct push_trace_batch, item);
	if (!all && !is_full(batch) && tracer->host.now_us() - batch->since_us < PUSH_TRACE_BATCH_US)
		return NULL;
	push_list_remove(&batch->item);
	push_otlp_end(&batch->text);
	if (batch->text.status == PUSH_OK && batch->count)
		return batch;
	drop(tracer, batch->count);
	free_batch(tracer, batch);
	return NULL;
}

void
push_tracer_done(struct push_tracer *tracer, struct push_trace_batch *batch, uint64_t failed)
{
	failed = failed < batch->count ? failed : batch->count;
	tracer->stats->trace_spans[PUSH_TRACE_FAILED] += failed;
	tracer->stats->trace_spans[PUSH_TRACE_EXPORTED] += batch->count - failed;
	free_batch(tracer, batch);
}

bool
push_tracer_is_empty(const struct push_tracer *tracer)
{
	return push_list_is_empty(&tracer->batches);
}

/* --- what is traced --- */

static bool
has_room(struct push_tracer *tracer)
{
	if (tracer->open_count < PUSH_TRACE_OPEN_MAX &&
		(tracer->batch_count < PUSH_TRACE_BATCHES_MAX || last(tracer)))
		return true;
	drop(tracer, 1);
	return false;
}

static bool
is_drawn(struct push_tracer *tracer)
{
	return push_random_upto(&tracer->random, PUSH_RATIO_ONE - 1) < tracer->options->trace_ratio;
}

/* A bucket of as many tokens as come in a second. */
static bool
may_ask(struct push_tracer *tracer, uint64_t now_us)
{
	uint64_t since_us = now_us - tracer->tokens_us;
	const uint64_t most = PUSH_TRACE_ASKED_PER_S * TOKEN;

	tracer->tokens_us = now_us;
	tracer->tokens = since_us < TOKEN ? tracer->tokens + since_us * PUSH_TRACE_ASKED_PER_S : most;
	if (tracer->tokens > most)
		tracer->tokens = most;
	if (tracer->tokens < TOKEN) {
		drop(tracer, 1);
		return false;
	}
	tracer->tokens -= TOKEN;
	return true;
}

static void
continue_trace(struct push_tracer *tracer, struct push_span *span, const struct push_trace *parent)
{
	span->has_parent = true;
	span->trace = *parent;
	memcpy(span->parent_id, parent->span_id, sizeof(span->parent_id));
	tracer->host.random(span->trace.span_id, sizeof(span->trace.span_id));
	span->trace.span_id[0] |= 1; /* never all 0, at the cost of a bit */
}

static void
begin_trace(struct push_tracer *tracer, struct push_span *span)
{
	tracer->host.random(&span->trace, PUSH_TRACE_ID_BYTES + PUSH_SPAN_ID_BYTES);
	span->trace.trace_id[0] |= 1;
	span->trace.span_id[0] |= 1;
	span->trace.flags = PUSH_TRACE_SAMPLED | PUSH_TRACE_RANDOM;
}

_Static_assert(offsetof(struct push_trace, span_id) == PUSH_TRACE_ID_BYTES, "one random text for both ids");

struct push_span *
push_tracer_begin(struct push_tracer *tracer, const struct push_trace *parent)
{
	uint64_t now_us;
	struct push_span *span;

	if (parent ? !(parent->flags & PUSH_TRACE_SAMPLED) : !is_drawn(tracer))
		return NULL;
	now_us = tracer->host.now_us();
	if ((parent && !may_ask(tracer, now_us)) || !has_room(tracer))
		return NULL;
	span = calloc(1, sizeof(*span));
	if (!span) {
		drop(tracer, 1);
		return NULL;
	}
	span->kind = PUSH_SPAN_PUBLISH;
	span->start_us = now_us;
	if (parent)
		continue_trace(tracer, span, parent);
	else
		begin_trace(tracer, span);
	tracer->open_count++;
	return span;
}

void
push_tracer_end(struct push_tracer *tracer, struct push_span *span)
{
	if (!span->end_us)
		span->end_us = tracer->host.now_us();
	keep(tracer, span);
	tracer->open_count--;
	free(span);
}

/* --- deliveries --- */

/* From within a write, or behind the delivery. */
static void
on_over(struct push_tracker *tracker)
{
	struct push_delivery *delivery = tracker->context;
	struct push_tracer *tracer = delivery->tracer;

	delivery->span.end_us = tracer->host.now_us();
	push_list_remove(&delivery->item);
	push_list_append(&tracer->over, &delivery->item);
}

struct push_delivery *
push_tracer_deliver(struct push_tracer *tracer, struct push_hub *hub, const struct push_channel *channel,
	const struct push_trace *parent, size_t value_bytes)
{
	struct push_delivery *delivery;

	if (!tracer || !channel || !channel->count || !(parent->flags & PUSH_TRACE_SAMPLED) ||
		!has_room(tracer))
		return NULL;
	delivery = calloc(1, sizeof(*delivery));
	if (!delivery) {
		drop(tracer, 1);
		return NULL;
	}
	delivery->tracer = tracer;
	push_list_init(&delivery->item);
	delivery->span.kind = PUSH_SPAN_DELIVER;
	delivery->span.start_us = tracer->host.now_us();
	delivery->span.value_bytes = value_bytes;
	delivery->span.subscribers = channel->count;
	memcpy(delivery->span.by_encoding, channel->count_by_encoding, sizeof(channel->count_by_encoding));
	push_span_set_channel(&delivery->span, channel->name, channel->name_size);
	continue_trace(tracer, &delivery->span, parent);
	delivery->span.queued_bytes = tracer->stats->outbox_bytes; /* before */
	tracer->open_count++;
	/* somebody else waits for this message (?wait=written): it has one tracker, and it is his */
	delivery->span.is_followed = !push_hub_is_tracked(hub) &&
				     tracer->followed_count < PUSH_TRACE_FOLLOWED_MAX &&
				     tracer->followed_bytes < PUSH_TRACE_FOLLOWED_BYTES_MAX;
	if (delivery->span.is_followed) {
		push_tracker_init(&delivery->tracker, on_over, delivery);
		push_hub_track(hub, &delivery->tracker);
	}
	return delivery;
}

static void
follow(struct push_tracer *tracer, struct push_hub *hub, struct push_delivery *delivery)
{
	push_hub_track(hub, NULL);
	push_tracker_delivered(&delivery->tracker);
	for (size_t i = 0; i < delivery->tracker.frame_count; i++)
		delivery->frame_bytes += delivery->tracker.frames[i]->size;
	tracer->followed_count++;
	tracer->followed_bytes += delivery->frame_bytes;
	push_list_append(&tracer->followed, &delivery->item);
	if (push_tracker_is_over(&delivery->tracker))
		on_over(&delivery->tracker);
}

void
push_tracer_delivered(struct push_tracer *tracer, struct push_hub *hub, struct push_delivery *delivery)
{
	uint64_t before, now;

	if (!delivery)
		return;
	before = delivery->span.queued_bytes;
	now = tracer->stats->outbox_bytes;
	/* less, where clients were closed for it */
	delivery->span.queued_bytes = now > before ? now - before : 0;
	if (delivery->span.is_followed)
		follow(tracer, hub, delivery);
	else
		push_list_append(&tracer->over, &delivery->item);
}

static void
end_delivery(struct push_tracer *tracer, struct push_delivery *delivery)
{
	struct push_span *span = &delivery->span;

	push_list_remove(&delivery->item);
	if (span->is_followed) {
		span->written = delivery->tracker.written;
		span->dropped = delivery->tracker.dropped;
		push_tracker_fini(&delivery->tracker);
		tracer->followed_count--;
		tracer->followed_bytes -= delivery->frame_bytes;
	}
	if (!span->end_us)
		span->end_us = tracer->host.now_us();
	keep(tracer, span);
	tracer->open_count--;
	free(delivery);
}

static void
end_deliveries(struct push_tracer *tracer, struct push_list *list, uint64_t until_us)
{
	for (struct push_list *item = list->next, *next; item != list; item = next) {
		struct push_delivery *delivery = push_container_of(item, struct push_delivery, item);

		if (delivery->span.start_us > until_us)
			return;
		next = item->next;
		end_delivery(tracer, delivery);
	}
}

void
push_tracer_settle(struct push_tracer *tracer)
{
	uint64_t now_us;

	end_deliveries(tracer, &tracer->over, UINT64_MAX);
	if (push_list_is_empty(&tracer->followed))
		return;
	now_us = tracer->host.now_us();
	if (now_us > PUSH_TRACE_DELIVERY_US)
		end_deliveries(tracer, &tracer->followed, now_us - PUSH_TRACE_DELIVERY_US);
}

void
push_tracer_destroy(struct push_tracer *tracer)
{
	if (!tracer)
		return;
	end_deliveries(tracer, &tracer->over, UINT64_MAX);
	end_deliveries(tracer, &tracer->followed, UINT64_MAX);
	for (struct push_list *item = tracer->batches.next, *next; item != &tracer->batches; item = next) {
		next = item->next;
		free_batch(tracer, push_container_of(item, struct push_trace_batch, item));
	}
	PUSH_ASSERT(!tracer->batch_count); /* the exporter has given back what it took */
	free(tracer);
}
