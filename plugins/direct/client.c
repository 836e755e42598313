/* client.c - what the descriptor of a connection says of its client, and of those that are yet to come. */
#include "direct/direct_private.h"
#include "direct/peer.h"

bool
direct_client_address(const struct push_direct *direct, int fd, struct push_address *ret)
{
	return (direct->limiter && push_limiter_address(direct->limiter, fd, ret)) ||
	       push_peer_address(fd, ret);
}

/* The kernel gives out the lowest descriptor that is free, so that its number says how many are left. */
bool
direct_has_descriptors(const struct push_direct *direct, int fd)
{
	uint64_t reserved = direct->ops->options(direct->broker)->limit_reserved_descriptors;

	return !reserved || (uint64_t)fd + reserved < (uint64_t)direct->files_max ||
	       push_limiter_refuse(direct->limiter, PUSH_LIMIT_RESERVED_DESCRIPTORS);
}
