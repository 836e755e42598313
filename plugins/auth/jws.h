/*
 * jws.h - is this token signed by one of our keys?
 *
 * A token is a JWS in compact form (RFC 7515, 7.1), and stricter than it might be: three parts in base64url
 * without padding, at most PUSH_TOKEN_BYTES_MAX; a header in which no member comes twice, with an `alg` that is
 * its key's (key.h).  `typ`, if it is there, is that of a JWT or an access token, so that a JWT made for
 * another purpose is refused (RFC 8725, 3.11).  Extensions (`crit`, `b64`) are refused, and so are tokens that bring
 * their own key or say where it is (`jwk`, `jku`, `x5u`).
 *
 * The payload is not interpreted here: claims.h does that.
 */
#ifndef PUSH_AUTH_JWS_H
#define PUSH_AUTH_JWS_H

#include <stddef.h>

#include "base64url.h"
#include "core/options.h"
#include "core/str.h"
#include "key_set.h"
#include "limits.h"
#include "token_refusal.h"

struct push_jws {
	uint64_t signer; /* the key that has signed it (push_key_signer) */
	size_t payload_size;
	char payload[PUSH_BASE64URL_DECODED_BYTES(PUSH_TOKEN_BYTES_MAX)];
};

/*
 * push_jws_verify - check a token's form and its signature.
 *
 * @sets: as for push_key_set_find().
 * Returns PUSH_TOKEN_OK with the payload in `jws`; otherwise why not, with a line for the client in `error`.
 * PUSH_TOKEN_UNKNOWN_KEY: it names a key that is in no set, or there is none of its algorithm; newer sets may
 * have it.
 */
enum push_token_refusal PUSH_MUST_USE
push_jws_verify(const struct push_key_set *const *sets, size_t set_count, struct push_str token,
	struct push_jws *jws, struct push_error *error);

#endif
