/* What one pushd leaves to the next comes back as it was, and what cannot be is refused as a whole. */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"
#include "upgrade_state.h"

struct world {
	struct kept_sockets sockets[WORKER_COUNT_MAX];
	struct generation generation;
	struct upgrade_state state;
};

static int
listening_socket(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static struct world *
world_new(void)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	world->state = (struct upgrade_state){
		.notify_fd = -1, .sockets = world->sockets, .generation = &world->generation};
	return world;
}

static void
world_free(struct world *world)
{
	for (size_t i = 0; i < WORKER_COUNT_MAX; i++)
		kept_sockets_drop(&world->sockets[i]);
	push_buf_fini(&world->generation.vhosts);
	free(world);
}

/* Of two workers: one serves, and has said half a line; the other is to be started again. */
static struct world *
world_of_a_pushd(int pipe_fd, int notify_fd)
{
	struct world *world = world_new();
	struct generation *generation = &world->generation;

	kept_sockets_keep(&world->sockets[1], listening_socket(), 7);
	*generation = (struct generation){.folder = "/run/pushd-x/b", .worker_count = 2, .serial = 7};
	push_buf_init(&generation->vhosts, 1000);
	push_buf_append(&generation->vhosts, "of vhosts", sizeof("of vhosts"));
	generation->workers[0] = (struct worker){.state = WORKER_READY,
		.since_us = 1234567890123,
		.root = 4711,
		.child = 4712,
		.child_fd = -1,
		.output_fd = pipe_fd,
		.slot = 63,
		.line = "half \"a\" line\t\xe4",
		.line_size = strlen("half \"a\" line\t\xe4")};
	generation->workers[1] =
		(struct worker){.backoff_us = 200000, .restart_at_us = 99, .output_fd = -1, .slot = -1};
	world->state = (struct upgrade_state){.run_dir = "/run/pushd-x",
		.notify_fd = notify_fd,
		.serial = 9,
		.dropped_lines = 3,
		.sockets = world->sockets,
		.generation = generation,
		.index = 1};
	return world;
}

static void
all_that_a_pushd_has_to_know_comes_back(void **state)
{
	int fds[2], fd;
	struct world *before, *after = world_new();
	struct push_error error = {""};
	const struct worker *worker;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	before = world_of_a_pushd(fds[0], fds[1]);
	fd = upgrade_state_write(&before->state);
	assert_true(fd >= 0);
	assert_int_equal(upgrade_state_read(fd, &after->state, &error), PUSH_OK);
	assert_string_equal(after->state.run_dir, "/run/pushd-x");
	assert_int_equal(after->state.notify_fd, fds[1]);
	assert_int_equal(after->state.serial, 9);
	assert_int_equal(after->state.dropped_lines, 3);
	assert_int_equal(after->state.index, 1);
	assert_string_equal(after->generation.folder, "/run/pushd-x/b");
	assert_string_equal(after->generation.vhosts.bytes, "of vhosts");
	assert_int_equal(after->generation.serial, 7);
	assert_true(after->generation.has_served);
	assert_int_equal(after->generation.worker_count, 2);
	worker = &after->generation.workers[0];
	assert_int_equal(worker->state, WORKER_READY);
	assert_int_equal(worker->since_us, 1234567890123);
	assert_int_equal(worker->root, 4711);
	assert_int_equal(worker->child, 4712);
	assert_int_equal(worker->output_fd, fds[0]);
	assert_int_equal(worker->slot, 63);
	assert_string_equal(worker->line, before->generation.workers[0].line);
	worker = &after->generation.workers[1];
	assert_int_equal(worker->state, WORKER_NONE);
	assert_int_equal(worker->backoff_us, 200000);
	assert_int_equal(worker->restart_at_us, 99);
	assert_int_equal(worker->slot, -1);
	assert_int_equal(after->sockets[1].count, 1);
	assert_int_equal(after->sockets[1].items[0].fd, before->sockets[1].items[0].fd);
	assert_int_equal(after->sockets[1].items[0].generation, 7);
	before->sockets[1].count = 0; /* it is the same descriptor */
	close(fd);
	close(fds[0]);
	close(fds[1]);
	world_free(before);
	world_free(after);
}

static void
what_it_needs_is_not_closed_on_exec(void **state)
{
	int fds[2], fd;
	struct world *world;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	world = world_of_a_pushd(fds[0], fds[1]);
	fd = upgrade_state_write(&world->state);
	assert_int_equal(fcntl(fd, F_GETFD), 0);
	assert_int_equal(fcntl(fds[0], F_GETFD), 0);
	assert_int_equal(fcntl(fds[1], F_GETFD), 0);
	assert_int_equal(fcntl(world->sockets[1].items[0].fd, F_GETFD), 0);
	close(fd);
	close(fds[0]);
	close(fds[1]);
	world_free(world);
}

static int
file_of(const char *text)
{
	int fd = memfd_create("state", MFD_CLOEXEC);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

#define WORKER                                                                                               \
	"{'state':2,'since':1,'root':4711,'child':2,'output':-1,'slot':1,'backoff':0,'restart_at':0,'line':" \
	"''}"
#define STATE(layout, run_dir, notify, sockets, index, workers)                                              \
	"{'layout':" layout ",'run_dir':" run_dir ",'notify':" notify                                        \
	",'serial':1,'dropped_lines':0,'sockets':" sockets ",'generation':{'index':" index                   \
	",'serial':1,'folder':'/a','workers':" workers "}}"
#define NO_SHELL                                                                                             \
	"{'state':2,'since':1,'root':1,'child':2,'output':-1,'slot':1,'backoff':0,'restart_at':0,'line':''}"
#define NO_SLOT                                                                                              \
	"{'state':2,'since':1,'root':4711,'child':2,'output':-1,'slot':64,'backoff':0,'restart_at':0,'line'" \
	":''}"
#define SOCKET(worker, fd) "[{'worker':" worker ",'fd':" fd ",'generation':1}]"

static void
what_cannot_be_is_refused_and_nothing_is_taken_of_it(void **state)
{
	static const struct {
		const char *text, *wrong;
	} cases[] = {
		{"", "all"},
		{"{", "all"},
		{"[]", "all"},
		{"{}", "layout"},
		{STATE("2", "'/r'", "%d", "[]", "0", "[" WORKER "]"), "layout"},
		{STATE("1", "7", "%d", "[]", "0", "[" WORKER "]"), "run_dir"},
		{STATE("1", "'/r'", "999", "[]", "0", "[" WORKER "]"), "notify"},
		{STATE("1", "'/r'", "2", "[]", "0", "[" WORKER "]"), "notify"},
		{STATE("1", "'/r'", "%d", "[]", "2", "[" WORKER "]"), "index"},
		{STATE("1", "'/r'", "%d", "[]", "0", "[]"), "workers"},
		{STATE("1", "'/r'", "%d", "[]", "0", "{}"), "workers"},
		{STATE("1", "'/r'", "%d", "[]", "0", "[" NO_SHELL "]"), "root"},
		{STATE("1", "'/r'", "%d", "[]", "0", "[" NO_SLOT "]"), "slot"},
		{STATE("1", "'/r'", "%d", SOCKET("64", "%d"), "0", "[" WORKER "]"), "worker"},
		{STATE("1", "'/r'", "%d", SOCKET("0", "998"), "0", "[" WORKER "]"), "fd"},
		{STATE("1", "'/r'", "%d", "7", "0", "[" WORKER "]"), "sockets"},
	};
	int open_one = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct world *world = world_new();
		struct push_error error = {""};
		char text[1024], wanted[64];
		int fd;

		/* its descriptors; then JSON's quotes */
		snprintf(text, sizeof(text), cases[i].text, open_one, open_one);
		for (char *p = text; *p; p++)
			*p = *p == '\'' ? '"' : *p;
		fd = file_of(text);
		snprintf(wanted, sizeof(wanted), "what it left has no right \"%s\"", cases[i].wrong);
		assert_int_equal(upgrade_state_read(fd, &world->state, &error), PUSH_INVALID);
		assert_string_equal(error.text, wanted);
		assert_int_equal(world->generation.worker_count, 0);
		close(fd);
		world_free(world);
	}
	close(open_one);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_a_pushd_has_to_know_comes_back),
		cmocka_unit_test(what_it_needs_is_not_closed_on_exec),
		cmocka_unit_test(what_cannot_be_is_refused_and_nothing_is_taken_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
