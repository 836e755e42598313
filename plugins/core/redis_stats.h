/*
 * redis_stats.h - what the engine with Redis behind it counts, and its form for Prometheus.
 */
#ifndef PUSH_CORE_REDIS_STATS_H
#define PUSH_CORE_REDIS_STATS_H

#include <stdint.h>

#include "buf.h"

/* Round trips are counted by powers of two: bucket i holds those below 2^i * 64 us, 64 us to 8.4 s. */
#define PUSH_REDIS_TRIP_BUCKET_COUNT 18
#define PUSH_REDIS_TRIP_FIRST_BITS   6

struct push_redis_stats {
	/* now */
	uint64_t nodes, nodes_up; /* servers that are responsible for channels */
	uint64_t channels;        /* subscribed, or to be */
	uint64_t channels_live;   /* confirmed */
	uint64_t commands;        /* in flight */
	uint64_t publishes_waiting;
	uint64_t peers;          /* other Push nodes that are alive */
	uint64_t resubscribe_us; /* from the last connection to the last confirmation */
	/* since the start */
	uint64_t connects, failures; /* connections that came up, and that were lost or did not come up */
	uint64_t messages;           /* from Redis, for channels of ours */
	uint64_t holes; /* messages in front of which others were missing, so that they were fetched */
	uint64_t messages_lost; /* for want of memory; a gap was told */
	uint64_t replaced;      /* messages with bytes that are no UTF-8 */
	uint64_t publishes_waited, publishes_uncertain;
	uint64_t command_errors;
	uint64_t unkept;                   /* messages of channels with history that Redis refused to keep */
	uint64_t history_channels_dropped; /* channels whose history made room for others */
	uint64_t counts_forgotten; /* numbers of clients that Redis did not have any more, and was told again
				    */
	uint64_t gaps;             /* channels that came back after a loss */
	uint64_t probes_lost;
	uint64_t topology_changes;
	uint64_t trip_buckets[PUSH_REDIS_TRIP_BUCKET_COUNT + 1]; /* the last one: longer than all */
	uint64_t trip_sum_us;
};

/* push_stats_redis_round_trip - count one command, from written to answered. */
static inline void
push_stats_redis_round_trip(struct push_redis_stats *stats, uint64_t us)
{
	uint64_t scaled = us >> PUSH_REDIS_TRIP_FIRST_BITS;
	unsigned int bucket = scaled ? 64u - (unsigned int)__builtin_clzll(scaled) : 0;

	stats->trip_buckets[bucket < PUSH_REDIS_TRIP_BUCKET_COUNT ? bucket : PUSH_REDIS_TRIP_BUCKET_COUNT]++;
	stats->trip_sum_us += us;
}

/* push_redis_stats_render - as Prometheus text, appended to `to`.  Failure shows in to->status. */
void
push_redis_stats_render(const struct push_redis_stats *stats, struct push_buf *to);

#endif
