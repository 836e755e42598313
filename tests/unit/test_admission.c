/*
 * WebSocket clients on their way in, over a hub with a fake transport and an authenticator that answers at once or
 * when the test says so: core/identified.h and core/disconnect.h, too, which do their part of it.
 */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/admission.h"
#include "broker/renewal.h"
#include "core/channels.h"
#include "core/describe.h"
#include "core/hub.h"
#include "core/identified.h"
#include "core/limiter.h"
#include "core/limits.h"
#include "core/subscriber.h"

#define SECOND_US 1000000ull
#define CLIENTS   64

struct client {
	struct push_subscriber *subscriber;
	char got[16384];
	size_t size, room;
	bool closed, is_read;
};

#include "fake_transport.h"

static void
fake_set_reading(void *connection, bool on)
{
	((struct client *)connection)->is_read = on;
}

struct world {
	struct push_authenticator authenticator; /* first: the two are cast into each other */
	struct push_options options;
	struct push_stats stats;
	struct push_transport transport;
	struct push_hub *hub;
	struct push_admissions admissions;
	bool is_late;
	const struct push_identity *renewed; /* of a ticket, borrowed */
	push_verdict_fn done;                /* NULL: nobody waits */
	void *context;
	struct push_verdict verdict; /* of the next question */
	const struct push_identity *anonymous, *alice, *alice_less, *bob, *brief, *server;
	struct client clients[CLIENTS];
};

static uint64_t the_time;

static uint64_t
now(void)
{
	return the_time;
}

static void
on_ready(void *context)
{
	(void)context;
}

static void
answer(struct world *world)
{
	push_verdict_fn done = world->done;

	assert_non_null(done);
	world->done = NULL;
	done(world->context, &world->verdict);
}

static void
identify(struct push_authenticator *authenticator, const struct push_credential *credential,
	const struct push_asked *asked, push_verdict_fn done, void *context)
{
	struct world *world = (struct world *)authenticator;

	assert_int_equal(asked->right, PUSH_RIGHT_SUBSCRIBE);
	if (credential->kind == PUSH_CREDENTIAL_NONE && !world->is_late) {
		done(context, &(struct push_verdict){.identity = world->anonymous});
		return;
	}
	assert_null(world->done);
	world->done = done;
	world->context = context;
	if (!world->is_late)
		answer(world);
}

static void
ticket_renewed(struct push_authenticator *authenticator, struct push_str ticket,
	const struct push_identity *identity)
{
	assert_true(push_str_is(ticket, "t"));
	((struct world *)authenticator)->renewed = identity;
}

static const struct push_identity *
create(const struct push_identity_facts *facts, const char *pattern)
{
	struct push_identity_builder *builder = push_identity_build(facts);
	const struct push_identity *identity;
	struct push_error error;

	if (pattern)
		assert_int_equal(push_identity_grant(builder, PUSH_RIGHT_SUBSCRIBE,
					 (struct push_str){pattern, strlen(pattern)}, &error),
			PUSH_OK);
	identity = push_identity_done(builder);
	assert_non_null(identity);
	return identity;
}

static const struct push_identity *
user(const char *name, const char *pattern, uint64_t expires_us)
{
	return create(&(struct push_identity_facts){.user = {name, strlen(name)},
			      .token_id = {"token", 5},
			      .expires_us = expires_us,
			      .issued_s = 1000},
		pattern);
}

static int
open_world_at(void **state, uint64_t now_us)
{
	struct world *world = calloc(1, sizeof(*world));

	push_options_init(&world->options);
	the_time = now_us;
	world->transport = fake;
	world->transport.set_reading = fake_set_reading;
	world->authenticator.identify = identify;
	world->authenticator.ticket_renewed = ticket_renewed;
	world->hub = push_hub_create(&world->options, &world->stats, 42, now(), on_ready, world);
	push_hub_number(world->hub, 7);
	world->anonymous = create(
		&(struct push_identity_facts){
			.expires_us = UINT64_MAX, .issued_s = INT64_MIN, .is_anonymous = true},
		"open");
	world->alice = user("alice", "**", UINT64_MAX);
	world->alice_less = user("alice", "kept", UINT64_MAX);
	world->bob = user("bob", "**", UINT64_MAX);
	world->brief = user("brief", "**", now() + 40 * SECOND_US);
	world->server = create(
		&(struct push_identity_facts){
			.key_name = {"key", 3}, .expires_us = UINT64_MAX, .issued_s = INT64_MIN},
		"**");
	world->admissions = (struct push_admissions){.authenticator = &world->authenticator,
		.options = &world->options,
		.stats = &world->stats,
		.now_us = now};
	push_admissions_init(&world->admissions, world->hub);
	*state = world;
	return 0;
}

static int
open_world(void **state)
{
	return open_world_at(state, 1000 * SECOND_US);
}

/* Of a machine that has run for years. */
static int
open_old_world(void **state)
{
	return open_world_at(state, (1ull << 31) * PUSH_TICK_US + 1000 * SECOND_US);
}

static void
leave(struct world *world, struct client *client)
{
	if (!client->subscriber)
		return;
	push_admissions_forget(&world->admissions, client->subscriber);
	push_subscriber_destroy(client->subscriber);
	client->subscriber = NULL;
}

static int
close_world(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < CLIENTS; i++)
		leave(world, &world->clients[i]);
	assert_null(world->done);
	assert_int_equal(world->admissions.count, 0);
	assert_int_equal(world->admissions.account->bytes, 0);
	assert_int_equal(world->stats.subscriptions, 0);
	assert_int_equal(world->stats.outbox_bytes, 0);
	push_admissions_fini(&world->admissions);
	push_hub_destroy(world->hub);
	push_identity_unref(world->anonymous);
	push_identity_unref(world->alice);
	push_identity_unref(world->alice_less);
	push_identity_unref(world->bob);
	push_identity_unref(world->brief);
	push_identity_unref(world->server);
	free(world);
	return 0;
}

static void
flush(struct world *world)
{
	while (push_hub_flush(world->hub, now(), 4))
		;
}

static void
pass(struct world *world, uint64_t us)
{
	for (uint64_t end_us = the_time + us; the_time < end_us; the_time += SECOND_US / 4) {
		for (size_t i = 0; i < CLIENTS; i++)
			if (world->clients[i].subscriber)
				push_subscriber_heard(world->clients[i].subscriber);
		while (push_hub_tick(world->hub, now(), 1000))
			;
		flush(world);
	}
}

static struct client *
come_with(struct world *world, size_t index, const char *list, enum push_credential_kind kind)
{
	const struct push_credential credential = {.kind = kind, .text = {"secret", 6}};
	const struct push_asked asked = {.right = PUSH_RIGHT_SUBSCRIBE};
	struct push_subscription subscription = {.encoding = PUSH_ENCODING_WS};
	struct client *client = &world->clients[index];
	struct push_error error;

	client->size = 0;
	client->room = SIZE_MAX;
	client->is_read = true;
	client->closed = false;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &world->transport, client);
	push_buf_init(&subscription.list, 4096);
	push_buf_init(&subscription.last_id, 4096);
	if (*list) {
		push_buf_append_text(&subscription.list, list);
		assert_int_equal(push_channels_parse(&subscription.channels, subscription.list.bytes,
					 subscription.list.size, &world->options, &error),
			PUSH_OK);
	}
	push_admissions_admit(&world->admissions, client->subscriber, &subscription, &credential, &asked);
	assert_null(subscription.list.bytes);
	push_subscription_fini(&subscription);
	flush(world);
	return client;
}

static struct client *
come_as(struct world *world, const char *list, const struct push_identity *identity)
{
	world->verdict = (struct push_verdict){.identity = identity};
	return come_with(world, 0, list, PUSH_CREDENTIAL_TOKEN);
}

static bool
has(const struct client *client, const char *text)
{
	return memmem(client->got, client->size, text, strlen(text));
}

static bool
has_code(const struct client *client, unsigned int code)
{
	const unsigned char frame[] = {0x88, 2, (unsigned char)(code >> 8), (unsigned char)code};

	return memmem(client->got, client->size, frame, sizeof(frame));
}

static void
say(struct world *world, struct client *client, const char *text)
{
	push_subscriber_receive(client->subscriber, text, strlen(text), now());
	flush(world);
}

static void
bring(struct world *world, struct client *client, const struct push_identity *identity)
{
	world->verdict = (struct push_verdict){.identity = identity};
	say(world, client, "{\"event\":\"auth\",\"data\":{\"token\":\"secret\"}}");
}

static uint64_t
hears(struct world *world, const char *channel)
{
	uint64_t subscribers;

	assert_int_equal(push_hub_deliver(world->hub, channel, strlen(channel), "{\"event\":\"x\"}", 13, 0,
				 now(), &subscribers),
		PUSH_OK);
	return subscribers;
}

/* --- on the way in --- */

static void
who_is_known_at_once_is_started_at_once(void **state)
{
	struct world *world = *state;
	struct client *client = come_as(world, "news", world->alice);

	assert_int_equal(hears(world, "news"), 1);
	assert_true(has(client, "ping"));
	assert_true(client->is_read);
	assert_ptr_equal(push_subscriber_identity(client->subscriber), world->alice);
}

static void
who_is_known_late_is_not_read_from_until_then(void **state)
{
	struct world *world = *state;
	struct client *client;

	world->is_late = true;
	client = come_as(world, "news", world->alice);
	assert_false(client->is_read);
	assert_true(world->admissions.account->bytes > 0);
	assert_int_equal(hears(world, "news"), 0);
	pass(world, 60 * SECOND_US); /* however long it takes */
	assert_false(client->closed);
	answer(world);
	flush(world);
	assert_true(client->is_read);
	assert_true(has(client, "ping"));
	assert_int_equal(hears(world, "news"), 1);
}

static void
each_refusal_has_its_code_and_is_counted_once(void **state)
{
	static const struct {
		unsigned int status, code;
		enum push_auth_refusal why;
	} rows[] = {
		{401, 4401, PUSH_AUTH_SIGNATURE},
		{403, 4403, PUSH_AUTH_HOOK},
		{503, 1013, PUSH_AUTH_UNAVAILABLE},
	};
	struct world *world = *state;

	for (size_t i = 0; i < 2 * COUNT(rows); i++) {
		const uint64_t before = world->stats.auth_refused[rows[i / 2].why];
		struct client *client;

		world->is_late = i % 2;
		world->verdict = (struct push_verdict){
			.status = rows[i / 2].status, .why = rows[i / 2].why, .text = "because"};
		client = come_with(world, 0, "news", PUSH_CREDENTIAL_TOKEN);
		if (world->is_late)
			answer(world);
		flush(world);
		assert_true(has(client, "because"));
		assert_true(has_code(client, rows[i / 2].code));
		assert_int_equal(world->stats.auth_refused[rows[i / 2].why], before + 1);
		leave(world, client);
	}
}

static void
a_client_that_has_gone_is_not_missed_by_the_answer(void **state)
{
	struct world *world = *state;

	world->is_late = true;
	leave(world, come_as(world, "news", world->alice));
	answer(world);
	assert_int_equal(world->admissions.count, 0);
}

static void
a_client_that_is_being_closed_is_not_started_by_the_answer(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < 3; i++) {
		struct client *client;

		world->is_late = true;
		client = come_as(world, "news", world->alice);
		world->verdict.status = i == 2 ? 401 : 0;
		world->verdict.text = "too late to say";
		if (i == 0)
			push_subscriber_answer_close(client->subscriber, 1000, now());
		else
			push_subscriber_close(client->subscriber, PUSH_CLOSE_MEMORY, now());
		flush(world);
		answer(world);
		flush(world);
		assert_int_equal(hears(world, "news"), 0);
		assert_false(has(client, "too late"));
		leave(world, client);
	}
}

static void
a_client_whose_connection_has_ended_is_not_started_by_the_answer(void **state)
{
	struct world *world = *state;
	struct client *client;

	world->is_late = true;
	client = come_as(world, "news", world->alice);
	(void)push_subscriber_peer_closed(client->subscriber);
	answer(world);
	assert_int_equal(hears(world, "news"), 0);
}

static void
without_memory_a_client_is_put_off(void **state)
{
	struct world *world = *state;
	struct client *client;
	bool is_in = false;

	for (int left = 0; !is_in; left++) {
		allocations_left = -1;
		/* the client's own are there: those of the admission are counted */
		client = &world->clients[0];
		*client = (struct client){.room = SIZE_MAX, .is_read = true};
		client->subscriber =
			push_subscriber_create(world->hub, PUSH_ENCODING_WS, &world->transport, client);
		{
			const struct push_credential credential = {.kind = PUSH_CREDENTIAL_TOKEN};
			const struct push_asked asked = {.right = PUSH_RIGHT_SUBSCRIBE};
			struct push_subscription subscription = {.encoding = PUSH_ENCODING_WS};
			struct push_error error;

			push_buf_init(&subscription.list, 4096);
			push_buf_append_text(&subscription.list, "a,b,c");
			assert_int_equal(push_channels_parse(
						 &subscription.channels, "a,b,c", 5, &world->options, &error),
				PUSH_OK);
			world->verdict = (struct push_verdict){.identity = world->alice};
			allocations_left = left;
			push_admissions_admit(
				&world->admissions, client->subscriber, &subscription, &credential, &asked);
			allocations_left = -1;
			push_subscription_fini(&subscription);
		}
		flush(world);
		is_in = !client->closed && hears(world, "a") == 1;
		if (!is_in)
			assert_int_equal(hears(world, "b"), 0);
		leave(world, client);
		assert_int_equal(world->admissions.count, 0);
		assert_true(left < 100);
	}
}

static void
where_the_budget_has_no_room_for_an_identity_a_client_is_put_off_and_told_why(void **state)
{
	struct push_identity_builder *builder = push_identity_build(
		&(struct push_identity_facts){.user = {"carl", 4}, .expires_us = UINT64_MAX});
	struct world *world = *state;
	const struct push_identity *large;
	struct push_error error;
	struct client *client, *other;
	char name[201];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < 40; i++)
		assert_int_equal(push_identity_grant(builder, PUSH_RIGHT_SUBSCRIBE,
					 (struct push_str){name, strlen(name)}, &error),
			PUSH_OK);
	large = push_identity_done(builder);
	push_memory_set_max(push_hub_memory(world->hub), 16384);
	client = come_as(world, "news", world->alice);
	assert_false(client->closed);
	world->verdict = (struct push_verdict){.identity = large};
	other = come_with(world, 1, name, PUSH_CREDENTIAL_TOKEN);
	assert_true(has(other, "memory is short (push.memory.max), try again"));
	assert_true(has_code(other, 1013));
	push_memory_set_max(push_hub_memory(world->hub), UINT64_MAX);
	leave(world, other);
	world->verdict = (struct push_verdict){.identity = large};
	other = come_with(world, 1, name, PUSH_CREDENTIAL_TOKEN);
	assert_false(has_code(other, 1013));
	push_identity_unref(large);
}

static void
where_the_budget_has_no_room_for_another_token_a_client_keeps_what_it_has(void **state)
{
	struct world *world = *state;
	struct client *client = come_as(world, "news", world->alice);

	push_memory_set_max(push_hub_memory(world->hub), 1);
	bring(world, client, world->alice_less);
	assert_true(has(client, "memory is short (push.memory.max), try again"));
	assert_ptr_equal(push_subscriber_identity(client->subscriber), world->alice);
	push_memory_set_max(push_hub_memory(world->hub), UINT64_MAX);
	assert_int_equal(hears(world, "news"), 1);
}

/* --- the first message --- */

static void
a_first_message_brings_the_token(void **state)
{
	struct world *world = *state;
	struct client *client = come_with(world, 0, "news", PUSH_CREDENTIAL_NONE);

	assert_true(push_subscriber_is_unidentified(client->subscriber));
	assert_null(push_subscriber_identity(client->subscriber));
	say(world, client, "{\"event\":\"subscribe\",\"data\":{\"channels\":[\"x\"]}}");
	say(world, client, "{\"event\":\"publish\",\"data\":{}}");
	say(world, client, "{\"event\":\"resume\",\"data\":{}}");
	assert_true(has(client, "send 'auth' with a token first"));
	assert_int_equal(hears(world, "x") + hears(world, "news"), 0);
	bring(world, client, world->alice);
	assert_int_equal(hears(world, "news"), 1);
	pass(world, 10 * SECOND_US); /* the grace period is over */
	assert_false(client->closed);
}

static void
who_brings_no_token_in_time_is_closed_and_counted_as_one_without(void **state)
{
	struct world *world = *state;
	struct client *client = come_with(world, 0, "news", PUSH_CREDENTIAL_NONE);

	pass(world, world->options.grace_us / 2);
	say(world, client, "{\"event\":\"auth\",\"data\":{}}"); /* does not prolong it */
	assert_true(has(client, "'token' must be a string"));
	pass(world, world->options.grace_us / 2 + SECOND_US);
	assert_true(has(client, "no token came in time"));
	assert_true(has_code(client, 4401));
	assert_int_equal(world->stats.auth_refused[PUSH_AUTH_MISSING], 1);
	assert_int_equal(world->stats.auth_refused[PUSH_AUTH_FORBIDDEN], 0);
}

static void
a_token_that_came_in_time_may_take_longer_to_be_looked_at(void **state)
{
	struct world *world = *state;
	struct client *client = come_with(world, 0, "news", PUSH_CREDENTIAL_NONE);

	world->is_late = true;
	bring(world, client, world->alice);
	pass(world, 3 * world->options.grace_us);
	assert_false(client->closed);
	bring(world, client, world->alice); /* what was in the socket's buffer already */
	assert_true(has(client, "another token is still being checked"));
	answer(world);
	flush(world);
	assert_int_equal(hears(world, "news"), 1);
	assert_int_equal(world->stats.auth_refused[PUSH_AUTH_MISSING], 0);
}

static void
a_first_identity_without_the_right_leaves_what_was_asked_for_as_it_was(void **state)
{
	struct push_identity_builder *builder = push_identity_build(&(struct push_identity_facts){
		.expires_us = UINT64_MAX, .issued_s = INT64_MIN, .is_anonymous = true});
	struct world *world = *state;
	const struct push_identity *brings;
	struct push_error error;
	struct client *client;

	assert_int_equal(push_identity_add_channel(builder, (struct push_str){"lobby", 5}, &error), PUSH_OK);
	brings = push_identity_done(builder);
	world->is_late = true;
	world->verdict = (struct push_verdict){.identity = brings};
	client = come_with(world, 0, "kept", PUSH_CREDENTIAL_NONE);
	answer(world);
	push_identity_unref(brings);
	assert_true(push_subscriber_is_unidentified(client->subscriber));
	world->is_late = false;
	bring(world, client, world->alice_less); /* which has no right for the lobby */
	assert_int_equal(hears(world, "kept"), 1);
	assert_int_equal(hears(world, "lobby"), 0);
}

static void
a_token_without_the_right_ends_it(void **state)
{
	struct world *world = *state;
	struct client *client = come_as(world, "news", world->alice_less);

	assert_true(has_code(client, 4403));
	assert_true(has(client, "no right to subscribe to 'news'"));
	assert_int_equal(world->stats.auth_refused[PUSH_AUTH_FORBIDDEN], 1);
}

/* --- another token --- */

static void
another_token_of_the_same_user_is_taken(void **state)
{
	struct world *world = *state;
	struct client *client = come_as(world, "kept,a,b,c", world->alice);

	bring(world, client, world->alice_less);
	assert_true(has(client, "authenticated"));
	assert_true(has(client, "no right to subscribe to 'a'"));
	assert_int_equal(hears(world, "kept"), 1);
	assert_int_equal(hears(world, "a") + hears(world, "b") + hears(world, "c"), 0);
	assert_ptr_equal(push_subscriber_identity(client->subscriber), world->alice_less);
}

static void
another_users_token_changes_nothing(void **state)
{
	struct world *world = *state;
	struct client *client = come_as(world, "news", world->alice);

	bring(world, client, world->bob);
	assert_true(has(client, "another user's"));
	assert_ptr_equal(push_subscriber_identity(client->subscriber), world->alice);
	bring(world, client, world->server);
	assert_ptr_equal(push_subscriber_identity(client->subscriber), world->alice);
	world->verdict = (struct push_verdict){.status = 401, .why = PUSH_AUTH_EXPIRED, .text = "expired"};
	say(world, client, "{\"event\":\"auth\",\"data\":{\"token\":\"secret\"}}");
	assert_true(has(client, "expired"));
	assert_false(client->closed);
	assert_int_equal(hears(world, "news"), 1);
}

static void
a_late_answer_for_another_token_finds_the_client_in_any_state(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < 3; i++) {
		struct client *client;

		world->is_late = false;
		client = come_as(world, "news", world->alice);
		world->is_late = true;
		bring(world, client, world->alice_less);
		assert_false(client->is_read);
		if (i == 1)
			push_subscriber_close(client->subscriber, PUSH_CLOSE_LIFETIME, now());
		else if (i == 2)
			leave(world, client);
		answer(world);
		flush(world);
		assert_true(i || client->is_read);
		assert_int_equal(hears(world, "news"), 0);
		leave(world, client);
	}
}

static void
a_connection_of_nobodys_becomes_a_users_and_stays_that_users(void **state)
{
	struct world *world = *state;
	struct client *client = come_with(world, 0, "open", PUSH_CREDENTIAL_NONE);

	assert_ptr_equal(push_subscriber_identity(client->subscriber), world->anonymous);
	bring(world, client, world->alice);
	assert_true(has(client, "authenticated"));
	assert_ptr_equal(push_subscriber_identity(client->subscriber), world->alice);
	assert_int_equal(hears(world, "open"), 1);
	bring(world, client, world->bob);
	assert_true(has(client, "another user's"));
	bring(world, client, world->anonymous);
	assert_ptr_equal(push_subscriber_identity(client->subscriber), world->alice);
}

static void
a_login_counts_for_its_user_and_only_where_there_is_room(void **state)
{
	struct world *world = *state;
	enum push_status status;
	struct push_limiter *limiter;
	struct client *clients[2];

	world->options.limit_user_connections = 1;
	limiter = push_limiter_create(&world->options, &world->stats, 7, NULL, NULL, &status);
	assert_non_null(limiter);
	push_hub_limit(world->hub, limiter);
	for (size_t i = 0; i < 2; i++) {
		clients[i] = come_with(world, i, "open", PUSH_CREDENTIAL_NONE);
		bring(world, clients[i], world->alice);
	}
	assert_ptr_equal(push_subscriber_identity(clients[0]->subscriber), world->alice);
	assert_true(has(clients[1], push_limit_text(PUSH_LIMIT_USER_CONNECTIONS)));
	assert_ptr_equal(push_subscriber_identity(clients[1]->subscriber), world->anonymous);
	bring(world, clients[0], world->alice_less); /* the same user is not counted again */
	leave(world, clients[0]);
	bring(world, clients[1], world->alice);
	assert_ptr_equal(push_subscriber_identity(clients[1]->subscriber), world->alice);
	leave(world, clients[1]);
	push_hub_limit(world->hub, NULL);
	push_limiter_destroy(limiter);
}

static void
a_renewal_keeps_the_ticket_that_has_opened_the_connection(void **state)
{
	struct world *world = *state;
	const struct push_identity *opened =
		push_identity_with_ticket(world->alice, (struct push_str){"t", 1});
	struct client *client;

	assert_non_null(opened);
	client = come_as(world, "news", opened);
	push_identity_unref(opened);
	allocations_left = 0;
	assert_int_equal(
		push_renew(&world->authenticator, world->hub, client->subscriber, world->alice_less, now())
			.status,
		503);
	allocations_left = -1;
	assert_null(world->renewed);
	assert_true(push_identity_may(push_subscriber_identity(client->subscriber), PUSH_RIGHT_SUBSCRIBE,
		(struct push_str){"news", 4}));
	bring(world, client, world->alice_less);
	assert_ptr_equal(push_subscriber_identity(client->subscriber), world->renewed);
	assert_true(push_str_is(push_identity_facts(world->renewed).ticket, "t"));
	assert_false(push_identity_may(world->renewed, PUSH_RIGHT_SUBSCRIBE, (struct push_str){"news", 4}));
	assert_true(push_identity_may(world->renewed, PUSH_RIGHT_SUBSCRIBE, (struct push_str){"kept", 4}));
}

/* --- whoever observes --- */

static void
count_opened(void *context, const struct push_subscriber *subscriber)
{
	(void)subscriber;
	((unsigned int *)context)[0]++;
}

static void
count_closed(void *context, const struct push_subscriber *subscriber)
{
	(void)subscriber;
	((unsigned int *)context)[1]++;
}

static void
count_refused(void *context, const char *text)
{
	assert_true(*text);
	((unsigned int *)context)[2]++;
}

static void
each_connection_that_is_reported_is_reported_once_as_opened_and_then_as_closed(void **state)
{
	struct world *world = *state;
	unsigned int counts[3] = {0, 0, 0};
	const struct push_hub_observer observer = {count_opened, count_closed, count_refused, counts};
	struct client *client;

	push_hub_observe(world->hub, &observer);
	leave(world, come_with(world, 0, "news", PUSH_CREDENTIAL_NONE)); /* before it has shown anything */
	assert_int_equal(counts[0] + counts[1], 0);
	client = come_with(world, 0, "news", PUSH_CREDENTIAL_NONE);
	pass(world, world->options.grace_us + SECOND_US); /* without a token in time */
	assert_int_equal(counts[0], 1);
	assert_int_equal(counts[2], 1);
	push_subscriber_gone(client->subscriber);
	leave(world, client);
	assert_int_equal(counts[1], 1);
	leave(world, come_as(world, "news", world->alice));
	assert_int_equal(counts[0], 2);
	assert_int_equal(counts[1], 2);
	client = come_as(world, "kept", world->alice_less);
	say(world, client, "{\"event\":\"subscribe\",\"data\":{\"channels\":[\"news\"]}}");
	bring(world, client, world->bob);
	leave(world, client);
	assert_int_equal(counts[2], 3);
	leave(world, come_as(world, "news", world->alice_less));
	assert_int_equal(counts[2], 4);
	assert_int_equal(counts[0], counts[1]);
	push_hub_observe(world->hub, NULL);
}

/* --- its end --- */

static void
a_client_is_warned_once_and_closed_when_its_identity_ends(void **state)
{
	struct world *world = *state;
	struct client *client = come_as(world, "news", world->brief);

	pass(world, 9 * SECOND_US);
	assert_false(has(client, "expiring"));
	pass(world, 2 * SECOND_US);
	assert_true(has(client, "expiring"));
	client->size = 0;
	pass(world, 28 * SECOND_US);
	assert_false(has(client, "expiring"));
	assert_false(has(client, "the token has expired"));
	pass(world, 2 * SECOND_US);
	assert_true(has(client, "the token has expired"));
	assert_true(has_code(client, 4401));
	assert_int_equal(world->stats.auth_refused[PUSH_AUTH_EXPIRED], 1);
}

static void
an_identity_ends_in_the_far_future_or_has_ended_long_ago(void **state)
{
	static const uint64_t ends_us[] = {UINT64_MAX, UINT64_MAX - 1, 1ull << 62, 0, 1};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(ends_us); i++) {
		const struct push_identity *identity = user("far", "**", ends_us[i]);
		struct client *client = come_as(world, "news", identity);

		pass(world, 2 * SECOND_US);
		assert_int_equal(has(client, "the token has expired"), i >= 3);
		leave(world, client);
		push_identity_unref(identity);
	}
}

static void
a_client_whose_identity_ends_while_it_waits_for_the_engine_gets_nothing_more(void **state)
{
	struct world *world = *state;
	struct client *client;

	push_hub_watch(world->hub, 1 << 20);
	client = come_as(world, "news", world->brief);
	pass(world, 45 * SECOND_US);
	assert_false(client->closed);
	push_hub_confirm(world->hub, push_hub_next_changed(world->hub), false, now());
	flush(world);
	assert_true(has(client, "the token has expired"));
	assert_false(has(client, "ping"));
	assert_int_equal(hears(world, "news"), 0);
	assert_int_equal(world->stats.auth_refused[PUSH_AUTH_EXPIRED], 1);
}

/* --- operators --- */

static size_t
count_open(struct world *world, const char *channel)
{
	return hears(world, channel);
}

static void
connections_of_a_user_a_token_or_a_key_are_ended_and_no_others(void **state)
{
	static const struct push_disconnect orders[] = {
		{.by = PUSH_DISCONNECT_USER,
			.name = {"alice", 5},
			.is_revoked = true,
			.issued_before_s = 2000},
		{.by = PUSH_DISCONNECT_TOKEN_ID, .name = {"token", 5}, .began_before_us = UINT64_MAX},
		{.by = PUSH_DISCONNECT_KEY, .name = {"key", 3}, .began_before_us = UINT64_MAX},
	};
	static const size_t left[] = {CLIENTS / 2, CLIENTS / 4, CLIENTS - CLIENTS / 4};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(orders); i++) {
		for (size_t n = 0; n < CLIENTS; n++) {
			world->verdict = (struct push_verdict){.identity = n % 2   ? world->alice
									   : n % 4 ? world->bob
										   : world->server};
			(void)come_with(world, n, "news", PUSH_CREDENTIAL_TOKEN);
		}
		assert_true(push_hub_disconnect(world->hub, &orders[i]));
		pass(world, SECOND_US);
		assert_int_equal(count_open(world, "news"), left[i]);
		assert_true(has_code(&world->clients[i == 2 ? 0 : 1], i ? 4403 : 4401));
		for (size_t n = 0; n < CLIENTS; n++)
			leave(world, &world->clients[n]);
	}
}

static void
connections_with_a_newer_token_than_those_that_are_revoked_stay(void **state)
{
	struct world *world = *state;
	struct push_disconnect order = {.by = PUSH_DISCONNECT_USER,
		.name = {"alice", 5},
		.is_revoked = true,
		.issued_before_s = 1000};

	(void)come_as(world, "news", world->alice);
	assert_true(push_hub_disconnect(world->hub, &order));
	pass(world, SECOND_US);
	assert_int_equal(count_open(world, "news"), 1);
	order.issued_before_s = 1001;
	assert_true(push_hub_disconnect(world->hub, &order));
	pass(world, SECOND_US);
	assert_int_equal(count_open(world, "news"), 0);
}

/* Three clients that come a second apart, in the middle of seconds. */
static void
connections_that_began_before_the_time_of_an_order_are_ended_and_later_ones_stay(void **state)
{
	static const struct push_disconnect orders[] = {
		{.by = PUSH_DISCONNECT_USER, .name = {"alice", 5}},
		{.by = PUSH_DISCONNECT_TOKEN_ID, .name = {"token", 5}},
		{.by = PUSH_DISCONNECT_CHANNEL, .name = {"news", 4}},
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(orders); i++)
		for (size_t before = 0; before <= 3; before++) {
			struct push_disconnect order = orders[i];

			order.began_before_us = now() + before * SECOND_US;
			the_time += SECOND_US / 2;
			for (size_t n = 0; n < 3; n++) {
				world->verdict = (struct push_verdict){.identity = world->alice};
				(void)come_with(world, n, "news", PUSH_CREDENTIAL_TOKEN);
				pass(world, SECOND_US);
			}
			assert_true(push_hub_disconnect(world->hub, &order));
			pass(world, SECOND_US);
			assert_int_equal(count_open(world, "news"), 3 - before);
			for (size_t n = 0; n < 3; n++) {
				assert_int_equal(has_code(&world->clients[n], 4403), n < before);
				leave(world, &world->clients[n]);
			}
		}
}

static void
a_connection_that_has_lasted_for_a_day_is_as_old_as_it_is(void **state)
{
	struct world *world = *state;
	struct push_disconnect order = {.by = PUSH_DISCONNECT_CHANNEL, .name = {"news", 4}};
	uint64_t began_us = now();
	struct client *client;

	world->options.lifetime_min_us = world->options.lifetime_max_us = PUSH_DURATION_US_MAX;
	client = come_as(world, "news", world->alice);
	while (the_time < began_us + PUSH_DURATION_US_MAX - 3600 * SECOND_US) {
		the_time += 5 * SECOND_US;
		client->size = 0;
		pass(world, SECOND_US / 4);
	}
	order.began_before_us = began_us;
	assert_true(push_hub_disconnect(world->hub, &order));
	pass(world, SECOND_US);
	assert_int_equal(count_open(world, "news"), 1);
	order.began_before_us = began_us + 1;
	assert_true(push_hub_disconnect(world->hub, &order));
	pass(world, SECOND_US);
	assert_int_equal(count_open(world, "news"), 0);
}

static void
clients_that_come_back_at_once_do_not_hold_up_the_next_order(void **state)
{
	const struct push_disconnect order = {
		.by = PUSH_DISCONNECT_CHANNEL, .name = {"news", 4}, .began_before_us = UINT64_MAX};
	struct world *world = *state;
	size_t closed = 0;

	for (size_t n = 0; n < CLIENTS / 2; n++) {
		world->verdict = (struct push_verdict){.identity = world->alice};
		(void)come_with(world, n, "news", PUSH_CREDENTIAL_TOKEN);
	}
	assert_true(push_hub_disconnect(world->hub, &order));
	assert_true(push_hub_disconnect(world->hub,
		&(struct push_disconnect){
			.by = PUSH_DISCONNECT_CHANNEL, .name = {"other", 5}, .began_before_us = UINT64_MAX}));
	world->verdict = (struct push_verdict){.identity = world->bob};
	(void)come_with(world, CLIENTS - 1, "other", PUSH_CREDENTIAL_TOKEN);
	for (size_t n = 0; n < CLIENTS / 2; n++) {
		while (push_hub_tick(world->hub, now(), 1000))
			;
		the_time += PUSH_TICK_US;
		(void)come_with(world, CLIENTS / 2 + n % (CLIENTS / 4), "news", PUSH_CREDENTIAL_TOKEN);
		leave(world, &world->clients[CLIENTS / 2 + n % (CLIENTS / 4)]);
	}
	pass(world, SECOND_US);
	for (size_t n = 0; n < CLIENTS / 2; n++)
		closed += has_code(&world->clients[n], 4403);
	assert_int_equal(closed, CLIENTS / 2);
	assert_int_equal(count_open(world, "other"), 0);
}

static void
orders_that_wait_share_a_walk_and_each_ends_its_own(void **state)
{
	struct world *world = *state;
	const struct push_identity *users[CLIENTS];
	char name[CLIENTS][8];

	for (size_t n = 0; n < CLIENTS; n++) {
		snprintf(name[n], sizeof(name[n]), "u%zu", n);
		users[n] = user(name[n], "**", UINT64_MAX);
		world->verdict = (struct push_verdict){.identity = users[n]};
		(void)come_with(world, n, "news", PUSH_CREDENTIAL_TOKEN);
		push_identity_unref(users[n]);
	}
	/* all but every fourth, one order of another kind among them */
	for (size_t n = 0; n < CLIENTS; n++) {
		if (n == CLIENTS / 2)
			assert_true(push_hub_disconnect(
				world->hub, &(struct push_disconnect){.by = PUSH_DISCONNECT_CHANNEL,
						    .name = {"nobody's", 8},
						    .began_before_us = UINT64_MAX}));
		if (n % 4)
			assert_true(push_hub_disconnect(
				world->hub, &(struct push_disconnect){.by = PUSH_DISCONNECT_USER,
						    .name = {name[n], strlen(name[n])},
						    .is_revoked = n % 2,
						    .issued_before_s = INT64_MAX}));
	}
	/* a walk, the channel, another walk: a turn each */
	for (int i = 0; i < 3; i++)
		while (push_hub_tick(world->hub, now(), 1000))
			;
	flush(world);
	for (size_t n = 0; n < CLIENTS; n++)
		assert_true(has_code(&world->clients[n], n % 2 ? 4401 : 4403) == (n % 4 != 0));
	assert_int_equal(hears(world, "news"), CLIENTS / 4);
}

static void
too_many_orders_are_refused(void **state)
{
	const struct push_disconnect order = {.by = PUSH_DISCONNECT_USER, .name = {"alice", 5}};
	struct world *world = *state;

	for (int i = 0; i < PUSH_DISCONNECTS_MAX; i++)
		assert_true(push_hub_disconnect(world->hub, &order));
	assert_false(push_hub_disconnect(world->hub, &order));
	allocations_left = 0;
	assert_false(push_hub_disconnect(world->hub, &order));
	allocations_left = -1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_is_known_at_once_is_started_at_once),
		TEST(who_is_known_late_is_not_read_from_until_then),
		TEST(each_refusal_has_its_code_and_is_counted_once),
		TEST(a_client_that_has_gone_is_not_missed_by_the_answer),
		TEST(a_client_that_is_being_closed_is_not_started_by_the_answer),
		TEST(a_client_whose_connection_has_ended_is_not_started_by_the_answer),
		TEST(without_memory_a_client_is_put_off),
		TEST(where_the_budget_has_no_room_for_an_identity_a_client_is_put_off_and_told_why),
		TEST(where_the_budget_has_no_room_for_another_token_a_client_keeps_what_it_has),
		TEST(a_first_message_brings_the_token),
		TEST(who_brings_no_token_in_time_is_closed_and_counted_as_one_without),
		TEST(a_token_that_came_in_time_may_take_longer_to_be_looked_at),
		TEST(a_first_identity_without_the_right_leaves_what_was_asked_for_as_it_was),
		TEST(a_token_without_the_right_ends_it),
		TEST(another_token_of_the_same_user_is_taken),
		TEST(another_users_token_changes_nothing),
		TEST(a_late_answer_for_another_token_finds_the_client_in_any_state),
		TEST(a_connection_of_nobodys_becomes_a_users_and_stays_that_users),
		TEST(a_login_counts_for_its_user_and_only_where_there_is_room),
		TEST(a_renewal_keeps_the_ticket_that_has_opened_the_connection),
		TEST(each_connection_that_is_reported_is_reported_once_as_opened_and_then_as_closed),
		TEST(a_client_is_warned_once_and_closed_when_its_identity_ends),
		cmocka_unit_test_setup_teardown(an_identity_ends_in_the_far_future_or_has_ended_long_ago,
			open_old_world, close_world),
		TEST(a_client_whose_identity_ends_while_it_waits_for_the_engine_gets_nothing_more),
		TEST(connections_of_a_user_a_token_or_a_key_are_ended_and_no_others),
		TEST(connections_with_a_newer_token_than_those_that_are_revoked_stay),
		TEST(connections_that_began_before_the_time_of_an_order_are_ended_and_later_ones_stay),
		TEST(a_connection_that_has_lasted_for_a_day_is_as_old_as_it_is),
		TEST(clients_that_come_back_at_once_do_not_hold_up_the_next_order),
		TEST(orders_that_wait_share_a_walk_and_each_ends_its_own),
		TEST(too_many_orders_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
