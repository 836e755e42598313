/* cgroup.c - see cgroup.h. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"

/* More lines than any machine has hierarchies; a file of the kernel's is read whole or not at all. */
#define GROUPS_BYTES_MAX 8192
#define LIMIT_BYTES_MAX  128

bool
cgroup_read(const char *path, char *to, size_t size)
{
	FILE *file = fopen(path, "re");
	size_t length;

	if (!file)
		return false;
	length = fread(to, 1, size, file);
	fclose(file);
	if (length == size || memchr(to, '\0', length))
		return false;
	to[length] = '\0';
	return true;
}

bool
cgroup_number(const char **text, char stop, uint64_t *ret)
{
	size_t digits = strspn(*text, "0123456789");

	if (!digits || digits > 19 || ((*text)[digits] != stop && (*text)[digits] != '\n' && (*text)[digits]))
		return false;
	*ret = strtoull(*text, NULL, 10);
	*text += digits;
	return true;
}

/* Whether a list such as "cpu,cpuacct" has the word. */
static bool
list_has(const char *list, size_t size, const char *word)
{
	size_t length = strlen(word);

	for (;;) {
		const char *comma = memchr(list, ',', size);
		size_t item = comma ? (size_t)(comma - list) : size;

		if (item == length && !memcmp(list, word, length))
			return true;
		if (!comma)
			return false;
		size -= item + 1;
		list = comma + 1;
	}
}

bool
cgroup_path(const char *text, const char *controller, char *to, size_t size)
{
	/* lines of "4:cpu,cpuacct:/a/b"; "0::/a/b" for version 2 */
	while (*text) {
		size_t line = strcspn(text, "\n");
		const char *list = memchr(text, ':', line), *path;

		path = list ? memchr(list + 1, ':', line - (size_t)(list + 1 - text)) : NULL;
		if (path && list_has(list + 1, (size_t)(path - list - 1), controller)) {
			size_t length = line - (size_t)(path + 1 - text);

			if (length >= size || path[1] != '/')
				return false;
			memcpy(to, path + 1, length);
			to[length] = '\0';
			return true;
		}
		text += line + (text[line] == '\n');
	}
	return false;
}

/* The group and all above it, up to where the hierarchy is mounted. */
static void
look_upwards(const char *mount, const char *group, bool version_1,
	void (*look)(void *context, const char *folder, bool version_1), void *context)
{
	char folder[2 * PATH_MAX];
	size_t base = strlen(mount);

	/* a group that is outside of what this container sees is shown as "/../.." */
	snprintf(folder, sizeof(folder), "%s%s", mount, strstr(group, "/..") ? "" : group);
	for (;;) {
		size_t length = strlen(folder);

		look(context, folder, version_1);
		while (length > base && folder[length - 1] != '/')
			length--;
		if (length <= base)
			return;
		folder[length - 1] = '\0';
	}
}

void
cgroup_look(const char *root, const char *controller,
	void (*look)(void *context, const char *folder, bool version_1), void *context)
{
	/* version 1 is mounted by the controller's name, that of "cpu" often by both of its pair */
	static const char *const mounts[] = {
		"/sys/fs/cgroup/%s,cpuacct", "/sys/fs/cgroup/%s", "/sys/fs/cgroup"};
	char path[PATH_MAX], mount[PATH_MAX / 2], text[GROUPS_BYTES_MAX], group[PATH_MAX];

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	if (!cgroup_read(path, text, sizeof(text)))
		return;
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		bool version_1 = i < 2;

		if (!cgroup_path(text, version_1 ? controller : "", group, sizeof(group)))
			continue;
		snprintf(mount, sizeof(mount), mounts[i], controller);
		snprintf(path, sizeof(path), "%s%s", root, mount);
		look_upwards(path, group, version_1, look, context);
	}
}

static void
look_at_memory(void *context, const char *folder, bool version_1)
{
	char path[2 * PATH_MAX + 32], text[LIMIT_BYTES_MAX];
	const char *at = text;
	uint64_t bytes, *lowest = context;

	snprintf(path, sizeof(path), "%s/%s", folder, version_1 ? "memory.limit_in_bytes" : "memory.max");
	/* version 1 has no word for "none" but a number that no machine has */
	if (cgroup_read(path, text, sizeof(text)) && cgroup_number(&at, '\n', &bytes) && bytes &&
		bytes < (uint64_t)1 << 60 && (!*lowest || bytes < *lowest))
		*lowest = bytes;
}

uint64_t
cgroup_memory_max(const char *root)
{
	uint64_t lowest = 0;

	cgroup_look(root, "memory", look_at_memory, &lowest);
	return lowest;
}
