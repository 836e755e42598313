/*
 * limits.h - the fixed limits of tracing, with their units, their reasons and what happens there.
 */
#ifndef PUSH_TRACE_LIMITS_H
#define PUSH_TRACE_LIMITS_H

#include "core/limits.h"

/* Traces that publishers begin, by a sampled `traceparent`, in a second: who sends it does not pay for it.
 * Past it a publish is not traced, and counted as a dropped span. */
#define PUSH_TRACE_ASKED_PER_S 1000u

/* Spans that have begun and not ended, of publishes under way and deliveries being written, 500 bytes each;
 * past it nothing is traced that begins. */
#define PUSH_TRACE_OPEN_MAX 4096u

/* Deliveries whose writes are followed, and the bytes of their frames, which are kept so long; the span of
 * any other ends when its message is in all queues. */
#define PUSH_TRACE_FOLLOWED_MAX       1024u
#define PUSH_TRACE_FOLLOWED_BYTES_MAX (16u * 1024 * 1024)

/* How long a delivery is followed: who has not read by then has a queue that fills up. */
#define PUSH_TRACE_DELIVERY_US 10000000ull

/* A batch goes out when it has so many spans or bytes, or when its first span has waited so long. */
#define PUSH_TRACE_BATCH_SPANS 512u
#define PUSH_TRACE_BATCH_BYTES (256u * 1024)
#define PUSH_TRACE_BATCH_US    1000000ull

/* ... and the buffer it has: one span more, whose name and channel are escaped. */
#define PUSH_TRACE_BATCH_BYTES_MAX (PUSH_TRACE_BATCH_BYTES + 16u * 1024)

/* Batches that wait for the collector, the one that is on its way and the one that grows among them: 4 MB,
 * and 8,192 spans.  Past it spans are dropped, the newest, and counted. */
#define PUSH_TRACE_BATCHES_MAX 16u

/* A channel's name in a span; longer ones are cut. */
#define PUSH_TRACE_NAME_BYTES_MAX 255

/* One exchange with the collector, from the lookup of its name to the end of its answer: what OTLP's own
 * exporters allow. */
#define PUSH_TRACE_EXCHANGE_US 10000000ull

/* Between two attempts: doubles from the first to the last, each drawn from its half to its whole, or as long
 * as the collector says (Retry-After), up to that. */
#define PUSH_TRACE_BACKOFF_FIRST_US  500000ull
#define PUSH_TRACE_BACKOFF_LAST_US   30000000ull
#define PUSH_TRACE_RETRY_AFTER_S_MAX 60u

/* A batch that cannot be sent for so long has failed: what is newer says more. */
#define PUSH_TRACE_BATCH_AGE_US 120000000ull

/* What is read of an answer's body, in which the collector says what it has not taken; of a longer one only the
 * status counts. */
#define PUSH_TRACE_BODY_BYTES_MAX 4096u

/* How long a process that has no other work any more stays for its last spans. */
#define PUSH_TRACE_LAST_US 2000000ull

#endif
