/*
 * renewal.h - another token for an event stream, which comes beside it:
 *
 *   POST /sse/messages/CONTROL-TOKEN {"auth":{"token":"..."}}
 *     └▶ who is that? ─▶ its stream is here ──────────▶ renewed (push_subscriber_renew)
 *                   └──▶ another node's ─▶ `CONTROL-TOKEN IDENTITY` ─▶ there likewise
 *
 * What goes to another node is what the token grants, never the token.
 */
#ifndef PUSH_BROKER_RENEWAL_H
#define PUSH_BROKER_RENEWAL_H

#include "authenticator.h"
#include "engine.h"
#include "publishing.h"

struct push_hub;

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
