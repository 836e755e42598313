#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit.h"

#include "broker/shared_stats.h"

#define SLOTS 4

/* What a worker of that slot maps: pushd forks for it, here it is one process. */
struct worker {
	struct push_shared_stats *shared;
	struct push_counts *mine;
};

/* Who joins closes the descriptor in the end: after a fork, or an exec, that is another one than pushd's. */
static void
give(const struct push_shared_stats *shared, size_t slot)
{
	char given[64];
	size_t at;
	int fd, number;

	push_shared_stats_give(shared, slot, (unsigned int)slot + 1);
	assert_int_equal(sscanf(getenv("PUSHD_STATS"), "%d %zu %d", &fd, &at, &number), 3);
	snprintf(given, sizeof(given), "%d %zu %d", dup(fd), at, number);
	setenv("PUSHD_STATS", given, 1);
}

static struct worker
start(const struct push_shared_stats *shared, size_t slot)
{
	struct worker worker = {0};

	give(shared, slot);
	worker.shared = push_shared_stats_join(&worker.mine);
	assert_non_null(worker.shared);
	return worker;
}

static void
set_up(struct worker *worker, bool broker_up, bool draining)
{
	worker->mine->stats.broker_up = broker_up;
	worker->mine->stats.draining = draining;
}

static void
stop(struct push_shared_stats *shared, size_t slot, struct worker *worker)
{
	push_shared_stats_leave(worker->shared);
	push_shared_stats_ended(shared, slot);
}

static void
lines_that_pushd_and_workers_have_dropped_are_added_up(void **state)
{
	struct push_shared_stats *shared = push_shared_stats_create(SLOTS);
	struct worker worker;
	struct push_counts sum;

	(void)state;
	assert_non_null(shared);
	worker = start(shared, 0);
	worker.mine->stats.log_lines_dropped = 3;
	push_shared_stats_set_dropped_lines(shared, 4);
	push_shared_stats_sum(shared, &sum);
	assert_int_equal(sum.stats.log_lines_dropped, 7);
	stop(shared, 0, &worker);
	push_shared_stats_set_dropped_lines(shared, 5);
	push_shared_stats_sum(shared, &sum);
	assert_int_equal(sum.stats.log_lines_dropped, 8);
	push_shared_stats_destroy(shared);
}

static void
the_broker_is_up_when_all_workers_reach_it_and_drains_are_counted(void **state)
{
	struct push_shared_stats *shared = push_shared_stats_create(SLOTS);
	struct worker first, second;
	struct push_counts sum;

	(void)state;
	assert_non_null(shared);
	push_shared_stats_sum(shared, &sum);
	assert_int_equal(sum.stats.broker_up, 0); /* nobody is there */

	first = start(shared, 0);
	second = start(shared, 2);
	set_up(&first, true, false);
	set_up(&second, false, false);
	push_shared_stats_sum(shared, &sum);
	assert_int_equal(sum.stats.broker_up, 0);
	set_up(&second, true, true);
	push_shared_stats_sum(shared, &sum);
	assert_int_equal(sum.stats.broker_up, 1); /* not 2 */
	assert_int_equal(sum.stats.draining, 1);
	/* of keys the oldest count, and a worker without any is the worst */
	first.mine->stats.jwks_set_s = 200;
	push_shared_stats_sum(shared, &sum);
	assert_int_equal(sum.stats.jwks_set_s, 0);
	second.mine->stats.jwks_set_s = 100;
	first.mine->stats.certificate_expiry_s = 0; /* it has not looked yet */
	second.mine->stats.certificate_expiry_s = 300;
	first.mine->stats.certificates_stale = second.mine->stats.certificates_stale = 1;
	push_shared_stats_sum(shared, &sum);
	assert_int_equal(sum.stats.jwks_set_s, 100);
	assert_int_equal(sum.stats.certificate_expiry_s, 300);
	assert_int_equal(sum.stats.certificates_stale, 1);

	set_up(&second, false, true);
	stop(shared, 2, &second);
	push_shared_stats_sum(shared, &sum);
	assert_int_equal(sum.stats.broker_up, 1); /* who is gone is not asked */
	assert_int_equal(sum.stats.draining, 0);
	assert_int_equal(sum.stats.jwks_set_s, 200);
	stop(shared, 0, &first);
	push_shared_stats_destroy(shared);
}

static void
of_descriptors_the_worker_counts_that_is_nearest_to_its_limit(void **state)
{
	struct push_shared_stats *shared = push_shared_stats_create(SLOTS);
	struct worker first = start(shared, 0), second = start(shared, 1);
	struct push_counts sum;

	(void)state;
	push_counts_set_process(first.mine,
		&(struct push_process){.open_files = 10, .open_files_max = 100, .open_files_ratio = 0.1});
	push_counts_set_process(second.mine,
		&(struct push_process){.open_files = 95, .open_files_max = 100, .open_files_ratio = 0.95});
	push_shared_stats_sum(shared, &sum);
	assert_int_equal(sum.process.open_files, 105);
	assert_true(sum.process.open_files_ratio > 0.94 && sum.process.open_files_ratio < 0.96);
	stop(shared, 1, &second);
	push_shared_stats_sum(shared, &sum);
	assert_true(sum.process.open_files_ratio < 0.11);
	stop(shared, 0, &first);
	push_shared_stats_destroy(shared);
}

static void
delays_of_all_workers_are_one_histogram_which_outlives_them(void **state)
{
	struct push_shared_stats *shared = push_shared_stats_create(SLOTS);
	struct worker first = start(shared, 0), second = start(shared, 1);
	struct push_counts sum;

	(void)state;
	push_stats_late(&first.mine->stats, 300, 1);
	push_stats_late(&second.mine->stats, 400, 1);
	stop(shared, 1, &second);
	push_shared_stats_sum(shared, &sum);
	assert_int_equal(sum.stats.lag_buckets[1], 2);
	assert_int_equal(sum.stats.lag_sum_us, 700);
	stop(shared, 0, &first);
	push_shared_stats_destroy(shared);
}

static void
restarts_are_counted_by_pushd_and_told_by_any_worker(void **state)
{
	struct push_shared_stats *shared = push_shared_stats_create(SLOTS);
	struct worker first = start(shared, 0);
	struct push_buf text;

	(void)state;
	push_shared_stats_restarting(shared);
	push_shared_stats_restarting(shared);
	push_buf_init(&text, 65536);
	push_shared_stats_render(first.shared, &text);
	assert_int_equal(text.status, PUSH_OK);
	assert_non_null(memmem(text.bytes, text.size, "\npush_worker_restarts_total 2\n", 30));
	push_buf_fini(&text);
	stop(shared, 0, &first);
	push_shared_stats_destroy(shared);
}

static void
channels_of_all_workers_are_added_up_and_one_that_has_none_is_missed(void **state)
{
	struct push_shared_stats *shared = push_shared_stats_create(SLOTS);
	struct worker first = start(shared, 0), second = start(shared, 2);
	struct push_ranking *mine = calloc(1, sizeof(*mine)), *all = calloc(1, sizeof(*all));

	(void)state;
	push_ranking_offer(mine, "a", 1, 2);
	assert_false(push_shared_stats_add_rankings(first.shared, 1, all));
	push_shared_stats_put_ranking(first.shared, mine, 10);
	assert_false(push_shared_stats_add_rankings(second.shared, 1, all));
	push_ranking_clear(all);
	push_shared_stats_put_ranking(second.shared, mine, 20);
	assert_true(push_shared_stats_add_rankings(first.shared, 10, all));
	assert_int_equal(all->count, 1);
	assert_int_equal(all->items[0].subscribers, 4);

	/* what is old is not shown */
	push_ranking_clear(all);
	assert_false(push_shared_stats_add_rankings(first.shared, 11, all));
	assert_int_equal(all->items[all->order[0]].subscribers, 2);

	/* whoever has the slot next has not looked yet */
	stop(shared, 2, &second);
	second = start(shared, 2);
	push_ranking_clear(all);
	assert_false(push_shared_stats_add_rankings(first.shared, 1, all));
	assert_int_equal(all->items[all->order[0]].subscribers, 2);
	stop(shared, 2, &second);
	stop(shared, 0, &first);
	push_shared_stats_destroy(shared);
	free(mine);
	free(all);
}

static void
a_pushd_that_takes_anothers_place_goes_on_with_its_counters(void **state)
{
	struct push_shared_stats *before = push_shared_stats_create(SLOTS), *after;
	struct worker worker = start(before, 1);
	struct push_counts sum;

	(void)state;
	worker.mine->stats.broker_up = 1;
	worker.mine->stats.log_lines_dropped = 7;
	assert_null(push_shared_stats_inherit(SLOTS)); /* nothing was left */
	give(before, 0);
	assert_null(push_shared_stats_inherit(SLOTS + 1));
	give(before, 0);
	after = push_shared_stats_inherit(SLOTS);
	assert_non_null(after);
	assert_null(getenv("PUSHD_STATS"));
	/* no slot is touched by that */
	push_shared_stats_sum(after, &sum);
	assert_int_equal(sum.stats.broker_up, 1);
	assert_int_equal(sum.stats.log_lines_dropped, 7);
	push_shared_stats_leave(worker.shared);
	push_shared_stats_ended(after, 1);
	push_shared_stats_sum(after, &sum);
	assert_int_equal(sum.stats.log_lines_dropped, 7);
	push_shared_stats_destroy(after);
	push_shared_stats_destroy(before);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_that_pushd_and_workers_have_dropped_are_added_up),
		cmocka_unit_test(the_broker_is_up_when_all_workers_reach_it_and_drains_are_counted),
		cmocka_unit_test(of_descriptors_the_worker_counts_that_is_nearest_to_its_limit),
		cmocka_unit_test(delays_of_all_workers_are_one_histogram_which_outlives_them),
		cmocka_unit_test(restarts_are_counted_by_pushd_and_told_by_any_worker),
		cmocka_unit_test(channels_of_all_workers_are_added_up_and_one_that_has_none_is_missed),
		cmocka_unit_test(a_pushd_that_takes_anothers_place_goes_on_with_its_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
