/*
 * cpu_limit.h - how many CPUs' time the process may take, as a container or systemd's CPUQuota says.
 *
 * A limit is a quota of CPU time in each period, kept by a control group (broker/cgroup.h).
 */
#ifndef PUSHD_CPU_LIMIT_H
#define PUSHD_CPU_LIMIT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * cpu_limit_read - whole CPUs, rounded up, of the lowest limit that applies; 0: there is none.
 *
 * @root: "" for this machine's /proc and /sys.  What cannot be read or makes no sense is no limit.
 */
size_t
cpu_limit_read(const char *root);

/*
 * cpu_limit_parse - `text` is a quota and a period in microseconds, "150000 100000": ceil(quota / period).
 *
 * A quota of "max", or -1, is no limit.  Returns false for that and for what is none.
 */
bool
cpu_limit_parse(const char *text, size_t *ret);

#endif
