/*
 * redis_links.h - an engine of Redis whose links lead nowhere: a test reads what is written to them as commands,
 * and answers as it likes.
 */
#ifndef PUSH_TESTS_REDIS_LINKS_H
#define PUSH_TESTS_REDIS_LINKS_H

#include <stdlib.h>

#include "core/hub.h"
#include "redis/redis_private.h"

/* Without a server yet.  @context: of the host's functions. */
static inline void
links_init_engine(struct redis_engine *engine, const struct push_options *options, struct push_hub *hub,
	struct push_redis_stats *stats, const struct push_engine_host *host, uint64_t now_us)
{
	struct push_list *const lists[] = {&engine->connections, &engine->nodes, &engine->homeless,
		&engine->idle, &engine->waiting, &engine->to_fetch};

	*engine = (struct redis_engine){
		.options = options, .hub = hub, .stats = stats, .host = *host, .random = 1, .now_us = now_us};
	for (size_t i = 0; i < COUNT(lists); i++)
		push_list_init(lists[i]);
	push_hub_watch(hub, sizeof(struct redis_subscription));
}

static inline void
links_init_server(
	struct redis_node *server, struct redis_engine *engine, const struct push_redis_settings *settings)
{
	struct push_list *const lists[] = {&server->to_ask, &server->asked, &server->live, &server->refused,
		&server->to_tell, &server->to_tell_later, &server->told, &server->to_check};

	server->engine = engine;
	for (size_t i = 0; i < COUNT(lists); i++)
		push_list_init(lists[i]);
	push_list_append(&engine->nodes, &server->item);
	push_redis_link_init(&server->commands.link, PUSH_REDIS_COMMANDS, NULL, settings, NULL, server);
	push_redis_link_init(
		&server->subscriptions.link, PUSH_REDIS_SUBSCRIPTIONS, NULL, settings, NULL, server);
}

static inline void
links_fini_server(struct redis_node *server)
{
	free(server->commands.link.awaited);
	free(server->subscriptions.link.awaited);
	push_buf_fini(&server->commands.link.out);
	push_buf_fini(&server->subscriptions.link.out);
}

/* What the next answer is for. */
static inline bool
links_take_awaited(struct push_redis_link *link, struct push_redis_awaited *ret)
{
	if (!link->awaited_count)
		return false;
	*ret = link->awaited[link->awaited_head & (link->awaited_capacity - 1)];
	link->awaited_head++;
	link->awaited_count--;
	return true;
}

/* Gives each part of the command that stands first to `part`: `*2 $3 GET $1 a`.  Returns where the next one begins. */
static inline const char *
links_read_command(const char *at, void (*part)(void *context, const char *text, size_t size), void *context)
{
	char *end;
	unsigned long count;

	assert_true(*at == '*');
	count = strtoul(at + 1, &end, 10);
	for (unsigned long i = 0; i < count; i++) {
		size_t size;

		assert_true(end[2] == '$');
		size = strtoul(end + 3, &end, 10);
		part(context, end + 2, size);
		end += 2 + size;
	}
	return end + 2;
}

#endif
