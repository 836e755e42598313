/*
 * publisher.h - one connection that publishes: keep-alive HTTP, or Redis.
 *
 * Requests are put together first (publisher_put) and sent after (publisher_flush), so that a burst over many
 * connections leaves with nothing but one write each in between.  When the server closes a connection, it is
 * made anew; one that is closed before it has had a single answer is dead.
 */
#ifndef BENCH_PUBLISHER_H
#define BENCH_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "loop.h"
#include "streams.h"
#include "wire.h"

#define PUBLISHER_ANSWER_BYTES_MAX 16384

struct load;

/* A request that is not answered yet. */
struct pending {
	uint64_t sent_ns;
	struct stream *stream;
	uint32_t receivers; /* subscribers of the channel when it was sent */
	uint64_t changes;   /* of the fleet, then */
};

struct publisher {
	struct handler handler; /* the first member */
	struct load *load;
	uint32_t index;
	uint32_t channel, stream; /* the next message's */
	struct wire wire;
	bool is_connected, is_dead, is_queued, is_touched;
	uint64_t answers; /* on this connection */
	char *out, *in;
	size_t out_size, out_capacity, in_size;
	struct pending *pending; /* a ring of --pipeline places */
	uint32_t pending_first, pending_count;
};

/* publisher_connect - begin to connect.  Tells the load by load_connected() or load_publisher_died(). */
void publisher_connect(struct publisher *publisher);

/*
 * publisher_put - append a request for a message.
 *
 * Returns what is pending, to be filled in; NULL if memory is out.
 */
struct pending *publisher_put(struct publisher *publisher, const char *channel, const char *message, size_t size);

/* publisher_flush - send what was put, as far as the socket takes it. */
void publisher_flush(struct publisher *publisher);

void publisher_fini(struct publisher *publisher);

#endif
