/* listeners.c - see listeners.h. */
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lwsio/listeners.h"

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
		return ntohs(((struct sockaddr_in *)&address)->sin_port) == port;
	return address.ss_family == AF_INET6 && ntohs(((struct sockaddr_in6 *)&address)->sin6_port) == port;
}

static bool
replace(int fd)
{
	int stand_in = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	bool replaced = stand_in >= 0 && dup3(stand_in, fd, O_CLOEXEC) == fd;

	if (stand_in >= 0)
		close(stand_in);
	return replaced;
}

int
push_listeners_close(int port)
{
	DIR *directory = opendir("/proc/self/fd");
	struct dirent *entry;
	int count = 0;

	while (directory && (entry = readdir(directory))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fd != dirfd(directory) && listens_on(fd, port))
			count += replace(fd);
	}
	if (directory)
		closedir(directory);
	return count;
}
