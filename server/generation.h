/*
 * generation.h - the workers that run on one configuration.
 *
 * There are at most two: the one that serves and, after SIGHUP, one that starts, or the one before, which
 * drains.  A generation owns its configuration and the folder where lwsws reads it.
 */
#ifndef PUSHD_GENERATION_H
#define PUSHD_GENERATION_H

#include "config.h"
#include "run_dir.h"
#include "worker.h"
#include "worker_count.h"

struct generation {
	struct config *config; /* NULL: not in use */
	char folder[RUN_DIR_PATH_BYTES_MAX + 2];
	struct push_buf vhosts; /* what its workers are told of theirs */
	struct worker workers[WORKER_COUNT_MAX];
	size_t worker_count;
	unsigned int serial;
	bool has_served;     /* all its workers have been ready */
	uint64_t stop_by_us; /* it drains, and is killed then; 0: not draining */
};

/* How many workers a generation has, and what all of them are started with. */
struct generation_host {
	size_t worker_count;
	const char *run_dir;
	unsigned int serial;          /* higher than that of the generation before */
	size_t stats_first;           /* slot of its first worker */
	struct kept_sockets *sockets; /* of each worker's number */
	struct worker_setup setup;    /* but for what tells them apart */
};

/*
 * generation_start - write the configuration to the folder `name` of the run dir and start the workers.
 *
 * Takes the configuration over in any case.  Returns false with the reason in `error`; nothing runs then.
 */
bool
generation_start(struct generation *generation, const struct generation_host *host, const char *name,
	struct config *config, uint64_t now_us, struct push_error *error);

/* generation_resume - one that upgrade_state_read() has filled in; takes the configuration over. */
void
generation_resume(struct generation *generation, const struct generation_host *host, struct config *config);

/* generation_is_ready - are all workers ready? */
bool
generation_is_ready(const struct generation *generation);

/* generation_drain - let all workers drain; kills those that have not started.  @replaced: as for a worker.
 */
void
generation_drain(struct generation *generation, bool replaced, uint64_t now_us);

/* generation_is_gone - has it no worker left, and none to be started again? */
bool
generation_is_gone(const struct generation *generation);

/* generation_end - kill what is left and give everything back.  Does nothing when it is not in use. */
void
generation_end(struct generation *generation);

#endif
