/* What a payload says becomes what its bearer may do, and what it says badly becomes nothing. */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>

#include "auth/claims.h"

#define SECOND_US 1000000ull
#define WALL_S    1700000000ull
#define NOW_US    (5000 * SECOND_US)

/* In 100 s, and 100 s ago. */
#define LATER   "1700000100"
#define EARLIER "1699999900"

static struct push_options options;
static struct push_error error;

static enum push_token_refusal
read_at(const char *payload, uint64_t wall_us, const struct push_identity **ret_identity)
{
	const struct push_claims_clock clock = {.wall_us = wall_us, .now_us = NOW_US};
	size_t size = strlen(payload);
	/* of its own size, so that a read behind it is seen */
	char *copy = __real_malloc(size + !size);
	enum push_token_refusal refusal;

	memcpy(copy, payload, size);
	error.text[0] = '\0';
	refusal = push_claims_read((struct push_str){copy, size}, &options, &clock, 1, ret_identity, &error);
	free(copy);
	assert_true((refusal == PUSH_TOKEN_OK) == !error.text[0] || refusal == PUSH_TOKEN_OK);
	return refusal;
}

static enum push_token_refusal
read_now(const char *payload)
{
	const struct push_identity *identity = NULL;
	enum push_token_refusal refusal = read_at(payload, WALL_S * SECOND_US, &identity);

	assert_true((refusal == PUSH_TOKEN_OK) == (identity != NULL));
	push_identity_unref(identity);
	return refusal;
}

/* The identity of a good payload; the caller has its reference. */
static const struct push_identity *
identity_of(const char *payload)
{
	const struct push_identity *identity = NULL;

	if (read_at(payload, WALL_S * SECOND_US, &identity) != PUSH_TOKEN_OK)
		fail_msg("%s: %s", payload, error.text);
	return identity;
}

static int
set_up(void **state)
{
	(void)state;
	push_options_init(&options);
	return 0;
}

static bool
may(const struct push_identity *identity, enum push_right right, const char *channel)
{
	return push_identity_may(identity, right, (struct push_str){channel, strlen(channel)});
}

/* --- times --- */

static void
a_token_is_good_from_nbf_to_exp_and_a_leeway_on_both_sides(void **state)
{
	static const struct {
		const char *payload;
		int64_t from_now_us;
		enum push_token_refusal refusal;
	} rows[] = {
		{"{\"exp\":1700000000}", 0, PUSH_TOKEN_OK},
		{"{\"exp\":1700000000}", 30 * 1000000 - 1, PUSH_TOKEN_OK},
		{"{\"exp\":1700000000}", 30 * 1000000, PUSH_TOKEN_EXPIRED},
		{"{\"exp\":0}", 0, PUSH_TOKEN_EXPIRED},
		{"{\"exp\":9007199254740992}", 0, PUSH_TOKEN_OK},
		{"{\"exp\":1800000000,\"nbf\":1700000000}", -30 * 1000000, PUSH_TOKEN_OK},
		{"{\"exp\":1800000000,\"nbf\":1700000000}", -30 * 1000000 - 1, PUSH_TOKEN_NOT_YET},
		{"{\"exp\":1800000000,\"nbf\":9007199254740992}", 0, PUSH_TOKEN_NOT_YET},
		{"{\"exp\":1800000000,\"nbf\":0}", 0, PUSH_TOKEN_OK},
		{"{\"exp\":1800000000,\"iat\":1700000000}", -30 * 1000000, PUSH_TOKEN_OK},
		{"{\"exp\":1800000000,\"iat\":1700000000}", -30 * 1000000 - 1, PUSH_TOKEN_NOT_YET},
		{"{\"exp\":1800000000,\"iat\":0}", 0, PUSH_TOKEN_OK},
		{"{\"exp\":1,\"nbf\":1800000000}", 0, PUSH_TOKEN_EXPIRED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_identity *identity = NULL;
		uint64_t wall_us = (uint64_t)((int64_t)(WALL_S * SECOND_US) + rows[i].from_now_us);
		enum push_token_refusal refusal = read_at(rows[i].payload, wall_us, &identity);

		if (refusal != rows[i].refusal)
			fail_msg("%s: %s", rows[i].payload, push_token_refusal_label(refusal));
		push_identity_unref(identity);
	}
	assert_int_equal(read_now("{\"exp\":" LATER "}"), PUSH_TOKEN_OK);
	options.auth_leeway_us = 0;
	assert_int_equal(read_now("{\"exp\":1700000000}"), PUSH_TOKEN_EXPIRED);
	assert_int_equal(read_now("{\"exp\":1700000001}"), PUSH_TOKEN_OK);
	assert_int_equal(read_now("{\"exp\":" LATER ",\"nbf\":1700000001}"), PUSH_TOKEN_NOT_YET);
}

static void
an_identity_ends_with_its_token_and_the_leeway(void **state)
{
	const struct push_identity *identity = identity_of("{\"exp\":" LATER ",\"iat\":" EARLIER "}");

	(void)state;
	assert_int_equal(push_identity_facts(identity).expires_us, NOW_US + 130 * SECOND_US);
	assert_int_equal(push_identity_facts(identity).issued_s, 1699999900);
	push_identity_unref(identity);
	/* as far away as can be */
	identity = identity_of("{\"exp\":9007199254740992}");
	assert_true(push_identity_facts(identity).expires_us >
		    NOW_US + 1000000ull * 365 * 24 * 3600 * SECOND_US / 10);
	assert_true(push_identity_facts(identity).issued_s == INT64_MIN);
	push_identity_unref(identity);
}

static void
exp_is_required_unless_it_is_switched_off(void **state)
{
	const struct push_identity *identity;

	(void)state;
	assert_int_equal(read_now("{}"), PUSH_TOKEN_CLAIMS);
	assert_string_equal(error.text, "the token's 'exp' is missing");
	options.auth_exp_required = false;
	identity = identity_of("{}");
	assert_true(push_identity_facts(identity).expires_us == UINT64_MAX);
	push_identity_unref(identity);
	assert_int_equal(read_now("{\"exp\":" EARLIER "}"), PUSH_TOKEN_EXPIRED);
}

static void
a_date_is_a_whole_number(void **state)
{
	static const char *const rows[] = {"1700000100.5", "1700000100.0", "17000001e2", "1E9", "-1", "-0",
		"9007199254740993", "99999999999999999999", "18446744073709551617", "\"1700000100\"", "null",
		"true", "[1700000100]", "{}"};
	static const char *const names[] = {"exp", "nbf", "iat"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t j = 0; j < COUNT(names); j++) {
			char payload[128];

			snprintf(payload, sizeof(payload), "{\"%s\":%s%s}", names[j], rows[i],
				j ? ",\"exp\":" LATER : "");
			if (read_now(payload) != PUSH_TOKEN_CLAIMS || !strstr(error.text, names[j]))
				fail_msg("%s: %s", payload, error.text);
		}
	assert_int_equal(read_now("{\"exp\":1700000100 }"), PUSH_TOKEN_OK);
	assert_int_equal(read_now("{\"exp\":01700000100}"), PUSH_TOKEN_CLAIMS);
}

/* --- for whom, from whom --- */

static void
issuer_and_audience_are_those_that_are_asked_for(void **state)
{
	static const struct {
		const char *claims;
		enum push_token_refusal refusal;
	} rows[] = {
		{"\"iss\":\"https://a\",\"aud\":\"push\"", PUSH_TOKEN_OK},
		{"\"iss\":\"https:\\/\\/a\",\"aud\":\"p\\u0075sh\"", PUSH_TOKEN_OK},
		{"\"iss\":\"https://a\",\"aud\":[\"other\",\"push\"]", PUSH_TOKEN_OK},
		{"\"aud\":\"push\"", PUSH_TOKEN_ISSUER},
		{"\"iss\":\"https://a/\",\"aud\":\"push\"", PUSH_TOKEN_ISSUER},
		{"\"iss\":\"https://A\",\"aud\":\"push\"", PUSH_TOKEN_ISSUER},
		{"\"iss\":\"https://\",\"aud\":\"push\"", PUSH_TOKEN_ISSUER},
		{"\"iss\":\"\",\"aud\":\"push\"", PUSH_TOKEN_ISSUER},
		{"\"iss\":[\"https://a\"],\"aud\":\"push\"", PUSH_TOKEN_ISSUER},
		{"\"iss\":null,\"aud\":\"push\"", PUSH_TOKEN_ISSUER},
		{"\"iss\":\"https://a\"", PUSH_TOKEN_AUDIENCE},
		{"\"iss\":\"https://a\",\"aud\":\"pus\"", PUSH_TOKEN_AUDIENCE},
		{"\"iss\":\"https://a\",\"aud\":\"push2\"", PUSH_TOKEN_AUDIENCE},
		{"\"iss\":\"https://a\",\"aud\":\"push\\u0000\"", PUSH_TOKEN_AUDIENCE},
		{"\"iss\":\"https://a\",\"aud\":[]", PUSH_TOKEN_AUDIENCE},
		{"\"iss\":\"https://a\",\"aud\":[\"Push\"]", PUSH_TOKEN_AUDIENCE},
		{"\"iss\":\"https://a\",\"aud\":[\"push\",1]", PUSH_TOKEN_CLAIMS},
		{"\"iss\":\"https://a\",\"aud\":[[\"push\"]]", PUSH_TOKEN_CLAIMS},
		{"\"iss\":\"https://a\",\"aud\":{\"push\":1}", PUSH_TOKEN_CLAIMS},
		{"\"iss\":\"https://a\",\"aud\":null", PUSH_TOKEN_CLAIMS},
	};

	(void)state;
	snprintf(options.auth_issuer, sizeof(options.auth_issuer), "https://a");
	snprintf(options.auth_audience, sizeof(options.auth_audience), "push");
	for (size_t i = 0; i < COUNT(rows); i++) {
		char payload[256];
		enum push_token_refusal refusal;

		snprintf(payload, sizeof(payload), "{%s,\"exp\":" LATER "}", rows[i].claims);
		refusal = read_now(payload);
		if (refusal != rows[i].refusal)
			fail_msg("%s: %s", payload, error.text);
		/* what is asked for is nobody's business */
		assert_null(strstr(error.text, "https://a"));
	}
	push_options_init(&options);
	assert_int_equal(read_now("{\"iss\":7,\"aud\":\"anybody\",\"exp\":" LATER "}"), PUSH_TOKEN_OK);
}

static void
names_are_strings_without_control_characters(void **state)
{
	static const char *const bad[] = {"\"\"", "7", "null", "[\"me\"]", "\"a\\nb\"", "\"a\\u0000\"",
		"\"\\u007f\"", "\"\xc2\x80\"", "\"\\u009f\""};
	static const char *const names[] = {"sub", "jti"};
	const struct push_identity *identity;
	char payload[512];

	(void)state;
	for (size_t j = 0; j < COUNT(names); j++) {
		for (size_t i = 0; i < COUNT(bad); i++) {
			snprintf(payload, sizeof(payload), "{\"%s\":%s,\"exp\":" LATER "}", names[j], bad[i]);
			if (read_now(payload) != PUSH_TOKEN_CLAIMS || !strstr(error.text, names[j]))
				fail_msg("%s: %s", payload, error.text);
		}
		for (int size = 255; size <= 256; size++) {
			snprintf(payload, sizeof(payload), "{\"%s\":\"%0*d\",\"exp\":" LATER "}", names[j],
				size, 0);
			assert_int_equal(read_now(payload), size == 255 ? PUSH_TOKEN_OK : PUSH_TOKEN_CLAIMS);
		}
	}
	identity = identity_of("{\"sub\":\"J\\u00f6rg, *:{sub}\",\"jti\":\"\xc2\xa0\",\"exp\":" LATER "}");
	assert_int_equal(push_identity_facts(identity).user.size, 14);
	assert_memory_equal(push_identity_facts(identity).user.bytes, "J\xc3\xb6rg, *:{sub}", 14);
	assert_memory_equal(push_identity_facts(identity).token_id.bytes, "\xc2\xa0", 2);
	assert_null(push_identity_facts(identity).key_name.bytes);
	push_identity_unref(identity);
	identity = identity_of("{\"exp\":" LATER "}");
	assert_null(push_identity_facts(identity).user.bytes);
	push_identity_unref(identity);
}

/* --- rights --- */

static void
rights_are_those_of_both_claims(void **state)
{
	const struct push_identity *identity = identity_of(
		"{\"exp\":" LATER ",\"sub\":\"me\",\"push\":{\"subscribe\":[\"chat:*\",\"user:{sub}\"],"
		"\"publish\":[\"chat:{sub}\"],\"history\":[\"ch\\u0061t:*\"],\"channels\":[\"news\",\"a b\"],"
		"\"more\":{}},\"mercure\":{\"subscribe\":[\"http://h/"
		"{id}\"],\"publish\":[\"out\"],\"payload\":{\"a\":1}}}");
	struct push_str channels = push_identity_channels(identity);

	(void)state;
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "chat:1"));
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "user:me"));
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "news"));
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "a b"));
	assert_true(may(identity, PUSH_RIGHT_SUBSCRIBE, "http://h/7"));
	assert_true(may(identity, PUSH_RIGHT_HISTORY, "http://h/7"));
	assert_true(may(identity, PUSH_RIGHT_HISTORY, "chat:1"));
	assert_true(may(identity, PUSH_RIGHT_PUBLISH, "chat:me"));
	assert_true(may(identity, PUSH_RIGHT_PUBLISH, "out"));

	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "user:you"));
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "out"));
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "new"));
	assert_false(may(identity, PUSH_RIGHT_SUBSCRIBE, "http://h/7/8"));
	assert_false(may(identity, PUSH_RIGHT_PUBLISH, "chat:1"));
	assert_false(may(identity, PUSH_RIGHT_PUBLISH, "news"));
	assert_false(may(identity, PUSH_RIGHT_HISTORY, "news"));

	assert_int_equal(channels.size, 8);
	assert_memory_equal(channels.bytes, "news,a b", 8);
	push_identity_unref(identity);
}

static void
no_claim_is_no_right(void **state)
{
	static const char *const rows[] = {"{\"exp\":" LATER "}", "{\"exp\":" LATER ",\"push\":{}}",
		"{\"exp\":" LATER ",\"mercure\":{}}",
		"{\"exp\":" LATER ",\"push\":{\"subscribe\":[],\"channels\":[ ]}}",
		"{\"exp\":" LATER ",\"subscribe\":[\"**\"]}",
		"{\"exp\":" LATER ",\"mercure\":{\"payload\":[\"*\"]}}"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_identity *identity = identity_of(rows[i]);

		for (int right = 0; right < PUSH_RIGHT_COUNT; right++)
			assert_false(may(identity, (enum push_right)right, "news"));
		assert_int_equal(push_identity_channels(identity).size, 0);
		push_identity_unref(identity);
	}
}

static void
malformed_rights_are_refused_and_named(void **state)
{
	static const struct {
		const char *claims, *text;
	} rows[] = {
		{"\"push\":[]", "the token's 'push' must be an object"},
		{"\"push\":null", "'push' must be an object"},
		{"\"push\":\"**\"", "'push' must be an object"},
		{"\"mercure\":[\"*\"]", "'mercure' must be an object"},
		{"\"push\":{\"subscribe\":\"chat\"}", "'push.subscribe' must be an array of strings"},
		{"\"push\":{\"publish\":{\"a\":\"b\"}}", "'push.publish' must be an array of strings"},
		{"\"push\":{\"history\":null}", "'push.history' must be an array of strings"},
		{"\"push\":{\"channels\":[1]}", "'push.channels' must be an array of strings"},
		{"\"push\":{\"subscribe\":[[\"a\"]]}", "'push.subscribe' must be an array of strings"},
		{"\"push\":{\"subscribe\":[\"a\",null]}", "'push.subscribe' must be an array of strings"},
		{"\"mercure\":{\"publish\":true}", "'mercure.publish' must be an array of strings"},
		{"\"mercure\":{\"subscribe\":[7]}", "'mercure.subscribe' must be an array of strings"},
		{"\"push\":{\"subscribe\":[\"\"]}", "push.subscribe: "},
		{"\"push\":{\"subscribe\":[\"a\\u0001\"]}", "push.subscribe: "},
		{"\"push\":{\"channels\":[\"\"]}", "push.channels: "},
		{"\"push\":{\"channels\":[\"a,b\"]}", "push.channels: "},
		{"\"push\":{\"channels\":[\"chat:*\"]}", "push.channels: must be names, not patterns"},
		{"\"push\":{\"channels\":[\"user:{sub}\"]}", "push.channels: must be names, not patterns"},
		{"\"push\":{\"subcribe\":[\"a\"]}", "did you mean 'subscribe'?"},
		{"\"push\":{\"subscribe\":[\"a\"],\"subscribe\":[\"**\"]}", "comes twice"},
		{"\"mercure\":{\"publish\":[],\"publi\\u0073h\":[\"*\"]}", "comes twice"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char payload[256];

		snprintf(payload, sizeof(payload), "{\"exp\":" LATER ",%s}", rows[i].claims);
		if (read_now(payload) != PUSH_TOKEN_CLAIMS || !strstr(error.text, rows[i].text))
			fail_msg("%s: %s", payload, error.text);
	}
}

static void
a_payload_is_one_object_in_which_nothing_comes_twice(void **state)
{
	static const char *const rows[] = {"", "null", "[]", "7", "\"exp\"", "{", "{\"exp\":" LATER "}}",
		"{\"exp\":" LATER ",}", "{\"exp\":" LATER "} {}", "{\"exp\":" LATER ",\"a\":\"\xff\"}",
		"{\"exp\":" LATER ",\"exp\":" LATER "}", "{\"exp\":1,\"\\u0065xp\":" LATER "}",
		"{\"exp\":" LATER ",\"a\":1,\"a\":1}", "{\"exp\":" LATER ",\"\":1,\"\":1}"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (read_now(rows[i]) != PUSH_TOKEN_CLAIMS)
			fail_msg("'%s'", rows[i]);
	assert_int_equal(read_now(" {\"exp\":" LATER ",\"a\":{\"b\":1},\"b\":[{\"a\":1}]} "), PUSH_TOKEN_OK);
}

static void
more_than_an_identity_may_have_is_refused(void **state)
{
	char payload[4096];

	(void)state;
	for (int count = PUSH_IDENTITY_PATTERNS_MAX; count <= PUSH_IDENTITY_PATTERNS_MAX + 1; count++) {
		strcpy(payload, "{\"exp\":" LATER ",\"push\":{\"subscribe\":[");
		for (int i = 0; i < count; i++)
			sprintf(payload + strlen(payload), "%s\"%d\"", i ? "," : "", i);
		strcat(payload, "]}}");
		assert_int_equal(read_now(payload),
			count == PUSH_IDENTITY_PATTERNS_MAX ? PUSH_TOKEN_OK : PUSH_TOKEN_CLAIMS);
	}
	assert_non_null(strstr(error.text, "push.subscribe: "));
}

static void
without_memory_nobody_is_anybody(void **state)
{
	static const char payload[] =
		"{\"exp\":" LATER
		",\"sub\":\"m\\u0065\",\"jti\":\"1\",\"push\":{\"subscribe\":[\"a\\u003a*\"],"
		"\"channels\":[\"news\"]},\"mercure\":{\"publish\":[\"b\"]}}";
	enum push_token_refusal refusal = PUSH_TOKEN_MEMORY;

	(void)state;
	for (long left = 0; refusal != PUSH_TOKEN_OK; left++) {
		const struct push_identity *identity = NULL;

		assert_true(left < 1000);
		allocations_left = left;
		refusal = read_at(payload, WALL_S * SECOND_US, &identity);
		allocations_left = -1;
		assert_true(refusal == PUSH_TOKEN_OK || refusal == PUSH_TOKEN_MEMORY);
		push_identity_unref(identity);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_token_is_good_from_nbf_to_exp_and_a_leeway_on_both_sides, set_up),
		cmocka_unit_test_setup(an_identity_ends_with_its_token_and_the_leeway, set_up),
		cmocka_unit_test_setup(exp_is_required_unless_it_is_switched_off, set_up),
		cmocka_unit_test_setup(a_date_is_a_whole_number, set_up),
		cmocka_unit_test_setup(issuer_and_audience_are_those_that_are_asked_for, set_up),
		cmocka_unit_test_setup(names_are_strings_without_control_characters, set_up),
		cmocka_unit_test_setup(rights_are_those_of_both_claims, set_up),
		cmocka_unit_test_setup(no_claim_is_no_right, set_up),
		cmocka_unit_test_setup(malformed_rights_are_refused_and_named, set_up),
		cmocka_unit_test_setup(a_payload_is_one_object_in_which_nothing_comes_twice, set_up),
		cmocka_unit_test_setup(more_than_an_identity_may_have_is_refused, set_up),
		cmocka_unit_test_setup(without_memory_nobody_is_anybody, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
