/*
 * checks.h - when a token that is not known is verified: at once, or after others.
 *
 * A signature costs 0.1 to 2 ms, and as much with each key that a token without a `kid` is tried with.  Whoever
 * sends forged tokens could take all of a process with some hundred a second.  So the time of those that were
 * refused is a debt, paid back with a fifth of the time that goes by.  Above PUSH_CHECK_DEBT_US, tokens that are not
 * known wait, in the order in which they came, and ticks go on with them.  Good ones cost nothing, and tokens that
 * the cache knows (token_cache.h) do not come here at all.
 *
 * One that has waited too long, or for which there is no room, is for the owner to refuse: the client tries again.
 */
#ifndef PUSH_AUTH_CHECKS_H
#define PUSH_AUTH_CHECKS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/authenticator.h"
#include "core/list.h"
#include "core/str.h"

/* A token to be checked, and whom its verdict is for. */
struct push_check {
	struct push_str token;
	bool may_wait;   /* as the owner means it: for keys */
	bool has_waited; /* for others: it may be known meanwhile */
	push_verdict_fn done;
	void *context;
};

/* The owner: all are called with `context`. */
struct push_checks_host {
	void (*check)(void *context, const struct push_check *check);
	void (*give_up)(void *context, const struct push_check *check);
	uint64_t (*now_us)(void);
	void *context;
};

struct push_checks {
	struct push_checks_host host;
	struct push_list waiting;
	unsigned int waiting_count;
	uint64_t debt_us, paid_us; /* until when the debt was paid */
};

/* push_checks_init - in the owner's memory. */
void
push_checks_init(struct push_checks *checks, const struct push_checks_host *host);

/* push_checks_fini - gives up those that wait. */
void
push_checks_fini(struct push_checks *checks);

/* push_checks_submit - check it, or give it up, now or from a later tick; the token is copied then. */
void
push_checks_submit(struct push_checks *checks, const struct push_check *check);

/* push_checks_charge - a check that took so long was for nothing. */
void
push_checks_charge(struct push_checks *checks, uint64_t us);

/* push_checks_tick - go on with those that wait. */
void
push_checks_tick(struct push_checks *checks, uint64_t now_us);

#endif
