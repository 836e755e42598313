/*
 * lws_end.h - direct sockets in whose place a test stands for lws: it has the end of the pair that lws would be given.
 */
#ifndef PUSH_TESTS_LWS_END_H
#define PUSH_TESTS_LWS_END_H

#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "direct/direct_private.h"
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

#endif
