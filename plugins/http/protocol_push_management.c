/* protocol_push_management.c - the management port, as an lws protocol plugin.  Its pages are in pages.c. */
#include "core/paths.h"
#include "http/pages.h"
#include "lwsio/http_exchange.h"
#include "lwsio/plugin.h"
#include "lwsio/request.h"

/* The vhost gets data of this protocol, which says that it is the operators' (lwsio/find_broker.c). */
static int
on_vhost_init(struct lws *wsi)
{
	return lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi), lws_get_protocol(wsi), sizeof(int)) ? 0 : -1;
}

static int
on_request(struct lws *wsi, struct push_http_session *session)
{
	size_t count;
	const struct push_page *pages = pages_table(&count);

	return push_http_session_begin_page(session, wsi, pages, count);
}

static int
on_websocket(struct lws *wsi)
{
	(void)push_reply_error(wsi, (struct push_response){.status = 404, .closes = true},
		"no WebSocket here; " PUSH_PATH_WS " is on the main port (8080 by default)");
	return -1;
}

static int
push_management_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT: return on_vhost_init(wsi);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return on_websocket(wsi);
	case LWS_CALLBACK_HTTP: return on_request(wsi, user);
	default: return push_http_session_callback(PUSH_PLACE_OPERATORS, wsi, reason, user, in, len);
	}
}

static const struct lws_protocols protocols[] = {
	{
		.name = "push-management",
		.callback = push_management_callback,
		.per_session_data_size = sizeof(struct push_http_session),
		.tx_packet_size = PUSH_TX_PACKET_BYTES,
	},
};

PUSH_PLUGIN(push_management, "push-management", protocols);
