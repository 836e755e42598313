/*
 * reading.c - what is kept of a channel, for who asks instead of subscribing (broker/engine.h, read).
 *
 *   EVALSHA read partition stream last ...  ─▶  head, left, id, payload, id, payload ..., next
 *
 * Redis is asked each time: what this process has of a channel is a window for its own clients.  `left` is
 * the id up to which nothing of the channel is left, so nothing is missing for whoever has read up to there.
 * Numbers are of the partition, so how many are missing nobody knows.
 *
 * What cannot be sent at once, or is lost before it is answered, fails; reading again is always right.
 */
#include <stdlib.h>
#include <string.h>

#include "core/history_rules.h"
#include "core/limits.h"
#include "core/payload.h"
#include "core/push_assert.h"
#include "core/read_answer.h"
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis/resp.h"

enum { ITEM_HEAD, ITEM_LEFT, ITEM_MESSAGES };
enum { MESSAGE_ID, MESSAGE_PAYLOAD, MESSAGE_PARTS };

struct redis_reading {
	struct redis_engine *engine;
	struct redis_node *node;
	push_value_done_fn done;
	void *context;
	const struct redis_partition *partition;
	uint64_t ttl_us; /* of the channel's rule */
	unsigned int limit;
	bool has_since, is_ours; /* `since` is of this partition */
	bool is_again;           /* the scripts had to be loaded */
	bool is_useless, is_full;
	struct push_position since, head, left;
	struct push_position at; /* of the message whose payload comes next; in the end, where to read on */
	struct push_buf text;
	struct push_read_answer answer; /* begun when the first item comes */
	size_t channel_size;
	char channel[];
};

static unsigned int
partition_number(const struct redis_reading *reading)
{
	return (unsigned int)(reading->partition - reading->engine->partitions);
}

static void
finish(struct redis_reading *reading, enum push_status status)
{
	bool is_ok = status == PUSH_OK;

	reading->engine->reading_count--;
	reading->done(
		reading->context, status, is_ok ? reading->text.bytes : NULL, is_ok ? reading->text.size : 0);
	push_buf_fini(&reading->text);
	free(reading);
}

/* --- asking --- */

/* The id from which on to read: the one behind `since`, or the first there is. */
static void
append_from(struct push_buf *out, const struct redis_reading *reading)
{
	struct push_position from = reading->since;

	if (!reading->is_ours) {
		push_resp_text(out, "-");
		return;
	}
	/* behind the last number of an epoch the next one begins; the last of all is of the future anyway */
	if (++from.number == 0 && from.epoch < UINT64_MAX)
		from.epoch++;
	redis_append_position(out, from);
}

static bool
send_reading(struct redis_reading *reading)
{
	struct redis_engine *engine = reading->engine;
	struct push_redis_link *link = &reading->node->commands.link;
	size_t size = link->out.size;

	redis_history_append_call(engine, &link->out, PUSH_REDIS_SCRIPT_READ, 11);
	push_resp_text(&link->out, "3");
	redis_append_history_keys(
		engine, &link->out, reading->partition, reading->channel, reading->channel_size);
	append_from(&link->out, reading);
	push_resp_number(&link->out, reading->since.epoch);
	push_resp_number(&link->out, reading->since.number);
	push_resp_number(&link->out, reading->ttl_us / 1000);
	push_resp_number(&link->out, reading->limit);
	push_resp_number(&link->out, PUSH_READ_MESSAGES_BYTES);
	push_resp_number(&link->out, reading->partition->epoch);
	if (link->out.status == PUSH_OK && push_redis_link_expect(link, REDIS_AWAITED_READING, 0, reading)) {
		redis_wake(engine);
		return true;
	}
	/* as if it had not been tried */
	link->out.size = size;
	link->out.status = PUSH_OK;
	return false;
}

/* Takes over what is asked for; NULL: memory is out. */
static struct redis_reading *
create(struct redis_engine *engine, const struct redis_partition *partition, const struct push_reading *asked,
	const struct push_positions *since)
{
	struct redis_reading *reading = calloc(1, sizeof(*reading) + asked->channel_size);
	unsigned int p = (unsigned int)(partition - engine->partitions);

	if (!reading)
		return NULL;
	reading->engine = engine;
	reading->partition = partition;
	reading->ttl_us = push_hub_keeps(engine->hub, asked->channel, asked->channel_size)->ttl_us;
	reading->limit = asked->limit;
	reading->has_since = asked->since;
	reading->is_ours = since->partitions & (1u << p);
	reading->since = since->at[p];
	reading->channel_size = asked->channel_size;
	memcpy(reading->channel, asked->channel, asked->channel_size);
	/* what is over PUSH_READ_MESSAGES_BYTES is one message more, and any byte of it may need an escape */
	push_buf_init(&reading->text, 8 * (size_t)PUSH_SIZE_MAX);
	engine->reading_count++;
	return reading;
}

void
redis_read(struct push_engine *base, const struct push_reading *asked, uint64_t now_us,
	push_value_done_fn done, void *context)
{
	struct redis_engine *engine = (struct redis_engine *)base;
	const struct redis_partition *partition =
		redis_history_partition(engine, asked->channel, asked->channel_size);
	struct push_positions since = {.partitions = 0};
	struct redis_node *node;
	struct redis_reading *reading;
	enum push_status status = PUSH_OK;

	redis_set_now(engine, now_us);
	node = partition ? redis_topology_node(engine, partition->slot) : NULL;
	if (!partition)
		status = PUSH_NOT_FOUND;
	else if (asked->since && push_positions_parse(&since, asked->since, asked->since_size) != PUSH_OK)
		status = PUSH_INVALID;
	else if (!node || !redis_node_takes_publishes(node) ||
		 engine->reading_count >= PUSH_REDIS_READINGS_MAX)
		status = PUSH_UNAVAILABLE;
	reading = status == PUSH_OK ? create(engine, partition, asked, &since) : NULL;
	if (!reading) {
		done(context, status == PUSH_OK ? PUSH_OUT_OF_MEMORY : status, NULL, 0);
		return;
	}
	reading->node = node;
	reading->done = done;
	reading->context = context;
	if (!send_reading(reading))
		finish(reading, PUSH_OUT_OF_MEMORY);
}

/* --- what is answered --- */

static enum push_status
take_message(struct redis_reading *reading, const struct push_redis_reply *payload)
{
	struct redis_engine *engine = reading->engine;
	const char *text = payload->text, *value;
	size_t text_size = payload->size, size;
	bool is_replaced;
	enum push_status status;

	/* Redis counts bytes as they are kept, without escapes */
	reading->is_full = reading->is_full || push_read_answer_is_full(&reading->answer);
	if (reading->is_full)
		return PUSH_OK;
	push_redis_heads_skip(&text, &text_size);
	status = push_payload_decode(text, text_size, &engine->scratch, &value, &size, &is_replaced);
	if (status == PUSH_OK)
		push_read_answer_message(&reading->answer, value, size, reading->at);
	return status == PUSH_OK ? reading->text.status : status;
}

void
redis_reading_item(const struct push_redis_awaited *awaited, const struct push_redis_place *place,
	const struct push_redis_reply *item)
{
	struct redis_reading *reading = awaited->context;
	unsigned int index = place->index[0];

	if (place->depth != 1 || reading->is_useless)
		return;
	if (index == ITEM_HEAD)
		push_read_answer_begin(&reading->answer, &reading->text, partition_number(reading),
			reading->limit, reading->channel, reading->channel_size);
	if (item->type != PUSH_REDIS_STRING)
		reading->is_useless = true;
	else if (index == ITEM_HEAD)
		reading->is_useless = !redis_read_position(item->text, item->size, &reading->head);
	else if (index == ITEM_LEFT)
		reading->is_useless = !redis_read_position(item->text, item->size, &reading->left);
	else if ((index - ITEM_MESSAGES) % MESSAGE_PARTS == MESSAGE_ID)
		reading->is_useless = !redis_read_position(item->text, item->size, &reading->at);
	else
		reading->is_useless = take_message(reading, item) != PUSH_OK;
}

/* What is gone behind `since`. */
static uint64_t
missed(const struct redis_reading *reading)
{
	if (!reading->has_since)
		return 0;
	/* of another partition, or of a time that has not come here, or that may have been forgotten in part
	 */
	if (!reading->is_ours || reading->since.epoch != reading->head.epoch ||
		push_position_compare(reading->since, reading->head) > 0)
		return PUSH_READ_UNKNOWN;
	return push_position_compare(reading->since, reading->left) >= 0 ? 0 : PUSH_READ_UNKNOWN;
}

static void
end(struct redis_reading *reading)
{
	struct push_position next = reading->is_full ? reading->answer.last : reading->at;

	push_read_answer_end(
		&reading->answer, missed(reading), next, push_position_compare(next, reading->head) < 0);
	finish(reading, reading->text.status);
}

static void
on_refused(struct redis_reading *reading, const struct push_redis_reply *reply)
{
	struct redis_engine *engine = reading->engine;

	if (!reading->is_again && redis_history_is_unloaded(reading->node, reply)) {
		reading->is_again = true;
		if (!send_reading(reading))
			finish(reading, PUSH_OUT_OF_MEMORY);
		return;
	}
	engine->stats->command_errors++;
	if (!redis_topology_is_in_doubt(engine, reply))
		redis_log_refusal(engine, reading->node, "to read history", reply);
	finish(reading, PUSH_UNAVAILABLE);
}

void
redis_reading_answer(const struct push_redis_awaited *awaited, const struct push_redis_reply *reply)
{
	struct redis_reading *reading = awaited->context;

	if (reply->type == PUSH_REDIS_ERROR) {
		on_refused(reading, reply);
	} else if (reply->type != PUSH_REDIS_ARRAY || reading->is_useless ||
		   reply->count < ITEM_MESSAGES + 1 || (reply->count - ITEM_MESSAGES) % MESSAGE_PARTS != 1) {
		reading->engine->stats->command_errors++;
		finish(reading, PUSH_UNAVAILABLE);
	} else {
		end(reading);
	}
}

void
redis_reading_lost(const struct push_redis_awaited *awaited)
{
	finish(awaited->context, PUSH_UNAVAILABLE);
}
