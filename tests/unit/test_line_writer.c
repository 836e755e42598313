#include "unit.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/line_writer.h"

#define LINE                                                                                                 \
	"a line of some length, so that a pipe is full before long ....................................\n"

/* A small pipe; its writing end waits, as a process' stderr does. */
static void
open_pipe(int fds[2], int size)
{
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fcntl(fds[0], F_SETPIPE_SZ, size), size);
}

/* As for a pipe that belongs to another user. */
static void
make_ask_first(struct push_line_writer *writer, int fd)
{
	push_line_writer_fini(writer);
	writer->fd = fd;
	writer->asks_first = true;
}

static size_t
fill(struct push_line_writer *writer)
{
	size_t count = 0;

	while (push_line_writer_write(writer, LINE, strlen(LINE)))
		count++;
	return count;
}

static void
drain(int fd, size_t size)
{
	char bytes[8192];

	while (size) {
		ssize_t got = read(fd, bytes, size < sizeof(bytes) ? size : sizeof(bytes));

		assert_true(got > 0);
		size -= (size_t)got;
	}
}

static void
a_full_pipe_drops_lines_and_says_so_once_there_is_room(void **state)
{
	(void)state;
	for (int asks_first = 0; asks_first < 2; asks_first++) {
		struct push_line_writer writer;
		size_t count;
		int fds[2];

		open_pipe(fds, 4 * 4096);
		push_line_writer_init(&writer, fds[1]);
		if (asks_first)
			make_ask_first(&writer, fds[1]);
		count = fill(&writer);
		assert_true(count > 10);
		assert_false(push_line_writer_write(&writer, LINE, strlen(LINE)));
		assert_int_equal(writer.dropped, 2);
		assert_int_equal(push_line_writer_begin_report(&writer), 0);
		/* the descriptor that others share waits as before */
		assert_false(fcntl(fds[1], F_GETFL) & O_NONBLOCK);

		drain(fds[0], count * strlen(LINE));
		assert_int_equal(push_line_writer_begin_report(&writer), 2);
		assert_true(push_line_writer_write(&writer, LINE, strlen(LINE)));
		push_line_writer_end_report(&writer, 2);
		assert_int_equal(push_line_writer_begin_report(&writer), 0);
		assert_int_equal(writer.dropped, 2);
		push_line_writer_fini(&writer);
		close(fds[0]);
		close(fds[1]);
	}
}

static void
a_report_that_is_dropped_itself_is_made_again(void **state)
{
	struct push_line_writer writer;
	int fds[2];
	uint64_t count;

	(void)state;
	open_pipe(fds, 4096);
	push_line_writer_init(&writer, fds[1]);
	fill(&writer);
	drain(fds[0], 4096 / strlen(LINE) * strlen(LINE));
	count = push_line_writer_begin_report(&writer);
	assert_int_equal(count, 1);
	while (push_line_writer_write(&writer, LINE, strlen(LINE)))
		;
	push_line_writer_end_report(&writer, count);
	assert_int_equal(writer.dropped, 1);
	assert_int_equal(writer.unsaid, 1);
	push_line_writer_fini(&writer);
	close(fds[0]);
	close(fds[1]);
}

static void
the_rest_of_a_line_comes_before_the_next_line(void **state)
{
	static char longest[6000], got[16384];
	struct push_line_writer writer;
	ssize_t size;
	int fds[2];

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\n';
	open_pipe(fds, 4096);
	push_line_writer_init(&writer, fds[1]);
	/* half of it is in the pipe */
	assert_true(push_line_writer_write(&writer, longest, sizeof(longest)));
	assert_int_equal(writer.rest_size, sizeof(longest) - 4096);
	assert_false(push_line_writer_write(&writer, LINE, strlen(LINE)));
	drain(fds[0], 4096);
	assert_true(push_line_writer_write(&writer, LINE, strlen(LINE)));
	size = read(fds[0], got, sizeof(got));
	assert_int_equal(size, sizeof(longest) - 4096 + strlen(LINE));
	assert_memory_equal(got, longest + 4096, sizeof(longest) - 4096);
	assert_memory_equal(got + sizeof(longest) - 4096, LINE, strlen(LINE));
	push_line_writer_fini(&writer);
	close(fds[0]);
	close(fds[1]);
}

static void
a_full_socket_drops_lines_too(void **state)
{
	struct push_line_writer writer;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	push_line_writer_init(&writer, fds[1]);
	assert_true(fill(&writer) > 10);
	assert_int_equal(writer.dropped, 1);
	close(fds[0]);
	assert_false(push_line_writer_write(&writer, LINE, strlen(LINE)));
	push_line_writer_fini(&writer);
	close(fds[1]);
}

static void
what_is_no_place_for_a_log_gets_nothing(void **state)
{
	struct push_line_writer writer;
	int tcp = socket(AF_INET, SOCK_STREAM, 0), fds[2];

	(void)state;
	for (int fd = -1; fd <= tcp; fd += tcp + 1) {
		push_line_writer_init(&writer, fd);
		assert_false(push_line_writer_write(&writer, LINE, strlen(LINE)));
		assert_int_equal(writer.dropped, 1);
		assert_int_equal(push_line_writer_begin_report(&writer), 0);
		push_line_writer_fini(&writer);
	}
	close(tcp);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	push_line_writer_init(&writer, fds[1]);
	assert_false(push_line_writer_write(&writer, LINE, strlen(LINE)));
	push_line_writer_fini(&writer);
	close(fds[0]);
	close(fds[1]);
}

static void
a_full_disk_drops_lines(void **state)
{
	struct push_line_writer writer;
	int full = open("/dev/full", O_WRONLY);

	(void)state;
	if (full < 0)
		skip();
	push_line_writer_init(&writer, full);
	assert_false(push_line_writer_write(&writer, LINE, strlen(LINE)));
	assert_int_equal(writer.dropped, 1);
	push_line_writer_fini(&writer);
	close(full);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_pipe_drops_lines_and_says_so_once_there_is_room),
		cmocka_unit_test(a_report_that_is_dropped_itself_is_made_again),
		cmocka_unit_test(the_rest_of_a_line_comes_before_the_next_line),
		cmocka_unit_test(a_full_socket_drops_lines_too),
		cmocka_unit_test(what_is_no_place_for_a_log_gets_nothing),
		cmocka_unit_test(a_full_disk_drops_lines),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
