/*
 * relief.h - what gives way when memory is short (core/memory.h), and the heap's way back to the system.
 *
 * Once a turn, while over seven eighths of push.memory.max are in use:
 *
 *   1. slow subscribers, those with the largest queues first,
 *      then those with the most messages not acknowledged        closed with 1013
 *   2. connections whose clients do not end a body or a
 *      message, or do not read answers, the oldest first         503, 1013, or closed
 *   3. messages of history, the oldest of all channels first     a client that needs one is sent `gap`
 *   4. publishes, once all of the budget is in use               503 (message.c, request/body.c)
 *
 * Each only while what it can free is more than an eighth of the budget (push_memory_gives()), so that no
 * client is closed for what history takes.  All are counted: push_memory_relieved_total.
 *
 * malloc keeps what is freed for itself as long as something above it in the heap is in use: after a burst
 * that may be all of it, for ever.  So it is trimmed when much was freed since the last time.
 */
#ifndef PUSH_BROKER_RELIEF_H
#define PUSH_BROKER_RELIEF_H

#include <stdint.h>

#include "core/memory.h"
#include "core/stats.h"

struct push_broker_sockets;
struct push_hub;

struct push_relief {
	struct push_hub *hub;       /* borrowed, as all here */
	struct push_memory *memory; /* the hub's */
	struct push_stats *stats;
	uint64_t trim_due_us; /* when the heap is looked at next */
	uint64_t in_use_most; /* bytes, since the heap was trimmed */
};

/*
 * push_relief_init - take over the hub's budget.
 *
 * @budget: push.memory.max (push_budget_bytes()).  @worker_count: processes that share it.
 */
void
push_relief_init(struct push_relief *relief, struct push_hub *hub, struct push_stats *stats, uint64_t budget,
	uint32_t worker_count);

/* push_relief_run - free what is to be freed, a bounded part of it.  @sockets: NULL: there are none. */
void
push_relief_run(struct push_relief *relief, const struct push_broker_sockets *sockets, uint64_t now_us);

/* push_relief_tick - trim the heap now and then.  @connections: of which each takes a little, too. */
void
push_relief_tick(struct push_relief *relief, uint64_t connections, uint64_t now_us);

/* push_relief_count - bring what is in use into the stats. */
void
push_relief_count(struct push_relief *relief);

#endif
