/* ports.c - see ports.h. */
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ports.h"

static int
try_bind(int port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, failed;

	if (fd < 0)
		return errno;
	/* connections of an earlier server that linger are no hindrance, a listener is */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	failed = bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1) ? errno : 0;
	close(fd);
	return failed;
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
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu", &local_port,
			    &state, &inode) == 3 &&
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
	unsigned long inode = listener_inode("/proc/net/tcp", port);
	DIR *processes = opendir("/proc");
	struct dirent *entry;

	to[0] = '\0';
	if (!inode)
		inode = listener_inode("/proc/net/tcp6", port);
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
variable_of(const char *vhost)
{
	if (!strcmp(vhost, "push"))
		return "set SERVER_PORT to another one";
	if (!strcmp(vhost, "management"))
		return "set MANAGEMENT_SERVER_PORT to another one";
	return "change the vhost's \"port\"";
}

static enum push_status
check_vhost(struct config_file *file, struct json_object *vhost, void *context)
{
	struct push_error *error = context;
	int port = config_port(vhost), failed = port ? try_bind(port) : 0;
	char holder[80] = "";

	if (!failed)
		return PUSH_OK;
	if (failed == EADDRINUSE)
		describe_holder(port, holder, sizeof(holder));
	snprintf(error->text, sizeof(error->text), "port %d of vhost '%s' (%s): %s%s; %s", port,
		config_text(vhost, "name"), file->name, failed == EADDRINUSE ? "is taken" : strerror(failed), holder,
		variable_of(config_text(vhost, "name")));
	return PUSH_INVALID;
}

enum push_status
ports_check(struct config *config, struct push_error *error)
{
	return config_for_each_vhost(config, check_vhost, error);
}
