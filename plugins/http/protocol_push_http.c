/* protocol_push_http.c - publishing and history over HTTP, as an lws protocol plugin.  Its rules are in request/. */
#include "lwsio/http_exchange.h"
#include "lwsio/plugin.h"

static int
push_http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	return push_http_session_callback(PUSH_PLACE_PUBLISH, wsi, reason, user, in, len);
}

static const struct lws_protocols protocols[] = {
	{
		.name = "push-http",
		.callback = push_http_callback,
		.per_session_data_size = sizeof(struct push_http_session),
		.tx_packet_size = PUSH_TX_PACKET_BYTES,
	},
};

PUSH_PLUGIN(push_http, "push-http", protocols);
