/* A client that asks for more than has been done for it is not read from (core/intake.h). */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/hub.h"
#include "core/limits.h"
#include "core/subscriber.h"

#define SECOND_US 1000000ull

struct client {
	struct push_subscriber *subscriber;
	char got[1 << 20];
	size_t size, room;
	bool closed, is_paused;
};

#include "fake_transport.h"

static void
set_reading(void *connection, bool on)
{
	struct client *client = connection;

	assert_int_equal(client->is_paused, on); /* it is called for changes only */
	client->is_paused = !on;
}

static const struct push_transport pausing = {
	.write = fake_write, .is_blocked = fake_is_blocked, .close = fake_close, .set_reading = set_reading};

struct world {
	struct push_options options;
	struct push_stats stats;
	struct push_hub *hub;
	uint64_t now;
	struct client client;
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
	struct push_channels channels;
	struct push_error error;

	push_options_init(&world->options);
	world->options.history_size = history_size;
	world->now = 1000 * SECOND_US;
	world->hub = push_hub_create(&world->options, &world->stats, 42, world->now, on_ready, world);
	push_hub_number(world->hub, 7);
	world->client.room = SIZE_MAX;
	world->client.subscriber =
		push_subscriber_create(world->hub, PUSH_ENCODING_WS, &pausing, &world->client);
	assert_int_equal(push_channels_parse(&channels, "a", 1, &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(world->client.subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	push_subscriber_start(world->client.subscriber, world->now);
	return world;
}

static void
destroy_world(struct world *world)
{
	push_subscriber_destroy(world->client.subscriber);
	assert_int_equal(world->stats.paused, 0);
	assert_int_equal(world->stats.outbox_bytes, 0);
	push_hub_destroy(world->hub);
	free(world);
}

static void
flush(struct world *world)
{
	while (push_hub_flush(world->hub, world->now, 16))
		;
}

static void
say(struct world *world, const char *text)
{
	push_subscriber_receive(world->client.subscriber, text, strlen(text), world->now);
}

/* The client takes so many bytes more. */
static void
take(struct world *world, size_t bytes)
{
	world->client.room = bytes;
	push_subscriber_writable(world->client.subscriber, world->now);
	flush(world);
}

/* The client's socket is full from here on. */
static void
stop_taking(struct world *world)
{
	flush(world);
	world->client.room = 0;
	say(world, "{\"event\":\"ping\"}");
	flush(world);
}

static void
ask_until_paused(struct world *world)
{
	while (!world->client.is_paused) {
		say(world, "{\"event\":\"ping\"}");
		assert_true(world->stats.outbox_bytes < PUSH_ANSWERS_WAITING_BYTES_MAX + 1024);
	}
}

static void
a_client_that_reads_no_answers_is_read_from_again_when_half_of_them_are_written(void **state)
{
	struct world *world = create_world(0);

	(void)state;
	stop_taking(world);
	ask_until_paused(world);
	assert_true(world->stats.outbox_bytes > PUSH_ANSWERS_WAITING_BYTES_MAX);
	assert_int_equal(world->stats.paused, 1);
	take(world, PUSH_ANSWERS_WAITING_BYTES_MAX / 2 - 100);
	assert_true(world->client.is_paused);
	take(world, 2000);
	assert_false(world->client.is_paused);
	assert_int_equal(world->stats.pauses, 1);
	destroy_world(world);
}

static void
every_kind_of_request_stops_a_client_that_reads_no_answers(void **state)
{
	static const char *const asks[] = {
		"{\"event\":\"ping\"}",
		"{\"event\":\"subscribe\",\"data\":{\"channels\":[\"b\",\"\"]}}",
		"{\"event\":\"unsubscribe\",\"data\":{\"channels\":[\"b\"]}}",
		"{\"event\":\"ack\",\"data\":{\"id\":\"wrong\"}}",
		"{\"event\":\"publish\",\"data\":{\"channel\":\"a\",\"message\":1}}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(asks); i++) {
		struct world *world = create_world(10); /* or acks are not looked at */

		stop_taking(world);
		for (int n = 0; n < 10000 && !world->client.is_paused; n++)
			say(world, asks[i]);
		assert_true(world->client.is_paused);
		assert_true(world->stats.outbox_bytes < PUSH_ANSWERS_WAITING_BYTES_MAX + 1024);
		destroy_world(world);
	}
}

static void
protocol_pings_stop_it_too(void **state)
{
	struct world *world = create_world(0);

	(void)state;
	stop_taking(world);
	for (int n = 0; n < 10000 && !world->client.is_paused; n++)
		push_subscriber_pinged(world->client.subscriber, "payload", 7, world->now);
	assert_true(world->client.is_paused);
	destroy_world(world);
}

static void
pongs_and_messages_of_others_never_stop_a_slow_reader(void **state)
{
	struct world *world = create_world(0);
	char value[1002];
	uint64_t subscribers;

	(void)state;
	memset(value, 'x', sizeof(value));
	value[0] = value[sizeof(value) - 1] = '"';
	stop_taking(world);
	for (int i = 0; i < 500; i++)
		assert_int_equal(push_hub_deliver(world->hub, "a", 1, value, sizeof(value), 0, world->now,
					 &subscribers),
			PUSH_OK);
	say(world, "{\"event\":\"pong\"}");
	assert_false(world->client.is_paused);
	assert_true(world->stats.outbox_bytes > PUSH_ANSWERS_WAITING_BYTES_MAX);
	destroy_world(world);
}

/* As time goes by; the first ping is due after the interval, its answer a grace period later. */
static void
pass(struct world *world, uint64_t us)
{
	for (uint64_t end = world->now + us; world->now < end; world->now += 100000) {
		while (push_hub_tick(world->hub, world->now, 16))
			;
		flush(world);
	}
}

static void
a_paused_client_is_alive_as_long_as_it_takes_what_it_is_sent(void **state)
{
	struct world *world = create_world(0);

	(void)state;
	stop_taking(world);
	ask_until_paused(world);
	for (int i = 0; i < 40; i++) {
		pass(world, SECOND_US);
		take(world, 100);
		assert_true(world->client.is_paused);
		assert_false(world->client.closed);
	}
	/* and no longer: a ping within the interval, its grace period, the second look, the end */
	pass(world, world->options.heartbeat_us + 4 * world->options.grace_us);
	assert_true(world->client.closed);
	destroy_world(world);
}

static void
a_client_that_is_closed_is_read_from_for_its_answer(void **state)
{
	struct world *world = create_world(0);

	(void)state;
	stop_taking(world);
	ask_until_paused(world);
	push_subscriber_close(world->client.subscriber, PUSH_CLOSE_LIFETIME, world->now);
	assert_false(world->client.is_paused);
	say(world, "{\"event\":\"ping\"}");
	assert_false(world->client.is_paused);
	destroy_world(world);
}

static void
a_client_is_not_read_from_while_others_have_work_of_its(void **state)
{
	struct world *world = create_world(0);

	(void)state;
	push_subscriber_hold(world->client.subscriber, true);
	assert_true(world->client.is_paused);
	flush(world);
	assert_true(world->client.is_paused);
	push_subscriber_hold(world->client.subscriber, false);
	assert_false(world->client.is_paused);
	destroy_world(world);
}

static void
a_paused_client_that_hangs_up_is_counted_off(void **state)
{
	struct world *world = create_world(0);

	(void)state;
	push_subscriber_hold(world->client.subscriber, true);
	assert_int_equal(world->stats.paused, 1);
	destroy_world(world);
}

static void
a_command_of_many_bad_names_has_a_bounded_number_of_answers(void **state)
{
	struct world *world = create_world(0);
	char text[4096] = "{\"event\":\"subscribe\",\"data\":{\"ref\":7,\"channels\":[\"\"";
	size_t errors = 0;

	(void)state;
	while (strlen(text) < sizeof(text) - 100)
		strcat(text, ",\"\"");
	strcat(text, "]}}");
	flush(world);
	world->client.size = 0;
	say(world, text);
	flush(world);
	assert_true(world->client.size < 2 * sizeof(text));
	world->client.got[world->client.size] = '\0';
	for (const char *at = world->client.got;
		(at = memmem(at, (size_t)(world->client.got + world->client.size - at), "\"error\":\"", 9));
		at++)
		errors++;
	assert_int_equal(errors, PUSH_LIVE_ERRORS_MAX + 1);
	assert_non_null(memmem(world->client.got, world->client.size,
		" more channels are refused\",\"channels\":[\"\",\"\"", 44));
	assert_non_null(memmem(world->client.got, world->client.size, "],\"ref\":7}}", 11));
	destroy_world(world);
}

int
main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		T(a_client_that_reads_no_answers_is_read_from_again_when_half_of_them_are_written),
		T(every_kind_of_request_stops_a_client_that_reads_no_answers),
		T(protocol_pings_stop_it_too),
		T(pongs_and_messages_of_others_never_stop_a_slow_reader),
		T(a_paused_client_is_alive_as_long_as_it_takes_what_it_is_sent),
		T(a_client_that_is_closed_is_read_from_for_its_answer),
		T(a_client_is_not_read_from_while_others_have_work_of_its),
		T(a_paused_client_that_hangs_up_is_counted_off),
		T(a_command_of_many_bad_names_has_a_bounded_number_of_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
