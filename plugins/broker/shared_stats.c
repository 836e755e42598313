/* shared_stats.c - see shared_stats.h. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared_stats.h"

#define VARIABLE    "PUSHD_STATS" /* "FD SLOT NUMBER" */
#define LAYOUT_MARK 0x50755374u   /* "PuSt" */

/* pushd and the plugin are built together, but may be of two installations. */
struct layout {
	uint32_t mark, counts_bytes, rankings_bytes, unused;
	uint64_t slot_count;
	double start_time_s;              /* of the first worker; 0: none yet */
	uint64_t restarts;                /* counted by pushd */
	uint64_t log_lines_dropped;       /* by pushd */
	uint32_t log_level, worker_count; /* of one generation */
	uint64_t rankings_asked_us;       /* by the monotonic clock, which is one for all processes */
};

/*
 * What a worker writes while others read: the sequence is odd meanwhile, and another one afterwards, so that
 * a reader knows that it has read a mixture.
 */
struct shared_ranking {
	uint32_t sequence, unused;
	uint64_t found_us; /* 0: none */
	struct push_ranking ranking;
};

struct memory {
	struct layout layout;
	struct push_counts slots[];
};

struct push_shared_stats {
	struct memory *memory;
	size_t bytes, slot; /* slot: of a worker */
	int fd;             /* -1: mapped only */
};

_Static_assert(sizeof(struct push_stats) % sizeof(uint64_t) == 0, "counters only, each of 64 bits");
_Static_assert(sizeof(struct push_redis_stats) % sizeof(uint64_t) == 0, "counters only, each of 64 bits");
_Static_assert(
	sizeof(struct push_counts) % _Alignof(struct shared_ranking) == 0, "rankings follow the slots");

static size_t
bytes_of(size_t slot_count)
{
	return sizeof(struct memory) +
	       slot_count * (sizeof(struct push_counts) + sizeof(struct shared_ranking));
}

/* One for each slot, behind the last of them. */
static struct shared_ranking *
rankings_of(struct memory *memory)
{
	return (struct shared_ranking *)(void *)(memory->slots + memory->layout.slot_count);
}

/* Takes the descriptor over. */
static struct push_shared_stats *
map(int fd, size_t bytes)
{
	struct push_shared_stats *shared = calloc(1, sizeof(*shared));
	void *memory = shared ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (memory == MAP_FAILED) {
		free(shared);
		close(fd);
		return NULL;
	}
	*shared = (struct push_shared_stats){.memory = memory, .bytes = bytes, .fd = fd};
	return shared;
}

struct push_shared_stats *
push_shared_stats_create(size_t slot_count)
{
	int fd = memfd_create("push-stats", MFD_CLOEXEC);
	struct push_shared_stats *shared;

	if (fd < 0)
		return NULL;
	if (ftruncate(fd, (off_t)bytes_of(slot_count))) {
		close(fd);
		return NULL;
	}
	shared = map(fd, bytes_of(slot_count));
	if (shared)
		shared->memory->layout = (struct layout){.mark = LAYOUT_MARK,
			.counts_bytes = sizeof(struct push_counts),
			.rankings_bytes = sizeof(struct shared_ranking),
			.slot_count = slot_count};
	return shared;
}

void
push_shared_stats_destroy(struct push_shared_stats *shared)
{
	if (!shared)
		return;
	munmap(shared->memory, shared->bytes);
	if (shared->fd >= 0)
		close(shared->fd);
	free(shared);
}

void
push_shared_stats_give(const struct push_shared_stats *shared, size_t slot, unsigned int number)
{
	char text[64];

	(void)fcntl(shared->fd, F_SETFD, 0); /* of this process only: it stays open over exec */
	snprintf(text, sizeof(text), "%d %zu %u", shared->fd, slot, number);
	(void)setenv(VARIABLE, text, 1);
}

uint32_t *
push_shared_stats_log_level(struct push_shared_stats *shared)
{
	return &shared->memory->layout.log_level;
}

void
push_shared_stats_set_workers(struct push_shared_stats *shared, uint32_t count)
{
	shared->memory->layout.worker_count = count;
}

uint32_t
push_shared_stats_workers(const struct push_shared_stats *shared)
{
	uint32_t count = shared->memory->layout.worker_count;

	return count ? count : 1;
}

bool
push_shared_stats_accepts(const struct push_shared_stats *shared, char why[PUSH_TROUBLE_BYTES_MAX])
{
	size_t workers = 0;

	*why = '\0';
	for (size_t i = 0; i < shared->memory->layout.slot_count; i++) {
		const struct push_counts *one = &shared->memory->slots[i];

		if (!one->number)
			continue;
		workers++;
		if (one->stats.broker_up)
			continue;
		/* the worker may be writing it: at worst two texts are mixed */
		memcpy(why, one->trouble, PUSH_TROUBLE_BYTES_MAX);
		why[PUSH_TROUBLE_BYTES_MAX - 1] = '\0';
		for (char *p = why; *p; p++)
			if ((unsigned char)*p < ' ' || *p == 127)
				*p = '?';
		return false;
	}
	return workers > 0;
}

static void
clear_gauges(struct push_counts *counts)
{
	struct push_redis_stats *redis = &counts->redis;

	for (int i = 0; i < PUSH_ENCODING_COUNT; i++)
		counts->stats.by_encoding[i].connections = 0;
	counts->stats.channels = counts->stats.subscriptions = counts->stats.outbox_bytes = 0;
	counts->stats.history_bytes = counts->stats.history_messages = 0;
	memset(counts->stats.memory, 0, sizeof(counts->stats.memory));
	counts->stats.memory_max = counts->stats.paused = 0;
	counts->stats.hook_calls = counts->stats.hook_waiting = counts->stats.hook_answers = 0;
	counts->stats.jwks_set_s = 0;
	counts->stats.certificate_expiry_s = counts->stats.certificates_stale = 0;
	counts->trouble[0] = '\0';
	counts->stats.unacknowledged = counts->stats.broker_up = counts->stats.draining = 0;
	redis->nodes = redis->nodes_up = redis->channels = redis->channels_live = 0;
	redis->commands = redis->publishes_waiting = redis->peers = redis->resubscribe_us = 0;
	counts->process = (struct push_process){.cpu_s = counts->process.cpu_s};
}

void
push_shared_stats_ended(struct push_shared_stats *shared, size_t slot)
{
	struct shared_ranking *ranking = &rankings_of(shared->memory)[slot];

	clear_gauges(&shared->memory->slots[slot]);
	shared->memory->slots[slot].number = 0;
	if (ranking->found_us)
		ranking->found_us = 0;
}

void
push_shared_stats_restarting(struct push_shared_stats *shared)
{
	shared->memory->layout.restarts++;
}

void
push_shared_stats_set_dropped_lines(struct push_shared_stats *shared, uint64_t count)
{
	__atomic_store_n(&shared->memory->layout.log_lines_dropped, count, __ATOMIC_RELAXED);
}

/* What the environment says, if it is of this version, and the slot. */
static struct push_shared_stats *
map_given(unsigned int *ret_number)
{
	const char *text = getenv(VARIABLE);
	struct push_shared_stats *shared;
	const struct layout *layout;
	struct stat about;
	size_t slot;
	int fd;

	if (!text || sscanf(text, "%d %zu %u", &fd, &slot, ret_number) != 3 || fstat(fd, &about) ||
		about.st_size < (off_t)sizeof(struct layout))
		return NULL;
	shared = map(fd, (size_t)about.st_size);
	if (!shared)
		return NULL;
	layout = &shared->memory->layout;
	if (layout->mark != LAYOUT_MARK || layout->counts_bytes != sizeof(struct push_counts) ||
		layout->rankings_bytes != sizeof(struct shared_ranking) || slot >= layout->slot_count ||
		shared->bytes < bytes_of(layout->slot_count)) {
		push_shared_stats_leave(shared);
		return NULL;
	}
	shared->slot = slot;
	return shared;
}

struct push_shared_stats *
push_shared_stats_join(struct push_counts **ret_mine)
{
	unsigned int number;
	struct push_shared_stats *shared = map_given(&number);
	struct push_counts *mine;

	if (!shared)
		return NULL;
	mine = &shared->memory->slots[shared->slot];
	clear_gauges(mine);
	mine->cpu_before_s = mine->process.cpu_s;
	mine->number = number;
	*ret_mine = mine;
	(void)unsetenv(VARIABLE); /* a second broker of this process counts for itself */
	return shared;
}

struct push_shared_stats *
push_shared_stats_inherit(size_t slot_count)
{
	unsigned int number;
	struct push_shared_stats *shared = map_given(&number);

	(void)unsetenv(VARIABLE);
	if (shared && shared->memory->layout.slot_count == slot_count) {
		(void)fcntl(shared->fd, F_SETFD, FD_CLOEXEC);
		return shared;
	}
	push_shared_stats_leave(shared);
	return NULL;
}

uint64_t *
push_shared_stats_rankings_asked(struct push_shared_stats *shared)
{
	return &shared->memory->layout.rankings_asked_us;
}

/* One that had the slot before may have died while it wrote: odd means that this one writes, too. */
void
push_shared_stats_put_ranking(
	struct push_shared_stats *shared, const struct push_ranking *ranking, uint64_t now_us)
{
	struct shared_ranking *mine = &rankings_of(shared->memory)[shared->slot];
	uint32_t writing = mine->sequence | 1;

	__atomic_store_n(&mine->sequence, writing, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	mine->ranking = *ranking;
	mine->found_us = now_us;
	__atomic_store_n(&mine->sequence, writing + 1, __ATOMIC_RELEASE);
}

static bool
read_ranking(const struct shared_ranking *from, struct shared_ranking *ret)
{
	uint32_t before = __atomic_load_n(&from->sequence, __ATOMIC_ACQUIRE);

	*ret = *from;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return !(before & 1) && __atomic_load_n(&from->sequence, __ATOMIC_RELAXED) == before;
}

bool
push_shared_stats_add_rankings(
	const struct push_shared_stats *shared, uint64_t since_us, struct push_ranking *to)
{
	const struct memory *memory = shared->memory;
	struct shared_ranking one;
	bool has_all = true;

	for (size_t i = 0; i < memory->layout.slot_count; i++) {
		if (!memory->slots[i].number)
			continue;
		if (read_ranking(&rankings_of(shared->memory)[i], &one) && one.found_us >= since_us)
			push_ranking_merge(to, &one.ranking);
		else
			has_all = false;
	}
	return has_all;
}

void
push_shared_stats_leave(struct push_shared_stats *shared)
{
	push_shared_stats_destroy(shared);
}

void
push_counts_set_process(struct push_counts *counts, const struct push_process *now)
{
	double cpu_s = counts->cpu_before_s + now->cpu_s;

	counts->process = *now;
	counts->process.cpu_s = cpu_s;
}

/* Structs of nothing but 64-bit integers. */
static void
add_words(void *to, const void *from, size_t bytes)
{
	const uint64_t *words = from;
	uint64_t *sums = to;

	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		sums[i] += __atomic_load_n(&words[i], __ATOMIC_RELAXED);
}

static void
keep_most(uint64_t *most, uint64_t value)
{
	if (value > *most)
		*most = value;
}

static void
add_process(struct push_process *sum, const struct push_process *one)
{
	sum->resident_bytes += one->resident_bytes;
	sum->open_files += one->open_files;
	sum->open_files_max += one->open_files_max;
	sum->direct_connections += one->direct_connections;
	sum->cpu_s += one->cpu_s;
	if (one->now_s > sum->now_s)
		sum->now_s = one->now_s;
	if (one->open_files_ratio > sum->open_files_ratio)
		sum->open_files_ratio = one->open_files_ratio;
	if (one->start_time_s > 0 && (sum->start_time_s <= 0 || one->start_time_s < sum->start_time_s))
		sum->start_time_s = one->start_time_s;
}

void
push_shared_stats_sum(const struct push_shared_stats *shared, struct push_counts *ret)
{
	struct layout *layout = &shared->memory->layout;
	uint64_t nodes = 0, peers = 0, resubscribe_us = 0, nodes_up = UINT64_MAX, broker_up = 1, workers = 0,
		 jwks_set_s = UINT64_MAX, expiry_s = UINT64_MAX, stale = 0;

	*ret = (struct push_counts){0};
	for (size_t i = 0; i < layout->slot_count; i++) {
		const struct push_counts *one = &shared->memory->slots[i];

		add_words(&ret->stats, &one->stats, sizeof(one->stats));
		add_words(&ret->redis, &one->redis, sizeof(one->redis));
		add_process(&ret->process, &one->process);
		keep_most(&nodes, one->redis.nodes);
		keep_most(&peers, one->redis.peers);
		keep_most(&resubscribe_us, one->redis.resubscribe_us);
		if (!one->number)
			continue;
		workers++;
		broker_up &= one->stats.broker_up;
		if (one->stats.jwks_set_s < jwks_set_s)
			jwks_set_s = one->stats.jwks_set_s;
		if (one->stats.certificate_expiry_s && one->stats.certificate_expiry_s < expiry_s)
			expiry_s = one->stats.certificate_expiry_s;
		keep_most(&stale, one->stats.certificates_stale);
		if (one->redis.nodes_up < nodes_up)
			nodes_up = one->redis.nodes_up;
	}
	ret->stats.broker_up = workers && broker_up;
	ret->stats.jwks_set_s = workers ? jwks_set_s : 0;
	ret->stats.certificate_expiry_s = expiry_s == UINT64_MAX ? 0 : expiry_s;
	ret->stats.certificates_stale = stale;
	ret->stats.log_lines_dropped += __atomic_load_n(&layout->log_lines_dropped, __ATOMIC_RELAXED);
	ret->redis.nodes = nodes;
	ret->redis.nodes_up = nodes_up == UINT64_MAX ? 0 : nodes_up;
	ret->redis.peers = peers;
	ret->redis.resubscribe_us = resubscribe_us;
	/* a reload is no restart: counters go on, and so does this */
	if (layout->start_time_s <= 0)
		layout->start_time_s = ret->process.start_time_s;
	else
		ret->process.start_time_s = layout->start_time_s;
}

/* Clients of the worker of that number: of two while one takes the other's place. */
static bool
count_clients(const struct memory *memory, uint64_t number, uint64_t *ret)
{
	bool found = false;

	*ret = 0;
	for (size_t i = 0; i < memory->layout.slot_count; i++) {
		const struct push_counts *one = &memory->slots[i];

		if (one->number != number)
			continue;
		found = true;
		for (int e = 0; e < PUSH_ENCODING_COUNT; e++)
			*ret += one->stats.by_encoding[e].connections;
	}
	return found;
}

void
push_shared_stats_render(const struct push_shared_stats *shared, struct push_buf *to)
{
	const struct memory *memory = shared->memory;
	uint64_t count = 0, clients;

	for (size_t i = 0; i < memory->layout.slot_count; i++)
		count += memory->slots[i].number != 0;
	push_buf_printf(to,
		"# HELP push_workers Worker processes, including those that drain.\n"
		"# TYPE push_workers gauge\npush_workers %" PRIu64 "\n"
		"# HELP push_worker_restarts_total Workers started again because they had ended unexpectedly "
		"or had not started.\n"
		"# TYPE push_worker_restarts_total counter\npush_worker_restarts_total %" PRIu64 "\n"
		"# HELP push_worker_connections Clients of each worker now.\n"
		"# TYPE push_worker_connections gauge\n",
		count, memory->layout.restarts);
	for (uint64_t number = 1; number <= memory->layout.slot_count; number++)
		if (count_clients(memory, number, &clients))
			push_buf_printf(to, "push_worker_connections{worker=\"%" PRIu64 "\"} %" PRIu64 "\n",
				number, clients);
}
