/* push.history.file: what a file keeps over restarts and reboots, and what becomes of one that is damaged. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "segment/file.h"
#include "segment/values.h"
#include "segment_world.h"

#define HOUR_US 3600000000ull
#define BEGAN   1700000000000000ull /* by the wall clock */

static char folder[] = "/tmp/push-segment-XXXXXX";
static char path[64];

static int
make_folder(void **state)
{
	(void)state;
	memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/history", folder);
	return 0;
}

static int
remove_folder(void **state)
{
	static const char *const names[] = {"", ".new", ".broken-1", ".broken-2", ".broken-3"};
	char name[128];

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(name, sizeof(name), "%s%s", path, names[i]);
		(void)unlink(name);
	}
	return rmdir(folder);
}

static bool
is_there(const char *suffix)
{
	char name[128];
	struct stat about;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return !stat(name, &about);
}

static struct push_segment_settings
settings(void)
{
	return (struct push_segment_settings){.history_bytes_max = 1 << 20,
		.epoch = 7,
		.seed = 42,
		.cell_count = 16,
		.bucket_count = 256,
		.bytes_max = 4 << 20};
}

struct opened {
	struct push_segment *segment;
	struct push_segment_opened how;
	struct push_error error;
};

static struct opened
try_open(uint64_t now_us, uint64_t wall_us)
{
	struct opened ret = {.error.text = ""};
	struct push_segment_settings with = settings();

	ret.segment = push_segment_file_open(path, &with, now_us, wall_us, &ret.how, &ret.error);
	return ret;
}

static struct opened
open_file(uint64_t now_us, uint64_t wall_us)
{
	struct opened ret = try_open(now_us, wall_us);

	if (!ret.segment)
		print_error("%s\n", ret.error.text);
	assert_non_null(ret.segment);
	push_segment_be(ret.segment, PUSH_SEGMENT_SUPERVISOR);
	return ret;
}

static enum push_status
keep_one(struct push_segment *segment, const char *name, const char *value, uint64_t now_us)
{
	struct push_segment_message message = {.name = name,
		.name_size = strlen(name),
		.value = value,
		.value_size = strlen(value),
		.hash = push_segment_hash(segment, name, strlen(name)),
		.history_size = 65536,
		.history_ttl_us = HOUR_US};
	struct push_segment_published done;
	enum push_status status;

	lock(segment);
	status = push_segment_publish(segment, &message, push_segment_time(segment, now_us), &done);
	push_segment_unlock(segment);
	return status;
}

static bool
add(void *context, const struct push_segment_item *item)
{
	char *text = context;

	snprintf(text + strlen(text), 256 - strlen(text), "%llu=%.*s ", (unsigned long long)item->number,
		(int)item->value_size, item->value);
	return true;
}

/* "NUMBER=VALUE ..." */
static const char *
kept(struct push_segment *segment, const char *name, uint64_t now_us)
{
	static char text[256];
	struct push_buf scratch;

	text[0] = '\0';
	push_buf_init(&scratch, SIZE_MAX);
	lock(segment);
	assert_true(push_segment_history_read(segment,
		push_segment_channel_find(
			segment, name, strlen(name), push_segment_hash(segment, name, strlen(name)), 0),
		0, UINT64_MAX, false, 100, UINT64_MAX, NULL, &scratch, push_segment_time(segment, now_us),
		add, text));
	push_segment_unlock(segment);
	push_buf_fini(&scratch);
	return text;
}

static void
assert_file_consistent(struct push_segment *segment)
{
	struct segment_check check;

	lock(segment);
	check = segment_check(segment);
	push_segment_unlock(segment);
	assert_string_equal(check.what, "");
}

static void
test_what_was_kept_is_there_after_a_restart_and_numbers_go_on(void **state)
{
	struct opened file = open_file(5000000, BEGAN);
	struct push_buf to;

	(void)state;
	assert_true(file.how.is_new);
	assert_string_equal(file.how.line, "");
	assert_int_equal(keep_one(file.segment, "a", "one", 5000000), PUSH_OK);
	assert_int_equal(keep_one(file.segment, "a", "two", 5000000), PUSH_OK);
	lock(file.segment);
	assert_int_equal(
		push_segment_value_put(file.segment, "key", 3, "value", 5, HOUR_US, 5000000), PUSH_OK);
	assert_int_equal(push_segment_notice_put(file.segment, "notice", 6, HOUR_US, 5000000), PUSH_OK);
	push_segment_unlock(file.segment);
	push_segment_detach(file.segment);

	file = open_file(6000000, BEGAN + 1000000);
	assert_false(file.how.is_new);
	assert_int_equal(file.how.found.messages, 2);
	assert_int_equal(file.how.found.values, 1);
	assert_int_equal(file.how.found.notices, 1);
	assert_int_equal(push_segment_epoch(file.segment), 7);
	assert_string_equal(kept(file.segment, "a", 6000000), "1=one 2=two ");
	assert_int_equal(keep_one(file.segment, "a", "three", 6000000), PUSH_OK);
	assert_string_equal(kept(file.segment, "a", 6000000), "1=one 2=two 3=three ");
	push_buf_init(&to, 100);
	lock(file.segment);
	assert_int_equal(push_segment_value_get(file.segment, "key", 3, 6000000, &to), PUSH_OK);
	push_segment_unlock(file.segment);
	assert_memory_equal(to.bytes, "value", 5);
	push_buf_fini(&to);
	assert_file_consistent(file.segment);
	push_segment_detach(file.segment);
	assert_false(is_there(".new"));
}

static void
test_two_pushd_never_have_one_file(void **state)
{
	struct opened file = open_file(5000000, BEGAN), other;
	int of_a_worker;

	(void)state;
	other = try_open(5000000, BEGAN);
	assert_null(other.segment);
	assert_string_equal(other.error.text, "another pushd has it");
	/* nor while a worker is there, who inherited it */
	of_a_worker = dup(push_segment_fd(file.segment));
	push_segment_detach(file.segment);
	assert_null(try_open(5000000, BEGAN).segment);
	close(of_a_worker);
	push_segment_detach(open_file(5000000, BEGAN).segment);
}

static void
test_who_was_there_before_is_forgotten(void **state)
{
	struct opened file = open_file(5000000, BEGAN);
	struct push_segment *worker;
	struct push_error error = {0};
	uint32_t hint = 0;
	pid_t pid;

	(void)state;
	worker = push_segment_attach(dup(push_segment_fd(file.segment)), &error);
	assert_non_null(worker);
	pid = fork();
	if (!pid) {
		push_segment_be(worker, 3);
		lock(worker);
		if (push_segment_join(worker, 3, "node", 5000000) != PUSH_OK ||
			push_segment_set_count(worker, "a", 1, push_segment_hash(worker, "a", 1), 5, &hint))
			_exit(1);
		raise(SIGKILL); /* with the lock */
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	push_segment_detach(worker);
	push_segment_detach(file.segment);
	file = open_file(5000000, BEGAN);
	assert_int_equal(push_segment_slot_pid(file.segment, 3), 0);
	assert_int_equal(push_segment_free_slot(file.segment, 1 << 3), 3);
	assert_int_equal(push_segment_attached(file.segment), 0);
	assert_int_equal(file.segment->header->channels, 0);
	assert_file_consistent(file.segment);
	push_segment_detach(file.segment);
}

static void
damage(void)
{
	int fd = open(path, O_RDWR);
	static unsigned char all[8 << 20];
	ssize_t size = pread(fd, all, sizeof(all), 0);
	unsigned char *at;

	assert_true(size > 0);
	at = memmem(all, (size_t)size, "in the middle", 13);
	assert_non_null(at);
	assert_int_equal(pwrite(fd, "X", 1, at - all), 1);
	close(fd);
}

static void
test_one_that_is_broken_in_the_middle_is_set_aside(void **state)
{
	struct opened file = open_file(5000000, BEGAN);
	char expected[256];

	(void)state;
	assert_int_equal(keep_one(file.segment, "a", "one", 5000000), PUSH_OK);
	assert_int_equal(keep_one(file.segment, "a", "in the middle", 5000000), PUSH_OK);
	assert_int_equal(keep_one(file.segment, "a", "three", 5000000), PUSH_OK);
	push_segment_detach(file.segment);
	damage();
	file = open_file(5000000, BEGAN);
	assert_true(file.how.is_new);
	assert_true(file.how.was_set_aside);
	snprintf(expected, sizeof(expected),
		"push.history.file: it is damaged: 1 records are not what was written; it was set aside as "
		"%s.broken-1, and history, keys and names begin anew",
		path);
	assert_string_equal(file.how.line, expected);
	assert_true(is_there(".broken-1"));
	assert_string_equal(kept(file.segment, "a", 5000000), "");
	/* its positions are not those of the old one, whatever the clock says */
	assert_int_equal(push_segment_epoch(file.segment), 8);
	push_segment_detach(file.segment);
}

static void
write_file(const void *bytes, size_t size)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static void
test_what_is_no_file_of_this_version_is_set_aside_each_by_itself(void **state)
{
	struct opened file;
	uint32_t layout = 99;
	char text[9000];
	int fd;

	(void)state;
	memset(text, 'x', sizeof(text));
	write_file(text, sizeof(text));
	file = open_file(5000000, BEGAN);
	assert_true(file.how.was_set_aside);
	push_segment_detach(file.segment);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, &layout, 4, offsetof(struct segment_header, layout)), 4);
	close(fd);
	file = open_file(5000000, BEGAN);
	assert_true(file.how.was_set_aside);
	assert_non_null(strstr(file.how.line, "its layout is 99"));
	assert_true(is_there(".broken-1") && is_there(".broken-2"));
	push_segment_detach(file.segment);
	/* cut off, too */
	assert_int_equal(truncate(path, 100), 0);
	file = open_file(5000000, BEGAN);
	assert_true(file.how.was_set_aside && is_there(".broken-3"));
	push_segment_detach(file.segment);
	/* one that was made by hand is no loss */
	write_file("", 0);
	file = open_file(5000000, BEGAN);
	assert_true(file.how.is_new && !file.how.was_set_aside);
	push_segment_detach(file.segment);
}

static void
test_a_torn_end_is_cut_and_the_rest_is_kept(void **state)
{
	struct opened file = open_file(5000000, BEGAN);

	(void)state;
	assert_int_equal(keep_one(file.segment, "a", "one", 5000000), PUSH_OK);
	assert_int_equal(keep_one(file.segment, "a", "two", 5000000), PUSH_OK);
	/* as if it had been killed just before the commit */
	file.segment->header->tail--;
	push_segment_detach(file.segment);
	file = open_file(5000000, BEGAN);
	assert_false(file.how.is_new);
	assert_int_equal(file.how.found.torn, 1);
	assert_string_equal(kept(file.segment, "a", 5000000), "1=one ");
	assert_file_consistent(file.segment);
	push_segment_detach(file.segment);
}

/* The next process to open it is of another boot. */
static void
reboot(struct push_segment *segment)
{
	memset(segment->header->boot_id, '0', 36);
	push_segment_detach(segment);
}

static void
test_time_goes_on_by_the_clock_within_a_boot_and_by_the_wall_clock_over_reboots(void **state)
{
	struct opened file = open_file(5000000, BEGAN);

	(void)state;
	assert_int_equal(push_segment_time(file.segment, 5000000), 5000000);
	push_segment_tick(file.segment, 6000000, BEGAN + 1000000);
	push_segment_detach(file.segment);
	/* the same boot: whatever the wall clock says */
	file = open_file(8000000, BEGAN + 999000000);
	assert_int_equal(push_segment_time(file.segment, 8000000), 8000000);
	push_segment_tick(file.segment, 9000000, BEGAN + 4000000);
	reboot(file.segment);
	/* an hour later; the clock began at 0 again */
	file = open_file(1000000, BEGAN + 4000000 + HOUR_US);
	assert_int_equal(push_segment_time(file.segment, 1000000), 9000000 + HOUR_US);
	assert_int_equal(push_segment_time(file.segment, 2000000), 10000000 + HOUR_US);
	push_segment_detach(file.segment);
	/* and from there on in this boot */
	file = open_file(3000000, BEGAN + 6000000 + HOUR_US);
	assert_int_equal(push_segment_time(file.segment, 3000000), 11000000 + HOUR_US);
	push_segment_detach(file.segment);
}

static void
test_time_never_goes_back_though_the_wall_clock_does(void **state)
{
	struct opened file = open_file(5000000, BEGAN);

	(void)state;
	push_segment_tick(file.segment, 6000000, BEGAN + 1000000);
	/* behind the last time that was written down */
	assert_int_equal(keep_one(file.segment, "a", "one", 6900000), PUSH_OK);
	reboot(file.segment);
	file = open_file(1000, BEGAN - HOUR_US);
	assert_int_equal(push_segment_time(file.segment, 1000), 6900000);
	assert_string_equal(kept(file.segment, "a", 1000), "1=one ");
	/* kept for as long as it was to be, from then on */
	assert_string_equal(kept(file.segment, "a", 1000 + HOUR_US - 1), "1=one ");
	assert_string_equal(kept(file.segment, "a", 1000 + HOUR_US), "");
	push_segment_detach(file.segment);
}

static void
test_what_was_too_old_while_it_was_down_is_not_served(void **state)
{
	struct opened file = open_file(5000000, BEGAN);

	(void)state;
	assert_int_equal(keep_one(file.segment, "a", "one", 5000000), PUSH_OK);
	reboot(file.segment);
	file = open_file(1000, BEGAN + HOUR_US);
	assert_string_equal(kept(file.segment, "a", 1000), "");
	push_segment_detach(file.segment);
}

static void
test_on_a_full_disk_the_oldest_history_gives_way(void **state)
{
	struct opened file = open_file(5000000, BEGAN);
	struct rlimit before, limit;
	struct stat about;
	char value[1001];
	uint64_t messages = 0;

	(void)state;
	memset(value, 'v', sizeof(value));
	value[1000] = '\0';
	assert_int_equal(fstat(push_segment_fd(file.segment), &about), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	lock(file.segment);
	push_segment_set_history_max(file.segment, 64 << 20);
	push_segment_unlock(file.segment);
	/* the file system has nothing more to give */
	limit = (struct rlimit){(rlim_t)about.st_size, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(keep_one(file.segment, "a", value, 5000000), PUSH_OK);
		if (file.segment->header->history_messages > messages)
			messages = file.segment->header->history_messages;
	}
	assert_true(messages > 500 && messages < 1500);
	assert_file_consistent(file.segment);
	/* a value finds its place as well */
	lock(file.segment);
	assert_int_equal(
		push_segment_value_put(file.segment, "key", 3, value, 1000, HOUR_US, 5000000), PUSH_OK);
	push_segment_unlock(file.segment);
	push_segment_detach(file.segment);
	/* where not even an empty one fits, it says so */
	limit.rlim_cur = 100000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(unlink(path), 0);
	file = try_open(5000000, BEGAN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_null(file.segment);
	assert_non_null(strstr(file.error.text, "no room for 1 MB"));
	assert_false(is_there("") || is_there(".new"));
}

static void
test_more_history_than_the_file_was_made_for_has_room_after_a_restart(void **state)
{
	struct push_segment_settings with = settings();
	struct push_segment_opened how = {0};
	struct push_error error = {0};
	struct opened file = open_file(5000000, BEGAN);
	uint32_t before = file.segment->block_limit;

	(void)state;
	push_segment_detach(file.segment);
	with.bytes_max *= 2;
	file.segment = push_segment_file_open(path, &with, 5000000, BEGAN, &how, &error);
	assert_non_null(file.segment);
	assert_true(file.segment->block_limit > before);
	push_segment_detach(file.segment);
}

static void
test_a_path_that_cannot_be_opened_is_an_error_that_says_why(void **state)
{
	struct opened file;

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	file = try_open(5000000, BEGAN);
	assert_null(file.segment);
	assert_string_equal(file.error.text, "cannot be opened: Is a directory");
	assert_int_equal(rmdir(path), 0);
	snprintf(path, sizeof(path), "%s/no/history", folder);
	file = try_open(5000000, BEGAN);
	assert_null(file.segment);
	assert_string_equal(file.error.text, "cannot be opened: No such file or directory");
}

#define file_test(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		file_test(test_what_was_kept_is_there_after_a_restart_and_numbers_go_on),
		file_test(test_two_pushd_never_have_one_file),
		file_test(test_who_was_there_before_is_forgotten),
		file_test(test_one_that_is_broken_in_the_middle_is_set_aside),
		file_test(test_what_is_no_file_of_this_version_is_set_aside_each_by_itself),
		file_test(test_a_torn_end_is_cut_and_the_rest_is_kept),
		file_test(test_time_goes_on_by_the_clock_within_a_boot_and_by_the_wall_clock_over_reboots),
		file_test(test_time_never_goes_back_though_the_wall_clock_does),
		file_test(test_what_was_too_old_while_it_was_down_is_not_served),
		file_test(test_on_a_full_disk_the_oldest_history_gives_way),
		file_test(test_more_history_than_the_file_was_made_for_has_room_after_a_restart),
		file_test(test_a_path_that_cannot_be_opened_is_an_error_that_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
