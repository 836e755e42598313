/*
 * json.h - JSON that comes in from clients, and the little that goes out.
 *
 * json-c checks the grammar, bounds the depth and decodes strings.  The value of a message is not written
 * out again from its tree, though: json-c would turn 12345678901234567890123 into the largest number that
 * it can hold, and 1.0e2 into its own spelling.  Instead the text of the value is copied from the body,
 * without the white space between tokens, by a small lexer that also refuses what json-c lets pass even when
 * strict: control characters in strings, single quotes, NaN, Infinity, `1.` and `-01`.  So each message
 * arrives as the publisher wrote it, is valid by RFC 8259, and has no raw line break, which SSE relies on.
 */
#ifndef PUSH_CORE_JSON_H
#define PUSH_CORE_JSON_H

#include <stddef.h>

#include "buf.h"
#include "options.h"
#include "status.h"

struct json_object;

/* What one publish asks for.  Owned by whoever called push_publication_parse(). */
struct push_publication {
	const char *channel; /* a valid name, borrowed from `tree` */
	size_t channel_size;
	struct push_buf value;    /* JSON text, compact */
	struct json_object *tree; /* internal */
};

/*
 * push_publication_parse - read `{"channel":"qwerty","message":ANY}`.
 *
 * @options: the limits of channel names.
 * On success the caller owes push_publication_fini().  Errors: PUSH_INVALID with what is wrong in `error`,
 * PUSH_OUT_OF_MEMORY; nothing is owed then.
 * Other members are ignored; of a member that comes twice the last one counts.
 */
enum push_status PUSH_MUST_USE
push_publication_parse(struct push_publication *ret_publication, const char *body, size_t size,
	const struct push_options *options, struct push_error *error);

void
push_publication_fini(struct push_publication *publication);

/* What a WebSocket client may say. */
enum push_command {
	PUSH_COMMAND_PING,
	PUSH_COMMAND_PONG,
	PUSH_COMMAND_UNKNOWN, /* an event that the server does not know, or no event at all: ignored */
};

/*
 * push_command_parse - read `{"event":"ping"}`.
 *
 * Errors: PUSH_INVALID when it is no JSON object.
 */
enum push_status PUSH_MUST_USE
push_command_parse(enum push_command *ret_command, const char *text, size_t size, struct push_error *error);

/* push_json_append_string - append text as a JSON string with its quotes; the text is valid UTF-8. */
void
push_json_append_string(struct push_buf *buf, const char *text, size_t size);

/* push_json_append_error - append `{"error":"text"}`. */
void
push_json_append_error(struct push_buf *buf, const char *text);

#endif
