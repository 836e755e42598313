/* key_path.c - the files of a key set; see key_set.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "key_set.h"

/* What a reading of a path goes over; `visit` gets each regular file, and ends it by anything but PUSH_OK. */
struct walk {
	enum push_status (*visit)(struct walk *walk, int folder, const char *name, const struct stat *entry);
	const char *path;
	struct push_error *error;
	struct push_key_set *set;
	const struct push_key_reading *reading;
	XXH64_state_t *hash;
};

static enum push_status
fail(struct walk *walk, const char *folder_slash, const char *name, const char *why)
{
	snprintf(walk->error->text, sizeof(walk->error->text), "%s%s%s: %s", walk->path, folder_slash, name,
		why);
	return PUSH_INVALID;
}

static enum push_status
fail_errno(struct walk *walk, const char *slash, const char *name, int number)
{
	char text[128];

	return fail(walk, slash, name, strerror_r(number, text, sizeof(text)));
}

static int
is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Not as the locale sorts. */
static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static enum push_status
visit_folder(struct walk *walk, int folder)
{
	struct dirent **entries = NULL;
	int count = scandirat(folder, ".", &entries, is_visible, by_name);
	enum push_status status = count < 0 ? fail_errno(walk, "", "", errno) : PUSH_OK;
	size_t files = 0;

	for (int i = 0; i < count; i++) {
		struct stat entry;

		if (status == PUSH_OK && !fstatat(folder, entries[i]->d_name, &entry, 0) &&
			S_ISREG(entry.st_mode))
			status = ++files > PUSH_KEY_FILES_MAX
					 ? fail(walk, "", "", "more than 64 files")
					 : walk->visit(walk, folder, entries[i]->d_name, &entry);
		free(entries[i]);
	}
	free(entries);
	if (status == PUSH_OK && !files)
		return fail(walk, "", "", "no files in this folder");
	return status;
}

_Static_assert(PUSH_KEY_FILES_MAX == 64, "as the error says");

static enum push_status
visit_path(struct walk *walk)
{
	int folder;
	struct stat entry;
	enum push_status status;

	if (stat(walk->path, &entry))
		return fail_errno(walk, "", "", errno);
	if (S_ISREG(entry.st_mode))
		return walk->visit(walk, AT_FDCWD, walk->path, &entry);
	if (!S_ISDIR(entry.st_mode))
		return fail(walk, "", "", "neither a file nor a folder");
	folder = open(walk->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return fail_errno(walk, "", "", errno);
	status = visit_folder(walk, folder);
	close(folder);
	return status;
}

/* The whole file, or as much of it as there is room for. */
static ssize_t
read_whole(int file, char *to, size_t room)
{
	size_t size = 0;

	while (size < room) {
		ssize_t got = read(file, to + size, room - size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (!got)
			break;
		size += (size_t)got;
	}
	return (ssize_t)size;
}

static enum push_status
add_file(struct walk *walk, int folder, const char *name, const struct stat *entry)
{
	const char *slash = folder == AT_FDCWD ? "" : "/", *shown = folder == AT_FDCWD ? "" : name;
	size_t room = PUSH_KEY_FILE_BYTES_MAX + 1;
	int file = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum push_status status;
	struct push_error why;
	ssize_t size;
	char *text;

	(void)entry;
	if (file < 0)
		return fail_errno(walk, slash, shown, errno);
	text = malloc(room);
	size = text ? read_whole(file, text, room) : 0;
	if (!text)
		status = PUSH_OUT_OF_MEMORY;
	else if (size < 0)
		status = fail_errno(walk, slash, shown, errno);
	else if ((size_t)size == room)
		status = fail(walk, slash, shown, "larger than 256 kB");
	else {
		status = push_key_set_add(
			walk->set, (struct push_str){text, (size_t)size}, walk->reading, &why);
		if (status != PUSH_OK && status != PUSH_OUT_OF_MEMORY)
			(void)fail(walk, slash, shown, why.text);
	}
	close(file);
	if (text)
		OPENSSL_cleanse(text, room); /* it may have been a secret */
	free(text);
	return status;
}

_Static_assert(PUSH_KEY_FILE_BYTES_MAX == 256 * 1024, "as the error says");

enum push_status
push_key_set_add_path(struct push_key_set *set, const char *path, const struct push_key_reading *reading,
	struct push_error *error)
{
	struct walk walk = {.visit = add_file, .path = path, .error = error, .set = set, .reading = reading};

	return visit_path(&walk);
}

static enum push_status
mark_file(struct walk *walk, int folder, const char *name, const struct stat *entry)
{
	const uint64_t facts[] = {(uint64_t)entry->st_dev, (uint64_t)entry->st_ino, (uint64_t)entry->st_size,
		(uint64_t)entry->st_mtim.tv_sec, (uint64_t)entry->st_mtim.tv_nsec,
		(uint64_t)entry->st_ctim.tv_sec, (uint64_t)entry->st_ctim.tv_nsec};

	(void)folder;
	XXH64_update(walk->hash, name, strlen(name) + 1);
	XXH64_update(walk->hash, facts, sizeof(facts));
	return PUSH_OK;
}

uint64_t
push_key_path_mark(const char *path)
{
	XXH64_state_t hash;
	struct push_error error;
	struct walk walk = {.visit = mark_file, .path = path, .error = &error, .hash = &hash};
	uint64_t mark;

	XXH64_reset(&hash, 0);
	if (visit_path(&walk) != PUSH_OK)
		return 0;
	mark = XXH64_digest(&hash);
	return mark ? mark : 1;
}
