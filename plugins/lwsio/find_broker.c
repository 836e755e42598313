/* find_broker.c - see find_broker.h. */
#include "lwsio/find_broker.h"

static struct push_broker_link *
link_of(struct lws_vhost *vhost)
{
	const struct lws_protocols *protocol = lws_vhost_name_to_protocol(vhost, PUSH_BROKER_PROTOCOL);
	struct push_broker_link *link = protocol ? lws_protocol_vh_priv_get(vhost, protocol) : NULL;

	return link && link->magic == PUSH_BROKER_LINK_MAGIC ? link : NULL;
}

struct push_broker_link *
push_find_broker(struct lws *wsi)
{
	struct push_broker_link *link = link_of(lws_get_vhost(wsi));

	if (link && link->shared_vhost[0]) {
		struct lws_vhost *owner = lws_get_vhost_by_name(lws_get_context(wsi), link->shared_vhost);

		link = owner ? link_of(owner) : NULL;
	}
	if (!link || !link->broker || link->ops->abi_version != PUSH_BROKER_ABI_VERSION ||
		link->ops->size_bytes < sizeof(*link->ops))
		return NULL;
	return link;
}
