/* The segment's log, channels and history: several workers of one process over one memory. */
#include "segment_world.h"

static void
test_a_message_reaches_every_worker_with_subscribers_and_is_counted_for_all(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	struct push_segment_published done;
	struct push_segment_item item;

	(void)state;
	subscribe(world, 0, "a", 2);
	subscribe(world, 1, "a", 3);
	done = publish(world, 0, "a", "\"hello\"");
	assert_int_equal(done.subscribers, 5);
	assert_int_equal(done.others, 1 << 1);
	assert_true(done.in_log);
	assert_reads(world, 0, "a", "\"hello\"");
	assert_reads(world, 1, "a", "\"hello\"");
	assert_int_equal(push_segment_read(world->workers[2], &world->buf, &item), PUSH_SEGMENT_OTHERS);
	assert_reads_nothing(world, 2);
	end_world(world);
}

static void
test_what_only_its_own_worker_has_subscribers_for_takes_no_room(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	struct push_segment_published done;

	(void)state;
	subscribe(world, 0, "a", 2);
	done = publish(world, 0, "a", "1");
	assert_int_equal(done.subscribers, 2);
	assert_false(done.in_log);
	assert_reads_nothing(world, 0);
	assert_int_equal(publish(world, 1, "b", "1").subscribers, 0);
	end_world(world);
}

static void
test_all_workers_read_in_the_one_order_of_the_log(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	char value[8];

	(void)state;
	for (int w = 0; w < WORKERS; w++)
		subscribe(world, w, "a", 1);
	for (int i = 0; i < 30; i++) {
		snprintf(value, sizeof(value), "%d", i);
		(void)publish(world, i % WORKERS, "a", value);
	}
	for (int w = 0; w < WORKERS; w++) {
		for (int i = 0; i < 30; i++) {
			snprintf(value, sizeof(value), "%d", i);
			assert_reads(world, w, "a", value);
		}
		assert_reads_nothing(world, w);
	}
	end_world(world);
}

static void
test_messages_of_any_size_come_out_as_they_went_in(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	char name[700], *value = malloc(70000);

	(void)state;
	assert_non_null(value);
	for (size_t i = 0; i < 70000; i++)
		value[i] = (char)(' ' + i * 7 % 90);
	for (size_t size = 1; size < 70000; size += size < 300 ? 1 : 7777) {
		size_t name_size = 1 + size % (sizeof(name) - 1);
		struct push_segment_published done;
		struct push_segment_item item;

		memset(name, 'n', name_size);
		name[name_size] = '\0';
		subscribe(world, 1, name, 1);
		assert_int_equal(
			try_publish(world, 0,
				(struct publish){.name = name, .value = value, .value_size = size}, &done),
			PUSH_OK);
		assert_int_equal(push_segment_read(world->workers[1], &world->buf, &item), PUSH_SEGMENT_ITEM);
		assert_int_equal(item.value_size, size);
		assert_memory_equal(item.value, value, size);
		assert_int_equal(item.name_size, name_size);
		assert_memory_equal(item.name, name, name_size);
		subscribe(world, 1, name, 0);
	}
	assert_int_equal(world->of_pushd->header->channels, 0);
	free(value);
	end_world(world);
}

static void
test_a_worker_that_is_too_slow_is_told_that_it_missed_some(void **state)
{
	struct world *world = make_world(16, 1 << 20, 0);
	struct push_segment_item item;

	(void)state;
	subscribe(world, 1, "a", 1);
	for (int i = 0; i < 40; i++)
		(void)publish(world, 0, "a", "1");
	assert_int_equal(push_segment_read(world->workers[1], &world->buf, &item), PUSH_SEGMENT_OVERRUN);
	lock(world->workers[1]);
	push_segment_catch_up(world->workers[1]);
	push_segment_unlock(world->workers[1]);
	assert_reads_nothing(world, 1);
	(void)publish(world, 0, "a", "2");
	assert_reads(world, 1, "a", "2");
	end_world(world);
}

static void
test_what_all_have_read_is_freed(void **state)
{
	struct world *world = make_world(1024, 1 << 20, 0);
	struct push_segment_figures figures;

	(void)state;
	subscribe(world, 1, "a", 1);
	for (int i = 0; i < 5000; i++) {
		struct push_segment_item item;

		(void)publish(world, 0, "a", "1");
		assert_reads(world, 1, "a", "1");
		(void)push_segment_read(world->workers[0], &world->buf, &item);
		(void)push_segment_read(world->workers[2], &world->buf, &item);
	}
	push_segment_figures(world->of_pushd, &figures);
	assert_true(figures.log_messages < 200);
	assert_true(world->of_pushd->header->fresh < 300);
	end_world(world);
}

struct seen {
	char text[256];
	uint64_t first, last;
};

static bool
see(void *context, const struct push_segment_item *item)
{
	struct seen *seen = context;
	size_t used = strlen(seen->text);

	snprintf(seen->text + used, sizeof(seen->text) - used, "%.*s ", (int)item->value_size, item->value);
	if (!seen->first)
		seen->first = item->number;
	seen->last = item->number;
	return true;
}

static struct push_segment_kept
kept(struct world *world, int worker, const char *name, struct seen *seen, bool newest_first)
{
	struct push_segment *segment = world->workers[worker];
	uint64_t hash = push_segment_hash(segment, name, strlen(name));
	struct push_segment_kept ret;
	uint32_t channel;

	*seen = (struct seen){.first = 0};
	lock(segment);
	channel = push_segment_channel_find(segment, name, strlen(name), hash, 0);
	assert_true(push_segment_history_read(segment, channel, 0, UINT64_MAX, newest_first, 1000, 1 << 20,
		NULL, &world->buf, world->now_us, see, seen));
	push_segment_kept(segment, channel, hash, &ret);
	push_segment_unlock(segment);
	return ret;
}

static void
test_history_is_kept_once_and_read_by_any_worker_in_both_directions(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	struct push_segment_kept channel;
	struct seen seen;

	(void)state;
	assert_int_equal(keep(world, 0, "h", "1", 3).number, 1);
	assert_int_equal(keep(world, 1, "h", "2", 3).before, 1);
	(void)keep(world, 2, "other", "x", 3);
	assert_int_equal(keep(world, 0, "h", "3", 3).before, 2);
	channel = kept(world, 2, "h", &seen, false);
	assert_string_equal(seen.text, "1 2 3 ");
	assert_int_equal(channel.oldest, 1);
	assert_int_equal(channel.newest, 4);
	(void)keep(world, 1, "h", "4", 3);
	channel = kept(world, 0, "h", &seen, true);
	assert_string_equal(seen.text, "4 3 2 ");
	assert_int_equal(channel.after, 1);
	assert_int_equal(channel.dropped, 1);
	/* that is no want of room */
	assert_int_equal(world->of_pushd->header->dropped_messages, 0);
	end_world(world);
}

static void
test_history_leaves_when_it_is_too_old(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	struct push_segment_kept channel;
	struct seen seen;
	uint32_t bucket = 0;

	(void)state;
	(void)keep(world, 0, "h", "1", 100);
	world->now_us += 40000000;
	(void)keep(world, 0, "h", "2", 100);
	world->now_us += 40000000;
	channel = kept(world, 0, "h", &seen, false);
	assert_string_equal(seen.text, "2 ");
	assert_int_equal(channel.after, 1);
	world->now_us += 40000000;
	lock(world->workers[0]);
	push_segment_expire(world->workers[0], &bucket, PUSH_SEGMENT_BUCKETS, world->now_us);
	push_segment_unlock(world->workers[0]);
	assert_int_equal(world->of_pushd->header->channels, 0);
	/* where it was is remembered */
	channel = kept(world, 0, "h", &seen, false);
	assert_int_equal(channel.after, 2);
	end_world(world);
}

static void
test_the_oldest_of_all_leave_when_memory_is_used_up_and_nothing_else_is_lost(void **state)
{
	struct world *world = make_world(64, 10 * PUSH_SEGMENT_BLOCK_BYTES, 0);
	struct push_segment_figures figures;
	char name[16];
	struct seen seen;

	(void)state;
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		(void)keep(world, 0, name, "1", 100);
	}
	push_segment_figures(world->of_pushd, &figures);
	assert_int_equal(figures.history_messages, 10);
	assert_int_equal(figures.history_dropped, 40);
	assert_int_equal(figures.history_bytes, 10 * PUSH_SEGMENT_BLOCK_BYTES);
	(void)kept(world, 1, "h39", &seen, false);
	assert_string_equal(seen.text, "");
	(void)kept(world, 1, "h40", &seen, false);
	assert_string_equal(seen.text, "1 ");
	end_world(world);
}

static void
test_a_full_segment_lets_history_give_way_to_what_is_published(void **state)
{
	struct world *world = make_world(64, 1 << 30, 2 * PUSH_SEGMENT_STEP_BYTES);
	char *value = malloc(100000);

	(void)state;
	assert_non_null(value);
	memset(value, 'v', 100000);
	for (int i = 0; i < 100; i++) {
		struct push_segment_published done;

		assert_int_equal(
			try_publish(world, 0,
				(struct publish){
					.name = "h", .value = value, .value_size = 100000, .keep = 1000},
				&done),
			PUSH_OK);
	}
	assert_true(world->of_pushd->header->history_messages > 10);
	assert_true(world->of_pushd->header->history_messages < 30);
	free(value);
	end_world(world);
}

static void
test_more_workers_than_fit_into_a_channels_block_are_counted(void **state)
{
	struct push_segment_settings settings = {.history_bytes_max = 1 << 20, .epoch = 1, .seed = 5};
	struct push_error error = {""};
	struct push_segment *pushd = push_segment_create(&settings, &error);
	struct push_segment *workers[PUSH_SEGMENT_SLOTS_MAX];
	uint64_t mask, hash;
	uint32_t hint;

	(void)state;
	assert_non_null(pushd);
	hash = push_segment_hash(pushd, "a", 1);
	for (unsigned int i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++) {
		workers[i] = push_segment_attach(dup(push_segment_fd(pushd)), &error);
		assert_non_null(workers[i]);
		push_segment_be(workers[i], i);
		lock(workers[i]);
		assert_int_equal(push_segment_join(workers[i], i, "node", 0), PUSH_OK);
		hint = 0;
		assert_int_equal(push_segment_set_count(workers[i], "a", 1, hash, i + 1, &hint), PUSH_OK);
		push_segment_unlock(workers[i]);
	}
	lock(workers[0]);
	assert_int_equal(push_segment_subscribers(workers[0], hint, &mask), 64 * 65 / 2);
	assert_true(mask == UINT64_MAX);
	push_segment_unlock(workers[0]);
	for (unsigned int i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++) {
		push_segment_leave(workers[i]);
		push_segment_detach(workers[i]);
	}
	assert_int_equal(pushd->header->channels, 0);
	/* blocks that were taken are free again */
	assert_int_equal(pushd->header->free_count + 1, pushd->header->fresh);
	push_segment_detach(pushd);
}

static void
test_letters_reach_those_they_are_for(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	struct push_segment_letter letter = {.verb = PUSH_SEGMENT_CALL,
		.mask = 1 << 2 | 1 << 9,
		.number = 77,
		.name = "renew",
		.name_size = 5,
		.value = "text",
		.value_size = 4};
	struct push_segment_item item;
	uint64_t mask;

	(void)state;
	lock(world->workers[0]);
	assert_int_equal(push_segment_send(world->workers[0], &letter, world->now_us, &mask), PUSH_OK);
	push_segment_unlock(world->workers[0]);
	assert_int_equal(mask, 1 << 2);
	assert_int_equal(push_segment_read(world->workers[1], &world->buf, &item), PUSH_SEGMENT_OTHERS);
	assert_int_equal(push_segment_read(world->workers[2], &world->buf, &item), PUSH_SEGMENT_ITEM);
	assert_int_equal(item.verb, PUSH_SEGMENT_CALL);
	assert_int_equal(item.number, 77);
	assert_int_equal(item.slot, 0);
	assert_memory_equal(item.name, "renew", 5);
	assert_memory_equal(item.value, "text", 4);
	end_world(world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_reaches_every_worker_with_subscribers_and_is_counted_for_all),
		cmocka_unit_test(test_what_only_its_own_worker_has_subscribers_for_takes_no_room),
		cmocka_unit_test(test_all_workers_read_in_the_one_order_of_the_log),
		cmocka_unit_test(test_messages_of_any_size_come_out_as_they_went_in),
		cmocka_unit_test(test_a_worker_that_is_too_slow_is_told_that_it_missed_some),
		cmocka_unit_test(test_what_all_have_read_is_freed),
		cmocka_unit_test(test_history_is_kept_once_and_read_by_any_worker_in_both_directions),
		cmocka_unit_test(test_history_leaves_when_it_is_too_old),
		cmocka_unit_test(
			test_the_oldest_of_all_leave_when_memory_is_used_up_and_nothing_else_is_lost),
		cmocka_unit_test(test_a_full_segment_lets_history_give_way_to_what_is_published),
		cmocka_unit_test(test_more_workers_than_fit_into_a_channels_block_are_counted),
		cmocka_unit_test(test_letters_reach_those_they_are_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
