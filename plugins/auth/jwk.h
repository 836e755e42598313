/*
 * jwk.h - a key in JSON (RFC 7517; RFC 7518, 6; RFC 8037, 2).
 */
#ifndef PUSH_AUTH_JWK_H
#define PUSH_AUTH_JWK_H

#include "key.h"

/*
 * push_jwk_read - the key that one JWK describes.
 *
 * A private key is refused, although its public part would suffice: a server that only verifies does not need it,
 * and anyone who reads it there can make tokens.
 * Errors: PUSH_NOT_FOUND for a key that is not for us: of a kind, a curve or an algorithm that is not
 * supported, or one that `use` or `key_ops` keep from verifying; PUSH_INVALID for a malformed, a weak or a
 * private one; both with a line in `error`.  PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_jwk_read(struct push_str text, struct push_key **ret_key, struct push_error *error);

#endif
