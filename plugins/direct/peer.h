/* peer.h - who is at the other end of a socket, for a log. */
#ifndef PUSH_DIRECT_PEER_H
#define PUSH_DIRECT_PEER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * push_peer_text - "127.0.0.1:4711", "[::1]:4711", "unix"; IPv4 that comes by IPv6 is shown as the former.
 *
 * Returns false where it cannot be told: it is no socket any more.
 */
bool
push_peer_text(int fd, char *to, size_t size);

#endif
