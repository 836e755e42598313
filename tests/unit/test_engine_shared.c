/*
 * The engine over the segment that workers share: several of them in one process, each with its own mapping, hub and
 * clients, and an event loop that runs one only when it was woken.
 *
 * What one publishes all clients get once and in the same order; who is counted gets the message, and who is not does
 * not; history is one, whichever worker is asked; a worker that is too slow is told what it has missed.
 */
#include "unit.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/channels.h"
#include "core/hub_private.h"
#include "core/json.h"
#include "core/memory.h"
#include "core/options.h"
#include "core/stats.h"
#include "core/subscriber.h"
#include "core/tokens.h"
#include "core/tracker.h"
#include "segment/layout.h"
#include "segment/lock.h"
#include "segment/log.h"
#include "segment/segment.h"
#include "segment/slots.h"
#include "shared/shared_private.h"

#define WORKERS      3
#define CLIENTS      8
#define BUFFER_BYTES (8u << 20)
#define SECOND_US    1000000ull

struct world;

struct client {
	struct push_subscriber *subscriber; /* NULL: not connected */
	char got[BUFFER_BYTES];
	size_t size, room;
	bool closed;
};

#include "fake_transport.h"

struct worker {
	struct world *world;
	struct push_stats stats;
	struct push_hub *hub;
	struct push_engine *engine; /* NULL: it is not there */
	struct push_segment *segment;
	bool is_awake, is_stopped;
	unsigned int readies; /* how often it was woken by another */
	char notices[256], log[1024];
};

struct world {
	struct push_options options;
	uint64_t now;
	struct push_segment *segment; /* pushd's */
	struct worker workers[WORKERS];
	struct client clients[CLIENTS];
};

static void
wake(void *context)
{
	((struct worker *)context)->is_awake = true;
}

static void
log_line(void *context, enum push_log_level level, const char *line)
{
	struct worker *worker = context;

	(void)level;
	strncat(worker->log, line, sizeof(worker->log) - strlen(worker->log) - 1);
}

static void
on_notice(void *context, const char *text, size_t size)
{
	struct worker *worker = context;

	strncat(worker->notices, text, size);
	strcat(worker->notices, ";");
}

static enum push_status
serve(void *context, const char *verb, const char *text, size_t size, struct push_buf *to)
{
	(void)context;
	if (strcmp(verb, "echo") != 0)
		return PUSH_NOT_FOUND;
	push_buf_append_text(to, "heard ");
	push_buf_append(to, text, size);
	return PUSH_OK;
}

static void
worker_start(struct world *world, unsigned int i)
{
	struct worker *worker = &world->workers[i];
	const struct push_engine_host host = {wake, log_line, worker};
	struct push_error error;

	memset(worker, 0, sizeof(*worker));
	worker->world = world;
	worker->hub = push_hub_create(&world->options, &worker->stats, 7 + i, world->now, wake, worker);
	assert_non_null(worker->hub);
	push_memory_set_max(push_hub_memory(worker->hub), 1ull << 30);
	worker->segment = push_segment_attach(dup(push_segment_fd(world->segment)), &error);
	assert_non_null(worker->segment);
	push_segment_set_wakers(worker->segment, 9, world->segment->wake_fds);
	worker->engine = push_engine_shared_create(
		&world->options, worker->hub, worker->segment, i, &host, i, world->now, &error);
	assert_non_null(worker->engine);
	worker->engine->serve(worker->engine, serve, worker);
	worker->engine->on_notice(worker->engine, on_notice, worker);
}

static bool
is_woken(const struct worker *worker)
{
	struct pollfd poll_fd = {.fd = worker->engine->fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static void
flush(struct worker *worker)
{
	worker->is_awake = false;
	worker->engine->flush(worker->engine, worker->world->now);
	while (push_hub_flush(worker->hub, worker->world->now, 16))
		;
}

/* One turn of its loop.  Returns false where it sleeps. */
static bool
turn(struct worker *worker)
{
	bool is_woken_by_another;

	if (!worker->engine || worker->is_stopped)
		return false;
	is_woken_by_another = is_woken(worker);
	if (!is_woken_by_another && !worker->is_awake)
		return false;
	if (is_woken_by_another) {
		worker->readies++;
		worker->engine->ready(worker->engine, worker->world->now);
	}
	flush(worker);
	return true;
}

/* Until all workers sleep. */
static void
run(struct world *world)
{
	unsigned int turns = 0;
	bool is_busy = true;

	while (is_busy) {
		is_busy = false;
		for (unsigned int i = 0; i < WORKERS; i++)
			is_busy = turn(&world->workers[i]) || is_busy;
		assert_true(++turns < 10000);
	}
}

static void
pass(struct world *world, uint64_t us)
{
	world->now += us;
	for (unsigned int i = 0; i < WORKERS; i++) {
		struct worker *worker = &world->workers[i];

		if (!worker->engine || worker->is_stopped)
			continue;
		push_hub_tick(worker->hub, world->now, 1000);
		worker->engine->tick(worker->engine, world->now);
	}
	run(world);
}

static struct world *
create(const char *history_size, uint32_t cells, unsigned int workers)
{
	struct world *world = calloc(1, sizeof(*world));
	struct push_segment_settings settings = {
		.history_bytes_max = 8 << 20, .epoch = 1000, .seed = 5, .cell_count = cells};
	struct push_error error;

	assert_non_null(world);
	world->now = 1000 * SECOND_US;
	push_options_init(&world->options);
	assert_int_equal(
		push_options_set(&world->options, "push.history.size", history_size, &error), PUSH_OK);
	world->segment = push_segment_create(&settings, &error);
	assert_non_null(world->segment);
	assert_int_equal(push_segment_open_wakers(world->segment, 9, PUSH_SEGMENT_SLOTS_MAX), PUSH_OK);
	push_segment_be(world->segment, PUSH_SEGMENT_SUPERVISOR);
	for (unsigned int i = 0; i < workers; i++)
		worker_start(world, i);
	pass(world, 10000);
	return world;
}

static void
leave(struct world *world, unsigned int i)
{
	struct client *client = &world->clients[i];

	if (client->subscriber)
		push_subscriber_destroy(client->subscriber);
	client->subscriber = NULL;
	client->closed = false;
}

static void
worker_stop(struct world *world, unsigned int i)
{
	struct worker *worker = &world->workers[i];

	if (!worker->engine)
		return;
	worker->engine->destroy(worker->engine);
	push_hub_destroy(worker->hub);
	worker->engine = NULL;
}

static void
destroy(struct world *world)
{
	for (unsigned int i = 0; i < CLIENTS; i++)
		leave(world, i);
	for (unsigned int i = 0; i < WORKERS; i++)
		worker_stop(world, i);
	push_segment_close_wakers(world->segment);
	push_segment_detach(world->segment);
	free(world);
}

/* @id: NULL: it has none. */
static void
come(struct world *world, unsigned int i, unsigned int worker, const char *list, const char *id)
{
	struct client *client = &world->clients[i];
	struct push_channels channels;
	struct push_error error;

	leave(world, i);
	client->size = 0;
	client->room = SIZE_MAX;
	client->closed = false;
	assert_int_equal(
		push_channels_parse(&channels, list, strlen(list), &world->options, &error), PUSH_OK);
	client->subscriber =
		push_subscriber_create(world->workers[worker].hub, PUSH_ENCODING_SSE, &fake, client);
	assert_non_null(client->subscriber);
	assert_int_equal(push_subscriber_subscribe(client->subscriber, &channels), PUSH_OK);
	if (id)
		assert_int_equal(push_subscriber_resume(client->subscriber, id, strlen(id)), PUSH_OK);
	push_subscriber_start(client->subscriber, world->now);
	push_channels_fini(&channels);
}

struct outcome {
	unsigned int count;
	enum push_status status;
	uint64_t subscribers;
};

static void
on_published(void *context, enum push_status status, uint64_t subscribers)
{
	struct outcome *outcome = context;

	outcome->count++;
	outcome->status = status;
	outcome->subscribers = subscribers;
}

static void
publish_with(struct world *world, unsigned int worker, const char *channel, const char *value,
	struct push_tracker *tracker, const char *once, struct outcome *outcome)
{
	const struct push_publication publication = {.channel = channel,
		.channel_size = strlen(channel),
		.value = value,
		.value_size = strlen(value),
		.tracker = tracker,
		.once = once,
		.once_size = once ? strlen(once) : 0};
	struct push_engine *engine = world->workers[worker].engine;

	*outcome = (struct outcome){0};
	engine->publish(engine, &publication, world->now, on_published, outcome);
}

/* Returns the number of subscribers, which is known within the call. */
static uint64_t
publish(struct world *world, unsigned int worker, const char *channel, const char *value)
{
	struct outcome outcome;

	publish_with(world, worker, channel, value, NULL, NULL, &outcome);
	assert_int_equal(outcome.count, 1);
	assert_int_equal(outcome.status, PUSH_OK);
	return outcome.subscribers;
}

/* What a client has got of messages and gaps: `1 2 gap:c:3 4`. */
static const char *
got(struct world *world, unsigned int i)
{
	static char text[BUFFER_BYTES];
	struct client *client = &world->clients[i];
	char *at = client->got;

	text[0] = '\0';
	client->got[client->size] = '\0';
	if (client->size && getenv("SHOW"))
		fprintf(stderr, "%s\n", client->got);
	while ((at = strstr(at, "data:"))) {
		char *end = strchr(at, '\n'), *message = strstr(at, "\"message\":"),
		     *missed = strstr(at, "\"missed\":");

		if (message && message < end)
			snprintf(text + strlen(text), 64, "%s%.*s", *text ? " " : "",
				(int)(end - message - 11), message + 10);
		else if (missed && missed < end)
			snprintf(text + strlen(text), 64, "%sgap:%.*s", *text ? " " : "",
				(int)(end - missed - 10), missed + 9);
		at = end;
	}
	return text;
}

/* The last id that a client was given. */
static const char *
last_id(struct world *world, unsigned int i)
{
	static char id[2 * PUSH_ID_BYTES_MAX];
	struct client *client = &world->clients[i];
	const char *at = client->got, *last = NULL;

	client->got[client->size] = '\0';
	while ((at = strstr(at, "id:")))
		last = at, at += 3;
	assert_non_null(last);
	snprintf(id, sizeof(id), "%.*s", (int)strcspn(last + 3, "\n"), last + 3);
	return id;
}

static void
show(struct world *world)
{
	come(world, 0, 0, "a", NULL);
	run(world);
	publish(world, 0, "a", "\"x\"");
	run(world);
	fprintf(stderr, "[%s]\n", got(world, 0));
}

static void
test_a_message_reaches_clients_of_all_workers_and_all_are_counted(void **state)
{
	struct world *world = create("0", 0, 3);

	(void)state;
	come(world, 0, 0, "a", NULL);
	come(world, 1, 1, "a", NULL);
	come(world, 2, 2, "a", NULL);
	come(world, 3, 2, "b", NULL);
	run(world);
	assert_int_equal(publish(world, 0, "a", "1"), 3);
	assert_int_equal(publish(world, 1, "a", "2"), 3);
	assert_int_equal(publish(world, 0, "b", "3"), 1);
	assert_int_equal(publish(world, 0, "c", "4"), 0);
	run(world);
	assert_string_equal(got(world, 0), "1 2");
	assert_string_equal(got(world, 1), "1 2");
	assert_string_equal(got(world, 2), "1 2");
	assert_string_equal(got(world, 3), "3");
	destroy(world);
}

static void
test_every_worker_delivers_in_the_order_in_which_messages_were_accepted(void **state)
{
	struct world *world = create("0", 0, 2);

	(void)state;
	come(world, 0, 0, "a", NULL);
	come(world, 1, 1, "a", NULL);
	run(world);
	publish(world, 0, "a", "1");
	publish(world, 1, "a", "2"); /* which has not read the first one yet */
	while (push_hub_flush(world->workers[1].hub, world->now, 16)) /* within the call */
		;
	assert_string_equal(got(world, 1), "1 2");
	publish(world, 0, "a", "3");
	publish(world, 1, "a", "4");
	run(world);
	assert_string_equal(got(world, 0), "1 2 3 4");
	assert_string_equal(got(world, 1), "1 2 3 4");
	destroy(world);
}

static void
test_a_worker_is_woken_once_and_only_while_it_sleeps(void **state)
{
	struct world *world = create("0", 0, 2);
	unsigned int before;

	(void)state;
	come(world, 1, 1, "a", NULL);
	run(world);
	before = world->workers[1].readies;
	for (int i = 0; i < 10; i++)
		publish(world, 0, "a", "1");
	run(world);
	assert_int_equal(world->workers[1].readies, before + 1);
	publish(world, 0, "b", "2"); /* nobody there has it */
	run(world);
	assert_int_equal(world->workers[1].readies, before + 1);
	destroy(world);
}

static void
test_a_worker_that_nobody_wakes_looks_at_the_log_with_each_tick(void **state)
{
	struct world *world = create("0", 0, 2);
	eventfd_t count;

	(void)state;
	come(world, 1, 1, "a", NULL);
	run(world);
	publish(world, 0, "a", "1");
	assert_int_equal(eventfd_read(world->workers[1].engine->fd, &count), 0); /* it is lost */
	run(world);
	assert_string_equal(got(world, 1), "");
	pass(world, 10000);
	assert_string_equal(got(world, 1), "1");
	destroy(world);
}

static void
test_who_comes_behind_a_message_does_not_get_it_and_who_is_counted_does(void **state)
{
	struct world *world = create("0", 0, 2);

	(void)state;
	come(world, 0, 1, "a", NULL);
	run(world);
	assert_int_equal(publish(world, 0, "a", "1"), 1);
	come(world, 1, 1, "a", NULL); /* its worker has not read the message yet */
	assert_int_equal(publish(world, 0, "a", "2"), 2);
	come(world, 2, 1, "a,b", NULL); /* b is new there */
	assert_int_equal(publish(world, 0, "a", "3"), 3);
	run(world);
	assert_int_equal(publish(world, 0, "a", "4"), 3);
	run(world);
	assert_string_equal(got(world, 0), "1 2 3 4");
	assert_string_equal(got(world, 1), "2 3 4");
	assert_string_equal(got(world, 2), "3 4");
	leave(world, 1);
	run(world);
	assert_int_equal(publish(world, 0, "a", "5"), 2);
	destroy(world);
}

static void
test_who_comes_in_the_turn_of_a_publish_of_its_own_worker_gets_it(void **state)
{
	struct world *world = create("0", 0, 2);

	(void)state;
	come(world, 0, 0, "a", NULL);
	assert_int_equal(publish(world, 0, "a", "1"), 1);
	run(world);
	assert_string_equal(got(world, 0), "1");
	destroy(world);
}

static void
test_one_worker_without_history_writes_nothing_to_the_segment(void **state)
{
	struct world *world = create("0", 0, 1);
	uint64_t before = push_segment_tail(world->segment);

	(void)state;
	come(world, 0, 0, "a", NULL);
	run(world);
	assert_int_equal(push_segment_lock(world->segment, 0), PUSH_OK);
	assert_int_equal(publish(world, 0, "a", "1"), 1);
	push_segment_unlock(world->segment);
	run(world);
	assert_string_equal(got(world, 0), "1");
	assert_int_equal(push_segment_tail(world->segment), before);
	worker_start(world, 1);
	come(world, 1, 1, "a", NULL);
	run(world);
	assert_int_equal(publish(world, 0, "a", "2"), 2);
	run(world);
	assert_string_equal(got(world, 0), "1 2");
	assert_string_equal(got(world, 1), "2");
	destroy(world);
}

static void
test_history_is_one_whichever_worker_is_asked(void **state)
{
	struct world *world = create("3", 0, 3);
	char id[2 * PUSH_ID_BYTES_MAX];

	(void)state;
	come(world, 0, 0, "a", NULL);
	run(world);
	publish(world, 1, "a", "1");
	run(world);
	strcpy(id, last_id(world, 0));
	publish(world, 0, "a", "2");
	publish(world, 2, "a", "3");
	run(world);
	assert_string_equal(got(world, 0), "1 2 3");
	come(world, 1, 1, "a", id);
	come(world, 2, 2, "a", id);
	come(world, 3, 0, "a", id);
	run(world);
	assert_string_equal(got(world, 1), "2 3");
	assert_string_equal(got(world, 2), "2 3");
	assert_string_equal(got(world, 3), "2 3");
	publish(world, 1, "a", "4");
	run(world);
	assert_string_equal(got(world, 2), "2 3 4");
	destroy(world);
}

static void
test_a_gap_says_how_many_messages_were_missed(void **state)
{
	struct world *world = create("3", 0, 2);
	char id[2 * PUSH_ID_BYTES_MAX];

	(void)state;
	come(world, 0, 0, "z", NULL);
	run(world);
	publish(world, 0, "z", "0");
	run(world);
	strcpy(id, last_id(world, 0));
	for (int i = 1; i <= 5; i++)
		publish(world, 1, "a", (char[]){(char)('0' + i), 0});
	run(world);
	come(world, 1, 0, "a", id);
	come(world, 2, 1, "a", id);
	run(world);
	assert_string_equal(got(world, 1), "gap:2 3 4 5");
	assert_string_equal(got(world, 2), "gap:2 3 4 5");
	come(world, 3, 1, "a", "0.rs.zzzzz"); /* nobody was given that */
	run(world);
	assert_string_equal(got(world, 3), "gap:\"unknown\"");
	publish(world, 0, "a", "6");
	run(world);
	assert_string_equal(got(world, 3), "gap:\"unknown\" 6");
	destroy(world);
}

static void
test_a_worker_too_slow_for_the_log_tells_a_gap_where_nothing_is_kept(void **state)
{
	struct world *world = create("0", 64, 2);

	(void)state;
	come(world, 0, 0, "a", NULL);
	come(world, 1, 1, "a", NULL);
	run(world);
	publish(world, 0, "a", "1");
	run(world);
	world->workers[1].is_stopped = true;
	for (int i = 0; i < 200; i++)
		publish(world, 0, "a", "2");
	world->workers[1].is_stopped = false;
	run(world);
	assert_non_null(strstr(world->clients[1].got, "event:gap"));
	publish(world, 0, "a", "3");
	run(world);
	assert_string_equal(got(world, 1), "1 3");
	destroy(world);
}

static void
test_a_worker_too_slow_for_the_log_reads_from_history_what_it_has_missed(void **state)
{
	struct world *world = create("300", 64, 2);
	char expected[4096] = "", value[16];

	(void)state;
	come(world, 1, 1, "a", NULL);
	run(world);
	world->workers[1].is_stopped = true;
	for (int i = 0; i < 200; i++) {
		snprintf(value, sizeof(value), "%d", i);
		publish(world, 0, "a", value);
		snprintf(expected + strlen(expected), 16, "%s%d", i ? " " : "", i);
	}
	world->workers[1].is_stopped = false;
	run(world);
	assert_string_equal(got(world, 1), expected);
	publish(world, 0, "a", "200");
	run(world);
	strcat(expected, " 200");
	assert_string_equal(got(world, 1), expected);
	destroy(world);
}

/* --- receipts --- */

static void
on_over(struct push_tracker *tracker)
{
	(void)tracker;
}

static void
test_who_waits_for_written_is_told_of_the_clients_of_all_workers(void **state)
{
	struct world *world = create("0", 0, 3);
	struct push_tracker tracker;
	struct outcome outcome;

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		come(world, i, i, "a", NULL);
	run(world);
	push_tracker_init(&tracker, on_over, NULL);
	publish_with(world, 0, "a", "1", &tracker, NULL, &outcome);
	assert_int_equal(outcome.count, 0);
	run(world);
	assert_int_equal(outcome.count, 1);
	assert_int_equal(outcome.subscribers, 3);
	assert_int_equal(tracker.written, 3);
	assert_true(push_tracker_is_over(&tracker));
	push_tracker_fini(&tracker);
	destroy(world);
}

static void
test_a_slow_client_of_another_worker_is_waited_for_no_longer_than_the_publisher_waits(void **state)
{
	struct world *world = create("0", 0, 2);
	struct push_tracker tracker;
	struct outcome outcome;

	(void)state;
	come(world, 0, 0, "a", NULL);
	come(world, 1, 1, "a", NULL);
	run(world);
	world->clients[1].room = 0;
	push_tracker_init(&tracker, on_over, NULL);
	publish_with(world, 0, "a", "1", &tracker, NULL, &outcome);
	run(world);
	pass(world, world->options.publish_wait_max_us / 2);
	assert_int_equal(outcome.count, 0);
	pass(world, world->options.publish_wait_max_us / 2);
	assert_int_equal(outcome.count, 1);
	assert_int_equal(outcome.subscribers, 2);
	assert_int_equal(tracker.written, 1);
	push_tracker_fini(&tracker);
	destroy(world);
}

static void
test_a_worker_that_is_gone_is_not_waited_for_and_counts_nothing(void **state)
{
	struct world *world = create("0", 0, 2);
	struct push_tracker tracker;
	struct outcome outcome;

	(void)state;
	come(world, 0, 0, "a", NULL);
	come(world, 1, 1, "a", NULL);
	run(world);
	world->workers[1].is_stopped = true;
	push_tracker_init(&tracker, on_over, NULL);
	publish_with(world, 0, "a", "1", &tracker, NULL, &outcome);
	run(world);
	assert_int_equal(outcome.count, 0);
	assert_true(push_segment_slot_ended(world->segment, 1));
	pass(world, 10000);
	assert_int_equal(outcome.count, 1);
	assert_int_equal(outcome.subscribers, 2);
	assert_int_equal(tracker.written, 1);
	assert_int_equal(publish(world, 0, "a", "2"), 1);
	push_tracker_fini(&tracker);
	destroy(world);
}

/* The number that is waited for. */
static uint64_t
last_receipt(const struct world *world)
{
	return ((const struct shared_engine *)world->workers[0].engine)->last_number;
}

static void
test_receipts_say_no_more_than_the_publish_was_counted_with(void **state)
{
	struct world *world = create("0", 0, 3);
	const uint64_t many = 1000;
	struct push_tracker tracker;
	struct outcome outcome;

	(void)state;
	come(world, 1, 1, "a", NULL);
	run(world);
	world->workers[1].is_stopped = true;
	push_tracker_init(&tracker, on_over, NULL);
	publish_with(world, 0, "a", "1", &tracker, NULL, &outcome);
	/* of one that is not waited for, and then of the one that is */
	for (unsigned int from = 2; from > 0; from--) {
		struct push_segment *segment = world->workers[from].segment;
		uint64_t mask;

		assert_int_equal(push_segment_lock(segment, 0), PUSH_OK);
		for (uint64_t number = 0; number < 4; number++)
			assert_int_equal(push_segment_send(segment,
						 &(struct push_segment_letter){.verb = PUSH_SEGMENT_RECEIPT,
							 .mask = 1,
							 .number = last_receipt(world) - 2 + number,
							 .name = "",
							 .value = (const char *)&many,
							 .value_size = sizeof(many)},
						 1, &mask),
				PUSH_OK);
		push_segment_unlock(segment);
		push_segment_wake(segment, 1);
		run(world);
		assert_int_equal(outcome.count, from == 1);
	}
	assert_int_equal(tracker.written, 1);
	push_tracker_fini(&tracker);
	destroy(world);
}

static void
test_a_receipt_counts_once(void **state)
{
	struct world *world = create("0", 0, 2);
	struct push_segment *segment = world->workers[1].segment;
	const uint64_t one = 1;
	struct push_tracker tracker;
	struct outcome outcome;

	(void)state;
	come(world, 0, 0, "a", NULL);
	come(world, 1, 1, "a", NULL);
	come(world, 2, 1, "a", NULL);
	run(world);
	world->clients[0].room = 0; /* it goes on until the end of the wait */
	world->workers[1].is_stopped = true;
	push_tracker_init(&tracker, on_over, NULL);
	publish_with(world, 0, "a", "1", &tracker, NULL, &outcome);
	for (int i = 0; i < 2; i++) {
		uint64_t mask;

		assert_int_equal(push_segment_lock(segment, 0), PUSH_OK);
		assert_int_equal(push_segment_send(segment,
					 &(struct push_segment_letter){.verb = PUSH_SEGMENT_RECEIPT,
						 .mask = 1,
						 .number = last_receipt(world),
						 .name = "",
						 .value = (const char *)&one,
						 .value_size = sizeof(one)},
					 1, &mask),
			PUSH_OK);
		push_segment_unlock(segment);
		push_segment_wake(segment, 1);
		run(world);
	}
	pass(world, world->options.publish_wait_max_us);
	assert_int_equal(outcome.count, 1);
	assert_int_equal(tracker.written, 1);
	push_tracker_fini(&tracker);
	destroy(world);
}

/* --- calls, notices, values --- */

struct answer {
	unsigned int count;
	enum push_status status;
	char text[256];
};

static void
on_answer(void *context, enum push_status status, const char *text, size_t size)
{
	struct answer *answer = context;

	answer->count++;
	answer->status = status;
	snprintf(answer->text, sizeof(answer->text), "%.*s", (int)size, text ? text : "");
}

static void
call(struct world *world, unsigned int from, const char *node, const char *verb, struct answer *answer)
{
	struct push_engine *engine = world->workers[from].engine;

	*answer = (struct answer){0};
	engine->call(engine, node, strlen(node), verb, "hello", 5, world->now, on_answer, answer);
}

static void
test_a_call_is_answered_by_the_worker_of_that_name(void **state)
{
	struct world *world = create("0", 0, 3);
	struct answer answer;
	char name[PUSH_TOKEN_NODE_BYTES + 1];

	(void)state;
	strcpy(name, world->workers[2].engine->node);
	assert_int_equal(strlen(name), PUSH_TOKEN_NODE_BYTES);
	call(world, 0, name, "echo", &answer);
	run(world);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.status, PUSH_OK);
	assert_string_equal(answer.text, "heard hello");
	call(world, 0, name, "what", &answer);
	run(world);
	assert_int_equal(answer.status, PUSH_NOT_FOUND);
	call(world, 0, "0000000000000000", "echo", &answer);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.status, PUSH_NOT_FOUND);
	world->workers[2].is_stopped = true;
	call(world, 0, name, "echo", &answer);
	pass(world, PUSH_SHARED_CALL_US - 1);
	assert_int_equal(answer.count, 0);
	pass(world, 1);
	assert_int_equal(answer.count, 1);
	assert_int_equal(answer.status, PUSH_UNAVAILABLE);
	call(world, 0, name, "echo", &answer);
	assert_true(push_segment_slot_ended(world->segment, 2));
	pass(world, 10000);
	assert_int_equal(answer.status, PUSH_UNAVAILABLE);
	destroy(world);
}

static void
on_notified(void *context, enum push_status status)
{
	*(enum push_status *)context = status;
}

static void
test_a_notice_reaches_those_who_are_there_and_those_who_come_later(void **state)
{
	struct world *world = create("0", 0, 2);
	struct push_engine *engine = world->workers[0].engine;
	enum push_status status = PUSH_CLOSED;

	(void)state;
	engine->notify(engine, "kept", 4, 60 * SECOND_US, world->now, on_notified, &status);
	assert_int_equal(status, PUSH_OK);
	engine->notify(engine, "now", 3, 0, world->now, on_notified, &status);
	run(world);
	assert_string_equal(world->workers[0].notices, "kept;now;");
	assert_string_equal(world->workers[1].notices, "kept;now;");
	worker_start(world, 2);
	assert_true(world->workers[2].engine->has_notices(world->workers[2].engine));
	assert_string_equal(world->workers[2].notices, "kept;");
	destroy(world);
}

static void
test_values_are_the_same_for_all_workers_and_the_first_of_a_name_stays(void **state)
{
	struct world *world = create("0", 0, 2);
	struct push_engine *first = world->workers[0].engine, *second = world->workers[1].engine;
	struct answer answer = {0};

	(void)state;
	first->value_get(first, "n", 1, world->now, on_answer, &answer);
	assert_int_equal(answer.status, PUSH_NOT_FOUND);
	first->value_put(first, "n", 1, "one", 3, SECOND_US, true, world->now, on_answer, &answer);
	assert_int_equal(answer.status, PUSH_OK);
	assert_string_equal(answer.text, "");
	second->value_put(second, "n", 1, "two", 3, SECOND_US, true, world->now, on_answer, &answer);
	assert_int_equal(answer.status, PUSH_OK);
	assert_string_equal(answer.text, "one");
	second->value_get(second, "n", 1, world->now, on_answer, &answer);
	assert_string_equal(answer.text, "one");
	world->now += SECOND_US;
	second->value_get(second, "n", 1, world->now, on_answer, &answer);
	assert_int_equal(answer.status, PUSH_NOT_FOUND);
	destroy(world);
}

static void
test_what_is_to_be_published_once_is_whichever_worker_is_asked_again(void **state)
{
	struct world *world = create("0", 0, 2);
	struct outcome outcome;

	(void)state;
	come(world, 0, 0, "a", NULL);
	run(world);
	publish_with(world, 0, "a", "1", NULL, "id-1", &outcome);
	assert_int_equal(outcome.subscribers, 1);
	leave(world, 0);
	come(world, 0, 0, "a", NULL);
	come(world, 1, 0, "a", NULL);
	run(world);
	publish_with(world, 1, "a", "1", NULL, "id-1", &outcome);
	assert_int_equal(outcome.status, PUSH_OK);
	assert_int_equal(outcome.subscribers, 1);
	publish_with(world, 1, "a", "2", NULL, "id-2", &outcome);
	assert_int_equal(outcome.subscribers, 2);
	run(world);
	assert_string_equal(got(world, 0), "2");
	destroy(world);
}

static void
test_what_is_kept_is_read_the_same_at_each_worker(void **state)
{
	struct world *world = create("2", 0, 2);
	struct push_engine *engine = world->workers[1].engine;
	struct push_reading reading = {.channel = "a", .channel_size = 1, .limit = 10};
	struct answer answer = {0};

	(void)state;
	come(world, 0, 1, "z", NULL);
	for (int i = 1; i <= 3; i++)
		publish(world, 0, "a", (char[]){(char)('0' + i), 0});
	engine->read(engine, &reading, world->now, on_answer, &answer);
	assert_int_equal(answer.status, PUSH_OK);
	assert_string_equal(answer.text, "{\"channel\":\"a\",\"messages\":[{\"message\":2,\"id\":\"0.rs.2\"},"
					 "{\"message\":3,\"id\":\"0.rs.3\"}],"
					 "\"missed\":0,\"id\":\"0.rs.3\",\"more\":false}");
	reading.since = "0.rs.0";
	reading.since_size = 6;
	reading.limit = 1;
	engine->read(engine, &reading, world->now, on_answer, &answer);
	assert_string_equal(answer.text, "{\"channel\":\"a\",\"messages\":[{\"message\":2,\"id\":\"0.rs.2\"}]"
					 ",\"missed\":1,\"id\":\"0.rs.2\","
					 "\"more\":true}");
	destroy(world);
}

/* --- the lock --- */

static void
test_publishes_are_refused_while_the_lock_cannot_be_had_and_all_goes_on_when_it_can(void **state)
{
	struct world *world = create("0", 0, 2);
	struct push_engine *engine = world->workers[0].engine;
	struct outcome outcome;
	char why[128];

	(void)state;
	come(world, 0, 0, "a", NULL);
	come(world, 1, 1, "a", NULL);
	run(world);
	assert_int_equal(push_segment_lock(world->segment, 0), PUSH_OK);
	publish_with(world, 0, "a", "1", NULL, NULL, &outcome);
	assert_int_equal(outcome.count, 1);
	assert_int_equal(outcome.status, PUSH_UNAVAILABLE);
	assert_false(engine->is_ready(engine));
	assert_false(engine->accepts(engine, why, sizeof(why)));
	come(world, 2, 0, "b", NULL); /* it waits */
	run(world);
	push_segment_unlock(world->segment);
	pass(world, SECOND_US);
	assert_true(engine->is_ready(engine));
	assert_true(engine->accepts(engine, why, sizeof(why)));
	assert_int_equal(publish(world, 1, "b", "2"), 1);
	assert_int_equal(publish(world, 1, "a", "3"), 2);
	run(world);
	assert_string_equal(got(world, 0), "3");
	assert_string_equal(got(world, 2), "2");
	destroy(world);
}

static void
test_an_orderly_end_takes_its_counts_back(void **state)
{
	struct world *world = create("0", 0, 2);

	(void)state;
	come(world, 0, 0, "a", NULL);
	come(world, 1, 1, "a", NULL);
	run(world);
	assert_int_equal(publish(world, 0, "a", "1"), 2);
	leave(world, 1);
	worker_stop(world, 1);
	assert_int_equal(publish(world, 0, "a", "2"), 1);
	worker_start(world, 1);
	run(world);
	assert_int_equal(publish(world, 0, "a", "3"), 1);
	destroy(world);
}

static void
test_after_a_repair_all_counts_are_said_again_and_nothing_is_lost(void **state)
{
	struct world *world = create("10", 0, 2);

	(void)state;
	come(world, 0, 0, "a,b", NULL);
	come(world, 1, 1, "a", NULL);
	run(world);
	publish(world, 0, "a", "1");
	run(world);
	for (unsigned int i = 0; i < 2; i++) { /* as if nobody had ever said anything */
		struct push_segment *segment = world->workers[i].segment;
		uint32_t hint = 0;

		assert_int_equal(push_segment_lock(segment, 0), PUSH_OK);
		assert_int_equal(
			push_segment_set_count(segment, "a", 1, push_segment_hash(segment, "a", 1), 0, &hint),
			PUSH_OK);
		push_segment_unlock(segment);
	}
	world->segment->header->incarnation++;
	pass(world, 10000);
	assert_int_equal(publish(world, 1, "a", "2"), 2);
	run(world);
	assert_string_equal(got(world, 0), "1 2");
	assert_string_equal(got(world, 1), "1 2");
	destroy(world);
}

/* --- memory --- */

static void
test_what_a_worker_caches_of_history_is_bounded_and_replays_are_whole(void **state)
{
	struct world *world = create("2000", 0, 2);
	struct push_history_store *store;
	char id[2 * PUSH_ID_BYTES_MAX];
	static char value[8192];

	(void)state;
	come(world, 0, 1, "a", NULL);
	run(world);
	strcpy(id, last_id(world, 0));
	memset(value, '7', sizeof(value) - 1);
	for (int i = 0; i < 700; i++) {
		publish(world, 0, "a", value);
		world->clients[0].size = 0;
		run(world);
	}
	pass(world, 10000);
	store = world->workers[1].hub->history;
	assert_true(store->stats->history_bytes <= PUSH_HISTORY_CACHE_BYTES);
	assert_true(
		push_hub_memory(world->workers[1].hub)->accounts[PUSH_MEMORY_HISTORY].bytes > 700 * 8192 / 2);
	come(world, 1, 1, "a", id);
	world->clients[1].room = SIZE_MAX;
	run(world);
	assert_int_equal(world->workers[1].stats.replayed, 700);
	assert_int_equal(world->workers[1].stats.gaps, 0);
	for (int i = 0; i < 3; i++)
		pass(world, SECOND_US);
	assert_true(store->stats->history_bytes <= PUSH_HISTORY_CACHE_BYTES);
	destroy(world);
}

static void
test_history_counts_once_in_figures_and_is_shared_by_accounts(void **state)
{
	struct world *world = create("100", 0, 2);
	struct push_memory *memory = push_hub_memory(world->workers[1].hub);
	uint64_t before;

	(void)state;
	for (int i = 0; i < 100; i++)
		publish(world, i & 1, "a", "\"something\"");
	pass(world, 10000);
	assert_int_equal(world->workers[0].stats.history_messages, 100);
	assert_int_equal(world->workers[1].stats.history_messages, 0);
	assert_true(world->workers[0].stats.history_bytes >= 100 * PUSH_SEGMENT_BLOCK_BYTES);
	before = memory->accounts[PUSH_MEMORY_HISTORY].bytes;
	assert_int_equal(before, world->workers[0].stats.history_bytes / 2);
	push_memory_set_max(memory, before);
	assert_true(push_hub_relieve_history(world->workers[1].hub, 1000) > 0);
	assert_true(memory->accounts[PUSH_MEMORY_HISTORY].bytes < before);
	pass(world, 10000);
	assert_true(world->workers[0].stats.history_messages < 100);
	assert_int_equal(
		world->workers[0].stats.history_dropped, 100 - world->workers[0].stats.history_messages);
	destroy(world);
}

/* --- all of it, in any order --- */

static uint64_t random_state;

static unsigned int
draw(unsigned int below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned int)(random_state % below);
}

/* What each client is to have by now. */
struct walk {
	struct world *world;
	char expected[CLIENTS][32768];
	bool has[CLIENTS][2];
	bool has_left[CLIENTS][2]; /* and will be given what it misses */
	char id[CLIENTS][2 * PUSH_ID_BYTES_MAX];
	bool has_ids,
		are_slow; /* slow: all publish at one worker, so that others only read when it is their turn */
	unsigned int published;
};

static void
walk_publish(struct walk *walk)
{
	unsigned int channel = draw(2), count = 0;
	char value[16];

	snprintf(value, sizeof(value), "%u", ++walk->published);
	for (unsigned int i = 0; i < CLIENTS; i++) {
		if (!walk->has[i][channel] && !walk->has_left[i][channel])
			continue;
		count += walk->has[i][channel];
		snprintf(walk->expected[i] + strlen(walk->expected[i]), 16, "%s%s",
			*walk->expected[i] ? " " : "", value);
	}
	assert_int_equal(
		publish(walk->world, walk->are_slow ? 0 : draw(WORKERS), channel ? "b" : "a", value), count);
}

/* At any worker.  One that has an id asks for the channels that it had, and has everything since. */
static void
walk_come(struct walk *walk, unsigned int i)
{
	static const char *const lists[] = {"", "a", "b", "a,b"};
	bool *left = walk->has_left[i];
	unsigned int list = left[0] + 2u * left[1];
	bool is_back = list;

	if (!is_back) {
		list = 1 + draw(3);
		walk->expected[i][0] = '\0';
	}
	come(walk->world, i, draw(WORKERS), lists[list], is_back ? walk->id[i] : NULL);
	walk->has[i][0] = list & 1;
	walk->has[i][1] = list & 2;
	left[0] = left[1] = false;
}

static void
walk_leave(struct walk *walk, unsigned int i)
{
	if (!walk->world->clients[i].subscriber)
		return;
	run(walk->world);
	assert_string_equal(got(walk->world, i), walk->expected[i]);
	walk->expected[i][0] = '\0';
	if (walk->has_ids) {
		memcpy(walk->has_left[i], walk->has[i], sizeof(walk->has[i]));
		strcpy(walk->id[i], last_id(walk->world, i));
	}
	leave(walk->world, i);
	memset(walk->has[i], 0, sizeof(walk->has[i]));
	run(walk->world);
}

static void
random_walk(const char *history_size, uint32_t cells, uint64_t seed)
{
	struct walk *walk = calloc(1, sizeof(*walk));

	assert_non_null(walk);
	random_state = seed;
	walk->world = create(history_size, cells, WORKERS);
	walk->are_slow = cells;
	walk->has_ids = atoi(history_size) > 100;
	for (unsigned int step = 0; step < 3000; step++) {
		unsigned int what = draw(100), i = draw(CLIENTS);

		if (what < 60)
			walk_publish(walk);
		else if (what < 80)
			(void)turn(&walk->world->workers[draw(WORKERS)]);
		else if (what < 90)
			walk->world->clients[i].subscriber ? (void)0 : walk_come(walk, i);
		else if (what < 94)
			walk_leave(walk, i);
		else
			pass(walk->world, 10000);
	}
	for (unsigned int i = 0; i < CLIENTS; i++)
		walk_leave(walk, i);
	if (cells) {
		struct push_segment_figures figures;

		push_segment_figures(walk->world->segment, &figures);
		assert_true(figures.overruns > 0);
	}
	destroy(walk->world);
	free(walk);
}

static void
test_who_is_there_when_a_message_is_published_is_counted_and_gets_it_and_nobody_else(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 5; seed++) {
		random_walk("0", 0, seed);
		random_walk("5", 0, seed);
		random_walk("3000", 0, seed);
		random_walk("3000", 16, seed); /* workers are too slow now and then */
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_message_reaches_clients_of_all_workers_and_all_are_counted),
		cmocka_unit_test(test_every_worker_delivers_in_the_order_in_which_messages_were_accepted),
		cmocka_unit_test(test_a_worker_is_woken_once_and_only_while_it_sleeps),
		cmocka_unit_test(test_a_worker_that_nobody_wakes_looks_at_the_log_with_each_tick),
		cmocka_unit_test(test_who_comes_behind_a_message_does_not_get_it_and_who_is_counted_does),
		cmocka_unit_test(test_who_comes_in_the_turn_of_a_publish_of_its_own_worker_gets_it),
		cmocka_unit_test(test_one_worker_without_history_writes_nothing_to_the_segment),
		cmocka_unit_test(test_history_is_one_whichever_worker_is_asked),
		cmocka_unit_test(test_a_gap_says_how_many_messages_were_missed),
		cmocka_unit_test(test_a_worker_too_slow_for_the_log_tells_a_gap_where_nothing_is_kept),
		cmocka_unit_test(test_a_worker_too_slow_for_the_log_reads_from_history_what_it_has_missed),
		cmocka_unit_test(test_who_waits_for_written_is_told_of_the_clients_of_all_workers),
		cmocka_unit_test(
			test_a_slow_client_of_another_worker_is_waited_for_no_longer_than_the_publisher_waits),
		cmocka_unit_test(test_a_worker_that_is_gone_is_not_waited_for_and_counts_nothing),
		cmocka_unit_test(test_receipts_say_no_more_than_the_publish_was_counted_with),
		cmocka_unit_test(test_a_receipt_counts_once),
		cmocka_unit_test(test_a_call_is_answered_by_the_worker_of_that_name),
		cmocka_unit_test(test_a_notice_reaches_those_who_are_there_and_those_who_come_later),
		cmocka_unit_test(test_values_are_the_same_for_all_workers_and_the_first_of_a_name_stays),
		cmocka_unit_test(test_what_is_to_be_published_once_is_whichever_worker_is_asked_again),
		cmocka_unit_test(test_what_is_kept_is_read_the_same_at_each_worker),
		cmocka_unit_test(
			test_publishes_are_refused_while_the_lock_cannot_be_had_and_all_goes_on_when_it_can),
		cmocka_unit_test(test_an_orderly_end_takes_its_counts_back),
		cmocka_unit_test(test_after_a_repair_all_counts_are_said_again_and_nothing_is_lost),
		cmocka_unit_test(test_what_a_worker_caches_of_history_is_bounded_and_replays_are_whole),
		cmocka_unit_test(test_history_counts_once_in_figures_and_is_shared_by_accounts),
		cmocka_unit_test(
			test_who_is_there_when_a_message_is_published_is_counted_and_gets_it_and_nobody_else),
	};

	if (getenv("SHOW")) {
		struct world *world = create("5", 0, 2);

		show(world);
		destroy(world);
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
