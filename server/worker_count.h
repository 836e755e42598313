/*
 * worker_count.h - how many workers run on a configuration.
 *
 * One lwsws has one thread, so that all cores are used by as many workers on the same ports.  With the embedded
 * broker they share its memory (shared_broker.h), which has slots for two generations.
 */
#ifndef PUSHD_WORKER_COUNT_H
#define PUSHD_WORKER_COUNT_H

#include "config.h"

#define WORKER_COUNT_VARIABLE "PUSH_WORKERS"

/* More processes than a machine has use for: a slip in PUSH_WORKERS shall not start them. */
#define WORKER_COUNT_MAX 64

/* Of the embedded broker, PUSH_SEGMENT_SLOTS_MAX: of two generations. */
#define WORKER_COUNT_EMBEDDED_MAX 32

/*
 * worker_count_from_environment - settings->workers from PUSH_WORKERS, where the command line says nothing.
 *
 * Takes the variable out of the environment: workers know no such option.  Errors: PUSH_INVALID.
 */
enum push_status PUSH_MUST_USE
worker_count_from_environment(struct settings *settings, struct push_error *error);

/* worker_count_parse - a number from 1 to WORKER_COUNT_MAX; `name` is who said so, for the error. */
enum push_status PUSH_MUST_USE
worker_count_parse(const char *name, const char *text, int *ret, struct push_error *error);

/*
 * worker_count_decide - what was asked for, or else one for each CPU that pushd may run on, but no more than the
 * CPU time of its control group is enough for (cpu_limit.h).
 *
 * Errors: PUSH_INVALID for more than the embedded broker has room for.
 */
enum push_status PUSH_MUST_USE
worker_count_decide(
	const struct settings *settings, const struct config *config, size_t *ret, struct push_error *error);

#endif
