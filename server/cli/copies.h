/*
 * copies.h - messages that the old connection has brought during a move, to recognise them when the new one
 * brings them again.
 *
 * Both bring the messages of a channel in the same order.  One with an id is known by it.  One without is
 * known by its content: of those that the old connection brought the first that is equal is its copy, and
 * with it everything that came before it on this channel is done with; one that has no copy is new, and so is
 * what follows it.
 *
 * Equal content means a copy only for a while, until copies_settle().  Equal ids always do: a server that was busy may
 * replay late.  Those are kept until a new message shows that the replay of its channel is over.
 */
#ifndef PUSH_CLI_COPIES_H
#define PUSH_CLI_COPIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct copy {
	uint64_t channel, key; /* hashes: a message is not kept for it */
	bool has_id, is_used;
};

struct copies {
	struct copy *list;
	size_t count, capacity, first; /* none before `first` is unused */
	bool is_settled;
};

/* A message, borrowed. */
struct copies_key {
	const char *channel, *id, *value; /* id: "" of a message without one */
	size_t channel_size, value_size;
};

void
copies_clear(struct copies *copies);

/* copies_add - false: out of memory, or CLI_COPIES_MAX of them are there. */
bool
copies_add(struct copies *copies, const struct copies_key *message);

/* copies_settle - from now on a message without an id is new. */
void
copies_settle(struct copies *copies);

/* copies_take - whether it is the copy of one that was added; that one is used up. */
bool
copies_take(struct copies *copies, const struct copies_key *message);

#endif
