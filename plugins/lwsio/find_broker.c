/* find_broker.c - see find_broker.h. */
#include <openssl/ssl.h>

#include "lwsio/find_broker.h"

static struct push_broker_link *
link_of(struct lws_vhost *vhost)
{
	const struct lws_protocols *protocol = lws_vhost_name_to_protocol(vhost, PUSH_BROKER_PROTOCOL);
	struct push_broker_link *link = protocol ? lws_protocol_vh_priv_get(vhost, protocol) : NULL;

	return link && link->magic == PUSH_BROKER_LINK_MAGIC ? link : NULL;
}

/* Every protocol is listed in every vhost; only where it was initialised it has data. */
static bool
is_management(struct lws_vhost *vhost)
{
	const struct lws_protocols *protocol = lws_vhost_name_to_protocol(vhost, PUSH_MANAGEMENT_PROTOCOL);

	return protocol && lws_protocol_vh_priv_get(vhost, protocol);
}

/* A vhost that shares the broker has shown itself: its port is accepted from like the broker's own. */
static void
note_port(struct push_broker_link *link, struct lws_vhost *vhost)
{
	int port = lws_get_vhost_listen_port(vhost);

	for (size_t i = 0; i < link->port_count; i++)
		if (link->ports[i] == port)
			return;
	if (link->port_count == PUSH_BROKER_PORTS_MAX || port <= 0)
		return;
	link->operators[link->port_count] = is_management(vhost);
	link->vhosts[link->port_count] = vhost;
	link->ports[link->port_count++] = port;
}

/* With or without a broker; of this build's version. */
static struct push_broker_link *
find_link(struct lws_context *context, struct lws_vhost *vhost)
{
	struct push_broker_link *link = link_of(vhost);

	if (link && link->shared_vhost[0]) {
		struct lws_vhost *owner = lws_get_vhost_by_name(context, link->shared_vhost);

		link = owner ? link_of(owner) : NULL;
		if (link)
			note_port(link, vhost);
	}
	if (!link || link->ops->abi_version != PUSH_BROKER_ABI_VERSION ||
		link->ops->size_bytes < sizeof(*link->ops))
		return NULL;
	return link;
}

struct push_broker_link *
push_find_broker_of(struct lws_context *context, struct lws_vhost *vhost)
{
	struct push_broker_link *link = find_link(context, vhost);

	return link && link->broker ? link : NULL;
}

/* lws 4.3 goes on with a certificate that no CA verifies: the first protocol of a vhost is asked whether it may, and none
 * but Push's own would know (lws_callback_http_dummy says nothing, which counts as yes). */
static bool
is_verified(struct lws *wsi)
{
	const SSL *ssl = lws_get_ssl(lws_get_network_wsi(wsi));

	return !ssl || !(SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) ||
	       SSL_get_verify_result(ssl) == X509_V_OK;
}

const char *
push_find_broker_trouble(struct lws *wsi)
{
	const struct push_broker_link *link = find_link(lws_get_context(wsi), lws_get_vhost(wsi));

	if (!is_verified(wsi))
		return "the certificate of the client is not by a CA of host-ssl-ca";
	return link && link->fault[0] ? link->fault : "no broker";
}

struct push_broker_link *
push_find_broker(struct lws *wsi)
{
	if (!is_verified(wsi))
		return NULL;
	return push_find_broker_of(lws_get_context(wsi), lws_get_vhost(wsi));
}
