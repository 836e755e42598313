/*
 * ws_conn.h - what a WebSocket client's connection does, between lws' callbacks and the broker.
 */
#ifndef PUSH_WS_CONN_H
#define PUSH_WS_CONN_H

#include "lwsio/http_exchange.h"

/*
 * ws_conn_admit - whether an upgrade request may become a WebSocket: its path, and the version that it
 * speaks.
 *
 * Returns true, or answers the request and returns false.
 */
bool
ws_conn_admit(struct lws *wsi);

/*
 * ws_conn_open - the handshake is done.
 *
 * A request without good channels, too, gets a connection, on which it is told what is wrong.
 * Returns NULL where there is no broker, or memory is out.
 */
struct push_connection *
ws_conn_open(struct lws *wsi);

/* ws_conn_receive - a piece of a message has come. */
void
ws_conn_receive(struct push_connection *connection, const char *bytes, size_t size);

/* ws_conn_plain_request - a request that came to the WebSocket's protocol without an upgrade. */
int
ws_conn_plain_request(struct lws *wsi, struct push_http_session *session, const char *rest);

/*
 * ws_conn_is_preflight - whether this request asks what pages may do with tickets.
 *
 * The path has no mount, so that lws looks for a file, and answers OPTIONS itself, with 404.
 */
bool
ws_conn_is_preflight(struct lws *wsi);

#endif
