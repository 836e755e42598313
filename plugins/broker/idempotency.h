/*
 * idempotency.h - a request that is repeated with its key is answered as it was, and done once.
 *
 *   put `idem:KEY` only if new: "under way", what the body was
 *     ─▶ it is new: the request is done, and its answer put in the place of "under way"
 *     ─▶ there is an answer, to the same body: that one is given
 *     ─▶ it is under way: 409.  Of another body: 422.
 *     ─▶ it was under way, and its request is over without an answer that could be kept: the repeat takes it
 *        over (engines that publish once, engine.h); each message is published once nevertheless
 *
 * Where nothing was published the key is forgotten, so that the repeat may succeed.  Where it is not known
 * what became of a message, or some of several have failed, the key stays open, and a repeat does the rest.
 */
#ifndef PUSH_BROKER_IDEMPOTENCY_H
#define PUSH_BROKER_IDEMPOTENCY_H

#include "publishing.h"

struct push_idempotency;

/*
 * push_idempotency_begin - look for a request's key.
 *
 * One of both functions is called, maybe before the call returns: `go_on` with the body, after *place was set
 * to what the caller then owes push_idempotency_end(); or `stop` with the answer.
 */
void
push_idempotency_begin(struct push_publisher *publisher, const struct push_publish_request *request,
	struct push_idempotency **place, void (*go_on)(void *context, const char *body, size_t size),
	push_answer_fn stop, void *context);

/* push_idempotency_once - what the publishes of the request are known by (push_publication.once), borrowed;
 * NULL: the engine cannot publish once. */
const char *
push_idempotency_once(const struct push_idempotency *idempotency);

enum push_idempotency_end {
	PUSH_IDEMPOTENCY_KEEP,   /* a repeat is answered the same */
	PUSH_IDEMPOTENCY_REPEAT, /* a repeat shall do what is not done yet; KEEP where that is not possible */
	PUSH_IDEMPOTENCY_FORGET, /* nothing was published, and the key is free again */
};

/* push_idempotency_end - keep the answer, and then give it. */
void
push_idempotency_end(struct push_idempotency *idempotency, const struct push_answer *to_keep,
	enum push_idempotency_end how, push_answer_fn answer, void *context);

/* What another node is asked: whether the request of a claim is under way. */
#define PUSH_VERB_CLAIM "claim"

/* push_idempotency_is_claimed - whether it is, by the number in the claim, as text. */
bool
push_idempotency_is_claimed(struct push_publisher *publisher, const char *text, size_t size);

#endif
