/*
 * Clients come and go, read slowly, and come back with the last id that they have read.  Whatever happens,
 * each has every message of its channels once and in order, or was told of a gap where some are missing.
 */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/channel.h"
#include "core/history.h"
#include "core/hub.h"
#include "core/json.h"
#include "core/limits.h"
#include "core/position.h"
#include "core/subscriber.h"

#define SECOND_US  1000000ull
#define STREAM_MAX (1 << 20)

struct client {
	struct push_subscriber *subscriber; /* NULL: not connected */
	char got[STREAM_MAX];
	size_t size, room;
	bool closed;
	char id[600]; /* Last-Event-ID */
};

#include "fake_transport.h"

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

/* Nothing has been numbered in it. */
static struct world *
create_new_world(const char *rules, uint64_t size, uint64_t bytes_max)
{
	struct world *world = calloc(1, sizeof(*world));

	push_options_init(&world->options);
	world->options.history_size = size;
	world->options.history_ttl_us = 60 * SECOND_US;
	world->options.history_bytes_max = bytes_max;
	snprintf(world->options.history_rules, sizeof(world->options.history_rules), "%s", rules);
	world->now = 1000 * SECOND_US;
	world->hub = push_hub_create(&world->options, &world->stats, 42, world->now, on_ready, world);
	assert_non_null(world->hub);
	return world;
}

static struct world *
create_world(const char *rules, uint64_t size, uint64_t bytes_max)
{
	struct world *world = create_new_world(rules, size, bytes_max);

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
	leave(&world->client);
	push_hub_destroy(world->hub);
	free(world);
}

static void
come(struct world *world, const char *list, const char *id)
{
	struct client *client = &world->client;
	struct push_channels channels;
	struct push_error error;

	client->size = 0;
	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_SSE, &fake, client);
	assert_int_equal(
		push_channels_parse(&channels, list, strlen(list), &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	if (*id)
		assert_int_equal(push_subscriber_resume(client->subscriber, id, strlen(id)), PUSH_OK);
	push_subscriber_start(client->subscriber, world->now);
}

static void
publish_for(struct world *world, const char *channel, const char *value, uint64_t ttl_us)
{
	uint64_t subscribers;

	assert_int_equal(push_hub_deliver(world->hub, channel, strlen(channel), value, strlen(value), ttl_us,
				 world->now, &subscribers),
		PUSH_OK);
}

static void
publish(struct world *world, const char *channel, const char *value)
{
	publish_for(world, channel, value, 0);
}

static void
flush(struct world *world)
{
	while (push_hub_flush(world->hub, world->now, 2))
		;
}

static void
pass(struct world *world, uint64_t us)
{
	for (uint64_t end = world->now + us; world->now < end;) {
		world->now += PUSH_TICK_US;
		while (push_hub_tick(world->hub, world->now, 64))
			;
		flush(world);
	}
}

/* What the client has read since it came, with the first heartbeat and its jitter left out. */
static void
expect(struct world *world, const char *text)
{
	struct client *client = &world->client;
	char *start;

	flush(world);
	client->got[client->size] = '\0';
	start = strstr(client->got, "\n\n");
	assert_non_null(start);
	assert_string_equal(start + 2, text);
}

#define MESSAGE(channel, value, id)                                                                          \
	"event:message\ndata:{\"channel\":\"" channel "\",\"message\":" value "}\nid:0.7." id "\n\n"
#define GAP(channel, missed) "event:gap\ndata:{\"channel\":\"" channel "\",\"missed\":" missed "}\n\n"
#define RESUMED(count, id)   "event:resumed\ndata:{\"replayed\":" count "}\nid:0.7." id "\n\n"

static void
without_an_id_nothing_is_replayed(void **state)
{
	struct world *world = create_world("", 10, 1 << 20);

	(void)state;
	publish(world, "a", "1");
	come(world, "a", "");
	publish(world, "a", "2");
	expect(world, MESSAGE("a", "2", "2"));
	destroy_world(world);
}

static void
what_was_missed_is_replayed_in_order_over_all_channels(void **state)
{
	struct world *world = create_world("", 10, 1 << 20);

	(void)state;
	publish(world, "a", "1");
	publish(world, "b", "2");
	publish(world, "other", "3");
	publish(world, "a", "4");
	come(world, "b,a", "0.7.1");
	publish(world, "b", "5");
	expect(world, MESSAGE("b", "2", "2") MESSAGE("a", "4", "4") RESUMED("2", "4") MESSAGE("b", "5", "5"));
	destroy_world(world);
}

static void
the_first_heartbeat_tells_a_position_to_come_back_with(void **state)
{
	struct world *world = create_world("", 10, 1 << 20);
	struct client *client = &world->client;

	(void)state;
	publish(world, "b", "1");
	come(world, "a", "");
	flush(world);
	client->got[client->size] = '\0';
	assert_non_null(strstr(client->got, "event:heartbeat\ndata:{}\nretry:"));
	assert_non_null(strstr(client->got, "\nid:0.7.1\n\n"));
	leave(client);
	publish(world, "a", "2");
	come(world, "a", "0.7.1");
	expect(world, MESSAGE("a", "2", "2") RESUMED("1", "2"));
	destroy_world(world);
}

static void
a_gap_is_told_in_front_of_what_comes_behind_it(void **state)
{
	struct world *world = create_world("", 2, 1 << 20);

	(void)state;
	come(world, "a", "");
	leave(&world->client);
	for (int i = 0; i < 5; i++)
		publish(world, "a", "0");
	come(world, "a", "0.7.0"); /* the channel is new: how many were missed is known */
	expect(world, GAP("a", "3") MESSAGE("a", "0", "4") MESSAGE("a", "0", "5"));
	leave(&world->client);
	publish(world, "a", "6");
	come(world, "a", "0.7.3"); /* it is not any more */
	expect(world, GAP("a", "\"unknown\"") MESSAGE("a", "0", "5") MESSAGE("a", "6", "6"));
	destroy_world(world);
}

static void
a_channel_without_history_cannot_be_resumed_and_that_is_said(void **state)
{
	struct world *world = create_world("kept:=10", 0, 1 << 20);

	(void)state;
	publish(world, "kept:a", "1");
	publish(world, "b", "2");
	publish(world, "kept:a", "3");
	come(world, "kept:a,b", "0.7.1");
	expect(world, GAP("b", "\"unknown\"") MESSAGE("kept:a", "3", "2"));
	leave(&world->client);
	come(world, "b", "0.7.1");
	expect(world, GAP("b", "\"unknown\""));
	destroy_world(world);
}

static void
an_id_that_is_none_or_not_ours_is_a_gap_and_nothing_is_replayed(void **state)
{
	static const char *const ids[] = {"x", "0.7.3", "0.8.0", "0.zzzzzzzzzzzzz.1", "%", "0.7.1 "};
	struct world *world = create_world("", 10, 1 << 20);

	(void)state;
	publish(world, "a", "1");
	publish(world, "a", "2");
	for (size_t i = 0; i < COUNT(ids); i++) {
		come(world, "a", ids[i]);
		expect(world, GAP("a", "\"unknown\""));
		leave(&world->client);
	}
	destroy_world(world);
}

static void
an_id_of_an_earlier_epoch_is_a_gap_with_all_that_there_is(void **state)
{
	struct world *world = create_world("", 10, 1 << 20);

	(void)state;
	publish(world, "a", "1");
	publish(world, "a", "2");
	come(world, "a", "0.6.99");
	expect(world, GAP("a", "\"unknown\"") MESSAGE("a", "1", "1") MESSAGE("a", "2", "2"));
	destroy_world(world);
}

static void
what_is_too_old_is_gone_and_missed(void **state)
{
	struct world *world = create_world("", 10, 1 << 20);

	(void)state;
	publish(world, "a", "1");
	pass(world, 61 * SECOND_US);
	publish(world, "b", "2");
	come(world, "a,b", "0.7.0");
	expect(world, GAP("a", "\"unknown\"") MESSAGE("b", "2", "2"));
	leave(&world->client);
	come(world, "a,b", "0.7.1"); /* who has seen it misses nothing */
	expect(world, MESSAGE("b", "2", "2") RESUMED("1", "2"));
	destroy_world(world);
}

static void
a_message_that_outlived_its_own_time_is_neither_replayed_nor_missed(void **state)
{
	struct world *world = create_world("", 10, 1 << 20);

	(void)state;
	publish_for(world, "a", "1", 5 * SECOND_US);
	publish(world, "a", "2");
	pass(world, 6 * SECOND_US);
	come(world, "a", "0.7.0");
	expect(world, MESSAGE("a", "2", "2") RESUMED("1", "2"));
	destroy_world(world);
}

static void
memory_is_bounded_and_the_oldest_messages_go_first(void **state)
{
	struct world *world = create_world("", 1000, 64 * 1024);
	char value[1002];

	(void)state;
	memset(value, '"', sizeof(value));
	memset(value + 1, 'x', sizeof(value) - 3);
	value[sizeof(value) - 1] = '\0';
	publish(world, "old", "1");
	publish(world, "fresh", "2");
	for (int i = 0; i < 200; i++) {
		publish(world, i % 10 ? "b" : "fresh", i % 10 ? value : "3");
		assert_true(world->stats.history_bytes <= 64 * 1024);
	}
	come(world, "old", "0.7.0");
	expect(world, GAP("old", "\"unknown\""));
	leave(&world->client);
	come(world, "fresh", "0.7.4g");
	flush(world);
	world->client.got[world->client.size] = '\0';
	assert_null(strstr(world->client.got, "event:gap"));
	destroy_world(world);
}

/* 64 KB of them. */
static void
publish_new_names(struct world *world, const char *prefix)
{
	char name[32], value[1002];

	memset(value, '"', sizeof(value));
	memset(value + 1, 'x', sizeof(value) - 3);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "%s%d", prefix, i);
		publish(world, name, value);
	}
}

static void
new_names_do_not_push_out_a_channel_that_has_been_in_use_for_a_minute(void **state)
{
	struct world *world = create_world("room=10/5m", 10, 64 * 1024);

	(void)state;
	publish(world, "room", "1");
	world->now += PUSH_HISTORY_SAFE_US;
	publish(world, "room", "2");
	publish_new_names(world, "a");
	assert_true(world->stats.history_dropped > 0);
	come(world, "room", "0.7.1");
	expect(world, MESSAGE("room", "2", "2") RESUMED("1", "2u"));
	leave(&world->client);
	/* but it has its time, too */
	world->now += PUSH_HISTORY_SAFE_US + SECOND_US;
	publish_new_names(world, "b");
	come(world, "room", "0.7.1");
	expect(world, GAP("room", "\"unknown\""));
	destroy_world(world);
}

static void
a_resume_over_the_open_connection_fills_what_was_before_it(void **state)
{
	static const char resume[] = "{\"event\":\"resume\",\"data\":{\"id\":\"0.7.1\"}}";
	struct world *world = create_world("", 10, 1 << 20);

	(void)state;
	publish(world, "a", "1");
	publish(world, "a", "2");
	come(world, "a", "");
	push_subscriber_receive(world->client.subscriber, resume, sizeof(resume) - 1, world->now);
	publish(world, "a", "3");
	expect(world, MESSAGE("a", "2", "2") RESUMED("1", "2") MESSAGE("a", "3", "3"));
	leave(&world->client);
	come(world, "a", "");
	publish(world, "a", "4");
	push_subscriber_receive(world->client.subscriber, resume, sizeof(resume) - 1, world->now);
	publish(world, "a", "5"); /* what has been sent is not sent again */
	expect(world, MESSAGE("a", "4", "4") MESSAGE("a", "2", "2") MESSAGE("a", "3", "3") RESUMED("2", "4")
			      MESSAGE("a", "5", "5"));
	destroy_world(world);
}

/* With a server behind the hub, a channel of others is confirmed already, and a new one is not. */
static void
what_comes_while_a_channel_is_not_confirmed_yet_does_not_overtake_the_replay(void **state)
{
	struct world *world = create_world("", 10, 1 << 20);
	struct push_channel *channels[2];

	(void)state;
	push_hub_watch(world->hub, 0);
	publish(world, "a", "1");
	publish(world, "a", "2");
	come(world, "a,b", "0.7.1");
	for (int i = 0; i < 2; i++) {
		channels[i] = push_hub_next_changed(world->hub);
		assert_non_null(channels[i]);
		channels[i]->held = true;
	}
	push_hub_confirm(world->hub, channels[0], false, world->now);
	publish(world, "a", "3");
	publish(world, "b", "4");
	flush(world);
	assert_int_equal(world->client.size, 0);
	push_hub_confirm(world->hub, channels[1], false, world->now);
	publish(world, "a", "5");
	expect(world, MESSAGE("a", "2", "2") MESSAGE("a", "3", "3") MESSAGE("b", "4", "4") RESUMED("3", "4")
			      MESSAGE("a", "5", "5"));
	leave(&world->client);
	for (int i = 0; i < 2; i++)
		push_hub_release(world->hub, channels[i]);
	destroy_world(world);
}

static void
no_fetch(void *context, struct push_channel *channel)
{
	(void)context;
	(void)channel;
	fail();
}

/* As a cluster does it: a server numbers the messages of each of four partitions. */
static struct push_channel *
settled_channel(struct world *world, const char *name)
{
	const struct push_fetch_end start = {.after = {7, 0}, .upstream = {7, 0}, .head = {7, 0}};
	struct push_channel *channel = push_hub_find(world->hub, name, strlen(name));

	assert_non_null(channel);
	channel->held = true;
	assert_true(push_hub_settle(world->hub, channel, &start, world->now));
	push_hub_move_head(world->hub, push_hub_partition(world->hub, name, strlen(name)), start.head);
	return channel;
}

static void
deliver_kept(struct world *world, struct push_channel *channel, uint64_t number, const char *value)
{
	struct push_kept kept = {
		.at = {7, number}, .before = {7, number - 1}, .value = value, .value_size = strlen(value)};

	assert_int_equal(push_hub_deliver_kept(world->hub, channel, &kept, world->now), PUSH_OK);
}

/* Slots 15495, 3300 and 7365: partitions 3, 0 and 1. */
#define WIDE(channel, value, id)                                                                             \
	"event:message\ndata:{\"channel\":\"" channel "\",\"message\":" value "}\nid:" id "\n\n"

static void
each_id_is_the_position_in_all_partitions_of_the_client_and_in_no_other(void **state)
{
	struct world *world = create_world("", 10, 1 << 20);
	struct push_channel *a, *b, *c;

	(void)state;
	push_hub_set_upstream(world->hub, 4, no_fetch, NULL);
	come(world, "a,b,c", "");
	a = settled_channel(world, "a");
	b = settled_channel(world, "b");
	c = settled_channel(world, "c");
	leave(&world->client);
	come(world, "a,b", "");
	deliver_kept(world, a, 1, "1");
	deliver_kept(world, c, 1, "2");
	deliver_kept(world, b, 1, "3");
	expect(world, WIDE("a", "1", "0.7.0-3.7.1") WIDE("b", "3", "0.7.1-3.7.1"));
	leave(&world->client);
	deliver_kept(world, b, 2, "4");
	deliver_kept(world, a, 2, "5");
	/* two partitions have no order; whoever is cut off between the two misses nothing */
	come(world, "a,b", "0.7.1-3.7.1");
	expect(world, WIDE("a", "5", "0.7.1-3.7.2") WIDE("b", "4",
			      "0.7.2-3.7.2") "event:resumed\ndata:{\"replayed\":2}\nid:0.7.2-3.7.2\n\n");
	leave(&world->client);
	come(world, "a", "3.7.1");
	expect(world, WIDE("a", "5", "3.7.2") "event:resumed\ndata:{\"replayed\":1}\nid:3.7.2\n\n");
	leave(&world->client);
	push_hub_release(world->hub, a);
	push_hub_release(world->hub, b);
	push_hub_release(world->hub, c);
	destroy_world(world);
}

/* --- a server with more than the window has --- */

/* Of `a` it has a message of each number, with that value, of others none; and it answers at once. */
static void
fetch_older(void *context, struct push_channel *channel)
{
	struct world *world = context;
	const struct push_fetch_end end = {
		.after = {7, 0}, .upstream = {7, 0}, .before = channel->history->after};

	/* the newest first */
	for (uint64_t number = *channel->name == 'a' ? end.before.number : 0; number > 0; number--) {
		const char value[] = {(char)('0' + number), '\0'};
		const struct push_kept kept = {
			.at = {7, number}, .before = {7, number - 1}, .value = value, .value_size = 1};

		assert_int_equal(push_hub_fetched(world->hub, channel, &kept, world->now), PUSH_OK);
	}
	push_hub_extend(channel, &end);
}

/* The server says where the channel stands, with nothing of it. */
static void
settle_at(struct world *world, struct push_channel *channel, uint64_t number)
{
	const struct push_fetch_end end = {.after = {7, number}, .upstream = {7, 0}, .head = {7, number}};

	push_hub_unsettle(channel);
	assert_true(push_hub_settle(world->hub, channel, &end, world->now));
	push_hub_move_head(world->hub, 0, end.head);
}

static struct push_channel *
upstream_channel(struct world *world, const char *name, uint64_t number)
{
	struct push_channel *channel = push_hub_find(world->hub, name, strlen(name));

	assert_non_null(channel);
	channel->held = true;
	settle_at(world, channel, number);
	return channel;
}

/* A client comes whose channel is known up to that number. */
static struct push_channel *
come_upstream(struct world *world, uint64_t number)
{
	struct push_channel *channel;

	come(world, "a", "");
	channel = upstream_channel(world, "a", number);
	leave(&world->client);
	come(world, "a", "");
	return channel;
}

/* Messages up to that number are lost on their way, and the channel is given up for them. */
static void
lose_upto(struct world *world, struct push_channel *channel, uint64_t number)
{
	push_hub_unsettle(channel);
	push_hub_move_head(world->hub, 0, (struct push_position){7, number});
	push_hub_give_up(world->hub, channel, world->now);
	settle_at(world, channel, number);
}

static void
say_resume(struct world *world, const char *id)
{
	char text[64];
	int size = snprintf(text, sizeof(text), "{\"event\":\"resume\",\"data\":{\"id\":\"%s\"}}", id);

	push_subscriber_receive(world->client.subscriber, text, (size_t)size, world->now);
	flush(world);
}

static void
destroy_upstream(struct world *world, struct push_channel *channel)
{
	leave(&world->client);
	push_hub_release(world->hub, channel);
	destroy_world(world);
}

static struct world *
create_upstream(void)
{
	struct world *world = create_new_world("", 10, 1 << 20);

	push_hub_set_upstream(world->hub, 1, fetch_older, world);
	return world;
}

static void
a_resume_behind_a_gap_brings_what_lay_in_it(void **state)
{
	struct world *world = create_upstream();
	struct push_channel *a;

	(void)state;
	a = come_upstream(world, 0);
	deliver_kept(world, a, 1, "1");
	lose_upto(world, a, 3);
	deliver_kept(world, a, 4, "4");
	expect(world, MESSAGE("a", "1", "1") GAP("a", "\"unknown\"") MESSAGE("a", "4", "4"));
	/* never `resumed`, nothing is missing, where it is not given what is missing */
	say_resume(world, "0.7.1");
	deliver_kept(world, a, 5, "5");
	expect(world, MESSAGE("a", "1", "1") GAP("a", "\"unknown\"") MESSAGE("a", "4", "4") MESSAGE(
			      "a", "2", "2") MESSAGE("a", "3", "3") RESUMED("2", "4") MESSAGE("a", "5", "5"));
	destroy_upstream(world, a);
}

static void
a_resume_goes_up_to_the_end_of_a_gap_that_an_unknown_id_was_answered_with(void **state)
{
	struct world *world = create_upstream();
	struct push_channel *a;

	(void)state;
	come(world, "a", "");
	a = upstream_channel(world, "a", 3);
	leave(&world->client);
	come(world, "a", "0.7.99"); /* no server tells whether that can be */
	deliver_kept(world, a, 4, "4");
	push_hub_is_unanswered(world->hub, 0, true);
	pass(world, 7 * SECOND_US);
	expect(world, GAP("a", "\"unknown\""));
	say_resume(world, "0.7.2");
	deliver_kept(world, a, 5, "5");
	expect(world, GAP("a", "\"unknown\"") MESSAGE("a", "3", "3") MESSAGE("a", "4", "4") RESUMED("2", "4")
			      MESSAGE("a", "5", "5"));
	destroy_upstream(world, a);
}

static void
a_channel_added_with_an_id_ahead_of_everything_is_resumed_up_to_where_it_began(void **state)
{
	static const char subscribe[] =
		"{\"event\":\"subscribe\",\"data\":{\"channels\":[\"a\"],\"id\":\"0.7.99\"}}";
	struct world *world = create_upstream();
	struct push_channel *a;
	uint32_t question;
	size_t before;

	(void)state;
	come(world, "a,b", "");
	upstream_channel(world, "b", 3)->held = false;
	a = upstream_channel(world, "a", 3);
	leave(&world->client);
	come(world, "b", "");
	upstream_channel(world, "b", 3)->held = false;
	push_subscriber_receive(world->client.subscriber, subscribe, sizeof(subscribe) - 1, world->now);
	flush(world);
	question = push_hub_ask_head(world->hub);
	push_hub_head_is(world->hub, 0, (struct push_position){7, 3}, question);
	deliver_kept(world, a, 4, "4");
	flush(world);
	before = world->client.size;
	assert_non_null(strstr(world->client.got, GAP("a", "\"unknown\"") MESSAGE("a", "4", "4")));
	say_resume(world, "0.7.2");
	deliver_kept(world, a, 5, "5");
	flush(world);
	world->client.got[world->client.size] = '\0';
	assert_string_equal(world->client.got + before,
		MESSAGE("a", "3", "3") RESUMED("1", "4") MESSAGE("a", "5", "5")); /* and not 4 again */
	destroy_upstream(world, a);
}

/* While a partition is held its head stands still, and a gap may reach beyond it. */
static void
a_resume_while_a_partition_is_held_brings_nothing_twice(void **state)
{
	struct world *world = create_upstream();
	struct push_channel *a;

	(void)state;
	a = come_upstream(world, 0);
	deliver_kept(world, a, 1, "1");
	push_hub_hold_back(world->hub, 0);
	lose_upto(world, a, 3);
	say_resume(world, "0.7.1");
	push_hub_catch_up(world->hub, 0, world->now);
	flush(world);
	deliver_kept(world, a, 4, "4");
	expect(world, MESSAGE("a", "1", "1") GAP("a", "\"unknown\"") MESSAGE("a", "2", "2")
			      MESSAGE("a", "3", "3") RESUMED("2", "3") MESSAGE("a", "4", "4"));
	destroy_upstream(world, a);
}

/* Another node was faster than this one, which knows of 3 only. */
static void
a_resume_goes_up_to_the_id_of_a_client_that_is_ahead_of_what_is_known(void **state)
{
	struct world *world = create_upstream();
	struct push_channel *a;

	(void)state;
	come(world, "a", "");
	a = upstream_channel(world, "a", 3);
	leave(&world->client);
	come(world, "a", "0.7.4");
	settle_at(world, a, 5);
	flush(world);
	say_resume(world, "0.7.2");
	expect(world, MESSAGE("a", "5", "5") RESUMED("1", "5") MESSAGE("a", "3", "3") MESSAGE("a", "4", "4")
			      RESUMED("2", "5"));
	destroy_upstream(world, a);
}

static void
a_resume_after_one_with_an_unknown_id_brings_nothing_that_came_live(void **state)
{
	struct world *world = create_upstream();
	struct push_channel *a;

	(void)state;
	a = come_upstream(world, 3);
	deliver_kept(world, a, 4, "4");
	say_resume(world, "none");
	say_resume(world, "0.7.2");
	expect(world,
		MESSAGE("a", "4", "4") GAP("a", "\"unknown\"") MESSAGE("a", "3", "3") RESUMED("1", "4"));
	destroy_upstream(world, a);
}

/* Its client comes before any server has said anything; what it has begins with what is said first. */
static void
a_resume_goes_up_to_the_beginning_of_a_client_that_came_when_nothing_was_known(void **state)
{
	struct world *world = create_upstream();
	struct push_channel *a;

	(void)state;
	come(world, "a", "");
	a = upstream_channel(world, "a", 3);
	deliver_kept(world, a, 4, "4");
	say_resume(world, "0.7.1");
	expect(world, GAP("a", "\"unknown\"") MESSAGE("a", "4", "4") MESSAGE("a", "2", "2")
			      MESSAGE("a", "3", "3") RESUMED("2", "4"));
	destroy_upstream(world, a);
}

static void
a_resume_goes_up_to_the_id_of_a_client_that_came_when_nothing_was_known(void **state)
{
	struct world *world = create_upstream();
	struct push_channel *a;

	(void)state;
	come(world, "a", "0.7.2");
	a = upstream_channel(world, "a", 3);
	flush(world);
	say_resume(world, "0.7.1");
	expect(world, MESSAGE("a", "3", "3") RESUMED("1", "3") MESSAGE("a", "2", "2") RESUMED("1", "3"));
	destroy_upstream(world, a);
}

/* The server has answered before the second message, and the partition is held until it has. */
static void
a_client_that_came_when_nothing_was_known_is_told_of_a_gap_and_then_gets_everything(void **state)
{
	const struct push_fetch_end end = {.after = {7, 1}, .upstream = {7, 0}, .head = {7, 1}};
	struct world *world = create_upstream();
	struct push_channel *a;

	(void)state;
	come(world, "a", "");
	a = push_hub_find(world->hub, "a", 1);
	a->held = true;
	push_hub_hold_back(world->hub, 0);
	deliver_kept(world, a, 1, "1");
	deliver_kept(world, a, 2, "2");
	assert_true(push_hub_settle(world->hub, a, &end, world->now));
	push_hub_catch_up(world->hub, 0, world->now);
	flush(world);
	deliver_kept(world, a, 3, "3");
	expect(world, GAP("a", "\"unknown\"") MESSAGE("a", "2", "2") MESSAGE("a", "3", "3"));
	destroy_upstream(world, a);
}

static void
where_memory_is_out_at_a_gap_its_client_is_told_or_closed(void **state)
{
	(void)state;
	for (long limit = 0, told = 0; !told; limit++) {
		struct world *world = create_upstream();
		struct push_channel *a;

		assert_true(limit < 20);
		a = come_upstream(world, 0);
		deliver_kept(world, a, 1, "1");
		flush(world);
		allocations_left = limit;
		lose_upto(world, a, 3);
		allocations_left = -1;
		flush(world);
		world->client.got[world->client.size] = '\0';
		told = strstr(world->client.got, "event:gap") != NULL;
		assert_true(told != world->client.closed);
		if (told) {
			say_resume(world, "0.7.1");
			expect(world, MESSAGE("a", "1", "1") GAP("a", "\"unknown\"") MESSAGE("a", "2", "2")
					      MESSAGE("a", "3", "3") RESUMED("2", "3"));
		}
		destroy_upstream(world, a);
	}
}

static void
without_history_no_byte_changes(void **state)
{
	struct world *world = create_world("kept:=10", 0, 1 << 20);

	(void)state;
	come(world, "a,b", "");
	publish(world, "a", "1");
	flush(world);
	world->client.got[world->client.size] = '\0';
	assert_string_equal(world->client.got, "event:heartbeat\ndata:{}\n\n"
					       "event:message\ndata:{\"channel\":\"a\",\"message\":1}\n\n");
	destroy_world(world);
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

#define CHANNELS 4

struct model {
	unsigned int published[CHANNELS]; /* numbers of the messages, from 1 */
	unsigned int read[CHANNELS];      /* the last one that the client has */
	bool gap[CHANNELS];               /* told since then */
	size_t parsed;
};

/* Whole events only: half of one is lost with the connection, as in a browser. */
static void
read_events(struct world *world, struct model *model)
{
	struct client *client = &world->client;
	char *at = client->got + model->parsed, *end;

	client->got[client->size] = '\0';
	for (; (end = strstr(at, "\n\n")); at = end + 2) {
		unsigned int channel, number;
		char *id;

		end[1] = '\0';
		id = strstr(at, "\nid:");
		if (id)
			snprintf(client->id, sizeof(client->id), "%.*s", (int)(strlen(id + 4) - 1), id + 4);
		if (sscanf(at, "event:gap\ndata:{\"channel\":\"c%u\"", &channel) == 1) {
			model->gap[channel] = true;
		} else if (sscanf(at, "event:message\ndata:{\"channel\":\"c%u\",\"message\":%u}", &channel,
				   &number) == 2) {
			assert_true(number > model->read[channel]);
			if (number != model->read[channel] + 1)
				assert_true(model->gap[channel]);
			model->read[channel] = number;
			model->gap[channel] = false;
		}
	}
	model->parsed = (size_t)(at - client->got);
}

static void
connect_again(struct world *world, struct model *model, const char *list)
{
	model->parsed = 0;
	come(world, list, world->client.id);
	/* until it has been told where it stands, it starts anew */
	for (int c = 0; !world->client.id[0] && c < CHANNELS; c++)
		model->read[c] = model->published[c];
	world->client.room = draw(3) ? SIZE_MAX : draw(2000);
}

static void
step(struct world *world, struct model *model)
{
	struct client *client = &world->client;
	char channel[8], value[24];

	switch (draw(10)) {
	case 0: pass(world, draw(20) * SECOND_US); break;
	case 1:
		if (client->subscriber) {
			read_events(world, model);
			leave(client);
		}
		break;
	case 2:
	case 3:
		if (!client->subscriber)
			connect_again(world, model, "c0,c1,c2,c3");
		break;
	case 4: flush(world); break;
	case 5:
		client->room = draw(2) ? SIZE_MAX : draw(3000);
		if (client->subscriber)
			push_subscriber_writable(client->subscriber, world->now);
		break;
	default:
		for (uint64_t i = draw(12); i-- > 0;) {
			unsigned int c = (unsigned int)draw(CHANNELS);

			snprintf(channel, sizeof(channel), "c%u", c);
			snprintf(value, sizeof(value), "%u", ++model->published[c]);
			publish(world, channel, value);
		}
	}
	if (client->closed) {
		read_events(world, model);
		leave(client);
	}
}

static void
a_client_has_every_message_once_and_in_order_or_was_told_of_the_gap(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct world *world = create_world("c1=3/20s c2=200", 20, 64 * 1024);
		struct model model = {.parsed = 0};

		print_message("seed %u\n", (unsigned int)seed);
		random_state = seed * 0x9E3779B97F4A7C15ull;
		world->options.queue_bytes_max = draw(2) ? 1 << 20 : 600;
		connect_again(world, &model, "c0,c1,c2,c3");
		for (int i = 0; i < 1500; i++) {
			step(world, &model);
			if (world->client.size > STREAM_MAX / 2 && world->client.subscriber) {
				read_events(world, &model);
				leave(&world->client);
			}
		}
		/* one last time, in peace */
		if (world->client.subscriber) {
			read_events(world, &model);
			leave(&world->client);
		}
		come(world, "c0,c1,c2,c3", world->client.id);
		model.parsed = 0;
		flush(world);
		read_events(world, &model);
		for (int c = 0; c < CHANNELS; c++)
			assert_true(model.read[c] == model.published[c] || model.gap[c]);
		destroy_world(world);
	}
}

static void
when_memory_is_out_nothing_is_lost_without_a_word(void **state)
{
	(void)state;
	for (long limit = 0; limit < 120; limit++) {
		struct world *world = create_world("", 8, 1 << 20);
		struct push_channels channels;
		struct push_error error;
		struct client *client = &world->client;
		bool failed;

		assert_int_equal(
			push_channels_parse(&channels, "a,b,c", 5, &world->options, &error), PUSH_OK);
		client->room = SIZE_MAX;
		allocations_left = limit;
		for (int i = 0; i < 12; i++) {
			uint64_t subscribers;

			failed = push_hub_deliver(world->hub, "a", 1, "1", 1, 0, world->now, &subscribers);
		}
		client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &fake, client);
		failed = !client->subscriber ||
			 push_subscriber_subscribe(client->subscriber, &channels) != PUSH_OK ||
			 push_subscriber_resume(client->subscriber, "0.7.0", 5) != PUSH_OK;
		if (!failed)
			push_subscriber_start(client->subscriber, world->now);
		flush(world);
		allocations_left = -1;
		push_channels_fini(&channels);
		destroy_world(world);
	}
}

/* --- reading without a client --- */

static enum push_status
read_text(
	struct world *world, const char *channel, const char *since, unsigned int limit, struct push_buf *to)
{
	return push_hub_read(world->hub,
		&(struct push_reading){.channel = channel,
			.channel_size = strlen(channel),
			.since = since,
			.since_size = since ? strlen(since) : 0,
			.limit = limit},
		world->now, to);
}

static void
assert_read(
	struct world *world, const char *channel, const char *since, unsigned int limit, const char *expected)
{
	struct push_buf text;

	push_buf_init(&text, SIZE_MAX);
	assert_int_equal(read_text(world, channel, since, limit, &text), PUSH_OK);
	push_buf_append(&text, "", 1);
	assert_string_equal(text.bytes, expected);
	push_buf_fini(&text);
}

static void
what_is_kept_can_be_read_with_its_ids(void **state)
{
	struct world *world = create_world("off:=0", 2, 1 << 20);
	struct push_buf text;

	(void)state;
	assert_read(world, "a\"", NULL, 10,
		"{\"channel\":\"a\\\"\",\"messages\":[],\"missed\":0,\"id\":\"0.7.0\",\"more\":false}");
	publish(world, "a\"", "1");
	publish(world, "b", "2");
	publish(world, "a\"", "{\"x\":3}");
	assert_read(world, "a\"", "0.7.0", 10,
		"{\"channel\":\"a\\\"\",\"messages\":[{\"message\":1,\"id\":\"0.7.1\"},{\"message\":{\"x\":3}"
		","
		"\"id\":\"0.7.3\"}],\"missed\":0,\"id\":\"0.7.3\",\"more\":false}");
	assert_read(world, "a\"", NULL, 1,
		"{\"channel\":\"a\\\"\",\"messages\":[{\"message\":1,\"id\":\"0.7.1\"}],\"missed\":0,"
		"\"id\":\"0.7.1\",\"more\":true}");
	publish(world, "a\"", "4");
	assert_read(world, "a\"", "0.7.0", 10,
		"{\"channel\":\"a\\\"\",\"messages\":[{\"message\":{\"x\":3},\"id\":\"0.7.3\"},{\"message\":"
		"4,"
		"\"id\":\"0.7.4\"}],\"missed\":1,\"id\":\"0.7.4\",\"more\":false}");
	assert_read(world, "b", "0.6.9", 10,
		"{\"channel\":\"b\",\"messages\":[{\"message\":2,\"id\":\"0.7.2\"}],\"missed\":\"unknown\","
		"\"id\":\"0.7.4\",\"more\":false}");
	push_buf_init(&text, SIZE_MAX);
	assert_int_equal(read_text(world, "off:x", NULL, 1, &text), PUSH_NOT_FOUND);
	assert_int_equal(read_text(world, "b", "x", 1, &text), PUSH_INVALID);
	push_buf_fini(&text);
	destroy_world(world);
}

static void
what_is_read_is_bounded_in_bytes_but_never_nothing(void **state)
{
	static char value[2 * PUSH_READ_MESSAGES_BYTES];
	struct world *world = create_world("", 4, 1 << 26);
	struct push_buf text;

	(void)state;
	memset(value, '1', sizeof(value) - 1);
	publish(world, "a", value);
	publish(world, "a", "2");
	push_buf_init(&text, SIZE_MAX);
	assert_int_equal(read_text(world, "a", NULL, 10, &text), PUSH_OK);
	push_buf_append(&text, "", 1);
	assert_non_null(strstr(text.bytes, "\"id\":\"0.7.1\",\"more\":true}"));
	push_buf_fini(&text);
	assert_read(world, "a", "0.7.1", 10,
		"{\"channel\":\"a\",\"messages\":[{\"message\":2,\"id\":\"0.7.2\"}],\"missed\":0,\"id\":\"0."
		"7.2\","
		"\"more\":false}");
	destroy_world(world);
}

static void
what_cannot_be_read_when_memory_is_out_is_read_later(void **state)
{
	(void)state;
	for (long limit = 0; limit < 8; limit++) {
		struct world *world = create_world("", 4, 1 << 20);
		struct push_buf text;
		enum push_status status;

		publish(world, "a", "1");
		push_buf_init(&text, SIZE_MAX);
		allocations_left = limit;
		status = read_text(world, limit % 2 ? "a" : "b", NULL, 10, &text);
		allocations_left = -1;
		assert_true(status == PUSH_OK || status == PUSH_OUT_OF_MEMORY);
		assert_true(limit > 0 || status == PUSH_OUT_OF_MEMORY);
		push_buf_fini(&text);
		assert_read(world, "a", NULL, 10,
			"{\"channel\":\"a\",\"messages\":[{\"message\":1,\"id\":\"0.7.1\"}],\"missed\":0,"
			"\"id\":\"0.7.1\",\"more\":false}");
		destroy_world(world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_an_id_nothing_is_replayed),
		cmocka_unit_test(what_was_missed_is_replayed_in_order_over_all_channels),
		cmocka_unit_test(the_first_heartbeat_tells_a_position_to_come_back_with),
		cmocka_unit_test(a_gap_is_told_in_front_of_what_comes_behind_it),
		cmocka_unit_test(a_channel_without_history_cannot_be_resumed_and_that_is_said),
		cmocka_unit_test(an_id_that_is_none_or_not_ours_is_a_gap_and_nothing_is_replayed),
		cmocka_unit_test(an_id_of_an_earlier_epoch_is_a_gap_with_all_that_there_is),
		cmocka_unit_test(what_is_too_old_is_gone_and_missed),
		cmocka_unit_test(a_message_that_outlived_its_own_time_is_neither_replayed_nor_missed),
		cmocka_unit_test(memory_is_bounded_and_the_oldest_messages_go_first),
		cmocka_unit_test(new_names_do_not_push_out_a_channel_that_has_been_in_use_for_a_minute),
		cmocka_unit_test(a_resume_over_the_open_connection_fills_what_was_before_it),
		cmocka_unit_test(
			what_comes_while_a_channel_is_not_confirmed_yet_does_not_overtake_the_replay),
		cmocka_unit_test(each_id_is_the_position_in_all_partitions_of_the_client_and_in_no_other),
		cmocka_unit_test(a_resume_behind_a_gap_brings_what_lay_in_it),
		cmocka_unit_test(a_resume_goes_up_to_the_end_of_a_gap_that_an_unknown_id_was_answered_with),
		cmocka_unit_test(
			a_channel_added_with_an_id_ahead_of_everything_is_resumed_up_to_where_it_began),
		cmocka_unit_test(a_resume_while_a_partition_is_held_brings_nothing_twice),
		cmocka_unit_test(
			a_resume_goes_up_to_the_beginning_of_a_client_that_came_when_nothing_was_known),
		cmocka_unit_test(a_resume_goes_up_to_the_id_of_a_client_that_came_when_nothing_was_known),
		cmocka_unit_test(a_resume_goes_up_to_the_id_of_a_client_that_is_ahead_of_what_is_known),
		cmocka_unit_test(a_resume_after_one_with_an_unknown_id_brings_nothing_that_came_live),
		cmocka_unit_test(
			a_client_that_came_when_nothing_was_known_is_told_of_a_gap_and_then_gets_everything),
		cmocka_unit_test(where_memory_is_out_at_a_gap_its_client_is_told_or_closed),
		cmocka_unit_test(without_history_no_byte_changes),
		cmocka_unit_test(a_client_has_every_message_once_and_in_order_or_was_told_of_the_gap),
		cmocka_unit_test(when_memory_is_out_nothing_is_lost_without_a_word),
		cmocka_unit_test(what_is_kept_can_be_read_with_its_ids),
		cmocka_unit_test(what_is_read_is_bounded_in_bytes_but_never_nothing),
		cmocka_unit_test(what_cannot_be_read_when_memory_is_out_is_read_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
