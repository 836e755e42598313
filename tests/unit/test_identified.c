/* A subscriber's identity over its life, in a hub without a broker around it. */
#include "unit.h"

#include "failing_alloc.h"

#include <stdlib.h>

#include "core/channels.h"
#include "core/hub.h"
#include "core/identified.h"
#include "core/limiter.h"
#include "core/limits.h"
#include "core/subscriber.h"

#define SECOND_US 1000000ull
#define CLIENTS   4

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
	struct push_options options;
	struct push_stats stats;
	struct push_transport transport;
	struct push_limiter *limiter;
	struct push_hub *hub;
	uint64_t now_us, began_us;
	unsigned int asked;
	const struct push_identity *anonymous, *ann, *less, *brief;
	struct client clients[CLIENTS];
};

static void
on_ready(void *context)
{
	(void)context;
}

static void
say(void *context, const char *line)
{
	(void)context;
	(void)line;
}

static void
authenticate(void *context, struct push_subscriber *subscriber, const struct push_command *command)
{
	struct world *world = context;

	assert_non_null(subscriber);
	assert_int_equal(command->kind, PUSH_COMMAND_AUTH);
	world->asked++;
}

static const struct push_identity *
identity(const char *name, const char *pattern, uint64_t expires_us)
{
	const struct push_identity_facts facts = {.user = {name, name ? strlen(name) : 0},
		.expires_us = expires_us,
		.issued_s = 1,
		.is_anonymous = !name};
	struct push_identity_builder *builder = push_identity_build(&facts);
	const struct push_identity *made;
	struct push_error error;

	assert_int_equal(push_identity_grant(builder, PUSH_RIGHT_SUBSCRIBE,
				 (struct push_str){pattern, strlen(pattern)}, &error),
		PUSH_OK);
	made = push_identity_done(builder);
	assert_non_null(made);
	return made;
}

static int
open_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	enum push_status status;

	push_options_init(&world->options);
	world->options.limit_user_connections = 1;
	world->options.lifetime_min_us = world->options.lifetime_max_us = PUSH_DURATION_US_MAX;
	world->now_us = world->began_us = 1000 * SECOND_US;
	world->transport = fake;
	world->transport.set_reading = fake_set_reading;
	world->hub = push_hub_create(&world->options, &world->stats, 42, world->now_us, on_ready, world);
	world->anonymous = identity(NULL, "open", UINT64_MAX);
	world->ann = identity("ann", "**", UINT64_MAX);
	world->less = identity("ann", "kept", UINT64_MAX);
	world->brief = identity("ann", "**", world->now_us + 40 * SECOND_US);
	world->limiter = push_limiter_create(&world->options, &world->stats, 1, say, NULL, &status);
	assert_non_null(world->limiter);
	push_hub_limit(world->hub, world->limiter);
	*state = world;
	return 0;
}

static int
open_guarded(void **state)
{
	(void)open_world(state);
	push_hub_guard(((struct world *)*state)->hub, authenticate, *state);
	return 0;
}

static void
go(struct client *client)
{
	push_subscriber_destroy(client->subscriber);
	client->subscriber = NULL;
}

static int
close_world(void **state)
{
	struct world *world = *state;

	for (size_t i = 0; i < CLIENTS; i++)
		go(&world->clients[i]);
	push_hub_destroy(world->hub);
	push_limiter_destroy(world->limiter);
	push_identity_unref(world->anonymous);
	push_identity_unref(world->ann);
	push_identity_unref(world->less);
	push_identity_unref(world->brief);
	free(world);
	return 0;
}

static void
pass(struct world *world, uint64_t us)
{
	for (uint64_t end_us = world->now_us + us; world->now_us < end_us; world->now_us += SECOND_US / 4) {
		for (size_t i = 0; i < CLIENTS; i++)
			if (world->clients[i].subscriber)
				push_subscriber_heard(world->clients[i].subscriber);
		while (push_hub_tick(world->hub, world->now_us, 1000))
			;
		while (push_hub_flush(world->hub, world->now_us, 4))
			;
	}
}

static struct client *
arrive(struct world *world, size_t index)
{
	struct client *client = &world->clients[index];

	*client = (struct client){.room = SIZE_MAX, .is_read = true};
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &world->transport, client);
	return client;
}

static void
subscribe(struct world *world, struct client *client, const char *list)
{
	struct push_channels channels;
	struct push_error error;

	assert_int_equal(
		push_channels_parse(&channels, list, strlen(list), &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	push_subscriber_start(client->subscriber, world->now_us);
}

static struct client *
come(struct world *world, size_t index, const char *list, const struct push_identity *who)
{
	struct client *client = arrive(world, index);

	assert_int_equal(push_subscriber_identify(client->subscriber, who, world->now_us), PUSH_OK);
	subscribe(world, client, list);
	return client;
}

static bool
has(struct world *world, struct client *client, const char *text)
{
	while (push_hub_flush(world->hub, world->now_us, 4))
		;
	return memmem(client->got, client->size, text, strlen(text));
}

static bool
has_code(struct world *world, struct client *client, unsigned int code)
{
	const char frame[] = {(char)0x88, 2, (char)(code >> 8), (char)code};

	while (push_hub_flush(world->hub, world->now_us, 4))
		;
	return memmem(client->got, client->size, frame, sizeof(frame));
}

static void
receive(struct world *world, struct client *client, const char *text)
{
	push_subscriber_receive(client->subscriber, text, strlen(text), world->now_us);
}

static enum push_status
renew(struct world *world, struct client *client, const struct push_identity *who)
{
	return push_subscriber_renew(client->subscriber, who, world->now_us);
}

static uint64_t
hears(struct world *world, const char *channel)
{
	uint64_t count;

	assert_int_equal(
		push_hub_deliver(world->hub, channel, strlen(channel), "1", 1, 0, world->now_us, &count),
		PUSH_OK);
	return count;
}

/* --- before it is known --- */

static void
in_a_hub_that_is_not_guarded_everybody_is_everybody(void **state)
{
	struct world *world = *state;
	struct client *client = arrive(world, 0);

	subscribe(world, client, "a");
	assert_ptr_equal(push_subscriber_identity(client->subscriber), push_identity_everybody());
	receive(world, client, "{\"event\":\"auth\",\"data\":{\"token\":\"x\"}}");
	receive(world, client, "{\"event\":\"subscribe\",\"data\":{\"channels\":[\"b\"]}}");
	assert_int_equal(hears(world, "b"), 1);
	assert_false(has(world, client, "error"));
	assert_int_equal(push_hub_memory(world->hub)->accounts[PUSH_MEMORY_IDENTITIES].bytes, 0);
}

static void
of_a_client_that_is_not_known_only_auth_and_pings_are_heeded(void **state)
{
	static const char *const commands[] = {"{\"event\":\"subscribe\",\"data\":{\"channels\":[\"a\"]}}",
		"{\"event\":\"unsubscribe\",\"data\":{\"channels\":[\"a\"]}}",
		"{\"event\":\"publish\",\"data\":{\"channel\":\"a\",\"message\":1}}",
		"{\"event\":\"resume\",\"data\":{\"id\":\"0.a.0\"}}",
		"{\"event\":\"ack\",\"data\":{\"id\":\"0.a.0\"}}"};
	struct world *world = *state;
	struct client *client = arrive(world, 0);

	push_subscriber_await_identity(client->subscriber, true, world->now_us);
	assert_true(push_subscriber_is_unidentified(client->subscriber));
	assert_null(push_subscriber_identity(client->subscriber));
	for (size_t i = 0; i < COUNT(commands); i++) {
		client->size = 0;
		receive(world, client, commands[i]);
		assert_true(has(world, client, "send 'auth' with a token first"));
	}
	client->size = 0;
	receive(world, client, "{\"event\":\"ping\",\"data\":{}}");
	assert_true(has(world, client, "pong"));
	assert_int_equal(world->asked, 0);
	receive(world, client, "{\"event\":\"auth\",\"data\":{\"token\":\"x\"}}");
	assert_int_equal(world->asked, 1);
	assert_int_equal(hears(world, "a"), 0);
	assert_int_equal(renew(world, client, world->ann), PUSH_UNAVAILABLE);
	assert_int_equal(push_subscriber_identify(client->subscriber, world->ann, world->now_us), PUSH_OK);
	subscribe(world, client, "a");
	assert_int_equal(hears(world, "a"), 1);
}

static void
a_client_has_the_grace_period_to_show_a_token_and_as_long_as_it_takes_to_be_told(void **state)
{
	struct world *world = *state;
	struct client *slow = arrive(world, 0), *asking = arrive(world, 1);

	push_subscriber_await_identity(slow->subscriber, true, world->now_us);
	push_subscriber_await_identity(asking->subscriber, true, world->now_us);
	push_subscriber_await_identity(asking->subscriber, false, world->now_us);
	assert_true(slow->is_read);
	assert_false(asking->is_read);
	pass(world, world->options.grace_us - SECOND_US / 2);
	assert_false(has_code(world, slow, 4401));
	/* however often it tries: the grace period is one */
	push_subscriber_await_identity(slow->subscriber, true, world->now_us);
	pass(world, SECOND_US);
	assert_true(has(world, slow, "no token came in time"));
	assert_true(has_code(world, slow, 4401));
	pass(world, 10 * world->options.grace_us);
	assert_int_equal(asking->size, 0);
	assert_int_equal(world->stats.auth_refused[PUSH_AUTH_MISSING], 1);
}

/* --- another one --- */

static void
a_renewal_puts_off_the_end_and_is_warned_of_anew(void **state)
{
	struct world *world = *state;
	struct client *client = come(world, 0, "a", world->brief);
	const struct push_identity *later = identity("ann", "**", world->began_us + 100 * SECOND_US);

	pass(world, 9 * SECOND_US);
	assert_false(has(world, client, "expiring"));
	pass(world, 2 * SECOND_US);
	assert_true(has(world, client, "expiring"));
	client->size = 0;
	assert_int_equal(renew(world, client, later), PUSH_OK);
	push_identity_unref(later);
	assert_true(has(world, client, "{\"event\":\"authenticated\",\"data\":{\"expires_in\":"));
	pass(world, 50 * SECOND_US); /* past the first one's end */
	assert_false(has(world, client, "expiring"));
	assert_int_equal(hears(world, "a"), 1);
	pass(world, 15 * SECOND_US);
	assert_true(has(world, client, "expiring"));
	pass(world, 30 * SECOND_US);
	assert_true(has(world, client, "the token has expired"));
	assert_true(has_code(world, client, 4401));
	assert_int_equal(hears(world, "a"), 0);
}

static void
a_renewal_without_an_end_has_no_end(void **state)
{
	struct world *world = *state;
	struct client *client = come(world, 0, "a", world->brief);

	assert_int_equal(renew(world, client, world->ann), PUSH_OK);
	assert_true(has(world, client, "{\"event\":\"authenticated\",\"data\":{}}"));
	pass(world, 3600 * SECOND_US / 4);
	assert_int_equal(hears(world, "a"), 1);
}

static void
each_channel_that_is_not_granted_any_more_is_left_with_the_reason_and_no_other(void **state)
{
	static const char *const lists[] = {"kept", "a,kept,b", "a,b,kept", "kept,a,b", "a"};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(lists); i++) {
		struct client *client = come(world, 0, lists[i], world->ann);

		receive(world, client, "{\"event\":\"subscribe\",\"data\":{\"channels\":[\"c\"]}}");
		client->size = 0;
		assert_int_equal(renew(world, client, world->less), PUSH_OK);
		assert_int_equal(hears(world, "a") + hears(world, "b") + hears(world, "c"), 0);
		assert_int_equal(hears(world, "kept"), strstr(lists[i], "kept") != NULL);
		assert_int_equal(has(world, client, "no right to subscribe to 'a'"), i > 0);
		assert_true(has(world, client, "no right to subscribe to 'c'"));
		assert_false(has(world, client, "to 'kept'"));
		receive(world, client, "{\"event\":\"subscribe\",\"data\":{\"channels\":[\"a\"]}}");
		assert_int_equal(hears(world, "a"), 0);
		go(client);
	}
}

static void
a_user_has_no_more_connections_than_the_limit_whichever_way_they_became_its_own(void **state)
{
	struct world *world = *state;
	struct client *first = come(world, 0, "open", world->anonymous);
	struct client *second = come(world, 1, "open", world->anonymous);

	assert_int_equal(renew(world, first, world->ann), PUSH_OK);
	assert_int_equal(renew(world, second, world->ann), PUSH_LIMITED);
	assert_ptr_equal(push_subscriber_identity(second->subscriber), world->anonymous);
	assert_int_equal(push_subscriber_identify(arrive(world, 2)->subscriber, world->ann, world->now_us),
		PUSH_LIMITED);
	assert_int_equal(renew(world, first, world->less), PUSH_OK); /* is one connection still */
	go(first);
	assert_int_equal(renew(world, second, world->ann), PUSH_OK);
	assert_int_equal(renew(world, second, world->anonymous), PUSH_REFUSED);
	go(second);
	assert_int_equal(
		push_subscriber_identify(world->clients[2].subscriber, world->ann, world->now_us), PUSH_OK);
}

static void
a_client_that_is_being_closed_gets_no_other_identity(void **state)
{
	struct world *world = *state;
	struct client *client = come(world, 0, "a", world->ann);

	push_subscriber_close(client->subscriber, PUSH_CLOSE_LIFETIME, world->now_us);
	assert_int_equal(renew(world, client, world->less), PUSH_UNAVAILABLE);
	assert_false(has(world, client, "authenticated"));
}

static void
without_memory_an_identity_is_neither_taken_nor_counted(void **state)
{
	struct world *world = *state;
	struct client *client = arrive(world, 0);

	allocations_left = 0;
	assert_int_equal(
		push_subscriber_identify(client->subscriber, world->ann, world->now_us), PUSH_OUT_OF_MEMORY);
	allocations_left = -1;
	assert_null(push_subscriber_identity(client->subscriber));
	/* the user's one connection is free yet */
	assert_int_equal(push_subscriber_identify(client->subscriber, world->ann, world->now_us), PUSH_OK);
	subscribe(world, client, "a,kept");
	for (int left = 0; left < 40; left++) {
		allocations_left = left;
		(void)renew(world, client, left % 2 ? world->ann : world->less);
		allocations_left = -1;
		if (!hears(world, "kept"))
			break; /* it could not be told, and is closed */
		assert_true(left % 2 || !hears(world, "a"));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_guarded, close_world)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			in_a_hub_that_is_not_guarded_everybody_is_everybody, open_world, close_world),
		TEST(of_a_client_that_is_not_known_only_auth_and_pings_are_heeded),
		TEST(a_client_has_the_grace_period_to_show_a_token_and_as_long_as_it_takes_to_be_told),
		TEST(a_renewal_puts_off_the_end_and_is_warned_of_anew),
		TEST(a_renewal_without_an_end_has_no_end),
		TEST(each_channel_that_is_not_granted_any_more_is_left_with_the_reason_and_no_other),
		TEST(a_user_has_no_more_connections_than_the_limit_whichever_way_they_became_its_own),
		TEST(a_client_that_is_being_closed_gets_no_other_identity),
		TEST(without_memory_an_identity_is_neither_taken_nor_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
