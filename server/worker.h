/*
 * worker.h - one lwsws: a root process, and the child it forks, which serves.
 *
 * lwsws' root outlives its child without a word, forwards no SIGTERM in time, and dies of its own.  So pushd
 * learns the child's pid from the broker plugin (NOTIFY_SOCKET), signals and watches the child itself, and
 * puts the root away when the child is gone.  Both are in a process group of their own.
 */
#ifndef PUSHD_WORKER_H
#define PUSHD_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WORKER_LINE_BYTES_MAX 1024

enum worker_state { WORKER_NONE, WORKER_STARTING, WORKER_READY, WORKER_DRAINING };

struct worker {
	enum worker_state state;
	pid_t root, child; /* child: 0 until it is ready */
	int child_fd;	   /* pidfd; readable when the child has ended; -1: none */
	int output_fd;	   /* what both print; -1: none */
	uint64_t since_us; /* of the state */
	char line[WORKER_LINE_BYTES_MAX];
	size_t line_size;
	char last_line[WORKER_LINE_BYTES_MAX]; /* the last that it said, for an error */
	char failure[WORKER_LINE_BYTES_MAX];   /* why it will not start, in the plugin's words */
};

/* worker_start - run `lwsws -c folder`.  Returns false, with errno set, when it cannot be run at all. */
bool
worker_start(struct worker *worker, const char *lwsws, const char *folder, const char *notify_path,
	uint64_t now_us);

/* worker_is_ready - the plugin has said READY; `child` serves. */
void
worker_is_ready(struct worker *worker, pid_t child, uint64_t now_us);

/* worker_drain - ask it to drain and end; one that is not ready is killed. */
void
worker_drain(struct worker *worker, uint64_t now_us);

/* worker_kill - end both processes at once and forget them. */
void
worker_kill(struct worker *worker);

/* worker_read_output - pass on what it has printed.  Returns false at its end. */
bool
worker_read_output(struct worker *worker);

#endif
