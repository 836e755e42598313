/*
 * shared_stats.h - what several workers count, in memory that they share, so that any of them can tell the
 * sum.
 *
 * The management port is shared as well: a scrape reaches whichever worker the kernel picks, and expects
 * counters that never go back.  So pushd maps a file without a name and its workers inherit it:
 *
 *     slot 0     slot 1     slot 2   ...      one for each worker of each generation; a worker adds to its
 *     ├ stats    ├ stats    ├ stats           own slot and to no other, so that nothing is locked
 *     ├ redis    ├ redis    ├ redis
 *     └ process  └ process  └ process
 *
 * Behind the slots lies a list of channels for each (channel_list.h); its pages are not touched, and take no
 * memory, before somebody asks.
 *
 * When a worker ends, pushd takes its gauges back and leaves its counters; whoever gets the slot next counts
 * on from there.  The values are 64 bits wide and aligned: each is read whole, and the sum is of a moment
 * that is microseconds long.  Without pushd there is nothing to share, and a broker counts for itself.
 */
#ifndef PUSH_BROKER_SHARED_STATS_H
#define PUSH_BROKER_SHARED_STATS_H

#include <stdbool.h>

#include "core/ranking.h"
#include "core/redis_stats.h"
#include "core/stats.h"

/* What one worker counts. */
struct push_counts {
	struct push_stats stats;
	struct push_redis_stats redis;
	struct push_process process;
	double cpu_before_s;                  /* of those who had the slot before */
	uint64_t number;                      /* of the worker, from 1 on; 0: nobody has the slot */
	char trouble[PUSH_TROUBLE_BYTES_MAX]; /* why publishes cannot succeed now */
};

struct push_shared_stats;

/* By pushd */

/*
 * push_shared_stats_create - memory for so many slots.
 *
 * Returns NULL, with errno, when there is none.  Lives until the last of those who have it mapped ends.
 */
struct push_shared_stats *
push_shared_stats_create(size_t slot_count);

/*
 * push_shared_stats_inherit - that of a pushd which has given it to the program that it became, with any slot.
 *
 * Returns NULL where it did not, or of another version.  Its file is closed on exec again.
 */
struct push_shared_stats *
push_shared_stats_inherit(size_t slot_count);

/* push_shared_stats_destroy - unmap and close.  NULL is allowed. */
void
push_shared_stats_destroy(struct push_shared_stats *shared);

/*
 * push_shared_stats_give - let the program that this process is about to become find `slot`.
 *
 * To be called between fork and exec; harmless where it fails: that worker counts for itself.
 * @number: of the worker, from 1 on; what generations have it is shown as one.
 */
void
push_shared_stats_give(const struct push_shared_stats *shared, size_t slot, unsigned int number);

/* push_shared_stats_log_level - the one word that is everybody's: how much is logged, enum push_log_level. */
uint32_t *
push_shared_stats_log_level(struct push_shared_stats *shared);

/* push_shared_stats_set_workers - how many share the memory that there is; those that start from now on ask.
 */
void
push_shared_stats_set_workers(struct push_shared_stats *shared, uint32_t count);

/*
 * push_shared_stats_accepts - whether a publish to any worker could succeed.
 *
 * If not, `why` has the words of one that says so, without control characters; empty: none has looked yet.
 */
bool
push_shared_stats_accepts(const struct push_shared_stats *shared, char why[PUSH_TROUBLE_BYTES_MAX]);

/* push_shared_stats_ended - whoever had the slot is gone: its gauges go, its counters stay. */
void
push_shared_stats_ended(struct push_shared_stats *shared, size_t slot);

/* push_shared_stats_restarting - a worker has died, or did not start, and another one is to take its place.
 */
void
push_shared_stats_restarting(struct push_shared_stats *shared);

/* push_shared_stats_set_dropped_lines - how many lines of the log pushd has dropped since it started. */
void
push_shared_stats_set_dropped_lines(struct push_shared_stats *shared, uint64_t count);

/* By a worker */

/*
 * push_shared_stats_join - what pushd gave.
 *
 * Returns NULL where this is no worker of pushd's, or of one of another version.  `*ret_mine`: where to
 * count.
 */
struct push_shared_stats *
push_shared_stats_join(struct push_counts **ret_mine);

/* push_shared_stats_workers - how many share what is for all of them; at least 1. */
uint32_t
push_shared_stats_workers(const struct push_shared_stats *shared);

/* push_shared_stats_rankings_asked - when somebody asked any worker for its channels (channel_list.h); 0:
 * never. */
uint64_t *
push_shared_stats_rankings_asked(struct push_shared_stats *shared);

/* push_shared_stats_put_ranking - show all workers which channels this one has; not sorted. */
void
push_shared_stats_put_ranking(
	struct push_shared_stats *shared, const struct push_ranking *ranking, uint64_t now_us);

/*
 * push_shared_stats_add_rankings - merge what the workers have put there since then.
 *
 * Returns whether each of them has.
 */
bool
push_shared_stats_add_rankings(
	const struct push_shared_stats *shared, uint64_t since_us, struct push_ranking *to);

/* push_shared_stats_leave - unmap.  NULL is allowed. */
void
push_shared_stats_leave(struct push_shared_stats *shared);

/* push_counts_set_process - `now` has been read; the CPU time of those before counts, too. */
void
push_counts_set_process(struct push_counts *counts, const struct push_process *now);

/*
 * push_shared_stats_sum - of all workers that are, and the counters of those that were.
 *
 * What several see of the same Redis is not added up: of servers and peers the most that one sees, of servers
 * that are up the least; the broker is up for all or for none; of times the longest.  The start is that of
 * the first worker.
 */
void
push_shared_stats_sum(const struct push_shared_stats *shared, struct push_counts *ret);

/* push_shared_stats_render - how many workers there are, and which has how many clients. */
void
push_shared_stats_render(const struct push_shared_stats *shared, struct push_buf *to);

#endif
