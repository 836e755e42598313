/*
 * receipts.c - who asks how many a message was written to is told by each node that has it.
 *
 *   publisher's node                                     a node with clients
 *     PUBLISH channel  1E ! NODE.7 ' ' payload     ─▶      tracks its deliveries (core/tracker.h)
 *     written += 3                                 ◀─      PUBLISH 1E push:node:NODE  !ID.7 written 3
 *
 * The publisher's node waits for all nodes that are counted with clients of the channel, itself included, and
 * no longer than push.publish.wait.max; whoever has not said anything by then counts nothing.  So that the
 * others' number still comes in time, a node that is not done says what it has a little earlier.
 *
 * A receipt says no more clients than its node was counted with, and counts once: whoever forges one (anybody
 * with access to Redis may) cannot make more of it than subscribers.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "redis/redis_private.h"

/* --- where a message is written --- */

struct redis_receipt {
	struct push_receipt receipt; /* first: the two are cast into each other */
	struct push_redis_receipt_to to;
	size_t bytes;
};

struct redis_receipt *
redis_receipt_begin(struct redis_engine *engine, const char **payload, size_t *size)
{
	struct push_redis_receipt_to to;
	struct redis_receipt *receipt;

	if (!push_redis_receipt_open(&to, payload, size))
		return NULL;
	/* nobody hears it, or there are too many: who asks waits for it until his time is over */
	if ((strcmp(to.node, engine->id) != 0 && !redis_peers_is_alive(engine, to.node, strlen(to.node))) ||
		engine->receipts.count >= PUSH_REDIS_RECEIPTS_MAX ||
		engine->receipt_bytes >= PUSH_REDIS_RECEIPTS_BYTES_MAX)
		return NULL;
	receipt = malloc(sizeof(*receipt));
	if (!receipt)
		return NULL;
	*receipt = (struct redis_receipt){.to = to, .bytes = *size};
	engine->receipt_bytes += receipt->bytes;
	push_receipt_begin(&engine->receipts, &receipt->receipt);
	return receipt;
}

void
redis_receipt_end(struct redis_engine *engine, struct redis_receipt *receipt)
{
	if (receipt)
		push_receipt_end(&receipt->receipt, engine->now_us);
}

static void
tell(struct redis_engine *engine, struct redis_receipt *receipt)
{
	char text[24];
	int size = snprintf(text, sizeof(text), "%llu", (unsigned long long)receipt->receipt.tracker.written);

	if (!strcmp(receipt->to.node, engine->id))
		redis_receipt_heard(engine, engine->id, receipt->to.number, text, (size_t)size);
	else
		redis_notify(
			engine, receipt->to.node, receipt->to.number, REDIS_VERB_WRITTEN, text, (size_t)size);
	push_receipt_fini(&receipt->receipt);
	engine->receipt_bytes -= receipt->bytes;
	free(receipt);
}

static void
tell_all(struct redis_engine *engine, uint64_t until_us)
{
	struct push_receipt *receipt;

	while ((receipt = push_receipts_next(&engine->receipts, until_us)))
		tell(engine, push_container_of(receipt, struct redis_receipt, receipt));
}

void
redis_receipts_flush(struct redis_engine *engine)
{
	tell_all(engine, 0);
}

/* --- where it was published --- */

/* A node that was heard, or is waited for. */
struct redis_receiver {
	char node[REDIS_ID_BYTES];
	uint64_t clients, written;
	bool is_counted, is_heard;
};

struct redis_tracking {
	struct push_list item; /* in its bucket of engine->tracked */
	struct redis_publish *publish;
	struct push_tracker *tracker; /* borrowed: it lives as long as the publish is not done */
	uint64_t number;
	bool is_published; /* all who are waited for are known */
	size_t count;
	struct redis_receiver *receivers; /* owned */
};

static struct push_list *
bucket(struct redis_engine *engine, uint64_t number)
{
	return &engine->tracked[number % PUSH_REDIS_TRACKED_BUCKETS];
}

struct redis_tracking *
redis_tracking_create(struct redis_engine *engine, struct push_tracker *tracker)
{
	struct redis_tracking *tracking =
		engine->tracked_count < PUSH_REDIS_TRACKED_MAX ? calloc(1, sizeof(*tracking)) : NULL;

	if (!tracking)
		return NULL;
	tracking->tracker = tracker;
	tracking->number = redis_next_number(engine);
	push_list_append(bucket(engine, tracking->number), &tracking->item);
	engine->tracked_count++;
	return tracking;
}

void
redis_tracking_destroy(struct redis_engine *engine, struct redis_tracking *tracking)
{
	if (!tracking)
		return;
	push_list_remove(&tracking->item);
	engine->tracked_count--;
	free(tracking->receivers);
	free(tracking);
}

void
redis_tracking_restart(struct redis_tracking *tracking)
{
	tracking->count = 0;
}

size_t
redis_tracking_head(const struct redis_engine *engine, const struct redis_tracking *tracking,
	char to[PUSH_REDIS_CALL_HEAD_BYTES_MAX])
{
	struct push_redis_receipt_to receipt = {.number = tracking->number};

	memcpy(receipt.node, engine->id, sizeof(receipt.node));
	return push_redis_receipt_head(&receipt, to);
}

static struct redis_receiver *
find(struct redis_tracking *tracking, const char *node)
{
	for (size_t i = 0; i < tracking->count; i++)
		if (!strcmp(tracking->receivers[i].node, node))
			return &tracking->receivers[i];
	return NULL;
}

/* NULL: memory is out, and it counts nothing. */
static struct redis_receiver *
obtain(struct redis_tracking *tracking, const char *node)
{
	struct redis_receiver *receivers, *receiver = find(tracking, node);

	if (receiver || tracking->count > PUSH_REDIS_PEERS_MAX)
		return receiver;
	receivers = realloc(tracking->receivers, (tracking->count + 1) * sizeof(*receivers));
	if (!receivers)
		return NULL;
	tracking->receivers = receivers;
	receiver = &receivers[tracking->count++];
	*receiver = (struct redis_receiver){.is_heard = false};
	memcpy(receiver->node, node, sizeof(receiver->node));
	return receiver;
}

void
redis_tracking_count(struct redis_tracking *tracking, const char *node, uint64_t clients)
{
	struct redis_receiver *receiver = clients ? obtain(tracking, node) : NULL;

	if (!receiver)
		return;
	receiver->clients = clients;
	receiver->is_counted = true;
}

static bool
is_over(const struct redis_tracking *tracking)
{
	for (size_t i = 0; i < tracking->count; i++)
		if (tracking->receivers[i].is_counted && !tracking->receivers[i].is_heard)
			return false;
	return true;
}

bool
redis_tracking_published(struct redis_tracking *tracking, struct redis_publish *publish)
{
	tracking->publish = publish;
	tracking->is_published = true;
	return is_over(tracking);
}

void
redis_tracking_sum(struct redis_tracking *tracking)
{
	for (size_t i = 0; i < tracking->count; i++) {
		const struct redis_receiver *receiver = &tracking->receivers[i];

		if (receiver->is_counted)
			push_tracker_written_elsewhere(
				tracking->tracker, receiver->written < receiver->clients ? receiver->written
											 : receiver->clients);
	}
}

void
redis_receipt_heard(
	struct redis_engine *engine, const char *node, uint64_t number, const char *text, size_t size)
{
	struct push_list *list = bucket(engine, number);
	struct redis_tracking *tracking = NULL;
	struct redis_receiver *receiver;
	uint64_t written;

	if (!push_redis_decimal(text, size, &written))
		return;
	for (struct push_list *item = list->next; item != list && !tracking; item = item->next) {
		tracking = push_container_of(item, struct redis_tracking, item);
		tracking = tracking->number == number ? tracking : NULL;
	}
	if (!tracking)
		return;
	/* before the answer to the publish it is not known yet who is to be waited for */
	if (tracking->is_published)
		receiver = find(tracking, node);
	else if (!strcmp(node, engine->id) || redis_peers_is_alive(engine, node, strlen(node)))
		receiver = obtain(tracking, node);
	else
		receiver = NULL;
	if (!receiver || receiver->is_heard)
		return;
	receiver->is_heard = true;
	receiver->written = written;
	if (tracking->is_published && is_over(tracking))
		redis_publish_written(engine, tracking->publish);
}

/* --- its life --- */

static void
wake(void *context)
{
	redis_wake(context);
}

void
redis_receipts_init(struct redis_engine *engine)
{
	push_receipts_init(
		&engine->receipts, engine->hub, engine->options->publish_wait_max_us, wake, engine);
	for (size_t i = 0; i < PUSH_REDIS_TRACKED_BUCKETS; i++)
		push_list_init(&engine->tracked[i]);
}

void
redis_receipts_tick(struct redis_engine *engine)
{
	tell_all(engine, engine->now_us);
}

void
redis_receipts_fini(struct redis_engine *engine)
{
	tell_all(engine, UINT64_MAX);
}
