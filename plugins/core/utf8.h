/*
 * utf8.h - is this text well-formed UTF-8 (RFC 3629, the table of Unicode 3.9 D92)?
 *
 * Overlong forms, surrogates (U+D800..U+DFFF) and anything over U+10FFFF are not.  A WebSocket client must
 * fail the connection at the first such byte (RFC 6455 8.1), so none may ever be passed on.
 */
#ifndef PUSH_CORE_UTF8_H
#define PUSH_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* push_utf8_is_valid - whether all `size` bytes are whole, well-formed sequences; true for no bytes. */
bool
push_utf8_is_valid(const char *text, size_t size);

/*
 * push_utf8_take - how much of a text that still grows is valid.
 *
 * Sets *ret_size to the length of its whole sequences.  Returns false where what follows them is not the
 * beginning of a sequence, so that nothing that could come would make the text valid.
 */
bool
push_utf8_take(const char *text, size_t size, size_t *ret_size);

/*
 * push_utf8_cut - the longest length up to `max` that does not end inside a sequence; `size` where that fits.
 *
 * For valid text only; used where a message for a person repeats part of a value.
 */
size_t
push_utf8_cut(const char *text, size_t size, size_t max);

/* push_utf8_has_control - whether a text has a control character: C0, DEL or C1, which is C2 80 to C2 9F. */
bool
push_utf8_has_control(const char *text, size_t size);

#endif
