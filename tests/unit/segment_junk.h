/*
 * segment_junk.h - anything is written anywhere into a segment, and a worker that is sound goes on with it.
 *
 * An input says what is written where, or what the worker does.  Whatever it is, the worker neither crashes nor goes
 * round for ever, touches nothing but what is mapped, and a repair at the end makes a whole segment of it, to which it
 * publishes on.
 */
#ifndef PUSH_TESTS_SEGMENT_JUNK_H
#define PUSH_TESTS_SEGMENT_JUNK_H

#include <sys/mman.h>
#include <unistd.h>

#include "core/limits.h"
#include "core/options.h"
#include "core/push_assert.h"
#include "segment/blocks.h"
#include "segment/channels.h"
#include "segment/history.h"
#include "segment/layout.h"
#include "segment/lock.h"
#include "segment/log.h"
#include "segment/repair.h"
#include "segment/slots.h"
#include "segment/values.h"
#include "segment_check.h"

#define JUNK_WORKERS    2
#define JUNK_CELLS      32
#define JUNK_BUCKETS    8
#define JUNK_HOUR_US    3600000000ull
#define JUNK_GUARD      (1u << 20)
#define JUNK_VALUE_MAX  2000u
#define JUNK_COUNT(all) (sizeof(all) / sizeof((all)[0]))

struct junk_input {
	const uint8_t *data;
	size_t size;
};

struct junk_world {
	struct push_segment *workers[JUNK_WORKERS]; /* each with a mapping of its own */
	char *around[JUNK_WORKERS]; /* which lies in the middle of that, where nobody may read */
	size_t around_bytes;
	struct push_buf buf;
	uint64_t now_us;
	uint32_t hint, bucket;
	unsigned int sum; /* of all bytes that were shown, so that all of them are read */
};

/* Behind the input's end all is zero. */
static inline uint64_t
junk_next(struct junk_input *input, size_t bytes)
{
	uint64_t number = 0;

	for (; bytes && input->size; bytes--, input->size--)
		number = number << 8 | *input->data++;
	return number;
}

/* --- the world --- */

/* Where the next page on either side kills. */
static inline char *
junk_move(struct push_segment *segment, size_t *ret_bytes)
{
	size_t bytes = (segment->mapped_bytes + 4095) / 4096 * 4096;
	char *around = mmap(
		NULL, bytes + 2 * JUNK_GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *from = (char *)segment->header, *to = around + JUNK_GUARD;

	PUSH_ASSERT(around != MAP_FAILED);
	PUSH_ASSERT(mremap(from, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	segment->cells = (struct segment_cell *)(to + ((char *)segment->cells - from));
	segment->channel_buckets = (_Atomic segment_index *)(to + ((char *)segment->channel_buckets - from));
	segment->value_buckets = (_Atomic segment_index *)(to + ((char *)segment->value_buckets - from));
	segment->blocks = (union segment_block *)(to + ((char *)segment->blocks - from));
	segment->header = (struct segment_header *)to;
	*ret_bytes = bytes + 2 * JUNK_GUARD;
	return around;
}

static inline void
junk_begin(struct junk_world *world, bool may_grow)
{
	struct push_segment_settings settings = {.history_bytes_max = 1 << 20,
		.epoch = 7,
		.seed = 42,
		.cell_count = JUNK_CELLS,
		.bucket_count = JUNK_BUCKETS,
		.bytes_max = may_grow ? 3 << 20 : 40000};
	struct push_error error = {""};

	*world = (struct junk_world){.now_us = 1000000000};
	push_buf_init(&world->buf, SIZE_MAX);
	for (unsigned int i = 0; i < JUNK_WORKERS; i++) {
		struct push_segment *segment =
			i ? push_segment_attach(dup(push_segment_fd(world->workers[0])), &error)
			  : push_segment_create(&settings, &error);

		PUSH_ASSERT(segment);
		world->workers[i] = segment;
		world->around[i] = junk_move(segment, &world->around_bytes);
		push_segment_be(segment, i);
		PUSH_ASSERT(push_segment_lock(segment, 1000000) == PUSH_OK);
		PUSH_ASSERT(push_segment_join(segment, i, i ? "node1" : "node0", world->now_us) == PUSH_OK);
		push_segment_unlock(segment);
	}
}

static inline void
junk_end(struct junk_world *world)
{
	for (unsigned int i = 0; i < JUNK_WORKERS; i++) {
		push_segment_detach(world->workers[i]);
		munmap(world->around[i], world->around_bytes);
	}
	push_buf_fini(&world->buf);
}

/* False: somebody has it, as the word says; pushd kills whoever that is, and the next one gets it. */
static inline bool
junk_lock(struct push_segment *segment)
{
	if (push_segment_lock(segment, 0) == PUSH_OK)
		return true;
	atomic_store(&segment->header->lock, 0);
	return false;
}

/* --- what is written --- */

static inline uint64_t
junk_value(struct junk_world *world, struct junk_input *input)
{
	const struct push_segment *segment = world->workers[0];
	uint8_t kind = (uint8_t)junk_next(input, 1);

	switch (kind % 12) {
	case 0: return 0;
	case 1: return 1;
	case 2: return UINT64_MAX;
	case 3: return segment->block_count;
	case 4: return segment->block_count - 1;
	case 5: return segment->block_limit;
	case 6: return segment->header->tail + junk_next(input, 1) - 128;
	case 7: return 1ull << junk_next(input, 1) % 64;
	case 8: return junk_next(input, 8);
	case 9: return segment->header->number + junk_next(input, 1) - 128;
	/* most blocks that are used are the first ones */
	default: return junk_next(input, 1);
	}
}

static inline void
junk_write(struct junk_world *world, struct junk_input *input)
{
	struct push_segment *segment = world->workers[0];
	char *start = (char *)segment->header;
	uint8_t where = (uint8_t)junk_next(input, 1);
	size_t width = (size_t)1 << junk_next(input, 1) % 4, at, unit;
	uint64_t value;

	switch (where % 8) {
	case 0: at = junk_next(input, 2) % sizeof(*segment->header); break;
	case 1:
		/* in front of what is remembered of names there is most of it */
		at = offsetof(struct segment_header, tail) +
		     junk_next(input, 2) % (offsetof(struct segment_header, forgotten) -
						   offsetof(struct segment_header, tail));
		break;
	case 2:
		at = (size_t)((char *)segment->cells - start) +
		     junk_next(input, 2) % (JUNK_CELLS * sizeof(struct segment_cell));
		break;
	case 3:
		at = (size_t)((char *)segment->channel_buckets - start) +
		     junk_next(input, 1) % JUNK_BUCKETS * 4;
		break;
	case 4:
		at = (size_t)((char *)segment->value_buckets - start) +
		     junk_next(input, 1) % JUNK_BUCKETS * 4;
		break;
	default:
		unit = junk_next(input, where % 8 == 5 ? 2 : 1) % segment->block_count;
		at = (size_t)((char *)&segment->blocks[unit] - start) +
		     junk_next(input, 1) % PUSH_SEGMENT_BLOCK_BYTES;
	}
	at -= at % width;
	value = junk_value(world, input);
	memcpy(start + at, &value, width);
}

/* --- what the worker does --- */

static const char *const junk_names[] = {
	"a", "b", "kept", "other, whose name takes more than one block of the memory and is long"};

static inline const char *
junk_name(struct junk_input *input)
{
	return junk_names[junk_next(input, 1) % JUNK_COUNT(junk_names)];
}

static inline const char *
junk_bytes(void)
{
	static char bytes[JUNK_VALUE_MAX];

	memset(bytes, 'L', sizeof(bytes));
	return bytes;
}

static inline void
junk_shown(struct junk_world *world, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		world->sum += (unsigned char)bytes[i];
}

static inline bool
junk_see(void *context, const struct push_segment_item *item)
{
	junk_shown(context, item->name, item->name_size);
	junk_shown(context, item->value, item->value_size);
	return true;
}

static inline void
junk_see_notice(void *context, const char *text, size_t size)
{
	junk_shown(context, text, size);
}

static inline enum push_status
junk_publish(struct junk_world *world, struct push_segment *segment, const char *name, size_t size,
	uint32_t history)
{
	struct push_segment_message message = {.name = name,
		.name_size = strlen(name),
		.value = junk_bytes(),
		.value_size = size,
		.hash = push_segment_hash(segment, name, strlen(name)),
		.hint = world->hint,
		.history_size = history,
		.history_ttl_us = JUNK_HOUR_US};
	struct push_segment_published done;
	enum push_status status = push_segment_publish(segment, &message, world->now_us, &done);

	world->hint = done.channel;
	return status;
}

static inline void
junk_read_log(struct junk_world *world, struct push_segment *segment)
{
	struct push_segment_item item;
	enum push_segment_reading reading;

	for (unsigned int i = 0; i < 8; i++) {
		reading = push_segment_read(segment, &world->buf, &item);
		if (reading == PUSH_SEGMENT_NOTHING)
			return;
		if (reading == PUSH_SEGMENT_ITEM)
			(void)junk_see(world, &item);
		if (reading == PUSH_SEGMENT_OVERRUN && junk_lock(segment)) {
			push_segment_catch_up(segment);
			push_segment_unlock(segment);
		}
	}
}

static inline void
junk_read_history(struct junk_world *world, struct push_segment *segment, struct junk_input *input)
{
	const char *name = junk_name(input);
	uint64_t hash = push_segment_hash(segment, name, strlen(name));
	uint32_t at = push_segment_channel_find(segment, name, strlen(name), hash, world->hint);
	uint8_t how = (uint8_t)junk_next(input, 1);
	struct push_segment_kept kept;

	push_segment_kept(segment, at, hash, &kept);
	(void)push_segment_history_read(segment, at, how & 2 ? kept.after : 0,
		how & 4 ? kept.newest : UINT64_MAX, how & 1, 20, 100000, how & 8 ? &world->hint : NULL,
		&world->buf, world->now_us, junk_see, world);
}

static inline void
junk_use_values(struct junk_world *world, struct push_segment *segment, struct junk_input *input)
{
	const char *name = junk_name(input);
	uint8_t how = (uint8_t)junk_next(input, 1);
	uint64_t number = 0;

	push_buf_clear(&world->buf);
	switch (how % 4) {
	case 0:
		(void)!push_segment_value_put(segment, name, strlen(name), junk_bytes(),
			junk_next(input, 2) % JUNK_VALUE_MAX, JUNK_HOUR_US, world->now_us);
		return;
	case 1:
		if (!push_segment_value_get(segment, name, strlen(name), world->now_us, &world->buf))
			junk_shown(world, world->buf.bytes, world->buf.size);
		return;
	case 2:
		(void)!push_segment_notice_put(segment, junk_bytes(),
			1 + junk_next(input, 2) % (JUNK_VALUE_MAX - 1), JUNK_HOUR_US, world->now_us);
		return;
	default:
		for (unsigned int i = 0; i < 8; i++) {
			number = push_segment_notices_read(
				segment, number, 3, world->now_us, &world->buf, junk_see_notice, world);
			if (!number)
				return;
		}
	}
}

static inline void
junk_expire(struct junk_world *world, struct push_segment *segment, struct junk_input *input)
{
	uint8_t how = (uint8_t)junk_next(input, 1);
	uint64_t now_us = world->now_us + (how & 8 ? 2 * JUNK_HOUR_US : 0);

	switch (how % 5) {
	case 0: push_segment_expire(segment, &world->bucket, JUNK_BUCKETS, now_us); return;
	case 1: push_segment_values_expire(segment, 10, now_us); return;
	case 2: push_segment_values_limit(segment, 1000, 5); return;
	case 3: (void)push_segment_relieve(segment, 5); return;
	default:
		world->bucket = 0;
		while (segment_channels_forget(segment, how >> 4, &world->bucket, 3))
			continue;
		world->bucket = 0;
	}
}

static inline void
junk_count(struct push_segment *segment, struct junk_input *input)
{
	const char *name = junk_name(input);
	uint8_t how = (uint8_t)junk_next(input, 1);
	unsigned int slot = segment->slot;
	uint32_t hint = 0;

	/* counts of more workers than there is room for in the channel */
	segment->slot = how % PUSH_SEGMENT_SLOTS_MAX;
	(void)!push_segment_set_count(
		segment, name, strlen(name), push_segment_hash(segment, name, strlen(name)), how >> 6, &hint);
	segment->slot = slot;
}

static inline void
junk_send(struct junk_world *world, struct push_segment *segment, struct junk_input *input)
{
	struct push_segment_letter letter = {.verb = PUSH_SEGMENT_CALL,
		.mask = UINT64_MAX,
		.name = "verb",
		.name_size = 4,
		.value = junk_bytes(),
		.value_size = junk_next(input, 1)};
	uint64_t mask;

	(void)!push_segment_send(segment, &letter, world->now_us, &mask);
}

static inline void
junk_look(struct junk_world *world, struct push_segment *segment)
{
	struct push_segment_figures figures;
	struct push_segment_holder holder;
	char node[PUSH_SEGMENT_NODE_BYTES];
	struct push_error error;
	struct push_segment *another;

	push_segment_figures(segment, &figures);
	push_segment_holder(segment, &holder);
	for (unsigned int i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++)
		if (push_segment_node_of(segment, i, node, sizeof(node)))
			junk_shown(world, node, strlen(node));
	(void)push_segment_find_node(segment, "node1", 5);
	(void)push_segment_free_slot(segment, UINT64_MAX);
	PUSH_ASSERT(push_segment_behind(segment) <= JUNK_CELLS);
	push_segment_tick(segment, world->now_us, world->now_us);
	(void)push_segment_sleep(segment);
	push_segment_wake(segment, UINT64_MAX);
	push_segment_awake(segment);
	another = push_segment_attach(dup(push_segment_fd(segment)), &error);
	push_segment_detach(another);
}

static inline void
junk_repair(struct push_segment *segment)
{
	struct push_segment_repaired found;

	push_segment_repair(segment, &found);
}

static inline void
junk_act(struct junk_world *world, struct junk_input *input, uint8_t what)
{
	struct push_segment *segment = world->workers[what >> 4 & 1];

	if (what % 16 == 0 || what % 16 == 1) {
		if (what % 16)
			junk_look(world, segment);
		else
			junk_read_log(world, segment);
		return;
	}
	if (!junk_lock(segment))
		return;
	switch (what % 16) {
	case 2:
	case 3:
	case 4:
		(void)!junk_publish(world, segment, junk_name(input), junk_next(input, 2) % JUNK_VALUE_MAX,
			(uint32_t)(what % 16 == 2 ? 0 : junk_next(input, 1) % 8));
		break;
	case 5:
	case 6: junk_read_history(world, segment, input); break;
	case 7:
	case 8:
	case 9: junk_use_values(world, segment, input); break;
	case 10:
	case 11: junk_expire(world, segment, input); break;
	case 12:
	case 13: junk_count(segment, input); break;
	case 14: junk_send(world, segment, input); break;
	default: junk_repair(segment);
	}
	push_segment_unlock(segment);
}

/* --- all of it --- */

static inline void
junk_assert_whole(struct push_segment *segment)
{
	struct segment_check check = segment_check(segment);

	if (check.what[0])
		fprintf(stderr, "%s\n", check.what);
	PUSH_ASSERT(!check.what[0]);
	PUSH_ASSERT(!segment->is_broken);
}

/* Made whole, with room for one more: it is published, and is there. */
static inline void
junk_goes_on(struct junk_world *world, struct push_segment *segment)
{
	uint64_t hash = push_segment_hash(segment, "kept", 4);
	struct push_segment_kept kept;

	atomic_store(&segment->header->lock, 0);
	PUSH_ASSERT(push_segment_lock(segment, 0) == PUSH_OK);
	junk_repair(segment);
	junk_assert_whole(segment);
	push_segment_set_history_max(segment, 1 << 20);
	push_segment_values_expire(segment, UINT32_MAX, UINT64_MAX);
	junk_assert_whole(segment);
	PUSH_ASSERT(junk_publish(world, segment, "kept", 100, 5) == PUSH_OK);
	junk_assert_whole(segment);
	push_segment_kept(segment, push_segment_channel_find(segment, "kept", 4, hash, 0), hash, &kept);
	PUSH_ASSERT(kept.count && kept.newest == segment->header->number);
	push_segment_unlock(segment);
}

/* Something of everything. */
static inline void
junk_fill(struct junk_world *world)
{
	static const uint8_t steps[] = {12, 0, 65, 13, 2, 64, 0x1c, 0, 70, 2, 0, 0, 10, 7, 0, 0, 0, 10, 7, 1,
		0, 0, 200, 8, 0, 2, 0, 20, 8, 0, 2, 1, 20, 14, 100, 3, 2, 0, 10, 5, 4, 3, 1, 0, 5, 3, 2, 0,
		20, 5, 0x13, 2, 0, 200, 5, 0x10};
	struct junk_input input = {steps, sizeof(steps)};

	while (input.size)
		junk_act(world, &input, (uint8_t)junk_next(&input, 1));
}

#endif
