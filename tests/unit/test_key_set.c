/* Which keys a file, a folder or a text has, and when they have changed. */
#include "unit.h"

#include "failing_alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/key_set.h"
#include "token_maker.h"

static struct push_str
str(const char *text)
{
	return (struct push_str){text, strlen(text)};
}

/* Notes are counted, and the last one is kept. */
struct notes {
	size_t count;
	char last[512];
};

static void
note(void *context, const char *line)
{
	struct notes *notes = context;

	notes->count++;
	snprintf(notes->last, sizeof(notes->last), "%s", line);
}

static const struct push_key_reading strict;
static struct push_error error;

/* --- texts --- */

#define GOOD   "{\"kty\":\"oct\",\"k\":\"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U\"}"
#define NAMED  "{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U\"}"
#define ALIEN  "{\"kty\":\"PQC\",\"anything\":[1]}"
#define BROKEN "{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}"

static void
a_text_is_a_set_or_a_key(void **state)
{
	static const struct {
		const char *text;
		size_t count, skipped;
		const char *said;
	} rows[] = {
		{GOOD, 1, 0, "1 key: HS256"},
		{"\xef\xbb\xbf \n" GOOD "\n", 1, 0, "1 key: HS256"},
		{"{\"keys\":[" GOOD "]}", 1, 0, "1 key: HS256"},
		{"{ \"keys\" : [ " GOOD " , " NAMED " ] , \"more\" : {} }", 2, 0, "2 keys: HS256"},
		{"{\"keys\":[" ALIEN "," GOOD "," ALIEN "]}", 1, 2,
			"1 key: HS256; 2 left out, which cannot verify tokens"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct notes notes = {.count = 0};
		const struct push_key_reading reading = {.note = note, .context = &notes};
		struct push_key_set *set = push_key_set_create();
		char line[128];

		if (push_key_set_add(set, str(rows[i].text), &reading, &error) != PUSH_OK)
			fail_msg("%s: %s", rows[i].text, error.text);
		assert_int_equal(push_key_set_count(set), rows[i].count);
		assert_int_equal(push_key_set_skipped(set), rows[i].skipped);
		assert_int_equal(notes.count, rows[i].skipped);
		push_key_set_describe(set, line, sizeof(line));
		assert_string_equal(line, rows[i].said);
		if (notes.count)
			assert_string_equal(notes.last, "key 3: its 'kty' is not supported");
		push_key_set_destroy(set);
	}
}

static void
a_text_without_a_usable_key_is_an_error(void **state)
{
	static const struct {
		const char *text, *why;
		enum push_status status;
	} rows[] = {
		{"", "it is empty", PUSH_INVALID},
		{"\xef\xbb\xbf \r\n\t", "it is empty", PUSH_INVALID},
		{"secret", "neither PEM nor JSON", PUSH_INVALID},
		{"\x30\x59\x30\x13", "neither PEM nor JSON", PUSH_INVALID}, /* DER */
		{"{", "not JSON: ends too early", PUSH_INVALID},
		{"{\"x\":\"-----BEGIN PUBLIC KEY-----\"}", "neither a JWK set", PUSH_INVALID},
		{"by {me}\n-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
			"key 1: a private key", PUSH_INVALID},
		{"[" GOOD "]", "not a JSON object", PUSH_INVALID},
		{"{}", "neither a JWK set ('keys') nor a JWK ('kty')", PUSH_INVALID},
		{"{\"keys\":{}}", "'keys' is not an array", PUSH_INVALID},
		{"{\"keys\":[]}", "none of its keys can be used", PUSH_NOT_FOUND},
		{"{\"keys\":[" ALIEN "]}", "none of its keys can be used: they are for something else",
			PUSH_NOT_FOUND},
		{ALIEN, "none of its keys can be used", PUSH_NOT_FOUND},
		{"{\"keys\":[" GOOD "," BROKEN "]}", "key 2: a secret of 5 bytes", PUSH_INVALID},
		{"{\"keys\":[" GOOD ",7]}", "key 2: not a JSON object", PUSH_INVALID},
		{BROKEN, "a secret of 5 bytes", PUSH_INVALID},
		{"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "key 1: a private key",
			PUSH_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_key_set *set = push_key_set_create();
		enum push_status status = push_key_set_add(set, str(rows[i].text), &strict, &error);

		if (status != rows[i].status || !strstr(error.text, rows[i].why))
			fail_msg("%s: %s", rows[i].text, error.text);
		push_key_set_destroy(set);
	}
}

static void
what_others_publish_is_used_as_far_as_it_can_be(void **state)
{
	struct notes notes = {.count = 0};
	const struct push_key_reading lenient = {.is_lenient = true, .note = note, .context = &notes};
	struct push_key_set *set = push_key_set_create();

	(void)state;
	assert_int_equal(
		push_key_set_add(set, str("{\"keys\":[" BROKEN "," GOOD ",7," ALIEN "]}"), &lenient, &error),
		PUSH_OK);
	assert_int_equal(push_key_set_count(set), 1);
	assert_int_equal(push_key_set_skipped(set), 3);
	assert_int_equal(notes.count, 3);
	assert_int_equal(
		push_key_set_add(set, str("{\"keys\":[" BROKEN "]}"), &lenient, &error), PUSH_NOT_FOUND);
	assert_int_equal(push_key_set_add(set, str("{\"keys\":"), &lenient, &error), PUSH_INVALID);
	push_key_set_destroy(set);
}

static void
a_set_has_at_most_64_keys(void **state)
{
	(void)state;
	for (int count = PUSH_KEYS_MAX; count <= PUSH_KEYS_MAX + 1; count++) {
		struct push_key_set *set = push_key_set_create();
		char text[8192] = "{\"keys\":[" GOOD;

		for (int i = 1; i < count; i++)
			strcat(text, "," GOOD);
		strcat(text, "]}");
		assert_int_equal(push_key_set_add(set, str(text), &strict, &error),
			count == PUSH_KEYS_MAX ? PUSH_OK : PUSH_TOO_MANY);
		push_key_set_destroy(set);
	}
	assert_string_equal(error.text, "more than 64 keys");
}

/* --- files --- */

static char folder[64];

static int
make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/push-keys-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int
remove_one(const char *path, const struct stat *entry, int kind, struct FTW *walk)
{
	(void)entry;
	(void)kind;
	(void)walk;
	return remove(path);
}

static int
remove_folder(void **state)
{
	(void)state;
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A name in the folder; static. */
static const char *
path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void
write_file(const char *name, const char *text)
{
	FILE *file = fopen(path_of(name), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	fclose(file);
}

/* A key whose `kid` is this. */
static void
write_key(const char *name, const char *kid)
{
	char text[256];

	snprintf(text, sizeof(text), "{\"kid\":\"%s\",%s", kid, GOOD + 1);
	write_file(name, text);
}

/* The `kid`s of a path's keys in their order, or the error. */
static const char *
keys_of(const char *path)
{
	static char text[1024];
	struct push_key_candidates candidates;
	struct push_key_set *set = push_key_set_create();

	text[0] = '\0';
	if (push_key_set_add_path(set, path, &strict, &error) != PUSH_OK)
		snprintf(text, sizeof(text), "%s", error.text);
	push_key_set_find((const struct push_key_set *const *)&set, 1, PUSH_KEY_HS256, str(""), &candidates);
	for (size_t i = 0; i < candidates.count && !strchr(text, ':'); i++)
		sprintf(text + strlen(text), "%.*s ", (int)push_key_id(candidates.keys[i]).size,
			push_key_id(candidates.keys[i]).bytes);
	push_key_set_destroy(set);
	return text;
}

static void
a_folders_files_are_read_by_name(void **state)
{
	(void)state;
	write_key("b.json", "2");
	write_key("a.json", "1");
	write_key("B.json", "0");
	write_file(".hidden", "junk");
	assert_int_equal(mkdir(path_of("more"), 0700), 0);
	write_file("more/c.json", "junk");
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	assert_string_equal(keys_of(folder), "0 1 2 ");
	assert_string_equal(keys_of(path_of("a.json")), "1 ");
}

static void
a_secret_that_kubernetes_mounts_is_read(void **state)
{
	char before[256];
	uint64_t mark;

	(void)state;
	assert_int_equal(mkdir(path_of("..2026_1"), 0700), 0);
	assert_int_equal(mkdir(path_of("..2026_2"), 0700), 0);
	write_key("..2026_1/keys.json", "old");
	write_key("..2026_2/keys.json", "new");
	assert_int_equal(symlink("..2026_1", path_of("..data")), 0);
	assert_int_equal(symlink("..data/keys.json", path_of("keys.json")), 0);
	assert_string_equal(keys_of(folder), "old ");
	mark = push_key_path_mark(folder);
	assert_true(mark && mark == push_key_path_mark(folder));
	assert_int_equal(symlink("..2026_2", path_of("..data_tmp")), 0);
	snprintf(before, sizeof(before), "%s", path_of("..data_tmp"));
	assert_int_equal(rename(before, path_of("..data")), 0);
	assert_true(push_key_path_mark(folder) != mark);
	assert_string_equal(keys_of(folder), "new ");
}

static void
a_bad_file_is_named(void **state)
{
	char expected[512], *large = calloc(1, PUSH_KEY_FILE_BYTES_MAX + 2);

	(void)state;
	write_key("a.json", "1");
	write_file("b.json", "{\"keys\":[" BROKEN "]}");
	snprintf(expected, sizeof(expected), "%s/b.json: key 1: a secret of 5 bytes; it must have 32 to 512",
		folder);
	assert_string_equal(keys_of(folder), expected);
	assert_string_equal(keys_of(path_of("b.json")), expected);

	memset(large, ' ', PUSH_KEY_FILE_BYTES_MAX + 1);
	memcpy(large, NAMED, strlen(NAMED));
	write_file("b.json", large);
	snprintf(expected, sizeof(expected), "%s/b.json: larger than 256 kB", folder);
	assert_string_equal(keys_of(folder), expected);
	large[PUSH_KEY_FILE_BYTES_MAX] = '\0';
	write_file("b.json", large);
	assert_string_equal(keys_of(folder), "1 a ");
	free(large);

	write_file("b.json", "");
	assert_non_null(strstr(keys_of(folder), "/b.json: it is empty"));
	assert_non_null(strstr(keys_of(path_of("none")), "/none: No such file or directory"));
	assert_int_equal(mkfifo(path_of("fifo"), 0600), 0);
	assert_non_null(strstr(keys_of(path_of("fifo")), "/fifo: neither a file nor a folder"));
	assert_int_equal(mkdir(path_of("empty"), 0700), 0);
	assert_non_null(strstr(keys_of(path_of("empty")), "/empty: no files in this folder"));
}

static void
a_folder_has_at_most_64_files(void **state)
{
	char name[16];

	(void)state;
	for (int i = 0; i < PUSH_KEY_FILES_MAX; i++) {
		snprintf(name, sizeof(name), "%02d", i);
		write_key(name, name);
	}
	assert_null(strstr(keys_of(folder), "more than"));
	write_key("64", "64");
	assert_non_null(strstr(keys_of(folder), ": more than 64 files"));
}

static void
every_change_changes_the_mark(void **state)
{
	uint64_t marks[8];
	size_t count = 0;

	(void)state;
	assert_int_equal(push_key_path_mark(path_of("none")), 0);
	assert_int_equal(push_key_path_mark(folder), 0);
	write_key("a", "1");
	marks[count++] = push_key_path_mark(folder);
	write_key("b", "2");
	marks[count++] = push_key_path_mark(folder);
	assert_int_equal(marks[1], push_key_path_mark(folder));
	write_key("b", "longer");
	marks[count++] = push_key_path_mark(folder);
	/* of the same size and in the same tick of the clock, another file */
	write_key(".new", "LONGER");
	assert_int_equal(marks[2], push_key_path_mark(folder));
	{
		char from[256];

		snprintf(from, sizeof(from), "%s", path_of(".new"));
		assert_int_equal(rename(from, path_of("b")), 0);
	}
	marks[count++] = push_key_path_mark(folder);
	assert_int_equal(unlink(path_of("a")), 0);
	marks[count++] = push_key_path_mark(folder);
	assert_int_equal(utimensat(AT_FDCWD, path_of("b"), (struct timespec[]){{7, 7}, {7, 7}}, 0), 0);
	marks[count++] = push_key_path_mark(folder);
	for (size_t i = 0; i < count; i++) {
		assert_true(marks[i]);
		for (size_t j = 0; j < i; j++)
			assert_true(marks[i] != marks[j]);
	}
	assert_true(push_key_path_mark(path_of("b")));
}

static void
every_allocation_may_fail(void **state)
{
	enum push_status status = PUSH_OUT_OF_MEMORY;

	(void)state;
	write_file("keys", "{\"keys\":[" NAMED "," ALIEN "," GOOD "]}");
	for (long left = 0; status != PUSH_OK; left++) {
		struct push_key_set *set;

		assert_true(left < 100);
		allocations_left = left;
		set = push_key_set_create();
		if (set)
			status = push_key_set_add_path(set, path_of("keys"), &strict, &error);
		allocations_left = -1;
		assert_true(status == PUSH_OK || status == PUSH_OUT_OF_MEMORY);
		push_key_set_destroy(set);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_a_set_or_a_key),
		cmocka_unit_test(a_text_without_a_usable_key_is_an_error),
		cmocka_unit_test(what_others_publish_is_used_as_far_as_it_can_be),
		cmocka_unit_test(a_set_has_at_most_64_keys),
		cmocka_unit_test_setup_teardown(a_folders_files_are_read_by_name, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(
			a_secret_that_kubernetes_mounts_is_read, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_bad_file_is_named, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(a_folder_has_at_most_64_files, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(every_change_changes_the_mark, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(every_allocation_may_fail, make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
