/* client_publishes.c - see client_publishes.h. */
#include <stdlib.h>
#include <string.h>

#include "client_publishes.h"
#include "core/identified.h"
#include "core/jsonscan.h"
#include "core/limits.h"
#include "core/subscriber.h"
#include "message.h"
#include "permission.h"

/* What a client sends while the application is asked about a publish of it. */
struct asking {
	struct push_list waiting; /* publishes, the oldest first */
	size_t waiting_bytes;
};

struct client_publish {
	struct push_message message; /* first: the two are cast into each other */
	struct push_client_publishes *publishes;
	struct push_list item;              /* in its bucket */
	struct push_subscriber *subscriber; /* NULL: gone */
	struct asking *asking;              /* it is asked about, or waits; NULL: neither */
	struct push_list wait;              /* in asking->waiting, or alone */
	char *text;                         /* owned, meanwhile; NULL: not kept */
	bool has_identity;                  /* a reference, since it was kept */
	struct push_address address;        /* of the client; message.address points to it, if it is known */
	size_t size;
	size_t ref_size;
	char ref[PUSH_REF_BYTES_MAX]; /* JSON text, to be echoed */
};

void
push_client_publishes_init(struct push_client_publishes *publishes, struct push_publisher *publisher)
{
	publishes->publisher = publisher;
	publishes->count = publishes->asking_count = 0;
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

/* NULL: the application is not asked about this client. */
static struct asking *
find_asking(struct push_client_publishes *publishes, const struct push_subscriber *subscriber)
{
	const struct push_list *list = bucket(publishes, subscriber);

	if (!publishes->asking_count)
		return NULL;
	for (const struct push_list *item = list->next; item != list; item = item->next) {
		const struct client_publish *publish = push_container_of(item, struct client_publish, item);

		if (publish->subscriber == subscriber && publish->asking)
			return publish->asking;
	}
	return NULL;
}

static bool
has_enough(struct push_client_publishes *publishes, const struct push_subscriber *subscriber)
{
	const struct asking *asking = find_asking(publishes, subscriber);

	return count_of(publishes, subscriber) >= PUSH_WS_PUBLISHES_MAX ||
	       (asking && asking->waiting_bytes > PUSH_WS_PUBLISHES_WAITING_BYTES_MAX / 2);
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
		!has_enough(publish->publishes, publish->subscriber))
		push_subscriber_hold(publish->subscriber, false);
	if (publish->has_identity)
		push_identity_unref(message->identity);
	push_message_fini(message);
	free(publish);
}

static void
fail(struct client_publish *publish, unsigned int status, const char *text)
{
	push_message_fail(&publish->message, status, text);
	on_over(&publish->message);
}

/* --- asking first --- */

static struct push_account *
account(const struct push_client_publishes *publishes)
{
	return &publishes->publisher->memory->accounts[PUSH_MEMORY_REQUESTS];
}

/* Until it is its turn.  Returns false if out of memory. */
static bool
keep(struct client_publish *publish, struct asking *asking, const char *text)
{
	publish->text = malloc(publish->size + 1);
	if (!publish->text)
		return false;
	memcpy(publish->text, text, publish->size);
	push_account_add(account(publish->publishes), publish->size);
	publish->asking = asking;
	/* the client may be gone by then, or show another token */
	(void)push_identity_ref(publish->message.identity);
	publish->has_identity = true;
	return true;
}

/* It is its turn: the caller frees the text. */
static char *
take_text(struct client_publish *publish)
{
	char *text = publish->text;

	push_account_take(account(publish->publishes), publish->size);
	publish->text = NULL;
	publish->asking = NULL;
	return text;
}

static void
on_permission(struct push_permission *permission);

/* Returns the question that it waits for; NULL: it is published, or has failed, and may be gone. */
static struct push_permission *
publish_or_ask(struct client_publish *publish, const char *text)
{
	struct push_message *message = &publish->message;
	struct push_permission_query query = {.identity = message->identity, .address = message->address};
	const struct push_str whole = {text, publish->size};
	struct push_permission *permission;

	if (push_message_publish(message, text, publish->size, PUSH_PUBLISH_SENDS_MAX))
		return NULL;
	permission = push_permission_ask_about(message, whole, &query, on_permission, publish);
	if (permission && !permission->is_answered)
		return permission;
	push_permission_publish(permission, message, whole);
	return NULL;
}

/* What waited, up to the next one that there is a question about. */
static void
publish_waiting(struct push_client_publishes *publishes, struct asking *asking)
{
	while (!push_list_is_empty(&asking->waiting)) {
		struct client_publish *publish =
			push_container_of(asking->waiting.next, struct client_publish, wait);
		struct push_permission *permission;
		char *text = take_text(publish);

		push_list_remove(&publish->wait);
		asking->waiting_bytes -= publish->size;
		permission = publish_or_ask(publish, text);
		if (permission) {
			publish->text = text;
			publish->asking = asking;
			push_account_add(account(publishes), publish->size);
			return;
		}
		free(text);
	}
	publishes->asking_count--;
	free(asking);
}

static void
on_permission(struct push_permission *permission)
{
	struct client_publish *publish = permission->context;
	struct push_client_publishes *publishes = publish->publishes;
	struct asking *asking = publish->asking;
	char *text = take_text(publish);

	push_permission_publish(permission, &publish->message, (struct push_str){text, publish->size});
	free(text);
	publish_waiting(publishes, asking);
}

/* From here on what the client publishes waits.  Returns false if out of memory. */
static bool
begin_asking(struct client_publish *publish, const char *text)
{
	struct asking *asking = malloc(sizeof(*asking));

	if (!asking || !keep(publish, asking, text)) {
		free(asking);
		return false;
	}
	push_list_init(&asking->waiting);
	asking->waiting_bytes = 0;
	publish->publishes->asking_count++;
	return true;
}

/* Behind others.  One waits however long it is. */
static void
wait_for_turn(struct client_publish *publish, struct asking *asking, const char *text)
{
	if (!push_list_is_empty(&asking->waiting) &&
		asking->waiting_bytes + publish->size > PUSH_WS_PUBLISHES_WAITING_BYTES_MAX) {
		fail(publish, 503, "too many publishes without an answer");
		return;
	}
	if (!keep(publish, asking, text)) {
		fail(publish, 503, push_status_text(PUSH_OUT_OF_MEMORY));
		return;
	}
	push_list_append(&asking->waiting, &publish->wait);
	asking->waiting_bytes += publish->size;
	if (has_enough(publish->publishes, publish->subscriber))
		push_subscriber_hold(publish->subscriber, true);
}

/* --- commands --- */

static void
publish_text(struct client_publish *publish, const char *text)
{
	struct push_message *message = &publish->message;
	struct asking *asking = find_asking(publish->publishes, publish->subscriber);
	struct push_permission *permission;

	if (message->publisher->limiter && push_limiter_knows_clients(message->publisher->limiter) &&
		push_subscriber_address(publish->subscriber, &publish->address))
		message->address = &publish->address;
	if (asking) {
		wait_for_turn(publish, asking, text);
		return;
	}
	permission = publish_or_ask(publish, text);
	if (!permission || begin_asking(publish, text))
		return;
	push_permission_give_up(permission, push_status_text(PUSH_OUT_OF_MEMORY));
	push_permission_publish(permission, &publish->message, (struct push_str){text, publish->size});
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
	publish->asking = NULL;
	publish->text = NULL;
	publish->has_identity = false;
	push_list_init(&publish->wait);
	publish->message.identity = push_subscriber_identity(subscriber);
	publish->size = command->data_size;
	publish->ref_size = read_ref(command, publish->ref);
	push_list_append(bucket(publishes, subscriber), &publish->item);
	publishes->count++;
	if (is_full) {
		push_subscriber_hold(subscriber, true);
		fail(publish, 503, "too many publishes without an answer");
	} else if (!command->data) {
		fail(publish, 400, "'data' is missing");
	} else {
		publish_text(publish, command->data);
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
