/* relief.c - see relief.h. */
#include <malloc.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/cgroup.h"
#include "core/hub.h"
#include "core/limits.h"
#include "core/units.h"
#include "relief.h"

/* How often the heap is looked at: trimming takes about a millisecond for each 30 MB that are free. */
#define TRIM_INTERVAL_US 1000000ull

/* Of a connection, beside what is charged: the subscriber, its stream, its place in a channel. */
#define CONNECTION_BYTES 256

/* The control group's limit, or the machine's memory where there is none or a higher one. */
static uint64_t
read_available(void)
{
	uint64_t limit = cgroup_memory_max("");
	long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
	uint64_t bytes = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;

	if (limit && (!bytes || limit < bytes))
		return limit;
	return bytes ? bytes : PUSH_MEMORY_MAX;
}

void
push_relief_init(struct push_relief *relief, struct push_hub *hub, struct push_stats *stats, uint64_t budget,
	uint32_t worker_count)
{
	uint64_t bytes = push_budget_bytes(budget, read_available()) / worker_count;

	*relief = (struct push_relief){.hub = hub, .memory = push_hub_memory(hub), .stats = stats};
	push_memory_set_max(relief->memory, bytes < PUSH_BUDGET_BYTES_MIN ? PUSH_BUDGET_BYTES_MIN : bytes);
}

void
push_relief_run(struct push_relief *relief, const struct push_broker_sockets *sockets, uint64_t now_us)
{
	struct push_memory *memory = relief->memory;
	uint64_t *relieved = relief->stats->relieved;
	size_t clients, answers = 0, messages;

	memory->is_exhausted = false;
	if (!push_memory_is_short(memory))
		return;
	clients = push_hub_relieve_queues(relief->hub, now_us, PUSH_RELIEF_CLIENTS_MAX);
	if (sockets)
		answers = sockets->relieve(sockets->context, PUSH_RELIEF_CLIENTS_MAX);
	messages = push_hub_relieve_history(relief->hub, PUSH_RELIEF_MESSAGES_MAX);
	memory->is_exhausted = memory->bytes > memory->bytes_max && !clients && !answers && !messages;
	relieved[PUSH_RELIEF_CLIENTS] += clients;
	relieved[PUSH_RELIEF_ANSWERS] += answers;
	relieved[PUSH_RELIEF_HISTORY] += messages;
}

void
push_relief_tick(struct push_relief *relief, uint64_t connections, uint64_t now_us)
{
	uint64_t in_use = relief->memory->bytes + connections * CONNECTION_BYTES;

	if (in_use > relief->in_use_most)
		relief->in_use_most = in_use;
	if (now_us < relief->trim_due_us)
		return;
	relief->trim_due_us = now_us + TRIM_INTERVAL_US;
	if (relief->in_use_most - in_use < PUSH_TRIM_BYTES_MIN)
		return;
	relief->in_use_most = in_use;
#ifdef __GLIBC__
	(void)malloc_trim(0);
#endif
}

void
push_relief_count(struct push_relief *relief)
{
	for (int use = 0; use < PUSH_MEMORY_USE_COUNT; use++)
		relief->stats->memory[use] = relief->memory->accounts[use].bytes;
	relief->stats->memory_max = relief->memory->bytes_max;
}
