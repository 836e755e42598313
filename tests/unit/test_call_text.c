/* What Push nodes say to each other, as text: what is read is what was written, and nothing else is read. */
#include "unit.h"

#include <string.h>

#include "redis/call_text.h"

#define NODE "0123456789abcdef"

static void
what_is_written_is_read(void **state)
{
	const struct push_redis_call_text calls[] = {
		{PUSH_REDIS_CALL, NODE, "control", 7, "some\0text ", 10},
		{PUSH_REDIS_CALL_ANSWER, NODE, "ok", 9999999999999999999ull, "", 0},
		{PUSH_REDIS_CALL_NOTICE, "fedcba9876543210", "abcdefghijklmnop", 0, "3", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct push_redis_call_text got;
		char text[PUSH_REDIS_CALL_HEAD_BYTES_MAX + 16];
		size_t size = push_redis_call_text_head(&calls[i], text);

		memcpy(text + size, calls[i].text, calls[i].size);
		assert_true(push_redis_call_text_parse(&got, text, size + calls[i].size));
		assert_int_equal(got.kind, calls[i].kind);
		assert_string_equal(got.node, calls[i].node);
		assert_string_equal(got.verb, calls[i].verb);
		assert_true(got.number == calls[i].number);
		assert_int_equal(got.size, calls[i].size);
		assert_memory_equal(got.text, calls[i].text, got.size);
	}
}

static void
what_is_no_call_is_not_read(void **state)
{
	static const char *const texts[] = {
		"",
		"?",
		"?" NODE,
		"?" NODE ".",
		"?" NODE ".1",
		"?" NODE ".1 ",
		"?" NODE ".1 verb",                /* no space behind it */
		"?" NODE ".1  x",                  /* no verb */
		"?" NODE ".1 Verb x",              /* a capital */
		"?" NODE ".1 abcdefghijklmnopq x", /* 17 letters */
		"?" NODE ". verb x",               /* no number */
		"?" NODE ".-1 verb x",
		"?" NODE ".1x verb x",
		"?" NODE ".12345678901234567890 verb x", /* 20 digits */
		"?" NODE "01 verb x",                    /* no dot */
		"?0123456789abcdeF.1 verb x",            /* a capital */
		"?0123456789abcde.1 verb x",             /* 15 digits */
		"?0123456789abcdef0.1 verb x",           /* 17 */
		"+" NODE ".1 verb x",                    /* no such kind */
		NODE ".1 verb x",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct push_redis_call_text got;

		if (push_redis_call_text_parse(&got, texts[i], strlen(texts[i])))
			fail_msg("%s", texts[i]);
	}
}

static void
a_call_that_is_cut_is_none(void **state)
{
	static const char text[] = "?" NODE ".123 verb ";
	struct push_redis_call_text got;

	(void)state;
	for (size_t size = 0; size < sizeof(text) - 1; size++)
		assert_false(push_redis_call_text_parse(&got, text, size));
	assert_true(push_redis_call_text_parse(&got, text, sizeof(text) - 1));
	assert_int_equal(got.size, 0);
}

static void
whom_to_tell_is_taken_off_a_payload(void **state)
{
	const struct push_redis_receipt_to to = {NODE, 42};
	struct push_redis_receipt_to got;
	char text[PUSH_REDIS_CALL_HEAD_BYTES_MAX + 16];
	const char *payload = text;
	size_t head = push_redis_receipt_head(&to, text), size = head + 5;

	(void)state;
	memcpy(text + head, "hello", 5);
	assert_true(push_redis_receipt_open(&got, &payload, &size));
	assert_string_equal(got.node, NODE);
	assert_int_equal(got.number, 42);
	assert_int_equal(size, 5);
	assert_memory_equal(payload, "hello", 5);
	/* what it stands in front of is not looked at */
	assert_false(push_redis_receipt_open(&got, &payload, &size));
	size = head;
	payload = text;
	assert_true(push_redis_receipt_open(&got, &payload, &size));
	assert_int_equal(size, 0);
}

static void
any_other_payload_stays_as_it_is(void **state)
{
	static const char *const texts[] = {"", "\x1e", "\x1e!", "hello", "\x1e{\"a\":1}", "\x1e!" NODE ".1",
		"\x1e!" NODE ".x hello", "\x1e#1-1 0-0 0 hello", "!" NODE ".1 hello"};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct push_redis_receipt_to got;
		const char *payload = texts[i];
		size_t size = strlen(texts[i]);

		assert_false(push_redis_receipt_open(&got, &payload, &size));
		assert_ptr_equal(payload, texts[i]);
		assert_int_equal(size, strlen(texts[i]));
	}
}

static void
a_trace_is_taken_off_a_payload(void **state)
{
	const struct push_trace trace = {{0x4b}, {0xa7}, PUSH_TRACE_SAMPLED};
	char text[PUSH_REDIS_TRACE_HEAD_BYTES + 5];
	const char *payload = text;
	size_t size = sizeof(text);
	struct push_trace got;

	(void)state;
	push_redis_trace_head(&trace, text);
	memcpy(text + PUSH_REDIS_TRACE_HEAD_BYTES, "hello", 5);
	assert_true(push_redis_trace_open(&got, &payload, &size));
	assert_memory_equal(&got, &trace, sizeof(got));
	assert_int_equal(size, 5);
	assert_memory_equal(payload, "hello", 5);
	/* one, and not all that stand there */
	assert_false(push_redis_trace_open(&got, &payload, &size));
	for (size_t cut = 0; cut < PUSH_REDIS_TRACE_HEAD_BYTES; cut++) {
		payload = text;
		size = cut;
		assert_false(push_redis_trace_open(&got, &payload, &size));
		assert_ptr_equal(payload, text);
		assert_int_equal(size, cut);
	}
	text[PUSH_REDIS_TRACE_HEAD_BYTES - 1] = '-';
	size = sizeof(text);
	assert_false(push_redis_trace_open(&got, &payload, &size));
}

static void
what_was_kept_is_read_without_what_was_for_its_delivery(void **state)
{
	const struct push_trace trace = {{1}, {2}, PUSH_TRACE_SAMPLED};
	const struct push_redis_receipt_to to = {NODE, 42};
	char text[PUSH_REDIS_CALL_HEAD_BYTES_MAX + PUSH_REDIS_TRACE_HEAD_BYTES + 1];
	size_t head = push_redis_receipt_head(&to, text), size;
	const char *payload;

	(void)state;
	push_redis_trace_head(&trace, text + head);
	text[head + PUSH_REDIS_TRACE_HEAD_BYTES] = 'x';
	for (int without = 0; without < 2; without++) {
		payload = without ? text + head : text;
		size = PUSH_REDIS_TRACE_HEAD_BYTES + 1 + (without ? 0 : head);
		push_redis_heads_skip(&payload, &size);
		assert_int_equal(size, 1);
		assert_int_equal(*payload, 'x');
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(what_is_no_call_is_not_read),
		cmocka_unit_test(a_call_that_is_cut_is_none),
		cmocka_unit_test(whom_to_tell_is_taken_off_a_payload),
		cmocka_unit_test(any_other_payload_stays_as_it_is),
		cmocka_unit_test(a_trace_is_taken_off_a_payload),
		cmocka_unit_test(what_was_kept_is_read_without_what_was_for_its_delivery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
