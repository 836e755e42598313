/*
 * Junk in the shared memory: another process has written anything anywhere, while a good one publishes, reads, keeps
 * values and repairs.  Nothing crashes, hangs or reads beyond what is mapped; and whatever there was, a repair leaves
 * lists that lead to all that there is.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/segment_check.h"
#include "core/options.h"
#include "segment/history.h"
#include "segment/lock.h"
#include "segment/log.h"
#include "segment/repair.h"
#include "segment/segment.h"
#include "segment/slots.h"
#include "segment/values.h"

#define NOW_US  1000000000ull
#define HOUR_US 3600000000ull

struct junk {
	const uint8_t *at;
	size_t left;
	struct push_segment *segment, *other;
	struct push_buf buf;
};

static uint64_t
take(struct junk *junk, size_t bytes)
{
	uint64_t ret = 0;

	for (; bytes && junk->left; bytes--, junk->left--)
		ret = ret << 8 | *junk->at++;
	return ret;
}

static const char *
name_of(struct junk *junk)
{
	static const char *const names[] = {
		"a", "b", "c", "a name that takes more than one block of the memory"};

	return names[take(junk, 1) % 4];
}

static uint64_t
hash_of(const struct junk *junk, const char *name)
{
	return push_segment_hash(junk->segment, name, strlen(name));
}

/* --- what is written by whom it should not be --- */

/* Numbers that are almost right do more harm than those that are just large. */
static uint64_t
number(struct junk *junk)
{
	switch (take(junk, 1) % 6) {
	case 0: return 0;
	case 1: return take(junk, 1) % 140;
	case 2: return take(junk, 8);
	case 3: return UINT64_MAX;
	case 4: return junk->segment->header->tail + take(junk, 1) - 100;
	default: return 1ull << take(junk, 1) % 64;
	}
}

static void
write_at(struct junk *junk, size_t at, size_t size)
{
	uint64_t what = number(junk);

	memcpy((char *)junk->segment->header + at, &what, size);
}

static void
spoil_header(struct junk *junk)
{
	static const size_t from = offsetof(struct segment_header, tail), to = sizeof(struct segment_header);

	write_at(junk, from + take(junk, 2) % ((to - from) / 4 - 1) * 4, 4u << take(junk, 1) % 2);
}

static void
spoil_figures(struct junk *junk)
{
	static const size_t from = offsetof(struct segment_header, tail),
			    to = offsetof(struct segment_header, forgotten);

	write_at(junk, from + take(junk, 2) % ((to - from) / 4) * 4, 4u << take(junk, 1) % 2);
}

static void
spoil_cells(struct junk *junk)
{
	size_t size = (junk->segment->cell_mask + 1) * sizeof(struct segment_cell);

	write_at(junk, junk->segment->header->cells_at + take(junk, 2) % (size / 4) * 4, 4);
}

static void
spoil_buckets(struct junk *junk)
{
	size_t bucket = take(junk, 1) & junk->segment->bucket_mask;

	junk->segment->channel_buckets[bucket] = (segment_index)number(junk);
	junk->segment->value_buckets[bucket] = (segment_index)number(junk);
}

static void
spoil_block(struct junk *junk)
{
	size_t index = take(junk, 1) % 140, word = take(junk, 1) % 32;

	write_at(junk, junk->segment->blocks_at + index * PUSH_SEGMENT_BLOCK_BYTES + word * 4,
		1u << take(junk, 1) % 3);
}

static void
copy_block(struct junk *junk)
{
	size_t from = take(junk, 1) % 140, to = take(junk, 1) % 140;

	if (from != to)
		memcpy(&junk->segment->blocks[to], &junk->segment->blocks[from], PUSH_SEGMENT_BLOCK_BYTES);
}

/* A record that is whole, but for what the checksum does not say. */
static void
sign_block(struct junk *junk)
{
	segment_index index = (segment_index)(take(junk, 1) % 140);
	struct segment_record *record = segment_record(
		junk->segment, index, 1u << SEGMENT_MESSAGE | 1u << SEGMENT_VALUE | 1u << SEGMENT_NOTICE);

	if (!record || !index)
		return;
	record->state = SEGMENT_LIVE;
	record->checksum = segment_checksum(junk->segment, index);
}

/* --- what a good process does --- */

static bool
lock(struct junk *junk)
{
	return push_segment_lock(junk->segment, 100) == PUSH_OK;
}

static void
publish(struct junk *junk)
{
	static const char value[3000] = "value";
	const char *name = name_of(junk);
	struct push_segment_message message = {.name = name,
		.name_size = strlen(name),
		.value = value,
		.value_size = take(junk, 1) % 8 ? take(junk, 1) : take(junk, 2) % sizeof(value),
		.hash = hash_of(junk, name),
		.hint = (uint32_t)take(junk, 1) % 140,
		.ttl_us = take(junk, 1),
		.history_size = (uint32_t)take(junk, 1) % 5,
		.history_ttl_us = HOUR_US};
	struct push_segment_published done;

	(void)!push_segment_publish(junk->segment, &message, NOW_US, &done);
}

static void
send_letter(struct junk *junk)
{
	struct push_segment_letter letter = {.verb = PUSH_SEGMENT_CALL,
		.name = "verb",
		.name_size = 4,
		.value = "text",
		.value_size = 4,
		.mask = take(junk, 1)};
	uint64_t mask;

	(void)!push_segment_send(junk->segment, &letter, NOW_US, &mask);
}

static bool
visit(void *context, const struct push_segment_item *item)
{
	uint64_t *sum = context;

	for (size_t i = 0; i < item->value_size; i++)
		*sum += (unsigned char)item->value[i];
	return true;
}

static void
read_log(struct junk *junk)
{
	struct push_segment_item item;
	uint64_t sum = 0;

	for (int i = 0; i < 40; i++)
		switch (push_segment_read(junk->segment, &junk->buf, &item)) {
		case PUSH_SEGMENT_ITEM: (void)visit(&sum, &item); break;
		case PUSH_SEGMENT_OTHERS: break;
		case PUSH_SEGMENT_NOTHING: return;
		case PUSH_SEGMENT_OVERRUN:
			if (!lock(junk))
				return;
			push_segment_catch_up(junk->segment);
			push_segment_unlock(junk->segment);
			return;
		}
}

static void
read_history(struct junk *junk)
{
	const char *name = name_of(junk);
	uint64_t hash = hash_of(junk, name), sum = 0, mask;
	uint32_t at = push_segment_channel_find(
			 junk->segment, name, strlen(name), hash, (uint32_t)take(junk, 1) % 140),
		 hint = (uint32_t)take(junk, 1) % 140;
	struct push_segment_kept kept;

	push_segment_kept(junk->segment, at, hash, &kept);
	(void)push_segment_subscribers(junk->segment, at, &mask);
	(void)push_segment_history_read(junk->segment, at, take(junk, 1) % 4, UINT64_MAX, take(junk, 1) % 2,
		100, 100000, &hint, &junk->buf, NOW_US + take(junk, 1) % 2 * HOUR_US, visit, &sum);
}

static void
see_notice(void *context, const char *text, size_t size)
{
	struct push_segment_item item = {.value = text, .value_size = size};

	(void)visit(context, &item);
}

static void
use_values(struct junk *junk)
{
	const char *name = name_of(junk);
	uint64_t sum = 0, last = take(junk, 1) % 4;

	push_buf_clear(&junk->buf);
	(void)!push_segment_value_get(junk->segment, name, strlen(name), NOW_US, &junk->buf);
	(void)!push_segment_value_put(junk->segment, name, strlen(name),
		"a value that takes two of the blocks", 36, take(junk, 1) % 4 * HOUR_US, NOW_US);
	if (take(junk, 1) % 2)
		(void)!push_segment_notice_put(junk->segment, "notice", 6, HOUR_US, NOW_US);
	for (int i = 0; i < 20; i++) {
		last = push_segment_notices_read(
			junk->segment, last, 10, NOW_US, &junk->buf, see_notice, &sum);
		if (!last)
			break;
	}
}

static void
subscribe(struct junk *junk)
{
	const char *name = name_of(junk);
	uint32_t hint = (uint32_t)take(junk, 1) % 140;

	(void)!push_segment_set_count(
		junk->segment, name, strlen(name), hash_of(junk, name), (uint32_t)take(junk, 1) % 3, &hint);
}

static void
expire(struct junk *junk)
{
	uint32_t bucket = (uint32_t)take(junk, 1);
	uint64_t now_us = NOW_US + take(junk, 1) % 3 * HOUR_US;

	push_segment_expire(junk->segment, &bucket, 20, now_us);
	push_segment_values_expire(junk->segment, 20, now_us);
	(void)push_segment_relieve(junk->segment, take(junk, 1) % 3);
}

static void
repair(struct junk *junk)
{
	struct push_segment_repaired found;

	push_segment_repair(junk->segment, &found);
}

static void
end_worker(struct junk *junk)
{
	/* another process looks after the slots; of those some are taken, or seem to be */
	(void)!push_segment_slot_ended(junk->other, (unsigned int)take(junk, 1) % PUSH_SEGMENT_SLOTS_MAX);
}

static void
look(struct junk *junk)
{
	struct push_segment_figures figures;
	struct push_segment_holder holder;
	char name[PUSH_SEGMENT_NODE_BYTES];

	push_segment_figures(junk->segment, &figures);
	push_segment_holder(junk->segment, &holder);
	(void)push_segment_node_of(junk->segment, (unsigned int)take(junk, 1), name, sizeof(name));
	(void)push_segment_find_node(junk->segment, "node", 4);
	(void)push_segment_sleep(junk->segment);
	push_segment_awake(junk->segment);
	push_segment_wake(junk->segment, take(junk, 1));
}

static void
run(struct junk *junk)
{
	static void (*const spoilers[])(struct junk *) = {spoil_header, spoil_figures, spoil_cells,
		spoil_buckets, spoil_block, spoil_block, spoil_block, copy_block, sign_block};
	static void (*const locked[])(struct junk *) = {
		publish, publish, publish, send_letter, read_history, use_values, subscribe, expire, repair};
	static void (*const others[])(struct junk *) = {read_log, end_worker, look};
	uint8_t what = (uint8_t)take(junk, 1);

	if (what % 3 == 0)
		spoilers[what / 3 % (sizeof(spoilers) / sizeof(spoilers[0]))](junk);
	else if (what % 3 == 1)
		others[what / 3 % (sizeof(others) / sizeof(others[0]))](junk);
	else if (lock(junk)) {
		locked[what / 3 % (sizeof(locked) / sizeof(locked[0]))](junk);
		push_segment_unlock(junk->segment);
	}
}

static void
check(struct junk *junk)
{
	struct push_segment_repaired found;
	struct segment_check checked;

	junk->segment->header->lock = 0;
	if (!lock(junk))
		abort();
	push_segment_repair(junk->segment, &found);
	checked = segment_check(junk->segment);
	push_segment_unlock(junk->segment);
	if (checked.what[0]) {
		fprintf(stderr, "after a repair: %s\n", checked.what);
		abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct push_segment_settings settings = {.history_bytes_max = 8192,
		.epoch = 1,
		.seed = 2,
		.cell_count = 16,
		.bucket_count = 16,
		.bytes_max = 138 * PUSH_SEGMENT_BLOCK_BYTES};
	struct junk junk = {.at = bytes, .left = size};
	struct push_error error;

	push_buf_init(&junk.buf, SIZE_MAX);
	junk.other = push_segment_create(&settings, &error);
	if (!junk.other)
		abort();
	junk.segment = push_segment_attach(dup(push_segment_fd(junk.other)), &error);
	if (!junk.segment)
		abort();
	push_segment_be(junk.other, PUSH_SEGMENT_SUPERVISOR);
	push_segment_be(junk.segment, 1);
	if (!lock(&junk) || push_segment_join(junk.segment, 1, "node", NOW_US) != PUSH_OK)
		abort();
	push_segment_unlock(junk.segment);
	while (junk.left)
		run(&junk);
	check(&junk);
	push_segment_detach(junk.segment);
	push_segment_detach(junk.other);
	push_buf_fini(&junk.buf);
	return 0;
}
