/* subscription.c - see subscription.h. */
#include <stdio.h>
#include <string.h>

#include "request/limits.h"
#include "request/query.h"
#include "request/subscription.h"

/* A value of the query as a text; NULL: there is none, or an error. */
static const char *
value_of(const struct push_request *request, const char *name, struct push_buf *buf)
{
	push_buf_init(buf, PUSH_HEAD_BYTES_MAX);
	if (push_query_values(request->query, name, buf) != PUSH_QUERY_FOUND)
		return NULL;
	return buf->bytes ? buf->bytes : "";
}

static enum push_status
read_acks(struct push_subscription *subscription, const struct push_request *request,
	const struct push_options *options, struct push_error *error)
{
	struct push_acks_query query = {0};
	struct push_buf acks, client;
	enum push_status status;

	query.acks = value_of(request, "acks", &acks);
	query.acks_size = acks.size;
	query.client = value_of(request, "client", &client);
	query.client_size = client.size;
	status = push_acks_request_read(&subscription->acks, &query, subscription->encoding, options, error);
	push_buf_fini(&acks);
	push_buf_fini(&client);
	return status;
}

/*
 * The header counts more than the query: a browser repeats the query as it was, and puts the newest id into
 * the header (WHATWG HTML, 9.2.4).  An id that is none, or too long, is an id all the same, and is answered
 * with a gap.
 */
static void
read_last_id(struct push_subscription *subscription, const struct push_request *request)
{
	struct push_buf *to = &subscription->last_id;

	if (request->last_event_id.bytes) {
		push_buf_append(to, request->last_event_id.bytes, request->last_event_id.size);
		subscription->has_last_id = true;
	} else {
		subscription->has_last_id =
			push_query_last_id(request->query, to) != PUSH_QUERY_NONE ||
			(request->may_have_been_cut && subscription->encoding == PUSH_ENCODING_SSE);
	}
	if (to->status != PUSH_OK)
		push_buf_reset(to);
}

static enum push_status
read_control(
	struct push_subscription *subscription, const struct push_request *request, struct push_error *error)
{
	static const char yes[] = "true";
	struct push_buf buf;
	const char *value = value_of(request, "control", &buf);

	subscription->with_token = value && buf.size == sizeof(yes) - 1 && !memcmp(value, yes, buf.size);
	if (value && !subscription->with_token)
		snprintf(error->text, sizeof(error->text), "'control' must be 'true'");
	push_buf_fini(&buf);
	return error->text[0] ? PUSH_INVALID : PUSH_OK;
}

static enum push_status
read_channels(struct push_subscription *subscription, const struct push_request *request, bool may_name_none,
	const struct push_options *options, struct push_error *error)
{
	enum push_status status;

	switch (push_query_values(request->query, "channels", &subscription->list)) {
	case PUSH_QUERY_FOUND: break;
	case PUSH_QUERY_NONE:
		if (may_name_none)
			return PUSH_OK;
		snprintf(error->text, sizeof(error->text), PUSH_CHANNELS_MISSING_TEXT);
		return PUSH_INVALID;
	default: return PUSH_OUT_OF_MEMORY; /* it fits into the head, so that it fits into the buffer */
	}
	status = push_channels_parse(&subscription->channels,
		subscription->list.bytes ? subscription->list.bytes : "", subscription->list.size, options,
		error);
	return status == PUSH_OK || status == PUSH_OUT_OF_MEMORY ? status : PUSH_INVALID;
}

enum push_status
push_subscription_read(struct push_subscription *subscription, const struct push_request *request,
	enum push_encoding encoding, bool may_name_none, const struct push_options *options,
	struct push_error *error)
{
	enum push_status status;

	*subscription = (struct push_subscription){.encoding = encoding};
	push_buf_init(&subscription->list, PUSH_HEAD_BYTES_MAX);
	push_buf_init(&subscription->last_id, PUSH_HEAD_BYTES_MAX);
	error->text[0] = '\0';
	if (push_query_check(request->query) == PUSH_QUERY_BAD) {
		snprintf(error->text, sizeof(error->text), "%s", PUSH_QUERY_BAD_TEXT);
		return PUSH_INVALID;
	}
	status = read_channels(subscription, request, may_name_none, options, error);
	if (status != PUSH_OK)
		return status;
	read_last_id(subscription, request);
	status = read_acks(subscription, request, options, error);
	if (status == PUSH_OK && encoding == PUSH_ENCODING_SSE)
		status = read_control(subscription, request, error);
	return status;
}

enum push_status
push_opening_settle(const struct push_opening *opening, const struct push_broker_ops *ops,
	struct push_broker *broker, struct push_subscriber *subscriber)
{
	if (!opening->identity || opening->subscription->refusal.text[0])
		return PUSH_OK;
	return ops->subscriber_open(broker, subscriber, opening->subscription, opening->identity);
}

/* What is wrong is told over a WebSocket, since a browser shows nobody the answer to a handshake. */
void
push_opening_start(const struct push_opening *opening, const struct push_broker_ops *ops,
	struct push_broker *broker, struct push_subscriber *subscriber)
{
	struct push_subscription *subscription = opening->subscription;

	if (subscription->refusal.text[0] && subscription->is_put_off)
		ops->subscriber_put_off(subscriber, subscription->refusal.text);
	else if (subscription->refusal.text[0])
		ops->subscriber_refuse(subscriber, subscription->refusal.text);
	else if (opening->identity)
		ops->subscriber_start(subscriber);
	else
		ops->subscriber_admit(broker, subscriber, subscription, opening->credential, opening->asked);
}
