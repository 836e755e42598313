/*
 * exchange.h - one request and its answer, on any wire: each rule of HTTP and of the contract, once.
 *
 *                    push_exchange_begin                                     the broker answers
 *   a head has come ────────┬──▶ BODY ──push_exchange_body──▶ ASKED ───────────────┬──▶ ANSWERED
 *                           │      └── lines: answers while the body comes ────────┤
 *                           ├──▶ ASKED (history, a page of operators)              │
 *                           ├──▶ STREAM: the connection is a subscriber's          │
 *                           └──▶ ANSWERED: refused, OPTIONS ───────────────────────┘
 *
 * A wire (struct push_wire) reads heads and bodies, and writes answers; it knows nothing of paths, methods,
 * media types or texts.  Here nothing is known of sockets: direct/ is one wire, lwsio/ another.
 *
 * An exchange outlives its wire if the broker has been asked: push_exchange_drop() then leaves it to the
 * answer, which nobody gets.  This is the only place where a late answer meets a client that has gone.
 */
#ifndef PUSH_REQUEST_EXCHANGE_H
#define PUSH_REQUEST_EXCHANGE_H

#include "request/request.h"
#include "request/response.h"
#include "request/subscription.h"

struct push_exchange;

enum push_exchange_state {
	PUSH_EXCHANGE_BODY,     /* more of the body is to come */
	PUSH_EXCHANGE_ASKED,    /* the answer is to come; nothing is to be read */
	PUSH_EXCHANGE_ANSWERED, /* nothing is to come: push_exchange_drop(), or begin the next one */
	PUSH_EXCHANGE_STREAM    /* likewise; the wire has made a subscriber of the connection */
};

/* What an exchange asks of its wire.  All are called with `owner`, from within a call to the exchange or, for
 * an answer that was late, from the event loop: `turn` comes last then. */
struct push_wire {
	/* Write an answer, whole. */
	void (*answer)(void *owner, const struct push_response *response);
	bool reads_any_length; /* bodies whose length their head does not say */
	/* Write an answer in pieces while the body comes; NULL: the wire cannot. */
	void (*begin)(void *owner, const struct push_response *head);
	void (*piece)(void *owner, const char *bytes, size_t size);
	/* is_whole: false if what follows the last piece is missing, so that the client must see a broken
	 * answer. */
	void (*end)(void *owner, bool is_whole);
	/* Make a subscriber of the connection, greeted with `head` (200 or 101), and start it.  Errors:
	 * nothing was done.
	 */
	enum push_status (*subscribe)(
		void *owner, const struct push_response *head, const struct push_opening *opening);
	/*
	 * Whose connection it is: its other end's address, or that which a PROXY header has named.  Returns
	 * false where it is not known.  May be NULL.
	 */
	bool (*peer)(void *owner, struct push_address *ret);
	/*
	 * It is to become a stream of this client (NULL: not known): count it.  Returns false with the limit
	 * that refuses it.  Called only where limits are set; may be NULL.
	 */
	bool (*claim)(void *owner, const struct push_address *client, enum push_limit *ret_limit);
	/* Something was written, or the exchange takes more of the body, outside of a call to it. */
	void (*turn)(void *owner);
};

/*
 * push_exchange_create - an exchange for a connection, which it may serve request after request.
 *
 * @ops, @broker, @wire: borrowed; without a broker (both are NULL) it serves the operators' pages only.
 * Returns NULL when memory is out.
 */
struct push_exchange *
push_exchange_create(const struct push_broker_ops *ops, struct push_broker *broker,
	const struct push_wire *wire, void *owner);

/* push_exchange_drop - its request is over or nobody wants its answer; freed now, or with that.  NULL is
 * allowed. */
void
push_exchange_drop(struct push_exchange *exchange);

/*
 * push_exchange_begin - a request's head has come.
 *
 * @closes: the connection ends with this answer, whatever it is.
 * Its state is BODY, ASKED, ANSWERED or STREAM when the call returns.
 */
void
push_exchange_begin(struct push_exchange *exchange, const struct push_request *request, bool closes);

/*
 * push_exchange_body - the next bytes of the body; `is_last`: all of it has come (size may be 0 then).
 *
 * A body that comes whole is not copied.
 */
void
push_exchange_body(struct push_exchange *exchange, const char *bytes, size_t size, bool is_last);

/* push_exchange_close_after - the connection ends with this answer, which has not been given yet. */
void
push_exchange_close_after(struct push_exchange *exchange);

/* push_exchange_break - the body cannot be read on: answer with this error, and close. */
void
push_exchange_break(struct push_exchange *exchange, unsigned int status, const char *text);

/* push_exchange_break_stalled - likewise, after push_exchange_stall_us(); the body may also have more time. */
void
push_exchange_break_stalled(struct push_exchange *exchange);

/* push_exchange_stall_us - how long the next bytes of the body may take, from now on. */
uint64_t
push_exchange_stall_us(struct push_exchange *exchange);

enum push_exchange_state
push_exchange_state(const struct push_exchange *exchange);

/* push_exchange_takes_body - BODY, and it is not full: a wire stops reading otherwise, until it is called
 * (turn). */
bool
push_exchange_takes_body(const struct push_exchange *exchange);

/* push_exchange_awaits_identity - ASKED, and it is not known whose it is: a body may be wanted after that. */
bool
push_exchange_awaits_identity(const struct push_exchange *exchange);

/* push_exchange_keeps - bytes of a body that wait for the rest, for the wire to charge to its client. */
size_t
push_exchange_keeps(const struct push_exchange *exchange);

/* push_exchange_is_lines - whether its body is a stream, which may be as long as it wants. */
bool
push_exchange_is_lines(const struct push_exchange *exchange);

/* push_exchange_take_continue - once, when a client is to be told `100 Continue` (RFC 9110, 10.1.1). */
bool
push_exchange_take_continue(struct push_exchange *exchange);

/* push_exchange_is_publish - whether it was begun as a publish: its connection is a publisher's. */
bool
push_exchange_is_publish(const struct push_exchange *exchange);

#endif
