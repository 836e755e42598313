/*
 * history.c - history that Redis keeps: numbered and published there in one step (scripts.h), and asked for
 * here where the hub's window does not reach (core/history.h, "Upstream").
 *
 *   SUBSCRIBE ─▶ confirmed ─▶ fetch ─▶ settled ─▶ the partition's head is known ─▶ the hub is told: confirmed
 *
 * Partitions.  A number grows for each partition, which one server has to keep with the streams of all its
 * channels.  So a channel with history does not live in the slot of its own name but in its partition's, and
 * so do its subscription and its clients' counts: one connection brings all messages of a partition in the
 * order of their numbers.  With shards its name in Redis has the partition's tag in front, or it would lie in
 * another slot.
 *
 * Loss.  When a connection is lost, or a message says that one before it has not come, or a slot moves, then
 * the channels concerned are `lost`, and their partition is held back: no client is given anything of it, or
 * its position would tell that it has what is missing.  Each lost channel is fetched again behind its
 * last message; when none is left the partition catches up.
 *
 * The head.  A fetch is answered on another connection than messages come in by, so its head may be ahead of
 * them.  Clients that need to know what has really come wait for an announcement: a script publishes the head
 * on a private channel of this process, which arrives behind everything that was published before.  However
 * late that is, they wait: what is published meanwhile would come behind their position.  Where a user may
 * not have announcements, all channels of the partition are fetched instead, as after a loss.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/history.h"
#include "core/limits.h"
#include "core/payload.h"
#include "core/push_assert.h"
#include "redis/call_text.h"
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis/resp.h"

/* Behind any id: nothing is asked for. */
#define NOWHERE "18446744073709551615-18446744073709551615"

/* So often in a row it may be that a script is not there; then we may not load any. */
#define UNLOADED_MAX 3

enum { ITEM_EPOCH, ITEM_NUMBER, ITEM_NOW, ITEM_MESSAGES };
enum { MESSAGE_ID, MESSAGE_TIME, MESSAGE_TTL, MESSAGE_PAYLOAD, MESSAGE_PARTS };

/* An answer that is awaited. */
struct redis_fetch {
	struct redis_engine *engine;
	struct redis_subscription *subscription; /* NULL: it was dropped */
	bool is_backward, is_useless;
	struct push_position head, before;
	uint64_t now_ms; /* Redis' */
	char parts[MESSAGE_PAYLOAD][REDIS_POSITION_BYTES];
};

/* --- numbers in text --- */

bool
redis_read_position(const char *text, size_t size, struct push_position *ret)
{
	const char *dash = size ? memchr(text, '-', size) : NULL;

	return dash && push_redis_decimal(text, (size_t)(dash - text), &ret->epoch) &&
	       push_redis_decimal(dash + 1, size - (size_t)(dash - text) - 1, &ret->number);
}

/* A message's own ttl, in us.  Whatever is longer than any rule's is all the same. */
static uint64_t
ttl_of(uint64_t ttl_ms)
{
	return ttl_ms > PUSH_DURATION_US_MAX / 1000 ? PUSH_DURATION_US_MAX : ttl_ms * 1000;
}

void
redis_append_position(struct push_buf *out, struct push_position at)
{
	char text[REDIS_POSITION_BYTES];

	snprintf(
		text, sizeof(text), "%llu-%llu", (unsigned long long)at.epoch, (unsigned long long)at.number);
	push_resp_text(out, text);
}

/* --- partitions --- */

static struct redis_partition *
partition_of(const struct redis_subscription *subscription)
{
	return &subscription->engine->partitions[subscription->channel->history->partition];
}

const struct redis_partition *
redis_history_partition(const struct redis_engine *engine, const char *channel, size_t size)
{
	if (!engine->partition_count || (size && *channel == REDIS_PRIVATE_MARK) ||
		!push_hub_keeps(engine->hub, channel, size))
		return NULL;
	return &engine->partitions[push_hub_partition(engine->hub, channel, size)];
}

/* Where nothing is kept, a publish that happens once is all that needs one. */
static void
load_scripts(struct redis_node *node)
{
	bool has_history = node->engine->partition_count;
	int first = has_history ? 0 : PUSH_REDIS_SCRIPT_ONCE;
	int end = has_history ? PUSH_REDIS_SCRIPT_COUNT : PUSH_REDIS_SCRIPT_ONCE + 1;
	struct push_redis_link *link = &node->commands.link;

	for (int i = first; i < end; i++) {
		node->is_loading = push_redis_link_expect(link, REDIS_AWAITED_LOAD, i + 1 == end, NULL);
		if (!node->is_loading)
			return;
		push_resp_command(&link->out, 3);
		push_resp_text(&link->out, "SCRIPT");
		push_resp_text(&link->out, "LOAD");
		push_resp_text(&link->out, push_redis_script_text((enum push_redis_script)i));
	}
}

void
redis_history_connected(struct redis_node *node)
{
	node->is_loading = false;
	if (node->engine->partition_count)
		load_scripts(node);
}

void
redis_history_loaded(struct redis_node *node, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply)
{
	if (awaited->count)
		node->is_loading = false;
	if (reply->type == PUSH_REDIS_ERROR)
		node->engine->stats->command_errors++;
}

bool
redis_history_is_unloaded(struct redis_node *node, const struct push_redis_reply *error)
{
	if (!push_redis_is_error(error, "NOSCRIPT"))
		return false;
	/* Somebody has said SCRIPT FLUSH.  Thousands of calls may be under way, each of which is answered so:
	 * what is sent from now on comes behind the first LOAD. */
	if (!node->is_loading)
		load_scripts(node);
	redis_wake(node->engine);
	return true;
}

void
redis_history_append_call(const struct redis_engine *engine, struct push_buf *out,
	enum push_redis_script script, size_t arguments)
{
	push_resp_command(out, 2 + arguments);
	push_resp_text(out, "EVALSHA");
	push_resp_text(out, engine->scripts.sha[script]);
}

/* --- lost and found --- */

static void
want_fetch(struct redis_subscription *subscription)
{
	push_list_remove(&subscription->ask_history);
	push_list_append(&subscription->engine->to_fetch, &subscription->ask_history);
	redis_wake(subscription->engine);
}

/* Its answer is of no use any more. */
static void
forget_fetch(struct redis_subscription *subscription)
{
	if (subscription->fetch)
		subscription->fetch->subscription = NULL;
	subscription->fetch = NULL;
	push_hub_fetch_lost(subscription->channel);
}

void
redis_history_lost(struct redis_subscription *subscription)
{
	struct redis_partition *partition;

	if (!subscription->channel->history)
		return;
	partition = partition_of(subscription);
	if (!subscription->is_lost)
		partition->lost_count++;
	subscription->is_lost = true;
	subscription->is_settled = false;
	push_hub_hold_back(subscription->engine->hub, subscription->channel->history->partition);
	push_hub_unsettle(subscription->channel);
	forget_fetch(subscription);
	push_list_remove(&subscription->ask_history);
}

/* It has what it missed, or does not count any more. */
static void
found(struct redis_subscription *subscription)
{
	struct redis_engine *engine = subscription->engine;
	struct redis_partition *partition = partition_of(subscription);

	if (!subscription->is_lost)
		return;
	subscription->is_lost = false;
	PUSH_ASSERT(partition->lost_count > 0);
	if (!--partition->lost_count)
		push_hub_catch_up(engine->hub, subscription->channel->history->partition, engine->now_us);
}

void
redis_history_subscribed(struct redis_subscription *subscription, bool is_gap)
{
	if (is_gap)
		redis_history_lost(subscription);
	subscription->is_settled = false;
	push_hub_unsettle(subscription->channel);
	forget_fetch(subscription);
	want_fetch(subscription);
}

void
redis_history_check(struct redis_subscription *subscription)
{
	redis_history_lost(subscription);
	want_fetch(subscription);
}

void
redis_history_give_up(struct redis_subscription *subscription)
{
	struct redis_engine *engine = subscription->engine;

	forget_fetch(subscription);
	push_list_remove(&subscription->ask_history);
	push_list_remove(&subscription->unconfirmed);
	subscription->is_settled = true;
	partition_of(subscription)->is_used = true; /* clients may wait for its head all the same */
	push_hub_give_up(engine->hub, subscription->channel, engine->now_us);
	found(subscription);
}

void
redis_history_dropped(struct redis_subscription *subscription)
{
	push_list_remove(&subscription->ask_history);
	push_list_remove(&subscription->unconfirmed);
	if (!subscription->channel->history)
		return;
	forget_fetch(subscription);
	push_hub_unsettle(subscription->channel);
	found(subscription);
}

/* --- fetching --- */

/* Where a channel is asked for what it has had since it was last known, or before its window begins. */
static void
append_range(struct push_buf *out, const struct push_history *history, bool is_backward)
{
	struct push_position from;

	if (is_backward) {
		redis_append_position(out, (struct push_position){history->complete.epoch, 0});
		redis_append_position(out, history->after);
		return;
	}
	from = push_history_known(history);
	from.number++;
	if (history->complete.epoch)
		redis_append_position(out, from);
	else
		push_resp_text(out, NOWHERE);
	push_resp_text(out, "+");
}

static bool
send_fetch(struct redis_engine *engine, struct redis_subscription *subscription)
{
	const struct push_channel *channel = subscription->channel;
	struct push_redis_link *link = &subscription->node->commands.link;
	struct redis_fetch *fetch = calloc(1, sizeof(*fetch));

	if (!fetch || !push_redis_link_expect(link, REDIS_AWAITED_FETCH, 0, fetch)) {
		free(fetch);
		return false;
	}
	fetch->engine = engine;
	fetch->subscription = subscription;
	fetch->is_backward = subscription->is_settled;
	fetch->before = channel->history->after;
	subscription->fetch = fetch;
	redis_history_append_call(engine, &link->out, PUSH_REDIS_SCRIPT_FETCH, 10);
	push_resp_text(&link->out, "3");
	redis_append_history_keys(
		engine, &link->out, partition_of(subscription), channel->name, channel->name_size);
	append_range(&link->out, channel->history, fetch->is_backward);
	push_resp_number(&link->out, channel->history->ttl_us / 1000);
	push_resp_number(&link->out, PUSH_REDIS_FETCH_MESSAGES);
	push_resp_number(&link->out, PUSH_REDIS_FETCH_BYTES);
	push_resp_number(&link->out, partition_of(subscription)->epoch);
	return true;
}

static bool
may_fetch(const struct redis_engine *engine, const struct redis_subscription *subscription)
{
	return subscription->state == SUBSCRIPTION_LIVE && subscription->node && !subscription->fetch &&
	       redis_node_takes_publishes(subscription->node) &&
	       push_redis_link_backlog(&subscription->node->commands.link) < PUSH_REDIS_BATCH_BYTES &&
	       partition_of(subscription)->retry_us <= engine->now_us;
}

static bool
is_commands_link_down(const struct redis_subscription *subscription)
{
	return !subscription->node || subscription->node->commands.link.state != PUSH_REDIS_UP;
}

/* Nobody can be asked, and its clients are not to wait for that. */
static void
settle_later(struct redis_subscription *subscription)
{
	redis_subscription_do_not_wait(subscription->engine, subscription);
	want_fetch(subscription);
}

static void
send_fetches(struct redis_engine *engine)
{
	struct push_list *item = engine->to_fetch.next, *next;

	for (; item != &engine->to_fetch; item = next) {
		struct redis_subscription *subscription =
			push_container_of(item, struct redis_subscription, ask_history);

		next = item->next;
		if (may_fetch(engine, subscription) && send_fetch(engine, subscription))
			push_list_remove(&subscription->ask_history);
		else if (!subscription->channel->confirmed && is_commands_link_down(subscription))
			settle_later(subscription);
	}
}

/* The hub wants what is before a window. */
static void
on_hub_fetch(void *context, struct push_channel *channel)
{
	struct redis_subscription *subscription = channel->upstream;

	(void)context;
	if (subscription->channel && subscription->is_settled)
		want_fetch(subscription);
	else
		push_hub_fetch_lost(channel);
}

/* --- what is answered --- */

static bool
keep_part(struct redis_fetch *fetch, unsigned int part, const struct push_redis_reply *item)
{
	if (item->size >= REDIS_POSITION_BYTES)
		return false;
	memcpy(fetch->parts[part], item->text, item->size);
	fetch->parts[part][item->size] = '\0';
	return true;
}

static enum push_status
take_message(struct redis_fetch *fetch, const struct push_redis_reply *payload)
{
	struct redis_engine *engine = fetch->engine;
	const char *id = fetch->parts[MESSAGE_ID], *time = fetch->parts[MESSAGE_TIME];
	const char *ttl = fetch->parts[MESSAGE_TTL];
	const char *text = payload->text;
	size_t size = payload->size;
	struct push_kept kept = {.ttl_us = 0};
	uint64_t time_ms, ttl_ms;
	bool is_replaced;
	enum push_status status;

	if (!redis_read_position(id, strlen(id), &kept.at) ||
		!push_redis_decimal(time, strlen(time), &time_ms) ||
		!push_redis_decimal(ttl, strlen(ttl), &ttl_ms))
		return PUSH_INVALID;
	kept.ttl_us = ttl_of(ttl_ms);
	kept.age_us = time_ms < fetch->now_ms ? (fetch->now_ms - time_ms) * 1000 : 0;
	push_redis_heads_skip(&text, &size);
	status = push_payload_decode(
		text, size, &engine->scratch, &kept.value, &kept.value_size, &is_replaced);
	if (status != PUSH_OK)
		return status;
	return push_hub_fetched(engine->hub, fetch->subscription->channel, &kept, engine->now_us);
}

void
redis_history_item(const struct push_redis_awaited *awaited, const struct push_redis_place *place,
	const struct push_redis_reply *item)
{
	struct redis_fetch *fetch = awaited->context;
	unsigned int part = (place->index[0] - ITEM_MESSAGES) % MESSAGE_PARTS;

	if (place->depth != 1 || !fetch->subscription || fetch->is_useless)
		return;
	fetch->is_useless = item->type != PUSH_REDIS_STRING;
	if (fetch->is_useless)
		return;
	switch (place->index[0]) {
	case ITEM_EPOCH:
		fetch->is_useless = !push_redis_decimal(item->text, item->size, &fetch->head.epoch);
		break;
	case ITEM_NUMBER:
		fetch->is_useless = !push_redis_decimal(item->text, item->size, &fetch->head.number);
		break;
	case ITEM_NOW: fetch->is_useless = !push_redis_decimal(item->text, item->size, &fetch->now_ms); break;
	default:
		fetch->is_useless = part == MESSAGE_PAYLOAD ? take_message(fetch, item) != PUSH_OK
							    : !keep_part(fetch, part, item);
	}
}

static void
confirm(struct redis_subscription *subscription)
{
	struct redis_engine *engine = subscription->engine;

	push_list_remove(&subscription->unconfirmed);
	push_hub_confirm(engine->hub, subscription->channel, false, engine->now_us);
}

static void
on_settled(struct redis_subscription *subscription, const struct push_fetch_end *end)
{
	struct redis_engine *engine = subscription->engine;
	struct redis_partition *partition = partition_of(subscription);

	if (partition->epoch < end->head.epoch)
		partition->epoch = end->head.epoch;
	if (!push_hub_settle(engine->hub, subscription->channel, end, engine->now_us)) {
		want_fetch(subscription);
		return;
	}
	subscription->is_settled = true;
	subscription->settled_us = engine->now_us;
	partition->is_used = true;
	found(subscription);
	/* its clients' first heartbeat tells them where they stand */
	if (subscription->channel->confirmed || push_hub_is_at_head(engine->hub, subscription->channel)) {
		confirm(subscription);
	} else {
		push_list_remove(&subscription->unconfirmed);
		push_list_append(&partition->unconfirmed, &subscription->unconfirmed);
		redis_wake(engine);
	}
}

/* Not answered: again, after a pause where somebody else has to be asked, or not at all. */
static void
on_failed(struct redis_subscription *subscription, const struct push_redis_reply *reply)
{
	struct redis_engine *engine = subscription->engine;

	push_hub_fetch_lost(subscription->channel);
	if (reply->type == PUSH_REDIS_ERROR && redis_history_is_unloaded(subscription->node, reply) &&
		subscription->unloaded_count++ < UNLOADED_MAX) {
		want_fetch(subscription);
		return;
	}
	engine->stats->command_errors++;
	if (reply->type == PUSH_REDIS_ERROR && redis_topology_is_in_doubt(engine, reply)) {
		partition_of(subscription)->retry_us = engine->now_us + PUSH_REDIS_REDIRECTED_PAUSE_US;
		want_fetch(subscription);
		return;
	}
	if (reply->type == PUSH_REDIS_ERROR)
		redis_log_refusal(engine, subscription->node, "to tell history", reply);
	/* nothing is missing of what came while it is subscribed, where only older messages were asked for */
	if (subscription->is_settled) {
		push_hub_extend_none(subscription->channel);
		return;
	}
	redis_history_give_up(subscription);
	push_hub_confirm(engine->hub, subscription->channel, false, engine->now_us);
}

void
redis_history_answer(const struct push_redis_awaited *awaited, const struct push_redis_reply *reply)
{
	struct redis_fetch *fetch = awaited->context;
	struct redis_subscription *subscription = fetch->subscription;
	const char *after = fetch->parts[MESSAGE_ID], *upstream = fetch->parts[MESSAGE_ID + 1];
	struct push_fetch_end end = {.head = fetch->head, .before = fetch->before};

	if (subscription) {
		subscription->fetch = NULL;
		if (reply->type == PUSH_REDIS_ARRAY)
			subscription->unloaded_count = 0;
		if (reply->type != PUSH_REDIS_ARRAY || fetch->is_useless ||
			!redis_read_position(after, strlen(after), &end.after) ||
			!redis_read_position(upstream, strlen(upstream), &end.upstream))
			on_failed(subscription, reply);
		else if (fetch->is_backward)
			push_hub_extend(subscription->channel, &end);
		else
			on_settled(subscription, &end);
	}
	free(fetch);
}

void
redis_history_answer_lost(const struct push_redis_awaited *awaited)
{
	struct redis_fetch *fetch = awaited->context;
	struct redis_subscription *subscription = fetch->subscription;

	free(fetch);
	if (!subscription)
		return;
	subscription->fetch = NULL;
	push_hub_fetch_lost(subscription->channel);
	if (!subscription->is_settled)
		want_fetch(subscription); /* sent when it is up again */
}

/* --- messages --- */

uint64_t
redis_history_channels_max(const struct redis_engine *engine)
{
	uint64_t max = engine->options->history_channels_max / engine->partition_count;

	return max ? max : 1;
}

/* `1E ~ 1 ' ' payload` */
bool
redis_history_open_unkept(const char **payload, size_t *size, bool *ret_is_marked)
{
	if (*size < 4 || (*payload)[0] != REDIS_PRIVATE_MARK || (*payload)[1] != '~' || (*payload)[3] != ' ')
		return false;
	*ret_is_marked = (*payload)[2] == '1';
	*payload += 4;
	*size -= 4;
	return true;
}

/* `1E # id ' ' id before ' ' own ttl ' ' payload`; false: it is none of ours. */
static bool
open_envelope(struct push_kept *kept, const char **payload, size_t *size)
{
	const char *part[3], *at = *payload + 2, *end = *payload + *size;
	size_t part_size[3];
	uint64_t ttl_ms;

	if (*size < 2 || (*payload)[0] != REDIS_PRIVATE_MARK || (*payload)[1] != '#')
		return false;
	for (int i = 0; i < 3; i++) {
		const char *space = memchr(at, ' ', (size_t)(end - at));

		if (!space)
			return false;
		part[i] = at;
		part_size[i] = (size_t)(space - at);
		at = space + 1;
	}
	if (!redis_read_position(part[0], part_size[0], &kept->at) ||
		!redis_read_position(part[1], part_size[1], &kept->before) ||
		!push_redis_decimal(part[2], part_size[2], &ttl_ms))
		return false;
	kept->ttl_us = ttl_of(ttl_ms);
	*payload = at;
	*size = (size_t)(end - at);
	return true;
}

static void
deliver(struct redis_subscription *subscription, struct push_kept *kept, const char *payload, size_t size)
{
	struct redis_engine *engine = subscription->engine;
	struct push_channel *channel = subscription->channel;
	struct push_delivery *delivery = NULL;
	struct push_trace trace;
	bool is_replaced, is_traced = push_redis_trace_open(&trace, &payload, &size);
	enum push_status status = push_payload_decode(
		payload, size, &engine->scratch, &kept->value, &kept->value_size, &is_replaced);

	if (status == PUSH_OK) {
		engine->stats->replaced += is_replaced;
		if (is_traced)
			delivery = push_tracer_deliver(
				engine->engine.tracer, engine->hub, channel, &trace, kept->value_size);
		status = push_hub_deliver_kept(engine->hub, channel, kept, engine->now_us);
		push_tracer_delivered(engine->engine.tracer, engine->hub, delivery);
	}
	if (status == PUSH_OK)
		return;
	engine->stats->holes++;
	redis_history_check(subscription);
	if (status == PUSH_UNCERTAIN) /* now it is pending; whatever fails, the fetch brings it */
		(void)!push_hub_deliver_kept(engine->hub, channel, kept, engine->now_us);
}

bool
redis_history_message(struct redis_subscription *subscription, const char **payload, size_t *size)
{
	struct redis_engine *engine = subscription->engine;
	struct push_kept kept = {.age_us = 0};
	struct redis_receipt *receipt;

	/* it is taken off where this node keeps no history, too: others may, in a rolling update for one */
	if (!open_envelope(&kept, payload, size) || !subscription->channel->history)
		return false;
	receipt = redis_receipt_begin(engine, payload, size);
	deliver(subscription, &kept, *payload, *size);
	redis_receipt_end(engine, receipt);
	return true;
}

/* --- the head --- */

static void
hold_announcements(struct redis_engine *engine, struct redis_partition *partition)
{
	char name[128];

	snprintf(name, sizeof(name), "%cpush:head:{%s}%s", REDIS_PRIVATE_MARK, partition->tag, engine->id);
	partition->announcements = redis_subscription_hold(engine, name, strlen(name));
}

static uint64_t
head_pause(const struct redis_partition *partition)
{
	return partition->head_pause_us ? partition->head_pause_us : PUSH_REDIS_HEAD_PAUSE_US;
}

static void
pause_head(struct redis_partition *partition)
{
	uint64_t pause_us = 2 * head_pause(partition);

	partition->head_pause_us =
		pause_us < PUSH_REDIS_HEAD_PAUSE_MAX_US ? pause_us : PUSH_REDIS_HEAD_PAUSE_MAX_US;
}

static void
ask_head(struct redis_engine *engine, struct redis_partition *partition)
{
	unsigned int p = (unsigned int)(partition - engine->partitions);
	const struct redis_subscription *subscription;
	struct push_redis_link *link;
	char name[300];

	if (!partition->announcements)
		hold_announcements(engine, partition);
	subscription = partition->announcements ? partition->announcements->upstream : NULL;
	/* whether an id can be right is answered even where the announcement does not arrive */
	if (!subscription || !subscription->node || !redis_node_takes_publishes(subscription->node) ||
		(subscription->state != SUBSCRIPTION_LIVE && !push_hub_is_ahead(engine->hub)))
		return;
	link = &subscription->node->commands.link;
	if (!push_redis_link_expect(
		    link, REDIS_AWAITED_HEAD, p, (void *)(uintptr_t)push_hub_ask_head(engine->hub)))
		return;
	partition->head_asked_us = engine->now_us;
	pause_head(partition);
	redis_history_append_call(engine, &link->out, PUSH_REDIS_SCRIPT_HEAD, 5);
	push_resp_text(&link->out, "1");
	push_resp_text(&link->out, redis_history_key(engine, partition, name, sizeof(name)));
	push_resp_text(&link->out, engine->options->redis_sharded ? "SPUBLISH" : "PUBLISH");
	redis_append_channel(
		engine, &link->out, partition->announcements->name, partition->announcements->name_size);
	push_resp_number(&link->out, partition->epoch);
}

/* `ID`, or `ID ERROR` where we may not publish it; or the script was not run. */
void
redis_history_head_answer(struct redis_node *node, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply)
{
	const char *space = reply->size ? memchr(reply->text, ' ', reply->size) : NULL;
	size_t size = space ? (size_t)(space - reply->text) : reply->size;
	struct push_redis_reply refusal = {.type = PUSH_REDIS_ERROR};
	struct redis_partition *partition = &node->engine->partitions[awaited->count];
	struct push_position at;
	bool is_answered = reply->type == PUSH_REDIS_STRING && redis_read_position(reply->text, size, &at);

	if (is_answered) {
		partition->head_unloaded_count = 0;
		push_hub_is_unanswered(node->engine->hub, awaited->count, false);
		push_hub_head_is(
			node->engine->hub, awaited->count, at, (uint32_t)(uintptr_t)awaited->context);
		if (!space)
			return;
		refusal.text = space + 1;
		refusal.size = reply->size - size - 1;
		reply = &refusal;
	}
	if (reply->type != PUSH_REDIS_ERROR ||
		(redis_history_is_unloaded(node, reply) && partition->head_unloaded_count++ < UNLOADED_MAX))
		return;
	node->engine->stats->command_errors++;
	if (redis_topology_is_in_doubt(node->engine, reply))
		return;
	partition->is_unannounced = true;
	if (!is_answered)
		push_hub_is_unanswered(node->engine->hub, awaited->count, true);
	redis_log_refusal(node->engine, node, "to tell history", reply);
}

void
redis_history_head_refused(struct redis_engine *engine, const struct push_channel *channel)
{
	for (unsigned int p = 0; p < engine->partition_count; p++)
		if (engine->partitions[p].announcements == channel)
			engine->partitions[p].is_unannounced = true;
}

/*
 * Whoever has waited for the head long enough waits for one that does not come: it may be forbidden.
 *
 * They stand in the order in which they were settled, by the clock and by the head that they wait for: one
 * that has to wait on ends it, so that thousands are not looked at in each turn.
 */
static void
confirm_all(struct redis_partition *partition)
{
	while (!push_list_is_empty(&partition->unconfirmed)) {
		struct redis_subscription *subscription = push_container_of(
			partition->unconfirmed.next, struct redis_subscription, unconfirmed);
		struct redis_engine *engine = subscription->engine;

		if (!push_hub_is_at_head(engine->hub, subscription->channel) &&
			engine->now_us < subscription->settled_us + PUSH_REDIS_HEAD_WAIT_US)
			return;
		confirm(subscription);
	}
}

bool
redis_history_head_heard(
	struct redis_engine *engine, const struct push_channel *channel, const char *text, size_t size)
{
	for (unsigned int p = 0; p < engine->partition_count; p++) {
		struct redis_partition *partition = &engine->partitions[p];
		struct push_position at;

		if (partition->announcements != channel)
			continue;
		if (!redis_read_position(text, size, &at))
			return true;
		partition->is_unannounced = false;
		partition->head_pause_us = 0;
		push_hub_move_head(engine->hub, p, at);
		confirm_all(partition);
		return true;
	}
	return false;
}

static void
check_channels(const struct redis_node *node, unsigned int partition)
{
	for (struct push_list *item = node->live.next; item != &node->live; item = item->next) {
		struct redis_subscription *subscription =
			push_container_of(item, struct redis_subscription, item);

		if (subscription->channel->history && subscription->channel->history->partition == partition)
			redis_history_check(subscription);
	}
}

/*
 * Without announcements nobody knows what is on its way.  So clients that wait are not let go by the clock,
 * but when the server has told of each channel what it has had: the same as after a loss.
 */
static void
check_unannounced(struct redis_engine *engine, unsigned int p)
{
	struct redis_partition *partition = &engine->partitions[p];

	if (!partition->is_unannounced || engine->now_us < partition->check_us)
		return;
	partition->check_us = engine->now_us + PUSH_REDIS_HEAD_WAIT_US;
	if (!push_hub_waits_long(engine->hub, p, engine->now_us))
		return;
	partition->check_us = engine->now_us + PUSH_REDIS_HEAD_CHECK_US;
	for (struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next)
		check_channels(push_container_of(item, struct redis_node, item), p);
}

/* Where nobody waits, or it was asked a moment ago, nothing is asked; ticks come back here. */
static void
ask_heads(struct redis_engine *engine)
{
	bool is_awaited = push_hub_awaits_head(engine->hub);

	for (unsigned int p = 0; p < engine->partition_count; p++) {
		struct redis_partition *partition = &engine->partitions[p];

		confirm_all(partition);
		if (is_awaited)
			check_unannounced(engine, p);
		if (!(is_awaited && partition->is_used) && push_list_is_empty(&partition->unconfirmed))
			partition->head_pause_us = 0;
		else if (engine->now_us >= partition->head_asked_us + head_pause(partition))
			ask_head(engine, partition);
	}
}

void
redis_history_flush(struct redis_engine *engine)
{
	if (!engine->partition_count)
		return;
	send_fetches(engine);
	ask_heads(engine);
}

/* --- its life --- */

void
redis_history_init(struct redis_engine *engine)
{
	bool is_cluster = engine->slots;
	unsigned int count = is_cluster ? PUSH_PARTITIONS_MAX : 1;

	push_redis_scripts_init(&engine->scripts);
	if (!push_hub_has_history(engine->hub))
		return;
	push_hub_set_upstream(engine->hub, count, on_hub_fetch, engine);
	engine->partition_count = count;
	for (unsigned int p = 0; p < count; p++) {
		struct redis_partition *partition = &engine->partitions[p];

		push_list_init(&partition->unconfirmed);
		if (!is_cluster)
			continue;
		partition->slot = (uint16_t)(p * PUSH_REDIS_SLOT_COUNT / count);
		push_redis_slot_tag(engine->tags, partition->slot, partition->tag);
	}
}
