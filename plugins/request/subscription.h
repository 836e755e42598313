/*
 * subscription.h - what a request for an event stream or a WebSocket asks for.
 *
 *   ?channels=a,b [&last_event_id=ID] [&acks=true] [&client=NAME] [&control=true]
 *
 * The same for both kinds of stream and on every wire; only how a refusal reaches the client differs: an HTTP
 * error for an event stream, an error and a Close frame for a WebSocket, whose handshake a browser shows to
 * nobody.
 */
#ifndef PUSH_REQUEST_SUBSCRIPTION_H
#define PUSH_REQUEST_SUBSCRIPTION_H

#include "core/subscription_request.h"
#include "request/request.h"

/*
 * push_subscription_read - read a request's arguments.
 *
 * @may_name_none: the client's identity may bring channels; push_subscription_grant() looks at that.
 * The caller calls push_subscription_fini(), whatever is returned.  Errors: PUSH_INVALID with a line for the
 * client in `error`, PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_subscription_read(struct push_subscription *subscription, const struct push_request *request,
	enum push_encoding encoding, bool may_name_none, const struct push_options *options,
	struct push_error *error);

/* A subscriber that is about to be made of a connection.  Borrowed, all of it. */
struct push_opening {
	struct push_subscription *subscription;
	const struct push_identity *identity; /* who it is; NULL: it is yet to be asked, by what it shows: */
	const struct push_credential *credential;
	const struct push_asked *asked;
};

/*
 * push_opening_settle - give a new subscriber what it asks for, unless it is refused or yet to be asked.
 *
 * Errors: as push_subscription_apply().
 */
enum push_status PUSH_MUST_USE
push_opening_settle(const struct push_opening *opening, const struct push_broker_ops *ops,
	struct push_broker *broker, struct push_subscriber *subscriber);

/* push_opening_start - behind settle and its greeting: start it, refuse it, or ask who it is. */
void
push_opening_start(const struct push_opening *opening, const struct push_broker_ops *ops,
	struct push_broker *broker, struct push_subscriber *subscriber);

#endif
