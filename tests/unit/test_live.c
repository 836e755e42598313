/*
 * Channels that come and go while the client is open, with and without history, and an engine that takes its
 * time.  Whatever happens, a client has every message of a channel from `subscribed` to `unsubscribed` once
 * and in order, or was told of a gap.
 */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include <json.h>

#include "core/channel.h"
#include "core/hub.h"
#include "core/identified.h"
#include "core/limiter.h"
#include "core/limits.h"
#include "core/position.h"
#include "core/question.h"
#include "core/subscriber.h"
#include "core/tokens.h"

#define SECOND_US  1000000ull
#define STREAM_MAX (1 << 20)

struct client {
	struct push_subscriber *subscriber; /* NULL: not connected */
	char got[STREAM_MAX];
	size_t size, room, read; /* read: what was looked at */
	bool closed;
};

#include "fake_transport.h"

struct world {
	struct push_options options;
	struct push_stats stats;
	struct push_hub *hub;
	uint64_t now;
	struct client clients[2];
	char said[STREAM_MAX];
};

static void
on_ready(void *context)
{
	(void)context;
}

static struct world *
create_world(const char *rules, uint64_t size)
{
	struct world *world = calloc(1, sizeof(*world));

	push_options_init(&world->options);
	world->options.history_size = size;
	world->options.history_ttl_us = 60 * SECOND_US;
	snprintf(world->options.history_rules, sizeof(world->options.history_rules), "%s", rules);
	world->now = 1000 * SECOND_US;
	world->hub = push_hub_create(&world->options, &world->stats, 42, world->now, on_ready, world);
	assert_non_null(world->hub);
	push_hub_number(world->hub, 7);
	return world;
}

static void
leave(struct client *client)
{
	push_subscriber_destroy(client->subscriber);
	client->subscriber = NULL;
	client->closed = false;
}

static void
destroy_world(struct world *world)
{
	for (size_t i = 0; i < COUNT(world->clients); i++)
		leave(&world->clients[i]);
	assert_int_equal(world->stats.subscriptions, 0);
	assert_int_equal(world->stats.channels, 0);
	assert_int_equal(world->stats.outbox_bytes, 0);
	push_hub_destroy(world->hub);
	free(world);
}

static void
come_as(struct world *world, struct client *client, enum push_encoding encoding, const char *list,
	const char *id)
{
	struct push_channels channels;
	struct push_error error;

	client->size = client->read = 0;
	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, encoding, &fake, client);
	assert_int_equal(
		push_channels_parse(&channels, list, strlen(list), &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	if (*id)
		assert_int_equal(push_subscriber_resume(client->subscriber, id, strlen(id)), PUSH_OK);
	push_subscriber_start(client->subscriber, world->now);
}

static void
come(struct world *world, const char *list)
{
	come_as(world, &world->clients[0], PUSH_ENCODING_WS, list, "");
}

static void
publish(struct world *world, const char *channel, const char *value)
{
	uint64_t subscribers;

	assert_int_equal(push_hub_deliver(world->hub, channel, strlen(channel), value, strlen(value), 0,
				 world->now, &subscribers),
		PUSH_OK);
}

static void
flush(struct world *world)
{
	while (push_hub_flush(world->hub, world->now, 2))
		;
}

static void
say(struct world *world, const char *text)
{
	push_subscriber_receive(world->clients[0].subscriber, text, strlen(text), world->now);
}

/* The next whole text frame of what the client has read; NULL: there is none.  Cuts it out. */
static char *
next_text(struct client *client)
{
	for (;;) {
		unsigned char *at = (unsigned char *)client->got + client->read;
		size_t left = client->size - client->read, head = 2, size;

		if (left < 2)
			return NULL;
		size = at[1];
		if (size == 126 && left >= 4) {
			size = (size_t)at[2] << 8 | at[3];
			head = 4;
		}
		if (left < head || left - head < size || at[1] == 127)
			return NULL;
		client->read += head + size;
		client->closed = client->closed || at[0] == 0x88;
		if (at[0] != 0x81)
			continue;
		/* over its own header, so that there is room for the end */
		memmove(at, at + head, size);
		at[size] = '\0';
		return (char *)at;
	}
}

/* What the client was told since the last call, pings left out, one event a line. */
static const char *
told(struct world *world)
{
	char *text;
	size_t size = 0;

	flush(world);
	world->said[0] = '\0';
	while ((text = next_text(&world->clients[0])))
		if (!strstr(text, "\"event\":\"ping\""))
			size += (size_t)snprintf(
				world->said + size, sizeof(world->said) - size, "%s\n", text);
	return world->said;
}

#define SUBSCRIBE(more)    "{\"event\":\"subscribe\",\"data\":{\"channels\":" more "}}"
#define UNSUBSCRIBE(more)  "{\"event\":\"unsubscribe\",\"data\":{\"channels\":" more "}}"
#define SUBSCRIBED(more)   "{\"event\":\"subscribed\",\"data\":{\"channel\":" more "}}\n"
#define UNSUBSCRIBED(more) "{\"event\":\"unsubscribed\",\"data\":{\"channel\":" more "}}\n"
#define WRONG(more)        "{\"event\":\"error\",\"data\":{" more "}}\n"
#define MESSAGE(channel, more)                                                                               \
	"{\"event\":\"message\",\"data\":{\"channel\":\"" channel "\",\"message\":" more "}}\n"
#define ID(number)   ",\"id\":\"0.7." number "\""
#define GAP(channel) "{\"event\":\"gap\",\"data\":{\"channel\":\"" channel "\",\"missed\":\"unknown\"}}\n"
#define RESUMED(n)   "{\"event\":\"resumed\",\"data\":{\"replayed\":" n "}}\n"

static void
a_client_gets_the_messages_from_subscribed_to_unsubscribed(void **state)
{
	struct world *world = create_world("", 0);

	(void)state;
	come(world, "a");
	publish(world, "b", "0");
	say(world, SUBSCRIBE("[\"b\",\"c\"]"));
	publish(world, "b", "1");
	publish(world, "a", "2");
	say(world, UNSUBSCRIBE("[\"b\",\"a\"],\"ref\":7"));
	publish(world, "b", "3");
	publish(world, "a", "3");
	publish(world, "c", "4");
	assert_string_equal(told(world),
		SUBSCRIBED("\"b\"") SUBSCRIBED("\"c\"") MESSAGE("b", "1") MESSAGE("a", "2")
			UNSUBSCRIBED("\"b\",\"ref\":7") UNSUBSCRIBED("\"a\",\"ref\":7") MESSAGE("c", "4"));
	assert_int_equal(world->stats.subscriptions, 1);
	assert_int_equal(world->stats.live_subscribed, 2);
	assert_int_equal(world->stats.live_unsubscribed, 2);
	destroy_world(world);
}

static void
a_connection_without_channels_stays_and_may_subscribe_again(void **state)
{
	struct world *world = create_world("h:=5", 0);

	(void)state;
	for (int round = 0; round < 2; round++) {
		come(world, round ? "a,b" : "a");
		say(world, UNSUBSCRIBE("[\"a\",\"b\"]"));
		assert_string_equal(told(world), UNSUBSCRIBED("\"a\"") UNSUBSCRIBED("\"b\""));
		assert_int_equal(world->stats.channels, 0);
		for (int i = 0; i < 3000; i++) { /* heartbeats go on */
			world->now += PUSH_TICK_US;
			push_hub_tick(world->hub, world->now, 64);
			flush(world);
			push_subscriber_heard(world->clients[0].subscriber);
		}
		assert_false(world->clients[0].closed);
		say(world, SUBSCRIBE("[\"h:x\",\"a\"]"));
		publish(world, "a", "1");
		assert_string_equal(
			told(world), SUBSCRIBED("\"h:x\"" ID("0")) SUBSCRIBED("\"a\"") MESSAGE("a", "1"));
		leave(&world->clients[0]);
	}
	destroy_world(world);
}

static void
a_channel_that_has_moved_in_the_list_is_found_when_others_leave_it(void **state)
{
	struct world *world = create_world("", 0);

	(void)state;
	come_as(world, &world->clients[1], PUSH_ENCODING_SSE, "c", "");
	come(world, "a,b,c");
	say(world, UNSUBSCRIBE("[\"a\"]"));
	leave(&world->clients[1]);
	come_as(world, &world->clients[1], PUSH_ENCODING_SSE, "c", "");
	say(world, UNSUBSCRIBE("[\"c\"]"));
	publish(world, "c", "1");
	publish(world, "b", "2");
	assert_string_equal(told(world), UNSUBSCRIBED("\"a\"") UNSUBSCRIBED("\"c\"") MESSAGE("b", "2"));
	destroy_world(world);
}

static void
to_subscribe_twice_is_answered_twice_and_changes_nothing(void **state)
{
	struct world *world = create_world("", 0);

	(void)state;
	come(world, "a");
	say(world, SUBSCRIBE("[\"a\",\"b\",\"b\"],\"ref\":\"x\""));
	publish(world, "a", "1");
	publish(world, "b", "2");
	assert_string_equal(told(world),
		SUBSCRIBED("\"a\",\"ref\":\"x\"") SUBSCRIBED("\"b\",\"ref\":\"x\"")
			SUBSCRIBED("\"b\",\"ref\":\"x\"") MESSAGE("a", "1") MESSAGE("b", "2"));
	destroy_world(world);
}

static void
a_bad_or_one_too_many_name_has_an_error_of_its_own_and_the_others_are_served(void **state)
{
	struct world *world = create_world("", 0);

	(void)state;
	world->options.channels_max = 3;
	world->options.channel_name_bytes_max = 4;
	come(world, "a");
	say(world, SUBSCRIBE("[\"\",\"b\",\"12345\",\"1234\",\"x\\u0001\",\"c\",\"a\"]"));
	assert_string_equal(told(world),
		WRONG("\"channel\":\"\",\"error\":\"bad channel name '': empty\"") SUBSCRIBED("\"b\"") WRONG(
			"\"channel\":\"12345\",\"error\":\"bad channel name '12345': 5 bytes, at most 4 "
			"are allowed\"") SUBSCRIBED("\"1234\"")
			WRONG("\"channel\":\"x\\u0001\",\"error\":\"bad channel name 'x?': has a "
			      "control character\"")
				WRONG("\"channel\":\"c\",\"error\":\"too many channels: 'c' is over "
				      "the 3 allowed\"") SUBSCRIBED("\"a\""));
	say(world, UNSUBSCRIBE("[\"12345\",\"a\"]"));
	say(world, SUBSCRIBE("[\"c\"]"));
	assert_string_equal(told(world),
		WRONG("\"channel\":\"12345\",\"error\":\"bad channel name '12345': 5 "
		      "bytes, at most 4 are allowed\"") UNSUBSCRIBED("\"a\"") SUBSCRIBED("\"c\""));
	destroy_world(world);
}

static void
what_is_no_request_is_answered_with_what_is_wrong_and_the_connection_stays(void **state)
{
	static const struct {
		const char *data, *wrong;
	} rows[] = {
		{"null", "\"error\":\"not a JSON object\""},
		{"{}", "\"error\":\"'channels' must be an array of strings\""},
		{"{\"channels\":\"a\"}", "\"error\":\"'channels' must be an array of strings\""},
		{"{\"channels\":{\"a\":1}}", "\"error\":\"'channels' must be an array of strings\""},
		{"{\"channels\":[\"b\",1],\"ref\":1.5e3}",
			"\"error\":\"'channels' must be an array of strings\",\"ref\":1.5e3"},
		{"{\"channels\":[\"b\"],\"ref\":[]}", "\"error\":\"'ref' must be a string or a number\""},
		{"{\"channels\":[\"b\"],\"ref\":null}", "\"error\":\"'ref' must be a string or a number\""},
		{"{\"channels\":[\"b\"],\"ref\":"
		 "\"123456789012345678901234567890123456789012345678901234567890123\"}",
			"\"error\":\"'ref' is too long\""},
		{"{\"channels\":[\"b\"],\"id\":7,\"ref\":-1}",
			"\"error\":\"'id' must be a string\",\"ref\":-1"},
	};
	struct world *world = create_world("", 0);
	char text[512], wrong[512];

	(void)state;
	come(world, "a");
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(text, sizeof(text), "{\"event\":\"subscribe\",\"data\":%s}", rows[i].data);
		snprintf(wrong, sizeof(wrong), "{\"event\":\"error\",\"data\":{%s}}\n", rows[i].wrong);
		say(world, text);
		assert_string_equal(told(world), wrong);
	}
	say(world, "{\"event\":\"subscribe\"}");
	assert_string_equal(told(world), WRONG("\"error\":\"'data' is missing\""));
	say(world, SUBSCRIBE("[]"));
	assert_string_equal(told(world), "");
	/* 64 bytes with its quotes */
	say(world, SUBSCRIBE("[\"b\"],\"ref\":"
			     "\"12345678901234567890123456789012345678901234567890123456789012\""));
	assert_string_equal(told(world),
		SUBSCRIBED(
			"\"b\",\"ref\":\"12345678901234567890123456789012345678901234567890123456789012\""));
	destroy_world(world);
}

static void
subscribed_brings_the_position_from_which_on_nothing_is_missed(void **state)
{
	struct world *world = create_world("", 10);

	(void)state;
	come(world, "a");
	publish(world, "b", "1");
	publish(world, "a", "2");
	say(world, SUBSCRIBE("[\"b\"]"));
	publish(world, "b", "3");
	assert_string_equal(
		told(world), MESSAGE("a", "2" ID("2")) SUBSCRIBED("\"b\"" ID("2")) MESSAGE("b", "3" ID("3")));
	destroy_world(world);
}

static void
an_id_replays_what_came_since_on_these_channels_and_no_others(void **state)
{
	struct world *world = create_world("", 10);

	(void)state;
	come(world, "a");
	publish(world, "b", "1");
	publish(world, "a", "2");
	publish(world, "b", "3");
	publish(world, "c", "4");
	say(world, SUBSCRIBE("[\"b\",\"c\"],\"id\":\"0.7.1\""));
	publish(world, "a", "5");
	publish(world, "b", "6");
	assert_string_equal(told(world),
		MESSAGE("a", "2" ID("2")) SUBSCRIBED("\"b\"" ID("1")) SUBSCRIBED("\"c\"" ID("1"))
			MESSAGE("b", "3" ID("3")) MESSAGE("c", "4" ID("4")) RESUMED("2")
				MESSAGE("a", "5" ID("5")) MESSAGE("b", "6" ID("6")));
	destroy_world(world);
}

static void
what_an_id_cannot_bring_back_is_a_gap_of_that_channel(void **state)
{
	struct world *world = create_world("few:=2 off:=0", 10);

	(void)state;
	come(world, "a");
	publish(world, "a", "0");
	for (int i = 0; i < 4; i++)
		publish(world, "few:x", "1");
	say(world, SUBSCRIBE("[\"few:x\",\"off:y\",\"b\"],\"id\":\"0.7.1\""));
	assert_string_equal(told(world),
		MESSAGE("a", "0" ID("1")) SUBSCRIBED("\"off:y\"") GAP("off:y") SUBSCRIBED("\"few:x\"" ID("1"))
			SUBSCRIBED("\"b\"" ID("1")) "{\"event\":\"gap\",\"data\":{\"channel\":\"few:x\","
						    "\"missed\":2}}\n" MESSAGE("few:x", "1" ID("4"))
							    MESSAGE("few:x", "1" ID("5")));
	say(world, UNSUBSCRIBE("[\"few:x\",\"b\"]"));
	say(world, SUBSCRIBE("[\"few:x\"],\"id\":\"rubbish\""));
	publish(world, "few:x", "2");
	assert_string_equal(told(world),
		UNSUBSCRIBED("\"few:x\"") UNSUBSCRIBED("\"b\"") SUBSCRIBED("\"few:x\"" ID("5")) GAP("few:x")
			MESSAGE("few:x", "2" ID("6")));
	destroy_world(world);
}

static void
a_replay_waits_for_the_one_before_it_and_each_channel_is_answered_in_front_of_its_messages(void **state)
{
	struct world *world = create_world("", 10);
	struct client *client = &world->clients[0];

	(void)state;
	come(world, "a");
	flush(world);
	for (int i = 0; i < 3; i++) {
		publish(world, "b", "1");
		publish(world, "c", "2");
	}
	world->options.queue_bytes_max = 100; /* one at a time */
	client->room = 0;
	say(world, SUBSCRIBE("[\"b\"],\"id\":\"0.7.2\",\"ref\":1"));
	say(world, SUBSCRIBE("[\"c\"],\"id\":\"0.7.0\",\"ref\":2"));
	publish(world, "a", "3");
	publish(world, "c", "4");
	world->options.queue_bytes_max = 1 << 20;
	client->room = SIZE_MAX;
	push_subscriber_writable(client->subscriber, world->now);
	assert_string_equal(told(world),
		SUBSCRIBED("\"b\"" ID("2") ",\"ref\":1") MESSAGE("b", "1" ID("3")) MESSAGE("b", "1" ID("5"))
			MESSAGE("a", "3" ID("7")) RESUMED("3") SUBSCRIBED("\"c\"" ID("0") ",\"ref\":2")
				MESSAGE("c", "2" ID("2")) MESSAGE("c", "2" ID("4")) MESSAGE("c", "2" ID("6"))
					MESSAGE("c", "4" ID("8")) RESUMED("4"));
	destroy_world(world);
}

static void
channels_may_be_added_and_removed_while_older_ones_are_replayed(void **state)
{
	struct world *world = create_world("", 10);
	struct client *client = &world->clients[0];

	(void)state;
	for (int i = 0; i < 3; i++) {
		publish(world, "a", "1");
		publish(world, "b", "2");
		publish(world, "c", "3");
	}
	world->options.queue_bytes_max = 1;
	come_as(world, client, PUSH_ENCODING_WS, "a,b,c", "0.7.0");
	client->room = 0; /* the first message waits */
	flush(world);
	say(world, SUBSCRIBE("[\"d\"]")); /* the queue is full: it is closed for that in the next line */
	assert_false(client->subscriber == NULL);
	leave(client);

	world->options.queue_bytes_max = 120;
	come_as(world, client, PUSH_ENCODING_WS, "a,b,c", "0.7.0");
	world->options.queue_bytes_max = 1 << 20;
	say(world, UNSUBSCRIBE("[\"a\"]"));
	say(world, SUBSCRIBE("[\"d\"]"));
	publish(world, "d", "4");
	publish(world, "b", "5");
	/* what was in the outbox before comes before */
	assert_string_equal(told(world),
		MESSAGE("a", "1" ID("1")) UNSUBSCRIBED("\"a\"") SUBSCRIBED("\"d\"" ID("1"))
			MESSAGE("b", "2" ID("2")) MESSAGE("c", "3" ID("3")) MESSAGE("b", "2" ID("5"))
				MESSAGE("c", "3" ID("6")) MESSAGE("b", "2" ID("8")) MESSAGE("c", "3" ID("9"))
					MESSAGE("d", "4" ID("a")) MESSAGE("b", "5" ID("b")) RESUMED("9"));
	destroy_world(world);
}

static void
a_resume_gives_of_a_late_channel_what_was_before_it_and_nothing_twice(void **state)
{
	struct world *world = create_world("", 10);

	(void)state;
	publish(world, "b", "1");
	come(world, "a");
	publish(world, "b", "2");
	say(world, SUBSCRIBE("[\"b\"]"));
	publish(world, "b", "3");
	say(world, "{\"event\":\"resume\",\"data\":{\"id\":\"0.7.0\"}}");
	assert_string_equal(told(world), SUBSCRIBED("\"b\"" ID("2")) MESSAGE("b", "3" ID("3")) MESSAGE(
						 "b", "1" ID("1")) MESSAGE("b", "2" ID("2")) RESUMED("2"));
	destroy_world(world);
}

static void
what_was_left_is_not_sent_again_for_want_of_an_ack(void **state)
{
	const struct push_acks_request request = {.is_wanted = true};
	struct world *world = create_world("", 10);
	struct client *client = &world->clients[0];
	struct push_channels channels;
	struct push_error error;

	(void)state;
	world->options.ack_timeout_us = SECOND_US;
	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &fake, client);
	assert_int_equal(push_channels_parse(&channels, "a", 1, &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	assert_int_equal(push_subscriber_acknowledge(client->subscriber, &request), PUSH_OK);
	push_subscriber_start(client->subscriber, world->now);
	say(world, SUBSCRIBE("[\"b\"]"));
	publish(world, "b", "1");
	publish(world, "a", "2");
	publish(world, "b", "3");
	say(world, UNSUBSCRIBE("[\"b\"]"));
	say(world, SUBSCRIBE("[\"b\"],\"id\":\"0.7.0\""));
	assert_string_equal(told(world), SUBSCRIBED("\"b\"" ID("0")) MESSAGE("b", "1" ID("1")) MESSAGE("a",
						 "2" ID("2")) MESSAGE("b", "3" ID("3")) UNSUBSCRIBED("\"b\"")
						 WRONG("\"error\":\"'id' is not supported with acks\""));
	assert_int_equal(world->stats.unacknowledged, 1);
	for (uint64_t end = world->now + SECOND_US + SECOND_US / 2; world->now < end;) {
		world->now += PUSH_TICK_US;
		push_hub_tick(world->hub, world->now, 64);
		flush(world);
	}
	assert_string_equal(told(world), MESSAGE("a", "2" ID("2")));
	destroy_world(world);
}

static void
an_event_stream_learns_of_its_channels_and_its_position(void **state)
{
	struct world *world = create_world("", 10);
	struct client *client = &world->clients[0];
	char *start;

	(void)state;
	come_as(world, client, PUSH_ENCODING_SSE, "a", "");
	say(world, SUBSCRIBE("[\"b\"]"));
	publish(world, "b", "1");
	say(world, UNSUBSCRIBE("[\"b\"]"));
	flush(world);
	client->got[client->size] = '\0';
	start = strstr(client->got, "\n\n");
	assert_non_null(start);
	assert_string_equal(start + 2, "event:subscribed\ndata:{\"channel\":\"b\"}\nid:0.7.0\n\n"
				       "event:message\ndata:{\"channel\":\"b\",\"message\":1}\nid:0.7.1\n\n"
				       "event:unsubscribed\ndata:{\"channel\":\"b\"}\n\n");
	destroy_world(world);
}

static void
who_does_not_read_the_answers_is_closed_as_slow_and_costs_no_more(void **state)
{
	struct world *world = create_world("", 10);
	struct client *client = &world->clients[0];

	(void)state;
	world->options.queue_bytes_max = 2000;
	come(world, "a");
	flush(world);
	client->room = 0;
	for (int i = 0; i < 100; i++) {
		say(world, SUBSCRIBE("[\"b\",\"c\",\"d\"],\"id\":\"0.7.0\""));
		say(world, UNSUBSCRIBE("[\"b\",\"c\",\"d\"]"));
		assert_true(world->stats.outbox_bytes <= 2000);
	}
	assert_int_equal(world->stats.channels, 0);
	leave(client);
	assert_int_equal(world->stats.by_encoding[PUSH_ENCODING_WS].closed[PUSH_CLOSE_SLOW], 1);
	destroy_world(world);
}

/* --- an engine that takes its time --- */

static struct push_channel *
adopt(struct world *world)
{
	struct push_channel *channel = push_hub_next_changed(world->hub);

	assert_non_null(channel);
	channel->held = true;
	return channel;
}

static void
release(struct world *world, struct push_channel *channel)
{
	push_list_remove(&channel->changed);
	push_hub_release(world->hub, channel);
}

static void
subscribed_is_said_when_messages_come_in_and_other_channels_do_not_wait_for_it(void **state)
{
	struct world *world = create_world("", 0);
	struct push_channel *a, *b, *c;

	(void)state;
	push_hub_watch(world->hub, 0);
	come(world, "a");
	a = adopt(world);
	push_hub_confirm(world->hub, a, false, world->now);
	say(world, SUBSCRIBE("[\"b\",\"a\",\"c\"],\"ref\":1"));
	b = adopt(world);
	c = adopt(world);
	say(world, SUBSCRIBE("[\"b\"],\"ref\":2"));
	publish(world, "a", "1");
	/* of a subscription that was there a moment ago */
	publish(world, "b", "1");
	assert_string_equal(told(world), SUBSCRIBED("\"a\",\"ref\":1") MESSAGE("a", "1"));
	push_hub_confirm(world->hub, c, false, world->now);
	push_hub_confirm(world->hub, b, false, world->now);
	publish(world, "b", "2");
	assert_string_equal(told(world), SUBSCRIBED("\"c\",\"ref\":1") SUBSCRIBED("\"b\",\"ref\":1")
						 SUBSCRIBED("\"b\",\"ref\":2") MESSAGE("b", "2"));
	/* a gap is told to who listened */
	push_hub_confirm(world->hub, b, true, world->now);
	assert_string_equal(told(world), "{\"event\":\"gap\",\"data\":{}}\n");
	leave(&world->clients[0]);
	release(world, a);
	release(world, b);
	release(world, c);
	destroy_world(world);
}

static void
what_is_unsubscribed_while_it_waits_is_answered_and_never_comes(void **state)
{
	struct world *world = create_world("", 0);
	struct push_channel *a, *b;

	(void)state;
	push_hub_watch(world->hub, 0);
	come(world, "a");
	a = adopt(world);
	push_hub_confirm(world->hub, a, false, world->now);
	say(world, SUBSCRIBE("[\"b\"],\"ref\":1"));
	b = adopt(world);
	say(world, UNSUBSCRIBE("[\"b\"]"));
	push_hub_confirm(world->hub, b, false, world->now);
	publish(world, "b", "1");
	assert_string_equal(told(world),
		WRONG("\"channel\":\"b\",\"error\":\"unsubscribed before it was subscribed\",\"ref\":1")
			UNSUBSCRIBED("\"b\""));
	leave(&world->clients[0]);
	release(world, a);
	release(world, b);
	destroy_world(world);
}

static void
answers_that_are_owed_are_bounded(void **state)
{
	struct world *world = create_world("", 0);
	struct push_channel *a, *b;
	size_t refused = 0;

	(void)state;
	world->options.channels_max = 8;
	push_hub_watch(world->hub, 0);
	come(world, "a");
	a = adopt(world);
	push_hub_confirm(world->hub, a, false, world->now);
	for (int i = 0; i < 20; i++)
		say(world, SUBSCRIBE("[\"b\"]"));
	b = adopt(world);
	told(world);
	for (const char *at = world->said; (at = strstr(at, "already being subscribed")); at++)
		refused++;
	assert_int_equal(refused, 12);
	leave(&world->clients[0]);
	release(world, a);
	release(world, b);
	destroy_world(world);
}

static void
what_is_asked_for_before_the_start_is_done_then(void **state)
{
	struct world *world = create_world("", 0);
	struct push_channel *a, *b;

	(void)state;
	push_hub_watch(world->hub, 0);
	come(world, "a");
	a = adopt(world);
	say(world, SUBSCRIBE("[\"b\"],\"ref\":1"));
	say(world, UNSUBSCRIBE("[\"a\"],\"ref\":2"));
	say(world, "{\"event\":\"subscribe\"}");
	assert_string_equal(told(world), "");
	push_hub_confirm(world->hub, a, false, world->now);
	b = adopt(world);
	if (b == a)
		b = adopt(world);
	assert_string_equal(
		told(world), UNSUBSCRIBED("\"a\",\"ref\":2") WRONG("\"error\":\"'data' is missing\""));
	push_hub_confirm(world->hub, b, false, world->now);
	assert_string_equal(told(world), SUBSCRIBED("\"b\",\"ref\":1"));
	leave(&world->clients[0]);
	release(world, a);
	release(world, b);
	destroy_world(world);
}

static void
what_may_be_asked_for_before_the_start_is_bounded(void **state)
{
	struct world *world = create_world("", 0);
	struct push_channel *a;

	(void)state;
	push_hub_watch(world->hub, 0);
	come(world, "a");
	a = adopt(world);
	for (size_t size = 0; size < 2 * PUSH_LIVE_EARLY_BYTES_MAX; size += 20)
		say(world, SUBSCRIBE("[\"a\"]"));
	assert_non_null(strstr(told(world), "too many requests before the first ping"));
	push_hub_confirm(world->hub, a, false, world->now);
	assert_non_null(strstr(told(world), SUBSCRIBED("\"a\"")));
	leave(&world->clients[0]);
	release(world, a);
	destroy_world(world);
}

/* --- beside the stream --- */

#define NODE  "0123456789abcdef"
#define TOKEN NODE ".000102030405060708090a0b0c0d0e0f"

static void
come_with_token(struct world *world, struct client *client, const char *list, const char *token)
{
	struct push_channels channels;
	struct push_error error;

	client->size = client->read = 0;
	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_SSE, &fake, client);
	assert_int_equal(
		push_channels_parse(&channels, list, strlen(list), &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	assert_int_equal(push_subscriber_control(client->subscriber, token), PUSH_OK);
	push_subscriber_start(client->subscriber, world->now);
}

/* What a request is answered: a body, or what is wrong. */
static const char *
control(struct world *world, const char *token, const char *body, enum push_status expected)
{
	struct push_error error = {""};
	struct push_buf answer;

	push_buf_init(&answer, 1 << 20);
	assert_int_equal(push_hub_control(world->hub, token, strlen(token), body, strlen(body), NULL,
				 world->now, &answer, &error),
		expected);
	snprintf(
		world->said, sizeof(world->said), "%.*s", (int)answer.size, answer.bytes ? answer.bytes : "");
	if (expected != PUSH_OK)
		snprintf(world->said, sizeof(world->said), "%s", error.text);
	push_buf_fini(&answer);
	return world->said;
}

static void
a_token_is_told_once_in_front_of_the_first_heartbeat(void **state)
{
	struct world *world = create_world("", 0);
	struct client *client = &world->clients[0];

	(void)state;
	come_with_token(world, client, "a", TOKEN);
	world->now += 31 * SECOND_US;
	push_hub_tick(world->hub, world->now, 64);
	flush(world);
	client->got[client->size] = '\0';
	assert_string_equal(
		client->got, ":control " TOKEN "\nevent:heartbeat\ndata:{}\n\nevent:heartbeat\ndata:{}\n\n");
	destroy_world(world);
}

static void
a_stream_that_is_not_read_cannot_be_changed_until_it_is(void **state)
{
	struct world *world = create_world("", 0);
	struct client *client = &world->clients[0];
	int changes = 0;

	(void)state;
	come_with_token(world, client, "a", TOKEN);
	flush(world);
	client->room = 0;
	while (world->stats.outbox_bytes <= PUSH_ANSWERS_WAITING_BYTES_MAX) {
		control(world, TOKEN, "{\"subscribe\":[\"b\"]}", PUSH_OK);
		flush(world);
		assert_true(changes++ < 10000);
	}
	assert_string_equal(control(world, TOKEN, "{\"subscribe\":[\"b\"]}", PUSH_UNAVAILABLE),
		"the event stream reads too slowly, try again");
	client->room = SIZE_MAX;
	push_subscriber_writable(client->subscriber, world->now);
	control(world, TOKEN, "{\"subscribe\":[\"b\"]}", PUSH_OK);
	destroy_world(world);
}

static void
a_token_changes_the_channels_of_its_stream_and_of_no_other(void **state)
{
	struct world *world = create_world("", 0);
	struct client *client = &world->clients[0];

	(void)state;
	world->options.channels_max = 2;
	come_with_token(world, client, "a", TOKEN);
	come_with_token(world, &world->clients[1], "a", NODE ".ffffffffffffffffffffffffffffffff");
	flush(world);
	client->size = 0;
	assert_string_equal(control(world, TOKEN,
				    "{\"subscribe\":[\"b\",\"c\",\"\",\"b\",\"d\"],\"unsubscribe\":[\"a\","
				    "\"x\"]}",
				    PUSH_OK),
		"{\"subscribed\":[\"b\",\"c\",\"b\"],\"unsubscribed\":[\"a\",\"x\"],\"errors\":[{\"channel\":"
		"\"\",\"error\":\"bad channel name '': empty\"},{\"channel\":\"d\",\"error\":\"too many "
		"channels: 'd' is over the 2 allowed\"}]}");
	publish(world, "a", "1");
	publish(world, "c", "2");
	flush(world);
	client->got[client->size] = '\0';
	assert_string_equal(client->got, "event:unsubscribed\ndata:{\"channel\":\"a\"}\n\n"
					 "event:unsubscribed\ndata:{\"channel\":\"x\"}\n\n"
					 "event:subscribed\ndata:{\"channel\":\"b\"}\n\n"
					 "event:subscribed\ndata:{\"channel\":\"c\"}\n\n"
					 "event:subscribed\ndata:{\"channel\":\"b\"}\n\n"
					 "event:message\ndata:{\"channel\":\"c\",\"message\":2}\n\n");
	assert_int_equal(world->stats.subscriptions, 3);
	destroy_world(world);
}

static void
a_token_is_good_for_as_long_as_its_stream_is_open(void **state)
{
	static const char *const others[] = {"", "x", NODE ".000102030405060708090a0b0c0d0e0e",
		NODE ".000102030405060708090a0b0c0d0e0", TOKEN "0",
		"1123456789abcdef.000102030405060708090a0b0c0d0e0f"};
	struct world *world = create_world("", 0);

	(void)state;
	control(world, TOKEN, "{\"subscribe\":[\"b\"]}", PUSH_NOT_FOUND);
	come_with_token(world, &world->clients[0], "a", TOKEN);
	for (size_t i = 0; i < COUNT(others); i++)
		assert_string_equal(control(world, others[i], "{\"subscribe\":[\"b\"]}", PUSH_NOT_FOUND),
			"no event stream has this token");
	control(world, TOKEN, "{\"subscribe\":[\"b\"]}", PUSH_OK);
	push_subscriber_close(world->clients[0].subscriber, PUSH_CLOSE_LIFETIME, world->now);
	control(world, TOKEN, "{\"subscribe\":[\"b\"]}", PUSH_NOT_FOUND);
	destroy_world(world);
}

static void
a_body_that_is_no_change_is_told_what_is_wrong_and_changes_nothing(void **state)
{
	static const char *const rows[][2] = {
		{"", "not JSON: ends too early"},
		{"[]", "not a JSON object"},
		{"{}", "'subscribe' or 'unsubscribe' is missing"},
		{"{\"subscribe\":\"a\"}", "'subscribe' must be an array of strings"},
		{"{\"subscribe\":[\"b\"],\"unsubscribe\":[1]}", "'unsubscribe' must be an array of strings"},
		{"{\"subscribe\":[\"b\"],\"id\":1}", "'id' must be a string"},
	};
	struct world *world = create_world("", 0);

	(void)state;
	come_with_token(world, &world->clients[0], "a", TOKEN);
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_string_equal(control(world, TOKEN, rows[i][0], PUSH_INVALID), rows[i][1]);
	assert_int_equal(world->stats.subscriptions, 1);
	destroy_world(world);
}

static void
an_id_beside_the_stream_replays_on_it(void **state)
{
	struct world *world = create_world("", 10);
	struct client *client = &world->clients[0];

	(void)state;
	publish(world, "b", "1");
	publish(world, "b", "2");
	come_with_token(world, client, "a", TOKEN);
	flush(world);
	client->size = 0;
	control(world, TOKEN, "{\"subscribe\":[\"b\"],\"id\":\"0.7.1\"}", PUSH_OK);
	flush(world);
	client->got[client->size] = '\0';
	assert_string_equal(client->got, "event:subscribed\ndata:{\"channel\":\"b\"}\nid:0.7.1\n\n"
					 "event:message\ndata:{\"channel\":\"b\",\"message\":2}\nid:0.7.2\n\n"
					 "event:resumed\ndata:{\"replayed\":1}\nid:0.7.2\n\n");
	destroy_world(world);
}

static void
the_answer_holds_all_errors_however_small_the_names(void **state)
{
	struct world *world = create_world("", 0);
	char body[8192] = "{\"subscribe\":[\"";
	size_t errors = 0;

	(void)state;
	world->options.channels_max = 1;
	come_with_token(world, &world->clients[0], "a", TOKEN);
	for (int i = 0; i < 1000; i++)
		strcat(body, i % 2 ? "\",\"" : "\",\"b");
	strcat(body, "\"]}");
	control(world, TOKEN, body, PUSH_OK);
	for (const char *at = world->said; (at = strstr(at, "\"error\":")); at++)
		errors++;
	assert_int_equal(errors, 1001);
	destroy_world(world);
}

static void
thousands_of_tokens_are_each_found_and_leave_nothing(void **state)
{
	static struct push_token *entries[5000];
	struct push_tokens tokens;
	char text[PUSH_TOKEN_BYTES + 1];
	unsigned char random[PUSH_TOKEN_RANDOM_BYTES] = {0};

	(void)state;
	push_tokens_init(&tokens, 42);
	for (size_t i = 0; i < COUNT(entries); i++) {
		memcpy(random, &i, sizeof(i));
		push_token_write(text, NODE, random);
		assert_true(push_token_is_shaped(text, strlen(text)));
		entries[i] = push_token_create(&tokens, (struct push_subscriber *)&entries[i], text);
		assert_non_null(entries[i]);
	}
	for (size_t i = 0; i < COUNT(entries); i++) {
		memcpy(random, &i, sizeof(i));
		push_token_write(text, NODE, random);
		assert_ptr_equal(push_tokens_find(&tokens, text, strlen(text)), &entries[i]);
		push_token_destroy(entries[i]);
		assert_null(push_tokens_find(&tokens, text, strlen(text)));
	}
	assert_null(tokens.buckets);
	assert_false(push_token_is_shaped("0123456789abcdef.000102030405060708090A0b0c0d0e0f", 49));
	assert_false(push_token_is_shaped("0123456789abcdef/000102030405060708090a0b0c0d0e0f", 49));
}

static void
when_memory_is_out_a_change_beside_the_stream_leaks_nothing(void **state)
{
	static const char body[] =
		"{\"subscribe\":[\"b\",\"\",\"off:c\"],\"unsubscribe\":[\"a\"],\"id\":\"0.7.0\"}";

	(void)state;
	for (long limit = 0; limit < 80; limit++) {
		struct world *world = create_world("off:=0", 8);
		struct client *client = &world->clients[0];
		struct push_error error;
		struct push_buf answer;

		come_as(world, client, PUSH_ENCODING_SSE, "a", "");
		leave(client);
		client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_SSE, &fake, client);
		push_buf_init(&answer, 1 << 20);
		allocations_left = limit;
		if (push_subscriber_control(client->subscriber, TOKEN) == PUSH_OK) {
			push_subscriber_start(client->subscriber, world->now);
			if (push_hub_control(world->hub, TOKEN, strlen(TOKEN), body, strlen(body), NULL,
				    world->now, &answer, &error) == PUSH_OK)
				assert_int_equal(answer.status, PUSH_OK);
		}
		flush(world);
		allocations_left = -1;
		push_buf_fini(&answer);
		destroy_world(world);
	}
}

/* --- the model --- */

static uint64_t random_state;

static uint64_t
draw(uint64_t below)
{
	random_state ^= random_state >> 12;
	random_state ^= random_state << 25;
	random_state ^= random_state >> 27;
	return (random_state * 0x2545F4914F6CDD1Dull) % below;
}

#define CHANNELS     6
#define CHANNELS_MAX 4
#define LAST_CHANNEL (CHANNELS - 1) /* the one without history */
#define SEQUENCE_MAX 20000
#define LONG_VALUE   2000
#define ANSWERS_MAX  4096

enum answer { ANSWER_SUBSCRIBED, ANSWER_UNSUBSCRIBED, ANSWER_ERROR };

struct owed {
	enum answer answer;
	unsigned int after; /* messages come behind this one */
};

/* What a client must see: the twin of hub, session and live, without any of their means. */
struct model {
	unsigned int published[CHANNELS];
	unsigned int sequence;                   /* messages of channels with history */
	unsigned int at[SEQUENCE_MAX][CHANNELS]; /* published[] at each of them */
	bool joined[CHANNELS];                   /* as the commands have it */
	struct owed owed[CHANNELS][ANSWERS_MAX]; /* answers in flight */
	unsigned int first[CHANNELS], last[CHANNELS];
	bool subscribed[CHANNELS]; /* as the client has been told */
	unsigned int read[CHANNELS];
	bool gap[CHANNELS];
	uint64_t missed[CHANNELS]; /* UINT64_MAX: unknown */
	bool has_id;
	unsigned int id; /* the last that the client has seen */
	size_t disappointed;
};

static void
owe(struct model *model, unsigned int c, enum answer answer, unsigned int after)
{
	assert_true(model->last[c] < ANSWERS_MAX);
	model->owed[c][model->last[c]++] = (struct owed){answer, after};
}

/* Whether the client has asked to leave it: what is on its way still is cut short. */
static bool
is_left(const struct model *model, int c)
{
	for (unsigned int i = model->first[c]; i < model->last[c]; i++)
		if (model->owed[c][i].answer == ANSWER_UNSUBSCRIBED)
			return true;
	return false;
}

static void
check_answer(struct model *model, unsigned int c, enum answer answer)
{
	struct owed owed;

	assert_true(model->first[c] < model->last[c]);
	owed = model->owed[c][model->first[c]++];
	/* it was still to come when the client changed its mind */
	if (answer == ANSWER_ERROR && owed.answer == ANSWER_SUBSCRIBED) {
		assert_true(is_left(model, (int)c) && !model->subscribed[c]);
		model->disappointed++;
		return;
	}
	assert_int_equal(owed.answer, answer);
	if (answer == ANSWER_SUBSCRIBED && !model->subscribed[c]) {
		model->read[c] = owed.after;
		model->gap[c] = false;
		model->missed[c] = 0;
	}
	if (answer != ANSWER_ERROR)
		model->subscribed[c] = answer == ANSWER_SUBSCRIBED;
}

/* An id promises that everything up to it is there, or was told to be missing. */
static void
check_id(struct model *model, const char *text)
{
	const char *id = strstr(text, "\"id\":\"0.7.");
	struct push_positions at;

	if (!id)
		return;
	id += strlen("\"id\":\"");
	assert_int_equal(push_positions_parse(&at, id, (size_t)(strchr(id, '"') - id)), PUSH_OK);
	model->id = (unsigned int)at.at[0].number;
	model->has_id = true;
	assert_true(model->id <= model->sequence);
	for (int c = 0; c < LAST_CHANNEL; c++)
		if (model->subscribed[c] && !model->gap[c] && !is_left(model, c))
			assert_true(model->at[model->id][c] <= model->read[c]);
}

static void
check_message(struct model *model, unsigned int c, unsigned int number)
{
	assert_true(model->subscribed[c]);
	assert_true(number > model->read[c]);
	if (!model->gap[c])
		assert_int_equal(number, model->read[c] + 1);
	else if (model->missed[c] != UINT64_MAX)
		assert_int_equal(number, model->read[c] + 1 + model->missed[c]);
	model->read[c] = number;
	model->gap[c] = false;
	model->missed[c] = 0;
}

static void
check_text(struct model *model, const char *text)
{
	unsigned int c, number;

	if (sscanf(text, "{\"event\":\"message\",\"data\":{\"channel\":\"c%u\",\"message\":%u", &c,
		    &number) == 2) {
		check_message(model, c, number);
	} else if (sscanf(text, "{\"event\":\"gap\",\"data\":{\"channel\":\"c%u\",\"missed\":%u", &c,
			   &number) == 2) {
		model->gap[c] = true;
		if (model->missed[c] != UINT64_MAX)
			model->missed[c] += number;
	} else if (sscanf(text, "{\"event\":\"gap\",\"data\":{\"channel\":\"c%u\"", &c) == 1) {
		model->gap[c] = true;
		model->missed[c] = UINT64_MAX;
	} else if (sscanf(text, "{\"event\":\"subscribed\",\"data\":{\"channel\":\"c%u\"", &c) == 1) {
		check_answer(model, c, ANSWER_SUBSCRIBED);
	} else if (sscanf(text, "{\"event\":\"unsubscribed\",\"data\":{\"channel\":\"c%u\"", &c) == 1) {
		check_answer(model, c, ANSWER_UNSUBSCRIBED);
	} else if (sscanf(text, "{\"event\":\"error\",\"data\":{\"channel\":\"c%u\"", &c) == 1 &&
		   strstr(text, "already being subscribed")) {
		model->first[c]++; /* the first of the answers that it waits for will do */
	} else if (sscanf(text, "{\"event\":\"error\",\"data\":{\"channel\":\"c%u\"", &c) == 1) {
		check_answer(model, c, ANSWER_ERROR);
	}
	check_id(model, text);
}

static void
read_all(struct world *world, struct model *model)
{
	const char *text;

	while ((text = next_text(&world->clients[0])))
		check_text(model, text);
}

static void
go(struct world *world, struct model *model)
{
	read_all(world, model);
	leave(&world->clients[0]);
}

/* With the channels that it knows it has, and the last id that it has seen. */
static void
come_again(struct world *world, struct model *model)
{
	char list[64] = "", id[64] = "";
	unsigned int count = 0;

	for (unsigned int c = 0; c < CHANNELS; c++)
		count += model->subscribed[c];
	if (!count)
		model->subscribed[0] = true;
	for (unsigned int c = 0; c < CHANNELS; c++) {
		model->joined[c] = model->subscribed[c];
		model->first[c] = model->last[c] = 0;
		if (!model->subscribed[c])
			continue;
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%sc%u", *list ? "," : "", c);
		/* without an id it begins anew; without history there is a gap */
		if (c == LAST_CHANNEL || !model->has_id)
			model->read[c] = model->published[c];
		else
			model->read[c] = model->at[model->id][c];
		model->gap[c] = false;
		model->missed[c] = 0;
	}
	if (model->has_id) {
		struct push_positions at = {.partitions = 1, .at = {{7, model->id}}};

		id[push_positions_format(&at, 1, id)] = '\0';
	}
	come_as(world, &world->clients[0], PUSH_ENCODING_WS, list, id);
	world->clients[0].room = draw(3) ? SIZE_MAX : draw(2000);
}

static void
change(struct world *world, struct model *model)
{
	bool is_subscribe = draw(3) > 0, with_id = is_subscribe && model->has_id && draw(2);
	char text[512], id[64] = "";
	unsigned int count = 0;
	int size;

	for (unsigned int c = 0; c < CHANNELS; c++)
		count += model->joined[c];
	size = snprintf(text, sizeof(text), "{\"event\":\"%ssubscribe\",\"data\":{\"channels\":[",
		is_subscribe ? "" : "un");
	for (uint64_t i = 0, n = draw(4); i < n; i++) {
		unsigned int c = (unsigned int)draw(CHANNELS);

		size += snprintf(text + size, sizeof(text) - (size_t)size, "%s\"c%u\"", i ? "," : "", c);
		if (!is_subscribe) {
			/* it may wait for its turn still: then that has no answer but an error */
			count -= model->joined[c];
			model->joined[c] = false;
			owe(model, c, ANSWER_UNSUBSCRIBED, 0);
		} else if (!model->joined[c] && count == CHANNELS_MAX) {
			owe(model, c, ANSWER_ERROR, 0);
		} else {
			owe(model, c, ANSWER_SUBSCRIBED,
				with_id && c != LAST_CHANNEL ? model->at[model->id][c] : model->published[c]);
			count += !model->joined[c];
			model->joined[c] = true;
		}
	}
	if (with_id) {
		struct push_positions at = {.partitions = 1, .at = {{7, model->id}}};

		id[push_positions_format(&at, 1, id)] = '\0';
		snprintf(text + size, sizeof(text) - (size_t)size, "],\"id\":\"%s\"}}", id);
	} else {
		snprintf(text + size, sizeof(text) - (size_t)size, "]}}");
	}
	say(world, text);
}

static void
publish_some(struct world *world, struct model *model)
{
	char channel[8], value[LONG_VALUE + 1];

	for (uint64_t i = draw(12); i-- > 0;) {
		unsigned int c = (unsigned int)draw(CHANNELS);

		snprintf(channel, sizeof(channel), "c%u", c);
		/* of some channels they are long, so that a replay takes several writes */
		snprintf(value, sizeof(value), "%u.%0*d", ++model->published[c], c == 2 ? LONG_VALUE - 8 : 1,
			0);
		if (c != LAST_CHANNEL)
			model->sequence++;
		assert_true(model->sequence < SEQUENCE_MAX);
		memcpy(model->at[model->sequence], model->published, sizeof(model->published));
		publish(world, channel, value);
	}
}

static void
step(struct world *world, struct model *model)
{
	struct client *client = &world->clients[0];

	switch (draw(12)) {
	case 0:
		if (client->subscriber && !draw(4))
			go(world, model);
		break;
	case 1:
		if (!client->subscriber)
			come_again(world, model);
		break;
	case 2: flush(world); break;
	case 3:
		client->room = draw(2) ? SIZE_MAX : draw(9000);
		if (client->subscriber)
			push_subscriber_writable(client->subscriber, world->now);
		break;
	case 4: read_all(world, model); break;
	case 5:
	case 6:
	case 7:
		if (client->subscriber && !client->closed)
			change(world, model);
		break;
	default: publish_some(world, model);
	}
	if (client->closed || client->size > STREAM_MAX / 2)
		go(world, model);
}

static void
whatever_a_client_changes_it_has_every_message_once_and_in_order_or_was_told(void **state)
{
	struct model *model = malloc(sizeof(*model));
	size_t disappointed = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 25; seed++) {
		struct world *world = create_world("c1=3 c2=200 c5=0", 20);

		print_message("seed %u\n", (unsigned int)seed);
		random_state = seed * 0x9E3779B97F4A7C15ull;
		memset(model, 0, sizeof(*model));
		world->options.channels_max = CHANNELS_MAX;
		world->options.queue_bytes_max = draw(2) ? 1 << 20 : 1500;
		come_again(world, model);
		for (int i = 0; i < 1500; i++)
			step(world, model);
		/* in peace */
		if (!world->clients[0].subscriber)
			come_again(world, model);
		world->clients[0].room = SIZE_MAX;
		push_subscriber_writable(world->clients[0].subscriber, world->now);
		flush(world);
		read_all(world, model);
		for (unsigned int c = 0; c < CHANNELS && !world->clients[0].closed; c++) {
			assert_int_equal(model->first[c], model->last[c]);
			assert_int_equal(model->subscribed[c], model->joined[c]);
			assert_true(!model->subscribed[c] || model->gap[c] ||
				    model->read[c] == model->published[c]);
		}
		disappointed += model->disappointed;
		destroy_world(world);
	}
	assert_true(disappointed > 0);
	free(model);
}

static void
when_memory_is_out_a_change_is_refused_or_the_client_closed_and_nothing_leaks(void **state)
{
	(void)state;
	for (int watched = 0; watched < 2; watched++)
		for (long limit = 0; limit < 150; limit++) {
			struct world *world = create_world("off:=0", 8);
			struct push_channel *channel;

			if (watched)
				push_hub_watch(world->hub, 0);
			come(world, "a");
			while ((channel = push_hub_next_changed(world->hub)))
				push_hub_confirm(world->hub, channel, false, world->now);
			publish(world, "b", "1");
			flush(world);
			allocations_left = limit;
			say(world, SUBSCRIBE("[\"off:x\",\"b\",\"c\",\"a\"],\"id\":\"0.7.0\",\"ref\":1"));
			say(world, UNSUBSCRIBE("[\"a\",\"b\"]"));
			say(world, SUBSCRIBE("[\"d\",\"e\",\"f\",\"g\",\"h\"]"));
			while ((channel = push_hub_next_changed(world->hub)))
				push_hub_confirm(world->hub, channel, false, world->now);
			flush(world);
			allocations_left = -1;
			destroy_world(world);
		}
}

/* json-c is a library of its own, whose allocations are not ours to let fail. */
struct json_tokener *
__real_json_tokener_new_ex(int depth);
struct json_tokener *
__wrap_json_tokener_new_ex(int depth);
struct json_object *
__real_json_tokener_parse_ex(struct json_tokener *tokener, const char *text, int size);
struct json_object *
__wrap_json_tokener_parse_ex(struct json_tokener *tokener, const char *text, int size);

struct json_tokener *
__wrap_json_tokener_new_ex(int depth)
{
	return may_allocate() ? __real_json_tokener_new_ex(depth) : NULL;
}

struct json_object *
__wrap_json_tokener_parse_ex(struct json_tokener *tokener, const char *text, int size)
{
	return may_allocate() ? __real_json_tokener_parse_ex(tokener, text, size) : NULL;
}

static void
without_memory_nothing_is_said_to_be_wrong_with_the_request(void **state)
{
	(void)state;
	for (long limit = 0; limit < 6; limit++) {
		struct world *world = create_world("", 0);
		struct push_buf answer;
		struct push_error error = {""};

		come_with_token(world, &world->clients[1], "a", TOKEN);
		push_buf_init(&answer, 4096);
		allocations_left = limit;
		assert_int_not_equal(
			push_hub_control(world->hub, TOKEN, strlen(TOKEN), "{\"subscribe\":[\"b\"]}", 19,
				NULL, world->now, &answer, &error),
			PUSH_INVALID);
		allocations_left = -1;
		push_buf_fini(&answer);
		assert_null(strstr(error.text, "must be"));

		come(world, "a");
		(void)told(world);
		allocations_left = limit;
		say(world, SUBSCRIBE("[\"b\"]"));
		allocations_left = -1;
		assert_null(strstr(told(world), "must be"));
		destroy_world(world);
	}
}

/* --- somebody else is asked (question.h) --- */

struct asker {
	struct world *world;
	struct push_question *question; /* under way; NULL: there is none */
	char channels[256];             /* of the last one */
	int count;
	const struct push_identity *at_once; /* the answer, in the call; NULL: it comes later */
};

static void
nobody_authenticates(void *context, struct push_subscriber *subscriber, const struct push_command *command)
{
	(void)context;
	(void)subscriber;
	(void)command;
}

static bool
asks(void *context, const struct push_identity *identity)
{
	(void)context;
	return push_identity_facts(identity).asks_application;
}

static void
ask(void *context, struct push_question *question, struct push_str channels)
{
	struct asker *asker = context;

	assert_null(asker->question);
	asker->count++;
	snprintf(asker->channels, sizeof(asker->channels), "%.*s", (int)channels.size, channels.bytes);
	if (asker->at_once)
		push_question_answer(
			question, &(struct push_grant){asker->at_once, 0, NULL}, asker->world->now);
	else
		asker->question = question;
}

static void
answer_question(
	struct asker *asker, const struct push_identity *identity, unsigned int status, const char *text)
{
	struct push_question *question = asker->question;

	assert_non_null(question);
	asker->question = NULL;
	push_question_answer(question, &(struct push_grant){identity, status, text}, asker->world->now);
}

/* May subscribe to that pattern. */
static const struct push_identity *
create_identity(const char *pattern, bool asks_application, uint64_t expires_us)
{
	struct push_identity_builder *builder = push_identity_build(&(struct push_identity_facts){
		.expires_us = expires_us, .issued_s = INT64_MIN, .asks_application = asks_application});
	const struct push_identity *identity;
	struct push_error error;

	assert_int_equal(push_identity_grant(builder, PUSH_RIGHT_SUBSCRIBE,
				 (struct push_str){pattern, strlen(pattern)}, &error),
		PUSH_OK);
	identity = push_identity_done(builder);
	assert_non_null(identity);
	return identity;
}

static void
set_reading(void *connection, bool on)
{
	(void)connection;
	(void)on;
}

static const struct push_transport pausing = {.write = fake_write,
	.is_blocked = fake_is_blocked,
	.close = fake_close,
	.set_reading = set_reading,
	.fills_socket = true};

/* A hub that asks, and a client of `a` that may subscribe to it and nothing else. */
static struct world *
create_asking_world(struct asker *asker, bool asks_application)
{
	struct world *world = create_world("", 0);
	struct client *client = &world->clients[0];
	const struct push_identity *identity = create_identity("a", asks_application, UINT64_MAX);
	struct push_channels channels;
	struct push_error error;

	*asker = (struct asker){.world = world};
	push_hub_guard(world->hub, nobody_authenticates, NULL);
	push_hub_ask(world->hub, &(struct push_hub_asker){asks, ask, asker});
	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &pausing, client);
	assert_int_equal(push_subscriber_identify(client->subscriber, identity, world->now), PUSH_OK);
	push_identity_unref(identity);
	assert_int_equal(push_channels_parse(&channels, "a", 1, &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	push_subscriber_start(client->subscriber, world->now);
	(void)told(world);
	return world;
}

static void
nothing_is_joined_before_the_answer_and_what_it_grants_is(void **state)
{
	const struct push_identity *granted = create_identity("b", true, UINT64_MAX);
	struct asker asker;
	struct world *world = create_asking_world(&asker, true);

	(void)state;
	say(world, SUBSCRIBE("[\"b\",\"a\",\"\",\"c\"],\"ref\":1"));
	assert_string_equal(asker.channels, "b,c"); /* it is in `a`, and the empty one is no name */
	assert_int_equal(world->stats.channels, 1);
	publish(world, "b", "0");
	assert_string_equal(told(world), "");
	answer_question(&asker, granted, 0, NULL);
	publish(world, "b", "1");
	assert_string_equal(told(world),
		SUBSCRIBED("\"b\",\"ref\":1") SUBSCRIBED("\"a\",\"ref\":1")
			WRONG("\"channel\":\"\",\"error\":\"bad channel name '': empty\",\"ref\":1") WRONG(
				"\"channel\":\"c\",\"error\":\"no right to subscribe to 'c'\",\"ref\":1")
				MESSAGE("b", "1"));
	say(world, SUBSCRIBE("[\"b\"]")); /* it is in it */
	assert_int_equal(asker.count, 1);
	assert_string_equal(told(world), SUBSCRIBED("\"b\""));
	say(world, UNSUBSCRIBE("[\"b\"]"));
	say(world, SUBSCRIBE("[\"b\"]")); /* but once it has left, it is asked again */
	assert_int_equal(asker.count, 2);
	answer_question(&asker, NULL, 403, "not for you");
	assert_string_equal(
		told(world), UNSUBSCRIBED("\"b\"") WRONG("\"channel\":\"b\",\"error\":\"not for you\""));
	destroy_world(world);
	push_identity_unref(granted);
}

static void
changes_wait_behind_a_question_in_their_order_and_nothing_else_does(void **state)
{
	const struct push_identity *granted = create_identity("*", true, UINT64_MAX);
	struct asker asker;
	struct world *world = create_asking_world(&asker, true);

	(void)state;
	say(world, SUBSCRIBE("[\"b\"],\"ref\":1"));
	say(world, UNSUBSCRIBE("[\"b\"],\"ref\":2"));
	say(world, SUBSCRIBE("[\"c\"],\"ref\":3"));
	say(world, UNSUBSCRIBE("[\"a\"],\"ref\":4"));
	publish(world, "a", "1");
	say(world, "{\"event\":\"ping\"}");
	assert_string_equal(told(world), MESSAGE("a", "1") "{\"event\":\"pong\",\"data\":{}}\n");
	answer_question(&asker, granted, 0, NULL);
	assert_string_equal(told(world), SUBSCRIBED("\"b\",\"ref\":1") UNSUBSCRIBED("\"b\",\"ref\":2"));
	assert_string_equal(asker.channels, "c");
	asker.at_once = granted; /* as one that is kept */
	say(world, SUBSCRIBE("[\"d\"],\"ref\":5"));
	answer_question(&asker, NULL, 503, "try again");
	assert_string_equal(told(world),
		WRONG("\"channel\":\"c\",\"error\":\"try again\",\"ref\":3") UNSUBSCRIBED("\"a\",\"ref\":4")
			SUBSCRIBED("\"d\",\"ref\":5"));
	say(world, SUBSCRIBE("[\"e\"],\"ref\":6"));
	assert_string_equal(told(world), SUBSCRIBED("\"e\",\"ref\":6"));
	destroy_world(world);
	push_identity_unref(granted);
}

static void
nothing_is_said(void *context, const char *line)
{
	(void)context;
	(void)line;
}

static void
a_client_over_its_limit_is_not_asked_about(void **state)
{
	const struct push_identity *granted = create_identity("*", true, UINT64_MAX);
	struct asker asker;
	struct world *world = create_asking_world(&asker, true);
	struct push_limiter *limiter;
	enum push_status status;

	(void)state;
	world->options.limit_client_subscribes = 2;
	limiter = push_limiter_create(&world->options, &world->stats, 1, nothing_is_said, NULL, &status);
	assert_non_null(limiter);
	push_hub_limit(world->hub, limiter);
	for (int i = 0; i < 2; i++) { /* each counts once */
		say(world, SUBSCRIBE("[\"b\"]"));
		answer_question(&asker, granted, 0, NULL);
		say(world, UNSUBSCRIBE("[\"b\"]"));
		assert_string_equal(told(world), SUBSCRIBED("\"b\"") UNSUBSCRIBED("\"b\""));
	}
	say(world, SUBSCRIBE("[\"b\"]"));
	assert_int_equal(asker.count, 2);
	assert_non_null(strstr(told(world), "(push.limit.client.subscribes)"));
	destroy_world(world);
	push_limiter_destroy(limiter);
	push_identity_unref(granted);
}

static void
what_waits_behind_a_question_is_bounded(void **state)
{
	struct asker asker;
	struct world *world = create_asking_world(&asker, true);
	const char *text;
	int count = 0;

	(void)state;
	say(world, SUBSCRIBE("[\"b\"]"));
	for (; !*(text = told(world)); count++) {
		assert_true(count < 10000);
		say(world, SUBSCRIBE("[\"c\"]"));
	}
	assert_string_equal(text, WRONG("\"error\":\"too many requests wait for an answer, try again\""));
	assert_true(world->stats.paused == 1); /* what a real client sends would not have been read */
	answer_question(&asker, NULL, 403, "no");
	while (asker.question)
		answer_question(&asker, NULL, 403, "no");
	assert_int_equal(asker.count, count + 1 - 1);
	assert_int_equal(world->stats.paused, 0);
	destroy_world(world);
}

static void
a_client_that_goes_or_is_closed_leaves_its_question_and_nothing_else(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		struct asker asker;
		struct world *world = create_asking_world(&asker, true);

		say(world, SUBSCRIBE("[\"b\"]"));
		say(world, SUBSCRIBE("[\"c\"]"));
		if (round)
			push_subscriber_close(world->clients[0].subscriber, PUSH_CLOSE_SLOW, world->now);
		else
			leave(&world->clients[0]);
		assert_int_equal(world->stats.memory[PUSH_MEMORY_REQUESTS], 0);
		assert_null(asker.question->subscriber);
		answer_question(&asker, NULL, 403, "no");
		assert_int_equal(asker.count, 1);
		destroy_world(world);
	}
	{ /* the hub may be gone, too */
		struct asker asker;
		struct world *world = create_asking_world(&asker, true);

		say(world, SUBSCRIBE("[\"b\"]"));
		destroy_world(world);
		assert_null(asker.question->subscriber);
		push_question_answer(asker.question, &(struct push_grant){0}, 0);
	}
}

static void
nobody_is_asked_about_the_client_of_a_token(void **state)
{
	struct asker asker;
	struct world *world = create_asking_world(&asker, false);

	(void)state;
	say(world, SUBSCRIBE("[\"b\"]"));
	assert_int_equal(asker.count, 0);
	assert_string_equal(
		told(world), WRONG("\"channel\":\"b\",\"error\":\"no right to subscribe to 'b'\""));
	destroy_world(world);
}

static void
a_connection_ends_with_what_an_answer_has_granted(void **state)
{
	struct asker asker;
	struct world *world = create_asking_world(&asker, true);
	const struct push_identity *granted = create_identity("b", true, world->now + 20 * SECOND_US);

	(void)state;
	say(world, SUBSCRIBE("[\"b\"]"));
	answer_question(&asker, granted, 0, NULL);
	for (uint64_t us = 0; us < 21 * SECOND_US; us += PUSH_TICK_US) {
		world->now += PUSH_TICK_US;
		push_hub_tick(world->hub, world->now, 64);
	}
	assert_string_equal(told(world),
		SUBSCRIBED("\"b\"") "{\"event\":\"expiring\",\"data\":{\"expires_in\":20}}\n"
				    "{\"error\":\"the token "
				    "has expired\"}\n");
	assert_true(world->clients[0].closed);
	destroy_world(world);
	push_identity_unref(granted);
}

static void
a_control_request_is_asked_about_first_and_carried_out_with_the_answer(void **state)
{
	static const char body[] = "{\"subscribe\":[\"b\",\"c\"],\"unsubscribe\":[\"a\"]}";
	const struct push_identity *granted = create_identity("b", true, UINT64_MAX), *mine;
	const struct push_str token = {TOKEN, strlen(TOKEN)}, text = {body, sizeof(body) - 1},
			      leaves = {"{\"unsubscribe\":[\"a\"]}", 21};
	const struct push_subscriber *found = NULL;
	struct push_grant grant = {granted, 0, NULL};
	struct push_error error;
	struct asker asker;
	struct world *world = create_asking_world(&asker, true);
	struct client *client = &world->clients[1];
	struct push_buf buf;

	(void)state;
	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_SSE, &fake, client);
	mine = create_identity("a", true, UINT64_MAX);
	assert_int_equal(push_subscriber_identify(client->subscriber, mine, world->now), PUSH_OK);
	push_identity_unref(mine);
	assert_int_equal(push_subscriber_control(client->subscriber, TOKEN), PUSH_OK);
	push_subscriber_start(client->subscriber, world->now);

	assert_false(push_hub_control_asks(world->hub, token, leaves, world->now, &buf, &found));
	push_buf_fini(&buf);
	assert_true(push_hub_control_asks(world->hub, token, text, world->now, &buf, &found));
	assert_ptr_equal(found, client->subscriber);
	assert_int_equal(buf.size, 3);
	assert_memory_equal(buf.bytes, "b,c", 3);
	push_buf_fini(&buf);
	push_buf_init(&buf, 4096);
	assert_int_equal(push_hub_control(world->hub, TOKEN, strlen(TOKEN), body, sizeof(body) - 1, &grant,
				 world->now, &buf, &error),
		PUSH_OK);
	push_buf_append(&buf, "", 1);
	assert_string_equal(buf.bytes,
		"{\"subscribed\":[\"b\"],\"unsubscribed\":[\"a\"],\"errors\":[{\"channel\":\"c\","
		"\"error\":\"no right to subscribe to 'c'\"}]}");
	push_buf_fini(&buf);
	assert_int_equal(asker.count, 0); /* that is for whoever has the request */
	leave(client);
	assert_false(push_hub_control_asks(world->hub, token, text, world->now, &buf, &found));
	push_buf_fini(&buf);
	destroy_world(world);
	push_identity_unref(granted);
}

static void
without_memory_a_question_is_not_asked_and_nothing_is_joined_or_leaks(void **state)
{
	const struct push_identity *granted = create_identity("*", true, UINT64_MAX);

	(void)state;
	for (long limit = 0; limit < 12; limit++) {
		struct asker asker;
		struct world *world = create_asking_world(&asker, true);

		allocations_left = limit;
		say(world, SUBSCRIBE("[\"b\"]"));
		say(world, SUBSCRIBE("[\"c\"]"));
		if (asker.question)
			answer_question(&asker, granted, 0, NULL);
		allocations_left = -1;
		if (asker.question)
			answer_question(&asker, granted, 0, NULL);
		assert_true(asker.count || world->stats.channels <= 1);
		destroy_world(world);
	}
	push_identity_unref(granted);
}

int
main(void)
{
#define T(name) cmocka_unit_test(name)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_memory_nothing_is_said_to_be_wrong_with_the_request),
		T(a_client_gets_the_messages_from_subscribed_to_unsubscribed),
		T(a_connection_without_channels_stays_and_may_subscribe_again),
		T(a_channel_that_has_moved_in_the_list_is_found_when_others_leave_it),
		T(to_subscribe_twice_is_answered_twice_and_changes_nothing),
		T(a_bad_or_one_too_many_name_has_an_error_of_its_own_and_the_others_are_served),
		T(what_is_no_request_is_answered_with_what_is_wrong_and_the_connection_stays),
		T(subscribed_brings_the_position_from_which_on_nothing_is_missed),
		T(an_id_replays_what_came_since_on_these_channels_and_no_others),
		T(what_an_id_cannot_bring_back_is_a_gap_of_that_channel),
		T(a_replay_waits_for_the_one_before_it_and_each_channel_is_answered_in_front_of_its_messages),
		T(channels_may_be_added_and_removed_while_older_ones_are_replayed),
		T(a_resume_gives_of_a_late_channel_what_was_before_it_and_nothing_twice),
		T(what_was_left_is_not_sent_again_for_want_of_an_ack),
		T(an_event_stream_learns_of_its_channels_and_its_position),
		T(who_does_not_read_the_answers_is_closed_as_slow_and_costs_no_more),
		T(subscribed_is_said_when_messages_come_in_and_other_channels_do_not_wait_for_it),
		T(what_is_unsubscribed_while_it_waits_is_answered_and_never_comes),
		T(answers_that_are_owed_are_bounded),
		T(what_is_asked_for_before_the_start_is_done_then),
		T(what_may_be_asked_for_before_the_start_is_bounded),
		T(a_token_is_told_once_in_front_of_the_first_heartbeat),
		T(a_stream_that_is_not_read_cannot_be_changed_until_it_is),
		T(a_token_changes_the_channels_of_its_stream_and_of_no_other),
		T(a_token_is_good_for_as_long_as_its_stream_is_open),
		T(a_body_that_is_no_change_is_told_what_is_wrong_and_changes_nothing),
		T(an_id_beside_the_stream_replays_on_it),
		T(the_answer_holds_all_errors_however_small_the_names),
		T(thousands_of_tokens_are_each_found_and_leave_nothing),
		T(when_memory_is_out_a_change_beside_the_stream_leaks_nothing),
		T(whatever_a_client_changes_it_has_every_message_once_and_in_order_or_was_told),
		T(nothing_is_joined_before_the_answer_and_what_it_grants_is),
		T(changes_wait_behind_a_question_in_their_order_and_nothing_else_does),
		T(a_client_over_its_limit_is_not_asked_about),
		T(what_waits_behind_a_question_is_bounded),
		T(a_client_that_goes_or_is_closed_leaves_its_question_and_nothing_else),
		T(nobody_is_asked_about_the_client_of_a_token),
		T(a_connection_ends_with_what_an_answer_has_granted),
		T(a_control_request_is_asked_about_first_and_carried_out_with_the_answer),
		T(without_memory_a_question_is_not_asked_and_nothing_is_joined_or_leaks),
		T(when_memory_is_out_a_change_is_refused_or_the_client_closed_and_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
