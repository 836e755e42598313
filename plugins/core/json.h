/*
 * json.h - JSON that comes in from clients, and the little that goes out.
 *
 * The value of a message is passed on as the publisher wrote it, without the white space between tokens: it
 * is valid by RFC 8259 (jsonscan.h) and has no raw line break, which SSE relies on.
 */
#ifndef PUSH_CORE_JSON_H
#define PUSH_CORE_JSON_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"
#include "channels.h"
#include "options.h"
#include "status.h"

struct push_trace;
struct push_tracker;

/* What one publish asks for.  Owned by whoever called push_publication_parse(), as long as the body is there.
 */
struct push_publication {
	const char *channel; /* a valid name; in the body, or in channel_copy */
	size_t channel_size;
	const char *value; /* JSON text, compact; in the body, or in value_copy */
	size_t value_size;
	uint64_t ttl_us;              /* how long it may be kept; 0: as long as others of its channel */
	struct push_tracker *tracker; /* who wants to know when it is written (tracker.h); NULL: nobody */
	const struct push_trace
		*trace;          /* of the span whose message it is (trace/tracer.h); NULL: not traced */
	const char *traceparent; /* what the member of that name says, borrowed; NULL: nothing */
	size_t traceparent_size;
	const char *once; /* an id, borrowed: published once, however often it is asked for; NULL: none */
	size_t once_size; /* up to PUSH_ONCE_BYTES_MAX */
	struct push_channels channels; /* of `channels`: all of them, the first one is `channel`, too */
	struct push_buf channel_copy, value_copy; /* only where the body's text had to be changed */
};

/*
 * push_publication_parse - read `{"channel":"qwerty","message":ANY}`.
 *
 * `traceparent` is a string, and whose trace the message belongs to; it is looked for where push.trace.url is
 * set.  In place of `channel` there may be `channels`, an array of up to push.channels.max names, of which
 * duplicates collapse.  `ttl` is a duration as in options, or a number of milliseconds.
 * @options: the limits of channel names.
 * On success the caller owes push_publication_fini().  Errors: PUSH_INVALID with what is wrong in `error`,
 * PUSH_OUT_OF_MEMORY; nothing is owed then.
 * Other members are ignored, but for one that is a known one misspelt (push_json_scan_request); of a member
 * that comes twice the last one counts.
 */
enum push_status PUSH_MUST_USE
push_publication_parse(struct push_publication *ret_publication, const char *body, size_t size,
	const struct push_options *options, struct push_error *error);

void
push_publication_fini(struct push_publication *publication);

/* What a WebSocket client may say.  X(name, event) */
#define PUSH_COMMAND_MAP(X)                                                                                  \
	X(PING, "ping")                                                                                      \
	X(PONG, "pong")                                                                                      \
	X(RESUME, "resume")                                                                                  \
	X(ACK, "ack")                                                                                        \
	X(SUBSCRIBE, "subscribe")                                                                            \
	X(UNSUBSCRIBE, "unsubscribe")                                                                        \
	X(PUBLISH, "publish")                                                                                \
	X(AUTH, "auth")

enum push_command_kind {
#define X(name, event) PUSH_COMMAND_##name,
	PUSH_COMMAND_MAP(X)
#undef X
		PUSH_COMMAND_UNKNOWN /* an event that the server does not know, or no event at all: ignored */
};

struct push_command {
	enum push_command_kind kind;
	const char *data; /* JSON text, in what was parsed; NULL: none */
	size_t data_size;
};

/*
 * push_command_parse - read `{"event":"resume","data":{...}}`.
 *
 * Errors: PUSH_INVALID when it is no JSON object, with what is wrong in `error`; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_command_parse(struct push_command *ret_command, const char *text, size_t size, struct push_error *error);

/*
 * push_command_text - a member of a command's data that is a plain string, without its quotes, borrowed.
 *
 * For what has no need of escapes, such as an id.  Returns false where there is none.
 */
bool
push_command_text(
	const struct push_command *command, const char *name, const char **ret_text, size_t *ret_size);

/* push_json_append_string - append text as a JSON string with its quotes; the text is valid UTF-8. */
void
push_json_append_string(struct push_buf *buf, const char *text, size_t size);

/* push_json_append_escaped - the same without the quotes. */
void
push_json_append_escaped(struct push_buf *buf, const char *text, size_t size);

/* push_json_append_error - append `{"error":"text"}`. */
void
push_json_append_error(struct push_buf *buf, const char *text);

#endif
