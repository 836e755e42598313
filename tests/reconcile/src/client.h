/*
 * client.h - one client: a WebSocket or an event stream that is cut off and comes back.
 *
 *   AWAY ── due ──▶ CONNECTING ── head ──▶ OPEN ── heartbeat ──▶ (is_live) ── cut, or the end ──▶ AWAY
 *
 * Whatever it had not read when it was cut off is lost to it, as it is to a phone in a tunnel.
 *
 * With --overlap, one that is asked to reconnect follows as clients should: its connection goes on as
 * client->old until the new one has been live for that while.  What the new one brings meanwhile is held, and
 * looked at behind the last of the old one's; what both brought counts once, also where the new one brings it
 * after the old one has gone.
 */
#ifndef RECONCILE_CLIENT_H
#define RECONCILE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger.h"
#include "loop.h"
#include "response.h"

#define CLIENT_CHANNELS_MAX  32
#define CLIENT_ID_BYTES_MAX  512
#define CLIENT_TRACE         12 /* what it did last, to be told beside a violation */
#define CLIENT_SCRATCH_BYTES (1u << 20)

struct proof;

enum client_state { CLIENT_AWAY, CLIENT_CONNECTING, CLIENT_OPEN };

struct trace {
	uint32_t at_ms, number;
	int32_t channel;
	char what[12];
	char id[28]; /* its end */
};

/* What a new connection has brought while there is an old one. */
struct held {
	uint32_t index, number; /* the client's own index of the channel */
	bool is_last;
};

struct client {
	struct handler handler; /* the first member */
	struct proof *proof;
	uint32_t index;
	unsigned int transport; /* enum transport */
	int fd;
	uint8_t state; /* enum client_state */
	bool is_live, has_been_live, has_sent_request, is_chunked, has_fresh_gap;
	bool is_asked; /* to reconnect, and has not yet begun to */
	uint32_t node, connections;
	uint64_t due_ns, cut_ns, heard_ns, live_ns;
	char *id; /* the last one; NULL: none yet */
	char *rest;
	uint32_t rest_size;
	struct chunked chunked;
	uint32_t channel_count;
	uint32_t *channels;
	struct ledger *ledgers;
	uint32_t *live_from;      /* of each channel: these were sent when this connection was live */
	uint32_t *replayed_below; /* of each channel: smaller numbers were published before it connected */
	struct trace traces[CLIENT_TRACE];
	uint32_t trace_count;
	struct client *successor; /* of an old one: whose connection this was */
	struct client *old;       /* kept for the next time; its fd is -1 while there is none */
	struct held *held;
	uint32_t held_count, held_capacity;
	uint32_t *came;     /* of each channel: the last number that this connection has brought */
	uint32_t *old_next; /* and how far the old one had come when it was over */
};

enum transport { TRANSPORT_WS, TRANSPORT_SSE };

/* client_init - returns false if memory is out. */
bool
client_init(struct client *client, struct proof *proof, uint32_t index);

/* client_tick - connect, be cut off, give up, if it is time for it. */
void
client_tick(struct client *client, uint64_t now_ns);

/* client_leave - be cut off, until client_return(). */
void
client_leave(struct client *client);
void
client_return(struct client *client);

/* client_is_finished - it has the last message of each channel. */
bool
client_is_finished(const struct client *client);

/* client_close - the end of the proof. */
void
client_close(struct client *client);

void
client_fini(struct client *client);

#endif
