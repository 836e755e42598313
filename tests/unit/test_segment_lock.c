/* The lock, slots and wakers of the segment, over a header alone: what is repaired is counted, not done. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"

#include "segment/channels.h"
#include "segment/layout.h"
#include "segment/lock.h"
#include "segment/process.h"
#include "segment/repair.h"
#include "segment/slots.h"

/* Enough on a machine with too much to do. */
#define LONG_US    20000000ull
#define SUPERVISOR PUSH_SEGMENT_SUPERVISOR
#define BUCKETS    (3 * PUSH_SEGMENT_FORGET_BUCKETS)
#define BITS(slot) (1ull << (slot))

/* What all processes of a test share. */
struct world {
	struct segment_header header;
	/* what the lock guards here: always the same number twice, but while it is being changed */
	_Atomic uint64_t one, other;
	_Atomic uint32_t forgotten[PUSH_SEGMENT_SLOTS_MAX];
	_Atomic int step; /* how far a child is */
};

static struct world *
world_of(struct push_segment *segment)
{
	return (struct world *)(void *)segment->header;
}

/* In place of repair.c. */
void
push_segment_repair(struct push_segment *segment, struct push_segment_repaired *ret)
{
	struct world *world = world_of(segment);

	assert_true(segment_has_lock(segment));
	*ret = (struct push_segment_repaired){0};
	atomic_store(&world->other, atomic_load(&world->one));
}

/* In place of channels.c: counts the buckets. */
bool
segment_channels_forget(struct push_segment *segment, unsigned int slot, uint32_t *bucket, uint32_t max)
{
	assert_true(segment_has_lock(segment));
	assert_int_equal(atomic_load(&segment->header->slots[slot].state), SEGMENT_SLOT_ENDED);
	*bucket += max;
	atomic_store(&world_of(segment)->forgotten[slot], *bucket);
	return *bucket < BUCKETS;
}

static struct world *
make(void)
{
	struct world *world =
		mmap(NULL, sizeof(*world), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(world, MAP_FAILED);
	return world;
}

static void
drop(struct world *world)
{
	munmap(world, sizeof(*world));
}

static struct push_segment
view(struct world *world)
{
	struct push_segment segment = {.header = &world->header, .slot = PUSH_SEGMENT_SLOTS_MAX, .fd = -1};

	memset(segment.wake_fds, -1, sizeof(segment.wake_fds));
	return segment;
}

static struct push_segment
view_as(struct world *world, unsigned int slot)
{
	struct push_segment segment = view(world);

	push_segment_be(&segment, slot);
	return segment;
}

static void
join(struct push_segment *segment, unsigned int slot, const char *node)
{
	push_segment_be(segment, slot);
	assert_int_equal(push_segment_lock(segment, LONG_US), PUSH_OK);
	assert_int_equal(push_segment_join(segment, slot, node, 1), PUSH_OK);
	push_segment_unlock(segment);
}

/* A child that dies with its test. */
static pid_t
begin_child(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* Returns when the child is there. */
static void
await(struct world *world, int step)
{
	while (atomic_load(&world->step) < step)
		sched_yield();
}

/* A process that is in `slot`, has the lock, and stays so until it is killed. */
static pid_t
begin_owner(struct world *world, unsigned int slot)
{
	pid_t pid = begin_child();

	if (pid) {
		await(world, 1);
		atomic_store(&world->step, 0);
		return pid;
	}
	{
		struct push_segment segment = view_as(world, slot);

		if (push_segment_lock(&segment, LONG_US))
			_exit(1);
		atomic_fetch_add(&world->one, 1);
		atomic_store(&world->step, 1);
		for (;;)
			pause();
	}
}

/* Gone, but not waited for. */
static void
make_zombie(pid_t pid)
{
	siginfo_t info;

	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
}

static void
reap(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static uint64_t
clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
one_has_the_lock_at_a_time(void **state)
{
	struct world *world = make();
	struct push_segment one = view_as(world, 0), other = view_as(world, 63);
	struct push_segment_holder holder, again;
	uint64_t began_us;

	(void)state;
	push_segment_holder(&one, &holder);
	assert_int_equal(holder.slot, -1);
	assert_int_equal(push_segment_lock(&one, 0), PUSH_OK);
	assert_true(segment_has_lock(&one));
	push_segment_holder(&other, &holder);
	assert_int_equal(holder.slot, 0);

	assert_int_equal(push_segment_lock(&other, 0), PUSH_UNAVAILABLE);
	began_us = clock_us();
	assert_int_equal(push_segment_lock(&other, 30000), PUSH_UNAVAILABLE);
	assert_true(clock_us() - began_us >= 30000);
	assert_false(segment_has_lock(&other));

	push_segment_unlock(&one);
	assert_int_equal(push_segment_lock(&other, 0), PUSH_OK);
	push_segment_holder(&one, &again);
	assert_int_equal(again.slot, 63);
	assert_int_not_equal(again.turn, holder.turn);
	push_segment_unlock(&other);
	assert_int_equal(world->header.repairs, 0);
	drop(world);
}

static void
a_turn_differs_though_the_same_process_has_the_lock_again(void **state)
{
	struct world *world = make();
	struct push_segment one = view_as(world, 5);
	struct push_segment_holder before, after;

	(void)state;
	world->header.lock = 0x7fffff80; /* the last turn: the next is 0 again */
	assert_int_equal(push_segment_lock(&one, 0), PUSH_OK);
	push_segment_holder(&one, &before);
	push_segment_unlock(&one);
	assert_int_equal(push_segment_lock(&one, 0), PUSH_OK);
	push_segment_holder(&one, &after);
	push_segment_unlock(&one);
	assert_int_equal(before.turn, 0);
	assert_int_equal(after.turn, 1);
	assert_int_equal(after.slot, 5);
	drop(world);
}

static void
what_was_found_broken_is_repaired_before_the_lock_is_given_back(void **state)
{
	struct world *world = make();
	struct push_segment one = view_as(world, 1);

	(void)state;
	assert_int_equal(push_segment_lock(&one, 0), PUSH_OK);
	world->one = 1;
	segment_broken(&one);
	push_segment_unlock(&one);
	assert_int_equal(world->other, 1);
	assert_int_equal(world->header.repairs, 1);
	assert_int_equal(push_segment_lock(&one, 0), PUSH_OK);
	push_segment_unlock(&one);
	assert_int_equal(world->header.repairs, 1);
	drop(world);
}

static void
the_lock_of_a_killed_process_is_taken_over_and_repaired(void **state)
{
	unsigned int owner, is_reaped;

	(void)state;
	for (owner = 0; owner <= SUPERVISOR; owner += SUPERVISOR / 2) {
		for (is_reaped = 0; is_reaped < 2; is_reaped++) {
			struct world *world = make();
			struct push_segment one = view_as(world, 7);
			pid_t pid = begin_owner(world, owner);

			if (is_reaped)
				reap(pid);
			else
				make_zombie(pid);
			assert_int_equal(push_segment_lock(&one, LONG_US), PUSH_OK);
			assert_int_equal(world->one, 1);
			assert_int_equal(world->other, 1);
			assert_int_equal(world->header.repairs, 1);
			push_segment_unlock(&one);
			if (!is_reaped)
				reap(pid);
			drop(world);
		}
	}
}

static void
the_lock_of_a_stopped_process_stays_its_own(void **state)
{
	struct world *world = make();
	struct push_segment one = view_as(world, 1);
	struct push_segment_holder before, after;
	pid_t pid = begin_owner(world, 2);
	int status;

	(void)state;
	kill(pid, SIGSTOP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	push_segment_holder(&one, &before);
	assert_int_equal(push_segment_lock(&one, 10 * PUSH_SEGMENT_LOCK_SLEEP_US), PUSH_UNAVAILABLE);
	push_segment_holder(&one, &after);
	assert_int_equal(before.slot, 2);
	assert_int_equal(after.slot, 2);
	assert_int_equal(before.turn, after.turn);
	assert_int_equal(world->header.repairs, 0);
	reap(pid);
	assert_int_equal(push_segment_lock(&one, LONG_US), PUSH_OK);
	assert_int_equal(world->header.repairs, 1);
	push_segment_unlock(&one);
	drop(world);
}

static void
whoever_never_waits_gets_the_lock_of_a_killed_process_the_second_time(void **state)
{
	struct world *world = make();
	struct push_segment one = view_as(world, 1);
	pid_t pid = begin_owner(world, 2);

	(void)state;
	assert_int_equal(push_segment_lock(&one, 0), PUSH_UNAVAILABLE);
	assert_int_equal(push_segment_lock(&one, 0), PUSH_UNAVAILABLE);
	reap(pid);
	assert_int_equal(push_segment_lock(&one, 0), PUSH_OK);
	assert_int_equal(world->header.repairs, 1);
	push_segment_unlock(&one);
	/* nor by one that is none */
	world->header.lock = 77;
	assert_int_equal(push_segment_lock(&one, 0), PUSH_UNAVAILABLE);
	assert_int_equal(push_segment_lock(&one, 0), PUSH_OK);
	push_segment_unlock(&one);
	drop(world);
}

static void
an_owner_that_no_slot_has_does_not_block(void **state)
{
	static const uint32_t junk[] = {
		66, 127, 0xffffffff, 0x80000000 | 100, /* no such slot */
		33, 0x80000000 | 33,                   /* nobody is there */
		65,                                    /* no pushd */
		3,                                     /* ourselves, but we have it not */
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(junk); i++) {
		struct world *world = make();
		struct push_segment one = view_as(world, 2);

		world->header.lock = junk[i];
		assert_int_equal(push_segment_lock(&one, LONG_US), PUSH_OK);
		assert_int_equal(world->header.repairs, 1);
		push_segment_unlock(&one);
		assert_int_equal(push_segment_lock(&one, 0), PUSH_OK);
		push_segment_unlock(&one);
		drop(world);
	}
}

static void
waiters_that_nobody_is_are_harmless(void **state)
{
	struct world *world = make();
	struct push_segment one = view_as(world, 2);

	(void)state;
	world->header.lock = 0x80000000;
	assert_int_equal(push_segment_lock(&one, 0), PUSH_OK);
	push_segment_unlock(&one);
	assert_int_equal(world->header.repairs, 0);
	drop(world);
}

static void
a_later_process_of_the_same_number_is_another(void **state)
{
	static const uint32_t pids[] = {0x7fffffff, 0x80000000, 0xffffffff};
	struct segment_process process = {0};
	size_t i;

	(void)state;
	assert_true(segment_process_is_gone(&process));
	assert_true(segment_process_claim(&process, false));
	assert_int_equal(process.pid, getpid());
	assert_int_not_equal(process.started, 0);
	assert_false(segment_process_is_gone(&process));
	assert_true(segment_process_claim(&process, false));
	process.started++;
	assert_true(segment_process_is_gone(&process));
	assert_false(segment_process_claim(&process, false));
	assert_true(segment_process_claim(&process, true));
	process.started = 0; /* unknown */
	assert_false(segment_process_is_gone(&process));
	segment_process_clear(&process);
	assert_int_equal(process.pid, 0);
	for (i = 0; i < COUNT(pids); i++) {
		process.pid = pids[i];
		assert_true(segment_process_is_gone(&process));
	}
	process.pid = 1;
	assert_false(segment_process_is_gone(&process));
}

static void
a_process_in_another_ones_slot_never_gets_the_lock(void **state)
{
	struct world *world = make();
	pid_t pid = begin_owner(world, 4);
	struct push_segment one = view_as(world, 4);

	(void)state;
	assert_int_equal(one.lock_word, 0);
	assert_int_equal(push_segment_lock(&one, 1000), PUSH_UNAVAILABLE);
	reap(pid);
	/* its counts are not taken back yet */
	push_segment_be(&one, 4);
	assert_int_equal(push_segment_lock(&one, 1000), PUSH_UNAVAILABLE);
	assert_int_equal(push_segment_slot_pid(&one, 4), pid);
	drop(world);
}

static void
pushd_follows_a_pushd_that_is_gone(void **state)
{
	struct world *world = make();
	pid_t pid = begin_owner(world, SUPERVISOR);
	struct push_segment one = view_as(world, SUPERVISOR);

	(void)state;
	assert_int_equal(push_segment_lock(&one, 1000), PUSH_UNAVAILABLE);
	make_zombie(pid);
	push_segment_be(&one, SUPERVISOR);
	/* at once, for nobody else can have it by that name */
	assert_int_equal(push_segment_lock(&one, 1), PUSH_OK);
	assert_int_equal(world->header.repairs, 1);
	push_segment_unlock(&one);
	reap(pid);
	drop(world);
}

static void
the_lock_is_broken_only_for_the_slot_that_has_it(void **state)
{
	struct world *world = make();
	struct push_segment pushd = view_as(world, SUPERVISOR), one = view_as(world, 1);
	struct push_segment_holder holder;

	(void)state;
	push_segment_break_lock(&pushd, 1);
	assert_int_equal(push_segment_lock(&one, 0), PUSH_OK);
	push_segment_break_lock(&pushd, 0);
	push_segment_holder(&pushd, &holder);
	assert_int_equal(holder.slot, 1);
	assert_int_equal(world->header.repairs, 0);
	push_segment_break_lock(&pushd, 1);
	push_segment_holder(&pushd, &holder);
	assert_int_equal(holder.slot, -1);
	assert_int_equal(world->header.repairs, 1);

	/* one that was not dead does not release what is another's by now */
	assert_int_equal(push_segment_lock(&pushd, 0), PUSH_OK);
	push_segment_unlock(&one);
	push_segment_holder(&one, &holder);
	assert_int_equal(holder.slot, SUPERVISOR);
	push_segment_unlock(&pushd);
	drop(world);
}

struct worker {
	pthread_t thread;
	struct world *world;
	unsigned int slot;
	uint64_t failures;
};

#define TURNS_OF_A_WORKER 4000u

static void *
count_under_the_lock(void *context)
{
	struct worker *worker = context;
	struct push_segment segment = view_as(worker->world, worker->slot);
	unsigned int i;

	for (i = 0; i < TURNS_OF_A_WORKER; i++) {
		if (push_segment_lock(&segment, LONG_US)) {
			worker->failures++;
			continue;
		}
		/* not read-modify-write: two at a time would lose one */
		atomic_store_explicit(&worker->world->one,
			atomic_load_explicit(&worker->world->one, memory_order_relaxed) + 1,
			memory_order_relaxed);
		atomic_store_explicit(&worker->world->other,
			atomic_load_explicit(&worker->world->other, memory_order_relaxed) + 1,
			memory_order_relaxed);
		push_segment_unlock(&segment);
	}
	return NULL;
}

static void
nobody_comes_in_between_and_nobody_waits_for_ever(void **state)
{
	struct world *world = make();
	struct worker workers[8];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(workers); i++) {
		workers[i] = (struct worker){.world = world, .slot = (unsigned int)i};
		assert_int_equal(
			pthread_create(&workers[i].thread, NULL, count_under_the_lock, &workers[i]), 0);
	}
	for (i = 0; i < COUNT(workers); i++) {
		pthread_join(workers[i].thread, NULL);
		assert_int_equal(workers[i].failures, 0);
	}
	assert_int_equal(world->one, COUNT(workers) * TURNS_OF_A_WORKER);
	assert_int_equal(world->other, COUNT(workers) * TURNS_OF_A_WORKER);
	assert_int_equal(world->header.repairs, 0);
	drop(world);
}

/* Counts until it is killed; leaves with a status if it ever sees a step half done. */
static void
count_for_ever(struct world *world, unsigned int slot)
{
	struct push_segment segment = view_as(world, slot);

	for (;;) {
		uint64_t one;

		if (push_segment_lock(&segment, LONG_US))
			_exit(1);
		one = atomic_load(&world->one);
		if (one != atomic_load(&world->other))
			_exit(2);
		atomic_store(&world->one, one + 1);
		if (!(one % 16))
			sched_yield(); /* here it is killed as often as elsewhere */
		atomic_store(&world->other, one + 1);
		push_segment_unlock(&segment);
	}
}

static pid_t
begin_counter(struct world *world, unsigned int slot)
{
	pid_t pid = begin_child();

	if (!pid)
		count_for_ever(world, slot);
	return pid;
}

static void
what_killed_processes_left_half_done_is_seen_by_nobody(void **state)
{
	struct world *world = make();
	struct push_segment pushd = view_as(world, SUPERVISOR);
	pid_t pids[4];
	unsigned int kills, seed = 1;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(pids); i++)
		pids[i] = begin_counter(world, (unsigned int)i);
	for (kills = 0; kills < 60; kills++) {
		uint64_t before = atomic_load(&world->one);
		int status;

		/* all go on though one has been killed */
		while (atomic_load(&world->one) < before + 50)
			sched_yield();
		i = (size_t)rand_r(&seed) % COUNT(pids);
		kill(pids[i], SIGKILL);
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_true(WIFSIGNALED(status));
		while (!push_segment_slot_ended(&pushd, (unsigned int)i))
			;
		assert_int_equal(push_segment_free_slot(&pushd, BITS(i)), (int)i);
		pids[i] = begin_counter(world, (unsigned int)i);
	}
	for (i = 0; i < COUNT(pids); i++)
		reap(pids[i]);
	drop(world);
}

static void
a_worker_joins_where_nobody_is_and_leaves_nothing(void **state)
{
	struct world *world = make();
	struct push_segment one = view(world), other = view(world);
	char name[PUSH_SEGMENT_NODE_BYTES];

	(void)state;
	world->header.tail = 17;
	world->header.slots[9].asleep = 5;
	assert_int_equal(push_segment_free_slot(&one, ~0ull), 0);
	assert_int_equal(push_segment_free_slot(&one, BITS(9) | BITS(63)), 9);
	assert_int_equal(push_segment_free_slot(&one, 0), -1);
	join(&one, 9, "abcdefghijklmnopqrstuvwxyz01234");
	assert_int_equal(one.slot, 9);
	assert_int_equal(world->header.attached, BITS(9));
	assert_int_equal(world->header.slots[9].position, 17);
	assert_int_equal(world->header.slots[9].asleep % 2, 0);
	assert_int_equal(push_segment_slot_pid(&one, 9), getpid());
	assert_int_equal(push_segment_free_slot(&one, BITS(9) | BITS(63)), 63);
	assert_true(push_segment_node_of(&one, 9, name, sizeof(name)));
	assert_string_equal(name, "abcdefghijklmnopqrstuvwxyz01234");
	assert_true(push_segment_node_of(&one, 9, name, 4));
	assert_string_equal(name, "abc");
	assert_false(push_segment_node_of(&one, 8, name, sizeof(name)));
	assert_false(push_segment_node_of(&one, 64, name, sizeof(name)));
	assert_int_equal(push_segment_find_node(&one, "abcdefghijklmnopqrstuvwxyz01234", 31), 9);
	assert_int_equal(push_segment_find_node(&one, "abcdefghijklmnopqrstuvwxyz01234", 30), -1);
	assert_int_equal(push_segment_find_node(&one, "", 0), -1);

	/* the same slot a second time */
	push_segment_be(&other, 9);
	assert_int_equal(push_segment_lock(&other, LONG_US), PUSH_OK);
	assert_int_equal(push_segment_join(&other, 9, "b", 1), PUSH_UNAVAILABLE);
	push_segment_unlock(&other);

	push_segment_leave(&one);
	assert_int_equal(world->header.attached, 0);
	assert_int_equal(atomic_load(&world->forgotten[9]), BUCKETS);
	assert_int_equal(push_segment_free_slot(&one, BITS(9)), 9);
	assert_int_equal(push_segment_find_node(&one, "abcdefghijklmnopqrstuvwxyz01234", 31), -1);
	assert_int_equal(push_segment_lock(&one, 1000), PUSH_UNAVAILABLE);
	join(&one, 9, "again");
	assert_int_equal(push_segment_find_node(&one, "again", 5), 9);
	drop(world);
}

static void
a_slot_is_free_only_when_its_counts_are_taken_back(void **state)
{
	struct world *world = make();
	struct push_segment pushd = view_as(world, SUPERVISOR), one = view(world), other = view_as(world, 2);

	(void)state;
	join(&one, 1, "one");
	assert_int_equal(push_segment_lock(&other, 0), PUSH_OK);
	assert_false(push_segment_slot_ended(&pushd, 1));
	assert_int_equal(push_segment_free_slot(&pushd, BITS(1)), -1);
	push_segment_unlock(&other);
	assert_true(push_segment_slot_ended(&pushd, 1));
	assert_int_equal(atomic_load(&world->forgotten[1]), BUCKETS);
	assert_int_equal(push_segment_free_slot(&pushd, BITS(1)), 1);
	assert_int_equal(world->header.attached, 0);
	/* nobody was there */
	assert_true(push_segment_slot_ended(&pushd, 40));
	/* it has never joined */
	assert_true(push_segment_slot_ended(&pushd, 2));
	assert_int_equal(push_segment_slot_pid(&pushd, 2), 0);
	assert_int_equal(atomic_load(&world->forgotten[2]), 0);
	drop(world);
}

static void
a_worker_that_cannot_have_the_lock_leaves_the_rest_to_pushd(void **state)
{
	struct world *world = make();
	struct push_segment pushd = view_as(world, SUPERVISOR), one = view(world), never = view_as(world, 2);

	(void)state;
	join(&one, 1, "one");
	assert_int_equal(push_segment_lock(&pushd, 0), PUSH_OK);
	push_segment_leave(&one);
	push_segment_unlock(&pushd);
	assert_int_equal(push_segment_free_slot(&pushd, BITS(1)), -1);
	assert_true(push_segment_slot_ended(&pushd, 1));
	assert_int_equal(push_segment_free_slot(&pushd, BITS(1)), 1);

	push_segment_leave(&never);
	assert_int_equal(push_segment_slot_pid(&pushd, 2), 0);
	push_segment_leave(&never);
	push_segment_leave(&pushd);
	assert_int_equal(push_segment_lock(&pushd, 0), PUSH_OK);
	push_segment_unlock(&pushd);
	drop(world);
}

/* How often it was written to since it was last read. */
static uint64_t
read_wakes(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

static void
only_a_worker_that_sleeps_is_woken_and_once(void **state)
{
	struct world *world = make();
	struct push_segment pushd = view_as(world, SUPERVISOR), one = view(world), other = view(world);
	int fd;

	(void)state;
	assert_int_equal(push_segment_wake_fd(&one), -1);
	assert_int_equal(push_segment_open_wakers(&pushd, 7, PUSH_SEGMENT_SLOTS_MAX), PUSH_OK);
	push_segment_set_wakers(&one, 7, pushd.wake_fds);
	push_segment_set_wakers(&other, 7, pushd.wake_fds);
	join(&one, 1, "one");
	join(&other, 2, "other");
	fd = push_segment_wake_fd(&one);
	assert_int_equal(fd, pushd.wake_fds[1]);

	/* it is awake */
	push_segment_wake(&other, BITS(1) | BITS(2) | BITS(3));
	assert_int_equal(read_wakes(fd), 0);
	/* something is there to be read */
	world->header.tail = 5;
	assert_false(push_segment_sleep(&one));
	push_segment_wake(&other, BITS(1));
	assert_int_equal(read_wakes(fd), 0);
	one.position = 5;
	assert_true(push_segment_sleep(&one));
	push_segment_wake(&other, BITS(2));
	push_segment_wake(&one, BITS(1)); /* never itself */
	assert_int_equal(read_wakes(fd), 0);
	push_segment_wake(&other, ~0ull);
	push_segment_wake(&pushd, BITS(1));
	assert_int_equal(read_wakes(fd), 1);
	assert_int_equal(world->header.wakes, 1);
	/* it sleeps on, as another has written to its eventfd before */
	assert_true(push_segment_sleep(&one));
	push_segment_awake(&one);
	push_segment_awake(&one);
	push_segment_wake(&other, BITS(1));
	assert_int_equal(read_wakes(fd), 0);

	/* of another set nobody knows whose it is */
	assert_true(push_segment_sleep(&one));
	world->header.slots[1].wakers = 8;
	push_segment_wake(&other, BITS(1));
	assert_int_equal(read_wakes(fd), 0);
	/* it has none */
	world->header.slots[1].wakers = 7;
	other.wake_fds[1] = -1;
	push_segment_wake(&other, BITS(1));
	assert_int_equal(read_wakes(fd), 0);
	push_segment_close_wakers(&pushd);
	assert_int_equal(pushd.wake_fds[0], -1);
	drop(world);
}

static void
sleeping_again_is_not_undone_by_who_woke_it_late(void **state)
{
	struct world *world = make();
	struct push_segment one = view(world);
	uint32_t before;

	(void)state;
	join(&one, 1, "one");
	assert_true(push_segment_sleep(&one));
	before = world->header.slots[1].asleep;
	push_segment_awake(&one);
	assert_true(push_segment_sleep(&one));
	assert_int_not_equal(world->header.slots[1].asleep, before);
	assert_int_equal(world->header.slots[1].asleep % 2, 1);
	/* twice in turn, too: it was asleep all the time */
	assert_true(push_segment_sleep(&one));
	assert_int_equal(world->header.slots[1].asleep % 2, 1);
	drop(world);
}

struct race {
	struct world *world;
	struct push_segment worker;
	uint64_t upto;
};

/* Reads all, then sleeps until it is woken, as a worker without a tick. */
static void *
read_until_the_end(void *context)
{
	struct race *race = context;
	struct pollfd poll_on = {.fd = push_segment_wake_fd(&race->worker), .events = POLLIN};

	for (;;) {
		race->worker.position = atomic_load(&race->world->header.tail);
		if (race->worker.position == race->upto)
			return NULL;
		if (!push_segment_sleep(&race->worker))
			continue;
		/* a lost wake-up ends here */
		if (poll(&poll_on, 1, (int)(LONG_US / 1000)) != 1)
			return context;
		read_wakes(poll_on.fd);
		push_segment_awake(&race->worker);
	}
}

static void
no_wake_up_is_lost(void **state)
{
	struct world *world = make();
	struct push_segment pushd = view_as(world, SUPERVISOR);
	struct race races[3];
	pthread_t threads[COUNT(races)];
	uint64_t upto = 30000, at;
	size_t i;
	void *lost;

	(void)state;
	assert_int_equal(push_segment_open_wakers(&pushd, 7, PUSH_SEGMENT_SLOTS_MAX), PUSH_OK);
	for (i = 0; i < COUNT(races); i++) {
		races[i] = (struct race){.world = world, .worker = view(world), .upto = upto};
		push_segment_set_wakers(&races[i].worker, 7, pushd.wake_fds);
		join(&races[i].worker, (unsigned int)i, "w");
		assert_int_equal(pthread_create(&threads[i], NULL, read_until_the_end, &races[i]), 0);
	}
	for (at = 1; at <= upto; at++) {
		atomic_store_explicit(&world->header.tail, at, memory_order_release);
		push_segment_wake(&pushd, ~0ull);
		if (at % 64 == 0)
			sched_yield(); /* they catch up and sleep */
	}
	for (i = 0; i < COUNT(races); i++) {
		pthread_join(threads[i], &lost);
		assert_null(lost);
	}
	push_segment_close_wakers(&pushd);
	drop(world);
}

static void
a_seat_that_was_given_is_found(void **state)
{
	struct world *world = make();
	struct push_segment pushd = view_as(world, SUPERVISOR);
	struct push_segment_seat seat;

	(void)state;
	unsetenv("PUSHD_BROKER");
	assert_false(push_segment_seat_read(&seat));
	assert_int_equal(push_segment_open_wakers(&pushd, 4294967295u, PUSH_SEGMENT_SLOTS_MAX), PUSH_OK);
	close(pushd.wake_fds[5]);
	pushd.wake_fds[5] = -1;
	pushd.fd = memfd_create("seat", MFD_CLOEXEC);
	push_segment_give(&pushd, SUPERVISOR);
	assert_int_equal(fcntl(pushd.fd, F_GETFD), 0);
	assert_int_equal(fcntl(pushd.wake_fds[63], F_GETFD), 0);
	assert_true(push_segment_seat_read(&seat));
	assert_int_equal(seat.slot, SUPERVISOR);
	push_segment_give(&pushd, 31);
	assert_true(push_segment_seat_read(&seat));
	assert_int_equal(seat.fd, pushd.fd);
	assert_int_equal(seat.slot, 31);
	assert_int_equal(seat.wakers, 4294967295u);
	assert_memory_equal(seat.wake_fds, pushd.wake_fds, sizeof(seat.wake_fds));
	assert_int_equal(fcntl(pushd.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(fcntl(pushd.wake_fds[63], F_GETFD), FD_CLOEXEC);
	close(pushd.fd);
	push_segment_close_wakers(&pushd);
	drop(world);
}

/* Fills in 64 descriptors. */
static void
expect_no_seat(const char *head, const char *each, size_t count, const char *rest)
{
	struct push_segment_seat seat = {.fd = -7};
	char text[4096];
	size_t i;

	snprintf(text, sizeof(text), "%s", head);
	for (i = 0; i < count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s", each);
	snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s", rest);
	setenv("PUSHD_BROKER", text, 1);
	assert_false(push_segment_seat_read(&seat));
	assert_int_equal(seat.fd, -7);
}

static void
what_is_no_seat_is_refused(void **state)
{
	struct push_segment_seat seat;

	(void)state;
	expect_no_seat("", "", 0, "");
	expect_no_seat("0", "", 0, "");
	expect_no_seat("0 0 0", "0", 63, "");
	expect_no_seat("0 0 0", "0", 65, "");
	expect_no_seat("0 0 0", "0", 64, "x");
	expect_no_seat("0 0 0", "0", 63, " 0x");
	expect_no_seat("0 65 0", "0", 64, "");
	expect_no_seat("0 0 4294967296", "0", 64, "");
	expect_no_seat("-1 0 0", "0", 64, "");
	expect_no_seat("0 -1 0", "0", 64, "");
	expect_no_seat("0 0 0", "-2", 64, "");
	expect_no_seat("0 0 0", "-", 64, "");
	expect_no_seat("0 0 0", "-10", 64, "");
	expect_no_seat("99999 0 0", "0", 64, "");
	expect_no_seat("0 0 0", "99999", 64, "");
	expect_no_seat("99999999999999999999999 0 0", "0", 64, "");
	expect_no_seat("0 0 0", "99999999999999999999999", 64, "");
	expect_no_seat(" 0 0 0", "0", 64, "");
	expect_no_seat("0  0 0", "0", 64, "");
	expect_no_seat("+0 0 0", "0", 64, "");
	/* the same shape, right */
	setenv("PUSHD_BROKER",
		"0 64 0 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 "
		"-1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 "
		"-1 -1 -1 -1 -1 -1",
		1);
	assert_true(push_segment_seat_read(&seat));
	(void)fcntl(0, F_SETFD, 0);
	unsetenv("PUSHD_BROKER");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_has_the_lock_at_a_time),
		cmocka_unit_test(a_turn_differs_though_the_same_process_has_the_lock_again),
		cmocka_unit_test(what_was_found_broken_is_repaired_before_the_lock_is_given_back),
		cmocka_unit_test(the_lock_of_a_killed_process_is_taken_over_and_repaired),
		cmocka_unit_test(the_lock_of_a_stopped_process_stays_its_own),
		cmocka_unit_test(whoever_never_waits_gets_the_lock_of_a_killed_process_the_second_time),
		cmocka_unit_test(an_owner_that_no_slot_has_does_not_block),
		cmocka_unit_test(waiters_that_nobody_is_are_harmless),
		cmocka_unit_test(a_later_process_of_the_same_number_is_another),
		cmocka_unit_test(a_process_in_another_ones_slot_never_gets_the_lock),
		cmocka_unit_test(pushd_follows_a_pushd_that_is_gone),
		cmocka_unit_test(the_lock_is_broken_only_for_the_slot_that_has_it),
		cmocka_unit_test(nobody_comes_in_between_and_nobody_waits_for_ever),
		cmocka_unit_test(what_killed_processes_left_half_done_is_seen_by_nobody),
		cmocka_unit_test(a_worker_joins_where_nobody_is_and_leaves_nothing),
		cmocka_unit_test(a_slot_is_free_only_when_its_counts_are_taken_back),
		cmocka_unit_test(a_worker_that_cannot_have_the_lock_leaves_the_rest_to_pushd),
		cmocka_unit_test(only_a_worker_that_sleeps_is_woken_and_once),
		cmocka_unit_test(sleeping_again_is_not_undone_by_who_woke_it_late),
		cmocka_unit_test(no_wake_up_is_lost),
		cmocka_unit_test(a_seat_that_was_given_is_found),
		cmocka_unit_test(what_is_no_seat_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
