/*
 * engine_memory.c - the embedded engine: this process is all there is.
 *
 * A publish is delivered before its answer is made, so the number of subscribers is exact.
 */
#include <stdlib.h>

#include "core/limits.h"
#include "core/values.h"
#include "engine.h"
#include "trace/tracer.h"

struct engine_memory {
	struct push_engine engine; /* first: the two are cast into each other */
	struct push_hub *hub;
	struct push_values *values;
	push_notice_fn notice; /* NULL: nobody receives any */
	void *notice_context;
};

static void
memory_publish(struct push_engine *engine, const struct push_publication *publication, uint64_t now_us,
	push_publish_done_fn done, void *context)
{
	struct engine_memory *memory = (struct engine_memory *)engine;
	struct push_delivery *delivery = NULL;
	uint64_t subscribers = 0;
	enum push_status status;

	push_hub_track(memory->hub, publication->tracker);
	if (publication->trace)
		delivery = push_tracer_deliver(engine->tracer, memory->hub,
			push_hub_find(memory->hub, publication->channel, publication->channel_size),
			publication->trace, publication->value_size);
	status = push_hub_deliver(memory->hub, publication->channel, publication->channel_size,
		publication->value, publication->value_size, publication->ttl_us, now_us, &subscribers);
	push_tracer_delivered(engine->tracer, memory->hub, delivery);
	push_hub_track(memory->hub, NULL);
	done(context, status, status == PUSH_OK ? subscribers : 0);
}

static void
memory_value_get(struct push_engine *engine, const char *name, size_t name_size, uint64_t now_us,
	push_value_done_fn done, void *context)
{
	struct engine_memory *memory = (struct engine_memory *)engine;
	const char *value = NULL;
	size_t size = 0;
	enum push_status status = push_values_get(memory->values, name, name_size, now_us, &value, &size);

	done(context, status, value, size);
}

static void
memory_value_put(struct push_engine *engine, const char *name, size_t name_size, const char *value,
	size_t value_size, uint64_t ttl_us, bool only_if_new, uint64_t now_us, push_value_done_fn done,
	void *context)
{
	struct engine_memory *memory = (struct engine_memory *)engine;
	const char *before;
	size_t size;

	if (only_if_new &&
		push_values_get(memory->values, name, name_size, now_us, &before, &size) == PUSH_OK) {
		done(context, PUSH_OK, before, size);
		return;
	}
	done(context, push_values_put(memory->values, name, name_size, value, value_size, ttl_us, now_us),
		NULL, 0);
}

static void
memory_read(struct push_engine *engine, const struct push_reading *reading, uint64_t now_us,
	push_value_done_fn done, void *context)
{
	struct push_buf text;
	enum push_status status;

	/* what is over the limit is one message more */
	push_buf_init(&text, 2 * (size_t)PUSH_SIZE_MAX);
	status = push_hub_read(((struct engine_memory *)engine)->hub, reading, now_us, &text);
	if (status == PUSH_OK)
		done(context, PUSH_OK, text.bytes, text.size);
	else
		done(context, status, NULL, 0);
	push_buf_fini(&text);
}

static void
memory_notify(struct push_engine *engine, const char *text, size_t size, uint64_t ttl_us, uint64_t now_us,
	push_notice_done_fn done, void *context)
{
	struct engine_memory *memory = (struct engine_memory *)engine;

	(void)ttl_us;
	(void)now_us;
	if (size > PUSH_NOTICE_BYTES_MAX) {
		done(context, PUSH_TOO_LARGE);
		return;
	}
	if (memory->notice)
		memory->notice(memory->notice_context, text, size);
	done(context, PUSH_OK);
}

static void
memory_on_notice(struct push_engine *engine, push_notice_fn notice, void *context)
{
	struct engine_memory *memory = (struct engine_memory *)engine;

	memory->notice = notice;
	memory->notice_context = context;
}

static void
memory_tick(struct push_engine *engine, uint64_t now_us)
{
	push_values_tick(((struct engine_memory *)engine)->values, now_us, PUSH_WHEEL_SLICE_TIMERS);
}

static bool
memory_is_ready(const struct push_engine *engine)
{
	(void)engine;
	return true;
}

static void
memory_destroy(struct push_engine *engine)
{
	push_values_destroy(((struct engine_memory *)engine)->values);
	free(engine);
}

struct push_engine *
push_engine_memory_create(struct push_hub *hub, uint64_t epoch, uint64_t seed, uint64_t now_us)
{
	struct engine_memory *memory = malloc(sizeof(*memory));
	struct push_values *values =
		push_values_create(seed, &push_hub_memory(hub)->accounts[PUSH_MEMORY_VALUES], now_us);

	if (!memory || !values) {
		push_values_destroy(values);
		free(memory);
		return NULL;
	}
	push_hub_number(hub, epoch);
	*memory = (struct engine_memory){
		.engine = {.publish = memory_publish,
			.value_get = memory_value_get,
			.value_put = memory_value_put,
			.read = memory_read,
			.notify = memory_notify,
			.on_notice = memory_on_notice,
			.has_notices = memory_is_ready,
			.can_track = true,
			.is_ready = memory_is_ready,
			.tick = memory_tick,
			.destroy = memory_destroy,
			.fd = -1},
		.hub = hub,
		.values = values,
	};
	return &memory->engine;
}
