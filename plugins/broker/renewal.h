/*
 * renewal.h - renews the token of an event stream, by a control request:
 *
 *   POST /sse/messages/CONTROL-TOKEN {"auth":{"token":"..."}}
 *     └▶ who is that? ─▶ its stream is here ──────────▶ renewed (push_subscriber_renew)
 *                   └──▶ another node's ─▶ `CONTROL-TOKEN IDENTITY` ─▶ there likewise
 *
 * The other node gets the identity, never the token.
 */
#ifndef PUSH_BROKER_RENEWAL_H
#define PUSH_BROKER_RENEWAL_H

#include "authenticator.h"
#include "engine.h"
#include "publishing.h"

struct push_hub;
struct push_json_member;
struct push_subscriber;

#define PUSH_VERB_RENEW "renew"

/* Of one broker. */
struct push_renewals {
	struct push_authenticator *authenticator; /* borrowed; NULL: nobody has a token */
	struct push_hub *hub;
	struct push_stats *stats;
	uint64_t (*now_us)(void);
	/* Whether this process serves the stream. */
	bool (*is_here)(void *context, const char *token);
	/* Ask the node that does. */
	void (*ask)(void *context, const char *token, const char *verb, const struct push_buf *text,
		push_answer_fn answer, void *answer_context);
	void *context;
};

/* What came of a renewal, where it is not carried out. */
struct push_renewal_refusal {
	unsigned int status; /* of HTTP; 0: it was carried out */
	const char *text;
};

/*
 * push_renew - give an open connection another identity (push_subscriber_renew); a ticket that has opened it is good for
 * that one from then on.  A refusal is counted.
 */
struct push_renewal_refusal
push_renew(struct push_authenticator *authenticator, struct push_hub *hub, struct push_subscriber *subscriber,
	const struct push_identity *identity, uint64_t now_us);

/* push_read_token - decode a token, a string that was scanned, into `text`.  Returns what is wrong with it; NULL: nothing. */
const char *
push_read_token(const struct push_json_member *member, struct push_buf *text);

/* push_renewal_is - whether the request brings a token. */
bool
push_renewal_is(const struct push_renewals *renewals, const struct push_control_request *request);

/* push_renewal_request - carry it out; `answer` is called exactly once, maybe later. */
void
push_renewal_request(struct push_renewals *renewals, const struct push_control_request *request,
	push_answer_fn answer, void *context);

/* push_renewal_serve - what another node asks.  Errors: PUSH_NOT_FOUND: it is no such question. */
enum push_status PUSH_MUST_USE
push_renewal_serve(
	struct push_renewals *renewals, const char *text, size_t size, push_answer_fn answer, void *context);

#endif
