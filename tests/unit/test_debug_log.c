/* test_debug_log.c - which lines pass, how many of them, and that a message is in none. */
#include "unit.h"

#include <stdio.h>

#include "broker/debug_log.h"
#include "core/jsonscan.h"
#include "core/limits.h"

struct lines {
	size_t count;
	enum push_log_level level;
	char last[PUSH_LOG_LINE_BYTES_MAX + 1];
};

static void
on_line(void *context, enum push_log_level level, const char *line)
{
	struct lines *lines = context;

	lines->count++;
	lines->level = level;
	assert_true(strlen(line) <= PUSH_LOG_LINE_BYTES_MAX);
	snprintf(lines->last, sizeof(lines->last), "%s", line);
}

static void
a_level_lets_itself_and_what_is_worse_pass(void **state)
{
	(void)state;
	for (int level = 0; level < PUSH_LOG_LEVEL_COUNT; level++)
		for (int line = 0; line < PUSH_LOG_LEVEL_COUNT; line++) {
			struct lines lines = {0};
			struct push_debug_log log;

			push_debug_log_init(&log, (enum push_log_level)level, NULL, on_line, &lines);
			push_debug_log_say(&log, (enum push_log_level)line, "x");
			assert_int_equal(lines.count, line <= level);
		}
}

static void
a_shared_level_is_everybodys(void **state)
{
	struct lines lines = {0};
	struct push_debug_log one, other;
	uint32_t shared = PUSH_LOG_WARN;

	(void)state;
	/* what the options of one say does not count: pushd has said it */
	push_debug_log_init(&one, PUSH_LOG_DEBUG, &shared, on_line, &lines);
	push_debug_log_init(&other, PUSH_LOG_DEBUG, &shared, on_line, &lines);
	assert_int_equal(push_debug_log_level(&other), PUSH_LOG_WARN);
	push_debug_log_set_level(&one, PUSH_LOG_ERROR);
	assert_int_equal(push_debug_log_level(&other), PUSH_LOG_ERROR);
	shared = 77; /* of somebody who should not */
	assert_int_equal(push_debug_log_level(&other), PUSH_LOG_INFO);
}

static void
so_many_lines_a_second_pass_and_the_rest_is_counted(void **state)
{
	struct lines lines = {0};
	struct push_debug_log log;

	(void)state;
	push_debug_log_init(&log, PUSH_LOG_DEBUG, NULL, on_line, &lines);
	log.is_on = true;
	push_debug_log_tick(&log, 5000000);
	for (unsigned int i = 0; i < PUSH_LOG_DEBUG_LINES_A_SECOND; i++)
		push_debug_log_published(&log, "c", 1, 3, PUSH_OK, 1);
	assert_int_equal(lines.count, PUSH_LOG_DEBUG_LINES_A_SECOND);
	push_debug_log_tick(&log, 5900000);
	push_debug_log_published(&log, "c", 1, 3, PUSH_OK, 1);
	push_debug_log_published(&log, "c", 1, 3, PUSH_OK, 1);
	assert_int_equal(lines.count, PUSH_LOG_DEBUG_LINES_A_SECOND);
	push_debug_log_tick(&log, 6000000);
	assert_string_equal(lines.last, "2 more lines in that second were dropped");
	push_debug_log_published(&log, "c", 1, 3, PUSH_OK, 1);
	assert_string_equal(lines.last, "published {\"channel\":\"c\",\"bytes\":3,\"subscribers\":1}");
	push_debug_log_tick(&log, 7000000);
	assert_int_equal(lines.count, PUSH_LOG_DEBUG_LINES_A_SECOND + 2);
}

static void
the_worst_name_of_a_channel_fits(void **state)
{
	static char name[PUSH_QUERY_BYTES_MAX];
	struct lines lines = {0};
	struct push_debug_log log;
	const char *object;
	bool is_compact;

	(void)state;
	push_debug_log_init(&log, PUSH_LOG_DEBUG, NULL, on_line, &lines);
	memset(name, '"', sizeof(name));
	push_debug_log_published(&log, name, sizeof(name), SIZE_MAX, PUSH_UNCERTAIN, 0);
	assert_int_equal(lines.count, 1);
	object = strchr(lines.last, '{');
	assert_non_null(object);
	assert_true(push_json_scan_value(object, strlen(object), &is_compact));
	assert_int_equal(strncmp(lines.last, "not published", 13), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_level_lets_itself_and_what_is_worse_pass),
		cmocka_unit_test(a_shared_level_is_everybodys),
		cmocka_unit_test(so_many_lines_a_second_pass_and_the_rest_is_counted),
		cmocka_unit_test(the_worst_name_of_a_channel_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
