/*
 * ports.h - is a port free?
 *
 * Workers listen with SO_REUSEPORT, so two servers of one user would share a port without a word, and each
 * get some of the clients.  Hence the question, before workers start.
 */
#ifndef PUSHD_PORTS_H
#define PUSHD_PORTS_H

#include "config.h"

/*
 * ports_check - can every port of `config` be listened on?  Those of `ours`, which may be NULL, are taken for
 * pushd's own.
 *
 * Errors: PUSH_INVALID with the port, where it comes from, and which process has it where that can be told.
 */
enum push_status PUSH_MUST_USE
ports_check(const struct config *config, const struct config *ours, struct push_error *error);

#endif
