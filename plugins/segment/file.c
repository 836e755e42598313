/*
 * file.c - see file.h.
 *
 * A new one is made beside, as NAME.new, and gets its name when it is whole: whatever ends this process, the name
 * leads to a whole file or to none.  flock(2) is of the open file, which workers inherit: as long as one of them is
 * there, no other pushd can have it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/options.h"
#include "segment/file.h"
#include "segment/layout.h"
#include "segment/lock.h"

/* Broken ones that are set aside; more of them are somebody's to look at. */
#define BROKEN_MAX 99

/* Microseconds, and epochs: more is junk. */
#define SANE_MAX (1ull << 62)

#define PATH_BYTES (PUSH_OPTION_TEXT_BYTES_MAX + 32)

struct opening {
	const char *path;
	struct push_segment_settings settings;
	uint64_t now_us, wall_us;
	struct push_segment_opened *ret;
	struct push_error *error;
};

static struct push_segment *
fails(const struct opening *opening, const char *what)
{
	snprintf(opening->error->text, sizeof(opening->error->text), "%s: %s", what, strerror(errno));
	return NULL;
}

/* Whether a path leads to an open file. */
static bool
is_at(int fd, const char *path)
{
	struct stat open_one, named;

	return !fstat(fd, &open_one) && !stat(path, &named) && open_one.st_dev == named.st_dev &&
	       open_one.st_ino == named.st_ino;
}

/* -1: it cannot be had; errno ENOENT: it is not there. */
static int
open_locked(const struct opening *opening, const char *path, int flags)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600), why;
	struct stat about;

	if (fd < 0) {
		why = errno;
		(void)fails(opening, "cannot be opened");
		errno = why;
		return -1;
	}
	if (fstat(fd, &about) || !S_ISREG(about.st_mode))
		snprintf(opening->error->text, sizeof(opening->error->text), "is not a regular file");
	else if (flock(fd, LOCK_EX | LOCK_NB) || !is_at(fd, path))
		snprintf(opening->error->text, sizeof(opening->error->text), "another pushd has it");
	else
		return fd;
	close(fd);
	errno = EBUSY;
	return -1;
}

/* Never in the place of one that is there. */
static bool
move_file(const char *from, const char *to)
{
	struct stat about;

	if (!renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE))
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	/* a file system that cannot do that */
	errno = EEXIST;
	return lstat(to, &about) && !rename(from, to);
}

/* --- time --- */

static void
read_boot_id(char *to, size_t size)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? 0 : read(fd, to, size - 1);

	if (fd >= 0)
		close(fd);
	to[count > 0 ? count : 0] = '\0';
	to[strcspn(to, "\n")] = '\0';
}

/*
 * Time goes on from where it was: in the same boot by the same clock, else by as much as the wall clock did.  A wall
 * clock that was set back has not gone on.
 */
static void
go_on(const struct opening *opening, struct segment_header *header, uint64_t newest_us)
{
	uint64_t was_us = header->time_us < SANE_MAX ? header->time_us : 0, past_us = 0;
	uint64_t by_clock_us = opening->now_us + (uint64_t)header->shift_us;
	char boot_id[sizeof(header->boot_id)];
	bool is_same_boot;

	read_boot_id(boot_id, sizeof(boot_id));
	is_same_boot = boot_id[0] && !strncmp(boot_id, header->boot_id, sizeof(boot_id));
	if (opening->wall_us > header->wall_us && header->wall_us)
		past_us = opening->wall_us - header->wall_us;
	/* it was written down once a second, and messages came after that */
	was_us = was_us > newest_us ? was_us : newest_us;
	if (!is_same_boot || by_clock_us < was_us || by_clock_us >= SANE_MAX)
		header->shift_us = (int64_t)(was_us + past_us - opening->now_us);
	memcpy(header->boot_id, boot_id, sizeof(boot_id));
}

/* --- a new one --- */

static struct push_segment *
make(const struct opening *opening)
{
	struct push_segment *segment;
	char path[PATH_BYTES];
	int fd;

	snprintf(path, sizeof(path), "%s.new", opening->path);
	fd = open_locked(opening, path, O_CREAT | O_NOFOLLOW);
	if (fd < 0)
		return NULL;
	if (ftruncate(fd, 0)) {
		(void)fails(opening, "cannot be emptied");
		close(fd);
		return NULL;
	}
	segment = push_segment_format(fd, &opening->settings, opening->error);
	if (!segment) {
		(void)unlink(path);
		return NULL;
	}
	read_boot_id(segment->header->boot_id, sizeof(segment->header->boot_id));
	push_segment_tick(segment, opening->now_us, opening->wall_us);
	if (!move_file(path, opening->path)) {
		(void)fails(opening, "cannot be made");
		(void)unlink(path);
		push_segment_detach(segment);
		return NULL;
	}
	opening->ret->is_new = true;
	return segment;
}

/* --- one that is there --- */

/* Nobody is there but us: all who were have ended, or the file could not be locked. */
static void
forget_processes(struct segment_header *header)
{
	atomic_store_explicit(&header->lock, 0, memory_order_relaxed);
	atomic_store_explicit(&header->attached, 0, memory_order_relaxed);
	memset(&header->supervisor, 0, sizeof(header->supervisor));
	memset(header->slots, 0, sizeof(header->slots));
}

/* The limit of one that was made for less history may be raised now, while nobody else has it. */
static struct push_segment *
attach(const struct opening *opening, int fd)
{
	struct push_segment *segment = push_segment_attach(dup(fd), opening->error);
	uint32_t limit = segment_limit_of(&opening->settings);

	if (!segment || segment->block_limit >= limit)
		return segment;
	segment->header->block_limit = limit;
	push_segment_detach(segment);
	return push_segment_attach(dup(fd), opening->error);
}

/* NULL, with the reason: it is to be set aside. */
static struct push_segment *
adopt(const struct opening *opening, int fd)
{
	struct push_segment_repaired *found = &opening->ret->found;
	struct push_segment *segment = attach(opening, fd);

	if (!segment)
		return NULL;
	forget_processes(segment->header);
	push_segment_be(segment, PUSH_SEGMENT_SUPERVISOR);
	if (push_segment_lock(segment, PUSH_SEGMENT_LOCK_WAIT_US) != PUSH_OK) {
		/* nobody has it: somebody writes to it who does not have the file */
		snprintf(opening->error->text, sizeof(opening->error->text), "its lock cannot be had");
		push_segment_detach(segment);
		return NULL;
	}
	push_segment_repair(segment, found);
	push_segment_set_history_max(segment, opening->settings.history_bytes_max);
	push_segment_unlock(segment);
	if (found->broken) {
		snprintf(opening->error->text, sizeof(opening->error->text),
			"it is damaged: %llu records are not what was written",
			(unsigned long long)found->broken);
		push_segment_detach(segment);
		return NULL;
	}
	go_on(opening, segment->header, found->newest_us);
	push_segment_tick(segment, opening->now_us, opening->wall_us);
	snprintf(opening->ret->line, sizeof(opening->ret->line),
		"push.history.file=%s: %llu messages, %llu values and %llu notices were kept, %llu that were "
		"being "
		"written are cut off",
		opening->path, (unsigned long long)found->messages, (unsigned long long)found->values,
		(unsigned long long)found->notices, (unsigned long long)found->torn);
	return segment;
}

/* Positions of the new one are not mistaken for those of the old one, though the clock was set back. */
static void
follow_epoch(struct opening *opening, int fd)
{
	struct segment_header old;

	if (pread(fd, &old, offsetof(struct segment_header, tail), 0) !=
			(ssize_t)offsetof(struct segment_header, tail) ||
		old.magic != SEGMENT_MAGIC || old.layout != SEGMENT_LAYOUT || old.epoch >= SANE_MAX)
		return;
	if (opening->settings.epoch <= old.epoch)
		opening->settings.epoch = old.epoch + 1;
}

static bool
set_aside(const struct opening *opening)
{
	char to[PATH_BYTES], why[sizeof(opening->error->text)];

	memcpy(why, opening->error->text, sizeof(why));
	for (unsigned int i = 1; i <= BROKEN_MAX; i++) {
		snprintf(to, sizeof(to), "%s.broken-%u", opening->path, i);
		if (move_file(opening->path, to)) {
			opening->ret->was_set_aside = true;
			opening->ret->found = (struct push_segment_repaired){0};
			snprintf(opening->ret->line, sizeof(opening->ret->line),
				"push.history.file: %.120s; it was set aside as %s, and history, keys and "
				"names "
				"begin anew",
				why, to);
			return true;
		}
		if (errno != EEXIST)
			break;
	}
	snprintf(opening->error->text, sizeof(opening->error->text),
		"%.120s; it cannot be set aside as %s: %s", why, to, strerror(errno));
	return false;
}

static uint64_t
size_of(int fd)
{
	struct stat about;

	return fstat(fd, &about) ? 0 : (uint64_t)about.st_size;
}

struct push_segment *
push_segment_file_open(const char *path, const struct push_segment_settings *settings, uint64_t now_us,
	uint64_t wall_us, struct push_segment_opened *ret, struct push_error *error)
{
	struct opening opening = {path, *settings, now_us, wall_us, ret, error};
	struct push_segment *segment;
	int fd;

	*ret = (struct push_segment_opened){.line = ""};
	fd = open_locked(&opening, path, 0);
	if (fd < 0)
		return errno == ENOENT ? make(&opening) : NULL;
	/* made by hand: there is nothing to be kept */
	if (!size_of(fd) && !unlink(path)) {
		close(fd);
		return make(&opening);
	}
	/* holes, as a copy may have them, get their place on the disk now */
	if (!segment_lengthen(fd, 0, size_of(fd))) {
		(void)fails(&opening, "no room on its disk");
		close(fd);
		return NULL;
	}
	segment = adopt(&opening, fd);
	if (!segment) {
		follow_epoch(&opening, fd);
		segment = set_aside(&opening) ? make(&opening) : NULL;
	}
	/* the segment has a descriptor of the same open file, and the lock with it */
	close(fd);
	return segment;
}

bool
push_segment_file_set_aside(const char *path, struct push_segment_opened *ret, struct push_error *error)
{
	const struct opening opening = {.path = path, .ret = ret, .error = error};

	*ret = (struct push_segment_opened){.line = ""};
	return set_aside(&opening);
}
