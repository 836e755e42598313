/*
 * identity_text.h - an identity as JSON, for another node: what a ticket stands for (tickets.h).
 *
 *   {"v":1,"sub":"u","jti":"j","key":"k","iat":1700000000,"exp_ms":1700003600000,"signer":1,
 *    "channels":"a,b","subscribe":"...","publish":"...","history":"..."}
 *
 * Members without a value are left out.  Patterns are in compiled form (core/identity.h).  Times are wall-clock
 * times, because monotonic clocks differ between machines.
 */
#ifndef PUSH_AUTH_IDENTITY_TEXT_H
#define PUSH_AUTH_IDENTITY_TEXT_H

#include <stdint.h>

#include "core/buf.h"
#include "core/identity.h"

/* What a text may take: names and patterns whose bytes are all escaped, and the members' names and numbers. */
#define PUSH_IDENTITY_TEXT_BYTES_MAX                                                                         \
	(6 * (2 * PUSH_USER_BYTES_MAX + PUSH_TOKEN_ID_BYTES_MAX + PUSH_IDENTITY_BYTES_MAX) + 512)

/*
 * push_identity_text_print - append it.  Failure shows in to->status.
 *
 * @identity: not push_identity_everybody(), and not one of those who have shown nothing (is_anonymous): neither has
 * anything to be passed on.
 */
void
push_identity_text_print(
	struct push_buf *to, const struct push_identity *identity, uint64_t now_us, uint64_t wall_us);

/*
 * push_identity_text_parse - make an identity of a text.  One that is over expires now.
 *
 * @ticket: that it was kept by, which is in URLs and so may not publish; without bytes: none.
 *
 * Errors: PUSH_INVALID: it is none; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_identity_text_parse(const struct push_identity **ret_identity, const char *text, size_t size,
	struct push_str ticket, uint64_t now_us, uint64_t wall_us);

#endif
