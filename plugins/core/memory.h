/*
 * memory.h - the budget of what a process keeps for others: push.memory.max.
 *
 * Each thing that can grow by what clients, publishers or Redis do is charged to an account; the accounts
 * together must stay within the budget.  What clients have in common, a message in a thousand queues, is
 * charged once.  The structures of idle clients are not in here: descriptors bound them, at 250 bytes each.
 *
 *   0                                                     high                    max
 *   ├──────────────────────────────────────────────────────┼───────────────────────┤
 *                                                    short │ memory is freed       │ full: publishes
 *                                                          │                       │ are refused
 *
 * What is freed when memory is short, in this order (broker/relief.c): the largest queues of slow clients,
 * whose connections end with 1013; answers that publishers do not read; the oldest messages of history.  The
 * budget is kept from turn to turn: within one, what was read from sockets may exceed it, and nothing is
 * refused as long as something is left to be freed.
 *
 * A charge is two additions; the caller knows what it took.  There is one thread.
 */
#ifndef PUSH_CORE_MEMORY_H
#define PUSH_CORE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"

/* X(name, label in metrics).  A new one needs whoever charges it, and a place in broker/relief.c if it can be
 * freed. */
#define PUSH_MEMORY_USE_MAP(X)                                                                               \
	X(QUEUES, "queues")     /* messages and answers that wait for subscribers */                         \
	X(SOCKETS, "sockets")   /* what the kernel buffers for slow ones, as far as it may */                \
	X(REQUESTS, "requests") /* bodies that come in, publishes under way, answers that are not read */    \
	X(HISTORY, "history")   /* messages kept of channels */                                              \
	X(VALUES, "values")     /* what is kept by name */                                                   \
	X(CHANNELS, "channels") /* channels and their lists of subscribers */                                \
	X(IDENTITIES, "identities") /* who clients are, and what they may do */

enum push_memory_use {
#define X(name, label) PUSH_MEMORY_##name,
	PUSH_MEMORY_USE_MAP(X)
#undef X
		PUSH_MEMORY_USE_COUNT
};

struct push_memory;

struct push_account {
	struct push_memory *memory; /* borrowed */
	uint64_t bytes;
};

struct push_memory {
	struct push_account accounts[PUSH_MEMORY_USE_COUNT];
	uint64_t bytes; /* of all accounts */
	uint64_t bytes_high, bytes_max;
	bool is_exhausted; /* more than the budget is in use, and nothing is left to be freed */
};

/* What a client is told where the budget leaves no room. */
#define PUSH_MEMORY_SHORT_TEXT "memory is short (push.memory.max), try again"

/* What malloc itself takes for a block, about. */
#define PUSH_MALLOC_BYTES 16u

/* push_memory_init - nothing is charged yet, and there is no bound.  It must not move afterwards. */
void
push_memory_init(struct push_memory *memory);

/* push_memory_set_max - the budget, from now on. */
void
push_memory_set_max(struct push_memory *memory, uint64_t bytes_max);

static inline void
push_account_add(struct push_account *account, uint64_t bytes)
{
	account->bytes += bytes;
	account->memory->bytes += bytes;
}

static inline void
push_account_take(struct push_account *account, uint64_t bytes)
{
	account->bytes -= bytes;
	account->memory->bytes -= bytes;
}

/* push_account_change - what was `before` bytes is `after` bytes now. */
static inline void
push_account_change(struct push_account *account, uint64_t before, uint64_t after)
{
	push_account_add(account, after);
	push_account_take(account, before);
}

/* push_memory_is_short - something is to be freed. */
static inline bool
push_memory_is_short(const struct push_memory *memory)
{
	return memory->bytes > memory->bytes_high;
}

/* push_memory_has_room - whether `bytes` more stay within the budget, or something can be freed for them. */
static inline bool
push_memory_has_room(const struct push_memory *memory, uint64_t bytes)
{
	/* for what requests themselves take nothing else can be freed */
	if (memory->accounts[PUSH_MEMORY_REQUESTS].bytes + bytes > memory->bytes_max)
		return false;
	return !memory->is_exhausted || memory->bytes + bytes <= memory->bytes_max;
}

/* push_memory_has_room_for_channel - likewise, for what lasts as long as its clients do and cannot be freed:
 * it leaves a quarter of the budget to everything else. */
static inline bool
push_memory_has_room_for_channel(const struct push_memory *memory, uint64_t bytes)
{
	return push_memory_has_room(memory, bytes) && memory->accounts[PUSH_MEMORY_CHANNELS].bytes + bytes <=
							      memory->bytes_max - memory->bytes_max / 4;
}

/* push_memory_has_room_for_identity - likewise: identities may take one part of so many, since a token may have
 * rights of 8 kB. */
static inline bool
push_memory_has_room_for_identity(const struct push_memory *memory, uint64_t bytes)
{
	return push_memory_has_room(memory, bytes) &&
	       memory->accounts[PUSH_MEMORY_IDENTITIES].bytes + bytes <=
		       memory->bytes_max / PUSH_IDENTITIES_SHARE;
}

/*
 * push_memory_gives - whether memory is short and these accounts are worth freeing: they hold more than a
 * share of the budget, so that nobody is closed for what others take.
 *
 * @uses: bits, 1 << enum push_memory_use.
 */
bool
push_memory_gives(const struct push_memory *memory, unsigned int uses);

#endif
