/*
 * room.c - history makes room for other keys (scripts.h, ROOM).
 *
 * A server over its `maxmemory` with `noeviction` refuses what needs memory.  A publish to a channel with
 * history drops the channels that were quiet longest by itself.  The keys of publishes and the numbers of
 * clients are commands of their own, and small: they are the first to be refused and need the least room.
 *
 *   SET push:value:NAME ... NX  ─▶  OOM
 *   EVALSHA room                     of each partition that the server has, at most once a second
 *   SET push:value:NAME ... NX  ─▶  OK
 *
 * Both are sent at once: the server carries them out in that order.  In a cluster the keys of a partition lie
 * at one server, and only that one's memory grows by dropping them.  Another partition begins each time, so
 * that none makes room for all others.
 */
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis/resp.h"

#define KEY_BYTES_MAX 300

static void
append(struct redis_node *node, unsigned int p)
{
	struct redis_engine *engine = node->engine;
	struct push_redis_link *link = &node->commands.link;
	char key[KEY_BYTES_MAX];

	if (!push_redis_link_expect(link, REDIS_AWAITED_ROOM, p, NULL))
		return;
	redis_history_append_call(engine, &link->out, PUSH_REDIS_SCRIPT_ROOM, 3);
	push_resp_text(&link->out, "1");
	push_resp_text(&link->out, redis_history_key(engine, &engine->partitions[p], key, sizeof(key)));
	push_resp_number(&link->out, PUSH_REDIS_ROOM_CHANNELS);
}

bool
redis_room_make(struct redis_node *node, const struct push_redis_reply *error)
{
	struct redis_engine *engine = node->engine;
	bool is_due = !node->room_us || engine->now_us >= node->room_us + PUSH_REDIS_ROOM_US;
	bool has_history = false;

	if (!push_redis_refusal_is_memory(error->text, error->size) || !redis_node_takes_publishes(node))
		return false;
	for (unsigned int i = 0; i < engine->partition_count; i++) {
		unsigned int p = (node->room_first + i) % engine->partition_count;

		if (redis_topology_node(engine, engine->partitions[p].slot) != node)
			continue;
		has_history = true;
		if (is_due)
			append(node, p);
	}
	if (has_history && is_due) {
		node->room_us = engine->now_us;
		node->room_first++;
		redis_wake(engine);
	}
	return has_history;
}

void
redis_room_answer(struct redis_node *node, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply)
{
	struct redis_engine *engine = node->engine;

	(void)awaited;
	if (reply->type == PUSH_REDIS_INTEGER) {
		engine->stats->history_channels_dropped += reply->integer > 0 ? (uint64_t)reply->integer : 0;
		return;
	}
	if (reply->type != PUSH_REDIS_ERROR)
		return;
	if (redis_history_is_unloaded(node, reply)) {
		node->room_us = 0;
		return;
	}
	engine->stats->command_errors++;
	if (!redis_topology_is_in_doubt(engine, reply))
		redis_log_refusal(engine, node, "to drop history", reply);
}
