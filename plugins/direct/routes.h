/*
 * routes.h - which requests lws would give to which plugin, learned from lws itself.
 *
 * Mounts, virtual hosts and passwords are lws' business, and no API shows them.  So where pushd has not told
 * (vhosts.h), the first request for a path is shown to lws (probe.c); what it decides holds for all requests
 * that agree in everything that it decides by: upgrade, TLS, port, Host, path.  A request that differs in one of
 * them is another route.
 *
 * Passwords are never remembered: what lws is shown has none, so that a route is known only where none is
 * asked for, and lws itself checks each request of the others.  (Kept with the key, a password went on
 * working when it had been taken back.)
 */
#ifndef PUSH_DIRECT_ROUTES_H
#define PUSH_DIRECT_ROUTES_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/broker.h"
#include "core/str.h"
#include "direct/limits.h"

/* The longest key; a request with a longer one goes to lws. */
#define PUSH_ROUTE_KEY_BYTES_MAX 1024

struct push_route_key {
	uint64_t hash;
	uint16_t size;
	char bytes[PUSH_ROUTE_KEY_BYTES_MAX];
};

struct push_route {
	uint32_t refs;
	uint32_t extra_size;
	enum push_place place;
	size_t rest_size; /* of the path behind the mount */
	char *extra;      /* header lines that the vhost adds to its answers, each with CRLF */
	struct push_route_key key;
};

struct push_routes {
	unsigned int count;
	uint64_t seed; /* of the keys' hashes: nobody outside can make them collide */
	struct push_route *recent[PUSH_ROUTES_MAX]; /* the one used last first */
};

void
push_routes_init(struct push_routes *routes, uint64_t seed);

void
push_routes_fini(struct push_routes *routes);

/* push_route_key_fits - a request with a longer Host and path has no key, and goes to lws. */
bool
push_route_key_fits(struct push_str host, struct push_str path);

/* What a request is besides its Host and path: flags. */
#define PUSH_ROUTE_UPGRADE 1u
#define PUSH_ROUTE_TLS     2u /* it came by TLS that was ended here */

/* push_route_key_make - the key of a request that came to a port.  Returns false if it is too long. */
bool
push_route_key_make(struct push_route_key *key, const struct push_routes *routes, unsigned int flags,
	int port, struct push_str host, struct push_str path);

bool
push_route_key_is_upgrade(const struct push_route_key *key);

bool
push_route_key_is_tls(const struct push_route_key *key);

int
push_route_key_port(const struct push_route_key *key);

bool
push_route_key_is(const struct push_route_key *a, const struct push_route_key *b);

/* push_routes_find - the route, with a reference for the caller, or NULL. */
struct push_route *
push_routes_find(struct push_routes *routes, const struct push_route_key *key);

/* push_routes_add - remember a route; the one that was not used for longest makes room.  No memory:
 * forgotten. */
void
push_routes_add(struct push_routes *routes, const struct push_route_key *key, const struct push_claim *claim);

/* push_route_create - with a reference for the caller, and without a key.  NULL: memory is out. */
struct push_route *
push_route_create(const struct push_claim *claim);

/* push_route_unref - give a reference back.  NULL is allowed. */
void
push_route_unref(struct push_route *route);

#endif
