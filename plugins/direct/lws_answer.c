/* lws_answer.c - see lws_answer.h. */
#include <ctype.h>
#include <string.h>

#include "direct/limits.h"
#include "direct/lws_answer.h"
#include "direct/lws_head.h"

static int
checked(const struct direct_lws_answer *answer)
{
	return answer->lines.status == PUSH_OK ? 0 : HPE_USER;
}

/* What comes in pieces is put together in `lines`. */
static int
on_name(llhttp_t *parser, const char *bytes, size_t size)
{
	struct direct_lws_answer *answer = parser->data;

	if (answer->state == DIRECT_LWS_ANSWER_HEAD) /* else behind a body in chunks (RFC 9110, 6.5.1) */
		push_buf_append(&answer->lines, bytes, size);
	return checked(answer);
}

static int
on_name_end(llhttp_t *parser)
{
	struct direct_lws_answer *answer = parser->data;

	if (answer->state != DIRECT_LWS_ANSWER_HEAD)
		return 0;
	for (size_t i = answer->line_at; i < answer->lines.size; i++)
		answer->lines.bytes[i] = (char)tolower((unsigned char)answer->lines.bytes[i]);
	push_buf_append_text(&answer->lines, ": ");
	return checked(answer);
}

static int
on_value(llhttp_t *parser, const char *bytes, size_t size)
{
	return on_name(parser, bytes, size);
}

static bool
is_dropped(const struct push_buf *lines, size_t at)
{
	const char *line = lines->bytes + at, *colon = memchr(line, ':', lines->size - at);

	return direct_lws_field_is_hop((struct push_str){line, (size_t)(colon - line)});
}

static int
on_value_end(llhttp_t *parser)
{
	struct direct_lws_answer *answer = parser->data;
	struct push_buf *lines = &answer->lines;

	if (answer->state != DIRECT_LWS_ANSWER_HEAD)
		return 0;
	if (is_dropped(lines, answer->line_at)) {
		lines->size = answer->line_at;
		return 0;
	}
	while (lines->bytes[lines->size - 1] == ' ' || lines->bytes[lines->size - 1] == '\t')
		lines->size--;
	if (lines->bytes[lines->size - 1] == ':') /* an empty value */
		push_buf_append_text(lines, " ");
	push_buf_append_text(lines, "\r\n");
	answer->line_at = lines->size;
	return checked(answer);
}

/* Returns 1 if no body follows (llhttp). */
static int
on_head_end(llhttp_t *parser)
{
	struct direct_lws_answer *answer = parser->data;
	unsigned int status = parser->status_code;

	if (status == 101 || parser->http_major != 1)
		return -1;
	if (status < 200) { /* the answer itself follows */
		answer->lines.size = answer->line_at = 0;
		return 0;
	}
	answer->status = status;
	answer->state = DIRECT_LWS_ANSWER_BODY;
	answer->has_body = !answer->answers_head && status != 204 && status != 304;
	return !answer->has_body;
}

static int
on_body(llhttp_t *parser, const char *bytes, size_t size)
{
	struct direct_lws_answer *answer = parser->data;

	push_buf_append(answer->body, bytes, size);
	return answer->body->status == PUSH_OK ? 0 : HPE_USER;
}

static int
on_end(llhttp_t *parser)
{
	struct direct_lws_answer *answer = parser->data;

	if (answer->state == DIRECT_LWS_ANSWER_HEAD)
		return 0;
	answer->state = DIRECT_LWS_ANSWER_WHOLE;
	return HPE_PAUSED; /* nobody has asked for what follows */
}

static const llhttp_settings_t settings = {
	.on_header_field = on_name,
	.on_header_field_complete = on_name_end,
	.on_header_value = on_value,
	.on_header_value_complete = on_value_end,
	.on_headers_complete = on_head_end,
	.on_body = on_body,
	.on_message_complete = on_end,
};

void
direct_lws_answer_init(struct direct_lws_answer *answer, bool answers_head, struct push_buf *body)
{
	memset(answer, 0, sizeof(*answer));
	llhttp_init(&answer->parser, HTTP_RESPONSE, &settings);
	answer->parser.data = answer;
	answer->answers_head = answers_head;
	answer->body = body;
	push_buf_init(&answer->lines, PUSH_HEAD_BYTES_MAX);
}

void
direct_lws_answer_fini(struct direct_lws_answer *answer)
{
	push_buf_reset(&answer->lines);
}

enum direct_lws_answer_state
direct_lws_answer_feed(struct direct_lws_answer *answer, const char *bytes, size_t size)
{
	llhttp_errno_t result =
		size ? llhttp_execute(&answer->parser, bytes, size) : llhttp_finish(&answer->parser);

	if (answer->state == DIRECT_LWS_ANSWER_WHOLE)
		return answer->state;
	if (result != HPE_OK || !size)
		answer->state = DIRECT_LWS_ANSWER_BAD;
	return answer->state;
}
