/*
 * scenario.h - one run from the first connection to the last check, and all that was found.
 *
 *   connect ─ settle ─ warm up ─ measure (half time: the crowd acts) ─ drain ─ hold ─ check
 *
 * Server and tool are looked at between phases; what happens between two looks is what the report tells.
 */
#ifndef BENCH_SCENARIO_H
#define BENCH_SCENARIO_H

#include "crowd.h"
#include "fleet.h"
#include "load.h"
#include "process.h"

/* What had happened and been used by a moment. */
struct mark {
	uint64_t at_ns;
	struct process_sample server;
	double own_cpu_s, machine_cpu_s;
	uint64_t sent, delivered, reads;
};

struct scenario {
	const struct options *options;
	struct process_list server;
	struct target target, publish_target;
	struct tls tls;
	char host[NET_HOST_BYTES_MAX]; /* of the target */
	struct payload payload;
	struct streams *streams;
	struct loop loop;
	struct fleet fleet;
	struct load load;
	struct crowd crowd;

	struct mark unconnected, connected,
		settled;          /* settled: when nothing moves, before the first message */
	struct mark begun, ended; /* of the measurement */
	struct mark held;         /* at the very end */
	bool is_interrupted, is_cut_short;

	/* Message latency; with a crowd, `before` is until it acts and `latency` from then on. */
	struct histogram latency, before;
	char note[200];             /* a limit that changed the order, or empty */
};

/*
 * scenario_run - do it.
 *
 * Returns 0 with everything in `scenario`, or -1 if it could not run, having said why on stderr.
 * The caller owes scenario_fini() in both cases.
 */
int scenario_run(struct scenario *scenario, struct options *options);

void scenario_fini(struct scenario *scenario);

/* scenario_faults - how many things went wrong: 0 is a clean run. */
uint64_t scenario_faults(const struct scenario *scenario);

#endif
