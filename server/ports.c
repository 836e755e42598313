/* ports.c - see ports.h. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* The inode of the socket that listens on a port, by /proc/net/tcp and tcp6 (proc(5)); 0: not found. */
static unsigned long
listener_inode(const char *table, int port)
{
	unsigned long inode = 0, found = 0;
	unsigned int local_port, state;
	FILE *file = fopen(table, "re");
	char line[512];

	if (!file)
		return 0;
	while (!found && fgets(line, sizeof(line), file))
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu",
			    &local_port, &state, &inode) == 3 &&
			state == 0x0A && (int)local_port == port)
			found = inode;
	fclose(file);
	return found;
}

static bool
has_socket(const char *pid, unsigned long inode)
{
	char path[300], link[64], wanted[64];
	struct dirent *entry;
	bool found = false;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	directory = opendir(path);
	while (directory && !found && (entry = readdir(directory))) {
		ssize_t size;

		snprintf(path, sizeof(path), "/proc/%.20s/fd/%.20s", pid, entry->d_name);
		size = readlink(path, link, sizeof(link) - 1);
		link[size > 0 ? size : 0] = '\0';
		found = !strcmp(link, wanted);
	}
	if (directory)
		closedir(directory);
	return found;
}

/* " (pid 123, nginx)", or nothing where it cannot be told. */
static void
describe_holder(int port, char *to, size_t size)
{
	/* "self": that is there where the rest of /proc is hidden */
	unsigned long inode = listener_inode("/proc/self/net/tcp", port);
	DIR *processes = opendir("/proc");
	struct dirent *entry;

	to[0] = '\0';
	if (!inode)
		inode = listener_inode("/proc/self/net/tcp6", port);
	while (inode && processes && (entry = readdir(processes))) {
		char path[64], name[32] = "?";
		FILE *file;

		if (atoi(entry->d_name) < 1 || !has_socket(entry->d_name, inode))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/comm", entry->d_name);
		file = fopen(path, "re");
		if (file && fgets(name, sizeof(name), file))
			name[strcspn(name, "\n")] = '\0';
		if (file)
			fclose(file);
		snprintf(to, size, " by %s (pid %.20s)", name, entry->d_name);
		break;
	}
	if (processes)
		closedir(processes);
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
