/* upgrade.c - see upgrade.h. */
#include <string.h>
#include <strings.h>

#include "lwsio/request.h"
#include "lwsio/upgrade.h"

bool
push_upgrade_is_websocket(struct lws *wsi, char *name)
{
	/* RFC 6455, 4.1: a WebSocket begins with GET; the body of another request would be read as frames */
	if (!strcasecmp(name, "websocket") && push_request_method(wsi) == PUSH_METHOD_GET)
		return true;
	*name = '-';
	return false;
}

bool
push_upgrade_has_tunnel(struct lws *wsi)
{
	struct lws *network = lws_get_network_wsi(wsi);

	return network != wsi && !lws_is_ssl(network);
}
