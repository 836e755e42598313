/*
 * calls.c - one Push node calls another.
 *
 *   PUBLISH 1E push:node:CALLED  ?CALLER.7 verb text     ─▶
 *   PUBLISH 1E push:node:CALLER  =CALLED.7 ok answer     ◀─
 *
 * Each node subscribes a private channel of its own; a call and its answer are messages there (call_text.h).
 * In a cluster the channel lies where its name hashes to.
 *
 * A call ends with its answer, with PUSH_NOT_FOUND at once where nobody of that id is known to live, and with
 * PUSH_UNAVAILABLE when it cannot be sent, when Redis says that nobody listens, and PUSH_REDIS_CALL_US later;
 * at once, too, where nobody of that id is known, but this node is so new that it may not know everybody.
 * It is not sent twice: it may have been carried out.  An answer counts once, and only from the node that was
 * called.
 *
 * Anybody with access to Redis may send here.  What is no call is dropped; what is one is answered in the
 * same turn, so that nothing is kept for it, and only to nodes that live.
 */
#include <stdlib.h>
#include <string.h>

#include "core/push_assert.h"
#include "redis/keys.h"
#include "redis/redis_private.h"
#include "redis/resp.h"

#define NAME_PREFIX "\x1epush:node:"

struct redis_call {
	struct push_list item; /* in engine->calls, by deadline */
	push_value_done_fn done;
	void *context;
	uint64_t number, deadline_us;
	char node[REDIS_ID_BYTES]; /* that was called */
};

/* --- speaking --- */

/* Returns false where it cannot be sent. */
static bool
say(struct redis_engine *engine, const char *to, const struct push_redis_call_text *what)
{
	char name[sizeof(NAME_PREFIX) + REDIS_ID_BYTES] = NAME_PREFIX, head[PUSH_REDIS_CALL_HEAD_BYTES_MAX];
	struct redis_node *node;
	struct push_redis_link *link;
	bool is_call = what->kind == PUSH_REDIS_CALL;

	strcat(name, to);
	node = redis_topology_node(engine, redis_topology_slot(engine, name, strlen(name)));
	if (!node || !redis_node_takes_publishes(node) || what->size > PUSH_REDIS_CALL_BYTES_MAX)
		return false;
	link = &node->commands.link;
	if (!push_redis_link_expect(link, is_call ? REDIS_AWAITED_CALL : REDIS_AWAITED_NOTHING, 0,
		    (void *)(uintptr_t)what->number))
		return false;
	push_resp_command(&link->out, 3);
	push_resp_text(&link->out, engine->options->redis_sharded ? "SPUBLISH" : "PUBLISH");
	redis_append_channel(engine, &link->out, name, strlen(name));
	push_resp_bulk2(&link->out, head, push_redis_call_text_head(what, head), what->text, what->size);
	redis_wake(engine);
	return true;
}

static struct push_redis_call_text
compose(const struct redis_engine *engine, enum push_redis_call_kind kind, uint64_t number, const char *verb)
{
	struct push_redis_call_text what = {.kind = kind, .number = number, .text = ""};

	memcpy(what.node, engine->id, sizeof(what.node));
	PUSH_ASSERT(strlen(verb) <= PUSH_REDIS_VERB_BYTES_MAX);
	strcpy(what.verb, verb);
	return what;
}

uint64_t
redis_next_number(struct redis_engine *engine)
{
	return ++engine->last_number;
}

void
redis_notify(struct redis_engine *engine, const char *node, uint64_t number, const char *verb,
	const char *text, size_t size)
{
	struct push_redis_call_text what = compose(engine, PUSH_REDIS_CALL_NOTICE, number, verb);

	what.text = text;
	what.size = size;
	(void)say(engine, node, &what);
}

/* --- calling --- */

static void
finish(struct redis_engine *engine, struct redis_call *call, enum push_status status, const char *text,
	size_t size)
{
	push_list_remove(&call->item);
	engine->call_count--;
	call->done(call->context, status, text, size);
	free(call);
}

static struct redis_call *
begin(struct redis_engine *engine, const char *node, push_value_done_fn done, void *context)
{
	struct redis_call *call = engine->call_count < PUSH_REDIS_CALLS_MAX ? calloc(1, sizeof(*call)) : NULL;

	if (!call)
		return NULL;
	call->done = done;
	call->context = context;
	call->number = redis_next_number(engine);
	call->deadline_us = engine->now_us + PUSH_REDIS_CALL_US;
	memcpy(call->node, node, REDIS_ID_BYTES - 1);
	push_list_append(&engine->calls, &call->item);
	engine->call_count++;
	return call;
}

void
redis_call(struct push_engine *base, const char *node, size_t node_size, const char *verb, const char *text,
	size_t size, uint64_t now_us, push_value_done_fn done, void *context)
{
	struct redis_engine *engine = (struct redis_engine *)base;
	struct push_redis_call_text what;
	struct redis_call *call;

	redis_set_now(engine, now_us);
	if (!redis_peers_is_alive(engine, node, node_size)) {
		done(context, redis_peers_is_settled(engine) ? PUSH_NOT_FOUND : PUSH_UNAVAILABLE, NULL, 0);
		return;
	}
	call = engine->calls_channel ? begin(engine, node, done, context) : NULL;
	if (!call) {
		done(context, PUSH_UNAVAILABLE, NULL, 0);
		return;
	}
	what = compose(engine, PUSH_REDIS_CALL, call->number, verb);
	what.text = text;
	what.size = size;
	if (!say(engine, call->node, &what))
		finish(engine, call, PUSH_UNAVAILABLE, NULL, 0);
}

/* They are few, and an answer is looked for once. */
static struct redis_call *
find(struct redis_engine *engine, uintptr_t number)
{
	for (struct push_list *item = engine->calls.next; item != &engine->calls; item = item->next) {
		struct redis_call *call = push_container_of(item, struct redis_call, item);

		if ((uintptr_t)call->number == number)
			return call;
	}
	return NULL;
}

void
redis_call_published(struct redis_node *node, const struct push_redis_awaited *awaited,
	const struct push_redis_reply *reply)
{
	struct redis_engine *engine = node->engine;
	struct redis_call *call = find(engine, (uintptr_t)awaited->context);

	if (reply->type == PUSH_REDIS_ERROR) {
		engine->stats->command_errors++;
		if (!redis_topology_is_in_doubt(engine, reply))
			redis_log_refusal(engine, node, "to send a request to a node", reply);
	} else if (reply->type != PUSH_REDIS_INTEGER || reply->integer > 0 || engine->slots) {
		return; /* of a cluster, who listens at another server does not count */
	}
	if (call)
		finish(engine, call, PUSH_UNAVAILABLE, NULL, 0);
}

void
redis_call_lost(struct redis_engine *engine, const struct push_redis_awaited *awaited)
{
	struct redis_call *call = find(engine, (uintptr_t)awaited->context);

	if (call)
		finish(engine, call, PUSH_UNAVAILABLE, NULL, 0);
}

/* --- hearing --- */

static void
on_call(struct redis_engine *engine, const struct push_redis_call_text *call)
{
	struct push_redis_call_text answer = compose(engine, PUSH_REDIS_CALL_ANSWER, call->number, "failed");
	enum push_status status = PUSH_NOT_FOUND;
	struct push_buf text;

	if (!redis_peers_is_alive(engine, call->node, strlen(call->node)))
		return;
	push_buf_init(&text, PUSH_REDIS_CALL_BYTES_MAX);
	if (engine->serve)
		status = engine->serve(engine->serve_context, call->verb, call->text, call->size, &text);
	if (status == PUSH_NOT_FOUND) {
		strcpy(answer.verb, "missing");
	} else if (status == PUSH_OK && text.status == PUSH_OK) {
		strcpy(answer.verb, "ok");
		answer.text = text.size ? text.bytes : "";
		answer.size = text.size;
	}
	(void)say(engine, call->node, &answer);
	push_buf_fini(&text);
}

static void
on_answer(struct redis_engine *engine, const struct push_redis_call_text *answer)
{
	struct redis_call *call = find(engine, (uintptr_t)answer->number);

	if (!call || call->number != answer->number || strcmp(call->node, answer->node) != 0)
		return;
	if (!strcmp(answer->verb, "ok"))
		finish(engine, call, PUSH_OK, answer->text, answer->size);
	else if (!strcmp(answer->verb, "missing"))
		finish(engine, call, PUSH_NOT_FOUND, NULL, 0);
	else
		finish(engine, call, PUSH_UNAVAILABLE, NULL, 0);
}

void
redis_calls_heard(struct redis_engine *engine, const char *text, size_t size)
{
	struct push_redis_call_text what;

	if (size > PUSH_REDIS_CALL_BYTES_MAX + PUSH_REDIS_CALL_HEAD_BYTES_MAX ||
		!push_redis_call_text_parse(&what, text, size))
		return;
	switch (what.kind) {
	case PUSH_REDIS_CALL: on_call(engine, &what); break;
	case PUSH_REDIS_CALL_ANSWER: on_answer(engine, &what); break;
	case PUSH_REDIS_CALL_NOTICE:
		if (!strcmp(what.verb, REDIS_VERB_WRITTEN))
			redis_receipt_heard(engine, what.node, what.number, what.text, what.size);
		break;
	default: break;
	}
}

/* --- its life --- */

void
redis_serve(struct push_engine *base, push_serve_fn serve, void *context)
{
	struct redis_engine *engine = (struct redis_engine *)base;

	engine->serve = serve;
	engine->serve_context = context;
}

enum push_status
redis_calls_init(struct redis_engine *engine)
{
	char name[sizeof(NAME_PREFIX) + REDIS_ID_BYTES] = NAME_PREFIX;

	/* not to be guessed by who can only publish */
	engine->last_number = redis_random_upto(engine, UINT32_MAX);
	strcat(name, engine->id);
	engine->calls_channel = redis_subscription_hold(engine, name, strlen(name));
	return engine->calls_channel ? PUSH_OK : PUSH_OUT_OF_MEMORY;
}

/* They stand in the order of their deadlines. */
static void
give_up(struct redis_engine *engine, uint64_t until_us)
{
	struct push_list *item = engine->calls.next, *next;

	for (; item != &engine->calls; item = next) {
		struct redis_call *call = push_container_of(item, struct redis_call, item);

		if (call->deadline_us > until_us)
			return;
		next = item->next;
		finish(engine, call, PUSH_UNAVAILABLE, NULL, 0);
	}
}

void
redis_calls_tick(struct redis_engine *engine)
{
	give_up(engine, engine->now_us);
}

void
redis_calls_fini(struct redis_engine *engine)
{
	engine->serve = NULL;
	engine->calls_channel = NULL; /* nobody is called any more */
	give_up(engine, UINT64_MAX);
	PUSH_ASSERT(push_list_is_empty(&engine->calls));
}
