/* Values and notices in the segment: limits, order of leaving, expiry, and that all workers see the same. */
#include "segment/values.h"
#include "segment_world.h"

#define HOUR_US 3600000000ull

static enum push_status
put(struct world *world, int worker, const char *name, const void *value, size_t size, uint64_t ttl_us)
{
	enum push_status status;

	lock(world->workers[worker]);
	status = push_segment_value_put(
		world->workers[worker], name, strlen(name), value, size, ttl_us, world->now_us);
	push_segment_unlock(world->workers[worker]);
	return status;
}

static void
put_text(struct world *world, int worker, const char *name, const char *value)
{
	assert_int_equal(put(world, worker, name, value, strlen(value), HOUR_US), PUSH_OK);
}

static enum push_status
get(struct world *world, int worker, const char *name)
{
	enum push_status status;

	push_buf_clear(&world->buf);
	lock(world->workers[worker]);
	status = push_segment_value_get(
		world->workers[worker], name, strlen(name), world->now_us, &world->buf);
	push_segment_unlock(world->workers[worker]);
	return status;
}

static void
assert_value(struct world *world, int worker, const char *name, const char *value)
{
	assert_int_equal(get(world, worker, name), PUSH_OK);
	assert_int_equal(world->buf.size, strlen(value));
	assert_memory_equal(world->buf.bytes, value, world->buf.size);
}

static struct push_segment_figures
figures(struct world *world)
{
	struct push_segment_figures ret;

	push_segment_figures(world->of_pushd, &ret);
	return ret;
}

/* Blocks that somebody has. */
static uint32_t
used_blocks(const struct world *world)
{
	return world->of_pushd->header->fresh - world->of_pushd->header->free_count;
}

static void
test_a_value_is_what_any_worker_put_last(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);

	(void)state;
	assert_int_equal(get(world, 1, "a"), PUSH_NOT_FOUND);
	put_text(world, 0, "a", "one");
	put_text(world, 0, "b", "other");
	assert_value(world, 1, "a", "one");
	put_text(world, 2, "a", "two");
	assert_value(world, 0, "a", "two");
	assert_value(world, 0, "b", "other");
	assert_int_equal(put(world, 0, "empty", NULL, 0, HOUR_US), PUSH_OK);
	assert_value(world, 1, "empty", "");
	assert_int_equal(figures(world).values, 3);
	end_world(world);
}

static void
test_forgotten_values_leave_nothing(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	char name[] = "name0";

	(void)state;
	for (int i = 0; i < 10; i++) {
		name[4] = (char)('0' + i);
		put_text(world, i % WORKERS, name,
			"some value that takes more than the first block of its record");
		put_text(world, i % WORKERS, name, "another");
	}
	for (int i = 0; i < 10; i++) {
		name[4] = (char)('0' + (i * 7 + 3) % 10);
		assert_int_equal(put(world, i % WORKERS, name, NULL, 0, 0), PUSH_OK);
		assert_int_equal(put(world, i % WORKERS, name, NULL, 0, 0), PUSH_OK);
		assert_int_equal(get(world, 0, name), PUSH_NOT_FOUND);
	}
	assert_int_equal(figures(world).values, 0);
	assert_int_equal(figures(world).value_bytes, 0);
	assert_int_equal(used_blocks(world), 1);
	assert_int_equal(world->of_pushd->header->value_oldest, 0);
	assert_int_equal(world->of_pushd->header->value_newest, 0);
	end_world(world);
}

static void
test_values_of_the_largest_size_are_kept_and_larger_ones_refused(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	char name[PUSH_VALUE_NAME_BYTES_MAX + 2], *value = calloc(1, PUSH_VALUE_BYTES_MAX + 1);

	(void)state;
	assert_non_null(value);
	memset(value, 'v', PUSH_VALUE_BYTES_MAX + 1);
	memset(name, 'n', sizeof(name));
	name[PUSH_VALUE_NAME_BYTES_MAX + 1] = '\0';
	assert_int_equal(put(world, 0, name, "", 0, HOUR_US), PUSH_TOO_LARGE);
	name[PUSH_VALUE_NAME_BYTES_MAX] = '\0';
	assert_int_equal(put(world, 0, name, value, PUSH_VALUE_BYTES_MAX, HOUR_US), PUSH_OK);
	assert_int_equal(put(world, 0, name, value, PUSH_VALUE_BYTES_MAX + 1, HOUR_US), PUSH_TOO_LARGE);
	assert_int_equal(get(world, 1, name), PUSH_OK);
	assert_int_equal(world->buf.size, PUSH_VALUE_BYTES_MAX);
	assert_memory_equal(world->buf.bytes, value, PUSH_VALUE_BYTES_MAX);
	free(value);
	end_world(world);
}

static void
test_past_the_number_of_values_the_oldest_leaves(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	char name[16];

	(void)state;
	for (int i = 0; i <= PUSH_VALUES_MAX; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		put_text(world, 0, name, "1");
		/* put again, one is the newest */
		if (i == 1)
			put_text(world, 0, "v0", "again");
	}
	assert_int_equal(figures(world).values, PUSH_VALUES_MAX);
	assert_int_equal(get(world, 0, "v1"), PUSH_NOT_FOUND);
	assert_value(world, 0, "v0", "again");
	assert_value(world, 0, "v2", "1");
	end_world(world);
}

static void
test_past_the_bytes_of_values_the_oldest_leave(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	char name[16], *value = calloc(1, PUSH_VALUE_BYTES_MAX);

	(void)state;
	assert_non_null(value);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		assert_int_equal(put(world, 0, name, value, PUSH_VALUE_BYTES_MAX, HOUR_US), PUSH_OK);
		assert_true(figures(world).value_bytes <= PUSH_VALUES_BYTES_MAX);
	}
	assert_int_equal(get(world, 0, "v0"), PUSH_NOT_FOUND);
	assert_int_equal(get(world, 0, "v39"), PUSH_OK);
	assert_true(figures(world).values >= 20);
	free(value);
	end_world(world);
}

static void
test_the_oldest_value_may_be_replaced_where_there_is_room_for_no_more(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	char name[16], *value = calloc(1, PUSH_VALUE_BYTES_MAX);
	uint64_t before;

	(void)state;
	assert_non_null(value);
	for (int i = 0; figures(world).value_bytes + 2 * PUSH_VALUE_BYTES_MAX < PUSH_VALUES_BYTES_MAX; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		assert_int_equal(put(world, 0, name, value, PUSH_VALUE_BYTES_MAX, HOUR_US), PUSH_OK);
	}
	before = figures(world).values;
	assert_int_equal(put(world, 0, "v0", value, PUSH_VALUE_BYTES_MAX, HOUR_US), PUSH_OK);
	assert_int_equal(figures(world).values, before);
	assert_int_equal(get(world, 0, "v1"), PUSH_OK);
	free(value);
	end_world(world);
}

static void
test_history_gives_way_to_values_before_they_give_way_to_each_other(void **state)
{
	struct world *world = make_world(64, 1 << 20, 1 << 20);
	char name[16], text[1000];
	uint64_t kept;

	(void)state;
	memset(text, 't', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 2000; i++)
		(void)keep(world, 0, "channel", text, 65536);
	kept = figures(world).history_messages;
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		put_text(world, 1, name, text);
	}
	assert_int_equal(figures(world).values, 200);
	assert_true(figures(world).history_messages < kept);
	/* and where there is no history, the oldest value does */
	for (int i = 200; i < 2000; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		put_text(world, 1, name, text);
	}
	assert_int_equal(figures(world).history_messages, 0);
	assert_int_equal(get(world, 1, "v0"), PUSH_NOT_FOUND);
	assert_value(world, 1, "v1999", text);
	end_world(world);
}

static void
test_a_value_that_finds_no_room_leaves_what_was_there(void **state)
{
	struct world *world = make_world(64, 1 << 20, 64 * 1024);
	char *value = calloc(1, PUSH_VALUE_BYTES_MAX);

	(void)state;
	assert_non_null(value);
	put_text(world, 0, "a", "small");
	assert_int_equal(put(world, 0, "a", value, PUSH_VALUE_BYTES_MAX, HOUR_US), PUSH_OUT_OF_MEMORY);
	assert_value(world, 0, "a", "small");
	free(value);
	end_world(world);
}

static void
test_values_are_gone_with_their_time_and_freed_bit_by_bit(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	char name[16];

	(void)state;
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		assert_int_equal(put(world, 0, name, "1", 1, (uint64_t)(1 + i % 2) * 1000000), PUSH_OK);
	}
	world->now_us += 999999;
	assert_int_equal(get(world, 1, "v0"), PUSH_OK);
	world->now_us += 1;
	assert_int_equal(get(world, 1, "v0"), PUSH_NOT_FOUND);
	assert_int_equal(get(world, 1, "v1"), PUSH_OK);
	for (int i = 0; i < 10; i++) {
		lock(world->workers[1]);
		push_segment_values_expire(world->workers[1], 10, world->now_us);
		push_segment_unlock(world->workers[1]);
		assert_true(figures(world).values >= 100u - 10u * (unsigned int)(i + 1));
	}
	assert_int_equal(figures(world).values, 50);
	world->now_us += 1000000;
	/* it goes round: what it has passed it sees again */
	for (int i = 0; i < 11; i++) {
		lock(world->workers[1]);
		push_segment_values_expire(world->workers[1], 10, world->now_us);
		push_segment_unlock(world->workers[1]);
	}
	assert_int_equal(figures(world).values, 0);
	assert_int_equal(used_blocks(world), 1);
	end_world(world);
}

static void
notice(struct world *world, int worker, const char *text, uint64_t ttl_us)
{
	lock(world->workers[worker]);
	assert_int_equal(
		push_segment_notice_put(world->workers[worker], text, strlen(text), ttl_us, world->now_us),
		PUSH_OK);
	push_segment_unlock(world->workers[worker]);
}

struct seen {
	char text[8][32];
	int count;
};

static void
see(void *context, const char *text, size_t size)
{
	struct seen *seen = context;

	if (seen->count < 8)
		snprintf(seen->text[seen->count], sizeof(seen->text[0]), "%.*s", (int)size, text);
	seen->count++;
}

static uint64_t
read_notices(struct world *world, int worker, uint64_t after, uint32_t max, struct seen *seen)
{
	uint64_t last;

	*seen = (struct seen){.count = 0};
	lock(world->workers[worker]);
	last = push_segment_notices_read(
		world->workers[worker], after, max, world->now_us, &world->buf, see, seen);
	push_segment_unlock(world->workers[worker]);
	return last;
}

static void
test_notices_are_read_in_order_by_whoever_comes_later(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	struct seen seen;
	uint64_t last;

	(void)state;
	assert_int_equal(read_notices(world, 1, 0, 10, &seen), 0);
	notice(world, 0, "first", HOUR_US);
	notice(world, 1, "second", HOUR_US);
	notice(world, 0, "third", HOUR_US);
	last = read_notices(world, 2, 0, 2, &seen);
	assert_int_equal(seen.count, 2);
	assert_string_equal(seen.text[0], "first");
	assert_string_equal(seen.text[1], "second");
	/* another reader in between */
	assert_true(read_notices(world, 1, 0, 1, &seen) > 0);
	assert_string_equal(seen.text[0], "first");
	last = read_notices(world, 2, last, 2, &seen);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.text[0], "third");
	assert_int_equal(read_notices(world, 2, last, 2, &seen), 0);
	notice(world, 0, "fourth", HOUR_US);
	assert_true(read_notices(world, 2, last, 2, &seen) > last);
	assert_string_equal(seen.text[0], "fourth");
	/* by number alone */
	assert_true(read_notices(world, 0, last, 2, &seen) > last);
	assert_string_equal(seen.text[0], "fourth");
	end_world(world);
}

static void
test_notices_are_gone_with_their_time(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	struct seen seen;

	(void)state;
	notice(world, 0, "short", 1000000);
	notice(world, 0, "long", HOUR_US);
	notice(world, 0, "short too", 1000000);
	world->now_us += 1000000;
	assert_true(read_notices(world, 1, 0, 10, &seen) > 0);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.text[0], "long");
	lock(world->workers[2]);
	push_segment_values_expire(world->workers[2], 10, world->now_us);
	push_segment_unlock(world->workers[2]);
	assert_int_equal(figures(world).notices, 1);
	end_world(world);
}

static void
test_past_the_limits_of_notices_the_oldest_leave(void **state)
{
	struct world *world = make_world(64, 1 << 20, 0);
	char text[PUSH_NOTICE_BYTES_MAX + 2];
	struct seen seen;

	(void)state;
	notice(world, 0, "oldest", HOUR_US);
	for (uint32_t i = 0; i < PUSH_NOTICES_MAX; i++)
		notice(world, 0, "short", HOUR_US);
	assert_int_equal(figures(world).notices, PUSH_NOTICES_MAX);
	assert_true(read_notices(world, 0, 0, 1, &seen) > 0);
	assert_string_equal(seen.text[0], "short");
	memset(text, 't', sizeof(text));
	text[PUSH_NOTICE_BYTES_MAX + 1] = '\0';
	lock(world->workers[0]);
	assert_int_equal(push_segment_notice_put(
				 world->workers[0], text, PUSH_NOTICE_BYTES_MAX + 1, HOUR_US, world->now_us),
		PUSH_TOO_LARGE);
	push_segment_unlock(world->workers[0]);
	text[PUSH_NOTICE_BYTES_MAX] = '\0';
	for (int i = 0; i < 20000; i++) {
		notice(world, 0, text, HOUR_US);
		assert_true(world->of_pushd->header->notice_bytes <= PUSH_SEGMENT_NOTICES_BYTES_MAX);
	}
	assert_true(figures(world).notices < 20000);
	end_world(world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_value_is_what_any_worker_put_last),
		cmocka_unit_test(test_forgotten_values_leave_nothing),
		cmocka_unit_test(test_values_of_the_largest_size_are_kept_and_larger_ones_refused),
		cmocka_unit_test(test_past_the_number_of_values_the_oldest_leaves),
		cmocka_unit_test(test_past_the_bytes_of_values_the_oldest_leave),
		cmocka_unit_test(test_the_oldest_value_may_be_replaced_where_there_is_room_for_no_more),
		cmocka_unit_test(test_history_gives_way_to_values_before_they_give_way_to_each_other),
		cmocka_unit_test(test_a_value_that_finds_no_room_leaves_what_was_there),
		cmocka_unit_test(test_values_are_gone_with_their_time_and_freed_bit_by_bit),
		cmocka_unit_test(test_notices_are_read_in_order_by_whoever_comes_later),
		cmocka_unit_test(test_notices_are_gone_with_their_time),
		cmocka_unit_test(test_past_the_limits_of_notices_the_oldest_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
