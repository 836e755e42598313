/*
 * publisher.h - the one who numbers the messages of a channel: one request after the other.
 *
 * The next number is sent when what became of the last one is known: acknowledged, refused, or uncertain,
 * where the answer said so or the connection was lost.  A number that could not even be sent is tried again,
 * and counted as a failure.
 */
#ifndef RECONCILE_PUBLISHER_H
#define RECONCILE_PUBLISHER_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"
#include "numbers.h"

#define PUBLISHER_IN_BYTES 4096

struct proof;

struct publisher {
	struct handler handler; /* the first member */
	struct proof *proof;
	uint32_t channel, node;
	int fd;
	bool is_connected, is_waiting; /* for an answer */
	bool is_once;                  /* each request has a connection of its own */
	uint32_t answers;              /* on this connection */
	uint64_t due_ns, sent_ns;
	struct numbers numbers;
	uint32_t clients;              /* of this channel */
	bool waits;                    /* for `written` */
	bool is_counting;              /* at the end */
	bool is_counted;               /* the last answer was right */
	uint64_t subscribers, written; /* that it told of */
	bool is_last;                  /* what it sends now is a last message */
	uint64_t last_round;           /* for which it was sent: proof's round_ns */
	char *in;
	uint32_t in_size;
};

bool
publisher_init(struct publisher *publisher, struct proof *proof, uint32_t channel);

/* publisher_tick - send the next number if it is time for it and `may_send`; give up what takes too long. */
void
publisher_tick(struct publisher *publisher, uint64_t now_ns, bool may_send);

/* publisher_close - what is not answered yet is uncertain. */
void
publisher_close(struct publisher *publisher);

void
publisher_fini(struct publisher *publisher);

#endif
