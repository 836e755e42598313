/* protocol_push_management.c - the operators' port, as an lws protocol plugin.  See management.c. */
#include "http/management.h"
#include "lwsio/plugin.h"

static int
push_management_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	(void)user;
	(void)in;
	(void)len;
	return reason == LWS_CALLBACK_HTTP ? management_request(wsi) : 0;
}

/* A session's data is as large as in the other plugins: lws keeps the block when a connection changes them. */
static const struct lws_protocols protocols[] = {
	{
		.name = "push-management",
		.callback = push_management_callback,
		.per_session_data_size = sizeof(void *),
		.tx_packet_size = PUSH_TX_PACKET_BYTES,
	},
};

PUSH_PLUGIN(push_management, "push-management", protocols);
