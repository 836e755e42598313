/* fuzz_acks.c - a client with a name: what a broker has kept of it, and what it says, line by line; a line
 * that is empty lets time pass, one that begins with ! publishes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hub.h"
#include "core/push_assert.h"
#include "core/subscriber.h"

static const uint8_t *kept;
static size_t kept_size;

static void
get(void *context, const char *name, size_t name_size, push_hub_value_fn done, void *done_context)
{
	(void)context;
	(void)name;
	(void)name_size;
	done(done_context, kept_size ? PUSH_OK : PUSH_NOT_FOUND, (const char *)kept, kept_size);
}

static void
put(void *context, const char *name, size_t name_size, const char *value, size_t value_size, uint64_t ttl_us,
	push_hub_value_fn done, void *done_context)
{
	(void)context;
	(void)ttl_us;
	PUSH_ASSERT(name_size == strlen("client:me") && !memcmp(name, "client:me", name_size));
	PUSH_ASSERT(value_size < 600 && memchr(value, ' ', value_size));
	done(done_context, PUSH_OK, NULL, 0);
}

static ssize_t
write_all(void *connection, struct push_frame *const *frames, size_t count, size_t skip)
{
	size_t size = 0;

	(void)connection;
	for (size_t i = 0; i < count; i++)
		size += frames[i]->size;
	return (ssize_t)(size - skip);
}

static bool
is_blocked(void *connection)
{
	(void)connection;
	return false;
}

static void
on_close(void *connection, bool at_once)
{
	(void)connection;
	(void)at_once;
}

static void
ready(void *context)
{
	(void)context;
}

static void
live(struct push_hub *hub, struct push_subscriber *subscriber, const char *text, size_t size)
{
	uint64_t now_us = 1000000000, subscribers;

	for (const char *end = text + size; text < end; text++) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));

		if (!stop)
			stop = end;
		if (stop == text) {
			now_us += 3000000;
			while (push_hub_tick(hub, now_us, 64))
				;
		} else if (*text == '!') {
			(void)!push_hub_deliver(hub, "a", 1, "1", 1, 0, now_us, &subscribers);
		} else {
			push_subscriber_receive(subscriber, text, (size_t)(stop - text), now_us);
		}
		while (push_hub_flush(hub, now_us, 64))
			;
		text = stop;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct push_transport transport = {
		.write = write_all, .is_blocked = is_blocked, .close = on_close};
	const struct push_acks_request request = {true, "me"};
	struct push_channel_name name = {"a", 1};
	struct push_channels channels = {&name, 1};
	const uint8_t *line = size ? memchr(data, '\n', size) : NULL;
	struct push_options options;
	struct push_stats stats = {0};
	struct push_subscriber *subscriber;
	struct push_hub *hub;

	kept = data;
	kept_size = line ? (size_t)(line - data) : size;
	push_options_init(&options);
	options.history_size = 4;
	options.ack_window = 3;
	hub = push_hub_create(&options, &stats, 42, 1000000000, ready, NULL);
	push_hub_number(hub, 7);
	push_hub_set_values(hub, &(struct push_hub_values){get, put, NULL});
	subscriber = push_subscriber_create(hub, PUSH_ENCODING_WS, &transport, NULL);
	PUSH_ASSERT(push_subscriber_subscribe(subscriber, &channels) == PUSH_OK);
	PUSH_ASSERT(push_subscriber_acknowledge(subscriber, &request) == PUSH_OK);
	push_subscriber_start(subscriber, 1000000000);
	if (line)
		live(hub, subscriber, (const char *)line + 1, size - kept_size - 1);
	push_subscriber_destroy(subscriber);
	PUSH_ASSERT(!stats.unacknowledged);
	push_hub_destroy(hub);
	return 0;
}
