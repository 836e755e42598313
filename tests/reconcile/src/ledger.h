/*
 * ledger.h - what one client is owed of one channel, what it got, and what it was told that it would not get.
 *
 *   owed:    everything that was sent after the client had read its first heartbeat; or, if an older message
 *            reached it behind that, everything from that one on
 *   hole:    numbers between two that came one behind the other, or before the first one that came
 *   a hole is well if nothing in it was acknowledged, or if a gap stands at its place:
 *            "unknown", or without a channel   whatever is missing
 *            a number                          exactly so many are missing, those of which nobody knows
 *                                              whether they were published counted or not
 *   else it is a silent loss; one that a gap without a channel follows is counted as told late.
 *
 * A client that is cut off comes back with its last id and goes on with the same ledger.  Gaps that it was
 * told behind that id are told to it again, so they are forgotten; those before it are kept.  A gap that is
 * told twice all the same, since an id of another channel came in between, is not held against the server:
 * one of them, or their sum, has to be right.
 *
 * Without ids a client that comes back begins anew (ledger_restart), and what was published in between is not
 * owed to it.
 */
#ifndef RECONCILE_LEDGER_H
#define RECONCILE_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "numbers.h"

#define MISSED_UNKNOWN UINT32_MAX

/* Found out within ten seconds, says docs/redis.md, where Redis keeps no history. */
#define LATE_MS_MAX 12000

struct hole {
	uint32_t from, to, at_ms, lost;
	bool is_silent;
};

struct gap {
	uint32_t sum, largest;
	bool is_unknown, is_told;
};

struct ledger {
	struct numbers *numbers;
	unsigned int transport;
	uint32_t may_begin;  /* nothing below can be owed */
	uint32_t must_begin; /* everything from here on is; 0: nothing yet */
	uint32_t began;      /* where it turned out to begin; 0: nothing came yet */
	uint32_t next;       /* behind the last that came */
	uint32_t finished;   /* the last number that was looked at; 0: not at the end yet */
	struct gap kept, fresh;
	struct hole *holes;
	uint32_t hole_count, hole_capacity;
};

enum verdict {
	VERDICT_FINE,
	VERDICT_FIRST_OR_HOLE_TOLD, /* something is missing, and that was said */
	VERDICT_SILENT,             /* something is missing without a word */
	VERDICT_WRONG_GAP,          /* so many are not missing */
	VERDICT_DUPLICATE,
	VERDICT_LATE,           /* behind one with a higher number */
	VERDICT_LATE_UNCERTAIN, /* the same, of one that was not acknowledged */
	VERDICT_NEVER_SENT
};

struct finding {
	enum verdict verdict;
	uint32_t from, to;   /* the hole */
	uint32_t lost, told; /* acknowledged numbers in it; what the gaps said */
	bool is_superfluous; /* a gap where nothing is missing */
};

/* ledger_connect - a connection is made for the first time: nothing before this can be owed. */
void
ledger_connect(struct ledger *ledger);

/* ledger_live - the first heartbeat of a connection has come. */
void
ledger_live(struct ledger *ledger);

/* ledger_cut - the connection is over, and will be resumed from the last id. */
void
ledger_cut(struct ledger *ledger);

/* ledger_restart - the connection is over, and nothing will be resumed.  Returns what is told by that. */
uint32_t
ledger_restart(struct ledger *ledger, uint32_t now_ms);

/* ledger_gap - `missed` messages, or MISSED_UNKNOWN. */
void
ledger_gap(struct ledger *ledger, uint32_t missed);

/* ledger_excuse - a gap without a channel: returns how many that were lost silently are told by it, late. */
uint32_t
ledger_excuse(struct ledger *ledger);

/* ledger_position - an id has come, of whichever channel: what was told before it will not be told again. */
void
ledger_position(struct ledger *ledger);

/* ledger_take - a message has come. */
struct finding
ledger_take(struct ledger *ledger, uint32_t number, uint32_t now_ms);

/* ledger_finish - this was the last one that matters; what comes later is only looked at. */
void
ledger_finish(struct ledger *ledger, uint32_t number);

/* ledger_close - nothing more will come.  Finds what is missing at the end, if it is not finished. */
struct finding
ledger_close(struct ledger *ledger);

void
ledger_fini(struct ledger *ledger);

#endif
