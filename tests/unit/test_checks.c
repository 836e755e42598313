/* Checks that were for nothing take a fifth of the time at most, and nobody who waits for one is forgotten. */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>
#include <string.h>

#include "auth/checks.h"
#include "auth/limits.h"

/* An owner whose checks take `cost_us` each, of which those with a token that begins with `f` are for nothing. */
static struct {
	struct push_checks checks;
	uint64_t now_us, cost_us;
	unsigned int checked, given_up, waited;
	char last[32];
	bool submits_again;
} owner;

static uint64_t
now(void)
{
	return owner.now_us;
}

static void
submit(const char *token)
{
	char text[32]; /* gone when it is checked */

	snprintf(text, sizeof(text), "%s", token);
	push_checks_submit(&owner.checks, &(struct push_check){.token = {text, strlen(text)}});
	memset(text, 'x', sizeof(text));
}

static void
check(void *context, const struct push_check *check)
{
	assert_ptr_equal(context, &owner);
	owner.checked++;
	owner.waited += check->has_waited;
	snprintf(owner.last, sizeof(owner.last), "%.*s", (int)check->token.size, check->token.bytes);
	owner.now_us += owner.cost_us;
	if (*owner.last == 'f')
		push_checks_charge(&owner.checks, owner.cost_us);
	if (owner.submits_again) {
		owner.submits_again = false;
		submit("again");
	}
}

static void
give_up(void *context, const struct push_check *check)
{
	(void)context;
	(void)check;
	owner.given_up++;
}

static void
begin(uint64_t cost_us)
{
	memset(&owner, 0, sizeof(owner));
	owner.now_us = 1000000;
	owner.cost_us = cost_us;
	push_checks_init(&owner.checks, &(struct push_checks_host){check, give_up, now, &owner});
}

static void
tick(void)
{
	push_checks_tick(&owner.checks, owner.now_us);
}

static void
good_tokens_never_wait(void **state)
{
	(void)state;
	begin(500);
	for (int i = 0; i < 1000; i++)
		submit("good");
	assert_int_equal(owner.checked, 1000);
	assert_int_equal(owner.waited, 0);
}

static void
a_flood_takes_a_fifth_of_the_time(void **state)
{
	uint64_t begun_us;

	(void)state;
	begin(100);
	begun_us = owner.now_us;
	for (int i = 0; i < 600; i++) {
		owner.now_us = begun_us + (uint64_t)i * 10000;
		for (int j = 0; j < 200 && owner.checks.waiting_count < 150; j++)
			submit("forged");
		tick();
	}
	/* 6 s, and the burst */
	assert_in_range(owner.checked * owner.cost_us, 1100000, 1300000);
	push_checks_fini(&owner.checks);
}

static void
a_good_token_behind_forged_ones_is_checked_in_its_turn(void **state)
{
	int ticks = 0;

	(void)state;
	begin(1000);
	for (int i = 0; i < 10; i++)
		submit("forged");
	submit("good");
	assert_string_not_equal(owner.last, "good");
	while (strcmp(owner.last, "good") != 0 && ticks++ < 1000) {
		owner.now_us += 10000;
		tick();
	}
	assert_string_equal(owner.last, "good");
	assert_int_equal(owner.checked, 11);
	assert_int_equal(owner.given_up, 0);
	assert_int_equal(owner.checks.waiting_count, 0);
}

static void
a_tick_goes_on_for_two_milliseconds_at_most(void **state)
{
	(void)state;
	begin(1000);
	for (int i = 0; i < 3; i++)
		submit("forged");
	for (int i = 0; i < 100; i++)
		submit("good");
	owner.now_us += 1000000;
	owner.checked = 0;
	tick();
	assert_int_equal(owner.checked, 2);
	owner.submits_again = true;
	tick();
	assert_int_equal(owner.checked, 4);
	assert_int_equal(owner.checks.waiting_count, 97); /* the new one is behind the others */
	push_checks_fini(&owner.checks);
	assert_int_equal(owner.given_up, 97);
}

static void
what_waits_too_long_or_finds_no_room_is_given_up(void **state)
{
	(void)state;
	begin(10000);
	submit("forged");
	for (unsigned int i = 0; i < PUSH_CHECKS_WAITING_MAX; i++)
		submit("forged");
	assert_int_equal(owner.given_up, 0);
	submit("forged");
	assert_int_equal(owner.given_up, 1);
	owner.now_us += PUSH_CHECK_WAIT_US;
	tick();
	assert_int_equal(owner.given_up, 1 + PUSH_CHECKS_WAITING_MAX);
	assert_int_equal(owner.checked, 1);
	assert_int_equal(owner.checks.waiting_count, 0);
}

static void
without_memory_a_token_is_given_up(void **state)
{
	(void)state;
	begin(10000);
	submit("forged");
	allocations_left = 0;
	submit("forged");
	allocations_left = -1;
	assert_int_equal(owner.given_up, 1);
	assert_int_equal(owner.checks.waiting_count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_tokens_never_wait),
		cmocka_unit_test(a_flood_takes_a_fifth_of_the_time),
		cmocka_unit_test(a_good_token_behind_forged_ones_is_checked_in_its_turn),
		cmocka_unit_test(a_tick_goes_on_for_two_milliseconds_at_most),
		cmocka_unit_test(what_waits_too_long_or_finds_no_room_is_given_up),
		cmocka_unit_test(without_memory_a_token_is_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
