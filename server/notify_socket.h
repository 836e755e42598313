/*
 * notify_socket.h - where workers say how they are: sd_notify(3)'s protocol, seen from the supervisor's side.
 *
 * The kernel attaches the sender's process id to each datagram; whom to believe is the caller's to decide.
 */
#ifndef PUSHD_NOTIFY_SOCKET_H
#define PUSHD_NOTIFY_SOCKET_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define NOTIFICATION_STATUS_BYTES_MAX 1024

struct notification {
	pid_t sender;
	bool ready;                      /* READY=1 */
	bool stopping;                   /* STOPPING=1 */
	bool hands_over;                 /* SOCKETS=shared: it leaves listening sockets to others */
	int fd;                          /* FDSTORE=1 came with it; the receiver's; -1: none */
	bool asks;                       /* for a socket (listen_shim.h): */
	struct sockaddr_storage address; /* of this address, */
	struct sockaddr_un from;         /* in an answer to this one */
	socklen_t from_size;
	char status[NOTIFICATION_STATUS_BYTES_MAX]; /* STATUS=..., or empty */
};

/* notify_socket_open - a socket at `path`; anyone may write to it.  Returns -1 with errno set. */
int
notify_socket_open(const char *path);

/* notify_socket_receive - the next one; false when there is none. */
bool
notify_socket_receive(int fd, struct notification *notification);

/* notify_socket_answer - to one who asks: a descriptor, which is borrowed, or -1 for none. */
void
notify_socket_answer(int fd, const struct notification *notification, int socket_fd);

#endif
