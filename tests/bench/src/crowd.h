/*
 * crowd.h - subscribers beside the measured ones, in a process of their own.
 *
 * What ten thousand clients do at once must not be done by the process whose clock measures the others:
 * closing them one by one would delay its own reading.  So the crowd is forked off.  To leave, it is killed,
 * and the kernel closes all its sockets; to arrive or to stall, it is told to over a socket pair.  It answers
 * pings and checks messages like everybody, and reports at the end.  Its descriptors come on top of those of
 * the tool.
 */
#ifndef BENCH_CROWD_H
#define BENCH_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fleet.h"

struct crowd_report {
	uint64_t count, open;
	struct fleet_counts counts;
	uint64_t connect_ns; /* first start to last opening */
	uint64_t connect_p99_ns;
};

struct crowd {
	struct handler handler; /* the first member */
	struct loop *loop;
	pid_t id; /* 0: there is none */
	int fd;
	bool has_reported; /* since the last order */
	struct crowd_report report;
};

/*
 * crowd_start - fork, and unless it is to arrive later, connect.
 *
 * To be called before the loop has descriptors.  crowd_has_reported() tells when it is connected.
 */
int crowd_start(struct crowd *crowd, const struct options *options, const struct payload *payload,
	struct streams *streams, const struct target *target);

/* crowd_watch - let the loop read its reports. */
int crowd_watch(struct crowd *crowd, struct loop *loop);

bool crowd_has_reported(const struct crowd *crowd);

/* crowd_act - let it leave, stall or arrive, now. */
void crowd_act(struct crowd *crowd, const struct options *options);

/* crowd_finish - let those that stalled read on, check and report. */
void crowd_finish(struct crowd *crowd);

/* crowd_end - make sure that it is gone. */
void crowd_end(struct crowd *crowd);

#endif
