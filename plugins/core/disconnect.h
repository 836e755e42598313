/*
 * disconnect.h - connections that an operator ends: of a user, a token, a key, a channel or a client's name.
 *
 * They are looked for in slices, a turn at a time, so that a hundred thousand of them hold nobody up; several
 * orders wait in a row.  Subscribers of a channel, and clients with a name, are found where they stand; for the
 * others the table of identities is walked, which no request and no timer does otherwise: once for all of those
 * orders that wait in a row, and within a second however many clients there are.
 */
#ifndef PUSH_CORE_DISCONNECT_H
#define PUSH_CORE_DISCONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "list.h"
#include "str.h"

struct push_hub;

enum push_disconnect_by {
	PUSH_DISCONNECT_USER,
	PUSH_DISCONNECT_TOKEN_ID,
	PUSH_DISCONNECT_KEY,
	PUSH_DISCONNECT_CHANNEL,
	PUSH_DISCONNECT_CLIENT
};

struct push_disconnect {
	enum push_disconnect_by by;
	struct push_str name; /* copied */
	bool is_revoked;      /* their token is not accepted any more: 4401 instead of 4403 */
	union {
		/* is_revoked: only those whose token was issued before that (Unix); one that does not say, was */
		int64_t issued_before_s;
		uint64_t began_before_us; /* else: only those that have started before that; monotonic */
	};
};

/* Orders that wait; more are refused. */
#define PUSH_DISCONNECTS_MAX 1024

/* Slots or subscribers that one turn looks at: some 50 us. */
#define PUSH_DISCONNECT_SLICE 2048

/* Turns, of a tick each, in which the whole table of identities is looked through: more slots a turn where it is large,
 * as long as few connections are ended. */
#define PUSH_DISCONNECT_TURNS 64

/* Orders that are carried out in one walk through that table: each is compared with each client, some ns. */
#define PUSH_DISCONNECT_GROUP 64

struct push_disconnects {
	struct push_list waiting;
	size_t count;
	size_t group; /* the first so many share the walk that is under way; 0: none is */
	uint64_t at;  /* of that */
};

void
push_disconnects_init(struct push_disconnects *disconnects);

void
push_disconnects_fini(struct push_disconnects *disconnects);

/* push_disconnects_add - begin to end those.  Returns false if too many orders wait, or memory is out. */
bool
push_disconnects_add(struct push_disconnects *disconnects, const struct push_disconnect *what);

/* push_disconnects_tick - a slice of what waits. */
void
push_disconnects_tick(struct push_disconnects *disconnects, struct push_hub *hub, uint64_t now_us);

#endif
