/* protocol_push_sse.c - EventSource subscribers, as an lws protocol plugin.  All decisions are in sse_conn.c.
 */
#include "lwsio/plugin.h"
#include "lwsio/request.h"
#include "sse/sse_conn.h"

static int
on_request(struct lws *wsi, struct push_connection **session, const char *rest)
{
	*session = NULL;
	return sse_conn_request(wsi, rest, session);
}

/* lws may tell both of the socket and of the protocol that they end. */
static int
on_close(struct push_connection **session)
{
	if (session) {
		push_connection_destroy(*session);
		*session = NULL;
	}
	return 0;
}

static int
on_writeable(struct lws *wsi, struct push_connection *session)
{
	return session ? push_connection_on_writeable(session) : push_request_give_up(wsi);
}

static int
push_sse_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct push_connection **session = user;

	switch (reason) {
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return -1; /* named as a subprotocol: no WebSocket */
	case LWS_CALLBACK_HTTP: return on_request(wsi, session, in);
	case LWS_CALLBACK_HTTP_WRITEABLE: return on_writeable(wsi, *session);
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL: return on_close(session);
	case LWS_CALLBACK_HTTP_BODY: return push_request_on_body(wsi, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION: return push_request_on_body_end(wsi);
	case LWS_CALLBACK_TIMER: return push_request_give_up(wsi);
	default: return 0;
	}
}

static const struct lws_protocols protocols[] = {
	{
		.name = "push-sse",
		.callback = push_sse_callback,
		.per_session_data_size = sizeof(struct push_connection *),
		.tx_packet_size = PUSH_TX_PACKET_BYTES,
	},
};

PUSH_PLUGIN(push_sse, "push-sse", protocols);
