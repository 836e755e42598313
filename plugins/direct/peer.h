/* peer.h - who is at the other end of a socket, for a log. */
#ifndef PUSH_DIRECT_PEER_H
#define PUSH_DIRECT_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/address.h"

struct sockaddr;

/*
 * push_peer_text - "127.0.0.1:4711", "[::1]:4711", "unix"; IPv4 that comes by IPv6 is shown as the former.
 *
 * Returns false where it cannot be told: it is no socket any more.
 */
bool
push_peer_text(int fd, char *to, size_t size);

/* push_peer_address - the address at the other end; false where there is none, as of a socket of the same machine. */
bool
push_peer_address(int fd, struct push_address *ret);

/* push_peer_address_of - likewise, of what accept(2) has said. */
bool
push_peer_address_of(const struct sockaddr *peer, struct push_address *ret);

#endif
