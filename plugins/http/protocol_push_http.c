/* protocol_push_http.c - publishing by HTTP, as an lws protocol plugin.  All decisions are in publish_conn.c.
 */
#include "http/publish_conn.h"
#include "lwsio/plugin.h"
#include "lwsio/request.h"
#include "lwsio/upgrade.h"

static int
on_close(struct publish **session)
{
	if (session) {
		publish_conn_close(*session);
		*session = NULL;
	}
	return 0;
}

static int
on_request(struct lws *wsi, struct publish **session, const char *rest)
{
	on_close(session); /* of the last request on this connection */
	return push_upgrade_has_tunnel(wsi) ? -1 : publish_conn_request(wsi, rest, session);
}

static int
on_body(struct lws *wsi, struct publish *session, const char *bytes, size_t size)
{
	if (push_request_on_body(wsi, size))
		return -1;
	return session ? publish_conn_body(session, bytes, size) : 0;
}

static int
on_body_end(struct lws *wsi, struct publish *session)
{
	return session ? publish_conn_complete(session) : push_request_on_body_end(wsi);
}

/* Of a vhost whose default protocol this is. */
static int
on_upgrade(struct lws *wsi, char *name)
{
	(void)push_upgrade_is_websocket(wsi, name);
	return 0;
}

static int
push_http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct publish **session = user;

	switch (reason) {
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return on_upgrade(wsi, in);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return -1; /* named as a subprotocol: no WebSocket */
	case LWS_CALLBACK_HTTP: return on_request(wsi, session, in);
	case LWS_CALLBACK_HTTP_BODY: return on_body(wsi, *session, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION: return on_body_end(wsi, *session);
	case LWS_CALLBACK_TIMER: return *session ? publish_conn_timeout(*session) : push_request_give_up(wsi);
	case LWS_CALLBACK_HTTP_WRITEABLE:
		return *session ? publish_conn_writeable(*session) : push_request_give_up(wsi);
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL: return on_close(session);
	default: return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{
		.name = "push-http",
		.callback = push_http_callback,
		.per_session_data_size = sizeof(struct publish *),
		.tx_packet_size = PUSH_TX_PACKET_BYTES,
	},
};

PUSH_PLUGIN(push_http, "push-http", protocols);
