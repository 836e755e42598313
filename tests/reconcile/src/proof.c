/* proof.c - see proof.h. */
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "proof.h"

#define TICK_NS     (2 * NS_PER_MS)
#define PROGRESS_NS NS_PER_S
#define ROUND_NS    (2 * NS_PER_S)

/* Descriptors that are not a client's or a publisher's. */
#define SPARE_FILES 32

static volatile sig_atomic_t interrupts;

static void
interrupt(int number)
{
	(void)number;
	if (++interrupts > 1)
		_Exit(2);
}

_Noreturn void
proof_fail(const char *what, const char *detail)
{
	fprintf(stderr, "reconcile: %s %s\n", what, detail);
	exit(2);
}

/* splitmix64 */
uint64_t
proof_random(struct proof *proof, uint64_t below)
{
	uint64_t value = proof->seed += 0x9e3779b97f4a7c15ull;

	value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
	value = (value ^ value >> 27) * 0x94d049bb133111ebull;
	return below ? (value ^ value >> 31) % below : 0;
}

uint32_t
proof_now_ms(const struct proof *proof)
{
	return (uint32_t)((clock_ns() - proof->begun_ns) / NS_PER_MS) + 1;
}

void
proof_asked(struct proof *proof)
{
	if (proof->asked_count == proof->asked_capacity) {
		size_t capacity = proof->asked_capacity ? proof->asked_capacity * 2 : 1024;
		uint32_t *grown = realloc(proof->asked_ms, capacity * sizeof(grown[0]));

		if (!grown)
			proof_fail("memory is out", "");
		proof->asked_ms = grown;
		proof->asked_capacity = capacity;
	}
	proof->asked_ms[proof->asked_count++] = proof_now_ms(proof);
}

static void
enter(struct proof *proof, enum phase phase, uint64_t now_ns)
{
	proof->phase = phase;
	proof->phase_ns = now_ns;
	proof->progress_ns = 0;
}

/* The last messages go out once in each round, whatever pace there was before. */
static void
tick_publisher(struct proof *proof, struct publisher *publisher, uint64_t now_ns)
{
	uint32_t sent = publisher->numbers.sent;
	bool is_last = proof->phase == PHASE_LAST;
	bool may_send =
		proof->phase == PHASE_PUBLISH || (is_last && publisher->last_round != proof->round_ns);

	if (proof->phase == PHASE_AWAY) {
		publisher->is_last = sent + 1 == proof->options->storm;
		publisher_tick(publisher, now_ns, sent < proof->options->storm);
		return;
	}

	if (proof->phase == PHASE_COUNT) {
		publisher->is_last = false;
		publisher_tick(publisher, now_ns, !publisher->is_counted);
		return;
	}

	if (is_last && !publisher->is_last)
		publisher->due_ns = now_ns;
	publisher->is_last = is_last;
	publisher_tick(publisher, now_ns, may_send);
	if (is_last && publisher->numbers.sent > sent)
		publisher->last_round = proof->round_ns;
}

/* Whether each channel's clients are counted rightly by now. */
static bool
all_are_counted(struct proof *proof)
{
	proof->uncounted = 0;
	for (uint64_t i = 0; i < proof->options->channels; i++)
		proof->uncounted += !proof->publishers[i].is_counted;
	return !proof->uncounted;
}

static void
leave_all(struct proof *proof, uint64_t now_ns)
{
	enter(proof, PHASE_AWAY, now_ns);
	for (uint64_t i = 0; i < proof->options->clients; i++)
		client_leave(&proof->clients[i]);
}

static bool
all_is_published(const struct proof *proof)
{
	for (uint64_t i = 0; i < proof->options->channels; i++)
		if (proof->publishers[i].numbers.decided < proof->options->storm)
			return false;
	return true;
}

static void
return_all(struct proof *proof, uint64_t now_ns)
{
	enter(proof, PHASE_STORM, now_ns);
	process_sample(&proof->server, &proof->before_storm);
	for (uint64_t i = 0; i < proof->options->clients; i++)
		client_return(&proof->clients[i]);
}

/* They have the last message, and were told that it is the last. */
static bool
all_are_back(const struct proof *proof)
{
	uint64_t told = proof->counts[0].resumed + proof->counts[1].resumed + proof->counts[0].gaps +
			proof->counts[1].gaps;

	return proof->live == proof->options->clients && (!proof->unfinished || !proof->options->storm) &&
	       (told >= proof->options->clients || proof->options->ids == IDS_OFF);
}

static void
end_storm(struct proof *proof, uint64_t now_ns)
{
	proof->storm_ns = now_ns - proof->phase_ns;
	process_sample(&proof->server, &proof->after_storm);
	enter(proof, PHASE_OVER, now_ns);
}

/* What has to be true for the next phase. */
static void
turn_page(struct proof *proof, uint64_t now_ns)
{
	uint64_t since_ns = now_ns - proof->phase_ns;

	switch (proof->phase) {
	case PHASE_CONNECT:
		if (proof->live == proof->options->clients && proof->options->has_storm)
			leave_all(proof, now_ns);
		else if (proof->live == proof->options->clients)
			enter(proof, PHASE_PUBLISH, now_ns);
		else if (since_ns > proof->options->settle_ns || interrupts)
			proof_fail("not everybody could connect:",
				proof->first_refusal[0] ? proof->first_refusal : "no answer");
		break;
	case PHASE_PUBLISH:
		if (since_ns > proof->options->time_ns || interrupts)
			enter(proof, PHASE_GATHER, now_ns);
		break;
	case PHASE_GATHER:
		if (proof->live < proof->options->clients && since_ns < proof->options->settle_ns)
			break;
		enter(proof, PHASE_LAST, now_ns);
		proof->round_ns = now_ns;
		break;
	case PHASE_LAST:
		if (now_ns > proof->round_ns + ROUND_NS)
			proof->round_ns = now_ns;
		if (!proof->unfinished || since_ns > proof->options->settle_ns)
			enter(proof, proof->options->counts ? PHASE_COUNT : PHASE_OVER, now_ns);
		break;
	case PHASE_COUNT:
		if (all_are_counted(proof) || since_ns > proof->options->settle_ns)
			enter(proof, PHASE_OVER, now_ns);
		break;
	case PHASE_AWAY:
		if (since_ns > proof->options->away_ns && all_is_published(proof))
			return_all(proof, now_ns);
		break;
	case PHASE_STORM:
		if (all_are_back(proof) || since_ns > proof->options->settle_ns)
			end_storm(proof, now_ns);
		break;
	case PHASE_OVER: break;
	}
}

static void
tick(struct timer *timer, uint64_t now_ns)
{
	struct proof *proof = (struct proof *)((char *)timer - offsetof(struct proof, timer));

	for (uint64_t i = 0; i < proof->options->clients; i++)
		client_tick(&proof->clients[i], now_ns);
	for (uint64_t i = 0; i < proof->options->channels; i++)
		tick_publisher(proof, &proof->publishers[i], now_ns);
	turn_page(proof, now_ns);
	if (now_ns >= proof->progress_ns + PROGRESS_NS) {
		proof->progress_ns = now_ns;
		report_progress(proof, now_ns);
	}
	timer->due_ns = now_ns + TICK_NS;
}

static bool
is_over(void *arg)
{
	return ((struct proof *)arg)->phase == PHASE_OVER;
}

static void
prepare(struct proof *proof)
{
	const struct options *options = proof->options;
	uint64_t files = options->clients * (options->overlap_ns ? 2 : 1) + options->channels + SPARE_FILES;
	char text[80];

	if (net_open_files_max() < files) {
		snprintf(text, sizeof(text), "%llu; see ulimit -n", (unsigned long long)files);
		proof_fail("too few open files are allowed, it needs", text);
	}
	for (uint64_t i = 0; i < options->target_count; i++) {
		const char *error = net_resolve(options->targets[i], &proof->targets[i]);

		if (error) {
			snprintf(text, sizeof(text), "%.30s: %.40s", options->targets[i], error);
			proof_fail("--target", text);
		}
	}
	if (options->server_pid && process_list_parse(options->server_pid, &proof->server))
		proof_fail("--server-pid: no such process:", options->server_pid);
	proof->clients = calloc(options->clients, sizeof(proof->clients[0]));
	proof->publishers = calloc(options->channels, sizeof(proof->publishers[0]));
	proof->scratch = malloc(CLIENT_SCRATCH_BYTES);
	if (!proof->clients || !proof->publishers || !proof->scratch || loop_init(&proof->loop))
		proof_fail("memory or descriptors are out", "");
	for (uint64_t i = 0; i < options->channels; i++)
		if (!publisher_init(&proof->publishers[i], proof, (uint32_t)i))
			proof_fail("memory is out", "");
	for (uint64_t i = 0; i < options->clients; i++)
		if (!client_init(&proof->clients[i], proof, (uint32_t)i))
			proof_fail("memory is out", "");
}

/* When all is over: what was answered is compared with who got it. */
static void
count_too_few(struct proof *proof)
{
	uint32_t first = 0;

	for (uint64_t i = 0; proof->options->counts == COUNTS_ALL && i < proof->options->channels; i++) {
		uint32_t count = numbers_too_few(&proof->publishers[i].numbers, &first);

		proof->too_few += count;
		if (count)
			report_count(proof, (uint32_t)i, first);
	}
}

bool
proof_run(struct proof *proof, const struct options *options)
{
	struct sigaction action = {.sa_handler = interrupt};
	struct timespec unix_time;

	clock_gettime(CLOCK_REALTIME, &unix_time);
	*proof = (struct proof){.options = options, .begun_ns = clock_ns()};
	proof->begun_unix_ms = (uint64_t)unix_time.tv_sec * 1000 + (uint64_t)unix_time.tv_nsec / 1000000;
	proof->seed = options->seed ? options->seed : proof->begun_ns & UINT32_MAX;
	proof->knows_ids = options->ids != IDS_AUTO;
	proof->has_ids = options->ids == IDS_ON;
	fprintf(stderr, "reconcile: --seed %llu\n", (unsigned long long)proof->seed);
	prepare(proof);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	loop_add_timer(&proof->loop, &proof->timer);
	proof->timer.fire = tick;
	proof->timer.due_ns = proof->phase_ns = proof->begun_ns;
	while (!loop_run(&proof->loop, clock_ns() + NS_PER_S, is_over, proof))
		;
	for (uint64_t i = 0; i < options->channels; i++)
		publisher_close(&proof->publishers[i]);
	for (uint64_t i = 0; i < options->clients; i++)
		client_close(&proof->clients[i]);
	count_too_few(proof);
	return report_faults(proof) == 0;
}

void
proof_fini(struct proof *proof)
{
	for (uint64_t i = 0; i < proof->options->clients; i++)
		client_fini(&proof->clients[i]);
	for (uint64_t i = 0; i < proof->options->channels; i++)
		publisher_fini(&proof->publishers[i]);
	free(proof->clients);
	free(proof->publishers);
	free(proof->scratch);
	free(proof->asked_ms);
	loop_fini(&proof->loop);
}
