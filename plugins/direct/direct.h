/*
 * direct.h - clients on Push's own sockets, without lws in between: HTTP/1.x and HTTP/2, plain or over TLS.
 *
 * lws binds, knows files, mounts, virtual hosts and passwords; but a connection costs it two kilobytes (thirty and a
 * long sorted list over TLS), an upgrade walks a list of all others, a publish takes it 30 us, and it is lenient with
 * what is malformed.  So the listening sockets of clients' ports are taken over (door.c), and each request head is looked
 * at before lws sees it:
 *
 *            ┌─ TLS: handshake.c ─┬─ HTTP/2: h2_conn.c ──┐   ┌─ for a path of Push's: served here, whatever it asks,
 *   accept ──┤                    │                      ├───┤  by request/exchange.h
 *            └─ plain ────────────┴─ HTTP/1.x: http_conn ┘   ├─ malformed: 400, and closed
 *                                                            └─ anything else (files, passwords) ─▶ lws
 *
 * A plain connection is looked at with MSG_PEEK, so that the request stays in the kernel, and lws gets the descriptor,
 * unread.  What came by TLS lws gets opened, through a pair of local sockets (relay.h).
 *
 * Whose a path is (Push's plugins', nobody's, or somebody's who asks for a password) is told by pushd (vhosts.h), or
 * learned once per route, by asking lws (probe.c).
 *
 * A WebSocket or SSE client is a stream (stream.c, or one of an HTTP/2 connection), a transport below the same hub as
 * lws' connections.  Everything waits in epoll sets, which lws watches as files; all of it runs in lws' thread.
 */
#ifndef PUSH_DIRECT_DIRECT_H
#define PUSH_DIRECT_DIRECT_H

#include "broker/broker.h"

struct push_direct;

/* What is asked of lws; from its thread. */
struct push_direct_host {
	/*
	 * Let lws serve a connection that came to `port` from its first byte on.  Owns the descriptor,
	 * whatever happens.
	 */
	void (*hand_over)(void *context, int fd, int port);
	/* Likewise, and without TLS, also where the port has it: what comes is decrypted. */
	void (*hand_over_plain)(void *context, int fd, int port);
	/* The answer to a Sec-WebSocket-Key (RFC 6455, 4.2.2): NUL-terminated, `size` is enough. */
	void (*accept_key)(const char *key, size_t key_size, char *to, size_t size);
	/* What a vhost adds to its answers: lines, each with CRLF; borrowed.  NULL: not known. */
	const char *(*vhost_headers)(void *context, const char *name);
	void (*log)(void *context, enum push_log_level level, const char *line);
	void *context;
};

/* push_direct_create - nothing is listened to yet.  Returns NULL when memory or descriptors are out. */
struct push_direct *
push_direct_create(
	const struct push_broker_ops *ops, struct push_broker *broker, const struct push_direct_host *host);

/* push_direct_tell - what pushd says of the vhosts (vhosts.h); NULL: nothing, and lws is asked. */
void
push_direct_tell(struct push_direct *direct, const char *vhosts);

/* push_direct_destroy - close everything.  NULL is allowed. */
void
push_direct_destroy(struct push_direct *direct);

/* What is served apart, so that none waits for a crowd in another. */
enum push_direct_set {
	PUSH_DIRECT_PUBLISHERS, /* connections that have published before */
	PUSH_DIRECT_ARRIVALS,   /* listening sockets, new connections, probes */
	PUSH_DIRECT_HANDSHAKES, /* of TLS */
	PUSH_DIRECT_STREAMS,
	PUSH_DIRECT_SET_COUNT
};

/* push_direct_fd - readable when push_direct_ready() has something to do for this set. */
int
push_direct_fd(const struct push_direct *direct, enum push_direct_set set);

/* Who serves what is accepted. */
enum push_direct_door {
	PUSH_DIRECT_DOOR_CLIENTS, /* direct sockets, as far as they can */
	PUSH_DIRECT_DOOR_LWS, /* lws: push.direct=off.  (Where it is TLS the first bytes show it, and lws gets
				 them) */
	PUSH_DIRECT_DOOR_OPERATORS /* lws; where no descriptors are left, with those that are kept for it */
};

/*
 * push_direct_listen - accept from a listening socket, which is owned from here on.
 *
 * What is accepted inherits from it what is set here: non-blocking, the send buffer's bound, TCP_NODELAY.
 * Returns false where that cannot be; the descriptor is closed then.
 */
bool
push_direct_listen(struct push_direct *direct, int fd, int port, enum push_direct_door kind);

/* push_direct_leave - no longer accept; who is there is served as before. */
void
push_direct_leave(struct push_direct *direct);

/* push_direct_stop - accept who waits, but no other clients, and end what idles between two requests. */
void
push_direct_stop(struct push_direct *direct);

/* push_direct_is_busy - whether requests that are not lws' are not answered yet; idle connections do not
 * count once it was stopped. */
bool
push_direct_is_busy(const struct push_direct *direct);

/* push_direct_count - connections that are open now. */
size_t
push_direct_count(const struct push_direct *direct);

/* push_direct_ready - serve a batch of what is ready in a set. */
void
push_direct_ready(struct push_direct *direct, enum push_direct_set set);

/*
 * push_direct_flush - send what was written to streams that share a connection, when the turn is over.
 *
 * @is_done: nothing more is to be written to them now.  Otherwise that may be awaited, but not for long.
 */
void
push_direct_flush(struct push_direct *direct, bool is_done);

/* push_direct_relieve - while memory is short, close connections whose clients do not read answers or do not
 * end a body or a message, the oldest first: at most `max`.  Returns their number. */
size_t
push_direct_relieve(struct push_direct *direct, size_t max);

/* push_direct_tick - do what is due by the clock. */
void
push_direct_tick(struct push_direct *direct);

/* push_direct_sockets - what a broker may ask of it, borrowed: as the functions above, and whether a request
 * that came to lws by a descriptor is a probe, which is over with it. */
const struct push_broker_sockets *
push_direct_sockets(const struct push_direct *direct);

#endif
