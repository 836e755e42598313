/*
 * socket_opening.h - the request for a WebSocket, as what its subscriber is made of; for each wire, since lws
 * makes its handshakes itself.
 */
#ifndef PUSH_REQUEST_SOCKET_OPENING_H
#define PUSH_REQUEST_SOCKET_OPENING_H

#include "request/subscription.h"

struct push_socket_opening {
	struct push_opening opening; /* points into what follows */
	struct push_subscription subscription;
	struct push_credential credential;
	struct push_asked asked;
	struct push_buf secret;
};

/* push_socket_opening_read - read the request, which is borrowed for as long as this is used.  What is wrong
 * with it is in its subscription's refusal. */
void
push_socket_opening_read(struct push_socket_opening *ret_socket, const struct push_request *request,
	const struct push_broker_ops *ops, struct push_broker *broker);

void
push_socket_opening_fini(struct push_socket_opening *socket);

#endif
