/*
 * cgroup.h - which limits the kernel's control groups set for this process: cgroups(7).
 *
 * A limit applies from the process' own group and from each of those above it.  In a container the kernel
 * shows the group as "/", or, with version 1, by a path of the host's that is not there; the root is looked
 * at in any case.  Files: Documentation/admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst,
 * scheduler/sched-bwc.rst.
 */
#ifndef PUSH_BROKER_CGROUP_H
#define PUSH_BROKER_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * cgroup_look - call `look` with the folder of each group that limits this process.
 *
 * @root: "" for this machine's /proc and /sys.  @controller: of version 1, "cpu" or "memory"; groups of
 * version 2 are looked at, too, with `version_1` false.
 */
void
cgroup_look(const char *root, const char *controller,
	void (*look)(void *context, const char *folder, bool version_1), void *context);

/*
 * cgroup_path - the path of the process' group in the text of /proc/self/cgroup.
 *
 * @controller: as above; "" for version 2.
 * Returns false where there is none, or it does not fit.
 */
bool
cgroup_path(const char *text, const char *controller, char *to, size_t size);

/* cgroup_read - the text of a small file, whole; false where it is missing, larger, or holds a NUL. */
bool
cgroup_read(const char *path, char *to, size_t size);

/* cgroup_number - a number in plain digits at the start of *text, before `stop`, a line's end or the text's;
 * *text is moved behind it.  False for what is none, "max" and -1 among it. */
bool
cgroup_number(const char **text, char stop, uint64_t *ret);

/* cgroup_memory_max - bytes of the lowest limit of memory that applies; 0: there is none.  @root: as above.
 */
uint64_t
cgroup_memory_max(const char *root);

#endif
