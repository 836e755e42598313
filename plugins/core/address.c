/* address.c - see address.h. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "address.h"

/* Where IPv4 lies in a mapped address. */
#define V4_AT   12
#define V4_BITS 96

static const unsigned char v4_prefix[V4_AT] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct push_address
push_address_from_v4(const void *bytes)
{
	struct push_address address;

	memcpy(address.bytes, v4_prefix, sizeof(v4_prefix));
	memcpy(address.bytes + V4_AT, bytes, 4);
	return address;
}

struct push_address
push_address_from_v6(const void *bytes)
{
	struct push_address address;

	memcpy(address.bytes, bytes, sizeof(address.bytes));
	return address;
}

bool
push_address_is_v4(const struct push_address *address)
{
	return !memcmp(address->bytes, v4_prefix, sizeof(v4_prefix));
}

bool
push_address_equals(const struct push_address *a, const struct push_address *b)
{
	return !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool
push_address_parse(struct push_address *ret, struct push_str text)
{
	char copy[INET6_ADDRSTRLEN];
	unsigned char bytes[16];

	if (!text.size || text.size >= sizeof(copy) || memchr(text.bytes, '\0', text.size))
		return false;
	memcpy(copy, text.bytes, text.size);
	copy[text.size] = '\0';
	if (inet_pton(AF_INET, copy, bytes) == 1)
		*ret = push_address_from_v4(bytes);
	else if (inet_pton(AF_INET6, copy, bytes) == 1)
		*ret = push_address_from_v6(bytes);
	else
		return false;
	return true;
}

/* `:80`, or nothing. */
static bool
is_port(const char *bytes, size_t size)
{
	unsigned int port = 0;

	if (!size)
		return true;
	if (*bytes != ':' || size < 2 || size > 6)
		return false;
	for (size_t i = 1; i < size; i++) {
		if (bytes[i] < '0' || bytes[i] > '9')
			return false;
		port = port * 10 + (unsigned int)(bytes[i] - '0');
	}
	return port <= 65535;
}

bool
push_address_parse_host(struct push_address *ret, struct push_str text)
{
	const char *end;

	if (!text.size)
		return false;
	if (*text.bytes == '[') {
		end = memchr(text.bytes, ']', text.size);
		if (!end || !memchr(text.bytes, ':', (size_t)(end - text.bytes)) ||
			!is_port(end + 1, text.size - (size_t)(end + 1 - text.bytes)))
			return false;
		text = (struct push_str){text.bytes + 1, (size_t)(end - text.bytes) - 1};
	} else if (memchr(text.bytes, '.', text.size)) {
		/* the last group of IPv6 may be written as IPv4, which has no port then */
		end = memchr(text.bytes, ':', text.size);
		if (end && end > (const char *)memchr(text.bytes, '.', text.size)) {
			if (!is_port(end, text.size - (size_t)(end - text.bytes)))
				return false;
			text.size = (size_t)(end - text.bytes);
		}
	}
	return push_address_parse(ret, text);
}

const char *
push_address_print(const struct push_address *address, char to[PUSH_ADDRESS_TEXT_BYTES])
{
	char text[INET6_ADDRSTRLEN] = "";

	if (push_address_is_v4(address))
		(void)inet_ntop(AF_INET, address->bytes + V4_AT, text, sizeof(text));
	else
		(void)inet_ntop(AF_INET6, address->bytes, text, sizeof(text));
	snprintf(to, PUSH_ADDRESS_TEXT_BYTES, "%.*s", PUSH_ADDRESS_TEXT_BYTES - 1, text);
	return to;
}

struct push_address
push_address_of_client(const struct push_address *address)
{
	struct push_address client = *address;

	if (!push_address_is_v4(address))
		memset(client.bytes + PUSH_ADDRESS_CLIENT_BITS / 8, 0,
			sizeof(client.bytes) - PUSH_ADDRESS_CLIENT_BITS / 8);
	return client;
}

/* Whether the first `bits` are the same. */
static bool
has_prefix(const struct push_address *address, const struct push_address *prefix, unsigned int bits)
{
	unsigned int whole = bits / 8, rest = bits % 8;

	if (memcmp(address->bytes, prefix->bytes, whole) != 0)
		return false;
	return !rest || !((address->bytes[whole] ^ prefix->bytes[whole]) >> (8 - rest));
}

/* Whether nothing is set behind the first `bits`. */
static bool
is_network(const struct push_address *address, unsigned int bits)
{
	for (unsigned int i = bits; i < 128; i++)
		if (address->bytes[i / 8] & (0x80u >> i % 8))
			return false;
	return true;
}

static enum push_status
add(struct push_networks *networks, const struct push_address *address, unsigned int bits)
{
	if (networks->count == PUSH_NETWORKS_MAX)
		return PUSH_TOO_MANY;
	networks->list[networks->count].address = *address;
	networks->list[networks->count].bits = bits;
	networks->count++;
	return PUSH_OK;
}

/* Returns false if it is no number, or over `max`. */
static bool
read_bits(struct push_str text, unsigned int max, unsigned int *ret)
{
	unsigned int bits = 0;

	if (!text.size || text.size > 3 || (text.size > 1 && *text.bytes == '0'))
		return false;
	for (size_t i = 0; i < text.size; i++) {
		if (text.bytes[i] < '0' || text.bytes[i] > '9')
			return false;
		bits = bits * 10 + (unsigned int)(text.bytes[i] - '0');
	}
	*ret = bits;
	return bits <= max;
}

/* An address, or a network.  Returns what is wrong with it; NULL: nothing. */
static const char *
add_network(struct push_networks *networks, struct push_str text)
{
	static const char malformed[] = "not an address (192.0.2.1, 2001:db8::1), not a network "
					"(10.0.0.0/8), and not loopback or private";
	const char *slash = memchr(text.bytes, '/', text.size);
	struct push_str host = {text.bytes, slash ? (size_t)(slash - text.bytes) : text.size};
	struct push_address address;
	unsigned int bits = 128;

	if (!push_address_parse(&address, host))
		return malformed;
	if (slash) {
		bool is_v4 = !memchr(host.bytes, ':', host.size);

		if (!read_bits(
			    (struct push_str){slash + 1, text.size - host.size - 1}, is_v4 ? 32 : 128, &bits))
			return malformed;
		bits += is_v4 ? V4_BITS : 0;
		if (!is_network(&address, bits))
			return "bits are set behind the prefix";
	}
	return add(networks, &address, bits) == PUSH_OK ? NULL : "more than 64 networks";
}

static const char *
add_all(struct push_networks *networks, const char *const *texts)
{
	const char *wrong = NULL;

	for (; *texts && !wrong; texts++)
		wrong = add_network(networks, (struct push_str){*texts, strlen(*texts)});
	return wrong;
}

static const char *
add_part(struct push_networks *networks, struct push_str text)
{
	static const char *const loopback[] = {"127.0.0.0/8", "::1", NULL}, *const private[] = {"10.0.0.0/8",
										    "172.16.0.0/12",
										    "192.168.0.0/16",
										    "fc00::/7", NULL};

	if (push_str_is(text, "loopback"))
		return add_all(networks, loopback);
	if (push_str_is(text, "private"))
		return add_all(networks, private);
	return add_network(networks, text);
}

enum push_status
push_networks_parse(struct push_networks *ret, const char *name, const char *text, struct push_error *error)
{
	static const char separators[] = ", \t";

	ret->count = 0;
	for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
		struct push_str part = {text, strcspn(text, separators)};
		const char *wrong = add_part(ret, part);

		if (wrong) {
			snprintf(error->text, sizeof(error->text), "%s=%.*s: %s", name,
				(int)(part.size < PUSH_ERROR_QUOTE_BYTES_MAX ? part.size
									     : PUSH_ERROR_QUOTE_BYTES_MAX),
				part.bytes, wrong);
			return PUSH_INVALID;
		}
		text += part.size;
	}
	return PUSH_OK;
}

bool
push_networks_have(const struct push_networks *networks, const struct push_address *address)
{
	for (size_t i = 0; i < networks->count; i++)
		if (has_prefix(address, &networks->list[i].address, networks->list[i].bits))
			return true;
	return false;
}
