/* question.c - see question.h. */
#include <string.h>

#include "channels.h"
#include "hub_private.h"
#include "identified.h"
#include "jsonscan.h"
#include "limits.h"
#include "live.h"
#include "question.h"

void
push_hub_ask(struct push_hub *hub, const struct push_hub_asker *asker)
{
	PUSH_ASSERT(hub->authenticate && !hub->asker.ask);
	hub->asker = *asker;
}

static bool
is_to_be_asked(const struct push_subscriber *subscriber, struct push_str name)
{
	const struct push_hub *hub = subscriber->hub;
	struct push_error error;

	return push_channel_name_check(name.bytes, name.size, hub->options->channel_name_bytes_max, &error) ==
		       PUSH_OK &&
	       !push_identity_may(push_subscriber_identity(subscriber), PUSH_RIGHT_SUBSCRIBE, name) &&
	       live_place_of(subscriber, name.bytes, name.size) == subscriber->subscription_count;
}

bool
question_collect(const struct push_subscriber *subscriber, struct push_str names, struct push_buf *channels)
{
	const struct push_hub_asker *asker = &subscriber->hub->asker;
	const char *at = names.bytes, *text;
	struct push_buf name;
	size_t size;

	if (!asker->ask || !names.size || *at != '[' ||
		!asker->asks(asker->context, push_subscriber_identity(subscriber)))
		return false;
	push_buf_init(&name, names.size);
	while (push_json_next_element(&at, names.bytes + names.size, &text, &size)) {
		if (*text != '"')
			break; /* it will be refused as a whole */
		if (size == 2)
			continue; /* an empty one has no bytes */
		push_buf_clear(&name);
		push_json_decode_string(&name, text, size);
		if (name.status != PUSH_OK ||
			!is_to_be_asked(subscriber, (struct push_str){name.bytes, name.size}))
			continue;
		if (channels->size)
			push_buf_append_text(channels, ",");
		push_buf_append(channels, name.bytes, name.size);
	}
	if (name.status != PUSH_OK)
		channels->status = name.status;
	push_buf_fini(&name);
	return channels->size || channels->status != PUSH_OK;
}
