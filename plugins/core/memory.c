/* memory.c - see memory.h. */
#include "memory.h"

/* Memory is short when less than an eighth of the budget is left; accounts below an eighth are left alone. */
#define SHARE 8

void
push_memory_set_max(struct push_memory *memory, uint64_t bytes_max)
{
	memory->bytes_max = bytes_max;
	memory->bytes_high = bytes_max - bytes_max / SHARE;
}

void
push_memory_init(struct push_memory *memory)
{
	*memory = (struct push_memory){.bytes = 0};
	push_memory_set_max(memory, UINT64_MAX);
	for (int use = 0; use < PUSH_MEMORY_USE_COUNT; use++)
		memory->accounts[use].memory = memory;
}

bool
push_memory_gives(const struct push_memory *memory, unsigned int uses)
{
	uint64_t bytes = 0;

	if (!push_memory_is_short(memory))
		return false;
	for (unsigned int use = 0; use < PUSH_MEMORY_USE_COUNT; use++)
		if (uses & 1u << use)
			bytes += memory->accounts[use].bytes;
	return bytes > memory->bytes_max / SHARE;
}
