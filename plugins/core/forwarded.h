/*
 * forwarded.h - the address of a client behind proxies, from what the proxies write into a request.
 *
 * Each proxy appends the address that it was called from, so that the last entries are the nearest proxies' and
 * the first ones are whatever the client has sent.  So they are read from the right, and only as long as the one
 * that has written the next entry is trusted (push.trusted.proxies):
 *
 *   client 203.0.113.7 ──▶ proxy 10.0.0.9 ──▶ proxy 10.0.0.2 ──▶ Push     trusted: 10.0.0.0/8
 *   X-Forwarded-For: <anything the client sent>, 203.0.113.7, 10.0.0.9
 *                                                ▲ the client: the first from the right that is not trusted
 *
 * An entry that is no address (`unknown`, `_hidden`, garbage) ends the reading: the client is then the last
 * address that was read, that of the proxy that wrote such an entry.
 */
#ifndef PUSH_CORE_FORWARDED_H
#define PUSH_CORE_FORWARDED_H

#include "address.h"

/* Header lines of one kind that are kept, the last ones: a proxy may add a line instead of an entry. */
#define PUSH_FORWARDED_LINES_MAX 4

/* Entries that are looked at: more proxies than anybody has. */
#define PUSH_FORWARDED_HOPS_MAX 32

/* The lines of X-Forwarded-For or Forwarded, in order; borrowed. */
struct push_forwarded {
	struct push_str lines[PUSH_FORWARDED_LINES_MAX];
	size_t count;
};

/* push_forwarded_add - one more line; of too many the first is forgotten. */
void
push_forwarded_add(struct push_forwarded *forwarded, struct push_str line);

/*
 * push_forwarded_client - the address of the client, whose connection came from `peer`.
 *
 * @x_forwarded_for: counts if it has lines, and then `forwarded` (RFC 7239) does not.
 */
struct push_address
push_forwarded_client(const struct push_networks *trusted, const struct push_address *peer,
	const struct push_forwarded *x_forwarded_for, const struct push_forwarded *forwarded);

#endif
