/* net.c - see net.h. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net.h"

/* Connections of one process are spread over this many source addresses of 28,000 ports each. */
#define SOURCES 4

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

const char *
net_place(const char *text)
{
	static const char *const schemes[] = {"http://", "https://", "ws://", "wss://"};

	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (!strncmp(text, schemes[i], strlen(schemes[i])))
			return text + strlen(schemes[i]);
	return text;
}

bool
net_host(const char *text, char to[NET_HOST_BYTES_MAX])
{
	const char *from = net_place(text), *colon = strrchr(from, ':');
	size_t size = colon ? (size_t)(colon - from) : 0;

	if (!size || !colon[1])
		return false;
	if (size > 2 && *from == '[' && from[size - 1] == ']')
		from++, size -= 2;
	if (size >= NET_HOST_BYTES_MAX)
		return false;
	memcpy(to, from, size);
	to[size] = 0;
	return true;
}

const char *
net_resolve(const char *text, struct target *ret_target)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
	char host[NET_HOST_BYTES_MAX];
	int error;

	if (!net_host(text, host))
		return "it has to be HOST:PORT";
	*ret_target = (struct target){.is_secure = !strncmp(text, "https:", 6) || !strncmp(text, "wss:", 4)};
	error = getaddrinfo(host, strrchr(text, ':') + 1, &hints, &found);
	if (error)
		return gai_strerror(error);
	memcpy(&ret_target->address, found->ai_addr, found->ai_addrlen);
	ret_target->size = found->ai_addrlen;
	freeaddrinfo(found);
	return NULL;
}

static void
choose_source(int fd, const struct target *target, uint32_t index)
{
	const struct sockaddr_in *to = (const struct sockaddr_in *)&target->address;
	struct sockaddr_in from = {.sin_family = AF_INET};
	uint32_t block = (uint32_t)getpid() & 0x3fff;
	int yes = 1;

	if (to->sin_family != AF_INET || ntohl(to->sin_addr.s_addr) >> 24 != 127)
		return;
	from.sin_addr.s_addr = htonl(127u << 24 | 64u << 16 | block << 8 | (1 + index % SOURCES));
	/* Only a convenience: where it is refused, the system chooses. */
	if (!setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes)))
		(void)bind(fd, (const struct sockaddr *)&from, sizeof(from));
}

int
net_connect(const struct target *target, uint32_t index, int receive_buffer)
{
	int fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), yes = 1;

	if (fd < 0)
		return -1;
	choose_source(fd, target, index);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
	if (receive_buffer)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
	if (connect(fd, (const struct sockaddr *)&target->address, target->size) && errno != EINPROGRESS) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

int
net_error(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) ? errno : error;
}

uint64_t
net_open_files_max(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return getrlimit(RLIMIT_NOFILE, &limit) ? 1024 : limit.rlim_cur;
}
