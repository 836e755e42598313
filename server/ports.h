/*
 * ports.h - is a port free?
 *
 * Workers listen with SO_REUSEPORT, so two servers of one user would share a port without a word, and each
 * get some of the clients.  Hence the question, before the first worker starts.
 */
#ifndef PUSHD_PORTS_H
#define PUSHD_PORTS_H

#include "config.h"

/* ports_check - PUSH_INVALID, with the port, where it comes from and who has it, if one is taken. */
enum push_status PUSH_MUST_USE
ports_check(struct config *config, struct push_error *error);

#endif
