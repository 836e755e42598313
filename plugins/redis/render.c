/*
 * render.c - what this process sees of its Redis servers, as metrics with their names: Prometheus' text
 * format.
 *
 * Counters and sums are core/redis_stats.c's.  Names come from Redis or from the configuration, so they are
 * escaped as the format wants it.
 */
#include <inttypes.h>

#include "redis/redis_private.h"

static void
append_label(struct push_buf *to, const char *text)
{
	for (; *text; text++)
		if (*text == '\\' || *text == '"')
			push_buf_printf(to, "\\%c", *text);
		else if (*text == '\n')
			push_buf_printf(to, "\\n");
		else
			push_buf_append(to, text, 1);
}

static void
render_servers(const struct redis_engine *engine, struct push_buf *to)
{
	size_t shown = 0;

	push_buf_printf(to, "# HELP push_redis_server_up 1 if both connections to the server are up, for the "
			    "worker that answers.\n# TYPE push_redis_server_up gauge\n");
	for (const struct push_list *item = engine->nodes.next;
		item != &engine->nodes && shown < PUSH_REDIS_SERVERS_SHOWN_MAX; item = item->next, shown++) {
		const struct redis_node *node = push_container_of(item, struct redis_node, item);

		push_buf_printf(to, "push_redis_server_up{server=\"");
		append_label(to, node->commands.label);
		push_buf_printf(to, "\"} %d\n", node->is_up);
	}
}

static void
render_slots(const struct redis_engine *engine, struct push_buf *to)
{
	unsigned int unserved = 0;

	for (unsigned int slot = 0; slot < PUSH_REDIS_SLOT_COUNT; slot++)
		unserved += !engine->slots[slot] || !engine->slots[slot]->is_up;
	push_buf_printf(to,
		"# HELP push_redis_slots_unserved Slots of the cluster without a server that is up, for the "
		"worker that answers.\n# TYPE push_redis_slots_unserved gauge\npush_redis_slots_unserved "
		"%u\n",
		unserved);
}

void
redis_render_state(const struct push_engine *base, struct push_buf *to)
{
	static const char *const kinds[] = {
		[PUSH_REDIS_STANDALONE] = "standalone",
		[PUSH_REDIS_SENTINEL] = "sentinel",
		[PUSH_REDIS_CLUSTER] = "cluster",
	};
	const struct redis_engine *engine = (const struct redis_engine *)base;

	push_buf_printf(to,
		"# HELP push_redis_info Always 1. The labels show the kind of Redis.\n# TYPE push_redis_info "
		"gauge\n"
		"push_redis_info{topology=\"%s\",sharded=\"%s\"} 1\n",
		kinds[engine->url.kind], engine->options->redis_sharded ? "on" : "off");
	render_servers(engine, to);
	if (engine->slots)
		render_slots(engine, to);
}
