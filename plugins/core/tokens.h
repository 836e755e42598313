/*
 * tokens.h - the secrets by which the channels of an event stream are changed from outside of it (live.h).
 *
 *   NODE.RANDOM     mif0k2a9c1d2e3f4.0123456789abcdef0123456789abcdef
 *
 * NODE tells whose client it is, RANDOM is 16 bytes that nobody can guess.  Only connections that asked for a
 * token have one; the table takes nothing while there are none.  Whoever knows a token may use it: it is
 * never logged.
 */
#ifndef PUSH_CORE_TOKENS_H
#define PUSH_CORE_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUSH_TOKEN_NODE_BYTES   16
#define PUSH_TOKEN_RANDOM_BYTES 16 /* twice as many digits */
#define PUSH_TOKEN_BYTES        (PUSH_TOKEN_NODE_BYTES + 1 + 2 * PUSH_TOKEN_RANDOM_BYTES)

struct push_subscriber;
struct push_tokens;

struct push_token {
	struct push_token *next; /* of the same bucket */
	struct push_tokens *tokens;
	struct push_subscriber *subscriber;
	uint64_t hash;
	char text[PUSH_TOKEN_BYTES + 1];
};

struct push_tokens {
	struct push_token **buckets; /* owned; NULL while there are none */
	size_t bucket_count;         /* a power of two */
	size_t count;
	uint64_t seed;
};

/* push_tokens_init - an empty table; nothing is allocated. */
void
push_tokens_init(struct push_tokens *tokens, uint64_t seed);

/* push_token_create - a new entry; `text` is PUSH_TOKEN_BYTES long, and new.  NULL when memory is out. */
struct push_token *
push_token_create(struct push_tokens *tokens, struct push_subscriber *subscriber, const char *text);

/* push_token_destroy - take it out of its table; with the last one the table's memory goes.  NULL is allowed.
 */
void
push_token_destroy(struct push_token *token);

/* push_tokens_find - whose token that is; NULL: nobody's.  Any bytes may be asked for. */
struct push_subscriber *
push_tokens_find(const struct push_tokens *tokens, const char *text, size_t size);

/* push_token_is_shaped - whether it could be a token, from whatever node. */
bool
push_token_is_shaped(const char *text, size_t size);

/* push_token_write - put one together in `to`, which takes PUSH_TOKEN_BYTES and a NUL.
 *
 * @node: PUSH_TOKEN_NODE_BYTES lower-case letters and digits.
 */
void
push_token_write(char *to, const char *node, const unsigned char random[PUSH_TOKEN_RANDOM_BYTES]);

#endif
