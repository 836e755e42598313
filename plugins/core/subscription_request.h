/*
 * subscription_request.h - what a client asks for when it connects: channels, and where to begin in them.
 *
 * Read from a request by request/subscription.h; kept while it is not known yet who the client is
 * (broker/admission.h).
 */
#ifndef PUSH_CORE_SUBSCRIPTION_REQUEST_H
#define PUSH_CORE_SUBSCRIPTION_REQUEST_H

#include "acks_request.h"
#include "buf.h"
#include "channels.h"
#include "identity.h"

struct push_subscriber;

struct push_subscription {
	enum push_encoding encoding;
	struct push_channels channels; /* names point into `list` */
	struct push_buf list, last_id;
	bool has_last_id;
	bool with_token; /* ?control=true */
	struct push_acks_request acks;
	struct push_error refusal; /* of a WebSocket: what it is told; no text: nothing is wrong */
	bool is_put_off;           /* ... and it may try again */
};

/*
 * push_subscription_grant - give it the channels that the identity brings, and look whether it may have all.
 *
 * Errors: PUSH_REFUSED: it may not, `error` names the first channel and the right; PUSH_INVALID: there are no
 * channels, or too many, likewise; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_subscription_grant(struct push_subscription *subscription, const struct push_identity *identity,
	const struct push_options *options, struct push_error *error);

/*
 * push_subscription_apply - give a new subscriber its channels and where it begins; the caller starts it.
 *
 * Errors: as push_subscriber_subscribe() and push_subscriber_resume(); the caller destroys the subscriber
 * then, or refuses it with push_channels_join_error().
 */
enum push_status PUSH_MUST_USE
push_subscription_apply(const struct push_subscription *subscription, struct push_subscriber *subscriber);

void
push_subscription_fini(struct push_subscription *subscription);

/* The text of a request without channels is the origin's. */
#define PUSH_CHANNELS_MISSING_TEXT "'channels' query parameter required"

#endif
