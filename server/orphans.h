/*
 * orphans.h - workers that outlive a pushd which was killed.
 *
 * When pushd is killed, its workers drain: they no longer accept clients, but answer operators, so that
 * readiness shows as down, until the last client has gone.  A new pushd, started meanwhile, would find the
 * management port taken for half a minute.  It asks the orphans to leave their ports instead; their clients
 * are asked to reconnect as in any drain, and reach the new workers.
 *
 * A process is an orphan if it was started with the notify socket of a pushd (its environment says which),
 * and nobody has that socket open any more.  A worker whose pushd lives is none, whoever that is; nor is
 * anything that this user may not look into.
 */
#ifndef PUSHD_ORPHANS_H
#define PUSHD_ORPHANS_H

#include <sys/types.h>

#include "config.h"

/* orphans_find - call `visit` with orphans on ports of `config` until it returns true.  Returns whether it did. */
bool
orphans_find(const struct config *config, bool (*visit)(pid_t pid, void *context), void *context);

/*
 * orphans_dislodge - have orphans that listen on a port of `config` leave it, and wait until they have.
 *
 * Says so in the log.  What does not leave within five seconds is stuck and is killed.  Returns at once where
 * there are none; ports that something else has are the caller's to find (ports.h).
 */
void
orphans_dislodge(const struct log *log, const struct config *config);

#endif
