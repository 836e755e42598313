/*
 * numbers.h - what was published on one channel: the numbers 1, 2, 3..., and what became of each.
 *
 * One publisher sends them, the next one when the one before has been answered: so all numbers below the last
 * one are decided, and how many of a range were acknowledged is the difference of two sums.
 *
 * Beside that it is written down how often each was owed and received, by transport, so that what was
 * expected can be told at the end, when it is known which were acknowledged.
 */
#ifndef RECONCILE_NUMBERS_H
#define RECONCILE_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

#define TRANSPORTS 2

enum number_state {
	NUMBER_SENT,         /* not answered yet */
	NUMBER_ACKNOWLEDGED, /* 2xx */
	NUMBER_UNCERTAIN,    /* it may have been published, or nobody knows */
	NUMBER_REFUSED       /* the server said that it was not */
};

struct number {
	uint8_t state;                                  /* enum number_state */
	uint32_t acknowledged_before, uncertain_before; /* of all smaller numbers */
	uint32_t decided_ms;
	uint32_t received[TRANSPORTS];
	uint32_t subscribers,
		at_once; /* as answered; and how many got it who were connected when it was sent */
	int32_t owed_change[TRANSPORTS]; /* owed to so many more clients than the number before */
};

struct numbers {
	struct number *all; /* [0] is not used */
	uint32_t sent, decided, capacity;
};

/* numbers_send - the next number; 0 if memory is out.  The one before has to be decided. */
uint32_t
numbers_send(struct numbers *numbers);

/* numbers_decide - what became of the number that was sent last. */
void
numbers_decide(struct numbers *numbers, enum number_state state, uint32_t now_ms);

/* numbers_acknowledged, numbers_uncertain - how many there are in [from, to); all below `to` are decided. */
uint32_t
numbers_acknowledged(const struct numbers *numbers, uint32_t from, uint32_t to);
uint32_t
numbers_uncertain(const struct numbers *numbers, uint32_t from, uint32_t to);

/* numbers_owe - a client of this transport is owed [from, to). */
void
numbers_owe(struct numbers *numbers, unsigned int transport, uint32_t from, uint32_t to);

/* numbers_expected, numbers_received - deliveries of numbers that were acknowledged. */
uint64_t
numbers_expected(const struct numbers *numbers, unsigned int transport);
uint64_t
numbers_received(const struct numbers *numbers, unsigned int transport, enum number_state state);

/* numbers_too_few - the acknowledged numbers that more clients got at once than were counted; *ret_first: the first. */
uint32_t
numbers_too_few(const struct numbers *numbers, uint32_t *ret_first);

void
numbers_fini(struct numbers *numbers);

#endif
