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

#include "core/acks_request.h"
#include "core/buf.h"
#include "core/channels.h"
#include "request/request.h"

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
 * push_subscription_read - read a request's arguments.
 *
 * The caller calls push_subscription_fini(), whatever is returned.  Errors: PUSH_INVALID with a line for the
 * client in `error`, PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_subscription_read(struct push_subscription *subscription, const struct push_request *request,
	enum push_encoding encoding, const struct push_options *options, struct push_error *error);

/*
 * push_subscription_apply - give a new subscriber its channels and where it begins; the caller starts it.
 *
 * Errors: as push_subscriber_subscribe() and push_subscriber_resume(); the caller destroys the subscriber
 * then, or refuses it with push_channels_join_error().
 */
enum push_status PUSH_MUST_USE
push_subscription_apply(const struct push_subscription *subscription, const struct push_broker_ops *ops,
	struct push_broker *broker, struct push_subscriber *subscriber);

void
push_subscription_fini(struct push_subscription *subscription);

#endif
