/*
 * net.h - sockets, and how many of them there may be.
 */
#ifndef BENCH_NET_H
#define BENCH_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct tls;

struct target {
	struct sockaddr_storage address;
	socklen_t size;
	bool is_secure;  /* https:// or wss:// */
	struct tls *tls; /* how connections to it speak TLS; NULL: they do not */
};

#define NET_HOST_BYTES_MAX 256

/* net_place - what stands behind the scheme: "HOST:PORT". */
const char *net_place(const char *text);

/* net_host - the host alone, without the brackets of an address; false if `text` has none, or no port. */
bool net_host(const char *text, char to[NET_HOST_BYTES_MAX]);

/*
 * net_resolve - "HOST:PORT" or "[V6]:PORT", with http://, https://, ws:// or wss:// in front or without.
 *
 * Returns NULL, or what is wrong with it.
 */
const char *net_resolve(const char *text, struct target *ret_target);

/*
 * net_connect - begin to connect without waiting.
 *
 * @index: of the connection.  Towards 127.0.0.0/8 it also chooses the source address, from a block that is
 * this process's own: the ports that closed connections keep busy for a minute (TIME_WAIT) then stand in
 * nobody's way, not even in that of the next run.
 * @receive_buffer: SO_RCVBUF in bytes, 0 for the system's default.
 * Returns the descriptor, non-blocking, or -1 with errno.
 */
int net_connect(const struct target *target, uint32_t index, int receive_buffer);

/* net_error - the outcome of a connect that was under way: 0 or an errno. */
int net_error(int fd);

/* net_open_files_max - raise the soft limit of descriptors to the hard one; returns it. */
uint64_t net_open_files_max(void);

#endif
