/* test_log_line.c - whatever bytes a line is made of, one JSON object comes out, and it says which it was. */
#include "unit.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/utf8.h"
#include "log_line.h"

static struct push_buf
render(const struct log_record *record)
{
	struct push_buf line;

	push_buf_init(&line, LOG_OBJECT_BYTES_MAX);
	log_line_append(&line, record);
	assert_int_equal(line.status, PUSH_OK);
	assert_memory_equal(line.bytes + line.size - 2, "}\n", 2);
	assert_null(memchr(line.bytes, '\n', line.size - 1));
	return line;
}

static void
a_record_becomes_one_line_of_json(void **state)
{
	const struct log_record record = {.time = {.tv_sec = 1767323045, .tv_nsec = 67999999},
		.level = PUSH_LOG_WARN,
		.component = "worker",
		.worker = 3,
		.pid = 42,
		.message = "a \"b\"\\",
		.message_size = 6,
		.fields = "\"channel\":\"x\"",
		.fields_size = 13};
	struct push_buf line = render(&record);

	(void)state;
	push_buf_append(&line, "", 1);
	assert_string_equal(line.bytes,
		"{\"time\":\"2026-01-02T03:04:05.067Z\",\"level\":\"warn\",\"component\":\"worker\","
		"\"worker\":3,\"pid\":42,\"message\":\"a \\\"b\\\"\\\\\",\"channel\":\"x\"}\n");
	push_buf_fini(&line);
}

static void
what_is_not_utf8_is_replaced_byte_by_byte(void **state)
{
	static const struct {
		const char *bytes, *text;
	} rows[] = {
		{"", ""},
		{"h\xC3\xA9llo", "h\xC3\xA9llo"},
		{"\xFF", "\xEF\xBF\xBD"},
		{"a\xC3", "a\xEF\xBF\xBD"},
		{"a\xC3z", "a\xEF\xBF\xBDz"},
		{"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},                   /* overlong */
		{"\xED\xA0\x80z", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz"}, /* a surrogate */
		{"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80"},
		{"\x1b[31m\r\t\x01\x7f", "\x1b[31m\r\t\x01\x7f"},
		{"\",\"level\":\"x", "\",\"level\":\"x"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct log_record record = {.component = "pushd",
			.message = rows[i].bytes,
			.message_size = strlen(rows[i].bytes)};
		struct push_buf line = render(&record);
		struct json_object *tree, *message;

		assert_true(push_utf8_is_valid(line.bytes, line.size));
		push_buf_append(&line, "", 1);
		tree = json_tokener_parse(line.bytes);
		assert_non_null(tree);
		assert_true(json_object_object_get_ex(tree, "message", &message));
		assert_string_equal(json_object_get_string(message), rows[i].text);
		json_object_put(tree);
		push_buf_fini(&line);
	}
}

static void
the_worst_line_of_a_worker_fits(void **state)
{
	char message[1023];
	const struct log_record record = {.component = "worker",
		.worker = 64,
		.pid = 4194304,
		.message = message,
		.message_size = 1023};
	struct push_buf line;

	(void)state;
	memset(message, 1, sizeof(message));
	line = render(&record);
	push_buf_fini(&line);
}

static void
the_level_is_that_of_lws_mark_or_of_pushs_prefix(void **state)
{
	static const struct {
		const char *line;
		enum push_log_level level;
		const char *text;
	} rows[] = {
		{"[2026/01/02 03:04:05:6789] E: failed", PUSH_LOG_ERROR, "failed"},
		{"[2026/01/02 03:04:05:6789] W: odd", PUSH_LOG_WARN, "odd"},
		{"[2026/01/02 03:04:05:6789] N: new", PUSH_LOG_INFO, "new"},
		{"[2026/01/02 03:04:05:6789] I: much", PUSH_LOG_DEBUG, "much"},
		{"[2026/01/02 03:04:05:6789] U: push: drained", PUSH_LOG_INFO, "drained"},
		{"[2026/01/02 03:04:05:6789] E: push: lost", PUSH_LOG_ERROR, "lost"},
		{"[2026/01/02 03:04:05:6789] U: push: debug: opened", PUSH_LOG_DEBUG, "opened"},
		{"[2026/01/02 03:04:05:6789] U: push: warning: port", PUSH_LOG_WARN, "port"},
		{"[x] U: pushy", PUSH_LOG_INFO, "pushy"},
		{"[x] U: ", PUSH_LOG_INFO, ""},
		{"[x] U:", PUSH_LOG_ERROR, "[x] U:"},
		{"[x] Q: what", PUSH_LOG_ERROR, "[x] Q: what"},
		{"[x] ", PUSH_LOG_ERROR, "[x] "},
		{"[", PUSH_LOG_ERROR, "["},
		{"", PUSH_LOG_ERROR, ""},
		/* words that look like it and have no mark */
		{"push: debug: opened", PUSH_LOG_ERROR, "push: debug: opened"},
		{"push: assertion failed: x", PUSH_LOG_ERROR, "push: assertion failed: x"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t start;

		assert_int_equal(log_line_level(rows[i].line, &start), rows[i].level);
		assert_string_equal(rows[i].line + start, rows[i].text);
	}
}

static void
what_lws_says_while_it_serves_is_about_a_client(void **state)
{
	static const struct {
		const char *line;
		bool is_of_client;
	} rows[] = {
		{"[2026/01/02 03:04:05:6789] E: Ran out of header data space", true},
		{"[2026/01/02 03:04:05:6789] E: lws_process_ws_upgrade: malformed or absent conn hdr", true},
		{"[2026/01/02 03:04:05:6789] W: anything", true},
		/* neither what Push says nor what the system lacks, and no last words */
		{"[2026/01/02 03:04:05:6789] E: push: no broker", false},
		{"[2026/01/02 03:04:05:6789] U: push: warning: x", false},
		{"[2026/01/02 03:04:05:6789] E: accept: errno 24", false},
		{"[2026/01/02 03:04:05:6789] E: OOM", false},
		{"[2026/01/02 03:04:05:6789] E: Out of mem", false},
		{"hub.c:12: assertion failed", false},
		{"[2026", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(log_line_is_of_client(rows[i].line), rows[i].is_of_client);
}

static void
only_a_whole_object_at_the_end_is_taken_apart(void **state)
{
	static const struct {
		const char *text, *words, *fields;
	} rows[] = {
		{"opened {\"a\":1}", "opened", "\"a\":1"},
		{"opened {\"a\":{\"b\":\" {\\\"\"}}", "opened", "\"a\":{\"b\":\" {\\\"\"}"},
		{"opened {\"a\":1} ", "opened {\"a\":1} ", ""},
		{"opened {\"a\":1}}", "opened {\"a\":1}}", ""},
		{"opened {\"a\":1", "opened {\"a\":1", ""}, /* cut */
		{"opened {\"a\": 1}", "opened {\"a\": 1}", ""},
		{"opened {}", "opened {}", ""},
		{"opened {\"a\":\"\xFF\"}", "opened {\"a\":\"\xFF\"}", ""},
		{"{\"a\":1}", "{\"a\":1}", ""},
		{"opened", "opened", ""},
		{"", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *fields;
		size_t fields_size,
			size = log_line_split(rows[i].text, strlen(rows[i].text), &fields, &fields_size);

		assert_int_equal(size, strlen(rows[i].words));
		assert_int_equal(fields_size, strlen(rows[i].fields));
		if (fields_size)
			assert_memory_equal(fields, rows[i].fields, fields_size);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_becomes_one_line_of_json),
		cmocka_unit_test(what_is_not_utf8_is_replaced_byte_by_byte),
		cmocka_unit_test(the_worst_line_of_a_worker_fits),
		cmocka_unit_test(the_level_is_that_of_lws_mark_or_of_pushs_prefix),
		cmocka_unit_test(what_lws_says_while_it_serves_is_about_a_client),
		cmocka_unit_test(only_a_whole_object_at_the_end_is_taken_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
