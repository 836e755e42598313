/*
 * encoding.h - what the clients of each transport read: messages and control frames as bytes.
 *
 * This is the one place that knows the texts of the contract.  A new kind of client needs a row in
 * PUSH_ENCODING_MAP and its cases in encoding.c.
 */
#ifndef PUSH_CORE_ENCODING_H
#define PUSH_CORE_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "status.h"

/* X(name, label in metrics) */
#define PUSH_ENCODING_MAP(X)                                                                                 \
	X(WS, "ws")                                                                                          \
	X(SSE, "sse")

enum push_encoding {
#define X(name, label) PUSH_ENCODING_##name,
	PUSH_ENCODING_MAP(X)
#undef X
		PUSH_ENCODING_COUNT
};

/* What the server says beside messages.  Not every transport has all of them. */
enum push_control {
	PUSH_CONTROL_HEARTBEAT, /* ws: a JSON ping and a protocol PING in one; sse: event:heartbeat */
	PUSH_CONTROL_RECONNECT,
	PUSH_CONTROL_PONG, /* ws only */
	PUSH_CONTROL_GAP,  /* messages may have been missed before it */
	PUSH_CONTROL_COUNT
};

/*
 * Why a connection ends.  X(name, label in metrics, WebSocket close code or 0 for none)
 * Codes: RFC 6455, 7.4.1; 1013 "try again later" is in its IANA registry; 4401 and 4403 are
 * for private use, and say what the HTTP status without the 4000 does.
 */
#define PUSH_CLOSE_REASON_MAP(X)                                                                             \
	X(CLIENT, "client", 1000)                   /* the client closed */                                  \
	X(LIFETIME, "lifetime", 1001)               /* the end of its lifetime */                            \
	X(DRAIN, "drain", 1001)                     /* the server is going away */                           \
	X(NO_PONG, "no_pong", 1001)                 /* silent for longer than the grace period */            \
	X(NO_ACK, "no_ack", 1001)                   /* it acknowledges nothing, however often it is sent */  \
	X(BROKER, "broker", 1013)                   /* the broker cannot tell where it is to begin */        \
	X(SLOW, "slow", 1013)                       /* more waits for it than it may */                      \
	X(MEMORY, "memory", 1013)                   /* likewise, while memory is short */                    \
	X(REFUSED, "refused", 1008)                 /* its request names no channels, or bad ones */         \
	X(PUT_OFF, "refused", 1013)                 /* there is no room for its channels now */              \
	X(UNAUTHENTICATED, "unauthenticated", 4401) /* it shows no token, or one that is not valid */        \
	X(FORBIDDEN, "forbidden", 4403) /* it may not do what it asks for, or is not wanted any more */      \
	X(BAD_DATA, "error", 1007)      /* it sent what is not JSON */                                       \
	X(BINARY, "error", 1003)        /* it sent a binary message */                                       \
	X(TOO_LARGE, "error", 1009)     /* it sent too large a message */                                    \
	X(PROTOCOL, "error", 1002)      /* it broke the rules of the WebSocket protocol */                   \
	X(FAULT, "error", 1011)         /* memory is out, or the socket failed */

enum push_close_reason {
#define X(name, label, code) PUSH_CLOSE_##name,
	PUSH_CLOSE_REASON_MAP(X)
#undef X
		PUSH_CLOSE_REASON_COUNT
};

/* push_encoding_label - "ws" or "sse", for metrics and logs. */
const char *
push_encoding_label(enum push_encoding encoding);

/* push_close_reason_label - for metrics and logs; several reasons may share a label. */
const char *
push_close_reason_label(enum push_close_reason reason);

/*
 * push_encoding_has_answers - whether a client of this kind must answer a heartbeat and a Close frame.
 * An EventSource cannot send anything.
 */
bool
push_encoding_has_answers(enum push_encoding encoding);

/* `{"channel":"qwerty","message":"hello"`, without the brace that closes it: an id may follow. */
struct push_message_data {
	const char *bytes; /* borrowed */
	size_t size;
	struct push_frame
		*text; /* behind the bytes, borrowed: a large message (frame.h); NULL: it is in bytes */
};

/*
 * push_encoding_message - a message as this kind of client reads it.
 *
 * @data: the JSON object with channel and message.
 * @id: of a channel with history (position.h); id_size 0: none.
 * Returns a frame with one reference, or NULL when memory is out.
 */
struct push_frame *
push_encoding_message(enum push_encoding encoding, const struct push_message_data *data, const char *id,
	size_t id_size, uint64_t accepted_us);

/* push_encoding_message_data - such a frame's `data`.  @id_size: as it was made with. */
struct push_message_data
push_encoding_message_data(enum push_encoding encoding, const struct push_frame *frame, size_t id_size);

/*
 * push_encoding_event - what is no message and not the same for everybody.
 *
 * @name: of the event.  @data: a JSON object.  @id: for SSE, the position that it brings; id_size 0: none.
 */
struct push_frame *
push_encoding_event(enum push_encoding encoding, const char *name, const char *data, size_t data_size,
	const char *id, size_t id_size);

/*
 * push_encoding_heartbeat - a heartbeat that tells the client its position.
 *
 * @retry_ms: how long an EventSource shall wait before it connects again; 0: it is not told.
 */
struct push_frame *
push_encoding_heartbeat(enum push_encoding encoding, const char *id, size_t id_size, unsigned int retry_ms);

/* push_encoding_new_ping - a WebSocket's ping that says that its client's name is not known (durable.h).
 *
 * @id: its position; id_size 0: none.
 */
struct push_frame *
push_encoding_new_ping(const char *id, size_t id_size);

/* push_encoding_control - likewise for a control frame; NULL also where the transport has no such frame. */
struct push_frame *
push_encoding_control(enum push_encoding encoding, enum push_control control);

/*
 * push_encoding_close - the frame that announces the end: a Close frame with `reason`'s code, or the last chunk
 * of an event stream.
 *
 * NULL where there is none: an event stream that is cut off, since its client was slow or memory is out.
 */
struct push_frame *
push_encoding_close(enum push_encoding encoding, enum push_close_reason reason);

/* push_encoding_close_code - likewise with a code of RFC 6455, 7.4. */
struct push_frame *
push_encoding_close_code(enum push_encoding encoding, unsigned int code);

/* push_encoding_pong - the answer to a client's protocol PING, with its payload; NULL as above. */
struct push_frame *
push_encoding_pong(enum push_encoding encoding, const void *payload, size_t size);

/* push_encoding_error - `{"error":"text"}` for a client that is about to be closed; NULL as above. */
struct push_frame *
push_encoding_error(enum push_encoding encoding, const char *text);

/* push_encoding_last_error - likewise, for a stream that has begun: `event:error` to an EventSource. */
struct push_frame *
push_encoding_last_error(enum push_encoding encoding, const char *text);

#endif
