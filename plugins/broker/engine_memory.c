/*
 * engine_memory.c - the embedded engine: this process is all there is.
 *
 * A publish is delivered before its answer is made, so the number of subscribers is exact.
 */
#include <stdlib.h>

#include "engine.h"

struct engine_memory {
	struct push_engine engine; /* first: the two are cast into each other */
	struct push_hub *hub;
};

static void
memory_publish(struct push_engine *engine, const struct push_publication *publication, uint64_t now_us,
	push_publish_done_fn done, void *context)
{
	struct engine_memory *memory = (struct engine_memory *)engine;
	uint64_t subscribers = 0;
	enum push_status status =
		push_hub_deliver(memory->hub, publication->channel, publication->channel_size,
			publication->value, publication->value_size, 0, now_us, &subscribers);

	done(context, status, status == PUSH_OK ? subscribers : 0);
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
	free(engine);
}

struct push_engine *
push_engine_memory_create(struct push_hub *hub, uint64_t epoch)
{
	struct engine_memory *memory = malloc(sizeof(*memory));

	if (!memory)
		return NULL;
	push_hub_number(hub, epoch);
	*memory = (struct engine_memory){
		.engine = {.publish = memory_publish,
			.is_ready = memory_is_ready,
			.destroy = memory_destroy,
			.fd = -1},
		.hub = hub,
	};
	return &memory->engine;
}
