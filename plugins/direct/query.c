/* query.c - see query.h. */
#include <string.h>

#include "core/position.h"
#include "direct/query.h"

static int
hex(char digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	digit = (char)(digit | 0x20);
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

static bool
append_decoded(struct push_buf *to, const char *p, const char *end)
{
	while (p < end) {
		const char *plain = p;
		int high, low;
		char byte;

		while (p < end && *p != '%')
			p++;
		push_buf_append(to, plain, (size_t)(p - plain));
		if (p == end)
			break;
		if (end - p < 3)
			return false;
		high = hex(p[1]);
		low = hex(p[2]);
		if (high < 0 || low < 0 || (!high && !low))
			return false;
		byte = (char)(high << 4 | low);
		push_buf_append(to, &byte, 1);
		p += 3;
	}
	return to->status == PUSH_OK;
}

bool
push_query_values(struct push_span query, const char *name, struct push_buf *to)
{
	const char *p = query.bytes, *end = p ? p + query.size : NULL;
	size_t name_size = strlen(name);
	bool found = false;

	if (!p || memchr(p, '+', query.size) || memchr(p, ';', query.size))
		return false;
	for (; p < end; p++) {
		const char *mark = memchr(p, '&', (size_t)(end - p)), *stop = mark ? mark : end;

		if ((size_t)(stop - p) > name_size && !memcmp(p, name, name_size) && p[name_size] == '=') {
			if (found)
				push_buf_append(to, ",", 1);
			found = true;
			if (!append_decoded(to, p + name_size + 1, stop))
				return false;
		}
		p = stop;
	}
	return found;
}

bool
push_query_last_id(struct push_span query, struct push_buf *to)
{
	bool found = false;

	for (const char *p = query.bytes, *end = p ? p + query.size : NULL; p && p < end; p++) {
		const char *mark = memchr(p, '&', (size_t)(end - p)), *stop = mark ? mark : end,
			   *value = memchr(p, '=', (size_t)(stop - p));

		if (value && push_position_is_argument(p, (size_t)(value - p))) {
			found = true;
			if (value + 1 < stop) {
				push_buf_clear(to);
				if (!append_decoded(to, value + 1, stop))
					push_buf_clear(to);
			}
		}
		p = stop;
	}
	return found;
}

/* `*ret` is NULL where there is none.  Returns false where something like it is there and cannot be read. */
static bool
take_value(struct push_span query, const char *name, struct push_buf *buf, const char **ret)
{
	push_buf_init(buf, PUSH_QUERY_BYTES_MAX);
	*ret = NULL;
	if (!push_query_values(query, name, buf))
		return !query.bytes || !memmem(query.bytes, query.size, name, strlen(name));
	*ret = buf->bytes ? buf->bytes : "";
	return true;
}

bool
push_query_acks(struct push_span query, enum push_encoding encoding, const struct push_options *options,
	struct push_acks_request *ret_request)
{
	struct push_acks_query said = {0};
	struct push_buf acks, client;
	struct push_error error = {""};
	bool is_right;

	is_right = take_value(query, "acks", &acks, &said.acks);
	is_right = take_value(query, "client", &client, &said.client) && is_right;
	said.acks_size = acks.size;
	said.client_size = client.size;
	is_right =
		is_right && push_acks_request_read(ret_request, &said, encoding, options, &error) == PUSH_OK;
	push_buf_fini(&acks);
	push_buf_fini(&client);
	return is_right;
}
