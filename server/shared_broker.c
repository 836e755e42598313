/* shared_broker.c - see shared_broker.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "orphans.h"
#include "segment/file.h"
#include "segment/history.h"
#include "segment/repair.h"
#include "shared_broker.h"
#include "worker_count.h"

_Static_assert(2 * WORKER_COUNT_EMBEDDED_MAX == PUSH_SEGMENT_SLOTS_MAX, "slots for two generations");

/* As /proc shows the memory of push_segment_create(). */
#define MEMFD_LINK "/memfd:" PUSH_SEGMENT_NAME

#define TICK_US 1000000ull

/* How often it is looked at: mostly; and while somebody has the lock, or something is to be done. */
#define LOOK_MS      250
#define LOOK_SOON_MS 50

/* A busy machine: 2 s for 512 MB were measured at a load of seven for each core. */
#define REPAIR_BYTES_PER_US 128

/* Some milliseconds of dropping. */
#define HISTORY_STEP_BYTES    (4ull * 1024 * 1024)
#define HISTORY_STEP_MESSAGES 64

/* From the end of who stands still with the lock until another one has it. */
#define TAKE_OVER_MARGIN_US 1500000ull

static uint64_t
bit(unsigned int slot)
{
	return 1ull << slot;
}

static uint64_t
random_bits(void)
{
	uint64_t bits = clock_wall_us();

	(void)!getrandom(&bits, sizeof(bits), GRND_NONBLOCK);
	return bits;
}

/* Who repairs looks at all that there is: some nanoseconds a byte on a busy machine. */
static uint64_t
patience_us(const struct shared_broker *self)
{
	struct push_segment_figures now;

	push_segment_figures(self->segment, &now);
	return PUSH_SEGMENT_LOCK_HELD_US_MAX + now.bytes / REPAIR_BYTES_PER_US;
}

/* Its lock is tried again and again, for whoever stands still with it is killed meanwhile. */
static bool
lock(struct shared_broker *self, uint64_t now_us)
{
	const uint64_t until_us = now_us + patience_us(self) + TAKE_OVER_MARGIN_US;

	for (; now_us < until_us; now_us += PUSH_SEGMENT_LOCK_WAIT_US) {
		if (push_segment_lock(self->segment, PUSH_SEGMENT_LOCK_WAIT_US) == PUSH_OK)
			return true;
		(void)shared_broker_turn(self, now_us);
	}
	return false;
}

/* Which of a process' descriptors is the segment: that of `file`, or memory; -1: none.  `of`: a certain one. */
static int
find_descriptor(pid_t pid, const char *file, const struct stat *of)
{
	char path[64], link[PATH_MAX];
	struct stat wanted, about;
	struct dirent *entry;
	int found = -1, number;
	DIR *folder;

	if (!of && *file) {
		if (stat(file, &wanted))
			return -1;
		of = &wanted;
	}
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	folder = opendir(path);
	while (folder && found < 0 && (entry = readdir(folder))) {
		ssize_t size = readlinkat(dirfd(folder), entry->d_name, link, sizeof(link) - 1);

		if (size < 0 || sscanf(entry->d_name, "%9d", &number) != 1)
			continue;
		link[size] = '\0';
		if (of ? !fstatat(dirfd(folder), entry->d_name, &about, 0) && about.st_dev == of->st_dev &&
					about.st_ino == of->st_ino
		       : !strncmp(link, MEMFD_LINK, strlen(MEMFD_LINK)))
			found = number;
	}
	if (folder)
		closedir(folder);
	return found;
}

/* Who is in the slots still: a number of a process may be another's by now, who does not have the memory open. */
static void
find_guests(struct shared_broker *self)
{
	struct stat about;

	if (fstat(push_segment_fd(self->segment), &about))
		return;
	for (unsigned int i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++) {
		pid_t pid = push_segment_slot_pid(self->segment, i);
		int handle = pid > 0 ? pidfd_open(pid, 0) : -1;

		if (handle < 0)
			continue;
		if ((self->given & bit(i)) || find_descriptor(pid, "", &about) < 0) {
			close(handle);
			continue;
		}
		self->guests[i] = (struct shared_broker_guest){pid, handle};
		self->given |= bit(i);
	}
}

static void
forget_guests(struct shared_broker *self)
{
	for (unsigned int i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++)
		if (self->guests[i].pid)
			close(self->guests[i].handle);
	memset(self->guests, 0, sizeof(self->guests));
	self->given = self->ended = 0;
}

/* Those that have died without anybody to notice. */
static void
find_dead(struct shared_broker *self)
{
	for (unsigned int i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++)
		if (!(self->given & bit(i)) && push_segment_slot_pid(self->segment, i))
			self->ended |= bit(i);
	self->given |= self->ended;
}

static void
free_ended_slots(struct shared_broker *self)
{
	for (unsigned int i = 0; i < PUSH_SEGMENT_SLOTS_MAX && self->ended; i++)
		if ((self->ended & bit(i)) && push_segment_slot_ended(self->segment, i)) {
			self->ended &= ~bit(i);
			self->given &= ~bit(i);
		}
}

static void
look_after_guests(struct shared_broker *self)
{
	for (unsigned int i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++) {
		struct pollfd end = {.fd = self->guests[i].handle, .events = POLLIN};

		if (!self->guests[i].pid || poll(&end, 1, 0) <= 0)
			continue;
		close(self->guests[i].handle);
		self->guests[i] = (struct shared_broker_guest){0};
		self->ended |= bit(i);
	}
}

/* What is there is of no use; a file, which its workers have open yet, makes room for a new one. */
static void
refuse(struct shared_broker *self, const char *whose, const char *why)
{
	struct push_segment_opened opened = {.line = ""};
	struct push_error error;

	log_say(self->log, PUSH_LOG_WARN,
		"the broker of %s cannot be taken over: %s; history, keys and names begin anew", whose, why);
	if (!self->file[0])
		return;
	snprintf(error.text, sizeof(error.text), "%s", why);
	if (push_segment_file_set_aside(self->file, &opened, &error))
		log_say(self->log, PUSH_LOG_ERROR, "%s", opened.line);
	else
		log_say(self->log, PUSH_LOG_ERROR, "push.history.file=%s: %s", self->file, error.text);
}

/* Whether it is whole, and ours from now on. */
static bool
adopt(struct shared_broker *self, uint64_t now_us, const char **ret_why)
{
	struct push_segment_repaired found;

	push_segment_be(self->segment, PUSH_SEGMENT_SUPERVISOR);
	push_segment_break_lock(self->segment, PUSH_SEGMENT_SUPERVISOR);
	find_guests(self);
	*ret_why = "its lock cannot be had";
	if (!lock(self, now_us))
		return false;
	push_segment_repair(self->segment, &found);
	push_segment_unlock(self->segment);
	*ret_why = "it is broken";
	if (found.broken)
		return false;
	find_dead(self);
	free_ended_slots(self);
	log_say(self->log, PUSH_LOG_INFO,
		"took over the broker of a pushd that was killed: %llu messages, %llu values and %llu "
		"notices",
		(unsigned long long)found.messages, (unsigned long long)found.values,
		(unsigned long long)found.notices);
	return true;
}

struct search {
	struct shared_broker *self;
	uint64_t now_us;
};

/* False: go on with the next worker. */
static bool
take_from(pid_t pid, void *context)
{
	struct search *search = context;
	struct shared_broker *self = search->self;
	int number = find_descriptor(pid, self->file, NULL), fd;
	struct push_error error;
	const char *why;
	char path[64];

	if (number < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, number);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		snprintf(error.text, sizeof(error.text), "%s: %s", path, strerror(errno));
	self->segment = fd < 0 ? NULL : push_segment_attach(fd, &error);
	why = error.text;
	if (self->segment && adopt(self, search->now_us, &why))
		return true;
	shared_broker_close(self);
	refuse(self, "a pushd that was killed", why);
	return true;
}

void
shared_broker_take_over(struct shared_broker *self, const struct config *config, uint64_t now_us)
{
	struct search search = {.self = self, .now_us = now_us};
	const struct push_options *options = &config->options;

	if (options->redis_url[0])
		return;
	self->is_wanted = true;
	snprintf(self->file, sizeof(self->file), "%s", options->history_file);
	(void)orphans_find(config, take_from, &search);
	if (!self->segment)
		return;
	self->history_bytes_wanted = options->history_bytes_max;
}

static bool
is_file(int fd, const char *path)
{
	struct stat open_one, named;

	return *path && !fstat(fd, &open_one) && !stat(path, &named) && open_one.st_dev == named.st_dev &&
	       open_one.st_ino == named.st_ino;
}

void
shared_broker_inherit(struct shared_broker *self, const struct push_options *options, uint64_t taken)
{
	struct push_segment_seat seat;
	struct push_error error;

	bool is_there = push_segment_seat_read(&seat);

	(void)unsetenv(PUSH_SEGMENT_SEAT_ENV);
	if (!is_there)
		return;
	/* the configuration may name another one by now, which takes a restart */
	if (is_file(seat.fd, options->history_file))
		snprintf(self->file, sizeof(self->file), "%s", options->history_file);
	self->segment = push_segment_attach(seat.fd, &error);
	if (!self->segment) {
		for (size_t i = 0; i < PUSH_SEGMENT_SLOTS_MAX; i++)
			if (seat.wake_fds[i] >= 0)
				close(seat.wake_fds[i]);
		refuse(self, "the pushd before", error.text);
		return;
	}
	push_segment_be(self->segment, PUSH_SEGMENT_SUPERVISOR);
	push_segment_set_wakers(self->segment, seat.wakers, seat.wake_fds);
	self->has_wakers = true;
	self->history_bytes_max = self->history_bytes_wanted = options->history_bytes_max;
	self->is_wanted = true;
	self->given = taken;
	find_guests(self);
	find_dead(self);
}

void
shared_broker_leave(const struct shared_broker *self)
{
	if (self->segment)
		push_segment_give(self->segment, 0);
}

static struct push_segment_settings
settings_of(const struct push_options *options)
{
	return (struct push_segment_settings){.history_bytes_max = options->history_bytes_max,
		.epoch = clock_wall_us() / 1000,
		.seed = random_bits()};
}

static void
create(struct shared_broker *self, const struct push_options *options)
{
	const struct push_segment_settings settings = settings_of(options);
	struct push_error error;

	self->segment = push_segment_create(&settings, &error);
	if (!self->segment)
		log_say(self->log, PUSH_LOG_WARN,
			"no shared memory for the broker, so that there is one worker, and a reload loses "
			"messages: %s",
			error.text);
}

static enum push_status
open_file(struct shared_broker *self, const struct push_options *options, uint64_t now_us,
	struct push_error *error)
{
	const struct push_segment_settings settings = settings_of(options);
	struct push_segment_opened opened = {.line = ""};
	struct push_error why = {0};

	self->segment = push_segment_file_open(
		options->history_file, &settings, now_us, clock_wall_us(), &opened, &why);
	if (opened.line[0])
		log_say(self->log, opened.was_set_aside ? PUSH_LOG_ERROR : PUSH_LOG_INFO, "%s", opened.line);
	if (self->segment)
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "push.history.file=%.200s: %.150s", options->history_file,
		why.text);
	return PUSH_INVALID;
}

static void
open_wakers(struct shared_broker *self, size_t worker_count)
{
	self->has_wakers =
		push_segment_open_wakers(self->segment, (uint32_t)random_bits(), 2 * worker_count) == PUSH_OK;
	if (!self->has_wakers)
		log_say(self->log, PUSH_LOG_WARN,
			"no descriptors for workers to wake each other: messages take up to 10 ms longer");
}

enum push_status
shared_broker_open(struct shared_broker *self, const struct push_options *options, size_t worker_count,
	uint64_t now_us, struct push_error *error)
{
	self->is_wanted = !options->redis_url[0];
	if (!self->is_wanted && options->history_file[0])
		log_say(self->log, PUSH_LOG_WARN,
			"push.history.file=%s: is not used, as push.redis.url is set and Redis keeps the "
			"history",
			options->history_file);
	if (!self->is_wanted)
		return PUSH_OK;
	if (self->segment && strcmp(self->file, options->history_file) != 0)
		log_say(self->log, PUSH_LOG_WARN, "push.history.file=%s: takes a restart of pushd",
			options->history_file);
	if (!self->segment) {
		self->history_bytes_max = self->history_bytes_wanted = options->history_bytes_max;
		snprintf(self->file, sizeof(self->file), "%s", options->history_file);
		if (!self->file[0])
			create(self, options);
		else if (open_file(self, options, now_us, error) != PUSH_OK)
			return PUSH_INVALID;
		if (self->segment)
			push_segment_be(self->segment, PUSH_SEGMENT_SUPERVISOR);
	}
	if (self->segment && !self->has_wakers)
		open_wakers(self, worker_count);
	return PUSH_OK;
}

void
shared_broker_configure(struct shared_broker *self, const struct push_options *options)
{
	self->history_bytes_wanted = options->history_bytes_max;
}

int
shared_broker_take_slot(struct shared_broker *self)
{
	int slot =
		self->segment && self->is_wanted ? push_segment_free_slot(self->segment, ~self->given) : -1;

	if (slot >= 0)
		self->given |= bit((unsigned int)slot);
	return slot;
}

void
shared_broker_worker_ended(struct shared_broker *self, int slot)
{
	if (slot < 0 || !self->segment)
		return;
	self->ended |= bit((unsigned int)slot);
	free_ended_slots(self);
}

bool
shared_broker_has_room(const struct shared_broker *self, size_t workers)
{
	return !self->segment ||
	       workers + (size_t)__builtin_popcountll(self->given) <= PUSH_SEGMENT_SLOTS_MAX;
}

/* The lock seems to be a worker's that is none: nobody will ever give it back. */
static void
free_lock(struct shared_broker *self, unsigned int slot)
{
	log_say(self->log, PUSH_LOG_ERROR,
		"the broker's lock was held by slot %u, which nobody has: it is free again", slot);
	push_segment_break_lock(self->segment, slot);
}

/* Returns the slot to kill, or -1. */
static int
look_at_lock(struct shared_broker *self, uint64_t now_us)
{
	struct push_segment_holder holder;
	unsigned int slot;

	push_segment_holder(self->segment, &holder);
	if (holder.slot < 0 || holder.slot != self->holder.slot || holder.turn != self->holder.turn) {
		self->holder = holder;
		self->held_since_us = now_us;
		return -1;
	}
	if (now_us - self->held_since_us < patience_us(self))
		return -1;
	self->held_since_us = now_us;
	slot = (unsigned int)holder.slot;
	if (slot >= PUSH_SEGMENT_SLOTS_MAX || !(self->given & bit(slot))) {
		free_lock(self, slot);
		return -1;
	}
	if (!self->guests[slot].pid)
		return holder.slot;
	log_say(self->log, PUSH_LOG_ERROR,
		"worker %d of a pushd that was killed stands still and has the broker's lock, killing it",
		(int)self->guests[slot].pid);
	(void)pidfd_send_signal(self->guests[slot].handle, SIGKILL, NULL, 0);
	return -1;
}

/* Less than there is comes in steps, for nobody gets the lock meanwhile. */
static void
apply_history_max(struct shared_broker *self)
{
	uint64_t next = self->history_bytes_wanted;
	struct push_segment_figures now;

	if (self->history_bytes_max == next || push_segment_lock(self->segment, 0) != PUSH_OK)
		return;
	push_segment_figures(self->segment, &now);
	if (now.history_bytes > next + HISTORY_STEP_BYTES)
		next = now.history_bytes - HISTORY_STEP_BYTES;
	push_segment_set_history_max(self->segment, next);
	while (now.history_bytes > next && push_segment_relieve(self->segment, HISTORY_STEP_MESSAGES))
		push_segment_figures(self->segment, &now);
	push_segment_unlock(self->segment);
	self->history_bytes_max = next;
}

int
shared_broker_turn(struct shared_broker *self, uint64_t now_us)
{
	if (!self->segment)
		return -1;
	if (!self->is_wanted && !self->given) {
		shared_broker_close(self);
		return -1;
	}
	if (now_us - self->ticked_us >= TICK_US) {
		push_segment_tick(self->segment, now_us, clock_wall_us());
		self->ticked_us = now_us;
	}
	look_after_guests(self);
	free_ended_slots(self);
	apply_history_max(self);
	return look_at_lock(self, now_us);
}

int
shared_broker_turn_ms(const struct shared_broker *self)
{
	if (!self->segment)
		return INT_MAX;
	return self->holder.slot >= 0 || self->ended || self->history_bytes_max != self->history_bytes_wanted
		       ? LOOK_SOON_MS
		       : LOOK_MS;
}

void
shared_broker_close(struct shared_broker *self)
{
	if (!self->segment)
		return;
	push_segment_tick(self->segment, clock_now_us(), clock_wall_us());
	forget_guests(self);
	push_segment_close_wakers(self->segment);
	self->has_wakers = false;
	push_segment_detach(self->segment);
	self->segment = NULL;
}
