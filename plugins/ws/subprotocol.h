/*
 * subprotocol.h - an upgrade that offers subprotocols which Push does not know goes on without one.
 *
 * RFC 6455, 4.2.2: a server that agrees to none leaves the header out, and that is what the origin does.  The
 * lws that server/deps builds does so, too (deps.d/libwebsockets/20-subprotocol.patch).  A stock lws 4.3
 * closes the connection, and lets no callback decide.  So an offer is overwritten, in lws' own copy of the
 * headers: by our name where it has that, else by the shortest name of ours, an alias that nobody would
 * offer, and the answer's header, which then names the alias, is taken out again.
 */
#ifndef PUSH_WS_SUBPROTOCOL_H
#define PUSH_WS_SUBPROTOCOL_H

#include <libwebsockets.h>

#include "broker/broker.h"

#define SUBPROTOCOL_NAME  PUSH_WS_PROTOCOL
#define SUBPROTOCOL_ALIAS "p"

/*
 * An offer of push.v1 brings a token, and lws forgets it: so it is kept with the connection until that is open.
 *
 * subprotocol_token - that token, without bytes: there is none; it is good until subprotocol_forget().
 */
struct push_str
subprotocol_token(const struct lws *wsi);

/* subprotocol_forget - the connection is open, or over. */
void
subprotocol_forget(struct lws *wsi);

/* subprotocol_on_upgrade - LWS_CALLBACK_HTTP_CONFIRM_UPGRADE. */
void
subprotocol_on_upgrade(struct lws *wsi);

/* subprotocol_on_headers - LWS_CALLBACK_ADD_HEADERS of the answer to an upgrade. */
void
subprotocol_on_headers(struct lws *wsi, struct lws_process_html_args *headers);

#endif
