/*
 * token_refusal.h - why a token is refused: one table of codes, of the words that metrics count by, and of the
 * texts for the client.
 *
 * A text says nothing that helps to make a better forgery: not which key was tried, not what was expected.
 * A new code needs a row here and nothing else.
 */
#ifndef PUSH_AUTH_TOKEN_REFUSAL_H
#define PUSH_AUTH_TOKEN_REFUSAL_H

/* X(NAME, label in metrics, text) */
#define PUSH_TOKEN_REFUSAL_MAP(X)                                                                            \
	X(OK, "ok", "ok")                                                                                    \
	X(TOO_LONG, "too_long", "the token is longer than 4096 bytes")                                       \
	X(MALFORMED, "malformed", "the token is not a signed JWT in compact form")                           \
	X(HEADER, "header", "the token's header is not supported")                                           \
	X(ALGORITHM, "algorithm", "the token's algorithm is not accepted")                                   \
	X(UNKNOWN_KEY, "unknown_key", "the token's key is not known")                                        \
	X(SIGNATURE, "signature", "the token's signature is wrong")                                          \
	X(CLAIMS, "claims", "the token's claims are malformed")                                              \
	X(EXPIRED, "expired", "the token has expired")                                                       \
	X(NOT_YET, "not_yet", "the token is not valid yet")                                                  \
	X(ISSUER, "issuer", "the token is from another issuer")                                              \
	X(AUDIENCE, "audience", "the token is for another audience")                                         \
	X(MEMORY, "memory", "out of memory")

enum push_token_refusal {
#define X(name, label, text) PUSH_TOKEN_##name,
	PUSH_TOKEN_REFUSAL_MAP(X)
#undef X
		PUSH_TOKEN_REFUSAL_COUNT
};

/* push_token_refusal_label - for metrics. */
static inline const char *
push_token_refusal_label(enum push_token_refusal refusal)
{
	static const char *const labels[] = {
#define X(name, label, text) label,
		PUSH_TOKEN_REFUSAL_MAP(X)
#undef X
	};

	return labels[refusal];
}

/* push_token_refusal_text - for the client. */
static inline const char *
push_token_refusal_text(enum push_token_refusal refusal)
{
	static const char *const texts[] = {
#define X(name, label, text) text,
		PUSH_TOKEN_REFUSAL_MAP(X)
#undef X
	};

	return texts[refusal];
}

#endif
