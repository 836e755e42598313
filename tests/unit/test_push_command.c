/* test_push_command.c - parts of the command push: event streams in any pieces, copies during a move,
 * metrics. */
#include "unit.h"

#include <math.h>
#include <stdio.h>

#include "copies.h"
#include "metrics.h"
#include "sse_parser.h"

#define BYTES_MAX 64

static bool
write_down(void *context, const struct sse_event *event)
{
	struct push_buf *seen = context;

	push_buf_printf(seen, "[%s|%.*s|%s]", event->name, (int)event->data_size, event->data, event->id);
	return strcmp(event->name, "stop") != 0;
}

static const struct {
	const char *bytes, *events;
} streams[] = {
	{"event:heartbeat\ndata:{}\n\n", "[heartbeat|{}|]"},
	{"event: a\ndata: 1\nid: 7\n\nevent:b\ndata:2\n\n", "[a|1|7][b|2|]"},
	{"event:a\r\ndata:1\r\n\r\nevent:b\rdata:2\r\r", "[a|1|][b|2|]"},
	{"event:a\ndata:1\ndata:2\n\n", "[a|1\n2|]"},
	{":comment\nretry:100\nevent:a\ndata\n\n", "[a||]"},
	/* one space only is left out, and a colon may be in the value */
	{"event:a\ndata:  x:y\n\n", "[a| x:y|]"},
	/* no name, no event; no end, no event */
	{"data:1\n\n\n\nevent:a\ndata:1\n", ""},
	{"event:stop\n\nevent:b\n\n", "[stop||]"},
};

static void
an_event_stream_may_come_in_any_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(streams); i++)
		for (size_t piece = 1; piece <= strlen(streams[i].bytes); piece++) {
			const char *at = streams[i].bytes, *end = at + strlen(at);
			bool stops = !strncmp(at, "event:stop", 10);
			struct sse_parser parser;
			struct push_buf seen;

			push_buf_init(&seen, 1024);
			sse_parser_init(&parser, BYTES_MAX);
			/* after a handler's no the link takes nothing more */
			for (; at < end && !(stops && seen.size); at += piece)
				assert_true(sse_parser_take(&parser, at,
					(size_t)(end - at) < piece ? (size_t)(end - at) : piece, write_down,
					&seen));
			push_buf_append(&seen, "", 1);
			assert_string_equal(seen.bytes, streams[i].events);
			push_buf_fini(&seen);
			sse_parser_fini(&parser);
		}
}

static void
a_line_or_an_event_that_is_too_large_is_refused(void **state)
{
	static const char at_limit[] = "event:a\ndata:"
				       "01234567890123456789012345678901234567890123456789012345678\n\n";
	static const char line[] = "data:01234567890123456789012345678901234567890123456789012345678901";
	static const char lines[] = "data:0123456789012345678901234567890123456789\n"
				    "data:0123456789012345678901234567890123456789\n\n";
	struct sse_parser parser;
	struct push_buf seen;

	(void)state;
	push_buf_init(&seen, 1024);
	sse_parser_init(&parser, BYTES_MAX);
	assert_true(sse_parser_take(&parser, at_limit, strlen(at_limit), write_down, &seen));
	assert_true(seen.size > BYTES_MAX - 5);
	assert_false(sse_parser_take(&parser, line, strlen(line), write_down, &seen));
	sse_parser_fini(&parser);
	sse_parser_init(&parser, BYTES_MAX);
	assert_false(sse_parser_take(&parser, lines, strlen(lines), write_down, &seen));
	sse_parser_fini(&parser);
	push_buf_fini(&seen);
}

static struct copies_key
message(const char *channel, const char *id, const char *value)
{
	return (struct copies_key){.channel = channel,
		.channel_size = strlen(channel),
		.id = id,
		.value = value,
		.value_size = strlen(value)};
}

/* Each as CHANNEL VALUE or CHANNEL #ID; what the old connection brought, then what the new one brings, and
 * which of it is new. */
static const struct {
	const char *old[8], *new[8];
	const char *is_new;
} moves[] = {
	{{"a1", "a2"}, {"a2", "a3"}, "01"},
	/* equal ones: each has one copy */
	{{"a1", "a1"}, {"a1", "a1", "a1"}, "001"},
	/* the new one begins later: what came before its first message is done with, and may come again */
	{{"a1", "a2", "a1"}, {"a2", "a1", "a1"}, "001"},
	/* one that is new ends it for its channel, not for others */
	{{"a1", "b1"}, {"a9", "a1", "b1"}, "110"},
	/* ids say it, whatever the order and the content */
	{{"a#1", "a#2"}, {"a#2", "a#1", "a#1", "a#3"}, "0011"},
	{{"a#1"}, {"b#1"}, "1"},
	{{NULL}, {"a1"}, "1"},
};

static struct copies_key
parse(const char *text, char channel[2])
{
	channel[0] = text[0];
	channel[1] = '\0';
	return message(channel, text[1] == '#' ? text + 2 : "", text[1] == '#' ? "same" : text + 1);
}

static void
copies_are_left_out_and_nothing_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(moves); i++) {
		struct copies copies = {.list = NULL};
		char channel[2];

		for (const char *const *at = moves[i].old; *at; at++) {
			struct copies_key key = parse(*at, channel);

			assert_true(copies_add(&copies, &key));
		}
		for (size_t k = 0; moves[i].new[k]; k++) {
			struct copies_key key = parse(moves[i].new[k], channel);

			assert_int_equal(copies_take(&copies, &key), moves[i].is_new[k] == '0');
		}
		copies_clear(&copies);
	}
}

static void
copies_with_ids_are_left_out_until_a_new_message_of_their_channel(void **state)
{
	static const char *const old[] = {"a1", "a#1", "a#2", "a#3", "b#1"};
	static const char *const new[] = {"a1", "a#1", "a#4", "a#2", "b#1"};
	struct copies copies = {.list = NULL};
	char channel[2];

	(void)state;
	for (size_t i = 0; i < COUNT(old); i++) {
		struct copies_key key = parse(old[i], channel);

		assert_true(copies_add(&copies, &key));
	}
	copies_settle(&copies);
	for (size_t i = 0; i < COUNT(new); i++) {
		struct copies_key key = parse(new[i], channel);

		assert_int_equal(copies_take(&copies, &key), i == 1 || i == 4);
	}
	copies_clear(&copies);
}

static void
copies_end_at_their_limit(void **state)
{
	struct copies copies = {.list = NULL};
	struct copies_key key = message("a", "", "1");

	(void)state;
	for (size_t i = 0; i < CLI_COPIES_MAX; i++)
		assert_true(copies_add(&copies, &key));
	assert_false(copies_add(&copies, &key));
	copies_clear(&copies);
}

static const char before[] =
	"# HELP a_total help\n# TYPE a_total counter\na_total 5\nlag_bucket{le=\"0.001\"} 10\n"
	"lag_bucket{le=\"0.01\"} 10\nlag_bucket{le=\"+Inf\"} 10\nlag_count 10\n";
static const char after[] = "b_total{x=\"1\"} 2\nb_total{x=\"2\"} 3.5\nb 7\nlag_bucket{le=\"0.001\"} 100\n"
			    "lag_bucket{le=\"0.01\"} 109\nlag_bucket{le=\"+Inf\"} 110\nlag_count 110\n";

static void
samples_are_found_by_their_whole_name(void **state)
{
	char text[8];

	(void)state;
	assert_true(metrics_has(before, "a_total") && !metrics_has(before, "a"));
	assert_true(metrics_sum(after, "b_total") > 5.4 && metrics_sum(after, "b_total") < 5.6);
	assert_true(metrics_sum(after, "b") > 6.9 && metrics_sum(after, "none") < 0.1);
	assert_true(metrics_value(after, "b_total{x=\"2\"}") > 3.4 && metrics_value(after, "b_total") < 0.1);
	assert_string_equal(metrics_label(after, "b_total", "x", text, sizeof(text)), "1");
	assert_string_equal(metrics_label(after, "b", "x", text, sizeof(text)), "");
}

static void
a_quantile_is_of_what_was_counted_in_between(void **state)
{
	(void)state;
	assert_true(metrics_quantile(before, after, "lag", 0.9) < 0.002);
	assert_true(metrics_quantile(before, after, "lag", 0.95) > 0.009);
	assert_true(isinf(metrics_quantile(before, after, "lag", 1)));
	assert_true(metrics_quantile(after, after, "lag", 0.9) < 1e-9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_stream_may_come_in_any_pieces),
		cmocka_unit_test(a_line_or_an_event_that_is_too_large_is_refused),
		cmocka_unit_test(copies_are_left_out_and_nothing_else),
		cmocka_unit_test(copies_with_ids_are_left_out_until_a_new_message_of_their_channel),
		cmocka_unit_test(copies_end_at_their_limit),
		cmocka_unit_test(samples_are_found_by_their_whole_name),
		cmocka_unit_test(a_quantile_is_of_what_was_counted_in_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
