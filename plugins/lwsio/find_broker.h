/*
 * find_broker.h - how a plugin finds the broker of a connection.
 */
#ifndef PUSH_LWSIO_FIND_BROKER_H
#define PUSH_LWSIO_FIND_BROKER_H

#include <libwebsockets.h>

#include "broker/broker.h"

/*
 * push_find_broker - the broker that serves a connection's vhost: its own, or the one it shares by
 * push-broker-vhost.
 *
 * Looked up when it is needed, since plugins are initialised in an order of lws' own.  Returns NULL while
 * there is none, or none of this build's version, or the client's certificate is not verified where one is required;
 * otherwise link->broker is set.
 */
struct push_broker_link *
push_find_broker(struct lws *wsi);

/* push_find_broker_of - likewise, without a connection. */
struct push_broker_link *
push_find_broker_of(struct lws_context *context, struct lws_vhost *vhost);

/*
 * push_find_broker_trouble - why push_find_broker() has found none, for the answer to the request; borrowed.
 *
 * Stock lwsws goes on serving if an option is wrong: then the text names the option and its value.
 */
const char *
push_find_broker_trouble(struct lws *wsi);

#endif
