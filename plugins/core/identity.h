/*
 * identity.h - a client's user and rights: the result of a token, a key or an answer of the application, on which
 * all checks are based.
 *
 * An identity is immutable, and shared by reference count: by the connections of a token, by a publish in progress.
 * It is one allocation, including its texts.
 *
 * If nothing is configured (push.auth... and push.publish.keys), everybody is push_identity_everybody(), which may
 * do everything.  A NULL identity may do nothing, so that a forgotten argument fails closed.
 */
#ifndef PUSH_CORE_IDENTITY_H
#define PUSH_CORE_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "stats.h"
#include "status.h"
#include "str.h"

/* X(NAME, word): the word is the claim's, and that of texts and metrics. */
#define PUSH_RIGHT_MAP(X)                                                                                    \
	X(SUBSCRIBE, "subscribe")                                                                            \
	X(PUBLISH, "publish")                                                                                \
	X(HISTORY, "history")

enum push_right {
#define X(name, word) PUSH_RIGHT_##name,
	PUSH_RIGHT_MAP(X)
#undef X
		PUSH_RIGHT_COUNT
};

/* A user's name (a token's `sub`), and a token's id (`jti`), in bytes. */
#define PUSH_USER_BYTES_MAX     255
#define PUSH_TOKEN_ID_BYTES_MAX 255

/* Patterns and channels of one identity, and all of their bytes. */
#define PUSH_IDENTITY_PATTERNS_MAX 256
#define PUSH_IDENTITY_BYTES_MAX    8192

struct push_identity;

/* While one is made. */
struct push_identity_builder;

/* What an identity is besides its rights.  Texts are copied; without bytes: there is none. */
struct push_identity_facts {
	struct push_str user;     /* `sub`: may be in patterns, and is whom limits and revocations go by */
	struct push_str token_id; /* `jti` */
	struct push_str key_name; /* of a publish key, for the operator; else none */
	uint64_t expires_us;      /* monotonic; UINT64_MAX: never */
	int64_t issued_s;         /* `iat`, in Unix seconds; INT64_MIN: it does not say */
	struct push_str ticket;   /* that it was made of for one connection: a secret; else none */
	uint64_t signer;          /* of the key that has signed its token (key.h); 0: none has */
	bool is_anonymous;        /* of those who have shown nothing: a refusal is answered with 401 */
	bool asks_application; /* what it does not grant, the application is asked about (push.auth.hook.url) */
};

/*
 * push_identity_build - begin; NULL if out of memory or a text is too long.
 *
 * A user whose name is not well-formed UTF-8, or has a control character, fits no `{sub}`.
 */
struct push_identity_builder *
push_identity_build(const struct push_identity_facts *facts);

/*
 * push_identity_grant - add a pattern (pattern.h) to a right.
 *
 * Errors: PUSH_INVALID, with what is wrong with it in `error`; PUSH_TOO_MANY; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_identity_grant(struct push_identity_builder *builder, enum push_right right, struct push_str pattern,
	struct push_error *error);

/* push_identity_grant_template - likewise, of a Mercure topic selector (pattern.h), which so matches nothing
 * that Mercure would not. */
enum push_status PUSH_MUST_USE
push_identity_grant_template(struct push_identity_builder *builder, enum push_right right,
	struct push_str selector, struct push_error *error);

/*
 * push_identity_add_channel - a channel that its clients are subscribed to without asking; it may be
 * subscribed to, then, whatever the patterns say.
 *
 * Errors: as push_identity_grant(), of the name.
 */
enum push_status PUSH_MUST_USE
push_identity_add_channel(
	struct push_identity_builder *builder, struct push_str channel, struct push_error *error);

/*
 * push_identity_done - the identity, with one reference; the builder is freed.
 *
 * NULL if any allocation failed, also an earlier one: no identity has less than it was granted.
 */
struct push_identity *
push_identity_done(struct push_identity_builder *builder);

/* push_identity_with_ticket - the same one for a connection that this ticket has opened; a reference.  NULL when memory
 * is out. */
const struct push_identity *
push_identity_with_ticket(const struct push_identity *identity, struct push_str ticket);

/* push_identity_abandon - free a builder; NULL is allowed. */
void
push_identity_abandon(struct push_identity_builder *builder);

/* push_identity_everybody - the identity of all clients if nothing is configured.  Static; ref and unref do
 * nothing. */
const struct push_identity *
push_identity_everybody(void);

/* push_identity_ref - one reference more; NULL is allowed.  Returns `identity`. */
const struct push_identity *
push_identity_ref(const struct push_identity *identity);

/* push_identity_unref - one reference less; NULL is allowed. */
void
push_identity_unref(const struct push_identity *identity);

struct push_account;

/* push_identity_charge - one holder more, of those that an account of memory has: the first is charged for all. */
void
push_identity_charge(const struct push_identity *identity, struct push_account *account);

/* push_identity_discharge - one holder less. */
void
push_identity_discharge(const struct push_identity *identity, struct push_account *account);

/* push_identity_is_charged - whether there is a holder. */
bool
push_identity_is_charged(const struct push_identity *identity);

/* push_identity_may - whether it has this right for this channel; of NULL never. */
bool
push_identity_may(const struct push_identity *identity, enum push_right right, struct push_str channel);

/* push_identity_refusal - say that it has not: `no right to publish to 'news'`, and if nothing was shown,
 * `... without a token`. */
void
push_identity_refusal(const struct push_identity *identity, enum push_right right, struct push_str channel,
	struct push_error *error);

/* push_identity_status - of HTTP, of such a refusal: 401 for those who have shown nothing, else 403. */
unsigned int
push_identity_status(const struct push_identity *identity);

/* push_identity_refused_as - how it is counted. */
enum push_auth_refusal
push_identity_refused_as(const struct push_identity *identity);

/* push_identity_facts - what it was made of; texts are borrowed from it. */
struct push_identity_facts
push_identity_facts(const struct push_identity *identity);

/* push_identity_channels - the channels that its clients are subscribed to, joined by commas; borrowed. */
struct push_str
push_identity_channels(const struct push_identity *identity);

/*
 * push_identity_space - the name space that its idempotency keys, client names and quotas are in; borrowed.
 *
 * `u:USER` of a user, `k:NAME` of a publish key, empty of those who are neither, so that no two kinds meet,
 * whatever a user is called, and that nothing changes where nobody has to show anything.
 */
struct push_str
push_identity_space(const struct push_identity *identity);

/* An identity's rights as they are kept: channels joined by commas, and patterns compiled, each with a line feed
 * behind it.  Without bytes: there are none. */
struct push_identity_rights {
	struct push_str channels, patterns[PUSH_RIGHT_COUNT];
};

/* push_identity_rights - those of an identity, borrowed from it; not of push_identity_everybody(). */
struct push_identity_rights
push_identity_rights(const struct push_identity *identity);

/*
 * push_identity_restore - give a builder that has none yet the rights of another identity, which may have been kept
 * elsewhere.
 *
 * Errors: PUSH_INVALID: they cannot be those of an identity; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_identity_restore(struct push_identity_builder *builder, const struct push_identity_rights *rights);

/* push_identity_bytes - what it takes, for an account of memory. */
size_t
push_identity_bytes(const struct push_identity *identity);

#endif
