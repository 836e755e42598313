/*
 * fake_transport.h - a transport that keeps what a client is sent, as far as the client has room for it: the
 * events of a stream without their chunks.
 *
 * For a test with a `struct client` that has `char got[]`, `size_t size, room` and `bool closed`; to be
 * included behind that.
 */
#ifndef PUSH_TESTS_FAKE_TRANSPORT_H
#define PUSH_TESTS_FAKE_TRANSPORT_H

#include <string.h>

#include "chunkless.h"
#include "core/transport.h"

static ssize_t
fake_write(void *connection, struct push_frame *const *frames, size_t count, size_t skip)
{
	struct client *client = connection;
	const struct chunkless end = {client->got, sizeof(client->got), &client->size, &client->room};
	size_t taken = chunkless_write(&end, frames, count, skip);

	assert_true(client->size < sizeof(client->got));
	return (ssize_t)taken;
}

static bool
fake_is_blocked(void *connection)
{
	(void)connection;
	return false;
}

static void
fake_close(void *connection, bool at_once)
{
	(void)at_once;
	((struct client *)connection)->closed = true;
}

static const struct push_transport fake = {
	.write = fake_write, .is_blocked = fake_is_blocked, .close = fake_close, .fills_socket = true};

#endif
