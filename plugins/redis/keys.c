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

void
redis_append_notices_key(const struct redis_engine *engine, struct push_buf *to, uint16_t slot)
{
	char head[HEAD_BYTES_MAX];

	push_resp_bulk(to, head, write_head(engine, "push:notices", slot, head));
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

/* Behind `{TAG}`; NULL: a name does not begin so. */
static const char *
behind_tag(const char *name, size_t size)
{
	const char *end = size && *name == '{' ? memchr(name, '}', size) : NULL;

	return end ? end + 1 : NULL;
}

static bool
has_tag(const char *name, const char *behind, const char *tag)
{
	size_t size = (size_t)(behind - name) - 2;

	return strlen(tag) == size && !memcmp(name + 1, tag, size);
}

static void
slot_tag(const struct redis_engine *engine, const char *channel, size_t size, char *tag)
{
	tag[0] = '\0';
	if (engine->tags)
		push_redis_slot_tag(engine->tags, redis_channel_slot(engine, channel, size), tag);
}

/* Whether a channel without history has a name that is another one's, with the tag of that in front. */
static bool
looks_tagged(const struct redis_engine *engine, const char *name, size_t size)
{
	const char *end = name + size, *rest;
	char tag[PUSH_REDIS_SLOT_TAG_BYTES];

	for (; (rest = behind_tag(name, (size_t)(end - name))); name = rest) {
		const struct redis_partition *partition =
			redis_history_partition(engine, rest, (size_t)(end - rest));

		if (partition)
			return has_tag(name, rest, partition->tag);
		slot_tag(engine, rest, (size_t)(end - rest), tag);
		if (!has_tag(name, rest, tag))
			return false;
	}
	return false;
}

/*
 * The tag that a channel has in front of its name in Redis; false: none.
 *
 * Channels have one where they are sharded and have history.  So has one whose own name looks like that:
 * without it, two channels would be one in Redis.
 */
static bool
tag_of(const struct redis_engine *engine, const char *channel, size_t size, char *tag)
{
	const struct redis_partition *partition;

	tag[0] = '\0';
	if (!engine->options->redis_sharded || !engine->partition_count)
		return false;
	partition = redis_history_partition(engine, channel, size);
	if (partition)
		memcpy(tag, partition->tag, sizeof(partition->tag));
	else if (looks_tagged(engine, channel, size))
		slot_tag(engine, channel, size, tag);
	else
		return false;
	return true;
}

void
redis_append_channel(const struct redis_engine *engine, struct push_buf *to, const char *channel, size_t size)
{
	char head[HEAD_BYTES_MAX], tag[PUSH_REDIS_SLOT_TAG_BYTES];

	snprintf(head, sizeof(head), tag_of(engine, channel, size, tag) ? "%s{%s}" : "%s",
		engine->options->redis_prefix, tag);
	push_resp_bulk2(to, head, strlen(head), channel, size);
}

static const char *
without_tag(const struct redis_engine *engine, const char *name, size_t *size)
{
	const char *behind = behind_tag(name, *size);
	size_t rest = behind ? *size - (size_t)(behind - name) : 0;
	char tag[PUSH_REDIS_SLOT_TAG_BYTES];

	if (!behind || !tag_of(engine, behind, rest, tag) || !has_tag(name, behind, tag))
		return name;
	*size = rest;
	return behind;
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
