/*
 * The hub with its subscribers, over a transport that keeps what is written and can be blocked.
 * malloc, calloc and realloc are wrapped, so that the nth allocation can be made to fail.
 */
#include "unit.h"

#include "chunkless.h"
#include "failing_alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/channel.h"
#include "core/hub.h"
#include "core/limits.h"
#include "core/subscriber.h"

#define SECOND_US 1000000ull

struct client {
	struct push_subscriber *subscriber;
	char got[65536];
	size_t size, room, writes; /* room: bytes that a write may take */
	bool blocked, broken, closed, closed_at_once;
};

struct world {
	struct push_options options;
	struct push_stats stats;
	struct push_hub *hub;
	uint64_t now;
	int readies;
	struct client clients[8];
};

static ssize_t
fake_write(void *connection, struct push_frame *const *frames, size_t count, size_t skip)
{
	struct client *client = connection;
	const struct chunkless end = {client->got, sizeof(client->got), &client->size, &client->room};

	client->writes++;
	return client->broken ? -1 : (ssize_t)chunkless_write(&end, frames, count, skip);
}

static bool
fake_is_blocked(void *connection)
{
	return ((struct client *)connection)->blocked;
}

static void
fake_close(void *connection, bool at_once)
{
	struct client *client = connection;

	assert_false(client->closed);
	client->closed = true;
	client->closed_at_once = at_once;
}

static const struct push_transport fake = {
	.write = fake_write, .is_blocked = fake_is_blocked, .close = fake_close};

static void
on_ready(void *context)
{
	((struct world *)context)->readies++;
}

static int
setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	push_options_init(&world->options);
	world->now = 1000 * SECOND_US;
	world->hub = push_hub_create(&world->options, &world->stats, 42, world->now, on_ready, world);
	assert_non_null(world->hub);
	*state = world;
	return 0;
}

static int
teardown(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(world->clients); i++)
		push_subscriber_destroy(world->clients[i].subscriber);
	assert_int_equal(push_hub_subscriber_count(world->hub), 0);
	assert_int_equal(world->stats.outbox_bytes, 0);
	assert_int_equal(world->stats.subscriptions, 0);
	assert_int_equal(world->stats.channels, 0);
	push_hub_destroy(world->hub);
	free(world);
	return 0;
}

static struct client *
join(struct world *world, int index, enum push_encoding encoding, const char *list)
{
	struct client *client = &world->clients[index];
	struct push_channels channels;
	struct push_error error;

	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, encoding, &fake, client);
	assert_non_null(client->subscriber);
	assert_int_equal(
		push_channels_parse(&channels, list, strlen(list), &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	push_subscriber_start(client->subscriber, world->now);
	return client;
}

static uint64_t
deliver(struct world *world, const char *channel, const char *value)
{
	uint64_t subscribers = 99;

	assert_int_equal(push_hub_deliver(world->hub, channel, strlen(channel), value, strlen(value), 0,
				 world->now, &subscribers),
		PUSH_OK);
	return subscribers;
}

static void
flush(struct world *world)
{
	while (push_hub_flush(world->hub, world->now, 2))
		;
}

/* Lets time pass in ticks, as the event loop does. */
static void
pass(struct world *world, uint64_t us)
{
	uint64_t end = world->now + us;

	while (world->now < end) {
		world->now += PUSH_TICK_US;
		while (push_hub_tick(world->hub, world->now, 100))
			;
		flush(world);
	}
}

static size_t
count_of(const struct client *client, const char *text)
{
	size_t count = 0, length = strlen(text);
	const char *p = client->got, *end = client->got + client->size;

	while ((p = memmem(p, (size_t)(end - p), text, length))) {
		count++;
		p += length;
	}
	return count;
}

#define WS_PING    "{\"event\":\"ping\",\"data\":{}}"
#define SSE_BEAT   "event:heartbeat\ndata:{}\n\n"
#define WS_MESSAGE "{\"event\":\"message\",\"data\":{\"channel\":\"a\",\"message\":1}}"

static void
a_message_reaches_the_subscribers_of_its_channel_and_nobody_else(void **state)
{
	struct world *world = *state;
	struct client *ws = join(world, 0, PUSH_ENCODING_WS, "a,b");
	struct client *sse = join(world, 1, PUSH_ENCODING_SSE, "a");
	struct client *other = join(world, 2, PUSH_ENCODING_SSE, "c");

	assert_int_equal(deliver(world, "a", "1"), 2);
	assert_int_equal(deliver(world, "nobody", "1"), 0);
	flush(world);
	assert_int_equal(count_of(ws, WS_MESSAGE), 1);
	assert_int_equal(count_of(sse, "event:message\ndata:{\"channel\":\"a\",\"message\":1}\n\n"), 1);
	assert_int_equal(count_of(other, "message"), 0);
	assert_int_equal(world->stats.by_encoding[PUSH_ENCODING_WS].messages_out, 1);
}

static void
what_waits_goes_out_in_one_write_and_in_order(void **state)
{
	struct world *world = *state;
	struct client *client = join(world, 0, PUSH_ENCODING_SSE, "a");

	flush(world);
	client->size = client->writes = 0;
	world->readies = 0;
	deliver(world, "a", "1");
	deliver(world, "a", "2");
	deliver(world, "a", "3");
	assert_int_equal(client->writes, 0);
	assert_int_equal(world->readies, 1);
	flush(world);
	assert_int_equal(client->writes, 1);
	client->got[client->size] = '\0';
	assert_string_equal(client->got, "event:message\ndata:{\"channel\":\"a\",\"message\":1}\n\n"
					 "event:message\ndata:{\"channel\":\"a\",\"message\":2}\n\n"
					 "event:message\ndata:{\"channel\":\"a\",\"message\":3}\n\n");
}

static void
a_channels_name_cannot_break_out_of_its_string(void **state)
{
	struct world *world = *state;
	struct client *client = join(world, 0, PUSH_ENCODING_SSE, "q\"}\\");

	deliver(world, "q\"}\\", "1");
	flush(world);
	assert_int_equal(count_of(client, "data:{\"channel\":\"q\\\"}\\\\\",\"message\":1}\n\n"), 1);
}

static void
a_partial_write_goes_on_where_it_stopped(void **state)
{
	struct world *world = *state;
	struct client *client = join(world, 0, PUSH_ENCODING_SSE, "a");

	flush(world);
	client->size = 0;
	client->room = 10;
	deliver(world, "a", "1");
	deliver(world, "a", "2");
	flush(world);
	assert_int_equal(client->size, 10);
	client->room = 20;
	push_subscriber_writable(client->subscriber, world->now);
	assert_int_equal(client->size, 30);
	client->room = SIZE_MAX;
	push_subscriber_writable(client->subscriber, world->now);
	client->got[client->size] = '\0';
	assert_string_equal(client->got, "event:message\ndata:{\"channel\":\"a\",\"message\":1}\n\n"
					 "event:message\ndata:{\"channel\":\"a\",\"message\":2}\n\n");
}

static void
a_slow_client_is_closed_and_others_get_everything(void **state)
{
	struct world *world = *state;
	struct client *slow, *slow_sse, *good;
	int published = 0;

	world->options.queue_bytes_max = 2000;
	slow = join(world, 0, PUSH_ENCODING_WS, "a");
	slow_sse = join(world, 1, PUSH_ENCODING_SSE, "a");
	good = join(world, 2, PUSH_ENCODING_WS, "a");
	flush(world);
	slow->room = 20; /* half of a message */
	slow_sse->room = 20;
	for (; published < 100; published++) {
		deliver(world, "a", "1");
		flush(world);
	}
	assert_int_equal(count_of(good, WS_MESSAGE), 100);
	assert_true(slow_sse->closed && slow_sse->closed_at_once);
	assert_false(slow->closed);
	assert_int_equal(deliver(world, "a", "1"), 1);
	/* it reads again: the rest of what had begun, then the Close frame, nothing else */
	slow->room = SIZE_MAX;
	push_subscriber_writable(slow->subscriber, world->now);
	assert_int_equal(count_of(slow, WS_MESSAGE), 1);
	assert_memory_equal(slow->got + slow->size - 4, "\x88\x02\x03\xf5", 4); /* 1013 */
	push_subscriber_destroy(slow->subscriber);
	slow->subscriber = NULL;
	assert_int_equal(world->stats.by_encoding[PUSH_ENCODING_WS].closed[PUSH_CLOSE_SLOW], 1);
}

static void
who_takes_what_comes_is_never_slow_however_much_one_turn_brings(void **state)
{
	struct world *world = *state;
	struct client *client;

	world->options.queue_bytes_max = 1000;
	client = join(world, 0, PUSH_ENCODING_WS, "a");
	for (int i = 0; i < 500; i++) /* and no flush */
		assert_int_equal(deliver(world, "a", "1"), 1);
	flush(world);
	assert_int_equal(count_of(client, WS_MESSAGE), 500);
	assert_true(client->writes < 50);
	assert_int_equal(world->stats.outbox_bytes, 0);
}

static void
a_hub_is_behind_until_its_flush_has_caught_up(void **state)
{
	struct world *world = *state;
	struct client *reads = join(world, 0, PUSH_ENCODING_WS, "a"),
		      *stalls = join(world, 1, PUSH_ENCODING_WS, "a");

	assert_false(push_hub_is_behind(world->hub));
	for (int i = 0; i < 400; i++)
		deliver(world, "a", "1");
	assert_true(push_hub_is_behind(world->hub));
	stalls->room = 20;
	flush(world);
	/* who is blocked is waited for by nobody */
	assert_false(push_hub_is_behind(world->hub));
	for (int i = 0; i < 100; i++)
		deliver(world, "a", "1");
	assert_false(push_hub_is_behind(world->hub));
	push_subscriber_destroy(reads->subscriber);
	reads->subscriber = NULL;
	stalls->room = SIZE_MAX;
	push_subscriber_writable(stalls->subscriber, world->now);
	flush(world);
	assert_false(push_hub_is_behind(world->hub));
	assert_int_equal(count_of(stalls, WS_MESSAGE), 500);
}

static void
a_clients_close_is_answered_behind_what_waits(void **state)
{
	struct world *world = *state;
	struct client *quick = join(world, 0, PUSH_ENCODING_WS, "a"),
		      *stuck = join(world, 1, PUSH_ENCODING_WS, "a"),
		      *silent = join(world, 2, PUSH_ENCODING_WS, "a");

	flush(world);
	deliver(world, "a", "1");
	push_subscriber_answer_close(quick->subscriber, 1001, world->now);
	assert_int_equal(deliver(world, "a", "1"), 2);
	stuck->room = silent->room = 20;
	flush(world);
	assert_int_equal(count_of(quick, WS_MESSAGE), 1);
	assert_memory_equal(quick->got + quick->size - 4, "\x88\x02\x03\xe9", 4);
	assert_true(quick->closed && !quick->closed_at_once);

	/* of two messages one has begun */
	push_subscriber_answer_close(stuck->subscriber, 4999, world->now);
	push_subscriber_answer_close(silent->subscriber, 1000, world->now);
	stuck->room = SIZE_MAX;
	push_subscriber_writable(stuck->subscriber, world->now);
	assert_int_equal(count_of(stuck, WS_MESSAGE), 1);
	assert_memory_equal(stuck->got + stuck->size - 4, "\x88\x02\x13\x87", 4);
	assert_true(stuck->closed && !stuck->closed_at_once);

	assert_false(silent->closed);
	pass(world, world->options.grace_us + 2 * PUSH_TICK_US);
	assert_true(silent->closed && silent->closed_at_once);
}

static void
a_clients_close_after_ours_ends_it(void **state)
{
	struct world *world = *state;
	struct client *client = join(world, 0, PUSH_ENCODING_WS, "a");
	size_t size;

	push_subscriber_close(client->subscriber, PUSH_CLOSE_LIFETIME, world->now);
	flush(world);
	assert_false(client->closed);
	size = client->size;
	push_subscriber_answer_close(client->subscriber, 1000, world->now);
	assert_true(client->closed && client->size == size);
}

static void
heartbeats_come_at_once_and_every_interval(void **state)
{
	struct world *world = *state;
	struct client *ws = join(world, 0, PUSH_ENCODING_WS, "a");
	struct client *sse = join(world, 1, PUSH_ENCODING_SSE, "a");

	flush(world);
	assert_int_equal(count_of(ws, WS_PING), 1);
	assert_int_equal(count_of(sse, SSE_BEAT), 1);
	for (int i = 0; i < 3; i++) {
		push_subscriber_heard(ws->subscriber);
		pass(world, 30 * SECOND_US);
		push_subscriber_heard(ws->subscriber);
	}
	pass(world, SECOND_US);
	assert_int_equal(count_of(ws, WS_PING), 4);
	assert_int_equal(count_of(sse, SSE_BEAT), 4);
}

static void
a_websocket_that_answers_no_ping_is_closed_after_the_grace_period(void **state)
{
	struct world *world = *state;
	struct client *silent = join(world, 0, PUSH_ENCODING_WS, "a");
	struct client *sse = join(world, 1, PUSH_ENCODING_SSE, "a");
	struct client *answering = join(world, 2, PUSH_ENCODING_WS, "a");

	push_subscriber_receive(answering->subscriber, "{\"event\":\"pong\"}", 16, world->now);
	pass(world, 4 * SECOND_US - 2 * PUSH_TICK_US);
	assert_int_equal(count_of(silent, "\x88\x02"), 0);
	pass(world, PUSH_PONG_SECOND_LOOK_US + 6 * PUSH_TICK_US);
	assert_memory_equal(silent->got + silent->size - 4, "\x88\x02\x03\xe9", 4);
	assert_false(silent->closed);
	pass(world, 4 * SECOND_US + PUSH_TICK_US); /* it does not answer the Close either */
	assert_true(silent->closed && silent->closed_at_once);
	assert_false(sse->closed || answering->closed);
}

static void
an_answer_that_a_busy_server_reads_late_still_counts(void **state)
{
	struct world *world = *state;
	struct client *client = join(world, 0, PUSH_ENCODING_WS, "a");

	/* the loop was away for a second when the timer was due; then it serves the sockets */
	world->now += 5 * SECOND_US;
	push_hub_tick(world->hub, world->now, 100);
	push_subscriber_receive(client->subscriber, "{\"event\":\"pong\"}", 16, world->now);
	pass(world, 10 * SECOND_US);
	assert_int_equal(count_of(client, "\x88\x02"), 0);
}

static void
a_connection_ends_within_its_lifetime_after_one_request_to_reconnect(void **state)
{
	struct world *world = *state;
	struct client *ws = join(world, 0, PUSH_ENCODING_WS, "a");
	struct client *sse = join(world, 1, PUSH_ENCODING_SSE, "a");
	uint64_t start = world->now, ws_end = 0, sse_asked = 0, sse_end = 0;

	while (world->now < start + 190 * SECOND_US && !(ws_end && sse_end)) {
		push_subscriber_heard(ws->subscriber);
		pass(world, SECOND_US / 10);
		if (!sse_asked && count_of(sse, "event:reconnect\ndata:{}\n\n"))
			sse_asked = world->now;
		if (!sse_end && sse->closed)
			sse_end = world->now;
		if (!ws_end && count_of(ws, "\x88\x02\x03\xe9"))
			ws_end = world->now;
	}
	assert_true(ws_end >= start + 120 * SECOND_US && ws_end <= start + 181 * SECOND_US);
	assert_true(sse_end >= start + 120 * SECOND_US && sse_end <= start + 181 * SECOND_US);
	assert_true(sse_end - sse_asked >= 39 * SECOND_US / 10 && sse_end - sse_asked <= 42 * SECOND_US / 10);
	assert_int_equal(count_of(ws, "\"reconnect\""), 1);
	assert_int_equal(count_of(sse, "event:reconnect"), 1);
	assert_false(sse->closed_at_once);
	assert_true(push_subscriber_peer_closed(ws->subscriber));
}

static void
a_drain_asks_everyone_and_ends_in_time(void **state)
{
	struct world *world = *state;
	struct client *late, *early[6];

	world->options.drain_us = 10 * SECOND_US;
	for (int i = 0; i < 6; i++)
		early[i] = join(world, i, PUSH_ENCODING_SSE, "a");
	push_hub_drain(world->hub, world->now);
	late = join(world, 6, PUSH_ENCODING_SSE, "a");
	pass(world, 10 * SECOND_US + 2 * PUSH_TICK_US);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(count_of(early[i], "event:reconnect"), 1);
		assert_true(early[i]->closed);
	}
	assert_true(late->closed);
	push_subscriber_destroy(late->subscriber);
	late->subscriber = NULL;
	assert_int_equal(world->stats.by_encoding[PUSH_ENCODING_SSE].closed[PUSH_CLOSE_DRAIN], 1);
}

static void
a_refused_client_is_told_why(void **state)
{
	struct world *world = *state;
	struct client *client = &world->clients[0];

	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &fake, client);
	push_subscriber_refuse(
		client->subscriber, "'channels' query parameter required", PUSH_CLOSE_REFUSED, world->now);
	flush(world);
	assert_int_equal(count_of(client, "{\"error\":\"'channels' query parameter required\"}"), 1);
	assert_memory_equal(client->got + client->size - 4, "\x88\x02\x03\xf0", 4);
}

static void
what_is_not_json_is_answered_and_closed_and_a_ping_is_ponged(void **state)
{
	struct world *world = *state;
	struct client *client = join(world, 0, PUSH_ENCODING_WS, "a");

	push_subscriber_receive(client->subscriber, "{\"event\":\"ping\"}", 16, world->now);
	push_subscriber_receive(client->subscriber, "{\"event\":\"else\"}", 16, world->now);
	flush(world);
	assert_int_equal(count_of(client, "{\"event\":\"pong\",\"data\":{}}"), 1);
	push_subscriber_receive(client->subscriber, "nope", 4, world->now);
	push_subscriber_receive(client->subscriber, "nope", 4, world->now);
	flush(world);
	assert_int_equal(count_of(client, "{\"error\":\"not JSON"), 1);
	assert_memory_equal(client->got + client->size - 4, "\x88\x02\x03\xef", 4);
}

static void
a_broken_socket_ends_only_its_own_connection(void **state)
{
	struct world *world = *state;
	struct client *broken = join(world, 0, PUSH_ENCODING_WS, "a");
	struct client *good = join(world, 1, PUSH_ENCODING_WS, "a");

	broken->broken = true;
	flush(world);
	assert_true(broken->closed && broken->closed_at_once);
	assert_int_equal(deliver(world, "a", "1"), 1);
	flush(world);
	assert_int_equal(count_of(good, WS_MESSAGE), 1);
}

static void
leaving_in_any_order_leaves_the_others_subscribed(void **state)
{
	struct world *world = *state;
	static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};

	for (size_t o = 0; o < COUNT(orders); o++) {
		for (int i = 0; i < 4; i++) {
			memset(&world->clients[i], 0, sizeof(world->clients[i]));
			join(world, i, i % 2 ? PUSH_ENCODING_WS : PUSH_ENCODING_SSE, "a,b,c");
		}
		for (uint64_t left = 4; left > 0; left--) {
			assert_int_equal(deliver(world, "a", "1"), left);
			assert_int_equal(deliver(world, "c", "1"), left);
			push_subscriber_destroy(world->clients[orders[o][4 - left]].subscriber);
			world->clients[orders[o][4 - left]].subscriber = NULL;
		}
		assert_int_equal(world->stats.channels, 0);
	}
}

/* Whichever allocation fails, nothing leaks or breaks, and either everybody got the message or nobody. */
static void
running_out_of_memory_anywhere_is_survived(void **state)
{
	struct world *world = *state;

	for (long limit = 0; limit < 40; limit++) {
		struct push_channels channels;
		struct push_error error;
		struct client *client = &world->clients[0];
		uint64_t subscribers = 0;
		enum push_status status;

		memset(client, 0, sizeof(*client));
		client->room = SIZE_MAX;
		assert_int_equal(
			push_channels_parse(&channels, "a,b,c", 5, &world->options, &error), PUSH_OK);
		allocations_left = limit;
		client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &fake, client);
		if (client->subscriber &&
			push_subscriber_subscribe(client->subscriber, &channels) == PUSH_OK) {
			push_subscriber_start(client->subscriber, world->now);
			for (int i = 0; i < 12; i++)
				status = push_hub_deliver(
					world->hub, "a", 1, "1", 1, 0, world->now, &subscribers);
			(void)status;
			push_subscriber_receive(client->subscriber, "nope", 4, world->now);
		}
		allocations_left = -1;
		flush(world);
		push_subscriber_destroy(client->subscriber);
		client->subscriber = NULL;
		push_channels_fini(&channels);
	}
}

static void
what_greets_goes_out_in_front_in_one_write(void **state)
{
	struct world *world = *state;
	struct client *client = &world->clients[0];

	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_SSE, &fake, client);
	assert_int_equal(push_subscriber_greet(client->subscriber, "HEAD\r\n\r\n", 8), PUSH_OK);
	push_subscriber_start(client->subscriber, world->now);
	push_hub_flush(world->hub, world->now, 10);
	assert_int_equal(client->writes, 1);
	assert_string_equal(client->got, "HEAD\r\n\r\nevent:heartbeat\ndata:{}\n\n");
	assert_int_equal(world->stats.outbox_bytes, 0);
}

static void
a_greeting_without_memory_changes_nothing(void **state)
{
	struct world *world = *state;
	struct client *client = &world->clients[0];

	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &fake, client);
	allocations_left = 0;
	assert_int_equal(push_subscriber_greet(client->subscriber, "x", 1), PUSH_OUT_OF_MEMORY);
	allocations_left = -1;
	push_hub_flush(world->hub, world->now, 10);
	assert_int_equal(client->size, 0);
}

static void
a_protocol_ping_is_answered_with_its_payload(void **state)
{
	struct world *world = *state;
	struct client *client = join(world, 0, PUSH_ENCODING_WS, "a");

	push_hub_flush(world->hub, world->now, 10);
	client->size = 0;
	push_subscriber_pinged(client->subscriber, "hey", 3, world->now);
	push_hub_flush(world->hub, world->now, 10);
	assert_int_equal(client->size, 5);
	assert_memory_equal(client->got, "\x8A\x03hey", 5);
}

/* --- with an engine that has a server behind it --- */

#define WS_GAP  "{\"event\":\"gap\",\"data\":{}}"
#define SSE_GAP "event:gap\ndata:{}\n\n"

/* Takes up the only change there is, and holds the channel, as an engine does. */
static struct push_channel *
adopt(struct world *world)
{
	struct push_channel *channel = push_hub_next_changed(world->hub);

	assert_non_null(channel);
	assert_null(push_hub_next_changed(world->hub));
	channel->held = true;
	return channel;
}

static void
the_first_heartbeat_waits_for_the_confirmation_and_later_clients_do_not(void **state)
{
	struct world *world = *state;
	struct push_channel *channel;
	struct client *first, *second;

	push_hub_watch(world->hub, 0);
	first = join(world, 0, PUSH_ENCODING_SSE, "a");
	channel = adopt(world);
	pass(world, SECOND_US);
	assert_int_equal(first->size, 0);
	push_hub_confirm(world->hub, channel, false, world->now);
	flush(world);
	assert_string_equal(first->got, SSE_BEAT);
	second = join(world, 1, PUSH_ENCODING_SSE, "a");
	flush(world);
	assert_string_equal(second->got, SSE_BEAT);
	for (int i = 0; i < 2; i++)
		push_subscriber_destroy(world->clients[i].subscriber), world->clients[i].subscriber = NULL;
	push_hub_release(world->hub, channel);
}

static void
a_client_waits_for_all_of_its_channels(void **state)
{
	struct world *world = *state;
	struct push_channel *channels[2];
	struct client *client;

	push_hub_watch(world->hub, 0);
	client = join(world, 0, PUSH_ENCODING_SSE, "a,b");
	for (int i = 0; i < 2; i++) {
		channels[i] = push_hub_next_changed(world->hub);
		channels[i]->held = true;
	}
	push_hub_confirm(world->hub, channels[0], false, world->now);
	flush(world);
	assert_int_equal(client->size, 0);
	push_hub_confirm(world->hub, channels[1], false, world->now);
	flush(world);
	assert_string_equal(client->got, SSE_BEAT);
	push_subscriber_destroy(client->subscriber);
	client->subscriber = NULL;
	for (int i = 0; i < 2; i++)
		push_hub_release(world->hub, channels[i]);
}

/* A client that is greeted with `HEAD`, of a channel that is not confirmed. */
static struct client *
join_greeted(struct world *world, enum push_encoding encoding, struct push_channel **ret_channel)
{
	struct client *client = &world->clients[0];
	struct push_channels channels;
	struct push_error error;

	push_hub_watch(world->hub, 0);
	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, encoding, &fake, client);
	assert_int_equal(push_channels_parse(&channels, "a", 1, &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	assert_int_equal(push_subscriber_greet(client->subscriber, "HEAD", 4), PUSH_OK);
	assert_true(push_subscriber_will_wait(client->subscriber));
	push_subscriber_start(client->subscriber, world->now);
	*ret_channel = adopt(world);
	flush(world);
	assert_int_equal(client->size, 0);
	return client;
}

static void
leave_greeted(struct world *world, struct push_channel *channel)
{
	push_subscriber_destroy(world->clients[0].subscriber);
	world->clients[0].subscriber = NULL;
	push_hub_release(world->hub, channel);
}

static void
the_head_of_the_response_waits_for_the_confirmation_and_is_one_write_with_the_first_heartbeat(void **state)
{
	struct world *world = *state;
	struct push_channel *channel;
	struct client *client = join_greeted(world, PUSH_ENCODING_SSE, &channel);

	pass(world, SECOND_US);
	assert_int_equal(client->size, 0);
	push_hub_confirm(world->hub, channel, false, world->now);
	deliver(world, "a", "1");
	flush(world);
	assert_int_equal(client->writes, 1);
	assert_string_equal(
		client->got, "HEAD" SSE_BEAT "event:message\ndata:{\"channel\":\"a\",\"message\":1}\n\n");
	leave_greeted(world, channel);
}

static void
the_head_does_not_wait_longer_than_for_a_broker_that_is_given_up(void **state)
{
	struct world *world = *state;
	struct push_channel *channel;
	struct client *client = join_greeted(world, PUSH_ENCODING_WS, &channel);

	pass(world, world->options.redis_timeout_us - SECOND_US);
	assert_int_equal(client->size, 0);
	pass(world, 2 * SECOND_US);
	assert_int_equal(client->size, 4);
	push_hub_drain(world->hub, world->now);
	push_hub_confirm(world->hub, channel, false, world->now);
	flush(world);
	assert_int_equal(count_of(client, WS_PING), 1);
	leave_greeted(world, channel);
}

static void
what_a_client_sends_before_its_head_is_answered_behind_it(void **state)
{
	static const char ping[] = "{\"event\":\"ping\"}";
	struct world *world = *state;
	struct push_channel *channel;
	struct client *client = join_greeted(world, PUSH_ENCODING_WS, &channel);

	push_subscriber_receive(client->subscriber, ping, sizeof(ping) - 1, world->now);
	push_subscriber_pinged(client->subscriber, "x", 1, world->now);
	flush(world);
	assert_int_equal(client->size, 0);
	push_hub_confirm(world->hub, channel, false, world->now);
	flush(world);
	assert_memory_equal(client->got, "HEAD", 4);
	assert_int_equal(count_of(client, "\"event\":\"pong\""), 1);
	assert_int_equal(count_of(client, WS_PING), 1);
	leave_greeted(world, channel);
}

static void
a_flood_of_early_frames_lets_the_head_go_and_never_stops_the_loop(void **state)
{
	static const char ping[] = "{\"event\":\"ping\"}";
	struct world *world = *state;
	struct push_channel *channel;
	struct client *client;

	world->options.queue_bytes_max = 200;
	client = join_greeted(world, PUSH_ENCODING_WS, &channel);
	for (int i = 0; i < 100; i++)
		push_subscriber_receive(client->subscriber, ping, sizeof(ping) - 1, world->now);
	assert_memory_equal(client->got, "HEAD", 4);
	leave_greeted(world, channel);
}

static void
a_client_that_is_closed_before_its_head_gets_both(void **state)
{
	struct world *world = *state;
	struct push_channel *channel;
	struct client *client = join_greeted(world, PUSH_ENCODING_WS, &channel);

	push_subscriber_receive(client->subscriber, "nonsense", 8, world->now);
	flush(world);
	assert_memory_equal(client->got, "HEAD", 4);
	assert_int_equal(count_of(client, "\"error\""), 1);
	leave_greeted(world, channel);
}

static void
nothing_comes_in_front_of_the_first_heartbeat(void **state)
{
	struct world *world = *state;
	struct push_channel *channels[2];
	struct client *client;

	push_hub_watch(world->hub, 0);
	client = join(world, 0, PUSH_ENCODING_SSE, "a,b");
	for (int i = 0; i < 2; i++) {
		channels[i] = push_hub_next_changed(world->hub);
		channels[i]->held = true;
	}
	/* others have been there, or a moment ago it was subscribed to, too */
	push_hub_confirm(world->hub, channels[0], false, world->now);
	assert_int_equal(deliver(world, "a", "1"), 1);
	assert_int_equal(deliver(world, "b", "2"), 1);
	push_hub_confirm(world->hub, channels[0], true, world->now);
	flush(world);
	push_hub_confirm(world->hub, channels[1], false, world->now);
	deliver(world, "a", "3");
	flush(world);
	assert_string_equal(
		client->got, SSE_BEAT "event:message\ndata:{\"channel\":\"a\",\"message\":3}\n\n");
	push_subscriber_destroy(client->subscriber);
	client->subscriber = NULL;
	for (int i = 0; i < 2; i++)
		push_hub_release(world->hub, channels[i]);
}

static void
a_gap_is_told_in_front_of_the_next_message_and_once(void **state)
{
	struct world *world = *state;
	struct push_channel *channel;
	struct client *sse, *ws;

	push_hub_watch(world->hub, 0);
	sse = join(world, 0, PUSH_ENCODING_SSE, "a");
	ws = join(world, 1, PUSH_ENCODING_WS, "a");
	channel = adopt(world);
	push_hub_confirm(world->hub, channel, false, world->now);
	flush(world);
	assert_int_equal(count_of(sse, SSE_GAP), 0);
	/* two losses while nothing was written are one to the client */
	push_hub_confirm(world->hub, channel, true, world->now);
	push_hub_confirm(world->hub, channel, true, world->now);
	assert_int_equal(deliver(world, "a", "1"), 2);
	flush(world);
	assert_string_equal(
		sse->got, SSE_BEAT SSE_GAP "event:message\ndata:{\"channel\":\"a\",\"message\":1}\n\n");
	assert_int_equal(count_of(ws, WS_GAP), 1);
	assert_true(memmem(ws->got, ws->size, WS_GAP, strlen(WS_GAP)) <
		    memmem(ws->got, ws->size, WS_MESSAGE, strlen(WS_MESSAGE)));
	push_hub_confirm(world->hub, channel, true, world->now);
	flush(world);
	assert_int_equal(count_of(sse, SSE_GAP), 2);
	for (int i = 0; i < 2; i++)
		push_subscriber_destroy(world->clients[i].subscriber), world->clients[i].subscriber = NULL;
	push_hub_release(world->hub, channel);
}

static void
what_another_node_may_have_missed_is_a_gap_for_those_who_have_come_since(void **state)
{
	struct world *world = *state;
	struct push_channel *channel = NULL;
	struct client *clients[3];

	world->options.heartbeat_us = 20 * SECOND_US;
	world->options.lifetime_min_us = world->options.lifetime_max_us = 3600 * SECOND_US;
	push_hub_watch(world->hub, 0);
	for (int i = 0; i < 2; i++) {
		clients[i] = join(world, i, PUSH_ENCODING_SSE, "a");
		if (!i) {
			channel = adopt(world);
			push_hub_confirm(world->hub, channel, false, world->now);
		}
		pass(world, i ? 61 * SECOND_US : 35 * SECOND_US);
	}
	clients[2] = join(world, 2, PUSH_ENCODING_SSE, "a");
	push_hub_missed_elsewhere(world->hub, 5 * SECOND_US, world->now);
	flush(world);
	for (int i = 0; i < 3; i++)
		assert_int_equal(count_of(clients[i], SSE_GAP), i == 2);
	deliver(world, "a", "1");
	push_hub_missed_elsewhere(world->hub, 62 * SECOND_US, world->now);
	flush(world);
	assert_int_equal(count_of(clients[0], SSE_GAP), 0);
	assert_int_equal(count_of(clients[1], SSE_GAP), 1);
	/* it does not matter how long they stay */
	pass(world, 500 * SECOND_US);
	push_hub_missed_elsewhere(world->hub, 5 * SECOND_US, world->now);
	flush(world);
	assert_int_equal(count_of(clients[0], SSE_GAP), 0);
	assert_int_equal(count_of(clients[2], SSE_GAP), 2);
	for (int i = 0; i < 3; i++)
		push_subscriber_destroy(world->clients[i].subscriber), world->clients[i].subscriber = NULL;
	push_hub_release(world->hub, channel);
}

static void
channels_that_change_are_told_once_with_what_they_have_come_to(void **state)
{
	struct world *world = *state;
	struct push_channel *channel;

	push_hub_watch(world->hub, 8);
	for (int i = 0; i < 3; i++)
		join(world, i, PUSH_ENCODING_SSE, "a");
	assert_true(world->readies > 0);
	channel = adopt(world);
	assert_int_equal(channel->count, 3);
	assert_memory_equal(channel->upstream, "\0\0\0\0\0\0\0\0", 8);
	for (int i = 0; i < 3; i++)
		push_subscriber_destroy(world->clients[i].subscriber), world->clients[i].subscriber = NULL;
	assert_ptr_equal(adopt(world), channel);
	assert_int_equal(channel->count, 0);
	/* held, it is still there, and delivers to nobody */
	assert_ptr_equal(push_hub_find(world->hub, "a", 1), channel);
	assert_int_equal(deliver(world, "a", "1"), 0);
	push_hub_release(world->hub, channel);
	assert_null(push_hub_find(world->hub, "a", 1));
}

static void
a_channel_that_comes_and_goes_before_anybody_looks_is_no_change(void **state)
{
	struct world *world = *state;

	push_hub_watch(world->hub, 0);
	join(world, 0, PUSH_ENCODING_WS, "a");
	push_subscriber_destroy(world->clients[0].subscriber);
	world->clients[0].subscriber = NULL;
	assert_null(push_hub_next_changed(world->hub));
}

static void
a_held_channel_needs_no_subscribers(void **state)
{
	struct world *world = *state;
	struct push_channel *channel = push_hub_hold(world->hub, "own", 3);
	struct client *client;

	assert_non_null(channel);
	assert_int_equal(world->stats.channels, 0);
	client = join(world, 0, PUSH_ENCODING_WS, "own");
	assert_int_equal(world->stats.channels, 1);
	assert_int_equal(channel->count, 1);
	push_subscriber_destroy(client->subscriber);
	client->subscriber = NULL;
	push_hub_release(world->hub, channel);
	assert_null(push_hub_find(world->hub, "own", 3));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_message_reaches_the_subscribers_of_its_channel_and_nobody_else),
		T(what_waits_goes_out_in_one_write_and_in_order),
		T(a_channels_name_cannot_break_out_of_its_string),
		T(a_partial_write_goes_on_where_it_stopped),
		T(a_slow_client_is_closed_and_others_get_everything),
		T(who_takes_what_comes_is_never_slow_however_much_one_turn_brings),
		T(a_hub_is_behind_until_its_flush_has_caught_up),
		T(a_clients_close_is_answered_behind_what_waits),
		T(a_clients_close_after_ours_ends_it),
		T(heartbeats_come_at_once_and_every_interval),
		T(a_websocket_that_answers_no_ping_is_closed_after_the_grace_period),
		T(an_answer_that_a_busy_server_reads_late_still_counts),
		T(a_connection_ends_within_its_lifetime_after_one_request_to_reconnect),
		T(a_drain_asks_everyone_and_ends_in_time),
		T(a_refused_client_is_told_why),
		T(what_is_not_json_is_answered_and_closed_and_a_ping_is_ponged),
		T(a_broken_socket_ends_only_its_own_connection),
		T(leaving_in_any_order_leaves_the_others_subscribed),
		T(running_out_of_memory_anywhere_is_survived),
		T(what_greets_goes_out_in_front_in_one_write),
		T(a_greeting_without_memory_changes_nothing),
		T(a_protocol_ping_is_answered_with_its_payload),
		T(the_first_heartbeat_waits_for_the_confirmation_and_later_clients_do_not),
		T(a_client_waits_for_all_of_its_channels),
		T(the_head_of_the_response_waits_for_the_confirmation_and_is_one_write_with_the_first_heartbeat),
		T(the_head_does_not_wait_longer_than_for_a_broker_that_is_given_up),
		T(what_a_client_sends_before_its_head_is_answered_behind_it),
		T(a_flood_of_early_frames_lets_the_head_go_and_never_stops_the_loop),
		T(a_client_that_is_closed_before_its_head_gets_both),
		T(nothing_comes_in_front_of_the_first_heartbeat),
		T(a_gap_is_told_in_front_of_the_next_message_and_once),
		T(what_another_node_may_have_missed_is_a_gap_for_those_who_have_come_since),
		T(channels_that_change_are_told_once_with_what_they_have_come_to),
		T(a_channel_that_comes_and_goes_before_anybody_looks_is_no_change),
		T(a_held_channel_needs_no_subscribers),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
