/* notify_socket.c - see notify_socket.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "notify_socket.h"

#define DATAGRAM_BYTES_MAX 4096

int
notify_socket_open(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, on = 1, failed;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	/* writable for all: a worker may have given up root */
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)) && !chmod(path, 0666) &&
		!setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		return fd;
	failed = errno;
	close(fd);
	errno = failed;
	return -1;
}

static void
parse(struct notification *notification, char *text)
{
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!strcmp(line, "READY=1"))
			notification->ready = true;
		else if (!strcmp(line, "STOPPING=1"))
			notification->stopping = true;
		else if (!strncmp(line, "STATUS=", 7))
			snprintf(notification->status, sizeof(notification->status), "%s", line + 7);
	}
}

bool
notify_socket_receive(int fd, struct notification *notification)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} control;
	char text[DATAGRAM_BYTES_MAX + 1];
	struct iovec piece = {text, DATAGRAM_BYTES_MAX};
	struct msghdr message = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *header;
	struct ucred sender = {0};

	if (size < 0)
		return false;
	text[size] = '\0';
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS)
		memcpy(&sender, CMSG_DATA(header), sizeof(sender));
	*notification = (struct notification){.sender = sender.pid};
	parse(notification, text);
	return true;
}
