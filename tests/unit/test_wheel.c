#include "unit.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/wheel.h"

enum { TIMERS = 500 };

/* What `fire` sees; a test program has one thread and one wheel. */
static struct {
	struct push_timer timer;
	uint64_t due_us;
	bool armed;
} entries[TIMERS];
static size_t fired;

static void
fire(struct push_timer *timer, uint64_t now_us)
{
	size_t i = (size_t)((char *)timer - (char *)entries) / sizeof(entries[0]);

	assert_true(entries[i].armed);
	assert_true(now_us >= entries[i].due_us); /* never early */
	entries[i].armed = false;
	fired++;
}

static void
nothing_fires_early_and_everything_within_a_tick(void **state)
{
	static const uint64_t distances_us[] = {0, 1, PUSH_TICK_US, PUSH_TICK_US + 1, 630000, 640000, 641000,
		40950000, 40960000, 41000000, 2621440000, 2621450000, PUSH_DURATION_US_MAX};

	(void)state;
	for (size_t i = 0; i < COUNT(distances_us); i++) {
		uint64_t start = 123456789, due = start + distances_us[i];
		struct push_wheel wheel;

		push_wheel_init(&wheel, start);
		push_timer_init(&entries[0].timer);
		entries[0].due_us = due;
		entries[0].armed = true;
		fired = 0;
		push_wheel_arm(&wheel, &entries[0].timer, due);
		push_wheel_advance(&wheel, due > start ? due - 1 : start, 100, fire);
		assert_int_equal(fired, 0);
		push_wheel_advance(&wheel, due + 2 * PUSH_TICK_US, 100, fire);
		assert_int_equal(fired, 1);
	}
}

static void
a_disarmed_timer_does_not_fire_and_a_moved_one_fires_once(void **state)
{
	struct push_wheel wheel;

	(void)state;
	push_wheel_init(&wheel, 0);
	fired = 0;
	for (size_t i = 0; i < 2; i++)
		push_timer_init(&entries[i].timer);
	push_wheel_arm(&wheel, &entries[0].timer, 1000000);
	push_timer_disarm(&entries[0].timer);
	push_timer_disarm(&entries[0].timer);
	entries[1].armed = true;
	entries[1].due_us = 5000000;
	push_wheel_arm(&wheel, &entries[1].timer, 1000000);
	push_wheel_arm(&wheel, &entries[1].timer, 5000000);
	push_wheel_advance(&wheel, 10000000, 100, fire);
	assert_int_equal(fired, 1);
}

static void
a_slice_leaves_the_rest_for_the_next(void **state)
{
	struct push_wheel wheel;

	(void)state;
	push_wheel_init(&wheel, 0);
	fired = 0;
	for (size_t i = 0; i < 10; i++) {
		push_timer_init(&entries[i].timer);
		entries[i].armed = true;
		entries[i].due_us = 50000;
		push_wheel_arm(&wheel, &entries[i].timer, 50000);
	}
	assert_true(push_wheel_advance(&wheel, 60000, 4, fire));
	assert_int_equal(fired, 4);
	assert_true(push_wheel_advance(&wheel, 60000, 4, fire));
	assert_false(push_wheel_advance(&wheel, 60000, 4, fire));
	assert_int_equal(fired, 10);
}

/* Random arming, moving and disarming over all levels; each timer fires when a plain list would say. */
static void
it_behaves_like_a_plain_list(void **state)
{
	unsigned int seed = 20261123;
	uint64_t now = 777777;
	struct push_wheel wheel;

	(void)state;
	print_message("seed %u\n", seed);
	push_wheel_init(&wheel, now);
	for (size_t i = 0; i < TIMERS; i++) {
		push_timer_init(&entries[i].timer);
		entries[i].armed = false;
	}
	for (int step = 0; step < 20000; step++) {
		size_t i = (size_t)rand_r(&seed) % TIMERS;

		if (rand_r(&seed) % 4) {
			entries[i].due_us =
				now + (uint64_t)rand_r(&seed) % ((uint64_t)1 << (rand_r(&seed) % 33));
			entries[i].armed = true;
			push_wheel_arm(&wheel, &entries[i].timer, entries[i].due_us);
		} else {
			entries[i].armed = false;
			push_timer_disarm(&entries[i].timer);
		}
		now += (uint64_t)rand_r(&seed) % ((uint64_t)1 << (rand_r(&seed) % 22));
		push_wheel_advance(&wheel, now, TIMERS, fire);
		if (step % 100)
			continue;
		for (size_t k = 0; k < TIMERS; k++)
			if (entries[k].armed)
				assert_true(entries[k].due_us + 2 * PUSH_TICK_US > now);
	}
}

/* Ticks have 32 bits: on a machine that has been up for 497 days they begin again. */
static void
nothing_happens_when_the_count_of_ticks_wraps(void **state)
{
	uint64_t wrap_us = ((uint64_t)1 << 32) * PUSH_TICK_US, now = wrap_us - 5 * 1000000;
	struct push_wheel wheel;

	(void)state;
	push_wheel_init(&wheel, now);
	fired = 0;
	for (size_t i = 0; i < 20; i++) {
		push_timer_init(&entries[i].timer);
		entries[i].armed = true;
		entries[i].due_us = now + 1000000 * (uint64_t)i;
		push_wheel_arm(&wheel, &entries[i].timer, entries[i].due_us);
	}
	assert_true(push_tick_is_before(push_tick_at(wrap_us - 1), push_tick_at(wrap_us + PUSH_TICK_US)));
	for (; now < wrap_us + 20 * 1000000; now += 7777)
		push_wheel_advance(&wheel, now, TIMERS, fire);
	assert_int_equal(fired, 20);
}

static void
all_timers_can_be_taken_out(void **state)
{
	struct push_wheel wheel;
	struct push_list all;
	int count = 0;

	(void)state;
	push_wheel_init(&wheel, 0);
	for (size_t i = 0; i < TIMERS; i++) {
		push_timer_init(&entries[i].timer);
		entries[i].armed = false;
		push_wheel_arm(&wheel, &entries[i].timer, (uint64_t)1 << (i % 38));
	}
	push_list_init(&all);
	push_wheel_take_all(&wheel, &all);
	for (; !push_list_is_empty(&all); count++)
		push_list_remove(all.next);
	assert_int_equal(count, TIMERS);
	push_wheel_advance(&wheel, (uint64_t)1 << 38, TIMERS, fire); /* would fail: none is armed */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_fires_early_and_everything_within_a_tick),
		cmocka_unit_test(a_disarmed_timer_does_not_fire_and_a_moved_one_fires_once),
		cmocka_unit_test(a_slice_leaves_the_rest_for_the_next),
		cmocka_unit_test(it_behaves_like_a_plain_list),
		cmocka_unit_test(nothing_happens_when_the_count_of_ticks_wraps),
		cmocka_unit_test(all_timers_can_be_taken_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
