/*
 * What is traced, its text as a JSON parser reads it, and its bounds; a hub and its subscribers are real, the
 * clock and the collector are the test's.
 */
#include "unit.h"

#include "failing_alloc.h"
#include <json.h>
#include <stdio.h>

#include "core/channel.h"
#include "core/hub.h"
#include "core/subscriber.h"
#include "core/units.h"
#include "trace/tracer.h"

struct client {
	struct push_subscriber *subscriber;
	char got[4096];
	size_t size, room;
	bool closed;
};

#include "fake_transport.h"

#define WALL_US 1700000000000000ull

static uint64_t now = 1000000;
static unsigned char next_random;

static uint64_t
now_us(void)
{
	return now;
}

static uint64_t
wall_us(void)
{
	return now + WALL_US;
}

static void
count_up(void *to, size_t size)
{
	memset(to, ++next_random, size);
}

static struct push_options options;
static struct push_stats stats;

static struct push_tracer *
create(const char *ratio)
{
	const struct push_tracer_host host = {now_us, wall_us, count_up, "1.2.3", "node"};
	struct push_tracer *tracer;
	struct push_error error;

	push_options_init(&options);
	assert_int_equal(push_options_set(&options, "push.trace.ratio", ratio, &error), PUSH_OK);
	memset(&stats, 0, sizeof(stats));
	tracer = push_tracer_create(&options, &stats, &host);
	assert_non_null(tracer);
	return tracer;
}

static const struct push_trace sampled = {{1}, {2}, PUSH_TRACE_SAMPLED}, unsampled = {{1}, {2}, 0};

/* The spans of a batch, which is done with; the document is the caller's. */
static struct json_object *
take(struct push_tracer *tracer, struct json_object **ret_document)
{
	struct push_trace_batch *batch = push_tracer_take(tracer, true);
	struct json_object *spans;
	char *text;

	assert_non_null(batch);
	text = strndup(batch->text.bytes, batch->text.size);
	*ret_document = json_tokener_parse(text);
	assert_non_null(*ret_document);
	free(text);
	spans = json_object_array_get_idx(json_object_object_get(*ret_document, "resourceSpans"), 0);
	spans = json_object_array_get_idx(json_object_object_get(spans, "scopeSpans"), 0);
	spans = json_object_object_get(spans, "spans");
	assert_int_equal(json_object_array_length(spans), batch->count);
	push_tracer_done(tracer, batch, 0);
	return spans;
}

static const char *
member(struct json_object *span, const char *name)
{
	return json_object_get_string(json_object_object_get(span, name));
}

static const char *
attribute(struct json_object *span, const char *name)
{
	struct json_object *all = json_object_object_get(span, "attributes");

	for (size_t i = 0; i < json_object_array_length(all); i++) {
		struct json_object *one = json_object_array_get_idx(all, i), *value;

		if (strcmp(member(one, "key"), name) != 0)
			continue;
		value = json_object_object_get(one, "value");
		return member(value, "stringValue") ? member(value, "stringValue")
						    : member(value, "intValue");
	}
	return "";
}

static void
a_publish_says_what_it_was(void **state)
{
	static const char name[] = "a\"\\\n\x01\xc3\xbc";
	struct push_tracer *tracer = create("0");
	struct push_span *span = push_tracer_begin(tracer, &sampled);
	struct json_object *document, *spans;

	(void)state;
	push_span_set_channel(span, name, sizeof(name) - 1);
	span->http_status = 503;
	span->subscribers = UINT64_MAX;
	span->channel_count = 2;
	now += 5;
	push_tracer_end(tracer, span);
	spans = take(tracer, &document);
	span = NULL;
	spans = json_object_array_get_idx(spans, 0);
	assert_string_equal(member(spans, "name"), "publish a\"\\\n\x01\xc3\xbc");
	assert_string_equal(member(spans, "traceId"), "01000000000000000000000000000000");
	assert_string_equal(member(spans, "parentSpanId"), "0200000000000000");
	assert_int_equal(strlen(member(spans, "spanId")), 16);
	assert_string_equal(member(spans, "kind"), "2");
	assert_string_equal(member(spans, "startTimeUnixNano"), "1700000001000000000");
	assert_string_equal(member(spans, "endTimeUnixNano"), "1700000001000005000");
	assert_string_equal(attribute(spans, "push.subscribers"), "18446744073709551615");
	assert_string_equal(attribute(spans, "push.channels"), "2");
	assert_string_equal(attribute(spans, "messaging.destination.name"), name);
	assert_string_equal(attribute(spans, "error.type"), "503");
	assert_string_equal(member(json_object_object_get(spans, "status"), "code"), "2");
	json_object_put(document);
	push_tracer_destroy(tracer);
	assert_int_equal(stats.trace_spans[PUSH_TRACE_EXPORTED], 1);
}

static void
a_long_name_is_cut_between_two_letters(void **state)
{
	struct push_tracer *tracer = create("0");
	struct push_span *span = push_tracer_begin(tracer, &sampled);
	struct json_object *document, *spans;
	char name[1000];

	(void)state;
	memset(name, 'x', sizeof(name));
	memcpy(name + PUSH_TRACE_NAME_BYTES_MAX - 1, "\xc3\xbc", 2);
	push_span_set_channel(span, name, sizeof(name));
	assert_int_equal(span->channel_size, PUSH_TRACE_NAME_BYTES_MAX - 1);
	push_tracer_end(tracer, span);
	spans = take(tracer, &document);
	assert_int_equal(strlen(member(json_object_array_get_idx(spans, 0), "name")), 8 + 254);
	json_object_put(document);
	push_tracer_destroy(tracer);
}

static void
the_flag_decides_and_without_one_the_ratio(void **state)
{
	static const struct {
		const char *ratio;
		unsigned int least, most;
	} rows[] = {{"0", 0, 0}, {"1", 10000, 10000}, {"0.01", 50, 160}, {"0.5", 4700, 5300}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_tracer *tracer = create(rows[i].ratio);
		unsigned int count = 0;

		assert_null(push_tracer_begin(tracer, &unsampled));
		for (int j = 0; j < 10000; j++) {
			struct push_span *span = push_tracer_begin(tracer, NULL);

			if (!span)
				continue;
			count++;
			assert_false(span->has_parent);
			assert_int_equal(span->trace.flags, PUSH_TRACE_SAMPLED | PUSH_TRACE_RANDOM);
			push_tracer_end(tracer, span);
			while (!push_tracer_is_empty(tracer))
				push_tracer_done(tracer, push_tracer_take(tracer, true), 0);
		}
		assert_in_range(count, rows[i].least, rows[i].most);
		assert_int_equal(stats.trace_spans[PUSH_TRACE_EXPORTED], count);
		push_tracer_destroy(tracer);
	}
}

static unsigned int
ask(struct push_tracer *tracer, unsigned int times)
{
	unsigned int count = 0;

	while (times--) {
		struct push_span *span = push_tracer_begin(tracer, &sampled);

		if (span)
			push_tracer_end(tracer, span);
		count += span != NULL;
		while (!push_tracer_is_empty(tracer))
			push_tracer_done(tracer, push_tracer_take(tracer, true), 0);
	}
	return count;
}

static void
so_many_may_be_asked_for_in_a_second_and_no_more(void **state)
{
	struct push_tracer *tracer = create("0");

	(void)state;
	assert_int_equal(ask(tracer, 3000), PUSH_TRACE_ASKED_PER_S);
	assert_int_equal(stats.trace_spans[PUSH_TRACE_DROPPED], 2000);
	now += 10000;
	assert_int_equal(ask(tracer, 100), PUSH_TRACE_ASKED_PER_S / 100);
	now += 3600000000ull;
	assert_int_equal(ask(tracer, 3000), PUSH_TRACE_ASKED_PER_S);
	push_tracer_destroy(tracer);
}

static void
what_nobody_takes_is_bounded(void **state)
{
	struct push_tracer *tracer = create("1");
	uint64_t begun = 0, taken = 0;
	struct push_span *span;

	(void)state;
	while ((span = push_tracer_begin(tracer, NULL))) {
		begun++;
		push_tracer_end(tracer, span);
	}
	assert_int_equal(stats.trace_spans[PUSH_TRACE_DROPPED], 1);
	assert_in_range(begun, 4000, PUSH_TRACE_BATCHES_MAX * PUSH_TRACE_BATCH_SPANS);
	for (struct push_trace_batch *batch; (batch = push_tracer_take(tracer, true));) {
		assert_true(batch->count <= PUSH_TRACE_BATCH_SPANS);
		assert_true(batch->text.size < PUSH_TRACE_BATCH_BYTES + 4096);
		taken += batch->count;
		push_tracer_done(tracer, batch, 1000000);
	}
	assert_int_equal(taken, begun);
	assert_int_equal(stats.trace_spans[PUSH_TRACE_FAILED], begun);
	/* and there is room again */
	push_tracer_end(tracer, push_tracer_begin(tracer, NULL));
	push_tracer_destroy(tracer);
}

static void
spans_that_do_not_end_are_bounded(void **state)
{
	struct push_tracer *tracer = create("1");
	static struct push_span *spans[PUSH_TRACE_OPEN_MAX];

	(void)state;
	for (size_t i = 0; i < PUSH_TRACE_OPEN_MAX; i++)
		assert_non_null(spans[i] = push_tracer_begin(tracer, NULL));
	assert_null(push_tracer_begin(tracer, NULL));
	for (size_t i = 0; i < PUSH_TRACE_OPEN_MAX; i++)
		push_tracer_end(tracer, spans[i]);
	assert_true(stats.trace_spans[PUSH_TRACE_DROPPED] >= 1);
	push_tracer_destroy(tracer);
}

static void
a_batch_waits_for_a_second_or_until_it_is_full(void **state)
{
	struct push_tracer *tracer = create("1");

	(void)state;
	push_tracer_end(tracer, push_tracer_begin(tracer, NULL));
	assert_null(push_tracer_take(tracer, false));
	now += PUSH_TRACE_BATCH_US;
	push_tracer_done(tracer, push_tracer_take(tracer, false), 0);
	assert_null(push_tracer_take(tracer, true));
	for (size_t i = 0; i < PUSH_TRACE_BATCH_SPANS; i++)
		push_tracer_end(tracer, push_tracer_begin(tracer, NULL));
	push_tracer_done(tracer, push_tracer_take(tracer, false), 0);
	push_tracer_destroy(tracer);
}

/* --- deliveries --- */

static void
on_ready(void *context)
{
	(void)context;
}

static void
come(struct client *client, struct push_hub *hub, enum push_encoding encoding)
{
	struct push_channels channels;
	struct push_error error;

	*client = (struct client){.room = SIZE_MAX};
	client->subscriber = push_subscriber_create(hub, encoding, &fake, client);
	assert_int_equal(push_channels_parse(&channels, "a", 1, &options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	push_subscriber_start(client->subscriber, now);
	while (push_hub_flush(hub, now, 1))
		;
}

static void
deliver(struct push_tracer *tracer, struct push_hub *hub, const char *channel, const char *value)
{
	struct push_delivery *delivery = push_tracer_deliver(
		tracer, hub, push_hub_find(hub, channel, strlen(channel)), &sampled, strlen(value));
	uint64_t count = 0;

	(void)!push_hub_deliver(hub, channel, strlen(channel), value, strlen(value), 0, now, &count);
	push_tracer_delivered(tracer, hub, delivery);
}

static void
a_delivery_ends_when_the_last_has_it(void **state)
{
	struct push_tracer *tracer = create("0");
	struct push_hub *hub = push_hub_create(&options, &stats, 1, now, on_ready, NULL);
	struct client clients[3];
	struct json_object *document, *span;

	(void)state;
	for (int i = 0; i < 3; i++)
		come(&clients[i], hub, i ? PUSH_ENCODING_SSE : PUSH_ENCODING_WS);
	deliver(tracer, hub, "nobody", "1"); /* no span */
	deliver(tracer, hub, "a", "\"hello\"");
	push_tracer_settle(tracer);
	assert_true(push_tracer_is_empty(tracer));
	now += 70;
	while (push_hub_flush(hub, now, 1))
		;
	push_tracer_settle(tracer);
	span = json_object_array_get_idx(take(tracer, &document), 0);
	assert_string_equal(member(span, "name"), "deliver a");
	assert_string_equal(member(span, "kind"), "5");
	assert_string_equal(attribute(span, "push.subscribers"), "3");
	assert_string_equal(attribute(span, "push.subscribers.ws"), "1");
	assert_string_equal(attribute(span, "push.subscribers.sse"), "2");
	assert_string_equal(attribute(span, "push.written"), "3");
	assert_string_equal(attribute(span, "push.dropped"), "0");
	assert_int_equal(json_object_get_uint64(json_object_object_get(span, "endTimeUnixNano")) -
				 json_object_get_uint64(json_object_object_get(span, "startTimeUnixNano")),
		70000);
	json_object_put(document);
	for (int i = 0; i < 3; i++)
		push_subscriber_destroy(clients[i].subscriber);
	push_tracer_destroy(tracer);
	push_hub_destroy(hub);
}

static void
who_does_not_read_is_not_waited_for_for_ever(void **state)
{
	struct push_tracer *tracer = create("0");
	struct push_hub *hub = push_hub_create(&options, &stats, 1, now, on_ready, NULL);
	struct client client;
	struct json_object *document, *span;

	(void)state;
	come(&client, hub, PUSH_ENCODING_SSE);
	client.room = 0;
	deliver(tracer, hub, "a", "1");
	while (push_hub_flush(hub, now, 1))
		;
	now += PUSH_TRACE_DELIVERY_US - 1;
	push_tracer_settle(tracer);
	assert_true(push_tracer_is_empty(tracer));
	now++;
	push_tracer_settle(tracer);
	span = json_object_array_get_idx(take(tracer, &document), 0);
	assert_string_equal(attribute(span, "push.written"), "0");
	json_object_put(document);
	deliver(tracer, hub, "a", "2"); /* one that is still open when everything ends */
	push_tracer_destroy(tracer);
	push_subscriber_destroy(client.subscriber);
	push_hub_destroy(hub);
}

static void
where_memory_is_out_spans_are_dropped_and_counted(void **state)
{
	(void)state;
	for (long left = 0; left < 12; left++) {
		struct push_tracer *tracer = create("1");
		struct push_hub *hub = push_hub_create(&options, &stats, 1, now, on_ready, NULL);
		struct client client;
		struct push_trace_batch *batch;
		struct push_span *span;
		uint64_t ends = 0;

		come(&client, hub, PUSH_ENCODING_SSE);
		allocations_left = left;
		span = push_tracer_begin(tracer, NULL);
		if (span)
			push_tracer_end(tracer, span);
		deliver(tracer, hub, "a", "1");
		while (push_hub_flush(hub, now, 1))
			;
		push_tracer_settle(tracer);
		allocations_left = -1;
		while ((batch = push_tracer_take(tracer, true)))
			push_tracer_done(tracer, batch, 0);
		for (int i = 0; i < PUSH_TRACE_RESULT_COUNT; i++)
			ends += stats.trace_spans[i];
		assert_int_equal(ends, 2);
		push_subscriber_destroy(client.subscriber);
		push_tracer_destroy(tracer);
		push_hub_destroy(hub);
	}
}

static void
a_span_that_memory_ends_in_does_not_spoil_the_others(void **state)
{
	struct push_tracer *tracer = create("1");
	struct json_object *document;
	uint64_t kept = 0;
	static struct push_span *spans[64];

	(void)state;
	for (size_t i = 0; i < COUNT(spans); i++)
		assert_non_null(spans[i] = push_tracer_begin(tracer, NULL));
	for (size_t i = 0; i < COUNT(spans); i++) {
		if (i == 1)
			allocations_left = 0;
		push_tracer_end(tracer, spans[i]);
		kept += !stats.trace_spans[PUSH_TRACE_DROPPED];
	}
	allocations_left = -1;
	assert_in_range(kept, 1, COUNT(spans) - 1);
	assert_int_equal(json_object_array_length(take(tracer, &document)), kept);
	json_object_put(document);
	push_tracer_destroy(tracer);
}

static void
a_tracer_without_memory_is_none(void **state)
{
	const struct push_tracer_host host = {now_us, wall_us, count_up, "1", "node"};

	(void)state;
	push_options_init(&options);
	allocations_left = 0;
	assert_null(push_tracer_create(&options, &stats, &host));
	allocations_left = -1;
}

static void
what_a_collector_did_not_take_is_read(void **state)
{
	static const struct {
		const char *body;
		uint64_t rejected;
	} rows[] = {
		{"", 0},
		{"{}", 0},
		{"{\"partialSuccess\":{}}", 0},
		{"{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}", 3},
		{"{\"partialSuccess\":{\"rejectedSpans\":4,\"errorMessage\":\"x\"}}", 4},
		{"{\"partialSuccess\":{\"rejectedSpans\":\"x\"}}", 0},
		{"{\"partialSuccess\":3}", 0},
		{"{\"partialSuccess\":null}", 0},
		{"[]", 0},
		{"{\"partialSuccess\":{\"rejectedSpans\":\"3\"}", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(push_otlp_rejected(rows[i].body, strlen(rows[i].body)), rows[i].rejected);
	/* no number is too large to be counted with */
	assert_true(push_otlp_rejected("{\"partialSuccess\":{\"rejectedSpans\":\"99999999999999999999999\"}}",
			    62) >= PUSH_TRACE_BATCH_SPANS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_publish_says_what_it_was),
		cmocka_unit_test(a_long_name_is_cut_between_two_letters),
		cmocka_unit_test(the_flag_decides_and_without_one_the_ratio),
		cmocka_unit_test(so_many_may_be_asked_for_in_a_second_and_no_more),
		cmocka_unit_test(what_nobody_takes_is_bounded),
		cmocka_unit_test(spans_that_do_not_end_are_bounded),
		cmocka_unit_test(a_batch_waits_for_a_second_or_until_it_is_full),
		cmocka_unit_test(a_delivery_ends_when_the_last_has_it),
		cmocka_unit_test(who_does_not_read_is_not_waited_for_for_ever),
		cmocka_unit_test(where_memory_is_out_spans_are_dropped_and_counted),
		cmocka_unit_test(a_span_that_memory_ends_in_does_not_spoil_the_others),
		cmocka_unit_test(a_tracer_without_memory_is_none),
		cmocka_unit_test(what_a_collector_did_not_take_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
