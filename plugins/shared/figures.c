/*
 * figures.c - what the segment takes, for the budget (core/memory.h) and for metrics; and what is too old is freed.
 *
 * What is kept is shared: each worker is charged its part of it.  Of all that have the segment the first one reports its
 * figures, and frees, or each would count once for every worker.
 */
#include "core/memory.h"
#include "core/stats.h"
#include "shared/shared_private.h"

static struct push_account *
account(struct shared_engine *engine, enum push_memory_use use)
{
	return &push_hub_memory(engine->hub)->accounts[use];
}

static void
charge(struct shared_engine *engine, const struct push_segment_figures *figures)
{
	uint64_t workers = figures->attached ? figures->attached : 1;
	uint64_t history = figures->history_bytes / workers, values = figures->value_bytes / workers;

	push_account_change(account(engine, PUSH_MEMORY_HISTORY), engine->history_share, history);
	push_account_change(account(engine, PUSH_MEMORY_VALUES), engine->values_share, values);
	engine->history_share = history;
	engine->values_share = values;
}

static bool
is_first(const struct shared_engine *engine)
{
	return !(push_segment_attached(engine->segment) & ((1ull << engine->slot) - 1));
}

static void
report(struct shared_engine *engine, const struct push_segment_figures *figures)
{
	bool was_reporter = engine->is_reporter;

	engine->is_reporter = is_first(engine);
	if (engine->is_reporter)
		push_hub_set_history_figures(engine->hub, figures->history_messages, figures->history_bytes,
			was_reporter ? figures->history_dropped - engine->dropped : 0);
	else if (was_reporter)
		push_hub_set_history_figures(engine->hub, 0, 0, 0);
	engine->dropped = figures->history_dropped;
}

/* Reading looks at the time, this only frees. */
static void
expire(struct shared_engine *engine)
{
	if (!engine->is_reporter || engine->is_unavailable || !shared_lock(engine))
		return;
	push_segment_expire(
		engine->segment, &engine->expire_bucket, PUSH_SHARED_EXPIRE_BUCKETS, shared_time(engine));
	push_segment_values_expire(engine->segment, PUSH_SHARED_EXPIRE_VALUES, shared_time(engine));
	shared_unlock(engine);
}

/* Of a small budget values take no more than a quarter (core/values.c): so much more than that they may have for a
 * moment. */
static void
limit_values(struct shared_engine *engine)
{
	uint64_t quarter = push_hub_memory(engine->hub)->bytes_max / 4;
	uint64_t over = engine->values_share > quarter ? engine->values_share - quarter : 0;
	struct push_segment_figures figures;

	if (!over || !shared_lock(engine))
		return;
	push_segment_figures(engine->segment, &figures);
	push_segment_values_limit(engine->segment, figures.value_bytes - over, UINT32_MAX);
	shared_unlock(engine);
	push_segment_figures(engine->segment, &figures);
	charge(engine, &figures);
}

void
shared_figures_update(struct push_engine *base)
{
	struct shared_engine *engine = shared_of(base);
	struct push_segment_figures figures;

	push_segment_figures(engine->segment, &figures);
	charge(engine, &figures);
	limit_values(engine);
	report(engine, &figures);
}

void
shared_figures_tick(struct shared_engine *engine)
{
	expire(engine);
	shared_figures_update(&engine->engine);
	if (engine->now_us < engine->figures_us)
		return;
	engine->figures_us = engine->now_us + PUSH_SHARED_FIGURES_US;
	push_hub_trim_history(engine->hub);
}

size_t
shared_figures_relieve(void *context, size_t max)
{
	struct shared_engine *engine = context;
	struct push_segment_figures figures;
	size_t count = 0;

	while (count < max && push_memory_gives(push_hub_memory(engine->hub), 1u << PUSH_MEMORY_HISTORY)) {
		size_t some = 0;

		if (!engine->is_reading && shared_lock(engine)) {
			some = push_segment_relieve(engine->segment, PUSH_SHARED_RELIEVE_MESSAGES);
			shared_unlock(engine);
		}
		if (!some)
			break;
		count += some;
		push_segment_figures(engine->segment, &figures);
		charge(engine, &figures);
	}
	return count;
}

void
shared_figures_fini(struct shared_engine *engine)
{
	const struct push_segment_figures none = {.attached = 1};

	charge(engine, &none);
	if (engine->is_reporter)
		push_hub_set_history_figures(engine->hub, 0, 0, 0);
}

/* The same whichever worker answers. */
static void
render(const struct push_segment_figures *figures, uint64_t behind, struct push_buf *to)
{
	const struct {
		const char *name, *type, *help;
		uint64_t value;
	} rows[] = {
		{"push_broker_memory_bytes", "gauge",
			"Size of the memory that the embedded broker shares with its workers.",
			figures->bytes},
		{"push_broker_behind_messages", "gauge",
			"Messages in this memory that its slowest worker has not read yet.", behind},
		{"push_broker_values", "gauge",
			"Values kept by name: answers by Idempotency-Key, positions of named clients.",
			figures->values},
		{"push_broker_overruns_total", "counter",
			"Times that a worker was too slow and missed messages of the others.",
			figures->overruns},
		{"push_broker_wakes_total", "counter", "Times that a worker woke another one for a message.",
			figures->wakes},
		{"push_broker_repairs_total", "counter",
			"Times that this memory was repaired because a worker ended while it wrote.",
			figures->repairs},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		push_stats_render_single(to, rows[i].name, rows[i].type, rows[i].help, rows[i].value);
}

void
shared_figures_render(const struct push_engine *base, struct push_buf *to)
{
	const struct shared_engine *engine = (const struct shared_engine *)base;
	struct push_segment_figures figures;

	push_segment_figures(engine->segment, &figures);
	render(&figures, push_segment_behind(engine->segment), to);
}
