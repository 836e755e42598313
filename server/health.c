/*
 * health.c - see health.h.
 *
 * One connection to the loopback address, or to the one that the vhost listens on, with one deadline for
 * all.  Nothing is checked but what leads to the port: a configuration that was changed and is wrong now does
 * not make the server sick that runs on the one before.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "health.h"

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	socklen_t size;
	int port;
	char text[INET6_ADDRSTRLEN + 10]; /* for errors: 127.0.0.1:8000 */
};

static void
set_v4(struct address *address, struct in_addr host)
{
	char text[INET_ADDRSTRLEN];

	address->to.v4 = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr = host, .sin_port = htons((unsigned short)address->port)};
	address->size = sizeof(address->to.v4);
	inet_ntop(AF_INET, &host, text, sizeof(text));
	snprintf(address->text, sizeof(address->text), "%s:%d", text, address->port);
}

static void
set_v6(struct address *address, struct in6_addr host)
{
	char text[INET6_ADDRSTRLEN];

	address->to.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
		.sin6_addr = host,
		.sin6_port = htons((unsigned short)address->port)};
	address->size = sizeof(address->to.v6);
	inet_ntop(AF_INET6, &host, text, sizeof(text));
	snprintf(address->text, sizeof(address->text), "[%s]:%d", text, address->port);
}

/* The first IPv4 address of a network interface; loopback where there is none. */
static struct in_addr
address_of(const char *interface)
{
	struct in_addr found = {.s_addr = htonl(INADDR_LOOPBACK)};
	struct ifaddrs *all;

	if (getifaddrs(&all))
		return found;
	for (const struct ifaddrs *one = all; one; one = one->ifa_next)
		if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET &&
			!strcmp(one->ifa_name, interface)) {
			found = ((struct sockaddr_in *)(void *)one->ifa_addr)->sin_addr;
			break;
		}
	freeifaddrs(all);
	return found;
}

static enum push_status
find_address(const struct config *config, struct address *ret, struct push_error *error)
{
	struct json_object *vhost = config_find_vhost(config, "management");
	const char *interface = vhost ? config_text(vhost, "interface") : NULL, *wrong = NULL;
	struct in6_addr host6;
	struct in_addr host = {.s_addr = htonl(INADDR_LOOPBACK)};

	ret->port = vhost ? config_port(vhost) : 0;
	if (!vhost)
		wrong = "the configuration has no vhost 'management'";
	else if (!ret->port)
		wrong = "the vhost 'management' has no TCP port";
	else if (config_text(vhost, "host-ssl-cert"))
		wrong = "the vhost 'management' has a certificate, but --health supports plain HTTP only";
	if (wrong) {
		snprintf(error->text, sizeof(error->text), "%s", wrong);
		return PUSH_INVALID;
	}
	if (interface && inet_pton(AF_INET6, interface, &host6) == 1) {
		set_v6(ret, host6);
		return PUSH_OK;
	}
	if (interface && inet_pton(AF_INET, interface, &host) != 1)
		host = address_of(interface);
	set_v4(ret, host);
	return PUSH_OK;
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Until the socket is ready for `events`; false, with errno, when the time is over. */
static bool
await(int fd, short events, int64_t deadline_ms)
{
	struct pollfd one = {.fd = fd, .events = events};

	for (;;) {
		int64_t left_ms = deadline_ms - now_ms();
		int count = poll(&one, 1, left_ms > 0 ? (int)left_ms : 0);

		if (count > 0)
			return true;
		if (!count)
			errno = ETIMEDOUT;
		if (!count || errno != EINTR)
			return false;
	}
}

static bool
connect_to(int fd, const struct address *address, int64_t deadline_ms)
{
	socklen_t size = sizeof(int);
	int failed = 0;

	if (!connect(fd, &address->to.any, address->size))
		return true;
	if (errno != EINPROGRESS || !await(fd, POLLOUT, deadline_ms))
		return false;
	if (!getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size))
		errno = failed;
	return !failed;
}

/* Reads until the server closes, or the answer is as long as it may be.  Returns its size, or -1 with errno.
 */
static ssize_t
exchange(int fd, const char *request, char *answer, int64_t deadline_ms)
{
	size_t size = strlen(request), received = 0;

	/* an empty socket takes it whole */
	if (send(fd, request, size, MSG_NOSIGNAL) != (ssize_t)size)
		return -1;
	while (received < HEALTH_ANSWER_BYTES_MAX) {
		ssize_t got;

		if (!await(fd, POLLIN, deadline_ms))
			return -1;
		got = recv(fd, answer + received, HEALTH_ANSWER_BYTES_MAX - received, 0);
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			return -1;
		if (!got)
			break;
		received += got > 0 ? (size_t)got : 0;
	}
	return (ssize_t)received;
}

static enum push_status
ask(const struct address *address, const char *path, char *answer, size_t *ret_size, struct push_error *error)
{
	int64_t deadline_ms = now_ms() + HEALTH_TIMEOUT_MS;
	int fd = socket(address->to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	char request[128];
	ssize_t size = -1;

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path,
		address->text);
	if (fd >= 0 && connect_to(fd, address, deadline_ms))
		size = exchange(fd, request, answer, deadline_ms);
	if (size < 0 && errno == ETIMEDOUT)
		snprintf(error->text, sizeof(error->text), "no answer within %d ms", HEALTH_TIMEOUT_MS);
	else if (size < 0)
		snprintf(error->text, sizeof(error->text), "%s", strerror(errno));
	if (fd >= 0)
		close(fd);
	*ret_size = size < 0 ? 0 : (size_t)size;
	return size < 0 ? PUSH_INVALID : PUSH_OK;
}

static enum push_status
find_and_ask(const struct settings *settings, char *answer, struct push_error *error)
{
	struct config *config = config_read(settings, error);
	struct address address = {.port = 0};
	const char *path = health_path(settings->health), *body;
	enum push_status status;
	struct push_error why;
	size_t size = 0;

	if (!config)
		return PUSH_INVALID;
	status = find_address(config, &address, error);
	config_close(config);
	if (status != PUSH_OK)
		return status;
	status = ask(&address, path, answer, &size, &why);
	answer[size] = '\0';
	if (status == PUSH_OK) {
		status = health_read_answer(answer, size, &body, &why);
		if (*body)
			printf("%s\n", body);
	}
	if (status != PUSH_OK)
		snprintf(error->text, sizeof(error->text), "http://%s%s: %.200s", address.text, path,
			why.text);
	return status;
}

enum push_status
health_ask(const struct settings *settings, struct push_error *error)
{
	char answer[HEALTH_ANSWER_BYTES_MAX + 1];

	return find_and_ask(settings, answer, error);
}
