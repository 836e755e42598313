/* A relay: a client on one side, what stands for lws on the other, over real sockets. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "direct/direct_private.h"
#include "direct/relay.h"
#include "failing_alloc.h"

#define PORT 8443

/* More than all that is between a client and lws holds. */
#define MUCH (4 * 1024 * 1024)

static struct {
	struct push_options options;
	struct push_memory memory;
	uint64_t now_us;
	struct push_direct *direct;
	int client, lws; /* -1: closed */
} f;

static uint64_t
fake_now_us(void)
{
	return f.now_us;
}

static struct push_limiter *
fake_limiter(const struct push_broker *broker)
{
	(void)broker;
	return NULL;
}

static struct push_memory *
fake_memory(const struct push_broker *broker)
{
	(void)broker;
	return &f.memory;
}

static const struct push_options *
fake_options(const struct push_broker *broker)
{
	(void)broker;
	return &f.options;
}

static const struct push_broker_ops ops = {
	.options = fake_options, .now_us = fake_now_us, .limiter = fake_limiter, .memory = fake_memory};

static void
take_over(void *context, int fd, int port)
{
	(void)context;
	assert_int_equal(port, PORT);
	f.lws = fd;
}

/* Until nothing is ready: a relay that waits for what has come already would not end. */
static void
turn(void)
{
	struct pollfd set = {.fd = push_direct_fd(f.direct, PUSH_DIRECT_STREAMS), .events = POLLIN};

	for (int turns = 0; poll(&set, 1, 0) > 0; turns++) {
		assert_true(turns < 1000);
		push_direct_ready(f.direct, PUSH_DIRECT_STREAMS);
	}
	f.now_us += PUSH_TICK_US;
	push_direct_tick(f.direct);
}

static void
pass_time(uint64_t us)
{
	for (uint64_t end_us = f.now_us + us; f.now_us < end_us;)
		turn();
}

static void
open_relay(const char *early)
{
	struct direct_bytes bytes = {NULL};
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
	f.client = ends[0];
	f.lws = -1;
	direct_relay_open(f.direct, ends[1], PORT, &bytes, (struct push_str){early, strlen(early)});
	turn();
}

static int
set_up(void **state)
{
	const struct push_direct_host host = {.hand_over_plain = take_over};

	(void)state;
	memset(&f, 0, sizeof(f));
	f.now_us = 1000000;
	push_options_init(&f.options);
	push_memory_init(&f.memory);
	f.direct = push_direct_create(&ops, NULL, &host);
	f.client = f.lws = -1;
	return f.direct ? 0 : -1;
}

static void
close_end(int *end)
{
	if (*end >= 0)
		close(*end);
	*end = -1;
	turn();
}

static int
tear_down(void **state)
{
	(void)state;
	close_end(&f.client);
	close_end(&f.lws);
	assert_int_equal(push_direct_count(f.direct), 0);
	assert_int_equal(f.direct->relay_sources, 0);
	push_direct_destroy(f.direct);
	assert_int_equal(f.memory.bytes, 0);
	return 0;
}

/* What byte number `at` of a stream is. */
static char
byte_at(size_t at)
{
	return (char)(at * 2654435761u >> 13);
}

/* Sends on from `*at` what is taken; returns whether that was anything. */
static bool
put(int end, size_t *at, size_t size)
{
	char piece[4096];
	size_t wanted = size - *at < sizeof(piece) ? size - *at : sizeof(piece);
	ssize_t sent;

	for (size_t i = 0; i < wanted; i++)
		piece[i] = byte_at(*at + i);
	sent = send(end, piece, wanted, MSG_DONTWAIT | MSG_NOSIGNAL);
	*at += sent > 0 ? (size_t)sent : 0;
	return sent > 0;
}

static bool
get(int end, size_t *at)
{
	char piece[4096];
	ssize_t size = recv(end, piece, sizeof(piece), MSG_DONTWAIT);

	for (ssize_t i = 0; i < size; i++)
		assert_int_equal(piece[i], byte_at(*at + (size_t)i));
	*at += size > 0 ? (size_t)size : 0;
	return size > 0;
}

static void
put_all_that_goes(int end, size_t *at, size_t size)
{
	size_t before;

	do {
		before = *at;
		while (*at < size && put(end, at, size))
			;
		turn();
	} while (*at > before && *at < size);
}

static void
get_all_that_comes(int end, size_t *at)
{
	size_t before;

	do {
		before = *at;
		while (get(end, at))
			;
		turn();
	} while (*at > before);
}

static void
expect(int end, const char *text)
{
	char got[256];
	ssize_t size = recv(end, got, sizeof(got), MSG_DONTWAIT);

	assert_int_equal(size, strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

static bool
has_ended(int end)
{
	char byte;

	errno = 0;
	/* a local socket is reset where the other end had not read all */
	return recv(end, &byte, 1, MSG_DONTWAIT) <= 0 && (!errno || errno == ECONNRESET);
}

static void
what_was_read_before_comes_first(void **state)
{
	(void)state;
	open_relay("GET / HT");
	assert_int_equal(send(f.client, "TP/1.1\r\n\r\n", 10, 0), 10);
	turn();
	expect(f.lws, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(send(f.lws, "HTTP/1.1 200 OK\r\n\r\n", 19, 0), 19);
	turn();
	expect(f.client, "HTTP/1.1 200 OK\r\n\r\n");
	assert_int_equal(push_direct_count(f.direct), 0); /* it is lws' connection */
	assert_false(push_direct_is_busy(f.direct));
}

static void
a_client_that_sends_no_more_gets_its_answer(void **state)
{
	(void)state;
	open_relay("GET / HTTP/1.0\r\n\r\n");
	shutdown(f.client, SHUT_WR);
	turn();
	expect(f.lws, "GET / HTTP/1.0\r\n\r\n");
	assert_true(has_ended(f.lws));
	assert_int_equal(send(f.lws, "HTTP/1.0 200 OK\r\n\r\n", 19, 0), 19);
	close_end(&f.lws);
	expect(f.client, "HTTP/1.0 200 OK\r\n\r\n");
	assert_true(has_ended(f.client));
	assert_int_equal(f.direct->relay_sources, 0);
}

/* The sockets' share is the kernel's; a relay keeps one piece. */
static void
a_client_that_does_not_read_stops_lws(void **state)
{
	size_t sent = 0, got = 0;

	(void)state;
	open_relay("");
	put_all_that_goes(f.lws, &sent, MUCH);
	assert_true(sent < MUCH);
	assert_false(push_list_is_empty(&f.direct->burdens));
	assert_in_range(f.memory.bytes, 1, 2 * PUSH_RELAY_PIECE_BYTES);
	while (got < MUCH) {
		get_all_that_comes(f.client, &got);
		put_all_that_goes(f.lws, &sent, MUCH);
	}
	assert_int_equal(got, MUCH);
	assert_true(push_list_is_empty(&f.direct->burdens));
	assert_int_equal(f.memory.bytes, 0);
}

static void
a_body_that_lws_does_not_read_stops_the_client(void **state)
{
	size_t sent = 0, got = 0;

	(void)state;
	open_relay("");
	put_all_that_goes(f.client, &sent, MUCH);
	assert_true(sent < MUCH);
	assert_in_range(f.memory.bytes, 1, 2 * PUSH_RELAY_PIECE_BYTES);
	while (got < MUCH) {
		get_all_that_comes(f.lws, &got);
		put_all_that_goes(f.client, &sent, MUCH);
	}
	assert_int_equal(f.memory.bytes, 0);
	assert_int_equal(send(f.lws, "done", 4, 0), 4);
	turn();
	expect(f.client, "done");
}

static void
both_directions_go_on_while_one_is_stopped(void **state)
{
	size_t sent = 0;

	(void)state;
	open_relay("");
	put_all_that_goes(f.client, &sent, MUCH);
	assert_int_equal(send(f.lws, "early", 5, 0), 5);
	turn();
	expect(f.client, "early");
}

static void
lws_learns_at_once_that_the_client_is_gone(void **state)
{
	size_t sent = 0;

	(void)state;
	open_relay("GET /");
	put_all_that_goes(f.lws, &sent, MUCH); /* and it had not read */
	close_end(&f.client);
	expect(f.lws, "GET /");
	assert_true(has_ended(f.lws));
	assert_int_equal(f.direct->relay_sources, 0);
}

static void
what_lws_has_sent_arrives_after_its_end(void **state)
{
	size_t sent = 0, got = 0;

	(void)state;
	open_relay("");
	put_all_that_goes(f.lws, &sent, MUCH);
	close_end(&f.lws); /* no turn is spent on waiting for the client */
	pass_time(PUSH_ANSWERS_US / 2);
	while (got < sent / 2 && get(f.client, &got)) /* it is slow, but it reads */
		;
	pass_time(PUSH_ANSWERS_US * 3 / 4);
	get_all_that_comes(f.client, &got);
	assert_int_equal(got, sent);
	assert_true(has_ended(f.client));
}

static void
a_client_that_does_not_read_the_rest_is_cut_off(void **state)
{
	size_t sent = 0;

	(void)state;
	open_relay("");
	put_all_that_goes(f.lws, &sent, MUCH);
	close_end(&f.lws);
	pass_time(PUSH_ANSWERS_US - 10 * PUSH_TICK_US);
	assert_int_not_equal(f.direct->relay_sources, 0);
	pass_time(20 * PUSH_TICK_US);
	assert_int_equal(f.direct->relay_sources, 0);
	assert_int_equal(f.memory.bytes, 0);
}

static void
a_client_that_is_told_of_the_end_has_a_while_to_close(void **state)
{
	(void)state;
	open_relay("");
	close_end(&f.lws);
	assert_true(has_ended(f.client));
	pass_time(PUSH_LINGER_US / 2);
	assert_int_equal(f.direct->relay_sources, 1);
	pass_time(PUSH_LINGER_US);
	assert_int_equal(f.direct->relay_sources, 0);
}

static void
memory_is_given_back_when_it_is_short(void **state)
{
	size_t sent = 0;

	(void)state;
	open_relay("");
	put_all_that_goes(f.lws, &sent, MUCH);
	push_memory_set_max(&f.memory, PUSH_RELAY_PIECE_BYTES);
	assert_int_equal(push_direct_relieve(f.direct, 10), 1);
	turn();
	assert_true(has_ended(f.lws));
	assert_int_equal(f.memory.bytes, 0);
}

static void
the_client_of_an_end_is_known_as_long_as_both_are_there(void **state)
{
	const struct push_broker_sockets *sockets = push_direct_sockets(f.direct);
	int lws_fd, other;

	(void)state;
	open_relay("");
	lws_fd = f.lws;
	assert_int_not_equal(sockets->client_fd(sockets->context, lws_fd), lws_fd);
	assert_int_equal(sockets->client_fd(sockets->context, f.client), f.client);
	assert_int_equal(sockets->client_fd(sockets->context, 100000), 100000);
	other = dup(f.client);
	assert_int_equal(dup2(other, lws_fd), lws_fd); /* lws' is closed, and another has its number */
	assert_int_equal(sockets->client_fd(sockets->context, lws_fd), lws_fd);
	close(other);
}

static void
without_memory_the_connection_is_closed(void **state)
{
	struct direct_bytes bytes = {NULL};
	int ends[2];

	(void)state;
	for (long left = 0;; left++) {
		f.lws = -1;
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
		allocations_left = left;
		direct_relay_open(f.direct, ends[1], PORT, &bytes, (struct push_str){"x", 1});
		allocations_left = -1;
		f.client = ends[0];
		turn();
		if (f.lws >= 0)
			break;
		assert_true(has_ended(f.client));
		close_end(&f.client);
		assert_true(left < 10);
	}
	expect(f.lws, "x");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_was_read_before_comes_first),
		TEST(a_client_that_sends_no_more_gets_its_answer),
		TEST(a_client_that_does_not_read_stops_lws),
		TEST(a_body_that_lws_does_not_read_stops_the_client),
		TEST(both_directions_go_on_while_one_is_stopped),
		TEST(lws_learns_at_once_that_the_client_is_gone),
		TEST(what_lws_has_sent_arrives_after_its_end),
		TEST(a_client_that_does_not_read_the_rest_is_cut_off),
		TEST(a_client_that_is_told_of_the_end_has_a_while_to_close),
		TEST(memory_is_given_back_when_it_is_short),
		TEST(the_client_of_an_end_is_known_as_long_as_both_are_there),
		TEST(without_memory_the_connection_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
