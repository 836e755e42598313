/*
 * granted.h - the rights that an option grants to clients without a token:
 *
 *   public:** publish=feedback history=news
 *
 * Patterns (core/pattern.h) with spaces or commas between them; one without a word is for subscribing and for
 * history.
 */
#ifndef PUSH_AUTH_GRANTED_H
#define PUSH_AUTH_GRANTED_H

#include "core/identity.h"

/*
 * push_granted_add - all of a list, to an identity that is being made.
 *
 * Errors: PUSH_INVALID with the pattern in `error`; PUSH_TOO_MANY, likewise; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_granted_add(struct push_identity_builder *builder, const char *patterns, struct push_error *error);

#endif
