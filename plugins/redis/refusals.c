/* refusals.c - see refusals.h. */
#include <stdio.h>
#include <string.h>

#include "redis/refusals.h"

static bool
has(const char *text, size_t size, const char *word)
{
	return memmem(text, size, word, strlen(word)) != NULL;
}

/* The codes stand at the beginning, or, in what a script answers, behind it.  acl.c of Redis 6 to 8 and of
 * Valkey: `NOPERM No permissions to access a channel`, `NOPERM this user has no permissions to access one of
 * the keys used as arguments`, `NOPERM this user has no permissions to run the 'publish' command`; of a
 * script in Redis 6: `The user executing the script can't run this command or subcommand`. */
bool
push_redis_refusal_is_general(const char *text, uint64_t size)
{
	static const char *const words[] = {
		"OOM ", "MISCONF ", "READONLY ", "NOREPLICAS ", "NOAUTH ", "unknown command"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (has(text, size, words[i]))
			return true;
	return (has(text, size, "NOPERM ") || has(text, size, "can't run this command")) &&
	       !has(text, size, "channel") && !has(text, size, " key");
}

bool
push_redis_refusal_is_memory(const char *text, uint64_t size)
{
	return has(text, size, "OOM ");
}

void
push_redis_refusals_add(
	struct push_redis_refusals *refusals, const char *text, uint64_t size, uint64_t now_us)
{
	if (!push_redis_refusal_is_general(text, size))
		return;
	refusals->count++;
	refusals->last_us = now_us;
	snprintf(refusals->text, sizeof(refusals->text), "%.*s",
		(int)(size < PUSH_REDIS_REFUSAL_BYTES_MAX ? size : PUSH_REDIS_REFUSAL_BYTES_MAX), text);
}
