/* ports.c - see ports.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port_holders.h"
#include "ports.h"

static int
try_bind(const struct sockaddr *address, socklen_t size)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, failed;

	if (fd < 0)
		return errno;
	/* connections of an earlier server that linger are no hindrance, a listener is */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	/* as lws does: it listens on IPv4 and IPv6 apart */
	if (address->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	failed = bind(fd, address, size) || listen(fd, 1) ? errno : 0;
	close(fd);
	return failed;
}

static int
try_ipv4(struct in_addr host, int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr = host, .sin_port = htons((unsigned short)port)};

	return try_bind((struct sockaddr *)&address, sizeof(address));
}

/* Where there is no IPv6, lws has none either. */
static int
try_ipv6(struct in6_addr host, int port)
{
	struct sockaddr_in6 address = {
		.sin6_family = AF_INET6, .sin6_addr = host, .sin6_port = htons((unsigned short)port)};
	int failed = try_bind((struct sockaddr *)&address, sizeof(address));

	return failed == EAFNOSUPPORT || failed == EADDRNOTAVAIL ? 0 : failed;
}

/* All addresses of a network interface, by its name.  One that is not up yet is lws' to wait for. */
static int
try_interface(const char *name, int port)
{
	struct ifaddrs *all;
	int failed = 0;

	if (getifaddrs(&all))
		return 0;
	for (struct ifaddrs *one = all; one && !failed; one = one->ifa_next)
		if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET && !strcmp(one->ifa_name, name))
			failed = try_ipv4(((struct sockaddr_in *)(void *)one->ifa_addr)->sin_addr, port);
	freeifaddrs(all);
	return failed;
}

static int
try_port(const char *interface, int port)
{
	struct in_addr host = {.s_addr = INADDR_ANY};
	struct in6_addr host6 = IN6ADDR_ANY_INIT;
	int failed;

	if (interface && inet_pton(AF_INET6, interface, &host6) == 1)
		return try_ipv6(host6, port);
	if (interface && inet_pton(AF_INET, interface, &host) != 1)
		return try_interface(interface, port);
	failed = try_ipv4(host, port);
	return failed || interface ? failed : try_ipv6(host6, port);
}

/* " by nginx (pid 123)", or nothing where it cannot be told. */
static void
describe_holder(int port, char *to, size_t size)
{
	pid_t pids[PORT_HOLDERS_MAX];
	char path[64], name[32] = "?";
	FILE *file;

	to[0] = '\0';
	if (!port_holders_find(port, pids))
		return;
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pids[0]);
	file = fopen(path, "re");
	if (file && fgets(name, sizeof(name), file))
		name[strcspn(name, "\n")] = '\0';
	if (file)
		fclose(file);
	snprintf(to, size, " by %s (pid %d)", name, (int)pids[0]);
}

static const char *
advice(const char *vhost)
{
	if (!strcmp(vhost, "push"))
		return "set SERVER_PORT to another one";
	if (!strcmp(vhost, "management"))
		return "set MANAGEMENT_SERVER_PORT to another one";
	return "change the vhost's \"port\"";
}

struct port_check {
	const struct config *ours;
	struct push_error *error;
};

static enum push_status
is_not_ours(const struct config_file *file, struct json_object *vhost, void *context)
{
	const int *port = context;

	(void)file;
	return config_port(vhost) == *port ? PUSH_INVALID : PUSH_OK;
}

static enum push_status
check_vhost(const struct config_file *file, struct json_object *vhost, void *context)
{
	const struct port_check *check = context;
	const char *name = config_text(vhost, "name");
	int port = config_port(vhost), failed;
	char holder[80] = "";

	if (!port || (check->ours && config_for_each_vhost(check->ours, is_not_ours, &port) != PUSH_OK))
		return PUSH_OK;
	failed = try_port(config_text(vhost, "interface"), port);
	if (!failed)
		return PUSH_OK;
	if (failed == EADDRINUSE)
		describe_holder(port, holder, sizeof(holder));
	snprintf(check->error->text, sizeof(check->error->text), "port %d of vhost '%.64s' (%s): %s%s; %s",
		port, name, file->name, failed == EADDRINUSE ? "is taken" : strerror(failed), holder,
		advice(name));
	return PUSH_INVALID;
}

enum push_status
ports_check(const struct config *config, const struct config *ours, struct push_error *error)
{
	struct port_check check = {ours, error};

	return config_for_each_vhost(config, check_vhost, &check);
}
