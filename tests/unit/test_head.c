/* The heads of requests: what llhttp accepts, and what is made of it. */
#include "unit.h"

#include <stdio.h>

#include "direct/head.h"

#define LINE "POST /messages?a=b HTTP/1.1\r\n"

static enum push_head_result
read_text(struct push_head *head, const char *text)
{
	llhttp_t parser;

	return push_head_read(head, &parser, text, strlen(text), 400);
}

static void
assert_span(struct push_str span, const char *text)
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
	assert_int_equal(head.request.method, PUSH_METHOD_POST);
	assert_true(head.http_1_1 && head.keep_alive && head.request.has_length && !head.chunked);
	assert_int_equal(head.request.length, 12);
	assert_int_equal(head.size, strstr(text, "{\"body") - text);
	assert_span(head.request.path, "/messages");
	assert_span(head.request.query, "a=b");
	assert_span(head.request.host, "a.b:1");
	assert_span(head.request.content_type, "application/json");
	assert_span(head.request.authorization, "Basic eA==");
	assert_null(head.request.origin.bytes);
	assert_false(head.request.wants_websocket);
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
what_can_be_read_in_two_ways_is_refused(void **state)
{
	static const struct {
		unsigned int status;
		const char *text;
	} rows[] = {
		{400, LINE "Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"},
		{400, LINE "Host: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n"},
		{400, LINE "Host: x\r\nContent-Length: 5, 5\r\n\r\n"},
		{400, LINE "Host: x\r\nContent-Length: +5\r\n\r\n"},
		{400, LINE "Host: x\r\nContent-Length: 0x5\r\n\r\n"},
		{400, LINE "Host: x\r\nContent-Length: 18446744073709551616\r\n\r\n"},
		{400, LINE "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{400, LINE "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"},
		{400, LINE "Host: x\r\nTransfer-Encoding : chunked\r\n\r\n"},
		{400, LINE "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{501, LINE "Host: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"},
		{400, "POST /a HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{400, LINE "Host : x\r\n\r\n"},
		{400, LINE "Host: x\r\n folded\r\n\r\n"},
		{400, LINE "Host: x\nX: y\r\n\r\n"},
		{400, LINE "Host: x\rX: y\r\n\r\n"},
		{400, LINE "Ho st: x\r\n\r\n"},
		{400, LINE "Host: a\x01z\r\n\r\n"},
		{400, LINE "\r\n"},
		{400, LINE "Host: x\r\nHost: x\r\n\r\n"},
		{400, LINE "Host: a/b\r\n\r\n"},
		{400, LINE "Host: user@x\r\n\r\n"},
		{400, LINE "Host: x\r\nContent-Type: application/json\r\nContent-Type: text/plain\r\n\r\n"},
		{505, "POST /a\nHost: x\r\n\r\n"},
		{400, "POST /a HTTP/1.1\nHost: x\r\n\r\n"},
		{400, "POST /a\n\r\n\r\n"},
		{400, "POST /a b HTTP/1.1\r\nHost: x\r\n\r\n"},
		{400, "POST /a#b HTTP/1.1\r\nHost: x\r\n\r\n"},
		{400, "POST a HTTP/1.1\r\nHost: x\r\n\r\n"},
		{400, "POST ftp://x/a HTTP/1.1\r\nHost: x\r\n\r\n"},
		{400, "POST http:///a HTTP/1.1\r\nHost: x\r\n\r\n"},
		{505, "POST /a HTTP/3.0\r\nHost: x\r\n\r\n"},
		{400, "GET  /a HTTP/1.1\r\nHost: x\r\n\r\n"},
		{400, "GET /a  HTTP/1.1\r\nHost: x\r\n\r\n"},
		{400, "GET /a RTSP/1.0\r\nHost: x\r\n\r\n"},
		{400, "SOURCE /a ICE/1.0\r\nHost: x\r\n\r\n"},
		{501, "NONSENSE /a HTTP/1.1\r\nHost: x\r\n\r\n"},
		{400, " GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
	};
	struct push_head head;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (read_text(&head, rows[i].text) != PUSH_HEAD_BAD || head.status != rows[i].status ||
			!head.error.text[0])
			fail_msg("not %u but %u: %s", rows[i].status, head.status, rows[i].text);
}

static void
what_is_no_http_1_is_foreign(void **state)
{
	struct push_head head;

	(void)state;
	assert_int_equal(read_text(&head, "\x16\x03\x01\x02\r\n\r\n"), PUSH_HEAD_FOREIGN);
	assert_int_equal(read_text(&head, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), PUSH_HEAD_FOREIGN);
}

/* RFC 9112, 3.2.2: a server must accept it, and not believe Host. */
static void
the_authority_of_a_whole_url_counts_instead_of_host(void **state)
{
	static const struct {
		const char *target, *host, *path, *query;
	} rows[] = {
		{"http://push.example/messages?a=b", "push.example", "/messages", "a=b"},
		{"HTTPS://push.example:8443/", "push.example:8443", "/", NULL},
		{"http://push.example", "push.example", "/", NULL},
		{"http://push.example?a", "push.example", "/", "a"},
		{"http://[::1]:80/a", "[::1]:80", "/a", NULL},
	};
	struct push_head head;
	char text[200];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: other\r\n\r\n", rows[i].target);
		assert_int_equal(read_text(&head, text), PUSH_HEAD_WHOLE);
		assert_span(head.request.host, rows[i].host);
		assert_span(head.request.path, rows[i].path);
		assert_int_equal(head.request.query.bytes != NULL, rows[i].query != NULL);
		if (rows[i].query)
			assert_span(head.request.query, rows[i].query);
	}
}

static void
a_websocket_is_asked_for_by_get_and_a_connection_that_names_the_upgrade(void **state)
{
	static const struct {
		bool wants;
		const char *text;
	} rows[] = {
		{true, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{true, "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, upgrade\r\nUpgrade: h2c, "
		       "WebSocket\r\n\r\n"},
		{true, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: "
		       "websocket\r\n\r\n"},
		{false, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"},
		{false, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n"},
		{false, "GET / HTTP/1.0\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{false, "POST / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
	};
	struct push_head head;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(read_text(&head, rows[i].text), PUSH_HEAD_WHOLE);
		if (head.request.wants_websocket != rows[i].wants)
			fail_msg("%s", rows[i].text);
	}
}

static void
an_empty_header_is_not_a_missing_one(void **state)
{
	struct push_head head;

	(void)state;
	assert_int_equal(read_text(&head, LINE "Host:\r\nOrigin: \r\n\r\n"), PUSH_HEAD_WHOLE);
	assert_true(head.request.host.bytes && !head.request.host.size && head.request.origin.bytes);
	assert_null(head.request.authorization.bytes);
}

static void
whether_the_connection_stays_is_read_from_version_and_header(void **state)
{
	static const struct {
		const char *text;
		bool keeps, http_1_1;
	} rows[] = {
		{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", true, true},
		{"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", false, true},
		{"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, close\r\n\r\n", false, true},
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_part_is_a_span_of_the_head),
		cmocka_unit_test(a_head_is_partial_until_its_last_byte),
		cmocka_unit_test(the_limit_counts_for_whole_heads_and_for_parts),
		cmocka_unit_test(what_can_be_read_in_two_ways_is_refused),
		cmocka_unit_test(what_is_no_http_1_is_foreign),
		cmocka_unit_test(the_authority_of_a_whole_url_counts_instead_of_host),
		cmocka_unit_test(a_websocket_is_asked_for_by_get_and_a_connection_that_names_the_upgrade),
		cmocka_unit_test(an_empty_header_is_not_a_missing_one),
		cmocka_unit_test(whether_the_connection_stays_is_read_from_version_and_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
