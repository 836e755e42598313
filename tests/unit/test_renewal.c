/* The token of an event stream is renewed by a control request, over a hub and an authenticator that the test answers
 * for. */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/renewal.h"
#include "core/hub.h"
#include "core/identified.h"
#include "core/limits.h"
#include "core/subscriber.h"
#include "core/tokens.h"

#define NOW       1000000000ull
#define SECOND_US 1000000ull

static const char here[] = "0123456789abcdef.000102030405060708090a0b0c0d0e0f";
static const char there[] = "fedcba9876543210.000102030405060708090a0b0c0d0e0f";

struct client {
	struct push_subscriber *subscriber;
	char got[16384];
	size_t size, room;
	bool closed;
};

#include "fake_transport.h"

struct world {
	struct push_authenticator authenticator; /* first: the two are cast into each other */
	struct push_options options;
	struct push_stats stats;
	struct push_hub *hub;
	struct push_renewals renewals;
	struct client client;
	const struct push_identity *ann, *ann_less, *bob;
	bool is_late, is_revoked;
	struct push_verdict verdict; /* of the next question */
	push_verdict_fn done;        /* NULL: nobody waits */
	void *context;
	char shown[64], asked[256], answer[512];
	unsigned int status, answers, questions;
};

static uint64_t
now(void)
{
	return NOW;
}

static void
on_ready(void *context)
{
	(void)context;
}

static void
authenticate(void *context, struct push_subscriber *subscriber, const struct push_command *command)
{
	(void)context;
	(void)subscriber;
	(void)command;
}

/* --- the authenticator, and the other nodes --- */

static void
decide(struct world *world)
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
	assert_int_equal(credential->kind, PUSH_CREDENTIAL_TOKEN);
	snprintf(world->shown, sizeof(world->shown), "%.*s", (int)credential->text.size,
		credential->text.bytes);
	world->done = done;
	world->context = context;
	world->questions++;
	if (!world->is_late)
		decide(world);
}

static bool
is_revoked(struct push_authenticator *authenticator, const struct push_identity *identity)
{
	assert_non_null(identity);
	return ((struct world *)authenticator)->is_revoked;
}

static void
write_identity(
	struct push_authenticator *authenticator, const struct push_identity *identity, struct push_buf *to)
{
	(void)authenticator;
	push_buf_append_text(to, "<");
	push_buf_append(
		to, push_identity_facts(identity).user.bytes, push_identity_facts(identity).user.size);
	push_buf_append_text(to, ">");
}

static const struct push_identity *
read_identity(struct push_authenticator *authenticator, struct push_str text)
{
	struct world *world = (struct world *)authenticator;

	return push_str_is(text, "<ann>") ? push_identity_ref(world->ann_less) : NULL;
}

static bool
is_here(void *context, const char *token)
{
	(void)context;
	return !memcmp(token, here, PUSH_TOKEN_NODE_BYTES);
}

static void
on_answer(void *context, const struct push_answer *answer)
{
	struct world *world = context;

	world->answers++;
	world->status = answer->status;
	snprintf(world->answer, sizeof(world->answer), "%.*s", (int)answer->size, answer->body);
}

static void
ask(void *context, const char *token, const char *verb, const struct push_buf *text, push_answer_fn answer,
	void *answer_context)
{
	struct world *world = context;

	assert_memory_equal(token, there, PUSH_TOKEN_BYTES);
	assert_string_equal(verb, PUSH_VERB_RENEW);
	snprintf(world->asked, sizeof(world->asked), "%.*s", (int)text->size, text->bytes);
	answer(answer_context, &(struct push_answer){200, "application/json", "{\"there\":1}", 11, 0});
}

/* --- the world --- */

static const struct push_identity *
user(const char *name, const char *pattern, uint64_t expires_us)
{
	const struct push_identity_facts facts = {
		.user = {name, strlen(name)}, .expires_us = expires_us, .issued_s = 1};
	struct push_identity_builder *builder = push_identity_build(&facts);
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
come(struct world *world)
{
	struct client *client = &world->client;
	struct push_channels channels;
	struct push_error error;

	client->room = SIZE_MAX;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_SSE, &fake, client);
	assert_int_equal(push_subscriber_identify(client->subscriber, world->ann, now()), PUSH_OK);
	assert_int_equal(push_channels_parse(&channels, "a,b", 3, &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	assert_int_equal(push_subscriber_control(client->subscriber, here), PUSH_OK);
	push_subscriber_start(client->subscriber, NOW);
}

static void
go(struct world *world)
{
	push_subscriber_destroy(world->client.subscriber);
	world->client.subscriber = NULL;
}

static int
open_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	push_options_init(&world->options);
	world->authenticator = (struct push_authenticator){.identify = identify,
		.is_revoked = is_revoked,
		.write_identity = write_identity,
		.read_identity = read_identity};
	world->hub = push_hub_create(&world->options, &world->stats, 42, NOW, on_ready, world);
	push_hub_guard(world->hub, authenticate, world);
	world->ann = user("ann", "**", UINT64_MAX);
	world->ann_less = user("ann", "b", NOW + 90 * SECOND_US);
	world->bob = user("bob", "**", UINT64_MAX);
	world->renewals = (struct push_renewals){.authenticator = &world->authenticator,
		.hub = world->hub,
		.stats = &world->stats,
		.now_us = now,
		.is_here = is_here,
		.ask = ask,
		.context = world};
	come(world);
	*state = world;
	return 0;
}

static int
close_world(void **state)
{
	struct world *world = *state;

	assert_null(world->done);
	go(world);
	push_hub_destroy(world->hub);
	push_identity_unref(world->ann);
	push_identity_unref(world->ann_less);
	push_identity_unref(world->bob);
	free(world);
	return 0;
}

static void
renew(struct world *world, const char *token, const char *body)
{
	const struct push_control_request request = {
		.token = token, .token_size = PUSH_TOKEN_BYTES, .body = body, .size = strlen(body)};

	assert_true(push_renewal_is(&world->renewals, &request));
	world->answer[0] = '\0';
	push_renewal_request(&world->renewals, &request, on_answer, world);
}

static void
renew_as(struct world *world, const char *token, const struct push_identity *identity)
{
	world->verdict = (struct push_verdict){.identity = identity};
	renew(world, token, "{\"auth\":{\"token\":\"secret\"}}");
}

static uint64_t
hears(struct world *world, const char *channel)
{
	uint64_t count;

	assert_int_equal(
		push_hub_deliver(world->hub, channel, strlen(channel), "1", 1, 0, NOW, &count), PUSH_OK);
	return count;
}

static bool
has_got(struct world *world, const char *text)
{
	while (push_hub_flush(world->hub, NOW, 16))
		;
	return memmem(world->client.got, world->client.size, text, strlen(text));
}

/* --- here --- */

static void
only_a_request_with_auth_brings_a_token(void **state)
{
	static const struct {
		const char *body;
		bool is_renewal;
	} rows[] = {
		{"{\"auth\":{\"token\":\"x\"}}", true},
		{"{\"auth\":1}", true}, /* it means to, and is told what is wrong */
		{"{\"auth\":{},\"subscribe\":[\"c\"]}", true},
		{"{\"subscribe\":[\"auth\"]}", false},
		{"{}", false},
		{"", false},
		{"[{\"auth\":{}}]", false},
		{"{\"auth\":", false},
	};
	struct world *world = *state;
	struct push_renewals nobody = world->renewals;

	nobody.authenticator = NULL;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_control_request request = {.token = here,
			.token_size = PUSH_TOKEN_BYTES,
			.body = rows[i].body,
			.size = strlen(rows[i].body)};

		assert_int_equal(push_renewal_is(&world->renewals, &request), rows[i].is_renewal);
		assert_false(push_renewal_is(&nobody, &request));
		request.token_size--;
		assert_false(push_renewal_is(&world->renewals, &request));
	}
}

static void
a_stream_of_this_node_has_the_new_token_and_leaves_what_that_does_not_grant(void **state)
{
	struct world *world = *state;

	renew_as(world, here, world->ann_less);
	assert_int_equal(world->status, 200);
	assert_string_equal(world->answer, "{\"authenticated\":{\"expires_in\":90}}");
	assert_string_equal(world->shown, "secret");
	assert_ptr_equal(push_subscriber_identity(world->client.subscriber), world->ann_less);
	assert_int_equal(hears(world, "a"), 0);
	assert_int_equal(hears(world, "b"), 1);
	assert_true(has_got(world, "no right to subscribe to 'a'"));
	assert_true(has_got(world, "event:authenticated"));
	renew_as(world, here, world->ann);
	assert_string_equal(world->answer, "{\"authenticated\":{}}");
	assert_int_equal(world->answers, 2);
}

static void
a_token_that_is_another_users_or_not_good_changes_nothing(void **state)
{
	struct world *world = *state;
	char unknown[] = "0123456789abcdef.ffffffffffffffffffffffffffffffff";

	renew_as(world, here, world->bob);
	assert_int_equal(world->status, 403);
	assert_string_equal(world->answer, "{\"error\":\"the token is another user's\"}");
	renew_as(world, unknown, world->ann_less);
	assert_int_equal(world->status, 404);
	world->verdict = (struct push_verdict){
		.status = 401, .why = PUSH_AUTH_SIGNATURE, .text = "the token's signature is wrong"};
	renew(world, here, "{\"auth\":{\"token\":\"secret\"}}");
	assert_int_equal(world->status, 401);
	assert_string_equal(world->answer, "{\"error\":\"the token's signature is wrong\"}");
	assert_int_equal(world->stats.auth_refused[PUSH_AUTH_SIGNATURE], 1);
	assert_int_equal(world->stats.auth_refused[PUSH_AUTH_CLAIMS], 1);
	assert_ptr_equal(push_subscriber_identity(world->client.subscriber), world->ann);
	assert_int_equal(hears(world, "a") + hears(world, "b"), 2);
	assert_int_equal(world->answers, 3);
}

static void
what_is_no_token_is_refused_before_anybody_is_asked(void **state)
{
	static const char *const bodies[] = {
		"{\"auth\":1}",
		"{\"auth\":null}",
		"{\"auth\":[]}",
		"{\"auth\":\"secret\"}",
		"{\"auth\":{}}",
		"{\"auth\":{\"token\":7}}",
		"{\"auth\":{\"token\":null}}",
		"{\"auth\":{\"token\":\"\"}}",
		"{\"auth\":{\"token\":{\"token\":\"secret\"}}}",
		"{\"auth\":{\"token\":\"secret\"},\"subscribe\":[\"c\"]}",
		"{\"auth\":{\"token\":\"secret\"},\"unsubscribe\":[\"a\"]}",
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(bodies); i++) {
		renew(world, here, bodies[i]);
		assert_int_equal(world->status, 400);
		assert_int_equal(world->answers, i + 1);
	}
	assert_int_equal(world->questions, 0);
	assert_int_equal(hears(world, "c"), 0);
	assert_int_equal(hears(world, "a"), 1);
}

static void
a_token_over_4_kb_is_refused_before_anybody_is_asked(void **state)
{
	struct world *world = *state;
	char body[PUSH_SECRET_BYTES_MAX + 64];
	int size =
		snprintf(body, sizeof(body), "{\"auth\":{\"token\":\"%0*d\"}}", PUSH_SECRET_BYTES_MAX + 1, 0);

	assert_true(size < (int)sizeof(body));
	renew(world, here, body);
	assert_int_equal(world->status, 400);
	assert_int_equal(world->questions, 0);
}

static void
a_late_answer_finds_that_the_stream_has_ended(void **state)
{
	struct world *world = *state;

	world->is_late = true;
	renew_as(world, here, world->ann_less);
	assert_int_equal(world->answers, 0);
	go(world);
	decide(world);
	assert_int_equal(world->answers, 1);
	assert_int_equal(world->status, 404);
	come(world);
	renew_as(world, here, world->ann_less);
	push_subscriber_close(world->client.subscriber, PUSH_CLOSE_LIFETIME, NOW);
	decide(world);
	assert_int_equal(world->answers, 2);
	assert_true(world->status == 404 || world->status == 503);
}

/* --- there --- */

static void
the_identity_goes_to_the_streams_node_and_the_token_does_not(void **state)
{
	struct world *world = *state;
	char expected[128];

	renew_as(world, there, world->ann_less);
	snprintf(expected, sizeof(expected), "%s <ann>", there);
	assert_string_equal(world->asked, expected);
	assert_string_equal(world->answer, "{\"there\":1}");
	assert_int_equal(world->answers, 1);
	assert_ptr_equal(push_subscriber_identity(world->client.subscriber), world->ann);
}

static enum push_status
serve(struct world *world, const char *token, const char *rest)
{
	char text[128];

	snprintf(text, sizeof(text), "%s%s", token, rest);
	return push_renewal_serve(&world->renewals, text, strlen(text), on_answer, world);
}

static void
what_another_node_sends_renews_the_stream_of_this_one(void **state)
{
	struct world *world = *state;

	assert_int_equal(serve(world, here, " <ann>"), PUSH_OK);
	assert_int_equal(world->status, 200);
	assert_int_equal(hears(world, "a"), 0);
	assert_ptr_equal(push_subscriber_identity(world->client.subscriber), world->ann_less);
	assert_int_equal(serve(world, there, " <ann>"), PUSH_OK);
	assert_int_equal(world->status, 404);
	assert_int_equal(world->answers, 2);
}

static void
what_was_revoked_on_its_way_is_refused_by_the_streams_node(void **state)
{
	struct world *world = *state;

	world->is_revoked = true;
	assert_int_equal(serve(world, here, " <ann>"), PUSH_OK);
	assert_int_equal(world->status, 401);
	assert_string_equal(world->answer, "{\"error\":\"the token was revoked\"}");
	assert_int_equal(hears(world, "a"), 1);
	assert_int_equal(world->answers, 1);
}

static void
what_no_node_sends_is_no_question(void **state)
{
	static const char *const texts[] = {"", " ", " <bob>", "<ann>", "  <ann>", " <ann> "};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(texts); i++)
		assert_int_equal(serve(world, here, texts[i]), PUSH_NOT_FOUND);
	assert_int_equal(push_renewal_serve(&world->renewals, here, 3, on_answer, world), PUSH_NOT_FOUND);
	world->renewals.authenticator = NULL;
	assert_int_equal(serve(world, here, " <ann>"), PUSH_NOT_FOUND);
	assert_int_equal(world->answers, 0);
}

/* --- memory --- */

static void
without_memory_there_is_one_answer_and_the_stream_has_the_old_token_or_the_new_one(void **state)
{
	struct world *world = *state;
	const char *const tokens[] = {here, there};

	for (size_t i = 0; i < COUNT(tokens); i++) {
		world->status = 0;
		for (long left = 0; world->status != 200; left++) {
			unsigned int answers = world->answers;

			go(world);
			world->client = (struct client){.subscriber = NULL};
			come(world);
			allocations_left = left;
			renew_as(world, tokens[i], world->ann_less);
			allocations_left = -1;
			assert_true(left < 200);
			assert_int_equal(world->answers, answers + 1);
			assert_true(world->status == 200 || world->status == 503);
		}
	}
	assert_ptr_equal(push_subscriber_identity(world->client.subscriber), world->ann);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_a_request_with_auth_brings_a_token),
		TEST(a_stream_of_this_node_has_the_new_token_and_leaves_what_that_does_not_grant),
		TEST(a_token_that_is_another_users_or_not_good_changes_nothing),
		TEST(what_is_no_token_is_refused_before_anybody_is_asked),
		TEST(a_token_over_4_kb_is_refused_before_anybody_is_asked),
		TEST(a_late_answer_finds_that_the_stream_has_ended),
		TEST(the_identity_goes_to_the_streams_node_and_the_token_does_not),
		TEST(what_another_node_sends_renews_the_stream_of_this_one),
		TEST(what_was_revoked_on_its_way_is_refused_by_the_streams_node),
		TEST(what_no_node_sends_is_no_question),
		TEST(without_memory_there_is_one_answer_and_the_stream_has_the_old_token_or_the_new_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
