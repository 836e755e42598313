/* peer.c - see peer.h. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

#include "direct/peer.h"

union any_address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

bool
push_peer_address_of(const struct sockaddr *peer, struct push_address *ret)
{
	if (peer->sa_family == AF_INET)
		*ret = push_address_from_v4(&((const struct sockaddr_in *)(const void *)peer)->sin_addr);
	else if (peer->sa_family == AF_INET6)
		*ret = push_address_from_v6(&((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr);
	else
		return false;
	return true;
}

bool
push_peer_address(int fd, struct push_address *ret)
{
	union any_address peer = {.any = {.sa_family = AF_UNSPEC}};
	socklen_t size = sizeof(peer);

	return fd >= 0 && !getpeername(fd, &peer.any, &size) && push_peer_address_of(&peer.any, ret);
}

bool
push_peer_text(int fd, char *to, size_t size)
{
	union any_address peer = {.any = {.sa_family = AF_UNSPEC}};
	socklen_t peer_size = sizeof(peer);
	char text[INET6_ADDRSTRLEN];

	if (fd < 0 || getpeername(fd, &peer.any, &peer_size))
		return false;
	if (peer.any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &peer.v4.sin_addr, text, sizeof(text));
		snprintf(to, size, "%s:%u", text, ntohs(peer.v4.sin_port));
	} else if (peer.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&peer.v6.sin6_addr)) {
		inet_ntop(AF_INET, &peer.v6.sin6_addr.s6_addr[12], text, sizeof(text));
		snprintf(to, size, "%s:%u", text, ntohs(peer.v6.sin6_port));
	} else if (peer.any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &peer.v6.sin6_addr, text, sizeof(text));
		snprintf(to, size, "[%s]:%u", text, ntohs(peer.v6.sin6_port));
	} else {
		snprintf(to, size, "unix");
	}
	return true;
}
