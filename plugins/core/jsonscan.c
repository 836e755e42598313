/* jsonscan.c - see jsonscan.h. */
#include <json-c/json.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "jsonscan.h"
#include "limits.h"
#include "similar_name.h"
#include "utf8.h"

_Static_assert(PUSH_JSON_DEPTH_MAX <= 128, "a bit for each level that is open");

struct cursor {
	const char *p, *end;
	bool spaced; /* white space was skipped */
	bool too_deep;
	bool has_unknown; /* a member of the scanned object that is none of those looked for */
	unsigned int depth;
	uint64_t objects[2]; /* which open levels are objects */
};

static bool
is_space(char byte)
{
	return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static void
skip_space(struct cursor *c)
{
	while (c->p < c->end && is_space(*c->p)) {
		c->spaced = true;
		c->p++;
	}
}

/* A byte order mark in front of JSON is not a part of it (RFC 8259, 8.1); files of some editors begin with one. */
static struct cursor
start_of(const char *text, size_t size)
{
	static const char mark[] = "\xef\xbb\xbf";
	bool has_mark = size >= sizeof(mark) - 1 && !memcmp(text, mark, sizeof(mark) - 1);

	return (struct cursor){.p = text + (has_mark ? sizeof(mark) - 1 : 0), .end = text + size};
}

static bool
take_byte(struct cursor *c, char byte)
{
	if (c->p == c->end || *c->p != byte)
		return false;
	c->p++;
	return true;
}

static bool
is_hex(char byte)
{
	return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f');
}

/* Behind a backslash. */
static bool
take_escape(struct cursor *c)
{
	if (c->p == c->end)
		return false;
	if (*c->p != 'u')
		return *c->p && strchr("\"\\/bfnrt", *c->p) && c->p++;
	c->p++;
	for (int i = 0; i < 4; i++, c->p++)
		if (c->p == c->end || !is_hex(*c->p))
			return false;
	return true;
}

static bool
take_string(struct cursor *c)
{
	if (!take_byte(c, '"'))
		return false;
	while (c->p < c->end) {
		unsigned char byte = (unsigned char)*c->p;

		if (byte < 0x20)
			return false;
		c->p++;
		if (byte == '"')
			return true;
		if (byte == '\\' && !take_escape(c))
			return false;
	}
	return false;
}

static bool
take_digits(struct cursor *c)
{
	const char *start = c->p;

	while (c->p < c->end && *c->p >= '0' && *c->p <= '9')
		c->p++;
	return c->p > start;
}

/* RFC 8259, 6. */
static bool
take_number(struct cursor *c)
{
	(void)take_byte(c, '-');
	if (!take_byte(c, '0') && !take_digits(c))
		return false;
	if (take_byte(c, '.') && !take_digits(c))
		return false;
	if (take_byte(c, 'e') || take_byte(c, 'E')) {
		if (!take_byte(c, '+'))
			(void)take_byte(c, '-');
		return take_digits(c);
	}
	return true;
}

static bool
take_literal(struct cursor *c, const char *literal)
{
	for (; *literal; literal++)
		if (!take_byte(c, *literal))
			return false;
	return true;
}

static bool
take_scalar(struct cursor *c)
{
	if (c->p == c->end)
		return false;
	switch (*c->p) {
	case '"': return take_string(c);
	case 't': return take_literal(c, "true");
	case 'f': return take_literal(c, "false");
	case 'n': return take_literal(c, "null");
	default: return take_number(c);
	}
}

static bool
in_object(const struct cursor *c)
{
	return c->objects[(c->depth - 1) / 64] >> ((c->depth - 1) % 64) & 1;
}

/* Takes an opening bracket; the scanned object itself is the first level. */
static bool
open_level(struct cursor *c)
{
	uint64_t bit = 1ull << (c->depth % 64);

	if (c->depth + 1 >= PUSH_JSON_DEPTH_MAX) {
		c->too_deep = true;
		return false;
	}
	if (*c->p == '{')
		c->objects[c->depth / 64] |= bit;
	else
		c->objects[c->depth / 64] &= ~bit;
	c->depth++;
	c->p++;
	return true;
}

/* In front of a value of an object, its key and colon. */
static bool
take_key(struct cursor *c)
{
	skip_space(c);
	if (!take_string(c))
		return false;
	skip_space(c);
	return take_byte(c, ':');
}

/* Takes the brackets that close here.  Sets *more where another value follows in what is still open. */
static bool
close_levels(struct cursor *c, bool *more)
{
	*more = false;
	while (c->depth) {
		skip_space(c);
		if (take_byte(c, ',')) {
			*more = true;
			return !in_object(c) || take_key(c);
		}
		if (!take_byte(c, in_object(c) ? '}' : ']'))
			return false;
		c->depth--;
	}
	return true;
}

/* One whole value, however deep, without recursion. */
static bool
take_value(struct cursor *c)
{
	bool more = true;

	while (more) {
		skip_space(c);
		if (c->p < c->end && (*c->p == '{' || *c->p == '[')) {
			if (!open_level(c))
				return false;
			skip_space(c);
			if (c->p < c->end && *c->p == (in_object(c) ? '}' : ']')) {
				if (!close_levels(c, &more))
					return false;
				continue;
			}
			if (in_object(c) && !take_key(c))
				return false;
			continue;
		}
		if (!take_scalar(c) || !close_levels(c, &more))
			return false;
	}
	return true;
}

void
push_json_decode_string(struct push_buf *to, const char *text, size_t size)
{
	struct json_tokener *tokener;
	struct json_object *string;

	if (!memchr(text, '\\', size)) {
		push_buf_append(to, text + 1, size - 2);
		return;
	}
	tokener = json_tokener_new();
	string = tokener ? json_tokener_parse_ex(tokener, text, (int)size) : NULL;
	if (string)
		push_buf_append(
			to, json_object_get_string(string), (size_t)json_object_get_string_len(string));
	else
		to->status = PUSH_OUT_OF_MEMORY;
	json_object_put(string);
	if (tokener)
		json_tokener_free(tokener);
}

static int
hex_value(char digit)
{
	return digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}

/* A key may be spelt with escapes; those of names, which are ASCII letters, begin with \\u00.  `key` is a
 * whole string with its quotes. */
static bool
key_is(const char *key, size_t size, const char *name)
{
	const char *p = key + 1, *end = key + size - 1;

	for (; *name && p < end; name++) {
		if (*p != '\\') {
			if (*p++ != *name)
				return false;
			continue;
		}
		if (memcmp(p, "\\u00", 4) != 0 || hex_value(p[4]) * 16 + hex_value(p[5]) != *name)
			return false;
		p += 6;
	}
	return !*name && p == end;
}

static void
note(struct push_json_member *members, size_t count, const char *key, size_t key_size, const char *value,
	struct cursor *c)
{
	for (size_t i = 0; i < count; i++)
		if (key_is(key, key_size, members[i].name)) {
			members[i].text = value;
			members[i].size = (size_t)(c->p - value);
			members[i].is_compact = !c->spaced;
			return;
		}
	c->has_unknown = true;
}

static bool
take_members(struct cursor *c, struct push_json_member *members, size_t count)
{
	skip_space(c);
	if (take_byte(c, '}'))
		return true;
	do {
		const char *key, *value;
		size_t key_size;

		skip_space(c);
		key = c->p;
		if (!take_string(c))
			return false;
		key_size = (size_t)(c->p - key);
		skip_space(c);
		if (!take_byte(c, ':'))
			return false;
		skip_space(c);
		value = c->p;
		c->spaced = false;
		if (!take_value(c))
			return false;
		note(members, count, key, key_size, value, c);
		skip_space(c);
	} while (take_byte(c, ','));
	return take_byte(c, '}');
}

static enum push_status
say(struct push_error *error, const struct cursor *c, const char *text)
{
	if (c->too_deep)
		snprintf(error->text, sizeof(error->text), "not JSON: nested deeper than %d",
			PUSH_JSON_DEPTH_MAX);
	else if (c->p == c->end)
		snprintf(error->text, sizeof(error->text), "not JSON: ends too early");
	else
		snprintf(error->text, sizeof(error->text), "not JSON: unexpected character at byte %zu",
			(size_t)(c->p - text));
	return PUSH_INVALID;
}

static enum push_status
scan_object(const char *text, size_t size, struct push_json_member *members, size_t count, bool *ret_unknown,
	struct push_error *error)
{
	struct cursor c = start_of(text, size);

	if (size > INT_MAX || !push_utf8_is_valid(text, size)) {
		snprintf(error->text, sizeof(error->text), "not JSON: not valid UTF-8");
		return PUSH_INVALID;
	}
	for (size_t i = 0; i < count; i++)
		members[i].text = NULL;
	skip_space(&c);
	if (take_byte(&c, '{')) {
		if (!take_members(&c, members, count))
			return say(error, &c, text);
	} else {
		if (!take_value(&c))
			return say(error, &c, text);
		skip_space(&c);
		if (c.p < c.end)
			return say(error, &c, text);
		snprintf(error->text, sizeof(error->text), "not a JSON object");
		return PUSH_INVALID;
	}
	skip_space(&c);
	*ret_unknown = c.has_unknown;
	return c.p == c.end ? PUSH_OK : say(error, &c, text);
}

enum push_status
push_json_scan_object(const char *text, size_t size, struct push_json_member *members, size_t count,
	struct push_error *error)
{
	bool has_unknown;

	return scan_object(text, size, members, count, &has_unknown, error);
}

/* `key` without its quotes, as it is meant.  Returns false, with a line, where it is one misspelt. */
static bool
check_key(const char *key, size_t size, const struct push_json_member *members, size_t count,
	struct push_error *error)
{
	/* `channel` is one letter from `channels`, and what is like a member that is there is another one */
	for (size_t i = 0; i < count; i++)
		if ((strlen(members[i].name) == size && !memcmp(members[i].name, key, size)) ||
			(members[i].text && push_similar_name_is_slip(key, size, members[i].name)))
			return true;
	for (size_t i = 0; i < count; i++) {
		if (members[i].text || members[i].is_lenient ||
			!push_similar_name_is_slip(key, size, members[i].name))
			continue;
		snprintf(error->text, sizeof(error->text), "unknown member '%.*s'; did you mean '%s'?",
			(int)size, key, members[i].name);
		return false;
	}
	return true;
}

/* The keys of an object that was scanned. */
static enum push_status
check_keys(const char *text, size_t size, const struct push_json_member *members, size_t count,
	struct push_error *error)
{
	struct cursor c = start_of(text, size);
	enum push_status status = PUSH_OK;
	struct push_buf name;

	push_buf_init(&name, size);
	skip_space(&c);
	do {
		const char *key;

		c.p++; /* the brace, or a comma */
		skip_space(&c);
		key = c.p;
		push_buf_clear(&name);
		if (!take_string(&c))
			break;
		push_json_decode_string(&name, key, (size_t)(c.p - key));
		status = name.status;
		if (status == PUSH_OK && name.size &&
			!check_key(name.bytes, name.size, members, count, error))
			status = PUSH_INVALID;
		skip_space(&c);
		c.p++; /* the colon */
		if (!take_value(&c))
			break;
		skip_space(&c);
	} while (status == PUSH_OK && c.p < c.end && *c.p == ',');
	push_buf_fini(&name);
	return status;
}

enum push_status
push_json_scan_request(const char *text, size_t size, struct push_json_member *members, size_t count,
	struct push_error *error)
{
	bool has_unknown = false;
	enum push_status status = scan_object(text, size, members, count, &has_unknown, error);

	return status == PUSH_OK && has_unknown ? check_keys(text, size, members, count, error) : status;
}

struct names {
	struct push_buf bytes; /* one after the other, as they are meant */
	size_t ends[PUSH_JSON_UNIQUE_MEMBERS_MAX];
	size_t count;
};

/* The last one, among those before it. */
static enum push_status
check_last(const struct names *names, struct push_error *error)
{
	size_t last = names->count - 1, start = last ? names->ends[last - 1] : 0, begin = 0;
	size_t size = names->ends[last] - start;
	const char *name = size ? names->bytes.bytes + start : "";

	for (size_t i = 0; i < last; begin = names->ends[i++]) {
		if (names->ends[i] - begin != size ||
			(size && memcmp(names->bytes.bytes + begin, name, size) != 0))
			continue;
		snprintf(error->text, sizeof(error->text), "member '%.*s' comes twice",
			(int)push_utf8_cut(name, size, PUSH_ERROR_QUOTE_BYTES_MAX), name);
		return PUSH_INVALID;
	}
	return PUSH_OK;
}

static enum push_status
add_name(struct names *names, const char *key, size_t size, struct push_error *error)
{
	if (names->count == PUSH_JSON_UNIQUE_MEMBERS_MAX) {
		snprintf(error->text, sizeof(error->text), "more than %d members",
			PUSH_JSON_UNIQUE_MEMBERS_MAX);
		return PUSH_TOO_MANY;
	}
	push_json_decode_string(&names->bytes, key, size);
	if (names->bytes.status != PUSH_OK)
		return names->bytes.status;
	names->ends[names->count++] = names->bytes.size;
	return check_last(names, error);
}

enum push_status
push_json_check_unique(const char *text, size_t size, struct push_error *error)
{
	struct cursor c = start_of(text, size);
	enum push_status status = PUSH_OK;
	struct names names = {.count = 0};

	push_buf_init(&names.bytes, size);
	skip_space(&c);
	do {
		const char *key;

		c.p++; /* the brace, or a comma */
		skip_space(&c);
		key = c.p;
		if (!take_string(&c))
			break;
		status = add_name(&names, key, (size_t)(c.p - key), error);
		skip_space(&c);
		c.p++; /* the colon */
		if (!take_value(&c))
			break;
		skip_space(&c);
	} while (status == PUSH_OK && c.p < c.end && *c.p == ',');
	push_buf_fini(&names.bytes);
	return status;
}

enum push_status
push_json_scan_array(const char *text, size_t size, size_t *ret_count, struct push_error *error)
{
	struct cursor c = start_of(text, size);
	size_t count = 0;

	if (size > INT_MAX || !push_utf8_is_valid(text, size)) {
		snprintf(error->text, sizeof(error->text), "not JSON: not valid UTF-8");
		return PUSH_INVALID;
	}
	skip_space(&c);
	if (!take_byte(&c, '['))
		return say(error, &c, text);
	skip_space(&c);
	if (!take_byte(&c, ']')) {
		do {
			if (!take_value(&c))
				return say(error, &c, text);
			count++;
			skip_space(&c);
		} while (take_byte(&c, ','));
		if (!take_byte(&c, ']'))
			return say(error, &c, text);
	}
	skip_space(&c);
	if (c.p != c.end)
		return say(error, &c, text);
	*ret_count = count;
	return PUSH_OK;
}

bool
push_json_next_element(const char **at, const char *end, const char **ret_text, size_t *ret_size)
{
	struct cursor c = start_of(*at, (size_t)(end - *at));

	skip_space(&c);
	if (!take_byte(&c, '[') && !take_byte(&c, ','))
		return false;
	skip_space(&c);
	*ret_text = c.p;
	if (!take_value(&c))
		return false; /* an empty array's bracket */
	*ret_size = (size_t)(c.p - *ret_text);
	*at = c.p;
	return true;
}

bool
push_json_is_blank(const char *text, size_t size)
{
	struct cursor c = {.p = text, .end = text + size};

	skip_space(&c);
	return c.p == c.end;
}

bool
push_json_is_array_text(const char *text, size_t size)
{
	struct cursor c = start_of(text, size);

	skip_space(&c);
	return c.p < c.end && *c.p == '[';
}

bool
push_json_scan_value(const char *text, size_t size, bool *ret_is_compact)
{
	struct cursor c = {.p = text, .end = text + size};

	if (size > INT_MAX || !push_utf8_is_valid(text, size) || !take_value(&c))
		return false;
	skip_space(&c);
	*ret_is_compact = !c.spaced;
	return c.p == c.end;
}

bool
push_json_is_string(const struct push_json_member *member)
{
	return member->text && *member->text == '"';
}

void
push_json_append_compact(struct push_buf *to, const char *text, size_t size)
{
	struct cursor c = {.p = text, .end = text + size};

	while (c.p < c.end) {
		const char *start;

		skip_space(&c);
		start = c.p;
		while (c.p < c.end && !is_space(*c.p))
			if (*c.p == '"')
				(void)take_string(&c);
			else
				c.p++;
		push_buf_append(to, start, (size_t)(c.p - start));
	}
}
