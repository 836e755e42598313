/*
 * tickets.h - secrets for URLs: a browser's EventSource can send no header, and a token in a URL would be in
 * logs for as long as it is valid.
 *
 *   issue ─▶ 30 s ─▶ open ─▶ as long as a connection may live, and 60 s ─▶ it has ended ─▶ 60 s
 *
 * A client exchanges its token for a ticket of the same identity, and must open a connection with it within
 * PUSH_TICKET_OPEN_US.  The ticket is valid until its last connection has ended, and for the time of a reconnect after
 * that, but never longer than its identity.  It may have several connections at a time, because a browser may
 * reconnect before the server has noticed that the old connection is gone.  If the token is renewed on one of them,
 * the ticket takes over the new identity.
 *
 * A ticket is PUSH_TICKET_RANDOM_BYTES of the system's random.  The engine keeps its identity by the name of its
 * SHA-256 (value_put), so that a reader of Redis gets no ticket:
 *
 *   ticket:SHA-256  ─▶  `2 {"v":1,"sub":"u",...}`    the connections that are open, the identity (identity_text.h)
 *
 * Two changes of that number at the same moment may leave it wrong by one.  Then the ticket lives as long as it would
 * without an end, or the next end that brings the identity puts it there again.  Nothing is kept in
 * this process.
 *
 * Revocations are not checked here.
 */
#ifndef PUSH_AUTH_TICKETS_H
#define PUSH_AUTH_TICKETS_H

#include <stdint.h>

#include "auth/limits.h"
#include "broker/engine.h"
#include "core/identity.h"
#include "core/str.h"

/* 192 bits, and as base64url. */
#define PUSH_TICKET_RANDOM_BYTES 24
#define PUSH_TICKET_BYTES        32

struct push_tickets {
	struct push_engine *engine; /* borrowed */
	uint64_t (*now_us)(void);   /* monotonic */
	uint64_t (*wall_us)(void);  /* since 1970 */
	uint64_t connection_max_us; /* the longest that a connection may live */
};

/*
 * Called exactly once, maybe before the call that asked returns.
 *
 * @status: PUSH_OK; PUSH_INVALID: the identity has expired, or is anonymous; PUSH_UNAVAILABLE: the broker cannot be
 * reached; PUSH_REFUSED by it; PUSH_OUT_OF_MEMORY.
 * @ticket: a secret, borrowed until the function returns; NULL: none.
 */
typedef void (*push_ticket_issued_fn)(
	void *context, enum push_status status, const char *ticket, uint64_t expires_in_s);

/*
 * Likewise.
 *
 * @status: PUSH_OK; PUSH_NOT_FOUND: there is no such ticket, or not any more; PUSH_UNAVAILABLE, PUSH_REFUSED,
 * PUSH_OUT_OF_MEMORY: try again later.
 * @identity: whose it is; the caller takes a reference if it keeps it.  NULL: none.
 */
typedef void (*push_ticket_opened_fn)(
	void *context, enum push_status status, const struct push_identity *identity);

/* push_tickets_issue - make a ticket for an identity, which is borrowed until the call returns. */
void
push_tickets_issue(const struct push_tickets *tickets, const struct push_identity *identity,
	push_ticket_issued_fn done, void *context);

/* push_tickets_open - a connection shows a ticket, which may be any text, borrowed until the call returns.  Of
 * each that is opened the end must be reported by push_tickets_end(). */
void
push_tickets_open(const struct push_tickets *tickets, struct push_str ticket, push_ticket_opened_fn done,
	void *context);

/* push_tickets_renew - a connection that a ticket has opened has another identity: whoever opens the ticket next has that
 * one, too.  Both are borrowed until the call returns. */
void
push_tickets_renew(
	const struct push_tickets *tickets, struct push_str ticket, const struct push_identity *identity);

/*
 * push_tickets_end - a connection that a ticket has opened has ended.
 *
 * @identity: whose it is, so that the ticket is good for a reconnect also where the engine has lost it; NULL: if it
 * was, it stays so.  Both are borrowed until the call returns.  A broker that cannot be reached is not
 * reported: the ticket then stays until its own end.
 */
void
push_tickets_end(
	const struct push_tickets *tickets, struct push_str ticket, const struct push_identity *identity);

#endif
