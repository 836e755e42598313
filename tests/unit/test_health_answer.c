/* test_health_answer.c - what --health makes of an answer: UP is UP only from Push, and hostile bytes reach
 * no terminal. */
#include "unit.h"

#include <stdio.h>

#include "health.h"

static const struct {
	const char *answer;
	enum push_status expected;
	const char *body, *error;
} rows[] = {
	{"HTTP/1.1 200 OK\r\na: b\r\n\r\n{\"status\":\"UP\"}", PUSH_OK, "{\"status\":\"UP\"}", NULL},
	{"HTTP/1.0 200 OK\r\n\r\n{\"status\":\"UP\",\"groups\":[]}", PUSH_OK,
		"{\"status\":\"UP\",\"groups\":[]}", NULL},
	{"HTTP/1.1 503 No\r\n\r\n{\"status\":\"DOWN\"}", PUSH_INVALID, "{\"status\":\"DOWN\"}",
		"answered 503"},
	/* the status counts, not only what the body says */
	{"HTTP/1.1 503 No\r\n\r\n{\"status\":\"UP\"}", PUSH_INVALID, "{\"status\":\"UP\"}", "answered 503"},
	{"HTTP/1.1 2000 OK\r\n\r\n{\"status\":\"DOWN\"}", PUSH_INVALID, "{\"status\":\"DOWN\"}",
		"answered 200"},
	{"HTTP/1.1 200 OK\r\n\r\n<html>", PUSH_INVALID, "<html>", "is that Push?"},
	{"HTTP/1.1 200 OK\r\n\r\n\"UP\"", PUSH_INVALID, "\"UP\"", "is that Push?"},
	{"HTTP/1.1 200 OK\r\n\r\n{\"status\":null}", PUSH_INVALID, "{\"status\":null}", "is that Push?"},
	{"HTTP/1.1 200 OK\r\n", PUSH_INVALID, "", "is that Push?"},
	{"HTTP/1.1 404 Not Found\r\n\r\n", PUSH_INVALID, "", "answered 404"},
	{"HTTP/1.1 404 Not Found\r\n\r\n\x1b[2J\r\n\x7f", PUSH_INVALID, " [2J   ", "answered 404"},
	{"", PUSH_INVALID, "", "closed without"},
	{"HTTP/1.1", PUSH_INVALID, "", "the answer is not HTTP"},
	{"HTTP/1.1 20", PUSH_INVALID, "", "the answer is not HTTP"},
	{"HTTP/1.1    200", PUSH_INVALID, "", "the answer is not HTTP"},
	{"HTTP/1.1_200_OK_and_more", PUSH_INVALID, "", "the answer is not HTTP"},
	{"SSH-2.0-OpenSSH_9.2p1 200\r\n\r\n", PUSH_INVALID, "", "the answer is not HTTP"},
};

static void
only_pushs_own_up_is_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char answer[HEALTH_ANSWER_BYTES_MAX + 1];
		struct push_error error = {""};
		const char *body;

		snprintf(answer, sizeof(answer), "%s", rows[i].answer);
		assert_int_equal(health_read_answer(answer, strlen(answer), &body, &error), rows[i].expected);
		assert_string_equal(body, rows[i].body);
		if (rows[i].error)
			assert_non_null(strstr(error.text, rows[i].error));
	}
}

static void
an_answer_with_a_zero_byte_ends_there(void **state)
{
	char answer[] = "HTTP/1.1 200 OK\r\n\0\r\n{\"status\":\"UP\"}";
	struct push_error error;
	const char *body;

	(void)state;
	assert_int_equal(health_read_answer(answer, sizeof(answer) - 1, &body, &error), PUSH_INVALID);
	assert_ptr_equal(body, answer + sizeof(answer) - 1);
}

static void
a_question_has_a_path_or_is_none(void **state)
{
	(void)state;
	assert_string_equal(health_path("ready"), "/actuator/health/readiness");
	assert_string_equal(health_path("live"), "/actuator/health/liveness");
	assert_null(health_path(""));
	assert_null(health_path("Ready"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_pushs_own_up_is_up),
		cmocka_unit_test(an_answer_with_a_zero_byte_ends_there),
		cmocka_unit_test(a_question_has_a_path_or_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
