/* describe.c - see describe.h. */
#include <inttypes.h>
#include <string.h>

#include "describe.h"
#include "hub_private.h"
#include "json.h"
#include "limits.h"

void
push_hub_observe(struct push_hub *hub, const struct push_hub_observer *observer)
{
	hub->observer = observer;
}

void
push_hub_count_refused(struct push_hub *hub, enum push_auth_refusal why, const char *text)
{
	const struct push_hub_observer *observer = hub->observer;

	hub->stats->auth_refused[why]++;
	if (observer && observer->refused)
		observer->refused(observer->context, text);
}

void
push_describe_client(const struct push_subscriber *subscriber, struct push_buf *to)
{
	const struct push_transport *transport = subscriber->transport;
	char peer[PUSH_PEER_BYTES_MAX];

	push_buf_printf(
		to, "\"transport\":\"%s\"", push_encoding_label((enum push_encoding)subscriber->encoding));
	if (!transport->peer || !transport->peer(subscriber->connection, peer, sizeof(peer)))
		return;
	push_buf_append_text(to, ",\"peer\":");
	push_json_append_string(to, peer, strlen(peer));
}

void
push_describe_channels(const struct push_subscriber *subscriber, struct push_buf *to)
{
	size_t before = to->size, kept = 0;
	struct subscription item;

	push_buf_append_text(to, "\"channels\":[");
	for (uint32_t i = 0; subscriber_item(subscriber, i, &item); i++) {
		const struct push_channel *channel = item.channel;

		kept = to->size;
		if (i > 0)
			push_buf_append_text(to, ",");
		push_json_append_string(to, channel->name, channel->name_size);
		if (to->size - before > PUSH_LOG_NAMES_BYTES_MAX) {
			to->size = kept;
			break;
		}
	}
	push_buf_printf(to, "],\"channel_count\":%" PRIu32, subscriber->subscription_count);
}

void
push_describe_reason(const struct push_subscriber *subscriber, struct push_buf *to)
{
	push_buf_printf(
		to, "\"reason\":\"%s\"", push_close_reason_label((enum push_close_reason)subscriber->reason));
}
