/*
 * stream.c - a WebSocket or SSE client on its own socket: a transport below its subscriber.
 *
 * Idle it is 56 bytes, beside the subscriber's; what it reads is parsed where it was read, and only a frame
 * that has begun and not ended is kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/push_assert.h"
#include "core/wsreader.h"
#include "direct/direct_private.h"
#include "direct/peer.h"
#include "direct/send.h"

#define READING (EPOLLIN | EPOLLRDHUP)

struct stream {
	struct push_source source;
	struct push_direct *direct;
	struct push_subscriber *subscriber; /* owned */
	struct begun *begun;                /* owned; NULL while no frame has begun */
};

/* What has come of a frame or a message that has not ended. */
struct begun {
	struct push_ws_reader reader;
	struct direct_burden burden; /* listed while there is text */
	struct stream *stream;       /* whose this is */
};

/* In source.flags. */
enum {
	IS_WS = 1,
	FAILING = 2,     /* its frames could not be read: after our Close frame nothing more is read */
	IS_PAUSED = 4,   /* the hub does not want to read from it */
	IS_RELIEVED = 8, /* closed for what it had begun: of its frames only the Close counts */
	IS_BARE = 16,    /* an event stream without chunks: its client speaks HTTP/1.0 */
};

_Static_assert(sizeof(void *) != 8 || sizeof(struct stream) == 56, "64 bytes with malloc's own");

static void
stream_end(struct stream *stream)
{
	stream->direct->ops->subscriber_gone(stream->subscriber);
	direct_forget(stream->direct, stream->source.fd);
	push_source_close(&stream->direct->sets[PUSH_DIRECT_STREAMS], &stream->source);
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

	return push_source_want(&stream->direct->sets[PUSH_DIRECT_STREAMS], &stream->source,
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
	else if ((stream->source.flags & FAILING) && is_close(frames[count - 1]))
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

	if (stream->direct->limiter && push_limiter_address(stream->direct->limiter, stream->source.fd, ret))
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
free_begun(struct stream *stream)
{
	if (!stream->begun)
		return;
	push_list_remove(&stream->begun->burden.link);
	push_ws_reader_fini(&stream->begun->reader);
	free(stream->begun);
	stream->begun = NULL;
}

static void
stream_destroy(struct push_source *source)
{
	struct stream *stream = push_container_of(source, struct stream, source);

	free_begun(stream); /* first: the account may go with the broker */
	stream->direct->ops->subscriber_destroy(stream->direct->broker, stream->subscriber);
	free(stream);
}

static enum push_close_reason
reason_of(unsigned int code)
{
	switch (code) {
	case 1003: return PUSH_CLOSE_BINARY;
	case 1007: return PUSH_CLOSE_BAD_DATA;
	case 1009: return PUSH_CLOSE_TOO_LARGE;
	case 1011: return PUSH_CLOSE_FAULT;
	default: return PUSH_CLOSE_PROTOCOL;
	}
}

static void
on_event(struct stream *stream, const struct push_ws_event *event)
{
	const struct push_broker_ops *ops = stream->direct->ops;
	struct push_subscriber *subscriber = stream->subscriber;

	switch (event->kind) {
	case PUSH_WS_EVENT_MESSAGE:
		ops->subscriber_receive(subscriber, (const char *)event->bytes, event->size);
		break;
	case PUSH_WS_EVENT_PING: ops->subscriber_pinged(subscriber, event->bytes, event->size); break;
	case PUSH_WS_EVENT_PONG: ops->subscriber_heard(subscriber); break;
	case PUSH_WS_EVENT_CLOSE: ops->subscriber_answer_close(subscriber, event->code); break;
	case PUSH_WS_EVENT_FAULT:
		stream->source.flags |= FAILING;
		ops->subscriber_close(subscriber, reason_of(event->code));
		break;
	default: break;
	}
}

/* What has come is freed at once, not when the connection has ended: others have begun messages, too. */
static void
relieve(struct direct_burden *burden)
{
	struct begun *begun = push_container_of(burden, struct begun, burden);
	struct stream *stream = begun->stream;

	push_list_remove(&burden->link);
	push_ws_reader_discard(&begun->reader);
	stream->source.flags |= IS_RELIEVED;
	stream->direct->ops->subscriber_close(stream->subscriber, PUSH_CLOSE_MEMORY);
}

/* A reader that has something in hand moves to the heap.  Returns false where there is none. */
static bool
begin(struct stream *stream, const struct push_ws_reader *reader)
{
	stream->begun = malloc(sizeof(*stream->begun));
	if (!stream->begun)
		return false;
	stream->begun->reader = *reader;
	stream->begun->burden.relieve = relieve;
	stream->begun->stream = stream;
	push_list_init(&stream->begun->burden.link);
	return true;
}

static void
keep_reader(struct stream *stream, struct push_ws_reader *reader)
{
	struct push_direct *direct = stream->direct;
	struct direct_burden *burden;

	if (push_ws_reader_is_idle(reader)) {
		free_begun(stream);
		return;
	}
	if (!stream->begun && !begin(stream, reader)) {
		push_ws_reader_fini(reader);
		stream_end(stream);
		return;
	}
	burden = &stream->begun->burden;
	if (!stream->begun->reader.text.size) {
		push_list_remove(&burden->link);
		return;
	}
	direct_burden_list(direct, burden);
	if (!push_memory_has_room(direct->requests_account->memory, 0))
		relieve(burden);
}

static void
read_frames(struct stream *stream, unsigned char *bytes, size_t size)
{
	struct push_direct *direct = stream->direct;
	struct push_ws_reader fresh, *reader = &fresh;
	struct push_ws_event event;

	if (stream->begun) {
		reader = &stream->begun->reader;
	} else {
		push_ws_reader_init(&fresh, direct->ops->client_message_max(direct->broker));
		push_buf_charge(&fresh.text, direct->requests_account);
		if (stream->source.flags & IS_RELIEVED)
			push_ws_reader_discard(&fresh);
	}
	while ((event = push_ws_reader_next(reader, &bytes, &size)).kind != PUSH_WS_EVENT_NONE)
		if (stream->source.fd >= 0)
			on_event(stream, &event);
	keep_reader(stream, reader);
}

static void
stream_ready(struct push_source *source, uint32_t events)
{
	struct stream *stream = push_container_of(source, struct stream, source);
	struct push_direct *direct = stream->direct;
	ssize_t size;

	if (events & EPOLLOUT) {
		(void)stream_want(stream, false);
		direct->ops->subscriber_writable(stream->subscriber);
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
	stream->direct = direct;
	stream->source.flags = encoding == PUSH_ENCODING_WS ? IS_WS : has_chunks ? 0 : IS_BARE;
	stream->source.fd = -1;
	stream->subscriber = ops->subscriber_create(direct->broker, encoding, &direct_transport, stream);
	if (stream->subscriber)
		status = push_opening_settle(opening, ops, direct->broker, stream->subscriber);
	if (status == PUSH_OK)
		status = ops->subscriber_greet(stream->subscriber, greeting.bytes, greeting.size);
	if (status != PUSH_OK) {
		ops->subscriber_destroy(direct->broker, stream->subscriber);
		free(stream);
		return status;
	}
	push_source_open(set, &stream->source, &stream_kind, push_source_release(request_set, request));
	push_opening_start(opening, ops, direct->broker, stream->subscriber);
	if (stream->source.fd >= 0 && !stream_want(stream, stream->source.events & EPOLLOUT))
		stream_end(stream);
	return PUSH_OK;
}
