/*
 * certificate.h - the identity of a client whose TLS certificate was verified: push.auth.certificate, and the rights
 * that push.auth.certificate.rights grants to all of them (granted.h), where {sub} is each one's name.
 *
 * It ends with its certificate, as a token does, so that no open connection outlives that.  It was issued when the
 * certificate's validity begins: a user whose rights were taken back needs a newer certificate.
 */
#ifndef PUSH_AUTH_CERTIFICATE_H
#define PUSH_AUTH_CERTIFICATE_H

#include <stdint.h>

#include "core/identity.h"
#include "core/options.h"

struct push_certificate {
	struct push_str user;
	int64_t issued_s;    /* since 1970 */
	uint64_t expires_us; /* monotonic */
};

/*
 * push_certificate_identify - a reference, in *ret_identity.
 *
 * @more: what the application grants besides, and until when at most; NULL: nothing.
 * Errors: PUSH_INVALID with the option and the pattern in `error`, which any certificate shows; PUSH_TOO_MANY: more
 * than an identity can have, with what the application grants; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_certificate_identify(const char *rights, const struct push_certificate *certificate,
	const struct push_identity *more, const struct push_identity **ret_identity,
	struct push_error *error);

#endif
