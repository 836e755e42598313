#include "unit.h"

#include "core/paths.h"

static void
one_slash_may_follow_a_path(void **state)
{
	(void)state;
	assert_true(push_path_is("/messages", "/messages"));
	assert_true(push_path_is("/messages/", "/messages"));
	assert_false(push_path_is("/messages//", "/messages"));
	assert_false(push_path_is("/messagesx", "/messages"));
	assert_false(push_path_is("/message", "/messages"));
	assert_false(push_path_is("", "/messages"));
}

static void
an_unknown_path_is_answered_with_the_nearest_one(void **state)
{
	static const struct {
		enum push_port port;
		const char *path, *words;
		bool is_like;
	} rows[] = {
		{PUSH_PORT_CLIENTS, "/sse", "not found; did you mean /sse/messages?", true},
		{PUSH_PORT_CLIENTS, "/sse/mesages/", "did you mean /sse/messages?", true},
		{PUSH_PORT_CLIENTS, "/ws", "did you mean /ws/messages?", true},
		{PUSH_PORT_CLIENTS, "/message", "did you mean /messages?", true},
		{PUSH_PORT_CLIENTS, "/favicon.ico", "publish by POST to /messages", false},
		{PUSH_PORT_CLIENTS, "/actuator/health",
			"not found here; /actuator/health is on the management port (8000 by default)", true},
		{PUSH_PORT_OPERATORS, "/health", "did you mean /actuator/health?", true},
		{PUSH_PORT_OPERATORS, "/ws/messages", "/ws/messages is on the main port (8080 by default)",
			true},
		{PUSH_PORT_OPERATORS, "/x", "not found; GET / lists what is here", false},
		{PUSH_PORT_CLIENTS, "", "not found; ", false},
		{PUSH_PORT_CLIENTS, "///", "not found; ", false},
		{PUSH_PORT_CLIENTS,
			"/messages/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
			"not found; ", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_error error;

		assert_int_equal(push_path_not_found(rows[i].port, rows[i].path, &error), rows[i].is_like);
		assert_non_null(strstr(error.text, rows[i].words));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_slash_may_follow_a_path),
		cmocka_unit_test(an_unknown_path_is_answered_with_the_nearest_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
