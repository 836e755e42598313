/*
 * Many clients that wait for a head (hub.h, "history upstream"): what it costs when it comes, and when no
 * server tells it.
 *
 * With an argument, a number of clients, it is a benchmark of a tick that ends the wait of all.
 */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/history.h"
#include "core/hub.h"
#include "core/limits.h"
#include "core/position.h"
#include "core/subscriber.h"
#include "core/transport.h"

#define SECOND_US 1000000ull
#define WAIT_US   (7 * SECOND_US) /* longer than any wait for a head */
#define SLICE     512u

static uint64_t steps; /* subscribers that were to be flushed, each time */

void
__real_hub_mark_dirty(struct push_subscriber *subscriber);
void
__wrap_hub_mark_dirty(struct push_subscriber *subscriber);

void
__wrap_hub_mark_dirty(struct push_subscriber *subscriber)
{
	steps++;
	__real_hub_mark_dirty(subscriber);
}

static ssize_t
count_write(void *connection, struct push_frame *const *frames, size_t count, size_t skip)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++) {
		*(bool *)connection |= memmem(frames[i]->bytes, frames[i]->size, "event:resumed", 13) ||
				       memmem(frames[i]->bytes, frames[i]->size, "event:gap", 9);
		size += frames[i]->size;
	}
	return (ssize_t)(size - skip);
}

static bool
never_blocked(void *connection)
{
	(void)connection;
	return false;
}

static void
not_closed(void *connection, bool at_once)
{
	(void)connection;
	(void)at_once;
	fail_msg("closed");
}

static const struct push_transport transport = {
	.write = count_write, .is_blocked = never_blocked, .close = not_closed};

struct world {
	struct push_options options;
	struct push_stats stats;
	struct push_hub *hub;
	uint64_t now;
	size_t count;
	struct push_subscriber **subscribers;
	bool *answered;
};

static void
on_ready(void *context)
{
	(void)context;
}

/* There is nothing older. */
static void
on_fetch(void *context, struct push_channel *channel)
{
	const struct push_fetch_end end = {
		.after = {1, 0}, .upstream = {1, 0}, .before = channel->history->after};

	(void)context;
	push_hub_extend(channel, &end);
}

/* The server has said that the channel stands at `head`; nothing of that has come in. */
static void
settle(struct world *world, const char *name, uint64_t head)
{
	struct push_channel *channel = push_hub_find(world->hub, name, strlen(name));
	struct push_fetch_end end = {.after = {1, 0}, .upstream = {1, 0}, .head = {1, head}};

	push_hub_unsettle(channel);
	assert_true(push_hub_settle(world->hub, channel, &end, world->now));
	push_hub_confirm(world->hub, channel, false, world->now);
}

/* @channel_count: so many channels, each of which stands elsewhere.  @id: NULL: clients come without one. */
static void
init_world(struct world *world, size_t count, size_t channel_count, const char *id)
{
	char name[32];

	*world = (struct world){.now = 1000 * SECOND_US, .count = count};
	push_options_init(&world->options);
	world->options.history_size = 10;
	world->options.history_ttl_us = 3600 * SECOND_US;
	world->options.lifetime_min_us = world->options.lifetime_max_us = PUSH_DURATION_US_MAX;
	world->options.heartbeat_us = PUSH_DURATION_US_MAX;
	world->hub = push_hub_create(&world->options, &world->stats, 42, world->now, on_ready, NULL);
	world->subscribers = calloc(count, sizeof(struct push_subscriber *));
	world->answered = calloc(count, sizeof(bool));
	assert_true(world->hub && world->subscribers && world->answered);
	push_hub_watch(world->hub, 0);
	push_hub_set_upstream(world->hub, 1, on_fetch, NULL);
	push_hub_move_head(world->hub, 0, (struct push_position){1, 1});
	for (size_t i = 0; i < count; i++) {
		struct push_channels channels;
		struct push_error error;
		int size = snprintf(name, sizeof(name), "c%zu", i % channel_count);

		assert_int_equal(
			push_channels_parse(&channels, name, (size_t)size, &world->options, &error), PUSH_OK);
		world->subscribers[i] = push_subscriber_create(
			world->hub, PUSH_ENCODING_SSE, &transport, &world->answered[i]);
		assert_int_equal(push_subscriber_subscribe(world->subscribers[i], &channels), PUSH_OK);
		if (id)
			assert_int_equal(
				push_subscriber_resume(world->subscribers[i], id, strlen(id)), PUSH_OK);
		push_subscriber_start(world->subscribers[i], world->now);
		push_channels_fini(&channels);
	}
	for (size_t i = 0; i < channel_count; i++) {
		snprintf(name, sizeof(name), "c%zu", i);
		settle(world, name, 2 + i);
	}
	while (push_hub_flush(world->hub, world->now, SLICE))
		;
	for (size_t i = 0; i < count; i++)
		assert_false(world->answered[i]);
	world->now += WAIT_US;
	steps = 0;
}

static void
fini_world(struct world *world)
{
	for (size_t i = 0; i < world->count; i++)
		push_subscriber_destroy(world->subscribers[i]);
	while (push_hub_next_changed(world->hub))
		;
	push_hub_destroy(world->hub);
	free(world->subscribers);
	free(world->answered);
}

/* The steps of one slice, at most; all slices are run, and what they have brought about. */
static uint64_t
run_slices(struct world *world)
{
	uint64_t most = 0, before;
	bool more;

	do {
		before = steps;
		more = push_hub_tick(world->hub, world->now, SLICE);
		if (more && steps - before > most)
			most = steps - before;
	} while (more);
	while (push_hub_flush(world->hub, world->now, SLICE))
		;
	return most;
}

static void
check(size_t count, size_t channel_count, const char *id, bool id_is_ahead)
{
	struct world world;

	init_world(&world, count, channel_count, id);
	if (id_is_ahead)
		push_hub_is_unanswered(world.hub, 0, true);
	else
		push_hub_move_head(world.hub, 0, (struct push_position){1, 1 + channel_count});
	assert_true(run_slices(&world) <= SLICE);
	/* each once since its own wait is over, and once since a head has moved */
	assert_true(steps <= 4 * count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(world.answered[i], id != NULL);
	world.now += WAIT_US;
	steps = 0;
	run_slices(&world);
	/* nobody is woken any more; those that began anew are behind the head now, which may come yet */
	assert_int_equal(steps, 0);
	assert_int_equal(push_hub_awaits_head(world.hub), id_is_ahead);
	fini_world(&world);
}

/* What was published may be on its way, however late: a client that is let go has it behind its position. */
static void
no_clock_lets_a_client_go_that_waits_for_a_head_which_is_late(void **state)
{
	static const char *const ids[] = {NULL, "0.1.0", "0.2.zzz"};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct world world;

		init_world(&world, 10, 1, ids[i]);
		world.now += 100 * WAIT_US;
		run_slices(&world);
		assert_int_equal(steps, 0);
		for (size_t client = 0; client < world.count; client++)
			assert_false(world.answered[client]);
		assert_true(push_hub_awaits_head(world.hub));
		assert_true(push_hub_waits_long(world.hub, 0, world.now));
		fini_world(&world);
	}
}

/* As the engine does where it cannot come. */
static void
clients_are_let_go_when_the_server_has_told_of_all_channels_what_they_have_had(void **state)
{
	struct world world;

	(void)state;
	init_world(&world, 30, 3, "0.1.0");
	push_hub_hold_back(world.hub, 0);
	for (int c = 0; c < 3; c++) {
		char name[8];

		snprintf(name, sizeof(name), "c%d", c);
		settle(&world, name, c == 1 ? 6 : 5);
	}
	run_slices(&world);
	for (size_t i = 0; i < world.count; i++)
		assert_false(world.answered[i]);
	push_hub_catch_up(world.hub, 0, world.now);
	run_slices(&world);
	for (size_t i = 0; i < world.count; i++) /* the others' fifth may be followed by a sixth */
		assert_int_equal(world.answered[i], i % 3 != 1);
	push_hub_move_head(world.hub, 0, (struct push_position){1, 6});
	run_slices(&world);
	for (size_t i = 0; i < world.count; i++)
		assert_true(world.answered[i]);
	fini_world(&world);
}

static void
clients_of_one_channel_stop_waiting_for_a_head_in_as_many_steps_as_there_are_clients(void **state)
{
	(void)state;
	check(6000, 1, NULL, false);
}

static void
clients_of_many_channels_stop_waiting_for_a_head_in_as_many_steps_as_there_are_clients(void **state)
{
	(void)state;
	check(6000, 3000, NULL, false);
}

static void
clients_with_an_id_ahead_are_answered_in_as_many_steps_as_there_are_clients(void **state)
{
	(void)state;
	check(6000, 1, "0.2.zzz", true);
}

static void
clients_that_come_back_are_answered_in_as_many_steps_as_there_are_clients(void **state)
{
	(void)state;
	check(6000, 1, "0.1.0", false);
}

static int
bench(size_t count)
{
	struct world world;
	struct timespec from, to;

	init_world(&world, count, 1, "0.2.zzz");
	push_hub_is_unanswered(world.hub, 0, true);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	push_hub_tick(world.hub, world.now, SLICE);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	printf("%zu clients: one tick %.2f ms\n", count,
		(double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6);
	while (push_hub_tick(world.hub, world.now, SLICE))
		;
	while (push_hub_flush(world.hub, world.now, SLICE))
		;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	printf("%zu clients: all ticks and flushes %.2f ms, %.1f steps a client\n", count,
		(double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6,
		(double)steps / (double)count);
	fini_world(&world);
	return 0;
}

int
main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			clients_of_one_channel_stop_waiting_for_a_head_in_as_many_steps_as_there_are_clients),
		cmocka_unit_test(
			clients_of_many_channels_stop_waiting_for_a_head_in_as_many_steps_as_there_are_clients),
		cmocka_unit_test(clients_with_an_id_ahead_are_answered_in_as_many_steps_as_there_are_clients),
		cmocka_unit_test(clients_that_come_back_are_answered_in_as_many_steps_as_there_are_clients),
		cmocka_unit_test(no_clock_lets_a_client_go_that_waits_for_a_head_which_is_late),
		cmocka_unit_test(
			clients_are_let_go_when_the_server_has_told_of_all_channels_what_they_have_had),
	};

	if (count > 1)
		return bench((size_t)atol(arguments[1]));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
