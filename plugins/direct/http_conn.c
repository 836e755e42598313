/* http_conn.c - see http_conn.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cors.h"
#include "core/mediatype.h"
#include "core/push_assert.h"
#include "core/tokens.h"
#include "direct/http_conn.h"
#include "direct/query.h"

#define READING (EPOLLIN | EPOLLRDHUP)

static void
begin_head(struct push_http_conn *conn);

static void
arm(struct push_http_conn *conn, uint64_t us)
{
	push_wheel_arm(&conn->direct->wheel, &conn->timer, conn->direct->ops->now_us() + us);
}

static void
conn_close(struct push_http_conn *conn)
{
	if (conn->answers.size)
		push_source_abort(&conn->source);
	push_source_close(conn->set, &conn->source);
}

static void
wait_for(struct push_http_conn *conn, uint32_t events)
{
	if (!push_source_want(conn->set, &conn->source, events))
		conn_close(conn);
}

/* What belongs to one request. */
static void
forget_request(struct push_http_conn *conn)
{
	push_buf_reset(&conn->body);
	if (!conn->answers.size)
		push_list_remove(&conn->burden.link);
	push_route_unref(conn->route);
	conn->route = NULL;
	free(conn->origin);
	conn->origin = NULL;
	free(conn->key);
	conn->key = NULL;
	if (conn->lines)
		conn->direct->ops->lines_destroy(conn->lines);
	conn->lines = NULL;
}

/* While the broker is asked, its answer still comes here (on_published). */
static void
conn_destroy(struct push_source *source)
{
	struct push_http_conn *conn = push_container_of(source, struct push_http_conn, source);

	push_timer_disarm(&conn->timer);
	push_list_remove(&conn->link);
	push_list_remove(&conn->burden.link);
	direct_probe_forget(conn);
	if (conn->state == CONN_WAITING && !conn->published) {
		conn->direct = NULL;
		return;
	}
	forget_request(conn);
	push_buf_fini(&conn->body);
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
	(void)setsockopt(conn->source.fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
}

/* `size` bytes of a head have come. */
static void
await_head(struct push_http_conn *conn, size_t size)
{
	if (!conn->low_water)
		arm(conn, PUSH_HEAD_US);
	else if (size < conn->low_water) {
		/* the kernel counts urgent data (RFC 6093), which no head has, and would call again at once
		 */
		conn_close(conn);
		return;
	}
	set_low_water(conn, size + 1);
}

static void
give_to_lws(struct push_http_conn *conn)
{
	struct push_direct *direct = conn->direct;
	int port = conn->port;

	set_low_water(conn, 1);
	direct->host.hand_over(direct->host.context, push_source_release(conn->set, &conn->source), port);
}

/* Takes from the socket what was only looked at. */
static void
take(struct push_http_conn *conn, size_t size)
{
	if (size)
		(void)recv(conn->source.fd, NULL, size, MSG_TRUNC | MSG_DONTWAIT);
}

/* Until the client has seen the answer and closed: what it still sends would make a reset of our close. */
static void
linger(struct push_http_conn *conn)
{
	conn->state = CONN_LINGER;
	set_low_water(conn, 1);
	(void)shutdown(conn->source.fd, SHUT_WR);
	wait_for(conn, READING);
	arm(conn, PUSH_LINGER_US);
}

/* What is not read fills the client's socket. */
static bool
may_read(const struct push_http_conn *conn)
{
	return conn->state != CONN_WAITING &&
	       (!conn->lines || !conn->direct->ops->lines_is_full(conn->lines));
}

/* All answers are out. */
static void
wait_on(struct push_http_conn *conn)
{
	bool reads = may_read(conn);

	if (conn->lines && reads)
		arm(conn, PUSH_BODY_STALL_US);
	else if (conn->lines)
		push_timer_disarm(&conn->timer);
	wait_for(conn, reads ? READING : 0);
}

static void
send_answers(struct push_http_conn *conn)
{
	struct push_buf *answers = &conn->answers;
	size_t left = answers->size - conn->answers_sent;
	ssize_t sent;

	if (!left || conn->source.fd < 0)
		return;
	do
		sent = send(conn->source.fd, answers->bytes + conn->answers_sent, left,
			MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != ENOBUFS) {
		conn_close(conn);
		return;
	}
	conn->answers_sent += sent > 0 ? (size_t)sent : 0;
	if (conn->answers_sent < answers->size) {
		if (conn->lines || !push_timer_is_armed(&conn->timer))
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

static const char *
words_of(unsigned int status)
{
	switch (status) {
	case 200: return "200 OK";
	case 202: return "202 Accepted";
	case 400: return "400 Bad Request";
	case 403: return "403 Forbidden";
	case 404: return "404 Not Found";
	case 408: return "408 Request Timeout";
	case 409: return "409 Conflict";
	case 413: return "413 Content Too Large";
	case 422: return "422 Unprocessable Content";
	case 431: return "431 Request Header Fields Too Large";
	case 501: return "501 Not Implemented";
	default: return "503 Service Unavailable\r\nretry-after: 1";
	}
}

/* The head of an answer, without what says how long its body is. */
static void
append_head(struct push_http_conn *conn, unsigned int status, const char *content_type)
{
	const char *allowed = conn->direct->ops->options(conn->direct->broker)->cors_origins;
	struct push_cors cors = push_cors_answer(allowed, conn->origin);
	struct push_buf *to = &conn->answers;

	if (!conn->is_read)
		conn->direct->ops->count_publish(conn->direct->broker, status, conn->body_bytes);
	push_buf_append_text(to, "HTTP/1.1 ");
	push_buf_append_text(to, words_of(status));
	push_buf_append_text(to, "\r\n");
	if (conn->route)
		push_buf_append(to, conn->route->extra, conn->route->extra_size);
	push_buf_printf(to, "content-type: %s\r\n", content_type);
	push_cors_append(to, &cors);
	if (!conn->keep_alive)
		push_buf_append_text(to, "connection: close\r\n");
}

/* Appends an answer; it goes out when this turn's requests are done with. */
static void
answer(struct push_http_conn *conn, const struct push_answer *answer)
{
	struct push_buf *to = &conn->answers;

	append_head(conn, answer->status, answer->content_type);
	push_buf_printf(to, "content-length: %zu\r\n\r\n", answer->size);
	push_buf_append(to, answer->body, answer->size);
	if (to->status != PUSH_OK)
		conn_close(conn);
}

static void
answer_error(struct push_http_conn *conn, unsigned int status, const char *text)
{
	struct push_buf body;

	push_buf_init(&body, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_json_append_error(&body, text);
	answer(conn,
		&(struct push_answer){status, "application/json", body.bytes ? body.bytes : "", body.size});
	push_buf_fini(&body);
}

/* An answer after which nothing on this connection can be trusted to be where it should. */
static void
refuse(struct push_http_conn *conn, unsigned int status, const char *text)
{
	conn->keep_alive = false;
	conn->state = CONN_LINGER;
	answer_error(conn, status, text);
	forget_request(conn);
	send_answers(conn);
}

/* Who publishes a second time on a connection will go on. */
static void
end_request(struct push_http_conn *conn)
{
	struct push_sources *arrivals = &conn->direct->sets[PUSH_DIRECT_ARRIVALS];
	struct push_sources *publishers = &conn->direct->sets[PUSH_DIRECT_PUBLISHERS];

	forget_request(conn);
	conn->state = CONN_HEAD;
	conn->probed = false;
	if (!conn->keep_alive || conn->source.fd < 0)
		return;
	begin_head(conn);
	if (conn->has_published && conn->set == arrivals &&
		push_source_change_set(arrivals, publishers, &conn->source))
		conn->set = publishers;
	conn->has_published = true;
}

static void
on_answer(void *context, const struct push_answer *the_answer)
{
	struct push_http_conn *conn = context;

	conn->published = true;
	if (conn->direct) /* else it was closed in the meantime */
		answer(conn, the_answer);
	if (conn->in_call)
		return;
	if (!conn->direct) {
		forget_request(conn);
		push_buf_fini(&conn->body);
		push_buf_fini(&conn->answers);
		free(conn);
		return;
	}
	end_request(conn);
	send_answers(conn);
}

/* The broker is going to be asked. */
static void
begin_call(struct push_http_conn *conn)
{
	conn->state = CONN_WAITING;
	conn->published = false;
	conn->in_call = true;
}

static void
end_call(struct push_http_conn *conn)
{
	conn->in_call = false;
	if (conn->published)
		end_request(conn);
	else
		wait_for(conn, 0);
}

static void
publish(struct push_http_conn *conn, const char *body, size_t size)
{
	struct push_direct *direct = conn->direct;
	const struct push_publish_request request = {.body = body,
		.size = size,
		.wait_written = conn->wait_written,
		.key = conn->key,
		.key_size = conn->key ? strlen(conn->key) : 0,
		.parent = conn->has_parent ? &conn->parent : NULL};

	if (conn->has_key && !conn->key) {
		answer_error(conn, 503, push_status_text(PUSH_OUT_OF_MEMORY));
		end_request(conn);
		return;
	}
	conn->body_bytes = size;
	begin_call(conn);
	direct->ops->publish_request(direct->broker, &request, on_answer, conn);
	end_call(conn);
}

static void
publish_body(struct push_http_conn *conn)
{
	struct push_buf body = conn->body;

	if (body.status == PUSH_OUT_OF_MEMORY) {
		refuse(conn, 503, "out of memory");
		return;
	}
	push_timer_disarm(&conn->timer);
	if (!conn->answers.size)
		push_list_remove(&conn->burden.link); /* what is under way is not the client's to end */
	push_buf_init(&conn->body, body.max);         /* its bytes are `body`'s now */
	push_buf_charge(&conn->body, body.account);
	publish(conn, body.bytes ? body.bytes : "", body.size);
	push_buf_fini(&body);
}

/* --- a stream of lines --- */

static void
append_chunk(struct push_http_conn *conn, const char *bytes, size_t size)
{
	push_buf_printf(&conn->answers, "%zx\r\n", size);
	push_buf_append(&conn->answers, bytes, size);
	push_buf_append_text(&conn->answers, "\r\n");
}

/* What is answered so far; the head of it goes with the first of them. */
static void
take_line_answers(struct push_http_conn *conn, bool is_over)
{
	struct push_buf *ready = conn->direct->ops->lines_answers(conn->lines);

	if (!conn->has_begun && (ready->size || is_over)) {
		append_head(conn, 202, "application/x-ndjson");
		push_buf_append_text(&conn->answers, "transfer-encoding: chunked\r\n\r\n");
		conn->has_begun = true;
	}
	if (ready->size)
		append_chunk(conn, ready->bytes, ready->size);
	if (ready->status != PUSH_OK || conn->answers.status != PUSH_OK)
		conn_close(conn);
	push_buf_clear(ready);
}

/* Some lines have come, or some answers to them. */
static void
advance_lines(struct push_http_conn *conn)
{
	bool is_over = conn->direct->ops->lines_is_over(conn->lines);

	take_line_answers(conn, is_over);
	if (!is_over)
		return;
	push_buf_append_text(&conn->answers, "0\r\n\r\n");
	if (conn->answers.status != PUSH_OK)
		conn_close(conn);
	end_request(conn);
}

static void
on_lines_ready(void *context)
{
	struct push_http_conn *conn = context;

	if (conn->source.fd < 0)
		return;
	advance_lines(conn);
	if (conn->source.fd < 0)
		return;
	if (conn->answers.size)
		send_answers(conn);
	else
		wait_on(conn);
}

static void
end_lines(struct push_http_conn *conn)
{
	conn->state = CONN_WAITING;
	conn->direct->ops->lines_end(conn->lines);
	advance_lines(conn);
	if (conn->state == CONN_WAITING)
		wait_on(conn);
}

static void
begin_lines(struct push_http_conn *conn)
{
	struct push_direct *direct = conn->direct;
	struct push_sources *publishers = &direct->sets[PUSH_DIRECT_PUBLISHERS];

	conn->has_begun = false;
	conn->published = true; /* nothing else is to come where it is closed */
	conn->body_bytes = 0;
	conn->lines = direct->ops->lines_create(direct->broker, on_lines_ready, conn);
	if (!conn->lines) {
		refuse(conn, 503, push_status_text(PUSH_OUT_OF_MEMORY));
		return;
	}
	if (conn->has_parent)
		direct->ops->lines_set_parent(conn->lines, &conn->parent);
	/* it has much to say */
	if (conn->set != publishers && push_source_change_set(conn->set, publishers, &conn->source))
		conn->set = publishers;
}

/* The body cannot be read on.  Where the answer has begun all that can be said is that it has no end. */
static void
break_body(struct push_http_conn *conn, unsigned int status, const char *text)
{
	if (!conn->lines || !conn->has_begun) {
		refuse(conn, status, text);
		return;
	}
	conn->keep_alive = false;
	conn->state = CONN_LINGER;
	forget_request(conn);
	if (conn->answers.size)
		send_answers(conn);
	else
		linger(conn);
}

/* The time until the client has to send more of a body. */
static void
arm_body(struct push_http_conn *conn)
{
	uint64_t age_us = conn->direct->ops->now_us() - conn->started_us;
	uint64_t left_us = age_us < PUSH_BODY_TOTAL_US ? PUSH_BODY_TOTAL_US - age_us : 1;

	if (conn->lines) /* however long it takes */
		left_us = PUSH_BODY_STALL_US;
	arm(conn, left_us < PUSH_BODY_STALL_US ? left_us : PUSH_BODY_STALL_US);
}

static int
on_chunk(llhttp_t *parser, const char *bytes, size_t size)
{
	struct push_http_conn *conn = parser->data;

	if (conn->lines) {
		conn->direct->ops->lines_feed(conn->lines, bytes, size);
		return 0;
	}
	push_buf_append(&conn->body, bytes, size);
	return conn->body.status == PUSH_OK ? 0 : HPE_USER;
}

static int
on_chunks_end(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;
}

static const llhttp_settings_t chunk_settings = {.on_body = on_chunk, .on_message_complete = on_chunks_end};

/* Part of a chunked body.  Returns how many bytes were its; trailers are read and not looked at. */
static size_t
read_chunks(struct push_http_conn *conn, const char *bytes, size_t size)
{
	llhttp_errno_t result;

	conn->parser.settings = (void *)(uintptr_t)&chunk_settings;
	conn->parser.data = conn;
	if (llhttp_get_errno(&conn->parser) == HPE_PAUSED)
		llhttp_resume(&conn->parser);
	result = llhttp_execute(&conn->parser, bytes, size);
	if (result == HPE_OK) {
		arm_body(conn);
		if (conn->lines)
			advance_lines(conn);
		return size;
	}
	if (result == HPE_PAUSED) {
		size = (size_t)(llhttp_get_error_pos(&conn->parser) - bytes);
		if (conn->lines)
			end_lines(conn);
		else
			publish_body(conn);
		return size;
	}
	if (conn->body.status == PUSH_TOO_LARGE)
		refuse(conn, 413, "the body is over push.message.max.size");
	else if (conn->body.status != PUSH_OK)
		refuse(conn, 503, "out of memory");
	else
		break_body(conn, 400, "the chunks of the body are malformed");
	return size;
}

static size_t
read_lines(struct push_http_conn *conn, const char *bytes, size_t size)
{
	conn->direct->ops->lines_feed(conn->lines, bytes, size);
	conn->body_left -= size;
	arm_body(conn);
	if (conn->body_left)
		advance_lines(conn);
	else
		end_lines(conn);
	return size;
}

/* Part of a body with a length.  Returns how many bytes were its. */
static size_t
read_length(struct push_http_conn *conn, const char *bytes, size_t size)
{
	if (size > conn->body_left)
		size = (size_t)conn->body_left;
	if (conn->lines)
		return read_lines(conn, bytes, size);
	if (size == conn->body_left && !conn->body.size) {
		conn->body_left = 0;
		push_timer_disarm(&conn->timer);
		publish(conn, bytes, size);
		return size;
	}
	push_buf_append(&conn->body, bytes, size);
	conn->body_left -= size;
	if (conn->body_left)
		arm_body(conn);
	else
		publish_body(conn);
	return size;
}

/* Bodies give way last when memory is short.  Returns false where this one has. */
static bool
has_room(struct push_http_conn *conn, size_t size)
{
	struct push_direct *direct = conn->direct;

	if (push_memory_has_room(direct->requests_account->memory, size))
		return true;
	direct->ops->count_relieved_publish(direct->broker);
	break_body(conn, 503, PUSH_MEMORY_SHORT_TEXT);
	return false;
}

static size_t
read_body(struct push_http_conn *conn, const char *bytes, size_t size)
{
	if (!has_room(conn, size))
		return size;
	size = conn->chunked ? read_chunks(conn, bytes, size) : read_length(conn, bytes, size);
	if (conn->state == CONN_BODY && conn->body.size && conn->source.fd >= 0)
		direct_burden_list(conn->direct, &conn->burden);
	return size;
}

/* At a glance: whether the query has an argument of this name. */
static bool
names_argument(struct push_span query, const char *name)
{
	size_t size = strlen(name);

	for (const char *p = query.bytes, *end = p ? p + query.size : NULL; p && p < end; p++) {
		if ((size_t)(end - p) > size && !memcmp(p, name, size) && p[size] == '=')
			return true;
		p = memchr(p, '&', (size_t)(end - p));
		if (!p)
			break;
	}
	return false;
}

/* The header counts for more than the query, which is for those whose headers get lost. */
static void
keep_key(struct push_http_conn *conn, const struct push_head *head)
{
	struct push_span key = head->idempotency_key;
	struct push_buf query_key;

	push_buf_init(&query_key, PUSH_QUERY_BYTES_MAX);
	if (!key.bytes && push_query_values(head->query, "idempotency_key", &query_key))
		key = (struct push_span){query_key.bytes ? query_key.bytes : "", query_key.size};
	conn->has_key = key.bytes || query_key.status != PUSH_OK;
	if (key.bytes)
		conn->key = strndup(key.bytes, key.size);
	push_buf_fini(&query_key);
}

/* What is kept of a request's head. */
static void
keep_head(struct push_http_conn *conn, const struct push_head *head)
{
	conn->keep_alive = head->keep_alive && !conn->direct->stopped;
	if (head->origin.bytes)
		conn->origin = strndup(head->origin.bytes, head->origin.size);
	conn->has_parent =
		head->traceparent.bytes && conn->direct->ops->options(conn->direct->broker)->trace_url[0] &&
		push_traceparent_parse(&conn->parent, head->traceparent.bytes, head->traceparent.size);
	keep_key(conn, head);
}

/* `size` bytes of the body have come with the head. */
static void
begin_body(struct push_http_conn *conn, const struct push_head *head, const llhttp_t *parser, size_t size)
{
	conn->state = CONN_BODY;
	keep_head(conn, head);
	conn->is_read = false;
	conn->wait_written = head->query.bytes && names_argument(head->query, "wait");
	conn->chunked = head->chunked;
	conn->body_left = head->length;
	conn->started_us = conn->direct->ops->now_us();
	if (head->chunked) {
		conn->parser = *parser;
		conn->parser.upgrade = 0; /* a body's end is its end, whatever was offered */
	}
	/* RFC 9110, 10.1.1: not where the body is on its way already */
	if (head->expect.bytes && !size && push_span_is(head->expect, "100-continue"))
		push_buf_append_text(&conn->answers, "HTTP/1.1 100 Continue\r\n\r\n");
	if (push_media_type_is_lines(head->content_type.bytes, head->content_type.size))
		begin_lines(conn);
}

static void
append_answer_head(struct push_http_conn *conn, const struct push_head *head, struct push_buf *to)
{
	const char *allowed = conn->direct->ops->options(conn->direct->broker)->cors_origins;
	char *origin = head->origin.bytes ? strndup(head->origin.bytes, head->origin.size) : NULL;
	struct push_cors cors = push_cors_answer(allowed, origin);

	push_buf_append_text(to, "HTTP/1.1 200 OK\r\n");
	push_buf_append(to, conn->route->extra, conn->route->extra_size);
	push_buf_append_text(to, "content-type: text/event-stream\r\n");
	push_cors_append(to, &cors);
	push_buf_append_text(to, "cache-control: no-cache, no-store\r\nx-accel-buffering: no\r\n"
				 "transfer-encoding: chunked\r\nconnection: close\r\n\r\n");
	free(origin);
}

static void
append_upgrade_head(struct push_http_conn *conn, const struct push_head *head, struct push_buf *to)
{
	const struct push_direct_host *host = &conn->direct->host;
	char key[32];

	host->accept_key(head->ws_key.bytes, head->ws_key.size, key, sizeof(key));
	push_buf_append_text(to,
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: ");
	push_buf_append_text(to, key);
	if (push_span_has_token(head->ws_protocols, PUSH_WS_PROTOCOL))
		push_buf_append_text(to, "\r\nSec-WebSocket-Protocol: " PUSH_WS_PROTOCOL);
	push_buf_append_text(to, "\r\n\r\n");
}

/* What the client has read last; NULL: it says nothing of that.  One that cannot be decoded is an id all the
 * same, and is answered as any that is none. */
static struct push_span
last_id_of(const struct push_head *head, struct push_buf *buf)
{
	/* a browser repeats the query as it was, and puts what it has read last into the header */
	if (head->last_event_id.bytes || !push_query_last_id(head->query, buf))
		return head->last_event_id;
	return (struct push_span){buf->bytes && buf->size ? buf->bytes : "", buf->size};
}

/* Returns false where nothing was done. */
static bool
open_stream(struct push_http_conn *conn, enum push_direct_kind kind, const struct push_head *head,
	const struct push_channels *channels, const struct push_acks_request *acks)
{
	struct push_direct *direct = conn->direct;
	struct push_buf answer_head, query_id;
	struct push_span last_id;
	enum push_status status;

	push_buf_init(&answer_head, PUSH_HEAD_BYTES_MAX + PUSH_EXTRA_HEADERS_BYTES_MAX);
	if (kind == PUSH_DIRECT_WS)
		append_upgrade_head(conn, head, &answer_head);
	else
		append_answer_head(conn, head, &answer_head);
	push_buf_init(&query_id, PUSH_QUERY_BYTES_MAX);
	last_id = last_id_of(head, &query_id);
	take(conn, head->size);
	status = answer_head.status;
	if (status == PUSH_OK)
		status = direct_stream_open(direct, conn->set, &conn->source,
			kind == PUSH_DIRECT_WS ? PUSH_ENCODING_WS : PUSH_ENCODING_SSE, channels, last_id,
			kind == PUSH_DIRECT_SSE && names_argument(head->query, "control"), acks,
			answer_head.bytes, answer_head.size);
	if (status != PUSH_OK)
		refuse(conn, 503, push_channels_join_error(status));
	push_buf_fini(&query_id);
	push_buf_fini(&answer_head);
	return status == PUSH_OK;
}

/* An argument with the only value that it may have, or no such argument. */
static bool
is_right(struct push_span query, const char *name, const char *only)
{
	struct push_buf value;
	bool right;

	if (!names_argument(query, name))
		return true;
	push_buf_init(&value, PUSH_QUERY_BYTES_MAX);
	right = push_query_values(query, name, &value) && value.size == strlen(only) &&
		!memcmp(value.bytes, only, value.size);
	push_buf_fini(&value);
	return right;
}

/* An argument in a form that is read in one way only, or no such argument. */
static bool
is_clear(struct push_span query, const char *name)
{
	struct push_buf value;
	bool clear;

	if (!names_argument(query, name))
		return true;
	push_buf_init(&value, PUSH_QUERY_BYTES_MAX);
	clear = push_query_values(query, name, &value);
	push_buf_fini(&value);
	return clear;
}

/* A change of a stream's channels is lws' to serve, and its path is no route: each has another one. */
static bool
ends_in_token(struct push_span path)
{
	const char *slash = memrchr(path.bytes, '/', path.size);

	return slash && push_token_is_shaped(slash + 1, path.size - (size_t)(slash + 1 - path.bytes));
}

static bool
is_publish(const struct push_head *head, const struct push_options *options)
{
	if (push_media_type_is_lines(head->content_type.bytes, head->content_type.size))
		return !head->content_encoding.bytes && (head->chunked || head->has_length) &&
		       !head->idempotency_key.bytes && !names_argument(head->query, "wait") &&
		       !names_argument(head->query, "idempotency_key");
	return !head->content_encoding.bytes &&
	       push_media_type_is_json(head->content_type.bytes, head->content_type.size) &&
	       (head->chunked || (head->has_length && head->length <= options->message_bytes_max)) &&
	       is_right(head->query, "wait", "written") && is_clear(head->query, "idempotency_key");
}

/* Which plugin this would be for, if lws agrees; PUSH_DIRECT_NONE where it is not right in every detail. */
static enum push_direct_kind
kind_of(const struct push_http_conn *conn, const struct push_head *head, const llhttp_t *parser)
{
	const struct push_options *options = conn->direct->ops->options(conn->direct->broker);
	/* to anything else: ignored (RFC 9110, 7.8), and so is one that Connection does not name */
	bool upgrades = parser->upgrade && push_span_has_token(head->upgrade, "websocket");

	if (head->odd || !head->http_1_1 || !head->host.bytes || conn->direct->stopped ||
		memchr(head->path.bytes, '%', head->path.size))
		return PUSH_DIRECT_NONE;
	if (head->method == HTTP_POST)
		return !ends_in_token(head->path) && is_publish(head, options) ? PUSH_DIRECT_PUBLISH
									       : PUSH_DIRECT_NONE;
	if (head->method != HTTP_GET || head->chunked || head->length)
		return PUSH_DIRECT_NONE;
	if (!upgrades && names_argument(head->query, "channel") &&
		conn->direct->ops->reads_history(conn->direct->broker))
		return PUSH_DIRECT_READ;
	if (!names_argument(head->query, "channels"))
		return PUSH_DIRECT_NONE;
	if (!upgrades)
		return PUSH_DIRECT_SSE;
	return push_span_is(head->ws_version, "13") && head->ws_key.size == PUSH_WS_KEY_BYTES
		       ? PUSH_DIRECT_WS
		       : PUSH_DIRECT_NONE;
}

enum next { GO_ON, STOP };

/* A stream's request.  Where its channels are not right, lws' path says so. */
static enum next
serve_stream(struct push_http_conn *conn, enum push_direct_kind kind, const struct push_head *head)
{
	const struct push_options *options = conn->direct->ops->options(conn->direct->broker);
	struct push_acks_request acks;
	struct push_channels channels;
	struct push_error error;
	struct push_buf list;
	bool right;

	push_buf_init(&list, PUSH_QUERY_BYTES_MAX);
	right = push_query_values(head->query, "channels", &list) && list.size &&
		push_query_acks(head->query, kind == PUSH_DIRECT_WS ? PUSH_ENCODING_WS : PUSH_ENCODING_SSE,
			options, &acks) &&
		(kind == PUSH_DIRECT_WS || is_right(head->query, "control", "true")) &&
		push_channels_parse(&channels, list.bytes, list.size, options, &error) == PUSH_OK;
	if (right) {
		(void)open_stream(conn, kind, head, &channels, &acks);
		push_channels_fini(&channels);
	} else {
		give_to_lws(conn);
	}
	push_buf_fini(&list);
	return STOP;
}

/* An argument that is there, but in a form that is read in more than one way, is left to lws. */
static bool
take_argument(struct push_span query, const char *name, struct push_buf *to, const struct push_buf **ret)
{
	push_buf_init(to, PUSH_QUERY_BYTES_MAX);
	*ret = NULL;
	if (!names_argument(query, name))
		return true;
	*ret = to;
	return push_query_values(query, name, to);
}

/* A request for history. */
static enum next
serve_read(struct push_http_conn *conn, const struct push_head *head, size_t *used)
{
	struct push_direct *direct = conn->direct;
	struct push_read_request request;
	struct push_buf channel, since, limit;
	bool right = take_argument(head->query, "channel", &channel, &request.channel);

	right = take_argument(head->query, "since", &since, &request.since) && right;
	right = take_argument(head->query, "limit", &limit, &request.limit) && right;
	if (right) {
		*used += head->size;
		push_timer_disarm(&conn->timer);
		keep_head(conn, head);
		conn->is_read = true;
		begin_call(conn);
		direct->ops->read_request(direct->broker, &request, on_answer, conn);
		end_call(conn);
	} else {
		give_to_lws(conn);
	}
	push_buf_fini(&channel);
	push_buf_fini(&since);
	push_buf_fini(&limit);
	return right && conn->state == CONN_HEAD && conn->keep_alive ? GO_ON : STOP;
}

/* A page that is not allowed is refused. */
static bool
is_foreign(struct push_http_conn *conn, enum push_direct_kind kind, const struct push_head *head)
{
	struct push_direct *direct = conn->direct;
	struct push_error error;

	if (direct->ops->admits_origin(direct->broker, head->origin.bytes, head->origin.size,
		    head->host.bytes, head->host.size, &error))
		return false;
	keep_head(conn, head);
	conn->is_read = kind != PUSH_DIRECT_PUBLISH; /* no publish to count */
	refuse(conn, 403, error.text);
	return true;
}

/*
 * One request at the start of `bytes`.  `*used` is moved past what was taken of them; `first`: nothing before
 * it is still in the socket, so that the connection may change hands.
 */
static enum next
serve(struct push_http_conn *conn, const char *bytes, size_t size, bool first, size_t *used)
{
	struct push_direct *direct = conn->direct;
	struct push_route_key key;
	struct push_head head;
	llhttp_t parser;
	enum push_direct_kind kind;
	enum push_head_result result = push_head_read(&head, &parser, bytes, size, PUSH_HEAD_BYTES_MAX);

	if (result == PUSH_HEAD_PARTIAL) {
		if (first)
			await_head(conn, size);
		return STOP;
	}
	if (result == PUSH_HEAD_TOO_LARGE) {
		refuse(conn, 431, "the head of the request is over 8 kB");
		return STOP;
	}
	kind = result == PUSH_HEAD_WHOLE ? kind_of(conn, &head, &parser) : PUSH_DIRECT_NONE;
	if (kind != PUSH_DIRECT_PUBLISH && !first)
		return STOP; /* what is before it is taken away first */
	if (kind == PUSH_DIRECT_NONE ||
		!push_route_key_make(&key, &direct->routes, kind, conn->port, &head)) {
		give_to_lws(conn);
		return STOP;
	}
	conn->route = push_routes_find(&direct->routes, &key);
	if (!conn->route) {
		if (!first)
			return STOP;
		if (conn->probed || !direct_probe(direct, conn, &key, conn->port, &head)) {
			give_to_lws(conn);
			return STOP;
		}
		conn->state = CONN_PROBING;
		conn->probed = true;
		wait_for(conn, 0);
		return STOP;
	}
	set_low_water(conn, 1);
	if (is_foreign(conn, kind, &head))
		return STOP;
	if (kind == PUSH_DIRECT_READ)
		return serve_read(conn, &head, used);
	if (kind != PUSH_DIRECT_PUBLISH)
		return serve_stream(conn, kind, &head);
	begin_body(conn, &head, &parser, size - head.size);
	*used += head.size;
	if (conn->state == CONN_BODY)
		*used += read_body(conn, bytes + head.size, size - head.size);
	return conn->state == CONN_HEAD && conn->keep_alive ? GO_ON : STOP;
}

/* Backpressure: the flush comes first; what is not read fills the publisher's socket.  Not for ever, since it
 * may be something else than publishes that keeps the flush busy. */
static bool
has_to_wait(const struct push_http_conn *conn)
{
	struct push_direct *direct = conn->direct;
	uint64_t now_us;

	if (conn->set != &direct->sets[PUSH_DIRECT_PUBLISHERS])
		return false;
	if (!direct->ops->is_behind(direct->broker)) {
		direct->behind_since_us = 0;
		return false;
	}
	now_us = direct->ops->now_us();
	if (!direct->behind_since_us)
		direct->behind_since_us = now_us;
	return now_us - direct->behind_since_us < PUSH_PUBLISHERS_WAIT_US;
}

/* All whole requests of what has come, in order; what is left of it stays in the socket.  `ended`: nothing
 * more will come, so that a part of a request stays one. */
static void
look(struct push_http_conn *conn, bool ended)
{
	char *bytes = conn->direct->scratch;
	ssize_t size = recv(conn->source.fd, bytes, PUSH_READ_BYTES, MSG_PEEK | MSG_DONTWAIT);
	size_t used = 0;

	if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
		wait_for(conn, READING);
		return;
	}
	if (size <= 0) {
		conn_close(conn);
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
	if (!conn->source.is_waiting && conn->state < CONN_WAITING && conn->state != CONN_PROBING)
		wait_for(conn, may_read(conn) ? READING : 0);
}

/* More of a body.  A chunked one may end inside of what is there, so that it is only looked at first. */
static void
read_more(struct push_http_conn *conn)
{
	char *bytes = conn->direct->scratch;
	size_t wanted = PUSH_READ_BYTES;
	ssize_t size;

	if (!may_read(conn)) {
		wait_on(conn);
		return;
	}
	if (!conn->chunked && conn->body_left < wanted)
		wanted = (size_t)conn->body_left;
	size = recv(conn->source.fd, bytes, wanted, MSG_DONTWAIT | (conn->chunked ? MSG_PEEK : 0));
	if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (size <= 0) {
		conn_close(conn);
		return;
	}
	size = (ssize_t)read_body(conn, bytes, (size_t)size);
	if (conn->source.fd < 0)
		return;
	if (conn->chunked)
		take(conn, (size_t)size);
	if (conn->lines && !conn->answers.size)
		wait_on(conn);
	else
		send_answers(conn);
}

static void
discard(struct push_http_conn *conn)
{
	ssize_t size = recv(conn->source.fd, NULL, INT32_MAX, MSG_TRUNC | MSG_DONTWAIT);

	if (!size || (size < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		conn_close(conn);
}

static void
conn_ready(struct push_source *source, uint32_t events)
{
	struct push_http_conn *conn = push_container_of(source, struct push_http_conn, source);

	bool reads = conn->state == CONN_HEAD || conn->state == CONN_BODY || conn->state == CONN_LINGER;

	if (events & EPOLLOUT)
		send_answers(conn);
	else if (events & EPOLLERR || (events & EPOLLHUP && !reads))
		conn_close(conn);
	else if (reads && has_to_wait(conn))
		return;
	else if (conn->state == CONN_HEAD)
		look(conn, events & EPOLLRDHUP);
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

/* Its client makes it keep memory: an answer that is not read, or a body that does not end. */
static void
relieve(struct direct_burden *burden)
{
	struct push_http_conn *conn = push_container_of(burden, struct push_http_conn, burden);

	push_list_remove(&burden->link);
	if (conn->state == CONN_BODY && !conn->answers.size) {
		break_body(conn, 503, PUSH_MEMORY_SHORT_TEXT);
		return;
	}
	push_buf_reset(&conn->answers);
	conn->answers_sent = 0;
	push_source_abort(&conn->source);
	conn_close(conn);
}

void
direct_request_open(struct push_direct *direct, int fd, int port)
{
	struct push_http_conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		close(fd);
		return;
	}
	conn->direct = direct;
	conn->port = port;
	conn->keep_alive = true;
	push_list_append(&direct->requests, &conn->link);
	push_list_init(&conn->probe_link);
	push_list_init(&conn->burden.link);
	conn->burden.relieve = relieve;
	push_timer_init(&conn->timer);
	push_buf_init(&conn->body, direct->ops->options(direct->broker)->message_bytes_max);
	push_buf_init(&conn->answers, PUSH_ANSWERS_BYTES_MAX + PUSH_ANSWER_BYTES_MAX);
	push_buf_charge(&conn->body, direct->requests_account);
	push_buf_charge(&conn->answers, direct->requests_account);
	arm(conn, PUSH_HEAD_US);
	conn->set = &direct->sets[PUSH_DIRECT_ARRIVALS];
	push_source_open(conn->set, &conn->source, &conn_kind, fd);
	/* when many come at once their requests are there already */
	look(conn, false);
}

void
direct_request_on_timer(struct push_timer *timer, uint64_t now_us)
{
	struct push_http_conn *conn = push_container_of(timer, struct push_http_conn, timer);

	(void)now_us;
	if (conn->state == CONN_BODY && !(conn->lines && conn->answers.size))
		break_body(conn, 408, "the body did not arrive in time");
	else
		conn_close(conn);
}

void
direct_request_resume(struct push_http_conn *conn, bool ours)
{
	if (conn->source.fd < 0)
		return;
	conn->state = CONN_HEAD;
	if (ours)
		wait_for(conn, READING);
	else
		give_to_lws(conn);
}

void
direct_requests_stop(struct push_direct *direct)
{
	struct push_list *item = direct->requests.next;

	while (item != &direct->requests) {
		struct push_http_conn *conn = push_container_of(item, struct push_http_conn, link);

		item = item->next;
		if (conn->source.fd >= 0 && conn->state == CONN_HEAD && !conn->answers.size)
			give_to_lws(conn);
		else
			conn->keep_alive = false;
	}
}
