/*
 * A ticket stands for its identity as long as was said: some seconds until it is opened, then while a connection
 * that it has opened may live, then a reconnect's time; and no longer than the identity.  The engine is the embedded
 * one, and one that is away.
 */
#include "unit.h"

#include "failing_alloc.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/tickets.h"
#include "core/hub.h"
#include "core/limits.h"
#include "core/stats.h"

#define SECOND_US     1000000ull
#define CONNECTION_US (184 * SECOND_US)

static uint64_t now;

static uint64_t
now_us(void)
{
	return now;
}

static uint64_t
wall_us(void)
{
	return now + 1700000000 * SECOND_US;
}

struct world {
	struct push_options options;
	struct push_stats stats;
	struct push_hub *hub;
	struct push_engine *engine, away;
	struct push_tickets tickets;
	/* what came of the last call */
	enum push_status status;
	unsigned int called;
	char ticket[PUSH_TICKET_BYTES + 1];
	uint64_t expires_in_s;
	char user[PUSH_USER_BYTES_MAX + 1];
	unsigned int puts_left; /* of `away`: it has so many, then it is away */
	char last_name[128];
};

static struct world *world;

/* --- an engine that goes away --- */

static void
away_get(struct push_engine *engine, const char *name, size_t name_size, uint64_t at, push_value_done_fn done,
	void *context)
{
	(void)engine;
	if (world->puts_left)
		world->engine->value_get(world->engine, name, name_size, at, done, context);
	else
		done(context, PUSH_UNAVAILABLE, NULL, 0);
}

static void
away_put(struct push_engine *engine, const char *name, size_t name_size, const char *value, size_t size,
	uint64_t ttl_us, bool only_if_new, uint64_t at, push_value_done_fn done, void *context)
{
	(void)engine;
	snprintf(world->last_name, sizeof(world->last_name), "%.*s", (int)name_size, name);
	if (world->puts_left && --world->puts_left)
		world->engine->value_put(
			world->engine, name, name_size, value, size, ttl_us, only_if_new, at, done, context);
	else
		done(context, PUSH_UNAVAILABLE, NULL, 0);
}

/* Reach the values by one that may be away. */
static void
use_away(unsigned int puts_left)
{
	world->away = (struct push_engine){.value_get = away_get, .value_put = away_put};
	world->tickets.engine = &world->away;
	world->puts_left = puts_left;
}

/* --- what is called --- */

static void
on_ready(void *context)
{
	(void)context;
}

static int
set_up(void **state)
{
	(void)state;
	now = 1000 * SECOND_US;
	world = calloc(1, sizeof(*world));
	push_options_init(&world->options);
	world->hub = push_hub_create(&world->options, &world->stats, 42, now, on_ready, NULL);
	world->engine = push_engine_memory_create(world->hub, 1, 42, now);
	assert_true(world->hub && world->engine);
	world->tickets = (struct push_tickets){world->engine, now_us, wall_us, CONNECTION_US};
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	world->engine->destroy(world->engine);
	push_hub_destroy(world->hub);
	free(world);
	return 0;
}

static const struct push_identity *
identity_until(uint64_t expires_us)
{
	struct push_identity_facts facts = {
		.user = {"u", 1}, .token_id = {"j", 1}, .expires_us = expires_us, .issued_s = 1700000000};
	struct push_identity_builder *builder = push_identity_build(&facts);
	struct push_error error;

	assert_non_null(builder);
	assert_int_equal(
		push_identity_grant(builder, PUSH_RIGHT_SUBSCRIBE, (struct push_str){"news:*", 6}, &error),
		PUSH_OK);
	return push_identity_done(builder);
}

static void
on_issued(void *context, enum push_status status, const char *ticket, uint64_t expires_in_s)
{
	(void)context;
	world->called++;
	world->status = status;
	world->expires_in_s = expires_in_s;
	assert_int_equal(status == PUSH_OK, ticket != NULL);
	snprintf(world->ticket, sizeof(world->ticket), "%s", ticket ? ticket : "");
}

static enum push_status
issue(uint64_t expires_us)
{
	const struct push_identity *identity = identity_until(expires_us);

	world->called = 0;
	push_tickets_issue(&world->tickets, identity, on_issued, NULL);
	assert_int_equal(world->called, 1);
	push_identity_unref(identity);
	return world->status;
}

static void
on_opened(void *context, enum push_status status, const struct push_identity *identity)
{
	(void)context;
	world->called++;
	world->status = status;
	assert_int_equal(status == PUSH_OK, identity != NULL);
	world->user[0] = '\0';
	if (identity) {
		struct push_str user = push_identity_facts(identity).user;

		snprintf(world->user, sizeof(world->user), "%.*s", (int)user.size, user.bytes);
		assert_true(
			push_identity_may(identity, PUSH_RIGHT_SUBSCRIBE, (struct push_str){"news:1", 6}));
		assert_false(push_identity_may(identity, PUSH_RIGHT_PUBLISH, (struct push_str){"news:1", 6}));
	}
}

static enum push_status
open_text(const char *ticket)
{
	world->called = 0;
	push_tickets_open(&world->tickets, (struct push_str){ticket, strlen(ticket)}, on_opened, NULL);
	assert_int_equal(world->called, 1);
	return world->status;
}

static enum push_status
open_ticket(void)
{
	return open_text(world->ticket);
}

static void
end(const struct push_identity *identity)
{
	push_tickets_end(&world->tickets, (struct push_str){world->ticket, PUSH_TICKET_BYTES}, identity);
}

/* --- tests --- */

static void
a_ticket_stands_for_its_identity(void **state)
{
	char first[PUSH_TICKET_BYTES + 1];

	(void)state;
	assert_int_equal(issue(UINT64_MAX), PUSH_OK);
	assert_int_equal(world->expires_in_s, 30);
	assert_int_equal(strlen(world->ticket), PUSH_TICKET_BYTES);
	assert_int_equal(
		strspn(world->ticket, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
		PUSH_TICKET_BYTES);
	assert_int_equal(open_ticket(), PUSH_OK);
	assert_string_equal(world->user, "u");
	strcpy(first, world->ticket);
	assert_int_equal(issue(UINT64_MAX), PUSH_OK);
	assert_string_not_equal(first, world->ticket);
}

static void
it_is_kept_by_its_hash_alone(void **state)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int size;
	char expected[128] = "ticket:";

	(void)state;
	use_away(99);
	assert_int_equal(issue(UINT64_MAX), PUSH_OK);
	EVP_Digest(world->ticket, PUSH_TICKET_BYTES, digest, &size, EVP_sha256(), NULL);
	for (unsigned int i = 0; i < size; i++)
		snprintf(expected + 7 + (size_t)2 * i, 3, "%02x", digest[i]);
	assert_string_equal(world->last_name, expected);
}

static void
it_must_be_opened_soon(void **state)
{
	(void)state;
	assert_int_equal(issue(UINT64_MAX), PUSH_OK);
	now += PUSH_TICKET_OPEN_US - 1;
	assert_int_equal(open_ticket(), PUSH_OK);
	assert_int_equal(issue(UINT64_MAX), PUSH_OK);
	now += PUSH_TICKET_OPEN_US;
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
}

static void
it_is_good_until_its_connection_has_ended_and_a_reconnects_time_later(void **state)
{
	(void)state;
	assert_int_equal(issue(UINT64_MAX), PUSH_OK);
	/* once and again */
	for (int i = 0; i < 5; i++) {
		assert_int_equal(open_ticket(), PUSH_OK);
		now += CONNECTION_US;
		end(NULL);
		now += PUSH_TICKET_RECONNECT_US - 1;
	}
	assert_int_equal(open_ticket(), PUSH_OK);
	end(NULL);
	now += PUSH_TICKET_RECONNECT_US;
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
}

static void
an_end_that_is_never_reported_keeps_it_no_longer_than_a_connection_lives(void **state)
{
	(void)state;
	assert_int_equal(issue(UINT64_MAX), PUSH_OK);
	assert_int_equal(open_ticket(), PUSH_OK);
	now += CONNECTION_US + PUSH_TICKET_RECONNECT_US;
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
}

static void
a_second_connection_keeps_it_when_the_first_one_ends(void **state)
{
	(void)state;
	assert_int_equal(issue(UINT64_MAX), PUSH_OK);
	assert_int_equal(open_ticket(), PUSH_OK);
	assert_int_equal(open_ticket(), PUSH_OK);
	end(NULL);
	now += CONNECTION_US;
	assert_int_equal(open_ticket(), PUSH_OK);
	end(NULL);
	end(NULL);
	now += PUSH_TICKET_RECONNECT_US;
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
}

static void
an_end_with_the_identity_brings_it_back_for_a_reconnect(void **state)
{
	const struct push_identity *identity = identity_until(now + 1000 * SECOND_US);

	(void)state;
	assert_int_equal(issue(UINT64_MAX), PUSH_OK);
	now += PUSH_TICKET_OPEN_US;
	end(NULL);
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
	end(push_identity_everybody());
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
	end(identity);
	now += PUSH_TICKET_RECONNECT_US - 1;
	assert_int_equal(open_ticket(), PUSH_OK);
	end(identity);
	now += PUSH_TICKET_RECONNECT_US;
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
	now += 1000 * SECOND_US;
	end(identity);
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
	push_identity_unref(identity);
}

static void
it_never_outlives_its_identity(void **state)
{
	(void)state;
	assert_int_equal(issue(now), PUSH_INVALID);
	assert_int_equal(issue(now + SECOND_US - 1), PUSH_INVALID);
	assert_int_equal(issue(now + 5 * SECOND_US), PUSH_OK);
	assert_int_equal(world->expires_in_s, 5);
	assert_int_equal(open_ticket(), PUSH_OK);
	now += 4 * SECOND_US;
	assert_int_equal(open_ticket(), PUSH_OK);
	end(NULL);
	now += SECOND_US;
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
}

static void
renew(uint64_t expires_us)
{
	const struct push_identity *identity = identity_until(expires_us);

	push_tickets_renew(&world->tickets, (struct push_str){world->ticket, PUSH_TICKET_BYTES}, identity);
	push_identity_unref(identity);
}

static void
it_is_good_for_the_identity_that_renews_its_connection(void **state)
{
	const struct push_identity *before = identity_until(now + 40 * SECOND_US);

	(void)state;
	assert_int_equal(issue(now + 40 * SECOND_US), PUSH_OK);
	assert_int_equal(open_ticket(), PUSH_OK);
	assert_int_equal(open_ticket(), PUSH_OK);
	now += 20 * SECOND_US;
	renew(now + 1000 * SECOND_US);
	now += CONNECTION_US - 20 * SECOND_US;
	end(before); /* the other connection, which has been over with its identity */
	assert_int_equal(open_ticket(), PUSH_OK);
	end(NULL);
	end(NULL);
	now += PUSH_TICKET_RECONNECT_US - 1;
	assert_int_equal(open_ticket(), PUSH_OK);
	end(NULL);
	now += PUSH_TICKET_RECONNECT_US;
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
	push_identity_unref(before);
}

static void
a_renewal_brings_back_what_the_engine_has_lost(void **state)
{
	(void)state;
	assert_int_equal(issue(now + 40 * SECOND_US), PUSH_OK);
	assert_int_equal(open_ticket(), PUSH_OK);
	now += 40 *
	       SECOND_US; /* the identity before is over, and its connection is renewed at the last moment */
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
	renew(now);
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
	renew(now + 1000 * SECOND_US);
	now += CONNECTION_US;
	assert_int_equal(open_ticket(), PUSH_OK);
	push_tickets_renew(&world->tickets, (struct push_str){"junk", 4}, NULL);
}

static void
nobody_who_has_shown_nothing_has_one(void **state)
{
	struct push_identity_facts facts = {
		.expires_us = UINT64_MAX, .issued_s = INT64_MIN, .is_anonymous = true};
	struct push_identity_builder *builder = push_identity_build(&facts);
	const struct push_identity *anonymous = push_identity_done(builder);

	(void)state;
	assert_non_null(anonymous);
	assert_int_equal(issue(UINT64_MAX), PUSH_OK);
	now += PUSH_TICKET_OPEN_US;
	end(anonymous);
	assert_int_equal(open_ticket(), PUSH_NOT_FOUND);
	push_tickets_issue(&world->tickets, anonymous, on_issued, NULL);
	assert_int_equal(world->status, PUSH_INVALID);
	push_identity_unref(anonymous);
	world->status = PUSH_OK;
	push_tickets_issue(&world->tickets, push_identity_everybody(), on_issued, NULL);
	assert_int_equal(world->status, PUSH_INVALID);
	world->status = PUSH_OK;
	push_tickets_issue(&world->tickets, NULL, on_issued, NULL);
	assert_int_equal(world->status, PUSH_INVALID);
}

static void
any_other_text_is_not_one(void **state)
{
	static const char *const texts[] = {"", "x", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_int_equal(open_text(texts[i]), PUSH_NOT_FOUND);
	/* what cannot be one is not even asked for */
	use_away(0);
	assert_int_equal(open_text(texts[1]), PUSH_NOT_FOUND);
	assert_int_equal(open_text(texts[2]), PUSH_UNAVAILABLE);
	push_tickets_end(&world->tickets, (struct push_str){"x", 1}, NULL);
}

static void
on_put(void *context, enum push_status status, const char *value, size_t size)
{
	(void)context;
	(void)value;
	assert_int_equal(status, PUSH_OK);
	assert_int_equal(size, 0);
}

/* Whoever can write to the broker's server may have. */
static void
what_is_kept_in_its_place_is_not_believed(void **state)
{
	static const char *const values[] = {"", " ", "1", "{}", "1 {}", " {\"v\":1,\"sub\":\"u\"}",
		"12345 {\"v\":1,\"sub\":\"u\"}", "-1 {\"v\":1,\"sub\":\"u\"}", "1 {\"v\":1,\"exp_ms\":1}",
		"a {\"v\":1,\"sub\":\"u\"}"};

	(void)state;
	use_away(99);
	assert_int_equal(issue(UINT64_MAX), PUSH_OK);
	for (size_t i = 0; i < COUNT(values); i++) {
		world->engine->value_put(world->engine, world->last_name, strlen(world->last_name), values[i],
			strlen(values[i]), SECOND_US, false, now, on_put, NULL);
		if (open_ticket() != PUSH_NOT_FOUND)
			fail_msg("opened: %s", values[i]);
	}
}

static void
while_the_broker_is_away_it_fails(void **state)
{
	(void)state;
	use_away(0);
	assert_int_equal(issue(UINT64_MAX), PUSH_UNAVAILABLE);
	use_away(2);
	assert_int_equal(issue(UINT64_MAX), PUSH_OK);
	/* it cannot be prolonged, so that a reconnect would fail */
	assert_int_equal(open_ticket(), PUSH_UNAVAILABLE);
	end(NULL);
	use_away(99);
	assert_int_equal(open_ticket(), PUSH_OK);
}

static void
without_memory_it_fails_and_may_be_tried_again(void **state)
{
	const struct push_identity *identity = identity_until(UINT64_MAX);
	enum push_status status = PUSH_OUT_OF_MEMORY;

	(void)state;
	for (long limit = 0; status != PUSH_OK; limit++) {
		allocations_left = limit;
		push_tickets_issue(&world->tickets, identity, on_issued, NULL);
		allocations_left = -1;
		status = world->status;
		assert_true(limit < 100 && (status == PUSH_OK || status == PUSH_OUT_OF_MEMORY));
	}
	status = PUSH_OUT_OF_MEMORY;
	for (long limit = 0; status != PUSH_OK; limit++) {
		allocations_left = limit;
		push_tickets_open(&world->tickets, (struct push_str){world->ticket, PUSH_TICKET_BYTES},
			on_opened, NULL);
		allocations_left = -1;
		status = world->status;
		assert_true(limit < 100 && (status == PUSH_OK || status == PUSH_OUT_OF_MEMORY));
	}
	for (long limit = 0; limit < 100; limit++) {
		allocations_left = limit;
		push_tickets_renew(
			&world->tickets, (struct push_str){world->ticket, PUSH_TICKET_BYTES}, identity);
		end(identity);
		allocations_left = -1;
	}
	assert_int_equal(open_ticket(), PUSH_OK);
	push_identity_unref(identity);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		TEST(a_ticket_stands_for_its_identity),
		TEST(it_is_kept_by_its_hash_alone),
		TEST(it_must_be_opened_soon),
		TEST(it_is_good_until_its_connection_has_ended_and_a_reconnects_time_later),
		TEST(an_end_that_is_never_reported_keeps_it_no_longer_than_a_connection_lives),
		TEST(a_second_connection_keeps_it_when_the_first_one_ends),
		TEST(an_end_with_the_identity_brings_it_back_for_a_reconnect),
		TEST(it_never_outlives_its_identity),
		TEST(it_is_good_for_the_identity_that_renews_its_connection),
		TEST(a_renewal_brings_back_what_the_engine_has_lost),
		TEST(nobody_who_has_shown_nothing_has_one),
		TEST(any_other_text_is_not_one),
		TEST(what_is_kept_in_its_place_is_not_believed),
		TEST(while_the_broker_is_away_it_fails),
		TEST(without_memory_it_fails_and_may_be_tried_again),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
