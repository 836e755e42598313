/* loggers.c - see loggers.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/jsonscan.h"
#include "core/mediatype.h"
#include "http/loggers.h"
#include "lwsio/find_broker.h"
#include "lwsio/request.h"

/* `{"configuredLevel":"DEBUG"}` with some space around. */
#define BODY_BYTES_MAX   256
#define HEADER_BYTES_MAX 128
#define LEVEL_BYTES_MAX  16

struct loggers_change {
	struct push_broker_link *link;
	bool is_answered; /* what still comes is thrown away */
	size_t length, size;
	char body[BODY_BYTES_MAX];
};

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

static int
answer(struct lws *wsi, struct push_buf *body)
{
	return push_reply_send(wsi, (struct push_response){.status = 200, .no_store = true}, body);
}

static int
refuse(struct lws *wsi, unsigned int status, const char *why)
{
	return push_reply_error(wsi, (struct push_response){.status = status, .closes = true}, why);
}

int
loggers_list(struct lws *wsi, struct push_broker_link *link)
{
	struct push_buf body;

	if (!link)
		return refuse(wsi, 503, push_find_broker_trouble(wsi));
	push_buf_init(&body, PUSH_BUF_LINE_BYTES_MAX);
	push_buf_append_text(&body, "{\"levels\":[");
	for (int i = 0; i < PUSH_LOG_LEVEL_COUNT; i++) {
		push_buf_append_text(&body, i ? ",\"" : "\"");
		append_level(&body, (enum push_log_level)i);
		push_buf_append_text(&body, "\"");
	}
	push_buf_append_text(&body, "],\"loggers\":{\"ROOT\":");
	append_logger(&body, link);
	push_buf_append_text(&body, "}}");
	return answer(wsi, &body);
}

int
loggers_get(struct lws *wsi, struct push_broker_link *link)
{
	struct push_buf body;

	if (!link)
		return refuse(wsi, 503, push_find_broker_trouble(wsi));
	push_buf_init(&body, PUSH_BUF_LINE_BYTES_MAX);
	append_logger(&body, link);
	return answer(wsi, &body);
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

static int
change_level(struct lws *wsi, const struct loggers_change *change)
{
	const struct push_broker_ops *ops = change->link->ops;
	struct push_broker *broker = change->link->broker;
	struct push_json_member member = {.name = "configuredLevel"};
	struct push_error error;
	enum push_log_level level;

	if (!broker)
		return refuse(wsi, 503, push_find_broker_trouble(wsi));
	if (push_json_scan_object(change->body, change->size, &member, 1, &error) != PUSH_OK)
		return refuse(wsi, 400, error.text);
	if (!read_level(&member, ops->log_level_configured(broker), &level))
		return refuse(wsi, 400, "'configuredLevel' must be ERROR, WARN, INFO, DEBUG or null");
	ops->set_log_level(broker, level);
	return push_response_send(wsi, &(struct push_response){.status = 204, .closes = true}, false);
}

/* Of the head.  NULL: a body may come. */
static const char *
find_fault(struct lws *wsi, size_t *ret_length, unsigned int *ret_status)
{
	char text[HEADER_BYTES_MAX];
	size_t digits;

	*ret_status = 411;
	if (lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0 ||
		!push_request_header(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, text, sizeof(text)))
		return "send the body with Content-Length";
	digits = strspn(text, "0123456789");
	*ret_status = 400;
	if (!digits || text[digits])
		return "bad Content-Length";
	*ret_length = strtoul(text, NULL, 10);
	*ret_status = 413;
	if (digits > 6 || *ret_length > BODY_BYTES_MAX)
		return "the body is over 256 bytes";
	/* a page in the operator's browser may send any other type without asking first */
	*ret_status = 415;
	if (!push_request_header(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, text, sizeof(text)) ||
		!push_media_type_is_json(text, strlen(text)))
		return "Content-Type must be application/json";
	return NULL;
}

int
loggers_post(struct lws *wsi, struct push_broker_link *link, struct loggers_change **ret_change)
{
	unsigned int status = 503;
	size_t length = 0;
	const char *fault = link ? find_fault(wsi, &length, &status) : push_find_broker_trouble(wsi);
	struct loggers_change *change;

	if (!fault && !length) {
		status = 400;
		fault = "the body is empty";
	}
	if (fault)
		return refuse(wsi, status, fault);
	change = calloc(1, sizeof(*change));
	if (!change)
		return refuse(wsi, 503, "out of memory");
	change->link = link;
	change->length = length;
	*ret_change = change;
	return 0;
}

int
loggers_body(struct lws *wsi, struct loggers_change *change, const char *bytes, size_t size)
{
	/* lws may bring what is behind the body, too */
	if (size > change->length - change->size)
		size = change->length - change->size;
	memcpy(change->body + change->size, bytes, size);
	change->size += size;
	if (change->is_answered || change->size < change->length)
		return 0;
	change->is_answered = true;
	return change_level(wsi, change);
}

void
loggers_close(struct loggers_change *change)
{
	free(change);
}
