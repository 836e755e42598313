/* subscription_request.c - see subscription_request.h. */
#include <stdio.h>

#include "subscriber.h"
#include "subscription_request.h"

static enum push_status
parse(struct push_subscription *subscription, const struct push_options *options, struct push_error *error)
{
	const struct push_buf *list = &subscription->list;
	enum push_status status;

	push_channels_fini(&subscription->channels);
	subscription->channels = (struct push_channels){NULL, 0};
	if (!list->size)
		return PUSH_OK;
	status = push_channels_parse(&subscription->channels, list->bytes, list->size, options, error);
	return status == PUSH_OK || status == PUSH_OUT_OF_MEMORY ? status : PUSH_INVALID;
}

/* The names point into the list, which moves when something is added.  On failure it is as it was: the client
 * may bring another identity. */
static enum push_status
add_channels(struct push_subscription *subscription, struct push_str more, const struct push_options *options,
	struct push_error *error)
{
	struct push_buf *list = &subscription->list;
	size_t size = list->size;
	enum push_status status = PUSH_OUT_OF_MEMORY;

	if (list->size)
		push_buf_append_text(list, ",");
	push_buf_append(list, more.bytes, more.size);
	if (list->status == PUSH_OK)
		status = parse(subscription, options, error);
	if (status == PUSH_OK)
		return PUSH_OK;
	list->size = size;
	list->status = PUSH_OK;
	if (parse(subscription, options, &(struct push_error){""}) != PUSH_OK)
		return PUSH_OUT_OF_MEMORY;
	return status;
}

enum push_status
push_subscription_grant(struct push_subscription *subscription, const struct push_identity *identity,
	const struct push_options *options, struct push_error *error)
{
	struct push_str more = identity ? push_identity_channels(identity) : (struct push_str){NULL, 0};

	for (size_t i = 0; i < subscription->channels.count; i++) {
		const struct push_channel_name *name = &subscription->channels.names[i];
		const struct push_str channel = {name->text, name->size};

		if (push_identity_may(identity, PUSH_RIGHT_SUBSCRIBE, channel))
			continue;
		push_identity_refusal(identity, PUSH_RIGHT_SUBSCRIBE, channel, error);
		return PUSH_REFUSED;
	}
	if (more.size) /* which it may have, whatever its patterns say */
		return add_channels(subscription, more, options, error);
	if (subscription->channels.count)
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), PUSH_CHANNELS_MISSING_TEXT);
	return PUSH_INVALID;
}

enum push_status
push_subscription_apply(const struct push_subscription *subscription, struct push_subscriber *subscriber)
{
	const struct push_buf *id = &subscription->last_id;
	enum push_status status = push_subscriber_subscribe(subscriber, &subscription->channels);

	if (status == PUSH_OK && subscription->has_last_id)
		status = push_subscriber_resume(subscriber, id->bytes && id->size ? id->bytes : "", id->size);
	if (status == PUSH_OK)
		status = push_subscriber_acknowledge(subscriber, &subscription->acks);
	return status;
}

void
push_subscription_fini(struct push_subscription *subscription)
{
	push_channels_fini(&subscription->channels);
	push_buf_fini(&subscription->list);
	push_buf_fini(&subscription->last_id);
}
