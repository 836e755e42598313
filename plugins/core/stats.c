/* stats.c - see stats.h. */
#include <inttypes.h>
#include <string.h>

#include "limits.h"
#include "stats.h"

static const unsigned int publish_codes[] = {
#define X(code) code,
	PUSH_PUBLISH_STATUS_MAP(X)
#undef X
};

void
push_stats_published(struct push_stats *stats, unsigned int http_status)
{
	for (size_t i = 0; i < PUSH_PUBLISH_STATUS_COUNT; i++)
		if (publish_codes[i] == http_status) {
			stats->publish_statuses[i]++;
			return;
		}
	stats->publish_statuses[PUSH_PUBLISH_STATUS_INDEX_500]++;
}

void
push_stats_late(struct push_stats *stats, uint64_t lag_us, uint64_t ticks)
{
	if (ticks > PUSH_LATE_TICKS_MAX)
		ticks = PUSH_LATE_TICKS_MAX;
	for (uint64_t i = 0; i < ticks; i++) {
		uint64_t scaled = lag_us >> PUSH_LAG_FIRST_BITS;
		unsigned int bucket = scaled ? 64u - (unsigned int)__builtin_clzll(scaled) : 0;

		stats->lag_buckets[bucket < PUSH_LAG_BUCKET_COUNT ? bucket : PUSH_LAG_BUCKET_COUNT]++;
		stats->lag_sum_us += lag_us;
		lag_us = lag_us > PUSH_TICK_US ? lag_us - PUSH_TICK_US : 0;
	}
}

static void
head(struct push_buf *to, const char *name, const char *type, const char *help)
{
	push_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void
push_stats_render_single(
	struct push_buf *to, const char *name, const char *type, const char *help, uint64_t value)
{
	head(to, name, type, help);
	push_buf_printf(to, "%s %" PRIu64 "\n", name, value);
}

/* The samples below a head(), one for each of `labels`. */
static void
by_label(struct push_buf *to, const char *name, const char *label, const char *const *labels,
	const uint64_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++)
		push_buf_printf(to, "%s{%s=\"%s\"} %" PRIu64 "\n", name, label, labels[i], values[i]);
}

/*
 * The names that dashboards made for the origin look for.  The two gauges are called untyped: Prometheus
 * keeps the suffix _count for histograms and summaries, and its linter refuses a gauge that has it.
 */
static void
render_origin(const struct push_stats *stats, struct push_buf *to)
{
	push_stats_render_single(to, "ws_connections_count", "untyped", "WebSocket connections now.",
		stats->by_encoding[PUSH_ENCODING_WS].connections);
	push_stats_render_single(to, "sse_connections_count", "untyped", "Event stream connections now.",
		stats->by_encoding[PUSH_ENCODING_SSE].connections);
	push_stats_render_single(to, "ws_messages_total", "counter", "Messages written to WebSocket clients.",
		stats->by_encoding[PUSH_ENCODING_WS].messages_out);
	push_stats_render_single(to, "sse_messages_total", "counter", "Messages written to event streams.",
		stats->by_encoding[PUSH_ENCODING_SSE].messages_out);
	push_stats_render_single(
		to, "pub_messages_total", "counter", "Messages accepted from publishers.", stats->published);
}

static const char *
outcome_of(unsigned int http_status)
{
	if (http_status < 400)
		return "SUCCESS";
	return http_status < 500 ? "CLIENT_ERROR" : "SERVER_ERROR";
}

/*
 * Answers to publishes by the name that Spring's dashboards look for.  There is no _sum: how long each took
 * is not measured.  A status shows once it has been given, as there; 202 always.
 */
static void
render_origin_requests(const struct push_stats *stats, struct push_buf *to)
{
	head(to, "http_server_requests_seconds", "summary",
		"Answers to publish requests, like push_publishes_total. Durations are not measured.");
	for (size_t i = 0; i < PUSH_PUBLISH_STATUS_COUNT; i++)
		if (stats->publish_statuses[i] || publish_codes[i] == 202)
			push_buf_printf(to,
				"http_server_requests_seconds_count{exception=\"None\",method=\"POST\","
				"outcome=\"%s\",status=\"%u\",uri=\"/messages\"} %" PRIu64 "\n",
				outcome_of(publish_codes[i]), publish_codes[i], stats->publish_statuses[i]);
}

/* One metric with a sample for each transport; `offset` is that of its counter in by_encoding. */
static void
per_transport(const struct push_stats *stats, struct push_buf *to, const char *name, const char *type,
	const char *help, size_t offset)
{
	head(to, name, type, help);
	for (int i = 0; i < PUSH_ENCODING_COUNT; i++) {
		uint64_t value;

		memcpy(&value, (const char *)&stats->by_encoding[i] + offset, sizeof(value));
		push_buf_printf(to, "%s{transport=\"%s\"} %" PRIu64 "\n", name,
			push_encoding_label((enum push_encoding)i), value);
	}
}

#define PER_TRANSPORT(stats, to, name, type, help, field)                                                    \
	per_transport(stats, to, name, type, help,                                                           \
		offsetof(struct push_stats, by_encoding[0].field) -                                          \
			offsetof(struct push_stats, by_encoding))

static void
render_transports(const struct push_stats *stats, struct push_buf *to)
{
	PER_TRANSPORT(stats, to, "push_connections", "gauge", "Connections now.", connections);
	PER_TRANSPORT(stats, to, "push_connections_opened_total", "counter", "Connections opened.",
		connections_total);
	PER_TRANSPORT(stats, to, "push_messages_sent_total", "counter", "Messages written to subscribers.",
		messages_out);
	PER_TRANSPORT(
		stats, to, "push_sent_bytes_total", "counter", "Bytes written to subscribers.", bytes_out);
	PER_TRANSPORT(stats, to, "push_messages_received_total", "counter", "Messages read from subscribers.",
		messages_in);
	PER_TRANSPORT(stats, to, "push_received_bytes_total", "counter",
		"Payload bytes read from subscribers.", bytes_in);
}

/* Reasons that share a label are one sample. */
static void
render_disconnects(const struct push_stats *stats, struct push_buf *to)
{
	head(to, "push_disconnects_total", "counter", "Connections closed, by reason.");
	for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
		for (int i = 0; i < PUSH_CLOSE_REASON_COUNT; i++) {
			const char *label = push_close_reason_label((enum push_close_reason)i);
			uint64_t sum = 0;

			if (i > 0 && !strcmp(label, push_close_reason_label((enum push_close_reason)(i - 1))))
				continue;
			for (int j = i; j < PUSH_CLOSE_REASON_COUNT; j++)
				if (!strcmp(label, push_close_reason_label((enum push_close_reason)j)))
					sum += stats->by_encoding[e].closed[j];
			push_buf_printf(to,
				"push_disconnects_total{transport=\"%s\",reason=\"%s\"} %" PRIu64 "\n",
				push_encoding_label((enum push_encoding)e), label, sum);
		}
}

static void
render_auth(const struct push_stats *stats, struct push_buf *to)
{
	static const char *const labels[] = {
#define X(name, label) label,
		PUSH_AUTH_REFUSAL_MAP(X)
#undef X
	};

	head(to, "push_auth_refused_total", "counter",
		"Requests, connections and messages refused for want of a right, by reason.");
	by_label(to, "push_auth_refused_total", "reason", labels, stats->auth_refused,
		PUSH_AUTH_REFUSAL_COUNT);
}

static void
render_handshakes(const struct push_stats *stats, struct push_buf *to)
{
	static const char *const labels[] = {
#define X(name, label) label,
		PUSH_HANDSHAKE_MAP(X)
#undef X
	};

	head(to, "push_tls_handshakes_total", "counter",
		"TLS handshakes of clients by result; resumed: with a session ticket.");
	by_label(to, "push_tls_handshakes_total", "result", labels, stats->handshakes, PUSH_HANDSHAKE_COUNT);
	push_stats_render_single(to, "push_http2_floods_total", "counter",
		"HTTP/2 connections that Push ended because the client sent too many frames that do nothing.",
		stats->http2_floods);
	push_stats_render_single(to, "push_tls_certificate_expiry_timestamp_seconds", "gauge",
		"Time when the first of the certificates that are served expires, in seconds after "
		"1970-01-01 UTC; "
		"0: none is served.",
		stats->certificate_expiry_s);
	push_stats_render_single(to, "push_tls_certificates_stale", "gauge",
		"Virtual hosts whose certificate has been replaced by one that cannot be used.",
		stats->certificates_stale);
}

static void
render_publishes(const struct push_stats *stats, struct push_buf *to)
{
	head(to, "push_publishes_total", "counter", "Answers to publish requests, by HTTP status.");
	for (size_t i = 0; i < PUSH_PUBLISH_STATUS_COUNT; i++)
		push_buf_printf(to, "push_publishes_total{status=\"%u\"} %" PRIu64 "\n", publish_codes[i],
			stats->publish_statuses[i]);
	push_stats_render_single(to, "push_published_bytes_total", "counter",
		"Bytes of accepted publish bodies.", stats->published_bytes);
	render_auth(stats, to);
	render_handshakes(stats, to);
	push_stats_render_single(to, "push_origins_refused_total", "counter",
		"Requests refused because the page origin is not in push.cors.allowed.origins.",
		stats->origins_refused);
	push_stats_render_single(to, "push_routes_probed_total", "counter",
		"Hosts and paths that lws was asked about; pushd tells most of them.", stats->routes_probed);
	push_stats_render_single(to, "push_routes_limited_total", "counter",
		"Requests handed to lws sockets because there were too many new hosts or paths at once.",
		stats->routes_limited);
	push_stats_render_single(
		to, "push_channels", "gauge", "Channels with subscribers now.", stats->channels);
	push_stats_render_single(to, "push_channels_refused_total", "counter",
		"Subscriptions to new channels refused because of push.channels.total.max.",
		stats->channels_refused);
	push_stats_render_single(to, "push_subscriptions", "gauge", "Subscriptions of all connections now.",
		stats->subscriptions);
	push_stats_render_single(to, "push_paused_clients", "gauge",
		"Clients that Push has stopped reading from, because too many of their requests are "
		"unfinished.",
		stats->paused);
	push_stats_render_single(to, "push_pauses_total", "counter",
		"Times that Push stopped reading from a client for this reason.", stats->pauses);
	push_stats_render_single(to, "push_outbox_bytes", "gauge", "Bytes in the queues of all clients now.",
		stats->outbox_bytes);
}

/* With labels for all limits, so that an alert sees the first refusal. */
static void
render_limits(const struct push_stats *stats, struct push_buf *to)
{
	static const char *const limits[] = {
#define X(name, label, text) label,
		PUSH_LIMIT_MAP(X)
#undef X
	};

	head(to, "push_limited_total", "counter",
		"Requests and connections refused by a limit (push.limit..., or of a publish key).");
	by_label(to, "push_limited_total", "limit", limits, stats->limited, PUSH_LIMIT_COUNT);
	head(to, "push_limited_dry_run_total", "counter",
		"Requests and connections that a limit would have refused, but for push.limit.dry.run.");
	by_label(to, "push_limited_dry_run_total", "limit", limits, stats->limits_dry, PUSH_LIMIT_COUNT);
}

/* Bucket i holds what is below 2^(first_bits + i) microseconds, the one behind them everything else. */
static void
histogram(struct push_buf *to, const char *name, const char *help, const uint64_t *buckets, int count,
	int first_bits, uint64_t sum_us)
{
	uint64_t total = 0;

	head(to, name, "histogram", help);
	for (int i = 0; i < count; i++) {
		total += buckets[i];
		push_buf_printf(to, "%s_bucket{le=\"%.6f\"} %" PRIu64 "\n", name,
			(double)(1ull << (first_bits + i)) / 1e6, total);
	}
	total += buckets[count];
	push_buf_printf(to, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n", name, total);
	push_buf_printf(to, "%s_sum %.6f\n", name, (double)sum_us / 1e6);
	push_buf_printf(to, "%s_count %" PRIu64 "\n", name, total);
}

static void
render_hook(const struct push_stats *stats, struct push_buf *to)
{
	static const char *const results[] = {
#define X(name, label) label,
		PUSH_HOOK_RESULT_MAP(X)
#undef X
	};

	head(to, "push_hook_questions_total", "counter",
		"Questions to the application (push.auth.hook.url) by result; failed: no usable answer; "
		"turned_away: too many waited.");
	by_label(to, "push_hook_questions_total", "result", results, stats->hook_results,
		PUSH_HOOK_RESULT_COUNT);
	push_stats_render_single(to, "push_hook_cached_total", "counter",
		"Questions answered by an answer kept before, without a call.", stats->hook_cached);
	push_stats_render_single(
		to, "push_hook_calls", "gauge", "Calls to the application now.", stats->hook_calls);
	push_stats_render_single(to, "push_hook_waiting", "gauge", "Questions that wait for a call to end.",
		stats->hook_waiting);
	push_stats_render_single(to, "push_hook_cached_answers", "gauge",
		"Answers of the application kept now.", stats->hook_answers);
	histogram(to, "push_hook_call_seconds", "Duration of calls to the application, with their wait.",
		stats->hook_buckets, PUSH_HOOK_BUCKET_COUNT, PUSH_HOOK_FIRST_BITS, stats->hook_sum_us);
}

static void
render_jwks(const struct push_stats *stats, struct push_buf *to)
{
	head(to, "push_jwks_fetches_total", "counter", "Fetches of push.auth.jwks.url by result.");
	push_buf_printf(to,
		"push_jwks_fetches_total{result=\"ok\"} %" PRIu64
		"\npush_jwks_fetches_total{result=\"failed\"} %" PRIu64 "\n",
		stats->jwks_fetched, stats->jwks_failed);
	push_stats_render_single(to, "push_jwks_last_success_timestamp_seconds", "gauge",
		"Time when the keys in use were fetched from push.auth.jwks.url, in seconds after 1970-01-01 "
		"UTC, of the worker with the oldest; 0: no keys.",
		stats->jwks_set_s);
}

static void
render_memory(const struct push_stats *stats, struct push_buf *to)
{
	static const char *const uses[] = {
#define X(name, label) label,
		PUSH_MEMORY_USE_MAP(X)
#undef X
	};
	static const char *const relieved[] = {
#define X(name, label) label,
		PUSH_RELIEF_MAP(X)
#undef X
	};

	head(to, "push_memory_bytes", "gauge",
		"Bytes of push.memory.max in use now: queues, socket buffers of slow clients, unfinished "
		"requests and answers, history, values kept by name, channels, identities of clients.");
	by_label(to, "push_memory_bytes", "for", uses, stats->memory, PUSH_MEMORY_USE_COUNT);
	push_stats_render_single(to, "push_memory_max_bytes", "gauge",
		"push.memory.max of all workers together.", stats->memory_max);
	head(to, "push_memory_relieved_total", "counter",
		"Times that Push freed memory because push.memory.max was reached: slow clients closed, "
		"connections with unread answers or unfinished requests closed, messages of history dropped, "
		"publishes refused.");
	by_label(to, "push_memory_relieved_total", "what", relieved, stats->relieved, PUSH_RELIEF_COUNT);
}

static void
render_history(const struct push_stats *stats, struct push_buf *to)
{
	push_stats_render_single(
		to, "push_history_bytes", "gauge", "Bytes of history in memory now.", stats->history_bytes);
	push_stats_render_single(to, "push_history_messages", "gauge", "Messages of history in memory now.",
		stats->history_messages);
	push_stats_render_single(to, "push_history_dropped_total", "counter",
		"Messages of history dropped before push.history.ttl because of push.history.memory.max.",
		stats->history_dropped);
	push_stats_render_single(
		to, "push_resumes_total", "counter", "Clients that resumed with an id.", stats->resumes);
	push_stats_render_single(to, "push_replayed_total", "counter",
		"Messages replayed to clients that resumed.", stats->replayed);
	push_stats_render_single(to, "push_gaps_total", "counter",
		"Gap events sent to clients because history does not have the missing messages.",
		stats->gaps);
}

static void
render_live(const struct push_stats *stats, struct push_buf *to)
{
	push_stats_render_single(to, "push_live_subscribed_total", "counter",
		"Channels added to open connections.", stats->live_subscribed);
	push_stats_render_single(to, "push_live_unsubscribed_total", "counter",
		"Channels removed from open connections.", stats->live_unsubscribed);
	push_stats_render_single(to, "push_live_refused_total", "counter",
		"Channels, and whole requests, refused on open connections.", stats->live_refused);
}

static void
render_acks(const struct push_stats *stats, struct push_buf *to)
{
	push_stats_render_single(
		to, "push_acks_total", "counter", "Acks that confirmed at least one message.", stats->acks);
	push_stats_render_single(to, "push_redelivered_total", "counter",
		"Messages sent again because no ack arrived in time.", stats->redelivered);
	push_stats_render_single(to, "push_unacknowledged_messages", "gauge",
		"Messages sent to clients with acks and not acknowledged yet.", stats->unacknowledged);
}

static void
render_times(const struct push_stats *stats, struct push_buf *to)
{
	histogram(to, "push_delivery_latency_seconds",
		"Time from the acceptance of a publish until its message is written to a subscriber's "
		"socket.",
		stats->latency_buckets, PUSH_LATENCY_BUCKET_COUNT, PUSH_LATENCY_FIRST_BITS,
		stats->latency_sum_us);
	histogram(to, "push_loop_lag_seconds",
		"Delay of the event loop, measured 100 times a second in each worker.", stats->lag_buckets,
		PUSH_LAG_BUCKET_COUNT, PUSH_LAG_FIRST_BITS, stats->lag_sum_us);
}

/* What alerts go by. */
static void
render_state(const struct push_stats *stats, const struct push_options *options, struct push_buf *to)
{
	push_stats_render_single(to, "push_broker_up", "gauge",
		"1 if every worker can reach its broker and the broker accepts publishes.", stats->broker_up);
	push_stats_render_single(
		to, "push_draining", "gauge", "Workers that are draining now.", stats->draining);
	push_stats_render_single(to, "push_log_lines_dropped_total", "counter",
		"Log lines dropped because the reader of the log was too slow or failed.",
		stats->log_lines_dropped);
	push_stats_render_single(to, "push_channels_limit", "gauge",
		"Maximum number of channels of a worker (push.channels.total.max).",
		options->channels_total_max);
	head(to, "push_connection_lifetime_seconds", "gauge", "Configured mean lifetime of a connection.");
	push_buf_printf(to, "push_connection_lifetime_seconds %.3f\n",
		(double)(options->lifetime_min_us + options->lifetime_max_us) / 2e6);
}

static void
render_traces(const struct push_stats *stats, struct push_buf *to)
{
	static const char *const labels[] = {
#define X(name, label) label,
		PUSH_TRACE_RESULT_MAP(X)
#undef X
	};

	head(to, "push_trace_spans_total", "counter",
		"Spans by result: exported, dropped because there were too many, failed at the collector.");
	by_label(to, "push_trace_spans_total", "result", labels, stats->trace_spans, PUSH_TRACE_RESULT_COUNT);
}

/* The names that Prometheus' own client libraries use. */
static void
render_process(const struct push_process *process, const struct push_options *options, const char *version,
	struct push_buf *to)
{
	head(to, "process_start_time_seconds", "gauge",
		"Start time of the process, in seconds after 1970-01-01 UTC.");
	push_buf_printf(to, "process_start_time_seconds %.3f\n", process->start_time_s);
	head(to, "process_uptime_seconds", "gauge", "Time since the process started.");
	push_buf_printf(to, "process_uptime_seconds %.3f\n",
		process->now_s > process->start_time_s ? process->now_s - process->start_time_s : 0);
	head(to, "process_cpu_usage", "gauge",
		"Share of all processors that this process has used since the last scrape, 0 to 1.");
	push_buf_printf(to, "process_cpu_usage %.6f\n", process->cpu_usage);
	head(to, "process_cpu_seconds_total", "counter", "User and system CPU time.");
	push_buf_printf(to, "process_cpu_seconds_total %.3f\n", process->cpu_s);
	push_stats_render_single(
		to, "process_resident_memory_bytes", "gauge", "Resident memory.", process->resident_bytes);
	push_stats_render_single(
		to, "process_open_fds", "gauge", "Open file descriptors.", process->open_files);
	push_stats_render_single(to, "process_max_fds", "gauge", "Maximum number of open file descriptors.",
		process->open_files_max);
	head(to, "push_open_fds_ratio", "gauge",
		"Open file descriptors divided by their maximum, of the worker with the highest ratio.");
	push_buf_printf(to, "push_open_fds_ratio %.6f\n", process->open_files_ratio);
	push_stats_render_single(to, "push_direct_connections", "gauge",
		"Connections on direct sockets: clients, publishers, and connections without a request.",
		process->direct_connections);
	head(to, "push_build_info", "gauge", "Always 1. The labels show the version and the engine.");
	push_buf_printf(to, "push_build_info{version=\"%s\",engine=\"%s\"} 1\n", version,
		options->redis_url[0] ? "redis" : "memory");
}

void
push_stats_render(const struct push_stats *stats, const struct push_process *process,
	const struct push_options *options, const char *version, struct push_buf *to)
{
	render_origin(stats, to);
	render_origin_requests(stats, to);
	render_transports(stats, to);
	render_disconnects(stats, to);
	render_publishes(stats, to);
	render_limits(stats, to);
	render_hook(stats, to);
	render_jwks(stats, to);
	render_memory(stats, to);
	render_history(stats, to);
	render_live(stats, to);
	render_acks(stats, to);
	render_times(stats, to);
	render_state(stats, options, to);
	render_traces(stats, to);
	render_process(process, options, version, to);
}
