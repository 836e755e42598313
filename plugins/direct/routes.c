/* routes.c - see routes.h. */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/push_assert.h"
#include "direct/limits.h"
#include "direct/routes.h"

void
push_routes_init(struct push_routes *routes, uint64_t seed)
{
	routes->count = 0;
	routes->seed = seed;
}

void
push_routes_fini(struct push_routes *routes)
{
	while (routes->count)
		push_route_unref(routes->recent[--routes->count]);
}

static void
put(struct push_route_key *key, struct push_str span)
{
	/* no header has a NUL in it, so that it parts them; a missing header is not the same as an empty one
	 */
	PUSH_ASSERT(key->size + span.size + 2 <= sizeof(key->bytes));
	key->bytes[key->size++] = span.bytes ? '+' : '-';
	if (span.bytes)
		memcpy(key->bytes + key->size, span.bytes, span.size);
	key->size = (uint16_t)(key->size + span.size);
	key->bytes[key->size++] = '\0';
}

bool
push_route_key_fits(struct push_str host, struct push_str path)
{
	return 7 + host.size + path.size <= PUSH_ROUTE_KEY_BYTES_MAX;
}

bool
push_route_key_make(struct push_route_key *key, const struct push_routes *routes, unsigned int flags,
	int port, struct push_str host, struct push_str path)
{
	if (!push_route_key_fits(host, path))
		return false;
	key->size = 0;
	key->bytes[key->size++] = (char)flags;
	key->bytes[key->size++] = (char)(port >> 8);
	key->bytes[key->size++] = (char)port;
	put(key, host);
	put(key, path);
	key->hash = XXH3_64bits_withSeed(key->bytes, key->size, routes->seed);
	return true;
}

bool
push_route_key_is_upgrade(const struct push_route_key *key)
{
	return (unsigned char)key->bytes[0] & PUSH_ROUTE_UPGRADE;
}

bool
push_route_key_is_tls(const struct push_route_key *key)
{
	return (unsigned char)key->bytes[0] & PUSH_ROUTE_TLS;
}

int
push_route_key_port(const struct push_route_key *key)
{
	return (unsigned char)key->bytes[1] << 8 | (unsigned char)key->bytes[2];
}

bool
push_route_key_is(const struct push_route_key *a, const struct push_route_key *b)
{
	return a->hash == b->hash && a->size == b->size && !memcmp(a->bytes, b->bytes, a->size);
}

/* The first `count` move back by one, over what is behind them, and `route` comes to the front. */
static void
put_first(struct push_routes *routes, unsigned int count, struct push_route *route)
{
	memmove(&routes->recent[1], &routes->recent[0], count * sizeof(routes->recent[0]));
	routes->recent[0] = route;
}

struct push_route *
push_routes_find(struct push_routes *routes, const struct push_route_key *key)
{
	for (unsigned int i = 0; i < routes->count; i++) {
		struct push_route *route = routes->recent[i];

		if (!push_route_key_is(&route->key, key))
			continue;
		put_first(routes, i, route);
		route->refs++;
		return route;
	}
	return NULL;
}

struct push_route *
push_route_create(const struct push_claim *claim)
{
	struct push_route *route = calloc(1, sizeof(*route));
	char *copy = malloc(claim->extra_size + 1);

	if (!route || !copy) {
		free(route);
		free(copy);
		return NULL;
	}
	memcpy(copy, claim->extra, claim->extra_size);
	route->refs = 1;
	route->place = claim->place;
	route->rest_size = claim->rest_size;
	route->extra = copy;
	route->extra_size = (uint32_t)claim->extra_size;
	return route;
}

void
push_routes_add(struct push_routes *routes, const struct push_route_key *key, const struct push_claim *claim)
{
	struct push_route *route = push_route_create(claim);

	if (!route)
		return;
	route->key = *key;
	if (routes->count == PUSH_ROUTES_MAX)
		push_route_unref(routes->recent[--routes->count]);
	put_first(routes, routes->count++, route);
}

void
push_route_unref(struct push_route *route)
{
	if (!route)
		return;
	PUSH_ASSERT(route->refs > 0);
	if (--route->refs)
		return;
	free(route->extra);
	free(route);
}
