/*
 * upgrade_state.h - what one pushd leaves to the one that takes its place in the same process (upgrade.h).
 *
 * JSON in memory without a name: what a pushd has to know that it cannot ask anybody.  Descriptors are inherited
 * by their numbers; what shared memory they have is told by those who know it, in the environment.
 */
#ifndef PUSHD_UPGRADE_STATE_H
#define PUSHD_UPGRADE_STATE_H

#include "generation.h"
#include "kept_sockets.h"

/* Another one for each change of what is in here. */
#define UPGRADE_STATE_LAYOUT 1

struct upgrade_state {
	char run_dir[RUN_DIR_PATH_BYTES_MAX];
	int notify_fd;
	unsigned int serial;           /* of the last generation */
	uint64_t dropped_lines;        /* of the log */
	struct kept_sockets *sockets;  /* WORKER_COUNT_MAX of them */
	struct generation *generation; /* the one that serves */
	size_t index;                  /* which of the two */
};

/* upgrade_state_write - what it needs is not closed on exec from now on.  Returns a descriptor, the caller's; -1
 * with errno set. */
int
upgrade_state_write(const struct upgrade_state *state);

/*
 * upgrade_state_read - into what state->sockets and state->generation point to; the rest is filled in.
 *
 * Of workers' setups it knows nothing, and of the generation's configuration.  All that it has read is right as
 * far as it can be known.  Errors: PUSH_INVALID; nothing has been changed then.
 */
enum push_status PUSH_MUST_USE
upgrade_state_read(int fd, struct upgrade_state *state, struct push_error *error);

#endif
