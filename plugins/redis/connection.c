/*
 * connection.c - a link that comes back: its name is looked up anew each time, since behind a name there may
 * be another machine by now; the addresses are tried in turn; the pause doubles, and is drawn at random, so
 * that a hundred nodes do not come back in the same millisecond.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "core/backoff.h"
#include "core/push_assert.h"
#include "redis/redis_private.h"

void
redis_connection_init(struct redis_connection *connection, struct redis_engine *engine,
	enum push_redis_role role, const struct push_redis_settings *settings,
	const struct push_redis_link_owner *owner, void *context)
{
	*connection = (struct redis_connection){.engine = engine};
	push_redis_link_init(&connection->link, role, &engine->sources, settings, owner, context);
	push_list_append(&engine->connections, &connection->item);
}

void
redis_connection_fini(struct redis_connection *connection)
{
	push_list_remove(&connection->item);
	push_redis_link_fini(&connection->link);
}

static void
retry_later(struct redis_connection *connection)
{
	struct redis_engine *engine = connection->engine;

	connection->retry_us =
		engine->now_us + push_backoff_us(connection->failures++, PUSH_REDIS_BACKOFF_FIRST_US,
					 PUSH_REDIS_BACKOFF_LAST_US, &engine->random);
}

static void
open_path(struct redis_connection *connection)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", connection->host);
	push_redis_link_open(&connection->link, (const struct sockaddr *)&address, sizeof(address),
		"localhost", connection->engine->now_us);
}

static void
open_next_address(struct redis_connection *connection)
{
	const struct sockaddr_storage *address = &connection->addresses[connection->next_address++];

	push_redis_link_open(&connection->link, (const struct sockaddr *)address,
		address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in),
		connection->host, connection->engine->now_us);
}

static void
attempt(struct redis_connection *connection)
{
	struct redis_engine *engine = connection->engine;

	connection->retry_us = 0;
	if (!connection->port) {
		open_path(connection);
		return;
	}
	if (connection->next_address < connection->address_count) {
		open_next_address(connection);
		return;
	}
	connection->token = ++engine->next_token;
	connection->resolving =
		push_resolver_start(engine->resolver, connection->host, connection->port, connection->token);
	if (!connection->resolving)
		retry_later(connection);
}

void
redis_connection_redirect(struct redis_connection *connection, const char *host, uint16_t port)
{
	/* a name onto itself is undefined, and empty in fact */
	if (host != connection->host)
		snprintf(connection->host, sizeof(connection->host), "%s", host);
	connection->port = port;
	if (port)
		snprintf(connection->label, sizeof(connection->label),
			strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
	else
		snprintf(connection->label, sizeof(connection->label), "%s", host);
	connection->address_count = connection->next_address = 0;
}

void
redis_connection_start(struct redis_connection *connection, const char *host, uint16_t port)
{
	PUSH_ASSERT(connection->link.state == PUSH_REDIS_CLOSED);
	redis_connection_redirect(connection, host, port);
	connection->wanted = true;
	connection->failures = 0;
	attempt(connection);
}

void
redis_connection_is_up(struct redis_connection *connection)
{
	connection->failures = 0;
	connection->address_count = connection->next_address = 0;
	connection->last_error[0] = '\0';
}

bool
redis_connection_is_down(struct redis_connection *connection, const char *why)
{
	bool is_news = strcmp(connection->last_error, why) != 0;

	if (is_news)
		snprintf(connection->last_error, sizeof(connection->last_error), "%s", why);
	/* the name's next address is tried at once */
	if (connection->wanted && connection->next_address < connection->address_count)
		connection->retry_us = connection->engine->now_us;
	else if (connection->wanted)
		retry_later(connection);
	return is_news;
}

void
redis_connections_resolved(void *context, uint64_t token, enum push_status status,
	const struct sockaddr_storage *addresses, size_t count, const char *error)
{
	struct redis_engine *engine = context;
	struct redis_connection *connection = NULL;

	for (struct push_list *item = engine->connections.next; item != &engine->connections;
		item = item->next) {
		struct redis_connection *each = push_container_of(item, struct redis_connection, item);

		if (each->resolving && each->token == token)
			connection = each;
	}
	if (!connection)
		return;
	connection->resolving = false;
	if (status != PUSH_OK || !count) {
		connection->link.owner->down(connection->link.context, error, engine->now_us);
		return;
	}
	connection->address_count = count < PUSH_REDIS_ADDRESSES_MAX ? count : PUSH_REDIS_ADDRESSES_MAX;
	memcpy(connection->addresses, addresses, connection->address_count * sizeof(*addresses));
	connection->next_address = 0;
	open_next_address(connection);
}

void
redis_connections_settle(struct redis_engine *engine)
{
	struct push_list *item = engine->connections.next, *next;

	for (; item != &engine->connections; item = next) {
		next = item->next;
		push_redis_link_settle(
			&push_container_of(item, struct redis_connection, item)->link, engine->now_us);
	}
}

void
redis_connections_tick(struct redis_engine *engine)
{
	for (struct push_list *item = engine->connections.next; item != &engine->connections;
		item = item->next) {
		struct redis_connection *connection = push_container_of(item, struct redis_connection, item);

		push_redis_link_tick(&connection->link, engine->now_us);
		if (connection->wanted && connection->retry_us && connection->retry_us <= engine->now_us)
			attempt(connection);
	}
}
