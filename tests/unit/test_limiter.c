/* test_admission.c - what each limit lets in, what it refuses, and that a dry run refuses nothing. */
#include "unit.h"

#include <stdio.h>

#include "core/hub.h"
#include "core/identified.h"
#include "core/limiter.h"
#include "core/subscriber.h"
#include "failing_alloc.h"

#define SECOND 1000000ull
#define NOW    (1000 * SECOND)

static struct push_options options;
static struct push_stats stats;
static unsigned int lines;
static char last_line[128];

static void
say(void *context, const char *line)
{
	(void)context;
	lines++;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static struct push_limiter *
create(const char *const *settings)
{
	enum push_status status;
	struct push_error error;

	push_options_init(&options);
	memset(&stats, 0, sizeof(stats));
	lines = 0;
	for (; settings && *settings; settings += 2)
		assert_int_equal(push_options_set(&options, settings[0], settings[1], &error), PUSH_OK);
	assert_int_equal(push_options_check(&options, &error), PUSH_OK);
	return push_limiter_create(&options, &stats, 7, say, NULL, &status);
}

#define CREATE(...) create((const char *const[]){__VA_ARGS__, NULL})

static struct push_address
address_of(const char *text)
{
	struct push_address address;

	assert_true(push_address_parse(&address, (struct push_str){text, strlen(text)}));
	return address;
}

static struct push_str
str(const char *text)
{
	return (struct push_str){text, strlen(text)};
}

static void
without_a_limit_there_is_nothing(void **state)
{
	(void)state;
	assert_null(create(NULL));
	assert_null(CREATE("push.limit.dry.run", "on")); /* of what? */
}

static void
an_address_has_so_many_connections(void **state)
{
	struct push_limiter *limiter = CREATE("push.limit.address.connections", "2");
	struct push_address a = address_of("192.0.2.1"), b = address_of("192.0.2.2"), seen;
	enum push_limit limit = PUSH_LIMIT_COUNT;

	(void)state;
	assert_true(push_limiter_open(limiter, 10, &a, NOW, &limit));
	assert_true(push_limiter_open(limiter, 11, &a, NOW, &limit));
	assert_false(push_limiter_open(limiter, 12, &a, NOW, &limit));
	assert_int_equal(limit, PUSH_LIMIT_ADDRESS_CONNECTIONS);
	assert_true(push_limiter_address(limiter, 12, &seen));
	assert_true(push_address_equals(&seen, &a));
	assert_true(push_limiter_open(limiter, 13, &b, NOW, &limit));
	push_limiter_close(limiter, 12); /* was not counted */
	assert_false(push_limiter_open(limiter, 12, &a, NOW, &limit));
	push_limiter_close(limiter, 10);
	push_limiter_close(limiter, 10);
	assert_false(push_limiter_address(limiter, 10, &seen));
	assert_true(push_limiter_open(limiter, 14, &a, NOW, &limit));
	assert_false(push_limiter_open(limiter, 15, &a, NOW, &limit));
	/* the kernel gives a number out again of which nobody has said that it was closed */
	assert_true(push_limiter_open(limiter, 11, &a, NOW, &limit));
	assert_int_equal(stats.limited[PUSH_LIMIT_ADDRESS_CONNECTIONS], 3);
	assert_int_equal(lines, 3);
	assert_string_equal(last_line, "refused: push.limit.address.connections");
	push_limiter_destroy(limiter);
}

static void
addresses_of_ipv6_are_one_by_their_64_bits(void **state)
{
	struct push_limiter *limiter = CREATE("push.limit.address.connections", "1");
	struct push_address a = address_of("2001:db8::1"), b = address_of("2001:db8::ffff:2"),
			    c = address_of("2001:db8:0:1::1");
	enum push_limit limit;

	(void)state;
	assert_true(push_limiter_open(limiter, 1, &a, NOW, &limit));
	assert_false(push_limiter_open(limiter, 2, &b, NOW, &limit));
	assert_true(push_limiter_open(limiter, 3, &c, NOW, &limit));
	push_limiter_destroy(limiter);
}

static void
an_address_connects_so_often_in_a_second(void **state)
{
	struct push_limiter *limiter = CREATE("push.limit.address.connects", "3");
	struct push_address a = address_of("192.0.2.1"), b = address_of("192.0.2.2");
	enum push_limit limit = PUSH_LIMIT_COUNT;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(push_limiter_open(limiter, i, &a, NOW, &limit));
		push_limiter_close(limiter, i);
	}
	assert_false(push_limiter_open(limiter, 3, &a, NOW, &limit));
	assert_int_equal(limit, PUSH_LIMIT_ADDRESS_CONNECTS);
	assert_true(push_limiter_open(limiter, 4, &b, NOW, &limit));
	assert_true(push_limiter_open(limiter, 5, &a, NOW + SECOND / 2, &limit));
	push_limiter_destroy(limiter);
}

static void
the_clients_of_trusted_proxies_are_counted_and_not_the_proxies(void **state)
{
	struct push_limiter *limiter =
		CREATE("push.limit.address.connections", "1", "push.trusted.proxies", "10.0.0.0/8");
	struct push_address proxy = address_of("10.0.0.1"), a = address_of("192.0.2.1"),
			    b = address_of("192.0.2.2"), seen;
	enum push_limit limit;

	(void)state;
	assert_true(push_limiter_trusts(limiter, &proxy));
	assert_false(push_limiter_trusts(limiter, &a));
	for (int fd = 0; fd < 4; fd++)
		assert_true(push_limiter_open(limiter, fd, &proxy, NOW, &limit));
	assert_true(push_limiter_claim(limiter, 0, &a, NOW, &limit));
	assert_true(push_limiter_identify(limiter, 0, &b, NOW, &limit)); /* it is a's for good */
	assert_true(push_limiter_address(limiter, 0, &seen));
	assert_true(push_address_equals(&seen, &a));
	assert_false(push_limiter_claim(limiter, 1, &a, NOW, &limit));
	assert_true(push_limiter_address(limiter, 1, &seen));
	assert_true(push_address_equals(&seen, &proxy)); /* which may bring others by it */
	assert_false(push_limiter_identify(limiter, 1, &a, NOW, &limit));
	assert_true(push_limiter_address(limiter, 1, &seen));
	assert_true(push_address_equals(&seen, &a));
	/* proxies are not limited themselves: their probes, their metrics */
	for (int fd = 20; fd < 25; fd++) {
		assert_true(push_limiter_open(limiter, fd, &proxy, NOW, &limit));
		assert_true(push_limiter_claim(limiter, fd, &proxy, NOW, &limit));
	}
	assert_true(push_limiter_identify(limiter, 2, &b, NOW, &limit));
	push_limiter_close(limiter, 0);
	assert_true(push_limiter_identify(limiter, 3, &a, NOW, &limit));
	/* streams of one connection */
	assert_false(push_limiter_enter(limiter, &a, NOW, &limit));
	push_limiter_close(limiter, 3);
	assert_true(push_limiter_enter(limiter, &a, NOW, &limit));
	push_limiter_leave(limiter, &a);
	assert_true(push_limiter_enter(limiter, &a, NOW, &limit));
	assert_true(push_limiter_identify(limiter, 99, &a, NOW, &limit)); /* not open here */
	push_limiter_destroy(limiter);
}

static void
a_user_has_so_many_subscribers(void **state)
{
	struct push_limiter *limiter = CREATE("push.limit.user.connections", "2");
	enum push_limit limit = PUSH_LIMIT_COUNT;

	(void)state;
	assert_true(push_limiter_enter_user(limiter, str("ann"), NOW, &limit));
	assert_true(push_limiter_enter_user(limiter, str("ann"), NOW, &limit));
	assert_false(push_limiter_enter_user(limiter, str("ann"), NOW, &limit));
	assert_int_equal(limit, PUSH_LIMIT_USER_CONNECTIONS);
	assert_true(push_limiter_enter_user(limiter, str("bob"), NOW, &limit));
	for (int i = 0; i < 5; i++)
		assert_true(push_limiter_enter_user(limiter, str(""), NOW, &limit));
	push_limiter_leave_user(limiter, str(""));
	push_limiter_leave_user(limiter, str("ann"));
	assert_true(push_limiter_enter_user(limiter, str("ann"), NOW, &limit));
	push_limiter_destroy(limiter);
}

static void
a_user_gets_so_many_new_subscribers_in_a_second(void **state)
{
	struct push_limiter *limiter = CREATE("push.limit.user.connects", "2");
	enum push_limit limit = PUSH_LIMIT_COUNT;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_true(push_limiter_enter_user(limiter, str("ann"), NOW, &limit));
		push_limiter_leave_user(limiter, str("ann"));
	}
	assert_false(push_limiter_enter_user(limiter, str("ann"), NOW, &limit));
	assert_int_equal(limit, PUSH_LIMIT_USER_CONNECTS);
	assert_true(push_limiter_enter_user(limiter, str("bob"), NOW, &limit));
	assert_true(push_limiter_enter_user(limiter, str("ann"), NOW + SECOND, &limit));
	assert_int_equal(stats.limited[PUSH_LIMIT_USER_CONNECTS], 1);
	push_limiter_destroy(limiter);
}

static void
nobody_is_ready(void *context)
{
	(void)context;
}

static void
nobody_asks(void *context, struct push_subscriber *subscriber, const struct push_command *command)
{
	(void)context;
	(void)subscriber;
	(void)command;
}

static const struct push_identity *
identity_of(const char *user)
{
	const struct push_identity_facts facts = {
		.user = str(user), .expires_us = UINT64_MAX, .issued_s = INT64_MIN};

	return push_identity_done(push_identity_build(&facts));
}

/* Over the life of subscribers, however it ends. */
static void
a_hub_counts_the_subscribers_of_a_user(void **state)
{
	static const struct push_transport transport = {.write = NULL};
	struct push_limiter *limiter = CREATE("push.limit.user.connections", "2");
	struct push_hub *hub = push_hub_create(&options, &stats, 1, NOW, nobody_is_ready, NULL);
	const struct push_identity *ann = identity_of("ann"), *bob = identity_of("bob");
	struct push_subscriber *subscribers[5];

	(void)state;
	push_hub_guard(hub, nobody_asks, NULL);
	push_hub_limit(hub, limiter);
	for (size_t i = 0; i < COUNT(subscribers); i++)
		subscribers[i] = push_subscriber_create(hub, PUSH_ENCODING_SSE, &transport, NULL);
	assert_int_equal(push_subscriber_identify(subscribers[0], ann, NOW), PUSH_OK);
	assert_int_equal(push_subscriber_identify(subscribers[1], ann, NOW), PUSH_OK);
	assert_int_equal(push_subscriber_identify(subscribers[2], ann, NOW), PUSH_LIMITED);
	assert_int_equal(push_subscriber_identify(subscribers[3], bob, NOW), PUSH_OK);
	push_subscriber_destroy(subscribers[2]); /* was not counted */
	assert_int_equal(push_subscriber_identify(subscribers[4], ann, NOW), PUSH_LIMITED);
	push_subscriber_destroy(subscribers[0]);
	assert_int_equal(push_subscriber_identify(subscribers[4], ann, NOW), PUSH_OK);
	assert_int_equal(stats.limited[PUSH_LIMIT_USER_CONNECTIONS], 2);
	push_subscriber_destroy(subscribers[1]);
	push_subscriber_destroy(subscribers[3]);
	push_subscriber_destroy(subscribers[4]);
	push_identity_unref(ann);
	push_identity_unref(bob);
	push_hub_destroy(hub);
	push_limiter_destroy(limiter);
}

static void
publishes_are_limited_by_key_or_user_or_address(void **state)
{
	struct push_limiter *limiter = CREATE("push.limit.publish.messages", "2");
	struct push_sender key = {.key = str("k"), .user = str("ann")}, ann = {.user = str("ann")},
			   nobody = {0}, home = {.has_address = true, .address = address_of("192.0.2.1")};
	const struct push_sender *senders[] = {&key, &ann, &home};
	struct push_limit_refusal refusal;

	(void)state;
	for (size_t i = 0; i < COUNT(senders); i++) {
		assert_true(push_limiter_publish(limiter, senders[i], 1, NOW, &refusal));
		assert_true(push_limiter_publish(limiter, senders[i], 1, NOW, &refusal));
		assert_false(push_limiter_publish(limiter, senders[i], 1, NOW, &refusal));
		assert_int_equal(refusal.limit, PUSH_LIMIT_PUBLISH_MESSAGES);
	}
	ann.has_address = true; /* wherever she is */
	ann.address = address_of("192.0.2.99");
	assert_false(push_limiter_publish(limiter, &ann, 1, NOW, &refusal));
	for (int i = 0; i < 5; i++)
		assert_true(push_limiter_publish(limiter, &nobody, 1, NOW, &refusal));
	assert_true(push_limiter_publish(limiter, &ann, 1, NOW + SECOND, &refusal));
	push_limiter_destroy(limiter);
}

static void
bytes_are_limited_beside_messages(void **state)
{
	struct push_limiter *limiter =
		CREATE("push.limit.publish.bytes", "1kb", "push.limit.publish.messages", "100");
	struct push_sender ann = {.user = str("ann")};
	struct push_limit_refusal refusal;

	(void)state;
	assert_true(push_limiter_publish(limiter, &ann, 1024, NOW, &refusal));
	assert_false(push_limiter_publish(limiter, &ann, 1, NOW, &refusal));
	assert_int_equal(refusal.limit, PUSH_LIMIT_PUBLISH_BYTES);
	assert_true(push_limiter_publish(limiter, &ann, 512, NOW + SECOND / 2, &refusal));
	push_limiter_destroy(limiter);
}

/* Whether the key may publish so many bytes then; if not, the limit is this one. */
static bool
publishes(
	struct push_limiter *limiter, const char *name, size_t bytes, uint64_t now_us, enum push_limit limit)
{
	struct push_sender sender = {.key = str(name)};
	struct push_limit_refusal refusal;

	if (push_limiter_publish(limiter, &sender, bytes, now_us, &refusal))
		return true;
	assert_int_equal(refusal.limit, limit);
	assert_true(refusal.wait_us > 0);
	return false;
}

static void
set_keys(struct push_limiter *limiter, const struct push_key_limits *limits, size_t count)
{
	assert_int_equal(push_limiter_set_keys(limiter, limits, count), PUSH_OK);
}

static void
a_key_has_limits_of_its_own_in_the_place_of_the_options(void **state)
{
	struct push_limiter *limiter = CREATE("push.limit.publish.messages", "2", "push.limit.publish.bytes",
		"1kb", "push.publish.keys", "f");
	const struct push_key_limits limits[] = {
		{str("wide"), {5, SECOND}, {0}}, {str("slow"), {1, 3600 * SECOND}, {10, SECOND}}};
	struct push_sender ann = {.user = str("slow")};
	struct push_limit_refusal refusal = {PUSH_LIMIT_COUNT, 0};

	(void)state;
	set_keys(limiter, limits, COUNT(limits));
	for (int i = 0; i < 5; i++)
		assert_true(publishes(limiter, "wide", 100, NOW, PUSH_LIMIT_COUNT));
	assert_false(publishes(limiter, "wide", 100, NOW, PUSH_LIMIT_KEY_MESSAGES));
	assert_true(publishes(limiter, "wide", 1024, NOW + 9 * SECOND, PUSH_LIMIT_COUNT));
	assert_false(publishes(limiter, "wide", 1, NOW + 9 * SECOND, PUSH_LIMIT_PUBLISH_BYTES));
	assert_true(publishes(limiter, "slow", 1, NOW, PUSH_LIMIT_COUNT));
	assert_false(publishes(limiter, "slow", 1, NOW + 3599 * SECOND, PUSH_LIMIT_KEY_MESSAGES));
	assert_true(publishes(limiter, "slow", 20, NOW + 3601 * SECOND, PUSH_LIMIT_COUNT));
	/* others, and a user of that name, have the options' */
	for (int i = 0; i < 2; i++) {
		assert_true(publishes(limiter, "other", 1, NOW, PUSH_LIMIT_COUNT));
		assert_true(push_limiter_publish(limiter, &ann, 1, NOW, &refusal));
	}
	assert_false(publishes(limiter, "other", 1, NOW, PUSH_LIMIT_PUBLISH_MESSAGES));
	assert_false(push_limiter_publish(limiter, &ann, 1, NOW, &refusal));
	assert_int_equal(refusal.limit, PUSH_LIMIT_PUBLISH_MESSAGES);
	assert_int_equal(stats.limited[PUSH_LIMIT_KEY_MESSAGES], 2);
	push_limiter_destroy(limiter);
}

static void
a_limit_of_bytes_alone_counts_bytes_alone(void **state)
{
	struct push_limiter *limiter = CREATE("push.publish.keys", "f");
	const struct push_key_limits limits[] = {{str("k"), {0}, {100, SECOND}}};

	(void)state;
	set_keys(limiter, limits, COUNT(limits));
	for (int i = 0; i < 100; i++)
		assert_true(publishes(limiter, "k", 1, NOW, PUSH_LIMIT_COUNT));
	assert_false(publishes(limiter, "k", 1, NOW, PUSH_LIMIT_KEY_BYTES));
	assert_true(publishes(limiter, "k", 1, NOW + SECOND / 100, PUSH_LIMIT_COUNT));
	assert_int_equal(stats.limited[PUSH_LIMIT_KEY_BYTES], 1);
	push_limiter_destroy(limiter);
}

static void
other_limits_of_a_key_begin_with_its_next_publish(void **state)
{
	struct push_limiter *limiter = CREATE("push.publish.keys", "f");
	const struct push_key_limits slow[] = {{str("b"), {7, SECOND}, {0}},
		{str("a"), {1, 3600 * SECOND}, {0}}},
				     fast[] = {{str("a"), {3, SECOND}, {0}}, {str("a"), {3, SECOND}, {0}}};

	(void)state;
	assert_false(push_limiter_limits_publishes(limiter));
	set_keys(limiter, slow, COUNT(slow));
	assert_true(push_limiter_limits_publishes(limiter));
	assert_true(publishes(limiter, "a", 1, NOW, PUSH_LIMIT_COUNT));
	assert_false(publishes(limiter, "a", 1, NOW, PUSH_LIMIT_KEY_MESSAGES));
	set_keys(limiter, slow, COUNT(slow)); /* the same again gives nothing back */
	assert_false(publishes(limiter, "a", 1, NOW, PUSH_LIMIT_KEY_MESSAGES));
	set_keys(limiter, fast, COUNT(fast));
	for (int i = 0; i < 3; i++)
		assert_true(publishes(limiter, "a", 1, NOW, PUSH_LIMIT_COUNT));
	assert_false(publishes(limiter, "a", 1, NOW, PUSH_LIMIT_KEY_MESSAGES));
	for (int i = 0; i < 20; i++)
		assert_true(publishes(limiter, "b", 1, NOW, PUSH_LIMIT_COUNT)); /* has none any more */
	set_keys(limiter, NULL, 0);
	assert_true(publishes(limiter, "a", 1, NOW, PUSH_LIMIT_COUNT));
	push_limiter_destroy(limiter);
}

static void
each_of_a_thousand_keys_has_its_own(void **state)
{
	struct push_limiter *limiter = CREATE("push.publish.keys", "f");
	static struct push_key_limits limits[1024];
	static char names[COUNT(limits)][8];

	(void)state;
	for (size_t i = 0; i < COUNT(limits); i++) {
		snprintf(names[i], sizeof(names[i]), "k%zu", i);
		limits[i] = (struct push_key_limits){str(names[i]), {1 + i % 3, SECOND}, {0}};
	}
	set_keys(limiter, limits, COUNT(limits));
	for (size_t i = 0; i < COUNT(limits); i++) {
		for (size_t n = 0; n < 1 + i % 3; n++)
			assert_true(publishes(limiter, names[i], 1, NOW, PUSH_LIMIT_COUNT));
		assert_false(publishes(limiter, names[i], 1, NOW, PUSH_LIMIT_KEY_MESSAGES));
	}
	push_limiter_destroy(limiter);
}

static void
with_publish_keys_alone_clients_are_nobodys_concern(void **state)
{
	struct push_limiter *limiter = CREATE("push.publish.keys", "f");

	(void)state;
	assert_false(push_limiter_knows_clients(limiter));
	push_limiter_destroy(limiter);
	limiter = CREATE("push.publish.keys", "f", "push.limit.user.connections", "1");
	assert_true(push_limiter_knows_clients(limiter));
	push_limiter_destroy(limiter);
}

static void
without_memory_a_key_keeps_the_limits_that_it_has(void **state)
{
	struct push_limiter *limiter = CREATE("push.publish.keys", "f");
	const struct push_key_limits one[] = {{str("k"), {1, SECOND}, {0}}},
				     many[] = {{str("k"), {9, SECOND}, {0}}};

	(void)state;
	set_keys(limiter, one, 1);
	allocations_left = 0;
	assert_int_equal(push_limiter_set_keys(limiter, many, 1), PUSH_OUT_OF_MEMORY);
	allocations_left = -1;
	assert_true(publishes(limiter, "k", 1, NOW, PUSH_LIMIT_COUNT));
	assert_false(publishes(limiter, "k", 1, NOW, PUSH_LIMIT_KEY_MESSAGES));
	push_limiter_destroy(limiter);
}

static void
a_client_sends_and_subscribes_so_much(void **state)
{
	struct push_limiter *limiter =
		CREATE("push.limit.client.messages", "2", "push.limit.client.subscribes", "1");
	enum push_limit limit = PUSH_LIMIT_COUNT;
	int a, b;

	(void)state;
	assert_true(push_limiter_message(limiter, &a, NOW, &limit));
	assert_true(push_limiter_message(limiter, &a, NOW, &limit));
	assert_false(push_limiter_message(limiter, &a, NOW, &limit));
	assert_int_equal(limit, PUSH_LIMIT_CLIENT_MESSAGES);
	assert_true(push_limiter_message(limiter, &b, NOW, &limit));
	assert_true(push_limiter_subscribe(limiter, &a, NOW, &limit));
	assert_false(push_limiter_subscribe(limiter, &a, NOW, &limit));
	assert_int_equal(limit, PUSH_LIMIT_CLIENT_SUBSCRIBES);
	push_limiter_destroy(limiter);
}

static void
a_dry_run_refuses_nothing_and_counts_it(void **state)
{
	struct push_limiter *limiter =
		CREATE("push.limit.address.connections", "1", "push.limit.address.connects", "2",
			"push.limit.user.connections", "1", "push.limit.publish.messages", "1",
			"push.limit.client.messages", "1", "push.limit.dry.run", "on");
	struct push_address a = address_of("192.0.2.1");
	struct push_sender ann = {.user = str("ann")};
	struct push_limit_refusal refusal;
	enum push_limit limit;
	int client;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_true(push_limiter_open(limiter, i, &a, NOW, &limit));
		assert_true(push_limiter_enter_user(limiter, str("ann"), NOW, &limit));
		assert_true(push_limiter_publish(limiter, &ann, 1, NOW, &refusal));
		assert_true(push_limiter_message(limiter, &client, NOW, &limit));
	}
	assert_true(push_limiter_refuse(limiter, PUSH_LIMIT_NDJSON_IDLE));
	assert_int_equal(stats.limits_dry[PUSH_LIMIT_ADDRESS_CONNECTIONS], 2);
	assert_int_equal(stats.limits_dry[PUSH_LIMIT_ADDRESS_CONNECTS], 1);
	assert_int_equal(stats.limits_dry[PUSH_LIMIT_USER_CONNECTIONS], 2);
	assert_int_equal(stats.limits_dry[PUSH_LIMIT_PUBLISH_MESSAGES], 2);
	assert_int_equal(stats.limits_dry[PUSH_LIMIT_CLIENT_MESSAGES], 2);
	assert_int_equal(stats.limits_dry[PUSH_LIMIT_NDJSON_IDLE], 1);
	for (int i = 0; i < PUSH_LIMIT_COUNT; i++)
		assert_int_equal(stats.limited[i], 0);
	assert_string_equal(last_line, "would be refused: push.limit.ndjson.idle");
	/* those that were let in are counted as the others are */
	push_limiter_close(limiter, 0);
	push_limiter_close(limiter, 1);
	assert_true(push_limiter_open(limiter, 0, &a, NOW + 10 * SECOND, &limit));
	assert_int_equal(stats.limits_dry[PUSH_LIMIT_ADDRESS_CONNECTIONS], 3);
	push_limiter_destroy(limiter);
}

static void
texts_name_the_limit(void **state)
{
	struct push_limiter *limiter = CREATE("push.publish.keys", "f");

	(void)state;
	assert_string_equal(push_limit_text(PUSH_LIMIT_ADDRESS_CONNECTIONS),
		"too many connections from one address (push.limit.address.connections)");
	assert_string_equal(push_limit_text(PUSH_LIMIT_KEY_MESSAGES),
		"too many messages published with one key (rate= in push.publish.keys)");
	(void)push_limiter_refuse(limiter, PUSH_LIMIT_KEY_BYTES);
	assert_string_equal(last_line, "refused: bytes= in push.publish.keys");
	push_limiter_destroy(limiter);
	for (int i = 0; i < PUSH_LIMIT_COUNT; i++) {
		const char *name = strchr(push_limit_text((enum push_limit)i), '(');

		assert_non_null(name);
		assert_true(strstr(name, "(push.") == name || strstr(name, "= in push.publish.keys)"));
	}
}

static void
without_memory_nobody_is_counted(void **state)
{
	struct push_limiter *limiter;
	struct push_address a = address_of("192.0.2.1");
	enum push_status status;
	enum push_limit limit;

	(void)state;
	limiter = CREATE("push.limit.address.connections", "1");
	allocations_left = 0;
	assert_true(push_limiter_open(limiter, 1, &a, NOW, &limit));
	assert_true(push_limiter_open(limiter, 100000, &a, NOW, &limit));
	push_limiter_close(limiter, 1);
	push_limiter_destroy(limiter);
	for (long i = 0; i < 4; i++) {
		allocations_left = i;
		assert_null(push_limiter_create(&options, &stats, 7, say, NULL, &status));
		assert_int_equal(status, PUSH_OUT_OF_MEMORY);
	}
	allocations_left = -1;
}

static void
addresses_are_found_by_whatever_descriptor(void **state)
{
	struct push_limiter *limiter = CREATE("push.limit.address.connections", "1");
	struct push_address seen, a = address_of("192.0.2.1"), b = address_of("192.0.2.2");
	enum push_limit limit;
	uint32_t serial;

	(void)state;
	assert_false(push_limiter_address(limiter, -1, &seen));
	assert_int_equal(push_limiter_serial(limiter, 5), 0);
	assert_true(push_limiter_open(limiter, 70000, &a, NOW, &limit));
	serial = push_limiter_serial(limiter, 70000);
	assert_int_not_equal(serial, 0);
	assert_true(push_limiter_open(limiter, 0, &b, NOW, &limit));
	assert_true(push_limiter_address(limiter, 70000, &seen));
	assert_true(push_address_equals(&seen, &a));
	assert_true(push_limiter_open(limiter, 70000, &a, NOW, &limit));
	assert_int_not_equal(push_limiter_serial(limiter, 70000), serial);
	push_limiter_destroy(limiter);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_limit_there_is_nothing),
		cmocka_unit_test(an_address_has_so_many_connections),
		cmocka_unit_test(addresses_of_ipv6_are_one_by_their_64_bits),
		cmocka_unit_test(an_address_connects_so_often_in_a_second),
		cmocka_unit_test(the_clients_of_trusted_proxies_are_counted_and_not_the_proxies),
		cmocka_unit_test(a_user_has_so_many_subscribers),
		cmocka_unit_test(a_user_gets_so_many_new_subscribers_in_a_second),
		cmocka_unit_test(a_hub_counts_the_subscribers_of_a_user),
		cmocka_unit_test(publishes_are_limited_by_key_or_user_or_address),
		cmocka_unit_test(bytes_are_limited_beside_messages),
		cmocka_unit_test(a_key_has_limits_of_its_own_in_the_place_of_the_options),
		cmocka_unit_test(a_limit_of_bytes_alone_counts_bytes_alone),
		cmocka_unit_test(other_limits_of_a_key_begin_with_its_next_publish),
		cmocka_unit_test(each_of_a_thousand_keys_has_its_own),
		cmocka_unit_test(with_publish_keys_alone_clients_are_nobodys_concern),
		cmocka_unit_test(without_memory_a_key_keeps_the_limits_that_it_has),
		cmocka_unit_test(a_client_sends_and_subscribes_so_much),
		cmocka_unit_test(a_dry_run_refuses_nothing_and_counts_it),
		cmocka_unit_test(texts_name_the_limit),
		cmocka_unit_test(without_memory_nobody_is_counted),
		cmocka_unit_test(addresses_are_found_by_whatever_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
