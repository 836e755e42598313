/*
 * stream.c - a WebSocket or SSE client on its own socket: a transport below its subscriber.
 *
 * Idle it is 56 bytes, beside the subscriber's; what it reads is parsed where it was read (ws_client.h).  Over TLS it
 * is a session more (tls/session.h): 14 kB.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/push_assert.h"
#include "core/wsframe.h"
#include "direct/bytes.h"
#include "direct/direct_private.h"
#include "direct/peer.h"
#include "direct/send.h"
#include "direct/ws_client.h"

#define READING (EPOLLIN | EPOLLRDHUP)

struct stream {
	struct push_source source;
	struct direct_ws_client client;
};

/* One over TLS. */
struct tls_stream {
	struct stream stream;
	struct direct_bytes bytes; /* what is held has its turn next */
	struct direct_timer timer; /* IS_ENDING: until its client has taken what was sealed */
	bool is_blocked;           /* it waits to write, and not for its turn */
};

/* In source.flags, beside those of ws_client.h. */
enum {
	IS_WS = 8,
	IS_PAUSED = 16, /* the hub does not want to read from it */
	IS_BARE = 32,   /* an event stream without chunks: its client speaks HTTP/1.0 */
	IS_TLS = 64,
	IS_ENDING = 128, /* the hub has closed it, and sealed bytes wait */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct stream) == 56, "64 bytes with malloc's own");

/* NULL: it is plain. */
static struct direct_bytes *
bytes_of(struct stream *stream)
{
	return stream->source.flags & IS_TLS ? &push_container_of(stream, struct tls_stream, stream)->bytes
					     : NULL;
}

static bool
has_sealed(struct stream *stream)
{
	return stream->source.flags & IS_TLS && direct_bytes_is_blocked(bytes_of(stream));
}

static void
stream_end(struct stream *stream)
{
	if (!(stream->source.flags & IS_ENDING))
		stream->client.direct->ops->subscriber_gone(stream->client.subscriber);
	stream->source.flags |= DIRECT_WS_ENDED;
	if (stream->source.flags & IS_TLS)
		direct_bytes_leave(bytes_of(stream));
	direct_forget(stream->client.direct, stream->source.fd);
	push_source_close(&stream->client.direct->sets[PUSH_DIRECT_STREAMS], &stream->source);
}

static bool
is_close(const struct push_frame *frame)
{
	return frame->bytes[0] == (PUSH_WS_FIN | PUSH_WS_CLOSE);
}

/* The end of the connection (EPOLLRDHUP) is waited for in any case. */
static bool
stream_want(struct stream *stream, bool is_blocked)
{
	bool is_paused = stream->source.flags & IS_PAUSED, is_called = is_blocked;
	uint32_t events = is_paused ? EPOLLRDHUP : READING;

	if (stream->source.flags & IS_TLS) {
		push_container_of(stream, struct tls_stream, stream)->is_blocked = is_blocked;
		/* a socket that can be written to calls at once */
		is_called |= !is_paused && direct_bytes_has_more(bytes_of(stream));
	}
	return push_source_want(&stream->client.direct->sets[PUSH_DIRECT_STREAMS], &stream->source,
		is_called ? events | EPOLLOUT : events);
}

/* Record by record: what is taken may have to wait in part, and nothing more is taken then. */
static ssize_t
seal(struct stream *stream, struct push_frame *const *frames, size_t count, size_t skip)
{
	unsigned char *unsealed = stream->client.direct->unsealed;
	struct direct_bytes *bytes = bytes_of(stream);
	size_t taken = 0;

	while (count && !direct_bytes_is_blocked(bytes)) {
		size_t done, size = PUSH_TLS_RECORD_BYTES;
		ssize_t sent;

		if (stream->source.flags & IS_BARE)
			size = push_frames_gather_events(unsealed, size, frames, count, skip, &done);
		else
			done = size = push_frames_gather(unsealed, size, frames, count, skip);
		sent = size ? direct_bytes_send(bytes, stream->source.fd, (const char *)unsealed, size) : 0;
		if (sent < 0)
			return errno == EAGAIN ? (ssize_t)taken : -1;
		if ((size_t)sent < size && stream->source.flags & IS_BARE)
			(void)push_frames_gather_events(unsealed, (size_t)sent, frames, count, skip, &done);
		else if ((size_t)sent < size)
			done = (size_t)sent;
		taken += done;
		if ((size_t)sent < size)
			break;
		push_frames_skip(&frames, &count, &skip, done);
	}
	return (ssize_t)taken;
}

static ssize_t
write_sealed(struct stream *stream, struct push_frame *const *frames, size_t count, size_t skip)
{
	ssize_t taken = seal(stream, frames, count, skip);

	if (taken >= 0 && ((size_t)taken < push_frames_size(frames, count, skip) || has_sealed(stream)))
		(void)stream_want(stream, true);
	else if ((stream->source.flags & DIRECT_WS_FAILING) && is_close(frames[count - 1]))
		direct_bytes_end(bytes_of(stream), stream->source.fd);
	return taken;
}

static ssize_t
stream_write(void *connection, struct push_frame *const *frames, size_t count, size_t skip)
{
	struct stream *stream = connection;
	size_t size;
	ssize_t taken;

	if (stream->source.fd < 0)
		return -1;
	if (stream->source.flags & IS_TLS)
		return write_sealed(stream, frames, count, skip);
	size = push_frames_size(frames, count, skip);
	taken = stream->source.flags & IS_BARE ? push_send_events(stream->source.fd, frames, count, skip)
					       : push_send_frames(stream->source.fd, frames, count, skip);
	if (taken >= 0 && (size_t)taken < size)
		(void)stream_want(stream, true);
	else if ((stream->source.flags & DIRECT_WS_FAILING) && is_close(frames[count - 1]))
		(void)shutdown(stream->source.fd, SHUT_WR);
	return taken;
}

/* The hub asks nobody whom it has not seen stop short, and is called back then (stream_ready). */
static bool
stream_is_blocked(void *connection)
{
	const struct stream *stream = connection;

	return stream->source.flags & IS_TLS
		       ? push_container_of(stream, struct tls_stream, stream)->is_blocked
		       : stream->source.events & EPOLLOUT;
}

/* What was read and not asked for would make a reset of the close, and the client could lose what was sent.
 */
static void
drop_input(const struct stream *stream)
{
	if (stream->source.fd >= 0)
		(void)recv(stream->source.fd, NULL, INT32_MAX, MSG_TRUNC | MSG_DONTWAIT);
}

/* What the kernel keeps of a plain connection, after it was closed, is in our hands here: its client has some time. */
static void
end_later(struct stream *stream)
{
	struct tls_stream *tls = push_container_of(stream, struct tls_stream, stream);

	stream->client.direct->ops->subscriber_gone(stream->client.subscriber);
	stream->source.flags |= IS_ENDING | DIRECT_WS_ENDED;
	direct_arm(stream->client.direct, &tls->timer, PUSH_ANSWERS_US);
	(void)push_source_want(&stream->client.direct->sets[PUSH_DIRECT_STREAMS], &stream->source, EPOLLOUT);
}

static void
stream_close(void *connection, bool at_once)
{
	struct stream *stream = connection;

	if (!at_once && stream->source.fd >= 0 && has_sealed(stream)) {
		end_later(stream);
		return;
	}
	if (at_once)
		push_source_abort(&stream->source);
	else
		drop_input(stream);
	stream_end(stream);
}

static void
on_timer(struct direct_timer *timer, uint64_t now_us)
{
	struct stream *stream = &push_container_of(timer, struct tls_stream, timer)->stream;

	(void)now_us;
	push_source_abort(&stream->source);
	stream_end(stream);
}

static bool
stream_peer(void *connection, char *to, size_t size)
{
	const struct stream *stream = connection;

	return push_peer_text(stream->source.fd, to, size);
}

static bool
stream_address(void *connection, struct push_address *ret)
{
	const struct stream *stream = connection;

	return direct_client_address(stream->client.direct, stream->source.fd, ret);
}

static void
stream_set_reading(void *connection, bool on)
{
	struct stream *stream = connection;

	stream->source.flags &= (unsigned char)~IS_PAUSED;
	if (!on)
		stream->source.flags |= IS_PAUSED;
	if (stream->source.fd >= 0)
		(void)stream_want(stream, stream_is_blocked(stream));
}

static const struct push_transport direct_transport = {
	.write = stream_write,
	.is_blocked = stream_is_blocked,
	.close = stream_close,
	.peer = stream_peer,
	.set_reading = stream_set_reading,
	.address = stream_address,
	.fills_socket = true,
};

static void
free_stream(struct stream *stream)
{
	if (stream->source.flags & IS_TLS)
		free(push_container_of(stream, struct tls_stream, stream));
	else
		free(stream);
}

static void
stream_destroy(struct push_source *source)
{
	struct stream *stream = push_container_of(source, struct stream, source);

	direct_ws_forget(&stream->client); /* first: the account may go with the broker */
	stream->client.direct->ops->subscriber_destroy(
		stream->client.direct->broker, stream->client.subscriber);
	if (source->flags & IS_TLS) {
		push_timer_disarm(&push_container_of(stream, struct tls_stream, stream)->timer.timer);
		direct_bytes_fini(bytes_of(stream));
	}
	free_stream(stream);
}

static void
read_frames(struct stream *stream, unsigned char *bytes, size_t size)
{
	if (!direct_ws_read(&stream->client, &stream->source.flags, bytes, size))
		stream_end(stream);
}

/* What was sealed goes first.  Returns false if there is nothing else to be done. */
static bool
flush_sealed(struct stream *stream)
{
	if (!direct_bytes_flush(bytes_of(stream)) ||
		(!has_sealed(stream) && stream->source.flags & IS_ENDING))
		stream_end(stream);
	return stream->source.fd >= 0 && !has_sealed(stream) && !(stream->source.flags & IS_ENDING);
}

static void
become_writable(struct stream *stream)
{
	if (stream->source.flags & IS_TLS && !flush_sealed(stream))
		return;
	(void)stream_want(stream, false);
	stream->client.direct->ops->subscriber_writable(stream->client.subscriber);
}

static void
take_input(struct stream *stream, char *bytes, ssize_t size)
{
	if (size > 0 && stream->source.flags & IS_WS)
		read_frames(stream, (unsigned char *)bytes, (size_t)size);
	else
		stream_end(stream); /* gone, or with a request behind one whose answer does not end */
}

static bool
has_none(ssize_t size)
{
	return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

/* As much in one go as of a plain one.  What the session has opened with it, up to two records, waits for the next turn. */
static void
read_opened(struct stream *stream)
{
	struct direct_bytes *bytes = bytes_of(stream);
	char input[PUSH_FRAMES_READ_BYTES]; /* the request that has led here may be in the scratch yet */
	ssize_t size = direct_bytes_read(bytes, stream->source.fd, input, sizeof(input));

	if (!has_none(size))
		take_input(stream, input, size);
	if (stream->source.fd >= 0 && !(stream->source.flags & IS_ENDING))
		(void)stream_want(stream, stream_is_blocked(stream));
}

/* Something was opened that has not had its turn. */
static bool
may_go_on(struct stream *stream)
{
	return stream->source.flags & IS_TLS && !(stream->source.flags & (IS_PAUSED | IS_ENDING)) &&
	       direct_bytes_has_more(bytes_of(stream));
}

static void
stream_ready(struct push_source *source, uint32_t events)
{
	struct stream *stream = push_container_of(source, struct stream, source);
	struct push_direct *direct = stream->client.direct;
	ssize_t size;

	if (events & EPOLLOUT && (stream_is_blocked(stream) || source->flags & IS_ENDING))
		become_writable(stream);
	if (source->fd < 0 || (!(events & ~(uint32_t)EPOLLOUT) && !may_go_on(stream)))
		return;
	if (source->flags & (IS_PAUSED | IS_ENDING)) {
		stream_end(stream); /* it has hung up, and what it asked for before is not wanted any more */
		return;
	}
	if (source->flags & IS_TLS) {
		read_opened(stream);
		return;
	}
	size = recv(source->fd, direct->scratch, PUSH_FRAMES_READ_BYTES, MSG_DONTWAIT);
	if (!has_none(size))
		take_input(stream, direct->scratch, size);
}

static const struct push_source_kind stream_kind = {stream_ready, stream_destroy};

static struct stream *
create_stream(struct push_direct *direct, bool is_tls)
{
	struct tls_stream *tls;
	struct stream *stream;

	if (!is_tls) {
		stream = calloc(1, sizeof(*stream));
	} else {
		tls = calloc(1, sizeof(*tls));
		stream = tls ? &tls->stream : NULL;
	}
	if (!stream)
		return NULL;
	stream->client.direct = direct;
	stream->source.fd = -1;
	if (is_tls) {
		stream->source.flags = IS_TLS;
		push_timer_init(&tls->timer.timer);
		tls->timer.due = on_timer;
	}
	return stream;
}

/* What has come behind the request: frames, or the body of a GET, which says nothing. */
static void
take_held(struct stream *stream)
{
	if (!(stream->source.flags & IS_TLS) || stream->source.fd < 0 ||
		!direct_bytes_held(bytes_of(stream)).size)
		return;
	if (stream->source.flags & IS_WS)
		read_opened(stream);
	else
		direct_bytes_forget_held(bytes_of(stream));
}

enum push_status
direct_stream_open(struct push_direct *direct, struct push_sources *request_set, struct push_source *request,
	struct direct_bytes *bytes, const struct push_opening *opening, struct push_str greeting,
	bool has_chunks)
{
	struct push_sources *set = &direct->sets[PUSH_DIRECT_STREAMS];
	const struct push_broker_ops *ops = direct->ops;
	enum push_encoding encoding = opening->subscription->encoding;
	struct stream *stream = create_stream(direct, bytes->tls);
	enum push_status status = PUSH_OUT_OF_MEMORY;

	if (!stream)
		return status;
	stream->source.flags |= encoding == PUSH_ENCODING_WS ? IS_WS : has_chunks ? 0 : IS_BARE;
	stream->client.subscriber =
		ops->subscriber_create(direct->broker, encoding, &direct_transport, stream);
	if (stream->client.subscriber)
		status = push_opening_settle(opening, ops, direct->broker, stream->client.subscriber);
	if (status == PUSH_OK)
		status = ops->subscriber_greet(stream->client.subscriber, greeting.bytes, greeting.size);
	if (status != PUSH_OK) {
		ops->subscriber_destroy(direct->broker, stream->client.subscriber);
		free_stream(stream);
		return status;
	}
	push_source_open(set, &stream->source, &stream_kind, push_source_release(request_set, request));
	if (bytes->tls) {
		*bytes_of(stream) = *bytes;
		*bytes = (struct direct_bytes){.tls = NULL};
	}
	push_opening_start(opening, ops, direct->broker, stream->client.subscriber);
	if (stream->source.fd >= 0 && !stream_want(stream, stream_is_blocked(stream)))
		stream_end(stream);
	take_held(stream);
	return PUSH_OK;
}
