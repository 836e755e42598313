/* h2_conn.c - see h2_conn.h. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/push_assert.h"
#include "direct/h2_conn.h"
#include "h2/limits.h"

#define READING (EPOLLIN | EPOLLRDHUP)

static void
say_gone(void *owner)
{
	struct direct_h2_owner *gone = owner;

	gone->kind->gone(gone);
}

static void
stop_leaving(struct direct_h2_conn *conn)
{
	push_timer_disarm(&conn->leave_timer.timer);
	conn->direct->h2_leaving_count -= conn->is_leaving;
	conn->is_leaving = false;
}

static void
conn_close(struct direct_h2_conn *conn)
{
	if (conn->source.fd < 0)
		return;
	stop_leaving(conn);
	push_h2_session_each(conn->session, say_gone);
	if (push_h2_session_out(conn->session)->size)
		push_source_abort(&conn->source);
	else
		direct_bytes_leave(&conn->bytes);
	direct_forget(conn->direct, conn->source.fd);
	push_list_remove(&conn->dirty);
	push_source_close(conn->set, &conn->source);
}

static void
conn_destroy(struct push_source *source)
{
	struct direct_h2_conn *conn = push_container_of(source, struct direct_h2_conn, source);

	push_timer_disarm(&conn->timer.timer);
	stop_leaving(conn);
	push_list_remove(&conn->link);
	push_list_remove(&conn->dirty);
	push_h2_session_abandon(conn->session);
	push_h2_session_destroy(conn->session);
	direct_h2_request_destroy(conn->spare);
	direct_bytes_fini(&conn->bytes);
	conn->direct->refusal_count -= conn->is_over_limit;
	free(conn);
}

static void
want(struct direct_h2_conn *conn)
{
	uint32_t events = READING;

	direct_bytes_settle(&conn->bytes);
	/* a socket that can be written to calls at once */
	if (conn->is_blocked || direct_bytes_has_more(&conn->bytes))
		events |= EPOLLOUT;
	if (!push_source_want(conn->set, &conn->source, events))
		conn_close(conn);
}

void
direct_h2_become(struct direct_h2_conn *conn, enum push_direct_set kind)
{
	struct push_sources *set = &conn->direct->sets[kind];

	if (conn->source.fd >= 0 && conn->set != set && push_source_change_set(conn->set, set, &conn->source))
		conn->set = set;
}

void
direct_h2_touch(struct direct_h2_conn *conn)
{
	struct push_direct *direct = conn->direct;

	if (conn->source.fd < 0 || !push_list_is_empty(&conn->dirty))
		return;
	if (push_list_is_empty(&direct->h2_dirty))
		direct->h2_dirty_since_us = direct->ops->now_us();
	push_list_append(&direct->h2_dirty, &conn->dirty);
}

/* --- times --- */

static enum direct_h2_wait
waits_for(const struct direct_h2_conn *conn)
{
	if (conn->wait == DIRECT_H2_LINGER)
		return DIRECT_H2_LINGER;
	if (!push_h2_session_has_begun(conn->session))
		return DIRECT_H2_BEGIN;
	if (push_h2_session_in_head(conn->session))
		return DIRECT_H2_HEAD;
	return push_h2_session_stream_count(conn->session) ? DIRECT_H2_NOTHING : DIRECT_H2_IDLE;
}

static void
keep_time(struct direct_h2_conn *conn)
{
	static const uint64_t times_us[] = {[DIRECT_H2_BEGIN] = PUSH_HEAD_US,
		[DIRECT_H2_HEAD] = PUSH_HEAD_US,
		[DIRECT_H2_IDLE] = PUSH_KEEP_ALIVE_US,
		[DIRECT_H2_LINGER] = PUSH_LINGER_US};
	enum direct_h2_wait wait = waits_for(conn);

	if (wait == conn->wait)
		return;
	conn->wait = (uint8_t)wait;
	if (wait == DIRECT_H2_NOTHING)
		push_timer_disarm(&conn->timer.timer);
	else
		direct_arm(conn->direct, &conn->timer, times_us[wait]);
}

/* Until the client has seen our last frames and closed: what it still sends would make a reset of our close. */
static void
linger(struct direct_h2_conn *conn)
{
	if (conn->wait != DIRECT_H2_LINGER) {
		conn->wait = DIRECT_H2_LINGER;
		direct_arm(conn->direct, &conn->timer, PUSH_LINGER_US);
		push_h2_session_abandon(conn->session);
	}
	if (!conn->is_blocked && !conn->is_ended) {
		conn->is_ended = true;
		direct_bytes_end(&conn->bytes, conn->source.fd);
	}
}

/* --- sending --- */

/* Returns false if the connection is beyond use. */
static bool
send_some(struct direct_h2_conn *conn, const struct push_buf *out)
{
	if (!direct_bytes_flush(&conn->bytes))
		return false;
	while (conn->sent < out->size && !direct_bytes_is_blocked(&conn->bytes)) {
		ssize_t sent = direct_bytes_send(
			&conn->bytes, conn->source.fd, out->bytes + conn->sent, out->size - conn->sent);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
			break;
		if (sent <= 0)
			return false;
		conn->sent += (size_t)sent;
	}
	return true;
}

bool
direct_h2_send(struct direct_h2_conn *conn)
{
	struct push_buf *out = push_h2_session_out(conn->session);

	if (conn->source.fd < 0)
		return false;
	if (!send_some(conn, out)) {
		conn_close(conn);
		return false;
	}
	conn->is_blocked = conn->sent < out->size || direct_bytes_is_blocked(&conn->bytes);
	if (conn->is_blocked)
		return false;
	if (out->capacity > PUSH_H2_OUT_KEPT_BYTES)
		push_buf_reset(out);
	push_buf_clear(out);
	conn->sent = 0;
	return true;
}

/* What there is of answers and of those who have waited for room.  A long answer goes on with the next turn. */
static void
send_all(struct direct_h2_conn *conn)
{
	/* a subscriber with much to write has sent what was in front of it: there may be room since then */
	push_h2_session_resume(conn->session);
	for (int round = 0; round < PUSH_H2_ROUNDS; round++) {
		(void)push_h2_session_run(conn->session);
		if (conn->source.fd < 0 || !push_h2_session_out(conn->session)->size)
			return;
		if (!direct_h2_send(conn))
			return;
		push_h2_session_resume(conn->session);
	}
	conn->is_blocked = true; /* its socket calls at once */
}

static void
conn_flush(struct direct_h2_conn *conn)
{
	push_list_remove(&conn->dirty);
	if (conn->source.fd < 0)
		return;
	if (!conn->is_blocked)
		send_all(conn);
	else
		(void)push_h2_session_run(conn->session);
	if (conn->source.fd < 0)
		return;
	if (push_h2_session_is_over(conn->session))
		linger(conn);
	push_list_remove(&conn->dirty); /* who has been told of something meanwhile has been sent from */
	keep_time(conn);
	want(conn);
}

void
push_direct_flush(struct push_direct *direct, bool is_done)
{
	struct push_list turn;

	if (push_list_is_empty(&direct->h2_dirty) ||
		(!is_done && direct->ops->now_us() - direct->h2_dirty_since_us < PUSH_H2_FLUSH_US))
		return;
	push_list_take_all(&turn, &direct->h2_dirty);
	while (!push_list_is_empty(&turn))
		conn_flush(push_container_of(turn.next, struct direct_h2_conn, dirty));
}

/* --- receiving --- */

static void
on_request(void *context, struct push_h2_stream *stream, struct push_h2_head *head)
{
	direct_h2_request_open(context, stream, head);
}

static void
on_body(void *owner, const char *bytes, size_t size, bool is_last)
{
	struct direct_h2_owner *reader = owner;

	reader->kind->body(reader, bytes, size, is_last);
}

static void
on_writable(void *owner)
{
	struct direct_h2_owner *writer = owner;

	writer->kind->writable(writer);
}

static void
on_closed(void *owner)
{
	struct direct_h2_owner *closed = owner;

	closed->kind->closed(closed);
}

static const struct push_h2_handler handler = {on_request, on_body, on_writable, on_closed};

static void
take(struct direct_h2_conn *conn, const char *bytes, size_t size)
{
	struct push_direct *direct = conn->direct;

	if (!push_h2_session_is_over(conn->session) &&
		!push_h2_session_receive(conn->session, bytes, size, direct->ops->now_us()) &&
		push_h2_session_was_flooded(conn->session))
		direct->ops->count_http2_flood(direct->broker);
	direct_h2_touch(conn);
}

static void
conn_read(struct direct_h2_conn *conn)
{
	char *bytes = conn->direct->scratch;
	ssize_t size = direct_bytes_read(&conn->bytes, conn->source.fd, bytes, PUSH_READ_BYTES);

	if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
		want(conn);
		return;
	}
	if (size <= 0) {
		conn_close(conn);
		return;
	}
	take(conn, bytes, (size_t)size);
	if (conn->source.fd >= 0)
		want(conn);
}

static void
conn_ready(struct push_source *source, uint32_t events)
{
	struct direct_h2_conn *conn = push_container_of(source, struct direct_h2_conn, source);

	if (events & EPOLLOUT && conn->is_blocked) {
		conn->is_blocked = false;
		if (direct_h2_send(conn))
			push_h2_session_resume(conn->session);
		direct_h2_touch(conn);
		if (source->fd >= 0)
			want(conn);
	}
	if (source->fd < 0)
		return;
	if (events & EPOLLERR || (events & EPOLLHUP && !(events & EPOLLIN)))
		conn_close(conn);
	else if (!direct_has_to_wait(conn->direct, conn->set) &&
		 (events & READING || direct_bytes_has_more(&conn->bytes)))
		conn_read(conn);
}

static const struct push_source_kind conn_kind = {conn_ready, conn_destroy};

/* --- the connection --- */

static void
on_timer(struct direct_timer *timer, uint64_t now_us)
{
	struct direct_h2_conn *conn = push_container_of(timer, struct direct_h2_conn, timer);

	(void)now_us;
	if (conn->wait == DIRECT_H2_LINGER) {
		conn_close(conn);
		return;
	}
	push_h2_session_fail(
		conn->session, conn->wait == DIRECT_H2_IDLE ? NGHTTP2_NO_ERROR : NGHTTP2_ENHANCE_YOUR_CALM);
	direct_h2_touch(conn);
}

static void
on_leave_timer(struct direct_timer *timer, uint64_t now_us)
{
	struct direct_h2_conn *conn = push_container_of(timer, struct direct_h2_conn, leave_timer);

	(void)now_us;
	stop_leaving(conn);
	push_h2_session_end(conn->session);
	direct_h2_touch(conn);
}

/* A client that is told first, and then which stream is the last, loses none that it has begun meanwhile. */
static void
leave(struct direct_h2_conn *conn)
{
	if (push_h2_session_stream_count(conn->session)) {
		push_h2_session_announce_end(conn->session);
		direct_arm(conn->direct, &conn->leave_timer, PUSH_H2_LEAVE_US);
		conn->direct->h2_leaving_count += !conn->is_leaving;
		conn->is_leaving = true;
	} else {
		push_h2_session_end(conn->session);
	}
	direct_h2_touch(conn);
}

static void
drop(struct push_direct *direct, int fd, struct direct_bytes *bytes)
{
	direct_bytes_fini(bytes);
	direct_forget(direct, fd);
	close(fd);
}

void
direct_h2_open(struct push_direct *direct, int fd, int port, const struct direct_arrival *arrival,
	struct direct_bytes *bytes, struct push_str early)
{
	struct direct_h2_conn *conn = calloc(1, sizeof(*conn));

	if (conn)
		conn->session = push_h2_session_create(&handler, conn, direct->requests_account);
	if (!conn || !conn->session) {
		free(conn);
		drop(direct, fd, bytes);
		return;
	}
	conn->direct = direct;
	conn->port = port;
	conn->bytes = *bytes;
	*bytes = (struct direct_bytes){.tls = NULL};
	conn->is_over_limit = arrival->is_over_limit;
	conn->limit = arrival->limit;
	direct->refusal_count += conn->is_over_limit;
	push_list_append(&direct->h2_conns, &conn->link);
	push_list_init(&conn->dirty);
	push_timer_init(&conn->timer.timer);
	conn->timer.due = on_timer;
	push_timer_init(&conn->leave_timer.timer);
	conn->leave_timer.due = on_leave_timer;
	conn->set = &direct->sets[PUSH_DIRECT_ARRIVALS];
	push_source_open(conn->set, &conn->source, &conn_kind, fd);
	keep_time(conn);
	if (early.size)
		take(conn, early.bytes, early.size);
	if (direct->stopped)
		leave(conn);
	direct_h2_touch(conn);
	if (conn->source.fd >= 0)
		conn_read(conn);
}

void
direct_h2_stop(struct push_direct *direct)
{
	for (struct push_list *item = direct->h2_conns.next, *next; item != &direct->h2_conns; item = next) {
		struct direct_h2_conn *conn = push_container_of(item, struct direct_h2_conn, link);

		next = item->next;
		if (conn->source.fd >= 0)
			leave(conn);
	}
}
