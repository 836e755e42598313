/* The collector's answer: what counts of it is read however it is cut, and none costs more than its bound. */
#include "unit.h"

#include "trace/answer.h"

static struct push_trace_answer answer;

static enum push_trace_answer_state
feed(const char *text, size_t cut)
{
	enum push_trace_answer_state state = PUSH_TRACE_ANSWER_PARTIAL;
	size_t size = strlen(text);

	push_trace_answer_init(&answer);
	for (size_t at = 0; at < size && state == PUSH_TRACE_ANSWER_PARTIAL; at += cut)
		state = push_trace_answer_feed(&answer, text + at, size - at < cut ? size - at : cut);
	return state;
}

#define OK "HTTP/1.1 200 OK\r\n"

static void
an_answer_is_read_however_it_is_cut(void **state)
{
	static const struct {
		const char *text;
		unsigned int status, retry_after_s;
		bool is_passing;
		uint64_t rejected; /* of 5 */
	} rows[] = {
		{OK "Content-Length: 0\r\n\r\n", 200, 0, false, 0},
		{OK "Content-Length: 2\r\n\r\n{}", 200, 0, false, 0},
		{OK "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 200, 0, false, 0},
		{OK "Content-Length: 40\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"2\"}}", 200, 0, false,
			2},
		{OK "Content-Length: 41\r\n\r\n{\"partialSuccess\":{\"rejectedSpans\":\"77\"}}", 200, 0,
			false, 5},
		{"HTTP/1.1 204 No\r\n\r\n", 204, 0, false, 0},
		{"HTTP/1.1 100 Continue\r\n\r\n" OK "Content-Length: 0\r\n\r\n", 200, 0, false, 0},
		{"HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n", 400, 0, false, 5},
		{"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", 301, 0, false, 5},
		{"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", 500, 0, false, 5},
		{"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 429, 7, true, 5},
		{"HTTP/1.1 502 x\r\nContent-Length: 0\r\n\r\n", 502, 0, true, 5},
		{"HTTP/1.1 503 x\r\nretry-after: 61\r\nContent-Length: 0\r\n\r\n", 503, 60, true, 5},
		{"HTTP/1.1 503 x\r\nRETRY-AFTER: 99999999999999\r\nContent-Length: 0\r\n\r\n", 503, 60, true,
			5},
		{"HTTP/1.1 503 x\r\nRetry-After: 9999999999999999999\r\nContent-Length: 0\r\n\r\n", 503, 0,
			true, 5}, /* longer than any number of seconds */
		{"HTTP/1.1 504 x\r\nRetry-After: Wed, 21 Oct 2015 07:28:00 GMT\r\nContent-Length: 0\r\n\r\n",
			504, 0, true, 5},
		{"HTTP/1.1 503 x\r\nRetry-After: -5\r\nContent-Length: 0\r\n\r\n", 503, 0, true, 5},
		{"HTTP/1.1 503 x\r\nRetry-After:\r\nX: 9\r\nContent-Length: 0\r\n\r\n", 503, 0, true, 5},
		{"HTTP/1.1 503 x\r\nX-Retry-After: 9\r\nRetry-After-X: 9\r\nContent-Length: 0\r\n\r\n", 503,
			0, true, 5},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t cut = 1; cut <= strlen(rows[i].text); cut++) {
			assert_int_equal(feed(rows[i].text, cut), PUSH_TRACE_ANSWER_WHOLE);
			assert_int_equal(answer.status, rows[i].status);
			assert_int_equal(answer.retry_after_s, rows[i].retry_after_s);
			assert_int_equal(push_trace_answer_is_passing(&answer), rows[i].is_passing);
			assert_int_equal(push_trace_answer_rejected(&answer, 5), rows[i].rejected);
		}
}

static void
what_ends_too_early_is_none(void **state)
{
	static const char text[] = OK "Content-Length: 2\r\n\r\n{";

	(void)state;
	for (size_t size = 0; size < sizeof(text); size++) {
		push_trace_answer_init(&answer);
		if (size)
			assert_int_equal(
				push_trace_answer_feed(&answer, text, size), PUSH_TRACE_ANSWER_PARTIAL);
		assert_int_equal(push_trace_answer_feed(&answer, "", 0), PUSH_TRACE_ANSWER_BAD);
		if (size == sizeof(text) - 1)
			break;
	}
	/* one without a length ends with its connection */
	assert_int_equal(feed(OK "\r\n{}", 100), PUSH_TRACE_ANSWER_PARTIAL);
	assert_int_equal(push_trace_answer_feed(&answer, "", 0), PUSH_TRACE_ANSWER_WHOLE);
}

static void
what_is_not_http_is_none(void **state)
{
	static const char *const texts[] = {"\r\n\x01", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/9.9 200 OK\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n", OK "Content-Length: x\r\n\r\n",
		OK "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
		OK "Transfer-Encoding: chunked\r\n\r\nzz\r\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_int_equal(feed(texts[i], 1000), PUSH_TRACE_ANSWER_BAD);
}

static void
what_has_no_end_is_left(void **state)
{
	static const char *const begins[] = {OK "\r\n", OK "X: "};
	char piece[1024];

	(void)state;
	memset(piece, ' ', sizeof(piece));
	for (size_t i = 0; i < COUNT(begins); i++) {
		size_t count = 0;

		assert_int_equal(feed(begins[i], 100), PUSH_TRACE_ANSWER_PARTIAL);
		while (push_trace_answer_feed(&answer, piece, sizeof(piece)) == PUSH_TRACE_ANSWER_PARTIAL)
			count++;
		assert_int_equal(count, PUSH_TRACE_ANSWER_BYTES_MAX / sizeof(piece) - 1);
		/* of one whose head was whole it is known what it says */
		assert_int_equal(answer.status, i ? 0 : 200);
		assert_int_equal(push_trace_answer_rejected(&answer, 5), i ? 5 : 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_read_however_it_is_cut),
		cmocka_unit_test(what_ends_too_early_is_none),
		cmocka_unit_test(what_is_not_http_is_none),
		cmocka_unit_test(what_has_no_end_is_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
