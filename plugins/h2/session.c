/* session.c - see session.h. */
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "h2/frame_room.h"
#include "h2/frames.h"
#include "h2/limits.h"
#include "h2/session.h"

#define FRAME_HEAD_BYTES PUSH_H2_FRAME_HEAD_BYTES

/* In stream->events. */
enum { HAS_HEAD = 1, HAS_END = 2, HAS_CLOSED = 4, IS_POKED = 8 };

/* In stream->flags. */
enum {
	IS_TOLD = 1,         /* the handler knows it */
	IS_LAST = 2,         /* the handler knows that the client's part is over */
	HAS_ANSWER = 4,      /* an answer has begun */
	IS_FINISHED = 8,     /* ... and what there is of it is all */
	IS_CLOSED = 16,      /* for nghttp2 it is gone */
	IS_REMOTE_OVER = 32, /* END_STREAM has come */
	IS_PULLED = 64, /* nghttp2 has an item for it only while there are bytes: 170 bytes for an idle one */
	LINGERS = 128,  /* its owner ends it, when the answer is out before the request is over */
};

/* What was appended of an answer, sent up to `sent`. */
struct push_h2_body {
	struct push_buf bytes;
	size_t sent;
};

/* Of the last streams: whether they were opened, and whether the client has ended them, so that nothing more may come. */
#define REMEMBERED 512

struct memory {
	int32_t last; /* the last one that was opened */
	uint64_t opened[REMEMBERED / 64], ended[REMEMBERED / 64];
};

/* So many at once, and so many a second: what is used up is ahead of the clock. */
struct budget {
	uint64_t used_us;
};

struct push_h2_session {
	nghttp2_session *ng;
	struct push_h2_frame_room room;
	const struct push_h2_handler *handler;
	void *context;
	struct push_account *account;
	struct push_buf out;
	struct push_list streams, events, waiting;
	size_t stream_count;
	struct push_h2_head *head; /* of the head that is being read; NULL: none, or one without memory */
	uint64_t now_us;
	struct budget resets, quiet, updates;
	struct memory memory;
	uint64_t data_frames; /* sent, and not yet set against the client's updates */
	/* a piece of a body, at which nghttp2 has paused */
	struct push_h2_stream *piece_stream;
	struct push_str piece;
	struct push_h2_frames frames;
	/* push_h2_stream_pull() */
	const struct push_h2_stream *pulling;
	push_h2_fill_fn fill;
	void *fill_context;
	size_t fill_left; /* at most */
	size_t prepared;  /* bytes behind `out`, of the frame whose header follows */
	unsigned int continuations;
	int32_t head_id;  /* of the stream whose head or trailers are being read; 0: none */
	size_t list_size; /* of its fields so far */
	bool has_begun, has_opened, is_failed;
	uint32_t failure;    /* is_failed: the error, */
	bool is_told_failed; /* whose GOAWAY is in `out` */
};

static void
queue(struct push_h2_stream *stream, unsigned int event)
{
	stream->events |= (uint8_t)event;
	if (push_list_is_empty(&stream->event))
		push_list_append(&stream->session->events, &stream->event);
}

static void
fail(struct push_h2_session *session, uint32_t error_code)
{
	if (session->is_failed)
		return;
	session->is_failed = true;
	session->failure = error_code;
}

static void
put_32(unsigned char *to, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		to[i] = (unsigned char)(value >> (24 - 8 * i));
}

/* nghttp2, once it has given up, writes nothing any more; so this is put together here (RFC 9113, 6.8). */
static void
tell_failure(struct push_h2_session *session)
{
	unsigned char frame[FRAME_HEAD_BYTES + 8] = {0, 0, 8, NGHTTP2_GOAWAY};

	if (!session->is_failed || session->is_told_failed)
		return;
	session->is_told_failed = true;
	put_32(frame + FRAME_HEAD_BYTES, (uint32_t)nghttp2_session_get_last_proc_stream_id(session->ng));
	put_32(frame + FRAME_HEAD_BYTES + 4, session->failure);
	push_buf_append(&session->out, frame, sizeof(frame));
}

/* --- what a client may send --- */

static void
spend(struct push_h2_session *session, struct budget *budget, unsigned int burst, unsigned int a_second)
{
	const uint64_t share_us = 1000000 / a_second;

	if (budget->used_us < session->now_us)
		budget->used_us = session->now_us;
	budget->used_us += share_us;
	if (budget->used_us > session->now_us + share_us * burst)
		fail(session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void
spend_quiet(struct push_h2_session *session)
{
	spend(session, &session->quiet, PUSH_H2_QUIET_BURST, PUSH_H2_QUIET_A_SECOND);
}

static void
spend_update(struct push_h2_session *session)
{
	if (session->data_frames)
		session->data_frames--;
	else
		spend(session, &session->updates, PUSH_H2_UPDATES_BURST, PUSH_H2_UPDATES_A_SECOND);
}

/* --- streams that have been --- */

static void
set_bit(uint64_t *bits, int32_t id, bool on)
{
	const unsigned int at = (unsigned int)id / 2 % REMEMBERED;

	bits[at / 64] &= ~(1ull << at % 64);
	bits[at / 64] |= (uint64_t)on << at % 64;
}

static bool
has_bit(const uint64_t *bits, int32_t id)
{
	const unsigned int at = (unsigned int)id / 2 % REMEMBERED;

	return bits[at / 64] >> at % 64 & 1;
}

/* Those between the last one and this can never be opened (RFC 9113, 5.1.1). */
static void
remember_opened(struct memory *memory, int32_t id)
{
	int32_t from = memory->last + 2;

	if (id - from >= 2 * REMEMBERED)
		from = id - 2 * (REMEMBERED - 1);
	for (int32_t i = from; i < id; i += 2)
		set_bit(memory->opened, i, false);
	set_bit(memory->opened, id, true);
	set_bit(memory->ended, id, false);
	memory->last = id;
}

/* A stream that is open is nghttp2's to check, and so is one that we have reset: what was on its way is let be. */
static void
check_past(struct push_h2_session *session, int32_t id)
{
	const struct memory *memory = &session->memory;

	if (!(id & 1) || id > memory->last || id <= memory->last - 2 * REMEMBERED ||
		nghttp2_session_get_stream_user_data(session->ng, id))
		return;
	if (!has_bit(memory->opened, id))
		fail(session, NGHTTP2_PROTOCOL_ERROR);
	else if (has_bit(memory->ended, id))
		fail(session, NGHTTP2_STREAM_CLOSED);
}

static uint32_t
get_32(const unsigned char *from)
{
	return (uint32_t)from[0] << 24 | (uint32_t)from[1] << 16 | (uint32_t)from[2] << 8 | from[3];
}

/* nghttp2 does not look at one, since priorities are off. */
static bool
is_priority(const struct push_h2_frame *frame)
{
	const unsigned char *on = (const unsigned char *)frame->payload.bytes;

	/* on no stream, or on itself (RFC 7540, 5.3.1) */
	return frame->stream_id &&
	       (frame->payload.size < 4 || (get_32(on) & INT32_MAX) != (uint32_t)frame->stream_id);
}

/* What nghttp2 does not check of a frame, before it reads it. */
static void
check_frame(struct push_h2_session *session, const struct push_h2_frame *frame)
{
	switch (frame->type) {
	case NGHTTP2_CONTINUATION:
		if (++session->continuations > PUSH_H2_CONTINUATIONS_MAX)
			fail(session, NGHTTP2_ENHANCE_YOUR_CALM);
		break;
	case NGHTTP2_HEADERS:
		session->continuations = 0;
		check_past(session, frame->stream_id);
		break;
	case NGHTTP2_DATA:
		if (!frame->size && !(frame->flags & NGHTTP2_FLAG_END_STREAM))
			spend_quiet(session);
		check_past(session, frame->stream_id);
		break;
	case NGHTTP2_RST_STREAM: break; /* on_stream_close */
	case NGHTTP2_WINDOW_UPDATE: spend_update(session); break;
	case NGHTTP2_SETTINGS:
	case NGHTTP2_PING:
		if (!(frame->flags & NGHTTP2_FLAG_ACK))
			spend_quiet(session);
		break;
	case NGHTTP2_PRIORITY:
		if (!is_priority(frame))
			fail(session, NGHTTP2_PROTOCOL_ERROR);
		spend_quiet(session);
		break;
	default: spend_quiet(session); break;
	}
}

/* --- streams --- */

static struct push_h2_stream *
stream_create(struct push_h2_session *session, int32_t id)
{
	struct push_h2_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->session = session;
	stream->id = id;
	push_list_init(&stream->event);
	push_list_init(&stream->waiting);
	push_list_append(&session->streams, &stream->link);
	session->stream_count++;
	return stream;
}

static void
free_body(struct push_h2_stream *stream)
{
	if (!stream->body)
		return;
	push_buf_fini(&stream->body->bytes);
	free(stream->body);
	stream->body = NULL;
}

static void
stream_destroy(struct push_h2_stream *stream)
{
	struct push_h2_session *session = stream->session;

	push_list_remove(&stream->link);
	push_list_remove(&stream->event);
	push_list_remove(&stream->waiting);
	if (session->piece_stream == stream)
		session->piece_stream = NULL;
	session->stream_count--;
	push_h2_head_destroy(stream->head);
	free_body(stream);
	free(stream);
}

/* --- callbacks of nghttp2: nobody else is called from here --- */

static int
on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
	struct push_h2_session *session = user_data;
	struct push_h2_stream *stream;

	session->head_id = frame->hd.stream_id;
	session->list_size = 0;
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0; /* trailers */
	push_h2_head_destroy(session->head);
	session->head = push_h2_head_create(session->account);
	stream = stream_create(session, frame->hd.stream_id);
	if (!stream || !session->head) {
		if (stream)
			stream_destroy(stream);
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	nghttp2_session_set_stream_user_data(ng, frame->hd.stream_id, stream);
	remember_opened(&session->memory, frame->hd.stream_id);
	return 0;
}

static int
on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
	const uint8_t *value, size_t value_size, uint8_t flags, void *user_data)
{
	struct push_h2_session *session = user_data;

	(void)ng;
	(void)flags;
	session->list_size += name_size + value_size;
	if (session->list_size > PUSH_H2_LIST_BYTES_MAX) {
		fail(session, NGHTTP2_ENHANCE_YOUR_CALM);
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	if (frame->headers.cat == NGHTTP2_HCAT_REQUEST && session->head)
		push_h2_head_add(session->head, (struct push_str){(const char *)name, name_size},
			(struct push_str){(const char *)value, value_size});
	return 0;
}

static void
end_head(struct push_h2_session *session, struct push_h2_stream *stream, const nghttp2_frame *frame)
{
	session->head_id = 0;
	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST || !stream)
		return;
	stream->head = session->head;
	session->head = NULL;
	push_h2_head_finish(stream->head, frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
	queue(stream, HAS_HEAD);
}

static int
on_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
	struct push_h2_session *session = user_data;
	struct push_h2_stream *stream =
		frame->hd.stream_id ? nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id) : NULL;

	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		session->has_begun = session->has_opened = true; /* windows may have grown */
		break;
	case NGHTTP2_WINDOW_UPDATE: session->has_opened = true; break;
	case NGHTTP2_HEADERS: end_head(session, stream, frame); break;
	case NGHTTP2_RST_STREAM: set_bit(session->memory.ended, frame->hd.stream_id, true); break;
	default: break;
	}
	if (stream && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
		frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		stream->flags |= IS_REMOTE_OVER;
		set_bit(session->memory.ended, stream->id, true);
		queue(stream, HAS_END);
	}
	return 0;
}

static int
on_data_chunk(
	nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *bytes, size_t size, void *user_data)
{
	struct push_h2_session *session = user_data;
	struct push_h2_stream *stream = nghttp2_session_get_stream_user_data(ng, id);

	if (!stream) {
		nghttp2_session_consume(ng, id, size);
		return 0;
	}
	stream->unconsumed += (uint32_t)size;
	session->piece_stream = stream;
	session->piece = (struct push_str){(const char *)bytes, size};
	(void)flags;
	return NGHTTP2_ERR_PAUSE;
}

static int
on_stream_close(nghttp2_session *ng, int32_t id, uint32_t error_code, void *user_data)
{
	struct push_h2_session *session = user_data;
	struct push_h2_stream *stream = nghttp2_session_get_stream_user_data(ng, id);

	if (!stream)
		return 0;
	if (session->head_id == id) { /* it was malformed; that of another stream may be under way by now */
		push_h2_head_destroy(session->head);
		session->head = NULL;
		session->head_id = 0;
	}
	/* whoever has made us reset it */
	(void)error_code;
	if (!(stream->flags & HAS_ANSWER))
		spend(session, &session->resets, PUSH_H2_RESETS_BURST, PUSH_H2_RESETS_A_SECOND);
	if (stream->unconsumed)
		nghttp2_session_consume_connection(ng, stream->unconsumed);
	stream->unconsumed = 0;
	stream->flags |= IS_CLOSED;
	queue(stream, HAS_CLOSED);
	return 0;
}

static bool
has_room(const struct push_h2_session *session)
{
	return session->out.size < PUSH_H2_OUT_BYTES_MAX;
}

static ssize_t
on_send(nghttp2_session *ng, const uint8_t *bytes, size_t size, int flags, void *user_data)
{
	struct push_h2_session *session = user_data;

	(void)ng;
	(void)flags;
	if (session->out.size >= PUSH_H2_OUT_BYTES_MAX + PUSH_H2_OUT_CONTROL_BYTES_MAX)
		return NGHTTP2_ERR_WOULDBLOCK;
	push_buf_append(&session->out, bytes, size);
	return session->out.status == PUSH_OK ? (ssize_t)size : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static size_t
fill_from_body(struct push_h2_stream *stream, char *to, size_t max)
{
	struct push_h2_body *body = stream->body;
	size_t size = body ? body->bytes.size - body->sent : 0;

	if (size > max)
		size = max;
	if (!size)
		return 0;
	memcpy(to, body->bytes.bytes + body->sent, size);
	body->sent += size;
	if (body->sent < body->bytes.size)
		return size;
	push_buf_reset(&body->bytes);
	body->sent = 0;
	if (!(stream->flags & IS_FINISHED))
		queue(stream, IS_POKED);
	return size;
}

/* The bytes go where they will be sent from, behind the room for the frame's header, which comes with on_send_data(). */
static ssize_t
on_read(nghttp2_session *ng, int32_t id, uint8_t *buf, size_t length, uint32_t *data_flags,
	nghttp2_data_source *source, void *user_data)
{
	struct push_h2_session *session = user_data;
	struct push_h2_stream *stream = source->ptr;
	bool is_pulling = session->pulling == stream;
	/* no more room is made than there is to be put there: of ten thousand connections each has some */
	size_t wanted = is_pulling ? session->fill_left : push_h2_stream_unsent(stream);
	size_t room = has_room(session) ? PUSH_H2_OUT_BYTES_MAX - session->out.size : 0, size = 0;
	char *to;

	(void)ng;
	(void)id;
	(void)buf;
	if (length > room)
		length = room;
	if (wanted > length)
		wanted = length;
	if (wanted) {
		to = push_buf_reserve(&session->out, FRAME_HEAD_BYTES + wanted);
		if (!to)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
		size = is_pulling ? session->fill(session->fill_context, to + FRAME_HEAD_BYTES, wanted)
				  : fill_from_body(stream, to + FRAME_HEAD_BYTES, wanted);
		session->fill_left -= is_pulling ? size : 0;
	}
	if (stream->flags & IS_FINISHED && !push_h2_stream_unsent(stream)) {
		*data_flags |= NGHTTP2_DATA_FLAG_EOF;
	} else if (stream->flags & IS_PULLED && size && size < length) {
		*data_flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
	} else if (!size) {
		if (push_h2_stream_unsent(stream))
			push_h2_stream_wait(stream);
		return NGHTTP2_ERR_DEFERRED;
	}
	if (size)
		*data_flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	session->prepared = size;
	return (ssize_t)size;
}

static int
on_send_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *framehd, size_t length,
	nghttp2_data_source *source, void *user_data)
{
	struct push_h2_session *session = user_data;

	(void)ng;
	(void)frame;
	(void)source;
	PUSH_ASSERT(length == session->prepared);
	memcpy(session->out.bytes + session->out.size, framehd, FRAME_HEAD_BYTES);
	session->out.size += FRAME_HEAD_BYTES + length;
	session->data_frames += 2;
	return 0;
}

/* An answer that is whole before the request is: the client need not send the rest (RFC 9113, 8.1). */
static int
on_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *user_data)
{
	struct push_h2_stream *stream;

	(void)user_data;
	if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
		!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	stream = nghttp2_session_get_stream_user_data(ng, frame->hd.stream_id);
	if (!stream || stream->flags & IS_REMOTE_OVER)
		return 0;
	if (stream->flags & LINGERS && stream->owner)
		queue(stream, IS_POKED);
	else
		nghttp2_submit_rst_stream(ng, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
	return 0;
}

/* --- a session --- */

static nghttp2_session_callbacks *
create_callbacks(void)
{
	nghttp2_session_callbacks *callbacks;

	if (nghttp2_session_callbacks_new(&callbacks))
		return NULL;
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	return callbacks;
}

static nghttp2_option *
create_options(void)
{
	nghttp2_option *option;

	if (nghttp2_option_new(&option))
		return NULL;
	nghttp2_option_set_no_auto_window_update(option, 1);
	nghttp2_option_set_no_closed_streams(option, 1);
	nghttp2_option_set_max_outbound_ack(option, PUSH_H2_ACKS_MAX);
	nghttp2_option_set_max_settings(option, PUSH_H2_SETTINGS_MAX);
	return option;
}

static bool
create_ng(struct push_h2_session *session)
{
	nghttp2_session_callbacks *callbacks = create_callbacks();
	nghttp2_option *option = create_options();
	nghttp2_mem memory = push_h2_frame_room_memory(&session->room);
	bool done = callbacks && option &&
		    !nghttp2_session_server_new3(&session->ng, callbacks, session, option, &memory);

	nghttp2_session_callbacks_del(callbacks);
	nghttp2_option_del(option);
	return done;
}

/* Priorities of RFC 7540 are a tree that clients could make deep: not kept (RFC 9113, 5.3.2). */
static bool
submit_settings(struct push_h2_session *session)
{
	const nghttp2_settings_entry entries[] = {
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, PUSH_H2_STREAMS_MAX},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, PUSH_H2_STREAM_WINDOW_BYTES},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, PUSH_H2_HEAD_BYTES_MAX},
		{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};

	return !nghttp2_submit_settings(
		       session->ng, NGHTTP2_FLAG_NONE, entries, sizeof(entries) / sizeof(entries[0])) &&
	       !nghttp2_session_set_local_window_size(
		       session->ng, NGHTTP2_FLAG_NONE, 0, PUSH_H2_WINDOW_BYTES) &&
	       !nghttp2_session_send(session->ng);
}

struct push_h2_session *
push_h2_session_create(const struct push_h2_handler *handler, void *context, struct push_account *account)
{
	struct push_h2_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->handler = handler;
	session->context = context;
	session->account = account;
	push_list_init(&session->streams);
	push_list_init(&session->events);
	push_list_init(&session->waiting);
	session->memory.last = -1;
	push_h2_frames_init(&session->frames);
	/* control frames, and a GOAWAY at its end */
	push_buf_init(&session->out, (size_t)2 * PUSH_H2_OUT_BYTES_MAX);
	if (account)
		push_buf_charge(&session->out, account);
	if (create_ng(session) && submit_settings(session))
		return session;
	push_h2_session_destroy(session);
	return NULL;
}

void
push_h2_session_destroy(struct push_h2_session *session)
{
	if (!session)
		return;
	nghttp2_session_del(session->ng);
	for (struct push_list *item = session->streams.next, *next; item != &session->streams; item = next) {
		next = item->next;
		stream_destroy(push_container_of(item, struct push_h2_stream, link));
	}
	push_h2_head_destroy(session->head);
	push_buf_fini(&session->out);
	free(session);
}

void
push_h2_session_each(struct push_h2_session *session, void (*visit)(void *owner))
{
	for (struct push_list *item = session->streams.next, *next; item != &session->streams; item = next) {
		const struct push_h2_stream *stream = push_container_of(item, struct push_h2_stream, link);

		next = item->next;
		if (stream->owner)
			visit(stream->owner);
	}
}

void
push_h2_session_abandon(struct push_h2_session *session)
{
	for (struct push_list *item = session->streams.next; item != &session->streams; item = item->next) {
		struct push_h2_stream *stream = push_container_of(item, struct push_h2_stream, link);
		void *owner = stream->owner;

		stream->owner = NULL;
		if (owner)
			session->handler->closed(owner);
	}
}

void *
push_h2_session_context(const struct push_h2_session *session)
{
	return session->context;
}

static void
tell_body(struct push_h2_stream *stream, struct push_str piece, bool is_last)
{
	struct push_h2_session *session = stream->session;

	if (stream->flags & IS_LAST)
		return;
	if (is_last)
		stream->flags |= IS_LAST;
	if (stream->owner)
		session->handler->body(stream->owner, piece.bytes, piece.size, is_last);
	else
		push_h2_stream_consume(stream, piece.size);
}

/* Each may make others, and end the stream, but not free it. */
static void
tell_events(struct push_h2_stream *stream, unsigned int events)
{
	struct push_h2_session *session = stream->session;
	struct push_h2_head *head = stream->head;
	bool is_closed = events & HAS_CLOSED;

	if (events & HAS_HEAD && !is_closed) {
		stream->head = NULL;
		stream->flags |= IS_TOLD;
		if (head->is_last)
			stream->flags |= IS_LAST;
		session->handler->request(session->context, stream, head);
	}
	if (events & HAS_END && !is_closed)
		tell_body(stream, (struct push_str){"", 0}, true);
	if (events & IS_POKED && !is_closed && stream->owner)
		session->handler->writable(stream->owner);
	if (!is_closed)
		return;
	if (stream->owner)
		session->handler->closed(stream->owner);
	stream_destroy(stream);
}

static void
dispatch(struct push_h2_session *session)
{
	while (!push_list_is_empty(&session->events)) {
		struct push_h2_stream *stream =
			push_container_of(session->events.next, struct push_h2_stream, event);
		unsigned int events = stream->events;

		push_list_remove(&stream->event);
		PUSH_ASSERT(
			session->events.next != &stream->event); /* clang's analyzer cannot follow lists */
		stream->events = 0;
		tell_events(stream, events);
	}
}

/* Where a frame ends the body, so does its last piece, unless the head has named another length. */
static void
give_piece(struct push_h2_session *session)
{
	struct push_h2_stream *stream = session->piece_stream;
	struct push_str piece = session->piece;

	session->piece_stream = NULL;
	if (stream && !(stream->flags & IS_CLOSED))
		tell_body(stream, piece, false);
}

static uint32_t
error_of(ssize_t error)
{
	switch (error) {
	case NGHTTP2_ERR_NOMEM:
	case NGHTTP2_ERR_CALLBACK_FAILURE: return NGHTTP2_INTERNAL_ERROR;
	case NGHTTP2_ERR_BAD_CLIENT_MAGIC: return NGHTTP2_PROTOCOL_ERROR;
	default: return NGHTTP2_ENHANCE_YOUR_CALM;
	}
}

/* Once more behind a pause: nghttp2 may have an end to tell of, without a byte more. */
static void
feed(struct push_h2_session *session, const char *bytes, size_t size)
{
	bool has_paused = false;

	while ((size || has_paused) && !session->is_failed) {
		ssize_t used = nghttp2_session_mem_recv(session->ng, (const uint8_t *)bytes, size);

		if (used < 0) {
			fail(session, error_of(used));
			return;
		}
		bytes += used;
		size -= (size_t)used;
		has_paused = session->piece_stream;
		dispatch(session);
		give_piece(session);
		dispatch(session);
	}
}

bool
push_h2_session_receive(struct push_h2_session *session, const char *bytes, size_t size, uint64_t now_us)
{
	struct push_h2_frame frame;

	session->now_us = now_us;
	while (size && !session->is_failed) {
		bool is_frame;
		size_t piece = push_h2_frames_next(&session->frames, bytes, size, &frame, &is_frame);

		if (is_frame)
			check_frame(session, &frame);
		if (nghttp2_session_get_outbound_queue_size(session->ng) > PUSH_H2_QUEUE_MAX)
			fail(session, NGHTTP2_ENHANCE_YOUR_CALM);
		if (!session->is_failed)
			feed(session, bytes, piece);
		bytes += piece;
		size -= piece;
	}
	if (session->has_opened && !session->is_failed)
		push_h2_session_resume(session);
	return push_h2_session_run(session);
}

bool
push_h2_session_run(struct push_h2_session *session)
{
	bool has_events;

	do {
		if (!session->is_failed && nghttp2_session_send(session->ng))
			fail(session, NGHTTP2_INTERNAL_ERROR);
		has_events = !push_list_is_empty(&session->events);
		dispatch(session);
	} while (has_events); /* whoever was told may have answered */
	tell_failure(session);
	return !session->is_failed;
}

struct push_buf *
push_h2_session_out(struct push_h2_session *session)
{
	return &session->out;
}

bool
push_h2_stream_has_window(const struct push_h2_stream *stream)
{
	nghttp2_session *ng = stream->session->ng;

	return nghttp2_session_get_remote_window_size(ng) > 0 &&
	       nghttp2_session_get_stream_remote_window_size(ng, stream->id) > 0;
}

bool
push_h2_stream_has_room(const struct push_h2_stream *stream)
{
	return has_room(stream->session);
}

static bool
may_write(const struct push_h2_stream *stream)
{
	return !(stream->flags & IS_CLOSED) && !stream->session->is_failed && has_room(stream->session) &&
	       push_h2_stream_has_window(stream);
}

/* Each that waits has one turn; who waits again does so behind those who had none. */
void
push_h2_session_resume(struct push_h2_session *session)
{
	struct push_list turn, kept;

	session->has_opened = false;
	push_list_init(&kept);
	push_list_take_all(&turn, &session->waiting);
	while (!push_list_is_empty(&turn)) {
		struct push_h2_stream *stream = push_container_of(turn.next, struct push_h2_stream, waiting);

		push_list_remove(&stream->waiting);
		if (!may_write(stream))
			push_list_append(&kept, &stream->waiting);
		else if (stream->body)
			(void)nghttp2_session_resume_data(session->ng, stream->id);
		else if (stream->owner)
			session->handler->writable(stream->owner);
	}
	push_list_splice(&kept, &session->waiting);
	push_list_take_all(&session->waiting, &kept);
}

bool
push_h2_session_was_flooded(const struct push_h2_session *session)
{
	return session->is_failed && session->failure == NGHTTP2_ENHANCE_YOUR_CALM;
}

bool
push_h2_session_has_begun(const struct push_h2_session *session)
{
	return session->has_begun;
}

bool
push_h2_session_in_head(const struct push_h2_session *session)
{
	return session->head_id;
}

size_t
push_h2_session_stream_count(const struct push_h2_session *session)
{
	return session->stream_count;
}

bool
push_h2_session_is_over(const struct push_h2_session *session)
{
	return session->is_failed ||
	       (!nghttp2_session_want_read(session->ng) && !nghttp2_session_want_write(session->ng));
}

void
push_h2_session_announce_end(struct push_h2_session *session)
{
	(void)nghttp2_submit_shutdown_notice(session->ng);
}

void
push_h2_session_end(struct push_h2_session *session)
{
	(void)nghttp2_submit_goaway(session->ng, NGHTTP2_FLAG_NONE,
		nghttp2_session_get_last_proc_stream_id(session->ng), NGHTTP2_NO_ERROR, NULL, 0);
}

void
push_h2_session_fail(struct push_h2_session *session, uint32_t error_code)
{
	fail(session, error_code);
	tell_failure(session);
}

/* --- streams --- */

static bool
need_body(struct push_h2_stream *stream)
{
	if (stream->body)
		return true;
	stream->body = calloc(1, sizeof(*stream->body));
	if (!stream->body)
		return false;
	push_buf_init(&stream->body->bytes, PUSH_H2_ANSWER_BYTES_MAX);
	if (stream->session->account)
		push_buf_charge(&stream->body->bytes, stream->session->account);
	return true;
}

/* What there is goes on, or what is there now begins. */
static void
submit_data(struct push_h2_stream *stream)
{
	const nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = on_read};

	if (nghttp2_session_resume_data(stream->session->ng, stream->id) && stream->flags & IS_PULLED)
		(void)nghttp2_submit_data(
			stream->session->ng, NGHTTP2_FLAG_END_STREAM, stream->id, &provider);
}

static int
submit_head(struct push_h2_stream *stream, const nghttp2_nv *fields, size_t count, bool has_body)
{
	const nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = on_read};
	nghttp2_session *ng = stream->session->ng;

	if (stream->flags & IS_PULLED)
		return nghttp2_submit_headers(ng, NGHTTP2_FLAG_NONE, stream->id, NULL, fields, count, NULL);
	return nghttp2_submit_response(ng, stream->id, fields, count, has_body ? &provider : NULL);
}

static bool
submit(struct push_h2_stream *stream, struct push_buf *lines, bool has_body)
{
	nghttp2_nv fields[PUSH_H2_ANSWER_FIELDS_MAX];
	size_t count = push_h2_answer_fields(lines->bytes, lines->size, fields);

	if (stream->flags & (IS_CLOSED | HAS_ANSWER))
		return true;
	stream->flags |= HAS_ANSWER;
	if (lines->status == PUSH_OK && !submit_head(stream, fields, count, has_body))
		return true;
	push_h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
	return false;
}

bool
push_h2_stream_answer(struct push_h2_stream *stream, struct push_buf *lines, struct push_str body)
{
	if (body.size && (!need_body(stream) || !push_h2_stream_append(stream, body.bytes, body.size))) {
		push_h2_stream_reset(stream, NGHTTP2_INTERNAL_ERROR);
		return false;
	}
	stream->flags |= IS_FINISHED;
	return submit(stream, lines, body.size);
}

bool
push_h2_stream_begin(struct push_h2_stream *stream, struct push_buf *lines)
{
	return submit(stream, lines, true);
}

bool
push_h2_stream_begin_pulled(struct push_h2_stream *stream, struct push_buf *lines)
{
	stream->flags |= IS_PULLED;
	return submit(stream, lines, true);
}

void
push_h2_stream_inform(struct push_h2_stream *stream, struct push_buf *lines)
{
	nghttp2_nv fields[PUSH_H2_ANSWER_FIELDS_MAX];
	size_t count = push_h2_answer_fields(lines->bytes, lines->size, fields);

	if (lines->status == PUSH_OK && !(stream->flags & (IS_CLOSED | HAS_ANSWER)))
		(void)nghttp2_submit_headers(
			stream->session->ng, NGHTTP2_FLAG_NONE, stream->id, NULL, fields, count, NULL);
}

bool
push_h2_stream_append(struct push_h2_stream *stream, const char *bytes, size_t size)
{
	if (!need_body(stream))
		return false;
	push_buf_append(&stream->body->bytes, bytes, size);
	if (stream->body->bytes.status != PUSH_OK)
		return false;
	if (stream->flags & HAS_ANSWER)
		(void)nghttp2_session_resume_data(stream->session->ng, stream->id);
	return true;
}

void
push_h2_stream_finish(struct push_h2_stream *stream)
{
	stream->flags |= IS_FINISHED;
	if (!(stream->flags & IS_CLOSED))
		submit_data(stream);
}

size_t
push_h2_stream_unsent(const struct push_h2_stream *stream)
{
	return stream->body ? stream->body->bytes.size - stream->body->sent : 0;
}

bool
push_h2_stream_pull(struct push_h2_stream *stream, size_t size, push_h2_fill_fn fill, void *context)
{
	struct push_h2_session *session = stream->session;

	PUSH_ASSERT(!session->pulling);
	if (stream->flags & IS_CLOSED || session->is_failed)
		return false;
	session->pulling = stream;
	session->fill = fill;
	session->fill_context = context;
	session->fill_left = size;
	submit_data(stream);
	if (nghttp2_session_send(session->ng))
		fail(session, NGHTTP2_INTERNAL_ERROR);
	session->pulling = NULL;
	return !session->is_failed;
}

void
push_h2_stream_wait(struct push_h2_stream *stream)
{
	if (push_list_is_empty(&stream->waiting) && !(stream->flags & IS_CLOSED))
		push_list_append(&stream->session->waiting, &stream->waiting);
}

bool
push_h2_stream_is_waiting(const struct push_h2_stream *stream)
{
	return !push_list_is_empty(&stream->waiting);
}

void
push_h2_stream_linger(struct push_h2_stream *stream, bool on)
{
	stream->flags &= (uint8_t)~LINGERS;
	if (on)
		stream->flags |= LINGERS;
}

bool
push_h2_stream_is_answered(const struct push_h2_stream *stream)
{
	return nghttp2_session_get_stream_local_close(stream->session->ng, stream->id) == 1;
}

void
push_h2_stream_discard(struct push_h2_stream *stream, size_t size)
{
	PUSH_ASSERT(size <= stream->unconsumed || stream->flags & IS_CLOSED);
	if (stream->flags & IS_CLOSED || !size)
		return;
	stream->unconsumed -= (uint32_t)size;
	(void)nghttp2_session_consume_connection(stream->session->ng, size);
}

void
push_h2_stream_poke(struct push_h2_stream *stream)
{
	if (!(stream->flags & IS_CLOSED))
		queue(stream, IS_POKED);
}

void
push_h2_stream_reset(struct push_h2_stream *stream, uint32_t error_code)
{
	free_body(stream);
	if (!(stream->flags & IS_CLOSED))
		(void)nghttp2_submit_rst_stream(
			stream->session->ng, NGHTTP2_FLAG_NONE, stream->id, error_code);
}

void
push_h2_stream_consume(struct push_h2_stream *stream, size_t size)
{
	PUSH_ASSERT(size <= stream->unconsumed || stream->flags & IS_CLOSED);
	if (stream->flags & IS_CLOSED || !size)
		return;
	stream->unconsumed -= (uint32_t)size;
	(void)nghttp2_session_consume(stream->session->ng, stream->id, size);
}
