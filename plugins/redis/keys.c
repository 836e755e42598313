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

void
redis_append_once_key(
	struct redis_engine *engine, struct push_buf *to, const char *id, size_t size, uint16_t slot)
{
	char prefix[64] = "push:once:";

	if (engine->tags) {
		char tag[PUSH_REDIS_SLOT_TAG_BYTES];

		push_redis_slot_tag(engine->tags, slot, tag);
		snprintf(prefix, sizeof(prefix), "push:once:{%s}", tag);
	}
	push_resp_bulk2(to, prefix, strlen(prefix), id, size);
}

const char *
redis_history_key(const struct redis_partition *partition, char *to, size_t size)
{
	snprintf(to, size, partition->tag[0] ? "push:history:{%s}" : "push:history", partition->tag);
	return to;
}

void
redis_append_history_keys(
	struct push_buf *to, const struct redis_partition *partition, const char *channel, size_t size)
{
	char key[64];

	push_resp_text(to, redis_history_key(partition, key, sizeof(key) - 1));
	strcat(key, ":");
	push_resp_bulk2(to, key, strlen(key), channel, size);
	snprintf(key, sizeof(key), partition->tag[0] ? "push:last:{%s}:" : "push:last:", partition->tag);
	push_resp_bulk2(to, key, strlen(key), channel, size);
}

void
redis_append_channel(const struct redis_engine *engine, struct push_buf *to, const char *channel, size_t size)
{
	const struct redis_partition *partition =
		engine->options->redis_sharded ? redis_history_partition(engine, channel, size) : NULL;
	char tag[PUSH_REDIS_SLOT_TAG_BYTES + 2] = "";

	if (partition)
		snprintf(tag, sizeof(tag), "{%s}", partition->tag);
	push_resp_bulk2(to, tag, strlen(tag), channel, size);
}

const char *
redis_channel_name(const struct redis_engine *engine, const char *name, size_t *size)
{
	const char *end = engine->options->redis_sharded && engine->partition_count && *size && *name == '{'
				  ? memchr(name, '}', *size)
				  : NULL;
	const struct redis_partition *partition;
	size_t head, tag;

	if (!end)
		return name;
	head = (size_t)(end - name) + 1;
	tag = head - 2;
	partition = redis_history_partition(engine, end + 1, *size - head);
	if (!partition || strlen(partition->tag) != tag || memcmp(partition->tag, name + 1, tag) != 0)
		return name;
	*size -= head;
	return end + 1;
}
