/*
 * A process is killed at every point of everything that it does under the lock.
 *
 * It is stepped through, one machine instruction at a time (ptrace(2)); whenever the shared memory has changed, a copy
 * of it is what a kill at that point would have left.  Each copy is made whole, and then everything that was
 * committed is there, nothing is there in part, all leads to what it should, and publishing goes on.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* few, as every step is looked at */
#define WORLD_BUCKETS 16

#include "segment/file.h"
#include "segment/process.h"
#include "segment/values.h"
#include "segment_world.h"

#define HOUR_US 3600000000ull
#define WRITER  1 /* its slot */
#define READER  0

/* One state of so many is also looked at as a file, which takes longer; a prime, to come round to all. */
#define FILE_EVERY 7

static const char *const channels[] = {
	"kept", "live", "new", "other, whose name takes more than one block of the memory", "little"};
static const char *const value_names[] = {"v0", "v1", "v2", "v3", "v4", "new"};

/* --- what there is to see --- */

struct line {
	char key[24], text[40];
};

struct view {
	struct line lines[128];
	size_t count;
	uint64_t after[COUNT(channels)];
};

static void
put_line(struct view *view, const char *key, unsigned long long number, const char *bytes, size_t size)
{
	struct line *line = &view->lines[view->count++];
	unsigned long sum = 0;

	assert_true(view->count <= COUNT(view->lines));
	for (size_t i = 0; i < size; i++)
		sum = sum * 31 + (unsigned char)bytes[i];
	snprintf(line->key, sizeof(line->key), "%s %llu", key, number);
	snprintf(
		line->text, sizeof(line->text), "%zu %lx %.*s", size, sum, size < 12 ? (int)size : 12, bytes);
}

struct place {
	struct view *view;
	size_t channel;
};

static bool
see_message(void *context, const struct push_segment_item *item)
{
	struct place *place = context;
	char key[16];

	snprintf(key, sizeof(key), "m%zu", place->channel);
	put_line(place->view, key, item->number, item->value, item->value_size);
	return true;
}

static void
see_notice(void *context, const char *text, size_t size)
{
	struct view *view = context;

	put_line(view, "notice", (unsigned char)text[1], text, size);
}

static void
see_channel(struct push_segment *segment, struct view *view, size_t i, uint64_t now_us, struct push_buf *buf)
{
	size_t size = strlen(channels[i]);
	uint64_t hash = push_segment_hash(segment, channels[i], size), mask, count;
	uint32_t at = push_segment_channel_find(segment, channels[i], size, hash, 0);
	struct place place = {view, i};
	struct push_segment_kept kept;

	push_segment_kept(segment, at, hash, &kept);
	view->after[i] = kept.after;
	assert_true(push_segment_history_read(
		segment, at, 0, UINT64_MAX, false, 100, UINT64_MAX, NULL, buf, now_us, see_message, &place));
	count = push_segment_subscribers(segment, at, &mask);
	if (count)
		put_line(view, "count", i, (const char *)&count, sizeof(count));
}

/* What the reader's slot has not read yet. */
static void
see_log(struct push_segment *segment, struct view *view, struct push_buf *buf)
{
	struct push_segment_item item;
	enum push_segment_reading reading;

	segment->position = segment->header->slots[READER].position;
	segment->slot = READER;
	while ((reading = push_segment_read(segment, buf, &item)) != PUSH_SEGMENT_NOTHING) {
		if (reading == PUSH_SEGMENT_OVERRUN) {
			put_line(view, "overrun", 0, "", 0);
			break;
		}
		if (reading == PUSH_SEGMENT_ITEM)
			put_line(view, "log", item.seq, item.name, item.name_size + item.value_size);
	}
}

static struct view
view_of(struct push_segment *segment, uint64_t now_us)
{
	struct view view = {.count = 0};
	struct push_buf buf;

	push_buf_init(&buf, SIZE_MAX);
	lock(segment);
	see_log(segment, &view, &buf);
	for (size_t i = 0; i < COUNT(channels); i++)
		see_channel(segment, &view, i, now_us, &buf);
	for (size_t i = 0; i < COUNT(value_names); i++) {
		push_buf_clear(&buf);
		if (push_segment_value_get(segment, value_names[i], strlen(value_names[i]), now_us, &buf) ==
			PUSH_OK)
			put_line(&view, "value", i, buf.bytes, buf.size);
	}
	(void)push_segment_notices_read(segment, 0, 100, now_us, &buf, see_notice, &view);
	push_segment_unlock(segment);
	push_buf_fini(&buf);
	return view;
}

static const struct line *
find_line(const struct view *view, const char *key)
{
	for (size_t i = 0; i < view->count; i++)
		if (!strcmp(view->lines[i].key, key))
			return &view->lines[i];
	return NULL;
}

static bool
has_line(const struct view *view, const struct line *line)
{
	const struct line *found = find_line(view, line->key);

	return found && !strcmp(found->text, line->text);
}

/* A message that is behind its channel's `after` has to be there. */
static bool
is_promised(const struct view *view, const char *key)
{
	size_t channel;
	unsigned long long number;

	return sscanf(key, "m%zu %llu", &channel, &number) == 2 && number > view->after[channel];
}

static bool
is_of_log(const char *key)
{
	return key[0] == 'm' || !strncmp(key, "log", 3);
}

/* Empty: it is a state between the two; else what is wrong. */
static const char *
compare(const struct view *view, const struct view *before, const struct view *after, bool is_committed)
{
	static char text[128];

	for (size_t i = 0; i < view->count; i++)
		if (!has_line(before, &view->lines[i]) && !has_line(after, &view->lines[i])) {
			snprintf(text, sizeof(text), "%s is '%s'", view->lines[i].key, view->lines[i].text);
			return text;
		}
	for (size_t i = 0; i < before->count; i++) {
		const char *key = before->lines[i].key;

		if (!find_line(view, key) && !find_line(view, "overrun 0") &&
			(find_line(after, key) || is_promised(view, key))) {
			snprintf(text, sizeof(text), "%s is gone", key);
			return text;
		}
	}
	for (size_t i = 0; i < after->count; i++) {
		const char *key = after->lines[i].key;

		if (is_of_log(key) && !find_line(before, key) &&
			(find_line(view, key) != NULL) != is_committed) {
			snprintf(text, sizeof(text), "%s is %s, and was%s committed", key,
				is_committed ? "not there" : "there", is_committed ? "" : " not");
			return text;
		}
	}
	return "";
}

/* --- copies of the memory --- */

struct image {
	unsigned char *bytes;
	size_t size;
};

/* All of it that may ever be used; `with`: it has grown. */
static size_t
image_size(const struct push_segment *segment)
{
	struct stat about;
	size_t limit = segment->blocks_at + (size_t)segment->block_limit * PUSH_SEGMENT_BLOCK_BYTES;

	assert_int_equal(fstat(segment->fd, &about), 0);
	return (size_t)about.st_size < limit ? (size_t)about.st_size : limit;
}

static bool
has_changed(struct image *image, const struct push_segment *segment)
{
	size_t size = image_size(segment);

	if (size == image->size && !memcmp(image->bytes, segment->header, size))
		return false;
	if (size != image->size) {
		image->bytes = realloc(image->bytes, size);
		assert_non_null(image->bytes);
		image->size = size;
	}
	memcpy(image->bytes, segment->header, size);
	return true;
}

/* A segment by itself; whoever had the lock is dead. */
static struct push_segment *
segment_of(const struct image *image)
{
	int fd = memfd_create("copy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct push_error error = {""};
	struct push_segment *segment;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, image->bytes, image->size), image->size);
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
	segment = push_segment_attach(fd, &error);
	assert_string_equal(error.text, "");
	segment->header->supervisor = (struct segment_process){0};
	push_segment_be(segment, PUSH_SEGMENT_SUPERVISOR);
	return segment;
}

/* What outlives all workers. */
static struct view
of_file(const struct view *view)
{
	struct view ret = *view;

	ret.count = 0;
	for (size_t i = 0; i < view->count; i++)
		if (view->lines[i].key[0] == 'm' || view->lines[i].key[0] == 'v' ||
			view->lines[i].key[0] == 'n')
			ret.lines[ret.count++] = view->lines[i];
	return ret;
}

/* The file that a killed pushd and its workers leave, opened by the next pushd. */
static struct push_segment *
open_as_file(const struct image *image, uint64_t now_us)
{
	struct push_segment_settings settings = {
		.history_bytes_max = 1 << 20, .bytes_max = 1000, .cell_count = 64, .bucket_count = 16};
	char path[] = "/tmp/push-segment-kills-XXXXXX";
	struct push_segment_opened how = {0};
	struct push_error error = {""};
	struct push_segment *segment;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, image->bytes, image->size), image->size);
	close(fd);
	segment = push_segment_file_open(path, &settings, now_us, 1, &how, &error);
	(void)unlink(path);
	assert_string_equal(error.text, "");
	assert_non_null(segment);
	if (how.is_new)
		print_error("%s\n", how.line);
	assert_false(how.is_new);
	return segment;
}

/* --- what may be interrupted --- */

static struct push_segment_message
message(const struct push_segment *segment, const char *name, const char *value, size_t size,
	uint32_t history)
{
	return (struct push_segment_message){.name = name,
		.name_size = strlen(name),
		.value = value,
		.value_size = size,
		.hash = push_segment_hash(segment, name, strlen(name)),
		.history_size = history,
		.history_ttl_us = HOUR_US};
}

static uint64_t
now_of(const struct push_segment *segment)
{
	return segment->header->time_us;
}

static char large[4000];

static void
publish_one(struct push_segment *segment, const char *name, size_t size, uint32_t history)
{
	struct push_segment_message what = message(segment, name, large, size, history);
	struct push_segment_published done;

	(void)!push_segment_publish(segment, &what, now_of(segment), &done);
}

static void
op_publish_first_of_channel(struct push_segment *segment)
{
	publish_one(segment, "new", 300, 10);
}

static void
op_publish_and_drop_oldest_of_channel(struct push_segment *segment)
{
	publish_one(segment, "kept", 20, 3);
}

static void
op_publish_and_drop_oldest_of_all(struct push_segment *segment)
{
	segment->header->history_bytes_max = segment->header->history_bytes;
	publish_one(segment, "kept", 300, 100);
}

static void
op_publish_what_is_not_kept(struct push_segment *segment)
{
	publish_one(segment, "live", 500, 0);
}

static void
op_publish_until_the_log_is_full(struct push_segment *segment)
{
	for (int i = 0; i < 2; i++)
		publish_one(segment, "live", 10, 0);
}

static void
op_publish_where_there_is_no_room(struct push_segment *segment)
{
	publish_one(segment, "live", 2000, 10);
}

static void
op_publish_what_is_too_large_to_be_kept(struct push_segment *segment)
{
	segment->header->history_bytes_max = 1000;
	publish_one(segment, "new", 2000, 10);
}

static void
op_put_new_value(struct push_segment *segment)
{
	(void)!push_segment_value_put(segment, "new", 3, large, 300, HOUR_US, now_of(segment));
}

static void
op_replace_value(struct push_segment *segment)
{
	(void)!push_segment_value_put(segment, "v1", 2, "replaced", 8, HOUR_US, now_of(segment));
}

static void
op_forget_value(struct push_segment *segment)
{
	(void)!push_segment_value_put(segment, "v2", 2, NULL, 0, 0, now_of(segment));
}

static void
op_put_notice(struct push_segment *segment)
{
	(void)!push_segment_notice_put(segment, "new notice", 10, HOUR_US, now_of(segment));
}

static void
op_expire_values(struct push_segment *segment)
{
	push_segment_values_expire(segment, 100, now_of(segment) + HOUR_US);
}

static void
set(struct push_segment *segment, const char *name, uint32_t count)
{
	uint32_t hint = 0;

	(void)!push_segment_set_count(
		segment, name, strlen(name), push_segment_hash(segment, name, strlen(name)), count, &hint);
}

static void
op_subscribe_first(struct push_segment *segment)
{
	set(segment, "new", 1);
}

static void
op_subscribe_one_more_worker(struct push_segment *segment)
{
	set(segment, "live", 9);
}

static void
op_unsubscribe_last(struct push_segment *segment)
{
	set(segment, "little", 0);
}

static void
op_expire_history(struct push_segment *segment)
{
	uint32_t bucket = 0;

	push_segment_expire(segment, &bucket, segment->bucket_mask + 1, now_of(segment) + HOUR_US);
}

static void
op_relieve(struct push_segment *segment)
{
	(void)push_segment_relieve(segment, 4);
}

static void
op_send_letter(struct push_segment *segment)
{
	struct push_segment_letter letter = {.verb = PUSH_SEGMENT_CALL,
		.number = 5,
		.name = "verb",
		.name_size = 4,
		.value = large,
		.value_size = 200,
		.mask = 1 << READER};
	uint64_t mask;

	(void)!push_segment_send(segment, &letter, now_of(segment), &mask);
}

static void
op_forget_worker(struct push_segment *segment)
{
	uint32_t bucket = 0;

	(void)segment_channels_forget(segment, 2, &bucket, segment->bucket_mask + 1);
}

static void
op_catch_up_and_publish(struct push_segment *segment)
{
	segment->header->slots[READER].position = segment->header->slots[2].position =
		segment->header->slots[WRITER].position = segment->header->tail;
	segment->header->low = segment->header->tail;
	publish_one(segment, "live", 10, 0);
}

static void
op_publish_and_grow(struct push_segment *segment)
{
	publish_one(segment, "live", sizeof(large), 10);
}

static void
op_repair(struct push_segment *segment)
{
	struct push_segment_repaired repaired;

	push_segment_repair(segment, &repaired);
}

struct operation {
	const char *name;
	void (*run)(struct push_segment *segment);
	uint32_t cells;
	uint64_t bytes_max;
	size_t every; /* of so many states one is looked at, unless all are asked for */
};

#define OPERATION(name, ...)                                                                                 \
	{                                                                                                    \
#name, op_##name, __VA_ARGS__                                                                \
	}

static const struct operation operations[] = {
	OPERATION(publish_first_of_channel, 64, 40000, 1),
	OPERATION(publish_and_drop_oldest_of_channel, 64, 40000, 1),
	OPERATION(publish_and_drop_oldest_of_all, 64, 40000, 1),
	OPERATION(publish_what_is_not_kept, 64, 40000, 1),
	OPERATION(publish_until_the_log_is_full, 32, 40000, 1),
	OPERATION(publish_where_there_is_no_room, 64, 9500, 1),
	OPERATION(publish_what_is_too_large_to_be_kept, 64, 40000, 1),
	OPERATION(put_new_value, 64, 40000, 1),
	OPERATION(replace_value, 64, 40000, 1),
	OPERATION(forget_value, 64, 40000, 1),
	OPERATION(put_notice, 64, 40000, 1),
	OPERATION(expire_values, 64, 40000, 1),
	OPERATION(subscribe_first, 64, 40000, 1),
	OPERATION(subscribe_one_more_worker, 64, 40000, 1),
	OPERATION(unsubscribe_last, 64, 40000, 1),
	OPERATION(expire_history, 64, 40000, 1),
	OPERATION(relieve, 64, 40000, 1),
	OPERATION(send_letter, 64, 40000, 1),
	OPERATION(forget_worker, 64, 40000, 1),
	OPERATION(catch_up_and_publish, 64, 40000, 1),
	OPERATION(publish_and_grow, 64, 3 << 20, 13),
};

/* --- the world before it --- */

/* Almost all that there is until the file grows is used. */
static void
fill(struct world *world)
{
	struct push_segment *segment = world->workers[2];
	const struct segment_header *header = segment->header;
	static char value[PUSH_VALUE_BYTES_MAX];
	uint32_t left;

	lock(segment);
	for (size_t i = 0; i < 3; i++) {
		size_t size = sizeof(value) - 1000;

		left = segment->block_count - header->fresh + header->free_count;
		if (size > (left - 5) * sizeof(((struct segment_more *)0)->bytes))
			size = (left - 5) * sizeof(((struct segment_more *)0)->bytes);
		assert_int_equal(push_segment_value_put(
					 segment, value_names[i], 2, value, size, 2 * HOUR_US, world->now_us),
			PUSH_OK);
	}
	left = segment->block_count - header->fresh + header->free_count;
	assert_true(left < 20);
	push_segment_unlock(segment);
}

static struct world *
world_of(const struct operation *operation)
{
	struct world *world = make_world(operation->cells, 1 << 20, operation->bytes_max);
	struct segment_header *header = world->of_pushd->header;
	char text[8];

	header->time_us = world->now_us;
	for (unsigned int i = 0; i < 7; i++) {
		/* with so many workers one more does not fit into the channel's own block */
		header->slots[i + 3].state = SEGMENT_SLOT_ATTACHED;
		header->attached |= 1ull << (i + 3);
		world->workers[2]->slot = i ? i + 3 : 2;
		subscribe(world, 2, "live", i + 1);
	}
	world->workers[2]->slot = 2;
	subscribe(world, READER, "kept", 1);
	subscribe(world, WRITER, "little", 1);
	(void)keep(world, WRITER, channels[3], "oldest", 100);
	for (int i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "k%d", i);
		(void)keep(world, 2, "kept", text, 3);
		(void)publish(world, 2, "kept", "live");
	}
	lock(world->workers[2]);
	for (size_t i = 0; i + 1 < COUNT(value_names); i++) {
		assert_int_equal(push_segment_value_put(world->workers[2], value_names[i], 2, value_names[i],
					 2, i == 3 ? HOUR_US : 2 * HOUR_US, world->now_us),
			PUSH_OK);
		assert_int_equal(push_segment_notice_put(world->workers[2], value_names[i], 2,
					 i == 3 ? HOUR_US : 2 * HOUR_US, world->now_us),
			PUSH_OK);
	}
	push_segment_unlock(world->workers[2]);
	if (operation->bytes_max > 1 << 20)
		fill(world);
	assert_consistent(world);
	return world;
}

static void
end(struct world *world)
{
	for (unsigned int i = 3; i < 10; i++)
		world->of_pushd->header->slots[i].state = SEGMENT_SLOT_FREE;
	(void)repair(world);
	end_world(world);
}

/* --- stepping --- */

/* The writer as a process of its own, which stands at the first instruction of what it is to do. */
static pid_t
start(struct push_segment *segment, unsigned int slot, void (*run)(struct push_segment *segment))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid) {
		if (slot < PUSH_SEGMENT_SLOTS_MAX)
			segment_process_clear(&segment->header->slots[slot].process);
		else
			segment_process_clear(&segment->header->supervisor);
		push_segment_be(segment, slot);
		if (push_segment_lock(segment, 1000000) || ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(1);
		raise(SIGSTOP);
		run(segment);
		push_segment_unlock(segment);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_EXITKILL), 0);
	return pid;
}

/* Stepping is going to and fro between two processes, much faster on one processor. */
static void
stay_on_one_processor(void)
{
	cpu_set_t set;
	int here = sched_getcpu();

	CPU_ZERO(&set);
	CPU_SET(here > 0 ? (size_t)here : 0, &set);
	(void)sched_setaffinity(0, sizeof(set), &set);
}

/* One instruction.  False: it has ended. */
static bool
step(pid_t pid)
{
	int status;

	assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFSTOPPED(status);
}

/* Made whole; whether it had to be. */
static struct push_segment_repaired
heal(struct push_segment *segment)
{
	struct push_segment_repaired found = {0};
	bool was_held = (segment->header->lock & 0x7f) != 0;

	segment->header->lock = 0;
	lock(segment);
	if (was_held)
		push_segment_repair(segment, &found);
	push_segment_unlock(segment);
	return found;
}

static void
assert_whole(struct push_segment *segment)
{
	struct segment_check check;

	lock(segment);
	check = segment_check(segment);
	assert_false(segment->is_broken);
	push_segment_unlock(segment);
	assert_string_equal(check.what, "");
}

/* What the operation leaves if nobody interrupts it. */
static struct view
view_after(const struct operation *operation)
{
	struct world *world = world_of(operation);
	struct push_segment *segment = world->workers[WRITER];
	struct view view;

	lock(segment);
	operation->run(segment);
	push_segment_unlock(segment);
	assert_consistent(world);
	view = view_of(world->workers[READER], world->now_us);
	end(world);
	return view;
}

struct states {
	struct view before, after;
	uint64_t now_us, tail_before;
	size_t every;
	bool is_lossy; /* something is broken, beside what is torn */
};

static void
goes_on(struct push_segment *segment, uint64_t now_us)
{
	struct push_segment_message what = message(segment, "kept", "on", 2, 10);
	struct push_segment_published done;

	assert_whole(segment);
	lock(segment);
	assert_int_equal(push_segment_publish(segment, &what, now_us, &done), PUSH_OK);
	push_segment_unlock(segment);
	assert_whole(segment);
	push_segment_detach(segment);
}

static void
look_at(const struct image *image, const struct states *states)
{
	struct push_segment *segment = segment_of(image);
	struct push_segment_repaired found = heal(segment);
	bool is_committed = segment->header->tail != states->tail_before;
	struct view view;

	assert_true(states->is_lossy || !found.broken);
	view = view_of(segment, states->now_us);
	assert_string_equal(compare(&view, &states->before, &states->after, is_committed), "");
	goes_on(segment, states->now_us);
}

static void
look_at_file(const struct image *image, const struct states *states)
{
	struct push_segment *segment = open_as_file(image, states->now_us);
	struct view view = view_of(segment, states->now_us), before = of_file(&states->before),
		    after = of_file(&states->after);
	bool is_committed = segment->header->tail != states->tail_before;

	assert_int_equal(segment->header->attached, 0);
	view = of_file(&view);
	assert_string_equal(compare(&view, &before, &after, is_committed), "");
	goes_on(segment, states->now_us);
}

/* Every state of one operation; returns how many there were.  `kept`: some of them, from all over. */
static size_t
look_at_all(struct push_segment *segment, unsigned int slot, void (*run)(struct push_segment *segment),
	const struct states *states, struct image *kept, size_t kept_every, size_t kept_max)
{
	struct image image = {NULL, 0};
	size_t count = 0, kept_count = 0;
	pid_t pid = start(segment, slot, run);

	do {
		if (!has_changed(&image, segment))
			continue;
		if (count % states->every == 0)
			look_at(&image, states);
		if (!states->is_lossy && count % (FILE_EVERY * states->every) == 0)
			look_at_file(&image, states);
		if (count && count % kept_every == 0 && kept_count < kept_max) {
			struct image *copy = &kept[kept_count++];

			copy->bytes = malloc(image.size);
			assert_non_null(copy->bytes);
			memcpy(copy->bytes, image.bytes, image.size);
			copy->size = image.size;
		}
		count++;
	} while (step(pid));
	free(image.bytes);
	return count;
}

/* valgrind runs another program than the one that would be stepped through; what sanitizers add makes ten times as
 * many steps to the same states. */
static bool
is_instrumented(void)
{
#ifdef __SANITIZE_ADDRESS__
	return true;
#else
	const char *preloaded = getenv("LD_PRELOAD");

	return preloaded && strstr(preloaded, "vgpreload");
#endif
}

static struct states
states_of(struct world *world, const struct operation *operation)
{
	struct states states = {.now_us = world->now_us,
		.tail_before = world->of_pushd->header->tail,
		.every = getenv("PUSH_TEST_ALL") ? 1 : operation->every};
	struct image image = {NULL, 0};
	struct push_segment *copy;

	assert_true(has_changed(&image, world->of_pushd));
	copy = segment_of(&image);
	states.before = view_of(copy, world->now_us);
	push_segment_detach(copy);
	free(image.bytes);
	states.after = view_after(operation);
	return states;
}

/* The repair of what a killed process has left is interrupted as well: it ends as if it had not been. */
static size_t
interrupt_repair(const struct image *image, uint64_t now_us, bool is_lossy)
{
	struct push_segment *segment = segment_of(image);
	struct states states = {.now_us = now_us, .every = 1, .is_lossy = is_lossy};
	struct image none;
	size_t count;

	segment->header->lock = 128 | 2; /* the writer's, which is gone */
	(void)heal(segment);
	states.tail_before = segment->header->tail;
	states.before = states.after = view_of(segment, now_us);
	push_segment_detach(segment);
	segment = segment_of(image);
	segment->header->lock = 0;
	count = look_at_all(segment, PUSH_SEGMENT_SUPERVISOR, op_repair, &states, &none, SIZE_MAX, 0);
	push_segment_detach(segment);
	return count;
}

/* With PUSH_TEST_ALL in the environment, repairs of more states are interrupted. */
static size_t
repairs_interrupted(size_t operation)
{
	if (getenv("PUSH_TEST_ALL"))
		return 8;
	return operations[operation].run == op_publish_and_drop_oldest_of_all ||
	       operations[operation].run == op_replace_value;
}

static void
test_a_writer_killed_at_any_point_leaves_all_that_was_committed_and_nothing_in_part(void **state)
{
	size_t count = 0, of_repairs = 0;

	(void)state;
	if (is_instrumented())
		skip();
	for (size_t i = 0; i < COUNT(operations); i++) {
		const struct operation *operation = &operations[i];
		struct world *world = world_of(operation);
		struct states states = states_of(world, operation);
		struct image kept[8] = {{NULL, 0}};
		size_t here = look_at_all(world->workers[WRITER], WRITER, operation->run, &states, kept, 13,
			repairs_interrupted(i));

		count += here;
		for (size_t k = 0; k < COUNT(kept); k++) {
			if (kept[k].bytes)
				of_repairs += interrupt_repair(&kept[k], world->now_us, false);
			free(kept[k].bytes);
		}
		print_message("%s: %zu states\n", operation->name, here);
		end(world);
	}
	print_message("%zu states, and %zu of repairs\n", count, of_repairs);
	assert_true(count > 1000 && of_repairs > 100);
}

static void
test_a_repair_that_throws_something_away_may_be_killed_at_any_point(void **state)
{
	struct world *world;
	struct image image = {NULL, 0};

	(void)state;
	if (is_instrumented())
		skip();
	world = world_of(&operations[0]);
	segment_record(world->workers[0], world->of_pushd->header->by_age[0].newest, 1u << SEGMENT_MESSAGE)
		->bytes[5] ^= 1;
	segment_record(world->workers[0], world->of_pushd->header->value_newest, 1u << SEGMENT_VALUE)
		->bytes[0] ^= 1;
	assert_true(has_changed(&image, world->of_pushd));
	assert_true(interrupt_repair(&image, world->now_us, true) > 50);
	free(image.bytes);
	end(world);
}

/* The lock's own way: another worker finds that its owner is gone. */
static void
test_a_worker_that_waits_takes_over_from_one_that_was_killed(void **state)
{
	(void)state;
	if (is_instrumented())
		skip();
	for (size_t i = 0; i < COUNT(operations); i++) {
		struct world *world = world_of(&operations[i]);
		struct states states = states_of(world, &operations[i]);
		struct push_segment *other = world->workers[READER];
		pid_t pid = start(world->workers[WRITER], WRITER, operations[i].run);
		struct view view;
		bool was_held;

		for (size_t steps = 100 + i * 97 % 1000; steps; steps--)
			assert_true(step(pid));
		was_held = (other->header->lock & 0x7f) == WRITER + 1;
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		/* that it is gone is seen sooner or later, however busy the machine is */
		while (push_segment_lock(other, 1000000) != PUSH_OK)
			continue;
		assert_int_equal(other->header->repairs, was_held);
		push_segment_unlock(other);
		assert_consistent(world);
		view = view_of(other, world->now_us);
		assert_string_equal(compare(&view, &states.before, &states.after,
					    other->header->tail != states.tail_before),
			"");
		assert_true(push_segment_slot_ended(world->workers[2], WRITER));
		assert_consistent(world);
		end(world);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			test_a_writer_killed_at_any_point_leaves_all_that_was_committed_and_nothing_in_part),
		cmocka_unit_test(test_a_repair_that_throws_something_away_may_be_killed_at_any_point),
		cmocka_unit_test(test_a_worker_that_waits_takes_over_from_one_that_was_killed),
	};

	stay_on_one_processor();
	memset(large, 'L', sizeof(large));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
