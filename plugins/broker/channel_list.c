/* channel_list.c - see channel_list.h. */
#include <stdlib.h>

#include "channel_list.h"
#include "core/buf.h"
#include "shared_stats.h"

/* How long a question counts: longer than the console waits between two. */
#define ASKED_US 10000000ull

/* The pause between two scans. */
#define PAUSE_US 1000000ull

/* A list that is older is not shown: a scan of a million channels takes some seconds. */
#define FRESH_US 30000000ull

void
push_channel_list_init(
	struct push_channel_list *list, const struct push_hub *hub, struct push_shared_stats *shared)
{
	*list = (struct push_channel_list){.hub = hub, .shared = shared};
}

static void
forget(struct push_channel_list *list)
{
	free(list->scan);
	free(list->found);
	list->scan = NULL;
	list->found = NULL;
	list->found_us = 0;
}

void
push_channel_list_fini(struct push_channel_list *list)
{
	forget(list);
}

static uint64_t *
asked(struct push_channel_list *list)
{
	return list->shared ? push_shared_stats_rankings_asked(list->shared) : &list->asked_us;
}

static bool
is_asked(struct push_channel_list *list, uint64_t now_us)
{
	uint64_t when = __atomic_load_n(asked(list), __ATOMIC_RELAXED);

	return when && now_us < when + ASKED_US;
}

/* Returns false where memory is out. */
static bool
begin(struct push_channel_list *list)
{
	if (!list->scan)
		list->scan = calloc(1, sizeof(*list->scan));
	if (!list->found)
		list->found = calloc(1, sizeof(*list->found));
	return list->scan && list->found;
}

static void
look(struct push_channel_list *list, uint64_t now_us)
{
	if (now_us < list->due_us || !push_hub_rank(list->hub, list->scan))
		return;
	*list->found = list->scan->ranking;
	list->found_us = now_us;
	list->due_us = now_us + PAUSE_US;
	list->scan->bucket_count = 0; /* begin anew */
	if (list->shared)
		push_shared_stats_put_ranking(list->shared, list->found, now_us);
}

void
push_channel_list_tick(struct push_channel_list *list, uint64_t now_us)
{
	if (!is_asked(list, now_us))
		forget(list);
	else if (begin(list))
		look(list, now_us);
}

/* What is known of all processes.  Returns whether that is all. */
static bool
add_up(const struct push_channel_list *list, uint64_t now_us, struct push_ranking *to)
{
	uint64_t since_us = now_us > FRESH_US ? now_us - FRESH_US : 1;

	if (list->shared)
		return push_shared_stats_add_rankings(list->shared, since_us, to);
	if (list->found_us < since_us) {
		push_ranking_merge(to, &list->scan->ranking);
		return false;
	}
	push_ranking_merge(to, list->found);
	return true;
}

void
push_channel_list_render(struct push_channel_list *list, uint64_t now_us, struct push_buf *to)
{
	struct push_ranking *all = calloc(1, sizeof(*all));
	bool is_complete = false;

	__atomic_store_n(asked(list), now_us, __ATOMIC_RELAXED);
	/* a server with few channels has its answer at once */
	if (all && begin(list)) {
		look(list, now_us);
		is_complete = add_up(list, now_us, all);
		push_ranking_sort(all);
	}
	push_buf_append_text(to, "{\"channels\":");
	if (all)
		push_ranking_render(all, to);
	else
		push_buf_append_text(to, "[]");
	push_buf_append_text(to, is_complete ? ",\"complete\":true}" : ",\"complete\":false}");
	free(all);
}
