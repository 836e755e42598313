/*
 * options.h - what is to be done: one table (options.c), from which --help is made.
 */
#ifndef RECONCILE_OPTIONS_H
#define RECONCILE_OPTIONS_H

#include <stdint.h>

#define OPTIONS_TARGETS_MAX 16

enum ids { IDS_AUTO, IDS_ON, IDS_OFF };
enum counts_choice { COUNTS_OFF, COUNTS_END, COUNTS_ALL };
enum publisher_choice { PUBLISHERS_KEEP_ALIVE, PUBLISHERS_ONCE, PUBLISHERS_BOTH };
enum transport_choice { CHOICE_BOTH, CHOICE_WS, CHOICE_SSE };

/* Numbers are all of one type, so that the table can point at them. */
struct options {
	const char *targets[OPTIONS_TARGETS_MAX];
	const char *channel_name, *json;
	uint64_t target_count;
	uint64_t clients, channels, channels_max, rate, size, connecting, seed;
	uint64_t transports, ids, publishers; /* enum transport_choice, ids, publisher_choice */
	uint64_t is_strict, no_gaps, counts;  /* counts: enum counts_choice */
	uint64_t time_ns, away_ns, stay_ns, settle_ns, silence_ns, overlap_ns;
	uint64_t storm, has_storm;
	const char *server_pid;
	uint64_t violations;
};

/*
 * options_parse - defaults, then the command line's.
 *
 * Ends the program after --help (0) and after an error (2), which it names.
 */
void
options_parse(struct options *ret_options, int argc, char **argv);

#endif
