/*
 * relay.h - a TLS connection whose requests are lws': files, passwords, mounts of others.
 *
 * lws gets one end of a pair of local sockets, without TLS; what the client sends goes there decrypted, and what lws
 * sends is encrypted here.  How long the connection may idle, and what a request means, is lws' business as ever.
 *
 *   client ── TLS ── struct relay ── pair of sockets ── lws
 *
 * Each direction is read only when what was read before is gone: PUSH_RELAY_PIECE_BYTES are kept at most, and the pair
 * holds PUSH_RELAY_SOCKET_BYTES.  So a slow reader stops lws as it would by a socket of its own.
 *
 *   what ends             what follows
 *   the client's sending  lws reads the end; its answers go on
 *   lws' connection       what it has sent goes out, then close_notify and FIN, and the client may read them
 *   either, by an error   both are closed at once
 */
#ifndef PUSH_DIRECT_RELAY_H
#define PUSH_DIRECT_RELAY_H

#include "core/str.h"
#include "direct/bytes.h"

struct push_direct;

/*
 * direct_relay_open - let lws serve a connection to `port`.
 *
 * @fd: the client's socket, owned from here on.  @bytes: moved; what is held of them goes to lws, too, behind
 * @early: what was taken of them and not served.
 * If that is impossible, the connection is closed.
 */
void
direct_relay_open(
	struct push_direct *direct, int fd, int port, struct direct_bytes *bytes, struct push_str early);

#endif
