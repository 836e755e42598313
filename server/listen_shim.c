/*
 * listen_shim.c - a library that pushd preloads into lwsws, so that its listening sockets outlive it.
 *
 * lwsws can only open sockets of its own.  Where it binds one to an address for which pushd has one kept, it
 * gets that one under the same number; what it then listens on, pushd gets a descriptor of.  Everything else
 * it binds goes its ordinary way.  See kept_sockets.h for why.
 *
 * Where the library cannot be preloaded, lwsws with file capabilities for one, nothing is kept and lwsws
 * opens its own sockets as ever.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "listen_shim.h"

#define EXPORT __attribute__((visibility("default")))

/* A pushd that does not answer for so long has other worries. */
#define ANSWER_S 2

typedef int
bind_fn(int fd, const struct sockaddr *address, socklen_t size);

/* By their names in the library: glibc declares bind() with a type of its own. */
EXPORT int
shim_bind(int fd, const struct sockaddr *address, socklen_t size) __asm__("bind");
EXPORT int
shim_listen(int fd, int backlog) __asm__("listen");

static void
next_function(const char *name, void *to)
{
	void *found = dlsym(RTLD_NEXT, name);

	memcpy(to, &found, sizeof(found)); /* ISO C has no cast for it */
}

static bool
is_tcp(int fd)
{
	int domain = 0, type = 0;
	socklen_t size = sizeof(int);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) &&
	       !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) && type == SOCK_STREAM &&
	       (domain == AF_INET || domain == AF_INET6);
}

static bool
find_pushd(struct sockaddr_un *ret)
{
	const char *path = getenv("NOTIFY_SOCKET");

	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (!path || path[0] != '/' || strlen(path) >= sizeof(ret->sun_path))
		return false;
	strcpy(ret->sun_path, path);
	return true;
}

/* Waits for pushd's answer, which comes at once.  Returns -1 where it has none. */
static int
receive_socket(int from)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec piece = {&byte, sizeof(byte)};
	struct msghdr message = {.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header;
	int fd = -1;

	if (recvmsg(from, &message, MSG_CMSG_CLOEXEC) < 0)
		return -1;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
		header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* The socket that pushd has kept for this address; -1: none. */
static int
ask_pushd(const struct sockaddr *address, socklen_t size, bind_fn *next)
{
	struct listen_shim_question question = {.ask = LISTEN_SHIM_ASK};
	const struct timeval patience = {.tv_sec = ANSWER_S};
	struct sockaddr_un pushd, ours = {.sun_family = AF_UNIX};
	int fd = -1, asking = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (asking < 0 || size > sizeof(question.address) || !find_pushd(&pushd))
		goto done;
	memcpy(&question.address, address, size);
	/* Connected before it has a name, so that nobody but pushd can send to it; no name but one that the
	 * kernel finds, unix(7). */
	if (!connect(asking, (struct sockaddr *)&pushd, sizeof(pushd)) &&
		!next(asking, (struct sockaddr *)&ours, sizeof(ours.sun_family)) &&
		!setsockopt(asking, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) &&
		send(asking, &question, sizeof(question), MSG_NOSIGNAL) > 0)
		fd = receive_socket(asking);
done:
	if (asking >= 0)
		close(asking);
	return fd;
}

EXPORT int
shim_bind(int fd, const struct sockaddr *address, socklen_t size)
{
	bind_fn *next;
	int kept, result;

	next_function("bind", &next);
	if (!is_tcp(fd))
		return next(fd, address, size);
	kept = ask_pushd(address, size, next);
	if (kept < 0)
		return next(fd, address, size);
	result = dup3(kept, fd, O_CLOEXEC);
	close(kept);
	return result < 0 ? -1 : 0;
}

/* Whether it arrives is no matter of lwsws': without it a reload is less smooth, and that is all. */
static void
give_to_pushd(int fd)
{
	struct sockaddr_un pushd;
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec piece = {(void *)(uintptr_t)LISTEN_SHIM_KEEP, sizeof(LISTEN_SHIM_KEEP) - 1};
	struct msghdr message = {.msg_name = &pushd,
		.msg_namelen = sizeof(pushd),
		.msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int from;

	if (!find_pushd(&pushd))
		return;
	*header = (struct cmsghdr){
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (from < 0)
		return;
	(void)sendmsg(from, &message, MSG_NOSIGNAL);
	close(from);
}

EXPORT int
shim_listen(int fd, int backlog)
{
	int (*next)(int, int), result, failed;

	next_function("listen", &next);
	result = next(fd, backlog);
	failed = errno;
	if (!result && is_tcp(fd))
		give_to_pushd(fd);
	errno = failed;
	return result;
}
