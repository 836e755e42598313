/* report.c - what is told while it runs and at the end; see proof.h. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "proof.h"

static uint64_t
sum(const struct proof *proof, size_t offset)
{
	uint64_t total = 0;

	for (int i = 0; i < TRANSPORTS; i++)
		total += *(const uint64_t *)((const char *)&proof->counts[i] + offset);
	return total;
}

#define SUM(proof, member) sum(proof, offsetof(struct counts, member))

void
report_progress(const struct proof *proof, uint64_t now_ns)
{
	static const char *const phases[] = {"connecting", "publishing", "gathering", "last messages",
		"counting", "away", "coming back", "over"};

	fprintf(stderr,
		"%6.1f s  %-13s  %" PRIu32 " live, %" PRIu64 " cut off, %" PRIu64 " published (%" PRIu64
		" not acknowledged), %" PRIu64 " replayed, %" PRIu64 " told missing, %" PRIu64
		" silent, %" PRIu64 " twice, %" PRIu64 " late\n",
		seconds(now_ns - proof->begun_ns), phases[proof->phase], proof->live, SUM(proof, cuts),
		proof->published, proof->uncertain + proof->refused, SUM(proof, replayed), SUM(proof, told),
		SUM(proof, silent) - SUM(proof, told_late) - SUM(proof, excused), SUM(proof, duplicates),
		SUM(proof, late));
}

static void
print_trace(const struct client *client)
{
	uint32_t from = client->trace_count > CLIENT_TRACE ? client->trace_count - CLIENT_TRACE : 0;

	for (uint32_t i = from; i < client->trace_count; i++) {
		const struct trace *trace = &client->traces[i % CLIENT_TRACE];
		char channel[16] = "";

		if (trace->channel >= 0)
			snprintf(channel, sizeof(channel), "%" PRId32, trace->channel);
		printf("    %9.3f s  %-10s %5s %8" PRIu32 "  id %s\n", trace->at_ms / 1000.0, trace->what,
			channel, trace->number, trace->id);
	}
}

void
report_violation(struct client *client, uint32_t index, const struct finding *finding, const char *what)
{
	struct proof *proof = client->proof;

	if (proof->violations++ >= proof->options->violations)
		return;
	printf("violation: client %" PRIu32 " (%s), connection %" PRIu32 ", node %s, at %.3f s: ",
		client->index, client->transport == TRANSPORT_WS ? "WebSocket" : "SSE", client->connections,
		proof->options->targets[client->node], proof_now_ms(proof) / 1000.0);
	if (finding) {
		const struct numbers *numbers = client->ledgers[index].numbers;
		uint32_t last = finding->to > finding->from ? finding->to - 1 : finding->from;

		printf("channel %s%" PRIu32 ", numbers %" PRIu32 " to %" PRIu32 ": ",
			proof->options->channel_name, client->channels[index], finding->from, last);
		if (last <= numbers->decided && last)
			printf("(answered at %.3f s to %.3f s) ",
				numbers->all[finding->from].decided_ms / 1000.0,
				numbers->all[last].decided_ms / 1000.0);
		if (finding->told && finding->told != MISSED_UNKNOWN)
			printf("(%" PRIu32 " acknowledged, told of %" PRIu32 ") ", finding->lost,
				finding->told);
	}
	printf("%s\n", what);
	print_trace(client);
	fflush(stdout);
}

/* An answer that counted fewer clients than those that got the message at once. */
void
report_count(struct proof *proof, uint32_t channel, uint32_t number)
{
	const struct number *at = &proof->publishers[channel].numbers.all[number];

	if (proof->violations++ >= proof->options->violations)
		return;
	printf("violation: channel %s%" PRIu32 ", number %" PRIu32 " (answered at %.3f s): %" PRIu32
	       " subscribers were counted, and %" PRIu32 " got it at once\n",
		proof->options->channel_name, channel, number, at->decided_ms / 1000.0, at->subscribers,
		at->at_once);
}

/* An answer that tells of more writes than subscribers. */
void
report_written(struct proof *proof, const struct publisher *publisher)
{
	proof->too_few++;
	if (proof->violations++ < proof->options->violations)
		printf("violation: channel %s%" PRIu32 ", number %" PRIu32 " at %.3f s: %" PRIu64
		       " subscribers were counted, and it was written to %" PRIu64 "\n",
			proof->options->channel_name, publisher->channel, publisher->numbers.sent,
			proof_now_ms(proof) / 1000.0, publisher->subscribers, publisher->written);
}

static void
print_counts(const struct proof *proof)
{
	if (!proof->options->counts)
		return;
	printf("%-46s %38" PRIu64 "\n%-46s %38" PRIu32 "\n", "ANSWERS THAT COUNTED TOO FEW", proof->too_few,
		"CHANNELS COUNTED WRONGLY AT THE END", proof->uncounted);
	for (uint64_t i = 0, told = 0; i < proof->options->channels && told < proof->options->violations;
		i++) {
		const struct publisher *publisher = &proof->publishers[i];

		if (publisher->is_counted)
			continue;
		told++;
		printf("violation: channel %s%" PRIu64 " has %" PRIu32 " clients, and %" PRId64
		       " subscribers and %" PRId64 " written were counted\n",
			proof->options->channel_name, i, publisher->clients, (int64_t)publisher->subscribers,
			(int64_t)publisher->written);
	}
}

static void
row(const struct proof *proof, const char *name, size_t offset)
{
	const uint64_t *ws = (const uint64_t *)((const char *)&proof->counts[TRANSPORT_WS] + offset);
	const uint64_t *sse = (const uint64_t *)((const char *)&proof->counts[TRANSPORT_SSE] + offset);

	printf("%-46s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", name, *ws, *sse, *ws + *sse);
}

#define ROW(name, member) row(proof, name, offsetof(struct counts, member))

struct deliveries {
	uint64_t expected[TRANSPORTS], received[TRANSPORTS], extra[TRANSPORTS], refused[TRANSPORTS];
};

static struct deliveries
deliveries(const struct proof *proof)
{
	struct deliveries result = {0};

	for (uint64_t i = 0; i < proof->options->channels; i++) {
		const struct numbers *numbers = &proof->publishers[i].numbers;

		for (unsigned int t = 0; t < TRANSPORTS; t++) {
			result.expected[t] += numbers_expected(numbers, t);
			result.received[t] += numbers_received(numbers, t, NUMBER_ACKNOWLEDGED);
			result.extra[t] += numbers_received(numbers, t, NUMBER_UNCERTAIN);
			result.refused[t] += numbers_received(numbers, t, NUMBER_REFUSED);
		}
	}
	return result;
}

static void
row_of(const char *name, const uint64_t values[TRANSPORTS])
{
	printf("%-46s %12" PRIu64 " %12" PRIu64 " %12" PRIu64 "\n", name, values[TRANSPORT_WS],
		values[TRANSPORT_SSE], values[TRANSPORT_WS] + values[TRANSPORT_SSE]);
}

static void
print_connections(const struct proof *proof)
{
	ROW("clients", clients);
	ROW("connections made", connections);
	ROW("  cut off by the client", cuts);
	ROW("  ended by the server, or with it", ends);
	ROW("  left when asked to reconnect", reconnect_events);
	ROW("connections that failed", failed);
	ROW("connections that were refused", refused);
	if (proof->options->is_strict) {
		ROW("CONNECTIONS ENDED UNASKED", abrupt);
		ROW("CLIENTS WITHOUT A CONNECTION", without_connection);
	}
}

static void
print_deliveries(const struct proof *proof)
{
	struct deliveries all = deliveries(proof);

	row_of("deliveries expected", all.expected);
	row_of("  received", all.received);
	ROW("    of them published before it connected", replayed);
	ROW("  told missing", told);
	ROW("  told missing, but late", told_late);
	ROW("  of a connection that ended within 12 s", excused);
	row_of("received beside that: uncertain", all.extra);
	row_of("received beside that: refused", all.refused);
	ROW("uncertain ones that came late", late_uncertain);
	if (proof->options->overlap_ns)
		ROW("received twice, by the old connection, too", overlapped);
	ROW("replays told complete (resumed)", resumed);
	ROW("gaps told", gaps);
	ROW("  of an unknown number", gaps_unknown);
	ROW("  without a channel", gaps_without_channel);
	ROW("  where nothing was missing", gaps_superfluous);
}

/* What the server has spent between the moment at which all may come back and that at which all are served.
 */
static double
storm_cpu_s(const struct proof *proof)
{
	const struct process_sample *before = &proof->before_storm, *after = &proof->after_storm;

	return after->user_s + after->system_s - before->user_s - before->system_s;
}

static void
print_storm(const struct proof *proof)
{
	if (!proof->options->has_storm)
		return;
	printf("all were back and served after %.2f s\n", seconds(proof->storm_ns));
	if (proof->server.count)
		printf("which cost the server %.2f s of CPU, %.1f us for each client\n", storm_cpu_s(proof),
			storm_cpu_s(proof) * 1e6 / (double)proof->options->clients);
}

static void
print_publishers(const struct proof *proof)
{
	if (!proof->options->is_strict)
		return;
	printf("%-46s %38" PRIu64 "\n%-46s %38" PRIu64 "\n%-46s %38" PRIu64 "\n%-46s %38" PRIu64 "\n",
		"publishers' connections", proof->publish_connections, "  ended by the server with an answer",
		proof->ended_with_answer, "  ended by the server while idle", proof->ended_idle,
		"PUBLISHERS' CONNECTIONS THAT FAILED", proof->publish_failures);
}

void
report_table(const struct proof *proof)
{
	uint64_t silent[TRANSPORTS];

	for (int i = 0; i < TRANSPORTS; i++)
		silent[i] = proof->counts[i].silent - proof->counts[i].told_late - proof->counts[i].excused;
	printf("\n%-46s %12s %12s %12s\n", "", "WebSocket", "SSE", "all");
	print_connections(proof);
	printf("%-46s %38" PRIu64 "\n%-46s %38" PRIu64 "\n%-46s %38" PRIu64 "\n%-46s %38" PRIu64 "\n",
		"messages published", proof->published, "  acknowledged", proof->acknowledged,
		"  answered as uncertain, or not at all", proof->uncertain, "  refused", proof->refused);
	print_publishers(proof);
	print_deliveries(proof);
	row_of("SILENT LOSSES", silent);
	ROW("DUPLICATES", duplicates);
	ROW("VIOLATIONS OF ORDER", late);
	ROW("GAPS WITH A WRONG NUMBER", wrong_gaps);
	ROW("DAMAGED, OR NONE OF THE CLIENT'S", damaged);
	ROW("EVENTS WITHOUT AN ID", without_id);
	if (proof->options->no_gaps)
		ROW("GAPS THOUGH NOTHING MAY BE MISSING", refused_gaps);
	print_counts(proof);
	print_storm(proof);
	if (proof->first_refusal[0])
		printf("the first refusal: %s\n", proof->first_refusal);
	if (proof->unfinished)
		printf("%" PRIu32 " clients did not get the last message of each channel\n",
			proof->unfinished);
	printf("seed %" PRIu64 ", %s\n",
		proof->options->seed ? proof->options->seed : proof->begun_ns & UINT32_MAX,
		report_faults(proof) ? "NOT RECONCILED" : "reconciled");
}

static uint64_t
strict_faults(const struct proof *proof)
{
	return proof->options->is_strict
		       ? proof->uncertain + proof->refused + proof->publish_failures + SUM(proof, failed) +
				 SUM(proof, refused) + SUM(proof, abrupt) + SUM(proof, without_connection)
		       : 0;
}

uint64_t
report_faults(const struct proof *proof)
{
	return strict_faults(proof) + proof->too_few + proof->uncounted + SUM(proof, refused_gaps) +
	       SUM(proof, silent) - SUM(proof, told_late) - SUM(proof, excused) + SUM(proof, duplicates) +
	       SUM(proof, late) + SUM(proof, wrong_gaps) + SUM(proof, damaged) + SUM(proof, without_id);
}

/* When clients were asked to reconnect, and who was not served as he should. */
static void
print_following(const struct proof *proof, FILE *file)
{
	fprintf(file, ",\"too_few\":%" PRIu64 ",\"uncounted\":%" PRIu32, proof->too_few, proof->uncounted);
	fprintf(file,
		",\"begun_unix_ms\":%" PRIu64 ",\"unfinished\":%" PRIu32 ",\"publish_connections\":%" PRIu64
		",\"publish_failures\":%" PRIu64 ",\"ended_with_answer\":%" PRIu64 ",\"ended_idle\":%" PRIu64
		",\"asked_ms\":[",
		proof->begun_unix_ms, proof->unfinished, proof->publish_connections, proof->publish_failures,
		proof->ended_with_answer, proof->ended_idle);
	for (size_t i = 0; i < proof->asked_count; i++)
		fprintf(file, "%s%" PRIu32, i ? "," : "", proof->asked_ms[i]);
	fprintf(file, "]");
}

void
report_json(const struct proof *proof, const char *path)
{
	FILE *file = fopen(path, "ae");
	struct deliveries all = deliveries(proof);

	if (!file) {
		fprintf(stderr, "reconcile: --json %s: %s\n", path, strerror(errno));
		return;
	}
	fprintf(file,
		"{\"seed\":%" PRIu64 ",\"published\":%" PRIu64 ",\"acknowledged\":%" PRIu64
		",\"uncertain\":%" PRIu64 ",\"refused\":%" PRIu64,
		proof->options->seed ? proof->options->seed : proof->begun_ns & UINT32_MAX, proof->published,
		proof->acknowledged, proof->uncertain, proof->refused);
	for (int i = 0; i < TRANSPORTS; i++) {
		const struct counts *c = &proof->counts[i];

		fprintf(file,
			",\"%s\":{\"clients\":%" PRIu64 ",\"connections\":%" PRIu64 ",\"cuts\":%" PRIu64
			",\"ends\":%" PRIu64 ",\"expected\":%" PRIu64 ",\"received\":%" PRIu64
			",\"replayed\":%" PRIu64 ",\"told\":%" PRIu64 ",\"told_late\":%" PRIu64
			",\"excused\":%" PRIu64 ",\"gaps\":%" PRIu64 ",\"superfluous_gaps\":%" PRIu64
			",\"silent\":%" PRIu64 ",\"duplicates\":%" PRIu64 ",\"late\":%" PRIu64
			",\"wrong_gaps\":%" PRIu64 ",\"damaged\":%" PRIu64 ",\"without_id\":%" PRIu64
			",\"failed\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"abrupt\":%" PRIu64
			",\"without_connection\":%" PRIu64 ",\"refused_gaps\":%" PRIu64 ",\"asked\":%" PRIu64
			",\"overlapped\":%" PRIu64 "}",
			i == TRANSPORT_WS ? "ws" : "sse", c->clients, c->connections, c->cuts, c->ends,
			all.expected[i], all.received[i], c->replayed, c->told, c->told_late, c->excused,
			c->gaps, c->gaps_superfluous, c->silent - c->told_late - c->excused, c->duplicates,
			c->late, c->wrong_gaps, c->damaged, c->without_id, c->failed, c->refused, c->abrupt,
			c->without_connection, c->refused_gaps, c->reconnect_events, c->overlapped);
	}
	print_following(proof, file);
	if (proof->options->has_storm)
		fprintf(file, ",\"storm\":{\"seconds\":%.3f,\"server_cpu_s\":%.3f}", seconds(proof->storm_ns),
			storm_cpu_s(proof));
	fprintf(file, "}\n");
	if (fclose(file))
		fprintf(stderr, "reconcile: --json %s: %s\n", path, strerror(errno));
}
