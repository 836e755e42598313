/*
 * reading.h - what is kept of a channel, for a request with its arguments.
 *
 *   GET /messages?channel=c&since=ID&limit=n      200, see push_hub_read()
 *
 * 400 for what is wrong with the arguments, 404 for a channel without history, 501 where the engine cannot.
 */
#ifndef PUSH_BROKER_READING_H
#define PUSH_BROKER_READING_H

#include "core/buf.h"
#include "publishing.h"

/* Arguments, percent-decoded; borrowed until the call returns. */
struct push_read_request {
	const struct push_buf *channel, *since, *limit; /* NULL: there is no such argument */
	const struct push_identity *identity;           /* who reads; NULL: nobody, who may not */
};

/* push_read - see above.  `answer` is called exactly once, maybe before the call returns. */
void
push_read(struct push_publisher *publisher, const struct push_read_request *request, push_answer_fn answer,
	void *context);

#endif
