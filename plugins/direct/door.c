/*
 * door.c - accepting, in batches, so that ten thousand who come at once do not hold up those who are there.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "direct/direct_private.h"

struct door {
	struct push_source source;
	struct push_direct *direct;
	struct push_list link; /* in direct->doors */
	int port;
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

static void
accept_batch(struct door *door, int max)
{
	for (int i = 0; i < max; i++) {
		int fd = accept4(door->source.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0 && is_passing(errno))
			continue;
		if (fd < 0) {
			if (errno != EAGAIN && errno != EWOULDBLOCK)
				rest(door);
			return;
		}
		if (fd >= door->direct->files_max) {
			close(fd);
			rest(door);
			return;
		}
		direct_request_open(door->direct, fd, door->port);
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

/* Set once, on the listening socket: Linux hands all of it down to what is accepted. */
static void
set_options(int fd, const struct push_options *options)
{
	int size = (int)options->send_buffer_bytes, no_delay = options->tcp_no_delay, defer_s = PUSH_DEFER_S;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof(no_delay));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof(defer_s));
}

bool
direct_door_open(struct push_direct *direct, int fd, int port)
{
	struct door *door = calloc(1, sizeof(*door));

	if (!door) {
		close(fd);
		return false;
	}
	door->direct = direct;
	door->port = port;
	push_list_append(&direct->doors, &door->link);
	direct->door_count++;
	set_options(fd, direct->ops->options(direct->broker));
	push_source_open(&direct->sets[PUSH_DIRECT_ARRIVALS], &door->source, &door_kind, fd);
	if (push_source_want(&direct->sets[PUSH_DIRECT_ARRIVALS], &door->source, EPOLLIN))
		return true;
	push_source_close(&direct->sets[PUSH_DIRECT_ARRIVALS], &door->source);
	return false;
}

void
direct_doors_close(struct push_direct *direct)
{
	/* whoever takes our place may have the socket, too, so that it does not leave the set by being closed
	 */
	for (struct push_list *item = direct->doors.next; item != &direct->doors; item = item->next)
		if (push_container_of(item, struct door, link)->source.fd >= 0)
			close(push_source_release(&direct->sets[PUSH_DIRECT_ARRIVALS],
				&push_container_of(item, struct door, link)->source));
}

void
direct_doors_empty(struct push_direct *direct)
{
	for (struct push_list *item = direct->doors.next; item != &direct->doors; item = item->next)
		if (push_container_of(item, struct door, link)->source.fd >= 0)
			accept_batch(push_container_of(item, struct door, link), PUSH_ACCEPT_LAST_MAX);
}

void
direct_doors_tick(struct push_direct *direct, uint64_t now_us)
{
	if (!direct->accept_again_us || now_us < direct->accept_again_us)
		return;
	direct->accept_again_us = 0;
	for (struct push_list *item = direct->doors.next; item != &direct->doors; item = item->next)
		(void)push_source_want(&direct->sets[PUSH_DIRECT_ARRIVALS],
			&push_container_of(item, struct door, link)->source, EPOLLIN);
}
