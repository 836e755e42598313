/*
 * exchange_private.h - an exchange, for the files that serve one: exchange.c, route.c, body.c.
 */
#ifndef PUSH_REQUEST_EXCHANGE_PRIVATE_H
#define PUSH_REQUEST_EXCHANGE_PRIVATE_H

#include <stdio.h>

#include "core/limits.h"
#include "core/tokens.h"
#include "request/exchange.h"
#include "request/limits.h"
#include "request/page.h"

/* What is asked of the broker, and so how its answer is counted. */
enum exchange_verb {
	EXCHANGE_NONE,
	EXCHANGE_PUBLISH,
	EXCHANGE_LINES,
	EXCHANGE_CHANGE,
	EXCHANGE_READ,
	EXCHANGE_PAGE,
	EXCHANGE_TICKET
};

/* What a request goes on with when it is known whose it is. */
typedef void (*exchange_then_fn)(struct push_exchange *x, const struct push_request *request);

struct push_exchange {
	const struct push_broker_ops *ops;
	struct push_broker *broker;
	const struct push_wire *wire;
	void *owner; /* NULL: dropped while the broker was asked */
	uint8_t state, verb;
	bool in_call;      /* to the broker, or from the wire: an answer is not late */
	bool has_begun;    /* the answer to a stream of lines */
	bool wait_written; /* ?wait=written */
	bool has_key, has_parent;
	char token[PUSH_TOKEN_BYTES]; /* EXCHANGE_CHANGE: of the stream */
	const struct push_page *page; /* EXCHANGE_PAGE, and what it is told: */
	struct push_pages pages;
	unsigned int
		refusal_status;    /* with which the request is answered when its body is through; 0: none */
	const char *refusal;       /* static */
	struct push_response head; /* what each of its answers has */
	char *origin;              /* head.cors points there; owned; NULL: none */
	struct push_trace parent;
	struct push_buf key, body;
	const struct push_identity *identity; /* whose request it is: a reference; NULL: not known */
	exchange_then_fn then;
	const struct push_request *asking; /* while the authenticator is being called */
	struct push_request
		*kept; /* owned; until then; NULL: no memory; of a publish that the application may be
					      asked about, as long as it takes */
	size_t kept_bytes;
	bool awaits_identity;         /* the authenticator has yet to answer */
	bool awaits_continue;         /* the client waits for a word before it sends the body */
	struct push_limiter *limiter; /* of the broker; NULL: nothing is limited */
	bool has_address;             /* of the client: */
	struct push_address address;
	uint64_t brought_us; /* when the stream of lines has last brought one */
	bool awaits_line; /* its next bytes have less time than those of other bodies, for it has to bring one */
	uint64_t started_us;
	size_t body_bytes; /* that were published */
	struct push_lines *lines;
};

/* exchange_answer - the whole answer: a body of `type`, or without one where that is NULL. */
void
exchange_answer(struct push_exchange *x, unsigned int status, const char *type, struct push_str body);

/* exchange_refuse - `{"error":"text"}`. */
void
exchange_refuse(struct push_exchange *x, unsigned int status, const char *text);

/* exchange_find_client - set x->address, the client's, if it can be known. */
void
exchange_find_client(struct push_exchange *x, const struct push_request *request);

/* exchange_address_text - it as a text in `to`; without bytes: it is not known. */
struct push_str
exchange_address_text(const struct push_exchange *x, char to[PUSH_ADDRESS_TEXT_BYTES]);

/* exchange_admit_stream - whether the limits let it become a stream.  Returns a status of HTTP with a line for the
 * client, 0 if they do: then the connection counts for its client. */
unsigned int
exchange_admit_stream(struct push_exchange *x, const struct push_request *request, struct push_error *error);

/* exchange_idle_left_us - after how long it is to end for that, if it goes on like this; UINT64_MAX: never. */
uint64_t
exchange_idle_left_us(const struct push_exchange *x);

/* exchange_has_idled - whether a stream of lines is to end for having brought none for too long. */
bool
exchange_has_idled(struct push_exchange *x);

/* exchange_on_answer - what the broker calls (push_answer_fn), with the exchange. */
void
exchange_on_answer(void *context, const struct push_answer *answer);

/*
 * exchange_identify - go on with `then` when it is known whose request it is, now or later.
 *
 * Where nobody has to show anything, that is everybody's.  A request that is refused is answered.
 */
void
exchange_identify(struct push_exchange *x, const struct push_request *request, enum push_right right,
	exchange_then_fn then);

/* exchange_keep - keep the request, in x->kept.  Returns false if out of memory. */
bool
exchange_keep(struct push_exchange *x, const struct push_request *request);

/* exchange_forget_kept - it may have secrets in it. */
void
exchange_forget_kept(struct push_exchange *x);

/* exchange_deny - `{"error":"text"}` with what RFC 6750 wants to be said besides. */
void
exchange_deny(struct push_exchange *x, unsigned int status, const char *code, const char *text);

/* exchange_answer_denied - likewise, of an answer of this broker or of another node, whose body says why. */
void
exchange_answer_denied(struct push_exchange *x, const struct push_answer *answer);

/* exchange_forget_identity - its request is over. */
void
exchange_forget_identity(struct push_exchange *x);

/* exchange_asked - of a request, for an application that is asked. */
struct push_asked
exchange_asked(const struct push_request *request, enum push_right right);

/* exchange_route - serve the request, or begin to: after the rules that hold for all. */
void
exchange_route(struct push_exchange *x, const struct push_request *request);

/* exchange_begin_publish, _begin_change, _read - requests of which the broker is asked. */
void
exchange_begin_publish(struct push_exchange *x, const struct push_request *request);
void
exchange_begin_ticket(struct push_exchange *x, const struct push_request *request);
void
exchange_begin_change(struct push_exchange *x, const struct push_request *request, struct push_str token);
void
exchange_read(struct push_exchange *x, const struct push_request *request);

/* exchange_call_page - a page of operators, by GET; exchange_begin_page - by POST, when the body is there. */
void
exchange_call_page(struct push_exchange *x, const struct push_request *request, const struct push_page *page,
	struct push_str name);
void
exchange_begin_page(
	struct push_exchange *x, const struct push_request *request, const struct push_page *page);

#endif
