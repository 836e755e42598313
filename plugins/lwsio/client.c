/* client.c - see client.h. */
#include <stdlib.h>

#include "direct/files.h"
#include "direct/peer.h"
#include "lwsio/client.h"

int
push_lws_client_fd(struct lws *wsi, const struct push_broker_ops *ops, const struct push_broker *broker)
{
	bool is_shared;

	return ops->client_fd(broker, (int)lws_get_socket_fd(lws_get_network_wsi(wsi)), &is_shared);
}

static int
fd_of(struct lws *wsi, const struct push_broker_link *link)
{
	return push_lws_client_fd(wsi, link->ops, link->broker);
}

bool
push_lws_client_peer(struct lws *wsi, const struct push_broker_link *link, struct push_address *ret)
{
	const struct push_limiter *limiter = link->ops->limiter(link->broker);

	return (limiter && push_limiter_address(limiter, fd_of(wsi, link), ret)) ||
	       push_peer_address(fd_of(wsi, link), ret);
}

/* The client's connection has no other requests at the same time. */
static bool
is_alone(struct lws *wsi, const struct push_broker_link *link)
{
	bool is_shared;

	if (lws_get_network_wsi(wsi) != wsi)
		return false;
	(void)link->ops->client_fd(link->broker, (int)lws_get_socket_fd(wsi), &is_shared);
	return !is_shared;
}

/* The kernel gives out the lowest descriptor that is free, so that its number says how many are left. */
static bool
has_descriptors(struct lws *wsi, const struct push_broker_link *link)
{
	uint64_t reserved = link->ops->options(link->broker)->limit_reserved_descriptors;

	return !reserved || (uint64_t)fd_of(wsi, link) + reserved < (uint64_t)push_files_max() ||
	       push_limiter_refuse(link->ops->limiter(link->broker), PUSH_LIMIT_RESERVED_DESCRIPTORS);
}

/* One of several of a proxy's connection. */
static bool
enter(struct push_limiter *limiter, const struct push_broker_ops *ops, const struct push_address *client,
	struct push_address **ret_entered, enum push_limit *ret_limit)
{
	if (!push_limiter_enter(limiter, client, ops->now_us(), ret_limit))
		return false;
	*ret_entered = malloc(sizeof(**ret_entered));
	if (*ret_entered)
		**ret_entered = *client;
	else /* it does not count then */
		push_limiter_leave(limiter, client);
	return true;
}

bool
push_lws_client_claim(struct lws *wsi, const struct push_broker_link *link, const struct push_address *client,
	struct push_address **ret_entered, enum push_limit *ret_limit)
{
	struct push_limiter *limiter = link->ops->limiter(link->broker);
	struct push_address peer;

	*ret_entered = NULL;
	*ret_limit = PUSH_LIMIT_RESERVED_DESCRIPTORS;
	if (!limiter)
		return true;
	if (!has_descriptors(wsi, link))
		return false;
	if (!client)
		return true;
	if (is_alone(wsi, link))
		return push_limiter_claim(limiter, fd_of(wsi, link), client, link->ops->now_us(), ret_limit);
	if (!push_lws_client_peer(wsi, link, &peer) || !push_limiter_trusts(limiter, &peer))
		return true; /* the connection has been counted */
	return enter(limiter, link->ops, client, ret_entered, ret_limit);
}

void
push_lws_client_leave(
	const struct push_broker_ops *ops, const struct push_broker *broker, struct push_address *entered)
{
	if (entered)
		push_limiter_leave(ops->limiter(broker), entered);
	free(entered);
}
