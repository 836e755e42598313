/*
 * options.h - what an operator may set, as one table.
 *
 * A row of PUSH_OPTIONS_MAP is the single source of an option's name, type,
 * default and meaning: the parser, the environment names, `pushd --help`,
 * the table of docs/reference/options.md (made of it) and the struct's fields
 * come from it.
 * A new option needs a row here, and a line in check() of options.c if it can
 * contradict another one.
 *
 * The name of an option's environment variable is its name in capitals with
 * `_` for `.`: push.drain.duration is PUSH_DRAIN_DURATION.
 */
#ifndef PUSH_CORE_OPTIONS_H
#define PUSH_CORE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limits.h"
#include "log_level.h"
#include "status.h"

#define PUSH_ACK_TIMEOUT_DEFAULT "10s"

/* X(field, type, name, default, meaning)
 * type DURATION: uint64_t in microseconds; SIZE, MEMORY: uint64_t in bytes; BUDGET: likewise, or percent
 * (push_budget_bytes); COUNT: uint64_t; RATIO: uint64_t in billionths; SWITCH: bool; TEXT: char[]; URL: a
 * longer one */
#define PUSH_OPTIONS_MAP(X)                                                                                  \
	X(lifetime_min_us, DURATION, "push.reconnect.dither.min.duration", "120s",                           \
		"shortest lifetime of a connection; each connection gets a random one between min and max")  \
	X(lifetime_max_us, DURATION, "push.reconnect.dither.max.duration", "180s",                           \
		"longest lifetime of a connection")                                                          \
	X(grace_us, DURATION, "push.client.close.grace.period.duration", "4s",                               \
		"how long a client has to answer a ping, or to close after reconnect")                       \
	X(heartbeat_us, DURATION, "push.heartbeat.interval.duration", "30s",                                 \
		"time between two pings or heartbeats")                                                      \
	X(redis_url, URL, "push.redis.url", "", "where Redis is; empty: the embedded broker")                \
	X(redis_prefix, TEXT, "push.redis.prefix", "",                                                       \
		"beginning of every channel and key in Redis, such as staging:")                             \
	X(redis_sharded, SWITCH, "push.redis.sharded", "off",                                                \
		"on: use sharded channels in a cluster (SPUBLISH, SSUBSCRIBE)")                              \
	X(redis_timeout_us, DURATION, "push.redis.timeout", "3s",                                            \
		"if a Redis server does not answer within this time, Push reconnects")                       \
	X(redis_publish_wait_us, DURATION, "push.redis.publish.wait", "1s",                                  \
		"how long a publish waits if Redis cannot be reached")                                       \
	X(redis_tls_ca, TEXT, "push.redis.tls.ca", "",                                                       \
		"file with the CA certificates for Redis; empty: the system's")                              \
	X(redis_tls_cert, TEXT, "push.redis.tls.cert", "", "file with Push's client certificate for Redis")  \
	X(redis_tls_key, TEXT, "push.redis.tls.key", "", "file with the key of that certificate")            \
	X(message_bytes_max, SIZE, "push.message.max.size", "64kb",                                          \
		"largest body of a publish, and largest line of NDJSON")                                     \
	X(client_message_bytes_max, SIZE, "push.client.message.max.size", "4kb",                             \
		"largest message from a WebSocket client")                                                   \
	X(queue_bytes_max, SIZE, "push.client.queue.max.size", "1mb",                                        \
		"largest queue of one client; above it, the client is closed as slow")                       \
	X(publish_wait_max_us, DURATION, "push.publish.wait.max", "5s",                                      \
		"longest time that a publish with ?wait=written waits")                                      \
	X(ws_publish, SWITCH, "push.ws.publish", "off", "on: WebSocket clients may publish")                 \
	X(channels_max, COUNT, "push.channels.max", "128", "most channels of one connection")                \
	X(channels_total_max, COUNT, "push.channels.total.max", "1000000",                                   \
		"most channels with clients in one process; further ones are refused")                       \
	X(channel_name_bytes_max, COUNT, "push.channel.name.max", "255", "longest channel name, in bytes")   \
	X(cors_origins, TEXT, "push.cors.allowed.origins", "*",                                              \
		"page origins that may use Push, such as https://example.com; *: all")                       \
	X(auth_anonymous, TEXT, "push.auth.anonymous", "",                                                   \
		"what clients without a token may do: patterns of channels, each maybe behind subscribe=, "  \
		"publish= or history=")                                                                      \
	X(auth_cookie, TEXT, "push.auth.cookie", "", "name of a cookie with a token; empty: none")           \
	X(auth_query, SWITCH, "push.auth.query", "off",                                                      \
		"on: a token may come as ?token=, where proxies and browsers log it")                        \
	X(auth_keys, TEXT, "push.auth.keys", "",                                                             \
		"keys that verify tokens: a file with a JWK set or PEM, or a folder of such files")          \
	X(auth_jwks_url, TEXT, "push.auth.jwks.url", "",                                                     \
		"where keys that verify tokens are fetched, such as https://id.example.com/jwks.json")       \
	X(auth_issuer, TEXT, "push.auth.issuer", "", "iss that a token must have; empty: any")               \
	X(auth_audience, TEXT, "push.auth.audience", "",                                                     \
		"aud that a token must have, maybe among others; empty: any")                                \
	X(auth_leeway_us, DURATION, "push.auth.leeway", "30s",                                               \
		"how far the clocks of Push and of those who issue tokens may be apart")                     \
	X(auth_exp_required, SWITCH, "push.auth.exp.required", "on",                                         \
		"off: a token without exp is accepted, and never expires")                                   \
	X(auth_hook_url, TEXT, "push.auth.hook.url", "",                                                     \
		"where the application is asked who may do what, such as https://app.example.com/push")      \
	X(auth_hook_on, TEXT, "push.auth.hook.on", "connect",                                                \
		"when it is asked: connect, subscribe, publish, or several with commas")                     \
	X(auth_hook_headers, TEXT, "push.auth.hook.headers", "authorization,cookie,origin",                  \
		"headers of the client that it gets: authorization, cookie, host, origin")                   \
	X(auth_hook_timeout_us, DURATION, "push.auth.hook.timeout", "1s",                                    \
		"how long its answer is waited for; without one the client gets 503")                        \
	X(auth_tls_ca, TEXT, "push.auth.tls.ca", "",                                                         \
		"file with the CA certificates for push.auth.jwks.url and push.auth.hook.url; empty: the"    \
		" system's")                                                                                 \
	X(auth_certificate, TEXT, "push.auth.certificate", "",                                               \
		"what is the user name of a client with a TLS certificate: its cn, subject, dns, email or "  \
		"uri; empty: certificates identify nobody")                                                  \
	X(auth_certificate_rights, TEXT, "push.auth.certificate.rights", "",                                 \
		"what such clients may do: patterns as in push.auth.anonymous; {sub} is the user name")      \
	X(publish_keys, TEXT, "push.publish.keys", "",                                                       \
		"file with the keys that servers publish with: a line NAME SHA256 PATTERNS for each")        \
	X(trusted_proxies, TEXT, "push.trusted.proxies", "",                                                 \
		"proxies that are believed when they name a client (X-Forwarded-For, Forwarded, PROXY "      \
		"protocol): addresses, networks such as 10.0.0.0/8, loopback, private")                      \
	X(limit_address_connections, COUNT, "push.limit.address.connections", "0",                           \
		"most connections of one address at a time; 0: no limit")                                    \
	X(limit_address_connects, COUNT, "push.limit.address.connects", "0",                                 \
		"most new connections of one address in a second; 0: no limit")                              \
	X(limit_user_connections, COUNT, "push.limit.user.connections", "0",                                 \
		"most subscribers of one user at a time; 0: no limit")                                       \
	X(limit_user_connects, COUNT, "push.limit.user.connects", "0",                                       \
		"most new subscribers of one user in a second; 0: no limit")                                 \
	X(limit_publish_messages, COUNT, "push.limit.publish.messages", "0",                                 \
		"most messages in a second that one key, user or address publishes; 0: no limit")            \
	X(limit_publish_bytes, MEMORY, "push.limit.publish.bytes", "0",                                      \
		"most bytes of messages in a second, likewise; 0: no limit")                                 \
	X(limit_client_messages, COUNT, "push.limit.client.messages", "0",                                   \
		"most messages in a second from one WebSocket client; 0: no limit")                          \
	X(limit_client_subscribes, COUNT, "push.limit.client.subscribes", "0",                               \
		"most channels in a second that one open connection subscribes to; 0: no limit")             \
	X(limit_ndjson_idle_us, DURATION, "push.limit.ndjson.idle", "0",                                     \
		"how long an NDJSON stream may go without a message; 0: no limit")                           \
	X(limit_reserved_descriptors, COUNT, "push.limit.reserved.descriptors", "0",                         \
		"file descriptors that subscribers leave to publishers and operators")                       \
	X(limit_dry_run, SWITCH, "push.limit.dry.run", "off",                                                \
		"on: what the limits above would refuse is only counted and logged")                         \
	X(drain_us, DURATION, "push.drain.duration", "30s",                                                  \
		"on SIGTERM, clients are asked to reconnect, spread over this time")                         \
	X(send_buffer_bytes, SIZE, "push.socket.send.buffer.size", "128kb",                                  \
		"most bytes that the kernel buffers for one client, besides its queue")                      \
	X(tcp_no_delay, SWITCH, "push.tcp.nodelay", "on",                                                    \
		"off: the kernel may delay a small message to join it with the next")                        \
	X(flush_delay_us, DURATION, "push.flush.delay", "0",                                                 \
		"how long a message may wait, so that several are written together")                         \
	X(memory_max, BUDGET, "push.memory.max", "50%",                                                      \
		"memory budget for queues, history and unfinished requests, of all workers together: a"      \
		" size, or a share of the cgroup limit (without one: of the machine's memory)")              \
	X(history_size, COUNT, "push.history.size", "0", "messages kept per channel; 0: no history")         \
	X(history_ttl_us, DURATION, "push.history.ttl", "5m", "how long a message is kept")                  \
	X(history_bytes_max, MEMORY, "push.history.memory.max", "64mb",                                      \
		"memory for kept messages; above it, the oldest are dropped")                                \
	X(history_file, TEXT, "push.history.file", "",                                                       \
		"file for the embedded broker's history, keys and names, which then outlive a restart of "   \
		"pushd; empty: they are in memory only")                                                     \
	X(history_channels_max, COUNT, "push.history.channels.max", "100000",                                \
		"most channels with messages in Redis; above it, those idle the longest are dropped")        \
	X(history_rules, TEXT, "push.history.rules", "",                                                     \
		"size and ttl by channel prefix, such as chat:=100/5m ticker:=1 log:=0")                     \
	X(ack_timeout_us, DURATION, "push.ack.timeout", PUSH_ACK_TIMEOUT_DEFAULT,                            \
		"time without an ack before messages are sent again")                                        \
	X(ack_retries, COUNT, "push.ack.retries", "3",                                                       \
		"how often messages are sent again before the client is closed")                             \
	X(ack_window, COUNT, "push.ack.window", "256",                                                       \
		"most unacknowledged messages of one client; push.client.queue.max.size limits their"        \
		" bytes")                                                                                    \
	X(client_ttl_us, DURATION, "push.client.ttl", "1h",                                                  \
		"how long the position of a named client is kept after its last ack or disconnect")          \
	X(direct, SWITCH, "push.direct", "on", "off: libwebsockets serves plain HTTP/1.1 clients, too")      \
	X(tls_ktls, SWITCH, "push.tls.ktls", "off",                                                          \
		"on: the kernel encrypts what is sent over TLS, if it has kTLS and the cipher")              \
	X(http2_cleartext, SWITCH, "push.http2.cleartext", "off",                                            \
		"on: HTTP/2 without TLS, by prior knowledge, on the plain port, for proxies that speak it")  \
	X(console, SWITCH, "push.console", "on", "off: the web console is not served (with pushd)")          \
	X(channels_list, SWITCH, "push.channels.list", "off",                                                \
		"on: the management port lists the channels with the most subscribers, by name")             \
	X(trace_url, TEXT, "push.trace.url", "",                                                             \
		"where to send spans over OTLP/HTTP, such as http://collector:4318/v1/traces; empty: "       \
		"tracing is off")                                                                            \
	X(trace_ratio, RATIO, "push.trace.ratio", "0.01",                                                    \
		"share of the publishes without a traceparent that start a trace")                           \
	X(trace_service, TEXT, "push.trace.service", "push", "service.name of the spans")                    \
	X(log_format, TEXT, "push.log.format", "text", "text, or json: one object per line (with pushd)")    \
	X(log_level, TEXT, "push.log.level", "info", "error, warn, info or debug")

#define PUSH_OPTION_FIELD_DURATION(field) uint64_t field
#define PUSH_OPTION_FIELD_SIZE(field)     uint64_t field
#define PUSH_OPTION_FIELD_MEMORY(field)   uint64_t field
#define PUSH_OPTION_FIELD_BUDGET(field)   uint64_t field
#define PUSH_OPTION_FIELD_COUNT(field)    uint64_t field
#define PUSH_OPTION_FIELD_RATIO(field)    uint64_t field
#define PUSH_OPTION_FIELD_SWITCH(field)   bool field
#define PUSH_OPTION_FIELD_TEXT(field)     char field[PUSH_OPTION_TEXT_BYTES_MAX + 1]
#define PUSH_OPTION_FIELD_URL(field)      char field[PUSH_OPTION_URL_BYTES_MAX + 1]

struct push_options {
#define X(field, type, name, value, help) PUSH_OPTION_FIELD_##type(field);
	PUSH_OPTIONS_MAP(X)
#undef X
};

/* A row of the table, for help texts and tests. */
struct push_option_info {
	const char *name;          /* push.drain.duration */
	const char *default_value; /* as an operator would write it */
	const char *help;
};

/* One line for a person: which option or variable, its value, and what is wrong with it. */
struct push_error {
	char text[PUSH_ERROR_TEXT_BYTES_MAX];
};

/* push_options_init - set every option to its default. */
void
push_options_init(struct push_options *options);

/*
 * push_options_set - set one option from text.
 *
 * @name: the dotted name.  @value: as in the configuration.
 * Errors: PUSH_NOT_FOUND for a name that is no option, with the one that was
 * probably meant in `error`; PUSH_INVALID for a
 * value that is malformed or out of its bounds.  On error the option keeps its
 * value and `error` tells what is wrong.
 */
enum push_status PUSH_MUST_USE
push_options_set(struct push_options *options, const char *name, const char *value, struct push_error *error);

/*
 * push_options_set_from_environment - apply the overrides of an environment.
 *
 * @environment: NAME=VALUE strings, NULL-terminated (the process' `environ`).
 * Every variable that starts with PUSH_ must be one of the table's, unless it
 * describes a Service of Kubernetes (environment.h); others are ignored,
 * except those of Spring (spring_redis.h), which make push.redis.url if that
 * is empty otherwise.  An empty variable counts as not set.
 * Errors: as push_options_set(), PUSH_INVALID for a variable of Spring's that
 * is not understood; the text names the variable.
 */
enum push_status PUSH_MUST_USE
push_options_set_from_environment(
	struct push_options *options, char *const *environment, struct push_error *error);

/*
 * push_options_check - find contradictions between options.
 *
 * Errors: PUSH_INVALID, with both options and their values in `error`.
 */
enum push_status PUSH_MUST_USE
push_options_check(const struct push_options *options, struct push_error *error);

/*
 * push_options_openness - what everybody may do, as a sentence for operators; NULL if clients have to show who they
 * are, or push.auth.anonymous says what others may do.
 */
const char *
push_options_openness(const struct push_options *options);

/* push_options_log_level - of options that were checked. */
enum push_log_level
push_options_log_level(const struct push_options *options);

/* push_options_table - all rows, in the order of the documentation; *count is set to their number. */
const struct push_option_info *
push_options_table(size_t *count);

/* push_option_env_name - write the name of an option's environment variable to `to`, cut at `size` bytes. */
void
push_option_env_name(const char *option_name, char *to, size_t size);

#endif
