/* bench_chart.h - the picture of push bench: what a machine holds, as an SVG that follows light and dark. */
#ifndef PUSH_CLI_BENCH_CHART_H
#define PUSH_CLI_BENCH_CHART_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

#define BENCH_CHART_BYTES_MAX (64u * 1024)

/* Other programs that take more than this make figures doubtful. */
#define BENCH_OTHERS_CORES_MAX 0.2

/* What one scenario has shown. */
struct bench_result {
	const char *name;
	bool is_idle;                 /* one message only: its rates are not drawn */
	double publishes, deliveries; /* a second */
	double half_ms, most_ms;      /* half, and 99 %, of the messages took no longer */
	double cores, faults;
};

struct bench_picture {
	const char *server; /* HOST:PORT */
	bool is_here;       /* on this machine */
	double clients;     /* that were connected at once */
	double connects;    /* a second */
	double bytes_each;  /* of the server's memory; 0: not known */
	double steady_ms;   /* 99 % of the messages that are published one at a time */
	double others;      /* cores that other programs took */
	const struct bench_result *results;
	size_t count;
};

/* bench_chart_draw - append the picture; `to` may hold BENCH_CHART_BYTES_MAX. */
void
bench_chart_draw(const struct bench_picture *picture, struct push_buf *to);

/* bench_chart_number - 1234567.8 as 1,234,568; small ones that are not whole with a decimal or two. */
const char *
bench_chart_number(double value, char *to, size_t size);

#endif
