/*
 * find_route.h - whose a request is, by its path, its Host and its port: Push's, with a route, or lws'.
 *
 * What pushd has told (told.c), and what lws has said before (routes.h), is known at once; else lws is asked, and the
 * request waits (probe.c).
 */
#ifndef PUSH_DIRECT_FIND_ROUTE_H
#define PUSH_DIRECT_FIND_ROUTE_H

#include "direct/direct_private.h"

struct direct_lookup {
	int port;                           /* set by the caller */
	bool is_tls;                        /* likewise: it came by TLS that was ended here */
	const struct push_request *request; /* likewise */
	struct push_str path;               /* of the route */
	struct push_route_key key;          /* PUSH_WHOSE_UNKNOWN */
	struct push_route *route;           /* PUSH_WHOSE_PUSH: with a reference for the caller; else NULL */
	size_t mount_size;                  /* likewise: of the path */
};

/* direct_look_up - what is known. */
enum push_whose
direct_look_up(struct push_direct *direct, struct direct_lookup *lookup);

/* direct_ask - where nothing is, ask lws; `waiter` is resumed when it is known.  Returns false if it cannot be asked. */
bool
direct_ask(struct push_direct *direct, const struct direct_lookup *lookup, struct direct_waiter *waiter);

/* direct_place - what the route says of the request. */
void
direct_place(struct push_request *request, const struct direct_lookup *lookup);

#endif
