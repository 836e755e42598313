/* query.c - see query.h. */
#include <string.h>

#include "core/position.h"
#include "request/query.h"

static int
hex(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = (char)(digit | 0x20);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The byte that is escaped at `p`, or -1. */
static int
escaped(const char *p, const char *end)
{
	int high = end - p >= 3 ? hex(p[1]) : -1, low = high >= 0 ? hex(p[2]) : -1;

	return low >= 0 ? high << 4 | low : -1;
}

static enum push_query_result
append_decoded(struct push_buf *to, struct push_str value)
{
	const char *p = value.bytes, *end = p + value.size;

	while (p < end) {
		const char *plain = p;
		int byte = ' ';
		char decoded;

		while (p < end && *p != '%' && *p != '+')
			p++;
		push_buf_append(to, plain, (size_t)(p - plain));
		if (p == end)
			break;
		if (*p == '%') {
			byte = escaped(p, end);
			if (byte < 0)
				return PUSH_QUERY_BAD;
			p += 2;
		}
		decoded = (char)byte;
		push_buf_append(to, &decoded, 1);
		p++;
	}
	return to->status == PUSH_OK ? PUSH_QUERY_FOUND : PUSH_QUERY_LONG;
}

/* Moves `*rest` past its first argument. */
static bool
next_argument(struct push_str *rest, struct push_str *ret_name, struct push_str *ret_value)
{
	const char *equals;
	size_t size = 0;

	if (!rest->bytes || !rest->size)
		return false;
	while (size < rest->size && rest->bytes[size] != '&' && rest->bytes[size] != ';')
		size++;
	equals = memchr(rest->bytes, '=', size);
	*ret_name = (struct push_str){rest->bytes, equals ? (size_t)(equals - rest->bytes) : size};
	*ret_value = equals ? (struct push_str){equals + 1, size - ret_name->size - 1}
			    : (struct push_str){rest->bytes + size, 0};
	size += size < rest->size;
	rest->bytes += size;
	rest->size -= size;
	return true;
}

enum push_query_result
push_query_check(struct push_str query)
{
	const char *p = query.bytes, *end = p ? p + query.size : NULL;

	while (p && (p = memchr(p, '%', (size_t)(end - p)))) {
		if (escaped(p, end) < 0)
			return PUSH_QUERY_BAD;
		p += 3;
	}
	return PUSH_QUERY_NONE;
}

enum push_query_result
push_query_values(struct push_str query, const char *name, struct push_buf *to)
{
	enum push_query_result result = PUSH_QUERY_NONE;
	size_t name_size = strlen(name);
	struct push_str argument, value;

	while (next_argument(&query, &argument, &value)) {
		if (argument.size != name_size || memcmp(argument.bytes, name, name_size) != 0)
			continue;
		if (result == PUSH_QUERY_FOUND)
			push_buf_append(to, ",", 1);
		result = append_decoded(to, value);
		if (result != PUSH_QUERY_FOUND)
			break;
	}
	return result;
}

enum push_query_result
push_query_last_id(struct push_str query, struct push_buf *to)
{
	enum push_query_result result = PUSH_QUERY_NONE;
	struct push_str argument, value;

	while (next_argument(&query, &argument, &value)) {
		if (!push_position_is_argument(argument.bytes, argument.size))
			continue;
		if (!value.size && result == PUSH_QUERY_FOUND)
			continue;
		push_buf_clear(to);
		result = append_decoded(to, value);
		if (result != PUSH_QUERY_FOUND)
			break;
	}
	return result;
}
