/*
 * upgrade.h - another pushd in the place of this one, without an end: SIGUSR2.
 *
 *   SIGUSR2 ─▶ run `pushd --check` of the file that pushd was started from, which may be another one by now
 *           ─▶ exec it: the same process, with the sockets, the shared memory and the workers of before
 *           ─▶ it takes over what upgrade_state.h says, and reloads: new workers, of the new plugins
 *
 * What cannot be run, or finds the configuration wrong, is not begun, and this pushd goes on.
 */
#ifndef PUSHD_UPGRADE_H
#define PUSHD_UPGRADE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "settings.h"

struct log;

/* The one that is to come reads the state by it; and it is asked by it whether it can. */
#define UPGRADE_VARIABLE "PUSHD_UPGRADE"

/* In the answer of one that can. */
#define UPGRADE_ANSWER "can take over by state "

#define UPGRADE_LINE_BYTES_MAX 512

enum upgrade_check { UPGRADE_IS_CHECKING, UPGRADE_MAY_GO_ON, UPGRADE_IS_REFUSED };

struct upgrade {
	const struct settings *settings;
	char program[PATH_MAX]; /* where pushd was started from; empty: it cannot be told */
	pid_t pid;              /* of the check; 0: none runs */
	int output_fd;
	uint64_t since_us;
	bool can_take_over; /* it has said so */
	char line[UPGRADE_LINE_BYTES_MAX], last_line[UPGRADE_LINE_BYTES_MAX];
	size_t line_size;
};

/* upgrade_init - find out where the program is, while it is there for certain. */
void
upgrade_init(struct upgrade *self, const struct settings *settings);

/* upgrade_begin - start the check.  Returns false where there cannot be one; the log says why. */
bool
upgrade_begin(struct upgrade *self, uint64_t now_us);

/* upgrade_look - how it is with the check that was started; the log says why it is refused. */
enum upgrade_check
upgrade_look(struct upgrade *self, uint64_t now_us);

/*
 * upgrade_exec - become it; descriptors that are not closed on exec are its.
 *
 * @state_fd: taken over; -1, with errno, where there is none.
 * Returns only if it failed: then all are closed on exec again, and the log says why.
 */
void
upgrade_exec(struct upgrade *self, int state_fd);

/* upgrade_end - kill the check, if one runs. */
void
upgrade_end(struct upgrade *self);

/* By the new one */

/* upgrade_answer - say that this one can, if it is asked, in the output of a check. */
void
upgrade_answer(void);

/* upgrade_inherited - the state that one before has left, the caller's; -1: there was none.  No other descriptor
 * is inherited by programs that this one runs. */
int
upgrade_inherited(void);

/* upgrade_let_go - nothing can be known of what it has left: be to its workers as if it had been killed. */
void
upgrade_let_go(const struct log *log);

#endif
