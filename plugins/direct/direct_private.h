/*
 * direct_private.h - what the files of direct/ share.  Nobody else includes this.
 */
#ifndef PUSH_DIRECT_PRIVATE_H
#define PUSH_DIRECT_PRIVATE_H

#include "core/certificate_name.h"
#include "core/wheel.h"
#include "direct/direct.h"
#include "direct/ends.h"
#include "direct/files.h"
#include "direct/limits.h"
#include "direct/routes.h"
#include "direct/vhosts.h"
#include "loop/source.h"
#include "request/subscription.h"
#include "tls/limits.h"

/* What a connection keeps for a client that does not end it: a body, a message, answers that are not read. */
struct direct_burden {
	struct push_list link; /* in direct->burdens */
	void (*relieve)(
		struct direct_burden *burden); /* frees it and takes it off the list; its connection ends */
};

/* In direct->wheel. */
struct direct_timer {
	struct push_timer timer;
	void (*due)(struct direct_timer *timer, uint64_t now_us);
};

/* A port with TLS (tls_ports.h). */
struct direct_tls_port {
	int port;
	struct push_tls_server *server; /* owned; its texts lie in direct->vhosts */
};

struct push_direct {
	const struct push_broker_ops *ops;
	struct push_broker *broker;
	struct push_direct_host host;
	struct push_sources sets[PUSH_DIRECT_SET_COUNT];
	struct push_wheel wheel; /* of requests; subscribers have the hub's */
	struct push_routes routes;
	struct push_vhosts *vhosts; /* owned; NULL: nobody has told (told.c) */
	struct direct_tls_port tls_ports[PUSH_BROKER_PORTS_MAX];
	size_t tls_port_count;
	struct push_tls_ticket_keys *ticket_keys; /* owned; NULL: OpenSSL has its own */
	struct push_list probes, doors, requests, handshakes;
	struct push_list h2_conns, h2_dirty;   /* h2_conn.h */
	size_t h2_leaving_count;               /* connections whose last GOAWAY is to come */
	uint64_t h2_dirty_since_us;            /* of the first in h2_dirty */
	unsigned int h2_request_count;         /* that are not answered */
	struct push_list burdens;              /* the oldest first */
	struct push_account *requests_account; /* what bodies and answers are charged to */
	unsigned int probe_count, door_count, relay_sources;
	struct direct_ends ends;            /* lws' ends of relays */
	struct push_broker_sockets sockets; /* of this */
	struct push_limiter *limiter;       /* the broker's; NULL: nothing is limited */
	enum push_certificate_name certificate_name;
	unsigned int refusal_count;   /* connections that are one too many, and are told so */
	struct direct_handed *handed; /* owned: what lws serves and is counted (handed.c) */
	size_t handed_count, handed_room, handed_next;
	struct push_buf greeting; /* the head of a stream's answer, until it is with its subscriber */
	int files_max;
	int reserve[PUSH_RESERVE_FILES]; /* descriptors that are open for nothing, the first ones (door.c) */
	int reserve_count;
	uint64_t probes_used_us;  /* the time that the probes so far have used up (probe.c) */
	uint64_t accept_again_us; /* 0: accepting does not rest */
	uint64_t behind_since_us; /* publishers wait for the flush; 0: they do not */
	bool stopped;
	/* What is being read.  Of one connection only until its `ready` returns. */
	char scratch[PUSH_READ_BYTES];
	/* What is being sealed; the hub may write while a request is read. */
	unsigned char unsealed[PUSH_TLS_RECORD_BYTES];
};

/* direct_burden_list - it is one from now on, if it was not before. */
static inline void
direct_burden_list(struct push_direct *direct, struct direct_burden *burden)
{
	if (push_list_is_empty(&burden->link))
		push_list_append(&direct->burdens, &burden->link);
}

/* What is known of a connection when it is accepted, where there are limits by address. */
struct direct_arrival {
	bool is_proxy;      /* from one that is trusted: it may begin with a PROXY header */
	bool is_over_limit; /* one too many, by this limit: */
	enum push_limit limit;
};

struct direct_bytes;
struct push_tls_client;

/* direct_show_certificate - add to a request who its client is by the certificate of its connection, if that counts.
 *
 * @ret: what the request points to from then on. */
void
direct_show_certificate(const struct push_direct *direct, const struct direct_bytes *bytes,
	struct push_request *request, struct push_tls_client *ret);

/* A connection on which requests come (http_conn.c).  @bytes: moved; NULL: it is plain. */
void
direct_request_open(struct push_direct *direct, int fd, int port, const struct direct_arrival *arrival,
	struct direct_bytes *bytes);

/* One that speaks HTTP/2 (h2_conn.c).  @bytes: moved.  @early: what has come, and was taken already. */
void
direct_h2_open(struct push_direct *direct, int fd, int port, const struct direct_arrival *arrival,
	struct direct_bytes *bytes, struct push_str early);

/* direct_h2_stop - tell their clients to go elsewhere. */
void
direct_h2_stop(struct push_direct *direct);

/* direct_has_to_wait - whether a connection of this set is not read from now: the flush comes before publishers. */
bool
direct_has_to_wait(struct push_direct *direct, const struct push_sources *set);

/* direct_tls_context - for connections to a port; borrowed.  NULL: it is plain, or lws' in all it does. */
struct ssl_ctx_st;
struct ssl_ctx_st *
direct_tls_context(struct push_direct *direct, int port);

/* One to a port with TLS (handshake.c). */
void
direct_handshake_open(struct push_direct *direct, int fd, int port, const struct direct_arrival *arrival);

/* direct_pair_open - two local sockets, one of which is to be lws' (relay.c).  Returns false where no descriptors are
 * left for clients. */
bool PUSH_MUST_USE
direct_pair_open(const struct push_direct *direct, int ends[2]);

/* direct_forget - the connection of this descriptor is about to be closed. */
static inline void
direct_forget(struct push_direct *direct, int fd)
{
	if (direct->limiter && fd >= 0)
		push_limiter_close(direct->limiter, fd);
}

/* direct_client_address - the other end's, or that which a PROXY header has named; false: not known (client.c). */
bool
direct_client_address(const struct push_direct *direct, int fd, struct push_address *ret);

/* direct_has_descriptors - whether push.limit.reserved.descriptors lets this connection become a stream; else it is
 * counted.  Only where there are limits. */
bool
direct_has_descriptors(const struct push_direct *direct, int fd);

/* direct_hand_over - let lws serve it; its connection counts until it is closed. */
void
direct_hand_over(struct push_direct *direct, int fd, int port);

/* direct_handed_tick - see which of those are closed. */
void
direct_handed_tick(struct push_direct *direct);

/* direct_cookie - a number for each socket since the machine started, where a descriptor's would come again
 * (socket(7)). */
uint64_t
direct_cookie(int fd);

/* direct_arm - have `timer` due after so long, and not when it was to be before. */
static inline void
direct_arm(struct push_direct *direct, struct direct_timer *timer, uint64_t us)
{
	push_wheel_arm(&direct->wheel, &timer->timer, direct->ops->now_us() + us);
}

/* direct_requests_stop - end those that wait for a request. */
void
direct_requests_stop(struct push_direct *direct);

/* A request that waits for a probe. */
struct direct_waiter {
	struct push_list link; /* in the probe's waiting */
	/* It is over: look again, or give the request to lws. */
	void (*resume)(struct direct_waiter *waiter, bool ours);
};

static inline void
direct_waiter_init(struct direct_waiter *waiter, void (*resume)(struct direct_waiter *waiter, bool ours))
{
	push_list_init(&waiter->link);
	waiter->resume = resume;
}

/* direct_waiter_forget - it does not wait any more. */
static inline void
direct_waiter_forget(struct direct_waiter *waiter)
{
	push_list_remove(&waiter->link);
}

/* A listening socket (door.c). */
bool
direct_door_open(struct push_direct *direct, int fd, int port, enum push_direct_door kind);
/* direct_doors_empty - accept the clients that wait, all at once, before the doors are closed and nobody else
 * opens them. */
void
direct_doors_empty(struct push_direct *direct);
/* direct_doors_close - those of clients, or all. */
void
direct_doors_close(struct push_direct *direct, bool all);
/* direct_reserve_fill - keep descriptors for operators; false where there are none left. */
bool
direct_reserve_fill(struct push_direct *direct);
void
direct_reserve_fini(struct push_direct *direct);
void
direct_doors_tick(struct push_direct *direct, uint64_t now_us);

/*
 * direct_probe - ask lws whose such a path is, without a password; `waiter` is resumed when it is known.
 *
 * Returns false if it cannot be asked.
 */
bool
direct_probe(struct push_direct *direct, struct direct_waiter *waiter, const struct push_route_key *key,
	struct push_str host, struct push_str path);

/* direct_claim - a plugin says whose a path is that came to lws by this descriptor.  Returns true if it was a
 * probe. */
bool
direct_claim(struct push_direct *direct, int lws_fd, const struct push_claim *claim);

/*
 * direct_told - whose a request is, as far as pushd has told.
 *
 * If it is Push's, sets *ret_route, with a reference for the caller, and the size of the path behind the mount.
 */
enum push_whose
direct_told(struct push_direct *direct, const struct push_vhosts_key *key, struct push_route **ret_route,
	size_t *ret_rest_size);

void
direct_probes_tick(struct push_direct *direct, uint64_t now_us);

/*
 * direct_stream_open - make a subscriber of a request's connection, greet it with these bytes, and start it;
 * or, if its subscription is refused, say so and close it.
 *
 * @has_chunks: an event stream's client reads chunks (core/sse.h).
 * On success `request` is closed without its descriptor, and `bytes` are the stream's.  Errors: as push_subscription_apply(); nothing has
 * changed then.
 */
enum push_status PUSH_MUST_USE
direct_stream_open(struct push_direct *direct, struct push_sources *request_set, struct push_source *request,
	struct direct_bytes *bytes, const struct push_opening *opening, struct push_str greeting,
	bool has_chunks);

#endif
