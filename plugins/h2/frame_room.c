/* frame_room.c - see frame_room.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "h2/frame_room.h"

/* A payload of 16,384 bytes and what belongs to it, in whole pages. */
#define FRAME_BYTES 16384
#define ROOM_BYTES  20480

static void *
map(struct push_h2_frame_room *room)
{
	void *pages = mmap(NULL, ROOM_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (pages == MAP_FAILED)
		return NULL; /* the process has too many mappings (vm.max_map_count) */
	/* rooms lie side by side, and one huge page would be all of them */
	(void)madvise(pages, ROOM_BYTES, MADV_NOHUGEPAGE);
	room->pages = pages;
	return pages;
}

static void
unmap(struct push_h2_frame_room *room)
{
	(void)munmap(room->pages, ROOM_BYTES);
	room->pages = NULL;
}

static void *
allocate(size_t size, void *context)
{
	(void)context;
	return malloc(size);
}

static void *
allocate_zeroed(size_t count, size_t size, void *context)
{
	(void)context;
	return calloc(count, size);
}

static void
release(void *bytes, void *context)
{
	struct push_h2_frame_room *room = context;

	if (bytes && bytes == room->pages)
		unmap(room);
	else
		free(bytes);
}

static void *
grow_out_of_pages(struct push_h2_frame_room *room, size_t size)
{
	void *grown = malloc(size);

	if (!grown)
		return NULL;
	memcpy(grown, room->pages, ROOM_BYTES);
	unmap(room);
	return grown;
}

static void *
reallocate(void *bytes, size_t size, void *context)
{
	struct push_h2_frame_room *room = context;

	if (bytes && bytes == room->pages)
		return size <= ROOM_BYTES ? bytes : grow_out_of_pages(room, size);
	if (!bytes && !room->pages && size >= FRAME_BYTES && size <= ROOM_BYTES && map(room))
		return room->pages;
	return realloc(bytes, size);
}

nghttp2_mem
push_h2_frame_room_memory(struct push_h2_frame_room *room)
{
	return (nghttp2_mem){room, allocate, release, allocate_zeroed, reallocate};
}
