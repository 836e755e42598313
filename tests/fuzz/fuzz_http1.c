/*
 * fuzz_http1.c - what a connection sends: heads, bodies, chunks, requests behind one another, through head.c, http1_body.c
 * and an exchange, to answers as http1_answer.c writes them.
 *
 * The first bytes say how the rest is cut, whether the broker is late, and whether clients have to show who they are.  Bytes from 0x80 on stand for pieces that
 * requests are made of (fuzz_head.c).  Whatever comes:
 * - it does not matter how bytes are cut, and whether answers are late: the same is asked and answered;
 * - each request that is whole has one answer, and what is left unanswered is no whole request;
 * - behind an answer that closes nothing is read; nothing is left behind.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/fake_broker.h"
#include "direct/head.h"
#include "direct/http1_answer.h"
#include "direct/http1_body.h"
#include "request/limits.h"
#include "pieces.h"

#define CUTS_BYTES 8

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const pieces[] = {"POST /messages HTTP/1.1\r\nHost: x\r\n",
	"GET /messages HTTP/1.1\r\nHost: x\r\n", "OPTIONS * HTTP/1.1\r\nHost: x\r\n",
	"HEAD /sse/messages?channels=a HTTP/1.1\r\nHost: x\r\n",
	"GET /sse/messages?channels=a HTTP/1.1\r\nHost: x\r\n", "POST ", "GET ", "PUT ", "/messages",
	"/sse/messages/", "/ws/messages", "http://x", "?wait=written", "?channels=", "%", " HTTP/1.1\r\n",
	" HTTP/1.0\r\n", "Host: x\r\n", "Content-Length: ", "Content-Length: 5\r\n", "Content-Length: 0\r\n",
	"Content-Length: 99999\r\n", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: gzip\r\n",
	"Content-Type: application/json\r\n", "Content-Type: application/x-ndjson\r\n",
	"Content-Encoding: gzip\r\n", "Idempotency-Key: k\r\n", "Origin: https://a\r\n",
	"Expect: 100-continue\r\n", "Expect: x\r\n", "Authorization: Bearer yes\r\n",
	"Authorization: Bearer no\r\n", "Push-Key: yes\r\n", "?ticket=yes", "Cookie: a=b\r\n",
	"Connection: close\r\n", "Connection: keep-alive\r\n",
	"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
	"\r\n", "\r\n\r\n", "\n", "\r", "5\r\nhello\r\n", "1\r\n\n\r\n", "0\r\n\r\n", "0\r\nX: y\r\n\r\n",
	"3;a=b\r\nabc\r\n", "hello", "{}\n", "0123456789abcdef.0123456789abcdef0123456789abcdef"};

static char *
expand(const uint8_t *data, size_t size, size_t *ret_size)
{
	struct push_buf text;

	push_buf_init(&text, FAKE_TEXT_BYTES_MAX);
	pieces_expand(&text, pieces, sizeof(pieces) / sizeof(pieces[0]), data, size);
	*ret_size = text.size;
	return text.bytes;
}

/* A connection without a socket, as http_conn.c has it. */
struct conn {
	struct fake_broker broker;
	struct push_exchange *exchange;
	struct push_http1_body body;
	bool in_body, is_over; /* nothing more is read */
	unsigned int begun;
};

static enum push_place
place_of(struct push_str path, struct push_str *ret_rest)
{
	static const struct {
		const char *path;
		enum push_place place;
	} rows[] = {{"/sse/messages", PUSH_PLACE_EVENTS}, {"/messages", PUSH_PLACE_PUBLISH},
		{"/ws/messages", PUSH_PLACE_SOCKETS}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t size = strlen(rows[i].path);

		*ret_rest = (struct push_str){path.bytes + size, path.size - size};
		if (path.size >= size && !memcmp(path.bytes, rows[i].path, size))
			return rows[i].place;
	}
	*ret_rest = (struct push_str){path.bytes + path.size, 0};
	return PUSH_PLACE_NONE;
}

/* The exchange has gone on: the broker answers now, if it has not yet. */
static void
follow(struct conn *conn)
{
	struct fake_broker *broker = &conn->broker;

	if (broker->verdict) {
		PUSH_ASSERT(push_exchange_awaits_identity(conn->exchange));
		fake_broker_identify(broker);
	}
	if (broker->answer)
		fake_broker_answer(broker);
	while (broker->lines && broker->lines->unanswered &&
		(broker->lines->is_ended || fake_lines_is_full(broker->lines))) {
		struct push_lines *lines = broker->lines;

		fake_lines_work(lines);
		lines->ready(lines->context);
	}
	switch (push_exchange_state(conn->exchange)) {
	case PUSH_EXCHANGE_BODY: conn->in_body = true; break;
	case PUSH_EXCHANGE_ANSWERED:
		conn->in_body = false;
		PUSH_ASSERT(broker->answers == conn->begun);
		break;
	case PUSH_EXCHANGE_STREAM: conn->is_over = true; break;
	default: PUSH_ASSERT(!"an exchange is asked, and nobody was");
	}
}

static void
on_piece(void *context, struct push_str piece, bool is_last)
{
	struct conn *conn = context;

	if (push_exchange_state(conn->exchange) == PUSH_EXCHANGE_BODY)
		push_exchange_body(conn->exchange, piece.bytes, piece.size, is_last);
	follow(conn);
}

static size_t
read_body(struct conn *conn, const char *bytes, size_t size)
{
	size_t used = 0;
	enum push_http1_result result = push_http1_body_read(&conn->body, bytes, size, &used, on_piece, conn);

	PUSH_ASSERT(used <= size);
	PUSH_ASSERT(result != PUSH_HTTP1_MORE || used == size);
	if (result == PUSH_HTTP1_BAD && push_exchange_state(conn->exchange) == PUSH_EXCHANGE_BODY) {
		push_exchange_break(conn->exchange, 400, "the chunks of the body are malformed");
		follow(conn);
	}
	conn->is_over |= result == PUSH_HTTP1_BAD;
	PUSH_ASSERT(result == PUSH_HTTP1_MORE || !conn->in_body);
	/* answered before its end: what is left of it is not read */
	conn->is_over |= result == PUSH_HTTP1_MORE && !conn->in_body;
	return used;
}

/* Returns how many bytes were taken; 0: more have to come. */
static size_t
read_head(struct conn *conn, const char *bytes, size_t size)
{
	struct push_head head;
	llhttp_t parser;

	switch (push_head_read(&head, &parser, bytes, size, PUSH_HEAD_BYTES_MAX)) {
	case PUSH_HEAD_WHOLE: break;
	case PUSH_HEAD_PARTIAL: return 0;
	default:
		push_buf_printf(&conn->broker.log, "refused; ");
		conn->is_over = true;
		return 0;
	}
	head.request.place = place_of(head.request.path, &head.request.rest);
	conn->begun++;
	push_http1_body_begin(&conn->body, &head, &parser);
	push_exchange_begin(conn->exchange, &head.request, !head.keep_alive);
	follow(conn);
	conn->is_over |= !head.keep_alive && !conn->in_body;
	return head.size;
}

static void
feed(struct conn *conn, struct push_buf *kept, const char *bytes, size_t size)
{
	size_t used = 1;

	push_buf_append(kept, bytes, size);
	while (used && kept->size && !conn->is_over) {
		used = conn->in_body ? read_body(conn, kept->bytes, kept->size)
				     : read_head(conn, kept->bytes, kept->size);
		memmove(kept->bytes, kept->bytes + used, kept->size - used);
		kept->size -= used;
		conn->is_over |= !conn->in_body && conn->broker.closes;
	}
}

/* `cuts`: the sizes of pieces, in turn; NULL: all at once. */
static struct push_buf
run(const char *text, size_t size, const uint8_t *cuts, bool is_late, bool is_guarded)
{
	struct conn conn = {.in_body = false};
	struct push_buf kept, log;

	fake_broker_init(&conn.broker);
	conn.broker.is_late = is_late;
	conn.broker.is_guarded = is_guarded;
	conn.exchange = fake_exchange(&conn.broker);
	PUSH_ASSERT(conn.exchange);
	push_buf_init(&kept, FAKE_TEXT_BYTES_MAX);
	for (size_t at = 0, i = 0; at < size && !conn.is_over; i++) {
		size_t piece = cuts ? cuts[i % CUTS_BYTES] + 1u : size;

		if (piece > size - at)
			piece = size - at;
		feed(&conn, &kept, text + at, piece);
		at += piece;
	}
	if (conn.in_body && !conn.is_over)
		push_buf_append_text(&conn.broker.log, "waits; ");
	push_exchange_drop(conn.exchange);
	push_buf_fini(&kept);
	log = conn.broker.log;
	push_buf_init(&conn.broker.log, 0);
	fake_broker_fini(&conn.broker);
	return log;
}

static bool
is_same(struct push_buf *a, struct push_buf *b)
{
	/* what a broken or unfinished stream of lines has answered so far depends on what has come of it */
	const char *open_a = a->size ? memmem(a->bytes, a->size, "begin", 5) : NULL;
	const char *open_b = b->size ? memmem(b->bytes, b->size, "begin", 5) : NULL;

	if (open_a || open_b) {
		a->size = open_a ? (size_t)(open_a - a->bytes) : a->size;
		b->size = open_b ? (size_t)(open_b - b->bytes) : b->size;
		return a->size <= b->size ? !memcmp(a->bytes, b->bytes, a->size)
					  : !memcmp(a->bytes, b->bytes, b->size);
	}
	return a->size == b->size && (!a->size || !memcmp(a->bytes, b->bytes, a->size));
}

static void
check_same(struct push_buf *whole, struct push_buf other, const char *what)
{
	if (!is_same(whole, &other)) {
		fprintf(stderr, "whole: %.*s\nother: %.*s\n", (int)whole->size,
			whole->bytes ? whole->bytes : "", (int)other.size, other.bytes ? other.bytes : "");
		fprintf(stderr, "%s\n", what);
		abort();
	}
	push_buf_fini(&other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct push_buf whole;
	size_t text_size;
	char *text;
	bool is_late, is_guarded;

	if (size < CUTS_BYTES + 1)
		return 0;
	is_late = data[CUTS_BYTES] & 1;
	is_guarded = data[CUTS_BYTES] & 2;
	text = expand(data + CUTS_BYTES + 1, size - CUTS_BYTES - 1, &text_size);
	whole = run(text, text_size, NULL, is_late, is_guarded);
	check_same(&whole, run(text, text_size, data, is_late, is_guarded),
		"what is read depends on how it is cut");
	check_same(&whole, run(text, text_size, NULL, !is_late, is_guarded),
		"what is answered depends on when it is known");
	push_buf_fini(&whole);
	free(text);
	return 0;
}
