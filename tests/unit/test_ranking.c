/* The channels with the most subscribers: against a naive twin, in slices, over several processes. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/buf.h"
#include "core/channel.h"
#include "core/hub.h"
#include "core/random.h"
#include "core/ranking.h"

#define NAMES 3000

static void
offer(struct push_ranking *ranking, const char *name, uint64_t subscribers)
{
	push_ranking_offer(ranking, name, strlen(name), subscribers);
}

static void
assert_rendered(struct push_ranking *ranking, const char *expected)
{
	struct push_buf text;

	push_ranking_sort(ranking);
	push_buf_init(&text, 65536);
	push_ranking_render(ranking, &text);
	assert_int_equal(text.size, strlen(expected));
	assert_memory_equal(text.bytes, expected, text.size);
	push_buf_fini(&text);
}

static void
the_most_come_first_and_equal_ones_by_name(void **state)
{
	struct push_ranking *ranking = calloc(1, sizeof(*ranking));

	(void)state;
	assert_rendered(ranking, "[]");
	offer(ranking, "b", 1);
	offer(ranking, "most\"", 9);
	offer(ranking, "a", 1);
	offer(ranking, "ab", 1);
	assert_rendered(ranking,
		"[{\"channel\":\"most\\\"\",\"subscribers\":9},{\"channel\":\"a\",\"subscribers\":1},"
		"{\"channel\":\"ab\",\"subscribers\":1},{\"channel\":\"b\",\"subscribers\":1}]");
	free(ranking);
}

static void
a_long_name_is_cut_between_characters(void **state)
{
	struct push_ranking *ranking = calloc(1, sizeof(*ranking));
	char name[600];

	(void)state;
	memset(name, 'x', sizeof(name));
	push_ranking_offer(ranking, name, PUSH_RANKING_NAME_BYTES_MAX, 3);
	assert_int_equal(ranking->items[0].name_size, PUSH_RANKING_NAME_BYTES_MAX);
	for (size_t i = 0; i + 1 < sizeof(name); i += 2)
		memcpy(name + i, "\xc3\xbc", 2);
	push_ranking_offer(ranking, name, sizeof(name), 2);
	/* 254 bytes of whole characters, and the ellipsis */
	assert_int_equal(ranking->items[1].name_size, 257);
	assert_memory_equal(ranking->items[1].name + 252, "\xc3\xbc\xe2\x80\xa6", 5);
	free(ranking);
}

struct twin {
	char name[8];
	uint64_t subscribers;
};

static int
compare(const void *a, const void *b)
{
	const struct twin *left = a, *right = b;

	if (left->subscribers != right->subscribers)
		return left->subscribers < right->subscribers ? 1 : -1;
	return strcmp(left->name, right->name);
}

static void
assert_is_top_of(struct push_ranking *ranking, struct twin *twins, size_t count)
{
	qsort(twins, count, sizeof(*twins), compare);
	push_ranking_sort(ranking);
	assert_int_equal(ranking->count, PUSH_RANKING_CHANNELS_MAX);
	for (uint32_t i = 0; i < ranking->count; i++) {
		const struct push_ranked *item = &ranking->items[ranking->order[i]];

		assert_int_equal(item->subscribers, twins[i].subscribers);
		assert_int_equal(item->name_size, strlen(twins[i].name));
		assert_memory_equal(item->name, twins[i].name, item->name_size);
	}
}

static void
of_many_the_best_are_kept_whatever_their_order(void **state)
{
	struct push_ranking *ranking = calloc(1, sizeof(*ranking));
	static struct twin twins[NAMES];
	uint64_t seed = 1, random;

	(void)state;
	for (int run = 0; run < 20; run++) {
		random = seed + (uint64_t)run;
		push_ranking_clear(ranking);
		for (size_t i = 0; i < NAMES; i++) {
			/* all alike, rising, falling, and mixed */
			twins[i].subscribers = run == 0   ? 7
					       : run == 1 ? i
					       : run == 2 ? NAMES - i
							  : push_random_upto(&random, 200);
			snprintf(twins[i].name, sizeof(twins[i].name), "n%zu", i);
			offer(ranking, twins[i].name, twins[i].subscribers);
		}
		assert_is_top_of(ranking, twins, NAMES);
	}
	free(ranking);
}

static void
what_several_processes_have_is_added_up(void **state)
{
	struct push_ranking *one = calloc(1, sizeof(*one)), *two = calloc(1, sizeof(*two)),
			    *all = calloc(1, sizeof(*all));

	(void)state;
	offer(one, "both", 3);
	offer(one, "one", 4);
	offer(two, "two", 5);
	offer(two, "both", 3);
	push_ranking_merge(all, one);
	push_ranking_merge(all, two);
	assert_rendered(all,
		"[{\"channel\":\"both\",\"subscribers\":6},{\"channel\":\"two\",\"subscribers\":5},"
		"{\"channel\":\"one\",\"subscribers\":4}]");
	free(one);
	free(two);
	free(all);
}

static void
on_ready(void *context)
{
	(void)context;
}

static struct push_hub *
create_hub(struct push_options *options, struct push_stats *stats)
{
	push_options_init(options);
	return push_hub_create(options, stats, 7, 0, on_ready, NULL);
}

/* Channels that are held, with a count as if there were subscribers. */
static void
hold(struct push_hub *hub, struct push_channel **channels, struct twin *twins, size_t from, size_t until)
{
	for (size_t i = from; i < until; i++) {
		snprintf(twins[i].name, sizeof(twins[i].name), "n%zu", i);
		twins[i].subscribers = i % 997;
		channels[i] = push_hub_hold(hub, twins[i].name, strlen(twins[i].name));
		channels[i]->count = (uint32_t)twins[i].subscribers;
	}
}

static void
release(struct push_hub *hub, struct push_channel **channels, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		channels[i]->count = 0;
		push_hub_release(hub, channels[i]);
	}
}

static void
a_hub_is_looked_at_in_slices_and_anew_after_it_has_grown(void **state)
{
	static struct push_channel *channels[NAMES * 2];
	static struct twin twins[NAMES * 2];
	struct push_ranking_scan *scan = calloc(1, sizeof(*scan));
	struct push_stats stats = {0};
	struct push_options options;
	struct push_hub *hub = create_hub(&options, &stats);
	int slices = 0;

	(void)state;
	hold(hub, channels, twins, 0, NAMES);
	assert_false(push_hub_rank(hub, scan));
	assert_in_range(scan->bucket, 1, PUSH_RANKING_SLICE_MAX);
	/* its buckets are others now */
	hold(hub, channels, twins, NAMES, 2 * NAMES);
	while (!push_hub_rank(hub, scan))
		slices++;
	assert_in_range(slices, 2 * NAMES / PUSH_RANKING_SLICE_MAX, 20);
	assert_is_top_of(&scan->ranking, twins, 2 * NAMES);
	release(hub, channels, 2 * NAMES);
	push_hub_destroy(hub);
	free(scan);
}

static void
channels_without_subscribers_are_not_listed(void **state)
{
	struct push_ranking_scan *scan = calloc(1, sizeof(*scan));
	struct push_stats stats = {0};
	struct push_options options;
	struct push_hub *hub = create_hub(&options, &stats);
	struct push_channel *channel = push_hub_hold(hub, "empty", 5);

	(void)state;
	assert_true(push_hub_rank(hub, scan));
	assert_rendered(&scan->ranking, "[]");
	push_hub_release(hub, channel);
	push_hub_destroy(hub);
	free(scan);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_most_come_first_and_equal_ones_by_name),
		cmocka_unit_test(a_long_name_is_cut_between_characters),
		cmocka_unit_test(of_many_the_best_are_kept_whatever_their_order),
		cmocka_unit_test(what_several_processes_have_is_added_up),
		cmocka_unit_test(a_hub_is_looked_at_in_slices_and_anew_after_it_has_grown),
		cmocka_unit_test(channels_without_subscribers_are_not_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
