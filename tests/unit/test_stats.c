#include "unit.h"

#include "core/stats.h"

static void
assert_has(const struct push_buf *text, const char *line)
{
	assert_non_null(memmem(text->bytes, text->size, line, strlen(line)));
}

static void
metrics_have_the_contracts_names_and_the_counts(void **state)
{
	struct push_stats stats = {0};
	struct push_process process = {.resident_bytes = 5, .open_files_max = 7};
	struct push_buf text;

	(void)state;
	stats.by_encoding[PUSH_ENCODING_WS].connections = 3;
	stats.by_encoding[PUSH_ENCODING_WS].closed[PUSH_CLOSE_BINARY] = 2;
	stats.by_encoding[PUSH_ENCODING_WS].closed[PUSH_CLOSE_FAULT] = 2;
	stats.published = 9;
	push_stats_published(&stats, 202);
	push_stats_published(&stats, 418); /* none of ours */
	push_stats_latency(&stats, 0);
	push_stats_latency(&stats, 63);
	push_stats_latency(&stats, 64);
	push_stats_latency(&stats, UINT64_MAX / 2);
	push_buf_init(&text, 65536);
	push_stats_render(&stats, &process, "1.2.3", &text);
	assert_int_equal(text.status, PUSH_OK);
	assert_has(&text, "\nws_connections_count 3\n");
	assert_has(&text, "\npub_messages_total 9\n");
	assert_has(&text, "push_disconnects_total{transport=\"ws\",reason=\"error\"} 4\n");
	assert_has(&text, "push_publishes_total{status=\"202\"} 1\n");
	assert_has(&text, "push_publishes_total{status=\"500\"} 1\n");
	assert_has(&text, "push_delivery_latency_seconds_bucket{le=\"0.000064\"} 2\n");
	assert_has(&text, "push_delivery_latency_seconds_bucket{le=\"0.000128\"} 3\n");
	assert_has(&text, "push_delivery_latency_seconds_bucket{le=\"16.777216\"} 3\n");
	assert_has(&text, "push_delivery_latency_seconds_bucket{le=\"+Inf\"} 4\n");
	assert_has(&text, "push_delivery_latency_seconds_count 4\n");
	assert_has(&text, "push_build_info{version=\"1.2.3\"");
	push_buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(metrics_have_the_contracts_names_and_the_counts)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
