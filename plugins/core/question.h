/*
 * question.h - somebody else is asked whether an open client may subscribe to channels that its identity does
 * not grant.
 *
 *   subscribe a,b ─▶ asks? ─no──────────────────────────────▶ as the identity says
 *                      └─yes─▶ ask(a,b) ...... answer ──────▶ joined, or refused for the answer's reason
 *                               │
 *                               └ the client's later `subscribe` and `unsubscribe` wait for it, in their order;
 *                                 everything else that it sends goes on
 *
 * Nothing is joined before the answer.  A WebSocket's client has one question at a time.  What waits behind it
 * is bounded as what comes before the first ping is (live.c).  A client that goes away takes nothing with it
 * that the answer needs: the question stays, and then has no subscriber.
 */
#ifndef PUSH_CORE_QUESTION_H
#define PUSH_CORE_QUESTION_H

#include "buf.h"
#include "identity.h"

struct push_hub;
struct push_subscriber;

/* A question under way; whoever is asked answers it exactly once. */
struct push_question {
	struct push_subscriber *subscriber; /* NULL: gone */
	void *context;                      /* the asker's */
};

/* The answer.  Borrowed. */
struct push_grant {
	const struct push_identity *identity; /* what the client may besides; NULL: nothing */
	unsigned int status;                  /* of HTTP, of a refusal: 401, 403, 503; 0: see identity */
	const char *text;                     /* of a refusal, for the client */
};

/* Who is asked. */
struct push_hub_asker {
	/* Whether clients of this identity are asked about. */
	bool (*asks)(void *context, const struct push_identity *identity);
	/* May the client subscribe to these, joined by commas?  push_question_answer(), now or later. */
	void (*ask)(void *context, struct push_question *question, struct push_str channels);
	void *context;
};

/* push_hub_ask - from now on; of a hub that is guarded (identified.h).  Copied. */
void
push_hub_ask(struct push_hub *hub, const struct push_hub_asker *asker);

/* push_question_answer - go on with what the client has asked for; frees the question.  May close the client. */
void
push_question_answer(struct push_question *question, const struct push_grant *grant, uint64_t now_us);

/*
 * push_hub_control_asks - whether push_hub_control() of this needs an answer first.
 *
 * Not if its client is over push.limit.client.subscribes; its first channel counts for that here.  Then `channels`, a new buffer, has what is to be asked about, and *ret_subscriber whose stream it is, borrowed.
 * Failure to append shows in channels->status.
 */
bool
push_hub_control_asks(struct push_hub *hub, struct push_str token, struct push_str body, uint64_t now_us,
	struct push_buf *channels, const struct push_subscriber **ret_subscriber);

/* --- for the hub's own files --- */

/*
 * question_collect - which of `names`, a JSON array, are to be asked about: valid names of channels that it is
 * not in and that its identity does not grant.
 *
 * Returns whether there are any, and somebody to ask; they are appended to `channels`.
 */
bool
question_collect(const struct push_subscriber *subscriber, struct push_str names, struct push_buf *channels);

#endif
