/* otlp.c - see otlp.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/jsonscan.h"
#include "core/utf8.h"
#include "trace/otlp.h"

/* opentelemetry-proto, Span.SpanKind and Status.StatusCode */
#define KIND_SERVER   2
#define KIND_CONSUMER 5
#define STATUS_ERROR  2

void
push_span_set_channel(struct push_span *span, const char *name, size_t size)
{
	span->channel_size = push_utf8_cut(name, size, sizeof(span->channel));
	memcpy(span->channel, name, span->channel_size);
}

/* --- attributes: `{"key":"k","value":{"stringValue":"v"}}` --- */

static void
append_key(struct push_buf *to, const char *key, bool is_first)
{
	push_buf_append_text(to, is_first ? "{\"key\":\"" : ",{\"key\":\"");
	push_buf_append_text(to, key);
	push_buf_append_text(to, "\",\"value\":{\"");
}

static void
append_text(struct push_buf *to, const char *key, const char *text, size_t size, bool is_first)
{
	append_key(to, key, is_first);
	push_buf_append_text(to, "stringValue\":");
	push_json_append_string(to, text, size);
	push_buf_append_text(to, "}}");
}

static void
append_number(struct push_buf *to, const char *key, uint64_t value)
{
	append_key(to, key, false);
	push_buf_printf(to, "intValue\":\"%" PRIu64 "\"}}", value);
}

static void
append_word(struct push_buf *to, const char *key, const char *word, bool is_first)
{
	append_text(to, key, word, strlen(word), is_first);
}

void
push_otlp_begin(struct push_buf *to, const char *service, const char *version, const char *instance)
{
	push_buf_append_text(to, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
	append_word(to, "service.name", service, true);
	append_word(to, "service.version", version, false);
	append_word(to, "service.instance.id", instance, false);
	push_buf_append_text(to, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"push\"},\"spans\":[");
}

void
push_otlp_end(struct push_buf *to)
{
	push_buf_append_text(to, "]}]}]}");
}

static void
append_hex(struct push_buf *to, const char *member, const unsigned char *bytes, size_t size)
{
	char digits[2 * PUSH_TRACE_ID_BYTES];

	push_hex_write(bytes, size, digits);
	push_buf_append_text(to, member);
	push_buf_append(to, digits, 2 * size);
	push_buf_append_text(to, "\",");
}

static void
append_publish(struct push_buf *to, const struct push_span *span)
{
	if (span->channel_count > 1)
		append_number(to, "push.channels", span->channel_count);
	append_number(to, "push.subscribers", span->subscribers);
	if (span->is_followed)
		append_number(to, "push.written", span->written);
	append_number(to, "http.response.status_code", span->http_status);
	if (span->http_status >= 400) {
		char status[12];

		snprintf(status, sizeof(status), "%u", span->http_status);
		append_word(to, "error.type", status, false);
	}
}

static void
append_delivery(struct push_buf *to, const struct push_span *span)
{
	append_number(to, "push.subscribers", span->subscribers);
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++) {
		char key[48];

		snprintf(key, sizeof(key), "push.subscribers.%s", push_encoding_label((enum push_encoding)e));
		append_number(to, key, span->by_encoding[e]);
	}
	append_number(to, "push.queued_bytes", span->queued_bytes);
	if (!span->is_followed)
		return;
	append_number(to, "push.written", span->written);
	append_number(to, "push.dropped", span->dropped);
}

static void
append_attributes(struct push_buf *to, const struct push_span *span)
{
	bool publishes = span->kind == PUSH_SPAN_PUBLISH;

	append_word(to, "messaging.system", "push", true);
	append_word(to, "messaging.operation.name", publishes ? "publish" : "deliver", false);
	append_word(to, "messaging.operation.type", publishes ? "send" : "process", false);
	if (span->channel_size)
		append_text(to, "messaging.destination.name", span->channel, span->channel_size, false);
	append_number(to, "messaging.message.body.size", span->value_bytes);
	if (publishes)
		append_publish(to, span);
	else
		append_delivery(to, span);
}

void
push_otlp_span(struct push_buf *to, const struct push_span *span, bool is_first, uint64_t wall_us)
{
	bool publishes = span->kind == PUSH_SPAN_PUBLISH;

	append_hex(to, is_first ? "{\"traceId\":\"" : ",{\"traceId\":\"", span->trace.trace_id,
		sizeof(span->trace.trace_id));
	append_hex(to, "\"spanId\":\"", span->trace.span_id, sizeof(span->trace.span_id));
	if (span->has_parent)
		append_hex(to, "\"parentSpanId\":\"", span->parent_id, sizeof(span->parent_id));
	push_buf_append_text(to, publishes ? "\"name\":\"publish" : "\"name\":\"deliver");
	push_buf_append_text(to, span->channel_size ? " " : "");
	push_json_append_escaped(to, span->channel, span->channel_size);
	push_buf_printf(to,
		"\",\"kind\":%d,\"flags\":%u,\"startTimeUnixNano\":\"%" PRIu64
		"000\",\"endTimeUnixNano\":\"%" PRIu64 "000\",\"attributes\":[",
		publishes ? KIND_SERVER : KIND_CONSUMER, span->trace.flags, span->start_us + wall_us,
		span->end_us + wall_us);
	append_attributes(to, span);
	push_buf_append_text(to, "]");
	/* of a server's span 4xx is the caller's error (semantic conventions, HTTP) */
	if (span->http_status >= 500)
		push_buf_printf(to, ",\"status\":{\"code\":%d}", STATUS_ERROR);
	push_buf_append_text(to, "}");
}

uint64_t
push_otlp_rejected(const char *body, size_t size)
{
	struct push_json_member partial = {.name = "partialSuccess"}, rejected = {.name = "rejectedSpans"};
	struct push_error error;
	uint64_t count = 0;

	if (push_json_scan_object(body, size, &partial, 1, &error) != PUSH_OK || !partial.text ||
		push_json_scan_object(partial.text, partial.size, &rejected, 1, &error) != PUSH_OK)
		return 0;
	/* a string or a number; of any other nothing is left that counts */
	for (size_t i = 0; rejected.text && i < rejected.size && count < PUSH_TRACE_BATCH_SPANS; i++)
		if (rejected.text[i] >= '0' && rejected.text[i] <= '9')
			count = count * 10 + (uint64_t)(rejected.text[i] - '0');
	return count;
}
