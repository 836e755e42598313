/* seen.c - see seen.h. */
#include <stdlib.h>

#include "core/push_assert.h"
#include "redis/seen.h"

#define FIRST_SLOTS 64

void
push_redis_seen_init(struct push_redis_seen *seen)
{
	*seen = (struct push_redis_seen){.newer = {.ids = NULL}};
}

void
push_redis_seen_fini(struct push_redis_seen *seen)
{
	free(seen->newer.ids);
	free(seen->older.ids);
	push_redis_seen_init(seen);
}

/* Where it is, or would be: at least a quarter of the slots is free. */
static uint64_t *
slot_of(const struct push_redis_seen_table *table, uint64_t id)
{
	size_t mask = table->slot_count - 1, at = (size_t)id & mask;

	while (table->ids[at] && table->ids[at] != id)
		at = (at + 1) & mask;
	return &table->ids[at];
}

static bool
has(const struct push_redis_seen_table *table, uint64_t id)
{
	return table->ids && *slot_of(table, id) == id;
}

static bool
make_room(struct push_redis_seen_table *table)
{
	struct push_redis_seen_table larger = {
		.slot_count = table->slot_count ? 2 * table->slot_count : FIRST_SLOTS, .count = table->count};

	if (4 * (table->count + 1) <= 3 * table->slot_count)
		return true;
	larger.ids = calloc(larger.slot_count, sizeof(*larger.ids));
	if (!larger.ids)
		return false;
	for (size_t i = 0; i < table->slot_count; i++)
		if (table->ids[i])
			*slot_of(&larger, table->ids[i]) = table->ids[i];
	free(table->ids);
	*table = larger;
	return true;
}

static void
end_generation(struct push_redis_seen *seen)
{
	free(seen->older.ids);
	seen->older = seen->newer;
	seen->newer = (struct push_redis_seen_table){.ids = NULL};
}

bool
push_redis_seen_add(struct push_redis_seen *seen, uint64_t id)
{
	bool is_new;

	id += !id; /* 0 is no id */
	if (has(&seen->newer, id))
		return false;
	is_new = !has(&seen->older, id);
	if (seen->newer.count == PUSH_REDIS_SEEN_MAX)
		end_generation(seen);
	if (make_room(&seen->newer)) {
		*slot_of(&seen->newer, id) = id;
		seen->newer.count++;
	}
	PUSH_ASSERT(seen->newer.count <= PUSH_REDIS_SEEN_MAX);
	return is_new;
}
