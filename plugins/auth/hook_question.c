/* hook_question.c - see hook_question.h. */
#include <string.h>

#include "auth/hook_question.h"
#include "core/json.h"
#include "core/utf8.h"

static void
append_latin1(struct push_buf *to, struct push_str text)
{
	push_buf_append_text(to, "\"");
	for (size_t i = 0; i < text.size; i++) {
		unsigned char byte = (unsigned char)text.bytes[i];

		if (byte < 0x80)
			push_json_append_escaped(to, &text.bytes[i], 1);
		else
			push_buf_printf(to, "\\u%04x", byte);
	}
	push_buf_append_text(to, "\"");
}

static void
append_string(struct push_buf *to, struct push_str text)
{
	if (push_utf8_is_valid(text.bytes, text.size))
		push_json_append_string(to, text.bytes, text.size);
	else
		append_latin1(to, text);
}

/* A member with a comma before it, if it is there. */
static void
append_member(struct push_buf *to, const char *name, struct push_str value)
{
	if (!value.bytes)
		return;
	push_buf_printf(to, ",\"%s\":", name);
	append_string(to, value);
}

struct push_str
push_hook_question_header(
	const struct push_hook_question *question, enum push_hook_header header, unsigned int headers)
{
	const struct push_asked *asked = question->asked;

	if (!(headers & 1u << header))
		return (struct push_str){NULL, 0};
	switch (header) {
#define X(name, member, text)                                                                                \
	case PUSH_HOOK_HEADER_##name: return asked->member;
		PUSH_HOOK_HEADER_MAP(X)
#undef X
	default: return (struct push_str){NULL, 0};
	}
}

bool
push_hook_next_channel(struct push_str channels, size_t *at, struct push_str *ret_channel)
{
	const char *comma;

	if (!channels.bytes || *at >= channels.size)
		return false;
	ret_channel->bytes = channels.bytes + *at;
	comma = memchr(ret_channel->bytes, ',', channels.size - *at);
	ret_channel->size = comma ? (size_t)(comma - ret_channel->bytes) : channels.size - *at;
	*at += ret_channel->size + 1;
	return true;
}

void
push_hook_question_write(struct push_buf *to, const struct push_hook_question *question, unsigned int headers)
{
	static const char *const events[] = {
#define X(name, word) word,
		PUSH_HOOK_EVENT_MAP(X)
#undef X
	};
	static const char *const names[] = {
#define X(name, member, text) text,
		PUSH_HOOK_HEADER_MAP(X)
#undef X
	};
	const struct push_asked *asked = question->asked;
	struct push_str channel;
	const char *comma = "";
	size_t at = 0;

	push_buf_printf(to, "{\"event\":\"%s\"", events[question->event]);
	append_member(to, "method", asked->method);
	append_member(to, "path", asked->path);
	append_member(to, "query", asked->query);
	push_buf_append_text(to, ",\"headers\":{");
	for (unsigned int i = 0; i < PUSH_HOOK_HEADER_COUNT; i++) {
		struct push_str value =
			push_hook_question_header(question, (enum push_hook_header)i, headers);

		if (!value.bytes)
			continue;
		push_buf_printf(to, "%s\"%s\":", comma, names[i]);
		append_string(to, value);
		comma = ",";
	}
	push_buf_append_text(to, "}");
	append_member(to, "address", asked->address);
	push_buf_append_text(to, ",\"channels\":[");
	for (comma = ""; push_hook_next_channel(asked->channels, &at, &channel); comma = ",") {
		push_buf_append_text(to, comma);
		append_string(to, channel);
	}
	push_buf_append_text(to, "]");
	append_member(to, "user", question->user);
	push_buf_append_text(to, "}");
}
