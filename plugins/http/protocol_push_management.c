/* protocol_push_management.c - the operators' port, as an lws protocol plugin.  See management.c. */
#include "http/management.h"
#include "lwsio/plugin.h"
#include "lwsio/request.h"

/* The vhost gets data of this protocol, which says that it is the operators' (lwsio/find_broker.c). */
static int
on_vhost_init(struct lws *wsi)
{
	return lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi), lws_get_protocol(wsi), sizeof(int)) ? 0 : -1;
}

static int
push_management_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	(void)user;
	(void)in;
	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT: return on_vhost_init(wsi);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return management_upgrade(wsi);
	case LWS_CALLBACK_HTTP: return management_request(wsi);
	case LWS_CALLBACK_HTTP_BODY: return push_request_on_body(wsi, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION: return push_request_on_body_end(wsi);
	case LWS_CALLBACK_TIMER: return push_request_give_up(wsi);
	default: return 0;
	}
}

/* A session's data is as large as in the other plugins: lws keeps the block when a connection changes them.
 */
static const struct lws_protocols protocols[] = {
	{
		.name = "push-management",
		.callback = push_management_callback,
		.per_session_data_size = sizeof(void *),
		.tx_packet_size = PUSH_TX_PACKET_BYTES,
	},
};

PUSH_PLUGIN(push_management, "push-management", protocols);
