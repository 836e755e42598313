/* h2.c - see h2.h. */
#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

#include "clock.h"
#include "fleet.h"
#include "h2.h"
#include "subscriber.h"

/* As Chromium's: no server waits for them while this tool is awake. */
#define STREAM_WINDOW_BYTES     (6u << 20)
#define CONNECTION_WINDOW_BYTES (15u << 20)

#define READ_BYTES  (256u << 10)
#define WRITE_BYTES (64u << 10)
/* A frame of the largest size that a client may send unasked, with its head: nghttp2 hands out no more at a time. */
#define FRAME_BYTES_MAX (16384u + 9)

#define FIELDS_MAX (5 + OPTIONS_HEADERS_MAX)

struct h2 {
	struct handler handler; /* the first member */
	struct h2_pool *pool;
	struct h2 *next, *next_dirty;
	struct wire wire;
	nghttp2_session *session;
	bool is_ready, is_dirty, is_leaving; /* leaving: the server has sent GOAWAY */
	struct response response;            /* whose fields are coming; blocks of two streams never mix */
	char *out;                           /* what the socket did not take */
	size_t out_size;
};

struct h2_pool {
	struct fleet *fleet;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	struct h2 **current; /* by subscriber number / --streams */
	size_t count;
	struct h2 *all,
		*dirty; /* one that is over stays until the end: the loop may still name it in this turn */
	char *in, *out;
};

static struct subscriber *
subscriber_of(nghttp2_session *session, int32_t stream)
{
	return nghttp2_session_get_stream_user_data(session, stream);
}

static int
on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2 *h2 = arg;

	(void)session;
	(void)frame;
	h2->response = (struct response){0};
	return 0;
}

static int
on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
	const uint8_t *value, size_t size, uint8_t flags, void *arg)
{
	struct response *response = &((struct h2 *)arg)->response;

	(void)session;
	(void)frame;
	(void)flags;
	if (name_size == 7 && !memcmp(name, ":status", 7)) {
		response->status = (unsigned int)strtoul((const char *)value, NULL, 10);
	} else if (name_size == 12 && !memcmp(name, "content-type", 12)) {
		size = size < sizeof(response->content_type) ? size : sizeof(response->content_type) - 1;
		memcpy(response->content_type, value, size);
		response->content_type[size] = 0;
	}
	return 0;
}

static int
on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
	struct h2 *h2 = arg;
	struct subscriber *subscriber;

	if (frame->hd.type == NGHTTP2_GOAWAY)
		h2->is_leaving = true;
	if (frame->hd.type != NGHTTP2_HEADERS || h2->response.status / 100 == 1)
		return 0;
	subscriber = subscriber_of(session, frame->hd.stream_id);
	if (subscriber && !subscriber->has_answer)
		subscriber_answered(subscriber, &h2->response, clock_ns());
	return 0;
}

static int
on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes, size_t size, void *arg)
{
	struct subscriber *subscriber = subscriber_of(session, stream);

	(void)flags;
	(void)arg;
	if (subscriber)
		subscriber_received(subscriber, (const char *)bytes, size, clock_ns());
	return 0;
}

static int
on_stream_close(nghttp2_session *session, int32_t stream, uint32_t code, void *arg)
{
	struct subscriber *subscriber = subscriber_of(session, stream);

	(void)arg;
	if (!subscriber)
		return 0;
	subscriber->h2 = NULL;
	subscriber_ended(subscriber, code ? nghttp2_http2_strerror(code) : NULL);
	return 0;
}

struct h2_pool *
h2_pool_create(struct fleet *fleet, size_t count)
{
	struct h2_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->fleet = fleet;
	pool->count = (size_t)options_connections(fleet->options, count);
	pool->current = calloc(pool->count ? pool->count : 1, sizeof(*pool->current));
	pool->in = malloc(READ_BYTES);
	pool->out = malloc(WRITE_BYTES + FRAME_BYTES_MAX);
	if (!pool->current || !pool->in || !pool->out || nghttp2_session_callbacks_new(&pool->callbacks) ||
		nghttp2_option_new(&pool->option)) {
		h2_pool_destroy(pool);
		return NULL;
	}
	nghttp2_session_callbacks_set_on_begin_headers_callback(pool->callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(pool->callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(pool->callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(pool->callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(pool->callbacks, on_stream_close);
	/* Closed streams would be kept for a priority tree that nobody has. */
	nghttp2_option_set_no_closed_streams(pool->option, 1);
	return pool;
}

static void
disconnect(struct h2 *h2)
{
	if (h2->wire.fd >= 0) {
		loop_remove(h2->pool->fleet->loop, LOOP_READERS, h2->wire.fd);
		wire_close(&h2->wire);
	}
	nghttp2_session_del(h2->session);
	h2->session = NULL;
	free(h2->out);
	h2->out = NULL;
	h2->out_size = 0;
}

void
h2_pool_destroy(struct h2_pool *pool)
{
	struct h2 *next;

	if (!pool)
		return;
	for (struct h2 *h2 = pool->all; h2; h2 = next) {
		next = h2->next;
		disconnect(h2);
		free(h2);
	}
	nghttp2_option_del(pool->option);
	nghttp2_session_callbacks_del(pool->callbacks);
	free(pool->out);
	free(pool->in);
	free(pool->current);
	free(pool);
}

/* The connection is over, and with it all its streams. */
static void
lose(struct h2 *h2, const char *error)
{
	struct h2_pool *pool = h2->pool;
	struct fleet *fleet = pool->fleet;

	for (size_t i = 0; i < pool->count; i++)
		if (pool->current[i] == h2)
			pool->current[i] = NULL;
	disconnect(h2);
	for (size_t i = 0; i < fleet->started; i++) {
		if (fleet->all[i].h2 != h2)
			continue;
		fleet->all[i].h2 = NULL;
		subscriber_ended(&fleet->all[i], error);
	}
}

/* Writes what was left, then puts together what nghttp2 has. */
static void
flush(struct h2 *h2)
{
	char *out = h2->pool->out;

	while (h2->session) {
		const uint8_t *bytes;
		size_t size = h2->out_size;
		ssize_t got = 0, sent;

		if (size)
			memcpy(out, h2->out, size);
		while (size < WRITE_BYTES && (got = nghttp2_session_mem_send(h2->session, &bytes)) > 0) {
			memcpy(out + size, bytes, (size_t)got);
			size += (size_t)got;
		}
		if (got < 0 || !size)
			return;
		sent = wire_write(&h2->wire, out, size);
		/* An error other than "full" shows again when the connection is read. */
		if (sent < 0)
			sent = 0;
		free(h2->out);
		h2->out_size = size - (size_t)sent;
		h2->out = h2->out_size ? malloc(h2->out_size) : NULL;
		if (!h2->out) {
			h2->out_size = 0;
			continue;
		}
		memcpy(h2->out, out + sent, h2->out_size);
		return;
	}
}

static void
mark_dirty(struct h2 *h2)
{
	if (h2->is_dirty)
		return;
	h2->is_dirty = true;
	h2->next_dirty = h2->pool->dirty;
	h2->pool->dirty = h2;
}

void
h2_pool_flush(struct h2_pool *pool)
{
	while (pool && pool->dirty) {
		struct h2 *h2 = pool->dirty;

		pool->dirty = h2->next_dirty;
		h2->is_dirty = false;
		if (h2->is_ready)
			flush(h2);
	}
}

static void
receive(struct h2 *h2)
{
	struct fleet_counts *counts = &h2->pool->fleet->counts;

	for (;;) {
		ssize_t got = wire_read(&h2->wire, h2->pool->in, READ_BYTES), used;

		if (got < 0 && errno == EAGAIN)
			break;
		if (got <= 0) {
			lose(h2, got < 0 ? strerror(errno) : "the connection was closed");
			return;
		}
		counts->reads++;
		counts->read_bytes += (uint64_t)got;
		used = nghttp2_session_mem_recv(h2->session, (const uint8_t *)h2->pool->in, (size_t)got);
		if (used != got) {
			lose(h2, nghttp2_strerror((int)used));
			return;
		}
		if (!h2->wire.tls && (size_t)got < READ_BYTES && !h2->wire.may_end)
			break;
	}
	if (!nghttp2_session_want_read(h2->session) && !nghttp2_session_want_write(h2->session)) {
		lose(h2, "the session has ended");
		return;
	}
	mark_dirty(h2);
}

static void
greet(struct h2 *h2)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
	};

	h2->is_ready = true;
	nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, 2);
	nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES);
	mark_dirty(h2);
}

/* Returns whether the connection may be used. */
static bool
shake_hands(struct h2 *h2)
{
	const char *error;

	switch (wire_handshake(&h2->wire, &error)) {
	case WIRE_AGAIN: return false;
	case WIRE_FAILED: lose(h2, error); return false;
	case WIRE_READY: break;
	}
	if (!wire_speaks(&h2->wire, "h2")) {
		lose(h2, "the server has not chosen h2 (ALPN)");
		return false;
	}
	greet(h2);
	return true;
}

static void
ready(struct handler *handler, uint32_t events)
{
	struct h2 *h2 = (struct h2 *)handler;

	if (h2->wire.fd < 0 || h2->pool->fleet->is_stalled)
		return;
	wire_wake(&h2->wire, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	if (!h2->is_ready && !shake_hands(h2))
		return;
	if (events & EPOLLOUT)
		mark_dirty(h2);
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		receive(h2);
}

void
h2_read_on(struct subscriber *subscriber)
{
	if (subscriber->h2)
		ready(&subscriber->h2->handler, EPOLLIN | EPOLLRDHUP);
}

static struct h2 *
open_connection(struct h2_pool *pool, uint32_t source)
{
	struct fleet *fleet = pool->fleet;
	struct h2 *h2 = calloc(1, sizeof(*h2));

	if (!h2)
		return NULL;
	h2->pool = pool;
	h2->handler.ready = ready;
	if (wire_open(&h2->wire, fleet->target, source, fleet->receive_buffer, "h2") ||
		nghttp2_session_client_new2(&h2->session, pool->callbacks, h2, pool->option) ||
		loop_add(fleet->loop, LOOP_READERS, h2->wire.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP,
			&h2->handler)) {
		int error = errno;

		wire_close(&h2->wire);
		nghttp2_session_del(h2->session);
		free(h2);
		errno = error;
		return NULL;
	}
	h2->next = pool->all;
	pool->all = h2;
	return h2;
}

static nghttp2_nv
field(char *name, size_t name_size, const char *value, size_t size)
{
	return (nghttp2_nv){
		(uint8_t *)name, (uint8_t *)(uintptr_t)value, name_size, size, NGHTTP2_NV_FLAG_NONE};
}

/* The fields of --header, whose names HTTP/2 wants in small letters: `names` is where they are written. */
static size_t
put_headers(const char *const *headers, nghttp2_nv *fields, char *names, size_t room)
{
	size_t count = 0;

	for (; *headers; headers++) {
		size_t size = strcspn(*headers, ":");
		const char *value = *headers + size + 1;

		if (size >= room)
			break;
		for (size_t i = 0; i < size; i++)
			names[i] = (char)((*headers)[i] |
					  ((*headers)[i] >= 'A' && (*headers)[i] <= 'Z' ? 32 : 0));
		value += strspn(value, " \t");
		fields[count++] = field(names, size, value, strlen(value));
		names += size;
		room -= size;
	}
	return count;
}

static int32_t
submit(struct h2 *h2, struct subscriber *subscriber, const char *path)
{
	static char method[] = ":method", scheme[] = ":scheme", authority[] = ":authority", place[] = ":path",
		    accept[] = "accept";
	const struct options *options = h2->pool->fleet->options;
	const char *host = net_place(options->target), *kind = options->tls ? "https" : "http";
	char names[2048];
	nghttp2_nv fields[FIELDS_MAX] = {
		field(method, 7, "GET", 3),
		field(scheme, 7, kind, strlen(kind)),
		field(authority, 10, host, strlen(host)),
		field(place, 5, path, strlen(path)),
		field(accept, 6, "text/event-stream", 17),
	};
	size_t count = 5 + put_headers(options->headers, fields + 5, names, sizeof(names));

	return nghttp2_submit_request(h2->session, NULL, fields, count, NULL, subscriber);
}

const char *
h2_subscribe(struct subscriber *subscriber, uint32_t source, const char *path)
{
	struct h2_pool *pool = subscriber->fleet->h2;
	size_t place = (size_t)(subscriber - subscriber->fleet->all) / subscriber->fleet->options->streams;
	struct h2 *h2 = pool->current[place];
	int32_t stream;

	if (!h2 || h2->is_leaving)
		h2 = pool->current[place] = open_connection(pool, source);
	if (!h2)
		return strerror(errno);
	stream = submit(h2, subscriber, path);
	if (stream < 0)
		return nghttp2_strerror(stream);
	subscriber->h2 = h2;
	subscriber->stream = stream;
	mark_dirty(h2);
	return NULL;
}

void
h2_leave(struct subscriber *subscriber)
{
	struct h2 *h2 = subscriber->h2;

	subscriber->h2 = NULL;
	if (!h2 || !h2->session)
		return;
	nghttp2_session_set_stream_user_data(h2->session, subscriber->stream, NULL);
	nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, subscriber->stream, NGHTTP2_CANCEL);
	mark_dirty(h2);
}
