/* ws_client.c - see ws_client.h. */
#include <stdlib.h>

#include "core/wsreader.h"
#include "direct/ws_client.h"

struct direct_ws_begun {
	struct push_ws_reader reader;
	struct direct_burden burden; /* listed while there is text */
	struct direct_ws_client *client;
	uint8_t *flags; /* of the connection */
};

static enum push_close_reason
reason_of(unsigned int code)
{
	switch (code) {
	case 1003: return PUSH_CLOSE_BINARY;
	case 1007: return PUSH_CLOSE_BAD_DATA;
	case 1009: return PUSH_CLOSE_TOO_LARGE;
	case 1011: return PUSH_CLOSE_FAULT;
	default: return PUSH_CLOSE_PROTOCOL;
	}
}

static void
on_event(struct direct_ws_client *client, uint8_t *flags, const struct push_ws_event *event)
{
	const struct push_broker_ops *ops = client->direct->ops;
	struct push_subscriber *subscriber = client->subscriber;

	switch (event->kind) {
	case PUSH_WS_EVENT_MESSAGE:
		ops->subscriber_receive(subscriber, (const char *)event->bytes, event->size);
		break;
	case PUSH_WS_EVENT_PING: ops->subscriber_pinged(subscriber, event->bytes, event->size); break;
	case PUSH_WS_EVENT_PONG: ops->subscriber_heard(subscriber); break;
	case PUSH_WS_EVENT_CLOSE: ops->subscriber_answer_close(subscriber, event->code); break;
	case PUSH_WS_EVENT_FAULT:
		*flags |= DIRECT_WS_FAILING;
		ops->subscriber_close(subscriber, reason_of(event->code));
		break;
	default: break;
	}
}

void
direct_ws_forget(struct direct_ws_client *client)
{
	if (!client->begun)
		return;
	push_list_remove(&client->begun->burden.link);
	push_ws_reader_fini(&client->begun->reader);
	free(client->begun);
	client->begun = NULL;
}

/* What has come is freed at once, not when the connection has ended: others have begun messages, too. */
static void
relieve(struct direct_burden *burden)
{
	struct direct_ws_begun *begun = push_container_of(burden, struct direct_ws_begun, burden);
	struct direct_ws_client *client = begun->client;

	push_list_remove(&burden->link);
	push_ws_reader_discard(&begun->reader);
	*begun->flags |= DIRECT_WS_RELIEVED;
	client->direct->ops->subscriber_close(client->subscriber, PUSH_CLOSE_MEMORY);
}

/* A reader that has something in hand moves to the heap.  Returns false where there is none. */
static bool
begin(struct direct_ws_client *client, uint8_t *flags, const struct push_ws_reader *reader)
{
	client->begun = malloc(sizeof(*client->begun));
	if (!client->begun)
		return false;
	client->begun->reader = *reader;
	client->begun->burden.relieve = relieve;
	client->begun->client = client;
	client->begun->flags = flags;
	push_list_init(&client->begun->burden.link);
	return true;
}

static bool
keep_reader(struct direct_ws_client *client, uint8_t *flags, struct push_ws_reader *reader)
{
	struct push_direct *direct = client->direct;
	struct direct_burden *burden;

	if (push_ws_reader_is_idle(reader)) {
		direct_ws_forget(client);
		return true;
	}
	if (!client->begun && !begin(client, flags, reader)) {
		push_ws_reader_fini(reader);
		return false;
	}
	burden = &client->begun->burden;
	if (!client->begun->reader.text.size) {
		push_list_remove(&burden->link);
		return true;
	}
	direct_burden_list(direct, burden);
	if (!push_memory_has_room(direct->requests_account->memory, 0))
		relieve(burden);
	return true;
}

bool
direct_ws_read(struct direct_ws_client *client, uint8_t *flags, unsigned char *bytes, size_t size)
{
	struct push_direct *direct = client->direct;
	struct push_ws_reader fresh, *reader = &fresh;
	struct push_ws_event event;

	if (client->begun) {
		reader = &client->begun->reader;
	} else {
		push_ws_reader_init(&fresh, direct->ops->client_message_max(direct->broker));
		push_buf_charge(&fresh.text, direct->requests_account);
		if (*flags & DIRECT_WS_RELIEVED)
			push_ws_reader_discard(&fresh);
	}
	while ((event = push_ws_reader_next(reader, &bytes, &size)).kind != PUSH_WS_EVENT_NONE)
		if (!(*flags & DIRECT_WS_ENDED))
			on_event(client, flags, &event);
	return keep_reader(client, flags, reader);
}
