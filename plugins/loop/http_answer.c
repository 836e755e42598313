/* http_answer.c - see http_answer.h. */
#include <string.h>
#include <strings.h>

#include "loop/http_answer.h"

/* --- headers --- */

static int
on_name(llhttp_t *parser, const char *bytes, size_t size)
{
	struct push_http_answer *answer = parser->data;
	size_t room = answer->name_size < sizeof(answer->name) ? sizeof(answer->name) - answer->name_size : 0;

	memcpy(answer->name + answer->name_size, bytes, size < room ? size : room);
	answer->name_size += size < room ? size : room;
	return 0;
}

static struct push_http_value *
find_value(struct push_http_answer *answer)
{
	static const struct {
		const char *name;
		size_t offset;
	} rows[] = {
#define X(member, name) {name, offsetof(struct push_http_answer, member)},
		PUSH_HTTP_ANSWER_FIELD_MAP(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strlen(rows[i].name) == answer->name_size &&
			!strncasecmp(rows[i].name, answer->name, answer->name_size))
			return (struct push_http_value *)(void *)((char *)answer + rows[i].offset);
	return NULL;
}

static void
append(struct push_http_value *value, const char *bytes, size_t size)
{
	size_t before = strlen(value->text);

	if (before + size >= sizeof(value->text))
		value->is_long = true;
	if (value->is_long) {
		value->text[0] = '\0';
		return;
	}
	memcpy(value->text + before, bytes, size);
	value->text[before + size] = '\0';
}

static int
on_name_end(llhttp_t *parser)
{
	struct push_http_answer *answer = parser->data;

	/* what follows a body in chunks is no header (RFC 9110, 6.5.1) */
	answer->value = answer->status ? NULL : find_value(answer);
	answer->name_size = 0;
	if (answer->value && answer->value->is_there)
		append(answer->value, ", ", 2);
	if (answer->value)
		answer->value->is_there = true;
	return 0;
}

static int
on_value(llhttp_t *parser, const char *bytes, size_t size)
{
	struct push_http_answer *answer = parser->data;

	if (answer->value)
		append(answer->value, bytes, size);
	return 0;
}

static int
on_value_end(llhttp_t *parser)
{
	struct push_http_answer *answer = parser->data;
	size_t size = answer->value ? strlen(answer->value->text) : 0;

	while (size && (answer->value->text[size - 1] == ' ' || answer->value->text[size - 1] == '\t'))
		answer->value->text[--size] = '\0';
	return 0;
}

static int
on_head_end(llhttp_t *parser)
{
	struct push_http_answer *answer = parser->data;

	answer->status = parser->status_code;
	return 0;
}

/* --- body --- */

static int
on_body(llhttp_t *parser, const char *bytes, size_t size)
{
	struct push_http_answer *answer = parser->data;

	push_buf_append(&answer->body, bytes, size);
	return answer->body.status == PUSH_OK ? 0 : HPE_USER;
}

static void
forget_head(struct push_http_answer *answer)
{
	answer->status = 0;
#define X(member, name) answer->member = (struct push_http_value){.is_there = false};
	PUSH_HTTP_ANSWER_FIELD_MAP(X)
#undef X
}

static int
on_end(llhttp_t *parser)
{
	struct push_http_answer *answer = parser->data;

	if (answer->status < 200) { /* an interim answer (100, 103): the real one follows */
		forget_head(answer);
		return 0;
	}
	answer->is_whole = true;
	answer->is_keepable = llhttp_should_keep_alive(parser);
	return HPE_PAUSED;
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

/* --- all of it --- */

void
push_http_answer_init(struct push_http_answer *answer, size_t body_max)
{
	memset(answer, 0, sizeof(*answer));
	llhttp_init(&answer->parser, HTTP_RESPONSE, &settings);
	answer->parser.data = answer;
	push_buf_init(&answer->body, body_max);
}

void
push_http_answer_fini(struct push_http_answer *answer)
{
	push_buf_fini(&answer->body);
}

bool
push_http_answer_has_begun(const struct push_http_answer *answer)
{
	return answer->taken > 0;
}

static enum push_http_answer_state
state_of(const struct push_http_answer *answer, llhttp_errno_t result, bool is_end)
{
	if (answer->is_whole)
		return answer->parser.http_major == 1 ? PUSH_HTTP_ANSWER_WHOLE : PUSH_HTTP_ANSWER_BAD;
	if (answer->body.status == PUSH_TOO_LARGE)
		return PUSH_HTTP_ANSWER_TOO_LARGE;
	if (answer->body.status != PUSH_OK)
		return PUSH_HTTP_ANSWER_NO_MEMORY;
	/* a chunk of one byte takes six; more than that is extensions and trailers without an end */
	if (result != HPE_OK || is_end ||
		answer->taken > PUSH_HTTP_ANSWER_HEAD_BYTES_MAX + 8 * answer->body.size)
		return PUSH_HTTP_ANSWER_BAD;
	return PUSH_HTTP_ANSWER_PARTIAL;
}

enum push_http_answer_state
push_http_answer_feed(struct push_http_answer *answer, const char *bytes, size_t size)
{
	llhttp_errno_t result;

	if (!size)
		return state_of(answer, llhttp_finish(&answer->parser), true);
	answer->taken += size;
	result = llhttp_execute(&answer->parser, bytes, size);
	/* nobody has asked for what follows */
	if (answer->is_whole && llhttp_get_error_pos(&answer->parser) != bytes + size)
		answer->is_keepable = false;
	return state_of(answer, result, false);
}

unsigned int
push_http_retry_after_s(const char *value)
{
	unsigned int seconds = 0;

	if (!*value)
		return 0;
	for (; *value; value++) {
		if (*value < '0' || *value > '9')
			return 0;
		seconds = seconds * 10 + (unsigned int)(*value - '0');
		if (seconds > PUSH_HTTP_RETRY_AFTER_S_MAX)
			seconds = PUSH_HTTP_RETRY_AFTER_S_MAX;
	}
	return seconds;
}
