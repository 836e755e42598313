/*
 * process.h - what the operating system knows about this process, for metrics (Linux: /proc/self).
 */
#ifndef PUSH_BROKER_PROCESS_H
#define PUSH_BROKER_PROCESS_H

#include "core/stats.h"

/* What the last reading of the processors' use was. */
struct push_cpu_usage {
	double read_s; /* since 1970; 0: never */
	double cpu_s, share;
};

/*
 * push_cpu_usage_read - set process->cpu_usage from the time since the last reading, or the start.
 *
 * @process: of all workers together; anything below a second repeats the last share.
 */
void
push_cpu_usage_read(struct push_cpu_usage *usage, struct push_process *process);

/* push_process_read - fill in what can be had; the rest is 0. */
void
push_process_read(struct push_process *process);

#endif
