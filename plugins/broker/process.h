/*
 * process.h - what the operating system knows about this process, for metrics (Linux: /proc/self).
 */
#ifndef PUSH_BROKER_PROCESS_H
#define PUSH_BROKER_PROCESS_H

#include "core/stats.h"

/* push_process_read - fill in what can be had; the rest is 0. */
void
push_process_read(struct push_process *process);

#endif
