/*
 * kept_sockets.h - the listening sockets of workers, kept by pushd for whoever comes after them.
 *
 * A listening socket that is closed takes along who waits in its queue, and who is just being connected:
 * each of them sees a reset.  So one is never closed while its port is served.  pushd keeps a descriptor of
 * every socket that a worker listens on, and a worker that takes another's place, in a reload or after a
 * crash, listens on that one's sockets instead of on new ones; who waits there is served by whom it finds.
 *
 *   worker 1 of generation a ──┐                        stock lwsws knows nothing of it: the library
 *                              ├── its socket ── pushd  listen_shim.c, preloaded, passes what it listens
 *   worker 1 of generation b ──┘                        on to pushd, and asks pushd before it opens one
 *
 * Which sockets a worker has is a matter of its number: with SO_REUSEPORT the kernel deals connections out
 * among the workers' sockets.
 */
#ifndef PUSHD_KEPT_SOCKETS_H
#define PUSHD_KEPT_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Addresses and ports that one worker listens on: lwsws' vhosts, with IPv4 and IPv6 apart. */
#define KEPT_SOCKETS_PER_WORKER_MAX 32

struct kept_socket {
	int fd;
	struct sockaddr_storage address;
	unsigned int generation; /* the last one that listened on it */
};

/* Of one worker's number; all zero: none. */
struct kept_sockets {
	struct kept_socket items[KEPT_SOCKETS_PER_WORKER_MAX];
	size_t count;
};

/*
 * kept_sockets_keep - a worker of that generation listens on this socket, which is taken over.
 *
 * It may be one that is kept already; one of the same address that it is not goes.  What does not listen is
 * closed.
 */
void
kept_sockets_keep(struct kept_sockets *kept, int fd, unsigned int generation);

/*
 * kept_sockets_find - the one for what bind() is given as this address; -1: none.
 *
 * Borrowed.
 */
int
kept_sockets_find(const struct kept_sockets *kept, const struct sockaddr_storage *address);

/* kept_sockets_preload - have the program that this process is about to become use the library. */
void
kept_sockets_preload(const char *shim);

/* kept_sockets_drop_older - close what that generation does not listen on any more. */
void
kept_sockets_drop_older(struct kept_sockets *kept, unsigned int generation);

/* kept_sockets_drop - close all: nobody is to come, or it cannot tell when. */
void
kept_sockets_drop(struct kept_sockets *kept);

/*
 * kept_sockets_find_shim - where the library is: beside pushd, or where it is installed.
 *
 * Returns false where it is not; workers then open sockets of their own, and a reload may cost connections.
 */
bool
kept_sockets_find_shim(char *path, size_t size);

#endif
