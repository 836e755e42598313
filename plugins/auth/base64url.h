/*
 * base64url.h - bytes as text, as RFC 7515 (2) has it: the alphabet of RFC 4648 (5) without padding.
 *
 * One text for each run of bytes: padding, white space, any other character and unused bits that are not zero
 * are refused: no token has a second spelling.
 */
#ifndef PUSH_AUTH_BASE64URL_H
#define PUSH_AUTH_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/str.h"

/* The bytes of a text of this length; and the length of a text for so many bytes, without a NUL. */
#define PUSH_BASE64URL_DECODED_BYTES(size) ((size) / 4 * 3 + (size) % 4 * 3 / 4)
#define PUSH_BASE64URL_ENCODED_BYTES(size) ((size) / 3 * 4 + ((size) % 3 * 4 + 2) / 3)

/*
 * push_base64url_decode - write the bytes of a text to `to`, which has room for `room`.
 *
 * Returns false for a malformed text, or one with more bytes than `room`; `to` may have been written to.
 */
bool
push_base64url_decode(struct push_str text, unsigned char *to, size_t room, size_t *ret_size);

/* push_base64url_encode - write the text of `size` bytes, PUSH_BASE64URL_ENCODED_BYTES(size), without a NUL. */
void
push_base64url_encode(const unsigned char *bytes, size_t size, char *to);

#endif
