/* protocol_push_management.c - the management port, as an lws protocol plugin.  See management.c. */
#include "http/loggers.h"
#include "http/management.h"
#include "lwsio/plugin.h"
#include "lwsio/request.h"
#include "lwsio/upgrade.h"

/* The vhost gets data of this protocol, which says that it is the operators' (lwsio/find_broker.c). */
static int
on_vhost_init(struct lws *wsi)
{
	return lws_protocol_vh_priv_zalloc(lws_get_vhost(wsi), lws_get_protocol(wsi), sizeof(int)) ? 0 : -1;
}

static int
on_close(struct loggers_change **session)
{
	if (session) {
		loggers_close(*session);
		*session = NULL;
	}
	return 0;
}

static int
on_request(struct lws *wsi, struct loggers_change **session)
{
	on_close(session); /* of the last request on this connection */
	return push_upgrade_has_tunnel(wsi) ? -1 : management_request(wsi, session);
}

static int
on_body(struct lws *wsi, struct loggers_change *session, const char *bytes, size_t size)
{
	if (push_request_on_body(wsi, size))
		return -1;
	return session ? loggers_body(wsi, session, bytes, size) : 0;
}

/* Of a vhost whose default protocol this is. */
static int
on_upgrade(struct lws *wsi, char *name)
{
	(void)push_upgrade_is_websocket(wsi, name);
	return 0;
}

static int
push_management_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
	struct loggers_change **session = user;

	switch (reason) {
	case LWS_CALLBACK_PROTOCOL_INIT: return on_vhost_init(wsi);
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: return on_upgrade(wsi, in);
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return management_upgrade(wsi);
	case LWS_CALLBACK_HTTP: return on_request(wsi, session);
	case LWS_CALLBACK_HTTP_BODY: return on_body(wsi, *session, in, len);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION: return push_request_on_body_end(wsi);
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL: return on_close(session);
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
