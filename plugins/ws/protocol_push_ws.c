/* protocol_push_ws.c - WebSocket subscribers, as an lws protocol plugin.  All decisions are in ws_conn.c. */
#include "lwsio/plugin.h"
#include "lwsio/request.h"
#include "lwsio/upgrade.h"
#include "ws/subprotocol.h"
#include "ws/ws_conn.h"

static int
on_open(struct lws *wsi, struct push_http_session *session)
{
	session->stream = ws_conn_open(wsi);
	subprotocol_forget(wsi);
	return session->stream ? 0 : -1;
}

static int
on_receive(struct push_http_session *session, const void *bytes, size_t size)
{
	ws_conn_receive(session->stream, bytes, size);
	return 0;
}

static int
on_pong(struct push_http_session *session)
{
	session->stream->ops->subscriber_heard(session->stream->subscriber);
	return 0;
}

/* Non-zero: closed without the answer that lws would send, since ours is out already. */
static int
on_peer_close(struct push_http_session *session)
{
	return session->stream->ops->subscriber_peer_closed(session->stream->subscriber) ? -1 : 0;
}

static int
on_close(struct push_http_session *session)
{
	push_http_session_end(session);
	return 0;
}

static int
on_upgrade(struct lws *wsi, char *name)
{
	if (push_upgrade_is_websocket(wsi, name))
		subprotocol_on_upgrade(wsi);
	return 0;
}

static int
on_offer(struct lws *wsi)
{
	if (!push_upgrade_has_tunnel(wsi) && ws_conn_admit(wsi))
		return 0;
	subprotocol_forget(wsi);
	return -1;
}

static int
on_headers(struct lws *wsi, struct lws_process_html_args *headers)
{
	subprotocol_on_headers(wsi, headers);
	return 0;
}

/* A file of a mount has been sent by the vhost's default protocol, this one: on to the next request. */
static int
on_file_sent(struct lws *wsi)
{
	return lws_http_transaction_completed(wsi) ? -1 : 0;
}

/* Of every request, before lws looks whose it is.  lws 4.3 reads no chunks: it would take them for the next request. */
static int
on_request(struct lws *wsi, struct push_http_session *session)
{
	if (session && ws_conn_is_preflight(wsi)) {
		(void)ws_conn_plain_request(wsi, session, "");
		return -1;
	}
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) <= 0)
		return 0;
	(void)push_reply_error(wsi, (struct push_response){.status = 411, .closes = true},
		"a chunked body is not accepted, send Content-Length");
	return -1;
}

static int
push_ws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct push_http_session *session = user;

	switch (reason) {
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return on_upgrade(wsi, in);
	case LWS_CALLBACK_FILTER_HTTP_CONNECTION: return on_request(wsi, session);
	case LWS_CALLBACK_ADD_HEADERS: return on_headers(wsi, in);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return on_offer(wsi);
	case LWS_CALLBACK_CONFIRM_EXTENSION_OKAY: return 1; /* permessage-deflate: 100 kB a connection */
	case LWS_CALLBACK_HTTP_FILE_COMPLETION: return on_file_sent(wsi);
	case LWS_CALLBACK_HTTP: return ws_conn_plain_request(wsi, session, in);
	case LWS_CALLBACK_ESTABLISHED: return on_open(wsi, session);
	case LWS_CALLBACK_RECEIVE: return on_receive(session, in, len);
	case LWS_CALLBACK_RECEIVE_PONG: return on_pong(session);
	case LWS_CALLBACK_SERVER_WRITEABLE: return push_connection_on_writeable(session->stream);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: return on_peer_close(session);
	case LWS_CALLBACK_CLOSED: return on_close(session);
	case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL:
		subprotocol_forget(wsi);
		return 0; /* also before it was open */
	case LWS_CALLBACK_HTTP_WRITEABLE:
	case LWS_CALLBACK_TIMER:
	case LWS_CALLBACK_HTTP_BODY:
	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL:
		return push_http_session_callback(PUSH_PLACE_SOCKETS, wsi, reason, session, in, len);
	default: return 0;
	}
}

#define WS_PROTOCOL(protocol_name)                                                                           \
	{                                                                                                    \
		.name = (protocol_name), .callback = push_ws_callback,                                       \
		.per_session_data_size = sizeof(struct push_http_session),                                   \
		.rx_buffer_size = PUSH_WS_RX_BYTES, .tx_packet_size = PUSH_TX_PACKET_BYTES,                  \
	}

static const struct lws_protocols protocols[] = {
	WS_PROTOCOL(SUBPROTOCOL_NAME),
	WS_PROTOCOL(SUBPROTOCOL_ALIAS),
	WS_PROTOCOL(PUSH_WS_V1_PROTOCOL),
};

PUSH_PLUGIN(push_ws, "push-ws", protocols);
