/*
 * subscriptions.c - what this process is subscribed to in Redis.
 *
 *   first client ─▶ to_ask ──SUBSCRIBE──▶ asked ──confirmed──▶ live ──last client gone──▶ idle ─▶ dropped
 *                     ▲                                         │
 *                     └──connection lost; confirmed again: `gap`┘
 *
 * Lists are moved as a whole when a connection is lost, so that nothing here walks all channels at once; they
 * are asked for again in batches, as fast as the server takes them.
 *
 * At most PUSH_REDIS_ASKED_MAX channels are asked for and not confirmed, so that Redis comes to the publishes
 * of others; those that wait to be asked for go without a word when their clients do.  Beside it goes the
 * number of clients of each channel (counts.c).
 */
#include <stdio.h>
#include <string.h>

#include "core/payload.h"
#include "core/push_assert.h"
#include "core/utf8.h"
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis/resp.h"

/* Of a channel's name in a log line. */
#define REFUSED_NAME_BYTES_MAX 255

static bool
is_sharded(const struct redis_engine *engine)
{
	return engine->options->redis_sharded;
}

/* --- subscribing --- */

/* It is asked for no longer, or it is confirmed. */
static void
end_asking(struct redis_subscription *subscription)
{
	if (subscription->state == SUBSCRIPTION_ASKED && subscription->node)
		subscription->node->asked_count--;
}

static void
ask(struct redis_subscription *subscription, struct redis_node *node)
{
	end_asking(subscription);
	push_list_remove(&subscription->item);
	push_list_append(&node->to_ask, &subscription->item);
	subscription->state = SUBSCRIPTION_TO_ASK;
}

void
redis_subscription_do_not_wait(struct redis_engine *engine, struct redis_subscription *subscription)
{
	subscription->is_missed = true;
	redis_history_lost(subscription);
	push_hub_confirm(engine->hub, subscription->channel, false, engine->now_us);
}

static void
home(struct redis_engine *engine, struct redis_subscription *subscription)
{
	struct redis_node *node = redis_topology_node(engine, subscription->slot);

	end_asking(subscription);
	subscription->state = SUBSCRIPTION_TO_ASK;
	subscription->node = node;
	if (subscription->was_live)
		redis_history_lost(subscription);
	if (!node) {
		push_list_remove(&subscription->item);
		push_list_append(&engine->homeless, &subscription->item);
	} else {
		ask(subscription, node);
	}
	redis_count_moved(subscription);
	/* the first attempt to connect is waited for: it takes a moment where all is well */
	if (!node || (!redis_node_takes_subscriptions(node) && !node->is_new))
		redis_subscription_do_not_wait(engine, subscription);
}

static struct redis_subscription *
adopt(struct redis_engine *engine, struct push_channel *channel)
{
	struct redis_subscription *subscription = channel->upstream;

	channel->held = true;
	push_list_init(&subscription->item);
	push_list_init(&subscription->tell);
	push_list_init(&subscription->idle);
	push_list_init(&subscription->ask_history);
	push_list_init(&subscription->unconfirmed);
	subscription->engine = engine;
	subscription->channel = channel;
	subscription->slot = redis_topology_slot(engine, channel->name, channel->name_size);
	subscription->told = UINT32_MAX;
	subscription->is_private = channel->name_size && channel->name[0] == REDIS_PRIVATE_MARK;
	engine->stats->channels++;
	home(engine, subscription);
	return subscription;
}

/* One whose clients were not counted before they left is not lingered for, unless it has history, and
 * somebody may come back to that.  While it is being asked for its confirmation could be taken for that of
 * the next attempt. */
static void
drop_if_never_used(struct redis_subscription *subscription)
{
	if (!subscription->channel->count && !subscription->is_private && !subscription->channel->history &&
		subscription->told == UINT32_MAX && !subscription->may_be_counted &&
		subscription->state != SUBSCRIPTION_ASKED)
		redis_subscription_drop(subscription->engine, subscription);
}

static void
on_changed(struct redis_engine *engine, struct push_channel *channel)
{
	struct redis_subscription *subscription = channel->upstream;

	if (!subscription->channel)
		subscription = adopt(engine, channel);
	push_list_remove(&subscription->idle);
	if (!channel->count && !subscription->is_private) {
		subscription->idle_since_us = engine->now_us;
		push_list_append(&engine->idle, &subscription->idle);
	}
	redis_count_changed(subscription);
	drop_if_never_used(subscription);
}

struct push_channel *
redis_subscription_hold(struct redis_engine *engine, const char *name, size_t size)
{
	struct push_channel *channel = push_hub_hold(engine->hub, name, size);

	if (channel)
		(void)adopt(engine, channel);
	return channel;
}

static void
append_unsubscribe(struct redis_engine *engine, struct redis_subscription *subscription)
{
	struct push_redis_link *link = &subscription->node->subscriptions.link;

	if (link->state != PUSH_REDIS_UP || link->failed)
		return;
	push_resp_command(&link->out, 2);
	push_resp_text(&link->out, is_sharded(engine) ? "SUNSUBSCRIBE" : "UNSUBSCRIBE");
	redis_append_channel(
		engine, &link->out, subscription->channel->name, subscription->channel->name_size);
}

void
redis_subscription_drop(struct redis_engine *engine, struct redis_subscription *subscription)
{
	struct push_channel *channel = subscription->channel;

	if (subscription->node && subscription->state >= SUBSCRIPTION_ASKED)
		append_unsubscribe(engine, subscription);
	redis_count_clear(subscription);
	end_asking(subscription);
	push_list_remove(&subscription->item);
	push_list_remove(&subscription->idle);
	redis_history_dropped(subscription);
	channel->confirmed = false; /* it may stay for what is kept of it */
	memset(subscription, 0, sizeof(*subscription));
	engine->stats->channels--;
	redis_wake(engine);
	push_hub_release(engine->hub, channel);
}

/* Up to PUSH_REDIS_BATCH_CHANNELS; sharded ones of one command must be of one slot. */
static size_t
batch_size(const struct redis_engine *engine, const struct redis_node *node)
{
	size_t count = 0;
	int slot = -1;

	for (const struct push_list *item = node->to_ask.next;
		item != &node->to_ask && count < PUSH_REDIS_BATCH_CHANNELS; item = item->next) {
		const struct redis_subscription *subscription =
			push_container_of(item, struct redis_subscription, item);

		if (count && (subscription->is_alone || (is_sharded(engine) && subscription->slot != slot)))
			break;
		slot = subscription->slot;
		count++;
		if (subscription->is_alone)
			break;
	}
	return count;
}

static bool
ask_batch(struct redis_engine *engine, struct redis_node *node)
{
	struct push_redis_link *link = &node->subscriptions.link;
	size_t count = batch_size(engine, node);

	if (!count || !push_redis_link_expect(link, REDIS_AWAITED_SUBSCRIBE, (uint32_t)count,
			      (void *)(uintptr_t)++node->batch))
		return false;
	push_resp_command(&link->out, 1 + count);
	push_resp_text(&link->out, is_sharded(engine) ? "SSUBSCRIBE" : "SUBSCRIBE");
	for (size_t i = 0; i < count; i++) {
		struct redis_subscription *subscription =
			push_container_of(node->to_ask.next, struct redis_subscription, item);

		redis_append_channel(
			engine, &link->out, subscription->channel->name, subscription->channel->name_size);
		push_list_remove(&subscription->item);
		push_list_append(&node->asked, &subscription->item);
		subscription->state = SUBSCRIPTION_ASKED;
		subscription->batch = node->batch;
	}
	node->asked_count += (uint32_t)count;
	return true;
}

static void
flush_node(struct redis_engine *engine, struct redis_node *node)
{
	while (redis_node_takes_subscriptions(node) && node->asked_count < PUSH_REDIS_ASKED_MAX &&
		push_redis_link_backlog(&node->subscriptions.link) < PUSH_REDIS_BATCH_BYTES)
		if (!ask_batch(engine, node))
			break;
	redis_counts_flush(engine, node);
}

void
redis_subscriptions_flush(struct redis_engine *engine)
{
	struct push_channel *channel;

	while ((channel = push_hub_next_changed(engine->hub)))
		on_changed(engine, channel);
	for (struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next)
		flush_node(engine, push_container_of(item, struct redis_node, item));
}

/* --- what Redis says --- */

static struct redis_subscription *
find(struct redis_node *node, const char *name, size_t size)
{
	const char *own = redis_channel_name(node->engine, name, &size);
	struct push_channel *channel = push_hub_find(node->engine->hub, own, size);
	struct redis_subscription *subscription = channel ? channel->upstream : NULL;

	/* one that was given to another server since is nothing to this one */
	return subscription && subscription->channel && subscription->node == node ? subscription : NULL;
}

static void
confirm(struct redis_engine *engine, struct redis_node *node, struct redis_subscription *subscription)
{
	bool gap = subscription->was_live || subscription->is_missed;

	end_asking(subscription);
	if (!push_list_is_empty(&node->to_ask))
		redis_wake(engine);
	push_list_remove(&subscription->item);
	push_list_append(&node->live, &subscription->item);
	subscription->state = SUBSCRIPTION_LIVE;
	subscription->was_live = true;
	subscription->is_missed = subscription->is_alone = false;
	if (gap)
		engine->stats->gaps++;
	if (subscription->channel == engine->notices)
		redis_notices_subscribed(engine);
	if (subscription->channel->history)
		redis_history_subscribed(subscription, gap);
	else
		push_hub_confirm(engine->hub, subscription->channel, gap, engine->now_us);
	if (push_list_is_empty(&node->asked) && push_list_is_empty(&node->to_ask) && node->up_since_us) {
		engine->stats->resubscribe_us = engine->now_us - node->up_since_us;
		node->up_since_us = 0;
	}
	if (node->deaf_since_us && push_list_is_empty(&node->asked) && push_list_is_empty(&node->to_ask)) {
		redis_peers_was_deaf(engine, node->deaf_since_us);
		node->deaf_since_us = 0;
	}
}

void
redis_subscribed(struct redis_node *node, bool subscribed, const char *channel, size_t size)
{
	struct redis_subscription *subscription = find(node, channel, size);

	if (!subscription)
		return;
	if (subscribed && subscription->state == SUBSCRIPTION_ASKED) {
		confirm(node->engine, node, subscription);
		drop_if_never_used(subscription);
	} else if (!subscribed && subscription->state == SUBSCRIPTION_LIVE) {
		/* not asked for: the slot has moved, and the channel would be deaf */
		redis_history_lost(subscription);
		ask(subscription, node);
		redis_topology_doubt(node->engine);
		redis_wake(node->engine);
	}
}

static void
on_private_message(
	struct redis_engine *engine, const struct push_channel *channel, const char *payload, size_t size)
{
	if (channel == engine->beats) {
		redis_peers_heard(engine, payload, size);
		return;
	}
	if (channel == engine->calls_channel) {
		redis_calls_heard(engine, payload, size);
		return;
	}
	if (channel == engine->notices) {
		redis_notice_heard(engine, payload, size);
		return;
	}
	if (redis_history_head_heard(engine, channel, payload, size))
		return;
	for (struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next) {
		struct redis_node *node = push_container_of(item, struct redis_node, item);

		if (node->probe == channel)
			redis_node_probed(node);
	}
}

static void
deliver(struct redis_engine *engine, struct push_channel *channel, const char *payload, size_t size)
{
	const char *value;
	size_t value_size;
	struct push_delivery *delivery = NULL;
	struct push_trace trace;
	bool is_replaced, is_traced = push_redis_trace_open(&trace, &payload, &size);
	enum push_status status =
		push_payload_decode(payload, size, &engine->scratch, &value, &value_size, &is_replaced);

	if (status == PUSH_OK) {
		engine->stats->replaced += is_replaced;
		if (is_traced)
			delivery = push_tracer_deliver(
				engine->engine.tracer, engine->hub, channel, &trace, value_size);
		status = push_hub_deliver_to(engine->hub, channel, value, value_size, engine->now_us);
		push_tracer_delivered(engine->engine.tracer, engine->hub, delivery);
	}
	/* nobody was given it: that must not go without a word */
	if (status != PUSH_OK) {
		engine->stats->messages_lost++;
		push_hub_confirm(engine->hub, channel, true, engine->now_us);
	}
}

void
redis_message(struct redis_node *node, const char *channel_name, size_t channel_size, const char *payload,
	size_t size)
{
	struct redis_engine *engine = node->engine;
	struct redis_subscription *subscription = find(node, channel_name, channel_size);
	struct redis_receipt *receipt;
	bool is_unkept, is_marked = false;

	if (!subscription)
		return;
	if (subscription->is_private) {
		on_private_message(engine, subscription->channel, payload, size);
		return;
	}
	engine->stats->messages++;
	redis_count_used(subscription);
	is_unkept = redis_history_open_unkept(&payload, &size, &is_marked);
	if (!is_unkept && redis_history_message(subscription, &payload, &size))
		return;
	receipt = redis_receipt_begin(engine, &payload, &size);
	if (subscription->channel->count)
		deliver(engine, subscription->channel, payload, size);
	redis_receipt_end(engine, receipt);
	if (!is_unkept || !subscription->channel->history)
		return;
	if (is_marked)
		redis_history_check(subscription);
	else
		push_hub_confirm(engine->hub, subscription->channel, true, engine->now_us);
}

static enum redis_purpose
purpose_of(const struct redis_engine *engine, const struct redis_subscription *subscription)
{
	const struct push_channel *channel = subscription->channel;

	if (!subscription->is_private)
		return REDIS_PURPOSE_CLIENTS;
	if (channel == engine->beats)
		return REDIS_PURPOSE_BEATS;
	if (channel == engine->calls_channel)
		return REDIS_PURPOSE_CALLS;
	if (channel == engine->notices)
		return REDIS_PURPOSE_NOTICES;
	for (unsigned int p = 0; p < engine->partition_count; p++)
		if (channel == engine->partitions[p].announcements)
			return REDIS_PURPOSE_HEADS;
	return REDIS_PURPOSE_PROBE;
}

/* Which channel, and what is lost by it; a line for each purpose, now and then. */
static void
log_refused(struct redis_node *node, const struct redis_subscription *subscription,
	const struct push_redis_reply *reply)
{
	static const char *const losses[REDIS_PURPOSE_COUNT] = {
		[REDIS_PURPOSE_CLIENTS] = "its clients get no messages",
		[REDIS_PURPOSE_BEATS] = "clients of other nodes are not counted as subscribers",
		[REDIS_PURPOSE_CALLS] = "other nodes cannot change this node's event streams",
		[REDIS_PURPOSE_NOTICES] = "revocations made at other nodes do not reach this one",
		[REDIS_PURPOSE_HEADS] = "clients of channels with history wait for seconds when they connect",
		[REDIS_PURPOSE_PROBE] = "a connection that delivers nothing is not detected",
	};
	struct redis_engine *engine = node->engine;
	enum redis_purpose purpose = purpose_of(engine, subscription);
	const char *name = subscription->channel->name + subscription->is_private;
	size_t size = subscription->channel->name_size - subscription->is_private;
	char what[2 * REFUSED_NAME_BYTES_MAX];

	snprintf(what, sizeof(what), "a subscription to %s'%.*s', so that %s",
		subscription->is_private ? "the node's own channel " : "",
		(int)push_utf8_cut(name, size, REFUSED_NAME_BYTES_MAX), name, losses[purpose]);
	redis_log_refusal_of(engine, node, what, reply, &engine->refused_logged_us[purpose]);
}

static void
refuse(struct redis_node *node, struct redis_subscription *subscription)
{
	struct redis_engine *engine = node->engine;

	end_asking(subscription);
	push_list_remove(&subscription->item);
	push_list_append(&node->refused, &subscription->item);
	subscription->state = SUBSCRIPTION_TO_ASK;
	redis_subscription_do_not_wait(engine, subscription);
	redis_history_head_refused(engine, subscription->channel);
	if (subscription->channel->history)
		redis_history_give_up(subscription);
	if (node->ask_refused_us <= engine->now_us)
		node->ask_refused_us = engine->now_us + PUSH_REDIS_REFUSED_PAUSE_US;
}

/* Redis refuses a SUBSCRIBE as a whole, for the sake of one channel: the others must not suffer for it. */
void
redis_subscription_refused(
	struct redis_node *node, uint32_t batch, uint32_t count, const struct push_redis_reply *reply)
{
	struct redis_engine *engine = node->engine;
	struct push_list *item = node->asked.next, *next;
	bool is_redirected = redis_topology_is_in_doubt(engine, reply);

	engine->stats->command_errors++;
	if (is_redirected)
		node->ask_again_us = engine->now_us + PUSH_REDIS_REDIRECTED_PAUSE_US;
	for (; item != &node->asked; item = next) {
		struct redis_subscription *subscription =
			push_container_of(item, struct redis_subscription, item);

		next = item->next;
		if (subscription->batch != batch)
			continue;
		if (is_redirected) {
			ask(subscription, node);
			redis_subscription_do_not_wait(engine, subscription);
		} else if (count == 1) {
			log_refused(node, subscription, reply);
			refuse(node, subscription);
		} else {
			subscription->is_alone = true;
			ask(subscription, node);
		}
	}
	redis_wake(engine);
}

void
redis_subscriptions_lost(struct redis_node *node)
{
	for (struct push_list *item = node->to_ask.next; node->is_new && item != &node->to_ask;
		item = item->next)
		redis_subscription_do_not_wait(
			node->engine, push_container_of(item, struct redis_subscription, item));
	for (struct push_list *item = node->asked.next; item != &node->asked; item = item->next) {
		struct redis_subscription *subscription =
			push_container_of(item, struct redis_subscription, item);

		subscription->state = SUBSCRIPTION_TO_ASK;
		redis_subscription_do_not_wait(node->engine, subscription);
	}
	if (node->engine->partition_count)
		for (struct push_list *item = node->live.next; item != &node->live; item = item->next) {
			struct redis_subscription *subscription =
				push_container_of(item, struct redis_subscription, item);

			redis_history_lost(subscription);
			if (!subscription->channel->confirmed) /* it was to be settled yet */
				redis_subscription_do_not_wait(node->engine, subscription);
		}
	node->asked_count = 0;
	push_list_splice(&node->to_ask, &node->asked);
	push_list_splice(&node->to_ask, &node->live);
	push_list_splice(&node->to_ask, &node->refused);
}

void
redis_subscriptions_missed(struct redis_engine *engine, const uint8_t slots[PUSH_REDIS_SLOT_COUNT / 8])
{
	for (struct push_list *each = engine->nodes.next; each != &engine->nodes; each = each->next) {
		struct redis_node *node = push_container_of(each, struct redis_node, item);

		/* those that are not live are told when they are */
		for (struct push_list *item = node->live.next; item != &node->live; item = item->next) {
			struct redis_subscription *subscription =
				push_container_of(item, struct redis_subscription, item);

			if (!(slots[subscription->slot / 8] & (1u << subscription->slot % 8)))
				continue;
			if (subscription->channel->history)
				redis_history_check(subscription);
			else
				push_hub_confirm(engine->hub, subscription->channel, true, engine->now_us);
		}
	}
}

/* Those whose server stays the same keep their place and their state. */
void
redis_subscriptions_move(struct redis_engine *engine, struct push_list *list)
{
	struct push_list *item = list->next, *next;

	for (; item != list; item = next) {
		struct redis_subscription *subscription =
			push_container_of(item, struct redis_subscription, item);
		struct redis_node *node = redis_topology_node(engine, subscription->slot);

		next = item->next;
		if (node == subscription->node)
			continue;
		if (subscription->node && subscription->state >= SUBSCRIPTION_ASKED)
			append_unsubscribe(engine, subscription);
		redis_count_leave(subscription);
		home(engine, subscription);
	}
	redis_wake(engine);
}

/* Those that nobody has come back to.  Redis may have a number of clients to be cleared before. */
static void
drop_idle(struct redis_engine *engine)
{
	struct push_list *item = engine->idle.next, *next;

	for (int i = 0; i < PUSH_REDIS_DROPS_MAX && item != &engine->idle; i++, item = next) {
		struct redis_subscription *subscription =
			push_container_of(item, struct redis_subscription, idle);

		next = item->next;
		if (subscription->idle_since_us + PUSH_REDIS_LINGER_US > engine->now_us)
			return;
		/* somebody may have come in this very turn, and counts on it */
		if (subscription->channel->count)
			push_list_remove(&subscription->idle);
		else if (redis_count_can_clear(subscription))
			redis_subscription_drop(engine, subscription);
	}
}

void
redis_subscriptions_tick(struct redis_engine *engine)
{
	drop_idle(engine);
	for (struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next) {
		struct redis_node *node = push_container_of(item, struct redis_node, item);

		redis_counts_tick(engine, node);
		if (node->ask_refused_us <= engine->now_us)
			push_list_splice(&node->to_ask, &node->refused);
	}
}
