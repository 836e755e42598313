/* scenario.c - see scenario.h. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "scenario.h"

/* Descriptors that are nobody's connection: standard ones, epoll, files of /proc. */
#define SPARE_FILES 32

static volatile sig_atomic_t interrupted;

static void
on_interrupt(int signal_number)
{
	(void)signal_number;
	interrupted = 1;
}

/* A second Ctrl-C ends the program at once. */
static void
catch_interrupt(void)
{
	struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

__attribute__((format(printf, 2, 3))) static void
say(const struct scenario *scenario, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!scenario->options->quiet) {
		fputs("pushload: ", stderr);
		vfprintf(stderr, format, args);
		fputc('\n', stderr);
	}
	va_end(args);
}

static int
cannot(const char *what, const char *value, const char *why)
{
	fprintf(stderr, "pushload: %s%s%s: %s\n", what, *value ? " " : "", value, why);
	return -1;
}

static void
mark(struct scenario *scenario, struct mark *ret)
{
	process_sample(&scenario->server, &ret->server);
	ret->own_cpu_s = process_own_cpu_s();
	ret->machine_cpu_s = process_machine_cpu_s();
	ret->at_ns = clock_ns();
	ret->sent = scenario->load.counts.sent;
	ret->delivered = scenario->fleet.counts.delivered;
	ret->reads = scenario->fleet.counts.reads;
}

static void
after_turn(void *arg, uint64_t now_ns)
{
	struct scenario *scenario = arg;

	fleet_pump(&scenario->fleet, now_ns);
	load_pump(&scenario->load, now_ns);
}

/* Nobody is left to publish or to listen. */
static bool
is_over(void *arg)
{
	struct scenario *scenario = arg;

	scenario->is_interrupted |= interrupted;
	scenario->is_cut_short |= scenario->load.dead == scenario->options->publishers ||
				  (!scenario->fleet.open && !scenario->fleet.connecting);
	return scenario->is_interrupted || scenario->is_cut_short;
}

static bool
is_connected(void *arg)
{
	struct scenario *scenario = arg;

	return fleet_is_connected(&scenario->fleet) || interrupted;
}

static bool
has_publishers(void *arg)
{
	struct scenario *scenario = arg;

	return load_is_connected(&scenario->load) || interrupted;
}

static bool
is_settled(void *arg)
{
	struct scenario *scenario = arg;

	/* Also after a Ctrl-C: what is on its way is not lost. */
	is_over(arg);
	return load_is_settled(&scenario->load) || scenario->is_cut_short;
}

static bool
is_all_sent(void *arg)
{
	struct scenario *scenario = arg;

	return (scenario->load.counts.sent >= scenario->load.limit && load_is_settled(&scenario->load)) ||
	       is_over(arg);
}

static bool
has_crowd_reported(void *arg)
{
	struct scenario *scenario = arg;

	return crowd_has_reported(&scenario->crowd) || interrupted;
}

static bool
has_crowd_arrived(void *arg)
{
	return has_crowd_reported(arg) || is_over(arg);
}

static uint64_t
movement(const struct scenario *scenario)
{
	const struct fleet_counts *counts = &scenario->fleet.counts;

	return counts->opened + counts->failed + counts->delivered + scenario->load.counts.answered;
}

/*
 * Runs until it is done, or until nothing has moved for `patience_ns`; that is looked at in quarters of it.
 * Returns whether it is done.
 */
static bool
run_while_moving(struct scenario *scenario, uint64_t patience_ns, bool (*is_done)(void *arg))
{
	for (int idle = 0; idle < 4; idle++) {
		uint64_t before = movement(scenario);

		if (loop_run(&scenario->loop, clock_ns() + patience_ns / 4, is_done, scenario))
			return true;
		if (movement(scenario) != before)
			idle = -1;
	}
	return false;
}

static void
run_for(struct scenario *scenario, uint64_t duration_ns)
{
	if (duration_ns)
		loop_run(&scenario->loop, clock_ns() + duration_ns, is_over, scenario);
}

/* Fewer connections than asked for are better than none, if it is said. */
static void
cap(struct scenario *scenario, uint64_t *count, uint64_t max, const char *whose)
{
	if (*count <= max)
		return;
	snprintf(scenario->note, sizeof(scenario->note),
		"%llu connections instead of %llu: %s limit of open files", (unsigned long long)max,
		(unsigned long long)*count, whose);
	*count = max;
}

static void
cap_by_files(struct scenario *scenario, struct options *options)
{
	uint64_t own_max = net_open_files_max(), server_max;
	struct process_sample sample;

	uint64_t each = options->transport == TRANSPORT_H2 ? options->streams : 1;

	cap(scenario, &options->subscribers, each * (own_max - SPARE_FILES - options->publishers),
		"this tool's");
	cap(scenario, &options->crowd, each * (own_max - SPARE_FILES), "this tool's");
	process_sample(&scenario->server, &sample);
	server_max = sample.open_files_max;
	if (server_max < 10 * SPARE_FILES)
		return;
	server_max -= 4 * SPARE_FILES + options->publishers;
	cap(scenario, &options->subscribers, each * server_max, "the server's");
	cap(scenario, &options->crowd,
		each * (server_max - options_connections(options, options->subscribers)), "the server's");
}

/* Where to connect, and whether with TLS.  Returns -1, having said why. */
static int
resolve(struct scenario *scenario, const struct options *options)
{
	const char *error = net_resolve(options->target, &scenario->target);

	if (error)
		return cannot("--target", options->target, error);
	scenario->target.is_secure |= options->tls;
	scenario->publish_target = scenario->target;
	error = *options->publish_target ? net_resolve(options->publish_target, &scenario->publish_target)
					 : NULL;
	if (error)
		return cannot("--publish-target", options->publish_target, error);
	if (!scenario->target.is_secure && !scenario->publish_target.is_secure)
		return 0;
	net_host(options->target, scenario->host);
	error = tls_init(&scenario->tls, options, scenario->host);
	if (error)
		return cannot(*options->ca ? "--ca" : "--tls", options->ca, error);
	scenario->target.tls = scenario->target.is_secure ? &scenario->tls : NULL;
	scenario->publish_target.tls = scenario->publish_target.is_secure ? &scenario->tls : NULL;
	return 0;
}

static int
prepare(struct scenario *scenario, struct options *options)
{
	uint64_t publishers = options->publishers, channels = options->channels;
	uint64_t per_channel = publishers > channels ? (publishers + channels - 1) / channels : 1;

	if (resolve(scenario, options))
		return -1;
	if (options->server_pid && process_list_parse(options->server_pid, &scenario->server))
		return cannot("--server-pid", options->server_pid, "no such process (PID[,PID...])");
	cap_by_files(scenario, options);
	if (*scenario->note)
		say(scenario, "%s", scenario->note);
	scenario->streams = streams_create((uint32_t)channels, (uint32_t)per_channel);
	if (!scenario->streams || payload_init(&scenario->payload,
					  (uint32_t)getpid() ^ (uint32_t)clock_ns() >> 16, options->size))
		return cannot("setting up", "", "out of memory");
	if (crowd_start(
		    &scenario->crowd, options, &scenario->payload, scenario->streams, &scenario->target) ||
		loop_init(&scenario->loop) || crowd_watch(&scenario->crowd, &scenario->loop))
		return cannot("setting up", "", strerror(errno));
	if (fleet_init(&scenario->fleet, &scenario->loop, options, &scenario->payload, scenario->streams,
		    &scenario->target, options->subscribers) ||
		load_init(&scenario->load, &scenario->fleet, &scenario->publish_target))
		return cannot("setting up", "", "out of memory");
	/* Source addresses: those of publishers come first. */
	scenario->fleet.source = (uint32_t)publishers + LOAD_SOURCE;
	scenario->loop.after_turn = after_turn;
	scenario->loop.after_turn_arg = scenario;
	return 0;
}

static int
connect_crowd(struct scenario *scenario)
{
	const struct options *options = scenario->options;

	if (!options->crowd)
		return 0;
	say(scenario, "starting a crowd of %llu", (unsigned long long)options->crowd);
	loop_run(&scenario->loop, UINT64_MAX, has_crowd_reported, scenario);
	if (scenario->crowd.report.counts.failed)
		say(scenario, "%llu of the crowd could not connect: %s",
			(unsigned long long)scenario->crowd.report.counts.failed,
			scenario->crowd.report.counts.error);
	return 0;
}

static int
connect_all(struct scenario *scenario)
{
	const struct options *options = scenario->options;

	say(scenario, "connecting %llu subscribers by %s to %s", (unsigned long long)options->subscribers,
		options_transport_text(options), options->target);
	mark(scenario, &scenario->unconnected);
	scenario->fleet.may_connect = true;
	fleet_pump(&scenario->fleet, clock_ns());
	if (!run_while_moving(scenario, options->connect_timeout_ns, is_connected))
		fleet_give_up(&scenario->fleet);
	mark(scenario, &scenario->connected);
	if (!scenario->fleet.open)
		return cannot(
			"no subscriber could connect to", options->target, scenario->fleet.counts.error);
	if (scenario->fleet.counts.failed)
		say(scenario, "%llu could not connect: %s", (unsigned long long)scenario->fleet.counts.failed,
			scenario->fleet.counts.error);
	load_connect(&scenario->load);
	loop_run(&scenario->loop, clock_ns() + options->connect_timeout_ns, has_publishers, scenario);
	if (!scenario->load.connected)
		return cannot("no publisher could connect to", options->target,
			*scenario->load.counts.error ? scenario->load.counts.error : "no answer");
	run_for(scenario, options->settle_ns);
	mark(scenario, &scenario->settled);
	return 0;
}

static void
listen_for_latency(struct scenario *scenario, struct histogram *to)
{
	if (!scenario->fleet.latency) {
		scenario->fleet.latency_from_ns = clock_ns();
		scenario->load.answer_from_ns = scenario->fleet.latency_from_ns;
	}
	scenario->fleet.latency = to;
}

static void
measure(struct scenario *scenario)
{
	const struct options *options = scenario->options;
	uint64_t limit = options->messages ? scenario->load.counts.sent + options->messages : UINT64_MAX;

	mark(scenario, &scenario->begun);
	listen_for_latency(scenario, options->crowd ? &scenario->before : &scenario->latency);
	load_start(&scenario->load, limit);
	load_pump(&scenario->load, clock_ns());
	if (options->messages) {
		run_while_moving(scenario, options->drain_ns, is_all_sent);
	} else if (options->crowd) {
		run_for(scenario, options->time_ns / 2);
		say(scenario, "now the crowd %s",
			options->crowd_act == CROWD_LEAVES   ? "leaves"
			: options->crowd_act == CROWD_STALLS ? "stalls"
							     : "arrives");
		listen_for_latency(scenario, &scenario->latency);
		crowd_act(&scenario->crowd, options);
		/* Arriving takes as long as it takes; quiet time behind it would only hide what it does to
		 * others. */
		if (options->crowd_act == CROWD_ARRIVES)
			loop_run(&scenario->loop, UINT64_MAX, has_crowd_arrived, scenario);
		else
			run_for(scenario, options->time_ns / 2);
	} else {
		run_for(scenario, options->time_ns);
	}
	mark(scenario, &scenario->ended);
}

static void
publish_and_check(struct scenario *scenario)
{
	const struct options *options = scenario->options;

	loop_set_lazy(&scenario->loop, options->lazy_us * NS_PER_US);
	if (options->warm_up_ns) {
		say(scenario, "warming up for %.1f s", seconds(options->warm_up_ns));
		load_start(&scenario->load, UINT64_MAX);
		load_pump(&scenario->load, clock_ns());
		run_for(scenario, options->warm_up_ns);
	}
	if (options->messages)
		say(scenario, "measuring %llu messages", (unsigned long long)options->messages);
	else
		say(scenario, "measuring for %.1f s", seconds(options->time_ns));
	measure(scenario);
	load_stop(&scenario->load);
	/* A number of messages has been waited for already. */
	if (!options->messages || scenario->is_interrupted)
		run_while_moving(scenario, options->drain_ns, is_settled);
	crowd_finish(&scenario->crowd);
	loop_run(&scenario->loop, UINT64_MAX, has_crowd_reported, scenario);
	run_for(scenario, options->hold_ns);
	mark(scenario, &scenario->held);
	fleet_verify(&scenario->fleet);
}

int
scenario_run(struct scenario *scenario, struct options *options)
{
	scenario->options = options;
	catch_interrupt();
	if (prepare(scenario, options) || connect_crowd(scenario) || connect_all(scenario))
		return -1;
	publish_and_check(scenario);
	crowd_end(&scenario->crowd);
	return 0;
}

void
scenario_fini(struct scenario *scenario)
{
	crowd_end(&scenario->crowd);
	load_fini(&scenario->load);
	fleet_fini(&scenario->fleet);
	loop_fini(&scenario->loop);
	streams_destroy(scenario->streams);
	payload_fini(&scenario->payload);
	tls_fini(&scenario->tls);
}

static uint64_t
wrong_deliveries(const struct fleet_counts *counts)
{
	return counts->lost + counts->duplicates + counts->late + counts->other_order + counts->damaged +
	       counts->misrouted;
}

uint64_t
scenario_faults(const struct scenario *scenario)
{
	const struct fleet_counts *fleet = &scenario->fleet.counts, *crowd = &scenario->crowd.report.counts;
	const struct load_counts *load = &scenario->load.counts;
	uint64_t faults = wrong_deliveries(fleet) + wrong_deliveries(crowd) + fleet->failed + crowd->failed +
			  fleet->error_events + load->refused + load->unanswered + load->wrong_counts;

	faults += fleet->closed - fleet->closed_announced;
	/* Being closed is what those that stall are there for. */
	if (scenario->options->crowd_act != CROWD_STALLS)
		faults += crowd->closed - crowd->closed_announced;
	return faults + scenario->is_cut_short + (scenario->load.dead > 0);
}
