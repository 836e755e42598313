/*
 * pem.h - keys in PEM (RFC 7468): `PUBLIC KEY`, `RSA PUBLIC KEY`, and `CERTIFICATE`, of which the public key is
 * taken and neither the dates nor the issuer are looked at.
 */
#ifndef PUSH_AUTH_PEM_H
#define PUSH_AUTH_PEM_H

#include "key.h"

/*
 * push_pem_read - the keys of a text, in its order; what stands between the blocks is ignored.
 *
 * @found: called for each, which it takes over; what it returns ends the reading if it is not PUSH_OK.
 * Errors: PUSH_INVALID for a text without a block, with one that is malformed, or with a private key;
 * PUSH_NOT_FOUND, PUSH_INVALID of a key that push_key_create() refuses; with a line in `error`.
 * PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_pem_read(struct push_str text, enum push_status (*found)(void *context, struct push_key *key),
	void *context, struct push_error *error);

#endif
