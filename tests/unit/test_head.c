/* The heads of requests: what llhttp accepts, and what is made of it. */
#include "unit.h"

#include "direct/head.h"

#define LINE "POST /messages?a=b HTTP/1.1\r\n"

static enum push_head_result
read_text(struct push_head *head, const char *text)
{
	llhttp_t parser;

	return push_head_read(head, &parser, text, strlen(text), 400);
}

static void
assert_span(struct push_span span, const char *text)
{
	assert_non_null(span.bytes);
	assert_int_equal(span.size, strlen(text));
	assert_memory_equal(span.bytes, text, span.size);
}

static void
every_part_is_a_span_of_the_head(void **state)
{
	static const char text[] =
		"\r\n" LINE "host:a.b:1\r\nCONTENT-TYPE:\t application/json \t\r\n"
		"Authorization: Basic eA==\r\nContent-Length: 12\r\nX-Other: y\r\n\r\n{\"body\"...";
	struct push_head head;

	(void)state;
	assert_int_equal(read_text(&head, text), PUSH_HEAD_WHOLE);
	assert_int_equal(head.method, HTTP_POST);
	assert_true(head.http_1_1 && head.keep_alive && head.has_length && !head.chunked && !head.odd);
	assert_int_equal(head.length, 12);
	assert_int_equal(head.size, strstr(text, "{\"body") - text);
	assert_span(head.path, "/messages");
	assert_span(head.query, "a=b");
	assert_span(head.host, "a.b:1");
	assert_span(head.content_type, "application/json");
	assert_span(head.authorization, "Basic eA==");
	assert_null(head.origin.bytes);
	assert_null(head.upgrade.bytes);
}

static void
a_head_is_partial_until_its_last_byte(void **state)
{
	static const char text[] = LINE "Host: x\r\n\r\n";
	struct push_head head;
	llhttp_t parser;

	(void)state;
	for (size_t size = 0; size < sizeof(text) - 1; size++)
		assert_int_equal(push_head_read(&head, &parser, text, size, 400), PUSH_HEAD_PARTIAL);
	assert_int_equal(push_head_read(&head, &parser, text, sizeof(text) - 1, 400), PUSH_HEAD_WHOLE);
}

static void
the_limit_counts_for_whole_heads_and_for_parts(void **state)
{
	static const char text[] = LINE "Host: x\r\n\r\n";
	size_t size = sizeof(text) - 1;
	struct push_head head;
	llhttp_t parser;

	(void)state;
	assert_int_equal(push_head_read(&head, &parser, text, size, size), PUSH_HEAD_WHOLE);
	assert_int_equal(push_head_read(&head, &parser, text, size, size - 1), PUSH_HEAD_TOO_LARGE);
	assert_int_equal(push_head_read(&head, &parser, text, size - 4, size - 4), PUSH_HEAD_TOO_LARGE);
	assert_int_equal(push_head_read(&head, &parser, text, size - 4, size - 3), PUSH_HEAD_PARTIAL);
}

/* Each is what two servers in a row might read in two ways (RFC 9112, 11.2), or no request at all. */
static void
what_can_be_read_in_two_ways_is_bad(void **state)
{
	static const char *const texts[] = {
		LINE "Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
		LINE "Host: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
		LINE "Host: x\r\nContent-Length: 5, 5\r\n\r\n",
		LINE "Host: x\r\nContent-Length: +5\r\n\r\n",
		LINE "Host: x\r\nContent-Length: 0x5\r\n\r\n",
		LINE "Host: x\r\nContent-Length: 18446744073709551616\r\n\r\n",
		LINE "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
		LINE "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
		LINE "Host : x\r\n\r\n",
		LINE "Host: x\r\n folded\r\n\r\n",
		LINE "Host: x\nX: y\r\n\r\n",
		LINE "Ho st: x\r\n\r\n",
		LINE "Host: a\x01z\r\n\r\n",
		"POST /a HTTP/1.1\nHost: x\r\n\r\n",
		"POST /a\n\r\n\r\n",
		"POST /a b HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /a HTTP/3.0\r\nHost: x\r\n\r\n",
		"NONSENSE /a HTTP/1.1\r\nHost: x\r\n\r\n",
		" GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01\x02\r\n\r\n",
	};
	struct push_head head;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		if (read_text(&head, texts[i]) != PUSH_HEAD_BAD)
			fail_msg("not refused: %s", texts[i]);
}

static void
what_no_client_of_ours_sends_is_odd(void **state)
{
	static const char *const texts[] = {
		LINE "Host: x\r\nHost: x\r\n\r\n",
		LINE "Host: x\r\nContent-Type: application/json\r\nContent-Type: text/plain\r\n\r\n",
		"POST /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST http://x/a HTTP/1.1\r\nHost: x\r\n\r\n",
	};
	struct push_head head;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		assert_int_equal(read_text(&head, texts[i]), PUSH_HEAD_WHOLE);
		if (!head.odd)
			fail_msg("not odd: %s", texts[i]);
	}
}

static void
an_empty_header_is_not_a_missing_one(void **state)
{
	struct push_head head;

	(void)state;
	assert_int_equal(read_text(&head, LINE "Host:\r\nOrigin: \r\n\r\n"), PUSH_HEAD_WHOLE);
	assert_true(head.odd || (head.host.bytes && !head.host.size && head.origin.bytes));
	assert_null(head.authorization.bytes);
}

static void
whether_the_connection_stays_is_read_from_version_and_header(void **state)
{
	static const struct {
		const char *text;
		bool keeps, http_1_1;
	} rows[] = {
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true, true},
		{"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false, true},
		{"GET / HTTP/1.1\r\nConnection: keep-alive, close\r\n\r\n", false, true},
		{"GET / HTTP/1.0\r\nHost: x\r\n\r\n", false, false},
		{"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true, false},
	};
	struct push_head head;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(read_text(&head, rows[i].text), PUSH_HEAD_WHOLE);
		assert_int_equal(head.keep_alive, rows[i].keeps);
		assert_int_equal(head.http_1_1, rows[i].http_1_1);
	}
}

static void
a_token_of_a_list_is_found_whole_and_in_any_case(void **state)
{
	static const struct {
		const char *list;
		bool has;
	} rows[] = {{"push-ws", true}, {"a, PUSH-WS\t", true}, {",, push-ws ,", true}, {"push-ws2", false},
		{"xpush-ws", false}, {"push ws", false}, {"", false}};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(push_span_has_token(
					 (struct push_span){rows[i].list, strlen(rows[i].list)}, "push-ws"),
			rows[i].has);
	assert_false(push_span_has_token((struct push_span){NULL, 0}, "push-ws"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_part_is_a_span_of_the_head),
		cmocka_unit_test(a_head_is_partial_until_its_last_byte),
		cmocka_unit_test(the_limit_counts_for_whole_heads_and_for_parts),
		cmocka_unit_test(what_can_be_read_in_two_ways_is_bad),
		cmocka_unit_test(what_no_client_of_ours_sends_is_odd),
		cmocka_unit_test(an_empty_header_is_not_a_missing_one),
		cmocka_unit_test(whether_the_connection_stays_is_read_from_version_and_header),
		cmocka_unit_test(a_token_of_a_list_is_found_whole_and_in_any_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
