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

static void
single(struct push_buf *to, const char *name, const char *type, const char *help, uint64_t value)
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
	single(to, "ws_connections_count", "untyped", "WebSocket connections.",
		stats->by_encoding[PUSH_ENCODING_WS].connections);
	single(to, "sse_connections_count", "untyped", "SSE connections.",
		stats->by_encoding[PUSH_ENCODING_SSE].connections);
	single(to, "ws_messages_total", "counter", "Messages written to WebSocket clients.",
		stats->by_encoding[PUSH_ENCODING_WS].messages_out);
	single(to, "sse_messages_total", "counter", "Messages written to SSE clients.",
		stats->by_encoding[PUSH_ENCODING_SSE].messages_out);
	single(to, "pub_messages_total", "counter", "Messages accepted from publishers.", stats->published);
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
	PER_TRANSPORT(stats, to, "push_connections_opened_total", "counter", "Connections since the start.",
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
	head(to, "push_disconnects_total", "counter", "Connections ended, by reason.");
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
render_publishes(const struct push_stats *stats, struct push_buf *to)
{
	head(to, "push_publishes_total", "counter", "Answers to publish requests, by HTTP status.");
	for (size_t i = 0; i < PUSH_PUBLISH_STATUS_COUNT; i++)
		push_buf_printf(to, "push_publishes_total{status=\"%u\"} %" PRIu64 "\n", publish_codes[i],
			stats->publish_statuses[i]);
	single(to, "push_published_bytes_total", "counter", "Bytes of accepted publish bodies.",
		stats->published_bytes);
	single(to, "push_origins_refused_total", "counter",
		"Requests of web pages whose origin is not in push.cors.allowed.origins.",
		stats->origins_refused);
	single(to, "push_routes_limited_total", "counter",
		"Requests left to lws' sockets, since too many new hosts or paths came at once.",
		stats->routes_limited);
	single(to, "push_channels", "gauge", "Channels with subscribers now.", stats->channels);
	single(to, "push_channels_refused_total", "counter",
		"Channels that nobody was subscribed to and that were refused for that.",
		stats->channels_refused);
	single(to, "push_subscriptions", "gauge", "Subscriptions now, of all connections.",
		stats->subscriptions);
	single(to, "push_paused_clients", "gauge",
		"Clients that are not read from now, since they have asked for more than was done for them.",
		stats->paused);
	single(to, "push_pauses_total", "counter", "How often a client was no longer read from for that.",
		stats->pauses);
	single(to, "push_outbox_bytes", "gauge", "Bytes that wait for subscribers now.", stats->outbox_bytes);
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
		"Bytes of push.memory.max that are in use now: what waits for subscribers, what the kernel "
		"may buffer for slow ones, requests and answers under way, history, values kept by name, "
		"channels.");
	by_label(to, "push_memory_bytes", "for", uses, stats->memory, PUSH_MEMORY_USE_COUNT);
	single(to, "push_memory_max_bytes", "gauge", "push.memory.max, of all workers together.",
		stats->memory_max);
	head(to, "push_memory_relieved_total", "counter",
		"What gave way since memory was short: slow clients, connections whose answers are not read "
		"or whose bodies or messages do not end, messages of history, publishes.");
	by_label(to, "push_memory_relieved_total", "what", relieved, stats->relieved, PUSH_RELIEF_COUNT);
}

static void
render_history(const struct push_stats *stats, struct push_buf *to)
{
	single(to, "push_history_bytes", "gauge", "Bytes of messages kept for clients that come back, now.",
		stats->history_bytes);
	single(to, "push_history_messages", "gauge", "Messages kept now.", stats->history_messages);
	single(to, "push_history_dropped_total", "counter",
		"Messages that left before their time, since all of them took too much memory.",
		stats->history_dropped);
	single(to, "push_resumes_total", "counter", "Clients that came back with an id.", stats->resumes);
	single(to, "push_replayed_total", "counter", "Messages replayed to them.", stats->replayed);
	single(to, "push_gaps_total", "counter", "Gaps in a channel's history that clients were told of.",
		stats->gaps);
}

static void
render_live(const struct push_stats *stats, struct push_buf *to)
{
	single(to, "push_live_subscribed_total", "counter", "Channels that were added to open connections.",
		stats->live_subscribed);
	single(to, "push_live_unsubscribed_total", "counter", "Channels that open connections left.",
		stats->live_unsubscribed);
	single(to, "push_live_refused_total", "counter",
		"Channels, and whole requests, that such a change was refused for.", stats->live_refused);
}

static void
render_acks(const struct push_stats *stats, struct push_buf *to)
{
	single(to, "push_acks_total", "counter", "Acknowledgements of clients that covered something new.",
		stats->acks);
	single(to, "push_redelivered_total", "counter",
		"Messages sent again, since no acknowledgement came in time.", stats->redelivered);
	single(to, "push_unacknowledged_messages", "gauge",
		"Messages sent to clients that acknowledge, and not acknowledged, now.",
		stats->unacknowledged);
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
render_times(const struct push_stats *stats, struct push_buf *to)
{
	histogram(to, "push_delivery_latency_seconds",
		"From a publish accepted to its message written to a subscriber's socket.",
		stats->latency_buckets, PUSH_LATENCY_BUCKET_COUNT, PUSH_LATENCY_FIRST_BITS,
		stats->latency_sum_us);
	histogram(to, "push_loop_lag_seconds",
		"How late the event loop is, 100 times a second in each worker: how long what comes has to "
		"wait.",
		stats->lag_buckets, PUSH_LAG_BUCKET_COUNT, PUSH_LAG_FIRST_BITS, stats->lag_sum_us);
}

/* What alerts go by. */
static void
render_state(const struct push_stats *stats, const struct push_options *options, struct push_buf *to)
{
	single(to, "push_broker_up", "gauge",
		"1 while the broker can be reached and does not refuse every publish, of several workers by "
		"all of them.",
		stats->broker_up);
	single(to, "push_draining", "gauge", "Workers that have asked their clients to reconnect elsewhere.",
		stats->draining);
	single(to, "push_log_lines_dropped_total", "counter",
		"Lines of the log that were dropped, since what reads it stood still or failed.",
		stats->log_lines_dropped);
	single(to, "push_channels_limit", "gauge",
		"Channels that a worker may have (push.channels.total.max).", options->channels_total_max);
	head(to, "push_connection_lifetime_seconds", "gauge",
		"How long a connection lives on average, as configured.");
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
		"Spans by what became of them: exported, dropped since there were too many, failed at the "
		"collector.");
	by_label(to, "push_trace_spans_total", "result", labels, stats->trace_spans, PUSH_TRACE_RESULT_COUNT);
}

/* The names that Prometheus' own client libraries use. */
static void
render_process(const struct push_process *process, const struct push_options *options, const char *version,
	struct push_buf *to)
{
	head(to, "process_start_time_seconds", "gauge", "When the process started, since 1970.");
	push_buf_printf(to, "process_start_time_seconds %.3f\n", process->start_time_s);
	head(to, "process_cpu_seconds_total", "counter", "User and system CPU time.");
	push_buf_printf(to, "process_cpu_seconds_total %.3f\n", process->cpu_s);
	single(to, "process_resident_memory_bytes", "gauge", "Resident memory.", process->resident_bytes);
	single(to, "process_open_fds", "gauge", "Open file descriptors.", process->open_files);
	single(to, "process_max_fds", "gauge", "Limit of open file descriptors.", process->open_files_max);
	head(to, "push_open_fds_ratio", "gauge",
		"Open file descriptors as a part of their limit, of the worker that is nearest to it.");
	push_buf_printf(to, "push_open_fds_ratio %.6f\n", process->open_files_ratio);
	single(to, "push_direct_connections", "gauge",
		"Connections on Push's own sockets, of clients, publishers and those who have not said yet.",
		process->direct_connections);
	head(to, "push_build_info", "gauge", "Always 1; the labels tell what runs.");
	push_buf_printf(to, "push_build_info{version=\"%s\",engine=\"%s\"} 1\n", version,
		options->redis_url[0] ? "redis" : "memory");
}

void
push_stats_render(const struct push_stats *stats, const struct push_process *process,
	const struct push_options *options, const char *version, struct push_buf *to)
{
	render_origin(stats, to);
	render_transports(stats, to);
	render_disconnects(stats, to);
	render_publishes(stats, to);
	render_memory(stats, to);
	render_history(stats, to);
	render_live(stats, to);
	render_acks(stats, to);
	render_times(stats, to);
	render_state(stats, options, to);
	render_traces(stats, to);
	render_process(process, options, version, to);
}
