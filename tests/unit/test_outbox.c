#include "unit.h"

#include <stdlib.h>

#include "core/limits.h"
#include "core/outbox.h"

static struct push_frame *
frame_of(size_t size)
{
	struct push_frame *frame = push_frame_create(size, 0);

	assert_non_null(frame);
	memset(frame->bytes, 'x', size);
	return frame;
}

static void
an_empty_outbox_owns_no_memory_and_takes_any_frame(void **state)
{
	struct push_frame *frame = frame_of(5000);
	struct push_outbox outbox;

	(void)state;
	push_outbox_init(&outbox);
	assert_true(push_outbox_is_empty(&outbox));
	assert_int_equal(push_outbox_push(&outbox, frame, 10), PUSH_OK);
	assert_ptr_equal(outbox.item, frame); /* no ring */
	assert_int_equal(outbox.bytes, 5000);
	push_outbox_advance(&outbox, 5000);
	assert_true(push_outbox_is_empty(&outbox));
	assert_int_equal(frame->refs, 1);
	push_frame_unref(frame);
}

static void
a_full_outbox_refuses_and_keeps_what_it_has(void **state)
{
	struct push_frame *frame = frame_of(100);
	struct push_outbox outbox;

	(void)state;
	push_outbox_init(&outbox);
	for (int i = 0; i < 10; i++)
		assert_int_equal(push_outbox_push(&outbox, frame, 1000), PUSH_OK);
	assert_int_equal(push_outbox_push(&outbox, frame, 1000), PUSH_TOO_LARGE);
	assert_int_equal(push_outbox_count(&outbox), 10);
	assert_int_equal(outbox.bytes, 1000);
	push_outbox_fini(&outbox);
	assert_int_equal(frame->refs, 1);
	push_frame_unref(frame);
}

static void
the_number_of_frames_is_bounded_too(void **state)
{
	struct push_frame *frame = frame_of(1);
	struct push_outbox outbox;

	(void)state;
	push_outbox_init(&outbox);
	for (unsigned int i = 0; i < PUSH_OUTBOX_FRAMES_MAX; i++)
		assert_int_equal(push_outbox_push(&outbox, frame, SIZE_MAX), PUSH_OK);
	assert_int_equal(push_outbox_push(&outbox, frame, SIZE_MAX), PUSH_TOO_LARGE);
	push_outbox_fini(&outbox);
	push_frame_unref(frame);
}

static void
dropping_keeps_the_rest_of_a_frame_that_has_begun(void **state)
{
	struct push_frame *frame = frame_of(100);
	struct push_outbox outbox;

	(void)state;
	push_outbox_init(&outbox);
	for (int i = 0; i < 5; i++)
		assert_int_equal(push_outbox_push(&outbox, frame, SIZE_MAX), PUSH_OK);
	push_outbox_advance(&outbox, 130);
	push_outbox_drop_unsent(&outbox);
	assert_int_equal(push_outbox_count(&outbox), 1);
	assert_int_equal(outbox.bytes, 70);
	assert_int_equal(outbox.sent, 30);
	push_outbox_advance(&outbox, 70);
	assert_true(push_outbox_is_empty(&outbox));
	push_outbox_drop_unsent(&outbox);
	push_frame_unref(frame);
}

/* Random operations against an array that does the same naively. */
static void
it_behaves_like_a_plain_queue(void **state)
{
	enum { FRAMES = 64, STEPS = 200000, LIMIT = 3000 };
	struct push_frame *frames[FRAMES], *twin[LIMIT + 1], *seen[PUSH_WRITE_FRAMES_MAX];
	size_t twin_count = 0, twin_bytes = 0, twin_sent = 0;
	struct push_outbox outbox;
	unsigned int seed = 20261123;

	(void)state;
	print_message("seed %u\n", seed);
	push_outbox_init(&outbox);
	for (size_t i = 0; i < FRAMES; i++)
		frames[i] = frame_of(i + 1);
	for (int step = 0; step < STEPS; step++) {
		struct push_frame *frame = frames[rand_r(&seed) % FRAMES];

		if (rand_r(&seed) % 2) {
			bool fits = !twin_count || twin_bytes + frame->size <= LIMIT;

			assert_int_equal(
				push_outbox_push(&outbox, frame, LIMIT), fits ? PUSH_OK : PUSH_TOO_LARGE);
			if (fits) {
				twin[twin_count++] = frame;
				twin_bytes += frame->size;
			}
		} else if (twin_bytes) {
			size_t take = (size_t)rand_r(&seed) % (twin_bytes < 200 ? twin_bytes + 1 : 200);

			push_outbox_advance(&outbox, take);
			twin_bytes -= take;
			twin_sent += take;
			while (twin_count && twin_sent >= twin[0]->size) {
				twin_sent -= twin[0]->size;
				memmove(twin, twin + 1, --twin_count * sizeof(twin[0]));
			}
		}
		assert_int_equal(push_outbox_count(&outbox), twin_count);
		assert_int_equal(outbox.bytes, twin_bytes);
		assert_int_equal(outbox.sent, twin_sent);
		size_t peeked = push_outbox_peek(&outbox, seen, COUNT(seen));
		for (size_t i = 0; i < peeked; i++)
			assert_ptr_equal(seen[i], twin[i]);
	}
	push_outbox_fini(&outbox);
	for (size_t i = 0; i < FRAMES; i++) {
		assert_int_equal(frames[i]->refs, 1);
		push_frame_unref(frames[i]);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_outbox_owns_no_memory_and_takes_any_frame),
		cmocka_unit_test(a_full_outbox_refuses_and_keeps_what_it_has),
		cmocka_unit_test(the_number_of_frames_is_bounded_too),
		cmocka_unit_test(dropping_keeps_the_rest_of_a_frame_that_has_begun),
		cmocka_unit_test(it_behaves_like_a_plain_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
