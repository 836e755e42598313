/*
 * key.h - a key that tokens are verified with, and the one algorithm that it is for.
 *
 * The algorithm comes from the key, never from a token.  A token that names another one is refused: this prevents
 * an HMAC verified with the bytes of a public key, and `none`.
 *
 *   EC P-256 ES256   EC P-384 ES384   Ed25519 EdDSA   RSA RS256, or PS256 if its `alg` says so
 *   RSA-PSS PS256    a secret HS256
 *
 * OpenSSL does the work.  Its error queue is left empty, because TLS connections of the same thread read it.
 */
#ifndef PUSH_AUTH_KEY_H
#define PUSH_AUTH_KEY_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/options.h"
#include "core/status.h"
#include "core/str.h"

/* X(NAME, name in a token's header) */
#define PUSH_KEY_ALGORITHM_MAP(X)                                                                            \
	X(ES256, "ES256")                                                                                    \
	X(ES384, "ES384")                                                                                    \
	X(EDDSA, "EdDSA")                                                                                    \
	X(RS256, "RS256")                                                                                    \
	X(PS256, "PS256")                                                                                    \
	X(HS256, "HS256")

enum push_key_algorithm {
#define X(name, text) PUSH_KEY_##name,
	PUSH_KEY_ALGORITHM_MAP(X)
#undef X
		PUSH_KEY_ALGORITHM_COUNT
};

struct push_key;

/* What a key is said to be beside its bytes; without bytes: nothing is said. */
struct push_key_facts {
	struct push_str id;        /* `kid`; an empty one is none */
	struct push_str algorithm; /* `alg` */
};

/* push_key_algorithm_name - "ES256". */
const char *
push_key_algorithm_name(enum push_key_algorithm algorithm);

/* push_key_algorithm_parse - which one a token or a key names; `Ed25519` (RFC 9864) is EdDSA.  Returns false for
 * one that is not supported, `none` among them. */
bool
push_key_algorithm_parse(struct push_str name, enum push_key_algorithm *ret_algorithm);

/*
 * push_key_create - a key of a public key of OpenSSL's.
 *
 * @pkey: taken over, on errors, too.
 * Errors: PUSH_NOT_FOUND for a kind or an algorithm that is not supported, PUSH_INVALID for one that is too
 * weak, or that contradicts its `alg`; both with a line in `error`.  PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_key_create(EVP_PKEY *pkey, const struct push_key_facts *facts, struct push_key **ret_key,
	struct push_error *error);

/* push_key_create_secret - likewise, of a secret, which is copied. */
enum push_status PUSH_MUST_USE
push_key_create_secret(const unsigned char *secret, size_t size, const struct push_key_facts *facts,
	struct push_key **ret_key, struct push_error *error);

/* push_key_destroy - free a key, and wipe a secret; NULL is allowed. */
void
push_key_destroy(struct push_key *key);

enum push_key_algorithm
push_key_algorithm(const struct push_key *key);

/* push_key_signer - a number by which a key is known again, by whatever name and in whatever file; 1 to 2^53 - 1. */
uint64_t
push_key_signer(const struct push_key *key);

/* push_key_id - its `kid`, borrowed; size 0: it has none. */
struct push_str
push_key_id(const struct push_key *key);

/*
 * push_key_verify - whether this is the signature of a text (RFC 7515, 5.2; RFC 7518, 3; RFC 8037, 3.1).
 *
 * Errors: PUSH_REFUSED if it is not, PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_key_verify(
	const struct push_key *key, struct push_str text, const unsigned char *signature, size_t size);

#endif
