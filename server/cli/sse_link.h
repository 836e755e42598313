/* sse_link.h - lws' callback for a subscription as an event stream; see link.h. */
#ifndef PUSH_CLI_SSE_LINK_H
#define PUSH_CLI_SSE_LINK_H

#include <libwebsockets.h>

int
sse_link_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size);

#endif
