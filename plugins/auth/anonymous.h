/*
 * anonymous.h - the rights of clients without credentials: push.auth.anonymous (granted.h).
 */
#ifndef PUSH_AUTH_ANONYMOUS_H
#define PUSH_AUTH_ANONYMOUS_H

#include "core/identity.h"

/*
 * push_anonymous_create - the identity that all these clients share.
 *
 * @reads_all: they may subscribe and read history anywhere, too.
 * Errors: PUSH_INVALID with the option and the pattern in `error`; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_anonymous_create(const char *patterns, bool reads_all, const struct push_identity **ret_identity,
	struct push_error *error);

#endif
