/*
 * h2_subscriber.c - an event stream or a WebSocket (RFC 8441) on a stream of HTTP/2: a transport below its subscriber.
 *
 * What it writes is put into its connection's bytes at once, as far as there are a window and room; a client that gives no
 * window has the hub's budget for slow ones.  The head of the answer is its first frame, as on other wires, so that it waits
 * for what it promises.
 */
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "core/wsframe.h"
#include "direct/h2_conn.h"
#include "direct/peer.h"
#include "direct/send.h"
#include "direct/ws_client.h"

/* In subscriber->flags, beside those of ws_client.h. */
enum {
	IS_WS = 8,
	IS_PAUSED = 16, /* the hub does not want to read from it */
	HAS_HEAD = 32,  /* its first frame is the answer's head */
	IS_LAST = 64,   /* the client's part is over, behind `unread` */
	IS_GONE = 128,  /* the hub knows */
};

struct subscriber {
	struct direct_h2_owner owner;
	struct direct_ws_client client;
	struct push_h2_stream *stream; /* until closed() */
	struct push_buf *unread;       /* owned; of a WebSocket that is not read from; NULL: none */
	struct push_address *entered;  /* owned; it counts for this client; NULL: it does not */
	uint8_t flags;
};

static struct direct_h2_conn *
conn_of(const struct subscriber *self)
{
	return push_h2_session_context(self->stream->session);
}

static void
say_gone(struct direct_h2_owner *owner)
{
	struct subscriber *self = push_container_of(owner, struct subscriber, owner);

	self->flags |= DIRECT_WS_ENDED;
	if (self->flags & IS_GONE)
		return;
	self->flags |= IS_GONE;
	self->client.direct->ops->subscriber_gone(self->client.subscriber);
}

static void
forget_unread(struct subscriber *self)
{
	if (!self->unread)
		return;
	push_buf_fini(self->unread);
	free(self->unread);
	self->unread = NULL;
}

/* --- the transport --- */

/* What of the frames has been taken, and what is yet to be. */
struct pull {
	struct push_frame *const *frames;
	size_t count, skip, taken;
	bool is_events; /* without their chunks (core/sse.h) */
};

static void
advance(struct pull *pull, size_t size)
{
	pull->taken += size;
	push_frames_skip(&pull->frames, &pull->count, &pull->skip, size);
}

static size_t
fill(void *context, char *to, size_t max)
{
	struct pull *pull = context;
	unsigned char *bytes = (unsigned char *)to;
	size_t size, taken;

	if (!pull->count)
		return 0;
	if (pull->is_events)
		size = push_frames_gather_events(bytes, max, pull->frames, pull->count, pull->skip, &taken);
	else
		size = taken = push_frames_gather(bytes, max, pull->frames, pull->count, pull->skip);
	advance(pull, taken);
	return size;
}

static bool
take_head(struct subscriber *self, struct pull *pull)
{
	const struct push_frame *frame = pull->frames[0];
	struct push_buf lines;
	bool done;

	PUSH_ASSERT(!pull->skip && !frame->text);
	self->flags &= (uint8_t)~HAS_HEAD;
	push_buf_init(&lines, frame->size);
	push_buf_append(&lines, frame->bytes, frame->size);
	done = push_h2_stream_begin_pulled(self->stream, &lines);
	push_buf_fini(&lines);
	advance(pull, frame->size);
	return done;
}

static bool
is_close(const struct push_frame *frame)
{
	return frame->bytes[0] == (PUSH_WS_FIN | PUSH_WS_CLOSE);
}

/* Returns false if the connection is beyond use. */
static bool
put(struct subscriber *self, struct direct_h2_conn *conn, struct pull *pull)
{
	char none;

	do {
		if (!push_h2_stream_pull(self->stream,
			    push_frames_size(pull->frames, pull->count, pull->skip), fill, pull))
			return false;
		/* a large one, or many: what there is goes out before its turn */
	} while (pull->count && !push_h2_stream_has_room(self->stream) && direct_h2_send(conn));
	if (pull->is_events)
		(void)fill(pull, &none, 0); /* what is left out needs no window */
	return conn->source.fd >= 0;
}

static ssize_t
subscriber_write(void *connection, struct push_frame *const *frames, size_t count, size_t skip)
{
	struct subscriber *self = connection;
	struct direct_h2_conn *conn = self->stream ? conn_of(self) : NULL;
	struct pull pull = {frames, count, skip, 0, !(self->flags & IS_WS)};

	if (!conn || conn->source.fd < 0 || self->flags & DIRECT_WS_ENDED)
		return -1;
	direct_h2_touch(conn);
	if (self->flags & HAS_HEAD && !take_head(self, &pull))
		return -1;
	if (pull.count && !put(self, conn, &pull))
		return -1;
	if (pull.count)
		push_h2_stream_wait(self->stream);
	else if (self->flags & DIRECT_WS_FAILING && is_close(frames[count - 1]))
		push_h2_stream_finish(self->stream);
	return (ssize_t)pull.taken;
}

static bool
subscriber_is_blocked(void *connection)
{
	const struct subscriber *self = connection;
	const struct direct_h2_conn *conn = self->stream ? conn_of(self) : NULL;

	if (!conn)
		return false;
	if (conn->is_blocked) /* it calls all who wait */
		push_h2_stream_wait(self->stream);
	return push_h2_stream_is_waiting(self->stream);
}

/* An end without a window could not be told; what has begun then is cut off. */
static void
subscriber_close(void *connection, bool at_once)
{
	struct subscriber *self = connection;
	struct direct_h2_conn *conn = self->stream ? conn_of(self) : NULL;

	if (conn) {
		if (self->flags & HAS_HEAD || at_once || !push_h2_stream_has_window(self->stream))
			push_h2_stream_reset(self->stream, NGHTTP2_CANCEL);
		else
			push_h2_stream_finish(self->stream);
		direct_h2_touch(conn);
	}
	say_gone(&self->owner);
}

static bool
subscriber_peer(void *connection, char *to, size_t size)
{
	const struct subscriber *self = connection;

	return self->stream && push_peer_text(conn_of(self)->source.fd, to, size);
}

static bool
subscriber_address(void *connection, struct push_address *ret)
{
	const struct subscriber *self = connection;
	int fd = self->stream ? conn_of(self)->source.fd : -1;

	if (self->entered) {
		*ret = *self->entered;
		return true;
	}
	return direct_client_address(self->client.direct, fd, ret);
}

/* What has come before is read when the turn is over. */
static void
subscriber_set_reading(void *connection, bool on)
{
	struct subscriber *self = connection;

	if (!on) {
		self->flags |= IS_PAUSED;
		return;
	}
	self->flags &= (uint8_t)~IS_PAUSED;
	if (!self->stream || (!self->unread && !(self->flags & IS_LAST)))
		return;
	push_h2_stream_poke(self->stream);
	direct_h2_touch(conn_of(self));
}

static const struct push_transport transport = {
	.write = subscriber_write,
	.is_blocked = subscriber_is_blocked,
	.close = subscriber_close,
	.peer = subscriber_peer,
	.set_reading = subscriber_set_reading,
	.address = subscriber_address,
};

/* --- the stream --- */

static void
destroy(struct subscriber *self)
{
	struct push_direct *direct = self->client.direct;

	direct_ws_forget(&self->client); /* first: the account may go with the broker */
	forget_unread(self);
	direct->ops->subscriber_destroy(direct->broker, self->client.subscriber);
	if (self->entered)
		push_limiter_leave(direct->limiter, self->entered);
	free(self->entered);
	free(self);
}

static void
on_closed(struct direct_h2_owner *owner)
{
	struct subscriber *self = push_container_of(owner, struct subscriber, owner);

	conn_of(self)->subscriber_count--;
	say_gone(owner);
	self->stream = NULL;
	destroy(self);
}

static void
on_writable(struct direct_h2_owner *owner);

static void
keep_unread(struct subscriber *self, const char *bytes, size_t size)
{
	if (!self->unread) {
		self->unread = calloc(1, sizeof(*self->unread));
		if (!self->unread) {
			push_h2_stream_reset(self->stream, NGHTTP2_INTERNAL_ERROR);
			return;
		}
		push_buf_init(self->unread, UINT16_MAX); /* its window */
		push_buf_charge(self->unread, self->client.direct->requests_account);
	}
	push_buf_append(self->unread, bytes, size);
	if (self->unread->status != PUSH_OK)
		push_h2_stream_reset(self->stream, NGHTTP2_INTERNAL_ERROR);
}

/* As much in one go as is read from a socket of its own, in which the hub may ask for a pause. */
static size_t
read_some(struct subscriber *self, char *bytes, size_t size)
{
	size_t used = 0;

	while (used < size && !(self->flags & (IS_PAUSED | DIRECT_WS_ENDED))) {
		size_t piece = size - used < PUSH_FRAMES_READ_BYTES ? size - used : PUSH_FRAMES_READ_BYTES;

		if (!direct_ws_read(&self->client, &self->flags, (unsigned char *)bytes + used, piece))
			push_h2_stream_reset(self->stream, NGHTTP2_INTERNAL_ERROR);
		used += piece;
	}
	return self->flags & DIRECT_WS_ENDED ? size : used;
}

/* The client has ended its part, and a WebSocket with it (RFC 8441, 5). */
static void
end_read(struct subscriber *self)
{
	push_h2_stream_finish(self->stream);
	say_gone(&self->owner);
	direct_h2_touch(conn_of(self));
}

static void
on_body(struct direct_h2_owner *owner, const char *bytes, size_t size, bool is_last)
{
	struct subscriber *self = push_container_of(owner, struct subscriber, owner);
	size_t used = size;

	if (is_last)
		self->flags |= IS_LAST;
	if (!(self->flags & IS_WS)) { /* a GET's, which nobody wants */
		push_h2_stream_consume(self->stream, size);
		return;
	}
	if (self->unread)
		used = 0;
	else
		used = read_some(self, (char *)(uintptr_t)bytes, size); /* our own, and unmasked in place */
	push_h2_stream_consume(self->stream, used);
	if (used < size)
		keep_unread(self, bytes + used, size - used);
	else if (is_last && !self->unread)
		end_read(self);
}

static void
read_on(struct subscriber *self)
{
	struct push_buf *unread = self->unread;
	size_t used;

	if (unread) {
		used = read_some(self, unread->bytes, unread->size);
		push_h2_stream_consume(self->stream, used);
		memmove(unread->bytes, unread->bytes + used, unread->size - used);
		unread->size -= used;
		if (!unread->size)
			forget_unread(self);
	}
	if (!self->unread && self->flags & IS_LAST && self->flags & IS_WS)
		end_read(self);
}

static void
on_writable(struct direct_h2_owner *owner)
{
	struct subscriber *self = push_container_of(owner, struct subscriber, owner);

	if (self->flags & DIRECT_WS_ENDED)
		return;
	if (!(self->flags & IS_PAUSED))
		read_on(self);
	if (!(self->flags & DIRECT_WS_ENDED) && !push_h2_stream_is_waiting(self->stream))
		self->client.direct->ops->subscriber_writable(self->client.subscriber);
}

static const struct direct_h2_kind kind = {on_body, on_writable, on_closed, say_gone};

enum push_status
direct_h2_subscriber_open(struct direct_h2_conn *conn, struct push_h2_stream *stream,
	const struct push_opening *opening, struct push_str greeting, struct push_address *entered)
{
	struct push_direct *direct = conn->direct;
	const struct push_broker_ops *ops = direct->ops;
	enum push_encoding encoding = opening->subscription->encoding;
	struct subscriber *self = calloc(1, sizeof(*self));
	enum push_status status = PUSH_OUT_OF_MEMORY;

	if (!self)
		return status;
	self->owner.kind = &kind;
	self->client.direct = direct;
	self->flags = encoding == PUSH_ENCODING_WS ? IS_WS | HAS_HEAD : HAS_HEAD;
	self->client.subscriber = ops->subscriber_create(direct->broker, encoding, &transport, self);
	if (self->client.subscriber)
		status = push_opening_settle(opening, ops, direct->broker, self->client.subscriber);
	if (status == PUSH_OK)
		status = ops->subscriber_greet(self->client.subscriber, greeting.bytes, greeting.size);
	if (status != PUSH_OK) {
		ops->subscriber_destroy(direct->broker, self->client.subscriber);
		free(self);
		return status;
	}
	self->entered = entered;
	self->stream = stream;
	stream->owner = &self->owner;
	push_h2_stream_linger(stream, false);
	if (!conn->subscriber_count++ && !conn->has_published)
		direct_h2_become(conn, PUSH_DIRECT_STREAMS);
	push_opening_start(opening, ops, direct->broker, self->client.subscriber);
	return PUSH_OK;
}
