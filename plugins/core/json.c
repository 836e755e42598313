/* json.c - see json.h. */
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "channels.h"
#include "json.h"
#include "limits.h"
#include "push_assert.h"
#include "utf8.h"

/* A place in text that json-c has found to be a whole document. */
struct cursor {
	const char *p, *end;
};

static enum push_status
invalid(struct push_error *error, const char *what)
{
	snprintf(error->text, sizeof(error->text), "%s", what);
	return PUSH_INVALID;
}

/*
 * The lexer: every function consumes one thing at the cursor, appends it to `out` if that is not NULL, and
 * returns false where the text is no JSON.  It is safe on any bytes, also on what json-c has not seen.
 */

static void
skip_space(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
		c->p++;
}

static bool
emit(struct cursor *c, const char *end, struct push_buf *out)
{
	if (out)
		push_buf_append(out, c->p, (size_t)(end - c->p));
	c->p = end;
	return true;
}

static bool
take_string(struct cursor *c, struct push_buf *out)
{
	const char *p = c->p;

	if (p == c->end || *p != '"')
		return false;
	for (p++; p < c->end && *p != '"'; p++) {
		if ((unsigned char)*p < 0x20)
			return false;
		if (*p == '\\' && ++p == c->end)
			return false;
	}
	return p < c->end && emit(c, p + 1, out);
}

static bool
skip_digits(const char **p, const char *end)
{
	const char *start = *p;

	while (*p < end && **p >= '0' && **p <= '9')
		(*p)++;
	return *p > start;
}

/* RFC 8259, 6. */
static bool
take_number(struct cursor *c, struct push_buf *out)
{
	const char *p = c->p;

	if (p < c->end && *p == '-')
		p++;
	if (p < c->end && *p == '0')
		p++;
	else if (!skip_digits(&p, c->end))
		return false;
	if (p < c->end && *p == '.') {
		p++;
		if (!skip_digits(&p, c->end))
			return false;
	}
	if (p < c->end && (*p == 'e' || *p == 'E')) {
		p++;
		if (p < c->end && (*p == '+' || *p == '-'))
			p++;
		if (!skip_digits(&p, c->end))
			return false;
	}
	return emit(c, p, out);
}

static bool
take_literal(struct cursor *c, const char *literal, struct push_buf *out)
{
	size_t size = strlen(literal);

	return (size_t)(c->end - c->p) >= size && !memcmp(c->p, literal, size) && emit(c, c->p + size, out);
}

/* One token that is no bracket: a scalar or punctuation. */
static bool
take_flat(struct cursor *c, struct push_buf *out)
{
	switch (*c->p) {
	case '"': return take_string(c, out);
	case 't': return take_literal(c, "true", out);
	case 'f': return take_literal(c, "false", out);
	case 'n': return take_literal(c, "null", out);
	case ',':
	case ':': return emit(c, c->p + 1, out);
	default: return take_number(c, out);
	}
}

/* One whole value, however deep; json-c has checked the order of its tokens. */
static bool
take_value(struct cursor *c, struct push_buf *out)
{
	int depth = 0;

	do {
		skip_space(c);
		if (c->p == c->end)
			return false;
		if (*c->p == '{' || *c->p == '[') {
			depth++;
			emit(c, c->p + 1, out);
		} else if (*c->p == '}' || *c->p == ']') {
			depth--;
			emit(c, c->p + 1, out);
		} else if (!take_flat(c, out)) {
			return false;
		}
	} while (depth > 0);
	return depth == 0;
}

/* Whether the key at [start, end), with its quotes, means `name`: it may be spelt with escapes. */
static bool
key_is(const char *start, const char *end, const char *name)
{
	size_t size = (size_t)(end - start);
	struct json_tokener *tokener;
	struct json_object *key;
	bool same;

	if (!memchr(start, '\\', size))
		return size == strlen(name) + 2 && !memcmp(start + 1, name, size - 2);

	tokener = json_tokener_new();
	if (!tokener)
		return false;
	key = json_tokener_parse_ex(tokener, start, (int)size);
	same = key && json_object_is_type(key, json_type_string) &&
	       !strcmp(json_object_get_string(key), name);
	json_object_put(key);
	json_tokener_free(tokener);
	return same;
}

/* Goes over the whole object once; the value of the last member `name` ends up in `out`, if that is asked
 * for. */
static bool
copy_member(const char *text, size_t size, const char *name, struct push_buf *out)
{
	struct cursor c = {text, text + size};

	skip_space(&c);
	if (c.p == c.end || *c.p++ != '{')
		return false;
	for (;;) {
		const char *key;
		bool wanted;

		skip_space(&c);
		if (c.p < c.end && *c.p == '}')
			break;
		key = c.p;
		if (!take_string(&c, NULL))
			return false;
		wanted = out && key_is(key, c.p, name);
		if (wanted)
			push_buf_clear(out);
		skip_space(&c);
		if (c.p == c.end || *c.p++ != ':' || !take_value(&c, wanted ? out : NULL))
			return false;
		skip_space(&c);
		if (c.p < c.end && *c.p == ',')
			c.p++;
	}
	c.p++;
	skip_space(&c);
	return c.p == c.end;
}

/*
 * A whole JSON object, or NULL with what is wrong.
 *
 * UTF-8 is checked here: json-c lets surrogates pass.  A NUL byte ends json-c's reading; the lexer, which
 * goes to the end, finds what follows.
 */
static struct json_object *
parse_object(const char *text, size_t size, struct push_error *error)
{
	struct json_tokener *tokener;
	struct json_object *tree;
	enum json_tokener_error result;

	if (size > INT_MAX || !push_utf8_is_valid(text, size)) {
		(void)invalid(error, "not JSON: not valid UTF-8");
		return NULL;
	}
	tokener = json_tokener_new_ex(PUSH_JSON_DEPTH_MAX + 1);
	if (!tokener) {
		(void)invalid(error, "out of memory");
		return NULL;
	}
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	tree = json_tokener_parse_ex(tokener, text, (int)size);
	result = json_tokener_get_error(tokener);
	json_tokener_free(tokener);

	if (result == json_tokener_error_depth)
		snprintf(error->text, sizeof(error->text), "not JSON: nested deeper than %d",
			PUSH_JSON_DEPTH_MAX);
	else if (result == json_tokener_continue)
		(void)invalid(error, "not JSON: ends too early");
	else if (result != json_tokener_success)
		snprintf(error->text, sizeof(error->text), "not JSON: %s", json_tokener_error_desc(result));
	else if (!json_object_is_type(tree, json_type_object))
		(void)invalid(error, "not a JSON object");
	else
		return tree;

	json_object_put(tree);
	return NULL;
}

static enum push_status
read_channel(
	struct push_publication *publication, const struct push_options *options, struct push_error *error)
{
	struct json_object *channel;

	if (!json_object_object_get_ex(publication->tree, "channel", &channel))
		return invalid(error, "'channel' is missing");
	if (!json_object_is_type(channel, json_type_string))
		return invalid(error, "'channel' must be a string");
	publication->channel = json_object_get_string(channel);
	publication->channel_size = (size_t)json_object_get_string_len(channel);
	return push_channel_name_check(
		publication->channel, publication->channel_size, options->channel_name_bytes_max, error);
}

static enum push_status
read_value(struct push_publication *publication, const char *body, size_t size, struct push_error *error)
{
	if (!copy_member(body, size, "message", &publication->value))
		return invalid(error, "not JSON: a token that RFC 8259 does not know");
	if (publication->value.status != PUSH_OK)
		return publication->value.status;
	if (!json_object_object_get_ex(publication->tree, "message", NULL))
		return invalid(error, "'message' is missing");
	PUSH_ASSERT(publication->value.size > 0);
	return PUSH_OK;
}

enum push_status
push_publication_parse(struct push_publication *ret_publication, const char *body, size_t size,
	const struct push_options *options, struct push_error *error)
{
	struct push_publication publication = {0};
	enum push_status status;

	publication.tree = parse_object(body, size, error);
	if (!publication.tree)
		return PUSH_INVALID;

	/* the text of a value is never longer than the body that it is part of */
	push_buf_init(&publication.value, size);
	status = read_value(&publication, body, size, error);
	if (status == PUSH_OK)
		status = read_channel(&publication, options, error);
	if (status != PUSH_OK) {
		push_publication_fini(&publication);
		return status;
	}
	*ret_publication = publication;
	return PUSH_OK;
}

void
push_publication_fini(struct push_publication *publication)
{
	json_object_put(publication->tree);
	push_buf_fini(&publication->value);
}

enum push_status
push_command_parse(enum push_command *ret_command, const char *text, size_t size, struct push_error *error)
{
	struct json_object *tree = parse_object(text, size, error), *event;
	const char *name = "";

	if (!tree)
		return PUSH_INVALID;
	if (!copy_member(text, size, NULL, NULL)) {
		json_object_put(tree);
		return invalid(error, "not JSON: a token that RFC 8259 does not know");
	}
	if (json_object_object_get_ex(tree, "event", &event) && json_object_is_type(event, json_type_string))
		name = json_object_get_string(event);
	*ret_command = !strcmp(name, "ping")   ? PUSH_COMMAND_PING
		       : !strcmp(name, "pong") ? PUSH_COMMAND_PONG
					       : PUSH_COMMAND_UNKNOWN;
	json_object_put(tree);
	return PUSH_OK;
}

static void
append_escaped(struct push_buf *buf, unsigned char byte)
{
	static const char short_forms[] = {['\b'] = 'b',
		['\t'] = 't',
		['\n'] = 'n',
		['\f'] = 'f',
		['\r'] = 'r',
		['"'] = '"',
		['\\'] = '\\'};

	if (short_forms[byte])
		push_buf_printf(buf, "\\%c", short_forms[byte]);
	else
		push_buf_printf(buf, "\\u%04x", byte);
}

void
push_json_append_string(struct push_buf *buf, const char *text, size_t size)
{
	size_t start = 0;

	push_buf_append(buf, "\"", 1);
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte >= 0x20 && byte != '"' && byte != '\\')
			continue;
		push_buf_append(buf, text + start, i - start);
		append_escaped(buf, byte);
		start = i + 1;
	}
	push_buf_append(buf, text + start, size - start);
	push_buf_append(buf, "\"", 1);
}

void
push_json_append_error(struct push_buf *buf, const char *text)
{
	push_buf_append_text(buf, "{\"error\":");
	push_json_append_string(buf, text, strlen(text));
	push_buf_append_text(buf, "}");
}
