/* notify_socket.c - see notify_socket.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "listen_shim.h"
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
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)) && !chmod(path, 0600) &&
		!setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		return fd;
	failed = errno;
	close(fd);
	errno = failed;
	return -1;
}

bool
notify_socket_allow(const char *path, uid_t user)
{
	struct stat now;

	/* Mostly it is that user's already.  A sandbox may then forbid chown(2) to all, and does (push.service). */
	if (!stat(path, &now) && now.st_uid == user)
		return true;
	return !chown(path, user, (gid_t)-1);
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
		else if (!strcmp(line, "SOCKETS=shared"))
			notification->hands_over = true;
		else if (!strncmp(line, "STATUS=", 7))
			snprintf(notification->status, sizeof(notification->status), "%s", line + 7);
	}
}

/* Whatever comes is open in this process from now on: the one that is expected is kept, all others go.  There
 * is room for more than one, as control messages are padded. */
static void
take_descriptors(const struct cmsghdr *header, struct notification *notification)
{
	size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < count; i++) {
		int fd;

		memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
		if (count == 1 && notification->fd < 0)
			notification->fd = fd;
		else
			close(fd);
	}
}

/* Who sent it, and its descriptor. */
static void
read_control(struct msghdr *message, struct notification *notification)
{
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		struct ucred sender;

		if (header->cmsg_level != SOL_SOCKET)
			continue;
		if (header->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&sender, CMSG_DATA(header), sizeof(sender));
			notification->sender = sender.pid;
		} else if (header->cmsg_type == SCM_RIGHTS) {
			take_descriptors(header, notification);
		}
	}
	/* cut by the kernel, which has closed what it cut off: no worker sends that */
	if (!(message->msg_flags & (MSG_CTRUNC | MSG_TRUNC)))
		return;
	if (notification->fd >= 0)
		close(notification->fd);
	*notification = (struct notification){.fd = -1};
}

static bool
read_question(struct notification *notification, const char *bytes, size_t size)
{
	struct listen_shim_question question;

	if (size != sizeof(question) || memcmp(bytes, LISTEN_SHIM_ASK, sizeof(LISTEN_SHIM_ASK)) != 0)
		return false;
	memcpy(&question, bytes, sizeof(question));
	notification->asks = true;
	notification->address = question.address;
	return true;
}

bool
notify_socket_receive(int fd, struct notification *notification)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char text[DATAGRAM_BYTES_MAX + 1];
	struct iovec piece = {text, DATAGRAM_BYTES_MAX};
	struct sockaddr_un from = {.sun_family = AF_UNIX};
	struct msghdr message = {.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (size < 0)
		return false;
	text[size] = '\0';
	*notification = (struct notification){.fd = -1};
	read_control(&message, notification);
	notification->from = from;
	notification->from_size = message.msg_namelen;
	if (!read_question(notification, text, (size_t)size))
		parse(notification, text);
	return true;
}

void
notify_socket_answer(int fd, const struct notification *notification, int socket_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct sockaddr_un to = notification->from;
	char byte = '\n';
	struct iovec piece = {&byte, sizeof(byte)};
	struct msghdr message = {
		.msg_name = &to, .msg_namelen = notification->from_size, .msg_iov = &piece, .msg_iovlen = 1};

	if (socket_fd >= 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		*CMSG_FIRSTHDR(&message) = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&message)), &socket_fd, sizeof(socket_fd));
	}
	(void)sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}
