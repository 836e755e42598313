/*
 * idempotency.h - a request that is repeated with its key is answered as it was, and done once.
 *
 *   put `idem:KEY` only if new: "under way", what the body was
 *     ─▶ it is new: the request is done, and its answer put in the place of "under way"
 *     ─▶ there is an answer, to the same body: that one is given
 *     ─▶ it is under way: 409.  Of another body: 422.
 *
 * Where nothing was published the key is forgotten, so that the repeat may succeed.  One that was under way
 * when its node went away stays so for PUSH_IDEMPOTENCY_US, since nobody knows what became of it.
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

/*
 * push_idempotency_end - keep the answer, and then give it.
 *
 * @keep: a repeat shall get the same; else it may try again.
 */
void
push_idempotency_end(struct push_idempotency *idempotency, const struct push_answer *to_keep, bool keep,
	push_answer_fn answer, void *context);

#endif
