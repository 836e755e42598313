/* keys.c - see keys.h. */
#include <stdio.h>
#include <string.h>

#include "core/push_assert.h"
#include "redis/keys.h"
#include "redis/resp.h"

/* push.redis.prefix, one of the words below, and a tag in braces. */
#define HEAD_BYTES_MAX (PUSH_REDIS_PREFIX_BYTES_MAX + 64)

/* `PREFIX what {TAG}`, with a tag that hashes to `slot` in a cluster; returns its size. */
static size_t
write_head(const struct redis_engine *engine, const char *what, uint16_t slot, char to[HEAD_BYTES_MAX])
{
	char tag[PUSH_REDIS_SLOT_TAG_BYTES] = "";

	if (engine->tags)
		push_redis_slot_tag(engine->tags, slot, tag);
	return (size_t)snprintf(
		to, HEAD_BYTES_MAX, tag[0] ? "%s%s{%s}" : "%s%s", engine->options->redis_prefix, what, tag);
}

void
redis_append_counts_key(
	struct redis_engine *engine, struct push_buf *to, const char *channel, size_t size, uint16_t slot)
{
	char head[HEAD_BYTES_MAX];

	push_resp_bulk2(to, head, write_head(engine, "push:clients:", slot, head), channel, size);
}

void
redis_append_once_key(
	struct redis_engine *engine, struct push_buf *to, const char *id, size_t size, uint16_t slot)
{
	char head[HEAD_BYTES_MAX];

	push_resp_bulk2(to, head, write_head(engine, "push:once:", slot, head), id, size);
}

const char *
redis_history_key(
	const struct redis_engine *engine, const struct redis_partition *partition, char *to, size_t size)
{
	snprintf(to, size, partition->tag[0] ? "%spush:history:{%s}" : "%spush:history",
		engine->options->redis_prefix, partition->tag);
	return to;
}

void
redis_append_history_keys(const struct redis_engine *engine, struct push_buf *to,
	const struct redis_partition *partition, const char *channel, size_t size)
{
	char key[HEAD_BYTES_MAX];

	push_resp_text(to, redis_history_key(engine, partition, key, sizeof(key) - 1));
	strcat(key, ":");
	push_resp_bulk2(to, key, strlen(key), channel, size);
	snprintf(key, sizeof(key),
		partition->tag[0] ? "%spush:last:{%s}:" : "%spush:last:", engine->options->redis_prefix,
		partition->tag);
	push_resp_bulk2(to, key, strlen(key), channel, size);
}

void
redis_append_channel(const struct redis_engine *engine, struct push_buf *to, const char *channel, size_t size)
{
	const struct redis_partition *partition =
		engine->options->redis_sharded ? redis_history_partition(engine, channel, size) : NULL;
	char head[HEAD_BYTES_MAX];

	snprintf(head, sizeof(head), partition ? "%s{%s}" : "%s", engine->options->redis_prefix,
		partition ? partition->tag : "");
	push_resp_bulk2(to, head, strlen(head), channel, size);
}

uint16_t
redis_channel_slot(const struct redis_engine *engine, const char *channel, size_t size)
{
	char name[PUSH_REDIS_PREFIX_BYTES_MAX + PUSH_QUERY_BYTES_MAX];
	size_t prefix = strlen(engine->options->redis_prefix);

	if (!prefix)
		return push_redis_slot(channel, size);
	PUSH_ASSERT(prefix + size <= sizeof(name));
	memcpy(name, engine->options->redis_prefix, prefix);
	memcpy(name + prefix, channel, size);
	return push_redis_slot(name, prefix + size);
}

/* The tag of a channel with history, where channels are sharded. */
static const char *
without_tag(const struct redis_engine *engine, const char *name, size_t *size)
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

const char *
redis_channel_name(const struct redis_engine *engine, const char *name, size_t *size)
{
	size_t prefix = strlen(engine->options->redis_prefix);

	if (*size < prefix || memcmp(name, engine->options->redis_prefix, prefix) != 0) {
		*size = 0;
		return name;
	}
	*size -= prefix;
	return without_tag(engine, name + prefix, size);
}
