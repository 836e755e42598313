/* upgrade_state.c - see upgrade_state.h. */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "direct/vhosts.h"
#include "segment/limits.h"
#include "upgrade_state.h"

/* Ten times what two generations of 64 workers with all their sockets take. */
#define STATE_BYTES_MAX (1024 * 1024)

static void
put_number(struct json_object *object, const char *name, int64_t value)
{
	json_object_object_add(object, name, json_object_new_int64(value));
}

/* A descriptor that the next one has, too. */
static void
put_fd(struct json_object *object, const char *name, int fd)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, 0);
	put_number(object, name, fd);
}

static struct json_object *
worker_to_json(const struct worker *worker)
{
	struct json_object *object = json_object_new_object();
	bool is_there = worker->state != WORKER_NONE;

	put_number(object, "state", worker->state);
	put_number(object, "since", (int64_t)worker->since_us);
	put_number(object, "root", is_there ? worker->root : 0);
	put_number(object, "child", is_there ? worker->child : 0);
	put_fd(object, "output", is_there ? worker->output_fd : -1);
	put_number(object, "slot", is_there ? worker->slot : -1);
	put_number(object, "backoff", (int64_t)worker->backoff_us);
	put_number(object, "restart_at", (int64_t)worker->restart_at_us);
	json_object_object_add(
		object, "line", json_object_new_string_len(worker->line, (int)worker->line_size));
	return object;
}

static struct json_object *
generation_to_json(const struct generation *generation, size_t index)
{
	struct json_object *object = json_object_new_object(), *workers = json_object_new_array();

	put_number(object, "index", (int64_t)index);
	put_number(object, "serial", generation->serial);
	json_object_object_add(object, "folder", json_object_new_string(generation->folder));
	if (generation->vhosts.status == PUSH_OK)
		json_object_object_add(object, "vhosts", json_object_new_string(generation->vhosts.bytes));
	for (size_t i = 0; i < generation->worker_count; i++)
		json_object_array_add(workers, worker_to_json(&generation->workers[i]));
	json_object_object_add(object, "workers", workers);
	return object;
}

static struct json_object *
sockets_to_json(const struct kept_sockets *sockets)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < WORKER_COUNT_MAX; i++)
		for (size_t k = 0; k < sockets[i].count; k++) {
			struct json_object *object = json_object_new_object();

			put_number(object, "worker", (int64_t)i);
			put_fd(object, "fd", sockets[i].items[k].fd);
			put_number(object, "generation", sockets[i].items[k].generation);
			json_object_array_add(array, object);
		}
	return array;
}

static int
write_text(const char *text)
{
	size_t size = strlen(text);
	int fd = memfd_create("pushd-state", 0), failed;

	if (fd < 0 || write(fd, text, size) == (ssize_t)size)
		return fd;
	failed = errno;
	close(fd);
	errno = failed;
	return -1;
}

int
upgrade_state_write(const struct upgrade_state *state)
{
	struct json_object *object = json_object_new_object();
	int fd;

	put_number(object, "layout", UPGRADE_STATE_LAYOUT);
	json_object_object_add(object, "run_dir", json_object_new_string(state->run_dir));
	put_fd(object, "notify", state->notify_fd);
	put_number(object, "serial", state->serial);
	put_number(object, "dropped_lines", (int64_t)state->dropped_lines);
	json_object_object_add(object, "sockets", sockets_to_json(state->sockets));
	json_object_object_add(object, "generation", generation_to_json(state->generation, state->index));
	fd = write_text(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
	json_object_put(object);
	return fd;
}

/* What is wrong is remembered, and the rest is read as if it were right. */
struct reader {
	const char *wrong; /* name of the first that was */
};

static int64_t
read_number(struct reader *reader, struct json_object *object, const char *name, int64_t least, int64_t most)
{
	struct json_object *value;

	if (json_object_object_get_ex(object, name, &value) && json_object_is_type(value, json_type_int) &&
		json_object_get_int64(value) >= least && json_object_get_int64(value) <= most)
		return json_object_get_int64(value);
	if (!reader->wrong)
		reader->wrong = name;
	return least;
}

static int
read_descriptor(struct reader *reader, struct json_object *object, const char *name, int least)
{
	int fd = (int)read_number(reader, object, name, least, INT32_MAX);

	if (fd >= 0 && (fd <= STDERR_FILENO || fcntl(fd, F_GETFD) < 0) && !reader->wrong)
		reader->wrong = name;
	return fd;
}

static void
read_text(struct reader *reader, struct json_object *object, const char *name, char *to, size_t size)
{
	struct json_object *value;
	const char *found = NULL;

	if (json_object_object_get_ex(object, name, &value) && json_object_is_type(value, json_type_string))
		found = json_object_get_string(value);
	if (found && snprintf(to, size, "%s", found) < (int)size)
		return;
	if (!reader->wrong)
		reader->wrong = name;
}

static size_t
read_array(struct reader *reader, struct json_object *object, const char *name, size_t most,
	struct json_object **ret)
{
	if (json_object_object_get_ex(object, name, ret) && json_object_is_type(*ret, json_type_array) &&
		json_object_array_length(*ret) <= most)
		return json_object_array_length(*ret);
	if (!reader->wrong)
		reader->wrong = name;
	return 0;
}

static void
read_worker(struct reader *reader, struct json_object *object, struct worker *worker)
{
	*worker = (struct worker){
		.state =
			(enum worker_state)read_number(reader, object, "state", WORKER_NONE, WORKER_DRAINING),
		.since_us = (uint64_t)read_number(reader, object, "since", 0, INT64_MAX),
		.root = (pid_t)read_number(reader, object, "root", 0, INT32_MAX),
		.child = (pid_t)read_number(reader, object, "child", 0, INT32_MAX),
		.child_fd = -1,
		.output_fd = read_descriptor(reader, object, "output", -1),
		.slot = (int)read_number(reader, object, "slot", -1, PUSH_SEGMENT_SLOTS_MAX - 1),
		.backoff_us = (uint64_t)read_number(reader, object, "backoff", 0, INT64_MAX),
		.restart_at_us = (uint64_t)read_number(reader, object, "restart_at", 0, INT64_MAX),
	};
	read_text(reader, object, "line", worker->line, sizeof(worker->line));
	worker->line_size = strlen(worker->line);
	/* kill(-1) and its like would reach everybody */
	if (worker->state != WORKER_NONE && worker->root <= 1 && !reader->wrong)
		reader->wrong = "root";
}

static void
read_generation(struct reader *reader, struct json_object *object, struct generation *generation)
{
	struct json_object *workers, *vhosts;

	generation->serial = (unsigned int)read_number(reader, object, "serial", 0, UINT32_MAX);
	read_text(reader, object, "folder", generation->folder, sizeof(generation->folder));
	generation->worker_count = read_array(reader, object, "workers", WORKER_COUNT_MAX, &workers);
	for (size_t i = 0; i < generation->worker_count; i++)
		read_worker(reader, json_object_array_get_idx(workers, i), &generation->workers[i]);
	push_buf_init(&generation->vhosts, PUSH_VHOSTS_BYTES_MAX);
	if (json_object_object_get_ex(object, "vhosts", &vhosts))
		push_buf_append(&generation->vhosts, json_object_get_string(vhosts),
			(size_t)json_object_get_string_len(vhosts) + 1);
	else
		generation->vhosts.status = PUSH_TOO_LARGE;
	generation->has_served = true;
	if (!generation->worker_count && !reader->wrong)
		reader->wrong = "workers";
}

static void
read_sockets(struct reader *reader, struct json_object *state, struct kept_sockets *sockets)
{
	struct json_object *items;
	size_t count = read_array(
		reader, state, "sockets", (size_t)WORKER_COUNT_MAX * KEPT_SOCKETS_PER_WORKER_MAX, &items);

	for (size_t i = 0; i < count; i++) {
		struct json_object *item = json_object_array_get_idx(items, i);
		int64_t worker = read_number(reader, item, "worker", 0, WORKER_COUNT_MAX - 1);
		int fd = read_descriptor(reader, item, "fd", 0);
		unsigned int generation =
			(unsigned int)read_number(reader, item, "generation", 0, UINT32_MAX);

		if (!reader->wrong)
			kept_sockets_keep(&sockets[worker], fd, generation);
	}
}

static struct json_object *
parse(int fd)
{
	char *text = malloc(STATE_BYTES_MAX + 1);
	ssize_t size = text ? pread(fd, text, STATE_BYTES_MAX, 0) : -1;
	struct json_object *object = NULL;

	if (size > 0) {
		text[size] = '\0';
		object = json_tokener_parse(text);
	}
	free(text);
	return object;
}

enum push_status
upgrade_state_read(int fd, struct upgrade_state *state, struct push_error *error)
{
	struct json_object *object = parse(fd), *part = NULL;
	struct reader reader = {NULL};
	struct generation *generation = calloc(1, sizeof(*generation));

	if (!generation || !json_object_is_type(object, json_type_object))
		reader.wrong = "all";
	(void)read_number(&reader, object, "layout", UPGRADE_STATE_LAYOUT, UPGRADE_STATE_LAYOUT);
	read_text(&reader, object, "run_dir", state->run_dir, sizeof(state->run_dir));
	state->notify_fd = read_descriptor(&reader, object, "notify", 0);
	state->serial = (unsigned int)read_number(&reader, object, "serial", 0, UINT32_MAX);
	state->dropped_lines = (uint64_t)read_number(&reader, object, "dropped_lines", 0, INT64_MAX);
	if (!json_object_object_get_ex(object, "generation", &part) && !reader.wrong)
		reader.wrong = "generation";
	state->index = (size_t)read_number(&reader, part, "index", 0, 1);
	if (generation)
		read_generation(&reader, part, generation);
	if (!reader.wrong)
		read_sockets(&reader, object, state->sockets);
	if (!reader.wrong)
		*state->generation = *generation;
	else if (generation)
		push_buf_fini(&generation->vhosts);
	free(generation);
	json_object_put(object);
	if (!reader.wrong)
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "what it left has no right \"%s\"", reader.wrong);
	return PUSH_INVALID;
}
