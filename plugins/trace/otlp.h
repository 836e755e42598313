/*
 * otlp.h - spans as OTLP/HTTP's JSON (opentelemetry-proto, trace/v1; ids are hexadecimal, 64-bit integers are
 * strings), with the names of OpenTelemetry's conventions for messaging.
 *
 *   begin  {"resourceSpans":[{"resource":{..},"scopeSpans":[{"scope":{..},"spans":[
 *   span      {..},{..}
 *   end    ]}]}]}
 *
 * A text of it is put together span by span as they end, so that to send a batch costs nothing but the
 * sending.
 */
#ifndef PUSH_TRACE_OTLP_H
#define PUSH_TRACE_OTLP_H

#include <stdbool.h>

#include "core/buf.h"
#include "core/encoding.h"
#include "core/traceparent.h"
#include "trace/limits.h"

enum push_span_kind {
	PUSH_SPAN_PUBLISH, /* from its message to the answer: OTLP's SERVER, the other end of a request */
	PUSH_SPAN_DELIVER, /* of one message to a node's subscribers, all of them: CONSUMER */
};

struct push_span {
	enum push_span_kind kind;
	bool has_parent;
	bool is_followed; /* `written` and `dropped` are known */
	struct push_trace trace;
	unsigned char parent_id[PUSH_SPAN_ID_BYTES];
	uint64_t start_us, end_us; /* of the monotonic clock */
	uint64_t value_bytes;      /* of the message */
	uint64_t subscribers, written, dropped;
	uint64_t queued_bytes; /* PUSH_SPAN_DELIVER: of all subscribers' frames */
	uint32_t by_encoding[PUSH_ENCODING_COUNT];
	uint32_t channel_count; /* PUSH_SPAN_PUBLISH: the first of them is `channel` */
	unsigned int http_status;
	size_t channel_size; /* 0: it is not known */
	char channel[PUSH_TRACE_NAME_BYTES_MAX];
};

/* push_span_set_channel - cut to PUSH_TRACE_NAME_BYTES_MAX; the name is valid UTF-8. */
void
push_span_set_channel(struct push_span *span, const char *name, size_t size);

/* push_otlp_begin - whose spans they are; valid UTF-8.  Failure shows in to->status, here and below. */
void
push_otlp_begin(struct push_buf *to, const char *service, const char *version, const char *instance);

/* push_otlp_span - @wall_us: what is to be added to the span's times to have those since 1970. */
void
push_otlp_span(struct push_buf *to, const struct push_span *span, bool is_first, uint64_t wall_us);

void
push_otlp_end(struct push_buf *to);

/* push_otlp_rejected - how many spans an answer with status 200 says were not taken ("partialSuccess"). */
uint64_t
push_otlp_rejected(const char *body, size_t size);

#endif
