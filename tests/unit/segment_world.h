/* segment_world.h - several workers of one process over one segment; each is a mapping of its own, and they take the
 * lock in turn. */
#ifndef PUSH_TESTS_SEGMENT_WORLD_H
#define PUSH_TESTS_SEGMENT_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit.h"

#include "core/limits.h"
#include "core/options.h"
#include "segment/blocks.h"
#include "segment/channels.h"
#include "segment/history.h"
#include "segment/layout.h"
#include "segment/lock.h"
#include "segment/log.h"
#include "segment/repair.h"
#include "segment/slots.h"
#include "segment_check.h"

#define WORKERS 3
#ifndef WORLD_BUCKETS
#define WORLD_BUCKETS 2048
#endif

struct world {
	struct push_segment *of_pushd, *workers[WORKERS];
	struct push_buf buf;
	uint64_t now_us;
};

static inline void
lock(struct push_segment *segment)
{
	assert_int_equal(push_segment_lock(segment, 1000000), PUSH_OK);
}

static inline struct world *
make_world(uint32_t cell_count, uint64_t history_bytes, uint64_t bytes_max)
{
	struct push_segment_settings settings = {.history_bytes_max = history_bytes,
		.epoch = 7,
		.seed = 42,
		.cell_count = cell_count,
		.bucket_count = WORLD_BUCKETS,
		.bytes_max = bytes_max};
	struct world *world = calloc(1, sizeof(*world));
	struct push_error error = {""};

	assert_non_null(world);
	world->now_us = 1000000000;
	push_buf_init(&world->buf, SIZE_MAX);
	world->of_pushd = push_segment_create(&settings, &error);
	assert_string_equal(error.text, "");
	assert_non_null(world->of_pushd);
	for (unsigned int i = 0; i < WORKERS; i++) {
		char node[] = "node0";

		node[4] = (char)('0' + i);
		world->workers[i] = push_segment_attach(dup(push_segment_fd(world->of_pushd)), &error);
		assert_non_null(world->workers[i]);
		push_segment_be(world->workers[i], i);
		lock(world->workers[i]);
		assert_int_equal(push_segment_join(world->workers[i], i, node, world->now_us), PUSH_OK);
		push_segment_unlock(world->workers[i]);
	}
	return world;
}

/* As repaired now; whatever it was. */
static inline struct push_segment_repaired
repair(struct world *world)
{
	struct push_segment_repaired ret;

	lock(world->workers[0]);
	push_segment_repair(world->workers[0], &ret);
	push_segment_unlock(world->workers[0]);
	return ret;
}

static inline void
assert_consistent(struct world *world)
{
	struct segment_check check;

	lock(world->workers[0]);
	check = segment_check(world->workers[0]);
	assert_string_equal(check.what, "");
	assert_false(world->workers[0]->is_broken);
	push_segment_unlock(world->workers[0]);
}

static inline void
end_world(struct world *world)
{
	for (int i = 0; i < WORKERS; i++) {
		assert_false(world->workers[i]->is_broken);
		push_segment_leave(world->workers[i]);
		push_segment_detach(world->workers[i]);
	}
	push_segment_detach(world->of_pushd);
	push_buf_fini(&world->buf);
	free(world);
}

static inline uint32_t
subscribe(struct world *world, int worker, const char *name, uint32_t count)
{
	struct push_segment *segment = world->workers[worker];
	uint32_t hint = 0;

	lock(segment);
	assert_int_equal(push_segment_set_count(segment, name, strlen(name),
				 push_segment_hash(segment, name, strlen(name)), count, &hint),
		PUSH_OK);
	push_segment_unlock(segment);
	return hint;
}

struct publish {
	const char *name, *value;
	size_t value_size;
	uint32_t keep;
	uint64_t ttl_us;
};

static inline enum push_status
try_publish(struct world *world, int worker, struct publish what, struct push_segment_published *ret)
{
	struct push_segment *segment = world->workers[worker];
	struct push_segment_message message = {.name = what.name,
		.name_size = strlen(what.name),
		.value = what.value,
		.value_size = what.value_size ? what.value_size : strlen(what.value),
		.hash = push_segment_hash(segment, what.name, strlen(what.name)),
		.history_size = what.keep,
		.history_ttl_us = what.ttl_us ? what.ttl_us : 60000000};
	enum push_status status;

	lock(segment);
	status = push_segment_publish(segment, &message, world->now_us, ret);
	push_segment_unlock(segment);
	return status;
}

static inline struct push_segment_published
publish(struct world *world, int worker, const char *name, const char *value)
{
	struct push_segment_published ret;

	assert_int_equal(
		try_publish(world, worker, (struct publish){.name = name, .value = value}, &ret), PUSH_OK);
	return ret;
}

static inline struct push_segment_published
keep(struct world *world, int worker, const char *name, const char *value, uint32_t size)
{
	struct push_segment_published ret;

	assert_int_equal(try_publish(world, worker,
				 (struct publish){.name = name, .value = value, .keep = size}, &ret),
		PUSH_OK);
	return ret;
}

static inline void
assert_reads(struct world *world, int worker, const char *name, const char *value)
{
	struct push_segment_item item;

	assert_int_equal(push_segment_read(world->workers[worker], &world->buf, &item), PUSH_SEGMENT_ITEM);
	assert_int_equal(item.name_size, strlen(name));
	assert_memory_equal(item.name, name, item.name_size);
	assert_int_equal(item.value_size, strlen(value));
	assert_memory_equal(item.value, value, item.value_size);
}

static inline void
assert_reads_nothing(struct world *world, int worker)
{
	struct push_segment_item item;

	assert_int_equal(push_segment_read(world->workers[worker], &world->buf, &item), PUSH_SEGMENT_NOTHING);
}

#endif
