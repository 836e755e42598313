/*
 * Many workers over one segment: threads that each have mapped it, threads that share one mapping (for
 * ThreadSanitizer, which tells memory by its address), and processes that are killed at any moment.
 *
 * What was published at which place is noted under the lock, outside of the segment: whatever a worker reads there
 * has to be that, and a place that it is not given must hold nothing for it.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#include "core/options.h"
#include "segment/channels.h"
#include "segment/history.h"
#include "segment/layout.h"
#include "segment/lock.h"
#include "segment/log.h"
#include "segment/repair.h"
#include "segment/segment.h"
#include "segment/slots.h"

#define WORKERS_MAX  32u
#define CHANNELS     12u
#define KEPT         3u /* channels below that have history */
#define HISTORY_SIZE 20u
#define SIZE_MAX_    3000u
#define TEXT_BYTES   256u
#define SUPERVISOR   PUSH_SEGMENT_SUPERVISOR

/* Enough on a machine with too much to do: a wake-up that has not come by then is lost. */
#define LONG_US 60000000ull

/* Of a worker that may be killed between an append and its wake-ups. */
#define TICK_MS 10

/* Less where each step takes longer. */
#if defined(WITH_TSAN) || defined(__SANITIZE_ADDRESS__)
#define SCALE 1
#define KILLS 30u
#else
#define SCALE 2
#define KILLS 60u
#endif

/* What may be published between two of them. */
#define PLACES_EACH 2000u

/* More than any test publishes. */
#define PLACES (1u << 18)

_Static_assert(KILLS *PLACES_EACH < PLACES, "enough");

#define LETTER (1ull << 63)

/* What is noted; all workers share it. */
struct notes {
	_Atomic uint64_t at[PLACES];                    /* who published, and its how manyeth */
	_Atomic uint32_t counts[WORKERS_MAX][CHANNELS]; /* subscribers */
	_Atomic uint64_t published[WORKERS_MAX];        /* how many by that slot, of all its processes */
	_Atomic uint64_t read, missed, resubscribed;
	_Atomic uint64_t upto; /* nobody publishes at that place or behind */
	_Atomic uint32_t joined;
	_Atomic uint32_t finished; /* workers that publish no more */
	_Atomic bool is_over;
	_Atomic bool has_failed;
	char failure[TEXT_BYTES];
};

struct setup {
	unsigned int workers;
	uint64_t messages; /* of each worker; 0: until it is over */
	uint32_t cells;
	bool are_killed, are_slow, do_repair;
};

struct worker {
	struct push_segment *segment;
	struct notes *notes;
	const struct setup *setup;
	pthread_t thread;
	unsigned int slot, seed;
	uint32_t counts[CHANNELS], hints[CHANNELS];
	uint64_t newest[KEPT]; /* number of the last message of a channel with history; 0: unknown */
	uint64_t incarnation;
	uint64_t ends; /* letters that say that somebody has finished */
	struct push_buf buf;
	struct push_buf scratch;
};

/* --- what fails is written down, for it may be in another process --- */

static void
fail_worker(struct worker *worker, const char *what, uint64_t one, uint64_t other)
{
	if (!atomic_exchange(&worker->notes->has_failed, true))
		snprintf(worker->notes->failure, TEXT_BYTES, "slot %u: %s (%" PRIu64 ", %" PRIu64 ")",
			worker->slot, what, one, other);
}

#define EXPECT(worker, condition, one, other)                                                                \
	do {                                                                                                 \
		if (!(condition))                                                                            \
			fail_worker(worker, #condition, (uint64_t)(one), (uint64_t)(other));                 \
	} while (0)

static bool
has_failed(const struct worker *worker)
{
	return atomic_load(&worker->notes->has_failed);
}

/* --- what a message is, from its number --- */

static uint64_t
scramble(uint64_t number)
{
	number = (number ^ (number >> 31)) * 0x9e3779b97f4a7c15ull;
	return number ^ (number >> 29);
}

static unsigned int
channel_of(uint64_t id)
{
	return (unsigned int)(scramble(id) % CHANNELS);
}

static size_t
size_of(uint64_t id)
{
	uint64_t draw = scramble(id + 1);

	return (size_t)(draw % 16 ? draw / 16 % 300 : draw / 16 % SIZE_MAX_);
}

/* A different byte nearly everywhere: halves of two messages are never one. */
static unsigned char
byte_at(uint64_t id, size_t at)
{
	return (unsigned char)(scramble(id ^ (at / 8)) >> (at % 8 * 8));
}

static void
make_value(uint64_t id, char *to)
{
	size_t size = size_of(id), i;

	for (i = 0; i < size; i++)
		to[i] = (char)byte_at(id, i);
}

static bool
is_value(uint64_t id, const char *value, size_t size)
{
	size_t i;

	if (size != size_of(id))
		return false;
	for (i = 0; i < size; i++)
		if (value[i] != (char)byte_at(id, i))
			return false;
	return true;
}

/* Some are longer than a block. */
static size_t
name_of(unsigned int channel, char *to)
{
	int size = snprintf(to, TEXT_BYTES, "channel-%u", channel);

	if (channel % 4 == 3)
		size = snprintf(to, TEXT_BYTES, "channel-%0150u", channel);
	return (size_t)size;
}

static uint64_t
clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static unsigned int
draw(struct worker *worker, unsigned int below)
{
	return (unsigned int)rand_r(&worker->seed) % below;
}

/* Of a killed one others take over. */
static void
lock(struct worker *worker)
{
	uint64_t since_us = clock_us();

	while (push_segment_lock(worker->segment, PUSH_SEGMENT_LOCK_WAIT_US))
		EXPECT(worker, clock_us() - since_us < LONG_US, clock_us(), since_us);
}

/* --- reading --- */

static _Atomic uint64_t *
note(const struct worker *worker, uint64_t seq)
{
	return &worker->notes->at[seq % PLACES];
}

/* History's numbers and what was before each. */
static void
check_number(struct worker *worker, unsigned int channel, const struct push_segment_item *item)
{
	if (channel >= KEPT) {
		EXPECT(worker, !item->number, item->number, channel);
		return;
	}
	EXPECT(worker, item->number > item->before, item->number, item->before);
	if (worker->newest[channel])
		EXPECT(worker, item->before == worker->newest[channel], item->before,
			worker->newest[channel]);
	/* what it publishes itself it reads also where it has not subscribed */
	worker->newest[channel] = worker->counts[channel] ? item->number : 0;
}

static void
check_item(struct worker *worker, uint64_t seq, const struct push_segment_item *item)
{
	uint64_t id = atomic_load_explicit(note(worker, seq), memory_order_relaxed);
	unsigned int channel = channel_of(id), slot = (unsigned int)(id >> 32) & 0x7f;
	char name[TEXT_BYTES];
	size_t size = name_of(channel, name);

	EXPECT(worker, item->seq == seq, item->seq, seq);
	EXPECT(worker, item->slot == slot, item->slot, slot);
	if (id & LETTER) {
		EXPECT(worker, item->verb == PUSH_SEGMENT_CALL, item->verb, id);
		EXPECT(worker, item->number == slot, item->number, slot);
		worker->ends++;
		return;
	}
	EXPECT(worker, item->verb == PUSH_SEGMENT_MESSAGE, item->verb, id);
	EXPECT(worker, item->name_size == size && !memcmp(item->name, name, size), seq, id);
	EXPECT(worker, is_value(id, item->value, item->value_size), seq, id);
	/* nobody is sent what it has not asked for, but what it has sent */
	EXPECT(worker, worker->counts[channel] || slot == worker->slot, channel, slot);
	check_number(worker, channel, item);
	atomic_fetch_add_explicit(&worker->notes->read, 1, memory_order_relaxed);
}

/* It was not given this one: it has not subscribed to its channel. */
static void
check_other(struct worker *worker, uint64_t seq)
{
	uint64_t id = atomic_load_explicit(note(worker, seq), memory_order_relaxed);

	EXPECT(worker, !(id & LETTER), seq, id);
	/* unless all has been forgotten, of which it is told */
	if (atomic_load(&worker->segment->header->incarnation) == worker->incarnation)
		EXPECT(worker, !worker->counts[channel_of(id)], seq, id);
}

/* False: all was read. */
static bool
read_one(struct worker *worker)
{
	struct push_segment_item item;
	uint64_t seq = push_segment_position(worker->segment), to;

	switch (push_segment_read(worker->segment, &worker->buf, &item)) {
	case PUSH_SEGMENT_NOTHING: return false;
	case PUSH_SEGMENT_OTHERS:
		EXPECT(worker, item.seq == seq, item.seq, seq);
		check_other(worker, seq);
		break;
	case PUSH_SEGMENT_ITEM: check_item(worker, seq, &item); break;
	case PUSH_SEGMENT_OVERRUN:
		EXPECT(worker, worker->setup->are_slow, seq, push_segment_tail(worker->segment));
		lock(worker);
		push_segment_catch_up(worker->segment);
		push_segment_unlock(worker->segment);
		to = push_segment_position(worker->segment);
		EXPECT(worker, to > seq, to, seq);
		atomic_fetch_add(&worker->notes->missed, to - seq);
		memset(worker->newest, 0, sizeof(worker->newest));
		return true;
	}
	to = push_segment_position(worker->segment);
	EXPECT(worker, to == seq + 1, to, seq);
	if (worker->setup->are_slow && !draw(worker, 64))
		usleep(200);
	return true;
}

static void
read_all(struct worker *worker)
{
	while (!has_failed(worker) && read_one(worker))
		continue;
}

/* --- subscribing --- */

/* With everything read, so that what it was counted for is what it reads. */
static void
lock_at_the_tail(struct worker *worker)
{
	for (;;) {
		read_all(worker);
		lock(worker);
		if (has_failed(worker) ||
			push_segment_position(worker->segment) == push_segment_tail(worker->segment))
			return;
		push_segment_unlock(worker->segment);
	}
}

/* Under the lock. */
static void
set_count(struct worker *worker, unsigned int channel, uint32_t count)
{
	char name[TEXT_BYTES];
	size_t size = name_of(channel, name);

	if (push_segment_set_count(worker->segment, name, size,
		    push_segment_hash(worker->segment, name, size), count, &worker->hints[channel]))
		fail_worker(worker, "no room for a channel", channel, count);
	atomic_store(&worker->notes->counts[worker->slot][channel], count);
	worker->counts[channel] = count;
	if (channel < KEPT)
		worker->newest[channel] = 0;
}

static void
change_subscription(struct worker *worker)
{
	unsigned int channel = draw(worker, CHANNELS);

	lock_at_the_tail(worker);
	set_count(worker, channel, worker->counts[channel] ? 0 : draw(worker, 5) + 1);
	push_segment_unlock(worker->segment);
}

/* All counts have been lost: they are said again. */
static void
subscribe_again(struct worker *worker)
{
	unsigned int channel;

	if (atomic_load(&worker->segment->header->incarnation) == worker->incarnation)
		return;
	lock_at_the_tail(worker);
	worker->incarnation = atomic_load(&worker->segment->header->incarnation);
	for (channel = 0; channel < CHANNELS; channel++)
		set_count(worker, channel, worker->counts[channel]);
	push_segment_unlock(worker->segment);
	atomic_fetch_add(&worker->notes->resubscribed, 1);
}

/* --- sleeping --- */

/* What comes wakes it; only whoever may have been killed before waking it is made up for by a tick. */
static void
sleep_until_woken(struct worker *worker)
{
	struct pollfd wake = {.fd = push_segment_wake_fd(worker->segment), .events = POLLIN};
	uint64_t count;
	int ready;

	if (!push_segment_sleep(worker->segment))
		return;
	ready = poll(&wake, 1, worker->setup->are_killed ? TICK_MS : (int)(LONG_US / 1000));
	if (ready == 1)
		(void)!read(wake.fd, &count, sizeof(count));
	else
		EXPECT(worker, worker->setup->are_killed, push_segment_position(worker->segment),
			push_segment_tail(worker->segment));
	push_segment_awake(worker->segment);
}

/* --- publishing --- */

static void
check_subscribers(struct worker *worker, unsigned int channel, const struct push_segment_published *published)
{
	uint64_t count = 0;
	unsigned int slot;

	for (slot = 0; slot < worker->setup->workers; slot++)
		count += atomic_load(&worker->notes->counts[slot][channel]);
	EXPECT(worker, published->subscribers == count, published->subscribers, count);
}

static void
publish_one(struct worker *worker)
{
	_Atomic uint64_t *count = &worker->notes->published[worker->slot];
	uint64_t id = (uint64_t)worker->slot << 32 | (atomic_fetch_add(count, 1) & 0xffffffff), tail;
	unsigned int channel = channel_of(id);
	struct push_segment_published published;
	char name[TEXT_BYTES], value[SIZE_MAX_];
	struct push_segment_message message = {.name = name,
		.value = value,
		.name_size = name_of(channel, name),
		.value_size = size_of(id),
		.hint = worker->hints[channel],
		.history_size = channel < KEPT ? HISTORY_SIZE : 0,
		.history_ttl_us = LONG_US};

	make_value(id, value);
	message.hash = push_segment_hash(worker->segment, name, message.name_size);
	lock(worker);
	tail = push_segment_tail(worker->segment);
	if (tail >= atomic_load(&worker->notes->upto)) {
		push_segment_unlock(worker->segment);
		sleep_until_woken(worker);
		return;
	}
	/* before it is committed; nobody reads it yet */
	atomic_store_explicit(note(worker, tail), id, memory_order_relaxed);
	if (push_segment_publish(worker->segment, &message, clock_us(), &published))
		fail_worker(worker, "no room for a message", channel, id);
	/* little else than the segment's own steps, so that it is killed in those */
	if (!worker->setup->are_killed)
		check_subscribers(worker, channel, &published);
	EXPECT(worker, push_segment_tail(worker->segment) == tail + published.in_log, tail, published.in_log);
	EXPECT(worker, published.in_log == (channel < KEPT || published.others), channel, published.others);
	if (published.in_log)
		EXPECT(worker, published.seq == tail, published.seq, tail);
	push_segment_unlock(worker->segment);
	push_segment_wake(worker->segment, published.others);
}

/* To all, this one too. */
static void
send_end(struct worker *worker)
{
	struct push_segment_letter letter = {.verb = PUSH_SEGMENT_CALL,
		.mask = ~0ull,
		.number = worker->slot,
		.name = "end",
		.name_size = 3,
		.value = "",
		.value_size = 0};
	uint64_t others;

	lock(worker);
	atomic_store_explicit(note(worker, push_segment_tail(worker->segment)),
		LETTER | (uint64_t)worker->slot << 32, memory_order_relaxed);
	if (push_segment_send(worker->segment, &letter, clock_us(), &others))
		fail_worker(worker, "no room for a letter", 0, 0);
	push_segment_unlock(worker->segment);
	push_segment_wake(worker->segment, others);
}

/* --- history --- */

struct look {
	struct worker *worker;
	unsigned int channel;
	uint64_t number, count;
};

static bool
look_at(void *context, const struct push_segment_item *item)
{
	struct look *look = context;
	uint64_t id = atomic_load_explicit(note(look->worker, item->seq), memory_order_relaxed);

	EXPECT(look->worker, item->number > look->number, item->number, look->number);
	EXPECT(look->worker, !look->count || item->before == look->number, item->before, look->number);
	EXPECT(look->worker, channel_of(id) == look->channel, id, look->channel);
	EXPECT(look->worker, is_value(id, item->value, item->value_size), item->seq, id);
	look->number = item->number;
	look->count++;
	return true;
}

static void
read_history(struct worker *worker)
{
	struct look look = {.worker = worker, .channel = draw(worker, KEPT)};
	char name[TEXT_BYTES];
	size_t size = name_of(look.channel, name);
	uint32_t channel;

	lock(worker);
	channel = push_segment_channel_find(
		worker->segment, name, size, push_segment_hash(worker->segment, name, size), 0);
	EXPECT(worker,
		push_segment_history_read(worker->segment, channel, 0, UINT64_MAX, false, UINT32_MAX,
			UINT64_MAX, NULL, &worker->scratch, clock_us(), look_at, &look),
		look.count, channel);
	push_segment_unlock(worker->segment);
	EXPECT(worker, look.count <= HISTORY_SIZE, look.count, HISTORY_SIZE);
}

/* --- a worker's life --- */

static void
begin_worker(struct worker *worker)
{
	char node[PUSH_SEGMENT_NODE_BYTES];

	push_buf_init(&worker->buf, 1 << 20);
	push_buf_init(&worker->scratch, 1 << 20);
	snprintf(node, sizeof(node), "node%u", worker->slot);
	push_segment_be(worker->segment, worker->slot);
	lock(worker);
	if (push_segment_join(worker->segment, worker->slot, node, clock_us()))
		fail_worker(worker, "its slot is in use", 0, 0);
	worker->incarnation = atomic_load(&worker->segment->header->incarnation);
	push_segment_unlock(worker->segment);
}

static void
end_worker(struct worker *worker)
{
	push_buf_fini(&worker->buf);
	push_buf_fini(&worker->scratch);
}

/* One that misses messages may miss letters, too: then it goes by what is noted. */
static bool
is_over(const struct worker *worker)
{
	if (!worker->setup->messages)
		return atomic_load(&worker->notes->is_over);
	if (worker->setup->are_slow)
		return atomic_load(&worker->notes->finished) == worker->setup->workers;
	return worker->ends == worker->setup->workers;
}

/* As if something was found that cannot be. */
static void
repair(struct worker *worker)
{
	lock(worker);
	segment_broken(worker->segment);
	push_segment_unlock(worker->segment);
}

static void
do_something(struct worker *worker)
{
	unsigned int what = draw(worker, 64);

	if (what < 2)
		change_subscription(worker);
	else if (what == 2)
		read_history(worker);
	else if (what < 6)
		sleep_until_woken(worker);
	if (worker->setup->do_repair && !draw(worker, 8))
		repair(worker);
}

static void
live(struct worker *worker)
{
	uint64_t published = 0;
	bool has_finished = false;
	unsigned int i;

	begin_worker(worker);
	/* all get the letters of those that finish */
	atomic_fetch_add(&worker->notes->joined, 1);
	while (atomic_load(&worker->notes->joined) < worker->setup->workers)
		sched_yield();
	for (i = 0; i < 4; i++)
		change_subscription(worker);
	if (worker->setup->do_repair)
		repair(worker);
	while (!is_over(worker) && !has_failed(worker)) {
		subscribe_again(worker);
		if (!has_finished) {
			publish_one(worker);
			has_finished = ++published == worker->setup->messages;
			/* it is woken by what others publish, until there is one that publishes no more */
			if (!has_finished && atomic_load(&worker->notes->finished) == 0)
				do_something(worker);
			if (has_finished) {
				atomic_fetch_add(&worker->notes->finished, 1);
				send_end(worker);
			}
		} else {
			sleep_until_woken(worker);
		}
		read_all(worker);
	}
	read_all(worker);
	end_worker(worker);
}

static void *
live_as_a_thread(void *worker)
{
	live(worker);
	return NULL;
}

/* --- the worlds --- */

static struct push_segment *
create(const struct setup *setup)
{
	struct push_segment_settings settings = {.history_bytes_max = 1 << 20,
		.epoch = 1,
		.seed = 1,
		.cell_count = setup->cells,
		.bytes_max = 64 << 20};
	struct push_error error = {0};
	struct push_segment *segment = push_segment_create(&settings, &error);

	if (!segment)
		fail_msg("%s", error.text);
	assert_int_equal(push_segment_open_wakers(segment, 1, PUSH_SEGMENT_SLOTS_MAX), PUSH_OK);
	push_segment_be(segment, SUPERVISOR);
	return segment;
}

/* As another process would. */
static struct push_segment *
attach(const struct push_segment *pushd)
{
	struct push_error error = {0};
	struct push_segment *segment = push_segment_attach(dup(push_segment_fd(pushd)), &error);

	if (!segment)
		fail_msg("%s", error.text);
	push_segment_set_wakers(segment, pushd->wakers, pushd->wake_fds);
	return segment;
}

/* Another worker at the same addresses. */
static struct push_segment *
share(const struct push_segment *pushd)
{
	struct push_segment *segment = malloc(sizeof(*segment));

	assert_non_null(segment);
	*segment = *pushd;
	segment->lock_word = 0;
	return segment;
}

static struct notes *
take_notes(void)
{
	struct notes *notes =
		mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(notes, MAP_FAILED);
	atomic_store(&notes->upto, PLACES);
	return notes;
}

static void
check_notes(const struct notes *notes)
{
	if (atomic_load(&notes->has_failed))
		fail_msg("%s", notes->failure);
}

static uint64_t
free_blocks(const struct push_segment *segment)
{
	return segment->header->free_count + (uint64_t)segment->block_count - segment->header->fresh;
}

/* No block is lost, no list is wrong: made anew from the records it is all the same.  Under the lock. */
static void
check_whole(struct push_segment *pushd)
{
	const struct segment_header *header = pushd->header;
	uint64_t channels = header->channels, messages = header->history_messages;
	uint64_t bytes = header->history_bytes, log_bytes = header->log_bytes, vacant;
	struct push_segment_repaired repaired;

	(void)segment_block(pushd, pushd->block_limit - 1); /* how long it has become */
	vacant = free_blocks(pushd);
	push_segment_repair(pushd, &repaired);
	assert_int_equal(repaired.torn, 0);
	assert_int_equal(repaired.broken, 0);
	assert_int_equal(header->channels, channels);
	assert_int_equal(header->history_messages, messages);
	assert_int_equal(header->history_bytes, bytes);
	assert_int_equal(header->log_bytes, log_bytes);
	assert_int_equal(free_blocks(pushd), vacant);
}

/* All counts are taken back, and nobody is left. */
static void
check_end(struct push_segment *pushd, const struct setup *setup)
{
	uint64_t mask;
	unsigned int i;
	char name[TEXT_BYTES];

	for (i = 0; i < setup->workers; i++)
		assert_true(push_segment_slot_ended(pushd, i));
	assert_int_equal(push_segment_lock(pushd, PUSH_SEGMENT_LOCK_WAIT_US), PUSH_OK);
	for (i = 0; i < CHANNELS; i++) {
		size_t size = name_of(i, name);
		uint32_t channel =
			push_segment_channel_find(pushd, name, size, push_segment_hash(pushd, name, size), 0);

		assert_int_equal(push_segment_subscribers(pushd, channel, &mask), 0);
		if (i >= KEPT)
			assert_int_equal(channel, 0);
	}
	check_whole(pushd);
	push_segment_unlock(pushd);
	assert_int_equal(pushd->header->attached, 0);
}

static void
run_threads(const struct setup *setup, bool is_shared)
{
	struct push_segment *pushd = create(setup);
	struct notes *notes = take_notes();
	static struct worker workers[WORKERS_MAX];
	unsigned int i;

	for (i = 0; i < setup->workers; i++) {
		workers[i] = (struct worker){.segment = is_shared ? share(pushd) : attach(pushd),
			.notes = notes,
			.setup = setup,
			.slot = i,
			.seed = i + 1};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, live_as_a_thread, &workers[i]), 0);
	}
	for (i = 0; i < setup->workers; i++)
		pthread_join(workers[i].thread, NULL);
	check_notes(notes);
	assert_int_equal(pushd->header->repairs > 0, setup->do_repair);
	for (i = 0; i < setup->workers; i++) {
		/* each has read all, but for the letter that came when it knew already that all had finished */
		if (!setup->are_slow)
			assert_int_equal(workers[i].segment->position, push_segment_tail(pushd));
		if (is_shared)
			free(workers[i].segment);
		else
			push_segment_detach(workers[i].segment);
	}
	if (!setup->are_slow)
		assert_int_equal(notes->missed, 0);
	check_end(pushd, setup);
	print_message("%u workers: tail %" PRIu64 ", read %" PRIu64 ", missed %" PRIu64 "\n", setup->workers,
		push_segment_tail(pushd), notes->read, notes->missed);
	push_segment_close_wakers(pushd);
	push_segment_detach(pushd);
	munmap(notes, sizeof(*notes));
}

static void
all_workers_read_one_order_and_lose_nothing(void **state)
{
	struct setup setup = {.workers = WORKERS_MAX, .messages = 100 * SCALE, .cells = 65536};

	(void)state;
#ifndef WITH_TSAN
	run_threads(&setup, false);
#endif
	run_threads(&setup, true);
}

static void
a_repair_takes_nothing_from_those_that_read_meanwhile(void **state)
{
	struct setup setup = {.workers = 8, .messages = 30 * SCALE, .cells = 65536, .do_repair = true};

	(void)state;
	run_threads(&setup, true);
}

static void
a_worker_too_slow_for_the_ring_is_told_what_it_missed(void **state)
{
	struct setup setup = {.workers = 6, .messages = 500 * SCALE, .cells = 16, .are_slow = true};

	(void)state;
#ifndef WITH_TSAN
	run_threads(&setup, false);
#endif
	run_threads(&setup, true);
}

/* --- tokens --- */

#define RING   6u
#define TOKENS 2u
#define HOPS   (5000u * SCALE)

/* Waits for a token and hands it on, until its last hop is known. */
static void *
hand_on(void *context)
{
	struct worker *worker = context;
	struct push_segment_letter letter = {
		.verb = PUSH_SEGMENT_ANSWER, .name = "1", .name_size = 1, .value = ""};
	struct push_segment_item item;
	uint64_t others;

	while (!has_failed(worker) && worker->ends < TOKENS) {
		if (push_segment_read(worker->segment, &worker->buf, &item) != PUSH_SEGMENT_ITEM) {
			sleep_until_woken(worker);
			continue;
		}
		if (item.number >= HOPS)
			worker->ends++;
		if (item.number > HOPS)
			continue;
		letter.number = item.number + 1;
		/* whoever has the last one lets all know */
		letter.mask = item.number == HOPS ? ~0ull & ~(1ull << worker->slot)
						  : 1ull << (worker->slot + 1) % RING;
		lock(worker);
		if (push_segment_send(worker->segment, &letter, clock_us(), &others))
			fail_worker(worker, "no room for a letter", 0, 0);
		push_segment_unlock(worker->segment);
		push_segment_wake(worker->segment, others);
	}
	return NULL;
}

/* Nobody else publishes: where one wake-up is lost, all wait. */
static void
a_token_goes_round_by_wake_ups_alone(void **state)
{
	struct setup setup = {.workers = RING, .messages = 1, .cells = 65536};
	struct push_segment *pushd = create(&setup);
	struct push_segment_letter letter = {
		.verb = PUSH_SEGMENT_ANSWER, .name = "1", .name_size = 1, .value = ""};
	struct notes *notes = take_notes();
	static struct worker workers[RING];
	uint64_t others;
	unsigned int i;

	(void)state;
	for (i = 0; i < RING; i++) {
		workers[i] =
			(struct worker){.segment = share(pushd), .notes = notes, .setup = &setup, .slot = i};
		begin_worker(&workers[i]);
	}
	for (i = 0; i < RING; i++)
		assert_int_equal(pthread_create(&workers[i].thread, NULL, hand_on, &workers[i]), 0);
	for (i = 0; i < TOKENS; i++) {
		letter.mask = 1ull << i * RING / TOKENS;
		assert_int_equal(push_segment_lock(pushd, PUSH_SEGMENT_LOCK_WAIT_US), PUSH_OK);
		assert_int_equal(push_segment_send(pushd, &letter, clock_us(), &others), PUSH_OK);
		push_segment_unlock(pushd);
		push_segment_wake(pushd, others);
	}
	for (i = 0; i < RING; i++) {
		pthread_join(workers[i].thread, NULL);
		end_worker(&workers[i]);
		free(workers[i].segment);
	}
	check_notes(notes);
	check_end(pushd, &setup);
	push_segment_close_wakers(pushd);
	push_segment_detach(pushd);
	munmap(notes, sizeof(*notes));
}

/* --- processes that are killed; ThreadSanitizer sees threads only --- */

#ifndef WITH_TSAN

static pid_t
begin_process(struct push_segment *pushd, struct notes *notes, const struct setup *setup, unsigned int slot,
	unsigned int seed)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	{
		struct worker worker = {
			.segment = attach(pushd), .notes = notes, .setup = setup, .slot = slot, .seed = seed};

		live(&worker);
		_exit(atomic_load(&notes->has_failed));
	}
}

static void
end_process(struct push_segment *pushd, pid_t pid, unsigned int slot)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* the lock may be had by one after the other that was killed or is being repaired */
	while (!push_segment_slot_ended(pushd, slot))
		continue;
}

/* Any, or the one that has the lock at this moment: it is most likely killed with it. */
static unsigned int
choose(struct push_segment *pushd, const struct setup *setup, unsigned int *seed)
{
	struct push_segment_holder holder = {.slot = -1};
	unsigned int slot = (unsigned int)rand_r(seed) % setup->workers, looks;

	if (rand_r(seed) % 4 == 0)
		return slot;
	for (looks = 0; looks < 1000000; looks++) {
		push_segment_holder(pushd, &holder);
		if (holder.slot >= 0 && holder.slot < (int)setup->workers)
			return (unsigned int)holder.slot;
	}
	return slot;
}

static void
whoever_is_killed_wherever_the_others_lose_nothing(void **state)
{
	struct setup setup = {.workers = WORKERS_MAX, .cells = 131072, .are_killed = true};
	struct push_segment *pushd = create(&setup);
	struct notes *notes = take_notes();
	pid_t pids[WORKERS_MAX];
	unsigned int i, kills, seed = 1;

	(void)state;
	for (i = 0; i < setup.workers; i++)
		pids[i] = begin_process(pushd, notes, &setup, i, i + 1);
	for (kills = 0; kills < KILLS && !atomic_load(&notes->has_failed); kills++) {
		uint64_t tail = push_segment_tail(pushd), upto = tail + (uint64_t)rand_r(&seed) % 50;

		atomic_store(&notes->upto, tail + PLACES_EACH);

		/* all go on though one was killed */
		while (push_segment_tail(pushd) < upto && !atomic_load(&notes->has_failed))
			sched_yield();
		i = choose(pushd, &setup, &seed);
		end_process(pushd, pids[i], i);
		pids[i] = begin_process(pushd, notes, &setup, i, 100 + kills);
	}
	atomic_store(&notes->is_over, true);
	for (i = 0; i < setup.workers; i++)
		assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
	check_notes(notes);
	print_message("tail %" PRIu64 ", read %" PRIu64 ", repairs %u, resubscribed %" PRIu64 "\n",
		push_segment_tail(pushd), notes->read, pushd->header->repairs, notes->resubscribed);
	check_end(pushd, &setup);
	push_segment_close_wakers(pushd);
	push_segment_detach(pushd);
	munmap(notes, sizeof(*notes));
}

#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_workers_read_one_order_and_lose_nothing),
		cmocka_unit_test(a_repair_takes_nothing_from_those_that_read_meanwhile),
		cmocka_unit_test(a_worker_too_slow_for_the_ring_is_told_what_it_missed),
		cmocka_unit_test(a_token_goes_round_by_wake_ups_alone),
#ifndef WITH_TSAN
		cmocka_unit_test(whoever_is_killed_wherever_the_others_lose_nothing),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
