/*
 * broker.h - how the plugins of one process meet.  The only header of broker/ that others include.
 *
 * push-broker puts a struct push_broker_link at the start of its per-vhost data.  The other plugins find it
 * by the protocol's name (lwsio/find_broker.h), check magic and version, and call through the table: they are
 * separate shared objects, loaded without each other's symbols, in an order nobody controls.
 *
 * The table is append-only: a new function goes to its end; a change of a signature or of a struct that
 * passes through it raises PUSH_BROKER_ABI_VERSION.
 */
#ifndef PUSH_BROKER_BROKER_H
#define PUSH_BROKER_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/acks_request.h"
#include "core/limiter.h"
#include "core/channels.h"
#include "core/encoding.h"
#include "core/json.h"
#include "core/log_level.h"
#include "core/options.h"
#include "core/stats.h"
#include "core/subscription_request.h"
#include "core/transport.h"
#include "authenticator.h"
#include "engine.h"
#include "lines.h"
#include "publishing.h"
#include "reading.h"

#define PUSH_BROKER_ABI_VERSION  12
#define PUSH_BROKER_LINK_MAGIC   0x5075424cu /* "PuBL" */
#define PUSH_BROKER_PROTOCOL     "push-broker"
#define PUSH_MANAGEMENT_PROTOCOL "push-management"
#define PUSH_WS_PROTOCOL         "push-ws"

/* Subprotocols with which a page shows a token: `push.v1, push.token.TOKEN`; the first is the answer. */
#define PUSH_WS_V1_PROTOCOL  "push.v1"
#define PUSH_WS_TOKEN_PREFIX "push.token."

/* Ports of one broker: its own vhost's, and those that share it.  More of them go on listening in a drain. */
#define PUSH_BROKER_PORTS_MAX 16

struct lws_vhost;
struct push_broker;
struct push_redis_stats;
struct push_subscriber;

/* Whose mount a request's path is in. */
enum push_place {
	PUSH_PLACE_NONE,     /* none of Push's plugins' */
	PUSH_PLACE_PUBLISH,  /* push-http's */
	PUSH_PLACE_EVENTS,   /* push-sse's */
	PUSH_PLACE_SOCKETS,  /* none: the vhost's default protocol, push-ws, has it */
	PUSH_PLACE_OPERATORS /* push-management's */
};

/* What lws does with a path, as one of its plugins says it. */
struct push_claim {
	enum push_place place;
	size_t rest_size;  /* of the path behind the mount */
	const char *extra; /* header lines that the vhost adds to its answers, each with CRLF */
	size_t extra_size;
};

struct push_request;
struct push_tls_client;

struct push_broker_ops {
	uint32_t abi_version, size_bytes;

	/* Settled before the first connection, unchanged afterwards; borrowed. */
	const struct push_options *(*options)(const struct push_broker *broker);

	/* Microseconds of the monotonic clock. */
	uint64_t (*now_us)(void);

	/* See push_engine.publish. */
	void (*publish)(struct push_broker *broker, const struct push_publication *publication,
		push_publish_done_fn done, void *context);

	/* Count the answer to a publish request; `body_bytes` counts with 202 only. */
	void (*count_publish)(struct push_broker *broker, unsigned int http_status, size_t body_bytes);

	/* Whether the broker can be reached, and new clients are welcome. */
	bool (*is_ready)(const struct push_broker *broker);
	bool (*is_draining)(const struct push_broker *broker);

	/* All metrics as Prometheus text, appended to `to`. */
	void (*render_metrics)(struct push_broker *broker, struct push_buf *to);

	/* core/subscriber.h, with the broker's clock where that takes a time. */
	struct push_subscriber *(*subscriber_create)(struct push_broker *broker, enum push_encoding encoding,
		const struct push_transport *transport, void *connection);
	void (*subscriber_start)(struct push_subscriber *subscriber);
	void (*subscriber_refuse)(struct push_subscriber *subscriber, const char *text);
	void (*subscriber_heard)(struct push_subscriber *subscriber);
	void (*subscriber_receive)(struct push_subscriber *subscriber, const char *text, size_t size);
	void (*subscriber_close)(struct push_subscriber *subscriber, enum push_close_reason reason);
	bool (*subscriber_peer_closed)(struct push_subscriber *subscriber);
	void (*subscriber_writable)(struct push_subscriber *subscriber);
	void (*subscriber_destroy)(struct push_broker *broker, struct push_subscriber *subscriber);
	enum push_status (*subscriber_greet)(
		struct push_subscriber *subscriber, const void *bytes, size_t size);
	void (*subscriber_pinged)(struct push_subscriber *subscriber, const void *payload, size_t size);

	/* A request came to lws by this descriptor; true if that was a question of direct sockets, and is
	 * answered. */
	bool (*direct_claim)(struct push_broker *broker, int lws_fd, const struct push_claim *claim);

	void (*subscriber_answer_close)(struct push_subscriber *subscriber, unsigned int code);

	/* push_hub_is_behind(): publishers should wait. */
	bool (*is_behind)(const struct push_broker *broker);

	/* A publish request (publishing.h), and one for history (reading.h). */
	void (*publish_request)(struct push_broker *broker, const struct push_publish_request *request,
		push_answer_fn answer, void *context);
	void (*read_request)(struct push_broker *broker, const struct push_read_request *request,
		push_answer_fn answer, void *context);

	/* A stream of lines (lines.h). */
	struct push_lines *(*lines_create)(
		struct push_broker *broker, void (*ready)(void *context), void *context);
	void (*lines_destroy)(struct push_lines *lines);
	void (*lines_feed)(struct push_lines *lines, const char *bytes, size_t size);
	void (*lines_end)(struct push_lines *lines);
	bool (*lines_is_full)(const struct push_lines *lines);
	bool (*lines_is_over)(const struct push_lines *lines);
	struct push_buf *(*lines_answers)(struct push_lines *lines);

	/* push_history_is_kept(): else GET is no method of /messages */
	bool (*reads_history)(const struct push_broker *broker);

	/* What is sent with the token of an event stream. */
	void (*control_request)(struct push_broker *broker, const struct push_control_request *request,
		push_answer_fn answer, void *context);

	void (*lines_set_parent)(struct push_lines *lines, const struct push_trace *parent);

	/* Before the socket of a subscriber is closed. */
	void (*subscriber_gone)(struct push_subscriber *subscriber);

	/* How much is logged, by all workers of this machine's Push; and as the options say. */
	enum push_log_level (*log_level)(const struct push_broker *broker);
	enum push_log_level (*log_level_configured)(const struct push_broker *broker);
	void (*set_log_level)(struct push_broker *broker, enum push_log_level level);

	bool (*subscriber_will_wait)(const struct push_subscriber *subscriber);

	/*
	 * push_cors_admits() by this broker's options.  Returns false with a line for the client in `error`,
	 * which is to be answered with 403; counted here.
	 */
	bool (*admits_origin)(struct push_broker *broker, const char *origin, size_t origin_size,
		const char *host, size_t host_size, struct push_error *error);

	/* A request was left to lws, since too many routes were new (direct/limits.h). */
	void (*count_limited_route)(struct push_broker *broker);

	/* Whether a publish could succeed, but for a drain; if not, a line says why. */
	bool (*accepts)(const struct push_broker *broker, char *why, size_t size);

	/* The process' budget, for what others keep (core/memory.h); borrowed. */
	struct push_memory *(*memory)(const struct push_broker *broker);

	/* A publish was refused since memory is short. */
	void (*count_relieved_publish)(struct push_broker *broker);

	/* As subscriber_refuse, for a client that may try again later. */
	void (*subscriber_put_off)(struct push_subscriber *subscriber, const char *text);

	/* Whether clients have to show who they are; if not, everybody is push_identity_everybody(). */
	bool (*is_guarded)(const struct push_broker *broker);

	/* See struct push_authenticator; only where the broker is guarded.  A refusal is counted. */
	void (*identify)(struct push_broker *broker, const struct push_credential *credential,
		const struct push_asked *asked, push_verdict_fn done, void *context);
	void (*issue_ticket)(struct push_broker *broker, const struct push_identity *identity,
		push_ticket_fn done, void *context);
	/* An operator's order (struct push_authenticator.take_back); only where the broker is guarded. */
	void (*take_back)(struct push_broker *broker, bool is_revocation, struct push_str order,
		push_answer_fn answer, void *context);
	/* `text`: for the log; NULL: it is there already. */
	void (*count_auth_refused)(struct push_broker *broker, enum push_auth_refusal why, const char *text);

	/*
	 * Give a new subscriber what it asks for, before its start: push_subscription_apply(), the identity (of
	 * a broker that is guarded), and to an event stream that wants one a token.
	 */
	enum push_status (*subscriber_open)(struct push_broker *broker, struct push_subscriber *subscriber,
		const struct push_subscription *subscription, const struct push_identity *identity);

	/* Instead of that and start, of a WebSocket where the broker is guarded: push_admissions_admit(). */
	void (*subscriber_admit)(struct push_broker *broker, struct push_subscriber *subscriber,
		struct push_subscription *subscription, const struct push_credential *credential,
		const struct push_asked *asked);

	void (*lines_set_identity)(struct push_lines *lines, const struct push_identity *identity);

	/* push_channel_list_render(); PUSH_NOT_FOUND: push.channels.list is off. */
	enum push_status (*render_channels)(struct push_broker *broker, struct push_buf *to);

	/* lws is asked for a route (direct/probe.c). */
	void (*count_route_probe)(struct push_broker *broker);

	/* A client's handshake of TLS is over. */
	void (*count_handshake)(struct push_broker *broker, enum push_handshake result);

	/* A connection of HTTP/2 was ended for what its client has sent without a use (h2/limits.h). */
	void (*count_http2_flood)(struct push_broker *broker);

	/* The limits by address and user (core/limiter.h); NULL: none is set. */
	struct push_limiter *(*limiter)(const struct push_broker *broker);

	void (*lines_set_address)(struct push_lines *lines, const struct push_address *address);

	/* The longest message of a client that is to be read: push.client.message.max.size, or what an `auth` needs. */
	size_t (*client_message_max)(const struct push_broker *broker);

	/* Whether the application may be asked about what this client publishes: then it wants to know of the request
	 * (push_publish_request.asked, lines_set_asked). */
	bool (*asks_about_publishes)(const struct push_broker *broker, const struct push_identity *identity);
	void (*lines_set_asked)(struct push_lines *lines, const struct push_asked *asked);

	/* The descriptor of the client that lws serves by this one: the same, or that of a relay (direct/relay.h).
	 * *ret_is_shared: the client's connection has other requests beside the one that lws has. */
	int (*client_fd)(const struct push_broker *broker, int lws_fd, bool *ret_is_shared);

	/* Add to a request of lws' who its client is by its certificate, if Push has ended its TLS.  *ret: what the request
	 * points to from then on. */
	void (*show_certificate)(const struct push_broker *broker, int lws_fd, struct push_request *request,
		struct push_tls_client *ret);

	/* The certificates that are served: when the first one expires, since 1970, and how many are not what the files
	 * are, since those cannot be used. */
	void (*set_certificates)(struct push_broker *broker, uint64_t expiry_s, uint64_t stale_count);
};

struct push_broker_link {
	uint32_t magic;
	const struct push_broker_ops *ops;
	struct push_broker *broker;       /* NULL: not started, or gone */
	char shared_vhost[64];            /* push-broker-vhost: whose broker this vhost uses instead */
	int ports[PUSH_BROKER_PORTS_MAX]; /* where clients, and operators, come in */
	size_t port_count;
	struct lws_vhost *vhosts[PUSH_BROKER_PORTS_MAX]; /* of each port, one that listens there */
	bool operators[PUSH_BROKER_PORTS_MAX];           /* the operators': a drain leaves it open */
	char fault[PUSH_ERROR_TEXT_BYTES_MAX];           /* why it has not started; empty: nothing is wrong */
};

/*
 * What the broker needs from the process around it; the lws adapter brings it.
 * All are called with `context`, from the event loop's thread.
 */
struct push_broker_host {
	void (*wake)(void *context);    /* have push_broker_flush() called soon, after the turn's input */
	void (*drained)(void *context); /* the last client has left while draining */
	void (*log)(void *context, enum push_log_level level, const char *line);
	void *context;
	/*
	 * The engine for these options; all is borrowed and outlives it.  Returns NULL with a line in `error`
	 * that names the option.
	 */
	struct push_engine *(*create_engine)(const struct push_options *options, struct push_hub *hub,
		struct push_redis_stats *stats, const struct push_engine_host *host, uint64_t seed,
		uint64_t now_us, struct push_error *error);
	/*
	 * Who finds out who clients are, by these options; all is borrowed and outlives it.  *ret is NULL where
	 * nobody has to show anything.  Returns false with a line in `error` that names the option.
	 */
	bool (*create_authenticator)(const struct push_options *options, struct push_engine *engine,
		const struct push_authenticator_host *host, uint64_t seed, uint64_t now_us,
		struct push_authenticator **ret, struct push_error *error);
};

/* Push's own sockets as a broker sees them (direct/direct.h); all are called with `context`. */
struct push_broker_sockets {
	/* Close up to `max` connections whose clients keep what they began; returns how many. */
	size_t (*relieve)(void *context, size_t max);
	size_t (*count)(const void *context);
	bool (*is_busy)(const void *context); /* requests are not answered yet */
	bool (*claim)(void *context, int lws_fd, const struct push_claim *claim);
	int (*client_fd)(const void *context, int lws_fd, bool *ret_is_shared);
	void (*show_certificate)(
		const void *context, int lws_fd, struct push_request *request, struct push_tls_client *ret);
	void *context;
};

/*
 * push_broker_create - a broker, with Redis behind it where push.redis.url is set.
 *
 * @options: checked; copied.  Returns NULL with a line in `error`.
 */
struct push_broker *
push_broker_create(
	const struct push_options *options, const struct push_broker_host *host, struct push_error *error);

/* push_broker_fd - readable when push_broker_ready() has something to do; -1: never. */
int
push_broker_fd(const struct push_broker *broker);

/* push_broker_ready - take in what the engine's server has sent; push_broker_flush() belongs behind it. */
void
push_broker_ready(struct push_broker *broker);

/* push_broker_auth_fd - readable when push_broker_auth_ready() has something to do; -1: never. */
int
push_broker_auth_fd(const struct push_broker *broker);

/* push_broker_auth_ready - go on with what servers are asked about clients; push_broker_flush() belongs behind it. */
void
push_broker_auth_ready(struct push_broker *broker);

/* push_broker_trace_fd - readable when push_broker_trace_ready() has something to do; -1: never. */
int
push_broker_trace_fd(const struct push_broker *broker);

/* push_broker_trace_ready - go on with what is sent to the collector of spans. */
void
push_broker_trace_ready(struct push_broker *broker);

/* push_broker_destroy - free it now, or as soon as its last subscriber is destroyed. */
void
push_broker_destroy(struct push_broker *broker);

/* push_broker_set_sockets - use these from now on; NULL: there are none.  Borrowed. */
void
push_broker_set_sockets(struct push_broker *broker, const struct push_broker_sockets *sockets);

/* push_broker_flush - write a slice of what waits.  Returns true if it is to be called again. */
bool
push_broker_flush(struct push_broker *broker);

/*
 * push_broker_tick - do a slice of what is due by the clock.  To be called every PUSH_TICK_US.
 *
 * @ticks: calls that were due since the last one, this one among them; more than 1 on a loop that was busy.
 */
void
push_broker_tick(struct push_broker *broker, uint64_t ticks);

/* push_broker_drain - ask all clients to reconnect elsewhere, and answer who waits for an answer; ends in
 * host.drained. */
void
push_broker_drain(struct push_broker *broker);

/* push_broker_say - a line of the log, if the level lets it pass. */
void
push_broker_say(struct push_broker *broker, enum push_log_level level, const char *line);

/* push_broker_count_dropped_lines - so many lines of the log more have been dropped. */
void
push_broker_count_dropped_lines(struct push_broker *broker, uint64_t count);

/* push_broker_ops_table - what a struct push_broker_link points to. */
const struct push_broker_ops *
push_broker_ops_table(void);

#endif
