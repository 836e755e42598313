#include "unit.h"

#include "core/forwarded.h"

static struct push_str
str(const char *text)
{
	return (struct push_str){text, strlen(text)};
}

/* Lines are separated by `|`. */
static struct push_forwarded
lines_of(const char *text)
{
	struct push_forwarded forwarded = {.count = 0};

	while (text) {
		const char *end = strchr(text, '|');

		push_forwarded_add(
			&forwarded, (struct push_str){text, end ? (size_t)(end - text) : strlen(text)});
		text = end ? end + 1 : NULL;
	}
	return forwarded;
}

static void
assert_client(const char *peer, const char *x_forwarded_for, const char *forwarded, const char *expected)
{
	const struct push_forwarded x = lines_of(x_forwarded_for), f = lines_of(forwarded);
	struct push_address address, client;
	struct push_networks trusted;
	char text[PUSH_ADDRESS_TEXT_BYTES];
	struct push_error error;

	assert_int_equal(push_networks_parse(&trusted, "x", "10.0.0.0/8 fd00::/8", &error), PUSH_OK);
	assert_true(push_address_parse(&address, str(peer)));
	client = push_forwarded_client(&trusted, &address, &x, &f);
	assert_string_equal(push_address_print(&client, text), expected);
}

static void
only_what_trusted_proxies_wrote_counts(void **state)
{
	static const struct {
		const char *peer, *lines, *client;
	} rows[] = {
		{"203.0.113.9", NULL, "203.0.113.9"},
		{"203.0.113.9", "198.51.100.1", "203.0.113.9"}, /* not a proxy: it says what it wants */
		{"10.0.0.1", NULL, "10.0.0.1"},
		{"10.0.0.1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"}, /* the client sent the first */
		{"10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"10.0.0.1", "10.0.0.3,10.0.0.2", "10.0.0.3"},        /* all are proxies: the farthest */
		{"10.0.0.1", "6.6.6.6|198.51.100.1", "198.51.100.1"}, /* in two lines */
		{"10.0.0.1", "6.6.6.6, 198.51.100.1|10.0.0.2", "198.51.100.1"},
		{"10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"},
		{"10.0.0.1", "198.51.100.1, 10.0.0.2 10.0.0.3", "10.0.0.1"},
		{"10.0.0.1", "198.51.100.1, garbage, 10.0.0.2", "10.0.0.2"},
		{"10.0.0.1", "198.51.100.1,, ,", "198.51.100.1"}, /* empty ones are none */
		{"10.0.0.1", "", "10.0.0.1"},
		{"10.0.0.1", ",", "10.0.0.1"},
		{"10.0.0.1", "198.51.100.1:4711", "198.51.100.1"},
		{"10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"},
		{"10.0.0.1", "2001:db8::1", "2001:db8::1"},
		{"fd00::1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "::ffff:10.0.0.2", "10.0.0.2"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_client(rows[i].peer, rows[i].lines, NULL, rows[i].client);
}

static void
forwarded_is_read_likewise(void **state)
{
	static const struct {
		const char *peer, *lines, *client;
	} rows[] = {
		{"203.0.113.9", "for=198.51.100.1", "203.0.113.9"},
		{"10.0.0.1", "for=198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "For=198.51.100.1;proto=https;by=10.0.0.1", "198.51.100.1"},
		{"10.0.0.1", "proto=https; for=\"198.51.100.1:4711\"", "198.51.100.1"},
		{"10.0.0.1", "for=\"[2001:db8::1]:4711\"", "2001:db8::1"},
		{"10.0.0.1", "for=6.6.6.6, for=198.51.100.1, for=10.0.0.2", "198.51.100.1"},
		{"10.0.0.1", "for=6.6.6.6|for=198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "for=unknown", "10.0.0.1"},
		{"10.0.0.1", "for=_gazonk", "10.0.0.1"},
		{"10.0.0.1", "for=6.6.6.6;for=198.51.100.1", "10.0.0.1"},
		{"10.0.0.1", "198.51.100.1", "10.0.0.1"},
		{"10.0.0.1", "for=", "10.0.0.1"},
		{"10.0.0.1", "for=\"", "10.0.0.1"},
		/* a Host that the proxy repeats is the client's to choose */
		{"10.0.0.1", "for=198.51.100.1;host=\"a,for=6.6.6.6;x=\"", "198.51.100.1"},
		{"10.0.0.1", "host=\"a;for=6.6.6.6\";for=198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "for=198.51.100.1;host=\"\\\",for=6.6.6.6;x=\\\"\"", "198.51.100.1"},
		/* a quote that the client has begun */
		{"10.0.0.1", "for=\"6.6.6.6, for=198.51.100.1", "198.51.100.1"},
		{"10.0.0.1", "for=6.6.6.6\", for=198.51.100.1, for=10.0.0.2", "198.51.100.1"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_client(rows[i].peer, NULL, rows[i].lines, rows[i].client);
}

static void
x_forwarded_for_comes_before_forwarded(void **state)
{
	(void)state;
	assert_client("10.0.0.1", "198.51.100.1", "for=6.6.6.6", "198.51.100.1");
	assert_client("10.0.0.1", "unknown", "for=6.6.6.6", "10.0.0.1");
}

static void
only_so_many_hops_and_lines_are_looked_at(void **state)
{
	char text[PUSH_FORWARDED_HOPS_MAX * 10 + 32] = "198.51.100.1";

	(void)state;
	for (size_t i = 0; i < PUSH_FORWARDED_HOPS_MAX - 1; i++)
		strcat(text, ",10.0.0.2");
	assert_client("10.0.0.1", text, NULL, "198.51.100.1");
	strcat(text, ",10.0.0.2");
	assert_client("10.0.0.1", text, NULL, "10.0.0.2");
	/* of five lines the first is forgotten */
	assert_client("10.0.0.1", "198.51.100.1|10.0.0.2|10.0.0.3|10.0.0.4", NULL, "198.51.100.1");
	assert_client("10.0.0.1", "198.51.100.1|10.0.0.2|10.0.0.3|10.0.0.4|10.0.0.5", NULL, "10.0.0.2");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_what_trusted_proxies_wrote_counts),
		cmocka_unit_test(forwarded_is_read_likewise),
		cmocka_unit_test(x_forwarded_for_comes_before_forwarded),
		cmocka_unit_test(only_so_many_hops_and_lines_are_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
