/*
 * ranking.h - which channels have the most subscribers, for people who look.
 *
 * There may be a million channels, so nothing here is kept while nobody looks, and the event loop is never
 * held up: a scan goes through the hub's channels in slices, and keeps the best so far in a heap.
 *
 *   order[0] ─▶ the one with the fewest     order: a heap of places in items, the fewest at the top;
 *   order[1]    ...                         push_ranking_sort() makes a list of it, the most first
 *
 * Names are copied: a channel may go between two slices.  Counts are of the moment at which the scan came by.
 */
#ifndef PUSH_CORE_RANKING_H
#define PUSH_CORE_RANKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"

struct push_buf;
struct push_hub;

struct push_ranked {
	uint64_t subscribers;
	uint32_t name_size;
	char name[PUSH_RANKING_NAME_BYTES_MAX];
};

struct push_ranking {
	uint32_t count;
	uint32_t order[PUSH_RANKING_CHANNELS_MAX];
	struct push_ranked items[PUSH_RANKING_CHANNELS_MAX];
};

/* A scan that is under way; all zero: not begun. */
struct push_ranking_scan {
	size_t bucket, bucket_count; /* of the hub's map; it begins anew if that has grown */
	struct push_ranking ranking;
};

/* push_ranking_clear - of no channels. */
void
push_ranking_clear(struct push_ranking *ranking);

/* push_ranking_offer - a channel with subscribers: kept if it is among the best so far. */
void
push_ranking_offer(struct push_ranking *ranking, const char *name, size_t size, uint64_t subscribers);

/*
 * push_ranking_merge - add what another process has: a name in both counts once, with both's subscribers.
 * Before push_ranking_sort().
 *
 * The last ones of the list may have more than it says: a process keeps those that are its own best.
 */
void
push_ranking_merge(struct push_ranking *to, const struct push_ranking *from);

/* push_ranking_sort - the most subscribers first, then by name; nothing may be offered afterwards. */
void
push_ranking_sort(struct push_ranking *ranking);

/* push_ranking_render - of a sorted one, append `[{"channel":"a","subscribers":2},...]`. */
void
push_ranking_render(const struct push_ranking *ranking, struct push_buf *to);

/* push_hub_rank - look at one slice more.  Returns true when scan->ranking has seen all; not sorted. */
bool
push_hub_rank(const struct push_hub *hub, struct push_ranking_scan *scan);

#endif
