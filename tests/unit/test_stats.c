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
	struct push_process process = {
		.resident_bytes = 5, .open_files = 6, .open_files_max = 8, .open_files_ratio = 0.75};
	struct push_options options = {.lifetime_min_us = 120000000, .lifetime_max_us = 181000000};
	struct push_buf text;

	(void)state;
	stats.by_encoding[PUSH_ENCODING_WS].connections = 3;
	stats.by_encoding[PUSH_ENCODING_WS].closed[PUSH_CLOSE_BINARY] = 2;
	stats.by_encoding[PUSH_ENCODING_WS].closed[PUSH_CLOSE_FAULT] = 2;
	stats.published = 9;
	stats.broker_up = 1;
	stats.draining = 2;
	push_stats_published(&stats, 202);
	push_stats_published(&stats, 418); /* none of ours */
	push_stats_latency(&stats, 0);
	push_stats_latency(&stats, 63);
	push_stats_latency(&stats, 64);
	push_stats_latency(&stats, UINT64_MAX / 2);
	push_buf_init(&text, 65536);
	push_stats_render(&stats, &process, &options, "1.2.3", &text);
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
	assert_has(&text, "push_log_lines_dropped_total 0\n");
	assert_has(&text, "push_build_info{version=\"1.2.3\",engine=\"memory\"} 1\n");
	assert_has(&text, "\npush_broker_up 1\n");
	assert_has(&text, "\npush_draining 2\n");
	assert_has(&text, "\npush_connection_lifetime_seconds 150.500\n");
	assert_has(&text, "\npush_open_fds_ratio 0.750000\n");
	assert_has(&text, "\npush_loop_lag_seconds_count 0\n");
	push_buf_fini(&text);
}

/* Bucket i is below 256 us << i. */
static void
a_long_turn_counts_for_all_the_ticks_that_it_held_up(void **state)
{
	struct push_stats stats = {0};

	(void)state;
	push_stats_late(&stats, 0, 1);
	push_stats_late(&stats, 255, 1);
	push_stats_late(&stats, 256, 1);
	assert_int_equal(stats.lag_buckets[0], 2);
	assert_int_equal(stats.lag_buckets[1], 1);
	assert_int_equal(stats.lag_sum_us, 255 + 256);

	/* 25 ms, 15 ms and 5 ms late */
	stats = (struct push_stats){0};
	push_stats_late(&stats, 25000, 3);
	assert_int_equal(stats.lag_buckets[7], 1);
	assert_int_equal(stats.lag_buckets[6], 1);
	assert_int_equal(stats.lag_buckets[5], 1);
	assert_int_equal(stats.lag_sum_us, 45000);

	/* more ticks than the delay explains, as after a correction of when they are due */
	stats = (struct push_stats){0};
	push_stats_late(&stats, 5000, 3);
	assert_int_equal(stats.lag_buckets[0], 2);
	assert_int_equal(stats.lag_sum_us, 5000);
	push_stats_late(&stats, 7, 0);
	assert_int_equal(stats.lag_sum_us, 5000);
}

static void
a_loop_that_stood_still_for_an_hour_is_counted_in_bounded_time(void **state)
{
	struct push_stats stats = {0};
	uint64_t count = 0;

	(void)state;
	push_stats_late(&stats, UINT64_MAX, UINT64_MAX);
	for (int i = 0; i <= PUSH_LAG_BUCKET_COUNT; i++)
		count += stats.lag_buckets[i];
	assert_int_equal(count, PUSH_LATE_TICKS_MAX);
	assert_int_equal(stats.lag_buckets[PUSH_LAG_BUCKET_COUNT], PUSH_LATE_TICKS_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics_have_the_contracts_names_and_the_counts),
		cmocka_unit_test(a_long_turn_counts_for_all_the_ticks_that_it_held_up),
		cmocka_unit_test(a_loop_that_stood_still_for_an_hour_is_counted_in_bounded_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
