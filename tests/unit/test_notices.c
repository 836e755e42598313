/*
 * Notices between Push nodes: each that was put is received by every node, also by one that starts later or
 * was cut off, and once.
 *
 * The nodes are the real notices.c and subscriptions.c; what they send is read from their links, and a sorted
 * set and a channel in here answer as Redis does.  Commands are served one at a time, so that links can break
 * between any two.
 */
#include "unit.h"

#include "failing_alloc.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/limits.h"
#include "redis/redis_private.h"
#include "redis_links.h"

#define SECOND_US   1000000ull
#define SERVER_MS   1700000000000ull
#define CHANNEL     "\x1epush:notices"
#define ENTRIES_MAX 4096
#define PARTS_MAX   8
#define PART_BYTES  (PUSH_NOTICE_BYTES_MAX + 64)
#define TEXT_BYTES  32
#define NODES_MAX   2

struct entry {
	unsigned long long until_ms;
	char member[TEXT_BYTES + 32];
};

struct command {
	size_t count;
	size_t sizes[PARTS_MAX];
	char parts[PARTS_MAX][PART_BYTES + 1];
	struct push_redis_awaited awaited;
};

struct node {
	struct redis_engine engine;
	struct redis_node server;
	struct push_redis_stats redis_stats;
	struct push_stats stats;
	struct push_hub *hub;
	bool is_subscribed;
	unsigned int received[ENTRIES_MAX]; /* how often, of a notice that is a number */
	unsigned int received_count;
};

/* The server, and who is connected to it. */
struct world {
	struct push_options options;
	uint64_t now;
	struct entry entries[ENTRIES_MAX]; /* by score */
	size_t count;
	const char *refusal; /* of ZADD; NULL: none */
	struct node *nodes[NODES_MAX];
};

/* Not called back yet. */
#define PENDING ((enum push_status) - 1)

static struct world *world;

/* --- the server --- */

static void
zadd(unsigned long long until_ms, const char *member)
{
	size_t at = world->count;

	assert_true(world->count < ENTRIES_MAX && strlen(member) < sizeof(world->entries[0].member));
	for (; at && world->entries[at - 1].until_ms > until_ms; at--)
		world->entries[at] = world->entries[at - 1];
	world->entries[at].until_ms = until_ms;
	strcpy(world->entries[at].member, member);
	world->count++;
}

static void
remove_first(size_t count)
{
	world->count -= count;
	memmove(world->entries, world->entries + count, world->count * sizeof(world->entries[0]));
}

static void
publish(const struct command *command)
{
	assert_string_equal(command->parts[1], CHANNEL);
	for (int i = 0; i < NODES_MAX; i++)
		if (world->nodes[i] && world->nodes[i]->is_subscribed)
			redis_message(&world->nodes[i]->server, command->parts[1], command->sizes[1],
				command->parts[2], command->sizes[2]);
}

static void
answer(struct node *node, const struct command *command, const struct push_redis_reply *reply)
{
	struct redis_request *request = command->awaited.context;

	if (command->awaited.kind == REDIS_AWAITED_REQUEST)
		request->answer(&node->server, request, reply);
}

static void
answer_number(struct node *node, const struct command *command, size_t number)
{
	answer(node, command, &(struct push_redis_reply){PUSH_REDIS_INTEGER, .integer = (long long)number});
}

static void
answer_range(struct node *node, const struct command *command)
{
	struct redis_request *request = command->awaited.context;
	size_t first = strtoul(command->parts[2], NULL, 10), last = strtoul(command->parts[3], NULL, 10);
	unsigned int index = 0;

	assert_int_equal(command->awaited.kind, REDIS_AWAITED_REQUEST);
	assert_int_equal(last - first + 1, PUSH_REDIS_NOTICES_PAGE);
	for (size_t i = first; i <= last && i < world->count; i++, index++) {
		const char *member = world->entries[world->count - 1 - i].member;

		request->item(request, &(struct push_redis_place){.depth = 1, .index = {index}},
			&(struct push_redis_reply){
				PUSH_REDIS_STRING, .text = member, .size = strlen(member)});
	}
	answer(node, command, &(struct push_redis_reply){PUSH_REDIS_ARRAY, .count = index});
}

static void
run_command(struct node *node, const struct command *command)
{
	const char *name = command->parts[0];
	size_t old = 0;

	if (!strcmp(name, "PUBLISH")) {
		publish(command);
		answer_number(node, command, 1);
		return;
	}
	assert_string_equal(command->parts[1], "push:notices");
	if (!strcmp(name, "ZREVRANGE")) {
		answer_range(node, command);
	} else if (!strcmp(name, "ZADD") && world->refusal) {
		answer(node, command,
			&(struct push_redis_reply){
				PUSH_REDIS_ERROR, .text = world->refusal, .size = strlen(world->refusal)});
	} else if (!strcmp(name, "ZADD")) {
		zadd(strtoull(command->parts[2], NULL, 10), command->parts[3]);
		answer_number(node, command, 1);
	} else if (!strcmp(name, "ZREMRANGEBYSCORE")) {
		assert_string_equal(command->parts[2], "-inf");
		while (old < world->count &&
			world->entries[old].until_ms <= strtoull(command->parts[3], NULL, 10))
			old++;
		remove_first(old);
		answer_number(node, command, old);
	} else {
		assert_string_equal(name, "ZREMRANGEBYRANK");
		assert_string_equal(command->parts[3], "-100001");
		answer_number(node, command, 0);
	}
}

/* --- the links --- */

static void
keep_part(void *context, const char *text, size_t size)
{
	struct command *command = context;

	assert_true(command->count < PARTS_MAX && size <= PART_BYTES);
	command->sizes[command->count] = size;
	memcpy(command->parts[command->count], text, size);
	command->parts[command->count++][size] = '\0';
}

static bool
take_command(struct push_redis_link *link, struct command *ret)
{
	const char *at = link->out.bytes, *end;

	if (!link->out.size)
		return false;
	ret->count = 0;
	end = links_read_command(at, keep_part, ret);
	link->out.size -= (size_t)(end - at);
	memmove(link->out.bytes, end, link->out.size);
	assert_true(links_take_awaited(link, &ret->awaited));
	return true;
}

static void
flush(struct node *node)
{
	node->engine.settings.now_us = node->engine.now_us = world->now;
	node->engine.is_awake = false;
	redis_notices_flush(&node->engine);
	redis_subscriptions_flush(&node->engine);
}

/* Returns whether there was one. */
static bool
serve_subscription(struct node *node)
{
	static struct command command;

	flush(node);
	if (!take_command(&node->server.subscriptions.link, &command))
		return false;
	assert_string_equal(command.parts[0], "SUBSCRIBE");
	assert_int_equal(command.count, 2);
	node->is_subscribed = true;
	redis_subscribed(&node->server, true, command.parts[1], command.sizes[1]);
	return true;
}

static bool
serve_command(struct node *node)
{
	static struct command command;

	flush(node);
	if (!take_command(&node->server.commands.link, &command))
		return false;
	run_command(node, &command);
	return true;
}

static void
serve_all(void)
{
	bool is_busy = true;

	while (is_busy) {
		is_busy = false;
		for (int i = 0; i < NODES_MAX; i++)
			if (world->nodes[i])
				is_busy |=
					serve_subscription(world->nodes[i]) | serve_command(world->nodes[i]);
	}
}

static void
lose_commands(struct node *node)
{
	struct push_redis_link *link = &node->server.commands.link;
	struct push_redis_awaited awaited;

	link->state = PUSH_REDIS_CLOSED;
	push_buf_clear(&link->out);
	while (links_take_awaited(link, &awaited)) {
		struct redis_request *request = awaited.context;

		if (awaited.kind == REDIS_AWAITED_REQUEST)
			request->lost(request);
	}
}

static void
lose_subscriptions(struct node *node)
{
	struct push_redis_link *link = &node->server.subscriptions.link;
	struct push_redis_awaited awaited;

	link->state = PUSH_REDIS_CLOSED;
	push_buf_clear(&link->out);
	while (links_take_awaited(link, &awaited))
		;
	node->is_subscribed = false;
	redis_subscriptions_lost(&node->server);
}

static void
connect_again(struct node *node)
{
	node->server.commands.link.state = node->server.subscriptions.link.state = PUSH_REDIS_UP;
}

/* --- the nodes --- */

static void
on_ready(void *context)
{
	(void)context;
}

static void
on_log(void *context, enum push_log_level level, const char *line)
{
	(void)context;
	(void)level;
	(void)line;
}

static void
on_notice(void *context, const char *text, size_t size)
{
	struct node *node = context;
	char digits[TEXT_BYTES] = "";
	unsigned long number;

	assert_true(size < sizeof(digits));
	memcpy(digits, text, size);
	number = strtoul(digits, NULL, 10);
	assert_true(number < ENTRIES_MAX);
	node->received[number]++;
	node->received_count++;
}

static struct node *
start_node(int index)
{
	struct node *node = calloc(1, sizeof(*node));
	struct redis_node *server = &node->server;
	const struct push_engine_host host = {on_ready, on_log, node};

	node->hub = push_hub_create(&world->options, &node->stats, 42, world->now, on_ready, node);
	assert_non_null(node->hub);
	links_init_engine(&node->engine, &world->options, node->hub, &node->redis_stats, &host, world->now);
	node->engine.single = server;
	links_init_server(server, &node->engine, &node->engine.settings);
	push_server_clock_learn(&server->commands.link.clock, world->now, world->now, SERVER_MS * 1000);
	connect_again(node);
	redis_notices_init(&node->engine);
	redis_notices_watch(&node->engine.engine, on_notice, node);
	return world->nodes[index] = node;
}

static void
stop_node(int index)
{
	struct node *node = world->nodes[index];

	world->nodes[index] = NULL;
	lose_commands(node);
	lose_subscriptions(node);
	if (node->engine.notices)
		redis_subscription_drop(&node->engine, node->engine.notices->upstream);
	while (push_hub_next_changed(node->hub))
		;
	push_hub_destroy(node->hub);
	redis_notices_fini(&node->engine);
	links_fini_server(&node->server);
	free(node);
}

static int
set_up(void **state)
{
	(void)state;
	world = calloc(1, sizeof(*world));
	push_options_init(&world->options);
	world->now = 1000 * SECOND_US;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	for (int i = 0; i < NODES_MAX; i++)
		if (world->nodes[i])
			stop_node(i);
	free(world);
	return 0;
}

/* --- what is done --- */

static void
on_done(void *context, enum push_status status)
{
	enum push_status *into = context;

	assert_int_equal(*into, PENDING);
	*into = status;
}

static void
put(struct node *node, unsigned int number, uint64_t ttl_us, enum push_status *into)
{
	char text[TEXT_BYTES];
	int size = snprintf(text, sizeof(text), "%u", number);

	*into = PENDING;
	redis_notice_put(&node->engine.engine, text, (size_t)size, ttl_us, world->now, on_done, into);
}

static void
put_ok(struct node *node, unsigned int number, uint64_t ttl_us)
{
	enum push_status status;

	put(node, number, ttl_us, &status);
	serve_all();
	assert_int_equal(status, PUSH_OK);
}

static void
assert_received_once(const struct node *node, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(node->received[i], 1);
	assert_int_equal(node->received_count, count);
}

/* --- tests --- */

static void
a_notice_reaches_all_nodes_once_and_its_own_before_it_is_done(void **state)
{
	struct node *one = start_node(0), *other = start_node(1);
	enum push_status status;

	(void)state;
	serve_all();
	put(one, 0, SECOND_US, &status);
	assert_int_equal(one->received[0], 1);
	assert_int_equal(other->received[0], 0);
	serve_all();
	assert_int_equal(status, PUSH_OK);
	put_ok(other, 1, 0);
	assert_received_once(one, 2);
	assert_received_once(other, 2);
	/* one without a time to live is not remembered, the other one until Redis' clock says so */
	assert_int_equal(world->count, 1);
	assert_int_equal(world->entries[0].until_ms, SERVER_MS + 1000);
}

static void
a_node_that_starts_later_is_ready_when_it_has_what_is_remembered(void **state)
{
	struct node *one = start_node(0), *later;

	(void)state;
	for (unsigned int i = 0; i < 2 * PUSH_REDIS_NOTICES_PAGE + 1; i++)
		put_ok(one, i, SECOND_US * (1 + i % 7));
	later = start_node(1);
	assert_false(redis_notices_are_read(&later->engine.engine));
	while (later->received_count <= 2 * PUSH_REDIS_NOTICES_PAGE) {
		assert_false(redis_notices_are_read(&later->engine.engine));
		assert_true(serve_subscription(later) || serve_command(later));
	}
	assert_received_once(later, 2 * PUSH_REDIS_NOTICES_PAGE + 1);
	assert_true(redis_notices_are_read(&later->engine.engine));
	/* a full page may be the last one */
	stop_node(1);
	remove_first(1);
	later = start_node(1);
	serve_all();
	assert_int_equal(later->received_count, 2 * PUSH_REDIS_NOTICES_PAGE);
	assert_true(redis_notices_are_read(&later->engine.engine));
}

static void
a_node_that_was_cut_off_gets_what_came_meanwhile_and_nothing_twice(void **state)
{
	struct node *one = start_node(0), *other = start_node(1);

	(void)state;
	serve_all();
	/* not only the first time */
	for (unsigned int number = 0; number < 12; number += 4) {
		put_ok(one, number, SECOND_US);
		lose_subscriptions(other);
		put_ok(one, number + 1, SECOND_US);
		lose_commands(other);
		put_ok(one, number + 2, SECOND_US);
		put_ok(one, ENTRIES_MAX - 1, 0); /* for those that are there */
		connect_again(other);
		serve_all();
		assert_received_once(other, number + 3);
		put_ok(one, number + 3, SECOND_US);
		assert_received_once(other, number + 4);
	}
	assert_true(redis_notices_are_read(&other->engine.engine));
}

/* A reading of many pages, during which others come, in front of all, in the middle and at the end, and the
 * first ones go. */
static void
what_changes_while_pages_are_read_hides_none(void **state)
{
	const unsigned int first = 3 * PUSH_REDIS_NOTICES_PAGE;
	unsigned int number = first;
	struct node *one = start_node(0), *later;

	(void)state;
	for (unsigned int i = 0; i < first; i++)
		put_ok(one, i, SECOND_US * (10 + i));
	later = start_node(1);
	while (!redis_notices_are_read(&later->engine.engine)) {
		enum push_status status;

		(void)serve_subscription(later);
		(void)serve_command(later);
		put(one, number, SECOND_US * (9 + number * 577 % first), &status);
		number++;
		while (serve_command(one))
			;
		remove_first(5);
	}
	serve_all();
	for (size_t i = 0; i < world->count; i++)
		assert_int_equal(later->received[strtoul(world->entries[i].member + 17, NULL, 10)], 1);
	assert_true(number > first + 3);
}

static void
a_reading_that_is_lost_is_begun_again(void **state)
{
	struct node *one = start_node(0), *later;
	const unsigned int count = 2 * PUSH_REDIS_NOTICES_PAGE + 500;

	(void)state;
	for (unsigned int i = 0; i < count; i++)
		put_ok(one, i, SECOND_US);
	/* after each of the steps of a reading, of either connection */
	for (int steps = 0; steps < 8; steps++)
		for (int which = 0; which < 3; which++) {
			later = start_node(1);
			for (int i = 0; i < steps; i++)
				if (!serve_subscription(later))
					(void)serve_command(later);
			if (which != 1)
				lose_commands(later);
			if (which != 0)
				lose_subscriptions(later);
			connect_again(later);
			serve_all();
			assert_true(redis_notices_are_read(&later->engine.engine));
			assert_received_once(later, count);
			stop_node(1);
		}
}

/* The pages that are read are of before the loss, and what came during it is in front of them. */
static void
what_comes_while_the_subscription_is_lost_is_read_behind_the_reading_under_way(void **state)
{
	struct node *one = start_node(0), *later;
	const unsigned int count = 2 * PUSH_REDIS_NOTICES_PAGE + 500;

	(void)state;
	for (unsigned int i = 0; i < count; i++)
		put_ok(one, i, SECOND_US);
	later = start_node(1);
	while (later->received_count < PUSH_REDIS_NOTICES_PAGE)
		assert_true(serve_subscription(later) || serve_command(later));
	lose_subscriptions(later);
	put(one, count, 2 * SECOND_US, &(enum push_status){PENDING});
	while (serve_command(one))
		;
	connect_again(later);
	assert_true(serve_subscription(later));
	serve_all();
	assert_received_once(later, count + 1);
	assert_true(redis_notices_are_read(&later->engine.engine));
}

static void
one_that_is_over_is_removed_a_minute_later(void **state)
{
	struct node *one = start_node(0);

	(void)state;
	serve_all();
	put_ok(one, 0, SECOND_US);
	world->now += SECOND_US + PUSH_REDIS_NOTICE_SLACK_US - 1000;
	put_ok(one, 1, SECOND_US);
	assert_int_equal(world->count, 2);
	world->now += 2000;
	put_ok(one, 2, SECOND_US);
	assert_int_equal(world->count, 2);
	start_node(1);
	serve_all();
	assert_int_equal(world->nodes[1]->received[0], 0);
	assert_int_equal(world->nodes[1]->received_count, 2);
}

static void
without_redis_it_is_received_here_and_fails(void **state)
{
	struct node *one = start_node(0), *other = start_node(1);
	enum push_status status, sent;

	(void)state;
	serve_all();
	/* sent, and lost before both answers, or one */
	put(one, 0, SECOND_US, &sent);
	lose_commands(one);
	assert_int_equal(sent, PUSH_UNAVAILABLE);
	put(one, 1, SECOND_US, &status);
	assert_int_equal(status, PUSH_UNAVAILABLE);
	connect_again(one);
	put(one, 2, SECOND_US, &sent);
	assert_true(serve_command(one) && serve_command(one));
	lose_commands(one);
	assert_int_equal(sent, PUSH_UNAVAILABLE);
	assert_received_once(one, 3);
	assert_int_equal(other->received_count, 0);
	assert_int_equal(one->engine.notice_count, 0);
}

static void
what_redis_refuses_fails(void **state)
{
	struct node *one = start_node(0);
	enum push_status status;

	(void)state;
	serve_all();
	world->refusal = "NOPERM no permissions to run the 'zadd' command";
	put(one, 0, SECOND_US, &status);
	serve_all();
	assert_int_equal(status, PUSH_REFUSED);
	world->refusal = "READONLY You can't write against a read only replica.";
	put(one, 1, SECOND_US, &status);
	serve_all();
	assert_int_equal(status, PUSH_UNAVAILABLE);
	world->refusal = NULL;
	put_ok(one, 2, SECOND_US);
	assert_received_once(one, 3);
}

static void
what_is_too_long_or_not_a_notice_is_not_received(void **state)
{
	static char large[PUSH_NOTICE_BYTES_MAX + 1];
	static const char *const texts[] = {"", "0123456789abcdef", "0123456789abcdef ", "0123456789abcdeF 1",
		"0123456789abcde 01", "0123456789abcdef1"};
	struct node *one = start_node(0);
	enum push_status status = PENDING;

	(void)state;
	serve_all();
	redis_notice_put(&one->engine.engine, large, sizeof(large), 0, world->now, on_done, &status);
	assert_int_equal(status, PUSH_TOO_LARGE);
	for (size_t i = 0; i < COUNT(texts); i++)
		redis_notice_heard(&one->engine, texts[i], strlen(texts[i]));
	assert_int_equal(one->received_count, 0);
	redis_notice_heard(&one->engine, "0123456789abcdef 1", 18);
	redis_notice_heard(&one->engine, "0123456789abcdef 1", 18);
	assert_int_equal(one->received_count, 1);
}

static void
without_memory_it_is_sent_as_a_whole_or_fails(void **state)
{
	struct node *one = start_node(0), *other = start_node(1);
	enum push_status status = PUSH_OUT_OF_MEMORY;
	unsigned int sent = 0;

	(void)state;
	serve_all();
	for (long limit = 0; status != PUSH_OK; limit++, sent++) {
		push_buf_fini(&one->server.commands.link.out);
		push_buf_init(&one->server.commands.link.out, PUSH_REDIS_OUT_BYTES_MAX);
		allocations_left = limit;
		put(one, sent, SECOND_US, &status);
		allocations_left = -1;
		assert_int_equal(one->received[sent], 1);
		if (status == PUSH_OUT_OF_MEMORY) {
			assert_int_equal(one->server.commands.link.out.size, 0);
			assert_int_equal(one->server.commands.link.awaited_count, 0);
		}
		serve_all();
	}
	assert_true(sent > 1);
	assert_int_equal(other->received_count, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_notice_reaches_all_nodes_once_and_its_own_before_it_is_done, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_node_that_starts_later_is_ready_when_it_has_what_is_remembered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_node_that_was_cut_off_gets_what_came_meanwhile_and_nothing_twice, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			what_changes_while_pages_are_read_hides_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reading_that_is_lost_is_begun_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_comes_while_the_subscription_is_lost_is_read_behind_the_reading_under_way,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			one_that_is_over_is_removed_a_minute_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			without_redis_it_is_received_here_and_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_redis_refuses_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_too_long_or_not_a_notice_is_not_received, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			without_memory_it_is_sent_as_a_whole_or_fails, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
