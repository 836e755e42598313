/* supervisor.h - keeps workers running: starts, watches, restarts, replaces and drains them. */
#ifndef PUSHD_SUPERVISOR_H
#define PUSHD_SUPERVISOR_H

#include "config.h"
#include "settings.h"

/*
 * supervise - run until SIGTERM or SIGINT.
 *
 * @config: taken over; NULL only with a state: it is wrong now.
 * @state_fd: what the pushd that was in the place of this one has left (upgrade_state.h); taken over; -1: nothing.
 * Returns the exit code: 0 after a drain, 1 when the first start failed.
 */
int
supervise(const struct settings *settings, struct config *config, int state_fd);

#endif
