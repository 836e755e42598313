/* protocol_push_sse.c - event streams, as an lws protocol plugin.  Its rules are in request/. */
#include "lwsio/http_exchange.h"
#include "lwsio/plugin.h"

static int
push_sse_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	return push_http_session_callback(PUSH_PLACE_EVENTS, wsi, reason, user, in, len);
}

static const struct lws_protocols protocols[] = {
	{
		.name = "push-sse",
		.callback = push_sse_callback,
		.per_session_data_size = sizeof(struct push_http_session),
		.tx_packet_size = PUSH_TX_PACKET_BYTES,
	},
};

PUSH_PLUGIN(push_sse, "push-sse", protocols);
