/*
 * listeners.h - the sockets on which a broker's client vhosts listen, so that a drain can close them.
 *
 * lws closes all listening sockets of a process or none; but while it drains, the management port has to go
 * on answering.  lws hands the listening connection to whoever is asked about a new one, so they are noted
 * there.  One that never had a connection is closed when its first one comes.
 */
#ifndef PUSH_LWSIO_LISTENERS_H
#define PUSH_LWSIO_LISTENERS_H

#include <libwebsockets.h>

#include "broker/broker.h"

/* IPv4 and IPv6, of a few vhosts; what is more is closed by its first connection while draining. */
#define PUSH_LISTENERS_MAX 16

struct push_listeners {
	struct lws *wsi[PUSH_LISTENERS_MAX];
	size_t count;
};

/*
 * push_listeners_on_connection - LWS_CALLBACK_FILTER_NETWORK_CONNECTION, which lws sends to the first
 * protocol of a vhost, whichever that is.
 *
 * Returns 0 to let the connection in, 1 to turn it away.
 */
int
push_listeners_on_connection(struct lws *listener);

/* push_listeners_close - stop listening.  Connections that are open stay. */
void
push_listeners_close(struct push_listeners *listeners);

#endif
