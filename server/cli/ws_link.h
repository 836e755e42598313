/* ws_link.h - lws' callback for a subscription by WebSocket; see link.h. */
#ifndef PUSH_CLI_WS_LINK_H
#define PUSH_CLI_WS_LINK_H

#include <libwebsockets.h>

int
ws_link_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size);

#endif
