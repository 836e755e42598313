/* tokens.c - see tokens.h. */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "push_assert.h"
#include "tokens.h"

#define FIRST_BUCKETS 16

void
push_tokens_init(struct push_tokens *tokens, uint64_t seed)
{
	*tokens = (struct push_tokens){.seed = seed};
}

static struct push_token **
bucket(const struct push_tokens *tokens, uint64_t hash)
{
	return &tokens->buckets[hash & (tokens->bucket_count - 1)];
}

static void
link_in(struct push_tokens *tokens, struct push_token *token)
{
	struct push_token **to = bucket(tokens, token->hash);

	token->next = *to;
	*to = token;
}

/* Doubles the buckets when there are as many tokens; where memory is out, chains just grow longer. */
static void
grow(struct push_tokens *tokens)
{
	struct push_tokens bigger = *tokens;

	if (tokens->buckets && tokens->count < tokens->bucket_count)
		return;
	bigger.bucket_count = tokens->buckets ? 2 * tokens->bucket_count : FIRST_BUCKETS;
	bigger.buckets = calloc(bigger.bucket_count, sizeof(struct push_token *));
	if (!bigger.buckets)
		return;
	for (size_t i = 0; tokens->buckets && i < tokens->bucket_count; i++)
		while (tokens->buckets[i]) {
			struct push_token *token = tokens->buckets[i];

			tokens->buckets[i] = token->next;
			link_in(&bigger, token);
		}
	free(tokens->buckets);
	*tokens = bigger;
}

struct push_token *
push_token_create(struct push_tokens *tokens, struct push_subscriber *subscriber, const char *text)
{
	struct push_token *token = malloc(sizeof(*token));

	if (!token)
		return NULL;
	grow(tokens);
	if (!tokens->buckets) {
		free(token);
		return NULL;
	}
	*token = (struct push_token){.tokens = tokens,
		.subscriber = subscriber,
		.hash = XXH3_64bits_withSeed(text, PUSH_TOKEN_BYTES, tokens->seed)};
	memcpy(token->text, text, PUSH_TOKEN_BYTES);
	link_in(tokens, token);
	tokens->count++;
	return token;
}

void
push_token_destroy(struct push_token *token)
{
	struct push_tokens *tokens;
	struct push_token **link;

	if (!token)
		return;
	tokens = token->tokens;
	link = bucket(tokens, token->hash);
	while (*link != token)
		link = &(*link)->next;
	*link = token->next;
	free(token);
	if (--tokens->count)
		return;
	free(tokens->buckets);
	tokens->buckets = NULL;
	tokens->bucket_count = 0;
}

/* How long it takes does not tell how many of the bytes were right. */
static bool
is_same(const char *a, const char *b)
{
	volatile unsigned char differs = 0;

	for (size_t i = 0; i < PUSH_TOKEN_BYTES; i++)
		differs = (unsigned char)(differs | (a[i] ^ b[i]));
	return !differs;
}

struct push_subscriber *
push_tokens_find(const struct push_tokens *tokens, const char *text, size_t size)
{
	struct push_token *token;
	uint64_t hash;

	if (!tokens->buckets || size != PUSH_TOKEN_BYTES)
		return NULL;
	hash = XXH3_64bits_withSeed(text, size, tokens->seed);
	for (token = *bucket(tokens, hash); token; token = token->next)
		if (token->hash == hash && is_same(token->text, text))
			return token->subscriber;
	return NULL;
}

static bool
is_digit(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
}

bool
push_token_is_shaped(const char *text, size_t size)
{
	if (size != PUSH_TOKEN_BYTES || text[PUSH_TOKEN_NODE_BYTES] != '.')
		return false;
	for (size_t i = 0; i < size; i++)
		if (i != PUSH_TOKEN_NODE_BYTES && !is_digit(text[i]))
			return false;
	return true;
}

void
push_token_write(char *to, const char *node, const unsigned char random[PUSH_TOKEN_RANDOM_BYTES])
{
	static const char digits[] = "0123456789abcdef";

	memcpy(to, node, PUSH_TOKEN_NODE_BYTES);
	to += PUSH_TOKEN_NODE_BYTES;
	*to++ = '.';
	for (size_t i = 0; i < PUSH_TOKEN_RANDOM_BYTES; i++) {
		*to++ = digits[random[i] >> 4];
		*to++ = digits[random[i] & 15];
	}
	*to = '\0';
}
