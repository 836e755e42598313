/*
 * segment.h - the memory that is the broker of all workers: made by pushd, mapped by each worker.
 *
 *   publish ─▶ append under the lock ─▶ the log ─▶ each worker reads it in order ─▶ its hub ─▶ its clients
 *                      │
 *                      └─▶ history, the same record: one copy for all
 *
 * Design: one writer at a time, and readers that take no lock, as in LMDB; all that is kept lies in records that
 * say by themselves what they are, under a checksum, so that everything else can be made again (layout.h,
 * repair.h), as a database does from its log.  A worker may be killed or stopped anywhere:
 *
 *   without the lock      nothing is left to be done but to forget its clients (slots.h)
 *   with the lock         pushd, or whoever waits for it and sees that its owner is gone, repairs (lock.h)
 *   stopped with the lock pushd kills it after PUSH_SEGMENT_LOCK_HELD_US_MAX
 *
 * What was committed stays; what was not leaves nothing.
 *
 * A file of this folder knows neither hub nor loop.  Time comes in as an argument, in microseconds of
 * push_segment_time().
 */
#ifndef PUSH_SEGMENT_SEGMENT_H
#define PUSH_SEGMENT_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/status.h"
#include "segment/limits.h"

struct push_error;
struct push_segment;

/* Of its memory, as memfd_create(2) and /proc have it. */
#define PUSH_SEGMENT_NAME "push-broker"

struct push_segment_settings {
	uint64_t history_bytes_max; /* push.history.memory.max: what is kept of channels, in blocks */
	uint64_t epoch;             /* greater than any before: milliseconds of the wall clock */
	uint64_t seed;              /* random, of hashes */
	uint32_t cell_count;        /* of the log, a power of two; 0: PUSH_SEGMENT_CELLS */
	uint32_t bucket_count;      /* a power of two; 0: PUSH_SEGMENT_BUCKETS */
	uint64_t bytes_max;         /* of all blocks; 0: what history_bytes_max asks for, and the rest */
};

/* push_segment_create - an empty one in memory without a name.  NULL with the reason in `error`. */
struct push_segment *
push_segment_create(const struct push_segment_settings *settings, struct push_error *error);

/*
 * push_segment_format - make an empty one of an empty file; `fd` is taken over.
 *
 * NULL with the reason in `error`.
 */
struct push_segment *
push_segment_format(int fd, const struct push_segment_settings *settings, struct push_error *error);

/*
 * push_segment_attach - map one that another process has made; `fd` is taken over.
 *
 * Only its layout is looked at; whether it is whole says push_segment_repair().
 * Errors: NULL with the reason in `error`: not a segment, or one of another layout.
 */
struct push_segment *
push_segment_attach(int fd, struct push_error *error);

/* push_segment_detach - unmap and close.  The slot is left to push_segment_leave().  NULL is allowed. */
void
push_segment_detach(struct push_segment *segment);

/* push_segment_fd - its file, borrowed: whoever inherits it may attach. */
int
push_segment_fd(const struct push_segment *segment);

/* push_segment_set_history_max - how much may be kept from now on; more than there is room for is as much as
 * there is.  Under the lock. */
void
push_segment_set_history_max(struct push_segment *segment, uint64_t bytes_max);

/* push_segment_epoch - of the positions of its messages (core/position.h). */
uint64_t
push_segment_epoch(const struct push_segment *segment);

/* push_segment_time - microseconds that go on over restarts of everything, and never back; `now_us` is
 * CLOCK_MONOTONIC. */
uint64_t
push_segment_time(const struct push_segment *segment, uint64_t now_us);

/* push_segment_tick - by pushd, about once a second: note what time it is, for who opens the file later. */
void
push_segment_tick(struct push_segment *segment, uint64_t now_us, uint64_t wall_us);

struct push_segment_figures {
	uint64_t history_messages, history_bytes, history_dropped;
	uint64_t values, value_bytes, notices, channels;
	uint64_t log_messages, log_bytes;  /* that wait for workers that are behind */
	uint64_t bytes;                    /* taken from the kernel, or of the file */
	uint64_t repairs, wakes, overruns; /* since the segment was made */
	unsigned int attached;
};

/* push_segment_figures - for metrics; each is right by itself.  Without the lock. */
void
push_segment_figures(const struct push_segment *segment, struct push_segment_figures *ret);

#endif
