/* The room of an nghttp2 session for a frame: pages of its own, whatever else is allocated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "h2/frame_room.h"

#define FRAME_BYTES 16394 /* what nghttp2 asks for: a frame of the largest size */

struct room {
	struct push_h2_frame_room room;
	nghttp2_mem memory;
};

static int
set_up(void **state)
{
	struct room *room = calloc(1, sizeof(*room));

	room->memory = push_h2_frame_room_memory(&room->room);
	*state = room;
	return 0;
}

static int
tear_down(void **state)
{
	free(*state);
	return 0;
}

static void *
allocate(struct room *room, void *old, size_t size)
{
	return room->memory.realloc(old, size, room->memory.mem_user_data);
}

static void
release(struct room *room, void *bytes)
{
	room->memory.free(bytes, room->memory.mem_user_data);
}

static void
the_first_room_for_a_frame_is_in_fresh_pages_and_others_are_not(void **state)
{
	struct room *room = *state;
	char *pages = allocate(room, NULL, FRAME_BYTES), *other = allocate(room, NULL, FRAME_BYTES);

	assert_ptr_equal(pages, room->room.pages);
	assert_int_equal((uintptr_t)pages % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
	memset(pages, 1, FRAME_BYTES);
	assert_ptr_not_equal(other, pages);
	release(room, other);
	assert_ptr_equal(pages, room->room.pages);
	release(room, pages);
	assert_null(room->room.pages);
	pages = allocate(room, NULL, FRAME_BYTES);
	assert_ptr_equal(pages, room->room.pages);
	for (size_t i = 0; i < FRAME_BYTES; i++)
		assert_int_equal(pages[i], 0);
	release(room, pages);
}

static void
small_and_huge_blocks_are_malloc_s(void **state)
{
	struct room *room = *state;
	void *context = room->memory.mem_user_data;
	char *small = allocate(room, NULL, 16), *huge = allocate(room, NULL, 1 << 20);
	char *zeroed = room->memory.calloc(2, FRAME_BYTES, context),
	     *plain = room->memory.malloc(64, context);

	assert_true(small && huge && zeroed && plain);
	assert_null(room->room.pages);
	small = allocate(room, small, FRAME_BYTES);
	assert_non_null(small);
	assert_null(room->room.pages);
	release(room, small);
	release(room, huge);
	release(room, zeroed);
	release(room, plain);
	release(room, NULL);
}

static void
a_room_keeps_its_place_and_its_bytes_when_it_grows(void **state)
{
	struct room *room = *state;
	char *pages = allocate(room, NULL, FRAME_BYTES), *grown;

	memset(pages, 'x', FRAME_BYTES);
	assert_ptr_equal(allocate(room, pages, FRAME_BYTES + 100), pages);
	grown = allocate(room, pages, 1 << 20);
	assert_non_null(grown);
	assert_null(room->room.pages);
	for (size_t i = 0; i < FRAME_BYTES; i++)
		assert_int_equal(grown[i], 'x');
	release(room, grown);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			the_first_room_for_a_frame_is_in_fresh_pages_and_others_are_not, set_up, tear_down),
		cmocka_unit_test_setup_teardown(small_and_huge_blocks_are_malloc_s, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_room_keeps_its_place_and_its_bytes_when_it_grows, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
