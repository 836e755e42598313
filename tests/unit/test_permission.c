/*
 * The application is asked about publishes that an identity does not grant: of requests, lines and WebSockets, with an engine
 * and an application that answer when the test says so.  Nothing of a message is published before its answer, what one
 * client sends keeps its order, and wherever memory ends or a client goes, nothing is left behind.
 */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>

#include "broker/client_publishes.h"
#include "broker/lines.h"
#include "broker/message.h"
#include "broker/permission.h"
#include "core/hub.h"
#include "core/identified.h"
#include "core/subscriber.h"
#include "core/values.h"

#define NOW 1000000000ull

struct client {
	struct push_subscriber *subscriber;
	char got[65536];
	size_t size, room;
	bool closed, is_read;
};

#include "fake_transport.h"

#define QUESTIONS_MAX 8

struct world {
	struct push_engine engine; /* first: the two are cast into each other */
	struct push_authenticator authenticator;
	struct push_options options;
	struct push_stats stats;
	struct push_memory *memory;
	struct push_hub *hub;
	struct push_publisher publisher;
	struct push_client_publishes publishes;
	struct push_values *values;
	struct client client;
	const struct push_identity *nobody, *ann; /* nobody: may publish to `mine` */
	const struct push_identity *grants;       /* an answer: may publish to `a` and `b`, and is ann */
	/* the application */
	struct push_verdict at_once; /* with a text or an identity: the answer, in the call */
	struct {
		push_verdict_fn done;
		void *context;
	} questions[QUESTIONS_MAX];
	size_t asked, open;
	char channels[8192], path[64], user[64];
	/* what came of it */
	char published[16384], answer[4096];
	unsigned int answers, status, retry_after_s, readies;
	size_t claims;
	bool has_address; /* of who publishes: */
	struct push_address address;
};

static uint64_t
now_us(void)
{
	return NOW;
}

static void
append(char *to, size_t size, const char *text, size_t text_size)
{
	size_t before = strlen(to);

	assert_true(before + text_size < size);
	memcpy(to + before, text, text_size);
	to[before + text_size] = '\0';
}

static void
fake_publish(struct push_engine *engine, const struct push_publication *publication, uint64_t now,
	push_publish_done_fn done, void *context)
{
	struct world *world = (struct world *)engine;

	(void)now;
	append(world->published, sizeof(world->published), publication->channel, publication->channel_size);
	append(world->published, sizeof(world->published), "=", 1);
	append(world->published, sizeof(world->published), publication->value, publication->value_size);
	append(world->published, sizeof(world->published), " ", 1);
	done(context, PUSH_OK, 1);
}

static void
fake_put(struct push_engine *engine, const char *name, size_t name_size, const char *value, size_t size,
	uint64_t ttl_us, bool only_if_new, uint64_t now, push_value_done_fn done, void *context)
{
	struct world *world = (struct world *)engine;
	const char *before;
	size_t before_size;

	world->claims += only_if_new;
	if (only_if_new &&
		push_values_get(world->values, name, name_size, now, &before, &before_size) == PUSH_OK)
		done(context, PUSH_OK, before, before_size);
	else
		done(context, push_values_put(world->values, name, name_size, value, size, ttl_us, now), NULL,
			0);
}

/* --- the application --- */

static struct world *
world_of(struct push_authenticator *authenticator)
{
	return (struct world *)(void *)((char *)authenticator - offsetof(struct world, authenticator));
}

static bool
asks_for_more(
	struct push_authenticator *authenticator, const struct push_identity *identity, enum push_right right)
{
	(void)authenticator;
	assert_int_equal(right, PUSH_RIGHT_PUBLISH);
	return push_identity_facts(identity).is_anonymous;
}

static void
copy(char *to, size_t size, struct push_str text)
{
	snprintf(to, size, "%.*s", (int)text.size, text.bytes ? text.bytes : "");
}

static void
ask_for_more(struct push_authenticator *authenticator, struct push_str user, const struct push_asked *asked,
	push_verdict_fn done, void *context)
{
	struct world *world = world_of(authenticator);

	assert_int_equal(asked->right, PUSH_RIGHT_PUBLISH);
	copy(world->channels, sizeof(world->channels), asked->channels);
	copy(world->path, sizeof(world->path), asked->path);
	copy(world->user, sizeof(world->user), user);
	world->asked++;
	if (world->at_once.text || world->at_once.identity) {
		done(context, &world->at_once);
		return;
	}
	assert_true(world->open < QUESTIONS_MAX);
	world->questions[world->open].done = done;
	world->questions[world->open++].context = context;
}

/* The oldest question. */
static void
answer(struct world *world, const struct push_verdict *verdict)
{
	push_verdict_fn done = world->questions[0].done;
	void *context = world->questions[0].context;

	assert_true(world->open);
	memmove(world->questions, world->questions + 1,
		sizeof(world->questions) - sizeof(world->questions[0]));
	world->open--;
	done(context, verdict);
}

static void
allow(struct world *world)
{
	answer(world, &(struct push_verdict){.identity = world->grants});
}

static void
refuse(struct world *world, unsigned int status, const char *text)
{
	char copied[64];

	snprintf(copied, sizeof(copied), "%s", text); /* is gone after the call */
	answer(world, &(struct push_verdict){
			      .status = status, .why = PUSH_AUTH_HOOK, .text = copied, .retry_after_s = 7});
	memset(copied, 'x', sizeof(copied));
}

static bool
is_revoked(struct push_authenticator *authenticator, const struct push_identity *identity)
{
	(void)authenticator;
	(void)identity;
	return false;
}

/* --- the world --- */

static const struct push_identity *
identity(const char *user, bool is_anonymous, const char *first, const char *second)
{
	const struct push_identity_facts facts = {.user = {user, strlen(user)},
		.expires_us = UINT64_MAX,
		.issued_s = INT64_MIN,
		.is_anonymous = is_anonymous,
		.asks_application = !is_anonymous};
	const char *const patterns[] = {first, second};
	struct push_identity_builder *builder = push_identity_build(&facts);
	struct push_error error;

	for (size_t i = 0; i < 2; i++)
		assert_int_equal(push_identity_grant(builder, PUSH_RIGHT_PUBLISH,
					 (struct push_str){patterns[i], strlen(patterns[i])}, &error),
			PUSH_OK);
	return push_identity_done(builder);
}

static void
set_reading(void *connection, bool on)
{
	((struct client *)connection)->is_read = on;
}

static const struct push_transport pausing = {.write = fake_write,
	.is_blocked = fake_is_blocked,
	.close = fake_close,
	.set_reading = set_reading,
	.fills_socket = true};

static void
on_ready_hub(void *context)
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

static void
come(struct world *world, const struct push_identity *as)
{
	struct client *client = &world->client;
	struct push_channels channels;
	struct push_error error;

	client->room = SIZE_MAX;
	client->is_read = true;
	client->subscriber = push_subscriber_create(world->hub, PUSH_ENCODING_WS, &pausing, client);
	assert_int_equal(push_subscriber_identify(client->subscriber, as, NOW), PUSH_OK);
	assert_int_equal(push_channels_parse(&channels, "z", 1, &world->options, &error), PUSH_OK);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	push_channels_fini(&channels);
	push_subscriber_start(client->subscriber, NOW);
}

static void
go(struct world *world)
{
	push_client_publishes_forget(&world->publishes, world->client.subscriber);
	push_subscriber_destroy(world->client.subscriber);
	world->client.subscriber = NULL;
}

static int
open_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	push_options_init(&world->options);
	world->engine = (struct push_engine){.publish = fake_publish, .value_put = fake_put};
	world->authenticator = (struct push_authenticator){
		.asks_for_more = asks_for_more, .ask_for_more = ask_for_more, .is_revoked = is_revoked};
	world->hub = push_hub_create(&world->options, &world->stats, 42, NOW, on_ready_hub, world);
	push_hub_guard(world->hub, authenticate, world);
	world->memory = push_hub_memory(world->hub);
	world->publisher = (struct push_publisher){.engine = &world->engine,
		.authenticator = &world->authenticator,
		.options = &world->options,
		.stats = &world->stats,
		.memory = world->memory,
		.now_us = now_us,
		.wake = on_ready_hub};
	push_publisher_init(&world->publisher);
	push_client_publishes_init(&world->publishes, &world->publisher);
	world->values = push_values_create(1, NULL, NOW);
	world->nobody = identity("", true, "mine", "mine:*");
	world->ann = identity("ann", false, "mine", "mine");
	world->grants = identity("ann", false, "a", "b");
	come(world, world->nobody);
	*state = world;
	return 0;
}

static int
close_world(void **state)
{
	struct world *world = *state;

	push_publisher_fini(&world->publisher);
	while (world->open) /* it may answer still */
		allow(world);
	assert_int_equal(world->publishes.count, 0);
	assert_int_equal(world->publishes.asking_count, 0);
	if (world->client.subscriber)
		go(world);
	assert_int_equal(world->memory->accounts[PUSH_MEMORY_REQUESTS].bytes, 0);
	push_hub_destroy(world->hub);
	push_values_destroy(world->values);
	push_identity_unref(world->nobody);
	push_identity_unref(world->ann);
	push_identity_unref(world->grants);
	free(world);
	return 0;
}

static void
on_answer(void *context, const struct push_answer *given)
{
	struct world *world = context;

	world->answers++;
	world->status = given->status;
	world->retry_after_s = given->retry_after_s;
	copy(world->answer, sizeof(world->answer), (struct push_str){given->body, given->size});
}

/* The texts are gone when the call returns. */
static void
publish(struct world *world, const char *text, const char *key, bool is_lines)
{
	char *body = strdup(text), *copied_key = key ? strdup(key) : NULL;
	const struct push_asked asked = {.path = {"/messages", 9}};

	world->answers = 0;
	world->published[0] = '\0';
	push_publisher_publish(&world->publisher,
		&(struct push_publish_request){.body = body,
			.size = strlen(text),
			.is_lines = is_lines,
			.key = copied_key,
			.key_size = key ? strlen(key) : 0,
			.identity = world->nobody,
			.address = world->has_address ? &world->address : NULL,
			.asked = &asked},
		on_answer, world);
	if (body)
		memset(body, 'x', strlen(text));
	free(body);
	free(copied_key);
}

static void
assert_answer(const struct world *world, unsigned int status, const char *text)
{
	assert_int_equal(world->answers, 1);
	assert_int_equal(world->status, status);
	assert_string_equal(world->answer, text);
}

#define ONE(channel, value) "{\"channel\":\"" channel "\",\"message\":" value "}"

/* --- requests --- */

static void
a_publish_waits_for_the_answer_about_its_channels(void **state)
{
	struct world *world = *state;

	publish(world, "{\"channels\":[\"a\",\"mine\",\"b\"],\"message\":1}", NULL, false);
	assert_string_equal(world->channels, "a,b");
	assert_string_equal(world->path, "/messages");
	assert_string_equal(world->published, "");
	assert_int_equal(world->answers, 0);
	assert_true(push_publisher_is_busy(&world->publisher));
	allow(world);
	assert_string_equal(world->published, "a=1 mine=1 b=1 ");
	assert_answer(world, 202, "{\"subscribers\":3}");
	assert_false(push_publisher_is_busy(&world->publisher));

	publish(world, ONE("a", "2"), NULL, false);
	refuse(world, 403, "not you");
	assert_answer(world, 403, "{\"error\":\"not you\"}");
	publish(world, ONE("a", "2"), NULL, false);
	refuse(world, 503, "away");
	assert_answer(world, 503, "{\"error\":\"away\"}");
	assert_int_equal(world->retry_after_s, 7);
	assert_int_equal(world->stats.auth_refused[PUSH_AUTH_HOOK], 2);
	/* rights that are less than what was asked for */
	publish(world, ONE("c", "2"), NULL, false);
	allow(world);
	assert_answer(world, 403, "{\"error\":\"no right to publish to 'c'\"}");
	assert_string_equal(world->published, "");
	assert_int_equal(world->asked, 4);
}

static void
nobody_is_asked_about_what_is_granted_or_wrong_or_a_tokens(void **state)
{
	struct world *world = *state;
	const struct push_identity *before = world->nobody;

	publish(world, ONE("mine", "1"), NULL, false);
	assert_answer(world, 202, "{\"subscribers\":1}");
	publish(world, "{\"channel\":\"a\"}", NULL, false);
	assert_int_equal(world->status, 400);
	world->nobody = world->ann;
	publish(world, ONE("a", "1"), NULL, false);
	world->nobody = before;
	assert_answer(world, 403, "{\"error\":\"no right to publish to 'a'\"}");
	assert_int_equal(world->asked, 0);
}

static void
of_several_messages_those_behind_the_first_question_wait_and_one_is_enough(void **state)
{
	struct world *world = *state;

	publish(world,
		"[" ONE("mine", "1") "," ONE("a", "2") ",{}," ONE("mine", "3") "," ONE("b", "4") "," ONE(
			"a", "5") "]",
		NULL, false);
	assert_string_equal(world->published, "mine=1 ");
	assert_string_equal(world->channels, "a,b");
	allow(world);
	assert_string_equal(world->published, "mine=1 a=2 mine=3 b=4 a=5 ");
	assert_int_equal(world->asked, 1);
	publish(world, "[" ONE("a", "1") "," ONE("mine", "2") "]", NULL, false);
	refuse(world, 403, "no");
	assert_answer(world, 202, "[{\"error\":\"no\",\"status\":403},{\"subscribers\":1}]");
	/* each line has a question of its own */
	publish(world, ONE("a", "1") "\n\n" ONE("mine", "2") "\n" ONE("b", "3") "\n", NULL, true);
	assert_string_equal(world->channels, "a");
	refuse(world, 403, "no");
	assert_string_equal(world->published, "mine=2 ");
	assert_string_equal(world->channels, "b");
	assert_string_equal(world->path, "/messages");
	allow(world);
	assert_answer(
		world, 202, "{\"error\":\"no\",\"status\":403}\n{\"subscribers\":1}\n{\"subscribers\":1}\n");
}

static void
an_answer_that_is_known_is_given_in_the_call(void **state)
{
	struct world *world = *state;

	world->at_once.identity = world->grants;
	publish(world, "[" ONE("a", "1") "," ONE("b", "2") "]", NULL, false);
	assert_answer(world, 202, "[{\"subscribers\":1},{\"subscribers\":1}]");
	publish(world, ONE("a", "1"), "key", false);
	assert_answer(world, 202, "{\"subscribers\":1}");
	world->at_once = (struct push_verdict){.status = 401, .why = PUSH_AUTH_HOOK, .text = "who"};
	publish(world, ONE("a", "1"), NULL, false);
	assert_answer(world, 401, "{\"error\":\"who\"}");
}

static void
a_key_is_claimed_after_the_answer_by_the_user_that_it_names(void **state)
{
	struct world *world = *state;

	publish(world, "[" ONE("mine", "1") "," ONE("a", "2") "]", "key", false);
	assert_string_equal(world->published, "");
	assert_int_equal(world->claims, 0);
	allow(world);
	assert_int_equal(world->claims, 1);
	assert_string_equal(world->published, "mine=1 a=2 ");
	publish(world, "[" ONE("mine", "1") "," ONE("a", "2") "]", "key", false);
	allow(world);
	assert_answer(world, 202, "[{\"subscribers\":1},{\"subscribers\":1}]");
	assert_string_equal(world->published, ""); /* it is a repeat */
	/* the same key of somebody who is not named */
	publish(world, ONE("mine", "3"), "key", false);
	assert_answer(world, 202, "{\"subscribers\":1}");
	/* what is refused claims nothing */
	world->claims = 0;
	publish(world, ONE("a", "1"), "other", false);
	refuse(world, 403, "no");
	assert_answer(world, 403, "{\"error\":\"no\"}");
	assert_int_equal(world->claims, 0);
}

static void
too_many_channels_are_refused_and_not_asked_about(void **state)
{
	struct world *world = *state;
	char body[16384] = "[";

	for (int i = 0; i <= (int)PUSH_PERMISSION_CHANNELS_MAX; i++)
		snprintf(body + strlen(body), 64, "%s{\"channel\":\"c%d\",\"message\":1}", i ? "," : "", i);
	strcat(body, "]");
	publish(world, body, NULL, false);
	assert_non_null(strstr(world->answer, "\"status\":413"));
	assert_int_equal(world->asked, 0);
	/* one less is not */
	body[strlen(body) - strlen(",{\"channel\":\"c256\",\"message\":1}]")] = '\0';
	strcat(body, "]");
	publish(world, body, NULL, false);
	assert_int_equal(world->asked, 1);
}

static void
nothing_is_said(void *context, const char *line)
{
	(void)context;
	(void)line;
}

static void
each_message_counts_once_before_the_question_and_for_the_user_that_it_names(void **state)
{
	struct world *world = *state;
	enum push_status status;
	struct push_limiter *limiter;

	world->options.limit_publish_messages = 3;
	limiter = push_limiter_create(&world->options, &world->stats, 1, nothing_is_said, NULL, &status);
	assert_non_null(limiter);
	world->publisher.limiter = limiter;
	assert_true(push_address_parse(&world->address, (struct push_str){"192.0.2.1", 9}));
	world->has_address = true;
	for (int i = 0; i < 3; i++) {
		publish(world, ONE("a", "1"), NULL, false);
		allow(world);
		assert_int_equal(world->status, 202);
	}
	publish(world, ONE("a", "1"), NULL, false);
	assert_int_equal(world->status, 429);
	publish(world, ONE("a", "1"), "key", false);
	assert_int_equal(world->status, 429);
	assert_int_equal(world->asked, 3);
	/* another address of the same user, who is ann */
	assert_true(push_address_parse(&world->address, (struct push_str){"192.0.2.2", 9}));
	publish(world, ONE("a", "1"), NULL, false);
	assert_int_equal(world->asked, 4);
	allow(world);
	assert_int_equal(world->status, 429);
	world->publisher.limiter = NULL;
	push_limiter_destroy(limiter);
}

static void
when_the_broker_ends_what_is_asked_is_refused(void **state)
{
	struct world *world = *state;

	publish(world, "[" ONE("a", "1") "," ONE("mine", "2") "]", NULL, false);
	push_publisher_fini(&world->publisher);
	assert_answer(
		world, 202, "[{\"error\":\"the server is ending\",\"status\":503},{\"subscribers\":1}]");
	allow(world); /* to nobody */
	publish(world, ONE("a", "1"), NULL, false);
	assert_answer(world, 503, "{\"error\":\"the server is ending\"}");
}

/* --- lines --- */

static void
on_ready(void *context)
{
	((struct world *)context)->readies++;
}

static struct push_lines *
create_lines(struct world *world)
{
	static const struct push_asked asked = {.path = {"/lines", 6}};
	struct push_lines *lines = push_lines_create(&world->publisher, on_ready, world);

	if (!lines)
		return NULL;
	push_lines_set_identity(lines, world->nobody);
	push_lines_set_asked(lines, &asked);
	world->published[0] = '\0';
	return lines;
}

static void
feed(struct push_lines *lines, const char *text)
{
	char *copied = strdup(text);

	if (copied)
		push_lines_feed(lines, copied, strlen(text));
	free(copied);
}

static void
assert_lines(struct push_lines *lines, const char *expected)
{
	struct push_buf *answers = push_lines_answers(lines);

	assert_int_equal(answers->size, strlen(expected));
	if (answers->size)
		assert_memory_equal(answers->bytes, expected, answers->size);
	push_buf_clear(answers);
}

static void
a_stream_takes_no_more_lines_while_one_is_asked_about(void **state)
{
	struct world *world = *state;
	struct push_lines *lines = create_lines(world);

	feed(lines, ONE("mine", "1") "\n{\"channel\":\"a\",");
	assert_false(push_lines_is_full(lines));
	feed(lines, "\"message\":2}\n" ONE("mine", "3") "\n" ONE("b", "4"));
	assert_string_equal(world->published, "mine=1 ");
	assert_string_equal(world->channels, "a");
	assert_string_equal(world->path, "/lines");
	assert_true(push_lines_is_full(lines));
	push_lines_end(lines);
	assert_int_equal(world->readies, 0);
	assert_lines(lines, "{\"subscribers\":1}\n");
	refuse(world, 403, "no");
	assert_int_equal(world->readies, 1);
	assert_string_equal(world->published, "mine=1 mine=3 ");
	assert_lines(lines, "{\"error\":\"no\",\"status\":403}\n{\"subscribers\":1}\n");
	assert_string_equal(world->channels, "b");
	assert_false(push_lines_is_over(lines));
	allow(world);
	assert_lines(lines, "{\"subscribers\":1}\n");
	assert_string_equal(world->published, "mine=1 mine=3 b=4 ");
	assert_true(push_lines_is_over(lines));
	push_lines_destroy(lines);
}

static void
lines_whose_answers_are_known_are_not_held_up(void **state)
{
	struct world *world = *state;
	struct push_lines *lines = create_lines(world);

	world->at_once.identity = world->grants;
	feed(lines, ONE("a", "1") "\n" ONE("mine", "2") "\n" ONE("b", "3") "\n" ONE("c", "4") "\n");
	assert_false(push_lines_is_full(lines));
	assert_string_equal(world->published, "a=1 mine=2 b=3 ");
	push_lines_destroy(lines);
}

static void
a_stream_that_goes_leaves_a_question_and_nothing_else(void **state)
{
	struct world *world = *state;
	struct push_lines *lines = create_lines(world);

	feed(lines, ONE("a", "1") "\n" ONE("mine", "2") "\n");
	push_lines_destroy(lines);
	allow(world);
	assert_string_equal(
		world->published, "a=1 "); /* it had come whole; what came after it was not looked at */
	assert_int_equal(world->readies, 0);
	lines = create_lines(world);
	feed(lines, ONE("a", "1") "\n");
	push_lines_destroy(lines);
	push_publisher_fini(&world->publisher);
	assert_string_equal(world->published, "");
}

/* --- WebSockets --- */

static void
say(struct world *world, const char *data)
{
	char *copied = strdup(data);
	const struct push_command command = {PUSH_COMMAND_PUBLISH, copied, strlen(data)};

	if (copied)
		push_client_publish(&world->publishes, world->client.subscriber, &command);
	free(copied);
}

static bool
has_got(struct world *world, const char *text)
{
	push_hub_flush(world->hub, NOW, 100);
	return memmem(world->client.got, world->client.size, text, strlen(text));
}

static void
a_clients_publishes_wait_in_their_order(void **state)
{
	struct world *world = *state;

	say(world, ONE("mine", "1"));
	say(world, ONE("a", "2"));
	say(world, ONE("mine", "3"));
	say(world, ONE("c", "4"));
	say(world, ONE("mine", "5"));
	assert_string_equal(world->published, "mine=1 ");
	assert_string_equal(world->channels, "a");
	assert_int_equal(world->asked, 1);
	allow(world);
	assert_string_equal(world->published, "mine=1 a=2 mine=3 ");
	assert_string_equal(world->channels, "c");
	refuse(world, 403, "not you");
	assert_true(has_got(world, "{\"error\":\"not you\"}"));
	assert_string_equal(world->published, "mine=1 a=2 mine=3 mine=5 ");
	assert_int_equal(world->publishes.asking_count, 0);
	world->at_once.identity = world->grants;
	say(world, ONE("b", "6"));
	assert_string_equal(world->published, "mine=1 a=2 mine=3 mine=5 b=6 ");
}

static void
a_client_whose_publishes_wait_is_not_read_from(void **state)
{
	struct world *world = *state;
	char text[6000];
	size_t size;

	size = (size_t)snprintf(text, sizeof(text), "{\"channel\":\"mine\",\"message\":\"");
	memset(text + size, 'x', sizeof(text) - size);
	strcpy(text + sizeof(text) - 3, "\"}");
	say(world, ONE("a", "1"));
	say(world, text);
	assert_true(world->client.is_read);
	say(world, text);
	assert_false(world->client.is_read);
	assert_false(has_got(world, "too many publishes"));
	say(world, text); /* on a transport that did not stop */
	assert_true(has_got(world, "too many publishes without an answer"));
	assert_int_equal(world->memory->accounts[PUSH_MEMORY_REQUESTS].bytes,
		strlen(ONE("a", "1")) + 2 * (sizeof(text) - 1));
	world->published[0] = '\0';
	refuse(world, 403, "no");
	assert_true(world->client.is_read);
}

static void
what_a_client_that_goes_has_sent_is_published_if_it_may_be(void **state)
{
	struct world *world = *state;
	const struct push_identity *own = identity("", true, "mine", "mine"); /* it goes with its client */

	go(world);
	come(world, own);
	push_identity_unref(own);
	say(world, ONE("a", "1"));
	say(world, ONE("mine", "2"));
	say(world, ONE("b", "3"));
	go(world);
	come(world, world->nobody); /* maybe at the same place */
	say(world, ONE("mine", "4"));
	assert_string_equal(world->published, "mine=4 ");
	allow(world);
	assert_string_equal(world->published, "mine=4 a=1 mine=2 ");
	allow(world);
	assert_string_equal(world->published, "mine=4 a=1 mine=2 b=3 ");
}

/* --- memory --- */

static void
when_memory_is_out_each_has_an_answer_and_nothing_is_left(void **state)
{
	struct world *world = *state;

	for (long limit = 0; limit < 60; limit++) {
		struct push_lines *lines;

		for (int i = 0; i < 2; i++) {
			char key[16];

			snprintf(key, sizeof(key), "%ld", limit);
			allocations_left = limit;
			publish(world, "[" ONE("mine", "1") "," ONE("a", "2") "," ONE("b", "3") "]",
				i ? key : NULL, false);
			allocations_left = -1;
			if (world->open)
				allow(world);
			assert_int_equal(world->answers, 1);
			assert_int_not_equal(world->status, 401); /* it is nobody's fault */
			assert_int_not_equal(world->status, 403);
		}
		allocations_left = limit;
		lines = create_lines(world);
		if (lines)
			feed(lines, ONE("a", "1") "\n" ONE("mine", "2") "\n");
		allocations_left = -1;
		if (world->open)
			allow(world);
		push_lines_destroy(lines);
		allocations_left = limit;
		say(world, ONE("a", "1"));
		say(world, ONE("mine", "2"));
		allocations_left = -1;
		if (world->open)
			allow(world);
		assert_int_equal(world->publishes.count, 0);
		assert_int_equal(world->memory->accounts[PUSH_MEMORY_REQUESTS].bytes, 0);
		if (world->client.closed) {
			go(world);
			world->client.closed = false;
			world->client.size = 0;
			come(world, world->nobody);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_publish_waits_for_the_answer_about_its_channels),
		TEST(nobody_is_asked_about_what_is_granted_or_wrong_or_a_tokens),
		TEST(of_several_messages_those_behind_the_first_question_wait_and_one_is_enough),
		TEST(an_answer_that_is_known_is_given_in_the_call),
		TEST(a_key_is_claimed_after_the_answer_by_the_user_that_it_names),
		TEST(too_many_channels_are_refused_and_not_asked_about),
		TEST(each_message_counts_once_before_the_question_and_for_the_user_that_it_names),
		TEST(when_the_broker_ends_what_is_asked_is_refused),
		TEST(a_stream_takes_no_more_lines_while_one_is_asked_about),
		TEST(lines_whose_answers_are_known_are_not_held_up),
		TEST(a_stream_that_goes_leaves_a_question_and_nothing_else),
		TEST(a_clients_publishes_wait_in_their_order),
		TEST(a_client_whose_publishes_wait_is_not_read_from),
		TEST(what_a_client_that_goes_has_sent_is_published_if_it_may_be),
		TEST(when_memory_is_out_each_has_an_answer_and_nothing_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
