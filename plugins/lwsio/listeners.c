/* listeners.c - see listeners.h. */
#include "lwsio/listeners.h"
#include "lwsio/find_broker.h"

/* Closes it from the loop, with lws' own timeout in the past. */
static void
close_soon(struct lws *listener)
{
	lws_set_timeout(listener, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

int
push_listeners_on_connection(struct lws *listener)
{
	struct push_broker_link *link = push_find_broker(listener);
	struct push_listeners *listeners = link ? link->listeners : NULL;

	if (!listeners || lws_vhost_name_to_protocol(lws_get_vhost(listener), PUSH_MANAGEMENT_PROTOCOL))
		return 0;
	if (link->ops->is_draining(link->broker)) {
		close_soon(listener);
		return 1;
	}
	for (size_t i = 0; i < listeners->count; i++)
		if (listeners->wsi[i] == listener)
			return 0;
	if (listeners->count < PUSH_LISTENERS_MAX)
		listeners->wsi[listeners->count++] = listener;
	return 0;
}

void
push_listeners_close(struct push_listeners *listeners)
{
	while (listeners->count > 0)
		close_soon(listeners->wsi[--listeners->count]);
}
