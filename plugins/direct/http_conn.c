/* http_conn.c - see http_conn.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/json.h"
#include "core/push_assert.h"
#include "core/proxy_header.h"
#include "direct/find_route.h"
#include "direct/http_conn.h"
#include "direct/relay.h"

#define READING (EPOLLIN | EPOLLRDHUP)

static void
begin_head(struct push_http_conn *conn);

static void
arm(struct push_http_conn *conn, uint64_t us)
{
	direct_arm(conn->direct, &conn->timer, us);
}

static void
conn_close(struct push_http_conn *conn)
{
	if (conn->answers.size)
		push_source_abort(&conn->source);
	else
		direct_bytes_leave(&conn->bytes);
	direct_forget(conn->direct, conn->source.fd);
	push_source_close(conn->set, &conn->source);
}

static void
wait_for(struct push_http_conn *conn, uint32_t events)
{
	direct_bytes_settle(&conn->bytes);
	/* a socket that can be written to calls at once */
	if (events & EPOLLIN && direct_bytes_has_more(&conn->bytes))
		events |= EPOLLOUT;
	if (!push_source_want(conn->set, &conn->source, events))
		conn_close(conn);
}

/* What belongs to one request. */
static void
forget_request(struct push_http_conn *conn)
{
	if (!conn->answers.size)
		push_list_remove(&conn->burden.link);
	push_route_unref(conn->route);
	conn->route = NULL;
}

static void
conn_destroy(struct push_source *source)
{
	struct push_http_conn *conn = push_container_of(source, struct push_http_conn, source);

	push_timer_disarm(&conn->timer.timer);
	push_list_remove(&conn->link);
	push_list_remove(&conn->burden.link);
	direct_bytes_fini(&conn->bytes);
	conn->direct->refusal_count -= conn->is_over_limit;
	direct_waiter_forget(&conn->waiter);
	forget_request(conn);
	push_exchange_drop(conn->exchange);
	push_buf_fini(&conn->answers);
	free(conn);
}

static void
set_low_water(struct push_http_conn *conn, size_t bytes)
{
	int value = (int)bytes;

	if (bytes == 1 && !conn->low_water)
		return;
	conn->low_water = bytes > 1 ? bytes : 0;
	if (conn->bytes.tls) /* what is awaited is sealed */
		return;
	(void)setsockopt(conn->source.fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
}

/* RFC 6093; no head has it. */
static bool
has_urgent_data(const struct push_http_conn *conn)
{
	char byte;

	return recv(conn->source.fd, &byte, 1, MSG_OOB | MSG_PEEK | MSG_DONTWAIT) > 0;
}

/*
 * `size` bytes of a head have come.
 *
 * The kernel may call without a byte more, and would again at once: for urgent data, which it counts and does not
 * show, and where very small segments have used up the socket's memory (Linux, tcp_epollin_ready).  Then the connection
 * rests for a moment.
 */
static void
await_head(struct push_http_conn *conn, size_t size)
{
	if (!conn->low_water) {
		arm(conn, PUSH_HEAD_US);
		conn->head_end_us = conn->direct->ops->now_us() + PUSH_HEAD_US;
	} else if (!conn->bytes.tls && size < conn->low_water) {
		if (has_urgent_data(conn)) {
			conn_close(conn);
			return;
		}
		conn->is_resting = true;
		wait_for(conn, EPOLLRDHUP);
		arm(conn, PUSH_HEAD_REST_US);
		return;
	}
	set_low_water(conn, size + 1);
}

static void
end_rest(struct push_http_conn *conn, uint64_t now_us)
{
	conn->is_resting = false;
	if (now_us >= conn->head_end_us) {
		conn_close(conn);
		return;
	}
	arm(conn, conn->head_end_us - now_us);
	wait_for(conn, READING);
}

static void
give_to_lws(struct push_http_conn *conn)
{
	struct push_direct *direct = conn->direct;
	int port = conn->port;

	if (conn->is_over_limit) { /* lws would serve it */
		conn_close(conn);
		return;
	}
	set_low_water(conn, 1);
	if (conn->bytes.tls) {
		direct_bytes_take(&conn->bytes, conn->source.fd, 0);
		direct_relay_open(direct, push_source_release(conn->set, &conn->source), port, &conn->bytes,
			(struct push_str){NULL, 0});
		return;
	}
	direct_hand_over(direct, push_source_release(conn->set, &conn->source), port);
}

/* Takes from the socket what was only looked at. */
static void
take(struct push_http_conn *conn, size_t size)
{
	direct_bytes_take(&conn->bytes, conn->source.fd, size);
}

/* Until the client has seen the answer and closed: what it still sends would make a reset of our close. */
static void
linger(struct push_http_conn *conn)
{
	conn->state = CONN_LINGER;
	set_low_water(conn, 1);
	direct_bytes_end(&conn->bytes, conn->source.fd);
	wait_for(conn, READING);
	arm(conn, PUSH_LINGER_US);
}

/* What is not read fills the client's socket. */
static bool
may_read(const struct push_http_conn *conn)
{
	return conn->state != CONN_ASKED &&
	       (conn->state != CONN_BODY || push_exchange_takes_body(conn->exchange));
}

static bool
is_lines(const struct push_http_conn *conn)
{
	return conn->exchange && push_exchange_is_lines(conn->exchange);
}

/* All answers are out. */
static void
wait_on(struct push_http_conn *conn)
{
	bool reads = may_read(conn);

	if (is_lines(conn) && reads)
		arm(conn, push_exchange_stall_us(conn->exchange));
	else if (is_lines(conn))
		push_timer_disarm(&conn->timer.timer);
	wait_for(conn, reads ? READING : 0);
}

/* Returns false if the connection is beyond use. */
static bool
send_some(struct push_http_conn *conn)
{
	size_t left = conn->answers.size - conn->answers_sent;
	ssize_t sent;

	if (!direct_bytes_flush(&conn->bytes))
		return false;
	if (!left)
		return true;
	do
		sent = direct_bytes_send(
			&conn->bytes, conn->source.fd, conn->answers.bytes + conn->answers_sent, left);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS)
		return false;
	conn->answers_sent += sent > 0 ? (size_t)sent : 0;
	return true;
}

static void
send_answers(struct push_http_conn *conn)
{
	struct push_buf *answers = &conn->answers;

	if (!answers->size || conn->source.fd < 0)
		return;
	if (!send_some(conn)) {
		conn_close(conn);
		return;
	}
	if (conn->answers_sent < answers->size || direct_bytes_is_blocked(&conn->bytes)) {
		if (is_lines(conn) || !push_timer_is_armed(&conn->timer.timer))
			arm(conn, PUSH_ANSWERS_US);
		direct_burden_list(conn->direct, &conn->burden);
		wait_for(conn, EPOLLOUT);
		return;
	}
	push_list_remove(&conn->burden.link);
	if (answers->size > PUSH_ANSWERS_KEPT_BYTES)
		push_buf_reset(answers);
	push_buf_clear(answers);
	conn->answers_sent = 0;
	if (!conn->keep_alive && (conn->state == CONN_HEAD || conn->state == CONN_LINGER))
		linger(conn);
	else
		wait_on(conn);
}

/* Sends what there is, or waits for what is to come. */
static void
go_on(struct push_http_conn *conn)
{
	if (conn->source.fd < 0)
		return;
	if (conn->answers.size)
		send_answers(conn);
	else if (!conn->keep_alive && conn->state == CONN_HEAD)
		linger(conn);
	else
		wait_on(conn);
}

/* --- the wire below an exchange; what it appends goes out when this turn's requests are done with --- */

static void
check_answers(struct push_http_conn *conn)
{
	if (conn->answers.status != PUSH_OK)
		conn_close(conn);
}

static void
wire_answer(void *owner, const struct push_response *response)
{
	struct push_http_conn *conn = owner;

	conn->keep_alive &= !response->closes;
	push_http1_answer_append(&conn->answers, response, &conn->form);
	check_answers(conn);
}

static void
wire_begin(void *owner, const struct push_response *head)
{
	struct push_http_conn *conn = owner;
	struct push_response response = *head;

	response.closes |= !conn->form.can_chunk; /* that is how its end is told */
	conn->keep_alive &= !response.closes;
	push_http1_head_append(&conn->answers, &response, &conn->form);
	check_answers(conn);
}

static void
wire_piece(void *owner, const char *bytes, size_t size)
{
	struct push_http_conn *conn = owner;

	if (conn->form.can_chunk)
		push_http1_chunk_append(&conn->answers, bytes, size);
	else
		push_buf_append(&conn->answers, bytes, size);
	check_answers(conn);
}

static void
wire_end(void *owner, bool is_whole)
{
	struct push_http_conn *conn = owner;

	conn->keep_alive &= is_whole;
	if (is_whole && conn->form.can_chunk)
		push_http1_chunk_append(&conn->answers, "", 0);
	check_answers(conn);
}

static void
append_upgrade(struct push_http_conn *conn, struct push_buf *to)
{
	const struct push_head *head = conn->head;
	const struct push_direct_host *host = &conn->direct->host;
	const char *protocol = push_request_subprotocol(&head->request);
	char key[32];

	host->accept_key(head->request.ws_key.bytes, head->request.ws_key.size, key, sizeof(key));
	push_buf_append_text(to,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: ");
	push_buf_append_text(to, key);
	if (protocol) {
		push_buf_append_text(to, "\r\nSec-WebSocket-Protocol: ");
		push_buf_append_text(to, protocol);
	}
	push_buf_append_text(to, "\r\n\r\n");
}

static enum push_status
wire_subscribe(void *owner, const struct push_response *head, const struct push_opening *opening)
{
	struct push_http_conn *conn = owner;
	/* one for all: a buffer of each one's own would leave a hole in the heap, between what stays */
	struct push_buf *greeting = &conn->direct->greeting;

	if (conn->source.fd < 0) /* it has gone in the turn in which its identity was found out */
		return PUSH_UNAVAILABLE;
	push_buf_clear(greeting);
	if (opening->subscription->encoding == PUSH_ENCODING_WS)
		append_upgrade(conn, greeting);
	else
		push_http1_head_append(greeting, head, &conn->form);
	if (conn->head) { /* else it was taken when the authenticator was asked */
		take(conn, conn->head->size);
		conn->head_taken = true;
	}
	if (greeting->status != PUSH_OK)
		return greeting->status;
	return direct_stream_open(conn->direct, conn->set, &conn->source, &conn->bytes, opening,
		(struct push_str){greeting->bytes, greeting->size}, conn->form.can_chunk);
}

static bool
wire_peer(void *owner, struct push_address *ret)
{
	const struct push_http_conn *conn = owner;

	return direct_client_address(conn->direct, conn->source.fd, ret);
}

static bool
wire_claim(void *owner, const struct push_address *client, enum push_limit *ret_limit)
{
	const struct push_http_conn *conn = owner;
	const struct push_direct *direct = conn->direct;

	if (conn->source.fd < 0)
		return true; /* there is nothing to be counted any more */
	*ret_limit = PUSH_LIMIT_RESERVED_DESCRIPTORS;
	if (!direct_has_descriptors(direct, conn->source.fd))
		return false;
	return !client ||
	       push_limiter_claim(direct->limiter, conn->source.fd, client, direct->ops->now_us(), ret_limit);
}

static void
follow(struct push_http_conn *conn);

static void
wire_turn(void *owner)
{
	struct push_http_conn *conn = owner;

	if (conn->source.fd < 0)
		return;
	follow(conn);
	go_on(conn);
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

/* --- requests --- */

/* A request that no exchange sees, after which nothing on this connection can be trusted to be where it
 * should. */
static void
refuse(struct push_http_conn *conn, unsigned int status, const char *text)
{
	struct push_response response = {
		.status = status, .content_type = "application/json", .closes = true};
	struct push_buf body;

	push_buf_init(&body, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_json_append_error(&body, text);
	response.body = (struct push_str){body.bytes ? body.bytes : "", body.size};
	conn->state = CONN_LINGER;
	conn->form = (struct push_http1_form){
		.is_head = conn->head && conn->head->request.method == PUSH_METHOD_HEAD};
	wire_answer(conn, &response);
	push_buf_fini(&body);
	forget_request(conn);
	send_answers(conn);
}

/* A client that publishes a second time on a connection will go on. */
static void
become_publisher(struct push_http_conn *conn)
{
	struct push_sources *publishers = &conn->direct->sets[PUSH_DIRECT_PUBLISHERS];

	if (conn->set != publishers && push_source_change_set(conn->set, publishers, &conn->source))
		conn->set = publishers;
}

static void
end_request(struct push_http_conn *conn)
{
	bool is_publisher = conn->has_published;

	conn->has_published = is_publisher || push_exchange_is_publish(conn->exchange);
	forget_request(conn);
	conn->state = CONN_HEAD;
	conn->probed = false;
	if (!conn->keep_alive || conn->source.fd < 0)
		return;
	begin_head(conn);
	if (is_publisher)
		become_publisher(conn);
}

static void
say_continue(struct push_http_conn *conn)
{
	if (push_exchange_take_continue(conn->exchange))
		push_buf_append_text(&conn->answers, "HTTP/1.1 100 Continue\r\n\r\n");
}

/* The exchange has gone on. */
static void
follow(struct push_http_conn *conn)
{
	say_continue(conn);
	switch (push_exchange_state(conn->exchange)) {
	case PUSH_EXCHANGE_BODY:
		conn->state = CONN_BODY;
		arm(conn, push_exchange_stall_us(conn->exchange));
		if (push_exchange_keeps(conn->exchange))
			direct_burden_list(conn->direct, &conn->burden);
		break;
	case PUSH_EXCHANGE_ASKED:
		conn->state = CONN_ASKED;
		push_timer_disarm(&conn->timer.timer);
		wait_for(conn, 0);
		if (!conn->answers.size) /* what is under way is not the client's to end */
			push_list_remove(&conn->burden.link);
		break;
	case PUSH_EXCHANGE_ANSWERED: end_request(conn); break;
	default: break; /* the socket is a stream's */
	}
}

static void
on_piece(void *context, struct push_str piece, bool is_last)
{
	struct push_http_conn *conn = context;

	if (conn->source.fd >= 0 && push_exchange_state(conn->exchange) == PUSH_EXCHANGE_BODY)
		push_exchange_body(conn->exchange, piece.bytes, piece.size, is_last);
}

/* Bytes of a body.  Returns how many were its. */
static size_t
read_body(struct push_http_conn *conn, const char *bytes, size_t size)
{
	size_t used = 0;

	if (push_http1_body_read(&conn->body, bytes, size, &used, on_piece, conn) == PUSH_HTTP1_BAD &&
		push_exchange_state(conn->exchange) == PUSH_EXCHANGE_BODY)
		push_exchange_break(conn->exchange, 400, "the chunks of the body are malformed");
	if (conn->source.fd >= 0)
		follow(conn);
	return used;
}

/* Well-formed, and not for Push: files, mounts of others, passwords.  lws 4.3 takes no chunks, and no body of
 * methods that have none: what follows would be the next request to it. */
static void
leave_to_lws(struct push_http_conn *conn, const struct push_head *head)
{
	conn->head = head;
	if (head->chunked)
		refuse(conn, 411, "a chunked body is not accepted here, send Content-Length");
	else if (head->request.has_body && head->request.method != PUSH_METHOD_POST &&
		 head->request.method != PUSH_METHOD_OTHER)
		refuse(conn, 400, "a body is not accepted with this method here");
	else
		give_to_lws(conn);
	conn->head = NULL;
}

/* What may become a stream has nothing before it in the socket, which changes hands. */
static bool
may_be_served(const struct push_route *route, const struct push_head *head, bool first)
{
	return first || head->request.method != PUSH_METHOD_GET || route->place == PUSH_PLACE_PUBLISH;
}

/* Finds conn->route, or begins to look for it.  Returns false if the request is not to be served here and
 * now. */
static bool
find_route(struct push_http_conn *conn, struct push_head *head, bool first)
{
	struct direct_lookup lookup = {
		.port = conn->port, .is_tls = conn->bytes.tls, .request = &head->request};
	enum push_whose whose = direct_look_up(conn->direct, &lookup);

	conn->route = NULL;
	if (whose == PUSH_WHOSE_PUSH && may_be_served(lookup.route, head, first)) {
		conn->route = lookup.route;
		direct_place(&head->request, &lookup);
		return true;
	}
	push_route_unref(lookup.route);
	if (whose == PUSH_WHOSE_PUSH || !first)
		return false;
	if (whose == PUSH_WHOSE_LWS || conn->probed || !direct_ask(conn->direct, &lookup, &conn->waiter)) {
		leave_to_lws(conn, head);
		return false;
	}
	conn->state = CONN_PROBING;
	conn->probed = true;
	wait_for(conn, 0);
	return false;
}

/* The head is an exchange's from here on.  `rest`: bytes that have come behind it. */
static void
begin_exchange(struct push_http_conn *conn, struct push_head *head, const llhttp_t *parser, size_t rest)
{
	struct push_request *request = &head->request;
	struct push_direct *direct = conn->direct;
	struct push_tls_client client;

	if (!conn->exchange)
		conn->exchange = push_exchange_create(direct->ops, direct->broker, &wire, conn);
	if (!conn->exchange) {
		refuse(conn, 503, push_status_text(PUSH_OUT_OF_MEMORY));
		return;
	}
	conn->keep_alive = head->keep_alive && !direct->stopped;
	conn->form = (struct push_http1_form){.is_head = request->method == PUSH_METHOD_HEAD,
		.http_1_0 = !head->http_1_1,
		.can_chunk = head->http_1_1};
	if (conn->route)
		conn->form.extra = (struct push_str){conn->route->extra, conn->route->extra_size};
	request->is_tls = conn->bytes.tls;
	direct_show_certificate(direct, &conn->bytes, request, &client);
	request->is_over_limit = conn->is_over_limit;
	request->over_limit = conn->limit;
	request->awaits_continue = request->expect.bytes && (head->chunked ? !rest : rest < request->length);
	conn->head = head;
	conn->head_taken = false;
	push_http1_body_begin(&conn->body, head, parser);
	push_exchange_begin(conn->exchange, request, !conn->keep_alive);
	conn->head = NULL;
	say_continue(conn);
	if (push_exchange_is_lines(conn->exchange))
		become_publisher(conn); /* it has much to say */
	if (conn->source.fd < 0)
		return;
	if (push_exchange_state(conn->exchange) == PUSH_EXCHANGE_BODY)
		conn->state = CONN_BODY; /* and its time begins when what is there of it is read */
	else
		follow(conn);
}

/* HTTP/2 with prior knowledge (RFC 9113, 3.3), where it is wanted; lws' whatever else it is. */
static void
leave_foreign(struct push_http_conn *conn, const char *bytes)
{
	struct push_direct *direct = conn->direct;
	const struct direct_arrival arrival = {.is_over_limit = conn->is_over_limit, .limit = conn->limit};
	int port = conn->port;

	if (*bytes == PUSH_TLS_HANDSHAKE || conn->bytes.tls ||
		!direct->ops->options(direct->broker)->http2_cleartext) {
		give_to_lws(conn);
		return;
	}
	set_low_water(conn, 1);
	direct_h2_open(direct, push_source_release(conn->set, &conn->source), port, &arrival, &conn->bytes,
		(struct push_str){NULL, 0});
}

enum next { GO_ON, STOP };

/*
 * One request at the start of `bytes`.  `*used` is moved past what was taken of them; `first`: nothing before
 * it is still in the socket, so that the connection may change hands.
 */
static enum next
serve(struct push_http_conn *conn, const char *bytes, size_t size, bool first, size_t *used)
{
	struct push_head head;
	llhttp_t parser;

	switch (push_head_read(&head, &parser, bytes, size, PUSH_HEAD_BYTES_MAX)) {
	case PUSH_HEAD_PARTIAL:
		if (first)
			await_head(conn, size);
		return STOP;
	case PUSH_HEAD_FOREIGN:
		if (first)
			leave_foreign(conn, bytes);
		return STOP;
	case PUSH_HEAD_TOO_LARGE: refuse(conn, 431, "the head of the request is over 16 kB"); return STOP;
	case PUSH_HEAD_BAD: refuse(conn, head.status, head.error.text); return STOP;
	default: break;
	}
	if (!push_request_is_for_server(&head.request) && *head.request.path.bytes != '/') {
		refuse(conn, 400, "'*' is allowed only with OPTIONS");
		return STOP;
	}
	if (!push_request_is_for_server(&head.request) && !find_route(conn, &head, first))
		return STOP;
	set_low_water(conn, 1);
	begin_exchange(conn, &head, &parser, size - head.size);
	if (conn->source.fd < 0)
		return STOP;
	if (conn->head_taken)
		return STOP; /* it is not in the socket any more, but still in `bytes` */
	*used += head.size;
	if (conn->state == CONN_BODY)
		*used += read_body(conn, bytes + head.size, size - head.size);
	return conn->state == CONN_HEAD && conn->keep_alive ? GO_ON : STOP;
}

/*
 * A PROXY header at the start of a connection from a trusted proxy: it is taken from the socket, so that lws
 * could be given the connection as well as before.  Returns STOP if there is nothing to be read behind it yet.
 */
static enum next
read_proxy_header(struct push_http_conn *conn, const char *bytes, size_t size)
{
	struct push_direct *direct = conn->direct;
	struct push_proxy_header header;

	switch (push_proxy_header_read(&header, bytes, size)) {
	case PUSH_PROXY_NONE: conn->may_be_proxied = false; return GO_ON;
	case PUSH_PROXY_PARTIAL: await_head(conn, size); return STOP;
	case PUSH_PROXY_BAD: conn_close(conn); return STOP;
	default: break;
	}
	conn->may_be_proxied = false;
	set_low_water(conn, 1);
	take(conn, header.size);
	if (header.has_address && !push_limiter_identify(direct->limiter, conn->source.fd, &header.address,
					  direct->ops->now_us(), &conn->limit)) {
		conn->is_over_limit = true;
		if (direct->refusal_count++ >= PUSH_REFUSALS_MAX) {
			conn_close(conn);
			return STOP;
		}
	}
	wait_for(conn, READING); /* what follows is there already, most times */
	return STOP;
}

/* All whole requests of what has come, in order; what is left of it stays in the socket.  `ended`: nothing
 * more will come, so that a part of a request stays one. */
static void
look(struct push_http_conn *conn, bool ended)
{
	const char *bytes;
	ssize_t size = direct_bytes_look(
		&conn->bytes, conn->source.fd, conn->direct->scratch, PUSH_READ_BYTES, &bytes);
	size_t used = 0;

	if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
		wait_for(conn, READING);
		return;
	}
	if (size <= 0) {
		conn_close(conn);
		return;
	}
	if (conn->may_be_proxied && read_proxy_header(conn, bytes, (size_t)size) == STOP) {
		if (ended && conn->may_be_proxied)
			conn_close(conn);
		else if (conn->source.fd >= 0 && !conn->source.is_waiting)
			wait_for(conn, READING);
		return;
	}
	while (used < (size_t)size && conn->answers.size < PUSH_ANSWERS_BYTES_MAX &&
		serve(conn, bytes + used, (size_t)size - used, !used, &used) == GO_ON &&
		!conn->direct->ops->is_behind(conn->direct->broker))
		;
	if (conn->source.fd < 0)
		return;
	if (ended && !used && conn->state == CONN_HEAD && !conn->answers.size) {
		conn_close(conn);
		return;
	}
	take(conn, used);
	send_answers(conn);
	/* the kernel calls again for what was only looked at */
	if ((!conn->source.is_waiting || direct_bytes_has_more(&conn->bytes)) && !conn->answers.size &&
		(conn->state == CONN_HEAD || conn->state == CONN_BODY))
		wait_for(conn, may_read(conn) ? READING : 0);
}

/* More of a body.  A chunked one may end inside of what is there, so that it is only looked at first. */
static void
read_more(struct push_http_conn *conn)
{
	const char *bytes = conn->direct->scratch;
	size_t wanted = PUSH_READ_BYTES;
	ssize_t size;

	if (!may_read(conn)) {
		wait_on(conn);
		return;
	}
	if (!conn->body.chunked && conn->body.left < wanted)
		wanted = (size_t)conn->body.left;
	size = conn->body.chunked
		       ? direct_bytes_look(
				 &conn->bytes, conn->source.fd, conn->direct->scratch, wanted, &bytes)
		       : direct_bytes_read(&conn->bytes, conn->source.fd, conn->direct->scratch, wanted);
	if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (size <= 0) {
		conn_close(conn);
		return;
	}
	size = (ssize_t)read_body(conn, bytes, (size_t)size);
	if (conn->source.fd < 0)
		return;
	if (conn->body.chunked)
		take(conn, (size_t)size);
	go_on(conn);
}

static void
discard(struct push_http_conn *conn)
{
	ssize_t size =
		direct_bytes_discard(&conn->bytes, conn->source.fd, conn->direct->scratch, PUSH_READ_BYTES);

	if (!size || (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		conn_close(conn);
}

static void
conn_ready(struct push_source *source, uint32_t events)
{
	struct push_http_conn *conn = push_container_of(source, struct push_http_conn, source);

	bool reads = conn->state == CONN_HEAD || conn->state == CONN_BODY || conn->state == CONN_LINGER;

	if (conn->is_resting) /* it has hung up */
		end_rest(conn, conn->direct->ops->now_us());
	if (source->fd < 0)
		return;
	if (events & EPOLLOUT && conn->answers.size)
		send_answers(conn);
	else if (events & EPOLLERR || (events & EPOLLHUP && !reads))
		conn_close(conn);
	else if (reads && direct_has_to_wait(conn->direct, conn->set))
		return;
	else if (conn->state == CONN_HEAD)
		look(conn, events & EPOLLRDHUP && !conn->bytes.tls); /* TLS has an end of its own */
	else if (conn->state == CONN_BODY)
		read_more(conn);
	else if (conn->state == CONN_LINGER)
		discard(conn);
}

static const struct push_source_kind conn_kind = {conn_ready, conn_destroy};

/* From here on the client has a time to send the next head. */
static void
begin_head(struct push_http_conn *conn)
{
	arm(conn, PUSH_KEEP_ALIVE_US);
}

static void
break_stalled(struct push_http_conn *conn)
{
	push_exchange_break_stalled(conn->exchange);
	follow(conn);
	go_on(conn);
}

/* Its client makes it keep memory: an answer that is not read, or a body that does not end. */
static void
relieve(struct direct_burden *burden)
{
	struct push_http_conn *conn = push_container_of(burden, struct push_http_conn, burden);

	push_list_remove(&burden->link);
	if (conn->state == CONN_BODY && !conn->answers.size) {
		push_exchange_break(conn->exchange, 503, PUSH_MEMORY_SHORT_TEXT);
		follow(conn);
		go_on(conn);
		return;
	}
	push_buf_reset(&conn->answers);
	conn->answers_sent = 0;
	push_source_abort(&conn->source);
	conn_close(conn);
}

static void
resume(struct direct_waiter *waiter, bool ours)
{
	struct push_http_conn *conn = push_container_of(waiter, struct push_http_conn, waiter);

	if (conn->source.fd < 0)
		return;
	conn->state = CONN_HEAD;
	direct_bytes_again(&conn->bytes);
	if (ours)
		wait_for(conn, READING);
	else
		look(conn, false); /* it is `probed`: what lws would read otherwise does not go there
				      (leave_to_lws) */
}

static void
on_timer(struct direct_timer *timer, uint64_t now_us)
{
	struct push_http_conn *conn = push_container_of(timer, struct push_http_conn, timer);

	if (conn->is_resting)
		end_rest(conn, now_us);
	else if (conn->state == CONN_BODY && !(is_lines(conn) && conn->answers.size))
		break_stalled(conn);
	else
		conn_close(conn);
}

void
direct_request_open(struct push_direct *direct, int fd, int port, const struct direct_arrival *arrival,
	struct direct_bytes *bytes)
{
	struct push_http_conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		if (bytes)
			direct_bytes_fini(bytes);
		direct_forget(direct, fd);
		close(fd);
		return;
	}
	if (bytes) {
		conn->bytes = *bytes;
		*bytes = (struct direct_bytes){.tls = NULL};
	}
	conn->direct = direct;
	conn->port = port;
	conn->keep_alive = true;
	conn->may_be_proxied = arrival->is_proxy;
	conn->is_over_limit = arrival->is_over_limit;
	conn->limit = arrival->limit;
	direct->refusal_count += conn->is_over_limit;
	push_list_append(&direct->requests, &conn->link);
	direct_waiter_init(&conn->waiter, resume);
	push_list_init(&conn->burden.link);
	conn->burden.relieve = relieve;
	push_timer_init(&conn->timer.timer);
	conn->timer.due = on_timer;
	push_buf_init(&conn->answers, PUSH_ANSWERS_BYTES_MAX + PUSH_ANSWER_BYTES_MAX);
	push_buf_charge(&conn->answers, direct->requests_account);
	arm(conn, PUSH_HEAD_US);
	conn->set = &direct->sets[PUSH_DIRECT_ARRIVALS];
	push_source_open(conn->set, &conn->source, &conn_kind, fd);
	/* when many come at once their requests are there already */
	look(conn, false);
}

void
direct_requests_stop(struct push_direct *direct)
{
	struct push_list *item = direct->requests.next;

	while (item != &direct->requests) {
		struct push_http_conn *conn = push_container_of(item, struct push_http_conn, link);

		item = item->next;
		if (conn->source.fd >= 0 && conn->state == CONN_HEAD && !conn->answers.size &&
			!conn->may_be_proxied)
			give_to_lws(conn);
		else
			conn->keep_alive = false;
	}
}
