/* str.c - see str.h. */
#include <ctype.h>
#include <string.h>

#include "str.h"

bool
push_str_is(struct push_str str, const char *lower_case)
{
	size_t i;

	for (i = 0; i < str.size && lower_case[i]; i++)
		if (tolower((unsigned char)str.bytes[i]) != lower_case[i])
			return false;
	return str.bytes && i == str.size && !lower_case[i];
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool
push_str_is_field_name(struct push_str str)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < str.size; i++)
		if (!isalnum((unsigned char)str.bytes[i]) &&
			!memchr(others, str.bytes[i], sizeof(others) - 1))
			return false;
	return str.size > 0;
}

bool
push_str_is_field_value(struct push_str str)
{
	for (size_t i = 0; i < str.size; i++) {
		unsigned char byte = (unsigned char)str.bytes[i];

		if ((byte < ' ' && byte != '\t') || byte == 0x7f)
			return false;
	}
	return true;
}

struct push_str
push_str_trim(struct push_str str)
{
	while (str.size && is_blank(*str.bytes))
		str.bytes++, str.size--;
	while (str.size && is_blank(str.bytes[str.size - 1]))
		str.size--;
	return str;
}

bool
push_str_has_token(struct push_str list, const char *lower_case)
{
	const char *p = list.bytes, *end = p ? p + list.size : NULL;

	while (p && p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma ? comma : end;

		if (push_str_is(push_str_trim((struct push_str){p, (size_t)(stop - p)}), lower_case))
			return true;
		p = comma ? comma + 1 : end;
	}
	return false;
}

struct push_str
push_str_token_after(struct push_str list, const char *prefix)
{
	const char *p = list.bytes, *end = p ? p + list.size : NULL;
	struct push_str found = {NULL, 0};
	size_t size = strlen(prefix);

	while (p && p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma ? comma : end;
		struct push_str token = push_str_trim((struct push_str){p, (size_t)(stop - p)});

		if (token.size >= size && !memcmp(token.bytes, prefix, size)) {
			if (found.bytes)
				return (struct push_str){found.bytes, (size_t)(end - found.bytes)};
			found = (struct push_str){token.bytes + size, token.size - size};
		}
		p = comma ? comma + 1 : end;
	}
	return found;
}

bool
push_str_is_host(struct push_str str)
{
	for (size_t i = 0; i < str.size; i++)
		if (!isalnum((unsigned char)str.bytes[i]) && !memchr("-._~!$&'()*+,;=:[]%", str.bytes[i], 19))
			return false;
	return true;
}
