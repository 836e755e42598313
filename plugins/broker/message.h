/*
 * message.h - one message of a publish request: from its JSON to what became of it.
 *
 * Part of broker/: whole requests, streams of lines and WebSocket clients are made of these.
 */
#ifndef PUSH_BROKER_MESSAGE_H
#define PUSH_BROKER_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/tracker.h"
#include "publishing.h"

struct push_permission;
struct push_permission_channels;
struct push_span;

/* `left` counts the channels that it is still to be published to, and one while that is going on. */
struct push_message {
	struct push_publisher *publisher;
	void (*over)(struct push_message *message);
	struct push_tracker *tracker;         /* owned; NULL: nobody waits for what is written */
	const struct push_identity *identity; /* borrowed until it is published; NULL: it may not be */
	const struct push_address *address;   /* of its client, likewise; NULL: not known */
	const struct push_permission
		*permission;             /* what was answered about it, likewise; NULL: nobody was asked */
	const struct push_trace *parent; /* borrowed until it is over; NULL: of its own, or none */
	struct push_span *span;          /* until it ends; NULL: it is not traced */
	const char *once;                /* borrowed, of its request; NULL: it may be published again */
	uint32_t once_index;             /* of it in its request */
	char *error;                     /* owned; where it failed: NULL is "out of memory" */
	uint64_t subscribers;
	uint32_t left, sent, published;
	bool is_admitted;       /* it has been counted by the limits */
	bool is_uncertain;      /* it may have been published where it is not known to be */
	uint16_t status;        /* of HTTP, where it failed; 0: it did not */
	uint32_t retry_after_s; /* with 429; 0: soon */
};

/* push_message_init - @over: called once for push_message_publish(), maybe before that returns. */
void
push_message_init(struct push_message *message, struct push_publisher *publisher,
	void (*over)(struct push_message *message));

void
push_message_fini(struct push_message *message);

/* push_message_track - look after what is written of it, too.  Errors: PUSH_OUT_OF_MEMORY. */
enum push_status PUSH_MUST_USE
push_message_track(struct push_message *message, void (*over)(struct push_tracker *tracker));

/*
 * push_message_publish - read it and publish it to its channels.
 *
 * @text: borrowed until the call returns.  @sends_max: it may have so many channels.
 * Returns false if somebody is to be asked first (push_message_ask_about): nothing was done then, and it is to be called
 * again with the permission.
 */
bool PUSH_MUST_USE
push_message_publish(struct push_message *message, const char *text, size_t size, size_t sends_max);

/*
 * push_message_ask_about - add its channels that are to be asked about to `channels`, if it is a valid message.
 *
 * It counts for the limits then.  If they refuse it, it is not asked about, and publishing it fails.
 */
void
push_message_ask_about(struct push_message *message, const char *text, size_t size,
	struct push_permission_channels *channels);

/* push_message_fail - what became of it is this error. */
void
push_message_fail(struct push_message *message, unsigned int status, const char *text);

/* push_message_append_answer - `{"subscribers":3}`, or its error; @with_status: `"status":400`, too. */
void
push_message_append_answer(const struct push_message *message, bool with_status, struct push_buf *to);

/* push_message_has_effect - whether publishing it again could do harm. */
static inline bool
push_message_has_effect(const struct push_message *message)
{
	return message->published || message->is_uncertain;
}

#endif
