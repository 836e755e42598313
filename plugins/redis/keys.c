/* keys.c - see keys.h. */
#include <stdio.h>
#include <string.h>

#include "redis/keys.h"
#include "redis/resp.h"

#define PREFIX "push:clients:"

void
redis_append_counts_key(
	struct redis_engine *engine, struct push_buf *to, const char *channel, size_t size, uint16_t slot)
{
	char prefix[sizeof(PREFIX) + PUSH_REDIS_SLOT_TAG_BYTES + 2] = PREFIX;

	if (engine->tags) {
		char tag[PUSH_REDIS_SLOT_TAG_BYTES];

		push_redis_slot_tag(engine->tags, slot, tag);
		snprintf(prefix, sizeof(prefix), PREFIX "{%s}", tag);
	}
	push_resp_bulk2(to, prefix, strlen(prefix), channel, size);
}
