/* held.c - see held.h. */
#include <stdlib.h>
#include <string.h>

#include "held.h"

struct held_event {
	struct held_event *next;
	char name[32], id[CLI_ID_BYTES_MAX + 1];
	size_t size;
	char data[];
};

bool
held_add(struct held *held, const struct link_event *event)
{
	struct held_event *one;

	if (held->count == CLI_COPIES_MAX)
		return false;
	one = malloc(sizeof(*one) + event->data_size + 1);
	if (!one)
		return false;
	one->next = NULL;
	one->size = event->data_size;
	strncpy(one->name, event->name, sizeof(one->name) - 1);
	one->name[sizeof(one->name) - 1] = '\0';
	strcpy(one->id, event->id);
	memcpy(one->data, event->data, event->data_size);
	if (held->last)
		held->last->next = one;
	else
		held->first = one;
	held->last = one;
	held->count++;
	return true;
}

bool
held_take(struct held *held, struct link_event *ret_event, struct held_event **ret_memory)
{
	struct held_event *one = held->first;

	if (!one)
		return false;
	held->first = one->next;
	if (!held->first)
		held->last = NULL;
	held->count--;
	*ret_event = (struct link_event){.name = one->name, .data = one->data, .data_size = one->size};
	strcpy(ret_event->id, one->id);
	*ret_memory = one;
	return true;
}

void
held_free(struct held_event *memory)
{
	free(memory);
}

void
held_clear(struct held *held)
{
	struct link_event event;
	struct held_event *memory;

	while (held_take(held, &event, &memory))
		held_free(memory);
}
