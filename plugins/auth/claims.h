/*
 * claims.h - from the payload of a verified token to an identity.
 *
 *   exp, nbf, iat    whole numbers of seconds since 1970, not below 0 (RFC 7519, 4.1)
 *   iss, aud         as push.auth.issuer and push.auth.audience ask for
 *   sub, jti         the user, and the token's own name
 *   push             {"subscribe":[pattern],"publish":[pattern],"history":[pattern],"channels":[name]}
 *   mercure          {"subscribe":[selector],"publish":[selector]}; a right to subscribe includes history, as
 *                    with Mercure
 *
 * The rights of both claims are added up.  Everything else is ignored, except that a member of `push` which is one
 * of the four misspelt is an error, and that no member may come twice.
 *
 * Clocks differ: `exp`, `nbf` and `iat` are taken with push.auth.leeway.  An identity ends at exp + leeway, so
 * that a connection accepted within the leeway is not closed at once.
 */
#ifndef PUSH_AUTH_CLAIMS_H
#define PUSH_AUTH_CLAIMS_H

#include <stdint.h>

#include "core/identity.h"
#include "core/options.h"
#include "core/str.h"
#include "token_refusal.h"

/* What time it is. */
struct push_claims_clock {
	uint64_t wall_us; /* since 1970 */
	uint64_t now_us;  /* monotonic: an identity's expires_us is in it */
};

/*
 * push_claims_read - the identity that a payload describes.
 *
 * @signer: of the key that has signed the token; 0: the payload is an answer of the application, not a token's.
 *
 * Returns PUSH_TOKEN_OK with one reference in *ret_identity; otherwise why not, with a line for the client in
 * `error`, which names the claim.
 */
enum push_token_refusal PUSH_MUST_USE
push_claims_read(struct push_str payload, const struct push_options *options,
	const struct push_claims_clock *clock, uint64_t signer, const struct push_identity **ret_identity,
	struct push_error *error);

#endif
