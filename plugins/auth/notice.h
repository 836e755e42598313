/*
 * notice.h - the message between nodes when an operator revokes tokens or ends connections: the text of an engine's
 * notice (broker/engine.h).
 *
 *   {"revoke":{"user":"u"},"before":1700000000,"until":1700086400}
 *   {"disconnect":{"channel":"news"},"before":1700000000}
 *
 *   revoke       user, jti, key                   refuse its tokens, and close connections opened with them
 *   disconnect   user, jti, key, channel, client  close its connections; they may come back
 *   before       revoke: only tokens issued (`iat`) before that Unix second; disconnect: only connections that
 *                began before it; without it: whenever
 *   until        the Unix second until which a revocation is remembered: the end of the last token that it
 *                covers
 *
 * Anyone with access to the broker's server can send one.  The form is canonical: a text with other members, white
 * space, another order or a repeated member is refused.
 */
#ifndef PUSH_AUTH_NOTICE_H
#define PUSH_AUTH_NOTICE_H

#include "core/buf.h"
#include "core/options.h"
#include "core/status.h"
#include "core/str.h"

/* X(NAME, word of the text) */
#define PUSH_NOTICE_ACT_MAP(X)                                                                               \
	X(REVOKE, "revoke")                                                                                  \
	X(DISCONNECT, "disconnect")

#define PUSH_NOTICE_BY_MAP(X)                                                                                \
	X(USER, "user")                                                                                      \
	X(TOKEN_ID, "jti")                                                                                   \
	X(KEY, "key")                                                                                        \
	X(CHANNEL, "channel")                                                                                \
	X(CLIENT, "client")

enum push_notice_act {
#define X(name, word) PUSH_NOTICE_##name,
	PUSH_NOTICE_ACT_MAP(X)
#undef X
		PUSH_NOTICE_ACT_COUNT
};

enum push_notice_by {
#define X(name, word) PUSH_NOTICE_BY_##name,
	PUSH_NOTICE_BY_MAP(X)
#undef X
		PUSH_NOTICE_BY_COUNT
};

/* As long as any name of those. */
#define PUSH_NOTICE_NAME_BYTES_MAX 255

/* The end of the year 9999. */
#define PUSH_NOTICE_SECONDS_MAX 253402300799ll

/* `before` where it is not limited. */
#define PUSH_NOTICE_WHENEVER INT64_MAX

struct push_notice {
	enum push_notice_act act;
	enum push_notice_by by;
	int64_t before_s; /* 0 to PUSH_NOTICE_SECONDS_MAX, or PUSH_NOTICE_WHENEVER */
	int64_t until_s;  /* of PUSH_NOTICE_REVOKE; else 0 */
	size_t name_size; /* 1 to PUSH_NOTICE_NAME_BYTES_MAX */
	char name[PUSH_NOTICE_NAME_BYTES_MAX + 1];
};

/*
 * push_notice_name - set whom a notice is about; the name is copied.
 *
 * Errors: PUSH_INVALID, with what is wrong in `error`: empty, too long, not UTF-8.
 */
enum push_status PUSH_MUST_USE
push_notice_name(
	struct push_notice *notice, enum push_notice_by by, struct push_str name, struct push_error *error);

/* push_notice_before - the `before` of a notice that does not say one: tokens issued in this second count. */
int64_t
push_notice_before(int64_t wall_s);

/* push_notice_until - the `until` for tokens that expire at `expires_s`, which are accepted for as long as clocks
 * may be apart (push.auth.leeway). */
int64_t
push_notice_until(int64_t expires_s, uint64_t leeway_us);

/* push_notice_print - append the text.  Failure shows in to->status. */
void
push_notice_print(struct push_buf *to, const struct push_notice *notice);

/*
 * push_notice_parse - read a text, which may be anything.
 *
 * Errors: PUSH_INVALID, with what is wrong in `error`; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_notice_parse(struct push_notice *ret_notice, const char *text, size_t size, struct push_error *error);

#endif
