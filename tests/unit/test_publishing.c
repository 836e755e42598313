/*
 * A publish request, a stream of lines, a request that is repeated: with an engine that answers when the test
 * says so.  Whatever the order of the answers and wherever memory ends, each request has one answer, each
 * line one in its place, and nothing is left behind.
 */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>

#include "broker/lines.h"
#include "broker/publishing.h"
#include "core/buf.h"
#include "core/limits.h"
#include "core/values.h"
#include "trace/tracer.h"

#define PENDING_MAX 2048

struct pending {
	push_publish_done_fn done;
	void *context;
};

struct world {
	struct push_engine engine; /* first */
	struct push_options options;
	struct push_stats stats;
	struct push_memory memory;
	struct push_publisher publisher;
	struct push_values *values;
	struct pending pending[PENDING_MAX];
	size_t pending_count;
	char once[8][PUSH_ONCE_BYTES_MAX + 1]; /* of the first ones */
	bool is_async;
	enum push_status status;
	struct push_buf published; /* "channel=value " of each */
	/* the answer */
	unsigned int answers, answer_status;
	struct push_buf answer;
	unsigned int readies;
};

static uint64_t
now_us(void)
{
	return 1000000;
}

static void
fake_publish(struct push_engine *engine, const struct push_publication *publication, uint64_t now,
	push_publish_done_fn done, void *context)
{
	struct world *world = (struct world *)engine;

	(void)now;
	push_buf_append(&world->published, publication->channel, publication->channel_size);
	push_buf_append_text(&world->published, "=");
	push_buf_append(&world->published, publication->value, publication->value_size);
	push_buf_append_text(&world->published, " ");
	if (!world->is_async) {
		done(context, world->status, world->status == PUSH_OK ? 1 : 0);
		return;
	}
	assert_true(world->pending_count < PENDING_MAX);
	if (publication->once && world->pending_count < 8)
		memcpy(world->once[world->pending_count], publication->once, publication->once_size);
	world->pending[world->pending_count++] = (struct pending){done, context};
}

static void
fake_put(struct push_engine *engine, const char *name, size_t name_size, const char *value, size_t size,
	uint64_t ttl_us, bool only_if_new, uint64_t now, push_value_done_fn done, void *context)
{
	struct world *world = (struct world *)engine;
	const char *before;
	size_t before_size;

	if (only_if_new &&
		push_values_get(world->values, name, name_size, now, &before, &before_size) == PUSH_OK)
		done(context, PUSH_OK, before, before_size);
	else
		done(context, push_values_put(world->values, name, name_size, value, size, ttl_us, now), NULL,
			0);
}

static void
on_wake(void *context)
{
	(void)context;
}

static struct world *
create_world(void)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->engine = (struct push_engine){.publish = fake_publish, .value_put = fake_put};
	push_options_init(&world->options);
	push_memory_init(&world->memory);
	world->publisher = (struct push_publisher){.engine = &world->engine,
		.options = &world->options,
		.stats = &world->stats,
		.memory = &world->memory,
		.now_us = now_us,
		.wake = on_wake};
	push_publisher_init(&world->publisher);
	world->values = push_values_create(1, NULL, now_us());
	push_buf_init(&world->published, SIZE_MAX);
	push_buf_init(&world->answer, SIZE_MAX);
	return world;
}

static void
destroy_world(struct world *world)
{
	push_publisher_fini(&world->publisher);
	push_values_destroy(world->values);
	push_buf_fini(&world->published);
	push_buf_fini(&world->answer);
	free(world);
}

static void
on_answer(void *context, const struct push_answer *answer)
{
	struct world *world = context;

	world->answers++;
	world->answer_status = answer->status;
	push_buf_clear(&world->answer);
	push_buf_append(&world->answer, answer->body, answer->size);
}

static void
ask(struct world *world, const char *body, const char *key)
{
	world->answers = 0;
	push_publisher_publish(&world->publisher,
		&(struct push_publish_request){
			.body = body, .size = strlen(body), .key = key, .key_size = key ? strlen(key) : 0, .identity = push_identity_everybody()},
		on_answer, world);
}

static void
complete(struct world *world, size_t index, enum push_status status, uint64_t subscribers)
{
	struct pending pending = world->pending[index];

	assert_true(index < world->pending_count);
	world->pending[index] = (struct pending){NULL, NULL};
	pending.done(pending.context, status, subscribers);
}

static void
assert_answer(const struct world *world, unsigned int status, const char *body)
{
	assert_int_equal(world->answers, 1);
	assert_int_equal(world->answer_status, status);
	assert_int_equal(world->answer.size, strlen(body));
	assert_memory_equal(world->answer.bytes, body, strlen(body));
}

static void
assert_published(const struct world *world, const char *expected)
{
	assert_int_equal(world->published.size, strlen(expected));
	if (*expected)
		assert_memory_equal(world->published.bytes, expected, strlen(expected));
}

static void
answers_stand_in_the_order_of_the_messages_whatever_comes_first(void **state)
{
	struct world *world = create_world();

	(void)state;
	world->is_async = true;
	ask(world,
		"[{\"channel\":\"a\",\"message\":1},{},{\"channels\":[\"b\",\"c\"],\"message\":2},"
		"{\"channel\":\"d\",\"message\":3}]",
		NULL);
	assert_published(world, "a=1 b=2 c=2 d=3 ");
	complete(world, 3, PUSH_UNAVAILABLE, 0);
	complete(world, 1, PUSH_OK, 5);
	complete(world, 0, PUSH_OK, 1);
	assert_int_equal(world->answers, 0);
	complete(world, 2, PUSH_OK, 7);
	assert_answer(world, 202,
		"[{\"subscribers\":1},{\"error\":\"'message' is "
		"missing\",\"status\":400},{\"subscribers\":12},"
		"{\"error\":\"the broker cannot be reached\",\"status\":503}]");
	assert_int_equal(world->stats.published, 3);
	destroy_world(world);
}

static void
of_many_channels_it_is_said_how_far_it_came(void **state)
{
	struct world *world = create_world();

	(void)state;
	world->is_async = true;
	ask(world, "{\"channels\":[\"a\",\"b\",\"c\"],\"message\":1}", NULL);
	complete(world, 0, PUSH_OK, 1);
	complete(world, 2, PUSH_REFUSED, 0);
	complete(world, 1, PUSH_OK, 1);
	assert_answer(
		world, 503, "{\"error\":\"the broker refused the message: published to 2 of 3 channels\"}");
	destroy_world(world);
}

static void
a_repeat_while_the_first_is_under_way_is_a_conflict(void **state)
{
	struct world *world = create_world();
	static const char body[] = "{\"channel\":\"a\",\"message\":1}";

	(void)state;
	world->is_async = true;
	ask(world, body, "key");
	ask(world, body, "key");
	assert_int_equal(world->answer_status, 409);
	complete(world, 0, PUSH_OK, 4);
	assert_int_equal(world->answer_status, 202);
	ask(world, body, "key");
	assert_answer(world, 202, "{\"subscribers\":4}");
	assert_published(world, "a=1 ");
	destroy_world(world);
}

static void
a_key_is_kept_where_it_may_have_been_published_and_only_there(void **state)
{
	static const struct {
		enum push_status status;
		bool kept;
	} rows[] = {
		{PUSH_OK, true}, {PUSH_UNCERTAIN, true}, {PUSH_UNAVAILABLE, false}, {PUSH_REFUSED, false}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct world *world = create_world();

		world->status = rows[i].status;
		ask(world, "{\"channel\":\"a\",\"message\":1}", "key");
		assert_int_equal(push_values_count(world->values), rows[i].kept);
		ask(world, "{\"channel\":\"a\",\"message\":1}", "key");
		assert_published(world, rows[i].kept ? "a=1 " : "a=1 a=1 ");
		destroy_world(world);
	}
}

/* Nobody else answers. */
static void
fake_call(struct push_engine *engine, const char *node, size_t node_size, const char *verb, const char *text,
	size_t size, uint64_t now, push_value_done_fn done, void *context)
{
	(void)engine;
	(void)node;
	(void)node_size;
	(void)verb;
	(void)text;
	(void)size;
	(void)now;
	done(context, PUSH_UNAVAILABLE, NULL, 0);
}

static void
an_engine_that_publishes_once_lets_a_repeat_do_what_is_not_done(void **state)
{
	static const char body[] = "[{\"channel\":\"a\",\"message\":1},{\"channel\":\"b\",\"message\":2}]";
	static const enum push_status failures[] = {PUSH_UNCERTAIN, PUSH_UNAVAILABLE, PUSH_REFUSED};

	(void)state;
	for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++) {
		struct world *world = create_world();

		world->engine.can_publish_once = world->is_async = true;
		world->engine.node = "0123456789abcdef";
		world->engine.call = fake_call;
		ask(world, body, "key");
		ask(world, body, "key");
		assert_int_equal(world->answer_status, 409);
		complete(world, 0, PUSH_OK, 1);
		complete(world, 1, failures[i], 0);
		assert_int_equal(world->answer_status, 202);
		/* the same ids, and in the end the answer is kept */
		ask(world, body, "key");
		complete(world, 2, PUSH_OK, 1);
		complete(world, 3, PUSH_OK, 2);
		assert_int_equal(world->pending_count, 4);
		ask(world, body, "key");
		assert_int_equal(world->answers, 1);
		assert_int_equal(world->pending_count, 4);
		assert_string_equal(world->once[0], world->once[2]);
		assert_string_equal(world->once[1], world->once[3]);
		assert_string_not_equal(world->once[0], world->once[1]);
		/* a key that somebody else may have used is not free for another body */
		ask(world, "{\"channel\":\"a\",\"message\":1}", "key");
		assert_int_equal(world->answer_status, 422);
		destroy_world(world);
	}
}

static void
when_memory_is_out_there_is_one_answer_and_nothing_is_left(void **state)
{
	static const char *const bodies[] = {"{\"channel\":\"a\",\"message\":1}",
		"[{\"channel\":\"a\",\"message\":1},{},{\"channels\":[\"b\",\"c\"],\"message\":[2, 3]}]",
		"["};

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(bodies); i++)
		for (long limit = 0; limit < 40; limit++) {
			struct world *world = create_world();

			push_buf_append(&world->published, "                                ", 32);
			push_buf_append(&world->answer, "                                ", 32);
			allocations_left = limit;
			ask(world, bodies[i / 2], i % 2 ? "key" : NULL);
			allocations_left = -1;
			assert_int_equal(world->answers, 1);
			assert_in_range(world->answer_status, 202, 503);
			destroy_world(world);
		}
}

/* --- lines --- */

static void
on_ready(void *context)
{
	((struct world *)context)->readies++;
}

static struct push_lines *
create_lines(struct world *world)
{
	struct push_lines *lines = push_lines_create(&world->publisher, on_ready, world);

	if (lines)
		push_lines_set_identity(lines, push_identity_everybody());
	return lines;
}

static void
feed(struct push_lines *lines, const char *text)
{
	push_lines_feed(lines, text, strlen(text));
}

static void
assert_lines(struct push_lines *lines, const char *expected)
{
	struct push_buf *answers = push_lines_answers(lines);

	assert_int_equal(answers->status, PUSH_OK);
	assert_int_equal(answers->size, strlen(expected));
	if (*expected)
		assert_memory_equal(answers->bytes, expected, strlen(expected));
	push_buf_clear(answers);
}

static void
lines_are_answered_in_order_however_they_are_cut(void **state)
{
	static const char text[] =
		"{\"channel\":\"a\",\"message\":1}\n\n \r\n{\"channel\":\"b\",\"message\":2}\r\n"
		"[]\n{\"channel\":\"c\",\"message\":3}";

	(void)state;
	for (size_t size = 1; size <= sizeof(text); size++) {
		struct world *world = create_world();
		struct push_lines *lines = create_lines(world);

		for (size_t at = 0; at < sizeof(text) - 1; at += size)
			push_lines_feed(lines, text + at,
				sizeof(text) - 1 - at < size ? sizeof(text) - 1 - at : size);
		assert_published(world, "a=1 b=2 ");
		assert_false(push_lines_is_over(lines));
		push_lines_end(lines);
		assert_true(push_lines_is_over(lines));
		assert_published(world, "a=1 b=2 c=3 ");
		assert_lines(lines, "{\"subscribers\":1}\n{\"subscribers\":1}\n{\"error\":\"not a JSON "
				    "object\",\"status\":400}\n{\"subscribers\":1}\n");
		assert_int_equal(world->readies, 0);
		push_lines_destroy(lines);
		destroy_world(world);
	}
}

static void
a_window_of_lines_waits_and_no_more_are_published(void **state)
{
	struct world *world = create_world();
	struct push_lines *lines = create_lines(world);

	(void)state;
	world->is_async = true;
	for (int i = 0; i < PUSH_LINES_UNANSWERED_MAX + 10; i++)
		feed(lines, "{\"channel\":\"a\",\"message\":1}\n");
	assert_int_equal(world->pending_count, PUSH_LINES_UNANSWERED_MAX);
	assert_true(push_lines_is_full(lines));
	push_lines_end(lines);
	/* the second is over first, and waits for the first one's answer */
	complete(world, 1, PUSH_OK, 2);
	assert_lines(lines, "");
	assert_int_equal(world->pending_count, PUSH_LINES_UNANSWERED_MAX);
	complete(world, 0, PUSH_OK, 1);
	assert_lines(lines, "{\"subscribers\":1}\n{\"subscribers\":2}\n");
	assert_int_equal(world->pending_count, PUSH_LINES_UNANSWERED_MAX + 2);
	assert_true(world->readies > 0);
	for (size_t i = 2; i < PUSH_LINES_UNANSWERED_MAX + 10; i++)
		complete(world, i, PUSH_OK, 0);
	assert_true(push_lines_is_over(lines));
	push_lines_destroy(lines);
	destroy_world(world);
}

static void
who_has_gone_away_leaves_nothing_behind(void **state)
{
	struct world *world = create_world();
	struct push_lines *lines = create_lines(world);

	(void)state;
	world->is_async = true;
	for (int i = 0; i < PUSH_LINES_UNANSWERED_MAX + 10; i++)
		feed(lines, "{\"channel\":\"a\",\"message\":1}\n");
	push_lines_destroy(lines);
	for (size_t i = 0; i < PUSH_LINES_UNANSWERED_MAX; i++)
		complete(world, i, PUSH_OK, 0);
	assert_int_equal(world->pending_count, PUSH_LINES_UNANSWERED_MAX);
	assert_int_equal(world->readies, 0);
	destroy_world(world);
}

static void
a_line_over_the_limit_is_an_error_and_the_next_one_is_none(void **state)
{
	char long_line[200], text[200];
	size_t head = strlen("{\"channel\":\"a\",\"message\":\"\"}");

	(void)state;
	for (size_t over = 0; over <= 1; over++)
		for (size_t cut = 1; cut < 110; cut += 7) {
			struct world *world = create_world();
			struct push_lines *lines = create_lines(world);
			const char *answer = over ? "{\"error\":\"the line is over push.message.max.size\","
						    "\"status\":413}\n"
						  : "{\"subscribers\":1}\n";

			world->options.message_bytes_max = 100;
			push_lines_destroy(lines);
			lines = create_lines(world);
			memset(text, 'x', sizeof(text));
			snprintf(long_line, sizeof(long_line), "{\"channel\":\"a\",\"message\":\"%.*s\"}\n",
				(int)(100 - head + over), text);
			for (size_t at = 0; at < strlen(long_line); at += cut)
				push_lines_feed(lines, long_line + at,
					strlen(long_line) - at < cut ? strlen(long_line) - at : cut);
			assert_lines(lines, answer);
			feed(lines, "{\"channel\":\"a\",\"message\":1}\n");
			assert_lines(lines, "{\"subscribers\":1}\n");
			/* and without its end */
			push_lines_feed(lines, long_line, strlen(long_line) - 1);
			push_lines_end(lines);
			assert_lines(lines, answer);
			assert_true(push_lines_is_over(lines));
			push_lines_destroy(lines);
			destroy_world(world);
		}
}

static void
when_memory_is_out_a_line_has_an_error_or_the_stream_does(void **state)
{
	(void)state;
	for (long limit = 0; limit < 40; limit++) {
		struct world *world = create_world();
		struct push_lines *lines;

		push_buf_append(&world->published, "                                ", 32);
		allocations_left = limit;
		lines = create_lines(world);
		if (lines) {
			feed(lines, "{\"channel\":\"a\",");
			feed(lines, "\"message\":1}\n{}\n");
			feed(lines, "{\"channels\":[\"a\",\"b\"],\"message\":[1, 2]}");
			push_lines_end(lines);
			assert_true(push_lines_is_over(lines));
		}
		allocations_left = -1;
		push_lines_destroy(lines);
		destroy_world(world);
	}
}

/* --- traces --- */

static void
count_up(void *to, size_t size)
{
	static unsigned char last;

	memset(to, ++last, size);
}

static const struct push_trace parent = {{1}, {2}, PUSH_TRACE_SAMPLED};

static struct world *
create_traced_world(void)
{
	const struct push_tracer_host host = {now_us, now_us, count_up, "1", "node"};
	struct world *world = create_world();

	strcpy(world->options.trace_url, "http://collector");
	world->options.trace_ratio = 0;
	world->publisher.tracer = push_tracer_create(&world->options, &world->stats, &host);
	assert_non_null(world->publisher.tracer);
	return world;
}

/* How many spans there are, of which as many have `text`. */
static void
assert_spans(struct world *world, unsigned int spans, const char *text, unsigned int count)
{
	struct push_trace_batch *batch = push_tracer_take(world->publisher.tracer, true);
	unsigned int found = 0;

	assert_int_equal(batch ? batch->count : 0, spans);
	if (!batch)
		return;
	for (const char *at = batch->text.bytes, *end = at + batch->text.size;
		(at = memmem(at, (size_t)(end - at), text, strlen(text))); at++)
		found++;
	assert_int_equal(found, count);
	push_tracer_done(world->publisher.tracer, batch, 0);
}

static void
destroy_traced_world(struct world *world)
{
	push_publisher_fini(&world->publisher);
	push_tracer_destroy(world->publisher.tracer);
	destroy_world(world);
}

static void
each_message_of_a_traced_request_has_a_span_that_says_its_end(void **state)
{
	static const char body[] = "[{\"channel\":\"a\",\"message\":1},{},{\"channel\":\"b\",\"message\":2,"
				   "\"traceparent\":\"00-99999999999999999999999999999999-"
				   "8888888888888888-01\"},"
				   "{\"channel\":\"c\",\"message\":3,\"traceparent\":"
				   "\"00-99999999999999999999999999999999-8888888888888888-00\"}]";
	const struct push_publish_request request = {
		.body = body, .size = sizeof(body) - 1, .parent = &parent, .identity = push_identity_everybody()};
	struct world *world = create_traced_world();

	(void)state;
	world->is_async = true;
	push_publisher_publish(&world->publisher, &request, on_answer, world);
	/* the one that was wrong has ended; what says of itself that it is not sampled has none */
	assert_spans(world, 1, "\"stringValue\":\"400\"", 1);
	complete(world, 1, PUSH_UNAVAILABLE, 0);
	assert_spans(world, 1, "\"stringValue\":\"503\"", 1);
	complete(world, 0, PUSH_OK, 7);
	complete(world, 2, PUSH_OK, 7);
	assert_spans(world, 1, "\"parentSpanId\":\"0200000000000000\"", 1);
	assert_int_equal(world->answers, 1);
	destroy_traced_world(world);
}

static void
a_repeat_that_publishes_nothing_has_no_span(void **state)
{
	static const char body[] = "{\"channel\":\"a\",\"message\":1}";
	const struct push_publish_request request = {
		.body = body, .size = sizeof(body) - 1, .key = "k", .key_size = 1, .parent = &parent, .identity = push_identity_everybody()};
	struct world *world = create_traced_world();

	(void)state;
	push_publisher_publish(&world->publisher, &request, on_answer, world);
	assert_spans(world, 1, "publish a", 1);
	push_publisher_publish(&world->publisher, &request, on_answer, world);
	assert_int_equal(world->answers, 2);
	assert_spans(world, 0, "", 0);
	destroy_traced_world(world);
}

static void
each_line_of_a_traced_stream_has_a_span_and_who_has_gone_has_it_all_the_same(void **state)
{
	static const char text[] = "{\"channel\":\"a\",\"message\":1}\n{\"channel\":\"a\",\"message\":2}\n";
	struct world *world = create_traced_world();
	struct push_lines *lines = create_lines(world);
	struct push_trace copy = parent;

	(void)state;
	world->is_async = true;
	push_lines_set_parent(lines, &copy);
	memset(&copy, 0, sizeof(copy));
	push_lines_feed(lines, text, sizeof(text) - 1);
	complete(world, 1, PUSH_OK, 1);
	assert_spans(world, 1, "\"parentSpanId\":\"0200000000000000\"", 1);
	push_lines_destroy(lines);
	complete(world, 0, PUSH_OK, 1);
	assert_spans(world, 1, "\"parentSpanId\":\"0200000000000000\"", 1);
	destroy_traced_world(world);
}

static void
when_memory_is_out_traces_are_given_up_and_nothing_is_left(void **state)
{
	static const char body[] = "[{\"channel\":\"a\",\"message\":1},{\"channel\":\"b\",\"message\":2}]";
	const struct push_publish_request request = {
		.body = body, .size = sizeof(body) - 1, .parent = &parent, .identity = push_identity_everybody()};

	(void)state;
	for (long limit = 0; limit < 16; limit++) {
		struct world *world = create_traced_world();

		allocations_left = limit;
		push_publisher_publish(&world->publisher, &request, on_answer, world);
		allocations_left = -1;
		assert_int_equal(world->answers, 1);
		destroy_traced_world(world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_stand_in_the_order_of_the_messages_whatever_comes_first),
		cmocka_unit_test(of_many_channels_it_is_said_how_far_it_came),
		cmocka_unit_test(a_repeat_while_the_first_is_under_way_is_a_conflict),
		cmocka_unit_test(a_key_is_kept_where_it_may_have_been_published_and_only_there),
		cmocka_unit_test(an_engine_that_publishes_once_lets_a_repeat_do_what_is_not_done),
		cmocka_unit_test(when_memory_is_out_there_is_one_answer_and_nothing_is_left),
		cmocka_unit_test(lines_are_answered_in_order_however_they_are_cut),
		cmocka_unit_test(a_window_of_lines_waits_and_no_more_are_published),
		cmocka_unit_test(who_has_gone_away_leaves_nothing_behind),
		cmocka_unit_test(a_line_over_the_limit_is_an_error_and_the_next_one_is_none),
		cmocka_unit_test(when_memory_is_out_a_line_has_an_error_or_the_stream_does),
		cmocka_unit_test(each_message_of_a_traced_request_has_a_span_that_says_its_end),
		cmocka_unit_test(a_repeat_that_publishes_nothing_has_no_span),
		cmocka_unit_test(
			each_line_of_a_traced_stream_has_a_span_and_who_has_gone_has_it_all_the_same),
		cmocka_unit_test(when_memory_is_out_traces_are_given_up_and_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
