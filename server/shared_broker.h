/*
 * shared_broker.h - pushd's part in the memory that is the embedded broker of all workers (segment/segment.h).
 *
 *   first start            a new one, or the one in push.history.file
 *   after kill -9 of pushd that of the workers that are left: they have it open, /proc says where
 *   each worker            has a slot from its start until it is gone, however it ends
 *   each turn              a worker that stands still while it has the lock is killed
 *
 * With Redis there is none.  Where there is no memory for it either, one worker has a broker of its own.
 */
#ifndef PUSHD_SHARED_BROKER_H
#define PUSHD_SHARED_BROKER_H

#include "config.h"
#include "segment/lock.h"
#include "segment/segment.h"
#include "segment/slots.h"

struct log;

/* A worker of a pushd that was killed. */
struct shared_broker_guest {
	pid_t pid;  /* 0: none */
	int handle; /* pidfd */
};

/* All zero but for the log: none yet. */
struct shared_broker {
	const struct log *log;
	struct push_segment *segment; /* NULL: none */
	char file[sizeof(((struct push_options *)NULL)->history_file)];
	bool is_wanted; /* by the configuration that was started last */
	uint64_t given; /* slots that are taken (bits): given to a worker, or a guest's */
	uint64_t ended; /* of those, whose worker is gone, and which are not free yet */
	struct shared_broker_guest guests[PUSH_SEGMENT_SLOTS_MAX];
	struct push_segment_holder holder; /* of the lock when it was last looked */
	uint64_t held_since_us;            /* since when it is seen to be that */
	uint64_t ticked_us;
	bool has_wakers; /* workers can wake each other */
	uint64_t history_bytes_max, history_bytes_wanted;
};

/*
 * shared_broker_take_over - that of the workers of a killed pushd on the ports of `config`, if there are such.
 *
 * To be called before they are asked to leave.  What it finds, and why it is not taken, is in the log.
 */
void
shared_broker_take_over(struct shared_broker *self, const struct config *config, uint64_t now_us);

/*
 * shared_broker_inherit - that of a pushd in whose place this one is (upgrade.h).
 *
 * @taken: slots of its workers, as it has said; bits that cannot be are left out.  Without one, or with one of
 * another layout, which the log says, all begins anew.
 */
void
shared_broker_inherit(struct shared_broker *self, const struct push_options *options, uint64_t taken);

/* shared_broker_leave - let the program that this process is about to become inherit it. */
void
shared_broker_leave(const struct shared_broker *self);

/*
 * shared_broker_open - have what a configuration asks for, before its workers are started.
 *
 * @worker_count: of it; two generations wake each other.
 * One that is there already stays.  Errors: PUSH_INVALID: push.history.file cannot be had.
 */
enum push_status PUSH_MUST_USE
shared_broker_open(struct shared_broker *self, const struct push_options *options, size_t worker_count,
	uint64_t now_us, struct push_error *error);

/* shared_broker_configure - a configuration serves: what may be kept is what it says. */
void
shared_broker_configure(struct shared_broker *self, const struct push_options *options);

/* shared_broker_take_slot - for a worker that is about to start; -1: there is none. */
int
shared_broker_take_slot(struct shared_broker *self);

/* shared_broker_worker_ended - whoever had the slot is gone for certain. */
void
shared_broker_worker_ended(struct shared_broker *self, int slot);

/* shared_broker_has_room - whether so many workers more would find a slot. */
bool
shared_broker_has_room(const struct shared_broker *self, size_t workers);

/*
 * shared_broker_turn - what is due; returns the slot of a worker that has stood still with the lock for too long
 * and is to be killed, or -1.
 */
int
shared_broker_turn(struct shared_broker *self, uint64_t now_us);

/* shared_broker_turn_ms - when to call that at the latest. */
int
shared_broker_turn_ms(const struct shared_broker *self);

/* shared_broker_close - give it back.  Workers that have it keep it. */
void
shared_broker_close(struct shared_broker *self);

#endif
