/* resp.c - see resp.h. */
#include <stdio.h>
#include <string.h>

#include "resp.h"

/* "*4294967295\r\n" and "\r\n" */
#define FRAMING_BYTES 32
#define LENGTH_MAX    (1u << 30)

/* A line of digits from `bytes` on.  Returns its length with its end, 0 if it is not whole, -1 if it is none.
 */
static long
take_number(const char *bytes, size_t size, uint64_t *ret)
{
	uint64_t value = 0;
	size_t at = 0;

	for (; at < size && bytes[at] >= '0' && bytes[at] <= '9' && value <= LENGTH_MAX; at++)
		value = value * 10 + (uint64_t)(bytes[at] - '0');
	if (at < size && (!at || bytes[at] != '\r'))
		return -1;
	if (at + 2 > size)
		return 0;
	*ret = value;
	return bytes[at + 1] == '\n' ? (long)at + 2 : -1;
}

/* One reply that is no array; the returns are those of resp_parse(). */
static long
take_simple(const char *bytes, size_t size, char *ret_kind, uint64_t *ret_value, struct resp_text *ret)
{
	const char *end;
	long head;

	if (!size)
		return 0;
	*ret_kind = *bytes;
	switch (*bytes) {
	case '+':
	case '-':
		end = memmem(bytes, size, "\r\n", 2);
		if (!end)
			return 0;
		*ret = (struct resp_text){bytes + 1, (size_t)(end - bytes) - 1};
		return end + 2 - bytes;
	case ':':
	case '$':
		head = take_number(bytes + 1, size - 1, ret_value);
		if (head <= 0)
			return head;
		*ret = (struct resp_text){bytes + 1, (size_t)head - 2};
		if (*bytes == ':')
			return head + 1;
		*ret = (struct resp_text){bytes + 1 + head, *ret_value};
		if (size - 1 - (size_t)head < *ret_value + 2)
			return 0;
		return memcmp(ret->bytes + ret->size, "\r\n", 2) ? -1 : head + 1 + (long)*ret_value + 2;
	default: return -1;
	}
}

long
resp_parse(const char *bytes, size_t size, struct resp *ret_reply)
{
	struct resp reply = {.count = 1};
	uint64_t count = 1;
	size_t used = 0;
	char kind;

	if (size && *bytes == '*') {
		long head = take_number(bytes + 1, size - 1, &count);

		if (head <= 0)
			return head;
		if (count > RESP_PARTS_MAX)
			return -1;
		reply.kind = '*';
		reply.count = count;
		used = (size_t)head + 1;
	}
	for (size_t i = 0; i < count; i++) {
		long taken = take_simple(bytes + used, size - used, &kind, &reply.value, &reply.parts[i]);

		if (taken <= 0)
			return taken;
		if (!reply.kind)
			reply.kind = kind;
		used += (size_t)taken;
	}
	*ret_reply = reply;
	return (long)used;
}

size_t
resp_put(char *to, const struct resp_text *words, size_t count)
{
	char *start = to;

	to += sprintf(to, "*%zu\r\n", count);
	for (size_t i = 0; i < count; i++) {
		to += sprintf(to, "$%zu\r\n", words[i].size);
		memcpy(to, words[i].bytes, words[i].size);
		to += words[i].size;
		*to++ = '\r';
		*to++ = '\n';
	}
	return (size_t)(to - start);
}

size_t
resp_size(const struct resp_text *words, size_t count)
{
	size_t size = FRAMING_BYTES;

	for (size_t i = 0; i < count; i++)
		size += words[i].size + FRAMING_BYTES;
	return size;
}
