/* run_dir.c - see run_dir.h. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run_dir.h"

#define DEPTH_MAX 3 /* run folder, generation, conf.d */

static bool
create_below(char path[RUN_DIR_PATH_BYTES_MAX], const char *base, size_t length)
{
	if (snprintf(path, RUN_DIR_PATH_BYTES_MAX, "%.*s/pushd-XXXXXX", (int)length, base) >=
		RUN_DIR_PATH_BYTES_MAX) {
		errno = ENAMETOOLONG;
		return false;
	}
	/* a worker that gave up root still has to reach the socket in it */
	return mkdtemp(path) && !chmod(path, 0711);
}

bool
run_dir_create(char path[RUN_DIR_PATH_BYTES_MAX], const char *asked)
{
	const char *bases[] = {getenv("RUNTIME_DIRECTORY"), "/run", getenv("TMPDIR"), "/tmp"};

	if (asked)
		return create_below(path, asked, strlen(asked));
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++)
		/* systemd separates several with colons */
		if (bases[i] && *bases[i] && create_below(path, bases[i], strcspn(bases[i], ":")))
			return true;
	return false;
}

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

void
run_dir_remove(const char *path)
{
	remove_tree(path, DEPTH_MAX);
}
