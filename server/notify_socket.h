/*
 * notify_socket.h - where workers say how they are: sd_notify(3)'s protocol, seen from the supervisor's side.
 *
 * Only one user may write to it, and root: pushd's own, or the one that its workers become.  The kernel
 * attaches the sender's process id to each datagram, so that the caller can tell workers from others.
 */
#ifndef PUSHD_NOTIFY_SOCKET_H
#define PUSHD_NOTIFY_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define NOTIFICATION_STATUS_BYTES_MAX 1024

struct notification {
	pid_t sender;                    /* 0: not told, or cut */
	bool ready;                      /* READY=1 */
	bool stopping;                   /* STOPPING=1 */
	bool hands_over;                 /* SOCKETS=shared: it leaves listening sockets to others */
	int fd;                          /* the one that came with it; the receiver's; -1: none, or several */
	bool asks;                       /* for a socket (listen_shim.h): */
	struct sockaddr_storage address; /* of this address, */
	struct sockaddr_un from;         /* in an answer to this one */
	socklen_t from_size;
	char status[NOTIFICATION_STATUS_BYTES_MAX]; /* STATUS=..., or empty */
};

/* notify_socket_open - a socket at `path`, for this process' user.  Returns -1 with errno set. */
int
notify_socket_open(const char *path);

/* notify_socket_allow - `user`, and root, may write to the socket at `path`, and nobody else.  Returns false
 * with errno set. */
bool
notify_socket_allow(const char *path, uid_t user);

/* notify_socket_receive - the next one; false when there is none. */
bool
notify_socket_receive(int fd, struct notification *notification);

/* notify_socket_answer - to one who asks: a descriptor, which is borrowed, or -1 for none. */
void
notify_socket_answer(int fd, const struct notification *notification, int socket_fd);

#endif
