/*
 * client.h - whose a request on lws' sockets is, and how its streams count for the limits of addresses
 * (core/limiter.h).
 *
 * A connection that lws was given counts by its descriptor.  A stream of HTTP/2 that comes by a trusted proxy
 * counts by itself: others of the same connection are other clients'.
 */
#ifndef PUSH_LWSIO_CLIENT_H
#define PUSH_LWSIO_CLIENT_H

#include <libwebsockets.h>
#include <stdbool.h>

#include "broker/broker.h"

/* push_lws_client_fd - the client's descriptor; lws' own is that of a local socket where its bytes come by a relay. */
int
push_lws_client_fd(struct lws *wsi, const struct push_broker_ops *ops, const struct push_broker *broker);

/* push_lws_client_peer - the address at the other end of the connection, or whom a PROXY header has named. */
bool
push_lws_client_peer(struct lws *wsi, const struct push_broker_link *link, struct push_address *ret);

/*
 * push_lws_client_claim - the request is to become a stream of `client` (NULL: not known).
 *
 * Returns false with the limit that refuses it.  *ret_entered: owned by the caller, who gives it to
 * push_lws_client_leave() when the stream ends; NULL where there is nothing to be said then.
 */
bool
push_lws_client_claim(struct lws *wsi, const struct push_broker_link *link, const struct push_address *client,
	struct push_address **ret_entered, enum push_limit *ret_limit);

/* push_lws_client_leave - the stream has ended.  NULL is allowed. */
void
push_lws_client_leave(
	const struct push_broker_ops *ops, const struct push_broker *broker, struct push_address *entered);

#endif
