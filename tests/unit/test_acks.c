/*
 * Clients that acknowledge: what they do not is sent again, what they do is not, not even to the next
 * connection of the same name; and whatever happens nothing is lost without a word.
 */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/acks_request.h"
#include "core/hub.h"
#include "core/hub_private.h"
#include "core/limits.h"
#include "core/subscriber.h"
#include "core/wsframe.h"

#define SECOND_US  1000000ull
#define STREAM_MAX (1 << 20)
#define VALUES_MAX 8
#define ASKED_MAX  64

struct client {
	struct push_subscriber *subscriber; /* NULL: not connected */
	char got[STREAM_MAX];
	size_t size, room, read;
	bool closed;
	unsigned int code; /* of the Close frame that it got; 0: none */
};

#include "fake_transport.h"

/* What a broker keeps by name, and how it answers. */
struct asked {
	push_hub_value_fn done;
	void *context;
	int value; /* the index; -1: none */
	bool is_get;
};

struct store {
	char names[VALUES_MAX][80], values[VALUES_MAX][600];
	size_t count;
	unsigned int gets, puts;
	uint64_t ttl_us;
	bool is_late, is_down; /* answers come later; or none can be had */
	struct asked asked[ASKED_MAX];
	size_t asked_count;
};

struct world {
	struct push_options options;
	struct push_stats stats;
	struct push_hub *hub;
	uint64_t now;
	struct store store;
	struct client client, other;
};

/* --- a broker's values --- */

static int
find_value(const struct store *store, const char *name, size_t size)
{
	for (size_t i = 0; i < store->count; i++)
		if (strlen(store->names[i]) == size && !memcmp(store->names[i], name, size))
			return (int)i;
	return -1;
}

static void
answer(struct store *store, const struct asked *asked, bool is_down)
{
	enum push_status status = is_down ? PUSH_UNAVAILABLE : PUSH_OK;
	const char *value =
		asked->is_get && !is_down && asked->value >= 0 ? store->values[asked->value] : NULL;

	if (asked->is_get && !is_down && !value)
		status = PUSH_NOT_FOUND;
	asked->done(asked->context, status, value, value ? strlen(value) : 0);
}

/* The oldest question that is open. */
static bool
answer_next(struct world *world, bool is_down)
{
	struct store *store = &world->store;
	struct asked asked = store->asked[0];

	if (!store->asked_count)
		return false;
	memmove(store->asked, store->asked + 1, --store->asked_count * sizeof(asked));
	answer(store, &asked, is_down);
	return true;
}

static void
ask(struct store *store, struct asked asked)
{
	if (!store->is_late) {
		answer(store, &asked, store->is_down);
		return;
	}
	assert_true(store->asked_count < ASKED_MAX);
	store->asked[store->asked_count++] = asked;
}

static void
fake_get(void *context, const char *name, size_t name_size, push_hub_value_fn done, void *done_context)
{
	struct store *store = context;

	store->gets++;
	ask(store, (struct asked){done, done_context, find_value(store, name, name_size), true});
}

static void
fake_put(void *context, const char *name, size_t name_size, const char *value, size_t value_size,
	uint64_t ttl_us, push_hub_value_fn done, void *done_context)
{
	struct store *store = context;
	int index = find_value(store, name, name_size);

	store->puts++;
	store->ttl_us = ttl_us;
	if (!store->is_down || store->is_late) {
		if (index < 0) {
			assert_true(store->count < VALUES_MAX);
			index = (int)store->count++;
			snprintf(store->names[index], sizeof(store->names[0]), "%.*s", (int)name_size, name);
		}
		snprintf(store->values[index], sizeof(store->values[0]), "%.*s", (int)value_size, value);
	}
	ask(store, (struct asked){done, done_context, index, false});
}

/* --- clients --- */

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
	world->options.history_ttl_us = 3600 * SECOND_US;
	world->options.lifetime_min_us = world->options.lifetime_max_us = 24 * 3600 * SECOND_US;
	world->options.heartbeat_us = 3000 * SECOND_US;
	world->options.grace_us = 4000 * SECOND_US;
	snprintf(world->options.history_rules, sizeof(world->options.history_rules), "%s", rules);
	world->now = 1000 * SECOND_US;
	world->hub = push_hub_create(&world->options, &world->stats, 42, world->now, on_ready, world);
	assert_non_null(world->hub);
	push_hub_number(world->hub, 7);
	push_hub_set_values(world->hub, &(struct push_hub_values){fake_get, fake_put, &world->store});
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
	leave(&world->other);
	while (answer_next(world, false))
		;
	assert_int_equal(world->stats.unacknowledged, 0);
	push_hub_destroy(world->hub);
	free(world);
}

static void
prepare_as(struct world *world, struct client *client, const char *list,
	const struct push_acks_request *request, const char *id)
{
	struct push_channels channels;
	struct push_error error = {""};

	client->size = client->read = client->code = 0;
	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &fake, client);
	assert_int_equal(
		push_channels_parse(&channels, list, strlen(list), &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	if (*id)
		assert_int_equal(push_subscriber_resume(client->subscriber, id, strlen(id)), PUSH_OK);
	assert_int_equal(push_subscriber_acknowledge(client->subscriber, request), PUSH_OK);
}

static void
prepare(struct world *world, struct client *client, const char *list, const char *name, const char *id)
{
	struct push_acks_request request = {.is_wanted = true};

	snprintf(request.client, sizeof(request.client), "%s", name);
	prepare_as(world, client, list, &request, id);
}

static void
come_as(struct world *world, struct client *client, const char *list, const char *name, const char *id)
{
	prepare(world, client, list, name, id);
	push_subscriber_start(client->subscriber, world->now);
}

static void
come(struct world *world, const char *list)
{
	come_as(world, &world->client, list, "", "");
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
say(struct world *world, struct client *client, const char *text)
{
	push_subscriber_receive(client->subscriber, text, strlen(text), world->now);
}

static void
ack(struct world *world, struct client *client, const char *id)
{
	char text[700];

	snprintf(text, sizeof(text), "{\"event\":\"ack\",\"data\":{\"id\":\"%s\"}}", id);
	say(world, client, text);
}

/* The id of a number of the embedded broker's. */
static void
ack_number(struct world *world, struct client *client, unsigned long long number)
{
	struct push_positions at = {.partitions = 1, .at = {{7, number}}};
	char id[PUSH_ID_BYTES_MAX + 1];

	id[push_positions_format(&at, 1, id)] = '\0';
	ack(world, client, id);
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

/* The next text that the client has whole; false: none. */
static bool
next_text(struct client *client, char *to, size_t to_size)
{
	for (;;) {
		const unsigned char *at = (const unsigned char *)client->got + client->read;
		size_t left = client->size - client->read, payload, header;
		enum push_ws_opcode opcode;

		if (left < 2 || left < 2 + (at[1] == 126 ? 2u : at[1] == 127 ? 8u : 0u))
			return false;
		header = push_ws_take_header(at, &opcode, &payload);
		if (left < header + payload)
			return false;
		client->read += header + payload;
		if (opcode == PUSH_WS_CLOSE)
			client->code = (unsigned int)at[header] << 8 | at[header + 1];
		if (opcode != PUSH_WS_TEXT)
			continue;
		assert_true(payload < to_size);
		memcpy(to, at + header, payload);
		to[payload] = '\0';
		return true;
	}
}

/* What has come since the last look, in short: a1 for a message of channel a with value 1, other events as
 * they are; heartbeats are left out. */
static void
sum_up(struct client *client, char *to, size_t to_size)
{
	char text[4096];
	size_t size = 0;

	to[0] = '\0';
	while (next_text(client, text, sizeof(text))) {
		char channel[64], value[1024];

		if (!strncmp(text, "{\"event\":\"ping\"", 15))
			continue;
		if (sscanf(text,
			    "{\"event\":\"message\",\"data\":{\"channel\":\"%63[^\"]\",\"message\":%1000[^,}"
			    "]",
			    channel, value) == 2)
			snprintf(to + size, to_size - size, "%s%s ", channel, value);
		else
			snprintf(to + size, to_size - size, "%s ", text);
		size += strlen(to + size);
	}
}

static void
expect_of(struct world *world, struct client *client, const char *wanted)
{
	char text[8192];

	flush(world);
	sum_up(client, text, sizeof(text));
	assert_string_equal(text, wanted);
}

#define EXPECT(wanted)  expect_of(world, &world->client, wanted)
#define ERROR(text)     "{\"event\":\"error\",\"data\":{\"error\":\"" text "\"}} "
#define RESUMED(count)  "{\"event\":\"resumed\",\"data\":{\"replayed\":" #count "}} "
#define GAP(ch, missed) "{\"event\":\"gap\",\"data\":{\"channel\":\"" ch "\",\"missed\":" missed "}} "
#define NOT_SENT        ERROR("'id' was not sent on this connection")
#define NO_ID           "'id' is missing, or not a string"

static void
publish_many(struct world *world, int from, int to)
{
	char value[16];

	for (int i = from; i <= to; i++) {
		snprintf(value, sizeof(value), "%d", i);
		publish(world, "a", value);
	}
}

/* --- the window --- */

static void
past_the_window_nothing_is_sent_until_an_ack_comes_and_nothing_is_dropped(void **state)
{
	struct world *world = create_world("b:=0", 100);

	(void)state;
	world->options.ack_window = 3;
	come(world, "a,b:x");
	publish_many(world, 1, 7);
	publish(world, "b:x", "0"); /* has no history, and no id */
	EXPECT("a1 a2 a3 b:x0 ");
	assert_int_equal(world->stats.unacknowledged, 3);
	ack_number(world, &world->client, 2);
	EXPECT("a4 a5 ");
	ack_number(world, &world->client, 5);
	EXPECT("a6 a7 ");
	assert_int_equal(world->stats.acks, 2);
	publish_many(world, 8, 9);
	EXPECT("a8 ");
	ack_number(world, &world->client, 8);
	EXPECT("a9 ");
	ack_number(world, &world->client, 9);
	assert_int_equal(world->stats.unacknowledged, 0);
	destroy_world(world);
}

static void
the_window_is_bounded_in_bytes_and_takes_one_message_of_any_size(void **state)
{
	struct world *world = create_world("", 100);
	char value[302];

	(void)state;
	world->options.queue_bytes_max = 500;
	memset(value, '1', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	come(world, "a");
	publish(world, "a", value);
	flush(world);
	publish(world, "a", value);
	flush(world);
	assert_int_equal(world->stats.unacknowledged, 1);
	ack_number(world, &world->client, 1);
	flush(world);
	assert_int_equal(world->stats.unacknowledged, 1);
	ack_number(world, &world->client, 2);
	assert_int_equal(world->stats.unacknowledged, 0);
	assert_false(world->client.closed);
	destroy_world(world);
}

static void
what_history_drops_while_the_window_is_full_is_a_gap(void **state)
{
	struct world *world = create_world("", 2);

	(void)state;
	world->options.ack_window = 1;
	come(world, "a");
	publish_many(world, 1, 5);
	EXPECT("a1 ");
	ack_number(world, &world->client, 1);
	EXPECT(GAP("a", "\"unknown\"") "a4 ");
	destroy_world(world);
}

/* --- what comes from outside --- */

static void
an_id_that_is_none_or_was_not_sent_is_refused_and_an_older_one_ignored(void **state)
{
	static const char *const bad[] = {"", "x", "0.7", "0.7.4", "0.8.1", "1.7.1", "0.7.1-1.0.1", "0.7.1 ",
		"0.zzzzzzzzzzzzz.1", "%", "16.7.1"};
	struct world *world = create_world("", 100);

	(void)state;
	come(world, "a");
	publish_many(world, 1, 3);
	EXPECT("a1 a2 a3 ");
	for (size_t i = 0; i < COUNT(bad); i++) {
		ack(world, &world->client, bad[i]);
		EXPECT(NOT_SENT);
	}
	assert_int_equal(world->stats.unacknowledged, 3);
	say(world, &world->client, "{\"event\":\"ack\",\"data\":{\"id\":7,\"ref\":\"r\\n1\"}}");
	EXPECT("{\"event\":\"error\",\"data\":{\"error\":\"" NO_ID "\",\"ref\":\"r\\n1\"}} ");
	say(world, &world->client, "{\"event\":\"ack\",\"data\":{\"ref\":-1.5e3}}");
	EXPECT("{\"event\":\"error\",\"data\":{\"error\":\"" NO_ID "\",\"ref\":-1.5e3}} ");
	say(world, &world->client, "{\"event\":\"ack\",\"data\":{\"ref\":{}}}");
	EXPECT(ERROR(NO_ID));
	say(world, &world->client, "{\"event\":\"ack\"}");
	EXPECT(ERROR(NO_ID));
	ack(world, &world->client, "0.7.2");
	ack(world, &world->client, "0.7.1");
	ack(world, &world->client, "0.6.99");
	ack(world, &world->client, "0.7.2");
	EXPECT("");
	assert_int_equal(world->stats.acks, 1);
	assert_int_equal(world->stats.unacknowledged, 1);
	destroy_world(world);
}

static void
who_did_not_ask_for_acks_cannot_send_them_and_who_did_cannot_resume_later(void **state)
{
	struct world *world = create_world("b:=0", 100);
	struct push_acks_request none = {.is_wanted = false};

	(void)state;
	prepare_as(world, &world->client, "a", &none, "");
	push_subscriber_start(world->client.subscriber, world->now);
	publish(world, "a", "1");
	EXPECT("a1 ");
	ack_number(world, &world->client, 1);
	EXPECT(ERROR("acks are off: connect with acks=true"));
	leave(&world->client);
	come(world, "b:x"); /* nothing to acknowledge, and no error */
	publish(world, "b:x", "1");
	EXPECT("b:x1 ");
	say(world, &world->client, "{\"event\":\"resume\",\"data\":{\"id\":\"0.7.0\",\"ref\":1}}");
	EXPECT("{\"event\":\"error\",\"data\":{\"error\":\"'resume' is not supported with "
	       "acks\",\"ref\":1}} ");
	destroy_world(world);
}

static void
without_history_an_ack_is_an_event_that_nobody_knows(void **state)
{
	struct world *world = create_world("", 0);

	(void)state;
	come_as(world, &world->client, "a", "me", "");
	publish(world, "a", "1");
	ack_number(world, &world->client, 1);
	pass(world, 60 * SECOND_US);
	EXPECT("a1 ");
	assert_int_equal(world->store.gets + world->store.puts, 0);
	destroy_world(world);
}

#define NAME_OF_64 "0123456789012345678901234567890123456789012345678901234567890123"

static void
what_a_request_may_say(void **state)
{
	static const struct {
		const char *acks, *client, *wrong; /* wrong: how the error begins; NULL: right */
		bool is_wanted;
	} rows[] = {
		{NULL, NULL, NULL, false},
		{"true", NULL, NULL, true},
		{"false", NULL, NULL, false},
		{NULL, "a", NULL, true},
		{"true", "Aa0.9_-z", NULL, true},
		{NULL, NAME_OF_64, NULL, true},
		{NULL, NAME_OF_64 "4", "'client' must", false},
		{NULL, "", "'client' must", false},
		{NULL, "a b", "'client' must", false},
		{NULL, "a,b", "'client' must", false}, /* twice */
		{NULL, "\xc3\xa4", "'client' must", false},
		{"false", "a", "'client' is not supported", false},
		{"", NULL, "'acks' must", false},
		{"1", NULL, "'acks' must", false},
		{"true,true", NULL, "'acks' must", false},
	};
	struct push_options options;
	struct push_acks_request request;
	struct push_error error = {""};

	(void)state;
	push_options_init(&options);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_acks_query query = {rows[i].acks, rows[i].client,
			rows[i].acks ? strlen(rows[i].acks) : 0, rows[i].client ? strlen(rows[i].client) : 0};

		options.history_size = 0;
		assert_int_equal(
			push_acks_request_read(&request, &query, PUSH_ENCODING_SSE, &options, &error),
			PUSH_OK);
		assert_false(request.is_wanted);
		options.history_size = 1;
		assert_int_equal(push_acks_request_read(&request, &query, PUSH_ENCODING_WS, &options, &error),
			rows[i].wrong ? PUSH_INVALID : PUSH_OK);
		if (rows[i].wrong)
			assert_memory_equal(error.text, rows[i].wrong, strlen(rows[i].wrong));
		assert_int_equal(request.is_wanted, rows[i].is_wanted);
		assert_string_equal(request.client, rows[i].wrong || !rows[i].client ? "" : rows[i].client);
		assert_int_equal(
			push_acks_request_read(&request, &query, PUSH_ENCODING_SSE, &options, &error),
			rows[i].acks || rows[i].client ? PUSH_INVALID : PUSH_OK);
	}
}

/* --- again --- */

static void
what_is_not_acknowledged_is_sent_again_in_order_and_what_is_newer_behind_it(void **state)
{
	struct world *world = create_world("b:=0", 100);

	(void)state;
	come(world, "a,b:x");
	publish_many(world, 1, 4);
	EXPECT("a1 a2 a3 a4 ");
	ack_number(world, &world->client, 2);
	pass(world, 9 * SECOND_US);
	EXPECT("");
	publish(world, "b:x", "0");
	pass(world, SECOND_US + 2 * PUSH_TICK_US);
	EXPECT("b:x0 a3 a4 ");
	assert_int_equal(world->stats.redelivered, 2);
	publish(world, "a", "5");
	ack_number(world, &world->client, 3);
	EXPECT("a5 ");
	pass(world, 10 * SECOND_US + 2 * PUSH_TICK_US);
	EXPECT("a4 a5 ");
	ack_number(world, &world->client, 5);
	pass(world, 60 * SECOND_US);
	EXPECT("");
	destroy_world(world);
}

static void
a_client_that_never_acknowledges_is_closed_after_the_last_retry(void **state)
{
	struct world *world = create_world("", 100);

	(void)state;
	world->options.ack_retries = 2;
	come(world, "a");
	publish_many(world, 1, 2);
	pass(world, 29 * SECOND_US);
	EXPECT("a1 a2 a1 a2 a1 a2 ");
	assert_int_equal(world->client.subscriber->state, SUBSCRIBER_OPEN);
	pass(world, 2 * SECOND_US);
	EXPECT("");
	assert_int_equal(world->client.code, 1001);
	leave(&world->client);
	assert_int_equal(world->stats.by_encoding[PUSH_ENCODING_WS].closed[PUSH_CLOSE_NO_ACK], 1);
	assert_int_equal(world->stats.redelivered, 4);
	destroy_world(world);
}

static void
progress_begins_the_retries_anew_and_without_retries_the_first_timeout_closes(void **state)
{
	struct world *world = create_world("", 100);

	(void)state;
	world->options.ack_retries = 1;
	come(world, "a");
	publish_many(world, 1, 4);
	for (unsigned int i = 1; i < 4; i++) {
		pass(world, 15 * SECOND_US);
		ack_number(world, &world->client, i);
	}
	assert_int_equal(world->client.subscriber->state, SUBSCRIBER_OPEN);
	leave(&world->client);
	world->options.ack_retries = 0;
	come(world, "a");
	publish_many(world, 5, 5);
	pass(world, 11 * SECOND_US);
	EXPECT("a5 ");
	assert_int_equal(world->client.code, 1001);
	destroy_world(world);
}

static void
what_the_client_does_not_read_is_not_sent_again(void **state)
{
	struct world *world = create_world("", 100);

	(void)state;
	come(world, "a");
	flush(world);
	world->client.room = 10;
	publish_many(world, 1, 3);
	pass(world, 100 * SECOND_US);
	assert_int_equal(world->stats.redelivered, 0);
	world->client.room = SIZE_MAX;
	push_subscriber_writable(world->client.subscriber, world->now);
	EXPECT("a1 a2 a3 ");
	pass(world, 11 * SECOND_US);
	EXPECT("a1 a2 a3 ");
	destroy_world(world);
}

static void
sending_again_stops_where_an_ack_comes_in_between(void **state)
{
	struct world *world = create_world("", 100);

	(void)state;
	come(world, "a");
	publish_many(world, 1, 5);
	EXPECT("a1 a2 a3 a4 a5 ");
	world->client.room = 1;
	world->options.queue_bytes_max = 150; /* two of them */
	pass(world, 10 * SECOND_US + 2 * PUSH_TICK_US);
	publish_many(world, 6, 6);
	world->options.queue_bytes_max = 1 << 20;
	ack_number(world, &world->client, 4);
	world->client.room = SIZE_MAX;
	push_subscriber_writable(world->client.subscriber, world->now);
	EXPECT("a1 a2 a5 a6 "); /* two were on their way */
	destroy_world(world);
}

/* --- partitions --- */

static void
no_fetch(void *context, struct push_channel *channel)
{
	(void)context;
	(void)channel;
}

static void
deliver_kept(struct world *world, const char *channel, struct push_position at, const char *value)
{
	struct push_kept kept = {
		.at = at, .before = {at.epoch, at.number - 1}, .value = value, .value_size = strlen(value)};

	assert_int_equal(push_hub_deliver_kept(world->hub,
				 push_hub_find(world->hub, channel, strlen(channel)), &kept, world->now),
		PUSH_OK);
}

/* "a", and a channel of another partition. */
static void
come_to_two_partitions(struct world *world, const char **ret_other, unsigned int partitions[2])
{
	static const char *const others[] = {"b", "c", "d", "e", "f"};
	const struct push_fetch_end start = {.after = {7, 0}, .upstream = {7, 0}, .head = {7, 0}};

	for (size_t i = 0; i < COUNT(others); i++) {
		struct push_channel *one, *two;
		char list[8];

		snprintf(list, sizeof(list), "a,%s", others[i]);
		prepare(world, &world->client, list, "me", "");
		one = push_hub_find(world->hub, "a", 1);
		two = push_hub_find(world->hub, others[i], 1);
		partitions[0] = one->history->partition;
		partitions[1] = two->history->partition;
		*ret_other = others[i];
		if (partitions[0] != partitions[1]) {
			assert_true(push_hub_settle(world->hub, one, &start, world->now));
			assert_true(push_hub_settle(world->hub, two, &start, world->now));
			push_hub_move_head(world->hub, partitions[0], start.head);
			push_hub_move_head(world->hub, partitions[1], start.head);
			push_subscriber_start(world->client.subscriber, world->now);
			return;
		}
		leave(&world->client);
	}
	fail();
}

static void
an_ack_covers_only_the_partitions_that_it_names(void **state)
{
	struct world *world = create_world("", 100);
	const char *names[2] = {"a", NULL};
	char text[64];
	unsigned int p[2];

	(void)state;
	push_hub_set_upstream(world->hub, 4, no_fetch, NULL);
	come_to_two_partitions(world, &names[1], p);
	for (uint64_t i = 1; i <= 3; i++)
		for (int c = 0; c < 2; c++) {
			snprintf(text, sizeof(text), "%u", (unsigned int)i);
			deliver_kept(world, names[c], (struct push_position){7, i}, text);
		}
	flush(world);
	assert_int_equal(world->stats.unacknowledged, 6);
	snprintf(
		text, sizeof(text), "%u.7.2", p[1]); /* the first of all is not covered: some behind it are */
	ack(world, &world->client, text);
	assert_int_equal(world->stats.unacknowledged, 4);
	pass(world, 11 * SECOND_US);
	assert_int_equal(world->stats.redelivered, 4);
	snprintf(text, sizeof(text), "%u.7.3-%u.7.3", p[0] < p[1] ? p[0] : p[1], p[0] < p[1] ? p[1] : p[0]);
	ack(world, &world->client, text);
	assert_int_equal(world->stats.unacknowledged, 0);
	pass(world, 2 * SECOND_US);
	assert_non_null(strstr(world->store.values[0], text));
	destroy_world(world);
}

static void
of_a_partition_that_was_not_known_everything_is_owed(void **state)
{
	const struct push_fetch_end start = {.after = {7, 0}, .upstream = {7, 0}, .head = {7, 0}};
	struct world *world = create_world("", 100);
	struct push_channel *channel;

	(void)state;
	push_hub_set_upstream(world->hub, 1, no_fetch, NULL);
	prepare(world, &world->client, "a", "me", "");
	channel = push_hub_find(world->hub, "a", 1);
	assert_true(push_hub_settle(world->hub, channel, &start, world->now));
	push_subscriber_start(world->client.subscriber, world->now);
	deliver_kept(world, "a", (struct push_position){7, 1}, "1");
	EXPECT("a1 ");
	leave(&world->client);
	assert_non_null(strstr(world->store.values[0], " 0.7.0"));
	destroy_world(world);
}

static void
what_comes_while_a_client_waits_for_another_channel_is_not_sent_twice(void **state)
{
	const struct push_fetch_end start = {.after = {7, 0}, .upstream = {7, 0}, .head = {7, 0}};
	struct world *world = create_world("", 100);
	struct push_acks_request none = {.is_wanted = false};
	struct push_channel *channels[2];

	(void)state;
	push_hub_watch(world->hub, 0);
	push_hub_set_upstream(world->hub, 1, no_fetch, NULL);
	prepare_as(world, &world->client, "a,b", &none, "0.7.0");
	push_subscriber_start(world->client.subscriber, world->now);
	for (int c = 0; c < 2; c++) {
		channels[c] = push_hub_find(world->hub, c ? "b" : "a", 1);
		assert_true(push_hub_settle(world->hub, channels[c], &start, world->now));
	}
	push_hub_move_head(world->hub, 0, start.head);
	push_hub_confirm(world->hub, channels[0], false, world->now);
	deliver_kept(world, "a", (struct push_position){7, 1}, "1");
	EXPECT("");
	push_hub_confirm(world->hub, channels[1], false, world->now);
	EXPECT("a1 " RESUMED(1));
	destroy_world(world);
}

/* --- clients with a name --- */

static void
a_name_goes_on_behind_the_last_ack(void **state)
{
	struct world *world = create_world("", 100);

	(void)state;
	publish(world, "a", "1"); /* before the name was seen first */
	come_as(world, &world->client, "a", "me", "");
	publish_many(world, 2, 4);
	EXPECT("a2 a3 a4 ");
	ack_number(world, &world->client, 3);
	leave(&world->client);
	publish(world, "a", "5");
	come_as(world, &world->client, "a", "me", "");
	EXPECT("a4 a5 " RESUMED(2));
	leave(&world->client);
	come_as(world, &world->client, "a", "you", "");
	EXPECT("");
	assert_int_equal(world->store.ttl_us, 3600 * SECOND_US);
	destroy_world(world);
}

static void
a_name_that_has_acknowledged_nothing_goes_on_where_it_was_seen_first(void **state)
{
	struct world *world = create_world("", 100);

	(void)state;
	publish(world, "a", "1");
	come_as(world, &world->client, "a", "me", "");
	publish_many(world, 2, 3);
	EXPECT("a2 a3 ");
	leave(&world->client);
	come_as(world, &world->client, "a", "me", "");
	EXPECT("a2 a3 " RESUMED(2));
	destroy_world(world);
}

/* Whether the first ping that comes says that the name is not known. */
static bool
comes_as_new(struct world *world, const char *name, const char *id)
{
	char text[4096];

	come_as(world, &world->client, "a", name, id);
	flush(world);
	assert_true(next_text(&world->client, text, sizeof(text)));
	assert_int_equal(strncmp(text, "{\"event\":\"ping\"", 15), 0);
	return strstr(text, "\"new\":true");
}

static void
a_name_that_is_new_or_forgotten_is_told_so_until_it_acknowledges(void **state)
{
	struct world *world = create_world("", 100);

	(void)state;
	assert_true(comes_as_new(world, "me", ""));
	publish(world, "a", "1");
	leave(&world->client);
	/* what was written may not have been read */
	assert_true(comes_as_new(world, "me", ""));
	EXPECT("a1 " RESUMED(1));
	ack_number(world, &world->client, 1);
	leave(&world->client);
	assert_false(comes_as_new(world, "me", ""));
	EXPECT(RESUMED(0));
	leave(&world->client);
	world->store.count = 0; /* forgotten */
	publish(world, "a", "2");
	assert_true(comes_as_new(world, "me", ""));
	EXPECT("");
	ack_number(world, &world->client, 2); /* of its first ping, which is no progress */
	leave(&world->client);
	assert_false(comes_as_new(world, "me", ""));
	leave(&world->client);
	/* an id in the request is answered by itself */
	world->store.count = 0;
	assert_false(comes_as_new(world, "me", "0.7.1"));
	EXPECT("a2 " RESUMED(1));
	leave(&world->client);
	assert_false(comes_as_new(world, "me", ""));
	destroy_world(world);
}

static void
an_id_in_the_request_counts_more_than_what_is_kept(void **state)
{
	struct world *world = create_world("", 100);

	(void)state;
	come_as(world, &world->client, "a", "me", "");
	publish_many(world, 1, 3);
	EXPECT("a1 a2 a3 ");
	ack_number(world, &world->client, 3);
	leave(&world->client);
	come_as(world, &world->client, "a", "me", "0.7.1");
	EXPECT("a2 a3 " RESUMED(2));
	ack_number(world, &world->client, 2);
	leave(&world->client);
	come_as(world, &world->client, "a", "me", "");
	EXPECT("a3 " RESUMED(1));
	destroy_world(world);
}

static void
what_is_kept_and_cannot_be_read_is_a_gap(void **state)
{
	static const char *const values[] = {
		"", "x", "1.2", "1.2 ", "1.2 0.7", "18446744073709551615.0 0.7.0", "1.x 0.7.0"};

	(void)state;
	for (size_t i = 0; i < COUNT(values); i++) {
		struct world *world = create_world("", 100);

		strcpy(world->store.names[0], "client:me");
		strcpy(world->store.values[0], values[i]);
		world->store.count = 1;
		come_as(world, &world->client, "a", "me", "");
		publish(world, "a", "1");
		EXPECT(GAP("a", "\"unknown\"") "a1 ");
		ack_number(world, &world->client, 1);
		leave(&world->client);
		come_as(world, &world->client, "a", "me", "");
		EXPECT(RESUMED(0));
		destroy_world(world);
	}
}

static void
acks_are_written_once_a_second_and_at_the_end(void **state)
{
	struct world *world = create_world("", 1000);

	(void)state;
	come_as(world, &world->client, "a", "me", "");
	assert_int_equal(world->store.puts, 1);
	for (unsigned int i = 1; i <= 500; i++) { /* 5 seconds */
		publish(world, "a", "1");
		flush(world);
		ack_number(world, &world->client, i);
		pass(world, PUSH_TICK_US);
	}
	assert_int_equal(world->stats.acks, 500);
	assert_in_range(world->store.puts, 5, 7);
	leave(&world->client);
	assert_in_range(world->store.puts, 6, 8);
	assert_non_null(strstr(world->store.values[0], " 0.7.dw")); /* 500 */
	destroy_world(world);
}

static void
what_does_not_change_is_written_before_it_is_forgotten(void **state)
{
	struct world *world = create_world("", 100);
	unsigned int puts;

	(void)state;
	world->options.client_ttl_us = 100 * SECOND_US;
	come_as(world, &world->client, "a", "me", "");
	pass(world, 10 * SECOND_US);
	puts = world->store.puts;
	for (int i = 0; i < 10; i++)
		pass(world, 50 * SECOND_US);
	assert_in_range(world->store.puts - puts, 9, 11);
	assert_int_equal(world->store.ttl_us, 100 * SECOND_US);
	destroy_world(world);
}

static void
of_two_connections_with_one_name_the_newer_wins(void **state)
{
	struct world *world = create_world("", 100);

	(void)state;
	come_as(world, &world->client, "a", "me", "");
	publish_many(world, 1, 3);
	EXPECT("a1 a2 a3 ");
	come_as(world, &world->other, "a", "me", "");
	expect_of(world, &world->other, "a1 a2 a3 " RESUMED(3));
	ack_number(world, &world->other, 2);
	pass(world, 2 * SECOND_US);
	ack_number(world, &world->client, 1);
	pass(world, 2 * SECOND_US);
	leave(&world->client); /* the older one writes nothing, neither now nor at its end */
	assert_non_null(strstr(world->store.values[0], " 0.7.2"));
	leave(&world->other);
	come_as(world, &world->client, "a", "me", "");
	EXPECT("a3 " RESUMED(1));
	destroy_world(world);
}

static void
an_older_connection_that_was_about_to_write_is_put_right_within_a_second(void **state)
{
	struct world *world = create_world("", 100);
	struct store *store = &world->store;
	struct asked late;
	char stale[600];

	(void)state;
	come_as(world, &world->client, "a", "me", "");
	publish_many(world, 1, 3);
	EXPECT("a1 a2 a3 ");
	pass(world, 2 * SECOND_US);
	store->is_late = true;
	ack(world, &world->client, "0.7.1");
	pass(world, SECOND_US); /* it asks whether it may */
	assert_int_equal(store->asked_count, 1);
	late = store->asked[--store->asked_count];
	strcpy(stale, store->values[0]);
	come_as(world, &world->other, "a", "me", "0.7.3");
	while (answer_next(world, false))
		;
	assert_non_null(strstr(store->values[0], " 0.7.3"));
	late.done(
		late.context, PUSH_OK, stale, strlen(stale)); /* the answer is older than what is there now */
	while (answer_next(world, false))
		;
	assert_non_null(strstr(store->values[0], " 0.7.1"));
	store->is_late = false;
	pass(world, SECOND_US + 2 * PUSH_TICK_US);
	assert_non_null(strstr(store->values[0], " 0.7.3"));
	ack(world, &world->client, "0.7.2");
	pass(world, 2 * SECOND_US);
	assert_non_null(strstr(store->values[0], " 0.7.3"));
	destroy_world(world);
}

static void
while_the_broker_is_asked_the_client_waits_and_may_go(void **state)
{
	struct world *world = create_world("", 100);

	(void)state;
	world->store.is_late = true;
	come_as(world, &world->client, "a", "me", "");
	publish(world, "a", "1");
	EXPECT("");
	assert_int_equal(world->client.size, 0);
	leave(&world->client);
	assert_true(answer_next(world, false));
	come_as(world, &world->client, "a", "me", "");
	assert_true(answer_next(world, false));
	publish(world, "a", "2");
	EXPECT("a2 ");
	ack(world, &world->client, "0.7.2");
	leave(&world->client);
	for (int i = 0; i < 2;
		i++) /* its end: the first write's answer, and the question before the second */
		assert_true(answer_next(world, false));
	assert_true(answer_next(world, false));
	assert_false(answer_next(world, false));
	assert_non_null(strstr(world->store.values[0], " 0.7.2"));
	destroy_world(world);
}

static void
a_broker_that_cannot_say_where_to_begin_closes_the_client_and_forgets_nothing(void **state)
{
	struct world *world = create_world("", 100);

	(void)state;
	come_as(world, &world->client, "a", "me", "");
	publish_many(world, 1, 2);
	EXPECT("a1 a2 ");
	ack(world, &world->client, "0.7.1");
	leave(&world->client);
	for (int late = 0; late < 2; late++) {
		world->store.is_down = true;
		world->store.is_late = late;
		come_as(world, &world->client, "a", "me", "");
		if (late)
			assert_true(answer_next(world, true));
		EXPECT(ERROR("the position of this client cannot be read now"));
		assert_int_equal(world->client.code, 1013);
		leave(&world->client);
		assert_int_equal(
			world->stats.by_encoding[PUSH_ENCODING_WS].closed[PUSH_CLOSE_BROKER], late + 1);
	}
	world->store.is_down = world->store.is_late = false;
	come_as(world, &world->client, "a", "me", "");
	EXPECT("a2 " RESUMED(1));
	world->store.is_down = true; /* who has begun goes on, and it is tried again */
	ack(world, &world->client, "0.7.2");
	pass(world, 5 * SECOND_US);
	world->store.is_down = false;
	pass(world, 2 * SECOND_US);
	assert_non_null(strstr(world->store.values[0], " 0.7.2"));
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
	unsigned int read[CHANNELS];      /* the highest that the client has had, in all of its connections */
	bool gap[CHANNELS];               /* told since then */
	unsigned long long acked;         /* the position */
	unsigned long long last;          /* that it was sent on this connection */
	bool is_fresh; /* nothing was sent to this connection before its position was known */
};

static void
read_message(
	struct model *model, unsigned int channel, unsigned int number, unsigned long long at, bool is_strict)
{
	/* never again what a former connection has acknowledged */
	if (is_strict)
		assert_true(at > model->acked);
	if (number > model->read[channel]) {
		if (number != model->read[channel] + 1)
			assert_true(model->gap[channel]);
		model->read[channel] = number;
		model->gap[channel] = false;
	}
	if (at > model->last)
		model->last = at;
}

static unsigned long long
position_in(const char *text)
{
	const char *id = strstr(text, "\"id\":\"0.7.");

	return id ? strtoull(id + 10, NULL, 36) : 0;
}

static void
read_all(struct world *world, struct model *model, bool is_strict)
{
	char text[4096];

	while (next_text(&world->client, text, sizeof(text))) {
		unsigned int channel, number;

		if (sscanf(text, "{\"event\":\"gap\",\"data\":{\"channel\":\"c%u\"", &channel) == 1)
			model->gap[channel] = true;
		else if (sscanf(text, "{\"event\":\"message\",\"data\":{\"channel\":\"c%u\",\"message\":%u",
				 &channel, &number) == 2)
			read_message(model, channel, number, position_in(text), is_strict && model->is_fresh);
	}
}

static void
acknowledge(struct world *world, struct model *model, unsigned long long at)
{
	if (!at)
		return;
	ack_number(world, &world->client, at);
	if (at > model->acked && world->client.subscriber->state == SUBSCRIBER_OPEN)
		model->acked = at;
	model->is_fresh = false; /* what is on its way to it may be what it has just acknowledged */
}

static void
connect_model(struct world *world, struct model *model)
{
	come_as(world, &world->client, "c0,c1,c2,c3", "model", "");
	world->client.room = draw(3) ? SIZE_MAX : draw(2000);
	model->last = 0;
	model->is_fresh = true;
}

static void
step(struct world *world, struct model *model, bool is_strict)
{
	struct client *client = &world->client;
	char channel[8], value[24];

	switch (draw(12)) {
	case 0: pass(world, draw(20) * SECOND_US); break;
	case 1:
		if (client->subscriber) {
			read_all(world, model, is_strict);
			leave(client);
		}
		break;
	case 2:
	case 3:
		if (!client->subscriber)
			connect_model(world, model);
		break;
	case 4: flush(world); break;
	case 5:
		client->room = draw(2) ? SIZE_MAX : draw(3000);
		if (client->subscriber)
			push_subscriber_writable(client->subscriber, world->now);
		break;
	case 6:
	case 7:
	case 8:
		if (!client->subscriber)
			break;
		read_all(world, model, is_strict);
		if (!client->closed)
			acknowledge(
				world, model, draw(2) || !model->last ? model->last : draw(model->last) + 1);
		break;
	case 9:
		for (uint64_t i = draw(4); i-- > 0;)
			(void)answer_next(world, !draw(4));
		break;
	default:
		for (uint64_t i = draw(12); i-- > 0;) {
			unsigned int c = (unsigned int)draw(CHANNELS);

			snprintf(channel, sizeof(channel), "c%u", c);
			snprintf(value, sizeof(value), "%u", ++model->published[c]);
			publish(world, channel, value);
		}
	}
	if (client->closed || (client->subscriber && client->size > STREAM_MAX / 2)) {
		read_all(world, model, is_strict);
		leave(client);
	}
}

static void
run_model(uint64_t seed, bool is_strict)
{
	struct world *world = create_world("c1=3/20s c2=200", 20);
	struct model model = {.acked = 0};

	print_message("seed %u, %s\n", (unsigned int)seed, is_strict ? "answered at once" : "late and lossy");
	random_state = seed * 0x9E3779B97F4A7C15ull;
	world->options.queue_bytes_max = draw(2) ? 1 << 20 : 600;
	world->options.ack_window = 1 + draw(30);
	world->options.history_bytes_max = 64 * 1024;
	world->options.heartbeat_us = 30 * SECOND_US;
	connect_model(world, &model);
	world->store.is_late = !is_strict;
	for (int i = 0; i < 2000; i++)
		step(world, &model, is_strict);
	/* one last time, in peace */
	if (world->client.subscriber) {
		read_all(world, &model, is_strict);
		leave(&world->client);
	}
	while (answer_next(world, false))
		;
	world->store.is_late = false;
	world->options.queue_bytes_max = 1 << 20;
	connect_model(world, &model);
	world->client.room = SIZE_MAX;
	for (unsigned long long last = 1; last;) {
		flush(world);
		model.last = 0;
		read_all(world, &model, is_strict);
		last = model.last;
		acknowledge(world, &model, last);
	}
	for (int c = 0; c < CHANNELS; c++)
		assert_true(model.read[c] == model.published[c] || model.gap[c]);
	assert_int_equal(world->stats.unacknowledged, 0);
	destroy_world(world);
}

static void
a_client_has_every_message_at_least_once_and_none_again_that_it_acknowledged(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++)
		run_model(seed, true);
}

static void
a_broker_that_answers_late_or_not_at_all_costs_messages_twice_but_none(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++)
		run_model(seed, false);
}

static void
when_memory_is_out_nothing_is_lost_without_a_word(void **state)
{
	(void)state;
	for (long limit = 0; limit < 150; limit++) {
		struct world *world = create_world("", 50);
		struct push_acks_request request = {true, "me"};
		struct push_channels channels;
		struct push_error error;
		struct client *client = &world->client;

		world->options.ack_window = 9;
		assert_int_equal(
			push_channels_parse(&channels, "a,b,c", 5, &world->options, &error), PUSH_OK);
		client->room = SIZE_MAX;
		allocations_left = limit;
		client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &fake, client);
		if (client->subscriber &&
			push_subscriber_subscribe(client->subscriber, &channels) == PUSH_OK &&
			push_subscriber_acknowledge(client->subscriber, &request) == PUSH_OK) {
			push_subscriber_start(client->subscriber, world->now);
			for (int i = 0; i < 12; i++) {
				uint64_t subscribers;

				(void)!push_hub_deliver(
					world->hub, "a", 1, "1", 1, 0, world->now, &subscribers);
			}
			flush(world);
			ack(world, client, "0.7.1");
			pass(world, 25 * SECOND_US);
		}
		allocations_left = -1;
		push_channels_fini(&channels);
		destroy_world(world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(past_the_window_nothing_is_sent_until_an_ack_comes_and_nothing_is_dropped),
		cmocka_unit_test(the_window_is_bounded_in_bytes_and_takes_one_message_of_any_size),
		cmocka_unit_test(what_history_drops_while_the_window_is_full_is_a_gap),
		cmocka_unit_test(an_id_that_is_none_or_was_not_sent_is_refused_and_an_older_one_ignored),
		cmocka_unit_test(who_did_not_ask_for_acks_cannot_send_them_and_who_did_cannot_resume_later),
		cmocka_unit_test(without_history_an_ack_is_an_event_that_nobody_knows),
		cmocka_unit_test(what_a_request_may_say),
		cmocka_unit_test(what_is_not_acknowledged_is_sent_again_in_order_and_what_is_newer_behind_it),
		cmocka_unit_test(a_client_that_never_acknowledges_is_closed_after_the_last_retry),
		cmocka_unit_test(
			progress_begins_the_retries_anew_and_without_retries_the_first_timeout_closes),
		cmocka_unit_test(what_the_client_does_not_read_is_not_sent_again),
		cmocka_unit_test(sending_again_stops_where_an_ack_comes_in_between),
		cmocka_unit_test(an_ack_covers_only_the_partitions_that_it_names),
		cmocka_unit_test(of_a_partition_that_was_not_known_everything_is_owed),
		cmocka_unit_test(what_comes_while_a_client_waits_for_another_channel_is_not_sent_twice),
		cmocka_unit_test(a_name_goes_on_behind_the_last_ack),
		cmocka_unit_test(a_name_that_has_acknowledged_nothing_goes_on_where_it_was_seen_first),
		cmocka_unit_test(a_name_that_is_new_or_forgotten_is_told_so_until_it_acknowledges),
		cmocka_unit_test(an_id_in_the_request_counts_more_than_what_is_kept),
		cmocka_unit_test(what_is_kept_and_cannot_be_read_is_a_gap),
		cmocka_unit_test(acks_are_written_once_a_second_and_at_the_end),
		cmocka_unit_test(what_does_not_change_is_written_before_it_is_forgotten),
		cmocka_unit_test(of_two_connections_with_one_name_the_newer_wins),
		cmocka_unit_test(an_older_connection_that_was_about_to_write_is_put_right_within_a_second),
		cmocka_unit_test(while_the_broker_is_asked_the_client_waits_and_may_go),
		cmocka_unit_test(
			a_broker_that_cannot_say_where_to_begin_closes_the_client_and_forgets_nothing),
		cmocka_unit_test(
			a_client_has_every_message_at_least_once_and_none_again_that_it_acknowledged),
		cmocka_unit_test(a_broker_that_answers_late_or_not_at_all_costs_messages_twice_but_none),
		cmocka_unit_test(when_memory_is_out_nothing_is_lost_without_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
