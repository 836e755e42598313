/*
 * exporter.h - sends batches of spans to the collector, by OTLP/HTTP.
 *
 *   batch ─▶ address of the collector ─▶ connect ─▶ POST ─▶ answer ─▶ taken
 *     ▲             └────────────┴─────────┴────────┴──┬──▶ refused: failed
 *     └───────── a pause that doubles, or Retry-After ◀┘ no answer, 429, 502, 503, 504
 *
 * Nothing here waits: calls are loop/http_client.h's, by HTTP or HTTPS, and one batch at a time is on its way.  A collector that is slow, dead or
 * speaks nonsense costs spans, which the tracer drops once its batches are full.
 *
 * Each batch has a connection of its own, one a second at least: behind a name with several collectors they
 * share the work, and there is no idle connection that may be dead without our knowing.
 */
#ifndef PUSH_TRACE_EXPORTER_H
#define PUSH_TRACE_EXPORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/log_level.h"
#include "core/options.h"
#include "trace/tracer.h"

struct push_exporter;

/*
 * push_exporter_create - NULL when memory or descriptors are out.
 *
 * @options: checked, with a push.trace.url.  @tracer: borrowed, must outlive it.
 * @log: called with a line for each change from good to bad and back.
 */
struct push_exporter *
push_exporter_create(const struct push_options *options, struct push_tracer *tracer, uint64_t seed,
	void (*log)(void *context, enum push_log_level level, const char *line), void *context);

/* push_exporter_destroy - what has not been sent has failed.  NULL is allowed. */
void
push_exporter_destroy(struct push_exporter *exporter);

/* push_exporter_fd - readable when push_exporter_ready() has something to do. */
int
push_exporter_fd(const struct push_exporter *exporter);

void
push_exporter_ready(struct push_exporter *exporter, uint64_t now_us);

/* push_exporter_tick - begin what is due, give up what takes too long.  To be called every PUSH_TICK_US. */
void
push_exporter_tick(struct push_exporter *exporter, uint64_t now_us);

/*
 * push_exporter_finish - nothing else will come: send everything now.
 *
 * Returns whether that is still going on; after PUSH_TRACE_LAST_US from the first call it is over in any
 * case.
 */
bool
push_exporter_finish(struct push_exporter *exporter, uint64_t now_us);

#endif
