/*
 * session.h - one HTTP/2 connection of a client, without its socket: bytes in, bytes out (RFC 9113, RFC 8441).
 *
 * Frames, HPACK, windows and the states of streams are nghttp2's.  What is here: the limits on what a client may send
 * (limits.h), and an order in which nothing is called from within nghttp2:
 *
 *   push_h2_session_receive ─▶ nghttp2 ─▶ events, in order ─▶ handler: a request, a piece of a body, an end
 *   an answer, a subscriber's bytes ─▶ nghttp2 ─▶ out ─▶ whoever has the socket
 *
 * So a handler may do whatever it wants, write to any stream, too.  A stream's bytes are copied once, behind their frame's
 * header in `out`; a stream that finds no window, or no room there, waits, and is called when there is.
 */
#ifndef PUSH_H2_SESSION_H
#define PUSH_H2_SESSION_H

#include "h2/fields.h"
#include "core/list.h"

struct push_h2_session;
struct push_h2_body;

struct push_h2_stream {
	struct push_h2_session *session;
	void *owner; /* the handler's; NULL: it has not been told of, or does not want to know any more */
	struct push_list link;     /* in the session's streams */
	struct push_list event;    /* in the session's events */
	struct push_list waiting;  /* for a window, or room */
	struct push_h2_head *head; /* owned; until the handler has it */
	struct push_h2_body *body; /* owned; of an answer */
	int32_t id;
	uint32_t unconsumed; /* of the client's bytes, that its window lacks */
	uint8_t events, flags;
};

/* Each is called with nothing of nghttp2's under way. */
struct push_h2_handler {
	/* A head has come, which is the handler's from here on; stream->owner is to be set. */
	void (*request)(void *context, struct push_h2_stream *stream, struct push_h2_head *head);
	/* Bytes of its body; they count in the window until push_h2_stream_consume().  is_last: maybe without any. */
	void (*body)(void *owner, const char *bytes, size_t size, bool is_last);
	/* It has waited, and there is a window and room; or what was appended of an answer that goes on is out; or it was
	 * poked. */
	void (*writable)(void *owner);
	/* It is over: answered and taken, or reset; the stream is freed after it. */
	void (*closed)(void *owner);
};

/*
 * push_h2_session_create - a connection of which nothing has come; our SETTINGS are in `out`.
 *
 * @account: what buffers are charged to, borrowed; may be NULL.  Returns NULL when memory is out.
 */
struct push_h2_session *
push_h2_session_create(const struct push_h2_handler *handler, void *context, struct push_account *account);

/* push_h2_session_destroy - streams that are left are freed, and nobody is called.  NULL is allowed. */
void
push_h2_session_destroy(struct push_h2_session *session);

/* push_h2_session_each - call `visit` for the owner of each stream. */
void
push_h2_session_each(struct push_h2_session *session, void (*visit)(void *owner));

/* push_h2_session_abandon - call handler->closed() for each stream, as if the client had reset them all. */
void
push_h2_session_abandon(struct push_h2_session *session);

/* push_h2_session_context - the handler's. */
void *
push_h2_session_context(const struct push_h2_session *session);

/*
 * push_h2_session_receive - what has come.
 *
 * Returns false if the connection is to end: with what is in `out`, and nothing more is read.
 */
bool
push_h2_session_receive(struct push_h2_session *session, const char *bytes, size_t size, uint64_t now_us);

/* push_h2_session_run - put into `out` what may be sent, as far as there is room, and tell of what has ended.  Returns as
 * above. */
bool
push_h2_session_run(struct push_h2_session *session);

/* push_h2_session_out - the bytes to be sent, borrowed; whoever sends them clears it, wholly, then calls _resume. */
struct push_buf *
push_h2_session_out(struct push_h2_session *session);

/* push_h2_session_resume - `out` has room: call those who wait, as far as they have windows. */
void
push_h2_session_resume(struct push_h2_session *session);

/* push_h2_session_was_flooded - whether the client has sent too much that brings nothing: the connection ends for it. */
bool
push_h2_session_was_flooded(const struct push_h2_session *session);

/* push_h2_session_has_begun - whether the client's preface and its SETTINGS have come. */
bool
push_h2_session_has_begun(const struct push_h2_session *session);

/* push_h2_session_in_head - whether a head has begun and not ended. */
bool
push_h2_session_in_head(const struct push_h2_session *session);

/* push_h2_session_stream_count - streams that are open. */
size_t
push_h2_session_stream_count(const struct push_h2_session *session);

/* push_h2_session_is_over - nothing more is to be read, and what is to be written is in `out`. */
bool
push_h2_session_is_over(const struct push_h2_session *session);

/* push_h2_session_announce_end - GOAWAY without an end: a client that sees it opens streams elsewhere (RFC 9113, 6.8). */
void
push_h2_session_announce_end(struct push_h2_session *session);

/* push_h2_session_end - GOAWAY with the last stream that is served; those that are open go on. */
void
push_h2_session_end(struct push_h2_session *session);

/* push_h2_session_fail - GOAWAY with this error (NGHTTP2_NO_ERROR ...), behind which the connection is to be closed. */
void
push_h2_session_fail(struct push_h2_session *session, uint32_t error_code);

/* --- streams --- */

/*
 * push_h2_stream_answer - the whole answer.
 *
 * @lines: push_h2_answer_append(); changed in place.  @body: copied; without bytes: none follows.
 * Returns false when memory is out; the stream is reset then.
 */
bool
push_h2_stream_answer(struct push_h2_stream *stream, struct push_buf *lines, struct push_str body);

/* push_h2_stream_begin - an answer whose body follows, by _append(). */
bool
push_h2_stream_begin(struct push_h2_stream *stream, struct push_buf *lines);

/* push_h2_stream_begin_pulled - likewise by _pull(): nothing is kept between two of them. */
bool
push_h2_stream_begin_pulled(struct push_h2_stream *stream, struct push_buf *lines);

/* push_h2_stream_inform - an answer of 1xx before that (RFC 9110, 15.2). */
void
push_h2_stream_inform(struct push_h2_stream *stream, struct push_buf *lines);

/* push_h2_stream_append - more of the body; copied.  Returns false when it does not fit. */
bool
push_h2_stream_append(struct push_h2_stream *stream, const char *bytes, size_t size);

/* push_h2_stream_finish - the body ends behind what was appended. */
void
push_h2_stream_finish(struct push_h2_stream *stream);

/* push_h2_stream_unsent - bytes that were appended and have no window yet, or no room. */
size_t
push_h2_stream_unsent(const struct push_h2_stream *stream);

/* Fills `to` with up to `max` bytes of a body; returns how many. */
typedef size_t (*push_h2_fill_fn)(void *context, char *to, size_t max);

/*
 * push_h2_stream_pull - take what there is into `out`, as far as there are a window and room.
 *
 * @size: there is no more than that.  @fill: called within this call only, as often as there is more room.
 * Returns false if the connection is beyond use.
 */
bool
push_h2_stream_pull(struct push_h2_stream *stream, size_t size, push_h2_fill_fn fill, void *context);

/* push_h2_stream_wait - it has more to write: handler->writable() when there is a window and room. */
void
push_h2_stream_wait(struct push_h2_stream *stream);

/* push_h2_stream_is_waiting - whether that is to come. */
bool
push_h2_stream_is_waiting(const struct push_h2_stream *stream);

/* push_h2_stream_linger - on: if the answer is out before the request is over, handler->writable() is called, and whoever has it
 * gives the client some time to end its part; otherwise the stream is reset then (RFC 9113, 8.1). */
void
push_h2_stream_linger(struct push_h2_stream *stream, bool on);

/* push_h2_stream_is_answered - whether all of the answer is out. */
bool
push_h2_stream_is_answered(const struct push_h2_stream *stream);

/* push_h2_stream_discard - bytes that nobody wants: the client may not send more for them on this stream. */
void
push_h2_stream_discard(struct push_h2_stream *stream, size_t size);

/* push_h2_stream_poke - handler->writable(), with the next push_h2_session_run(). */
void
push_h2_stream_poke(struct push_h2_stream *stream);

/* push_h2_stream_has_window, _has_room - what it waits for. */
bool
push_h2_stream_has_window(const struct push_h2_stream *stream);
bool
push_h2_stream_has_room(const struct push_h2_stream *stream);

/* push_h2_stream_reset - end it without regard to what was appended. */
void
push_h2_stream_reset(struct push_h2_stream *stream, uint32_t error_code);

/* push_h2_stream_consume - the client may send so many more bytes. */
void
push_h2_stream_consume(struct push_h2_stream *stream, size_t size);

#endif
