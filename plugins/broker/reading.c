/* reading.c - see reading.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/channels.h"
#include "core/history_rules.h"
#include "core/json.h"
#include "core/limits.h"
#include "reading.h"

struct reading {
	push_answer_fn answer;
	void *context;
};

static void
on_read(void *context, enum push_status status, const char *text, size_t size)
{
	struct reading *reading = context;

	switch (status) {
	case PUSH_OK:
		reading->answer(
			reading->context, &(struct push_answer){200, "application/json", text, size, 0});
		break;
	case PUSH_NOT_FOUND:
		push_answer_error(404, "the channel has no history", reading->answer, reading->context);
		break;
	case PUSH_INVALID:
		push_answer_error(400, "'since' must be an id", reading->answer, reading->context);
		break;
	default: push_answer_error(503, push_status_text(status), reading->answer, reading->context); break;
	}
	free(reading);
}

static bool
parse_limit(const struct push_buf *text, unsigned int *ret)
{
	unsigned int value = 0;

	if (!text->size || text->size > 4)
		return false;
	for (size_t i = 0; i < text->size; i++) {
		if (text->bytes[i] < '0' || text->bytes[i] > '9')
			return false;
		value = value * 10 + (unsigned int)(text->bytes[i] - '0');
	}
	*ret = value;
	return value > 0 && value <= PUSH_READ_MESSAGES_MAX;
}

static bool
check(const struct push_publisher *publisher, const struct push_read_request *request,
	struct push_reading *reading, struct push_error *error)
{
	*reading = (struct push_reading){.limit = PUSH_READ_MESSAGES_DEFAULT};
	if (!request->channel) {
		snprintf(error->text, sizeof(error->text), "'channel' query parameter required");
		return false;
	}
	reading->channel = request->channel->bytes ? request->channel->bytes : "";
	reading->channel_size = request->channel->size;
	if (push_channel_name_check(reading->channel, reading->channel_size,
		    publisher->options->channel_name_bytes_max, error) != PUSH_OK)
		return false;
	if (request->since) {
		reading->since = request->since->bytes ? request->since->bytes : "";
		reading->since_size = request->since->size;
	}
	if (request->limit && !parse_limit(request->limit, &reading->limit)) {
		snprintf(error->text, sizeof(error->text), "'limit' must be a number from 1 to %d",
			PUSH_READ_MESSAGES_MAX);
		return false;
	}
	return true;
}

void
push_read(struct push_publisher *publisher, const struct push_read_request *request, push_answer_fn answer,
	void *context)
{
	struct push_engine *engine = publisher->engine;
	struct push_reading arguments;
	struct push_error error;
	struct reading *reading;
	struct push_str channel;

	if (!check(publisher, request, &arguments, &error)) {
		push_answer_error(400, error.text, answer, context);
		return;
	}
	channel = (struct push_str){arguments.channel, arguments.channel_size};
	if (!push_identity_may(request->identity, PUSH_RIGHT_HISTORY, channel)) {
		push_identity_refusal(request->identity, PUSH_RIGHT_HISTORY, channel, &error);
		push_publisher_count_refused(
			publisher, push_identity_refused_as(request->identity), error.text);
		push_answer_error(push_identity_status(request->identity), error.text, answer, context);
		return;
	}
	if (!push_history_is_kept(publisher->options)) {
		push_answer_error(404, "the channel has no history", answer, context);
		return;
	}
	if (!engine->read) {
		push_answer_error(501, "history cannot be read from this broker", answer, context);
		return;
	}
	reading = malloc(sizeof(*reading));
	if (!reading) {
		push_answer_error(503, push_status_text(PUSH_OUT_OF_MEMORY), answer, context);
		return;
	}
	*reading = (struct reading){answer, context};
	engine->read(engine, &arguments, publisher->now_us(), on_read, reading);
}
