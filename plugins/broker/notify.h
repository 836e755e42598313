/*
 * notify.h - tell a supervisor how it goes: sd_notify(3)'s protocol, datagrams of NAME=VALUE lines to the
 * socket that $NOTIFY_SOCKET names.  pushd listens there, and systemd does.  Without the variable, nothing.
 *
 * `ret_error` is why the supervisor could not be told, or empty; that is no reason not to serve.
 */
#ifndef PUSH_BROKER_NOTIFY_H
#define PUSH_BROKER_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/options.h"

/* push_notify_is_supervised - whether there is a supervisor at all. */
bool
push_notify_is_supervised(void);

/*
 * push_notify_ready - clients are served by this process.  Returns false when the supervisor is gone.
 *
 * SOCKETS=shared tells pushd that listening sockets may be open elsewhere, too: none is taken to be gone when
 * it is closed here.
 */
bool
push_notify_ready(struct push_error *ret_error);

/*
 * push_notify_stopping - draining has begun.
 *
 * `within_us`: how long it may take, so that systemd waits for so long, whatever the unit's TimeoutStopSec;
 * 0: nothing is said about it.
 */
void
push_notify_stopping(uint64_t within_us, struct push_error *ret_error);

/* push_notify_failed - it will not start; one line for a person. */
void
push_notify_failed(const char *why, struct push_error *ret_error);

#endif
