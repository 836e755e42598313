/*
 * load.h - decides when the next message is published, and on which connection.
 *
 * Closed loop: as soon as a publisher is free, --window and --burst permitting.  A group of --burst messages
 * begins when that many publishers are free, and goes out back to back.  With a window, group n also waits
 * until everybody has all of group n - window.
 *
 * Paced: by the clock, whether or not the server keeps up.  A message that is due while no publisher is free
 * waits, and its time runs from when it was due: a server that stops for a second has a thousand late
 * messages, not one (what a load tool hides when it simply waits for the answer is known as coordinated
 * omission).
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fleet.h"
#include "publisher.h"

/* Connections of publishers are numbered from here, those of subscribers from 0 (net_connect). */
#define LOAD_SOURCE      3
#define LOAD_BACKLOG_MAX 65536

struct load_counts {
	uint64_t sent, answered; /* accepted or refused */
	uint64_t refused;        /* answered with something else than 2xx */
	uint64_t unanswered;     /* the connection was closed first */
	uint64_t skipped;        /* paced: due, and not sent by the end or for a full backlog */
	uint64_t wrong_counts;   /* {"subscribers":N} said another number than were connected */
	uint64_t reconnects;
	uint64_t stalls; /* a window waited in vain */
	char error[FLEET_ERROR_BYTES_MAX];
};

struct load {
	struct loop *loop;
	const struct options *options;
	const struct payload *payload;
	struct streams *streams;
	const struct target *target;
	struct fleet *fleet;

	struct publisher *all;
	size_t connected, dead;
	struct publisher *
		*queue; /* those with a free place: a ring of as many places as there are publishers */
	size_t queue_first, queue_count;
	struct publisher **touched; /* have requests to flush */
	size_t touched_count;
	char *message; /* of options->size bytes */

	bool is_running;
	uint64_t limit; /* messages to send in all */
	uint64_t free_places, in_flight;

	uint64_t expected; /* deliveries, compared with fleet->accounted */
	uint64_t *needed;  /* per place of the window: `expected` when its group had gone out */
	uint64_t group, group_left;
	uint64_t progress, progress_ns; /* when fleet->accounted last rose */

	struct timer timer;
	double interval_ns;
	uint64_t paced_from_ns, paced_count;
	uint64_t *backlog; /* a ring of times at which messages were due */
	size_t backlog_first, backlog_count;

	struct load_counts counts;
	struct histogram answer_latency; /* of what was sent since answer_from_ns */
	struct histogram wake_latency;   /* paced: how late the tool itself woke up */
	uint64_t answer_from_ns;
};

/* load_init - publishers connect to `target`, which is borrowed.  Returns -1 if memory is out. */
int load_init(struct load *load, struct fleet *fleet, const struct target *target);

void load_fini(struct load *load);

/* load_connect - begin to connect all publishers; load_is_connected() tells when that is over. */
void load_connect(struct load *load);

bool load_is_connected(const struct load *load);

/* load_start - publish from now on, until `limit` messages have been sent in all or load_stop(). */
void load_start(struct load *load, uint64_t limit);

void load_stop(struct load *load);

/* load_pump - after each turn: publish what may be published. */
void load_pump(struct load *load, uint64_t now_ns);

/* load_is_settled - whether everything sent is answered and delivered. */
bool load_is_settled(const struct load *load);

/* What publishers tell. */
void load_connected(struct publisher *publisher);
void load_answered(struct publisher *publisher, const struct pending *pending, unsigned int status,
	const char *body, size_t size);
void load_unanswered(struct publisher *publisher);
void load_publisher_died(struct publisher *publisher, const char *what, const char *detail);

#endif
