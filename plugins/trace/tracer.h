/*
 * tracer.h - which publishes are traced, their spans, and the spans that wait for the collector.
 *
 *   a publish ─▶ begin ─▶ span ─▶ the engine, with push_publication.trace ─▶ end ────┐
 *   a message of a traced publish ─▶ delivery ─▶ written to all, or time is over ────┤
 *                                                                                    ▼
 *        exporter.h ◀─ take ─ batches, full and ready to be sent ◀─ the one that grows
 *
 * There is none where push.trace.url is empty: everybody who has a pointer to it looks at that first.  A
 * publish is traced when its `traceparent` says that it is sampled (as far as PUSH_TRACE_ASKED_PER_S allows),
 * and never when that says it is not; of those without, push.trace.ratio are drawn.  A fan-out costs one span
 * on each node, whatever the number of its subscribers.
 *
 * A span is written as JSON when it ends, at the end of a batch; so all that waits is text, bounded by
 * PUSH_TRACE_BATCHES_MAX.  What does not fit is dropped and counted, in push_stats.trace_spans.
 *
 * One thread; clocks and random bytes come from outside.
 */
#ifndef PUSH_TRACE_TRACER_H
#define PUSH_TRACE_TRACER_H

#include "core/hub.h"
#include "core/list.h"
#include "core/options.h"
#include "core/stats.h"
#include "trace/otlp.h"

struct push_channel;
struct push_delivery;
struct push_tracer;

struct push_tracer_host {
	uint64_t (*now_us)(void);  /* of the monotonic clock */
	uint64_t (*wall_us)(void); /* since 1970 */
	void (*random)(void *to, size_t size);
	const char *version;  /* of Push; static */
	const char *instance; /* this process among those of its service; copied */
};

/*
 * push_tracer_create - NULL when memory is out.
 *
 * @options, @stats: borrowed, must outlive it.
 */
struct push_tracer *
push_tracer_create(
	const struct push_options *options, struct push_stats *stats, const struct push_tracer_host *host);

/* push_tracer_destroy - with everything that has not been taken.  NULL is allowed. */
void
push_tracer_destroy(struct push_tracer *tracer);

/*
 * push_tracer_begin - the span of a publish that begins now.
 *
 * @parent: of its traceparent; NULL: it has none.
 * Returns NULL where it is not traced.  push_tracer_end() takes it back; until then the caller may fill in
 * what push_span has about the publish.
 */
struct push_span *
push_tracer_begin(struct push_tracer *tracer, const struct push_trace *parent);

/* push_tracer_end - it ends at span->end_us, or now, where that is 0. */
void
push_tracer_end(struct push_tracer *tracer, struct push_span *span);

/*
 * push_tracer_deliver - a message of a traced publish is about to be delivered to a channel.
 *
 * @tracer: NULL: nothing is traced here, only where it was published.  @channel: NULL: there is none. Returns
 * NULL where nothing is traced; else push_tracer_delivered() follows behind push_hub_deliver() and its kin,
 * in the same call.  Where the hub is not tracked yet it is, in between.
 */
struct push_delivery *
push_tracer_deliver(struct push_tracer *tracer, struct push_hub *hub, const struct push_channel *channel,
	const struct push_trace *parent, size_t value_bytes);

/* push_tracer_delivered - NULL is allowed. */
void
push_tracer_delivered(struct push_tracer *tracer, struct push_hub *hub, struct push_delivery *delivery);

/* push_tracer_settle - end the spans of deliveries that are over; never from within a write. */
void
push_tracer_settle(struct push_tracer *tracer);

/* What is sent at once. */
struct push_trace_batch {
	struct push_list item;
	struct push_buf text;
	uint32_t count; /* spans */
	uint64_t since_us;
};

/*
 * push_tracer_take - the oldest batch that is due, or with `all` any that there is; NULL: none is.
 *
 * push_tracer_done() takes it back.
 */
struct push_trace_batch *
push_tracer_take(struct push_tracer *tracer, bool all);

/* push_tracer_done - so many of its spans were not taken by the collector, the others were. */
void
push_tracer_done(struct push_tracer *tracer, struct push_trace_batch *batch, uint64_t failed);

/* push_tracer_is_empty - whether nothing waits to be taken. */
bool
push_tracer_is_empty(const struct push_tracer *tracer);

#endif
