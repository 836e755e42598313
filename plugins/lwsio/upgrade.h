/*
 * upgrade.h - an Upgrade to anything but websocket is ignored, and the request answered by HTTP/1.1 (RFC
 * 9110, 7.8).
 *
 * The lws that server/deps builds does so by itself (deps.d/libwebsockets/10-upgrade.patch).  A stock lws 4.3
 * would go on by HTTP/2 where h2c is offered; behind a proxy that passes Upgrade on, nobody would look into
 * what follows.  It asks the vhost's default protocol first, with its own copy of the name, and looks at that
 * again afterwards: a name that it does not know then is no upgrade.  But it asks only for the first request
 * of a connection, so that HTTP/2 without TLS, which nothing else begins in lwsws, is not served.  Names that
 * it does not know in the first place get 403 from it, and no callback.
 */
#ifndef PUSH_LWSIO_UPGRADE_H
#define PUSH_LWSIO_UPGRADE_H

#include <libwebsockets.h>
#include <stdbool.h>

/*
 * push_upgrade_is_websocket - LWS_CALLBACK_HTTP_CONFIRM_UPGRADE, whose `in` is `name`; the callback returns
 * 0.
 *
 * Returns false where the request goes on without an upgrade.
 */
bool
push_upgrade_is_websocket(struct lws *wsi, char *name);

/* push_upgrade_has_tunnel - whether the request came by HTTP/2 without TLS: it is refused, by returning -1.
 */
bool
push_upgrade_has_tunnel(struct lws *wsi);

#endif
