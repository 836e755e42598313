/*
 * channel_list.h - the channels with the most subscribers, for operators (push.channels.list).
 *
 * Nothing is done while nobody asks.  Once somebody has asked, each worker looks at its channels, a slice in
 * each tick (core/ranking.h), and again a second after it has seen all, until nobody has asked for a while.
 * Its list lies in the memory that workers share (shared_stats.h): the one that is asked adds all of them up.
 * So the first answer may lack what has not been looked at yet, and says so.
 */
#ifndef PUSH_BROKER_CHANNEL_LIST_H
#define PUSH_BROKER_CHANNEL_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ranking.h"

struct push_buf;
struct push_hub;
struct push_shared_stats;

struct push_channel_list {
	const struct push_hub *hub;
	struct push_shared_stats *shared; /* NULL: the only process */
	uint64_t asked_us;                /* when somebody did; shared: that of all processes counts */
	uint64_t due_us;                  /* when the next scan begins */
	uint64_t found_us;                /* when `found` was whole; 0: never */
	struct push_ranking_scan *scan;   /* owned; NULL while nobody asks */
	struct push_ranking *found;       /* owned; likewise */
};

/* push_channel_list_init - @shared: NULL where the process is the only one. */
void
push_channel_list_init(
	struct push_channel_list *list, const struct push_hub *hub, struct push_shared_stats *shared);

void
push_channel_list_fini(struct push_channel_list *list);

/* push_channel_list_tick - look at a slice, if somebody has asked.  Called every PUSH_TICK_US. */
void
push_channel_list_tick(struct push_channel_list *list, uint64_t now_us);

/*
 * push_channel_list_render - append
 *   {"channels":[{"channel":"a","subscribers":2},...],"complete":true}
 *
 * with the most subscribers first, at most PUSH_RANKING_CHANNELS_MAX.  `complete`: every worker has seen all
 * of its channels.  Where memory is out, the list is empty and incomplete.
 */
void
push_channel_list_render(struct push_channel_list *list, uint64_t now_us, struct push_buf *to);

#endif
