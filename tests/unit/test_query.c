#include "unit.h"

#include "request/query.h"

static void
values_are_decoded_and_joined_or_the_query_is_bad(void **state)
{
	static const struct {
		const char *query, *values; /* NULL: none */
		enum push_query_result result;
	} rows[] = {
		{"channels=a", "a", PUSH_QUERY_FOUND},
		{"channels=a,b", "a,b", PUSH_QUERY_FOUND},
		{"x=1&channels=a&y&channels=b%2Cc&channelss=d&=e", "a,b,c", PUSH_QUERY_FOUND},
		{"channels=%c3%BC%20%26", "\xc3\xbc &", PUSH_QUERY_FOUND},
		{"channels=", "", PUSH_QUERY_FOUND},
		{"channels=a=b&channels=", "a=b,", PUSH_QUERY_FOUND},
		{"channels", "", PUSH_QUERY_FOUND},
		{"Channels=a", NULL, PUSH_QUERY_NONE},
		{"xchannels=a", NULL, PUSH_QUERY_NONE},
		{"", NULL, PUSH_QUERY_NONE},
		{"channels=a+b", "a b", PUSH_QUERY_FOUND},
		{"x=+&channels=a", "a", PUSH_QUERY_FOUND},
		{"channels=a;b", "a", PUSH_QUERY_FOUND},
		{"x;channels=a", "a", PUSH_QUERY_FOUND},
		{"channels=a%3Bb", "a;b", PUSH_QUERY_FOUND},
		{"channels=%", NULL, PUSH_QUERY_BAD},
		{"channels=%4", NULL, PUSH_QUERY_BAD},
		{"channels=%4&x=1", NULL, PUSH_QUERY_BAD},
		{"channels=%4g", NULL, PUSH_QUERY_BAD},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_str query = {rows[i].query, strlen(rows[i].query)};
		struct push_buf to;

		push_buf_init(&to, 100);
		assert_int_equal(push_query_values(query, "channels", &to), rows[i].result);
		if (rows[i].values) {
			assert_int_equal(to.size, strlen(rows[i].values));
			assert_memory_equal(to.size ? to.bytes : "", rows[i].values, to.size);
		}
		push_buf_fini(&to);
	}
}

static void
no_query_has_no_values(void **state)
{
	struct push_buf to;

	(void)state;
	push_buf_init(&to, 100);
	assert_int_equal(push_query_values((struct push_str){NULL, 0}, "channels", &to), PUSH_QUERY_NONE);
	push_buf_fini(&to);
}

static void
values_over_the_limit_are_told_apart(void **state)
{
	static const char text[] = "channels=0123456789";
	struct push_buf to;

	(void)state;
	push_buf_init(&to, 9);
	assert_int_equal(push_query_values((struct push_str){text, sizeof(text) - 1}, "channels", &to),
		PUSH_QUERY_LONG);
	push_buf_fini(&to);
}

static void
what_was_read_last_has_several_names(void **state)
{
	static const struct {
		const char *query, *id; /* NULL: none */
	} rows[] = {
		{"channels=a&last_event_id=0.a.1", "0.a.1"},
		{"lastEventId=0.a.1&channels=a", "0.a.1"},
		{"lastEventID=0.a.1", "0.a.1"},
		{"Last-Event-ID=0.a.1", "0.a.1"},
		{"last-event-id=0.a.1", "0.a.1"},
		{"LASTEVENTID=%30.a.1", "0.a.1"},
		{"evs_preamble=2048&evs_last_event_id=0.a.1", "0.a.1"},
		{"evs_=1", NULL},
		{"evs_last_event=1", NULL},
		/* a polyfill's own comes behind what the page has written, and is newer */
		{"last_event_id=0.a.1&channels=a&lastEventId=0.a.2", "0.a.2"},
		{"last_event_id=0.a.1&lastEventId=", "0.a.1"},
		{"lastEventId=", ""},

		{"lastEventId=a=b", "a=b"},
		{"lastEventId", ""},
		{"lastEventIds=1", NULL},
		{"xlastEventId=1", NULL},
		{"lastEvent=1", NULL},
		{"=1", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_str query = {rows[i].query, strlen(rows[i].query)};
		struct push_buf to;

		push_buf_init(&to, 100);
		assert_int_equal(
			push_query_last_id(query, &to), rows[i].id ? PUSH_QUERY_FOUND : PUSH_QUERY_NONE);
		if (rows[i].id) {
			assert_int_equal(to.size, strlen(rows[i].id));
			assert_memory_equal(to.size ? to.bytes : "", rows[i].id, to.size);
		}
		push_buf_fini(&to);
	}
}

static void
a_query_is_checked_as_a_whole(void **state)
{
	(void)state;
	assert_int_equal(push_query_check((struct push_str){"a=%41&b=%", 9}), PUSH_QUERY_BAD);
	assert_int_equal(push_query_check((struct push_str){"a=%41", 5}), PUSH_QUERY_NONE);
	assert_int_equal(push_query_check((struct push_str){NULL, 0}), PUSH_QUERY_NONE);
}

static void
a_token_of_a_list_is_found_whole_and_in_any_case(void **state)
{
	static const struct {
		const char *list;
		bool has;
	} rows[] = {{"push-ws", true}, {"a, PUSH-WS\t", true}, {",, push-ws ,", true}, {"push-ws2", false},
		{"xpush-ws", false}, {"push ws", false}, {"", false}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(
			push_str_has_token((struct push_str){rows[i].list, strlen(rows[i].list)}, "push-ws"),
			rows[i].has);
	assert_false(push_str_has_token((struct push_str){NULL, 0}, "push-ws"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_read_last_has_several_names),
		cmocka_unit_test(values_are_decoded_and_joined_or_the_query_is_bad),
		cmocka_unit_test(no_query_has_no_values),
		cmocka_unit_test(a_query_is_checked_as_a_whole),
		cmocka_unit_test(a_token_of_a_list_is_found_whole_and_in_any_case),
		cmocka_unit_test(values_over_the_limit_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
