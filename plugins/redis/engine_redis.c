/* engine_redis.c - see engine_redis.h. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/push_assert.h"
#include "core/random.h"
#include "redis/redis_private.h"
#include "redis/tls.h"

#define LOG_BYTES_MAX 512

static struct redis_engine *
engine_of(struct push_engine *engine)
{
	return (struct redis_engine *)engine;
}

void
redis_set_now(struct redis_engine *engine, uint64_t now_us)
{
	engine->now_us = engine->settings.now_us = engine->query_settings.now_us = now_us;
}

void
redis_wake(struct redis_engine *engine)
{
	if (engine->is_awake)
		return;
	engine->is_awake = true;
	engine->host.wake(engine->host.context);
}

void
redis_log(struct redis_engine *engine, enum push_log_level level, const char *format, ...)
{
	char line[LOG_BYTES_MAX], *arguments_of_it;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	/* Redis repeats what it does not understand, and that may be a message, or a password */
	arguments_of_it = strstr(line, ", with args beginning with");
	if (arguments_of_it)
		*arguments_of_it = '\0';
	engine->host.log(engine->host.context, level, line);
}

void
redis_log_refusal(struct redis_engine *engine, const struct redis_node *node, const char *what,
	const struct push_redis_reply *reply)
{
	redis_log_refusal_of(engine, node, what, reply, &engine->refusal_logged_us);
}

void
redis_log_refusal_of(struct redis_engine *engine, const struct redis_node *node, const char *what,
	const struct push_redis_reply *reply, uint64_t *logged_us)
{
	enum push_log_level level = PUSH_LOG_ERROR;

	if (*logged_us && engine->now_us < *logged_us + PUSH_REDIS_REFUSAL_LOG_US)
		level = PUSH_LOG_DEBUG;
	else
		*logged_us = engine->now_us;
	redis_log(engine, level, "redis %s: refuses %s: %.*s", node->commands.label, what,
		(int)(reply->size < 200 ? reply->size : 200), reply->text ? reply->text : "");
}

uint64_t
redis_random_upto(struct redis_engine *engine, uint64_t limit)
{
	return push_random_upto(&engine->random, limit);
}

/* --- the engine's interface --- */

static void
engine_publish(struct push_engine *base, const struct push_publication *publication, uint64_t now_us,
	push_publish_done_fn done, void *context)
{
	struct redis_engine *engine = engine_of(base);

	redis_set_now(engine, now_us);
	redis_publish(engine, publication, done, context);
}

static bool
is_up(const struct redis_node *node)
{
	return node->is_up;
}

static bool
is_accepting(const struct redis_node *node)
{
	return !push_redis_refusals_go_on(&node->refusals, node->engine->now_us) &&
	       !push_redis_refusals_go_on(&node->claims, node->engine->now_us);
}

/* In a cluster half of the servers will do: one that is away must not take every Push node out of service. */
static bool
are_most(const struct redis_engine *engine, bool (*is_well)(const struct redis_node *node))
{
	size_t count = 0, well = 0;

	for (const struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next) {
		const struct redis_node *node = push_container_of(item, struct redis_node, item);

		if (engine->slots && !node->has_slots)
			continue;
		count++;
		well += is_well(node);
	}
	return count && well * 2 >= count + (count == 1);
}

static bool
engine_is_ready(const struct push_engine *base)
{
	return are_most((const struct redis_engine *)base, is_up) && redis_notices_are_read(base);
}

static const struct redis_node *
first_that_is_not(const struct redis_engine *engine, bool (*is_well)(const struct redis_node *node))
{
	for (const struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next) {
		const struct redis_node *node = push_container_of(item, const struct redis_node, item);

		if (!is_well(node))
			return node;
	}
	return NULL;
}

static bool
engine_accepts(const struct push_engine *base, char *why, size_t size)
{
	const struct redis_engine *engine = (const struct redis_engine *)base;
	const struct redis_node *node;

	if (!are_most(engine, is_up)) {
		node = first_that_is_not(engine, is_up);
		if (node)
			snprintf(why, size, "Redis %s cannot be reached%s%s", node->commands.label,
				*node->why_down ? ": " : "", node->why_down);
		else
			snprintf(why, size, "no Redis server is known yet");
		return false;
	}
	if (are_most(engine, is_accepting))
		return true;
	node = first_that_is_not(engine, is_accepting);
	if (!node)
		return true;
	if (push_redis_refusals_go_on(&node->refusals, engine->now_us))
		snprintf(why, size, "Redis %s refuses publishes: %s", node->commands.label,
			node->refusals.text);
	else
		snprintf(why, size, "Redis %s refuses publishes with an Idempotency-Key: %s",
			node->commands.label, node->claims.text);
	return false;
}

static void
settle(struct redis_engine *engine)
{
	redis_connections_settle(engine);
	redis_topology_apply(engine);
	push_sources_reap(&engine->sources);
}

static void
engine_ready(struct push_engine *base, uint64_t now_us)
{
	struct redis_engine *engine = engine_of(base);

	redis_set_now(engine, now_us);
	push_sources_dispatch(&engine->sources, PUSH_EVENTS_BATCH_MAX);
	settle(engine);
}

static void
engine_flush(struct push_engine *base, uint64_t now_us)
{
	struct redis_engine *engine = engine_of(base);

	redis_set_now(engine, now_us);
	engine->is_awake = false;
	redis_notices_flush(engine);
	redis_subscriptions_flush(engine);
	redis_history_flush(engine);
	redis_peers_flush(engine);
	redis_receipts_flush(engine);
	if (engine->should_resend) {
		engine->should_resend = false;
		redis_publishes_send(engine);
	}
	for (struct push_list *item = engine->connections.next; item != &engine->connections;
		item = item->next)
		push_redis_link_flush(&push_container_of(item, struct redis_connection, item)->link);
	settle(engine);
}

static void
engine_tick(struct push_engine *base, uint64_t now_us)
{
	struct redis_engine *engine = engine_of(base);

	redis_set_now(engine, now_us);
	redis_connections_tick(engine);
	settle(engine);
	redis_topology_tick(engine);
	redis_peers_tick(engine);
	for (struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next)
		redis_node_tick(push_container_of(item, struct redis_node, item));
	redis_subscriptions_tick(engine);
	redis_publishes_tick(engine);
	redis_calls_tick(engine);
	redis_receipts_tick(engine);
	if (!push_list_is_empty(&engine->waiting)) {
		engine->should_resend = true;
		redis_wake(engine);
	}
	engine_flush(base, now_us);
}

static bool
engine_is_busy(const struct push_engine *base)
{
	const struct redis_engine *engine = (const struct redis_engine *)base;

	return engine->publish_count || engine->value_count || engine->reading_count || engine->call_count ||
	       engine->notice_count;
}

static void
engine_update_stats(struct push_engine *base)
{
	struct redis_engine *engine = engine_of(base);
	struct push_redis_stats *stats = engine->stats;

	stats->nodes = stats->nodes_up = stats->commands = stats->peers = stats->publishes_waiting = 0;
	for (const struct push_list *item = engine->nodes.next; item != &engine->nodes; item = item->next) {
		const struct redis_node *node = push_container_of(item, struct redis_node, item);

		stats->nodes++;
		stats->nodes_up += node->is_up;
		stats->commands += node->commands.link.awaited_count;
	}
	for (size_t i = 0; i < engine->peer_count; i++)
		stats->peers += !engine->peers[i].is_dead;
	for (const struct push_list *item = engine->waiting.next; item != &engine->waiting; item = item->next)
		stats->publishes_waiting++;
}

/* --- its life --- */

static void
on_resolved(struct push_source *source, uint32_t events)
{
	struct redis_engine *engine = push_container_of(source, struct redis_engine, resolver_source);

	(void)events;
	push_resolver_ready(engine->resolver);
}

static void
resolver_source_destroy(struct push_source *source)
{
	(void)source;
}

static const struct push_source_kind resolver_kind = {on_resolved, resolver_source_destroy};

static void
engine_destroy(struct push_engine *base)
{
	struct redis_engine *engine = engine_of(base);

	/* those who ask have gone; what they asked for may have happened */
	redis_publishes_fail(engine);
	redis_calls_fini(engine);
	redis_receipts_fini(engine);
	if (engine->peers)
		redis_peers_fini(engine);
	for (struct push_list *item = engine->connections.next; item != &engine->connections;
		item = item->next)
		push_redis_link_flush(&push_container_of(item, struct redis_connection, item)->link);
	redis_topology_fini(engine);
	redis_publishes_fail(engine); /* what became of some is known only now */
	while (!push_list_is_empty(&engine->homeless))
		redis_subscription_drop(
			engine, push_container_of(engine->homeless.next, struct redis_subscription, item));
	push_sources_fini(&engine->sources);
	push_resolver_destroy(engine->resolver);
	push_redis_tls_context_destroy(engine->tls);
	redis_notices_fini(engine);
	push_buf_fini(&engine->scratch);
	explicit_bzero(&engine->url, sizeof(engine->url));
	free(engine);
}

static void
choose_id(struct redis_engine *engine)
{
	uint64_t number;

	/* before the kernel has entropy it would block, and only then: what the hub is seeded with will do */
	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != (ssize_t)sizeof(number))
		number = redis_random_upto(engine, UINT64_MAX - 1);
	snprintf(engine->id, sizeof(engine->id), "%016llx", (unsigned long long)number);
	snprintf(engine->name, sizeof(engine->name), "push-%s", engine->id);
}

static bool
watch_resolver(struct redis_engine *engine)
{
	int fd;

	engine->resolver = push_resolver_create(redis_connections_resolved, engine);
	if (!engine->resolver)
		return false;
	/* a second number, since a source closes what it is given */
	fd = fcntl(push_resolver_fd(engine->resolver), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return false;
	push_source_open(&engine->sources, &engine->resolver_source, &resolver_kind, fd);
	return push_source_want(&engine->sources, &engine->resolver_source, EPOLLIN);
}

static void
init(struct redis_engine *engine, const struct push_options *options, struct push_hub *hub,
	struct push_redis_stats *stats, const struct push_engine_host *host, uint64_t seed)
{
	engine->engine = (struct push_engine){
		.publish = engine_publish,
		.value_get = redis_value_get,
		.value_put = redis_value_put,
		.notify = redis_notice_put,
		.on_notice = redis_notices_watch,
		.has_notices = redis_notices_are_read,
		.call = redis_call,
		.serve = redis_serve,
		.can_track = true,
		.can_publish_once = true,
		.read = redis_read,
		.is_ready = engine_is_ready,
		.accepts = engine_accepts,
		.destroy = engine_destroy,
		.ready = engine_ready,
		.flush = engine_flush,
		.tick = engine_tick,
		.is_busy = engine_is_busy,
		.update_stats = engine_update_stats,
		.render_state = redis_render_state,
	};
	engine->options = options;
	engine->hub = hub;
	engine->stats = stats;
	engine->host = *host;
	engine->random = seed | 1;
	push_list_init(&engine->connections);
	push_list_init(&engine->nodes);
	push_list_init(&engine->homeless);
	push_list_init(&engine->idle);
	push_list_init(&engine->waiting);
	push_list_init(&engine->unwritten);
	push_list_init(&engine->uncertain);
	push_list_init(&engine->calls);
	redis_receipts_init(engine);
	redis_notices_init(engine);
	push_list_init(&engine->to_fetch);
	push_buf_init(&engine->scratch, 6 * (PUSH_REDIS_ANSWER_BYTES_MAX));
	push_hub_watch(hub, sizeof(struct redis_subscription));
	choose_id(engine);
	engine->engine.node = engine->id;
	engine->settings = (struct push_redis_settings){
		.user = engine->url.user,
		.password = engine->url.password,
		.database = engine->url.database,
		.timeout_us = options->redis_timeout_us,
		.must_be_master = engine->url.kind != PUSH_REDIS_STANDALONE,
		.needs_time = true,
		.name = engine->name,
	};
}

static enum push_status
start(struct redis_engine *engine, struct push_error *error)
{
	snprintf(error->text, sizeof(error->text), "push.redis.url: out of memory or descriptors");
	if (!push_sources_init(&engine->sources))
		return PUSH_OUT_OF_MEMORY;
	engine->engine.fd = engine->sources.epoll_fd;
	if (!watch_resolver(engine))
		return PUSH_OUT_OF_MEMORY;
	if (engine->url.tls) {
		engine->tls = push_redis_tls_context_create(engine->options, error);
		if (!engine->tls)
			return PUSH_INVALID;
		engine->settings.tls = engine->tls;
	}
	if (redis_topology_init(engine) != PUSH_OK)
		return PUSH_OUT_OF_MEMORY;
	redis_history_init(engine);
	if (redis_calls_init(engine) != PUSH_OK)
		return PUSH_OUT_OF_MEMORY;
	return redis_peers_init(engine);
}

struct push_engine *
push_engine_redis_create(const struct push_options *options, struct push_hub *hub,
	struct push_redis_stats *stats, const struct push_engine_host *host, uint64_t seed, uint64_t now_us,
	struct push_error *error)
{
	struct redis_engine *engine = calloc(1, sizeof(*engine));

	if (!engine) {
		snprintf(error->text, sizeof(error->text), "push.redis.url: out of memory");
		return NULL;
	}
	if (push_redis_url_parse(&engine->url, options->redis_url, error) != PUSH_OK) {
		free(engine);
		return NULL;
	}
	engine->sources.epoll_fd = -1;
	push_list_init(&engine->sources.live);
	push_list_init(&engine->sources.closed);
	init(engine, options, hub, stats, host, seed);
	redis_set_now(engine, now_us);
	if (start(engine, error) == PUSH_OK)
		return &engine->engine;
	engine_destroy(&engine->engine);
	return NULL;
}
