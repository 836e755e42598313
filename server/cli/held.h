/* held.h - events that are kept until the old connection is closed, in their order. */
#ifndef PUSH_CLI_HELD_H
#define PUSH_CLI_HELD_H

#include <stdbool.h>

#include "link.h"

struct held_event;

struct held {
	struct held_event *first, *last;
	size_t count;
};

/* held_add - a copy of the event; false when out of memory, or when there are CLI_COPIES_MAX of them. */
bool
held_add(struct held *held, const struct link_event *event);

/* held_take - the oldest event; false: there is none.  The caller gives it back to held_free(). */
bool
held_take(struct held *held, struct link_event *ret_event, struct held_event **ret_memory);

void
held_free(struct held_event *memory);

void
held_clear(struct held *held);

#endif
