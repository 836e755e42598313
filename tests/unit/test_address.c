#include "unit.h"

#include <stdio.h>

#include "core/address.h"

static struct push_str
str(const char *text)
{
	return (struct push_str){text, strlen(text)};
}

static void
addresses_are_read_and_printed_in_one_form(void **state)
{
	static const struct {
		const char *text, *printed; /* NULL: refused */
	} rows[] = {
		{"192.0.2.1", "192.0.2.1"},
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"2001:DB8::1", "2001:db8::1"},
		{"2001:0db8:0:0:0:0:0:1", "2001:db8::1"},
		{"::", "::"},
		{"::1", "::1"},
		{"::ffff:192.0.2.1", "192.0.2.1"}, /* over a dual-stack socket */
		{"::ffff:c000:201", "192.0.2.1"},
		{"64:ff9b::192.0.2.1", "64:ff9b::c000:201"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"", NULL},
		{"192.0.2", NULL},
		{"192.0.2.256", NULL},
		{"192.0.2.01", NULL}, /* octal to some */
		{"192.0.2.1 ", NULL},
		{"192.0.2.1:80", NULL},
		{"0xc0000201", NULL},
		{"3221225985", NULL},
		{"[::1]", NULL},
		{"fe80::1%eth0", NULL},
		{"1::2::3", NULL},
		{"localhost", NULL},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", NULL},
		{"1111111111111111111111111111111111111111111111111111", NULL},
	};
	char text[PUSH_ADDRESS_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_address address;

		assert_int_equal(push_address_parse(&address, str(rows[i].text)), rows[i].printed != NULL);
		if (rows[i].printed)
			assert_string_equal(push_address_print(&address, text), rows[i].printed);
	}
	assert_false(push_address_parse(&(struct push_address){{0}}, (struct push_str){"::1\0", 4}));
	assert_false(push_address_parse(&(struct push_address){{0}}, (struct push_str){NULL, 0}));
}

static void
a_port_and_brackets_are_left_out(void **state)
{
	static const struct {
		const char *text, *printed;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:0", "192.0.2.1"},
		{"192.0.2.1:65535", "192.0.2.1"},
		{"192.0.2.1:65536", NULL},
		{"192.0.2.1:", NULL},
		{"192.0.2.1:http", NULL},
		{"192.0.2.1:80:80", NULL},
		{"2001:db8::1", "2001:db8::1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"[2001:db8::1]:443", "2001:db8::1"},
		{"[2001:db8::1]443", NULL},
		{"[2001:db8::1", NULL},
		{"[192.0.2.1]", NULL},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"::ffff:192.0.2.1:80", NULL},
		{"[::ffff:192.0.2.1]:80", "192.0.2.1"},
		{"unknown", NULL},
		{"_hidden", NULL},
		{"[]", NULL},
		{"[", NULL},
		{":80", NULL},
		{"", NULL},
	};
	char text[PUSH_ADDRESS_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_address address;

		assert_int_equal(
			push_address_parse_host(&address, str(rows[i].text)), rows[i].printed != NULL);
		if (rows[i].printed)
			assert_string_equal(push_address_print(&address, text), rows[i].printed);
	}
}

static void
a_client_of_ipv6_is_its_64_bits(void **state)
{
	struct push_address a, b, c, d;

	(void)state;
	assert_true(push_address_parse(&a, str("2001:db8:1:2:3:4:5:6")));
	assert_true(push_address_parse(&b, str("2001:db8:1:2:ffff::")));
	assert_true(push_address_parse(&c, str("2001:db8:1:3::")));
	assert_true(push_address_parse(&d, str("192.0.2.1")));
	a = push_address_of_client(&a);
	b = push_address_of_client(&b);
	c = push_address_of_client(&c);
	assert_true(push_address_equals(&a, &b));
	assert_false(push_address_equals(&a, &c));
	b = push_address_of_client(&d);
	assert_true(push_address_equals(&b, &d));
}

static void
networks_have_the_addresses_in_them(void **state)
{
	static const struct {
		const char *list, *address;
		bool has;
	} rows[] = {
		{"", "192.0.2.1", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", true},
		{"192.0.2.128/25", "192.0.2.129", true},
		{"192.0.2.128/25", "192.0.2.127", false},
		{"192.0.2.4/31", "192.0.2.5", true},
		{"192.0.2.4/31", "192.0.2.6", false},
		{"0.0.0.0/0", "203.0.113.1", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "203.0.113.1", true},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"2001:db8::1/128", "2001:db8::1", true},
		{"loopback", "127.9.9.9", true},
		{"loopback", "::1", true},
		{"loopback", "10.0.0.1", false},
		{"private", "172.31.0.1", true},
		{"private", "172.32.0.1", false},
		{"private", "fd00::1", true},
		{"private", "192.168.7.7", true},
		{"private", "127.0.0.1", false},
		{" loopback,private  192.0.2.1 ,2001:db8::/32, ", "192.0.2.1", true},
		{"Private", "10.0.0.1", true},
	};
	struct push_networks networks;
	struct push_address address;
	struct push_error error;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(push_networks_parse(&networks, "x", rows[i].list, &error), PUSH_OK);
		assert_true(push_address_parse(&address, str(rows[i].address)));
		assert_int_equal(push_networks_have(&networks, &address), rows[i].has);
	}
}

static void
what_is_no_network_is_named(void **state)
{
	static const char *const rows[] = {"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08",
		"10.0.0.0/-1", "::/129", "example.com", "10.0.0.0/8/8", "[::1]", "all", "10.0.0.0;10.0.0.1",
		"*", "/8", "2001:db8::1/64"};
	struct push_networks networks;
	struct push_error error;
	char list[64];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(list, sizeof(list), "loopback, %s", rows[i]);
		assert_int_equal(push_networks_parse(&networks, "push.x", list, &error), PUSH_INVALID);
		snprintf(list, sizeof(list), "push.x=%s: ", rows[i]);
		assert_int_equal(strncmp(error.text, list, strlen(list)), 0);
	}
}

static void
more_networks_than_there_is_room_for_are_refused(void **state)
{
	char list[PUSH_NETWORKS_MAX * 4 + 8] = "";
	struct push_networks networks;
	struct push_error error;

	(void)state;
	for (size_t i = 0; i < PUSH_NETWORKS_MAX; i++)
		strcat(list, "::1 ");
	assert_int_equal(push_networks_parse(&networks, "x", list, &error), PUSH_OK);
	assert_int_equal(networks.count, PUSH_NETWORKS_MAX);
	strcat(list, "::2");
	assert_int_equal(push_networks_parse(&networks, "x", list, &error), PUSH_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_read_and_printed_in_one_form),
		cmocka_unit_test(a_port_and_brackets_are_left_out),
		cmocka_unit_test(a_client_of_ipv6_is_its_64_bits),
		cmocka_unit_test(networks_have_the_addresses_in_them),
		cmocka_unit_test(what_is_no_network_is_named),
		cmocka_unit_test(more_networks_than_there_is_room_for_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
