/* pattern.c - see pattern.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "channels.h"
#include "pattern.h"
#include "utf8.h"

/* Wildcards in compiled patterns: control characters, of which no name has any. */
enum {
	ANY_BUT_COLON = 1,
	ANY = 2,
	UNRESERVED = 3 /* RFC 3986, 2.3, and percent-encoded bytes */
};

static const char user_mark[] = "{sub}";

enum push_status
push_pattern_check(struct push_str pattern, struct push_error *error)
{
	struct push_error of_name;
	enum push_status status =
		push_channel_name_check(pattern.bytes, pattern.size, PUSH_PATTERN_BYTES_MAX, &of_name);

	/* what is wrong with it is what would be wrong with a name */
	if (status != PUSH_OK)
		snprintf(error->text, sizeof(error->text), "bad pattern%s",
			of_name.text + strlen("bad channel name"));
	return status;
}

/* Whether it may be part of a name: nothing in it can be taken for a wildcard. */
static bool
is_plain(struct push_str text)
{
	for (size_t i = 0; i < text.size; i++)
		if (iscntrl((unsigned char)text.bytes[i]))
			return false;
	return push_utf8_is_valid(text.bytes, text.size);
}

static bool
begins_with_user_mark(struct push_str text)
{
	return text.size >= sizeof(user_mark) - 1 && !memcmp(text.bytes, user_mark, sizeof(user_mark) - 1);
}

static bool
needs_user(struct push_str pattern)
{
	return memmem(pattern.bytes, pattern.size, user_mark, sizeof(user_mark) - 1) != NULL;
}

static void
append_wildcard(struct push_buf *to, char wildcard)
{
	push_buf_append(to, &wildcard, 1);
}

static struct push_str
skip(struct push_str text, size_t size)
{
	return (struct push_str){text.bytes + size, text.size - size};
}

bool
push_pattern_compile(struct push_buf *to, struct push_str pattern, struct push_str user)
{
	if (needs_user(pattern) && (!user.size || !is_plain(user)))
		return false;
	while (pattern.size) {
		if (begins_with_user_mark(pattern)) {
			push_buf_append(to, user.bytes, user.size);
			pattern = skip(pattern, sizeof(user_mark) - 1);
		} else if (*pattern.bytes != '*') {
			push_buf_append(to, pattern.bytes, 1);
			pattern = skip(pattern, 1);
		} else if (pattern.size > 1 && pattern.bytes[1] == '*') {
			append_wildcard(to, ANY);
			pattern = skip(pattern, 2);
		} else {
			append_wildcard(to, ANY_BUT_COLON);
			pattern = skip(pattern, 1);
		}
	}
	return true;
}

/* The size of the `{name}` that a selector begins with (RFC 6570, 2.3); 0 where it begins with none. */
static size_t
expression_size(struct push_str selector)
{
	size_t i = 1;

	while (i < selector.size && (isalnum((unsigned char)selector.bytes[i]) || selector.bytes[i] == '_' ||
					    selector.bytes[i] == '.'))
		i++;
	return i > 1 && i < selector.size && selector.bytes[i] == '}' ? i + 1 : 0;
}

static bool
is_template(struct push_str selector)
{
	while (selector.size) {
		size_t size = *selector.bytes == '{' ? expression_size(selector) : *selector.bytes != '}';

		if (!size)
			return false;
		selector = skip(selector, size);
	}
	return true;
}

void
push_pattern_compile_template(struct push_buf *to, struct push_str selector)
{
	if (selector.size == 1 && *selector.bytes == '*') {
		append_wildcard(to, ANY);
		return;
	}
	if (!is_template(selector)) {
		push_pattern_compile_name(to, selector);
		return;
	}
	while (selector.size) {
		if (*selector.bytes == '{') {
			append_wildcard(to, UNRESERVED);
			selector = skip(selector, expression_size(selector));
		} else {
			push_buf_append(to, selector.bytes, 1);
			selector = skip(selector, 1);
		}
	}
}

void
push_pattern_compile_name(struct push_buf *to, struct push_str name)
{
	push_buf_append(to, name.bytes, name.size);
}

static bool
is_wildcard(char c)
{
	return c == ANY_BUT_COLON || c == ANY || c == UNRESERVED;
}

static bool
is_unreserved(char c)
{
	return (isascii((unsigned char)c) && isalnum((unsigned char)c)) || (c && strchr("-._~", c));
}

/* reached[i]: the pattern up to here can stand for the first i bytes of the name.  Whether what `wildcard`
 * stands for may go on to `end`. */
static bool
may_go_on(const bool *reached, struct push_str name, size_t end, char wildcard)
{
	const char *p = name.bytes + end;

	if (wildcard == ANY)
		return reached[end - 1];
	if (wildcard == ANY_BUT_COLON)
		return reached[end - 1] && p[-1] != ':';
	if (reached[end - 1] && is_unreserved(p[-1]))
		return true;
	return end >= 3 && reached[end - 3] && p[-3] == '%' && isxdigit((unsigned char)p[-2]) &&
	       isxdigit((unsigned char)p[-1]);
}

/* Returns whether there is any way left. */
static bool
step(bool *reached, size_t *from, struct push_str name, char byte)
{
	bool is_any = false;

	for (size_t i = name.size; i > *from; i--) {
		reached[i] = reached[i - 1] && name.bytes[i - 1] == byte;
		is_any |= reached[i];
	}
	reached[(*from)++] = false;
	return is_any;
}

/* What lies between the first and the last wildcard, both included. */
static bool
matches_middle(struct push_str pattern, struct push_str name)
{
	bool reached[PUSH_QUERY_BYTES_MAX + 1];
	size_t from = 0;

	memset(reached, 0, name.size + 1);
	reached[0] = true;
	for (size_t i = 0; i < pattern.size; i++) {
		while (!reached[from])
			from++;
		if (is_wildcard(pattern.bytes[i]))
			for (size_t end = from + 1; end <= name.size; end++)
				reached[end] =
					reached[end] || may_go_on(reached, name, end, pattern.bytes[i]);
		else if (!step(reached, &from, name, pattern.bytes[i]))
			return false;
	}
	return reached[name.size];
}

static bool
is_run_without_colon(struct push_str name)
{
	return !name.size || !memchr(name.bytes, ':', name.size);
}

bool
push_pattern_matches(struct push_str compiled, struct push_str channel)
{
	if (channel.size > PUSH_QUERY_BYTES_MAX)
		return false;
	while (compiled.size && !is_wildcard(*compiled.bytes)) {
		if (!channel.size || *channel.bytes != *compiled.bytes)
			return false;
		compiled = skip(compiled, 1);
		channel = skip(channel, 1);
	}
	if (!compiled.size)
		return !channel.size;
	while (!is_wildcard(compiled.bytes[compiled.size - 1])) {
		if (!channel.size || channel.bytes[channel.size - 1] != compiled.bytes[compiled.size - 1])
			return false;
		compiled.size--;
		channel.size--;
	}
	if (compiled.size == 1 && *compiled.bytes == ANY)
		return true;
	if (compiled.size == 1 && *compiled.bytes == ANY_BUT_COLON)
		return is_run_without_colon(channel);
	return matches_middle(compiled, channel);
}
