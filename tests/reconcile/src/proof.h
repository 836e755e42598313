/*
 * proof.h - the whole: clients, publishers, what was counted, and the phases.
 *
 *   connect all ─ publish, and cut off ─ let all come back ─ the last message of each channel ─ count
 *
 * or, with --storm
 *
 *   connect all ─ cut all off, and publish ─ let all come back at once ─ close the books
 *
 * The last messages are published again every two seconds until everybody has one: who was connected to a
 * server that was being replaced gets there in the end.  Then each channel is published to with wait=written until its answer counts all its clients,
 * for some that have left may still be counted.
 */
#ifndef RECONCILE_PROOF_H
#define RECONCILE_PROOF_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "net.h"
#include "numbers.h"
#include "options.h"
#include "process.h"
#include "publisher.h"

enum phase {
	PHASE_CONNECT,
	PHASE_PUBLISH,
	PHASE_GATHER,
	PHASE_LAST,
	PHASE_COUNT,
	PHASE_AWAY,
	PHASE_STORM,
	PHASE_OVER
};

struct counts {
	uint64_t clients, connections, failed, refused, cuts, ends, reconnect_events;
	uint64_t resumed, replayed, replayed_told; /* replayed: that had been published before it connected */
	uint64_t gaps, gaps_unknown, gaps_without_channel, gaps_superfluous;
	uint64_t told, told_late, excused, silent, duplicates, late, late_uncertain;
	uint64_t wrong_gaps, refused_gaps, damaged, without_id;
	uint64_t overlapped, abrupt, without_connection;
};

struct proof {
	const struct options *options;
	struct target targets[OPTIONS_TARGETS_MAX];
	struct loop loop;
	struct timer timer;
	enum phase phase;
	uint64_t begun_unix_ms;
	uint64_t begun_ns, phase_ns, progress_ns, round_ns;
	uint64_t seed;
	struct client *clients;
	struct publisher *publishers;
	uint32_t live, connecting, unfinished;
	bool has_ids, knows_ids;
	uint64_t violations; /* told in full so far */
	struct counts counts[TRANSPORTS];
	uint64_t published, acknowledged, uncertain, refused, publish_connections;
	uint64_t publish_failures; /* connections that were of no use */
	uint32_t uncounted;        /* channels whose clients are not counted rightly at the end */
	uint64_t too_few;          /* answers that counted fewer than got it at once */
	uint64_t ended_with_answer, ended_idle; /* keep-alive ones, by the server */
	uint32_t *asked_ms;                     /* when `reconnect` has come, to whomever */
	size_t asked_count, asked_capacity;
	struct process_list server;
	struct process_sample before_storm, after_storm;
	uint64_t storm_ns; /* how long it took */
	char first_refusal[160];
	char *scratch;
};

/* proof_random - evenly in [0, below). */
uint64_t
proof_random(struct proof *proof, uint64_t below);

/* proof_now_ms - since the beginning; one at least. */
uint32_t
proof_now_ms(const struct proof *proof);

/* proof_asked - a client was asked to reconnect. */
void
proof_asked(struct proof *proof);

/* proof_fail - the tool cannot go on; ends the program with 2. */
_Noreturn void
proof_fail(const char *what, const char *detail);

/* proof_run - returns whether all is well; the caller owes proof_fini(). */
bool
proof_run(struct proof *proof, const struct options *options);

void
proof_fini(struct proof *proof);

/* report_* - see report.c. */
void
report_progress(const struct proof *proof, uint64_t now_ns);
void
report_violation(struct client *client, uint32_t index, const struct finding *finding, const char *what);
void
report_written(struct proof *proof, const struct publisher *publisher);
void
report_count(struct proof *proof, uint32_t channel, uint32_t number);
void
report_table(const struct proof *proof);
void
report_json(const struct proof *proof, const char *path);
uint64_t
report_faults(const struct proof *proof);

#endif
