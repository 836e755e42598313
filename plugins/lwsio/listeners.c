/* listeners.c - see listeners.h. */
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#include "lwsio/listeners.h"

/* Addresses of one port. */
#define PUSH_LISTENERS_MAX 8

static bool
listens_on(int fd, int port)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address), int_size = sizeof(int);
	int listening = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &int_size) || !listening ||
		getsockname(fd, (struct sockaddr *)&address, &size))
		return false;
	if (address.ss_family == AF_INET)
		return !port || ntohs(((struct sockaddr_in *)&address)->sin_port) == port;
	return address.ss_family == AF_INET6 &&
	       (!port || ntohs(((struct sockaddr_in6 *)&address)->sin6_port) == port);
}

/*
 * A socket that nobody connects to takes the place of the number.  lws may have been given an event for it in
 * this turn of the loop, and accepts: there is nobody, where any other kind of file would be an error.
 */
static bool
replace(int fd)
{
	const struct sockaddr_un any = {.sun_family = AF_UNIX}; /* alone: the kernel finds a name (unix(7)) */
	int stand_in = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool replaced = stand_in >= 0 &&
			!bind(stand_in, (const struct sockaddr *)&any, sizeof(any.sun_family)) &&
			!listen(stand_in, 0) && dup3(stand_in, fd, O_CLOEXEC) == fd;

	if (stand_in >= 0)
		close(stand_in);
	return replaced;
}

/* What is done with each listening socket of a port; true where it was. */
typedef bool (*listener_fn)(int fd, int port, void *context);

static int
for_each(int port, listener_fn act, void *context)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	int count = 0;

	while (directory && (entry = readdir(directory))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(directory) && listens_on(fd, port))
			count += act(fd, port, context);
	}
	if (directory)
		closedir(directory);
	return count;
}

static int
epoll_of(struct lws_context *context)
{
	uv_loop_t *loop = lws_uv_getloop(context, 0);

	return loop ? uv_backend_fd(loop) : -1;
}

/* Others may have the socket, so that it does not leave the epoll set by being closed here. */
static bool
close_one(int fd, int port, void *context)
{
	const int *epoll_fd = context;

	(void)port;
	(void)epoll_ctl(*epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	return replace(fd);
}

int
push_listeners_close(struct lws_context *context, int port)
{
	int epoll_fd = epoll_of(context);

	return for_each(port, close_one, &epoll_fd);
}

/* Sockets that were taken are listed in /proc, too, while the folder is being read: so first all are found.
 */
struct taking {
	int epoll_fd;
	int fds[PUSH_LISTENERS_MAX];
	int count;
};

static bool
take_one(int fd, int port, void *context)
{
	struct taking *taking = context;
	int copy;

	(void)port;
	if (taking->count == PUSH_LISTENERS_MAX)
		return false;
	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0 || epoll_ctl(taking->epoll_fd, EPOLL_CTL_DEL, fd, NULL) || !replace(fd)) {
		if (copy >= 0)
			close(copy);
		return false;
	}
	taking->fds[taking->count++] = copy;
	return true;
}

static bool
collect(int fd, int port, void *context)
{
	struct taking *taking = context;

	(void)port;
	if (taking->count == PUSH_LISTENERS_MAX)
		return false;
	taking->fds[taking->count++] = fd;
	return true;
}

int
push_listeners_take(
	struct lws_context *context, int port, void (*taken)(void *owner, int fd, int port), void *owner)
{
	struct taking found = {0}, taking = {.epoll_fd = epoll_of(context)};

	if (taking.epoll_fd < 0)
		return 0;
	for_each(port, collect, &found);
	for (int i = 0; i < found.count; i++)
		(void)take_one(found.fds[i], port, &taking);
	for (int i = 0; i < taking.count; i++)
		taken(owner, taking.fds[i], port);
	return taking.count;
}
