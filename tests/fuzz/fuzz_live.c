/*
 * Whatever clients ask of their channels, over a WebSocket and by a token, with history and without: the hub
 * stays whole, and what it answers is JSON.
 *
 * Bytes from 0x80 on stand for pieces that requests are made of.  Each input comes twice.  The second time clients have shown who they are, and an `auth` changes that; then no client is
 * ever in a channel that its identity does not grant, by a matcher of this file's own.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "core/hub.h"
#include "core/hub_private.h"
#include "core/identified.h"
#include "core/push_assert.h"
#include "core/subscriber.h"
#include "core/tokens.h"
#include "pieces.h"

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

static const char *const pieces[] = {"{\"event\":\"subscribe\",\"data\":{\"channels\":[",
	"{\"event\":\"unsubscribe\",\"data\":{\"channels\":[", "{\"event\":\"auth\",\"data\":{}}\n",
	"{\"subscribe\":[", "{\"unsubscribe\":[", "{\"event\":\"resume\",\"data\":{\"id\":", "]}}\n", "]}\n",
	"}}\n", "],\"id\":", "],\"subscribe\":[", "],\"ref\":1", "\"a\"", "\"b\"", "\"h:b\"", "\"h:c\"",
	"\"secret\"", "\"h:\"", "\"h\"", "\"**\"", "\"a\\u0000\"", "\"a,b\"", "\"\"", "\"0.7.0\"",
	"\"0.7.1\"", ",", "\n"};

/* --- who they are --- */

/* The same, as patterns and for the matcher here. */
static const struct rights {
	const char *names[4], *prefixes[2];
	const char *patterns[6];
} rights[] = {
	{{"a"}, {"h:"}, {"a", "h:**"}},
	{{"a", "b"}, {NULL}, {"a", "b"}},
	{{"h:b", "h:c"}, {NULL}, {"h:b", "h:c"}},
};

#define RIGHTS (sizeof(rights) / sizeof(rights[0]))

struct guard {
	const struct push_identity *identities[RIGHTS];
	size_t next;
};

static const struct push_identity *
create_identity(const struct rights *of)
{
	struct push_identity_builder *builder = push_identity_build(&(struct push_identity_facts){
		.user = {"u", 1}, .expires_us = UINT64_MAX, .issued_s = INT64_MIN});
	const struct push_identity *identity;
	struct push_error error;

	for (const char *const *each = of->patterns; *each; each++)
		PUSH_ASSERT(push_identity_grant(builder, PUSH_RIGHT_SUBSCRIBE,
				    (struct push_str){*each, strlen(*each)}, &error) == PUSH_OK);
	identity = push_identity_done(builder);
	PUSH_ASSERT(identity);
	return identity;
}

static bool
grants(const struct rights *of, const struct push_channel *channel)
{
	for (const char *const *name = of->names; *name; name++)
		if (channel->name_size == strlen(*name) && !memcmp(channel->name, *name, channel->name_size))
			return true;
	for (const char *const *prefix = of->prefixes; prefix < of->prefixes + 2 && *prefix; prefix++)
		if (channel->name_size >= strlen(*prefix) && !memcmp(channel->name, *prefix, strlen(*prefix)))
			return true;
	return false;
}

/* A token of the same user, with other rights each time. */
static void
authenticate(void *context, struct push_subscriber *subscriber, const struct push_command *command)
{
	struct guard *guard = context;

	PUSH_ASSERT(command->kind == PUSH_COMMAND_AUTH);
	(void)!push_subscriber_renew(subscriber, guard->identities[++guard->next % RIGHTS], 1000000);
}

static void
check_rights(const struct guard *guard, const struct push_subscriber *subscriber)
{
	const struct push_identity *identity = push_subscriber_identity(subscriber);
	struct subscription item;
	size_t which = 0;

	while (which < RIGHTS && guard->identities[which] != identity)
		which++;
	PUSH_ASSERT(which < RIGHTS);
	for (uint32_t i = 0; subscriber_item(subscriber, i, &item); i++)
		PUSH_ASSERT(grants(&rights[which], item.channel));
}

static struct push_subscriber *
come(struct push_hub *hub, const struct push_options *options, enum push_encoding encoding,
	const struct push_identity *identity)
{
	struct push_subscriber *subscriber = push_subscriber_create(hub, encoding, &transport, NULL);
	struct push_channels channels;
	struct push_error error;

	PUSH_ASSERT(subscriber);
	if (identity)
		PUSH_ASSERT(push_subscriber_identify(subscriber, identity, 1000000) == PUSH_OK);
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

/* Lines are requests; a message follows each. */
static void
run(const char *text, const char *end, struct guard *guard)
{
	const struct push_identity *identity = guard ? guard->identities[0] : NULL;
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
	if (guard)
		push_hub_guard(hub, authenticate, guard);
	ws = come(hub, &options, PUSH_ENCODING_WS, identity);
	sse = come(hub, &options, PUSH_ENCODING_SSE, identity);
	while (text < end) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));
		size_t line = (size_t)((line_end ? line_end : end) - text);

		ask(hub, ws, text, line);
		PUSH_ASSERT(push_hub_deliver(hub, "h:b", 3, "1", 1, 0, 1000000, &count) == PUSH_OK);
		if (guard) {
			check_rights(guard, ws);
			check_rights(guard, sse);
		}
		while (push_hub_flush(hub, 1000000, 16))
			;
		text += line + 1;
	}
	PUSH_ASSERT(stats.subscriptions <= 2 * options.channels_max);
	push_subscriber_destroy(ws);
	push_subscriber_destroy(sse);
	PUSH_ASSERT(!stats.subscriptions && !stats.channels && !stats.outbox_bytes);
	push_hub_destroy(hub);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guard guard = {.next = 0};
	struct push_buf text;
	const char *begin;

	push_buf_init(&text, SIZE_MAX);
	pieces_expand(&text, pieces, sizeof(pieces) / sizeof(pieces[0]), data, size);
	begin = text.bytes ? text.bytes : "";
	run(begin, begin + text.size, NULL);
	for (size_t i = 0; i < RIGHTS; i++)
		guard.identities[i] = create_identity(&rights[i]);
	run(begin, begin + text.size, &guard);
	for (size_t i = 0; i < RIGHTS; i++)
		push_identity_unref(guard.identities[i]);
	push_buf_fini(&text);
	return 0;
}
