/* pushd's part in the memory of all workers: slots, ends, and what stands still or is left behind. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "log.h"
#include "orphans.h"
#include "segment/file.h"
#include "shared_broker.h"
#include "worker_count.h"

#define S       1000000ull
#define WORKERS 2

/* The one that is there, in place of what listens on ports. */
static pid_t orphan;

bool
orphans_find(const struct config *config, bool (*visit)(pid_t pid, void *context), void *context)
{
	(void)config;
	return orphan && visit(orphan, context);
}

static bool has_memory = true;

struct push_segment *
__real_push_segment_create(const struct push_segment_settings *settings, struct push_error *error);

struct push_segment *
__wrap_push_segment_create(const struct push_segment_settings *settings, struct push_error *error)
{
	if (has_memory)
		return __real_push_segment_create(settings, error);
	snprintf(error->text, sizeof(error->text), "there is none");
	return NULL;
}

struct world {
	struct shared_broker broker;
	struct push_line_writer output;
	struct log log;
	struct config *config;
	int lines;
};

static struct world *
world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->config = calloc(1, sizeof(*world->config));
	assert_non_null(world->config);
	world->lines = memfd_create("lines", 0);
	push_line_writer_init(&world->output, world->lines);
	log_init(&world->log, &world->output);
	world->config->options.history_bytes_max = 1024 * 1024;
	world->broker.log = &world->log;
	return world;
}

static void
world_free(struct world *world)
{
	shared_broker_close(&world->broker);
	push_line_writer_fini(&world->output);
	close(world->lines);
	free(world->config);
	free(world);
}

static void
opens(struct world *world)
{
	struct push_error error = {""};

	assert_int_equal(
		shared_broker_open(&world->broker, &world->config->options, WORKERS, 0, &error), PUSH_OK);
}

/* The log has such a line. */
static void
was_said(struct world *world, const char *text)
{
	char lines[8192];
	ssize_t size = pread(world->lines, lines, sizeof(lines) - 1, 0);

	lines[size > 0 ? size : 0] = '\0';
	if (!strstr(lines, text))
		fail_msg("not said: %s; but: %s", text, lines);
}

/* A process that does something with memory of its own or of ours, and waits for its end. */
static pid_t
start(struct push_segment *(*act)(void *context), void *context)
{
	int fds[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!act(context) || write(fds[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	return pid;
}

static void
end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

struct worker {
	const struct shared_broker *broker;
	int slot;
	bool locks;
};

/* What a worker does; its lock it keeps. */
static struct push_segment *
work(void *context)
{
	const struct worker *worker = context;
	struct push_error error;
	struct push_segment *segment =
		push_segment_attach(dup(push_segment_fd(worker->broker->segment)), &error);

	if (!segment)
		return NULL;
	push_segment_be(segment, (unsigned int)worker->slot);
	if (push_segment_lock(segment, S) != PUSH_OK ||
		push_segment_join(segment, (unsigned int)worker->slot, "node", 0) != PUSH_OK)
		return NULL;
	if (!worker->locks)
		push_segment_unlock(segment);
	return segment;
}

static bool
is_locked(struct world *world)
{
	struct push_segment_holder holder;

	push_segment_holder(world->broker.segment, &holder);
	return holder.slot >= 0;
}

static void
each_worker_has_a_slot_until_it_is_gone(void **state)
{
	struct world *world = world_new();
	struct worker worker = {.broker = &world->broker};
	pid_t pid;

	(void)state;
	opens(world);
	for (int i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++)
		assert_int_equal(shared_broker_take_slot(&world->broker), i);
	assert_int_equal(shared_broker_take_slot(&world->broker), -1);
	assert_false(shared_broker_has_room(&world->broker, 1));
	worker.slot = 7;
	pid = start(work, &worker);
	assert_int_equal(push_segment_slot_pid(world->broker.segment, 7), pid);
	end(pid);
	shared_broker_worker_ended(&world->broker, 7);
	assert_int_equal(push_segment_slot_pid(world->broker.segment, 7), 0);
	assert_true(shared_broker_has_room(&world->broker, 1));
	assert_int_equal(shared_broker_take_slot(&world->broker), 7);
	/* one that never came as far as to have it */
	shared_broker_worker_ended(&world->broker, 8);
	assert_int_equal(shared_broker_take_slot(&world->broker), 8);
	world_free(world);
}

/* A worker's descriptors are its clients'. */
static void
two_generations_wake_each_other_and_no_more_descriptors_are_taken(void **state)
{
	struct world *world = world_new();
	struct push_segment_seat seat;

	(void)state;
	opens(world);
	push_segment_give(world->broker.segment, 0);
	assert_true(push_segment_seat_read(&seat));
	for (size_t i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++)
		assert_int_equal(seat.wake_fds[i] >= 0, i < 2 * WORKERS);
	assert_int_equal(unsetenv(PUSH_SEGMENT_SEAT_ENV), 0);
	world_free(world);
}

static void
a_worker_that_stands_still_with_the_lock_is_named_after_a_second(void **state)
{
	struct world *world = world_new();
	struct worker worker = {.broker = &world->broker, .locks = true};
	pid_t pid;

	(void)state;
	opens(world);
	assert_int_equal(shared_broker_turn(&world->broker, 0), -1);
	worker.slot = shared_broker_take_slot(&world->broker);
	pid = start(work, &worker);
	assert_int_equal(shared_broker_turn(&world->broker, 5 * S), -1);
	assert_true(shared_broker_turn_ms(&world->broker) <= 100);
	assert_int_equal(shared_broker_turn(&world->broker, 6 * S - 1), -1);
	/* and as long as a repair takes, which is not much here */
	assert_int_equal(shared_broker_turn(&world->broker, 7 * S), worker.slot);
	end(pid);
	shared_broker_worker_ended(&world->broker, worker.slot);
	assert_false(is_locked(world));
	assert_int_equal(shared_broker_turn(&world->broker, 8 * S), -1);
	world_free(world);
}

/* Another turn each time that it is looked: nothing stands still. */
static void
a_lock_that_is_used_all_the_time_is_nobodys_fault(void **state)
{
	struct world *world = world_new();
	struct worker worker = {.broker = &world->broker, .locks = true};

	(void)state;
	opens(world);
	worker.slot = shared_broker_take_slot(&world->broker);
	for (uint64_t i = 0; i < 5; i++) {
		pid_t pid = start(work, &worker);

		assert_int_equal(shared_broker_turn(&world->broker, i * S), -1);
		assert_true(is_locked(world));
		end(pid);
		shared_broker_worker_ended(&world->broker, worker.slot);
		assert_int_equal(shared_broker_take_slot(&world->broker), worker.slot);
	}
	world_free(world);
}

static void
a_lock_that_nobody_has_is_free_again(void **state)
{
	struct world *world = world_new();
	struct worker worker = {.broker = &world->broker, .slot = 63, .locks = true};
	pid_t pid;

	(void)state;
	opens(world);
	pid = start(work, &worker);
	assert_int_equal(shared_broker_turn(&world->broker, 0), -1);
	end(pid);
	assert_int_equal(shared_broker_turn(&world->broker, 2 * S), -1);
	assert_false(is_locked(world));
	was_said(world, "the broker's lock was held by slot 63, which nobody has");
	world_free(world);
}

/* A pushd that was killed has made it, and this is a worker of it. */
static struct push_segment *
be_left(void *context)
{
	const struct worker *worker = context;
	const struct push_segment_settings settings = {
		.history_bytes_max = 1024 * 1024, .epoch = 5, .seed = 1};
	struct push_error error;
	struct push_segment *segment = push_segment_create(&settings, &error);
	struct shared_broker broker = {.segment = segment};
	const struct worker one = {&broker, 3, worker->locks};

	return segment ? work((void *)(uintptr_t)&one) : NULL;
}

static void
what_a_killed_pushd_left_is_taken_over_with_its_workers(void **state)
{
	struct world *world = world_new();
	struct worker worker = {.locks = false};

	(void)state;
	orphan = start(be_left, &worker);
	shared_broker_take_over(&world->broker, world->config, 0);
	assert_non_null(world->broker.segment);
	assert_int_equal(push_segment_epoch(world->broker.segment), 5);
	was_said(world, "took over the broker of a pushd that was killed");
	opens(world);
	assert_int_equal(push_segment_epoch(world->broker.segment), 5);
	/* its slot is its own until it is gone */
	for (int i = 0; i < PUSH_SEGMENT_SLOTS_MAX - 1; i++)
		assert_int_not_equal(shared_broker_take_slot(&world->broker), 3);
	assert_int_equal(shared_broker_take_slot(&world->broker), -1);
	assert_int_equal(shared_broker_turn(&world->broker, 0), -1);
	end(orphan);
	orphan = 0;
	assert_int_equal(shared_broker_turn(&world->broker, 0), -1);
	assert_int_equal(push_segment_slot_pid(world->broker.segment, 3), 0);
	assert_int_equal(shared_broker_take_slot(&world->broker), 3);
	world_free(world);
}

/* It is killed for that, and what it has is taken over all the same. */
static void
what_is_left_and_stands_still_with_the_lock_holds_nobody_up(void **state)
{
	struct world *world = world_new();
	struct worker worker = {.locks = true};

	(void)state;
	orphan = start(be_left, &worker);
	shared_broker_take_over(&world->broker, world->config, 0);
	assert_non_null(world->broker.segment);
	was_said(world, "stands still and has the broker's lock, killing it");
	was_said(world, "took over the broker of a pushd that was killed");
	assert_int_equal(waitpid(orphan, NULL, 0), orphan);
	orphan = 0;
	world_free(world);
}

/* Memory of that name, and not of that kind. */
static struct push_segment *
be_strange(void *context)
{
	int fd = memfd_create(PUSH_SEGMENT_NAME, 0);

	(void)context;
	return ftruncate(fd, 1024 * 1024) ? NULL : (void *)(uintptr_t)1;
}

static void
what_is_of_another_layout_is_not_taken_over_and_that_is_said(void **state)
{
	struct world *world = world_new();

	(void)state;
	orphan = start(be_strange, NULL);
	shared_broker_take_over(&world->broker, world->config, 0);
	assert_null(world->broker.segment);
	was_said(world, "the broker of a pushd that was killed cannot be taken over: ");
	was_said(world, "history, keys and names begin anew");
	opens(world);
	assert_non_null(world->broker.segment);
	end(orphan);
	orphan = 0;
	world_free(world);
}

/* A file that a worker has open, and that is broken. */
static struct push_segment *
be_left_with_a_file(void *context)
{
	const struct push_segment_settings settings = {
		.history_bytes_max = 1024 * 1024, .epoch = 5, .seed = 1};
	struct push_segment_opened opened = {.is_new = false};
	struct push_error error = {""};
	struct push_segment *segment = push_segment_file_open(context, &settings, 0, 0, &opened, &error);

	return segment && pwrite(push_segment_fd(segment), "no layout", 9, 0) == 9 ? segment : NULL;
}

static void
a_broken_file_makes_room_though_its_workers_have_it_open(void **state)
{
	struct world *world = world_new();
	char folder[] = "/tmp/push-test-XXXXXX", *file = world->config->options.history_file, aside[64];

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(world->config->options.history_file), "%s/history", folder);
	snprintf(aside, sizeof(aside), "%s/history.broken-1", folder);
	orphan = start(be_left_with_a_file, file);
	shared_broker_take_over(&world->broker, world->config, 0);
	assert_null(world->broker.segment);
	was_said(world, aside);
	opens(world);
	assert_non_null(world->broker.segment);
	assert_int_equal(access(aside, F_OK), 0);
	end(orphan);
	orphan = 0;
	assert_int_equal(unlink(aside), 0);
	assert_int_equal(unlink(file), 0);
	assert_int_equal(rmdir(folder), 0);
	world_free(world);
}

static void
with_redis_there_is_none_as_soon_as_its_workers_are_gone(void **state)
{
	struct world *world = world_new();
	int slot;

	(void)state;
	opens(world);
	slot = shared_broker_take_slot(&world->broker);
	strcpy(world->config->options.redis_url, "redis://localhost");
	strcpy(world->config->options.history_file, "/file");
	opens(world);
	was_said(world, "push.history.file=/file: is not used, as push.redis.url is set");
	assert_int_equal(shared_broker_take_slot(&world->broker), -1);
	assert_int_equal(shared_broker_turn(&world->broker, 0), -1);
	assert_non_null(world->broker.segment);
	shared_broker_worker_ended(&world->broker, slot);
	assert_int_equal(shared_broker_turn(&world->broker, 0), -1);
	assert_null(world->broker.segment);
	world->config->options.redis_url[0] = world->config->options.history_file[0] = '\0';
	opens(world);
	assert_true(shared_broker_take_slot(&world->broker) >= 0);
	world_free(world);
}

static void
without_memory_there_is_none_and_that_is_said(void **state)
{
	struct world *world = world_new();

	(void)state;
	has_memory = false;
	opens(world);
	has_memory = true;
	assert_null(world->broker.segment);
	assert_int_equal(shared_broker_take_slot(&world->broker), -1);
	shared_broker_worker_ended(&world->broker, -1);
	assert_int_equal(shared_broker_turn(&world->broker, 0), -1);
	was_said(world, "no shared memory for the broker");
	world_free(world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_worker_has_a_slot_until_it_is_gone),
		cmocka_unit_test(two_generations_wake_each_other_and_no_more_descriptors_are_taken),
		cmocka_unit_test(a_worker_that_stands_still_with_the_lock_is_named_after_a_second),
		cmocka_unit_test(a_lock_that_is_used_all_the_time_is_nobodys_fault),
		cmocka_unit_test(a_lock_that_nobody_has_is_free_again),
		cmocka_unit_test(what_a_killed_pushd_left_is_taken_over_with_its_workers),
		cmocka_unit_test(what_is_left_and_stands_still_with_the_lock_holds_nobody_up),
		cmocka_unit_test(what_is_of_another_layout_is_not_taken_over_and_that_is_said),
		cmocka_unit_test(a_broken_file_makes_room_though_its_workers_have_it_open),
		cmocka_unit_test(with_redis_there_is_none_as_soon_as_its_workers_are_gone),
		cmocka_unit_test(without_memory_there_is_none_and_that_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
