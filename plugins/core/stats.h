/*
 * stats.h - what a running Push counts, and its form for Prometheus.
 *
 * Counters are plain integers that the owner adds to; there is one thread.  The texts follow the Prometheus
 * exposition format 0.0.4; names that start with push_ are Push's own, the others are the origin's.
 */
#ifndef PUSH_CORE_STATS_H
#define PUSH_CORE_STATS_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "encoding.h"
#include "memory.h"
#include "options.h"

/* The statuses that a publish can be answered with; a new one needs its number here. */
#define PUSH_PUBLISH_STATUS_MAP(X)                                                                           \
	X(202)                                                                                               \
	X(400)                                                                                               \
	X(401)                                                                                               \
	X(403) X(404) X(405) X(408) X(409) X(411) X(413) X(415) X(422) X(429) X(431) X(500) X(501) X(503)

enum {
#define X(code) PUSH_PUBLISH_STATUS_INDEX_##code,
	PUSH_PUBLISH_STATUS_MAP(X)
#undef X
		PUSH_PUBLISH_STATUS_COUNT
};

/* Latencies are counted by powers of two: bucket i holds those below 2^i * 64 us, 64 us to 16.8 s. */
#define PUSH_LATENCY_BUCKET_COUNT 19
#define PUSH_LATENCY_FIRST_BITS   6

/* How late the event loop was, likewise: 256 us to 4.2 s.  Less is the kernel's own jitter. */
#define PUSH_LAG_BUCKET_COUNT 15
#define PUSH_LAG_FIRST_BITS   8

/* What became of spans (trace/tracer.h).  X(name, label) */
#define PUSH_TRACE_RESULT_MAP(X)                                                                             \
	X(EXPORTED, "exported")                                                                              \
	X(DROPPED, "dropped") /* before they were sent: there were too many */                               \
	X(FAILED, "failed")   /* the collector did not take them */

enum push_trace_result {
#define X(name, label) PUSH_TRACE_##name,
	PUSH_TRACE_RESULT_MAP(X)
#undef X
		PUSH_TRACE_RESULT_COUNT
};

/* What gives way when memory is short, in this order.  X(name, label) */
#define PUSH_RELIEF_MAP(X)                                                                                   \
	X(CLIENTS, "clients")     /* slow subscribers, closed with 1013 */                                   \
	X(ANSWERS, "answers")     /* no end of a body or message, answers unread */                          \
	X(HISTORY, "history")     /* messages, the oldest */                                                 \
	X(PUBLISHES, "publishes") /* refused with 503 */

enum push_relief_step {
#define X(name, label) PUSH_RELIEF_##name,
	PUSH_RELIEF_MAP(X)
#undef X
		PUSH_RELIEF_COUNT
};

/* Why a client was not let in, or did not get what it asked for.  X(NAME, label in metrics) */
#define PUSH_AUTH_REFUSAL_MAP(X)                                                                             \
	X(MISSING, "missing")     /* it has shown nothing, and needs to */                                   \
	X(MALFORMED, "malformed") /* what it has shown is no token, key or ticket */                         \
	X(KEY, "unknown_key")     /* no key that is known has made the token, or it is no such key */        \
	X(SIGNATURE, "signature") /* the token is not what was signed */                                     \
	X(EXPIRED, "expired")     /* or not valid yet */                                                     \
	X(CLAIMS, "claims")       /* for somebody else, or without what it must have */                      \
	X(REVOKED, "revoked")                                                                                \
	X(FORBIDDEN, "forbidden")     /* it is known, and has no right for the channel */                    \
	X(HOOK, "hook")               /* the application says no */                                          \
	X(UNAVAILABLE, "unavailable") /* nobody can say: keys, application or broker are away */

/* What came of a handshake of TLS on Push's own sockets.  X(NAME, label in metrics) */
#define PUSH_HANDSHAKE_MAP(X)                                                                                \
	X(FULL, "full")                                                                                      \
	X(RESUMED, "resumed") /* by a ticket: without the certificate's key */                               \
	X(FAILED, "failed")   /* nothing was agreed upon, or the client has gone or let its time pass */

enum push_handshake {
#define X(name, label) PUSH_HANDSHAKE_##name,
	PUSH_HANDSHAKE_MAP(X)
#undef X
		PUSH_HANDSHAKE_COUNT
};

/* What came of a question to the application (push.auth.hook.url).  X(NAME, label in metrics) */
#define PUSH_HOOK_RESULT_MAP(X)                                                                              \
	X(ALLOWED, "allowed")                                                                                \
	X(REFUSED, "refused")                                                                                \
	X(FAILED, "failed")           /* no answer, or one that means nothing */                             \
	X(TURNED_AWAY, "turned_away") /* too many waited */

enum push_hook_result {
#define X(name, label) PUSH_HOOK_RESULT_##name,
	PUSH_HOOK_RESULT_MAP(X)
#undef X
		PUSH_HOOK_RESULT_COUNT
};

/* How long its calls take: buckets of up to 1 ms, 2 ms, 4 ms and so on to 8 s. */
#define PUSH_HOOK_BUCKET_COUNT 14
#define PUSH_HOOK_FIRST_BITS   10

enum push_auth_refusal {
#define X(name, label) PUSH_AUTH_##name,
	PUSH_AUTH_REFUSAL_MAP(X)
#undef X
		PUSH_AUTH_REFUSAL_COUNT
};

/* X(name, label of metrics, what the client is told: where the limit is set comes last, in parentheses) */
#define PUSH_LIMIT_MAP(X)                                                                                    \
	X(ADDRESS_CONNECTIONS, "address.connections",                                                        \
		"too many connections from one address (push.limit.address.connections)")                    \
	X(ADDRESS_CONNECTS, "address.connects",                                                              \
		"too many new connections from one address (push.limit.address.connects)")                   \
	X(USER_CONNECTIONS, "user.connections",                                                              \
		"too many connections of one user (push.limit.user.connections)")                            \
	X(USER_CONNECTS, "user.connects", "too many new connections of one user (push.limit.user.connects)") \
	X(PUBLISH_MESSAGES, "publish.messages", "too many messages published (push.limit.publish.messages)") \
	X(PUBLISH_BYTES, "publish.bytes", "too many bytes published (push.limit.publish.bytes)")             \
	X(KEY_MESSAGES, "key.messages",                                                                      \
		"too many messages published with one key (rate= in push.publish.keys)")                     \
	X(KEY_BYTES, "key.bytes", "too many bytes published with one key (bytes= in push.publish.keys)")     \
	X(CLIENT_MESSAGES, "client.messages",                                                                \
		"too many messages from one client (push.limit.client.messages)")                            \
	X(CLIENT_SUBSCRIBES, "client.subscribes",                                                            \
		"too many subscribes from one client (push.limit.client.subscribes)")                        \
	X(CHANNELS_TOTAL, "channels.total",                                                                  \
		"this server has no room for more channels (push.channels.total.max)")                       \
	X(NDJSON_IDLE, "ndjson.idle",                                                                        \
		"the stream has brought nothing for too long (push.limit.ndjson.idle)")                      \
	X(RESERVED_DESCRIPTORS, "reserved.descriptors",                                                      \
		"too few file descriptors are left (push.limit.reserved.descriptors)")

enum push_limit {
#define X(name, label, text) PUSH_LIMIT_##name,
	PUSH_LIMIT_MAP(X)
#undef X
		PUSH_LIMIT_COUNT
};

struct push_stats {
	struct {
		uint64_t connections, connections_total; /* now; since the start */
		uint64_t messages_out, bytes_out;
		uint64_t messages_in, bytes_in;
		uint64_t closed[PUSH_CLOSE_REASON_COUNT];
	} by_encoding[PUSH_ENCODING_COUNT];
	uint64_t published, published_bytes;
	uint64_t publish_statuses[PUSH_PUBLISH_STATUS_COUNT];
	uint64_t channels, subscriptions;            /* now */
	uint64_t channels_refused;                   /* over push.channels.total.max */
	uint64_t history_bytes, history_messages;    /* now */
	uint64_t history_dropped;                    /* for want of memory */
	uint64_t resumes, replayed, gaps;            /* clients, messages, told to clients */
	uint64_t live_subscribed, live_unsubscribed; /* channels, on open connections */
	uint64_t live_refused;                       /* likewise, and requests that are none */
	uint64_t acks, redelivered;                  /* acks that covered something, messages */
	uint64_t unacknowledged;                     /* messages now */
	uint64_t auth_refused[PUSH_AUTH_REFUSAL_COUNT];
	uint64_t handshakes[PUSH_HANDSHAKE_COUNT];
	uint64_t http2_floods;         /* connections ended for them */
	uint64_t certificate_expiry_s; /* of the first one to expire, since 1970; 0: there is none */
	uint64_t
		certificates_stale; /* now: vhosts whose new files cannot be used; of several workers the most */
	uint64_t hook_results[PUSH_HOOK_RESULT_COUNT], hook_cached; /* cached: of these, without a call */
	uint64_t hook_calls, hook_waiting, hook_answers;            /* now */
	uint64_t hook_buckets[PUSH_HOOK_BUCKET_COUNT + 1];          /* the last one: longer than all */
	uint64_t hook_sum_us;
	uint64_t jwks_fetched, jwks_failed;
	uint64_t
		jwks_set_s; /* when the set in use came, since 1970; 0: none has; of several workers the oldest */
	uint64_t origins_refused;              /* requests of pages that are not allowed */
	uint64_t routes_probed;                /* routes that lws was asked for */
	uint64_t routes_limited;               /* requests whose route was not asked for (direct/) */
	uint64_t limited[PUSH_LIMIT_COUNT];    /* refused by push.limit... */
	uint64_t limits_dry[PUSH_LIMIT_COUNT]; /* would have been, but for push.limit.dry.run */
	uint64_t outbox_bytes;                 /* now, all subscribers together */
	uint64_t memory[PUSH_MEMORY_USE_COUNT], memory_max; /* bytes now, and the budget */
	uint64_t relieved[PUSH_RELIEF_COUNT];               /* what gave way when memory was short */
	uint64_t paused, pauses; /* clients that are not read from (intake.h), now and since the start */
	uint64_t latency_buckets[PUSH_LATENCY_BUCKET_COUNT + 1]; /* the last one: longer than all */
	uint64_t latency_sum_us;
	uint64_t lag_buckets[PUSH_LAG_BUCKET_COUNT + 1]; /* ticks; the last one: later than all */
	uint64_t lag_sum_us;
	uint64_t broker_up; /* 1: a publish could succeed now, but for a drain */
	uint64_t draining;  /* 1, or of several workers their number */
	uint64_t trace_spans[PUSH_TRACE_RESULT_COUNT];
	uint64_t log_lines_dropped; /* nobody took them in time */
};

/* What is read from the process when metrics are asked for. */
struct push_process {
	double start_time_s, now_s; /* since 1970; when it was read */
	uint64_t resident_bytes;
	uint64_t open_files, open_files_max;
	double open_files_ratio; /* of several workers the one that is nearest to its limit */
	double cpu_s;
	double cpu_usage; /* the share of the machine's processors that was in use lately, 0 to 1 */
	uint64_t direct_connections; /* clients and publishers on Push's own sockets */
};

/* push_stats_published - count an answer to a publish; an unknown status counts as 500. */
void
push_stats_published(struct push_stats *stats, unsigned int http_status);

/* push_stats_latency - count one delivery, from accepted to written. */
static inline void
push_stats_latency(struct push_stats *stats, uint64_t us)
{
	uint64_t scaled = us >> PUSH_LATENCY_FIRST_BITS;
	unsigned int bucket = scaled ? 64u - (unsigned int)__builtin_clzll(scaled) : 0;

	stats->latency_buckets[bucket < PUSH_LATENCY_BUCKET_COUNT ? bucket : PUSH_LATENCY_BUCKET_COUNT]++;
	stats->latency_sum_us += us;
}

/*
 * push_stats_late - count `ticks` that were due in a row and are served together, the first `lag_us` late.
 *
 * Each counts with its own delay, the first with the whole, the next with PUSH_TICK_US less: the histogram
 * then says how long an event that comes at any moment waits, where one entry for a long turn would say that
 * it hardly ever happens.  At most PUSH_LATE_TICKS_MAX are counted.
 */
void
push_stats_late(struct push_stats *stats, uint64_t lag_us, uint64_t ticks);

/*
 * push_stats_render - everything as Prometheus text, appended to `to`.
 *
 * @version: of Push.  @options: as far as metrics are to be judged by them.  Failure to append shows in
 * to->status.
 */
void
push_stats_render(const struct push_stats *stats, const struct push_process *process,
	const struct push_options *options, const char *version, struct push_buf *to);

/* push_stats_render_single - append one metric without labels, in Prometheus' text format.  @type: gauge or counter. */
void
push_stats_render_single(
	struct push_buf *to, const char *name, const char *type, const char *help, uint64_t value);

#endif
