/*
 * counts.c - how many clients each channel has here, in Redis, for the answers to publishes (publishes.c).
 *
 *   HSET push:clients:CHANNEL NODE count   when it has changed, and each refresh; EXPIRE with each
 *   HGET push:clients:CHANNEL NODE         after a message, now and then: is it still what was accepted?
 *                                          EXPIRE where the last one is long ago
 *   HDEL push:clients:CHANNEL NODE         when the channel is no longer subscribed
 *
 *   changed ─▶ (later) ─▶ to_tell ─HSET─▶ telling ─accepted─▶ told ─message, or its time─▶ to_check
 *                            ▲               │                  ▲                            HGET │
 *                            ├─refused, lost─┘                  └────────as accepted──────────────┤
 *                            └───────────────────────another value────────────────────────────────┘
 *
 * Nothing here may hold up a publish, which takes the same connection: at most PUSH_REDIS_COUNTS_MAX of these
 * commands are unanswered, the rest waits here, where it costs nothing and what changes again is said once.
 * The first PUSH_REDIS_COUNTS_A_SECOND changes of a second are said at once; of more, those that a second
 * later are still true.  So a client that goes through ever new channels has hardly any of them counted.
 *
 * A count is what Redis has accepted, not what was sent.  Redis may forget it (FLUSHALL, eviction), refuse it
 * (no memory), or carry out a stale one late; so where messages come in, and so somebody reads the counts, it
 * is looked at again.  All is said again when the connection was lost, and the keys expire, so that a node
 * that died leaves nothing behind for ever.  A number of its own that a node finds in the answer to a
 * publish, and that is not what it has told, is corrected: a HDEL was lost with a server, for one.  Where
 * more nodes have a number than Redis has receivers, one of them does not receive, and may never see that
 * itself: now and then all are asked to look at theirs (peers.c).
 *
 * While a server refuses every HSET one is tried now and then, and the others wait for it; where that is for
 * want of memory, history makes room (room.c).
 */
#include <stdlib.h>

#include "core/push_assert.h"
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis/resp.h"

#define NOT_TOLD UINT32_MAX

/* What is awaited. */
struct redis_counting {
	struct redis_subscription *subscription; /* NULL: it was dropped */
};

enum tell_state { TELL_NOTHING, TELL_LATER, TELL_NOW, TELL_SENT, TELL_TOLD, TELL_CHECK };

/* Puts it into the list of that state, at its end. */
static void
set_state(struct redis_subscription *subscription, enum tell_state state)
{
	struct redis_node *node = subscription->node;

	push_list_remove(&subscription->tell);
	subscription->tell_state = (uint8_t)state;
	switch (state) {
	case TELL_LATER:
		subscription->tell_us = subscription->engine->now_us + PUSH_REDIS_COUNT_LATER_US;
		push_list_append(&node->to_tell_later, &subscription->tell);
		break;
	case TELL_NOW: push_list_append(&node->to_tell, &subscription->tell); break;
	case TELL_TOLD:
		subscription->tell_us = subscription->engine->now_us;
		push_list_append(&node->told, &subscription->tell);
		break;
	case TELL_CHECK: push_list_append(&node->to_check, &subscription->tell); break;
	default: break;
	}
}

/* What is allowed is a second's worth at most. */
static bool
may_tell_now(struct redis_engine *engine)
{
	const uint64_t cost_us = 1000000 / PUSH_REDIS_COUNTS_A_SECOND;

	if (engine->counted_us + 1000000 < engine->now_us)
		engine->counted_us = engine->now_us - 1000000;
	if (engine->counted_us + cost_us > engine->now_us)
		return false;
	engine->counted_us += cost_us;
	return true;
}

static bool
is_told(const struct redis_subscription *subscription)
{
	uint32_t count = subscription->channel->count;

	return subscription->told == NOT_TOLD ? !count && !subscription->may_be_counted
					      : count == subscription->told;
}

void
redis_count_changed(struct redis_subscription *subscription)
{
	if (!subscription->node || subscription->is_private || subscription->tell_state == TELL_SENT)
		return;
	if (is_told(subscription)) {
		if (subscription->tell_state == TELL_LATER || subscription->tell_state == TELL_NOW)
			set_state(subscription, subscription->told == NOT_TOLD ? TELL_NOTHING : TELL_TOLD);
	} else if (subscription->tell_state != TELL_LATER && subscription->tell_state != TELL_NOW) {
		set_state(subscription, may_tell_now(subscription->engine) ? TELL_NOW : TELL_LATER);
	}
}

/* --- sending --- */

static bool
may_send(const struct redis_node *node)
{
	return node->counting < PUSH_REDIS_COUNTS_MAX && redis_node_takes_publishes(node);
}

/* A number of 0 that is not known to be told is taken away: without memory Redis refuses to set anything. */
static bool
is_clear(const struct redis_subscription *subscription)
{
	return subscription->told == NOT_TOLD && !subscription->channel->count;
}

/* Where the server has refused one for a reason that holds for all, one at a time finds out whether it still
 * does. */
static bool
may_tell(struct redis_engine *engine, struct redis_node *node, const struct redis_subscription *subscription)
{
	if (!node->count_refused_us || is_clear(subscription))
		return true;
	if (engine->now_us < node->count_refused_us + PUSH_REDIS_COUNT_REFUSED_US)
		return false;
	node->count_refused_us = engine->now_us;
	return true;
}

/* The value itself goes with what is awaited. */
static bool
expect(struct redis_node *node, struct redis_subscription *subscription, uint32_t kind, uint32_t value)
{
	struct redis_counting *counting = malloc(sizeof(*counting));

	if (!counting || !push_redis_link_expect(&node->commands.link, kind, value, counting)) {
		free(counting);
		return false;
	}
	counting->subscription = subscription;
	subscription->counting = counting;
	node->counting++;
	set_state(subscription, TELL_SENT);
	return true;
}

static void
append_expire(struct redis_engine *engine, struct redis_node *node, struct redis_subscription *subscription)
{
	const struct push_channel *channel = subscription->channel;
	struct push_buf *out = &node->commands.link.out;

	if (!push_redis_link_expect(&node->commands.link, REDIS_AWAITED_NOTHING, 0, NULL))
		return;
	push_resp_command(out, 3);
	push_resp_text(out, "EXPIRE");
	redis_append_counts_key(engine, out, channel->name, channel->name_size, subscription->slot);
	push_resp_number(out, PUSH_REDIS_COUNT_TTL_S);
	subscription->expire_us = engine->now_us;
}

static bool
tell(struct redis_engine *engine, struct redis_node *node, struct redis_subscription *subscription)
{
	const struct push_channel *channel = subscription->channel;
	struct push_buf *out = &node->commands.link.out;
	bool clears = is_clear(subscription);

	if (!expect(node, subscription, REDIS_AWAITED_COUNT, channel->count))
		return false;
	subscription->may_be_counted = true;
	push_resp_command(out, clears ? 3 : 4);
	push_resp_text(out, clears ? "HDEL" : "HSET");
	redis_append_counts_key(engine, out, channel->name, channel->name_size, subscription->slot);
	push_resp_text(out, engine->id);
	if (clears)
		return true;
	push_resp_number(out, channel->count);
	append_expire(engine, node, subscription);
	return true;
}

static bool
check(struct redis_engine *engine, struct redis_node *node, struct redis_subscription *subscription)
{
	const struct push_channel *channel = subscription->channel;
	struct push_buf *out = &node->commands.link.out;

	if (!expect(node, subscription, REDIS_AWAITED_COUNT_CHECK, subscription->told))
		return false;
	push_resp_command(out, 3);
	push_resp_text(out, "HGET");
	redis_append_counts_key(engine, out, channel->name, channel->name_size, subscription->slot);
	push_resp_text(out, engine->id);
	/* one that is used is not refreshed, which would do it */
	if (engine->now_us >= subscription->expire_us + PUSH_REDIS_COUNT_REFRESH_US)
		append_expire(engine, node, subscription);
	return true;
}

void
redis_counts_flush(struct redis_engine *engine, struct redis_node *node)
{
	while (!push_list_is_empty(&node->to_tell) && may_send(node)) {
		struct redis_subscription *subscription =
			push_container_of(node->to_tell.next, struct redis_subscription, tell);

		if (!may_tell(engine, node, subscription))
			break;
		if (!tell(engine, node, subscription))
			return;
	}
	while (!push_list_is_empty(&node->to_check) && may_send(node))
		if (!check(engine, node,
			    push_container_of(node->to_check.next, struct redis_subscription, tell)))
			return;
}

/* --- answers --- */

/* Whose answer it is; NULL: of one that was dropped, or belongs to another server now. */
static struct redis_subscription *
take(struct redis_node *node, struct redis_counting *counting)
{
	struct redis_subscription *subscription = counting->subscription;

	free(counting);
	PUSH_ASSERT(node->counting > 0);
	node->counting--;
	if (!push_list_is_empty(&node->to_tell) || !push_list_is_empty(&node->to_check))
		redis_wake(node->engine);
	if (!subscription)
		return NULL;
	PUSH_ASSERT(subscription->tell_state == TELL_SENT);
	subscription->counting = NULL;
	subscription->tell_state = TELL_NOTHING;
	if (subscription->node == node)
		return subscription;
	redis_count_changed(subscription);
	return NULL;
}

static void
tell_later(struct redis_subscription *subscription)
{
	subscription->told = NOT_TOLD;
	set_state(subscription, TELL_LATER);
}

static void
on_told(struct redis_subscription *subscription, uint32_t value)
{
	subscription->told = value;
	subscription->may_be_counted = value != 0;
	set_state(subscription, TELL_TOLD);
	redis_count_changed(subscription);
}

static void
on_refused(struct redis_node *node, bool is_check, const struct push_redis_reply *reply)
{
	struct redis_engine *engine = node->engine;

	engine->stats->command_errors++;
	if (redis_topology_is_in_doubt(engine, reply))
		return;
	redis_log_refusal(
		engine, node, is_check ? "to read a subscriber count" : "to store a subscriber count", reply);
	if (!push_redis_refusal_is_general(reply->text, reply->size))
		return;
	(void)redis_room_make(node, reply); /* it is tried again anyway */
	/* of looks: it may not be allowed; then they are told again now and then, as they are anyway */
	if (is_check)
		engine->check_counts_us = engine->now_us + PUSH_REDIS_COUNT_RECHECK_US;
	else
		node->count_refused_us = engine->now_us;
}

static bool
is_number(const struct push_redis_reply *reply, uint64_t expected)
{
	uint64_t value = 0;

	return reply->type == PUSH_REDIS_STRING && push_redis_decimal(reply->text, reply->size, &value) &&
	       value == expected;
}

void
redis_count_answer(struct redis_node *node, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply)
{
	struct redis_subscription *subscription = take(node, awaited->context);
	bool is_check = awaited->kind == REDIS_AWAITED_COUNT_CHECK;

	if (reply->type == PUSH_REDIS_ERROR)
		on_refused(node, is_check, reply);
	else if (!is_check && awaited->count)
		node->count_refused_us = 0; /* take() has woken the flush for those that wait */
	if (!subscription)
		return;
	if (is_check)
		subscription->checked_us = node->engine->now_us;
	/* a check that is refused says nothing of the number */
	if (reply->type == PUSH_REDIS_ERROR ? is_check : !is_check || is_number(reply, awaited->count)) {
		on_told(subscription, awaited->count);
	} else if (reply->type == PUSH_REDIS_ERROR) {
		tell_later(subscription);
	} else {
		node->engine->stats->counts_forgotten++;
		subscription->told = NOT_TOLD;
		set_state(subscription, TELL_NOW);
		redis_wake(node->engine);
	}
}

void
redis_count_answer_lost(struct redis_node *node, const struct push_redis_awaited *awaited)
{
	struct redis_subscription *subscription = take(node, awaited->context);

	if (subscription)
		tell_later(subscription);
}

/* --- what may have been forgotten --- */

void
redis_count_used(struct redis_subscription *subscription)
{
	struct redis_engine *engine = subscription->engine;

	if (subscription->tell_state != TELL_TOLD ||
		engine->now_us < subscription->checked_us + PUSH_REDIS_COUNT_CHECK_US ||
		engine->now_us < engine->check_counts_us)
		return;
	subscription->checked_us = engine->now_us;
	set_state(subscription, TELL_CHECK);
	redis_wake(engine);
}

void
redis_counts_lost(struct redis_node *node)
{
	node->count_refused_us = 0;
	push_list_splice(&node->to_tell, &node->to_tell_later);
	push_list_splice(&node->to_tell, &node->told);
	push_list_splice(&node->to_tell, &node->to_check);
	for (struct push_list *item = node->to_tell.next; item != &node->to_tell; item = item->next) {
		struct redis_subscription *subscription =
			push_container_of(item, struct redis_subscription, tell);

		subscription->told = NOT_TOLD;
		subscription->tell_state = TELL_NOW;
	}
}

void
redis_count_moved(struct redis_subscription *subscription)
{
	subscription->told = NOT_TOLD;
	if (subscription->tell_state == TELL_SENT)
		return;
	set_state(subscription, TELL_NOTHING);
	redis_count_changed(subscription);
}

bool
redis_count_can_clear(const struct redis_subscription *subscription)
{
	return !subscription->may_be_counted || !subscription->node ||
	       redis_node_takes_publishes(subscription->node);
}

void
redis_count_delete(struct redis_node *node, const char *name, size_t size, uint16_t slot, const char *id)
{
	struct push_redis_link *link = &node->commands.link;

	if (!redis_node_takes_publishes(node) ||
		!push_redis_link_expect(link, REDIS_AWAITED_NOTHING, 0, NULL))
		return;
	push_resp_command(&link->out, 3);
	push_resp_text(&link->out, "HDEL");
	redis_append_counts_key(node->engine, &link->out, name, size, slot);
	push_resp_text(&link->out, id);
	redis_wake(node->engine);
}

static void
send_clear(struct redis_subscription *subscription)
{
	const struct push_channel *channel = subscription->channel;

	redis_count_delete(subscription->node, channel->name, channel->name_size, subscription->slot,
		subscription->engine->id);
}

/* Answers come in the order of the commands: what is told, and not under way, is what Redis has, or it has
 * forgotten that. */
void
redis_count_seen(struct redis_node *node, const char *name, size_t size, uint16_t slot, uint64_t value)
{
	struct redis_engine *engine = node->engine;
	struct push_channel *channel = push_hub_find(engine->hub, name, size);
	struct redis_subscription *subscription = channel ? channel->upstream : NULL;

	if (!subscription || !subscription->channel) {
		engine->stats->counts_forgotten++;
		redis_count_delete(node, name, size, slot, engine->id);
		return;
	}
	if (subscription->node != node || subscription->is_private)
		return;
	if (subscription->tell_state == TELL_TOLD && value != subscription->told) {
		engine->stats->counts_forgotten++;
		subscription->told = NOT_TOLD;
		set_state(subscription, TELL_NOW);
		redis_wake(engine);
	} else if (subscription->tell_state == TELL_NOTHING) {
		subscription->may_be_counted = true;
		redis_count_changed(subscription);
		redis_wake(engine);
	}
}

void
redis_count_asked(struct redis_engine *engine, const char *name, size_t size)
{
	struct push_channel *channel;
	struct redis_subscription *subscription;
	struct redis_node *node;

	if (!size || size > engine->options->channel_name_bytes_max || *name == REDIS_PRIVATE_MARK ||
		engine->now_us < engine->count_asked_us + PUSH_REDIS_COUNT_ASKED_US)
		return;
	engine->count_asked_us = engine->now_us;
	channel = push_hub_find(engine->hub, name, size);
	subscription = channel ? channel->upstream : NULL;
	if (!subscription || !subscription->channel) {
		uint16_t slot = redis_topology_slot(engine, name, size);

		node = redis_topology_node(engine, slot);
		if (node)
			redis_count_delete(node, name, size, slot, engine->id);
	} else if (subscription->node && subscription->tell_state == TELL_NOTHING) {
		subscription->may_be_counted = true;
		redis_count_changed(subscription);
		redis_wake(engine);
	} else if (subscription->node) {
		redis_count_used(subscription);
	}
}

void
redis_count_clear(struct redis_subscription *subscription)
{
	if (subscription->counting)
		subscription->counting->subscription = NULL;
	subscription->counting = NULL;
	if (subscription->node && (subscription->told != NOT_TOLD || subscription->may_be_counted))
		send_clear(subscription);
	set_state(subscription, TELL_NOTHING);
	subscription->told = NOT_TOLD;
}

void
redis_count_leave(struct redis_subscription *subscription)
{
	if (subscription->node && subscription->may_be_counted)
		send_clear(subscription);
}

static void
refresh(struct redis_engine *engine, struct redis_node *node)
{
	for (int i = 0; i < PUSH_REDIS_COUNT_REFRESH_MAX && !push_list_is_empty(&node->told); i++) {
		struct redis_subscription *subscription =
			push_container_of(node->told.next, struct redis_subscription, tell);

		if (subscription->tell_us + PUSH_REDIS_COUNT_REFRESH_US > engine->now_us)
			return;
		subscription->told = NOT_TOLD;
		set_state(subscription, TELL_NOW);
	}
}

void
redis_counts_tick(struct redis_engine *engine, struct redis_node *node)
{
	while (!push_list_is_empty(&node->to_tell_later)) {
		struct redis_subscription *subscription =
			push_container_of(node->to_tell_later.next, struct redis_subscription, tell);

		if (subscription->tell_us > engine->now_us)
			break;
		set_state(subscription, TELL_NOW);
	}
	refresh(engine, node);
}
