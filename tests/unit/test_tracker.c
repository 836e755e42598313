/* Who waits for a message to be written is told when the last outbox has written it or dropped it. */
#include "unit.h"

#include "failing_alloc.h"

#include "core/frame.h"
#include "core/outbox.h"
#include "core/tracker.h"

static unsigned int told;

static void
on_over(struct push_tracker *tracker)
{
	(void)tracker;
	told++;
}

static void
what_is_written_and_what_is_dropped_is_counted(void **state)
{
	struct push_frame *frame = push_frame_create(10, 1), *other = push_frame_create(10, 1);
	struct push_tracker tracker;
	struct push_outbox outboxes[3];

	(void)state;
	told = 0;
	push_tracker_init(&tracker, on_over, NULL);
	assert_int_equal(push_tracker_attach(&tracker, frame), PUSH_OK);
	for (int i = 0; i < 3; i++) {
		push_outbox_init(&outboxes[i]);
		assert_int_equal(push_outbox_push(&outboxes[i], other, 100), PUSH_OK);
		assert_int_equal(push_outbox_push(&outboxes[i], frame, 100), PUSH_OK);
	}
	push_tracker_delivered(&tracker);
	assert_int_equal(tracker.awaited, 3);
	push_outbox_advance(&outboxes[0], 19);
	assert_int_equal(tracker.written, 0);
	push_outbox_advance(&outboxes[0], 1);
	assert_int_equal(tracker.written, 1);
	push_outbox_drop_unsent(&outboxes[1]);
	assert_int_equal(tracker.dropped, 1);
	assert_false(push_tracker_is_over(&tracker));
	assert_int_equal(told, 0);
	push_outbox_fini(&outboxes[2]);
	assert_true(push_tracker_is_over(&tracker));
	assert_int_equal(told, 1);
	push_tracker_fini(&tracker);
	push_frame_unref(frame);
	push_frame_unref(other);
}

static void
what_is_over_before_all_is_delivered_is_not_told(void **state)
{
	struct push_frame *frame = push_frame_create(1, 1);
	struct push_tracker tracker;
	struct push_outbox outbox;

	(void)state;
	told = 0;
	push_tracker_init(&tracker, on_over, NULL);
	assert_int_equal(push_tracker_attach(&tracker, frame), PUSH_OK);
	push_outbox_init(&outbox);
	assert_int_equal(push_outbox_push(&outbox, frame, 1), PUSH_OK);
	push_outbox_advance(&outbox, 1);
	push_tracker_delivered(&tracker);
	assert_int_equal(told, 0);
	assert_true(push_tracker_is_over(&tracker));
	push_tracker_fini(&tracker);
	push_frame_unref(frame);
}

static void
who_reads_it_later_is_waited_for(void **state)
{
	struct push_frame *frame = push_frame_create(1, 1);
	struct push_tracker tracker;
	struct push_outbox outbox;

	(void)state;
	told = 0;
	push_tracker_init(&tracker, on_over, NULL);
	assert_int_equal(push_tracker_attach(&tracker, frame), PUSH_OK);
	tracker.owed = 1;
	push_tracker_delivered(&tracker);
	assert_false(push_tracker_is_over(&tracker));
	push_outbox_init(&outbox);
	assert_int_equal(push_outbox_push(&outbox, frame, 1), PUSH_OK);
	push_outbox_advance(&outbox, 1);
	assert_int_equal(told, 1);
	push_tracker_fini(&tracker);
	push_frame_unref(frame);
}

static void
what_is_written_elsewhere_is_awaited_no_more(void **state)
{
	struct push_tracker tracker;

	(void)state;
	told = 0;
	push_tracker_init(&tracker, on_over, NULL);
	push_tracker_written_elsewhere(&tracker, 3);
	push_tracker_written_elsewhere(&tracker, 0);
	push_tracker_delivered(&tracker);
	assert_true(push_tracker_is_over(&tracker));
	assert_int_equal(tracker.written, 3);
	assert_int_equal(told, 0);
	push_tracker_fini(&tracker);
}

static void
a_frame_outlives_its_tracker(void **state)
{
	struct push_frame *frame = push_frame_create(1, 1);
	struct push_tracker tracker;
	struct push_outbox outbox;

	(void)state;
	told = 0;
	push_tracker_init(&tracker, on_over, NULL);
	assert_int_equal(push_tracker_attach(&tracker, frame), PUSH_OK);
	push_outbox_init(&outbox);
	assert_int_equal(push_outbox_push(&outbox, frame, 1), PUSH_OK);
	push_tracker_delivered(&tracker);
	push_tracker_fini(&tracker);
	push_frame_unref(frame);
	push_outbox_advance(&outbox, 1);
	assert_int_equal(told, 0);
}

static void
a_frame_is_not_tracked_when_memory_is_out(void **state)
{
	struct push_frame *frame = push_frame_create(1, 1);
	struct push_tracker tracker;

	(void)state;
	push_tracker_init(&tracker, on_over, NULL);
	allocations_left = 0;
	assert_int_equal(push_tracker_attach(&tracker, frame), PUSH_OUT_OF_MEMORY);
	allocations_left = -1;
	assert_null(frame->tracker);
	push_tracker_fini(&tracker);
	push_frame_unref(frame);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_and_what_is_dropped_is_counted),
		cmocka_unit_test(what_is_over_before_all_is_delivered_is_not_told),
		cmocka_unit_test(who_reads_it_later_is_waited_for),
		cmocka_unit_test(what_is_written_elsewhere_is_awaited_no_more),
		cmocka_unit_test(a_frame_outlives_its_tracker),
		cmocka_unit_test(a_frame_is_not_tracked_when_memory_is_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
