/*
 * permission.h - the application is asked whether somebody may publish to channels that his identity does not grant.
 *
 *   a message, read and checked ─▶ granted by its identity ─────────────────────────▶ published
 *                                └▶ not, and asked about: its text is kept
 *                                     ─▶ ask(channels) ...... answer ─▶ published, or refused for its reason
 *
 * The same answers as for an open client's channels (core/question.h).  Nothing of a message is published before
 * the answer; whoever asks keeps what comes after it in order.  There is one question for a whole request, for a
 * line of a stream, and for a message of a WebSocket's client.
 *
 * Where an identity grants all channels, nothing of this is called.
 */
#ifndef PUSH_BROKER_PERMISSION_H
#define PUSH_BROKER_PERMISSION_H

#include "authenticator.h"
#include "core/address.h"
#include "core/buf.h"
#include "core/limits.h"
#include "publishing.h"

struct push_message;

/* What is to be asked about: names, each once. */
struct push_permission_channels {
	struct push_buf names; /* joined by commas; failure shows in its status: PUSH_TOO_LARGE: too many */
	uint32_t count;
	struct {
		uint32_t at, size;
	} places[PUSH_PERMISSION_CHANNELS_MAX]; /* in names */
};

void
push_permission_channels_init(struct push_permission_channels *channels);

void
push_permission_channels_fini(struct push_permission_channels *channels);

/* push_permission_channels_add - one more, unless it is there. */
void
push_permission_channels_add(struct push_permission_channels *channels, struct push_str name);

/* Who wants to know. */
struct push_permission_query {
	const struct push_identity *identity;
	const struct push_address *address; /* NULL: not known */
	const struct push_asked *asked;     /* what is known of his request; NULL: nothing */
	struct push_str channels;           /* joined by commas */
};

/* A question, and then its answer; whoever asked owns it. */
struct push_permission {
	struct push_list item; /* of publisher->permissions, while it is not answered */
	struct push_publisher *publisher;
	void (*answered)(struct push_permission *permission);
	void *context; /* of whoever asked */
	struct push_permission_call *call;
	bool is_answered, is_in_call;
	/* the answer */
	const struct push_identity *identity; /* what may be published besides, a reference; NULL: nothing */
	unsigned int status;                  /* of HTTP, of a refusal; 0: see identity */
	unsigned int retry_after_s;
	struct push_error reason; /* of a refusal, for the client */
};

/* push_permission_is_asked - whether somebody is asked about publishes of this identity. */
static inline bool
push_permission_is_asked(const struct push_publisher *publisher, const struct push_identity *identity)
{
	struct push_authenticator *authenticator = publisher->authenticator;

	return authenticator && identity &&
	       authenticator->asks_for_more(authenticator, identity, PUSH_RIGHT_PUBLISH);
}

/*
 * push_permission_ask - only then.  NULL if out of memory.
 *
 * It may be answered when the call returns (is_answered); else `answered` is called, once, unless it is freed before.
 */
struct push_permission *
push_permission_ask(struct push_publisher *publisher, const struct push_permission_query *query,
	void (*answered)(struct push_permission *permission), void *context);

/*
 * push_permission_ask_about - likewise, about the channels of one message (message.h), whose text this is.
 *
 * @query: its channels are found here.
 * Returns NULL if nobody can be asked: the message has failed for that.
 */
struct push_permission *
push_permission_ask_about(struct push_message *message, struct push_str text,
	struct push_permission_query *query, void (*answered)(struct push_permission *permission),
	void *context);

/* push_permission_publish - publish one message with the answer, which is freed.  NULL: it has failed before.
 * The message may be gone when the call returns. */
void
push_permission_publish(
	struct push_permission *permission, struct push_message *message, struct push_str text);

/* push_permission_fail - nobody can be asked about the message: too many channels (PUSH_TOO_LARGE), or out of memory. */
void
push_permission_fail(struct push_message *message, enum push_status status);

/* push_permission_give_up - its answer is a refusal with 503, now; `answered` is not called. */
void
push_permission_give_up(struct push_permission *permission, const char *reason);

/* push_permission_free - whatever its state; NULL is allowed. */
void
push_permission_free(struct push_permission *permission);

/* push_permission_end_all - the broker ends: what is asked is refused, and so is what will be asked. */
void
push_permission_end_all(struct push_publisher *publisher);

#endif
