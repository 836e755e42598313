#include "unit.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/publish_keys.h"
#include "failing_alloc.h"

#define DIGEST_TEXT_BYTES (2 * PUSH_PUBLISH_KEY_DIGEST_BYTES)

static char folder[] = "/tmp/push-publish-keys-XXXXXX";
static char path[sizeof(folder) + 16];
static char log_line[1024];
static int log_count;
static enum push_log_level log_level;

static int
make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	sprintf(path, "%s/keys", folder);
	return 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static int
begin(void **state)
{
	(void)state;
	unlink(path);
	log_count = 0;
	log_line[0] = '\0';
	return 0;
}

static void
on_log(void *context, enum push_log_level level, const char *line)
{
	assert_ptr_equal(context, path);
	log_count++;
	log_level = level;
	snprintf(log_line, sizeof(log_line), "%s", line);
}

static struct push_str
text(const char *bytes)
{
	return (struct push_str){bytes, bytes ? strlen(bytes) : 0};
}

/* The SHA-256 of a key in hex; of the last few that were asked for. */
static const char *
sha256(const char *key)
{
	static char texts[4][DIGEST_TEXT_BYTES + 1];
	static size_t turn;
	unsigned char digest[EVP_MAX_MD_SIZE];
	char *to = texts[turn++ % COUNT(texts)];

	assert_true(EVP_Digest(key, strlen(key), digest, NULL, EVP_sha256(), NULL));
	for (size_t i = 0; i < PUSH_PUBLISH_KEY_DIGEST_BYTES; i++)
		sprintf(to + 2 * i, "%02x", digest[i]);
	return to;
}

/* As a new file, in the place of the old one. */
static void
write_file(const char *content)
{
	char new_path[sizeof(path) + 4];
	FILE *file;

	sprintf(new_path, "%s.new", path);
	file = fopen(new_path, "w");
	assert_non_null(file);
	assert_true(fputs(content, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(rename(new_path, path), 0);
}

static struct push_publish_keys *
open_file(void)
{
	struct push_publish_keys *keys = NULL;
	struct push_error error = {""};

	if (push_publish_keys_open(path, on_log, path, &keys, &error) != PUSH_OK)
		fail_msg("%s", error.text);
	return keys;
}

static const struct push_publish_key *
find(const struct push_publish_keys *keys, const char *shown)
{
	return push_publish_keys_find(keys, text(shown));
}

static bool
may_publish(const struct push_publish_keys *keys, const char *shown, const char *channel)
{
	const struct push_publish_key *key = find(keys, shown);

	return push_identity_may(key ? key->identity : NULL, PUSH_RIGHT_PUBLISH, text(channel));
}

static void
a_key_may_publish_to_its_patterns_and_nothing_else(void **state)
{
	char content[1024];
	struct push_publish_keys *keys;
	struct push_identity_facts facts;

	(void)state;
	sprintf(content,
		"# who may publish\n\n  \t\nshop %s orders:*,news\r\n"
		"\tbilling.v2-x_1\t%s\t**  rate=100/s bytes=1mb/m # with a comment\n#end",
		sha256("shop-key"), sha256("billing-key"));
	write_file(content);
	keys = open_file();
	assert_int_equal(push_publish_keys_count(keys), 2);
	assert_true(may_publish(keys, "shop-key", "orders:7"));
	assert_true(may_publish(keys, "shop-key", "news"));
	assert_false(may_publish(keys, "shop-key", "orders:7:x"));
	assert_false(may_publish(keys, "shop-key", "other"));
	assert_true(may_publish(keys, "billing-key", "any:thing"));
	assert_false(
		push_identity_may(find(keys, "billing-key")->identity, PUSH_RIGHT_SUBSCRIBE, text("news")));
	assert_false(
		push_identity_may(find(keys, "billing-key")->identity, PUSH_RIGHT_HISTORY, text("news")));
	facts = push_identity_facts(find(keys, "billing-key")->identity);
	assert_int_equal(facts.key_name.size, strlen("billing.v2-x_1"));
	assert_memory_equal(facts.key_name.bytes, "billing.v2-x_1", facts.key_name.size);
	assert_null(facts.user.bytes);
	assert_true(facts.expires_us == UINT64_MAX);
	push_publish_keys_destroy(keys);
}

static void
what_is_no_key_is_nobodys(void **state)
{
	char content[512], shown[sizeof("shop-key") + 1];
	struct push_publish_keys *keys;

	(void)state;
	sprintf(content, "shop %s **\n", sha256("shop-key"));
	write_file(content);
	keys = open_file();
	assert_null(find(keys, ""));
	assert_null(find(keys, NULL));
	assert_null(find(keys, "shop"));
	assert_null(find(keys, "shop-key "));
	assert_null(find(keys, "shop-ke"));
	assert_null(find(keys, "Shop-key"));
	/* the hash is no key */
	assert_null(find(keys, sha256("shop-key")));
	for (size_t i = 0; i < strlen("shop-key"); i++) {
		strcpy(shown, "shop-key");
		shown[i] ^= 1;
		assert_null(find(keys, shown));
	}
	assert_non_null(find(keys, "shop-key"));
	push_publish_keys_destroy(keys);
	/* of a file without keys, too */
	write_file("# none yet\n");
	keys = open_file();
	assert_int_equal(push_publish_keys_count(keys), 0);
	assert_null(find(keys, "shop-key"));
	push_publish_keys_destroy(keys);
}

static void
limits_become_numbers(void **state)
{
	static const struct {
		const char *limits;
		struct push_rate messages, bytes;
	} rows[] = {
		{"", {0, 0}, {0, 0}},
		{"rate=100/s", {100, 1000000}, {0, 0}},
		{"rate=1/h", {1, 3600000000}, {0, 0}},
		{"bytes=1mb/s", {0, 0}, {1 << 20, 1000000}},
		{"bytes=64kb/m rate=6000/m", {6000, 60000000}, {65536, 60000000}},
		{"rate=5/s   bytes=2GB/h #x=1", {5, 1000000}, {2ull << 30, 3600000000}},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char content[512];
		struct push_publish_keys *keys;
		const struct push_publish_key *key;

		sprintf(content, "shop %s ** %s\n", sha256("k"), rows[i].limits);
		write_file(content);
		keys = open_file();
		key = find(keys, "k");
		assert_true(key->messages.amount == rows[i].messages.amount);
		assert_true(key->messages.period_us == rows[i].messages.period_us);
		assert_true(key->bytes.amount == rows[i].bytes.amount);
		assert_true(key->bytes.period_us == rows[i].bytes.period_us);
		push_publish_keys_destroy(keys);
	}
}

/* `%1` and `%2` stand for the SHA-256 of two keys. */
static void
expand(const char *from, char *to)
{
	for (*to = '\0'; *from; from++) {
		if (*from == '%')
			strcat(to, sha256(*++from == '1' ? "secret-1" : "secret-2"));
		else
			strncat(to, from, 1);
	}
}

static void
a_fault_is_said_with_its_line_and_without_a_secret(void **state)
{
	static const struct {
		const char *content, *error;
	} rows[] = {
		{"secret-1! %1 **", "line 1: NAME must be 1 to 64 letters, digits and . _ -"},
		{"\n# x\nsh/op %1 **", "line 3: NAME must be"},
		{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa %1 **",
			"line 1: NAME must be 1 to 64"},
		{"secret-1", "line 1: SHA256 must be"},
		{"shop", "line 1: SHA256 must be the key's SHA-256 in 64 hexadecimal digits"},
		{"shop secret-1 **", "line 1: SHA256 must be"},
		{"shop %1a **", "line 1: SHA256 must be"},
		{"%1 **", "line 1: SHA256 must be"},
		{"shop g%1 **", "line 1: SHA256 must be"},
		{"shop e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 **",
			"line 1: SHA256 is that of an empty key"},
		{"shop %1", "line 1: has no patterns: write NAME SHA256 PATTERNS"},
		{"shop %1 # later", "line 1: has no patterns"},
		{"shop %1 a,,b", "line 1: PATTERNS must be separated by commas, and each 1 to 255 bytes"},
		{"shop %1 a,", "line 1: PATTERNS must be"},
		{"shop %1 \xFF", "line 1: PATTERNS must be"},
		{"shop %1 user:{sub}", "line 1: {sub} is the user of a token, and a key has none"},
		{"shop %1 ** secret-1", "line 1: behind PATTERNS there may only be limits"},
		{"shop %1 a, b", "line 1: PATTERNS must be"},
		{"shop %1 ** rate=", "line 1: rate= must be a number of messages by s, m or h"},
		{"shop %1 ** rate=0/s", "line 1: rate= must be"},
		{"shop %1 ** rate=100", "line 1: rate= must be"},
		{"shop %1 ** rate=100/d", "line 1: rate= must be"},
		{"shop %1 ** rate=/s", "line 1: rate= must be"},
		{"shop %1 ** rate=1mb/s", "line 1: rate= must be"},
		{"shop %1 ** rate=-1/s", "line 1: rate= must be"},
		{"shop %1 ** rate=secret-1/s", "line 1: rate= must be"},
		{"shop %1 ** rate=1111111111111111111111111111111/s", "line 1: rate= must be"},
		{"shop %1 ** bytes=1xb/s", "line 1: bytes= must be a size by s, m or h"},
		{"shop %1 ** rate=1/s rate=1/s", "line 1: rate= comes twice"},
		{"shop %1 ** bytes=1/s bytes=1/s", "line 1: bytes= comes twice"},
		{"shop %1 **\n\nbank %1 **", "line 3: the same key as in line 1"},
		{"shop %1 **\nshop %2 ** rate=1/s", "line 2: the same NAME as in line 1, and other limits"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char content[512], expected[256];
		struct push_publish_keys *keys = NULL;
		struct push_error error = {""};

		expand(rows[i].content, content);
		write_file(content);
		assert_int_equal(push_publish_keys_open(path, on_log, path, &keys, &error), PUSH_INVALID);
		assert_null(keys);
		sprintf(expected, "push.publish.keys=%s: %s", path, rows[i].error);
		if (strncmp(error.text, expected, strlen(expected)) != 0)
			fail_msg("row %zu: %s", i, error.text);
		assert_null(strstr(error.text, "secret"));
		assert_null(strstr(error.text, sha256("secret-1")));
	}
	assert_int_equal(log_count, 0);
}

static void
what_is_no_file_is_said(void **state)
{
	struct push_publish_keys *keys = NULL;
	struct push_error error = {""};
	FILE *file;

	(void)state;
	assert_int_equal(push_publish_keys_open(path, on_log, path, &keys, &error), PUSH_INVALID);
	assert_non_null(strstr(error.text, "No such file or directory"));
	assert_int_equal(push_publish_keys_open(folder, on_log, path, &keys, &error), PUSH_INVALID);
	assert_non_null(strstr(error.text, "not a file"));
	/* nobody waits for somebody to write into it */
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(push_publish_keys_open(path, on_log, path, &keys, &error), PUSH_INVALID);
	assert_non_null(strstr(error.text, "not a file"));
	unlink(path);
	file = fopen(path, "w");
	for (size_t i = 0; i < PUSH_PUBLISH_KEYS_FILE_BYTES_MAX / 64; i++)
		assert_true(fputs("###############################################################\n",
				    file) >= 0);
	assert_int_equal(fclose(file), 0);
	keys = open_file();
	push_publish_keys_destroy(keys);
	keys = NULL;
	file = fopen(path, "a");
	assert_true(fputs("\n", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(push_publish_keys_open(path, on_log, path, &keys, &error), PUSH_INVALID);
	assert_non_null(strstr(error.text, "larger than 1 MB"));
	assert_null(keys);
}

static void
one_key_too_many_is_refused(void **state)
{
	static char content[(PUSH_PUBLISH_KEYS_MAX + 1) * 96];
	char *to = content;
	struct push_publish_keys *keys = NULL;
	struct push_error error = {""};

	(void)state;
	for (int i = 0; i < PUSH_PUBLISH_KEYS_MAX; i++) {
		char key[16];

		sprintf(key, "key-%d", i);
		to += sprintf(to, "n%d %s channel:%d\n", i, sha256(key), i);
	}
	write_file(content);
	keys = open_file();
	assert_int_equal(push_publish_keys_count(keys), PUSH_PUBLISH_KEYS_MAX);
	/* the first, the last and one between */
	assert_true(may_publish(keys, "key-0", "channel:0"));
	assert_true(may_publish(keys, "key-512", "channel:512"));
	assert_true(may_publish(keys, "key-1023", "channel:1023"));
	assert_false(may_publish(keys, "key-1023", "channel:0"));
	assert_null(find(keys, "key-1024"));
	push_publish_keys_destroy(keys);
	sprintf(to, "more %s **\n", sha256("more"));
	write_file(content);
	assert_int_equal(push_publish_keys_open(path, on_log, path, &keys, &error), PUSH_INVALID);
	assert_non_null(strstr(error.text, "line 1025: more than 1024 keys"));
}

static void
two_keys_of_one_name_share_their_name_space(void **state)
{
	const struct push_key_limits *limits;
	size_t count;
	char content[512];
	struct push_publish_keys *keys;
	struct push_str space;

	(void)state;
	sprintf(content, "shop %s ** rate=1/s\nshop %s news rate=1/s\nbank %s **\n", sha256("old"),
		sha256("new"), sha256("bank-key"));
	write_file(content);
	keys = open_file();
	assert_true(may_publish(keys, "old", "other"));
	assert_false(may_publish(keys, "new", "other"));
	space = push_identity_space(find(keys, "new")->identity);
	assert_int_equal(space.size, 6);
	assert_memory_equal(space.bytes, "k:shop", 6);
	assert_memory_equal(push_identity_space(find(keys, "old")->identity).bytes, "k:shop", 6);
	assert_true(push_publish_keys_find_name(keys, text("shop"))->messages.amount == 1);
	assert_int_equal(push_publish_keys_find_name(keys, text("bank"))->messages.amount, 0);
	assert_null(push_publish_keys_find_name(keys, text("sho")));
	limits = push_publish_keys_limits(keys, &count);
	assert_int_equal(count, 2); /* the bank has none */
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(limits[i].name.size, 4);
		assert_memory_equal(limits[i].name.bytes, "shop", 4);
		assert_true(limits[i].messages.amount == 1 && limits[i].messages.period_us == 1000000);
		assert_int_equal(limits[i].bytes.amount, 0);
	}
	assert_null(push_publish_keys_find_name(keys, text(NULL)));
	push_publish_keys_destroy(keys);
}

static void
a_name_that_is_taken_off_the_file_is_lost(void **state)
{
	char content[512];
	struct push_publish_keys *keys;

	(void)state;
	sprintf(content, "shop %s **\nshop %s **\nbank %s **\n", sha256("old"), sha256("new"), sha256("b"));
	write_file(content);
	keys = open_file();
	assert_false(push_publish_keys_has_lost(keys, text("shop")));
	assert_false(push_publish_keys_has_lost(keys, text("never")));
	sprintf(content, "shop %s **\nbank %s **\n", sha256("new"), sha256("b"));
	write_file(content);
	assert_true(push_publish_keys_reload(keys));
	assert_false(push_publish_keys_has_lost(keys, text("shop")));
	sprintf(content, "bank %s **\n", sha256("b"));
	write_file(content);
	assert_true(push_publish_keys_reload(keys));
	assert_true(push_publish_keys_has_lost(keys, text("shop")));
	assert_false(push_publish_keys_has_lost(keys, text("bank")));
	sprintf(content, "bank %s **\nshop %s **\n", sha256("b"), sha256("again"));
	write_file(content);
	assert_true(push_publish_keys_reload(keys));
	assert_false(push_publish_keys_has_lost(keys, text("shop")));
	push_publish_keys_destroy(keys);
}

static void
a_changed_file_is_read_again_and_one_that_is_not_is_not(void **state)
{
	char content[512];
	struct push_publish_keys *keys;
	const struct push_identity *kept;

	(void)state;
	sprintf(content, "shop %s news\n", sha256("one"));
	write_file(content);
	keys = open_file();
	assert_false(push_publish_keys_refresh(keys));
	assert_int_equal(log_count, 0);
	kept = push_identity_ref(find(keys, "one")->identity);

	sprintf(content, "shop %s news\n", sha256("two"));
	write_file(content);
	assert_true(push_publish_keys_refresh(keys));
	assert_false(push_publish_keys_refresh(keys));
	assert_int_equal(log_count, 1);
	assert_int_equal(log_level, PUSH_LOG_INFO);
	assert_string_equal(log_line, "push.publish.keys: read again, 1 keys");
	assert_null(find(keys, "one"));
	assert_non_null(find(keys, "two"));
	/* whoever is publishing with the old one goes on */
	assert_true(push_identity_may(kept, PUSH_RIGHT_PUBLISH, text("news")));
	push_identity_unref(kept);
	/* when told to, in any case */
	assert_true(push_publish_keys_reload(keys));
	assert_int_equal(log_count, 2);
	push_publish_keys_destroy(keys);
}

static void
a_change_in_place_of_the_same_size_is_seen(void **state)
{
	static const struct timespec times[2] = {{1000000000, 1}, {1000000000, 2}};
	char content[512];
	struct push_publish_keys *keys;
	FILE *file;

	(void)state;
	sprintf(content, "shop %s news\n", sha256("one"));
	write_file(content);
	/* a clock that ticks slowly would hide that it was written to right after it was read */
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	keys = open_file();
	sprintf(content, "shop %s news\n", sha256("two"));
	file = fopen(path, "r+");
	assert_true(fputs(content, file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_true(push_publish_keys_refresh(keys));
	assert_non_null(find(keys, "two"));
	push_publish_keys_destroy(keys);
}

static void
a_broken_file_leaves_the_old_keys_in_use_and_one_line_in_the_log(void **state)
{
	char content[512];
	struct push_publish_keys *keys;

	(void)state;
	sprintf(content, "shop %s news\n", sha256("one"));
	write_file(content);
	keys = open_file();

	write_file("shop nonsense\n");
	for (int i = 0; i < 3; i++)
		assert_false(push_publish_keys_refresh(keys));
	assert_int_equal(log_count, 1);
	assert_int_equal(log_level, PUSH_LOG_ERROR);
	assert_non_null(strstr(log_line, ": line 1: SHA256 must be"));
	assert_non_null(strstr(log_line, "; the keys read before stay in use"));
	assert_non_null(find(keys, "one"));

	/* likewise of none at all */
	unlink(path);
	for (int i = 0; i < 3; i++)
		assert_false(push_publish_keys_refresh(keys));
	assert_int_equal(log_count, 2);
	assert_non_null(strstr(log_line, "No such file or directory; the keys"));
	assert_non_null(find(keys, "one"));

	sprintf(content, "shop %s news\n", sha256("two"));
	write_file(content);
	assert_true(push_publish_keys_refresh(keys));
	assert_null(find(keys, "one"));
	assert_non_null(find(keys, "two"));
	push_publish_keys_destroy(keys);
}

static void
a_text_is_read_as_a_file_is(void **state)
{
	char content[512];
	struct push_publish_keys *keys = NULL;
	struct push_error error = {""};

	(void)state;
	sprintf(content, "shop %s news", sha256("one"));
	assert_int_equal(push_publish_keys_read_text("here", text(content), &keys, &error), PUSH_OK);
	assert_non_null(find(keys, "one"));
	assert_false(push_publish_keys_refresh(keys));
	assert_false(push_publish_keys_reload(keys));
	push_publish_keys_destroy(keys);
	assert_int_equal(push_publish_keys_read_text("here", text("shop"), &keys, &error), PUSH_INVALID);
	assert_non_null(strstr(error.text, "push.publish.keys=here: line 1: SHA256"));
	push_publish_keys_destroy(NULL);
}

static void
without_memory_there_are_no_keys_or_the_old_ones(void **state)
{
	char content[512];
	struct push_publish_keys *keys = NULL;
	struct push_error error = {""};
	long failures;

	(void)state;
	sprintf(content, "shop %s news\nbank %s a,b rate=1/s\n", sha256("one"), sha256("three"));
	write_file(content);
	for (failures = 0; !keys; failures++) {
		enum push_status status;

		allocations_left = failures;
		status = push_publish_keys_open(path, on_log, path, &keys, &error);
		allocations_left = -1;
		assert_true(status == PUSH_OK || status == PUSH_OUT_OF_MEMORY);
		if (status != PUSH_OK)
			assert_non_null(strstr(error.text, ": out of memory"));
		assert_true(failures < 100);
	}
	assert_true(failures > 8);

	sprintf(content, "shop %s news\n", sha256("two"));
	write_file(content);
	for (failures = 0; find(keys, "one"); failures++) {
		allocations_left = failures;
		(void)push_publish_keys_refresh(keys);
		allocations_left = -1;
		assert_true(failures < 100);
	}
	/* it was tried again each time, with a line for each */
	assert_int_equal(log_count, failures);
	assert_non_null(find(keys, "two"));
	push_publish_keys_destroy(keys);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_key_may_publish_to_its_patterns_and_nothing_else),
		TEST(what_is_no_key_is_nobodys),
		TEST(limits_become_numbers),
		TEST(a_fault_is_said_with_its_line_and_without_a_secret),
		TEST(what_is_no_file_is_said),
		TEST(one_key_too_many_is_refused),
		TEST(two_keys_of_one_name_share_their_name_space),
		TEST(a_name_that_is_taken_off_the_file_is_lost),
		TEST(a_changed_file_is_read_again_and_one_that_is_not_is_not),
		TEST(a_change_in_place_of_the_same_size_is_seen),
		TEST(a_broken_file_leaves_the_old_keys_in_use_and_one_line_in_the_log),
		TEST(a_text_is_read_as_a_file_is),
		TEST(without_memory_there_are_no_keys_or_the_old_ones),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
