/* A process that has gone wrong writes anywhere in the memory that workers share, while another one works with it. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "unit.h"

#include "segment_junk.h"

#define WORLDS 60
#define STEPS  300
#define PIECE  64 /* of an input: more than a step takes */

/* xorshift64* (Vigna, 2016) */
static uint8_t
random_byte(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint8_t)(*state * 2685821657736338717ull >> 56);
}

static struct junk_input
random_input(uint8_t *bytes, uint64_t *random)
{
	for (size_t i = 0; i < PIECE; i++)
		bytes[i] = random_byte(random);
	return (struct junk_input){bytes, PIECE};
}

static void
scribble(struct junk_world *world, uint64_t random)
{
	uint8_t bytes[PIECE];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct junk_input input = random_input(bytes, &random);

		junk_write(world, &input);
		/* now all the time, now once in a while */
		for (volatile unsigned int left = random_byte(&random); left; left--)
			continue;
	}
}

static void
test_what_is_checked_is_what_is_used_while_another_writes_to_it(void **state)
{
	uint8_t bytes[PIECE];

	(void)state;
	for (uint64_t seed = 1; seed <= WORLDS; seed++) {
		uint64_t random = seed * 0x9e3779b97f4a7c15ull;
		struct junk_world world;
		pid_t pid;

		junk_begin(&world, false);
		junk_fill(&world);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			scribble(&world, ~random);
		for (unsigned int i = 0; i < STEPS; i++) {
			struct junk_input input = random_input(bytes, &random);

			junk_act(&world, &input, (uint8_t)junk_next(&input, 1));
		}
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		junk_goes_on(&world, world.workers[0]);
		junk_end(&world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_checked_is_what_is_used_while_another_writes_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
