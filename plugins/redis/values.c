/*
 * values.c - small values by name, for all nodes.
 *
 *   GET push:value:NAME                   ─▶  the value, or nil
 *   SET push:value:NAME value PX ms       ─▶  OK
 *   SET ... PX ms NX, GET push:value:NAME ─▶  OK and the new one, or nil and the one that was there
 *   DEL push:value:NAME                   ─▶  a number
 *
 * What cannot be sent at once, or is lost before it is answered, fails: who asked knows whether trying again
 * is right.  Where a server has no memory, history makes room (room.c), and a SET NX is tried again, once: it
 * was not carried out, and another one that comes first wins.  Other values are not tried again, since a
 * later one of the same name may be under way.
 */
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis/resp.h"

struct redis_value {
	push_value_done_fn done;
	void *context;
	struct redis_node *node;
	uint8_t parts_left;
	bool is_get, is_claim;
	bool is_taken; /* there was one already, and the next answer is that one */
	bool is_to_repeat, is_repeated;
	enum push_status status;
	/* of a claim, which may be tried again: */
	uint64_t ttl_us;
	size_t key_size, size;
	char bytes[]; /* the key, the value */
};

/* One command, or two, that are taken out again where one cannot be sent. */
struct attempt {
	struct push_redis_link *link;
	uint32_t awaited;
	size_t size;
};

static void
finish(struct redis_engine *engine, struct redis_value *value, const char *bytes, size_t size)
{
	engine->value_count--;
	value->done(value->context, value->status, bytes, size);
	free(value);
}

static struct attempt
attempt_at(struct redis_node *node)
{
	struct push_redis_link *link = &node->commands.link;

	return (struct attempt){link, link->awaited_count, link->out.size};
}

static size_t
make_key(const struct redis_engine *engine, char key[PUSH_REDIS_VALUE_KEY_BYTES], const char *name,
	size_t name_size)
{
	size_t prefix = (size_t)snprintf(
		key, PUSH_REDIS_VALUE_KEY_BYTES, "%s" PUSH_REDIS_VALUE_PREFIX, engine->options->redis_prefix);

	memcpy(key + prefix, name, name_size);
	return prefix + name_size;
}

/* What will be answered, with `more` bytes; or NULL after `done` was called. */
static struct redis_value *
begin(struct redis_engine *engine, const char *key, size_t key_size, size_t more, struct attempt *attempt,
	push_value_done_fn done, void *context)
{
	struct redis_node *node =
		redis_topology_node(engine, engine->slots ? push_redis_slot(key, key_size) : 0);
	struct redis_value *value = NULL;
	enum push_status status = PUSH_UNAVAILABLE;

	if (node && redis_node_takes_publishes(node) && engine->value_count < PUSH_REDIS_VALUES_MAX) {
		value = malloc(sizeof(*value) + more);
		status = PUSH_OUT_OF_MEMORY;
	}
	if (!value) {
		done(context, status, NULL, 0);
		return NULL;
	}
	*value = (struct redis_value){.done = done, .context = context, .node = node};
	*attempt = attempt_at(node);
	engine->value_count++;
	return value;
}

static void
expect(struct attempt *attempt, struct redis_value *value)
{
	if (!push_redis_link_expect(attempt->link, REDIS_AWAITED_VALUE, 0, value))
		value->status = PUSH_OUT_OF_MEMORY;
	value->parts_left++;
}

static void
end(struct redis_engine *engine, const struct attempt *attempt, struct redis_value *value)
{
	struct push_redis_link *link = attempt->link;

	if (link->out.status == PUSH_OK && value->status == PUSH_OK) {
		redis_wake(engine);
		return;
	}
	/* as if it had not been tried */
	link->awaited_count = attempt->awaited;
	link->out.size = attempt->size;
	link->out.status = PUSH_OK;
	value->status = PUSH_OUT_OF_MEMORY;
	finish(engine, value, NULL, 0);
}

static void
append_get(struct attempt *attempt, struct redis_value *value, const char *key, size_t key_size)
{
	push_resp_command(&attempt->link->out, 2);
	push_resp_text(&attempt->link->out, "GET");
	push_resp_bulk(&attempt->link->out, key, key_size);
	expect(attempt, value);
}

void
redis_value_get(struct push_engine *base, const char *name, size_t name_size, uint64_t now_us,
	push_value_done_fn done, void *context)
{
	struct redis_engine *engine = (struct redis_engine *)base;
	char key[PUSH_REDIS_VALUE_KEY_BYTES];
	size_t key_size;
	struct attempt attempt;
	struct redis_value *value;

	redis_set_now(engine, now_us);
	if (name_size > PUSH_VALUE_NAME_BYTES_MAX) {
		done(context, PUSH_NOT_FOUND, NULL, 0);
		return;
	}
	key_size = make_key(engine, key, name, name_size);
	value = begin(engine, key, key_size, 0, &attempt, done, context);
	if (!value)
		return;
	value->is_get = true;
	append_get(&attempt, value, key, key_size);
	end(engine, &attempt, value);
}

static void
append_put(struct push_buf *out, const char *key, size_t key_size, const char *bytes, size_t size,
	uint64_t ttl_us, bool only_if_new)
{
	if (!ttl_us) {
		push_resp_command(out, 2);
		push_resp_text(out, "DEL");
		push_resp_bulk(out, key, key_size);
		return;
	}
	push_resp_command(out, only_if_new ? 6 : 5);
	push_resp_text(out, "SET");
	push_resp_bulk(out, key, key_size);
	push_resp_bulk(out, bytes, size);
	push_resp_text(out, "PX");
	push_resp_number(out, (ttl_us + 999) / 1000);
	if (only_if_new)
		push_resp_text(out, "NX");
}

/* SET with both NX and GET is for Redis 7 and later. */
static void
append_claim(struct attempt *attempt, struct redis_value *value)
{
	append_put(&attempt->link->out, value->bytes, value->key_size, value->bytes + value->key_size,
		value->size, value->ttl_us, true);
	expect(attempt, value);
	append_get(attempt, value, value->bytes, value->key_size);
}

void
redis_value_put(struct push_engine *base, const char *name, size_t name_size, const char *bytes, size_t size,
	uint64_t ttl_us, bool only_if_new, uint64_t now_us, push_value_done_fn done, void *context)
{
	struct redis_engine *engine = (struct redis_engine *)base;
	char key[PUSH_REDIS_VALUE_KEY_BYTES];
	size_t key_size;
	struct attempt attempt;
	struct redis_value *value;
	bool is_claim = only_if_new && ttl_us;

	redis_set_now(engine, now_us);
	if (name_size > PUSH_VALUE_NAME_BYTES_MAX || size > PUSH_VALUE_BYTES_MAX) {
		done(context, PUSH_TOO_LARGE, NULL, 0);
		return;
	}
	key_size = make_key(engine, key, name, name_size);
	value = begin(engine, key, key_size, is_claim ? key_size + size : 0, &attempt, done, context);
	if (!value)
		return;
	value->is_claim = is_claim;
	if (is_claim) {
		value->ttl_us = ttl_us;
		value->key_size = key_size;
		value->size = size;
		memcpy(value->bytes, key, key_size);
		memcpy(value->bytes + key_size, bytes, size);
		append_claim(&attempt, value);
	} else {
		append_put(&attempt.link->out, key, key_size, bytes, size, ttl_us, false);
		expect(&attempt, value);
	}
	end(engine, &attempt, value);
}

/* --- answers --- */

static void
on_refused(struct redis_engine *engine, struct redis_value *value, const struct push_redis_reply *reply)
{
	engine->stats->command_errors++;
	if (redis_topology_is_in_doubt(engine, reply)) {
		value->status = PUSH_UNAVAILABLE;
		return;
	}
	value->status = PUSH_REFUSED;
	if (redis_room_make(value->node, reply) && value->is_claim && !value->is_repeated) {
		value->is_to_repeat = true;
		return;
	}
	if (value->is_claim)
		push_redis_refusals_add(&value->node->claims, reply->text, reply->size, engine->now_us);
	redis_log_refusal(engine, value->node, "a value", reply);
}

/* Behind what makes room for it. */
static void
repeat(struct redis_engine *engine, struct redis_value *value)
{
	struct attempt attempt = attempt_at(value->node);

	value->is_to_repeat = false;
	value->is_repeated = true;
	value->status = PUSH_OK;
	append_claim(&attempt, value);
	end(engine, &attempt, value);
}

void
redis_value_answer(struct redis_engine *engine, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply)
{
	struct redis_value *value = awaited->context;
	bool is_last = --value->parts_left == 0, is_string = reply->type == PUSH_REDIS_STRING;

	if (reply->type == PUSH_REDIS_ERROR) {
		if (value->status == PUSH_OK)
			on_refused(engine, value, reply);
	} else if (!is_last) {
		push_redis_refusals_clear(&value->node->claims);
		value->is_taken = reply->type == PUSH_REDIS_NIL;
		return;
	}
	if (!is_last)
		return;
	if (value->is_to_repeat) {
		repeat(engine, value);
		return;
	}
	/* it was there a moment ago */
	if (value->status == PUSH_OK && value->is_taken && !is_string)
		value->status = PUSH_UNAVAILABLE;
	if (value->status == PUSH_OK && value->is_get && !is_string)
		value->status = PUSH_NOT_FOUND;
	if (value->status == PUSH_OK && (value->is_taken || value->is_get))
		finish(engine, value, reply->text, reply->size);
	else
		finish(engine, value, NULL, 0);
}

void
redis_value_lost(struct redis_engine *engine, const struct push_redis_awaited *awaited)
{
	struct redis_value *value = awaited->context;

	PUSH_ASSERT(value->parts_left > 0);
	value->status = PUSH_UNAVAILABLE;
	if (!--value->parts_left)
		finish(engine, value, NULL, 0);
}
