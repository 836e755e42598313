/* publish_keys.c - see publish_keys.h. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "publish_keys.h"

#define READ_BYTES 16384

#define OPTION "push.publish.keys"

/* What changes with a file. */
struct mark {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
};

/* Digests lie beside each other: they are all that a lookup goes over. */
struct set {
	size_t count;
	unsigned char digests[PUSH_PUBLISH_KEYS_MAX][PUSH_PUBLISH_KEY_DIGEST_BYTES];
	struct push_publish_key keys[PUSH_PUBLISH_KEYS_MAX];
	unsigned int lines[PUSH_PUBLISH_KEYS_MAX]; /* where they stand, for errors */
	struct push_key_limits limits[PUSH_PUBLISH_KEYS_MAX];
	size_t limit_count;
};

struct push_publish_keys {
	push_publish_keys_log_fn log; /* NULL: it was a text */
	void *context;
	struct mark mark; /* of what was read last, also if it could not be used */
	bool has_lost_names;
	struct set *set;
	char path[];
};

static void
set_destroy(struct set *set)
{
	for (size_t i = 0; set && i < set->count; i++)
		push_identity_unref(set->keys[i].identity);
	free(set);
}

static enum push_status
fail(struct push_error *error, const char *path, unsigned int line, const char *why)
{
	if (line)
		snprintf(error->text, sizeof(error->text), OPTION "=%s: line %u: %s", path, line, why);
	else
		snprintf(error->text, sizeof(error->text), OPTION "=%s: %s", path, why);
	return PUSH_INVALID;
}

static enum push_status
fail_memory(struct push_error *error, const char *path)
{
	(void)fail(error, path, 0, push_status_text(PUSH_OUT_OF_MEMORY));
	return PUSH_OUT_OF_MEMORY;
}

static enum push_status
make_identity(const struct push_publish_key_line *line, const struct push_identity **ret_identity)
{
	struct push_identity_facts facts = {
		.key_name = line->name, .expires_us = UINT64_MAX, .issued_s = INT64_MIN};
	struct push_identity_builder *builder = push_identity_build(&facts);
	struct push_str patterns = line->patterns, pattern;
	struct push_error error;
	enum push_status status = builder ? PUSH_OK : PUSH_OUT_OF_MEMORY;

	while (status == PUSH_OK && push_publish_key_line_next(&patterns, &pattern))
		status = push_identity_grant(builder, PUSH_RIGHT_PUBLISH, pattern, &error);
	if (status != PUSH_OK) {
		push_identity_abandon(builder);
		return status;
	}
	*ret_identity = push_identity_done(builder);
	return *ret_identity ? PUSH_OK : PUSH_OUT_OF_MEMORY;
}

static bool
has_name(const struct push_publish_key *key, struct push_str name)
{
	struct push_str own = push_identity_facts(key->identity).key_name;

	return own.size == name.size && !memcmp(own.bytes, name.bytes, name.size);
}

static bool
is_same_rate(struct push_rate a, struct push_rate b)
{
	return a.amount == b.amount && a.period_us == b.period_us;
}

/* NULL: it has none of that name. */
static const struct push_publish_key *
find_name(const struct set *set, struct push_str name)
{
	for (size_t i = 0; i < set->count; i++)
		if (has_name(&set->keys[i], name))
			return &set->keys[i];
	return NULL;
}

/* Whether a line may stand beside those before it. */
static enum push_status
check_line(const struct set *set, const struct push_publish_key_line *line, const char *path,
	unsigned int number, struct push_error *error)
{
	char why[96];

	if (set->count == PUSH_PUBLISH_KEYS_MAX)
		return fail(error, path, number, "more than 1024 keys");
	for (size_t i = 0; i < set->count; i++) {
		const struct push_publish_key *key = &set->keys[i];

		if (!memcmp(set->digests[i], line->digest, sizeof(line->digest))) {
			snprintf(why, sizeof(why), "the same key as in line %u", set->lines[i]);
			return fail(error, path, number, why);
		}
		if (has_name(key, line->name) && (!is_same_rate(key->messages, line->messages) ||
							 !is_same_rate(key->bytes, line->bytes))) {
			snprintf(why, sizeof(why), "the same NAME as in line %u, and other limits",
				set->lines[i]);
			return fail(error, path, number, why);
		}
	}
	return PUSH_OK;
}

_Static_assert(PUSH_PUBLISH_KEYS_MAX == 1024, "as the text says");

static enum push_status
add_line(struct set *set, const struct push_publish_key_line *line, const char *path, unsigned int number,
	struct push_error *error)
{
	struct push_publish_key key = {.messages = line->messages, .bytes = line->bytes};
	enum push_status status = check_line(set, line, path, number, error);

	if (status != PUSH_OK)
		return status;
	status = make_identity(line, &key.identity);
	if (status == PUSH_OUT_OF_MEMORY)
		return fail_memory(error, path);
	if (status != PUSH_OK)
		return fail(error, path, number, "too many PATTERNS: at most 256, and 8192 bytes of them");
	memcpy(set->digests[set->count], line->digest, sizeof(line->digest));
	set->lines[set->count] = number;
	if (line->messages.amount || line->bytes.amount)
		set->limits[set->limit_count++] = (struct push_key_limits){
			push_identity_facts(key.identity).key_name, line->messages, line->bytes};
	set->keys[set->count++] = key;
	return PUSH_OK;
}

_Static_assert(PUSH_IDENTITY_PATTERNS_MAX == 256 && PUSH_IDENTITY_BYTES_MAX == 8192, "as the text says");

/* Takes the next line off a text, without its end. */
static struct push_str
take_line(struct push_str *text)
{
	const char *end = memchr(text->bytes, '\n', text->size);
	struct push_str line = {text->bytes, end ? (size_t)(end - text->bytes) : text->size};

	text->bytes += line.size + (end != NULL);
	text->size -= line.size + (end != NULL);
	if (line.size && line.bytes[line.size - 1] == '\r')
		line.size--;
	return line;
}

static enum push_status
parse(const char *path, struct push_str text, struct set *set, struct push_error *error)
{
	for (unsigned int number = 1; text.size; number++) {
		struct push_publish_key_line line;
		const char *why = NULL;
		enum push_status status = push_publish_key_line_parse(take_line(&text), &line, &why);

		if (status == PUSH_INVALID)
			return fail(error, path, number, why);
		if (status == PUSH_OK)
			status = add_line(set, &line, path, number, error);
		if (status != PUSH_OK && status != PUSH_NOT_FOUND)
			return status;
	}
	return PUSH_OK;
}

static enum push_status
set_create(const char *path, struct push_str text, struct set **ret_set, struct push_error *error)
{
	struct set *set = calloc(1, sizeof(*set));
	enum push_status status = set ? parse(path, text, set, error) : fail_memory(error, path);

	if (status == PUSH_OK)
		*ret_set = set;
	else
		set_destroy(set);
	return status;
}

static bool
has_all_names(const struct set *set, const struct set *old)
{
	for (size_t i = 0; i < old->count; i++)
		if (!find_name(set, push_identity_facts(old->keys[i].identity).key_name))
			return false;
	return true;
}

static struct mark
mark_of(const struct stat *entry)
{
	return (struct mark){entry->st_dev, entry->st_ino, entry->st_size, entry->st_mtim, entry->st_ctim};
}

static bool
is_same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool
is_same_mark(const struct mark *a, const struct mark *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       is_same_time(a->modified, b->modified) && is_same_time(a->changed, b->changed);
}

static enum push_status
fail_errno(struct push_error *error, const char *path)
{
	char text[128];

	return fail(error, path, 0, strerror_r(errno, text, sizeof(text)));
}

static enum push_status
read_all(int file, struct push_buf *text, const char *path, struct push_error *error)
{
	char piece[READ_BYTES];
	ssize_t size;

	do {
		size = read(file, piece, sizeof(piece));
		if (size < 0 && errno != EINTR)
			return fail_errno(error, path);
		if (size > 0)
			push_buf_append(text, piece, (size_t)size);
	} while (size != 0 && text->status == PUSH_OK);
	if (text->status == PUSH_TOO_LARGE)
		return fail(error, path, 0, "larger than 1 MB");
	return text->status == PUSH_OK ? PUSH_OK : fail_memory(error, path);
}

_Static_assert(PUSH_PUBLISH_KEYS_FILE_BYTES_MAX == 1024 * 1024, "as the text says");

/* Without waiting, for what is no file. */
static enum push_status
read_text(const char *path, struct push_buf *text, struct push_error *error)
{
	struct stat entry;
	enum push_status status;
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (file < 0)
		return fail_errno(error, path);
	if (fstat(file, &entry))
		status = fail_errno(error, path);
	else if (!S_ISREG(entry.st_mode))
		status = fail(error, path, 0, "not a file");
	else
		status = read_all(file, text, path, error);
	close(file);
	return status;
}

/* Its mark, from before it is read: what changes meanwhile is seen the next time. */
static struct mark
look_at(const char *path)
{
	struct mark none = {0};
	struct stat entry;

	return stat(path, &entry) ? none : mark_of(&entry);
}

static enum push_status
read_file(const char *path, struct mark *ret_mark, struct set **ret_set, struct push_error *error)
{
	struct push_buf text;
	enum push_status status;

	*ret_mark = look_at(path);
	push_buf_init(&text, PUSH_PUBLISH_KEYS_FILE_BYTES_MAX);
	status = read_text(path, &text, error);
	if (status == PUSH_OK)
		status = set_create(
			path, (struct push_str){text.bytes ? text.bytes : "", text.size}, ret_set, error);
	if (text.bytes)
		explicit_bzero(text.bytes, text.size);
	push_buf_fini(&text);
	return status;
}

static struct push_publish_keys *
create(const char *path, push_publish_keys_log_fn log, void *context)
{
	struct push_publish_keys *keys = calloc(1, sizeof(*keys) + strlen(path) + 1);

	if (!keys)
		return NULL;
	strcpy(keys->path, path);
	keys->log = log;
	keys->context = context;
	return keys;
}

enum push_status
push_publish_keys_open(const char *path, push_publish_keys_log_fn log, void *context,
	struct push_publish_keys **ret_keys, struct push_error *error)
{
	struct push_publish_keys *keys = create(path, log, context);
	enum push_status status =
		keys ? read_file(path, &keys->mark, &keys->set, error) : fail_memory(error, path);

	if (status == PUSH_OK)
		*ret_keys = keys;
	else
		push_publish_keys_destroy(keys);
	return status;
}

enum push_status
push_publish_keys_read_text(
	const char *path, struct push_str text, struct push_publish_keys **ret_keys, struct push_error *error)
{
	struct push_publish_keys *keys = create(path, NULL, NULL);
	enum push_status status = keys ? set_create(path, text, &keys->set, error) : fail_memory(error, path);

	if (status == PUSH_OK)
		*ret_keys = keys;
	else
		push_publish_keys_destroy(keys);
	return status;
}

void
push_publish_keys_destroy(struct push_publish_keys *keys)
{
	if (!keys)
		return;
	set_destroy(keys->set);
	free(keys);
}

bool
push_publish_keys_reload(struct push_publish_keys *keys)
{
	char line[PUSH_ERROR_TEXT_BYTES_MAX + 64];
	struct push_error error = {""};
	struct mark mark;
	struct set *set = NULL;
	enum push_status status;

	if (!keys->log)
		return false;
	status = read_file(keys->path, &mark, &set, &error);

	/* without memory it is worth another try */
	if (status != PUSH_OUT_OF_MEMORY)
		keys->mark = mark;
	if (status != PUSH_OK) {
		snprintf(line, sizeof(line), "%s; the keys read before stay in use", error.text);
		keys->log(keys->context, PUSH_LOG_ERROR, line);
		return false;
	}
	keys->has_lost_names |= !has_all_names(set, keys->set);
	set_destroy(keys->set);
	keys->set = set;
	snprintf(line, sizeof(line), OPTION ": read again, %zu keys", set->count);
	keys->log(keys->context, PUSH_LOG_INFO, line);
	return true;
}

bool
push_publish_keys_refresh(struct push_publish_keys *keys)
{
	struct mark mark = look_at(keys->path);

	return !is_same_mark(&mark, &keys->mark) && push_publish_keys_reload(keys);
}

const struct push_publish_key *
push_publish_keys_find(const struct push_publish_keys *keys, struct push_str shown)
{
	const struct set *set = keys->set;
	unsigned char digest[EVP_MAX_MD_SIZE];
	size_t found = PUSH_PUBLISH_KEYS_MAX;

	if (!shown.size || !EVP_Digest(shown.bytes, shown.size, digest, NULL, EVP_sha256(), NULL))
		return NULL;
	for (size_t i = 0; i < set->count; i++) {
		/* all ones if they are the same: no branch that a clock could see */
		size_t mask =
			(size_t)0 - (CRYPTO_memcmp(digest, set->digests[i], sizeof(set->digests[i])) == 0);

		found = (found & ~mask) | (i & mask);
	}
	OPENSSL_cleanse(digest, sizeof(digest));
	return found < set->count ? &set->keys[found] : NULL;
}

const struct push_publish_key *
push_publish_keys_find_name(const struct push_publish_keys *keys, struct push_str name)
{
	return find_name(keys->set, name);
}

bool
push_publish_keys_has_lost(const struct push_publish_keys *keys, struct push_str name)
{
	return keys->has_lost_names && !find_name(keys->set, name);
}

const struct push_key_limits *
push_publish_keys_limits(const struct push_publish_keys *keys, size_t *ret_count)
{
	*ret_count = keys->set->limit_count;
	return keys->set->limits;
}

size_t
push_publish_keys_count(const struct push_publish_keys *keys)
{
	return keys->set->count;
}
