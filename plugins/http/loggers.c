/* loggers.c - see loggers.h. */
#include <ctype.h>
#include <string.h>

#include "core/jsonscan.h"
#include "http/loggers.h"

#define LEVEL_BYTES_MAX 16

static void
append_level(struct push_buf *to, enum push_log_level level)
{
	for (const char *p = push_log_level_text(level); *p; p++)
		push_buf_printf(to, "%c", toupper((unsigned char)*p));
}

static void
append_logger(struct push_buf *to, const struct push_broker_link *link)
{
	enum push_log_level level = link->ops->log_level(link->broker);

	push_buf_append_text(to, "{\"configuredLevel\":\"");
	append_level(to, level);
	push_buf_append_text(to, "\",\"effectiveLevel\":\"");
	append_level(to, level);
	push_buf_append_text(to, "\"}");
}

void
loggers_list(const struct push_page_call *call)
{
	struct push_buf body;

	push_buf_init(&body, PUSH_BUF_LINE_BYTES_MAX);
	push_buf_append_text(&body, "{\"levels\":[");
	for (int i = 0; i < PUSH_LOG_LEVEL_COUNT; i++) {
		push_buf_append_text(&body, i ? ",\"" : "\"");
		append_level(&body, (enum push_log_level)i);
		push_buf_append_text(&body, "\"");
	}
	push_buf_append_text(&body, "],\"loggers\":{\"ROOT\":");
	append_logger(&body, call->pages->link);
	push_buf_append_text(&body, "}}");
	push_page_answer(call, 200, NULL, &body);
}

void
loggers_get(const struct push_page_call *call)
{
	struct push_buf body;

	push_buf_init(&body, PUSH_BUF_LINE_BYTES_MAX);
	append_logger(&body, call->pages->link);
	push_page_answer(call, 200, NULL, &body);
}

/* Of the value as it stands in the body: a string, or null. */
static bool
read_level(const struct push_json_member *member, enum push_log_level configured, enum push_log_level *ret)
{
	char text[LEVEL_BYTES_MAX];

	if (!member->text)
		return false;
	if (member->size == 4 && !memcmp(member->text, "null", 4)) {
		*ret = configured;
		return true;
	}
	if (!push_json_is_string(member) || member->size < 2 || member->size - 2 >= sizeof(text))
		return false;
	memcpy(text, member->text + 1, member->size - 2);
	text[member->size - 2] = '\0';
	return push_log_level_parse(text, ret);
}

void
loggers_post(const struct push_page_call *call)
{
	const struct push_broker_ops *ops = call->pages->link->ops;
	struct push_broker *broker = call->pages->link->broker;
	struct push_json_member member = {.name = "configuredLevel"};
	struct push_error error;
	enum push_log_level level;

	if (push_json_scan_object(call->body.bytes, call->body.size, &member, 1, &error) != PUSH_OK) {
		push_page_refuse(call, 400, error.text);
	} else if (!read_level(&member, ops->log_level_configured(broker), &level)) {
		push_page_refuse(call, 400, "'configuredLevel' must be ERROR, WARN, INFO, DEBUG or null");
	} else {
		ops->set_log_level(broker, level);
		call->answer(call->context, &(struct push_answer){.status = 204});
	}
}
