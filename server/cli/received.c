/*
 * received.c - see received.h.
 *
 * lws reports an answer that is not HTTP and no answer at all in the same words once the connection is
 * closed: the kernel knows better.  A file of its own, since linux/tcp.h and netinet/tcp.h do not go
 * together.
 */
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "received.h"

/* The end of the stream counts as one byte. */
#define END_BYTES 1

bool
received_anything(int fd)
{
	struct tcp_info info = {.tcpi_state = 0};
	socklen_t size = sizeof(info);

	return fd >= 0 && !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) &&
	       info.tcpi_bytes_received > END_BYTES;
}
