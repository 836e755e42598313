/*
 * worker.h - one lwsws: a root process, and the child it forks, which serves.
 *
 * lwsws' root outlives its child without a word, passes SIGTERM on to nobody, and restarts nothing.  So pushd
 * watches and signals the child itself, and puts the root away when the child is gone.  Both are in a process
 * group of their own, which is how a notification is known to be a worker's.
 *
 *   NONE -> STARTING -> READY -> DRAINING -> NONE       any -> NONE by worker_kill()
 */
#ifndef PUSHD_WORKER_H
#define PUSHD_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "broker/shared_stats.h"
#include "kept_sockets.h"
#include "log.h"

#define WORKER_LINE_BYTES_MAX 1024

/* The value that comes with SIGTERM where another worker serves on the same ports (sigqueue(3)); the broker
 * plugin knows it, too. */
#define WORKER_REPLACED 1

/* More lines than this are counted only.  (What clients cause is of the level debug.) */
#define WORKER_LINES_A_SECOND_MAX 20

/* Those of the level debug beside, which Push itself bounds (PUSH_LOG_DEBUG_LINES_A_SECOND). */
#define WORKER_DEBUG_LINES_A_SECOND_MAX 500

enum worker_state { WORKER_NONE, WORKER_STARTING, WORKER_READY, WORKER_DRAINING };

struct push_tls_ticket_keys;
struct shared_broker;

/* What a worker is started with, every time. */
struct worker_setup {
	const char *lwsws;               /* program */
	const char *folder;              /* configuration */
	const char *vhosts;              /* what it is told of them (direct/vhosts.h); NULL: nothing */
	const char *notify_path;         /* where it says that it serves */
	const char *shim;                /* library that keeps its sockets; empty: none */
	unsigned int number, of;         /* this one, from 1 on, and how many there are */
	struct push_shared_stats *stats; /* NULL: it counts for itself */
	size_t stats_slot;
	const struct push_tls_ticket_keys *ticket_keys; /* NULL: it has its own */
	struct shared_broker *broker;                   /* NULL: it has its own, or Redis */
	const struct log *log;
	struct kept_sockets *sockets; /* of those who had its number before */
};

struct worker {
	struct worker_setup setup;
	enum worker_state state;
	uint64_t since_us;      /* of the state */
	pid_t root, child;      /* child: 0 until it is known */
	int child_fd;           /* pidfd, readable when the child has ended; -1: none */
	int output_fd;          /* what both print; -1: none */
	int slot;               /* of the broker; -1: none */
	uint64_t backoff_us;    /* how long to wait before it is started the next time */
	uint64_t restart_at_us; /* 0: not due */
	char line[WORKER_LINE_BYTES_MAX];
	size_t line_size;
	enum push_log_level line_level;
	bool line_goes_on;   /* the last one was cut: what comes is more of it */
	time_t lines_second; /* the second that the counts are about */
	unsigned int line_count, debug_line_count;
	char last_line[WORKER_LINE_BYTES_MAX]; /* the last that it said, for an error */
	char failure[WORKER_LINE_BYTES_MAX];   /* why it will not start, in the plugin's words */
};

/*
 * worker_start - run lwsws as worker->setup says.
 *
 * Keeps setup and backoff_us.  Returns false, with errno set, when there cannot be another process.
 */
bool
worker_start(struct worker *worker, uint64_t now_us);

/* worker_resume - a worker that the pushd before has started: look for its end. */
void
worker_resume(struct worker *worker);

/* worker_owns - is this process one of the worker's? */
bool
worker_owns(const struct worker *worker, pid_t pid);

/* worker_look_for_child - learn the child's pid from the system, so that its end shows before it is ready. */
void
worker_look_for_child(struct worker *worker);

/* worker_is_ready - `child` says that it serves. */
void
worker_is_ready(struct worker *worker, pid_t child, uint64_t now_us);

/*
 * worker_has_ended - is the child, or a root that has no child yet, gone?
 *
 * If so, writes how to `why`: "was killed by signal 11 (Segmentation fault)".
 */
bool
worker_has_ended(const struct worker *worker, char *why, size_t size);

/*
 * worker_drain - ask it to drain and end; one that is not ready is killed.
 *
 * @replaced: another one serves on its ports, so that it may leave the operators' as well.
 */
void
worker_drain(struct worker *worker, bool replaced, uint64_t now_us);

/* worker_kill - end both processes at once and forget them.  Does nothing where there are none. */
void
worker_kill(struct worker *worker);

/* worker_read_output - pass on what it has printed; at the end of it, closes output_fd. */
void
worker_read_output(struct worker *worker);

#endif
