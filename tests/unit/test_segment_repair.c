/* Repair: what is whole stays, what is not goes, and all that leads to it is made anew. */
#include "segment/values.h"
#include "segment_world.h"

#define HOUR_US 3600000000ull

static uint32_t
channel_at(struct world *world, const char *name)
{
	struct push_segment *segment = world->workers[0];
	uint32_t index;

	lock(segment);
	index = push_segment_channel_find(
		segment, name, strlen(name), push_segment_hash(segment, name, strlen(name)), 0);
	push_segment_unlock(segment);
	return index;
}

static struct segment_channel *
channel_of(struct world *world, const char *name)
{
	return segment_channel(world->workers[0], channel_at(world, name));
}

static uint64_t
subscribers(struct world *world, const char *name)
{
	uint32_t at = channel_at(world, name);
	uint64_t count, mask;

	lock(world->workers[0]);
	count = push_segment_subscribers(world->workers[0], at, &mask);
	push_segment_unlock(world->workers[0]);
	return count;
}

/* What is not for this worker is passed over. */
static void
assert_reads_next(struct world *world, int worker, const char *value)
{
	struct push_segment_item item;
	enum push_segment_reading reading;

	do
		reading = push_segment_read(world->workers[worker], &world->buf, &item);
	while (reading == PUSH_SEGMENT_OTHERS);
	assert_int_equal(reading, PUSH_SEGMENT_ITEM);
	assert_int_equal(item.value_size, strlen(value));
	assert_memory_equal(item.value, value, item.value_size);
}

static bool
collect(void *context, const struct push_segment_item *item)
{
	char *text = context;

	snprintf(text + strlen(text), 256 - strlen(text), "%llu=%.*s ", (unsigned long long)item->number,
		(int)item->value_size, item->value);
	return true;
}

/* "AFTER: NUMBER=VALUE ..." */
static const char *
history_of(struct world *world, const char *name)
{
	static char text[256];
	struct push_segment *segment = world->workers[0];
	uint64_t hash = push_segment_hash(segment, name, strlen(name));
	struct push_segment_kept kept;
	uint32_t at = channel_at(world, name);

	lock(segment);
	push_segment_kept(segment, at, hash, &kept);
	snprintf(text, sizeof(text), "%llu: ", (unsigned long long)kept.after);
	assert_true(push_segment_history_read(segment, at, 0, UINT64_MAX, false, 100, UINT64_MAX, NULL,
		&world->buf, world->now_us, collect, text));
	push_segment_unlock(segment);
	return text;
}

/* Some channels, with history and without, subscribers, values, notices, and a reader that is behind. */
static struct world *
busy_world(void)
{
	struct world *world = make_world(16, 1 << 20, 0);
	char value[16];

	subscribe(world, 1, "live", 2);
	subscribe(world, 2, "kept", 1);
	for (int i = 1; i <= 5; i++) {
		snprintf(value, sizeof(value), "k%d", i);
		(void)keep(world, 0, "kept", value, 3);
		snprintf(value, sizeof(value), "l%d", i);
		(void)publish(world, 0, "live", value);
		snprintf(value, sizeof(value), "o%d", i);
		(void)keep(world, 0, "other, whose name takes more than one block of the memory", value, 100);
	}
	lock(world->workers[0]);
	for (int i = 0; i < 5; i++) {
		char name[] = "v0";

		name[1] = (char)('0' + i);
		assert_int_equal(push_segment_value_put(
					 world->workers[0], name, 2, "value", 5, HOUR_US, world->now_us),
			PUSH_OK);
		assert_int_equal(
			push_segment_notice_put(world->workers[0], "notice", 6, HOUR_US, world->now_us),
			PUSH_OK);
	}
	push_segment_unlock(world->workers[0]);
	assert_consistent(world);
	return world;
}

static const char *const long_name = "other, whose name takes more than one block of the memory";

static void
test_what_is_whole_stays_as_it_is_and_is_read_on(void **state)
{
	struct world *world = busy_world();
	struct push_segment_repaired repaired;
	uint64_t incarnation = push_segment_incarnation(world->workers[0]);

	(void)state;
	assert_reads_next(world, 1, "l1");
	for (int i = 0; i < 2; i++) {
		repaired = repair(world);
		assert_consistent(world);
		assert_int_equal(repaired.torn, 0);
		assert_int_equal(repaired.broken, 0);
		assert_int_equal(repaired.channels, 3);
		assert_int_equal(repaired.values, 5);
		assert_int_equal(repaired.notices, 5);
	}
	assert_int_equal(push_segment_incarnation(world->workers[0]), incarnation);
	assert_string_equal(history_of(world, "kept"), "3: 5=k3 7=k4 9=k5 ");
	assert_string_equal(history_of(world, long_name), "0: 2=o1 4=o2 6=o3 8=o4 10=o5 ");
	assert_int_equal(subscribers(world, "live"), 2);
	assert_reads_next(world, 1, "l2");
	(void)keep(world, 0, "kept", "k6", 3);
	assert_string_equal(history_of(world, "kept"), "5: 7=k4 9=k5 11=k6 ");
	assert_consistent(world);
	end_world(world);
}

/* The record of a message that is kept; `back`: how many are newer. */
static struct segment_record *
kept_record(struct world *world, const char *name, int back)
{
	struct segment_record *record =
		segment_record(world->workers[0], channel_of(world, name)->newest, 1u << SEGMENT_MESSAGE);

	for (; back; back--)
		record = segment_record(world->workers[0], record->older, 1u << SEGMENT_MESSAGE);
	assert_non_null(record);
	return record;
}

static void
test_a_message_that_is_not_what_was_written_is_a_gap(void **state)
{
	struct world *world = busy_world();
	uint64_t incarnation = push_segment_incarnation(world->workers[0]);
	struct push_segment_item item;

	(void)state;
	/* o3: in the middle; it and those before it count as missed, those behind it are there */
	kept_record(world, long_name, 2)->bytes[0] ^= 1;
	assert_int_equal(repair(world).broken, 1);
	assert_consistent(world);
	assert_string_equal(history_of(world, long_name), "6: 8=o4 10=o5 ");
	assert_string_equal(history_of(world, "kept"), "3: 5=k3 7=k4 9=k5 ");
	/* workers say their counts again, and one that reads where it was is told that it has missed some */
	assert_int_equal(push_segment_incarnation(world->workers[0]), incarnation + 1);
	assert_int_equal(push_segment_read(world->workers[1], &world->buf, &item), PUSH_SEGMENT_OVERRUN);
	assert_int_equal(repair(world).broken, 0);
	assert_consistent(world);
	end_world(world);
}

static void
test_a_message_in_a_state_that_there_is_not_is_a_gap(void **state)
{
	struct world *world = busy_world();

	(void)state;
	kept_record(world, long_name, 2)->state = SEGMENT_LIVE + 1;
	assert_int_equal(repair(world).broken, 1);
	assert_consistent(world);
	assert_string_equal(history_of(world, long_name), "6: 8=o4 10=o5 ");
	assert_string_equal(history_of(world, "kept"), "3: 5=k3 7=k4 9=k5 ");
	assert_int_equal(repair(world).broken, 0);
	end_world(world);
}

static void
test_where_the_newest_message_is_lost_all_before_it_count_as_missed(void **state)
{
	struct world *world = busy_world();

	(void)state;
	kept_record(world, long_name, 0)->kind = SEGMENT_FREE;
	assert_true(repair(world).broken);
	assert_consistent(world);
	assert_string_equal(history_of(world, long_name), "10: ");
	assert_string_equal(history_of(world, "kept"), "3: 5=k3 7=k4 9=k5 ");
	(void)keep(world, 0, long_name, "o6", 100);
	assert_string_equal(history_of(world, long_name), "10: 11=o6 ");
	assert_consistent(world);
	end_world(world);
}

static void
test_where_a_channel_is_lost_what_it_kept_counts_as_missed(void **state)
{
	struct world *world = busy_world();

	(void)state;
	channel_of(world, "kept")->name[0] ^= 1;
	assert_int_equal(repair(world).broken, 1);
	assert_consistent(world);
	assert_string_equal(history_of(world, "kept"), "10: ");
	assert_string_equal(history_of(world, long_name), "0: 2=o1 4=o2 6=o3 8=o4 10=o5 ");
	(void)keep(world, 0, "kept", "k6", 100);
	assert_string_equal(history_of(world, "kept"), "10: 11=k6 ");
	assert_consistent(world);
	end_world(world);
}

static void
test_counts_of_workers_that_are_not_there_go_with_their_channels(void **state)
{
	struct world *world = busy_world();
	struct segment_header *header = world->of_pushd->header;

	(void)state;
	subscribe(world, 2, "live", 7);
	header->slots[1].state = SEGMENT_SLOT_ENDED;
	(void)repair(world);
	assert_consistent(world);
	assert_int_equal(header->attached, 1 << 0 | 1 << 2);
	assert_int_equal(subscribers(world, "live"), 7);
	header->slots[2].state = SEGMENT_SLOT_ENDED;
	(void)repair(world);
	assert_int_equal(channel_at(world, "live"), 0);
	assert_int_not_equal(channel_at(world, "kept"), 0);
	assert_consistent(world);
	header->slots[1].state = header->slots[2].state = SEGMENT_SLOT_ATTACHED;
	end_world(world);
}

static void
test_counts_of_many_workers_stay(void **state)
{
	struct world *world = busy_world();
	struct segment_header *header = world->of_pushd->header;

	(void)state;
	/* more than a channel's own block has room for, and than one behind it */
	for (unsigned int i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++) {
		header->slots[i].state = SEGMENT_SLOT_ATTACHED;
		header->attached |= 1ull << i;
		world->workers[0]->slot = i;
		subscribe(world, 0, "many", i + 1);
	}
	world->workers[0]->slot = 0;
	assert_int_equal(repair(world).broken, 0);
	assert_consistent(world);
	assert_int_equal(subscribers(world, "many"), 64 * 65 / 2);
	/* a word that is nobody's */
	channel_of(world, "many")->counts[0] = 0xff000001;
	assert_int_equal(repair(world).broken, 0);
	assert_consistent(world);
	assert_int_equal(push_segment_incarnation(world->workers[0]), 1);
	for (unsigned int i = WORKERS; i < PUSH_SEGMENT_SLOTS_MAX; i++)
		header->slots[i].state = SEGMENT_SLOT_FREE;
	(void)repair(world);
	end_world(world);
}

static void
test_any_figure_of_the_header_may_be_junk(void **state)
{
	static const uint64_t junk[] = {0, 5, 1ull << 40, UINT64_MAX};
	const size_t from = offsetof(struct segment_header, tail),
		     to = offsetof(struct segment_header, slots);

	(void)state;
	for (size_t at = from; at < to; at += at < offsetof(struct segment_header, forgotten) ? 8 : 8192)
		for (size_t i = 0; i < COUNT(junk); i++) {
			struct world *world = busy_world();
			struct segment_header *header = world->of_pushd->header;

			lock(world->workers[0]);
			/* who has the lock, and pushd, are not of what is repaired */
			if (at < offsetof(struct segment_header, lock) ||
				at >= offsetof(struct segment_header, block_count)) {
				struct push_segment_repaired repaired;
				struct segment_check check;

				memcpy((char *)header + at, &junk[i], at % 8 ? 4 : 8);
				push_segment_repair(world->workers[0], &repaired);
				check = segment_check(world->workers[0]);
				if (check.what[0])
					print_message("%zu: %llx\n", at, (unsigned long long)junk[i]);
				assert_string_equal(check.what, "");
			}
			push_segment_unlock(world->workers[0]);
			(void)keep(world, 0, "kept", "again", 100);
			assert_consistent(world);
			end_world(world);
		}
}

static void
test_of_two_values_of_one_name_the_later_one_stays(void **state)
{
	struct world *world = busy_world();
	struct push_segment *segment = world->workers[0];
	struct segment_record old;
	uint32_t index;

	(void)state;
	lock(segment);
	index = segment->header->value_oldest;
	old = segment->blocks[index].record;
	assert_int_equal(
		push_segment_value_put(segment, "v0", 2, "later", 5, HOUR_US, world->now_us), PUSH_OK);
	push_segment_unlock(segment);
	/* as one that is killed before it gives the old one back leaves it */
	index = segment->header->free_first;
	segment->blocks[index].record = old;
	assert_int_equal(repair(world).values, 5);
	assert_consistent(world);
	lock(segment);
	push_buf_clear(&world->buf);
	assert_int_equal(push_segment_value_get(segment, "v0", 2, world->now_us, &world->buf), PUSH_OK);
	assert_memory_equal(world->buf.bytes, "later", 5);
	push_segment_unlock(segment);
	end_world(world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_whole_stays_as_it_is_and_is_read_on),
		cmocka_unit_test(test_a_message_that_is_not_what_was_written_is_a_gap),
		cmocka_unit_test(test_a_message_in_a_state_that_there_is_not_is_a_gap),
		cmocka_unit_test(test_where_the_newest_message_is_lost_all_before_it_count_as_missed),
		cmocka_unit_test(test_where_a_channel_is_lost_what_it_kept_counts_as_missed),
		cmocka_unit_test(test_counts_of_workers_that_are_not_there_go_with_their_channels),
		cmocka_unit_test(test_counts_of_many_workers_stay),
		cmocka_unit_test(test_any_figure_of_the_header_may_be_junk),
		cmocka_unit_test(test_of_two_values_of_one_name_the_later_one_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
