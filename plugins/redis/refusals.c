/* refusals.c - see refusals.h. */
#include <stdio.h>
#include <string.h>

#include "redis/refusals.h"

/* acl.c of Redis 6 to 8 and of Valkey: `NOPERM No permissions to access a channel`, `NOPERM this user has no
 * permissions to access one of the keys used as arguments`. */
static bool
is_about_a_name(const char *text, size_t size)
{
	return size >= 6 && !memcmp(text, "NOPERM", 6) &&
	       (memmem(text, size, "channel", 7) || memmem(text, size, " key", 4));
}

void
push_redis_refusals_add(
	struct push_redis_refusals *refusals, const char *text, uint64_t size, uint64_t now_us)
{
	if (is_about_a_name(text, size))
		return;
	refusals->count++;
	refusals->last_us = now_us;
	snprintf(refusals->text, sizeof(refusals->text), "%.*s",
		(int)(size < PUSH_REDIS_REFUSAL_BYTES_MAX ? size : PUSH_REDIS_REFUSAL_BYTES_MAX), text);
}
