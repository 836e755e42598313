/* redis_stats.c - see redis_stats.h. */
#include <inttypes.h>

#include "redis_stats.h"
#include "stats.h"

static void
render_value(struct push_buf *to, const char *name, const char *type, const char *help, double value)
{
	push_buf_printf(to, "# HELP %s %s\n# TYPE %s %s\n%s %.15g\n", name, help, name, type, name, value);
}

static void
render_trips(const struct push_redis_stats *stats, struct push_buf *to)
{
	static const char name[] = "push_redis_round_trip_seconds";
	uint64_t count = 0;

	push_buf_printf(to, "# HELP %s Time from sending a command to its answer.\n# TYPE %s histogram\n",
		name, name);
	for (int i = 0; i < PUSH_REDIS_TRIP_BUCKET_COUNT; i++) {
		count += stats->trip_buckets[i];
		push_buf_printf(to, "%s_bucket{le=\"%.6g\"} %" PRIu64 "\n", name,
			(double)(1ull << (i + PUSH_REDIS_TRIP_FIRST_BITS)) / 1e6, count);
	}
	count += stats->trip_buckets[PUSH_REDIS_TRIP_BUCKET_COUNT];
	push_buf_printf(to, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.6f\n%s_count %" PRIu64 "\n", name,
		count, name, (double)stats->trip_sum_us / 1e6, name, count);
}

void
push_redis_stats_render(const struct push_redis_stats *stats, struct push_buf *to)
{
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
		{"push_redis_servers", "gauge", "Redis servers that serve channels.", stats->nodes},
		{"push_redis_servers_up", "gauge",
			"Redis servers that serve channels and have both connections up.", stats->nodes_up},
		{"push_redis_channels", "gauge", "Channels subscribed in Redis, or waiting for that.",
			stats->channels},
		{"push_redis_commands_in_flight", "gauge", "Commands sent to Redis and not answered now.",
			stats->commands},
		{"push_redis_publishes_waiting", "gauge", "Publishes that wait for a Redis server now.",
			stats->publishes_waiting},
		{"push_redis_peers", "gauge", "Other Push nodes that are up now.", stats->peers},
		{"push_redis_connects_total", "counter", "Connections to Redis opened.", stats->connects},
		{"push_redis_failures_total", "counter", "Connections to Redis lost or not established.",
			stats->failures},
		{"push_redis_messages_total", "counter", "Messages received from Redis.", stats->messages},
		{"push_redis_holes_total", "counter",
			"Messages that arrived after a gap in the numbering. Push fetched the missing ones.",
			stats->holes},
		{"push_redis_messages_lost_total", "counter",
			"Messages from Redis dropped because memory was short. Clients got a gap event.",
			stats->messages_lost},
		{"push_redis_messages_replaced_total", "counter",
			"Messages from Redis with bytes that are not UTF-8. Push replaced these bytes.",
			stats->replaced},
		{"push_redis_publishes_waited_total", "counter", "Publishes that waited for a Redis server.",
			stats->publishes_waited},
		{"push_redis_publishes_uncertain_total", "counter",
			"Publishes without an answer from Redis. They may have been published.",
			stats->publishes_uncertain},
		{"push_redis_command_errors_total", "counter", "Commands that Redis answered with an error.",
			stats->command_errors},
		{"push_redis_unkept_total", "counter",
			"Messages published to channels with history that Redis did not keep.",
			stats->unkept},
		{"push_redis_history_channels_dropped_total", "counter",
			"Channels whose history was dropped to free memory for other channels.",
			stats->history_channels_dropped},
		{"push_redis_counts_forgotten_total", "counter",
			"Subscriber counts that Redis had lost and that Push stored again.",
			stats->counts_forgotten},
		{"push_redis_gaps_total", "counter", "Channels subscribed again after a loss.", stats->gaps},
		{"push_redis_probes_lost_total", "counter", "Probes published to Redis that did not arrive.",
			stats->probes_lost},
		{"push_redis_topology_changes_total", "counter",
			"Changes in the assignment of channels to Redis servers.", stats->topology_changes},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		push_stats_render_single(to, rows[i].name, rows[i].type, rows[i].help, rows[i].value);
	render_value(to, "push_redis_resubscribe_seconds", "gauge",
		"Time that the last subscription of all channels took after a new connection.",
		(double)stats->resubscribe_us / 1e6);
	render_trips(stats, to);
}
