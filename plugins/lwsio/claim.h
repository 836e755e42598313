/*
 * claim.h - a plugin's answer to a probe of direct sockets (direct/probe.c).
 */
#ifndef PUSH_LWSIO_CLAIM_H
#define PUSH_LWSIO_CLAIM_H

#include <libwebsockets.h>

#include "broker/broker.h"

#define PUSH_CLAIM_HEADERS_BYTES_MAX 2048

/*
 * push_claim_headers - what the vhost's configuration adds to each answer, as lines, each with CRLF.
 *
 * @wsi: of a connection, or what LWS_CALLBACK_PROTOCOL_INIT is called with.
 * Returns the size, 0 where that fails.
 */
size_t
push_claim_headers(struct lws *wsi, char *to, size_t size);

/*
 * push_claim - lws has called this plugin with a request that it would serve.
 *
 * @rest: its path behind the mount.
 * Returns true if that was a probe: the callback returns -1, without an answer.
 */
bool
push_claim(struct lws *wsi, const struct push_broker_link *link, enum push_place place, const char *rest);

#endif
