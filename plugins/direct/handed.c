/*
 * handed.c - connections that lws serves, for as long as they count for somebody.
 *
 * lws does not tell when a connection of its own is closed.  So its cookie is kept, which no other socket has, and
 * each is looked at in its turn: once the descriptor is closed, or another socket's, the connection is over.
 */
#include <stdlib.h>
#include <sys/socket.h>

#include "direct/direct_private.h"

struct direct_handed {
	int fd;
	uint32_t serial; /* of the connection (core/limiter.h) */
	uint64_t cookie;
};

uint64_t
direct_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) ? 0 : cookie;
}

/* Without memory it counts until its number is given out again. */
static void
remember(struct push_direct *direct, int fd, uint32_t serial)
{
	size_t room = direct->handed_room ? 2 * direct->handed_room : 64;
	struct direct_handed *handed = direct->handed;

	if (direct->handed_count == direct->handed_room) {
		handed = realloc(handed, room * sizeof(*handed));
		if (!handed)
			return;
		direct->handed = handed;
		direct->handed_room = room;
	}
	handed[direct->handed_count++] = (struct direct_handed){fd, serial, direct_cookie(fd)};
}

void
direct_hand_over(struct push_direct *direct, int fd, int port)
{
	uint32_t serial = direct->limiter ? push_limiter_serial(direct->limiter, fd) : 0;

	if (serial)
		remember(direct, fd, serial);
	direct->host.hand_over(direct->host.context, fd, port);
}

void
direct_handed_tick(struct push_direct *direct)
{
	for (int looks = 0; looks < PUSH_HANDED_LOOKS && direct->handed_count; looks++) {
		struct direct_handed *handed;

		if (direct->handed_next >= direct->handed_count)
			direct->handed_next = 0;
		handed = &direct->handed[direct->handed_next];
		if (direct_cookie(handed->fd) == handed->cookie) {
			direct->handed_next++;
			continue;
		}
		/* its number may be another connection's already */
		if (push_limiter_serial(direct->limiter, handed->fd) == handed->serial)
			push_limiter_close(direct->limiter, handed->fd);
		*handed = direct->handed[--direct->handed_count];
	}
}
