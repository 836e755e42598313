/* What gives way when memory is short, and that everything that is charged is given back (core/memory.h). */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/hub.h"
#include "core/limits.h"
#include "core/memory.h"
#include "core/subscriber.h"

#define SECOND_US    1000000ull
#define CLIENT_COUNT 8
#define KB           1024u

struct client {
	struct push_subscriber *subscriber; /* NULL: not connected */
	char got[1 << 17];
	size_t size, room;
	bool closed;
};

#include "fake_transport.h"

struct world {
	struct push_options options;
	struct push_stats stats;
	struct push_hub *hub;
	struct push_memory *memory;
	uint64_t now;
	struct client clients[CLIENT_COUNT];
};

static void
on_ready(void *context)
{
	(void)context;
}

static struct world *
create_world(uint64_t history_size)
{
	struct world *world = calloc(1, sizeof(*world));

	push_options_init(&world->options);
	world->options.history_size = history_size;
	world->options.send_buffer_bytes = 4 * KB;
	world->now = 1000 * SECOND_US;
	world->hub = push_hub_create(&world->options, &world->stats, 42, world->now, on_ready, world);
	push_hub_number(world->hub, 7);
	world->memory = push_hub_memory(world->hub);
	return world;
}

static void
leave(struct client *client)
{
	push_subscriber_destroy(client->subscriber);
	client->subscriber = NULL;
	client->closed = false;
}

/* push_hub_destroy() asserts that nothing is charged any more. */
static void
destroy_world(struct world *world)
{
	for (size_t i = 0; i < CLIENT_COUNT; i++)
		leave(&world->clients[i]);
	push_hub_destroy(world->hub);
	free(world);
}

static void
flush(struct world *world)
{
	while (push_hub_flush(world->hub, world->now, 2))
		;
}

/* A client of a channel whose socket takes `room` bytes. */
static struct client *
come(struct world *world, size_t index, const char *channel, size_t room)
{
	struct client *client = &world->clients[index];
	struct push_channels channels;
	struct push_error error;

	client->size = 0;
	client->room = room;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &fake, client);
	assert_int_equal(
		push_channels_parse(&channels, channel, strlen(channel), &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	push_subscriber_start(client->subscriber, world->now);
	flush(world);
	return client;
}

static void
publish(struct world *world, const char *channel, size_t size)
{
	static unsigned int count;
	char *value = malloc(size);
	uint64_t subscribers;

	/* each its own: the same text would be kept once */
	memset(value, 'x', size);
	if (size > 20)
		(void)snprintf(value + 1, 16, "%u", count++);
	for (size_t i = 1; i < size; i++)
		if (!value[i])
			value[i] = 'x';
	value[0] = value[size - 1] = '"';
	assert_int_equal(push_hub_deliver(world->hub, channel, strlen(channel), value, size, 0, world->now,
				 &subscribers),
		PUSH_OK);
	free(value);
	flush(world);
}

static uint64_t
charged(const struct world *world, enum push_memory_use use)
{
	return world->memory->accounts[use].bytes;
}

static size_t
relieve(struct world *world)
{
	return push_hub_relieve_queues(world->hub, world->now, SIZE_MAX);
}

static void
the_largest_queue_goes_first_and_no_more_than_need_be(void **state)
{
	struct world *world = create_world(0);
	struct client *small = come(world, 0, "small", 0), *large = come(world, 1, "large", 0),
		      *middle = come(world, 2, "middle", 0);

	(void)state;
	publish(world, "small", 10 * KB);
	publish(world, "large", 100 * KB);
	publish(world, "middle", 40 * KB);
	push_memory_set_max(world->memory, world->memory->bytes + 20 * KB);
	assert_int_equal(relieve(world), 1);
	assert_true(charged(world, PUSH_MEMORY_QUEUES) < 60 * KB);
	push_memory_set_max(world->memory, world->memory->bytes);
	assert_int_equal(relieve(world), 1);
	large->room = middle->room = small->room = SIZE_MAX;
	for (size_t i = 0; i < 3; i++)
		push_subscriber_writable(world->clients[i].subscriber, world->now);
	/* a Close frame with 1013, and nothing of the message */
	assert_memory_equal(large->got + large->size - 4, "\x88\x02\x03\xf5", 4);
	assert_memory_equal(middle->got + middle->size - 4, "\x88\x02\x03\xf5", 4);
	assert_true(large->size < KB && middle->size < KB && small->size > 10 * KB);
	destroy_world(world);
}

static void
of_like_queues_the_one_that_has_been_as_large_for_longest_goes(void **state)
{
	struct world *world = create_world(0);

	(void)state;
	for (size_t i = 0; i < CLIENT_COUNT; i++)
		come(world, i, i ? "later" : "first", 0);
	publish(world, "first", 10 * KB);
	publish(world, "later", 10 * KB);
	push_memory_set_max(world->memory, world->memory->bytes);
	assert_int_equal(push_hub_relieve_queues(world->hub, world->now, 1), 1);
	world->clients[0].room = world->clients[1].room = SIZE_MAX;
	push_subscriber_writable(world->clients[0].subscriber, world->now);
	push_subscriber_writable(world->clients[1].subscriber, world->now);
	assert_true(world->clients[0].size < KB);
	assert_true(world->clients[1].size > 10 * KB);
	destroy_world(world);
}

static void
a_message_in_many_queues_is_charged_once(void **state)
{
	struct world *world = create_world(0);
	uint64_t before;

	(void)state;
	for (size_t i = 0; i < CLIENT_COUNT; i++)
		come(world, i, "same", 0);
	before = charged(world, PUSH_MEMORY_QUEUES);
	publish(world, "same", 100 * KB);
	assert_in_range(charged(world, PUSH_MEMORY_QUEUES) - before, 100 * KB, 102 * KB);
	assert_int_equal(charged(world, PUSH_MEMORY_SOCKETS), CLIENT_COUNT * 4 * KB);
	for (size_t i = 1; i < CLIENT_COUNT; i++)
		leave(&world->clients[i]);
	assert_in_range(charged(world, PUSH_MEMORY_QUEUES) - before, 100 * KB, 102 * KB);
	leave(&world->clients[0]);
	assert_int_equal(charged(world, PUSH_MEMORY_SOCKETS), 0);
	assert_int_equal(charged(world, PUSH_MEMORY_CHANNELS), 0);
	destroy_world(world);
}

static void
a_large_text_that_goes_to_many_channels_is_charged_once(void **state)
{
	struct world *world = create_world(0);
	char value[20 * KB];
	uint64_t subscribers, before;

	(void)state;
	memset(value, 'x', sizeof(value));
	value[0] = value[sizeof(value) - 1] = '"';
	come(world, 0, "a", 0);
	come(world, 1, "b", 0);
	come(world, 2, "c", SIZE_MAX);
	before = charged(world, PUSH_MEMORY_QUEUES);
	for (const char *channel = "abc"; *channel; channel++)
		assert_int_equal(push_hub_deliver(world->hub, channel, 1, value, sizeof(value), 0, world->now,
					 &subscribers),
			PUSH_OK);
	flush(world);
	assert_in_range(charged(world, PUSH_MEMORY_QUEUES) - before, sizeof(value), sizeof(value) + KB);
	assert_memory_equal(
		world->clients[2].got + world->clients[2].size - sizeof(value) - 2, value, sizeof(value));
	/* another text of the same size is another text */
	value[sizeof(value) - 2] = 'y';
	assert_int_equal(
		push_hub_deliver(world->hub, "c", 1, value, sizeof(value), 0, world->now, &subscribers),
		PUSH_OK);
	flush(world);
	assert_memory_equal(world->clients[2].got + world->clients[2].size - 5, "xy\"}}", 5);
	destroy_world(world);
}

static void
the_places_of_thousands_of_small_messages_are_charged_too(void **state)
{
	struct world *world = create_world(0);
	uint64_t one, all;

	(void)state;
	come(world, 0, "a", 0);
	come(world, 1, "a", 0);
	for (int i = 0; i < 5000; i++)
		publish(world, "a", 2);
	all = charged(world, PUSH_MEMORY_QUEUES);
	leave(&world->clients[1]);
	one = charged(world, PUSH_MEMORY_QUEUES);
	assert_in_range(all - one, 8192 * sizeof(void *), 8192 * sizeof(void *) + 100);
	destroy_world(world);
}

static void
a_client_that_reads_is_never_closed_for_want_of_memory(void **state)
{
	struct world *world = create_world(0);

	(void)state;
	come(world, 0, "a", SIZE_MAX);
	push_memory_set_max(world->memory, 1);
	for (int i = 0; i < 10; i++) {
		publish(world, "a", 10 * KB);
		assert_int_equal(relieve(world), 0);
	}
	assert_false(world->clients[0].closed);
	destroy_world(world);
}

static void
no_client_is_closed_for_what_history_takes_whose_oldest_messages_go(void **state)
{
	struct world *world = create_world(1000);
	uint64_t messages;

	(void)state;
	come(world, 0, "idle", 0);
	for (int i = 0; i < 100; i++)
		publish(world, "busy", 10 * KB);
	assert_true(charged(world, PUSH_MEMORY_HISTORY) > 1000 * KB);
	push_memory_set_max(world->memory, 500 * KB);
	assert_int_equal(relieve(world), 0);
	messages = world->stats.history_messages;
	assert_true(push_hub_relieve_history(world->hub, SIZE_MAX) > 50);
	assert_true(world->stats.history_messages < messages);
	assert_false(push_memory_is_short(world->memory));
	assert_int_equal(push_hub_relieve_history(world->hub, SIZE_MAX), 0);
	destroy_world(world);
}

static void
what_history_has_let_go_is_charged_to_the_queues_that_still_hold_it(void **state)
{
	struct world *world = create_world(1);

	(void)state;
	come(world, 0, "a", 0);
	publish(world, "a", 50 * KB);
	assert_true(charged(world, PUSH_MEMORY_HISTORY) > 50 * KB);
	assert_true(charged(world, PUSH_MEMORY_QUEUES) < 10 * KB);
	publish(world, "a", 2);
	assert_true(charged(world, PUSH_MEMORY_HISTORY) < 10 * KB);
	assert_true(charged(world, PUSH_MEMORY_QUEUES) > 50 * KB);
	destroy_world(world);
}

static void
no_new_channel_begins_where_there_is_no_room_for_it(void **state)
{
	struct world *world = create_world(0);
	struct client *client = &world->clients[0];
	struct push_channels channels;
	struct push_error error;

	(void)state;
	come(world, 1, "there", SIZE_MAX);
	push_memory_set_max(world->memory, world->memory->bytes);
	world->memory->is_exhausted = true;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &fake, client);
	assert_int_equal(push_channels_parse(&channels, "new", 3, &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OUT_OF_MEMORY);
	push_channels_fini(&channels);
	destroy_world(world);
}

static uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Seeded, so that a failure can be had again. */
static void
whatever_happens_to_queues_nothing_stays_charged(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 200; round++) {
		struct world *world = create_world(round % 3 ? 0 : 5);
		uint32_t seed = round;

		push_memory_set_max(world->memory, 300 * KB);
		for (int step = 0; step < 200; step++) {
			struct client *client = &world->clients[next_random(&seed) % CLIENT_COUNT];

			switch (next_random(&seed) % 6) {
			case 0: leave(client); break;
			case 1:
				if (!client->subscriber)
					come(world, (size_t)(client - world->clients),
						next_random(&seed) % 2 ? "a" : "a,b",
						next_random(&seed) % 4000);
				break;
			case 2:
				client->size = 0;
				client->room = next_random(&seed) % (30 * KB);
				if (client->subscriber)
					push_subscriber_writable(client->subscriber, world->now);
				break;
			case 3: (void)relieve(world); break;
			case 4: (void)push_hub_relieve_history(world->hub, 3); break;
			default:
				publish(world, next_random(&seed) % 2 ? "a" : "b",
					2 + next_random(&seed) % (20 * KB));
				break;
			}
			for (size_t i = 0; i < CLIENT_COUNT; i++)
				world->clients[i].size = 0;
		}
		destroy_world(world);
	}
}

int
main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(the_largest_queue_goes_first_and_no_more_than_need_be),
		T(of_like_queues_the_one_that_has_been_as_large_for_longest_goes),
		T(a_message_in_many_queues_is_charged_once),
		T(a_large_text_that_goes_to_many_channels_is_charged_once),
		T(the_places_of_thousands_of_small_messages_are_charged_too),
		T(a_client_that_reads_is_never_closed_for_want_of_memory),
		T(no_client_is_closed_for_what_history_takes_whose_oldest_messages_go),
		T(what_history_has_let_go_is_charged_to_the_queues_that_still_hold_it),
		T(no_new_channel_begins_where_there_is_no_room_for_it),
		T(whatever_happens_to_queues_nothing_stays_charged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
