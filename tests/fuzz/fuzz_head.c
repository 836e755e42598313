/*
 * fuzz_head.c - the head of a request, its query, and a chunked body behind it.
 *
 * llhttp is not built for coverage, so the fuzzer would not find its way through the grammar byte by byte: a
 * byte from 0x80 on stands for one of the pieces that requests are made of, each other for itself.
 *
 * Whatever comes: spans lie in the head, a head cut short is told as partial and never as something else, and
 * what is behind the head changes nothing about it.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "direct/head.h"
#include "request/query.h"

#define HEAD_BYTES_MAX 512

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const pieces[] = {"POST ", "GET ", "HEAD ", "OPTIONS ", "http://a.b", "https://",
	"PRI * HTTP/2.0\r\n\r\n", "/messages", "/", "?channels=", "&channels=", "%2C", "%41", "%", "#",
	" HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/9.9\r\n",
	"Host: ", "host:", "Content-Length: ", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n",
	"Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: gzip\r\n",
	"Content-Type: application/json\r\n", "Authorization: ", "Origin: ", "Expect: 100-continue\r\n",
	"Upgrade: websocket\r\n", "Connection: Upgrade\r\n", "Connection: keep-alive, close\r\n",
	"Sec-WebSocket-Key: ", "Sec-WebSocket-Version: 13\r\n", "Sec-WebSocket-Protocol: a,push-ws , b\r\n",
	"X-Long: ", "\r\n", "\r\n\r\n", "\n", "\r", "\n\n", " ", "\t", "\r\n ", "\r\n\t", " :", ":", ",",
	"5\r\nhello\r\n", "0\r\n\r\n", "0\r\nTrailer: x\r\n\r\n", "5;ext=\"a\"\r\n", "FFFFFFFFFFFFFFFF\r\n",
	"18446744073709551616", "-1", "0x5", "\xff", "\xc3\xbc"};

static char *
expand(const uint8_t *data, size_t size, size_t *ret_size)
{
	size_t total = 0;
	char *text;

	for (size_t i = 0; i < size; i++)
		total += data[i] < 0x80
				 ? 1
				 : strlen(pieces[(data[i] - 0x80u) % (sizeof(pieces) / sizeof(pieces[0]))]);
	text = malloc(total + 1);
	PUSH_ASSERT(text);
	*ret_size = total;
	for (size_t i = 0, at = 0; i < size; i++) {
		const char one[] = {(char)data[i], '\0'};
		const char *piece =
			data[i] < 0x80 ? one
				       : pieces[(data[i] - 0x80u) % (sizeof(pieces) / sizeof(pieces[0]))];
		size_t length = data[i] < 0x80 ? 1 : strlen(piece);

		memcpy(text + at, piece, length);
		at += length;
	}
	return text;
}

static void
check_span(struct push_str span, const char *bytes, size_t size)
{
	PUSH_ASSERT(!span.bytes || (span.bytes >= bytes && span.bytes + span.size <= bytes + size));
	PUSH_ASSERT(span.bytes || !span.size);
	PUSH_ASSERT(!span.bytes || !memchr(span.bytes, '\n', span.size));
}

static void
check_head(const struct push_head *head, const char *bytes)
{
	PUSH_ASSERT(head->size > 0 && head->size <= HEAD_BYTES_MAX);
	PUSH_ASSERT(!memcmp(bytes + head->size - 2, "\r\n", 2));
	check_span(head->request.path, bytes, head->size);
	check_span(head->request.query, bytes, head->size);
#define X(field, name) check_span(head->request.field, bytes, head->size);
	PUSH_REQUEST_FIELD_MAP(X)
#undef X
	PUSH_ASSERT(head->request.path.size > 0);
	PUSH_ASSERT(!(head->chunked &&
		      head->request.has_length)); /* which of the two another server would believe? */
	PUSH_ASSERT(head->request.has_length || !head->request.length);
}

/* In memory of exactly this size, so that a byte too far is noticed. */
static enum push_head_result
read_copy(struct push_head *head, const char *bytes, size_t size)
{
	char *copy = malloc(size ? size : 1);
	llhttp_t parser;
	enum push_head_result result;

	PUSH_ASSERT(copy);
	memcpy(copy, bytes, size);
	result = push_head_read(head, &parser, copy, size, HEAD_BYTES_MAX);
	free(copy);
	return result;
}

static void
check_cuts(const struct push_head *head, const char *bytes)
{
	struct push_head other;

	for (size_t size = 0; size < head->size; size++)
		PUSH_ASSERT(read_copy(&other, bytes, size) == PUSH_HEAD_PARTIAL);
	PUSH_ASSERT(read_copy(&other, bytes, head->size) == PUSH_HEAD_WHOLE);
	PUSH_ASSERT(other.size == head->size && other.request.length == head->request.length &&
		    other.request.method == head->request.method && other.chunked == head->chunked &&
		    other.keep_alive == head->keep_alive &&
		    other.request.path.size == head->request.path.size);
}

static void
check_query(struct push_str query)
{
	struct push_buf values;

	push_buf_init(&values, 4096);
	if (push_query_values(query, "channels", &values) == PUSH_QUERY_FOUND) {
		PUSH_ASSERT(values.size <= query.size);
	}
	push_buf_fini(&values);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct push_head head;
	llhttp_t parser;
	size_t text_size;
	char *text = expand(data, size, &text_size);

	if (push_head_read(&head, &parser, text, text_size, HEAD_BYTES_MAX) == PUSH_HEAD_WHOLE) {
		check_head(&head, text);
		check_cuts(&head, text);
		check_query(head.request.query);
		(void)push_str_has_token(head.request.host, "push-ws");
	}
	free(text);
	return 0;
}
