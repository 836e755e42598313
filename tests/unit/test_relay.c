/* A relay: a client on one side, what stands for lws on the other, over real sockets. */
#include "lws_end.h"

#include "direct/relay.h"

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
	bool is_shared;

	(void)state;
	open_relay("");
	lws_fd = f.lws;
	assert_int_not_equal(sockets->client_fd(sockets->context, lws_fd, &is_shared), lws_fd);
	assert_int_equal(sockets->client_fd(sockets->context, f.client, &is_shared), f.client);
	assert_int_equal(sockets->client_fd(sockets->context, 100000, &is_shared), 100000);
	other = dup(f.client);
	assert_int_equal(dup2(other, lws_fd), lws_fd); /* lws' is closed, and another has its number */
	assert_int_equal(sockets->client_fd(sockets->context, lws_fd, &is_shared), lws_fd);
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
