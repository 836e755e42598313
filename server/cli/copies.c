/* copies.c - see copies.h. */
#include <stdlib.h>
#include <string.h>

#include "copies.h"
#include "cli_limits.h"

#define FIRST_CAPACITY 64

/* FNV-1a */
static uint64_t
hash(const char *bytes, size_t size)
{
	uint64_t value = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < size; i++)
		value = (value ^ (unsigned char)bytes[i]) * 0x100000001b3ull;
	return value;
}

static struct copy
copy_of(const struct copies_key *message)
{
	bool has_id = message->id[0];

	return (struct copy){.channel = hash(message->channel, message->channel_size),
		.key = has_id ? hash(message->id, strlen(message->id))
			      : hash(message->value, message->value_size),
		.has_id = has_id};
}

void
copies_clear(struct copies *copies)
{
	free(copies->list);
	*copies = (struct copies){.list = NULL};
}

bool
copies_add(struct copies *copies, const struct copies_key *message)
{
	if (copies->count == copies->capacity) {
		size_t capacity = copies->capacity ? copies->capacity * 2 : FIRST_CAPACITY;
		struct copy *list;

		if (copies->capacity >= CLI_COPIES_MAX)
			return false;
		list = realloc(copies->list, capacity * sizeof(*list));
		if (!list)
			return false;
		copies->list = list;
		copies->capacity = capacity;
	}
	copies->list[copies->count++] = copy_of(message);
	return true;
}

/* What came before `end` on its channel. */
static void
use_up(struct copies *copies, const struct copy *wanted, size_t end)
{
	for (size_t i = copies->first; i < end; i++)
		if (copies->list[i].channel == wanted->channel && copies->list[i].has_id == wanted->has_id)
			copies->list[i].is_used = true;
}

void
copies_settle(struct copies *copies)
{
	copies->is_settled = true;
	for (size_t i = copies->first; i < copies->count; i++)
		copies->list[i].is_used |= !copies->list[i].has_id;
}

bool
copies_take(struct copies *copies, const struct copies_key *message)
{
	struct copy wanted = copy_of(message);
	size_t i;

	while (copies->first < copies->count && copies->list[copies->first].is_used)
		copies->first++;
	for (i = copies->first; i < copies->count; i++) {
		struct copy *copy = &copies->list[i];

		if (!copy->is_used && copy->channel == wanted.channel && copy->key == wanted.key &&
			copy->has_id == wanted.has_id)
			break;
	}
	if (!wanted.has_id || (copies->is_settled && i == copies->count))
		use_up(copies, &wanted, i);
	if (i == copies->count)
		return false;
	copies->list[i].is_used = true;
	return true;
}
