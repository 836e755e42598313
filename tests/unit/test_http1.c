/* Bodies as HTTP/1.1 frames them, and answers as it writes them: bytes in and out, without a socket. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "direct/http1_answer.h"
#include "direct/http1_body.h"

#define POST "POST /messages HTTP/1.1\r\nHost: x\r\n"

struct taken {
	struct push_buf bytes;
	unsigned int lasts;
};

static void
take(void *context, struct push_str piece, bool is_last)
{
	struct taken *taken = context;

	assert_int_equal(taken->lasts, 0);
	push_buf_append(&taken->bytes, piece.bytes, piece.size);
	taken->lasts += is_last;
}

/* Reads what is behind the head of `text` in two parts; `*ret_left`: bytes that were not the body's. */
static enum push_http1_result
read_in_two(const char *text, size_t cut, struct taken *taken, size_t *ret_left)
{
	struct push_http1_body body;
	struct push_head head;
	llhttp_t parser;
	size_t size = strlen(text), used = 0, at;
	enum push_http1_result result;

	push_buf_init(&taken->bytes, 4096);
	taken->lasts = 0;
	assert_int_equal(push_head_read(&head, &parser, text, size, 4096), PUSH_HEAD_WHOLE);
	push_http1_body_begin(&body, &head, &parser);
	at = head.size;
	if (cut > size - at)
		cut = size - at;
	result = push_http1_body_read(&body, text + at, cut, &used, take, taken);
	at += used;
	if (result == PUSH_HTTP1_MORE) {
		assert_int_equal(used, cut);
		result = push_http1_body_read(&body, text + at, size - at, &used, take, taken);
		at += used;
	}
	*ret_left = size - at;
	return result;
}

static void
a_body_is_the_same_wherever_it_is_cut(void **state)
{
	static const struct {
		const char *text, *body;
		size_t left;
	} rows[] = {
		{POST "Content-Length: 5\r\n\r\nhello", "hello", 0},
		{POST "Content-Length: 5\r\n\r\nhelloPOST /", "hello", 6},
		{POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "hello", 0},
		{POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nPOST /", "hello", 6},
		{POST "Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n0004;a=\"b\"\r\nello\r\n000\r\nX: y\r\nZ: "
		      "1\r\n\r\nGET",
			"hello", 3},
		{POST "Transfer-Encoding: chunked\r\n\r\nA\r\n0\r\n\r\nGET /\r\n0\r\n\r\n", "0\r\n\r\nGET /",
			0},
		{POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", 0},
		{POST "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: "
		      "chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nGET",
			"x", 3},
	};
	struct taken taken;
	size_t left;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t cut = 0; cut < 50; cut++) {
			/* a body with a length is not read of nothing */
			enum push_http1_result result = read_in_two(rows[i].text, cut, &taken, &left);

			if (result != PUSH_HTTP1_LAST || taken.lasts != 1 ||
				taken.bytes.size != strlen(rows[i].body) || left != rows[i].left ||
				(taken.bytes.size &&
					memcmp(taken.bytes.bytes, rows[i].body, taken.bytes.size) != 0))
				fail_msg("cut at %zu, %zu left: %s", cut, left, rows[i].text);
			push_buf_fini(&taken.bytes);
		}
}

static void
malformed_chunks_are_bad_wherever_they_are_cut(void **state)
{
	static const char *const rows[] = {"x\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1 \r\n", "\r\n",
		"1\n", "1\r\nh\n", "1\r\nhe\r\n", "1\r\nhXX", "10000000000000000\r\n", "0\r\nX\r\n\r\n",
		"0\r\n X: y\r\n\r\n", "0\n\n", "0\r\nContent-Length: 5\r\n\r\n",
		"0\r\nTransfer-Encoding: chunked\r\n\r\n", "1;\n\r\nh\r\n0\r\n\r\n"};
	struct taken taken;
	char text[200];
	size_t left;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t cut = 0; cut < strlen(rows[i]); cut++) {
			snprintf(text, sizeof(text), POST "Transfer-Encoding: chunked\r\n\r\n%s", rows[i]);
			if (read_in_two(text, cut, &taken, &left) != PUSH_HTTP1_BAD || taken.lasts)
				fail_msg("cut at %zu: %s", cut, rows[i]);
			push_buf_fini(&taken.bytes);
		}
}

static void
assert_text(struct push_buf *buf, const char *text)
{
	push_buf_append(buf, "", 1);
	assert_int_equal(buf->status, PUSH_OK);
	assert_string_equal(buf->bytes, text);
	push_buf_fini(buf);
}

static const struct push_str one = {"{}", 2};

static void
an_answer_has_its_length_and_what_becomes_of_the_connection(void **state)
{
	static const struct {
		struct push_response response;
		struct push_http1_form form;
		const char *text;
	} rows[] = {
		{{.status = 202, .content_type = "application/json", .body = {"{}", 2}}, {.can_chunk = true},
			"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: "
			"2\r\n\r\n{}"},
		{{.status = 202, .content_type = "application/json", .body = {"{}", 2}}, {.http_1_0 = true},
			"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\nconnection: "
			"keep-alive\r\n"
			"content-length: 2\r\n\r\n{}"},
		{{.status = 400, .content_type = "application/json", .body = {"{}", 2}, .closes = true},
			{.http_1_0 = true},
			"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
			"content-length: 2\r\n\r\n{}"},
		/* RFC 9110, 9.3.2 */
		{{.status = 404, .content_type = "application/json", .body = {"{}", 2}}, {.is_head = true},
			"HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: "
			"2\r\n\r\n"},
		/* RFC 9110, 8.6 */
		{{.status = 204, .allow = "POST"}, {.can_chunk = true},
			"HTTP/1.1 204 No Content\r\nallow: POST\r\n\r\n"},
		{{.status = 200, .content_type = "text/event-stream", .is_stream = true}, {.is_head = true},
			"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache, "
			"no-store\r\n"
			"x-accel-buffering: no\r\n\r\n"},
		/* RFC 9110, 7.8 and 15.5.22 */
		{{.status = 426, .upgrades = true}, {.can_chunk = true},
			"HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
			"connection: upgrade\r\ncontent-length: 0\r\n\r\n"},
		{{.status = 426, .upgrades = true, .closes = true}, {.can_chunk = true},
			"HTTP/1.1 426 Upgrade Required\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
			"connection: close, upgrade\r\ncontent-length: 0\r\n\r\n"},
		{{.status = 503, .retries = true, .no_store = true}, {.extra = {"x-a: b\r\n", 8}},
			"HTTP/1.1 503 Service Unavailable\r\nx-a: b\r\nretry-after: 1\r\ncache-control: "
			"no-store\r\n"
			"content-length: 0\r\n\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_buf to;

		push_buf_init(&to, 4096);
		push_http1_answer_append(&to, &rows[i].response, &rows[i].form);
		assert_text(&to, rows[i].text);
	}
}

static void
an_answer_in_pieces_has_chunks_and_an_end(void **state)
{
	const struct push_response head = {.status = 202, .content_type = "application/x-ndjson"};
	const struct push_http1_form form = {.can_chunk = true};
	struct push_buf to;

	(void)state;
	push_buf_init(&to, 4096);
	push_http1_head_append(&to, &head, &form);
	push_http1_chunk_append(&to, "0123456789abcdef", 16);
	push_http1_chunk_append(&to, "\r\n", 2);
	push_http1_chunk_append(&to, "", 0);
	assert_text(&to, "HTTP/1.1 202 Accepted\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: "
			 "chunked\r\n\r\n"
			 "10\r\n0123456789abcdef\r\n2\r\n\r\n\r\n0\r\n\r\n");
}

static void
add(void *context, const char *name, const char *value)
{
	push_buf_printf(context, "%s=%s;", name, value);
}

static void
an_answer_that_is_kept_is_the_same(void **state)
{
	char origin[] = "https://a", body[] = "{}";
	const struct push_response response = {.status = 204,
		.allow = "POST, OPTIONS",
		.is_preflight = true,
		.body = {body, 2},
		.cors = {.allow_origin = origin, .allows_credentials = true, .varies = true}};
	struct push_kept_response *kept = push_response_keep(&response);
	struct push_buf before, after;

	(void)state;
	assert_non_null(kept);
	push_buf_init(&before, 4096);
	push_buf_init(&after, 4096);
	push_response_fields(&response, add, &before);
	memset(origin, 'x', sizeof(origin) - 1);
	memset(body, 'x', sizeof(body) - 1);
	push_response_fields(&kept->response, add, &after);
	assert_int_equal(before.size, after.size);
	assert_memory_equal(before.bytes, after.bytes, before.size);
	assert_memory_equal(kept->response.body.bytes, one.bytes, one.size);
	assert_non_null(
		memmem(after.bytes, after.size, "access-control-allow-credentials=true;vary=Origin;", 50));
	assert_non_null(memmem(after.bytes, after.size, "traceparent, tracestate, baggage", 32));
	push_buf_fini(&before);
	push_buf_fini(&after);
	free(kept);
}

static void
the_headers_of_cors_are_lines(void **state)
{
	const struct push_response response = {
		.status = 204, .cors = push_cors_answer("https://a.example", "https://a.example")};
	const struct push_http1_form form = {.is_head = false};
	struct push_buf buf;

	(void)state;
	push_buf_init(&buf, 512);
	push_http1_answer_append(&buf, &response, &form);
	push_buf_append(&buf, "", 1);
	assert_non_null(strstr(buf.bytes, "access-control-allow-origin: https://a.example\r\n"
					  "access-control-allow-credentials: true\r\nvary: Origin\r\n"));
	push_buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_headers_of_cors_are_lines),
		cmocka_unit_test(a_body_is_the_same_wherever_it_is_cut),
		cmocka_unit_test(malformed_chunks_are_bad_wherever_they_are_cut),
		cmocka_unit_test(an_answer_has_its_length_and_what_becomes_of_the_connection),
		cmocka_unit_test(an_answer_in_pieces_has_chunks_and_an_end),
		cmocka_unit_test(an_answer_that_is_kept_is_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
