/* report.c - see report.h. */
#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "report.h"

/* What lies between two marks. */
struct span {
	double seconds, user_s, system_s, own_cpu_s, others_cpu_s;
	double sent, delivered, reads;
};

static struct span
between(const struct mark *from, const struct mark *to)
{
	double user_s = to->server.user_s - from->server.user_s;
	double system_s = to->server.system_s - from->server.system_s;
	double own_cpu_s = to->own_cpu_s - from->own_cpu_s;
	double others_cpu_s = to->machine_cpu_s - from->machine_cpu_s - user_s - system_s - own_cpu_s;

	return (struct span){
		.seconds = seconds(to->at_ns - from->at_ns),
		.user_s = user_s,
		.system_s = system_s,
		.own_cpu_s = own_cpu_s,
		.others_cpu_s = others_cpu_s > 0 ? others_cpu_s : 0,
		.sent = (double)(to->sent - from->sent),
		.delivered = (double)(to->delivered - from->delivered),
		.reads = (double)(to->reads - from->reads),
	};
}

static double
ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

static double
connect_seconds(const struct scenario *scenario)
{
	return seconds(scenario->fleet.connect_until_ns - scenario->fleet.connect_from_ns);
}

/* Bytes that a connection has cost by `mark`, beyond what the server took without any. */
static double
bytes_each(const struct scenario *scenario, const struct mark *mark, bool anonymous)
{
	const struct process_sample *before = &scenario->unconnected.server, *after = &mark->server;
	double grown = anonymous ? (double)after->anonymous_bytes - (double)before->anonymous_bytes
				 : (double)after->resident_bytes - (double)before->resident_bytes;

	return ratio(grown, (double)scenario->fleet.counts.opened);
}

/* 1234567 as 1,234,567; four results may be in use at a time. */
static const char *
grouped(double value)
{
	static char texts[4][40];
	static unsigned int turn;
	char digits[32], *to = texts[turn++ % 4], *start = to;
	int size = snprintf(digits, sizeof(digits), "%.0f", value);

	for (int i = 0; i < size; i++) {
		if (i && (size - i) % 3 == 0 && digits[i - 1] != '-')
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = 0;
	return start;
}

static void
print_title(FILE *to, const struct scenario *scenario)
{
	const struct options *options = scenario->options;

	fprintf(to,
		"\n%s%s%s over %s: %s subscribers on %s channel%s, %" PRIu64 "-byte messages, %" PRIu64
		" publisher%s",
		options->preset, *options->label ? " " : "", options->label, options_transport_text(options),
		grouped((double)options->subscribers), grouped((double)options->channels),
		options->channels == 1 ? "" : "s", options->size, options->publishers,
		options->publishers == 1 ? "" : "s");
	if (options->rate)
		fprintf(to, ", %" PRIu64 " messages/s", options->rate);
	if (options->burst > 1)
		fprintf(to, ", bursts of %" PRIu64, options->burst);
	if (options->window)
		fprintf(to, ", window %" PRIu64, options->window);
	if (options->lazy_us)
		fprintf(to, ", read every %" PRIu64 " us", options->lazy_us);
	fprintf(to, "\n\n");
	if (*scenario->note)
		fprintf(to, "  %-12s%s\n", "note", scenario->note);
}

static void
print_latency(FILE *to, const char *name, const struct histogram *histogram)
{
	static const double percents[] = {50, 90, 99, 99.9};

	if (!histogram->count)
		return;
	fprintf(to, "  %-12s", name);
	for (size_t i = 0; i < sizeof(percents) / sizeof(percents[0]); i++)
		fprintf(to, "p%g %s us   ", percents[i],
			grouped((double)histogram_percentile(histogram, percents[i]) / 1e3));
	fprintf(to, "max %s us\n", grouped((double)histogram->max / 1e3));
}

static void
print_connecting(FILE *to, const struct scenario *scenario)
{
	struct span span = between(&scenario->unconnected, &scenario->connected);
	double count = (double)scenario->fleet.counts.opened;

	fprintf(to, "  %-12s%s in %.3f s, %s/s, p50 %.1f ms, p99 %.1f ms", "connected", grouped(count),
		connect_seconds(scenario), grouped(ratio(count, connect_seconds(scenario))),
		(double)histogram_percentile(&scenario->fleet.connect_latency, 50) / 1e6,
		(double)histogram_percentile(&scenario->fleet.connect_latency, 99) / 1e6);
	if (scenario->server.count)
		fprintf(to, ", %.1f us of server CPU each",
			ratio((span.user_s + span.system_s) * 1e6, count));
	fprintf(to, "\n");
	if (scenario->tls.handshakes)
		fprintf(to, "  %-12s%s, %s of %s handshakes resumed\n", "TLS", scenario->tls.name,
			grouped((double)scenario->tls.resumed), grouped((double)scenario->tls.handshakes));
}

static void
print_flow(FILE *to, const struct scenario *scenario, const struct span *span)
{
	fprintf(to, "  %-12s%s messages in %.2f s, %s/s\n", "published", grouped(span->sent), span->seconds,
		grouped(ratio(span->sent, span->seconds)));
	fprintf(to, "  %-12s%s deliveries, %s/s, %.2f to a read\n", "delivered", grouped(span->delivered),
		grouped(ratio(span->delivered, span->seconds)), ratio(span->delivered, span->reads));
	print_latency(to, "answered in", &scenario->load.answer_latency);
	if (!scenario->options->crowd) {
		print_latency(to, "latency", &scenario->latency);
		return;
	}
	print_latency(to, "  before", &scenario->before);
	print_latency(to, "  after", &scenario->latency);
}

static void
print_cost(FILE *to, const struct scenario *scenario, const struct span *span)
{
	double cpu_s = span->user_s + span->system_s;

	if (scenario->server.count) {
		fprintf(to, "  %-12s%.3f us CPU a delivery (%.3f user, %.3f system), %.2f cores\n", "server",
			ratio(cpu_s * 1e6, span->delivered), ratio(span->user_s * 1e6, span->delivered),
			ratio(span->system_s * 1e6, span->delivered), ratio(cpu_s, span->seconds));
		fprintf(to, "  %-12s%.1f MB before, %.1f connected, %.1f at the end, %.1f at most\n",
			"memory", (double)scenario->unconnected.server.resident_bytes / 1e6,
			(double)scenario->settled.server.resident_bytes / 1e6,
			(double)scenario->held.server.resident_bytes / 1e6,
			(double)scenario->held.server.peak_bytes / 1e6);
		fprintf(to, "  %-12s%s bytes a connection when idle, %s at the end\n", "",
			grouped(bytes_each(scenario, &scenario->settled, false)),
			grouped(bytes_each(scenario, &scenario->held, false)));
	}
	fprintf(to, "  %-12s%.2f cores", "tool", ratio(span->own_cpu_s, span->seconds));
	if (ratio(span->own_cpu_s, span->seconds) > 0.9)
		fprintf(to, ": it is the limit here, the server could do more");
	if (scenario->load.wake_latency.count)
		fprintf(to, ", woke up p50 %.0f us, p99 %.0f us late",
			(double)histogram_percentile(&scenario->load.wake_latency, 50) / 1e3,
			(double)histogram_percentile(&scenario->load.wake_latency, 99) / 1e3);
	fprintf(to, "\n");
	/* Without the server's processes they would be among the others, and a crowd is. */
	if (scenario->server.count && !scenario->options->crowd)
		fprintf(to, "  %-12s%.2f cores%s\n", "others", ratio(span->others_cpu_s, span->seconds),
			ratio(span->others_cpu_s, span->seconds) > 0.2
				? ": the machine has something else to do, do not trust these figures"
				: "");
}

/* "1013 (try again later)" and the like: RFC 6455, 7.4.1, and the IANA registry. */
static const char *
end_text(unsigned int end)
{
	static const char *const texts[END_COUNT] = {
		[0] = "1000 normal",
		[1] = "1001 going away",
		[2] = "1002 protocol error",
		[3] = "1003 unsupported data",
		[5] = "1005 no code",
		[7] = "1007 bad data",
		[8] = "1008 policy",
		[9] = "1009 too big",
		[11] = "1011 server error",
		[12] = "1012 restart",
		[13] = "1013 try again later",
		[END_OF_STREAM] = "end of stream",
		[END_RESET] = "reset",
		[END_OTHER_CODE] = "broken",
	};

	return texts[end] ? texts[end] : "other code";
}

static void
print_ends(FILE *to, const struct fleet_counts *counts)
{
	const char *separator = ": ";

	for (unsigned int i = 0; i < END_COUNT; i++) {
		if (!counts->ends[i])
			continue;
		fprintf(to, "%s%" PRIu64 " %s", separator, counts->ends[i], end_text(i));
		separator = ", ";
	}
	fprintf(to, "\n");
}

static void
print_if(FILE *to, uint64_t count, const char *what)
{
	if (count)
		fprintf(to, "  %-12s%s %s\n", "", grouped((double)count), what);
}

static void
print_wrong(FILE *to, const struct fleet_counts *counts)
{
	print_if(to, counts->lost, "deliveries LOST");
	print_if(to, counts->duplicates, "DUPLICATES");
	print_if(to, counts->late, "OUT OF ORDER");
	print_if(to, counts->other_order, "subscribers saw ANOTHER ORDER than others of their channel");
	print_if(to, counts->damaged, "DAMAGED");
	print_if(to, counts->misrouted, "delivered to the WRONG CHANNEL");
	print_if(to, counts->failed, "connections FAILED");
	print_if(to, counts->error_events, "error events");
	if (*counts->error)
		fprintf(to, "  %-12sfirst error: %s\n", "", counts->error);
}

static void
print_crowd(FILE *to, const struct scenario *scenario)
{
	static const char *const acts[] = {"left", "stalled", "arrived"};
	const struct crowd_report *report = &scenario->crowd.report;

	if (!scenario->options->crowd)
		return;
	fprintf(to, "  %-12s%s %s", "crowd", grouped((double)report->count),
		acts[scenario->options->crowd_act]);
	if (scenario->options->crowd_act == CROWD_ARRIVES)
		fprintf(to, " in %.3f s, %s/s, p99 %.1f ms", seconds(report->connect_ns),
			grouped(ratio((double)report->counts.opened, seconds(report->connect_ns))),
			(double)report->connect_p99_ns / 1e6);
	fprintf(to, "\n");
	if (report->counts.closed) {
		fprintf(to, "  %-12s%s closed by the server", "", grouped((double)report->counts.closed));
		print_ends(to, &report->counts);
	}
	print_wrong(to, &report->counts);
}

static void
print_verdict(FILE *to, const struct scenario *scenario)
{
	const struct fleet_counts *fleet = &scenario->fleet.counts;
	const struct load_counts *load = &scenario->load.counts;

	print_crowd(to, scenario);
	fprintf(to, "  %-12s%s\n", "verified",
		scenario_faults(scenario) ? "NOT IN ORDER:" : "every message once, whole, in order");
	print_wrong(to, fleet);
	print_if(to, load->refused, "publishes REFUSED");
	print_if(to, load->unanswered, "publishes NOT ANSWERED");
	print_if(to, load->wrong_counts, "answers with a WRONG COUNT of subscribers");
	print_if(to, scenario->load.dead, "publishers GAVE UP");
	if (*load->error)
		fprintf(to, "  %-12sfirst error: %s\n", "", load->error);
	print_if(to, load->reconnects, "times a publisher had to connect again");
	print_if(to, load->skipped, "messages not sent: the server was too far behind");
	print_if(to, load->stalls, "times the window waited in vain (--drain)");
	if (fleet->closed) {
		fprintf(to, "  %-12s%s closed by the server, %s of them announced", "",
			grouped((double)fleet->closed), grouped((double)fleet->closed_announced));
		print_ends(to, fleet);
	}
	print_if(to, fleet->reconnect_events, "reconnect events");
	if (scenario->is_interrupted)
		fprintf(to, "  %-12sinterrupted\n", "");
	if (scenario->is_cut_short)
		fprintf(to, "  %-12scut short: nobody was left to publish or to listen\n", "");
}

void
report_table(FILE *to, const struct scenario *scenario)
{
	struct span span = between(&scenario->begun, &scenario->ended);

	print_title(to, scenario);
	print_connecting(to, scenario);
	print_flow(to, scenario, &span);
	print_cost(to, scenario, &span);
	print_verdict(to, scenario);
	fflush(to);
}

/* JSON: every value is written with its name and a comma before it, objects begin with a dummy-free brace. */
struct json {
	FILE *to;
	bool has_members;
};

static void
json_name(struct json *json, const char *name)
{
	fprintf(json->to, "%s\"%s\":", json->has_members ? "," : "", name);
	json->has_members = true;
}

static void
json_number(struct json *json, const char *name, double value)
{
	json_name(json, name);
	fprintf(json->to, "%.15g", value);
}

static void
json_text(struct json *json, const char *name, const char *text)
{
	json_name(json, name);
	fputc('"', json->to);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			fprintf(json->to, "\\%c", *text);
		else
			fprintf(json->to, (unsigned char)*text < ' ' ? "\\u%04x" : "%c",
				(unsigned char)*text);
	}
	fputc('"', json->to);
}

static void
json_open(struct json *json, const char *name)
{
	json_name(json, name);
	fputc('{', json->to);
	json->has_members = false;
}

static void
json_close(struct json *json)
{
	fputc('}', json->to);
	json->has_members = true;
}

static void
json_latency(struct json *json, const char *name, const struct histogram *histogram)
{
	json_open(json, name);
	json_number(json, "count", (double)histogram->count);
	json_number(json, "p50", (double)histogram_percentile(histogram, 50) / 1e3);
	json_number(json, "p90", (double)histogram_percentile(histogram, 90) / 1e3);
	json_number(json, "p99", (double)histogram_percentile(histogram, 99) / 1e3);
	json_number(json, "p999", (double)histogram_percentile(histogram, 99.9) / 1e3);
	json_number(json, "max", (double)histogram->max / 1e3);
	json_close(json);
}

static void
json_order(struct json *json, const struct options *options)
{
	json_text(json, "preset", options->preset);
	json_text(json, "label", options->label);
	json_text(json, "transport", options_transport_name(options));
	json_open(json, "order");
	json_number(json, "subscribers", (double)options->subscribers);
	json_number(json, "channels", (double)options->channels);
	json_number(json, "streams", options->transport == TRANSPORT_H2 ? (double)options->streams : 1);
	json_number(json, "publishers", (double)options->publishers);
	json_number(json, "pipeline", (double)options->pipeline);
	json_number(json, "size", (double)options->size);
	json_number(json, "rate", (double)options->rate);
	json_number(json, "burst", (double)options->burst);
	json_number(json, "window", (double)options->window);
	json_number(json, "messages", (double)options->messages);
	json_number(json, "lazy_us", (double)options->lazy_us);
	json_number(json, "crowd", (double)options->crowd);
	json_number(json, "time_s", seconds(options->time_ns));
	json_close(json);
}

static void
json_tls(struct json *json, const struct tls *tls)
{
	json_open(json, "tls");
	json_text(json, "name", tls->name);
	json_number(json, "handshakes", (double)tls->handshakes);
	json_number(json, "resumed", (double)tls->resumed);
	json_close(json);
}

static void
json_fleet(struct json *json, const char *name, const struct fleet_counts *counts)
{
	json_open(json, name);
	json_number(json, "opened", (double)counts->opened);
	json_number(json, "failed", (double)counts->failed);
	json_number(json, "delivered", (double)counts->delivered);
	json_number(json, "lost", (double)counts->lost);
	json_number(json, "duplicates", (double)counts->duplicates);
	json_number(json, "out_of_order", (double)counts->late);
	json_number(json, "other_order", (double)counts->other_order);
	json_number(json, "damaged", (double)counts->damaged);
	json_number(json, "misrouted", (double)counts->misrouted);
	json_number(json, "pings", (double)counts->pings);
	json_number(json, "heartbeats", (double)counts->heartbeats);
	json_number(json, "reconnect_events", (double)counts->reconnect_events);
	json_number(json, "error_events", (double)counts->error_events);
	json_number(json, "unknown_events", (double)counts->unknown_events);
	json_number(json, "closed", (double)counts->closed);
	json_number(json, "closed_announced", (double)counts->closed_announced);
	json_open(json, "closed_by");
	for (unsigned int i = 0; i < END_COUNT; i++)
		if (counts->ends[i])
			json_number(json, end_text(i), (double)counts->ends[i]);
	json_close(json);
	json_text(json, "error", counts->error);
	json_close(json);
}

static void
json_load(struct json *json, const struct load_counts *counts, size_t dead)
{
	json_open(json, "publishers");
	json_number(json, "sent", (double)counts->sent);
	json_number(json, "answered", (double)counts->answered);
	json_number(json, "refused", (double)counts->refused);
	json_number(json, "unanswered", (double)counts->unanswered);
	json_number(json, "wrong_counts", (double)counts->wrong_counts);
	json_number(json, "skipped", (double)counts->skipped);
	json_number(json, "reconnects", (double)counts->reconnects);
	json_number(json, "stalls", (double)counts->stalls);
	json_number(json, "gave_up", (double)dead);
	json_text(json, "error", counts->error);
	json_close(json);
}

static void
json_server(struct json *json, const struct scenario *scenario, const struct span *span)
{
	struct span connecting = between(&scenario->unconnected, &scenario->connected);

	json_open(json, "server");
	json_number(json, "processes", (double)scenario->ended.server.process_count);
	json_number(json, "user_s", span->user_s);
	json_number(json, "system_s", span->system_s);
	json_number(json, "cores", ratio(span->user_s + span->system_s, span->seconds));
	json_number(
		json, "cpu_us_per_delivery", ratio((span->user_s + span->system_s) * 1e6, span->delivered));
	json_number(json, "cpu_us_per_publish", ratio((span->user_s + span->system_s) * 1e6, span->sent));
	json_number(json, "cpu_us_per_connect",
		ratio((connecting.user_s + connecting.system_s) * 1e6,
			(double)scenario->fleet.counts.opened));
	json_number(json, "rss_before", (double)scenario->unconnected.server.resident_bytes);
	json_number(json, "rss_connected", (double)scenario->settled.server.resident_bytes);
	json_number(json, "rss_end", (double)scenario->held.server.resident_bytes);
	json_number(json, "rss_peak", (double)scenario->held.server.peak_bytes);
	json_number(json, "grown_bytes",
		(double)scenario->held.server.peak_bytes - (double)scenario->settled.server.resident_bytes);
	json_number(json, "bytes_per_connection", bytes_each(scenario, &scenario->settled, false));
	json_number(json, "bytes_per_connection_end", bytes_each(scenario, &scenario->held, false));
	json_number(json, "anonymous_bytes_per_connection", bytes_each(scenario, &scenario->settled, true));
	json_number(json, "anonymous_bytes_per_connection_end", bytes_each(scenario, &scenario->held, true));
	json_close(json);
}

void
report_json(FILE *to, const struct scenario *scenario)
{
	struct span span = between(&scenario->begun, &scenario->ended);
	struct json json = {.to = to};

	fputc('{', to);
	json_order(&json, scenario->options);
	json_number(&json, "faults", (double)scenario_faults(scenario));
	json_number(&json, "seconds", span.seconds);
	json_number(&json, "published", span.sent);
	json_number(&json, "publishes_per_s", ratio(span.sent, span.seconds));
	json_number(&json, "delivered", span.delivered);
	json_number(&json, "deliveries_per_s", ratio(span.delivered, span.seconds));
	json_number(&json, "deliveries_per_read", ratio(span.delivered, span.reads));
	json_number(&json, "connects_per_s",
		ratio((double)scenario->fleet.counts.opened, connect_seconds(scenario)));
	json_tls(&json, &scenario->tls);
	json_latency(&json, "connect_us", &scenario->fleet.connect_latency);
	json_latency(&json, "answer_us", &scenario->load.answer_latency);
	json_latency(&json, "latency_us", &scenario->latency);
	json_latency(&json, "latency_before_us", &scenario->before);
	json_latency(&json, "tool_wake_us", &scenario->load.wake_latency);
	json_number(&json, "tool_cores", ratio(span.own_cpu_s, span.seconds));
	json_number(&json, "others_cores", ratio(span.others_cpu_s, span.seconds));
	json_server(&json, scenario, &span);
	json_fleet(&json, "subscribers", &scenario->fleet.counts);
	json_load(&json, &scenario->load.counts, scenario->load.dead);
	if (scenario->options->crowd) {
		json_number(&json, "crowd_connects_per_s",
			ratio((double)scenario->crowd.report.counts.opened,
				seconds(scenario->crowd.report.connect_ns)));
		json_fleet(&json, "crowd", &scenario->crowd.report.counts);
	}
	json_text(&json, "note", scenario->note);
	fputs("}\n", to);
}
