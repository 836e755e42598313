/*
 * Whatever clients ask of their channels, over a WebSocket and by a token, with history and without: the hub
 * stays whole, and what it answers is JSON.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/hub.h"
#include "core/push_assert.h"
#include "core/subscriber.h"
#include "core/tokens.h"

static const char token[] = "0123456789abcdef.000102030405060708090a0b0c0d0e0f";

static ssize_t
take_all(void *connection, struct push_frame *const *frames, size_t count, size_t skip)
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
close_it(void *connection, bool at_once)
{
	(void)connection;
	(void)at_once;
}

static const struct push_transport transport = {
	.write = take_all, .is_blocked = is_blocked, .close = close_it};

static void
on_ready(void *context)
{
	(void)context;
}

static struct push_subscriber *
come(struct push_hub *hub, const struct push_options *options, enum push_encoding encoding)
{
	struct push_subscriber *subscriber = push_subscriber_create(hub, encoding, &transport, NULL);
	struct push_channels channels;
	struct push_error error;

	PUSH_ASSERT(subscriber);
	PUSH_ASSERT(push_channels_parse(&channels, "a,h:b", 5, options, &error) == PUSH_OK);
	PUSH_ASSERT(push_subscriber_subscribe(subscriber, &channels) == PUSH_OK);
	push_channels_fini(&channels);
	if (encoding == PUSH_ENCODING_SSE)
		PUSH_ASSERT(push_subscriber_control(subscriber, token) == PUSH_OK);
	push_subscriber_start(subscriber, 1000000);
	return subscriber;
}

static void
ask(struct push_hub *hub, struct push_subscriber *ws, const char *text, size_t size)
{
	struct json_tokener *tokener = json_tokener_new_ex(200);
	struct push_error error;
	struct push_buf answer;

	push_subscriber_receive(ws, text, size, 1000000);
	push_buf_init(&answer, SIZE_MAX);
	if (push_hub_control(hub, token, sizeof(token) - 1, text, size, NULL, 1000000, &answer, &error) ==
		PUSH_OK) {
		struct json_object *object = json_tokener_parse_ex(tokener, answer.bytes, (int)answer.size);

		PUSH_ASSERT(object && answer.status == PUSH_OK);
		json_object_put(object);
	}
	push_buf_fini(&answer);
	json_tokener_free(tokener);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lines are requests; a message follows each. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text + size;
	struct push_options options;
	struct push_stats stats;
	struct push_subscriber *ws, *sse;
	struct push_hub *hub;
	uint64_t count;

	memset(&stats, 0, sizeof(stats));
	push_options_init(&options);
	options.channels_max = 4;
	strcpy(options.history_rules, "h:=3");
	hub = push_hub_create(&options, &stats, 42, 1000000, on_ready, NULL);
	PUSH_ASSERT(hub);
	push_hub_number(hub, 7);
	ws = come(hub, &options, PUSH_ENCODING_WS);
	sse = come(hub, &options, PUSH_ENCODING_SSE);
	while (text < end) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));
		size_t line = (size_t)((line_end ? line_end : end) - text);

		ask(hub, ws, text, line);
		PUSH_ASSERT(push_hub_deliver(hub, "h:b", 3, "1", 1, 0, 1000000, &count) == PUSH_OK);
		while (push_hub_flush(hub, 1000000, 16))
			;
		text += line + 1;
	}
	PUSH_ASSERT(stats.subscriptions <= 2 * options.channels_max);
	push_subscriber_destroy(ws);
	push_subscriber_destroy(sse);
	PUSH_ASSERT(!stats.subscriptions && !stats.channels && !stats.outbox_bytes);
	push_hub_destroy(hub);
	return 0;
}
