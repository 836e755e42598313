/*
 * process.h - what the server costs: CPU time and resident memory, out of /proc.
 *
 * A server is one or more process ids and everything they have started (a supervisor's workers).  CPU time
 * is utime + stime of /proc/PID/stat; the kernel keeps their sum exact and shows it in hundredths of a
 * second. Memory is that of smaps_rollup, which is exact where `status` may be some hundred kilobytes behind;
 * `status` steps in where smaps_rollup may not be read.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_IDS_MAX 256

/* The server: the ids that were named. */
struct process_list {
	pid_t ids[PROCESS_IDS_MAX];
	size_t count;
};

struct process_sample {
	double user_s, system_s;
	uint64_t resident_bytes;
	uint64_t peak_bytes;      /* the most that was resident since they began */
	uint64_t anonymous_bytes; /* of it, what is no file's: heap and stacks */
	uint64_t open_files_max;  /* the lowest limit among them; 0: unknown */
	size_t process_count;
};

/* process_list_parse - "PID[,PID...]".  Returns -1 if it is none, or if one does not run. */
int process_list_parse(const char *text, struct process_list *ret_list);

/* process_sample - add up the listed processes and all their descendants. */
void process_sample(const struct process_list *list, struct process_sample *ret_sample);

/* process_machine_cpu_s - what all cores together have spent on anything, also for other guests of the host.
 */
double process_machine_cpu_s(void);

/* process_own_cpu_s - user and system time of the calling process. */
double process_own_cpu_s(void);

#endif
