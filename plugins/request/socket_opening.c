/* socket_opening.c - see socket_opening.h. */
#include <stdio.h>

#include "request/credentials.h"
#include "request/exchange_private.h"
#include "request/socket_opening.h"

void
push_socket_opening_read(struct push_socket_opening *socket, const struct push_request *request,
	const struct push_broker_ops *ops, struct push_broker *broker)
{
	const struct push_options *options = ops->options(broker);
	struct push_subscription *subscription = &socket->subscription;
	struct push_error error = {""};
	enum push_status status;

	*socket = (struct push_socket_opening){.opening = {.subscription = subscription}};
	status = push_subscription_read(
		subscription, request, PUSH_ENCODING_WS, ops->is_guarded(broker), options, &error);
	if (status == PUSH_INVALID)
		subscription->refusal = error;
	subscription->is_put_off = status == PUSH_OUT_OF_MEMORY;
	if (subscription->is_put_off)
		snprintf(subscription->refusal.text, sizeof(subscription->refusal.text), "%s",
			push_status_text(status));
	if (!ops->is_guarded(broker)) {
		socket->opening.identity = push_identity_everybody();
		return;
	}
	socket->credential = push_credentials_read(request, options, &socket->secret);
	socket->asked = exchange_asked(request, PUSH_RIGHT_SUBSCRIBE);
	socket->asked.channels = (struct push_str){subscription->list.bytes, subscription->list.size};
	socket->opening.credential = &socket->credential;
	socket->opening.asked = &socket->asked;
}

void
push_socket_opening_fini(struct push_socket_opening *socket)
{
	push_subscription_fini(&socket->subscription);
	push_credentials_forget(&socket->secret);
}
