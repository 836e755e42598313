/* run_dir.c - see run_dir.h. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "run_dir.h"

#define NAME_PREFIX "pushd-"
#define DEPTH_MAX   3 /* run folder, generation, conf.d */

static void
remove_tree(const char *path, int depth)
{
	DIR *directory = depth > 0 ? opendir(path) : NULL;
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		char inside[PATH_MAX];

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(inside, sizeof(inside), "%s/%s", path, entry->d_name);
		if (unlink(inside))
			remove_tree(inside, depth - 1);
	}
	if (directory)
		closedir(directory);
	rmdir(path);
}

/* Its socket is there, and connect(2) is refused: nobody has it open any more. */
static bool
is_abandoned(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat about;
	bool refused;
	int fd;

	if (lstat(path, &about) || !S_ISDIR(about.st_mode) || about.st_uid != geteuid() ||
		snprintf(address.sun_path, sizeof(address.sun_path), "%s/" RUN_DIR_SOCKET, path) >=
			(int)sizeof(address.sun_path))
		return false;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (struct sockaddr *)&address, sizeof(address)) && errno == ECONNREFUSED;
	close(fd);
	return refused;
}

static void
remove_abandoned(const char *base, size_t length)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "%.*s", (int)length, base);
	directory = opendir(path);
	while (directory && (entry = readdir(directory))) {
		if (strncmp(entry->d_name, NAME_PREFIX, strlen(NAME_PREFIX)))
			continue;
		snprintf(path, sizeof(path), "%.*s/%s", (int)length, base, entry->d_name);
		if (is_abandoned(path))
			remove_tree(path, DEPTH_MAX);
	}
	if (directory)
		closedir(directory);
}

static bool
create_below(char path[RUN_DIR_PATH_BYTES_MAX], const char *base, size_t length)
{
	if (snprintf(path, RUN_DIR_PATH_BYTES_MAX, "%.*s/" NAME_PREFIX "XXXXXX", (int)length, base) >=
		RUN_DIR_PATH_BYTES_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	remove_abandoned(base, length);
	/* a worker that gave up root still has to reach the socket in it, which has a mode of its own */
	return mkdtemp(path) && !chmod(path, 0711);
}

static void
add_attempt(struct push_error *error, const char *base, size_t length)
{
	size_t used = strlen(error->text);
	int failed = errno;

	snprintf(error->text + used, sizeof(error->text) - used, "%s%.*s (%s)",
		error->text[used - 1] == ':' ? " " : ", ",
		(int)(length < PUSH_ERROR_QUOTE_BYTES_MAX ? length : PUSH_ERROR_QUOTE_BYTES_MAX), base,
		strerror(failed));
}

enum push_status
run_dir_create(char path[RUN_DIR_PATH_BYTES_MAX], const char *asked, struct push_error *error)
{
	const char *bases[] = {getenv("RUNTIME_DIRECTORY"), "/run", getenv("TMPDIR"), "/tmp", "/dev/shm"};

	if (asked) {
		if (create_below(path, asked, strlen(asked)))
			return PUSH_OK;
		snprintf(error->text, sizeof(error->text), "--run-dir %.200s: %s", asked, strerror(errno));
		return PUSH_INVALID;
	}
	snprintf(error->text, sizeof(error->text), "no folder for the running configuration, tried:");
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		/* systemd separates several with colons */
		size_t length = bases[i] ? strcspn(bases[i], ":") : 0;

		if (length && create_below(path, bases[i], length))
			return PUSH_OK;
		if (length)
			add_attempt(error, bases[i], length);
	}
	snprintf(error->text + strlen(error->text), sizeof(error->text) - strlen(error->text),
		"; give one with --run-dir");
	return PUSH_INVALID;
}

bool
run_dir_is_socket(const char *path)
{
	const char *socket = strrchr(path, '/'), *folder = socket;

	while (folder && folder > path && folder[-1] != '/')
		folder--;
	return folder && *path == '/' && !strcmp(socket + 1, RUN_DIR_SOCKET) &&
	       !strncmp(folder, NAME_PREFIX, strlen(NAME_PREFIX));
}

void
run_dir_remove(const char *path)
{
	remove_tree(path, DEPTH_MAX);
}
