/*
 * calls.c - one worker calls another: a letter there, and one back.
 *
 * A call ends with its answer, with PUSH_NOT_FOUND at once where there is no worker of that name, and with
 * PUSH_UNAVAILABLE when it cannot be sent, when the worker is gone, and PUSH_SHARED_CALL_US later.  An answer counts
 * once, and only from the worker that was called.
 *
 * What is asked of this worker is carried out, and what an answer leads to is done, when the log has been read: either
 * may publish.
 */
#include <stdlib.h>
#include <string.h>

#include "shared/shared_private.h"

struct shared_call {
	struct push_list item; /* in engine->calls, by deadline, or in engine->answered */
	push_value_done_fn done;
	void *context;
	uint64_t number, deadline_us;
	unsigned int slot; /* that was called */
	enum push_status status;
	char *answer; /* owned */
	size_t size;
};

/* Somebody else's, to be carried out. */
struct shared_question {
	struct push_list item; /* in engine->called */
	unsigned int slot;
	uint64_t number;
	size_t size;
	char verb[32];
	char text[];
};

/* --- calling --- */

static void
finish(struct shared_engine *engine, struct shared_call *call, enum push_status status)
{
	push_list_remove(&call->item);
	engine->call_count--;
	call->done(call->context, status, status == PUSH_OK ? call->answer : NULL,
		status == PUSH_OK ? call->size : 0);
	free(call->answer);
	free(call);
}

static struct shared_call *
begin(struct shared_engine *engine, unsigned int slot, push_value_done_fn done, void *context)
{
	struct shared_call *call =
		engine->call_count < PUSH_SHARED_CALLS_MAX ? calloc(1, sizeof(*call)) : NULL;

	if (!call)
		return NULL;
	call->done = done;
	call->context = context;
	call->number = ++engine->last_number;
	call->deadline_us = engine->now_us + PUSH_SHARED_CALL_US;
	call->slot = slot;
	push_list_append(&engine->calls, &call->item);
	engine->call_count++;
	return call;
}

void
shared_call(struct push_engine *base, const char *node, size_t node_size, const char *verb, const char *text,
	size_t size, uint64_t now_us, push_value_done_fn done, void *context)
{
	struct shared_engine *engine = shared_of(base);
	struct shared_call *call;
	int slot;

	engine->now_us = now_us;
	slot = push_segment_find_node(engine->segment, node, node_size);
	if (slot < 0 || (unsigned int)slot == engine->slot) {
		done(context, PUSH_NOT_FOUND, NULL, 0);
		return;
	}
	call = size <= PUSH_SEGMENT_CALL_BYTES_MAX ? begin(engine, (unsigned int)slot, done, context) : NULL;
	if (!call) {
		done(context, PUSH_UNAVAILABLE, NULL, 0);
		return;
	}
	if (shared_send(engine, &(struct push_segment_letter){.verb = PUSH_SEGMENT_CALL,
					.mask = 1ull << slot,
					.number = call->number,
					.name = verb,
					.name_size = strlen(verb),
					.value = text,
					.value_size = size}) != PUSH_OK)
		finish(engine, call, PUSH_UNAVAILABLE);
}

void
shared_answer_came(struct shared_engine *engine, const struct push_segment_item *item)
{
	for (struct push_list *at = engine->calls.next; at != &engine->calls; at = at->next) {
		struct shared_call *call = push_container_of(at, struct shared_call, item);

		if (call->number != item->number || call->slot != item->slot)
			continue;
		call->status = PUSH_UNAVAILABLE;
		if (item->name_size == 1 && *item->name == '0' + PUSH_NOT_FOUND)
			call->status = PUSH_NOT_FOUND;
		call->answer = item->name_size == 1 && *item->name == '0' + PUSH_OK
				       ? malloc(item->value_size + 1)
				       : NULL;
		if (call->answer) {
			memcpy(call->answer, item->value, item->value_size);
			call->size = item->value_size;
			call->status = PUSH_OK;
		}
		push_list_remove(&call->item);
		push_list_append(&engine->answered, &call->item);
		shared_wake(engine);
		return;
	}
}

/* --- being called --- */

void
shared_call_came(struct shared_engine *engine, const struct push_segment_item *item)
{
	struct shared_question *question;

	if (item->name_size >= sizeof(question->verb) || item->value_size > PUSH_SEGMENT_CALL_BYTES_MAX ||
		item->slot >= PUSH_SEGMENT_SLOTS_MAX)
		return;
	question = calloc(1, sizeof(*question) + item->value_size);
	if (!question)
		return;
	question->slot = item->slot;
	question->number = item->number;
	question->size = item->value_size;
	memcpy(question->verb, item->name, item->name_size);
	memcpy(question->text, item->value, item->value_size);
	push_list_append(&engine->called, &question->item);
	shared_wake(engine);
}

static void
answer(struct shared_engine *engine, const struct shared_question *question)
{
	enum push_status status = PUSH_NOT_FOUND;
	struct push_buf text;
	char name;

	push_buf_init(&text, PUSH_SEGMENT_CALL_BYTES_MAX);
	if (engine->serve)
		status = engine->serve(
			engine->serve_context, question->verb, question->text, question->size, &text);
	if (status == PUSH_OK)
		status = text.status;
	if (status != PUSH_OK)
		push_buf_clear(&text);
	name = (char)('0' + (status == PUSH_OK || status == PUSH_NOT_FOUND ? status : PUSH_UNAVAILABLE));
	(void)!shared_send(engine, &(struct push_segment_letter){.verb = PUSH_SEGMENT_ANSWER,
					   .mask = 1ull << question->slot,
					   .number = question->number,
					   .name = &name,
					   .name_size = 1,
					   .value = text.size ? text.bytes : "",
					   .value_size = text.size});
	push_buf_fini(&text);
}

/* --- its life --- */

void
shared_serve(struct push_engine *base, push_serve_fn serve, void *context)
{
	struct shared_engine *engine = shared_of(base);

	engine->serve = serve;
	engine->serve_context = context;
}

void
shared_calls_init(struct shared_engine *engine)
{
	push_list_init(&engine->calls);
	push_list_init(&engine->answered);
	push_list_init(&engine->called);
}

void
shared_calls_flush(struct shared_engine *engine)
{
	struct push_list called;

	push_list_take_all(&called, &engine->called);
	while (!push_list_is_empty(&called)) {
		struct shared_question *question =
			push_container_of(called.next, struct shared_question, item);

		push_list_remove(&question->item);
		answer(engine, question);
		free(question);
	}
	while (!push_list_is_empty(&engine->answered)) {
		struct shared_call *call = push_container_of(engine->answered.next, struct shared_call, item);

		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the one before has left the list */
		finish(engine, call, call->status);
	}
}

/* They stand in the order of their deadlines. */
static void
give_up(struct shared_engine *engine, uint64_t until_us)
{
	uint64_t attached = push_segment_attached(engine->segment);
	struct push_list *item = engine->calls.next, *next;

	for (; item != &engine->calls; item = next) {
		struct shared_call *call = push_container_of(item, struct shared_call, item);

		next = item->next;
		if (call->deadline_us > until_us && attached & 1ull << call->slot)
			continue;
		call->status = PUSH_UNAVAILABLE;
		push_list_remove(item);
		push_list_append(&engine->answered, item);
	}
}

void
shared_calls_tick(struct shared_engine *engine)
{
	give_up(engine, engine->now_us);
}

void
shared_calls_fini(struct shared_engine *engine)
{
	engine->serve = NULL;
	give_up(engine, UINT64_MAX);
	shared_calls_flush(engine);
}
