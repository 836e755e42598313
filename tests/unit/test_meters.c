#include "unit.h"

#include <stdlib.h>

#include "core/meters.h"

static const char text[] = "# HELP ws_messages_total Messages written to WebSocket clients.\n"
			   "# TYPE ws_messages_total counter\n"
			   "ws_messages_total 7\n"
			   "# HELP process_uptime_seconds How \"long\".\n"
			   "# TYPE process_uptime_seconds gauge\n"
			   "process_uptime_seconds 1.5\n"
			   "# HELP d_total Ended.\n"
			   "# TYPE d_total counter\n"
			   "d_total{transport=\"ws\",reason=\"slow\"} 1\n"
			   "d_total{transport=\"ws\",reason=\"peer\"} 2\n"
			   "d_total{transport=\"sse\",reason=\"peer\"} 4\n"
			   "# HELP lag_seconds Late.\n"
			   "# TYPE lag_seconds histogram\n"
			   "lag_seconds_bucket{le=\"0.1\"} 3\n"
			   "lag_seconds_bucket{le=\"+Inf\"} 4\n"
			   "lag_seconds_sum 0.25\n"
			   "lag_seconds_count 4\n"
			   "# HELP nothing Without a sample.\n"
			   "# TYPE nothing gauge\n";

static void
names_have_dots_and_neither_unit_nor_total(void **state)
{
	struct push_buf to;

	(void)state;
	push_buf_init(&to, 4096);
	push_meters_list(text, strlen(text), &to);
	push_buf_append(&to, "", 1);
	assert_string_equal(
		to.bytes, "{\"names\":[\"ws.messages\",\"process.uptime\",\"d\",\"lag\",\"nothing\"]}");
	push_buf_fini(&to);
}

static void
a_meter_has_the_sum_of_what_is_asked_for(void **state)
{
	static const struct {
		const char *name, *tags, *json; /* NULL: there is none */
	} rows[] = {
		{"ws.messages", "",
			"{\"name\":\"ws.messages\",\"description\":\"Messages written to WebSocket "
			"clients.\","
			"\"measurements\":[{\"statistic\":\"COUNT\",\"value\":7}],\"availableTags\":[]}"},
		{"process_uptime_seconds", "",
			"{\"name\":\"process.uptime\",\"description\":\"How "
			"\\\"long\\\".\",\"baseUnit\":\"seconds\","
			"\"measurements\":[{\"statistic\":\"VALUE\",\"value\":1.5}],\"availableTags\":[]}"},
		{"d", "",
			"{\"name\":\"d\",\"description\":\"Ended.\",\"measurements\":[{\"statistic\":"
			"\"COUNT\","
			"\"value\":7}],\"availableTags\":[{\"tag\":\"transport\",\"values\":[\"ws\",\"sse\"]}"
			","
			"{\"tag\":\"reason\",\"values\":[\"slow\",\"peer\"]}]}"},
		{"d", "reason:peer",
			"{\"name\":\"d\",\"description\":\"Ended.\",\"measurements\":[{\"statistic\":"
			"\"COUNT\","
			"\"value\":6}],\"availableTags\":[{\"tag\":\"transport\",\"values\":[\"ws\",\"sse\"]}"
			"]}"},
		{"d", "reason:peer,transport:sse",
			"{\"name\":\"d\",\"description\":\"Ended.\",\"measurements\":[{\"statistic\":"
			"\"COUNT\","
			"\"value\":4}],\"availableTags\":[]}"},
		{"lag", "",
			"{\"name\":\"lag\",\"description\":\"Late.\",\"baseUnit\":\"seconds\","
			"\"measurements\":["
			"{\"statistic\":\"COUNT\",\"value\":4},{\"statistic\":\"TOTAL_TIME\",\"value\":0.25}]"
			","
			"\"availableTags\":[]}"},
		{"d", "reason:nobody", NULL},
		{"d", "reason", NULL},
		{"d", ":", NULL},
		{"nothing", "", NULL},
		{"lag.seconds", "", NULL},
		{"", "", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_buf to, tags;

		push_buf_init(&to, 4096);
		push_buf_init(&tags, 64);
		push_buf_append_text(&tags, rows[i].tags);
		assert_int_equal(
			push_meters_get(text, strlen(text), rows[i].name, &tags, &to), rows[i].json != NULL);
		push_buf_append(&to, "", 1);
		assert_string_equal(to.bytes, rows[i].json ? rows[i].json : "");
		push_buf_fini(&to);
		push_buf_fini(&tags);
	}
}

/* Wherever it is cut. */
static void
text_that_is_not_ours_is_left_out(void **state)
{
	(void)state;
	for (size_t size = 0; size < strlen(text); size++) {
		char *copy = malloc(size + 1);
		struct push_buf to, tags;

		memcpy(copy, text, size);
		push_buf_init(&to, 4096);
		push_buf_init(&tags, 64);
		push_buf_append_text(&tags, "reason:peer");
		push_meters_list(copy, size, &to);
		(void)push_meters_get(copy, size, "d", &tags, &to);
		(void)push_meters_get(copy, size, "lag", &tags, &to);
		assert_int_equal(to.status, PUSH_OK);
		push_buf_fini(&to);
		push_buf_fini(&tags);
		free(copy);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_have_dots_and_neither_unit_nor_total),
		cmocka_unit_test(a_meter_has_the_sum_of_what_is_asked_for),
		cmocka_unit_test(text_that_is_not_ours_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
