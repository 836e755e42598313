/* ranking.c - see ranking.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "hub_private.h"
#include "json.h"
#include "push_assert.h"
#include "ranking.h"
#include "utf8.h"

#define ELLIPSIS "\xe2\x80\xa6"

void
push_ranking_clear(struct push_ranking *ranking)
{
	ranking->count = 0;
}

/* Of two equal ones the name decides, so that a list does not change from one look to the next. */
static bool
is_less(const struct push_ranked *a, const struct push_ranked *b)
{
	size_t size = a->name_size < b->name_size ? a->name_size : b->name_size;
	int names;

	if (a->subscribers != b->subscribers)
		return a->subscribers < b->subscribers;
	names = memcmp(a->name, b->name, size);
	return names ? names > 0 : a->name_size > b->name_size;
}

static bool
comes_first(const struct push_ranking *ranking, uint32_t i, uint32_t j)
{
	return is_less(&ranking->items[ranking->order[i]], &ranking->items[ranking->order[j]]);
}

static void
swap(struct push_ranking *ranking, uint32_t i, uint32_t j)
{
	uint32_t kept = ranking->order[i];

	ranking->order[i] = ranking->order[j];
	ranking->order[j] = kept;
}

static void
sift_up(struct push_ranking *ranking, uint32_t at)
{
	while (at > 0) {
		uint32_t above = (at - 1) / 2;

		if (!comes_first(ranking, at, above))
			return;
		swap(ranking, at, above);
		at = above;
	}
}

static void
sift_down(struct push_ranking *ranking, uint32_t at, uint32_t count)
{
	for (;;) {
		uint32_t least = at;

		for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++)
			if (comes_first(ranking, child, least))
				least = child;
		if (least == at)
			return;
		swap(ranking, at, least);
		at = least;
	}
}

static void
set(struct push_ranked *item, const char *name, size_t size, uint64_t subscribers)
{
	size_t room = sizeof(item->name) - (sizeof(ELLIPSIS) - 1);

	item->subscribers = subscribers;
	if (size <= sizeof(item->name)) {
		item->name_size = (uint32_t)size;
		memcpy(item->name, name, size);
		return;
	}
	size = push_utf8_cut(name, size, room);
	memcpy(item->name, name, size);
	memcpy(item->name + size, ELLIPSIS, sizeof(ELLIPSIS) - 1);
	item->name_size = (uint32_t)(size + sizeof(ELLIPSIS) - 1);
}

void
push_ranking_offer(struct push_ranking *ranking, const char *name, size_t size, uint64_t subscribers)
{
	struct push_ranked fresh;
	uint32_t place;

	if (ranking->count == PUSH_RANKING_CHANNELS_MAX) {
		place = ranking->order[0];
		if (subscribers < ranking->items[place].subscribers)
			return;
		set(&fresh, name, size, subscribers);
		if (!is_less(&ranking->items[place], &fresh))
			return;
		ranking->items[place] = fresh;
		sift_down(ranking, 0, ranking->count);
		return;
	}
	place = ranking->count++;
	set(&ranking->items[place], name, size, subscribers);
	ranking->order[place] = place;
	sift_up(ranking, place);
}

/* The place in `order` of a name; the number of all if it is not there. */
static uint32_t
find(const struct push_ranking *ranking, const struct push_ranked *wanted)
{
	uint32_t at = 0;

	for (; at < ranking->count; at++) {
		const struct push_ranked *item = &ranking->items[ranking->order[at]];

		if (item->name_size == wanted->name_size &&
			!memcmp(item->name, wanted->name, item->name_size))
			break;
	}
	return at;
}

void
push_ranking_merge(struct push_ranking *to, const struct push_ranking *from)
{
	for (uint32_t i = 0; i < from->count; i++) {
		const struct push_ranked *item = &from->items[i];
		uint32_t at = find(to, item);

		if (at == to->count) {
			push_ranking_offer(to, item->name, item->name_size, item->subscribers);
			continue;
		}
		to->items[to->order[at]].subscribers += item->subscribers;
		sift_down(to, at, to->count);
	}
}

/* Heapsort: each time the fewest of those that are left goes behind them. */
void
push_ranking_sort(struct push_ranking *ranking)
{
	for (uint32_t left = ranking->count; left > 1; left--) {
		swap(ranking, 0, left - 1);
		sift_down(ranking, 0, left - 1);
	}
}

void
push_ranking_render(const struct push_ranking *ranking, struct push_buf *to)
{
	push_buf_append_text(to, "[");
	for (uint32_t i = 0; i < ranking->count; i++) {
		const struct push_ranked *item = &ranking->items[ranking->order[i]];

		push_buf_append_text(to, i ? ",{\"channel\":" : "{\"channel\":");
		push_json_append_string(to, item->name, item->name_size);
		push_buf_printf(to, ",\"subscribers\":%" PRIu64 "}", item->subscribers);
	}
	push_buf_append_text(to, "]");
}

bool
push_hub_rank(const struct push_hub *hub, struct push_ranking_scan *scan)
{
	const struct push_channel_map *map = &hub->channels;

	if (scan->bucket_count != map->bucket_count) {
		scan->bucket = 0;
		scan->bucket_count = map->bucket_count;
		push_ranking_clear(&scan->ranking);
	}
	for (size_t seen = 0; scan->bucket < scan->bucket_count && seen < PUSH_RANKING_SLICE_MAX; seen++) {
		const struct push_channel *channel = map->buckets[scan->bucket++];

		for (; channel; channel = channel->next, seen++)
			if (channel->count)
				push_ranking_offer(
					&scan->ranking, channel->name, channel->name_size, channel->count);
	}
	return scan->bucket == scan->bucket_count;
}
