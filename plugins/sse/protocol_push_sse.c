/* protocol_push_sse.c - EventSource subscribers, as an lws protocol plugin.  All decisions are in sse_conn.c.
 */
#include "http/publish_conn.h"
#include "lwsio/plugin.h"
#include "lwsio/request.h"
#include "lwsio/upgrade.h"
#include "sse/sse_conn.h"

/* lws may tell both of the socket and of the protocol that they end. */
static int
on_close(struct sse_session *session)
{
	if (session) {
		push_connection_destroy(session->stream);
		publish_conn_close(session->change);
		*session = (struct sse_session){NULL, NULL};
	}
	return 0;
}

static int
on_request(struct lws *wsi, struct sse_session *session, const char *rest)
{
	on_close(session); /* of the last request on this connection */
	return push_upgrade_has_tunnel(wsi) ? -1 : sse_conn_request(wsi, rest, session);
}

static int
on_writeable(struct lws *wsi, const struct sse_session *session)
{
	if (session->stream)
		return push_connection_on_writeable(session->stream);
	return session->change ? publish_conn_writeable(session->change) : push_request_give_up(wsi);
}

static int
on_body(struct lws *wsi, const struct sse_session *session, const char *bytes, size_t size)
{
	if (push_request_on_body(wsi, size))
		return -1;
	return session->change ? publish_conn_body(session->change, bytes, size) : 0;
}

static int
on_body_end(struct lws *wsi, const struct sse_session *session)
{
	return session->change ? publish_conn_complete(session->change) : push_request_on_body_end(wsi);
}

static int
on_timer(struct lws *wsi, const struct sse_session *session)
{
	return session->change ? publish_conn_timeout(session->change) : push_request_give_up(wsi);
}

/* Of a vhost whose default protocol this is. */
static int
on_upgrade(struct lws *wsi, char *name)
{
	(void)push_upgrade_is_websocket(wsi, name);
	return 0;
}

static int
push_sse_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct sse_session *session = user;

	switch (reason) {
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return on_upgrade(wsi, in);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return -1; /* named as a subprotocol: no WebSocket */
	case LWS_CALLBACK_HTTP: return on_request(wsi, session, in);
	case LWS_CALLBACK_HTTP_WRITEABLE: return on_writeable(wsi, session);
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL: return on_close(session);
	case LWS_CALLBACK_HTTP_BODY: return on_body(wsi, session, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION: return on_body_end(wsi, session);
	case LWS_CALLBACK_TIMER: return on_timer(wsi, session);
	default: return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{
		.name = "push-sse",
		.callback = push_sse_callback,
		.per_session_data_size = sizeof(struct sse_session),
		.tx_packet_size = PUSH_TX_PACKET_BYTES,
	},
};

PUSH_PLUGIN(push_sse, "push-sse", protocols);
