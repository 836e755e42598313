#include "unit.h"

#include <stdio.h>

#include "core/proxy_header.h"

#define MARK "\r\n\r\n\0\r\nQUIT\n"

/* A text of which NULs are a part. */
#define BYTES(text) text, sizeof(text) - 1

/* Each shorter part of it must be waited for, if it is one. */
static enum push_proxy_result
read_growing(struct push_proxy_header *ret, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		enum push_proxy_result result = push_proxy_header_read(ret, bytes, i);

		if (result != PUSH_PROXY_PARTIAL)
			return result;
	}
	return push_proxy_header_read(ret, bytes, size);
}

static void
headers_name_the_client(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *address; /* NULL: it names none */
	} rows[] = {
		{BYTES("PROXY TCP4 203.0.113.7 192.0.2.2 4711 8080\r\n"), "203.0.113.7"},
		{BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255"},
		{BYTES("PROXY TCP6 2001:db8::7 2001:db8::2 0 1\r\n"), "2001:db8::7"},
		{BYTES("PROXY UNKNOWN\r\n"), NULL},
		{BYTES("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), NULL},
		{BYTES(MARK "\x21\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x02\x12\x67\x1f\x90"),
			"203.0.113.7"},
		{BYTES(MARK "\x21\x12\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x02\x12\x67\x1f\x90"),
			"203.0.113.7"},
		/* with a TLV behind the addresses, which is skipped */
		{BYTES(MARK "\x21\x11\x00\x10\xcb\x00\x71\x07\xc0\x00\x02\x02\x12\x67\x1f\x90\x04\x00\x01x"),
			"203.0.113.7"},
		{BYTES(MARK "\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0"
			    "\0\0\0"
			    "\0\0\0\0\0\x02\x12\x67\x1f\x90"),
			"2001:db8::7"},
		{BYTES(MARK "\x20\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x02\x12\x67\x1f\x90"),
			NULL}, /* LOCAL */
		{BYTES(MARK "\x20\x00\x00\x00"), NULL},
		{BYTES(MARK "\x21\x00\x00\x00"), NULL}, /* AF_UNSPEC */
		{BYTES(MARK "\x21\x00\x00\x03xyz"), NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_proxy_header header;
		char text[PUSH_ADDRESS_TEXT_BYTES];

		assert_int_equal(read_growing(&header, rows[i].bytes, rows[i].size), PUSH_PROXY_WHOLE);
		assert_int_equal(header.size, rows[i].size);
		assert_int_equal(header.has_address, rows[i].address != NULL);
		if (rows[i].address)
			assert_string_equal(push_address_print(&header.address, text), rows[i].address);
	}
}

static void
malformed_headers_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} rows[] = {
		{BYTES("PROXY TCP4 203.0.113.7 192.0.2.2 4711 8080\n GET / HTTP/1.1\r\n")},
		{BYTES("PROXY TCP4 203.0.113.7 192.0.2.2 4711 8080\r ")},
		{BYTES("PROXY TCP4  203.0.113.7 192.0.2.2 4711 8080\r\n")},
		{BYTES("PROXY TCP4 203.0.113.7 192.0.2.2 4711 8080 \r\n")},
		{BYTES("PROXY TCP4 203.0.113.7 192.0.2.2 4711\r\n")},
		{BYTES("PROXY TCP4 203.0.113.7 192.0.2.2 04711 8080\r\n")},
		{BYTES("PROXY TCP4 203.0.113.7 192.0.2.2 4711 65536\r\n")},
		{BYTES("PROXY TCP4 203.0.113.7 192.0.2.2 -1 8080\r\n")},
		{BYTES("PROXY TCP4 203.0.113.07 192.0.2.2 4711 8080\r\n")},
		{BYTES("PROXY TCP4 2001:db8::7 2001:db8::2 4711 8080\r\n")},
		{BYTES("PROXY TCP6 203.0.113.7 192.0.2.2 4711 8080\r\n")},
		{BYTES("PROXY UDP4 203.0.113.7 192.0.2.2 4711 8080\r\n")},
		{BYTES("PROXY tcp4 203.0.113.7 192.0.2.2 4711 8080\r\n")}, {BYTES("PROXY \r\n")},
		{BYTES(MARK "\x11\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x02\x12\x67\x1f"
			    "\x90")}, /* version 1 */
		{BYTES(MARK "\x22\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x02\x12\x67\x1f"
			    "\x90")}, /* command 2 */
		{BYTES(MARK "\x21\x11\x00\x0b\xcb\x00\x71\x07\xc0\x00\x02\x02\x12\x67"
			    "\x1f")}, /* too short */
		{BYTES(MARK "\x21\x21\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x02\x12\x67\x1f"
			    "\x90")}, /* for IPv6 */
		{BYTES(MARK "\x21\x41\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x02\x12\x67\x1f"
			    "\x90")}, /* family 4 */
		{BYTES(MARK "\x21\x13\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x02\x12\x67\x1f"
			    "\x90")},             /* transport 3 */
		{BYTES(MARK "\x21\x11\xff\xff")}, /* over the limit: it is not waited for */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_proxy_header header;

		assert_int_equal(read_growing(&header, rows[i].bytes, rows[i].size), PUSH_PROXY_BAD);
	}
}

static void
other_protocols_are_none(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} rows[] = {
		{BYTES("POST /messages HTTP/1.1\r\n")},
		{BYTES("PROXYING / HTTP/1.1\r\n")},
		{BYTES("GET / HTTP/1.1\r\n")},
		{BYTES("\r\n\r\nGET / HTTP/1.1\r\n")},
		{BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")},
		{BYTES("\x16\x03\x01\x02\x00")},
		{BYTES("proxy TCP4 203.0.113.7 192.0.2.2 4711 8080\r\n")},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_proxy_header header;

		assert_int_equal(read_growing(&header, rows[i].bytes, rows[i].size), PUSH_PROXY_NONE);
	}
}

static void
the_longest_headers_are_read(void **state)
{
	static char bytes[PUSH_PROXY_HEADER_BYTES_MAX] = MARK "\x21\x00\x1f\xf0";
	char line[128];
	struct push_proxy_header header;

	(void)state;
	snprintf(line, sizeof(line), "PROXY UNKNOWN %091d\r\n", 0);
	assert_int_equal(push_proxy_header_read(&header, line, strlen(line)), PUSH_PROXY_WHOLE);
	assert_int_equal(header.size, 107);
	snprintf(line, sizeof(line), "PROXY UNKNOWN %092d\r\n", 0);
	assert_int_equal(push_proxy_header_read(&header, line, 107), PUSH_PROXY_BAD);
	assert_int_equal(push_proxy_header_read(&header, bytes, sizeof(bytes) - 1), PUSH_PROXY_PARTIAL);
	assert_int_equal(push_proxy_header_read(&header, bytes, sizeof(bytes)), PUSH_PROXY_WHOLE);
	assert_int_equal(header.size, sizeof(bytes));
	bytes[15] = '\xf1';
	assert_int_equal(push_proxy_header_read(&header, bytes, sizeof(bytes)), PUSH_PROXY_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_name_the_client),
		cmocka_unit_test(malformed_headers_are_refused),
		cmocka_unit_test(other_protocols_are_none),
		cmocka_unit_test(the_longest_headers_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
