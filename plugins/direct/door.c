/*
 * door.c - accepting, in batches, so that ten thousand who come at once do not hold up those who are there.
 *
 * lws' own sockets would be accepted from here, too: where no descriptor is left it tries again at once, and
 * then again.  A door rests instead.  The operators' has a few descriptors kept for it, which are open for
 * nothing: one of them is closed, and its number is free for the connection.  Clients are not accepted until
 * it is there again.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "direct/direct_private.h"
#include "direct/head.h"
#include "direct/peer.h"

struct door {
	struct push_source source;
	struct push_direct *direct;
	struct push_list link; /* in direct->doors */
	int port;
	enum push_direct_door kind;
};

union peer {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static void
rest(struct door *door)
{
	struct push_direct *direct = door->direct;

	direct->accept_again_us = direct->ops->now_us() + PUSH_ACCEPT_REST_US;
	(void)push_source_want(&direct->sets[PUSH_DIRECT_ARRIVALS], &door->source, 0);
}

static bool
is_passing(int error)
{
	/* the client has gone again, or the network reports what befell it (accept(2)) */
	return error == EINTR || error == ECONNABORTED || error == EPROTO || error == ENETDOWN ||
	       error == EHOSTUNREACH || error == ENETUNREACH || error == EPERM;
}

/* Where addresses do not count, nobody asks for them. */
static int
accept_from(const struct door *door, union peer *peer)
{
	socklen_t size = sizeof(*peer);

	if (!door->direct->limiter)
		return accept4(door->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	peer->any.sa_family = AF_UNSPEC;
	return accept4(door->source.fd, &peer->any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static int
accept_one(const struct door *door, union peer *peer)
{
	struct push_direct *direct = door->direct;
	int fd = accept_from(door, peer);

	if (fd >= 0 || (errno != EMFILE && errno != ENFILE) || door->kind != PUSH_DIRECT_DOOR_OPERATORS ||
		!direct->reserve_count)
		return fd;
	close(direct->reserve[--direct->reserve_count]);
	return accept_from(door, peer);
}

/* What can be known of a connection before it is read from.  Operators are not limited. */
static void
look_at_peer(const struct door *door, int fd, const union peer *peer, struct direct_arrival *arrival)
{
	struct push_limiter *limiter = door->direct->limiter;
	struct push_address address;

	*arrival = (struct direct_arrival){.is_proxy = false};
	if (!limiter || door->kind == PUSH_DIRECT_DOOR_OPERATORS ||
		!push_peer_address_of(&peer->any, &address))
		return;
	arrival->is_proxy = push_limiter_trusts(limiter, &address);
	arrival->is_over_limit =
		!push_limiter_open(limiter, fd, &address, door->direct->ops->now_us(), &arrival->limit);
}

/*
 * The answer to whatever the client asks for, at once: three system calls, and nothing is kept.  What has come of
 * its request is taken first, or the close would be a reset, and the answer lost.  Who speaks TLS gets none.
 */
static void
turn_away(struct push_direct *direct, int fd, enum push_limit limit)
{
	const char *text = push_limit_text(limit);
	char bytes[PUSH_REPLY_BYTES_MAX];
	ssize_t size = recv(fd, direct->scratch, PUSH_READ_BYTES, MSG_DONTWAIT);

	if (size <= 0 || *direct->scratch != PUSH_TLS_HANDSHAKE) {
		int length = snprintf(bytes, sizeof(bytes),
			"HTTP/1.1 429 Too Many Requests\r\nretry-after: %d\r\ncontent-type: "
			"application/json\r\n"
			"content-length: %zu\r\nconnection: close\r\n\r\n{\"error\":\"%s\"}",
			PUSH_RETRY_AFTER_S, strlen("{\"error\":\"\"}") + strlen(text), text);

		(void)send(fd, bytes, (size_t)length, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	close(fd);
}

/* Returns how much of a batch that has taken. */
static int
serve(const struct door *door, int fd, const union peer *peer)
{
	struct push_direct *direct = door->direct;
	struct direct_arrival arrival;

	look_at_peer(door, fd, peer, &arrival);
	if (arrival.is_over_limit &&
		(door->kind != PUSH_DIRECT_DOOR_CLIENTS || direct->refusal_count >= PUSH_REFUSALS_MAX)) {
		direct_forget(direct, fd);
		turn_away(direct, fd, arrival.limit);
		return PUSH_ACCEPT_REFUSED;
	}
	if (door->kind != PUSH_DIRECT_DOOR_CLIENTS)
		direct_hand_over(direct, fd, door->port);
	else if (direct_tls_context(direct, door->port))
		direct_handshake_open(direct, fd, door->port, &arrival);
	else
		direct_request_open(direct, fd, door->port, &arrival, NULL);
	return 1;
}

static void
accept_batch(struct door *door, int max)
{
	bool is_for_clients = door->kind != PUSH_DIRECT_DOOR_OPERATORS;

	if (is_for_clients && !direct_reserve_fill(door->direct)) {
		rest(door);
		return;
	}
	for (int done = 0; done < max;) {
		union peer peer;
		int fd = accept_one(door, &peer);

		if (fd < 0 && is_passing(errno)) {
			done++;
			continue;
		}
		if (fd < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				rest(door);
			return;
		}
		if (is_for_clients && fd >= door->direct->files_max) {
			close(fd);
			rest(door);
			return;
		}
		done += serve(door, fd, &peer);
	}
}

static void
door_ready(struct push_source *source, uint32_t events)
{
	(void)events;
	accept_batch(push_container_of(source, struct door, source), PUSH_ACCEPT_BATCH);
}

static void
door_destroy(struct push_source *source)
{
	struct door *door = push_container_of(source, struct door, source);

	push_list_remove(&door->link);
	door->direct->door_count--;
	free(door);
}

static const struct push_source_kind door_kind = {door_ready, door_destroy};

bool
direct_reserve_fill(struct push_direct *direct)
{
	while (direct->reserve_count < PUSH_RESERVE_FILES) {
		int fd = fcntl(direct->sets[PUSH_DIRECT_ARRIVALS].epoll_fd, F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			return false;
		direct->reserve[direct->reserve_count++] = fd;
	}
	return true;
}

void
direct_reserve_fini(struct push_direct *direct)
{
	while (direct->reserve_count)
		close(direct->reserve[--direct->reserve_count]);
}

/* Set once, on the listening socket: Linux hands all of it down to what is accepted. */
static void
set_options(int fd, const struct push_options *options, enum push_direct_door kind)
{
	int size = (int)options->send_buffer_bytes, no_delay = options->tcp_no_delay, defer_s = PUSH_DEFER_S;

	if (kind == PUSH_DIRECT_DOOR_CLIENTS)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof(no_delay));
	if (kind == PUSH_DIRECT_DOOR_CLIENTS)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof(defer_s));
}

bool
direct_door_open(struct push_direct *direct, int fd, int port, enum push_direct_door kind)
{
	struct door *door = calloc(1, sizeof(*door));

	if (!door) {
		close(fd);
		return false;
	}
	door->direct = direct;
	door->port = port;
	door->kind = kind;
	push_list_append(&direct->doors, &door->link);
	direct->door_count++;
	set_options(fd, direct->ops->options(direct->broker), kind);
	push_source_open(&direct->sets[PUSH_DIRECT_ARRIVALS], &door->source, &door_kind, fd);
	if (push_source_want(&direct->sets[PUSH_DIRECT_ARRIVALS], &door->source, EPOLLIN))
		return true;
	push_source_close(&direct->sets[PUSH_DIRECT_ARRIVALS], &door->source);
	return false;
}

void
direct_doors_close(struct push_direct *direct, bool all)
{
	/* whoever takes our place may have the socket, too, so that it does not leave the set by being closed
	 */
	for (struct push_list *item = direct->doors.next; item != &direct->doors; item = item->next) {
		struct door *door = push_container_of(item, struct door, link);

		if (door->source.fd >= 0 && (all || door->kind != PUSH_DIRECT_DOOR_OPERATORS))
			close(push_source_release(&direct->sets[PUSH_DIRECT_ARRIVALS], &door->source));
	}
}

void
direct_doors_empty(struct push_direct *direct)
{
	for (struct push_list *item = direct->doors.next; item != &direct->doors; item = item->next) {
		struct door *door = push_container_of(item, struct door, link);

		if (door->source.fd >= 0 && door->kind != PUSH_DIRECT_DOOR_OPERATORS)
			accept_batch(door, PUSH_ACCEPT_LAST_MAX);
	}
}

void
direct_doors_tick(struct push_direct *direct, uint64_t now_us)
{
	if (!direct->accept_again_us || now_us < direct->accept_again_us)
		return;
	direct->accept_again_us = 0;
	direct->files_max = push_files_max(); /* an operator may have changed the limit */
	(void)direct_reserve_fill(direct);
	for (struct push_list *item = direct->doors.next; item != &direct->doors; item = item->next)
		(void)push_source_want(&direct->sets[PUSH_DIRECT_ARRIVALS],
			&push_container_of(item, struct door, link)->source, EPOLLIN);
}
