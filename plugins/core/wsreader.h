/*
 * wsreader.h - WebSocket frames that a client sends (RFC 6455, 5), from bytes as they come off a socket.
 *
 * The caller owns the bytes and asks for one event after the other; the reader unmasks in place and points
 * into the caller's bytes wherever a message or control frame lies in them as a whole, so that usually
 * nothing is copied and nothing is kept.  What spans several reads is kept in the reader, the data message in
 * a buffer with the limit of push.client.message.max.size.
 *
 *   bytes ─▶ header (2 to 14 bytes) ─▶ payload ─▶ message | ping | pong | close | fault
 *               │ RSV bits, unknown opcode, no mask, long or cut control frame,     1002
 *               │ continuation without a start, start inside a message
 *               │ binary: Push speaks text only                                     1003
 *               │ text that is no UTF-8, found at the first bad byte                1007
 *               └ longer than the limit, found by the header                        1009
 *
 * An idle connection needs no reader at all: push_ws_reader_is_idle() says when everything in it is the state
 * of a new one.
 */
#ifndef PUSH_CORE_WSREADER_H
#define PUSH_CORE_WSREADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "encoding.h"
#include "wsframe.h"

enum push_ws_event_kind {
	PUSH_WS_EVENT_NONE,    /* the bytes are used up; more are needed */
	PUSH_WS_EVENT_MESSAGE, /* a whole text message, valid UTF-8 */
	PUSH_WS_EVENT_PING,    /* to be answered with the same payload */
	PUSH_WS_EVENT_PONG,
	PUSH_WS_EVENT_CLOSE, /* the client's Close frame; `code` is what to answer, payload its reason */
	PUSH_WS_EVENT_FAULT, /* the connection is to be failed with `code`; nothing more is read */
};

struct push_ws_event {
	enum push_ws_event_kind kind;
	const unsigned char *bytes; /* the payload; borrowed until the next call */
	size_t size;
	unsigned int code; /* RFC 6455, 7.4.1.  Of a Close without a code: 1000 (7.1.5 calls it 1005) */
};

struct push_ws_reader {
	uint64_t left;        /* payload of this frame that has not come */
	struct push_buf text; /* of a message in pieces */
	size_t text_checked;  /* of it, bytes that are known to be whole UTF-8 sequences */
	uint8_t header[14];   /* of a frame, as far as it has come */
	uint8_t header_size;
	uint8_t mask_at; /* which byte of the mask is next */
	uint8_t control_size;
	bool in_payload; /* the header is whole */
	bool in_message; /* a text message has begun and its last fragment has not */
	bool failed;     /* a fault or a Close was reported */
	bool discards;   /* messages are read and thrown away */
	uint8_t control[PUSH_WS_CONTROL_BYTES_MAX]; /* payload of a control frame in pieces */
};

/* push_ws_reader_init - a reader at the start of a connection; owns nothing yet.  @message_bytes_max: the
 * limit. */
void
push_ws_reader_init(struct push_ws_reader *reader, size_t message_bytes_max);

/* push_ws_reader_fini - free a message that was not finished. */
void
push_ws_reader_fini(struct push_ws_reader *reader);

/*
 * push_ws_reader_next - the next event in the bytes.
 *
 * @bytes, @size: what has come; advanced past what was used, and unmasked in place.
 * To be called until it gives PUSH_WS_EVENT_NONE, which means *size is 0.  After a fault or a Close it gives
 * nothing else any more and throws all bytes away.  When memory is out: a fault with code 1011.
 */
struct push_ws_event
push_ws_reader_next(struct push_ws_reader *reader, unsigned char **bytes, size_t *size);

/* push_ws_reader_discard - keep no message from now on, nor what has come of one: our own Close frame is on
 * its way, and of the client only its answer counts (RFC 6455, 1.4). */
void
push_ws_reader_discard(struct push_ws_reader *reader);

/* push_ws_reader_is_idle - whether nothing has begun: a new reader would do as well. */
bool
push_ws_reader_is_idle(const struct push_ws_reader *reader);

#endif
