/*
 * node.c - one server: a connection for commands and one for subscriptions, and the probe.
 *
 * A subscription that was accepted and delivers nothing looks like silence.  So the node subscribes to a
 * private channel there and publishes to it every PUSH_REDIS_BEAT_US: when the publish was answered and did
 * not arrive, PUSH_REDIS_BEATS_DEAD times, the connection is left for a new one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis/resp.h"

static struct redis_node *
node_of(void *context)
{
	return context;
}

/* --- what the links say --- */

static void
check_up(struct redis_node *node)
{
	struct redis_engine *engine = node->engine;
	bool is_up =
		node->commands.link.state == PUSH_REDIS_UP && node->subscriptions.link.state == PUSH_REDIS_UP;

	if (is_up == node->is_up)
		return;
	node->is_up = is_up;
	if (!is_up) {
		node->down_since_us = engine->now_us;
		return;
	}
	node->up_since_us = engine->now_us;
	redis_log(engine, PUSH_LOG_INFO, "redis %s: connected", node->commands.label);
}

static void
on_commands_up(void *context, uint64_t now_us)
{
	struct redis_node *node = node_of(context);

	(void)now_us;
	redis_connection_is_up(&node->commands);
	node->engine->stats->connects++;
	push_redis_refusals_clear(&node->refusals);
	push_redis_refusals_clear(&node->claims);
	node->publish_us = 0;
	redis_counts_lost(node);
	redis_history_connected(node);
	check_up(node);
	if (!node->commands.link.clock.is_known)
		redis_log(node->engine, PUSH_LOG_WARN,
			"redis %s: TIME is refused (Push's user needs +time): after a failover, a message "
			"may be published twice",
			node->commands.label);
	redis_wake(node->engine);
}

static void
on_subscriptions_up(void *context, uint64_t now_us)
{
	struct redis_node *node = node_of(context);

	(void)now_us;
	redis_connection_is_up(&node->subscriptions);
	node->is_new = false;
	node->engine->stats->connects++;
	node->ask_again_us = 0;
	node->probes_lost = 0;
	node->probe_sent_us = 0;
	node->proven_us = now_us;
	check_up(node);
	redis_wake(node->engine);
}

static void
on_down(struct redis_node *node, struct redis_connection *connection, const char *why)
{
	struct redis_engine *engine = node->engine;
	bool was_up = node->is_up;

	if (!connection->wanted)
		return;
	if (redis_connection_is_down(connection, why))
		redis_log(engine, PUSH_LOG_ERROR, "redis %s: %s%s; trying again", connection->label,
			was_up ? "lost: " : "", why);
	engine->stats->failures++;
	snprintf(node->why_down, sizeof(node->why_down), "%s", why);
	check_up(node);
	redis_topology_doubt(engine);
}

static void
on_commands_down(void *context, const char *why, uint64_t now_us)
{
	struct redis_node *node = node_of(context);

	(void)now_us;
	on_down(node, &node->commands, why);
}

/* From when on messages may not have come: one that was silent was so for longer than it has been down. */
static void
note_deaf(struct redis_node *node, uint64_t now_us)
{
	bool is_deaf = node->probes_lost >= PUSH_REDIS_BEATS_DEAD;
	uint64_t heard_us = node->subscriptions.link.heard_us;
	bool is_silent = now_us >= heard_us + node->engine->options->redis_timeout_us;

	if (node->deaf_since_us || push_list_is_empty(&node->live))
		return;
	node->deaf_since_us = is_deaf ? node->proven_us : is_silent ? heard_us : now_us;
}

static void
on_subscriptions_down(void *context, const char *why, uint64_t now_us)
{
	struct redis_node *node = node_of(context);

	note_deaf(node, now_us);
	redis_subscriptions_lost(node);
	node->is_new = false;
	on_down(node, &node->subscriptions, why);
}

static void
on_request_item(struct redis_request *request, const struct push_redis_place *place,
	const struct push_redis_reply *item)
{
	if (request->item)
		request->item(request, place, item);
}

static void
on_request_answer(
	struct redis_node *node, struct redis_request *request, const struct push_redis_reply *reply)
{
	request->answer(node, request, reply);
}

static void
on_request_lost(struct redis_request *request)
{
	request->lost(request);
}

static void
on_item(void *context, const struct push_redis_awaited *awaited, const struct push_redis_place *place,
	const struct push_redis_reply *item)
{
	switch (awaited->kind) {
	case REDIS_AWAITED_PUBLISH:
	case REDIS_AWAITED_COUNTS: redis_publish_item(node_of(context)->engine, awaited, place, item); break;
	case REDIS_AWAITED_FETCH: redis_history_item(awaited, place, item); break;
	case REDIS_AWAITED_READING: redis_reading_item(awaited, place, item); break;
	case REDIS_AWAITED_REQUEST: on_request_item(awaited->context, place, item); break;
	default: break;
	}
}

static void
on_probe_answer(struct redis_node *node, const struct push_redis_reply *reply)
{
	/* a probe that was not published proves nothing */
	if (reply->type != PUSH_REDIS_INTEGER)
		node->probe_sent_us = 0;
	if (push_redis_is_error(reply, "MOVED"))
		redis_topology_doubt(node->engine);
}

static void
on_answer(void *context, const struct push_redis_awaited *awaited, const struct push_redis_reply *reply,
	uint64_t now_us)
{
	struct redis_node *node = node_of(context);

	(void)now_us;
	switch (awaited->kind) {
	case REDIS_AWAITED_PUBLISH:
	case REDIS_AWAITED_COUNTS: redis_publish_answer(node->engine, awaited, reply); break;
	case REDIS_AWAITED_COUNT:
	case REDIS_AWAITED_COUNT_CHECK: redis_count_answer(node, awaited, reply); break;
	case REDIS_AWAITED_SUBSCRIBE:
		redis_subscription_refused(
			node, (uint32_t)(uintptr_t)awaited->context, awaited->count, reply);
		break;
	case REDIS_AWAITED_BEAT: redis_peers_answered(node->engine, reply); break;
	case REDIS_AWAITED_VALUE: redis_value_answer(node->engine, awaited, reply); break;
	case REDIS_AWAITED_REQUEST: on_request_answer(node, awaited->context, reply); break;
	case REDIS_AWAITED_CALL: redis_call_published(node, awaited, reply); break;
	case REDIS_AWAITED_READING: redis_reading_answer(awaited, reply); break;
	case REDIS_AWAITED_ROOM: redis_room_answer(node, awaited, reply); break;
	case REDIS_AWAITED_PROBE: on_probe_answer(node, reply); break;
	case REDIS_AWAITED_FETCH: redis_history_answer(awaited, reply); break;
	case REDIS_AWAITED_LOAD: redis_history_loaded(node, awaited, reply); break;
	case REDIS_AWAITED_HEAD: redis_history_head_answer(node, awaited, reply); break;
	default:
		if (reply->type == PUSH_REDIS_ERROR)
			node->engine->stats->command_errors++;
		break;
	}
}

static void
on_lost(void *context, const struct push_redis_awaited *awaited, uint64_t now_us)
{
	(void)now_us;
	if (awaited->kind == REDIS_AWAITED_PUBLISH || awaited->kind == REDIS_AWAITED_COUNTS)
		redis_publish_lost(node_of(context)->engine, awaited);
	else if (awaited->kind == REDIS_AWAITED_COUNT || awaited->kind == REDIS_AWAITED_COUNT_CHECK)
		redis_count_answer_lost(node_of(context), awaited);
	else if (awaited->kind == REDIS_AWAITED_FETCH)
		redis_history_answer_lost(awaited);
	else if (awaited->kind == REDIS_AWAITED_VALUE)
		redis_value_lost(node_of(context)->engine, awaited);
	else if (awaited->kind == REDIS_AWAITED_CALL)
		redis_call_lost(node_of(context)->engine, awaited);
	else if (awaited->kind == REDIS_AWAITED_READING)
		redis_reading_lost(awaited);
	else if (awaited->kind == REDIS_AWAITED_REQUEST)
		on_request_lost(awaited->context);
}

static void
on_subscribed(void *context, bool subscribed, const char *channel, size_t size, uint64_t now_us)
{
	(void)now_us;
	redis_subscribed(node_of(context), subscribed, channel, size);
}

static void
on_message(void *context, const char *channel, size_t channel_size, const char *payload, size_t size,
	uint64_t now_us)
{
	(void)now_us;
	redis_message(node_of(context), channel, channel_size, payload, size);
}

static bool
on_is_behind(void *context)
{
	return push_hub_is_behind(node_of(context)->engine->hub);
}

static bool
is_never_behind(void *context)
{
	(void)context;
	return false;
}

static const struct push_redis_link_owner commands_owner = {
	.up = on_commands_up,
	.down = on_commands_down,
	.item = on_item,
	.answer = on_answer,
	.lost = on_lost,
	.is_behind = is_never_behind,
};

static const struct push_redis_link_owner subscriptions_owner = {
	.up = on_subscriptions_up,
	.down = on_subscriptions_down,
	.item = on_item,
	.answer = on_answer,
	.lost = on_lost,
	.subscribed = on_subscribed,
	.message = on_message,
	.is_behind = on_is_behind,
};

/* --- its life --- */

static struct redis_node *
find(struct redis_engine *engine, const char *host, uint16_t port)
{
	for (struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next) {
		struct redis_node *node = push_container_of(item, struct redis_node, item);

		if (node->commands.port == port && !strcmp(node->commands.host, host))
			return node;
	}
	return NULL;
}

struct redis_node *
redis_node_obtain(struct redis_engine *engine, const char *host, uint16_t port)
{
	struct redis_node *node = find(engine, host, port);

	if (node)
		return node;
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	node->engine = engine;
	node->is_new = true;
	push_list_init(&node->to_ask);
	push_list_init(&node->asked);
	push_list_init(&node->live);
	push_list_init(&node->refused);
	push_list_init(&node->to_tell);
	push_list_init(&node->to_tell_later);
	push_list_init(&node->told);
	push_list_init(&node->to_check);
	node->down_since_us = engine->now_us;
	push_list_append(&engine->nodes, &node->item);
	redis_connection_init(
		&node->commands, engine, PUSH_REDIS_COMMANDS, &engine->settings, &commands_owner, node);
	redis_connection_init(&node->subscriptions, engine, PUSH_REDIS_SUBSCRIPTIONS, &engine->settings,
		&subscriptions_owner, node);
	redis_connection_start(&node->commands, host, port);
	redis_connection_start(&node->subscriptions, host, port);
	return node;
}

static void
drop_probe(struct redis_node *node)
{
	struct push_channel *probe = node->probe;

	node->probe = NULL;
	if (probe)
		redis_subscription_drop(node->engine, probe->upstream);
}

void
redis_node_destroy(struct redis_node *node)
{
	struct redis_engine *engine = node->engine;

	node->commands.wanted = node->subscriptions.wanted = false;
	drop_probe(node);
	push_redis_link_fail(&node->commands.link, "the server has left the cluster");
	push_redis_link_settle(&node->commands.link, engine->now_us);
	redis_subscriptions_lost(node);
	redis_counts_lost(node);
	redis_subscriptions_move(engine, &node->to_ask);
	PUSH_ASSERT(push_list_is_empty(&node->asked) && push_list_is_empty(&node->live));
	redis_connection_fini(&node->commands);
	redis_connection_fini(&node->subscriptions);
	push_list_remove(&node->item);
	free(node);
}

bool
redis_node_takes_publishes(const struct redis_node *node)
{
	const struct push_redis_link *link = &node->commands.link;

	return link->state == PUSH_REDIS_UP && !link->failed &&
	       push_redis_link_backlog(link) < PUSH_REDIS_OUT_BYTES_MAX;
}

bool
redis_node_takes_subscriptions(const struct redis_node *node)
{
	const struct push_redis_link *link = &node->subscriptions.link;

	return link->state == PUSH_REDIS_UP && !link->failed && node->ask_again_us <= node->engine->now_us;
}

/* --- the probe --- */

/* Of a node of a cluster it hashes to one of the node's own slots. */
static void
hold_probe(struct redis_node *node)
{
	struct redis_engine *engine = node->engine;
	char name[128], tag[PUSH_REDIS_SLOT_TAG_BYTES] = "";

	if (engine->tags)
		push_redis_slot_tag(engine->tags, node->first_slot, tag);
	snprintf(name, sizeof(name), "%cpush:probe:{%s}%s", REDIS_PRIVATE_MARK, tag, engine->id);
	node->probe = redis_subscription_hold(engine, name, strlen(name));
}

static void
send_probe(struct redis_node *node)
{
	struct push_redis_link *link = &node->commands.link;
	const struct redis_subscription *subscription = node->probe->upstream;

	/* not before it is confirmed, or it could not arrive */
	if (!redis_node_takes_publishes(node) || subscription->state != SUBSCRIPTION_LIVE)
		return;
	if (!push_redis_link_expect(link, REDIS_AWAITED_PROBE, 0, NULL))
		return;
	push_resp_command(&link->out, 3);
	push_resp_text(&link->out, node->engine->options->redis_sharded ? "SPUBLISH" : "PUBLISH");
	redis_append_channel(node->engine, &link->out, node->probe->name, node->probe->name_size);
	push_resp_text(&link->out, "probe");
	node->probe_sent_us = node->engine->now_us;
	redis_wake(node->engine);
}

static void
judge_probe(struct redis_node *node)
{
	struct redis_engine *engine = node->engine;

	if (!node->probe_sent_us) {
		node->probes_lost = 0;
		return;
	}
	/* while its messages are not read it cannot arrive either */
	if (push_hub_is_behind(engine->hub))
		return;
	engine->stats->probes_lost++;
	if (++node->probes_lost < PUSH_REDIS_BEATS_DEAD)
		return;
	push_redis_link_fail(&node->subscriptions.link, "subscriptions deliver nothing");
}

void
redis_node_probed(struct redis_node *node)
{
	if (node->probe_sent_us)
		push_stats_redis_round_trip(node->engine->stats, node->engine->now_us - node->probe_sent_us);
	if (node->probe_sent_us)
		node->proven_us = node->probe_sent_us;
	node->probe_sent_us = 0;
}

void
redis_node_tick(struct redis_node *node)
{
	struct redis_engine *engine = node->engine;

	if (!node->is_up || engine->now_us < node->probe_due_us)
		return;
	node->probe_due_us = engine->now_us + PUSH_REDIS_BEAT_US;
	if (!node->probe && (!engine->slots || node->has_slots))
		hold_probe(node);
	if (!node->probe)
		return;
	judge_probe(node);
	if (!node->subscriptions.link.failed)
		send_probe(node);
}
