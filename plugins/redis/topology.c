/*
 * topology.c - which server is responsible for which channel.
 *
 *   standalone   one server, by its name, which is looked up again after each loss
 *   sentinel     the sentinels say who is the master; the master says itself that it is (ROLE)
 *   cluster      a channel's name hashes to a slot; CLUSTER SLOTS says whose it is
 *
 * Sharded or not, a channel of a cluster is published to and subscribed at the server of its slot: so a
 * server knows all of Push's receivers of a channel, and no message of Push's depends on the cluster's bus.
 *
 * A connection stays open to a sentinel, or to any server of the cluster, and asks every now and then, at
 * once when a connection is lost or a command is sent elsewhere.  When it fails the next candidate has its
 * turn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis/resp.h"

/* An answer while it is read; it is applied when it is whole, and outside of the links' callbacks. */
struct redis_map {
	bool is_whole;
	char host[256]; /* sentinel: the master; cluster: of the range that is being read */
	unsigned long port;
	long long first, last; /* slots of the range */
	size_t ranges;
	struct redis_node *slots[PUSH_REDIS_SLOT_COUNT]; /* cluster */
};

static bool
is_cluster(const struct redis_engine *engine)
{
	return engine->url.kind == PUSH_REDIS_CLUSTER;
}

/* --- asking --- */

static void
begin(struct redis_engine *engine)
{
	struct push_redis_link *link = &engine->query.link;

	if (!engine->map)
		engine->map = malloc(sizeof(*engine->map));
	if (!engine->map || !push_redis_link_expect(link, REDIS_AWAITED_QUERY, 0, NULL))
		return;
	memset(engine->map, 0, sizeof(*engine->map));
	engine->is_asking = true;
	if (is_cluster(engine)) {
		push_resp_command(&link->out, 2);
		push_resp_text(&link->out, "CLUSTER");
		push_resp_text(&link->out, "SLOTS");
	} else {
		push_resp_command(&link->out, 3);
		push_resp_text(&link->out, "SENTINEL");
		push_resp_text(&link->out, "GET-MASTER-ADDR-BY-NAME");
		push_resp_text(&link->out, engine->url.master_name);
	}
	redis_wake(engine);
}

void
redis_topology_doubt(struct redis_engine *engine)
{
	if (engine->ask_us > engine->now_us + PUSH_REDIS_ASK_AGAIN_US)
		engine->ask_us = engine->now_us + PUSH_REDIS_ASK_AGAIN_US;
}

bool
redis_topology_is_in_doubt(struct redis_engine *engine, const struct push_redis_reply *error)
{
	static const char *const codes[] = {
		"MOVED", "ASK", "CLUSTERDOWN", "READONLY", "TRYAGAIN", "MASTERDOWN", "LOADING"};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (push_redis_is_error(error, codes[i])) {
			redis_topology_doubt(engine);
			return true;
		}
	return false;
}

void
redis_topology_tick(struct redis_engine *engine)
{
	bool is_in_doubt = false;

	if (engine->url.kind == PUSH_REDIS_STANDALONE || engine->is_asking || engine->now_us < engine->ask_us)
		return;
	if (engine->query.link.state != PUSH_REDIS_UP || engine->query.link.failed)
		return;
	for (struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next)
		is_in_doubt |= !push_container_of(item, struct redis_node, item)->is_up;
	is_in_doubt |= push_list_is_empty(&engine->nodes);
	engine->ask_us = engine->now_us + (is_in_doubt ? PUSH_REDIS_ASK_AGAIN_US : PUSH_REDIS_ASK_US);
	begin(engine);
}

/* --- the connection that asks --- */

static void
next_candidate(struct redis_engine *engine)
{
	size_t seeds = engine->url.host_count, index = engine->next_seed++;
	const struct push_list *item = engine->nodes.next;

	/* the servers of the cluster that are known, behind those that the URL names */
	for (size_t i = seeds; is_cluster(engine) && i < index && item != &engine->nodes; i++)
		item = item->next;
	if (index >= seeds && is_cluster(engine) && item != &engine->nodes) {
		const struct redis_node *node = push_container_of(item, struct redis_node, item);

		redis_connection_redirect(&engine->query, node->commands.host, node->commands.port);
		return;
	}
	engine->next_seed = index % seeds + 1;
	redis_connection_redirect(
		&engine->query, engine->url.hosts[index % seeds].name, engine->url.hosts[index % seeds].port);
}

static void
on_query_up(void *context, uint64_t now_us)
{
	struct redis_engine *engine = context;

	redis_connection_is_up(&engine->query);
	engine->is_asking = false;
	engine->ask_us = now_us;
	redis_topology_tick(engine);
}

static void
on_query_down(void *context, const char *why, uint64_t now_us)
{
	struct redis_engine *engine = context;

	(void)now_us;
	engine->is_asking = false;
	/* sentinels often have no password where the servers have one */
	if (strstr(why, "NOAUTH")) {
		engine->query_settings.user = engine->url.user;
		engine->query_settings.password = engine->url.password;
	}
	if (redis_connection_is_down(&engine->query, why))
		redis_log(engine, PUSH_LOG_ERROR, "%s %s: %s; trying the next",
			is_cluster(engine) ? "redis" : "sentinel", engine->query.label, why);
	engine->stats->failures++;
	next_candidate(engine);
}

/* --- what it is told --- */

static void
copy_host(struct redis_engine *engine, const struct push_redis_reply *item)
{
	/* a server that does not know its own name is the one that was asked */
	if (item->type != PUSH_REDIS_STRING || !item->size)
		snprintf(engine->map->host, sizeof(engine->map->host), "%s", engine->query.host);
	else
		snprintf(engine->map->host, sizeof(engine->map->host), "%.*s", (int)item->size, item->text);
}

static void
assign_range(struct redis_engine *engine)
{
	struct redis_map *map = engine->map;
	struct redis_node *node;

	if (map->first < 0 || map->last >= PUSH_REDIS_SLOT_COUNT || map->first > map->last || !map->port ||
		map->port > UINT16_MAX || map->ranges >= PUSH_REDIS_SLOT_COUNT)
		return;
	node = redis_node_obtain(engine, map->host, (uint16_t)map->port);
	if (!node)
		return;
	map->ranges++;
	for (long long slot = map->first; slot <= map->last; slot++)
		map->slots[slot] = node;
}

/* [[first, last, [host, port, id, ...], replica...], ...] */
static void
on_slots_item(struct redis_engine *engine, const struct push_redis_place *place,
	const struct push_redis_reply *item)
{
	struct redis_map *map = engine->map;

	if (place->depth == 2 && place->index[1] == 0)
		map->first = item->integer;
	else if (place->depth == 2 && place->index[1] == 1)
		map->last = item->integer;
	else if (place->depth == 3 && place->index[1] == 2 && place->index[2] == 0)
		copy_host(engine, item);
	else if (place->depth == 3 && place->index[1] == 2 && place->index[2] == 1) {
		map->port = (unsigned long)item->integer;
		assign_range(engine);
	}
}

static void
on_query_item(void *context, const struct push_redis_awaited *awaited, const struct push_redis_place *place,
	const struct push_redis_reply *item)
{
	struct redis_engine *engine = context;

	(void)awaited;
	if (is_cluster(engine)) {
		on_slots_item(engine, place, item);
		return;
	}
	if (place->depth != 1 || item->type != PUSH_REDIS_STRING || item->size > 255)
		return;
	if (place->index[0] == 0) {
		copy_host(engine, item);
	} else if (place->index[0] == 1 && item->size < 6) {
		char port[8];

		snprintf(port, sizeof(port), "%.*s", (int)item->size, item->text);
		engine->map->port = strtoul(port, NULL, 10);
	}
}

static void
on_query_answer(void *context, const struct push_redis_awaited *awaited, const struct push_redis_reply *reply,
	uint64_t now_us)
{
	struct redis_engine *engine = context;
	char why[PUSH_REDIS_ERROR_BYTES];

	(void)awaited;
	(void)now_us;
	engine->is_asking = false;
	if (reply->type == PUSH_REDIS_ARRAY) {
		engine->map->is_whole = true;
		return;
	}
	if (reply->type == PUSH_REDIS_ERROR)
		snprintf(why, sizeof(why), "%.*s", (int)(reply->size < 200 ? reply->size : 200), reply->text);
	else
		snprintf(why, sizeof(why), "it has no master named '%.100s'", engine->url.master_name);
	push_redis_link_fail(&engine->query.link, why);
}

static void
on_query_lost(void *context, const struct push_redis_awaited *awaited, uint64_t now_us)
{
	(void)context;
	(void)awaited;
	(void)now_us;
}

static bool
is_never_behind(void *context)
{
	(void)context;
	return false;
}

static const struct push_redis_link_owner query_owner = {
	.up = on_query_up,
	.down = on_query_down,
	.item = on_query_item,
	.answer = on_query_answer,
	.lost = on_query_lost,
	.is_behind = is_never_behind,
};

/* --- applying it --- */

static void
note_slots(struct redis_engine *engine)
{
	for (struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next)
		push_container_of(item, struct redis_node, item)->has_slots = false;
	for (unsigned int slot = PUSH_REDIS_SLOT_COUNT; slot-- > 0;)
		if (engine->slots[slot]) {
			engine->slots[slot]->has_slots = true;
			engine->slots[slot]->first_slot = (uint16_t)slot;
		}
}

static void
move_all(struct redis_engine *engine)
{
	for (struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next) {
		struct redis_node *node = push_container_of(item, struct redis_node, item);

		redis_subscriptions_move(engine, &node->live);
		redis_subscriptions_move(engine, &node->asked);
		redis_subscriptions_move(engine, &node->to_ask);
		redis_subscriptions_move(engine, &node->refused);
	}
	redis_subscriptions_move(engine, &engine->homeless);
}

/* The probe lies in one of the node's slots: when that one has gone, so has the probe. */
static void
check_probes(struct redis_engine *engine)
{
	for (struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next) {
		struct redis_node *node = push_container_of(item, struct redis_node, item);
		struct redis_subscription *probe = node->probe ? node->probe->upstream : NULL;

		if (!probe || redis_topology_node(engine, probe->slot) == node)
			continue;
		node->probe = NULL;
		node->probe_sent_us = 0;
		redis_subscription_drop(engine, probe);
	}
}

static void
drop_unused(struct redis_engine *engine)
{
	struct push_list *item = engine->nodes.next, *next;

	for (; item != &engine->nodes; item = next) {
		struct redis_node *node = push_container_of(item, struct redis_node, item);

		next = item->next;
		if (is_cluster(engine) ? node->has_slots : node == engine->single)
			continue;
		redis_log(engine, PUSH_LOG_INFO, "redis %s: no longer used", node->commands.label);
		redis_node_destroy(node);
	}
}

void
redis_topology_apply(struct redis_engine *engine)
{
	struct redis_map *map = engine->map;

	if (!map || !map->is_whole)
		return;
	map->is_whole = false;
	if (!is_cluster(engine)) {
		struct redis_node *single =
			map->port && map->port <= UINT16_MAX
				? redis_node_obtain(engine, map->host, (uint16_t)map->port)
				: NULL;

		if (!single || single == engine->single)
			return;
		redis_log(engine, PUSH_LOG_INFO, "redis %s: it is the master now", single->commands.label);
		if (engine->single)
			redis_peers_moved(engine, 0);
		engine->single = single;
	} else {
		if (!map->ranges)
			return;
		if (!memcmp(engine->slots, map->slots, sizeof(map->slots)))
			return;
		for (unsigned int slot = 0; slot < PUSH_REDIS_SLOT_COUNT; slot++)
			if (engine->slots[slot] && engine->slots[slot] != map->slots[slot])
				redis_peers_moved(engine, (uint16_t)slot);
		memcpy(engine->slots, map->slots, sizeof(map->slots));
		note_slots(engine);
		check_probes(engine);
	}
	engine->stats->topology_changes++;
	move_all(engine);
	drop_unused(engine);
	engine->should_resend = true;
}

/* --- who it is --- */

uint16_t
redis_topology_slot(const struct redis_engine *engine, const char *channel, size_t size)
{
	const struct redis_partition *partition;

	if (!engine->slots)
		return 0;
	partition = redis_history_partition(engine, channel, size);
	return partition ? partition->slot : redis_channel_slot(engine, channel, size);
}

struct redis_node *
redis_topology_node(struct redis_engine *engine, uint16_t slot)
{
	return engine->slots ? engine->slots[slot] : engine->single;
}

enum push_status
redis_topology_init(struct redis_engine *engine)
{
	const struct push_redis_url *url = &engine->url;

	engine->query_settings = engine->settings;
	engine->query_settings.must_be_master = engine->query_settings.needs_time = false;
	engine->query_settings.database = 0;
	if (url->kind == PUSH_REDIS_STANDALONE) {
		engine->single = url->unix_path[0]
					 ? redis_node_obtain(engine, url->unix_path, 0)
					 : redis_node_obtain(engine, url->hosts[0].name, url->hosts[0].port);
		return engine->single ? PUSH_OK : PUSH_OUT_OF_MEMORY;
	}
	if (is_cluster(engine)) {
		engine->slots = calloc(PUSH_REDIS_SLOT_COUNT, sizeof(struct redis_node *));
		engine->tags = push_redis_slot_tags_create();
		if (!engine->slots || !engine->tags)
			return PUSH_OUT_OF_MEMORY;
	} else {
		engine->query_settings.user = engine->query_settings.password = "";
	}
	redis_connection_init(
		&engine->query, engine, PUSH_REDIS_COMMANDS, &engine->query_settings, &query_owner, engine);
	engine->next_seed = (size_t)redis_random_upto(engine, url->host_count - 1);
	next_candidate(engine);
	redis_connection_start(&engine->query, engine->query.host, engine->query.port);
	return PUSH_OK;
}

void
redis_topology_fini(struct redis_engine *engine)
{
	engine->single = NULL;
	if (engine->slots)
		memset(engine->slots, 0, PUSH_REDIS_SLOT_COUNT * sizeof(struct redis_node *));
	while (!push_list_is_empty(&engine->nodes))
		redis_node_destroy(push_container_of(engine->nodes.next, struct redis_node, item));
	if (engine->query.engine)
		redis_connection_fini(&engine->query);
	free(engine->map);
	free(engine->slots);
	push_redis_slot_tags_destroy(engine->tags);
}
