/*
 * resolve.h - names to addresses without holding up the loop: getaddrinfo(3) in a thread for each lookup.
 *
 * The thread touches nothing but its own lookup, which it hands back under a lock; whoever comes last, the
 * thread or push_resolver_destroy(), frees what they share.
 */
#ifndef PUSH_LOOP_RESOLVE_H
#define PUSH_LOOP_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/status.h"

/* Lookups at a time. */
#define PUSH_RESOLVES_MAX 32

struct push_resolver;

/*
 * @addresses: borrowed until the call returns; each is a sockaddr_in or sockaddr_in6 with the port.
 * @error: why there are none; "" with PUSH_OK.
 */
typedef void (*push_resolved_fn)(void *context, uint64_t token, enum push_status status,
	const struct sockaddr_storage *addresses, size_t count, const char *error);

/* push_resolver_create - NULL when memory or descriptors are out. */
struct push_resolver *
push_resolver_create(push_resolved_fn on_result, void *context);

/* push_resolver_destroy - nothing is called any more; NULL is allowed. */
void
push_resolver_destroy(struct push_resolver *resolver);

/* push_resolver_fd - readable when push_resolver_ready() has a result to hand on. */
int
push_resolver_fd(const struct push_resolver *resolver);

/*
 * push_resolver_start - look up a name, or an address.
 *
 * The result comes from push_resolver_ready(), with `token`.  Returns false where no more lookups can be had.
 */
bool
push_resolver_start(struct push_resolver *resolver, const char *name, uint16_t port, uint64_t token);

/* push_resolver_ready - hand on what was found, in the loop's thread. */
void
push_resolver_ready(struct push_resolver *resolver);

#endif
