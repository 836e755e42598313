/* port_holders.c - see port_holders.h. */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "port_holders.h"

/* Listening sockets of one port: of each worker one for IPv4 and one for IPv6. */
#define INODES_MAX (2 * PORT_HOLDERS_MAX)

struct inodes {
	unsigned long values[INODES_MAX];
	size_t count;
};

/* The inodes of the sockets that listen on a port, by /proc/net/tcp and tcp6. */
static void
add_listeners(const char *table, int port, struct inodes *inodes)
{
	unsigned int local_port, state;
	FILE *file = fopen(table, "re");
	unsigned long inode;
	char line[512];

	if (!file)
		return;
	while (inodes->count < INODES_MAX && fgets(line, sizeof(line), file))
		if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*s %*s %lu",
			    &local_port, &state, &inode) == 3 &&
			state == 0x0A && (int)local_port == port)
			inodes->values[inodes->count++] = inode;
	fclose(file);
}

static bool
is_one_of(const struct inodes *inodes, const char *link)
{
	unsigned long inode;

	if (sscanf(link, "socket:[%lu]", &inode) != 1)
		return false;
	for (size_t i = 0; i < inodes->count; i++)
		if (inodes->values[i] == inode)
			return true;
	return false;
}

static bool
has_socket(const char *pid, const struct inodes *inodes)
{
	char path[300], link[64];
	struct dirent *entry;
	bool found = false;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	directory = opendir(path);
	while (directory && !found && (entry = readdir(directory))) {
		ssize_t size;

		snprintf(path, sizeof(path), "/proc/%.20s/fd/%.20s", pid, entry->d_name);
		size = readlink(path, link, sizeof(link) - 1);
		link[size > 0 ? size : 0] = '\0';
		found = is_one_of(inodes, link);
	}
	if (directory)
		closedir(directory);
	return found;
}

size_t
port_holders_find(int port, pid_t pids[PORT_HOLDERS_MAX])
{
	struct inodes inodes = {.count = 0};
	struct dirent *entry;
	size_t count = 0;
	DIR *processes;

	/* "self": that is there where the rest of /proc is hidden */
	add_listeners("/proc/self/net/tcp", port, &inodes);
	add_listeners("/proc/self/net/tcp6", port, &inodes);
	processes = inodes.count ? opendir("/proc") : NULL;
	while (processes && count < PORT_HOLDERS_MAX && (entry = readdir(processes)))
		if (atoi(entry->d_name) > 0 && has_socket(entry->d_name, &inodes))
			pids[count++] = atoi(entry->d_name);
	if (processes)
		closedir(processes);
	return count;
}
