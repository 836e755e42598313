/* client_publishes.c - see client_publishes.h. */
#include <stdlib.h>
#include <string.h>

#include "client_publishes.h"
#include "core/identified.h"
#include "core/jsonscan.h"
#include "core/limits.h"
#include "core/subscriber.h"
#include "message.h"

struct client_publish {
	struct push_message message; /* first: the two are cast into each other */
	struct push_client_publishes *publishes;
	struct push_list item;              /* in its bucket */
	struct push_subscriber *subscriber; /* NULL: gone */
	size_t size;
	size_t ref_size;
	char ref[PUSH_REF_BYTES_MAX]; /* JSON text, to be echoed */
};

void
push_client_publishes_init(struct push_client_publishes *publishes, struct push_publisher *publisher)
{
	publishes->publisher = publisher;
	publishes->count = 0;
	for (size_t i = 0; i < PUSH_CLIENT_PUBLISHES_BUCKETS; i++)
		push_list_init(&publishes->buckets[i]);
}

/* Subscribers are some 128 bytes each. */
static struct push_list *
bucket(struct push_client_publishes *publishes, const struct push_subscriber *subscriber)
{
	return &publishes->buckets[(uintptr_t)subscriber / 128 % PUSH_CLIENT_PUBLISHES_BUCKETS];
}

static unsigned int
count_of(struct push_client_publishes *publishes, const struct push_subscriber *subscriber)
{
	const struct push_list *list = bucket(publishes, subscriber);
	unsigned int count = 0;

	for (const struct push_list *item = list->next; item != list; item = item->next)
		count += push_container_of(item, struct client_publish, item)->subscriber == subscriber;
	return count;
}

/* A string or a number, and not too long; anything else is not echoed. */
static size_t
read_ref(const struct push_command *command, char ref[PUSH_REF_BYTES_MAX])
{
	struct push_json_member member = {.name = "ref"};
	struct push_error error;

	if (!command->data ||
		push_json_scan_object(command->data, command->data_size, &member, 1, &error) != PUSH_OK ||
		!member.text || member.size > PUSH_REF_BYTES_MAX || !strchr("\"-0123456789", *member.text))
		return 0;
	memcpy(ref, member.text, member.size);
	return member.size;
}

static void
tell(struct client_publish *publish)
{
	const struct push_message *message = &publish->message;
	struct push_buf data;

	if (!publish->subscriber)
		return;
	push_buf_init(&data, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_message_append_answer(message, false, &data);
	if (publish->ref_size && data.size) {
		data.size--; /* the brace */
		push_buf_append_text(&data, ",\"ref\":");
		push_buf_append(&data, publish->ref, publish->ref_size);
		push_buf_append_text(&data, "}");
	}
	if (data.status == PUSH_OK)
		push_subscriber_tell(publish->subscriber, message->status ? "error" : "published", data.bytes,
			data.size, message->publisher->now_us());
	push_buf_fini(&data);
}

static void
on_over(struct push_message *message)
{
	struct client_publish *publish = (struct client_publish *)message;

	if (!message->status)
		message->publisher->stats->published_bytes += publish->size;
	tell(publish);
	push_list_remove(&publish->item);
	publish->publishes->count--;
	if (publish->subscriber && push_subscriber_is_held(publish->subscriber) &&
		count_of(publish->publishes, publish->subscriber) < PUSH_WS_PUBLISHES_MAX)
		push_subscriber_hold(publish->subscriber, false);
	push_message_fini(message);
	free(publish);
}

static void
publish_command(struct client_publish *publish, const struct push_command *command)
{
	struct push_message *message = &publish->message;
	struct push_address address;

	if (message->publisher->limiter && push_limiter_knows_clients(message->publisher->limiter) &&
		push_subscriber_address(publish->subscriber, &address))
		message->address = &address;
	push_message_publish(message, command->data, command->data_size, PUSH_PUBLISH_SENDS_MAX);
}

void
push_client_publish(void *context, struct push_subscriber *subscriber, const struct push_command *command)
{
	static const char no_memory[] = "{\"error\":\"out of memory\"}";
	struct push_client_publishes *publishes = context;
	struct push_publisher *publisher = publishes->publisher;
	struct client_publish *publish = malloc(sizeof(*publish));
	bool is_full = count_of(publishes, subscriber) >= PUSH_WS_PUBLISHES_MAX;

	if (!publish) {
		push_subscriber_tell(
			subscriber, "error", no_memory, sizeof(no_memory) - 1, publisher->now_us());
		return;
	}
	push_message_init(&publish->message, publisher, on_over);
	publish->publishes = publishes;
	publish->subscriber = subscriber;
	publish->message.identity = push_subscriber_identity(subscriber);
	publish->size = command->data_size;
	publish->ref_size = read_ref(command, publish->ref);
	push_list_append(bucket(publishes, subscriber), &publish->item);
	publishes->count++;
	if (is_full) {
		push_subscriber_hold(subscriber, true);
		push_message_fail(&publish->message, 503, "too many publishes without an answer");
		on_over(&publish->message);
	} else if (!command->data) {
		push_message_fail(&publish->message, 400, "'data' is missing");
		on_over(&publish->message);
	} else {
		publish_command(publish, command);
	}
}

void
push_client_publishes_forget(
	struct push_client_publishes *publishes, const struct push_subscriber *subscriber)
{
	struct push_list *list = bucket(publishes, subscriber);

	if (!publishes->count)
		return;
	for (struct push_list *item = list->next; item != list; item = item->next) {
		struct client_publish *publish = push_container_of(item, struct client_publish, item);

		if (publish->subscriber == subscriber)
			publish->subscriber = NULL;
	}
}
