/*
 * stream.c - a WebSocket or SSE client on its own socket: a transport below its subscriber.
 *
 * Idle it is 56 bytes, beside the subscriber's; what it reads is parsed where it was read (ws_client.h).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/push_assert.h"
#include "core/wsframe.h"
#include "direct/direct_private.h"
#include "direct/peer.h"
#include "direct/send.h"
#include "direct/ws_client.h"

#define READING (EPOLLIN | EPOLLRDHUP)

struct stream {
	struct push_source source;
	struct direct_ws_client client;
};

/* In source.flags, beside those of ws_client.h. */
enum {
	IS_WS = 8,
	IS_PAUSED = 16, /* the hub does not want to read from it */
	IS_BARE = 32,   /* an event stream without chunks: its client speaks HTTP/1.0 */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct stream) == 56, "64 bytes with malloc's own");

static void
stream_end(struct stream *stream)
{
	stream->source.flags |= DIRECT_WS_ENDED;
	stream->client.direct->ops->subscriber_gone(stream->client.subscriber);
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
	uint32_t events = stream->source.flags & IS_PAUSED ? EPOLLRDHUP : READING;

	return push_source_want(&stream->client.direct->sets[PUSH_DIRECT_STREAMS], &stream->source,
		is_blocked ? events | EPOLLOUT : events);
}

static ssize_t
stream_write(void *connection, struct push_frame *const *frames, size_t count, size_t skip)
{
	struct stream *stream = connection;
	size_t size = push_frames_size(frames, count, skip);
	ssize_t taken;

	if (stream->source.fd < 0)
		return -1;
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

	return stream->source.events & EPOLLOUT;
}

/* What was read and not asked for would make a reset of the close, and the client could lose what was sent.
 */
static void
drop_input(const struct stream *stream)
{
	if (stream->source.fd >= 0)
		(void)recv(stream->source.fd, NULL, INT32_MAX, MSG_TRUNC | MSG_DONTWAIT);
}

static void
stream_close(void *connection, bool at_once)
{
	struct stream *stream = connection;

	if (at_once)
		push_source_abort(&stream->source);
	else
		drop_input(stream);
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

	if (stream->client.direct->limiter &&
		push_limiter_address(stream->client.direct->limiter, stream->source.fd, ret))
		return true;
	return push_peer_address(stream->source.fd, ret);
}

static void
stream_set_reading(void *connection, bool on)
{
	struct stream *stream = connection;

	stream->source.flags &= (unsigned char)~IS_PAUSED;
	if (!on)
		stream->source.flags |= IS_PAUSED;
	if (stream->source.fd >= 0)
		(void)stream_want(stream, stream->source.events & EPOLLOUT);
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
stream_destroy(struct push_source *source)
{
	struct stream *stream = push_container_of(source, struct stream, source);

	direct_ws_forget(&stream->client); /* first: the account may go with the broker */
	stream->client.direct->ops->subscriber_destroy(
		stream->client.direct->broker, stream->client.subscriber);
	free(stream);
}

static void
read_frames(struct stream *stream, unsigned char *bytes, size_t size)
{
	if (!direct_ws_read(&stream->client, &stream->source.flags, bytes, size))
		stream_end(stream);
}

static void
stream_ready(struct push_source *source, uint32_t events)
{
	struct stream *stream = push_container_of(source, struct stream, source);
	struct push_direct *direct = stream->client.direct;
	ssize_t size;

	if (events & EPOLLOUT) {
		(void)stream_want(stream, false);
		direct->ops->subscriber_writable(stream->client.subscriber);
	}
	if (!(events & ~(uint32_t)EPOLLOUT) || source->fd < 0)
		return;
	if (source->flags & IS_PAUSED) {
		stream_end(stream); /* it has hung up, and what it asked for before is not wanted any more */
		return;
	}
	size = recv(source->fd, direct->scratch, PUSH_FRAMES_READ_BYTES, MSG_DONTWAIT);
	if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (size > 0 && source->flags & IS_WS)
		read_frames(stream, (unsigned char *)direct->scratch, (size_t)size);
	else
		stream_end(stream); /* gone, or with a request behind one whose answer does not end */
}

static const struct push_source_kind stream_kind = {stream_ready, stream_destroy};

enum push_status
direct_stream_open(struct push_direct *direct, struct push_sources *request_set, struct push_source *request,
	const struct push_opening *opening, struct push_str greeting, bool has_chunks)
{
	struct push_sources *set = &direct->sets[PUSH_DIRECT_STREAMS];
	const struct push_broker_ops *ops = direct->ops;
	enum push_encoding encoding = opening->subscription->encoding;
	struct stream *stream = calloc(1, sizeof(*stream));
	enum push_status status = PUSH_OUT_OF_MEMORY;

	if (!stream)
		return status;
	stream->client.direct = direct;
	stream->source.flags = encoding == PUSH_ENCODING_WS ? IS_WS : has_chunks ? 0 : IS_BARE;
	stream->source.fd = -1;
	stream->client.subscriber =
		ops->subscriber_create(direct->broker, encoding, &direct_transport, stream);
	if (stream->client.subscriber)
		status = push_opening_settle(opening, ops, direct->broker, stream->client.subscriber);
	if (status == PUSH_OK)
		status = ops->subscriber_greet(stream->client.subscriber, greeting.bytes, greeting.size);
	if (status != PUSH_OK) {
		ops->subscriber_destroy(direct->broker, stream->client.subscriber);
		free(stream);
		return status;
	}
	push_source_open(set, &stream->source, &stream_kind, push_source_release(request_set, request));
	push_opening_start(opening, ops, direct->broker, stream->client.subscriber);
	if (stream->source.fd >= 0 && !stream_want(stream, stream->source.events & EPOLLOUT))
		stream_end(stream);
	return PUSH_OK;
}
