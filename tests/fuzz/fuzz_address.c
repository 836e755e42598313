/*
 * fuzz_address.c - what says who a client is: PROXY headers, X-Forwarded-For, Forwarded, and push.trusted.proxies.
 *
 * A header that is whole stays what it is whatever follows, each shorter part of it is waited for, and an
 * untrusted peer is the client whatever it sends.  Behind trusted proxies, what a client puts in front of the
 * entry that a proxy has appended changes nothing.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/forwarded.h"
#include "core/proxy_header.h"
#include "core/push_assert.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct push_address
address_of(const char *text)
{
	struct push_address address;

	PUSH_ASSERT(push_address_parse(&address, (struct push_str){text, strlen(text)}));
	return address;
}

static void
check_text(struct push_str text)
{
	char printed[PUSH_ADDRESS_TEXT_BYTES];
	struct push_address address, again;

	if (!push_address_parse_host(&address, text))
		return;
	push_address_print(&address, printed);
	again = address_of(printed);
	PUSH_ASSERT(push_address_equals(&address, &again));
}

static void
check_proxy_header(const uint8_t *data, size_t size)
{
	struct push_proxy_header header, part;
	enum push_proxy_result result = push_proxy_header_read(&header, data, size);

	if (result != PUSH_PROXY_WHOLE)
		return;
	PUSH_ASSERT(header.size && header.size <= size && header.size <= PUSH_PROXY_HEADER_BYTES_MAX);
	PUSH_ASSERT(push_proxy_header_read(&part, data, header.size) == PUSH_PROXY_WHOLE);
	PUSH_ASSERT(part.size == header.size && part.has_address == header.has_address);
	for (size_t i = 0; i < header.size; i += 1 + i / 16)
		PUSH_ASSERT(push_proxy_header_read(&part, data, i) == PUSH_PROXY_PARTIAL);
}

static void
check_forwarded(struct push_str sent, bool is_x)
{
	const struct push_address proxy = address_of("10.0.0.1"), real = address_of("198.51.100.1"),
				  stranger = address_of("203.0.113.9");
	struct push_forwarded none = {.count = 0}, lines = {.count = 0};
	const char *entry = is_x ? "198.51.100.1" : "for=198.51.100.1;host=\"a,b\"";
	struct push_networks trusted;
	struct push_address client;
	struct push_error error;
	char joined[4096];
	int joined_size = snprintf(joined, sizeof(joined), "%.*s, %s",
		(int)(sent.size < 2048 ? sent.size : 2048), sent.bytes, entry);

	PUSH_ASSERT(push_networks_parse(&trusted, "x", "10.0.0.0/8", &error) == PUSH_OK);
	/* appended to the client's line, or as a line of its own */
	if (!memchr(sent.bytes, '\0', sent.size)) {
		push_forwarded_add(&lines, (struct push_str){joined, (size_t)joined_size});
		client =
			push_forwarded_client(&trusted, &proxy, is_x ? &lines : &none, is_x ? &none : &lines);
		PUSH_ASSERT(push_address_equals(&client, &real));
	}
	lines.count = 0;
	push_forwarded_add(&lines, sent);
	client = push_forwarded_client(&trusted, &stranger, is_x ? &lines : &none, is_x ? &none : &lines);
	PUSH_ASSERT(push_address_equals(&client, &stranger));
	(void)push_forwarded_client(&trusted, &proxy, is_x ? &lines : &none, is_x ? &none : &lines);
	push_forwarded_add(&lines, (struct push_str){entry, strlen(entry)});
	client = push_forwarded_client(&trusted, &proxy, is_x ? &lines : &none, is_x ? &none : &lines);
	PUSH_ASSERT(push_address_equals(&client, &real));
}

static void
check_networks(struct push_str text)
{
	struct push_networks networks;
	struct push_error error = {""};
	char list[512];

	snprintf(list, sizeof(list), "%.*s", (int)(text.size < 500 ? text.size : 500), text.bytes);
	if (push_networks_parse(&networks, "x", list, &error) != PUSH_OK) {
		PUSH_ASSERT(error.text[0]);
		return;
	}
	PUSH_ASSERT(networks.count <= PUSH_NETWORKS_MAX);
	for (size_t i = 0; i < networks.count; i++)
		PUSH_ASSERT(push_networks_have(&networks, &networks.list[i].address));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct push_str text = {(const char *)data, size};

	if (!size)
		return 0;
	check_proxy_header(data, size);
	check_text(text);
	check_forwarded(text, true);
	check_forwarded(text, false);
	check_networks(text);
	return 0;
}
