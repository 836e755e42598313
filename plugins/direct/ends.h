/*
 * ends.h - whose a connection of lws is that came to it by a local socket: the end of a relay (relay.h) or of a
 * single request (lws_request.h).
 *
 * Push's plugins below lws ask for a client's address by the descriptor.  They are shown the client's own instead, and
 * the certificate of its connection.
 */
#ifndef PUSH_DIRECT_ENDS_H
#define PUSH_DIRECT_ENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct direct_bytes;

/* The client's connection. */
struct direct_end_client {
	int fd;
	const struct direct_bytes *bytes; /* borrowed */
	bool is_shared;                   /* its other requests have ends of their own */
};

struct direct_end {
	uint64_t cookie; /* of lws' socket; 0: none */
	struct direct_end_client client;
};

/* By lws' descriptors. */
struct direct_ends {
	struct direct_end *ends;
	size_t count;
};

/* direct_ends_fini - nothing is known any more. */
void
direct_ends_fini(struct direct_ends *ends);

/*
 * direct_ends_add - lws' socket serves this client.
 *
 * Returns its cookie.  Without memory the client stays unknown.
 */
uint64_t
direct_ends_add(struct direct_ends *ends, int lws_fd, const struct direct_end_client *client);

/* direct_ends_remove - the client is gone.  @cookie: as it was returned; lws may have closed its end. */
void
direct_ends_remove(struct direct_ends *ends, int lws_fd, uint64_t cookie);

/* direct_ends_find - whom it serves; NULL: whoever is at its other end. */
const struct direct_end_client *
direct_ends_find(const struct direct_ends *ends, int lws_fd);

#endif
