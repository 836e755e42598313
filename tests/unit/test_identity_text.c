/* An identity that another node has written down is the same one here, at another clock; and whatever else is
 * there makes none. */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>

#include "auth/identity_text.h"

#define SECOND_US 1000000ull
#define WALL_US   (1700000000 * SECOND_US)

static struct push_str
str(const char *text)
{
	return (struct push_str){text, text ? strlen(text) : 0};
}

static const struct push_identity *
make(const struct push_identity_facts *facts)
{
	struct push_identity_builder *builder = push_identity_build(facts);
	struct push_error error;
	const struct push_identity *identity;

	assert_non_null(builder);
	assert_int_equal(push_identity_grant(builder, PUSH_RIGHT_SUBSCRIBE, str("chat:*"), &error), PUSH_OK);
	assert_int_equal(
		push_identity_grant(builder, PUSH_RIGHT_SUBSCRIBE, str("user:{sub}:**"), &error), PUSH_OK);
	assert_int_equal(
		push_identity_grant(builder, PUSH_RIGHT_PUBLISH, str("\"quoted\\\""), &error), PUSH_OK);
	assert_int_equal(push_identity_grant_template(builder, PUSH_RIGHT_HISTORY, str("books/{id}"), &error),
		PUSH_OK);
	assert_int_equal(push_identity_add_channel(builder, str("news"), &error), PUSH_OK);
	assert_int_equal(push_identity_add_channel(builder, str("sport"), &error), PUSH_OK);
	identity = push_identity_done(builder);
	assert_non_null(identity);
	return identity;
}

static void
print(struct push_buf *to, const struct push_identity *identity, uint64_t now_us, uint64_t wall_us)
{
	push_buf_init(to, PUSH_IDENTITY_TEXT_BYTES_MAX);
	push_identity_text_print(to, identity, now_us, wall_us);
	assert_int_equal(to->status, PUSH_OK);
}

static void
assert_same(struct push_str a, struct push_str b)
{
	assert_int_equal(a.size, b.size);
	assert_int_equal(!a.bytes, !b.bytes);
	if (a.size)
		assert_memory_equal(a.bytes, b.bytes, a.size);
}

static void
assert_same_identity(const struct push_identity *one, const struct push_identity *other)
{
	struct push_identity_facts a = push_identity_facts(one), b = push_identity_facts(other);
	struct push_identity_rights rights = push_identity_rights(one), others = push_identity_rights(other);

	assert_same(a.user, b.user);
	assert_same(a.token_id, b.token_id);
	assert_same(a.key_name, b.key_name);
	assert_true(a.issued_s == b.issued_s);
	assert_true(a.signer == b.signer);
	assert_int_equal(a.asks_application, b.asks_application);
	assert_same(rights.channels, others.channels);
	for (int right = 0; right < PUSH_RIGHT_COUNT; right++)
		assert_same(rights.patterns[right], others.patterns[right]);
	assert_same(push_identity_space(one), push_identity_space(other));
}

static void
it_is_the_same_at_another_clock(void **state)
{
	static const struct push_identity_facts rows[] = {
		{{"u", 1}, {"j", 1}, {NULL, 0}, 5000 * SECOND_US, 1700000000, {NULL, 0}, (1ull << 53) - 1,
			false, false},
		{{"a,\"\\\x01\x7f\xc3\xbc*", 9}, {"", 0}, {"shop", 4}, 5000 * SECOND_US, 0, {NULL, 0}, 1,
			false, false},
		{{NULL, 0}, {NULL, 0}, {NULL, 0}, UINT64_MAX, INT64_MIN, {NULL, 0}, 0, false, true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_identity *identity = make(&rows[i]), *again = NULL;
		struct push_buf text, second;

		print(&text, identity, 1000 * SECOND_US, WALL_US);
		/* half an hour later, on a machine that has just started */
		assert_int_equal(
			push_identity_text_parse(&again, text.bytes, text.size, (struct push_str){NULL, 0},
				7 * SECOND_US, WALL_US + 1800 * SECOND_US),
			PUSH_OK);
		assert_same_identity(identity, again);
		if (rows[i].expires_us == UINT64_MAX)
			assert_true(push_identity_facts(again).expires_us == UINT64_MAX);
		else
			assert_true(push_identity_facts(again).expires_us == (7 + 4000 - 1800) * SECOND_US);
		print(&second, again, 7 * SECOND_US, WALL_US + 1800 * SECOND_US);
		assert_int_equal(text.size, second.size);
		assert_memory_equal(text.bytes, second.bytes, text.size);
		push_buf_fini(&text);
		push_buf_fini(&second);
		push_identity_unref(identity);
		push_identity_unref(again);
	}
}

static void
it_may_what_it_might(void **state)
{
	const struct push_identity_facts facts = {
		.user = {"u", 1}, .expires_us = UINT64_MAX, .issued_s = INT64_MIN};
	const struct push_identity *identity = make(&facts), *again = NULL;
	struct push_buf text;

	(void)state;
	print(&text, identity, 0, WALL_US);
	assert_int_equal(push_identity_text_parse(
				 &again, text.bytes, text.size, (struct push_str){NULL, 0}, 0, WALL_US),
		PUSH_OK);
	assert_true(push_identity_may(again, PUSH_RIGHT_SUBSCRIBE, str("chat:1")));
	assert_false(push_identity_may(again, PUSH_RIGHT_SUBSCRIBE, str("chat:1:2")));
	assert_true(push_identity_may(again, PUSH_RIGHT_SUBSCRIBE, str("user:u:a:b")));
	assert_false(push_identity_may(again, PUSH_RIGHT_SUBSCRIBE, str("user:v:a")));
	assert_true(push_identity_may(again, PUSH_RIGHT_SUBSCRIBE, str("sport")));
	assert_true(push_identity_may(again, PUSH_RIGHT_PUBLISH, str("\"quoted\\\"")));
	assert_false(push_identity_may(again, PUSH_RIGHT_PUBLISH, str("chat:1")));
	assert_true(push_identity_may(again, PUSH_RIGHT_HISTORY, str("books/1")));
	assert_false(push_identity_may(again, PUSH_RIGHT_HISTORY, str("books/1/2")));
	push_buf_fini(&text);
	push_identity_unref(identity);
	push_identity_unref(again);
}

static void
one_that_is_over_expires_now(void **state)
{
	static const char text[] = "{\"v\":1,\"sub\":\"u\",\"exp_ms\":1700000000000}";
	const struct push_identity *identity = NULL;

	(void)state;
	for (uint64_t late_us = 0; late_us < 3 * SECOND_US; late_us += SECOND_US) {
		assert_int_equal(push_identity_text_parse(&identity, text, sizeof(text) - 1,
					 (struct push_str){NULL, 0}, 7, WALL_US + late_us),
			PUSH_OK);
		assert_true(push_identity_facts(identity).expires_us == 7);
		push_identity_unref(identity);
	}
}

static void
nothing_else_makes_one(void **state)
{
	static const char *const texts[] = {"", "{}", "[]", "null", "{\"sub\":\"u\"}", "{\"v\":2}",
		"{\"v\":\"1\"}", "{\"v\":10}", "{\"v\":1", "{\"v\":1,\"sub\":1}", "{\"v\":1,\"sub\":null}",
		"{\"v\":1,\"iat\":-1}", "{\"v\":1,\"iat\":1.5}", "{\"v\":1,\"iat\":\"1\"}",
		"{\"v\":1,\"iat\":99999999999999999999999}", "{\"v\":1,\"exp_ms\":1e9}",
		"{\"v\":1,\"exp_ms\":253402300799001}", "{\"v\":1,\"channels\":\"a,,b\"}",
		"{\"v\":1,\"channels\":\",\"}", "{\"v\":1,\"channels\":\"a,\"}",
		"{\"v\":1,\"channels\":\"a\\n\"}", "{\"v\":1,\"subscribe\":\"a\"}",
		"{\"v\":1,\"subscribe\":\"\\n\"}", "{\"v\":1,\"publish\":\"a\\n\\nb\\n\"}",
		"{\"v\":1,\"history\":[\"a\\n\"]}"};
	static char large[PUSH_IDENTITY_BYTES_MAX + 100];
	const struct push_identity *identity = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		if (push_identity_text_parse(&identity, texts[i], strlen(texts[i]),
			    (struct push_str){NULL, 0}, 0, WALL_US) != PUSH_INVALID)
			fail_msg("parsed: %s", texts[i]);
	/* a user's name, and patterns, that are too long */
	for (int i = 0; i < 2; i++) {
		size_t size = i ? PUSH_IDENTITY_BYTES_MAX + 1 : PUSH_USER_BYTES_MAX + 1;
		int head = snprintf(large, sizeof(large), "{\"v\":1,\"%s\":\"", i ? "publish" : "sub");

		memset(large + head, 'a', size);
		snprintf(large + head + size, sizeof(large) - (size_t)head - size, i ? "\\n\"}" : "\"}");
		assert_int_equal(push_identity_text_parse(&identity, large, strlen(large),
					 (struct push_str){NULL, 0}, 0, WALL_US),
			PUSH_INVALID);
	}
	/* two rights, each of which would fit in */
	snprintf(large, sizeof(large), "{\"v\":1,\"publish\":\"%0*d\\n\",\"history\":\"%0*d\\n\"}",
		PUSH_IDENTITY_BYTES_MAX / 2, 1, PUSH_IDENTITY_BYTES_MAX / 2, 1);
	assert_int_equal(push_identity_text_parse(
				 &identity, large, strlen(large), (struct push_str){NULL, 0}, 0, WALL_US),
		PUSH_INVALID);
	assert_null(identity);
}

static void
without_memory_there_is_none(void **state)
{
	const struct push_identity_facts facts = {
		.user = {"u", 1}, .expires_us = UINT64_MAX, .issued_s = INT64_MIN};
	const struct push_identity *identity = make(&facts), *again = NULL;
	struct push_buf text;
	enum push_status status = PUSH_OUT_OF_MEMORY;

	(void)state;
	print(&text, identity, 0, WALL_US);
	for (long limit = 0; status != PUSH_OK; limit++) {
		assert_true(limit < 1000);
		allocations_left = limit;
		status = push_identity_text_parse(
			&again, text.bytes, text.size, (struct push_str){NULL, 0}, 0, WALL_US);
		allocations_left = -1;
		assert_true(status == PUSH_OK || status == PUSH_OUT_OF_MEMORY);
	}
	push_identity_unref(again);
	push_identity_unref(identity);
	push_buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_the_same_at_another_clock),
		cmocka_unit_test(it_may_what_it_might),
		cmocka_unit_test(one_that_is_over_expires_now),
		cmocka_unit_test(nothing_else_makes_one),
		cmocka_unit_test(without_memory_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
