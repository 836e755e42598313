/* cpu_limit.c - see cpu_limit.h.  Files: Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst.
 */
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu_limit.h"

/* More lines than any machine has hierarchies; a file of the kernel's is read whole or not at all. */
#define GROUPS_BYTES_MAX 8192
#define LIMIT_BYTES_MAX  128

static bool
read_text(const char *path, char *to, size_t size)
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

/* One number in plain digits, and what may follow it. */
static bool
parse_number(const char **text, char stop, uint64_t *ret)
{
	size_t digits = strspn(*text, "0123456789");

	if (!digits || digits > 18 || ((*text)[digits] != stop && (*text)[digits] != '\n' && (*text)[digits]))
		return false;
	*ret = strtoull(*text, NULL, 10);
	*text += digits;
	return true;
}

bool
cpu_limit_parse(const char *text, size_t *ret)
{
	uint64_t quota, period, count;

	if (!parse_number(&text, ' ', &quota) || *text != ' ')
		return false;
	text++;
	if (!parse_number(&text, '\n', &period) || !quota || !period)
		return false;
	count = quota / period + (quota % period != 0);
	*ret = (size_t)count;
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
cpu_limit_group(const char *text, const char *controller, char *to, size_t size)
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

/* Version 2 has both numbers in one file, version 1 one in each of two. */
static bool
read_limit(const char *folder, bool version_1, size_t *ret)
{
	char path[2 * PATH_MAX], quota[LIMIT_BYTES_MAX], period[LIMIT_BYTES_MAX], text[2 * LIMIT_BYTES_MAX];

	if (!version_1) {
		snprintf(path, sizeof(path), "%s/cpu.max", folder);
		return read_text(path, text, sizeof(text)) && cpu_limit_parse(text, ret);
	}
	snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", folder);
	if (!read_text(path, quota, sizeof(quota)))
		return false;
	snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder);
	if (!read_text(path, period, sizeof(period)))
		return false;
	quota[strcspn(quota, "\n")] = '\0';
	snprintf(text, sizeof(text), "%s %s", quota, period);
	return cpu_limit_parse(text, ret);
}

/* Of the group and of all above it, up to where the hierarchy is mounted. */
static void
look_upwards(const char *mount, const char *group, bool version_1, size_t *lowest)
{
	char folder[2 * PATH_MAX];
	size_t base = strlen(mount);

	/* a group that is outside of what this container sees is shown as "/../.." */
	snprintf(folder, sizeof(folder), "%s%s", mount, strstr(group, "/..") ? "" : group);
	for (;;) {
		size_t limit, length = strlen(folder);

		if (read_limit(folder, version_1, &limit) && (!*lowest || limit < *lowest))
			*lowest = limit;
		while (length > base && folder[length - 1] != '/')
			length--;
		if (length <= base)
			return;
		folder[length - 1] = '\0';
	}
}

size_t
cpu_limit_read(const char *root)
{
	static const struct {
		const char *controller, *mount;
	} places[] = {
		{"", "/sys/fs/cgroup"}, {"cpu", "/sys/fs/cgroup/cpu,cpuacct"}, {"cpu", "/sys/fs/cgroup/cpu"}};
	char path[PATH_MAX], text[GROUPS_BYTES_MAX], group[PATH_MAX];
	size_t lowest = 0;

	snprintf(path, sizeof(path), "%s/proc/self/cgroup", root);
	if (!read_text(path, text, sizeof(text)))
		return 0;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		if (!cpu_limit_group(text, places[i].controller, group, sizeof(group)))
			continue;
		snprintf(path, sizeof(path), "%s%s", root, places[i].mount);
		look_upwards(path, group, places[i].controller[0], &lowest);
	}
	return lowest;
}
