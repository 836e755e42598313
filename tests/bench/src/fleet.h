/*
 * fleet.h - all subscribers of one process: how they come, what they have seen, whether it is right.
 *
 * One subscriber's life is in subscriber.c; here is what concerns them together.
 */
#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "histogram.h"
#include "loop.h"
#include "net.h"
#include "options.h"
#include "payload.h"
#include "response.h"
#include "streams.h"
#include "tracker.h"
#include "wire.h"

#define FLEET_ERROR_BYTES_MAX 200

struct fleet;
struct h2;

enum subscriber_state {
	SUBSCRIBER_NEW,
	SUBSCRIBER_CONNECTING, /* until the answer to its handshake is whole */
	SUBSCRIBER_OPEN,
	SUBSCRIBER_CLOSED, /* was open */
	SUBSCRIBER_FAILED, /* never was */
};

struct subscriber {
	struct handler handler; /* the first member: a handler is its subscriber */
	struct fleet *fleet;
	struct wire wire; /* not with HTTP/2 */
	struct h2 *h2;    /* with HTTP/2: the connection that has its stream */
	int32_t stream;   /* there; 0: none yet */
	uint32_t channel;
	unsigned char state; /* enum subscriber_state */
	bool has_sent_request, has_answer, is_announced, is_chunked;
	bool has_joined_late;  /* messages had been sent to its channel before */
	uint16_t close_code;   /* of the server's Close frame; 0: none */
	uint32_t rest_size;    /* bytes of a frame that is not whole yet */
	uint32_t partial_size; /* of a fragmented message */
	char *rest, *partial;
	uint64_t started_ns;
	uint64_t order;    /* a hash over all that came, in the order in which it came */
	uint64_t received; /* messages, each once */
	struct chunked chunked;
	struct tracker *trackers; /* one per stream of its channel */
};

/* How connections ended that the tool did not end. */
enum fleet_end {
	END_OF_STREAM = 16, /* without a Close frame; below are the codes 1000 to 1015 */
	END_RESET,
	END_OTHER_CODE,
	END_COUNT,
};

struct fleet_counts {
	uint64_t opened, failed;
	uint64_t delivered; /* messages, each once */
	uint64_t reads, read_bytes;
	uint64_t duplicates, late, damaged, misrouted;
	uint64_t heartbeats, pings, reconnect_events, error_events, unknown_events;
	uint64_t closed, closed_announced; /* the second is part of the first */
	uint64_t ends[END_COUNT];
	uint64_t lost, other_order; /* fleet_verify() */
	uint64_t unverified;        /* subscribers that were closed: what was lost after that is not known */
	char error[FLEET_ERROR_BYTES_MAX]; /* the first */
};

struct fleet {
	struct loop *loop;
	const struct options *options;
	const struct payload *payload;
	struct streams *streams;
	const struct target *target;

	struct subscriber *all;
	struct tracker *trackers;
	uint32_t *channel_open; /* subscribers per channel that are open */
	char *scratch;          /* what is being read */
	struct h2_pool *h2;     /* the connections, with HTTP/2 */
	size_t count, started, connecting, open;
	uint32_t first_channel, channel_count;
	uint32_t source; /* first index for net_connect() */
	int receive_buffer;
	bool may_connect, is_stalled;
	struct timer connect_timer;
	uint64_t connect_from_ns, connect_until_ns; /* first start, last opening */

	uint64_t accounted; /* deliveries that need not be waited for: come, or never to come */
	uint64_t changes;   /* rises whenever somebody joins or leaves */

	struct fleet_counts counts;
	struct histogram connect_latency;
	struct histogram *latency; /* of messages sent since latency_from_ns; NULL: nobody asks */
	uint64_t latency_from_ns;
};

/* fleet_init - `count` subscribers of which number i listens to first_channel + i mod channel_count. */
int
fleet_init(struct fleet *fleet, struct loop *loop, const struct options *options,
	const struct payload *payload, struct streams *streams, const struct target *target, size_t count);

/* fleet_fini - close all that are open. */
void
fleet_fini(struct fleet *fleet);

/* fleet_pump - after each turn: begin as many connections as may be under way, and send what HTTP/2 has to send. */
void
fleet_pump(struct fleet *fleet, uint64_t now_ns);

/* fleet_is_connected - whether every connection has come about or failed. */
bool
fleet_is_connected(const struct fleet *fleet);

/* fleet_give_up - fail those that are still connecting. */
void
fleet_give_up(struct fleet *fleet);

/* fleet_stall - stop to read, or go on. */
void
fleet_stall(struct fleet *fleet, bool is_stalled);

/* fleet_verify - compare what came with what was sent: counts.lost, .other_order, .unverified. */
void
fleet_verify(struct fleet *fleet);

/* fleet_failed - remember the first error, for a person. */
void
fleet_failed(struct fleet *fleet, const char *what, const char *detail, size_t detail_size);

#endif
