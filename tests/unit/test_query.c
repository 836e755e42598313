#include "unit.h"

#include "direct/query.h"

static void
values_are_decoded_and_joined_or_the_query_is_left_to_lws(void **state)
{
	static const struct {
		const char *query, *values; /* NULL: left to lws */
	} rows[] = {
		{"channels=a", "a"},
		{"channels=a,b", "a,b"},
		{"x=1&channels=a&y&channels=b%2Cc&channelss=d&=e", "a,b,c"},
		{"channels=%c3%BC%20%26", "\xc3\xbc &"},
		{"channels=", ""},
		{"channels=a=b&channels=", "a=b,"},
		{"channels", NULL},
		{"Channels=a", NULL},
		{"xchannels=a", NULL},
		{"", NULL},
		{"channels=a+b", NULL},
		{"x=+&channels=a", NULL},
		{"channels=a;b", NULL},
		{"channels=%", NULL},
		{"channels=%4", NULL},
		{"channels=%4&x=1", NULL},
		{"channels=%4g", NULL},
		{"channels=a%00b", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_span query = {rows[i].query, strlen(rows[i].query)};
		struct push_buf to;

		push_buf_init(&to, 100);
		assert_int_equal(push_query_values(query, "channels", &to), rows[i].values != NULL);
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
	assert_false(push_query_values((struct push_span){NULL, 0}, "channels", &to));
	push_buf_fini(&to);
}

static void
values_over_the_limit_are_left_to_lws(void **state)
{
	static const char text[] = "channels=0123456789";
	struct push_buf to;

	(void)state;
	push_buf_init(&to, 9);
	assert_false(push_query_values((struct push_span){text, sizeof(text) - 1}, "channels", &to));
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
		{"lastEventId=%zz", ""},
		{"lastEventId=a=b", "a=b"},
		{"lastEventId", NULL},
		{"lastEventIds=1", NULL},
		{"xlastEventId=1", NULL},
		{"lastEvent=1", NULL},
		{"=1", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_span query = {rows[i].query, strlen(rows[i].query)};
		struct push_buf to;

		push_buf_init(&to, 100);
		assert_int_equal(push_query_last_id(query, &to), rows[i].id != NULL);
		if (rows[i].id) {
			assert_int_equal(to.size, strlen(rows[i].id));
			assert_memory_equal(to.size ? to.bytes : "", rows[i].id, to.size);
		}
		push_buf_fini(&to);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_read_last_has_several_names),
		cmocka_unit_test(values_are_decoded_and_joined_or_the_query_is_left_to_lws),
		cmocka_unit_test(no_query_has_no_values),
		cmocka_unit_test(values_over_the_limit_are_left_to_lws),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
