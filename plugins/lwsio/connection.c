/* connection.c - see connection.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/limits.h"
#include "core/push_assert.h"
#include "core/sse.h"
#include "core/wsframe.h"
#include "direct/peer.h"
#include "direct/send.h"
#include "lwsio/client.h"
#include "lwsio/connection.h"
#include "lwsio/request.h"

/* A piece of HTTP/2 DATA: below the 16,384 bytes that every peer accepts (RFC 9113, 6.5.2). */
#define MUX_PIECE_BYTES_MAX 16000

/* How long the end of an event stream may wait for a socket that takes nothing. */
#define MUX_END_S 2

/* Gives lws what is left of the frame in which a write of `taken` bytes has ended; returns its size or -1. */
static ssize_t
hand_over_rest(struct lws *wsi, struct push_frame *const *frames, size_t skip, size_t taken)
{
	unsigned char *copy;
	size_t rest;
	ssize_t result;

	for (taken += skip; taken >= (*frames)->size; frames++)
		taken -= (*frames)->size;
	if (!taken)
		return 0;
	rest = (*frames)->size - taken;
	copy = malloc(LWS_PRE + rest);
	if (!copy)
		return -1;
	push_frames_gather(copy + LWS_PRE, rest, frames, 1, taken);
	result = lws_write(wsi, copy + LWS_PRE, rest, LWS_WRITE_RAW) < 0 ? -1 : (ssize_t)rest;
	free(copy);
	return result;
}

static ssize_t
write_plain(struct lws *wsi, struct push_frame *const *frames, size_t count, size_t skip)
{
	size_t size = push_frames_size(frames, count, skip);
	ssize_t taken = push_send_frames((int)lws_get_socket_fd(wsi), frames, count, skip), rest;

	if (taken < 0 || (size_t)taken == size)
		return taken;

	lws_callback_on_writable(wsi);
	rest = hand_over_rest(wsi, frames, skip, (size_t)taken);
	return rest < 0 ? -1 : taken + rest;
}

/* lws keeps what the socket does not take, so everything that it is given counts as taken. */
static ssize_t
write_copied(struct push_connection *connection, struct push_frame *const *frames, size_t count, size_t skip)
{
	unsigned char merged[LWS_PRE + PUSH_COALESCE_BYTES_MAX], *to = merged + LWS_PRE;
	struct lws *wsi = connection->wsi;
	size_t size, taken;

	if (connection->encoding == PUSH_ENCODING_WS || connection->chunked)
		size = taken = push_frames_gather(to, PUSH_COALESCE_BYTES_MAX, frames, count, skip);
	else
		size = push_frames_gather_events(to, PUSH_COALESCE_BYTES_MAX, frames, count, skip, &taken);
	if (size && lws_write(wsi, to, size, LWS_WRITE_RAW) < 0)
		return -1;
	lws_callback_on_writable(wsi);
	return (ssize_t)taken;
}

static ssize_t
write_mux_sse(struct lws *wsi, struct push_frame *frame, size_t skip, size_t allowance)
{
	unsigned char piece[LWS_PRE + MUX_PIECE_BYTES_MAX];
	size_t taken, size = push_frames_gather_events(piece + LWS_PRE, allowance, &frame, 1, skip, &taken);

	return lws_write(wsi, piece + LWS_PRE, size, LWS_WRITE_HTTP) < 0 ? -1 : (ssize_t)taken;
}

/* The last chunk: the stream's end has a flag of its own, and needs no window. */
static bool
is_empty_here(const struct push_frame *frame)
{
	size_t from, end;

	push_sse_event_span(frame, &from, &end);
	return from == end;
}

/* What lws calls a frame of ours: a whole one, or a piece of one, which it makes a fragment. */
static enum lws_write_protocol
mux_kind(enum push_ws_opcode opcode, bool first, bool last)
{
	unsigned int kind = LWS_WRITE_TEXT;

	if (opcode == PUSH_WS_PING)
		return LWS_WRITE_PING;
	if (!first)
		kind = LWS_WRITE_CONTINUATION;
	if (!last)
		kind |= LWS_WRITE_NO_FIN;
	return (enum lws_write_protocol)kind;
}

/*
 * One WebSocket frame of the bytes, or as much of it as fits; `skip` tells where the last call stopped.
 * The header of ours counts as taken with the first piece of its payload; lws puts one of its own before it.
 */
static ssize_t
write_mux_ws(struct push_connection *connection, struct push_frame *frame, size_t skip, size_t allowance)
{
	struct lws *wsi = connection->wsi;
	unsigned char piece[LWS_PRE + MUX_PIECE_BYTES_MAX];
	size_t start = 0, header, payload, done, size;
	enum push_ws_opcode opcode;

	for (;;) {
		header = push_ws_take_header(frame->bytes + start, &opcode, &payload);
		if (skip < start + header + payload || start + header + payload == frame->size)
			break;
		start += header + payload;
	}
	done = skip > start ? skip - start - header : 0;
	if (opcode == PUSH_WS_CLOSE) {
		const unsigned char *code = frame->bytes + start + header;

		/* a Close frame is lws' to send, when the callback returns -1 */
		lws_close_reason(wsi, (enum lws_close_status)(code[0] << 8 | code[1]), NULL, 0);
		connection->closing = true;
		return (ssize_t)(frame->size - skip);
	}
	size = payload - done < allowance ? payload - done : allowance;
	push_frames_gather(piece + LWS_PRE, size, &frame, 1, start + header + done);
	if (lws_write(wsi, piece + LWS_PRE, size, mux_kind(opcode, !done, done + size == payload)) < 0)
		return -1;
	return (ssize_t)(start + header + done + size - skip);
}

/*
 * One piece in one callback, as much as the windows allow.  lws 4.3 does not tell the window of a stream that
 * has become a WebSocket, only that of its connection.
 */
static ssize_t
write_mux(struct push_connection *connection, struct push_frame *frame, size_t skip)
{
	struct lws *wsi = connection->wsi;
	bool is_ws = connection->encoding == PUSH_ENCODING_WS;
	lws_fileofs_t window = lws_get_peer_write_allowance(is_ws ? lws_get_network_wsi(wsi) : wsi);

	if (!is_ws && is_empty_here(frame))
		return (ssize_t)(frame->size - skip);
	connection->writing = false;
	if (window <= (is_ws ? PUSH_WS_HEADER_BYTES_MAX : 0))
		return 0; /* a larger window will call back */
	if (window > MUX_PIECE_BYTES_MAX)
		window = MUX_PIECE_BYTES_MAX;
	lws_callback_on_writable(wsi);
	return is_ws ? write_mux_ws(connection, frame, skip, (size_t)window - PUSH_WS_HEADER_BYTES_MAX)
		     : write_mux_sse(wsi, frame, skip, (size_t)window);
}

static ssize_t
connection_write(void *context, struct push_frame *const *frames, size_t count, size_t skip)
{
	struct push_connection *connection = context;

	PUSH_ASSERT(count > 0 && count <= PUSH_WRITE_FRAMES_MAX);
	switch (connection->way) {
	case PUSH_WAY_PLAIN: return write_plain(connection->wsi, frames, count, skip);
	case PUSH_WAY_COPIED: return write_copied(connection, frames, count, skip);
	default: return write_mux(connection, frames[0], skip);
	}
}

static bool
connection_is_blocked(void *context)
{
	struct push_connection *connection = context;
	bool blocked = connection->way == PUSH_WAY_MUX ? !connection->writing
						       : lws_partial_buffered(connection->wsi);

	/* the first that is to be written: its head goes before it */
	connection->head_due = connection->head;
	blocked = blocked || connection->head;
	if (blocked)
		lws_callback_on_writable(connection->wsi);
	return blocked;
}

/* Whether the client learns of the end by END_STREAM only: lws forgets such a stream without a word to it. */
static bool
needs_end_stream(const struct push_connection *connection)
{
	return connection->way == PUSH_WAY_MUX && connection->encoding != PUSH_ENCODING_WS;
}

static void
connection_close(void *context, bool at_once)
{
	struct push_connection *connection = context;

	connection->closing = true;
	if (at_once && !needs_end_stream(connection)) {
		lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
		return;
	}
	if (at_once)
		lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_REASON_BASE, MUX_END_S);
	lws_callback_on_writable(connection->wsi);
}

static bool
connection_peer(void *context, char *to, size_t size)
{
	struct push_connection *connection = context;

	if (push_peer_text(
		    push_lws_client_fd(connection->wsi, connection->ops, connection->broker), to, size)) {
		if (!connection->peer)
			connection->peer = strdup(to);
		return true;
	}
	/* lws tells of the end when the other end is forgotten */
	if (connection->peer)
		snprintf(to, size, "%s", connection->peer);
	return connection->peer;
}

static bool
connection_address(void *context, struct push_address *ret)
{
	const struct push_connection *connection = context;
	const struct push_limiter *limiter = connection->ops->limiter(connection->broker);
	int fd = push_lws_client_fd(connection->wsi, connection->ops, connection->broker);

	if (connection->entered) {
		*ret = *connection->entered;
		return true;
	}
	return (limiter && push_limiter_address(limiter, fd, ret)) || push_peer_address(fd, ret);
}

/* lws does not stop a single stream of HTTP/2; there the bound on the client's queue has to do. */
static void
connection_set_reading(void *context, bool on)
{
	struct push_connection *connection = context;

	if (connection->way != PUSH_WAY_MUX && !connection->closing)
		(void)lws_rx_flow_control(connection->wsi, on);
}

static void
connection_begin(void *context)
{
	struct push_connection *connection = context;

	connection->head_due = connection->head;
	lws_callback_on_writable(connection->wsi);
}

static const struct push_transport lws_transport = {
	.write = connection_write,
	.is_blocked = connection_is_blocked,
	.close = connection_close,
	.peer = connection_peer,
	.set_reading = connection_set_reading,
	.address = connection_address,
	.begin = connection_begin,
};

static enum push_connection_way
way_of(struct lws *wsi, bool has_chunks)
{
	if (lws_get_network_wsi(wsi) != wsi)
		return PUSH_WAY_MUX;
	return lws_is_ssl(wsi) || !has_chunks ? PUSH_WAY_COPIED : PUSH_WAY_PLAIN;
}

/* Without it the kernel's own tuning buffers megabytes for a client that does not read. */
static void
bound_send_buffer(struct lws *wsi, uint64_t bytes)
{
	int size = (int)bytes;

	(void)setsockopt((int)lws_get_socket_fd(wsi), SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

struct push_connection *
push_connection_open(struct lws *wsi, const struct push_broker_link *link, enum push_encoding encoding)
{
	struct push_connection *connection = calloc(1, sizeof(*connection));
	const struct push_options *options = link->ops->options(link->broker);

	if (!connection)
		return NULL;
	connection->wsi = wsi;
	connection->ops = link->ops;
	connection->broker = link->broker;
	connection->encoding = (uint8_t)encoding;
	connection->chunked = encoding == PUSH_ENCODING_SSE && push_request_takes_chunks(wsi);
	connection->way = (uint8_t)way_of(wsi, connection->chunked || encoding == PUSH_ENCODING_WS);
	push_buf_init(&connection->received, link->ops->client_message_max(link->broker));
	push_buf_charge(
		&connection->received, &link->ops->memory(link->broker)->accounts[PUSH_MEMORY_REQUESTS]);
	connection->subscriber =
		link->ops->subscriber_create(link->broker, encoding, &lws_transport, connection);
	if (!connection->subscriber) {
		free(connection);
		return NULL;
	}
	if (connection->way != PUSH_WAY_MUX)
		bound_send_buffer(wsi, options->send_buffer_bytes);
	return connection;
}

enum push_status
push_connection_keep_head(struct push_connection *connection, const struct push_response *head)
{
	connection->head = push_response_keep(head);
	return connection->head ? PUSH_OK : PUSH_OUT_OF_MEMORY;
}

int
push_connection_send_head(struct lws *wsi, const struct push_response *head)
{
	if (push_response_send(wsi, head, false))
		return -1;
	lws_http_mark_sse(wsi);
	return 0;
}

static int
send_kept_head(struct push_connection *connection)
{
	struct push_kept_response *kept = connection->head;
	int result = push_connection_send_head(connection->wsi, &kept->response);

	connection->head = NULL;
	connection->head_due = false;
	free(kept);
	return result;
}

void
push_connection_destroy(struct push_connection *connection)
{
	if (!connection)
		return;
	free(connection->head);
	push_buf_fini(&connection->received); /* first: the account may go with the broker */
	push_lws_client_leave(connection->ops, connection->broker, connection->entered); /* likewise */
	connection->ops->subscriber_destroy(connection->broker, connection->subscriber);
	free(connection->peer);
	free(connection);
}

int
push_connection_on_writeable(struct push_connection *connection)
{
	unsigned char nothing[LWS_PRE];

	if (!connection)
		return 0;
	if (connection->head_due && send_kept_head(connection))
		return -1;
	if (!connection->closing) {
		connection->writing = true;
		connection->ops->subscriber_writable(connection->subscriber);
		connection->writing = false;
	}
	if (!connection->closing || connection->told)
		return 0;
	connection->told = true;
	if (needs_end_stream(connection) && !connection->head) /* which fits into any window */
		(void)lws_write(connection->wsi, nothing + LWS_PRE, 0, LWS_WRITE_HTTP_FINAL);
	return -1;
}
