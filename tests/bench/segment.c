/*
 * segment.c - what the memory that workers share costs: no hub, no HTTP, no clients.
 *
 *   one process     two workers' views of it in turn: bare instructions
 *   two processes   the other one reads meanwhile: cache lines move
 *   wake            from before a message is appended until the other process, which slept in epoll_wait(2), has read it;
 *                   beside it, how long the same takes by the eventfd alone: what the kernel and the machine take
 *
 * Costs are CPU time of the thread, wakes are by the clock: their median says something on a busy machine, p99 does not.
 *
 * usage: bench_segment [COUNT]
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/options.h"
#include "segment/channels.h"
#include "segment/history.h"
#include "segment/lock.h"
#include "segment/log.h"
#include "segment/segment.h"
#include "segment/slots.h"

#define COUNT        60000
#define COUNT_MAX    100000 /* the log has room for 131,072 that a starved reader has not read */
#define BATCH        64     /* appended before they are read */
#define CHANNELS     1000
#define VALUE_BYTES  100
#define ROUNDS       5
#define WAKES        500
#define WAKE_APART   2000000 /* ns: the reader sleeps by then */
#define LOCK_WAIT_US 10000000

static const char *const channel_names[] = {"plain-%u", "kept-%u"};

struct worker {
	struct push_segment *segment;
	uint32_t hints[2][CHANNELS];
	struct push_buf item;
};

_Noreturn static void
die(const char *what)
{
	fprintf(stderr, "bench_segment: %s\n", what);
	exit(1);
}

static uint64_t
now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* CPU time of this thread, so that others on the machine are not counted. */
static uint64_t
cpu_ns(void)
{
	return now_ns(CLOCK_THREAD_CPUTIME_ID);
}

static uint64_t
time_us(const struct worker *worker)
{
	return push_segment_time(worker->segment, now_ns(CLOCK_MONOTONIC) / 1000);
}

static void
lock(struct worker *worker)
{
	if (push_segment_lock(worker->segment, LOCK_WAIT_US) != PUSH_OK)
		die("the lock cannot be had");
}

static void
join(struct worker *worker, unsigned int slot)
{
	const char node[] = {(char)('a' + slot), '\0'};

	push_buf_init(&worker->item, 1 << 20);
	push_segment_be(worker->segment, slot);
	lock(worker);
	if (push_segment_join(worker->segment, slot, node, now_ns(CLOCK_MONOTONIC) / 1000) != PUSH_OK)
		die("the slot is taken");
	push_segment_unlock(worker->segment);
}

static size_t
name_of(char *to, size_t size, bool is_kept, unsigned int number)
{
	/* one of two formats of this file, each with one number */
	return (size_t)(is_kept ? snprintf(to, size, channel_names[1], number)
				: snprintf(to, size, channel_names[0], number));
}

/* A client on each channel. */
static void
subscribe(struct worker *worker)
{
	for (unsigned int i = 0; i < 2 * CHANNELS; i++) {
		bool is_kept = i >= CHANNELS;
		char name[32];
		size_t size = name_of(name, sizeof(name), is_kept, i % CHANNELS);

		lock(worker);
		if (push_segment_set_count(worker->segment, name, size,
			    push_segment_hash(worker->segment, name, size), 1,
			    &worker->hints[is_kept][i % CHANNELS]) != PUSH_OK)
			die("no memory for a channel");
		push_segment_unlock(worker->segment);
	}
}

static void
publish(struct worker *worker, bool is_kept, unsigned int number, const char *value)
{
	char name[32];
	struct push_segment_published published;
	struct push_segment_message message = {
		.name = name,
		.name_size = name_of(name, sizeof(name), is_kept, number % CHANNELS),
		.value = value,
		.value_size = VALUE_BYTES,
		.hint = worker->hints[is_kept][number % CHANNELS],
		.history_size = is_kept ? 100 : 0,
		.history_ttl_us = 300000000,
	};
	uint64_t at_us = time_us(worker);

	message.hash = push_segment_hash(worker->segment, name, message.name_size);
	lock(worker);
	if (push_segment_publish(worker->segment, &message, at_us, &published) != PUSH_OK)
		die("a message was not taken");
	worker->hints[is_kept][number % CHANNELS] = published.channel;
	push_segment_unlock(worker->segment);
	push_segment_wake(worker->segment, published.others);
}

/* Returns how many were read until there are no more. */
static unsigned int
read_all(struct worker *worker, const char **ret_value)
{
	struct push_segment_item item;
	unsigned int count = 0;

	for (;;) {
		switch (push_segment_read(worker->segment, &worker->item, &item)) {
		case PUSH_SEGMENT_NOTHING: return count;
		case PUSH_SEGMENT_OVERRUN: die("the reader was too slow");
		case PUSH_SEGMENT_ITEM:
			if (ret_value)
				*ret_value = item.value;
			break;
		case PUSH_SEGMENT_OTHERS: break;
		}
		count++;
	}
}

/* Reads until `count` messages have come; sleeps meanwhile as a worker does.  Returns the CPU time. */
static uint64_t
read_count(struct worker *worker, unsigned int count)
{
	uint64_t begun_ns = cpu_ns(), woken;
	int epoll = epoll_create1(EPOLL_CLOEXEC), fd = push_segment_wake_fd(worker->segment);
	struct epoll_event event = {.events = EPOLLIN};
	unsigned int seen = 0;

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll");
	while (seen < count) {
		seen += read_all(worker, NULL);
		if (seen < count && push_segment_sleep(worker->segment)) {
			(void)epoll_wait(epoll, &event, 1, 10);
			(void)!read(fd, &woken, sizeof(woken));
			push_segment_awake(worker->segment);
		}
	}
	close(epoll);
	return cpu_ns() - begun_ns;
}

/* --- another process --- */

struct other {
	pid_t pid;
	int to, from; /* pipes */
};

static void
tell(int fd, uint64_t word)
{
	if (write(fd, &word, sizeof(word)) != (ssize_t)sizeof(word))
		die("the other process is gone");
}

static uint64_t
hear(int fd)
{
	uint64_t word;

	if (read(fd, &word, sizeof(word)) != (ssize_t)sizeof(word))
		die("the other process is gone");
	return word;
}

static int
compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

/* Told what it writes to the eventfd at, by the clock, or by the log: says how long ago that was. */
static void
be_woken(struct worker *worker, int from, int to)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), fd = push_segment_wake_fd(worker->segment);
	struct epoll_event event = {.events = EPOLLIN};
	const char *value = NULL;
	uint64_t word, written_ns;
	bool by_log = hear(from);

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll");
	(void)read_all(worker, NULL);
	for (unsigned int i = 0; i < WAKES;) {
		if (by_log && !push_segment_sleep(worker->segment))
			die("a message came before it was told");
		if (epoll_wait(epoll, &event, 1, -1) < 0 && errno != EINTR)
			die("epoll_wait");
		(void)!read(fd, &word, sizeof(word));
		if (!by_log) {
			tell(to, now_ns(CLOCK_MONOTONIC));
			i++;
			continue;
		}
		push_segment_awake(worker->segment);
		if (!read_all(worker, &value))
			continue;
		memcpy(&written_ns, value, sizeof(written_ns));
		tell(to, now_ns(CLOCK_MONOTONIC));
		i++;
	}
	close(epoll);
}

static void
live(struct worker *worker, const struct push_segment *parent, const int *fds, int from, int to,
	unsigned int count)
{
	struct push_error error;

	worker->segment = push_segment_attach(dup(push_segment_fd(parent)), &error);
	if (!worker->segment)
		die(error.text);
	push_segment_set_wakers(worker->segment, 1, fds);
	join(worker, 1);
	subscribe(worker);
	tell(to, 0);
	for (unsigned int i = 0; i < 2 * ROUNDS; i++) {
		(void)hear(from);
		tell(to, read_count(worker, count));
	}
	be_woken(worker, from, to);
	be_woken(worker, from, to);
	(void)hear(from);
	push_segment_leave(worker->segment);
	exit(0);
}

/* --- what is measured --- */

static void
print(const char *what, double *figures, size_t count, const char *unit)
{
	qsort(figures, count, sizeof(*figures), compare);
	printf("%-52s %8.1f %s   (%.1f to %.1f)\n", what, figures[count / 2], unit, figures[0],
		figures[count - 1]);
	fflush(stdout);
}

/* Two views, one process: what is appended is read in batches. */
static void
measure_alone(struct worker *one, struct worker *two, bool is_kept, unsigned int count)
{
	double publish_ns[ROUNDS] = {0}, read_ns[ROUNDS] = {0};
	char value[VALUE_BYTES] = {0};

	for (unsigned int round = 0; round < ROUNDS; round++) {
		for (unsigned int n = 0; n < count; n += BATCH) {
			uint64_t begun_ns = cpu_ns(), middle_ns;

			for (unsigned int i = 0; i < BATCH; i++)
				publish(one, is_kept, n + i, value);
			middle_ns = cpu_ns();
			publish_ns[round] += (double)(middle_ns - begun_ns) / count;
			(void)read_all(two, NULL);
			read_ns[round] += (double)(cpu_ns() - middle_ns) / count;
			(void)read_all(one, NULL);
		}
	}
	print(is_kept ? "one process: publish with history" : "one process: publish", publish_ns, ROUNDS,
		"ns");
	print(is_kept ? "one process: read what has history" : "one process: read", read_ns, ROUNDS, "ns");
}

static void
measure_lock(struct worker *worker, unsigned int count)
{
	double lock_ns[ROUNDS];

	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint64_t begun_ns = cpu_ns();

		for (unsigned int n = 0; n < count; n++) {
			lock(worker);
			push_segment_unlock(worker->segment);
		}
		lock_ns[round] = (double)(cpu_ns() - begun_ns) / count;
	}
	print("one process: take the lock and give it back", lock_ns, ROUNDS, "ns");
}

static void
measure_beside(struct worker *worker, const struct other *other, bool is_kept, unsigned int count)
{
	double publish_ns[ROUNDS], read_ns[ROUNDS];
	char value[VALUE_BYTES] = {0};

	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint64_t begun_ns, tail;

		tell(other->to, 0);
		begun_ns = cpu_ns();
		for (unsigned int n = 0; n < count; n++) {
			publish(worker, is_kept, n, value);
			tail = push_segment_tail(worker->segment);
			if (tail % 4096 == 0)
				(void)read_all(worker, NULL);
		}
		publish_ns[round] = (double)(cpu_ns() - begun_ns) / count;
		(void)read_all(worker, NULL);
		read_ns[round] = (double)hear(other->from) / count;
	}
	print(is_kept ? "two processes: publish with history" : "two processes: publish, the other one reads",
		publish_ns, ROUNDS, "ns");
	print(is_kept ? "two processes: read what has history" : "two processes: read, sleeps included",
		read_ns, ROUNDS, "ns");
}

static void
measure_wake(struct worker *worker, const struct other *other, int wake_fd, bool by_log)
{
	const struct timespec apart = {.tv_nsec = WAKE_APART};
	double wake_us[WAKES], median_us;
	char value[VALUE_BYTES] = {0};
	uint64_t one = 1;

	tell(other->to, by_log);
	for (unsigned int i = 0; i < WAKES; i++) {
		uint64_t begun_ns;

		nanosleep(&apart, NULL);
		begun_ns = now_ns(CLOCK_MONOTONIC);
		memcpy(value, &begun_ns, sizeof(begun_ns));
		if (by_log)
			publish(worker, false, i, value);
		else
			(void)!write(wake_fd, &one, sizeof(one));
		wake_us[i] = (double)(hear(other->from) - begun_ns) / 1e3;
		(void)read_all(worker, NULL);
	}
	qsort(wake_us, WAKES, sizeof(*wake_us), compare);
	median_us = wake_us[WAKES / 2];
	printf("%-52s %8.1f us   (p10 %.1f, p99 %.1f)\n",
		by_log ? "wake: publish until a sleeping worker has read it"
		       : "wake: the same by the eventfd alone",
		median_us, wake_us[WAKES / 10], wake_us[WAKES * 99 / 100]);
}

int
main(int argc, char **argv)
{
	const struct push_segment_settings settings = {.history_bytes_max = 64 << 20, .epoch = 1, .seed = 1};
	unsigned int count = argc > 1 ? (unsigned int)atoi(argv[1]) : COUNT;
	static struct worker one, two, alone;
	int there[2], back[2], fds[PUSH_SEGMENT_SLOTS_MAX];
	struct other other;
	struct push_error error;

	count -= count % BATCH;
	if (argc > 2 || !count || count > COUNT_MAX)
		die("usage: bench_segment [COUNT]");
	one.segment = push_segment_create(&settings, &error);
	if (!one.segment)
		die(error.text);
	for (size_t i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++)
		fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	push_segment_set_wakers(one.segment, 1, fds);
	join(&one, 0);
	if (pipe(there) || pipe(back))
		die("pipe");
	alone.segment = push_segment_attach(dup(push_segment_fd(one.segment)), &error);
	if (!alone.segment)
		die(error.text);
	push_segment_set_wakers(alone.segment, 1, fds);
	join(&alone, 2);
	subscribe(&alone);
	measure_lock(&one, count);
	measure_alone(&one, &alone, false, count);
	measure_alone(&one, &alone, true, count);
	push_segment_leave(alone.segment);

	other = (struct other){.pid = fork(), .to = there[1], .from = back[0]};
	if (!other.pid) {
		/* so that it ends when this process does */
		close(there[1]);
		close(back[0]);
		live(&two, one.segment, fds, there[0], back[1], count);
	}
	close(there[0]);
	close(back[1]);
	(void)hear(other.from);
	measure_beside(&one, &other, false, count);
	measure_beside(&one, &other, true, count);
	measure_wake(&one, &other, fds[1], false);
	measure_wake(&one, &other, fds[1], true);
	tell(other.to, 0);
	waitpid(other.pid, NULL, 0);
	push_segment_leave(one.segment);
	push_segment_detach(one.segment);
	return 0;
}
