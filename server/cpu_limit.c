/* cpu_limit.c - see cpu_limit.h. */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "broker/cgroup.h"
#include "cpu_limit.h"

#define LIMIT_BYTES_MAX 128

/* Microseconds: more than any machine has CPUs for. */
#define QUOTA_MAX 999999999999999999ull

bool
cpu_limit_parse(const char *text, size_t *ret)
{
	uint64_t quota, period, count;

	if (!cgroup_number(&text, ' ', &quota) || *text != ' ')
		return false;
	text++;
	if (!cgroup_number(&text, '\n', &period) || !quota || !period || quota > QUOTA_MAX)
		return false;
	count = quota / period + (quota % period != 0);
	*ret = (size_t)count;
	return true;
}

/* Version 2 has both numbers in one file, version 1 one in each of two. */
static bool
read_limit(const char *folder, bool version_1, size_t *ret)
{
	char path[2 * PATH_MAX + 32], quota[LIMIT_BYTES_MAX], period[LIMIT_BYTES_MAX],
		text[2 * LIMIT_BYTES_MAX];

	if (!version_1) {
		snprintf(path, sizeof(path), "%s/cpu.max", folder);
		return cgroup_read(path, text, sizeof(text)) && cpu_limit_parse(text, ret);
	}
	snprintf(path, sizeof(path), "%s/cpu.cfs_quota_us", folder);
	if (!cgroup_read(path, quota, sizeof(quota)))
		return false;
	snprintf(path, sizeof(path), "%s/cpu.cfs_period_us", folder);
	if (!cgroup_read(path, period, sizeof(period)))
		return false;
	quota[strcspn(quota, "\n")] = '\0';
	snprintf(text, sizeof(text), "%s %s", quota, period);
	return cpu_limit_parse(text, ret);
}

static void
look_at(void *context, const char *folder, bool version_1)
{
	size_t limit, *lowest = context;

	if (read_limit(folder, version_1, &limit) && (!*lowest || limit < *lowest))
		*lowest = limit;
}

size_t
cpu_limit_read(const char *root)
{
	size_t lowest = 0;

	cgroup_look(root, "cpu", look_at, &lowest);
	return lowest;
}
