/*
 * publishes.c - a publish from the request to its answer.
 *
 *   PUBLISH channel payload               ─▶  receivers: plain clients, and Push nodes
 *   HGETALL push:clients:channel          ─▶  node, clients, node, clients ...
 *
 * (Of a channel with history the first is a script that numbers the message, keeps and publishes it; of a
 * request with an Idempotency-Key, one that publishes it once, scripts.h.)
 * Both leave in one write and are answered in turn.  subscribers = own clients + those of the other nodes
 * that are alive + receivers that are no Push nodes.
 *
 * One whose publisher wants to know how many it was written to is answered when all nodes have said so, or
 * its time is over (receipts.c).
 *
 * What cannot be sent waits in the order in which it came, until push.redis.publish.wait is over.  What was
 * sent and not answered is never sent again: it may have been published.
 *
 * A script carries a deadline, by the server's clock: push.redis.timeout after it was sent, and as much later
 * as the server is slow or has to work off.  A server that stands still for longer refuses it (LATE) when it
 * goes on, since its replica may have taken over.  Until then it may still publish.  So a publish with an id,
 * whose connection is lost, is under way until the deadline is over: a repeat that came before could be the
 * second one.  A caller that still waits when LATE comes (the server is slower than it was, or its clock was
 * set) has the publish sent again, with more time, by what the clock shows now.
 */
#include <stdlib.h>
#include <string.h>

#include "core/history.h"
#include "core/payload.h"
#include "core/push_assert.h"
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis/resp.h"

static uint64_t
size_of(const struct redis_publish *publish)
{
	return sizeof(*publish) + publish->channel_size + publish->payload_size + publish->once_size;
}

static struct push_account *
requests(struct redis_engine *engine)
{
	return &push_hub_memory(engine->hub)->accounts[PUSH_MEMORY_REQUESTS];
}

static void
finish(struct redis_engine *engine, struct redis_publish *publish, enum push_status status,
	uint64_t subscribers)
{
	push_list_remove(&publish->item);
	engine->publish_count--;
	engine->publish_bytes -= size_of(publish);
	push_account_take(requests(engine), size_of(publish));
	redis_tracking_destroy(engine, publish->tracking);
	publish->done(publish->context, status, subscribers);
	free(publish);
}

/* --- sending --- */

static void
append_call(const struct redis_engine *engine, const struct redis_publish *publish, bool has_rule,
	struct push_buf *out)
{
	size_t keys = (has_rule ? 3u : 0u) + (publish->once_size ? 1u : 0u);

	redis_history_append_call(engine, out, has_rule ? PUSH_REDIS_SCRIPT_PUBLISH : PUSH_REDIS_SCRIPT_ONCE,
		1 + keys + 4 + (has_rule ? 5u : 0u));
	push_resp_number(out, keys);
}

/* PUBLISH, or a script that does it: of a channel with history it numbers the message and keeps it, of one
 * that is to be published once it looks whether that has happened. */
static void
append_publish(struct redis_engine *engine, struct redis_publish *publish, struct push_redis_link *link)
{
	struct push_buf *out = &link->out;
	uint64_t deadline_ms = push_redis_link_deadline_ms(link, publish->patience_us);
	const struct redis_partition *partition =
		redis_history_partition(engine, publish->bytes, publish->channel_size);
	const struct push_history_rule *rule =
		partition ? push_hub_keeps(engine->hub, publish->bytes, publish->channel_size) : NULL;
	const char *payload = publish->bytes + publish->channel_size;

	if (rule || publish->once_size)
		append_call(engine, publish, rule != NULL, out);
	else
		push_resp_command(out, 3);
	if (rule)
		redis_append_history_keys(engine, out, partition, publish->bytes, publish->channel_size);
	if (publish->once_size)
		redis_append_once_key(
			engine, out, payload + publish->payload_size, publish->once_size, publish->slot);
	push_resp_text(out, engine->options->redis_sharded ? "SPUBLISH" : "PUBLISH");
	redis_append_channel(engine, out, publish->bytes, publish->channel_size);
	push_resp_bulk(out, payload, publish->payload_size);
	publish->has_deadline = (rule || publish->once_size) && deadline_ms;
	if (!rule && publish->once_size)
		push_resp_number(out, deadline_ms);
	if (!rule)
		return;
	push_resp_number(out, rule->size);
	push_resp_number(out, rule->ttl_us / 1000);
	push_resp_number(out, publish->ttl_us / 1000);
	push_resp_number(out, redis_history_channels_max(engine));
	push_resp_number(out, deadline_ms);
	push_resp_number(out, partition->epoch);
}

static bool
append(struct redis_engine *engine, struct redis_publish *publish, struct push_redis_link *link)
{
	uint32_t awaited = link->awaited_count;
	size_t size = link->out.size;

	append_publish(engine, publish, link);
	push_resp_command(&link->out, 2);
	push_resp_text(&link->out, "HGETALL");
	redis_append_counts_key(engine, &link->out, publish->bytes, publish->channel_size, publish->slot);
	if (link->out.status == PUSH_OK && push_redis_link_expect(link, REDIS_AWAITED_PUBLISH, 0, publish) &&
		push_redis_link_expect(link, REDIS_AWAITED_COUNTS, 0, publish))
		return true;
	/* as if it had not been tried */
	link->awaited_count = awaited;
	link->out.size = size;
	link->out.status = PUSH_OK;
	return false;
}

/* How long the server may take.  Many publishes in flight would be refused by a server that is only busy, and
 * sent again, so that it had even more to do. */
static uint64_t
patience(
	const struct redis_engine *engine, const struct redis_publish *publish, const struct redis_node *node)
{
	unsigned int doublings = publish->late_count < PUSH_REDIS_LATE_DOUBLINGS ? publish->late_count
										 : PUSH_REDIS_LATE_DOUBLINGS;

	return (engine->options->redis_timeout_us + node->publish_us +
		       node->commands.link.awaited_count * PUSH_REDIS_COMMAND_US)
	       << doublings;
}

static bool
send_publish(struct redis_engine *engine, struct redis_publish *publish)
{
	struct redis_node *node = redis_topology_node(engine, publish->slot);

	if (!node || !redis_node_takes_publishes(node))
		return false;
	publish->patience_us = patience(engine, publish, node);
	if (!append(engine, publish, &node->commands.link))
		return false;
	publish->node = node;
	publish->sent_us = engine->now_us;
	publish->parts_left = 2;
	publish->others = publish->receivers = 0;
	publish->nodes = publish->dead = 0;
	if (publish->tracking)
		redis_tracking_restart(publish->tracking);
	redis_wake(engine);
	return true;
}

/* Of one server the announcement and what follows it arrive in order.  Among several there is no order to
 * keep, and one that is away must not hold up the others. */
static bool
must_announce(const struct redis_engine *engine)
{
	return engine->has_moved && !engine->slots;
}

/* NULL after *ret_status was set. */
static struct redis_publish *
create(struct redis_engine *engine, const struct push_publication *publication, enum push_status *ret_status)
{
	struct redis_tracking *tracking = NULL;
	struct redis_publish *publish;
	char head[PUSH_REDIS_CALL_HEAD_BYTES_MAX + PUSH_REDIS_TRACE_HEAD_BYTES];
	const char *payload;
	size_t size, head_size = 0;

	*ret_status = push_payload_encode(
		publication->value, publication->value_size, &engine->scratch, &payload, &size);
	if (*ret_status != PUSH_OK)
		return NULL;
	*ret_status = PUSH_UNAVAILABLE;
	if (engine->publish_count >= PUSH_REDIS_PUBLISHES_MAX ||
		engine->publish_bytes >= PUSH_REDIS_PUBLISHES_BYTES_MAX)
		return NULL;
	if (publication->tracker) {
		tracking = redis_tracking_create(engine, publication->tracker);
		if (!tracking)
			return NULL;
		head_size = redis_tracking_head(engine, tracking, head);
	}
	if (publication->trace) {
		push_redis_trace_head(publication->trace, head + head_size);
		head_size += PUSH_REDIS_TRACE_HEAD_BYTES;
	}
	*ret_status = PUSH_OUT_OF_MEMORY;
	PUSH_ASSERT(publication->once_size <= PUSH_ONCE_BYTES_MAX);
	publish = malloc(
		sizeof(*publish) + publication->channel_size + head_size + size + publication->once_size);
	if (!publish) {
		redis_tracking_destroy(engine, tracking);
		return NULL;
	}
	*publish = (struct redis_publish){.ttl_us = publication->ttl_us,
		.tracking = tracking,
		.once_size = (uint8_t)publication->once_size,
		.channel_size = (uint32_t)publication->channel_size,
		.payload_size = (uint32_t)(head_size + size),
		.slot = redis_topology_slot(engine, publication->channel, publication->channel_size)};
	memcpy(publish->bytes, publication->channel, publication->channel_size);
	memcpy(publish->bytes + publication->channel_size, head, head_size);
	memcpy(publish->bytes + publication->channel_size + head_size, payload, size);
	if (publication->once_size)
		memcpy(publish->bytes + publication->channel_size + head_size + size, publication->once,
			publication->once_size);
	return publish;
}

void
redis_publish(struct redis_engine *engine, const struct push_publication *publication,
	push_publish_done_fn done, void *context)
{
	enum push_status status;
	struct redis_publish *publish = create(engine, publication, &status);

	if (!publish) {
		done(context, status, 0);
		return;
	}
	publish->done = done;
	publish->context = context;
	publish->deadline_us = engine->now_us + engine->options->redis_publish_wait_us;
	push_list_init(&publish->item);
	engine->publish_count++;
	engine->publish_bytes += size_of(publish);
	push_account_add(requests(engine), size_of(publish));
	/* behind those that wait already, or the order would be lost */
	if (push_list_is_empty(&engine->waiting) && !must_announce(engine) && send_publish(engine, publish))
		return;
	push_list_append(&engine->waiting, &publish->item);
	engine->stats->publishes_waited++;
}

/* One whose server is away does not hold up those of others, but those of the same server. */
void
redis_publishes_send(struct redis_engine *engine)
{
	struct push_list *item = engine->waiting.next, *next;

	if (must_announce(engine))
		return;
	for (; item != &engine->waiting; item = next) {
		struct redis_publish *publish = push_container_of(item, struct redis_publish, item);

		next = item->next;
		if (send_publish(engine, publish))
			push_list_remove(&publish->item);
		else if (!engine->slots)
			return;
	}
}

void
redis_publish_written(struct redis_engine *engine, struct redis_publish *publish)
{
	redis_tracking_sum(publish->tracking);
	finish(engine, publish, PUSH_OK, publish->subscribers);
}

/* The first of a list, if its deadline is not after `until_us`. */
static struct redis_publish *
first_due(const struct push_list *list, uint64_t until_us)
{
	struct redis_publish *publish = push_container_of(list->next, struct redis_publish, item);

	return !push_list_is_empty(list) && publish->deadline_us <= until_us ? publish : NULL;
}

/* Those that have waited for receipts until then are answered with what has come. */
static void
wait_no_longer(struct redis_engine *engine, uint64_t until_us)
{
	struct redis_publish *publish;

	while ((publish = first_due(&engine->unwritten, until_us)))
		redis_publish_written(engine, publish);
}

/* Those whose connection was lost, up to the end of their deadlines.  They stand in the order in which they
 * were lost: one that was sent to another server may end a little late. */
static void
end_uncertain(struct redis_engine *engine, uint64_t until_us)
{
	struct redis_publish *publish;

	while ((publish = first_due(&engine->uncertain, until_us)))
		finish(engine, publish, PUSH_UNCERTAIN, 0);
}

/* Gives up those whose deadline is not after `until_us`.  They stand in the order of their deadlines, but for
 * those that came back from a server that was not the right one: these are given up a little late. */
static void
give_up(struct redis_engine *engine, uint64_t until_us)
{
	struct push_list *item = engine->waiting.next, *next;

	for (; item != &engine->waiting; item = next) {
		struct redis_publish *publish = push_container_of(item, struct redis_publish, item);

		if (publish->deadline_us > until_us)
			return;
		next = item->next;
		finish(engine, publish, PUSH_UNAVAILABLE, 0);
	}
}

void
redis_publishes_tick(struct redis_engine *engine)
{
	give_up(engine, engine->now_us);
	wait_no_longer(engine, engine->now_us);
	end_uncertain(engine, engine->now_us);
}

void
redis_publishes_fail(struct redis_engine *engine)
{
	give_up(engine, UINT64_MAX);
	wait_no_longer(engine, UINT64_MAX);
	end_uncertain(engine, UINT64_MAX);
	PUSH_ASSERT(push_list_is_empty(&engine->waiting) && push_list_is_empty(&engine->unwritten));
	PUSH_ASSERT(push_list_is_empty(&engine->uncertain));
}

/* --- answers --- */

static uint64_t
own_clients(struct redis_engine *engine, const struct redis_publish *publish, bool *ret_receives)
{
	struct push_channel *channel = push_hub_find(engine->hub, publish->bytes, publish->channel_size);
	const struct redis_subscription *subscription = channel ? channel->upstream : NULL;

	*ret_receives = subscription && subscription->channel && subscription->state == SUBSCRIPTION_LIVE;
	return channel ? channel->count : 0;
}

static void
answer_published(struct redis_engine *engine, struct redis_publish *publish)
{
	bool is_receiver = false;
	uint64_t own = own_clients(engine, publish, &is_receiver);
	uint64_t ghosts = publish->dead < engine->ghosts ? publish->dead : engine->ghosts;
	uint64_t nodes = publish->nodes + (is_receiver ? 1u : 0u) + ghosts;
	uint64_t plain = publish->receivers > nodes ? publish->receivers - nodes : 0;

	/* an earlier one's receivers say nothing of the numbers of now */
	if (publish->nodes + (is_receiver ? 1u : 0u) > publish->receivers && publish->nodes &&
		!publish->is_repeat)
		redis_peers_doubt_counts(engine, publish->bytes, publish->channel_size);
	publish->node->publish_us = engine->now_us - publish->sent_us;
	push_stats_redis_round_trip(engine->stats, publish->node->publish_us);
	push_redis_refusals_clear(&publish->node->refusals);
	publish->subscribers = own + publish->others + plain;
	/* receipts of an earlier one have gone to whoever had published it */
	if (!publish->tracking || publish->is_repeat) {
		finish(engine, publish, PUSH_OK, publish->subscribers);
		return;
	}
	if (is_receiver)
		redis_tracking_count(publish->tracking, engine->id, own);
	publish->deadline_us = engine->now_us + engine->options->publish_wait_max_us;
	push_list_append(&engine->unwritten, &publish->item);
	if (redis_tracking_published(publish->tracking, publish))
		redis_publish_written(engine, publish);
}

/* LATE: the answer shows what the server's clock is. */
static bool
is_late(struct redis_engine *engine, struct redis_publish *publish, const struct push_redis_reply *reply)
{
	if (!push_redis_is_error(reply, "LATE"))
		return false;
	push_redis_link_learn_time(
		&publish->node->commands.link, publish->sent_us, reply->text + 4, reply->size - 4);
	publish->node->publish_us = engine->now_us - publish->sent_us;
	publish->late_count++;
	engine->should_resend = true;
	redis_wake(engine);
	return true;
}

static void
on_refused(struct redis_engine *engine, struct redis_publish *publish, const struct push_redis_reply *reply)
{
	engine->stats->command_errors++;
	publish->is_passing = redis_topology_is_in_doubt(engine, reply) ||
			      redis_history_is_unloaded(publish->node, reply) ||
			      is_late(engine, publish, reply);
	publish->is_refused = true;
	if (!publish->is_passing && !publish->has_made_room && redis_room_make(publish->node, reply)) {
		publish->has_made_room = publish->is_passing = true;
		engine->should_resend = true;
	}
	if (publish->is_passing)
		return;
	push_redis_refusals_add(&publish->node->refusals, reply->text, reply->size, engine->now_us);
	redis_log_refusal(engine, publish->node, "a publish", reply);
}

/* It is not published.  Where the slot has moved, or its server is not there yet, it waits for the new one;
 * where history makes room for it, it is sent behind that. */
static void
on_not_published(struct redis_engine *engine, struct redis_publish *publish)
{
	if (!publish->is_passing || publish->late_count > PUSH_REDIS_LATE_MAX) {
		finish(engine, publish, publish->is_passing ? PUSH_UNAVAILABLE : PUSH_REFUSED, 0);
		return;
	}
	publish->is_refused = publish->is_passing = false;
	push_list_append(&engine->waiting, &publish->item);
}

/* How many other channels were dropped for it, or why it is not kept. */
static void
take_room(struct redis_engine *engine, struct redis_publish *publish, const struct push_redis_reply *item)
{
	struct push_redis_reply why = {.type = PUSH_REDIS_ERROR, .text = item->text, .size = item->size};

	if (item->type == PUSH_REDIS_INTEGER) {
		engine->stats->history_channels_dropped += item->integer > 0 ? (uint64_t)item->integer : 0;
		return;
	}
	if (item->type != PUSH_REDIS_STRING)
		return;
	engine->stats->unkept++;
	redis_log_refusal(engine, publish->node, "to keep a message, which is published anyway", &why);
}

void
redis_publish_item(struct redis_engine *engine, const struct push_redis_awaited *awaited,
	const struct push_redis_place *place, const struct push_redis_reply *item)
{
	struct redis_publish *publish = awaited->context;
	uint64_t clients = 0;

	if (awaited->kind == REDIS_AWAITED_PUBLISH) {
		if (place->depth == 1 && place->index[0] == 0 && item->type == PUSH_REDIS_INTEGER)
			publish->receivers = item->integer > 0 ? (uint64_t)item->integer : 0;
		if (place->depth == 1 && place->index[0] == 1 && item->type == PUSH_REDIS_STRING)
			publish->is_repeat = item->size == 5 && !memcmp(item->text, "again", 5);
		if (place->depth == 1 && place->index[0] == 3)
			take_room(engine, publish, item);
		return;
	}
	if (place->depth != 1 || item->type != PUSH_REDIS_STRING)
		return;
	if (place->index[0] % 2 == 0) {
		bool is_own = item->size == strlen(engine->id) && !memcmp(item->text, engine->id, item->size);

		publish->is_counting_own = is_own;
		publish->is_counting_alive = !is_own && redis_peers_is_alive(engine, item->text, item->size);
		if (publish->is_counting_alive)
			memcpy(publish->counting, item->text, item->size);
		if (!is_own && !publish->is_counting_alive)
			redis_peers_left_behind(engine, publish, item->text, item->size);
		return;
	}
	if ((!publish->is_counting_alive && !publish->is_counting_own) || item->size > 10)
		return;
	for (size_t i = 0; i < item->size; i++)
		clients = clients * 10 + (uint64_t)(item->text[i] - '0') % 10;
	if (publish->is_counting_own) {
		redis_count_seen(
			publish->node, publish->bytes, publish->channel_size, publish->slot, clients);
		return;
	}
	publish->others += clients;
	publish->nodes++;
	if (publish->tracking)
		redis_tracking_count(publish->tracking, publish->counting, clients);
}

void
redis_publish_answer(struct redis_engine *engine, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply)
{
	struct redis_publish *publish = awaited->context;

	if (awaited->kind == REDIS_AWAITED_PUBLISH) {
		if (reply->type == PUSH_REDIS_INTEGER) {
			publish->is_published = true;
			publish->receivers = reply->integer > 0 ? (uint64_t)reply->integer : 0;
		} else if (reply->type == PUSH_REDIS_ARRAY) {
			publish->is_published = true; /* the script; its first item was the receivers */
		} else {
			on_refused(engine, publish, reply);
		}
	} else if (reply->type == PUSH_REDIS_ERROR) {
		/* of a channel without shards only this tells that its slot has moved */
		engine->stats->command_errors++;
		if (!redis_topology_is_in_doubt(engine, reply))
			redis_log_refusal(engine, publish->node, "to count", reply);
	}
	if (--publish->parts_left)
		return;
	if (publish->is_published)
		answer_published(engine, publish);
	else
		on_not_published(engine, publish);
}

/* What became of it nobody knows, and it may still be carried out until its deadline. */
static void
on_uncertain(struct redis_engine *engine, struct redis_publish *publish)
{
	engine->stats->publishes_uncertain++;
	publish->deadline_us = publish->sent_us + publish->patience_us + PUSH_REDIS_DEADLINE_SLACK_US;
	if (publish->once_size && publish->has_deadline && engine->now_us < publish->deadline_us)
		push_list_append(&engine->uncertain, &publish->item);
	else
		finish(engine, publish, PUSH_UNCERTAIN, 0);
}

void
redis_publish_lost(struct redis_engine *engine, const struct push_redis_awaited *awaited)
{
	struct redis_publish *publish = awaited->context;

	if (--publish->parts_left)
		return;
	if (publish->is_published)
		answer_published(engine, publish);
	else if (publish->is_refused)
		on_not_published(engine, publish);
	else
		on_uncertain(engine, publish);
}
