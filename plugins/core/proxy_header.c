/* proxy_header.c - see proxy_header.h. */
#include <string.h>

#include "proxy_header.h"

#define V1_BYTES_MAX  107
#define V1_FIELDS     5 /* protocol, two addresses, two ports */
#define V2_HEAD_BYTES 16

static const char v1_mark[] = "PROXY ";
static const unsigned char v2_mark[] = {13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10};

/* A port as version 1 writes it: no sign, no leading zero. */
static bool
is_port(struct push_str text)
{
	unsigned int port = 0;

	if (!text.size || text.size > 5 || (text.size > 1 && *text.bytes == '0'))
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.bytes[i] < '0' || text.bytes[i] > '9')
			return false;
		port = port * 10 + (unsigned int)(text.bytes[i] - '0');
	}
	return port <= 65535;
}

/* Splits a line at single spaces.  Returns the number of parts; more than `max` of them are max + 1. */
static size_t
split(struct push_str line, struct push_str *parts, size_t max)
{
	size_t count = 0;

	for (;;) {
		const char *space = memchr(line.bytes, ' ', line.size);
		size_t size = space ? (size_t)(space - line.bytes) : line.size;

		if (count == max)
			return max + 1;
		parts[count++] = (struct push_str){line.bytes, size};
		if (!space)
			return count;
		line.bytes += size + 1;
		line.size -= size + 1;
	}
}

static bool
is_text(struct push_str str, const char *text)
{
	return str.size == strlen(text) && !memcmp(str.bytes, text, str.size);
}

/* An address of the family that the line names. */
static bool
read_address(struct push_address *ret, struct push_str text, bool is_v6)
{
	return (memchr(text.bytes, ':', text.size) != NULL) == is_v6 && push_address_parse(ret, text);
}

static enum push_proxy_result
read_v1_line(struct push_proxy_header *ret, struct push_str line)
{
	struct push_str parts[V1_FIELDS];
	size_t count = split(line, parts, V1_FIELDS);
	struct push_address destination;
	bool is_v6;

	if (is_text(parts[0], "UNKNOWN"))
		return PUSH_PROXY_WHOLE; /* whatever follows it */
	is_v6 = is_text(parts[0], "TCP6");
	if (count != V1_FIELDS || (!is_v6 && !is_text(parts[0], "TCP4")) ||
		!read_address(&ret->address, parts[1], is_v6) ||
		!read_address(&destination, parts[2], is_v6) || !is_port(parts[3]) || !is_port(parts[4]))
		return PUSH_PROXY_BAD;
	ret->has_address = true;
	return PUSH_PROXY_WHOLE;
}

static enum push_proxy_result
read_v1(struct push_proxy_header *ret, const char *bytes, size_t size)
{
	const size_t mark = sizeof(v1_mark) - 1, most = size < V1_BYTES_MAX ? size : V1_BYTES_MAX;
	const char *end = memchr(bytes, '\r', most);

	if (!end || end + 1 == bytes + size)
		return most == V1_BYTES_MAX ? PUSH_PROXY_BAD : PUSH_PROXY_PARTIAL;
	ret->size = (size_t)(end - bytes) + 2;
	if (end[1] != '\n' || ret->size > V1_BYTES_MAX)
		return PUSH_PROXY_BAD;
	return read_v1_line(ret, (struct push_str){bytes + mark, (size_t)(end - bytes) - mark});
}

/* The addresses of version 2: source, destination, ports; what follows is not looked at. */
static enum push_proxy_result
read_v2_addresses(struct push_proxy_header *ret, unsigned int family, const unsigned char *bytes, size_t size)
{
	enum { UNSPECIFIED = 0, V4 = 1, V6 = 2, UNIX = 3 };
	static const size_t needed[] = {[UNSPECIFIED] = 0, [V4] = 12, [V6] = 36, [UNIX] = 216};
	unsigned int network = family >> 4, transport = family & 15;

	if (network > UNIX || transport > 2 || size < needed[network])
		return PUSH_PROXY_BAD;
	ret->has_address = transport && (network == V4 || network == V6);
	if (ret->has_address)
		ret->address = network == V4 ? push_address_from_v4(bytes) : push_address_from_v6(bytes);
	return PUSH_PROXY_WHOLE;
}

static enum push_proxy_result
read_v2(struct push_proxy_header *ret, const unsigned char *bytes, size_t size)
{
	enum { LOCAL = 0x20, PROXY = 0x21 };
	size_t rest;

	if (size > 12 && bytes[12] != LOCAL && bytes[12] != PROXY)
		return PUSH_PROXY_BAD;
	if (size < V2_HEAD_BYTES)
		return PUSH_PROXY_PARTIAL;
	rest = (size_t)bytes[14] << 8 | bytes[15];
	ret->size = V2_HEAD_BYTES + rest;
	if (ret->size > PUSH_PROXY_HEADER_BYTES_MAX)
		return PUSH_PROXY_BAD;
	if (size < ret->size)
		return PUSH_PROXY_PARTIAL;
	if (bytes[12] == LOCAL)
		return PUSH_PROXY_WHOLE;
	return read_v2_addresses(ret, bytes[13], bytes + V2_HEAD_BYTES, rest);
}

enum push_proxy_result
push_proxy_header_read(struct push_proxy_header *ret, const void *bytes, size_t size)
{
	size_t v1 = size < sizeof(v1_mark) - 1 ? size : sizeof(v1_mark) - 1;
	size_t v2 = size < sizeof(v2_mark) ? size : sizeof(v2_mark);

	memset(ret, 0, sizeof(*ret));
	if (!size)
		return PUSH_PROXY_PARTIAL;
	if (!memcmp(bytes, v2_mark, v2))
		return v2 < sizeof(v2_mark) ? PUSH_PROXY_PARTIAL : read_v2(ret, bytes, size);
	if (!memcmp(bytes, v1_mark, v1))
		return v1 < sizeof(v1_mark) - 1 ? PUSH_PROXY_PARTIAL : read_v1(ret, bytes, size);
	return PUSH_PROXY_NONE;
}
