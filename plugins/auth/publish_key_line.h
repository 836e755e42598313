/*
 * publish_key_line.h - one line of the file push.publish.keys:
 *
 *   NAME SHA256 PATTERNS [rate=COUNT/UNIT] [bytes=SIZE/UNIT]
 *
 *   shop   9f86d0...0f00a08  orders:*,news           rate=100/s bytes=1mb/s
 *
 * NAME is 1 to PUSH_PUBLISH_KEY_NAME_BYTES_MAX letters, digits and . _ -; SHA256 is that of the key's bytes, in
 * 64 hexadecimal digits; PATTERNS are separated by commas (core/pattern.h); UNIT is s, m or h.  Spaces and tabs
 * stand between the words; a word that begins with # begins a comment.
 */
#ifndef PUSH_AUTH_PUBLISH_KEY_LINE_H
#define PUSH_AUTH_PUBLISH_KEY_LINE_H

#include <stdint.h>

#include "core/quota.h"
#include "core/status.h"
#include "core/str.h"
#include "limits.h"

#define PUSH_PUBLISH_KEY_DIGEST_BYTES 32

/* Texts are in the line. */
struct push_publish_key_line {
	struct push_str name, patterns;
	unsigned char digest[PUSH_PUBLISH_KEY_DIGEST_BYTES];
	struct push_rate messages, bytes;
};

/*
 * push_publish_key_line_parse - read a line, without its end.
 *
 * What is wrong is a static text: it repeats nothing, for somebody may have written the key itself.
 * Errors: PUSH_NOT_FOUND for a line with nothing but blanks and a comment; PUSH_INVALID with *ret_why.
 */
enum push_status PUSH_MUST_USE
push_publish_key_line_parse(struct push_str line, struct push_publish_key_line *ret, const char **ret_why);

/* push_publish_key_line_next - take what stands in front of the next comma off a list.  Returns false at its end;
 * an empty part is one, too. */
bool
push_publish_key_line_next(struct push_str *list, struct push_str *ret_pattern);

#endif
