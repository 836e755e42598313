/*
 * h2_request.c - a request and its answer on a stream of HTTP/2: a wire below request/exchange.h.
 *
 *   head ─▶ ours? ──▶ BODY ──▶ ASKED (the broker) ──▶ answer ──▶ the stream is over
 *            │  └─ not known yet: lws is asked          └─▶ a subscriber's (h2_subscriber.c)
 *            └─ lws'
 *
 * What comes of a body while nobody takes it is kept, and its window is not opened: at most as much as that.
 */
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/paths.h"
#include "core/push_assert.h"
#include "direct/find_route.h"
#include "direct/h2_conn.h"
#include "h2/limits.h"
#include "tls/client_name.h"

enum request_state { REQUEST_FINDING, REQUEST_EXCHANGE, REQUEST_ANSWERED };

struct direct_h2_request {
	struct direct_h2_owner owner;
	struct direct_h2_conn *conn;
	struct push_h2_stream *stream;  /* NULL: it is spare, or the stream is a subscriber's: */
	struct push_h2_stream *given;   /* ... this one, which has yet to get what is early */
	struct push_exchange *exchange; /* owned; NULL until the first request */
	struct push_h2_head *head;      /* owned; until the exchange has begun */
	struct push_route *route;       /* of this request */
	struct direct_waiter waiter;    /* REQUEST_FINDING */
	struct direct_timer timer;
	struct direct_burden burden;  /* listed while the client makes it keep memory */
	struct push_buf early;        /* of the body: not taken yet */
	size_t owed;                  /* bytes that were taken, and whose window is not opened yet */
	struct push_address *entered; /* owned; until the subscriber has it */
	const char *protocol;         /* of a WebSocket; NULL: none */
	uint8_t state;                /* enum request_state */
	bool is_head;                 /* the method is HEAD */
	bool is_last;                 /* behind `early` the body is over */
	bool was_asked;               /* lws, about this request */
};

static void
arm(struct direct_h2_request *self, uint64_t us)
{
	direct_arm(self->conn->direct, &self->timer, us);
}

static bool
is_open(const struct direct_h2_request *self)
{
	return self->stream && self->conn->source.fd >= 0;
}

/* --- the wire --- */

static void
fail(struct direct_h2_request *self)
{
	if (self->stream)
		push_h2_stream_reset(self->stream, NGHTTP2_INTERNAL_ERROR);
	self->state = REQUEST_ANSWERED;
}

static struct push_str
extra_of(const struct direct_h2_request *self)
{
	return self->route ? (struct push_str){self->route->extra, self->route->extra_size}
			   : (struct push_str){NULL, 0};
}

static void
begin_lines(struct direct_h2_request *self, struct push_buf *lines, const struct push_response *response,
	bool has_length)
{
	push_buf_init(lines, PUSH_HEAD_BYTES_MAX + PUSH_EXTRA_HEADERS_BYTES_MAX);
	push_h2_answer_append(lines, response, extra_of(self), has_length);
}

static void
wire_answer(void *owner, const struct push_response *response)
{
	struct direct_h2_request *self = owner;
	struct push_buf lines;

	if (!is_open(self))
		return;
	begin_lines(self, &lines, response, true);
	(void)push_h2_stream_answer(
		self->stream, &lines, self->is_head ? (struct push_str){NULL, 0} : response->body);
	push_buf_fini(&lines);
	direct_h2_touch(self->conn);
}

static void
wire_begin(void *owner, const struct push_response *head)
{
	struct direct_h2_request *self = owner;
	struct push_buf lines;

	if (!is_open(self))
		return;
	begin_lines(self, &lines, head, false);
	(void)push_h2_stream_begin(self->stream, &lines);
	push_buf_fini(&lines);
	direct_h2_touch(self->conn);
}

static void
wire_piece(void *owner, const char *bytes, size_t size)
{
	struct direct_h2_request *self = owner;

	if (!is_open(self))
		return;
	if (!push_h2_stream_append(self->stream, bytes, size))
		fail(self);
	direct_h2_touch(self->conn);
}

static void
wire_end(void *owner, bool is_whole)
{
	struct direct_h2_request *self = owner;

	if (!is_open(self))
		return;
	if (is_whole)
		push_h2_stream_finish(self->stream);
	else
		push_h2_stream_reset(self->stream, NGHTTP2_INTERNAL_ERROR);
	direct_h2_touch(self->conn);
}

static void
release(struct direct_h2_request *self);

static enum push_status
wire_subscribe(void *owner, const struct push_response *head, const struct push_opening *opening)
{
	struct direct_h2_request *self = owner;
	struct push_response response = *head;
	struct push_buf lines;
	enum push_status status;

	if (!is_open(self)) /* it has gone in the turn in which its identity was found out */
		return PUSH_UNAVAILABLE;
	response.status = 200; /* of a WebSocket, too (RFC 8441, 5) */
	begin_lines(self, &lines, &response, false);
	if (opening->subscription->encoding == PUSH_ENCODING_WS && self->protocol)
		push_buf_printf(&lines, "sec-websocket-protocol: %s\r\n", self->protocol);
	status = lines.status;
	if (status == PUSH_OK)
		status = direct_h2_subscriber_open(self->conn, self->stream, opening,
			(struct push_str){lines.bytes, lines.size}, self->entered);
	push_buf_fini(&lines);
	if (status != PUSH_OK)
		return status;
	self->entered = NULL;
	self->given = self->stream;
	self->stream = NULL;
	direct_h2_touch(self->conn);
	return PUSH_OK;
}

static bool
wire_peer(void *owner, struct push_address *ret)
{
	const struct direct_h2_request *self = owner;

	return direct_client_address(self->conn->direct, self->conn->source.fd, ret);
}

/* The connection has been counted for its client.  Of a proxy's, each stream counts for a client of its own. */
static bool
wire_claim(void *owner, const struct push_address *client, enum push_limit *ret_limit)
{
	struct direct_h2_request *self = owner;
	struct push_limiter *limiter = self->conn->direct->limiter;
	struct push_address peer;

	if (!is_open(self))
		return true; /* there is nothing to be counted any more */
	*ret_limit = PUSH_LIMIT_RESERVED_DESCRIPTORS;
	if (!direct_has_descriptors(self->conn->direct, self->conn->source.fd))
		return false;
	if (!client || !wire_peer(self, &peer) || !push_limiter_trusts(limiter, &peer))
		return true;
	if (!push_limiter_enter(limiter, client, self->conn->direct->ops->now_us(), ret_limit))
		return false;
	PUSH_ASSERT(!self->entered);
	self->entered = malloc(sizeof(*self->entered));
	if (self->entered)
		*self->entered = *client;
	else /* it does not count then */
		push_limiter_leave(limiter, client);
	return true;
}

static void
settle(struct direct_h2_request *self);

static void
wire_turn(void *owner)
{
	struct direct_h2_request *self = owner;
	struct direct_h2_conn *conn = self->conn;

	settle(self); /* a subscriber's has been freed by it */
	direct_h2_touch(conn);
}

static const struct push_wire wire = {
	.reads_any_length = true,
	.answer = wire_answer,
	.begin = wire_begin,
	.piece = wire_piece,
	.end = wire_end,
	.subscribe = wire_subscribe,
	.peer = wire_peer,
	.claim = wire_claim,
	.turn = wire_turn,
};

/* --- the request --- */

static void
leave_limiter(struct direct_h2_request *self)
{
	if (self->entered)
		push_limiter_leave(self->conn->direct->limiter, self->entered);
	free(self->entered);
	self->entered = NULL;
}

/* What belongs to one request. */
static void
forget(struct direct_h2_request *self)
{
	push_timer_disarm(&self->timer.timer);
	push_list_remove(&self->burden.link);
	direct_waiter_forget(&self->waiter);
	push_h2_head_destroy(self->head);
	self->head = NULL;
	push_route_unref(self->route);
	self->route = NULL;
	push_buf_reset(&self->early);
	leave_limiter(self);
	self->stream = NULL;
}

void
direct_h2_request_destroy(struct direct_h2_request *self)
{
	if (!self)
		return;
	forget(self);
	push_exchange_drop(self->exchange);
	push_buf_fini(&self->early);
	free(self);
}

/* The next request may have it, unless its exchange waits for an answer that nobody gets any more. */
static void
release(struct direct_h2_request *self)
{
	struct direct_h2_conn *conn = self->conn;
	bool is_free = self->exchange && push_exchange_state(self->exchange) == PUSH_EXCHANGE_ANSWERED;

	conn->direct->h2_request_count--;
	forget(self);
	if (is_free && !conn->spare)
		conn->spare = self;
	else
		direct_h2_request_destroy(self);
}

void
direct_h2_refuse(struct push_h2_stream *stream, bool is_head, unsigned int status, const char *text)
{
	struct push_response response = {.status = status, .content_type = "application/json"};
	struct push_buf body, lines;

	push_buf_init(&body, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_json_append_error(&body, text);
	response.body = (struct push_str){body.bytes ? body.bytes : "", body.size};
	response.retries = status == 503;
	push_buf_init(&lines, PUSH_HEAD_BYTES_MAX);
	push_h2_answer_append(&lines, &response, (struct push_str){NULL, 0}, true);
	(void)push_h2_stream_answer(stream, &lines, is_head ? (struct push_str){NULL, 0} : response.body);
	push_buf_fini(&lines);
	push_buf_fini(&body);
}

/* A request that no exchange sees. */
static void
refuse(struct direct_h2_request *self, unsigned int status, const char *text)
{
	self->state = REQUEST_ANSWERED;
	direct_h2_refuse(self->stream, self->is_head, status, text);
	direct_h2_touch(self->conn);
	settle(self);
}

/* A client that publishes a second time on a connection will go on. */
static void
count_publish(struct direct_h2_request *self)
{
	struct direct_h2_conn *conn = self->conn;

	if (!push_exchange_is_publish(self->exchange))
		return;
	if (conn->has_published || push_exchange_is_lines(self->exchange))
		direct_h2_become(conn, PUSH_DIRECT_PUBLISHERS);
	conn->has_published = true;
}

static void
begin(struct direct_h2_request *self)
{
	struct direct_h2_conn *conn = self->conn;
	struct push_direct *direct = conn->direct;
	struct push_request *request = &self->head->request;
	struct push_tls_client client;

	if (!self->exchange)
		self->exchange = push_exchange_create(direct->ops, direct->broker, &wire, self);
	if (!self->exchange) {
		refuse(self, 503, push_status_text(PUSH_OUT_OF_MEMORY));
		return;
	}
	request->is_tls = conn->bytes.tls;
	direct_show_certificate(direct, &conn->bytes, request, &client);
	request->is_over_limit = conn->is_over_limit;
	request->over_limit = conn->limit;
	self->protocol = push_request_subprotocol(request);
	self->state = REQUEST_EXCHANGE;
	push_exchange_begin(self->exchange, request, false);
	push_h2_head_destroy(self->head);
	self->head = NULL;
	count_publish(self);
	settle(self);
}

static const char *
foreign_text(unsigned int status)
{
	switch (status) {
	case 404: return "no WebSocket here; it is at " PUSH_PATH_WS;
	case 411: return "Content-Length is missing";
	case 431: return "the head of the request is over 16 kB";
	case 501: return "unknown method";
	case 503: return push_status_text(PUSH_OUT_OF_MEMORY);
	default: return "the request is not accepted here";
	}
}

/* Nothing has been done with it: the client may send it again (RFC 9113, 8.7). */
static void
put_off(struct direct_h2_request *self)
{
	self->state = REQUEST_ANSWERED;
	push_h2_stream_reset(self->stream, NGHTTP2_REFUSED_STREAM);
	direct_h2_touch(self->conn);
	settle(self);
}

/* The stream is another's from here on, and so is what has come of its body. */
static void
give_to_owner(struct direct_h2_request *self, struct push_h2_stream *stream)
{
	struct direct_h2_owner *owner = stream->owner;
	struct push_buf early = self->early;
	bool is_last = self->is_last;

	push_buf_init(&self->early, early.max);
	push_buf_charge(&self->early, early.account);
	self->stream = NULL;
	release(self);
	if (early.size || is_last)
		owner->kind->body(owner, early.bytes ? early.bytes : "", early.size, is_last);
	push_buf_fini(&early);
}

/* Files, passwords, mounts of others. */
static void
leave_to_lws(struct direct_h2_request *self)
{
	struct push_h2_stream *stream = self->stream;
	unsigned int status;

	if (self->conn->foreign_count >= PUSH_H2_FOREIGN_MAX) {
		put_off(self);
		return;
	}
	status = direct_h2_foreign_open(self->conn, stream, self->head);
	if (status) {
		refuse(self, status, foreign_text(status));
		return;
	}
	give_to_owner(self, stream);
}

static void
find(struct direct_h2_request *self)
{
	struct push_request *request = &self->head->request;
	struct direct_lookup lookup = {
		.port = self->conn->port, .is_tls = self->conn->bytes.tls, .request = request};

	switch (direct_look_up(self->conn->direct, &lookup)) {
	case PUSH_WHOSE_PUSH:
		self->route = lookup.route;
		direct_place(request, &lookup);
		begin(self);
		return;
	case PUSH_WHOSE_UNKNOWN:
		if (self->was_asked || !direct_ask(self->conn->direct, &lookup, &self->waiter))
			break;
		self->was_asked = true;
		return;
	default: break;
	}
	leave_to_lws(self);
}

static void
resume(struct direct_waiter *waiter, bool ours)
{
	struct direct_h2_request *self = push_container_of(waiter, struct direct_h2_request, waiter);

	struct direct_h2_conn *conn = self->conn;

	if (!is_open(self))
		return;
	if (ours)
		find(self);
	else
		leave_to_lws(self);
	direct_h2_touch(conn);
}

/* --- its body --- */

/* Answers that are not read keep the window shut. */
static bool
may_take(const struct direct_h2_request *self)
{
	return self->state == REQUEST_EXCHANGE && push_exchange_takes_body(self->exchange) &&
	       push_h2_stream_unsent(self->stream) < PUSH_ANSWERS_BYTES_MAX;
}

static void
consume(struct direct_h2_request *self)
{
	push_h2_stream_consume(self->stream, self->owed);
	self->owed = 0;
}

static void
feed(struct direct_h2_request *self, const char *bytes, size_t size, bool is_last)
{
	push_exchange_body(self->exchange, bytes, size, is_last);
	if (self->stream)
		self->owed += size;
}

static void
feed_early(struct direct_h2_request *self)
{
	struct push_buf early = self->early;

	push_buf_init(&self->early, early.max);
	push_buf_charge(&self->early, early.account);
	feed(self, early.bytes ? early.bytes : "", early.size, self->is_last);
	push_buf_fini(&early);
}

static void
keep_time(struct direct_h2_request *self)
{
	bool is_unsent = push_h2_stream_unsent(self->stream);

	if (self->state == REQUEST_FINDING)
		return; /* the probe has a time */
	if (self->state == REQUEST_ANSWERED) {
		if (push_h2_stream_is_answered(self->stream))
			arm(self, PUSH_LINGER_US); /* what is left of the request is let be */
		else if (!push_timer_is_armed(&self->timer.timer))
			arm(self, PUSH_ANSWERS_US);
	} else if (is_unsent) {
		arm(self, PUSH_ANSWERS_US);
	} else if (may_take(self)) {
		arm(self, push_exchange_stall_us(self->exchange));
	} else {
		push_timer_disarm(&self->timer.timer);
	}
	if (self->early.size || is_unsent ||
		(self->state == REQUEST_EXCHANGE && push_exchange_keeps(self->exchange)))
		direct_burden_list(self->conn->direct, &self->burden);
	else
		push_list_remove(&self->burden.link);
}

static void
say_continue(struct direct_h2_request *self)
{
	const struct push_response response = {.status = 100};
	struct push_buf lines;

	if (!push_exchange_take_continue(self->exchange))
		return;
	push_buf_init(&lines, PUSH_HEAD_BYTES_MAX);
	push_h2_answer_append(&lines, &response, (struct push_str){NULL, 0}, false);
	push_h2_stream_inform(self->stream, &lines);
	push_buf_fini(&lines);
}

/* The exchange has gone on, or can: what has come of its body, what is to come, and how long that may take. */
static void
settle(struct direct_h2_request *self)
{
	if (self->state == REQUEST_EXCHANGE && self->stream)
		say_continue(self);
	while (self->stream && may_take(self) && (self->early.size || self->is_last)) {
		feed_early(self);
		count_publish(self);
	}
	if (self->state == REQUEST_EXCHANGE && !self->stream) {
		give_to_owner(self, self->given);
		return;
	}
	if (self->state == REQUEST_EXCHANGE &&
		push_exchange_state(self->exchange) == PUSH_EXCHANGE_ANSWERED) {
		self->state = REQUEST_ANSWERED;
		push_timer_disarm(&self->timer.timer);
	}
	if (self->state == REQUEST_ANSWERED) {
		self->owed += self->early.size;
		push_buf_reset(&self->early);
	}
	if (self->state == REQUEST_ANSWERED || may_take(self))
		consume(self);
	keep_time(self);
}

static void
on_body(struct direct_h2_owner *owner, const char *bytes, size_t size, bool is_last)
{
	struct direct_h2_request *self = push_container_of(owner, struct direct_h2_request, owner);

	if (self->state == REQUEST_ANSWERED) {
		push_h2_stream_discard(self->stream, size);
		return;
	}
	if (may_take(self) && !self->early.size) {
		feed(self, bytes, size, is_last);
	} else {
		push_buf_append(&self->early, bytes, size);
		self->is_last = is_last;
		if (self->early.status != PUSH_OK)
			fail(self);
	}
	settle(self);
}

static void
on_writable(struct direct_h2_owner *owner)
{
	settle(push_container_of(owner, struct direct_h2_request, owner));
}

static void
on_closed(struct direct_h2_owner *owner)
{
	release(push_container_of(owner, struct direct_h2_request, owner));
}

static void
on_gone(struct direct_h2_owner *owner)
{
	(void)owner;
}

static const struct direct_h2_kind kind = {on_body, on_writable, on_closed, on_gone};

static void
on_timer(struct direct_timer *timer, uint64_t now_us)
{
	struct direct_h2_request *self = push_container_of(timer, struct direct_h2_request, timer);

	(void)now_us;
	if (!is_open(self))
		return;
	if (self->state == REQUEST_EXCHANGE && !push_h2_stream_unsent(self->stream)) {
		push_exchange_break_stalled(self->exchange);
		settle(self);
	} else {
		push_h2_stream_reset(self->stream,
			push_h2_stream_is_answered(self->stream) ? NGHTTP2_NO_ERROR : NGHTTP2_CANCEL);
	}
	direct_h2_touch(self->conn);
}

/* Its client makes it keep memory: an answer that is not read, or a body that does not end. */
static void
relieve(struct direct_burden *burden)
{
	struct direct_h2_request *self = push_container_of(burden, struct direct_h2_request, burden);

	push_list_remove(&burden->link);
	push_buf_reset(&self->early);
	if (self->state == REQUEST_EXCHANGE && push_exchange_state(self->exchange) == PUSH_EXCHANGE_BODY &&
		!push_h2_stream_unsent(self->stream)) {
		push_exchange_break(self->exchange, 503, PUSH_MEMORY_SHORT_TEXT);
		settle(self);
	} else {
		push_h2_stream_reset(self->stream, NGHTTP2_ENHANCE_YOUR_CALM);
	}
	direct_h2_touch(self->conn);
}

static struct direct_h2_request *
create(struct direct_h2_conn *conn)
{
	struct direct_h2_request *self = conn->spare;

	conn->spare = NULL;
	if (self)
		return self;
	self = calloc(1, sizeof(*self));
	if (!self)
		return NULL;
	self->owner.kind = &kind;
	self->conn = conn;
	direct_waiter_init(&self->waiter, resume);
	push_timer_init(&self->timer.timer);
	self->timer.due = on_timer;
	push_list_init(&self->burden.link);
	self->burden.relieve = relieve;
	push_buf_init(&self->early, PUSH_H2_STREAM_WINDOW_BYTES);
	push_buf_charge(&self->early, conn->direct->requests_account);
	return self;
}

void
direct_h2_request_open(struct direct_h2_conn *conn, struct push_h2_stream *stream, struct push_h2_head *head)
{
	struct direct_h2_request *self = create(conn);

	if (!self) {
		push_h2_head_destroy(head);
		push_h2_stream_reset(stream, NGHTTP2_REFUSED_STREAM);
		return;
	}
	conn->direct->h2_request_count++;
	self->stream = stream;
	stream->owner = &self->owner;
	push_h2_stream_linger(stream, true);
	self->head = head;
	self->state = REQUEST_FINDING;
	self->is_head = head->request.method == PUSH_METHOD_HEAD;
	self->is_last = self->was_asked = false;
	self->owed = 0;
	if (conn->is_over_limit) /* it is told so, and makes room for others who are to be told */
		push_h2_session_end(conn->session);
	if (head->status)
		refuse(self, head->status, head->error.text);
	else if (push_request_is_for_server(&head->request))
		begin(self);
	else
		find(self);
}
