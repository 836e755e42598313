/* What pushd says of vhosts and mounts: whose a request is by it, and what is not known. */
#include "unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "direct/routes.h"
#include "direct/vhosts.h"

static char folder[] = "/tmp/push-vhosts-XXXXXX";
static char text[4096];

static void
touch(const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static int
set_up(void **state)
{
	char path[64];

	if (!mkdtemp(folder))
		return -1;
	touch("a.html");
	touch("a.zip");
	snprintf(path, sizeof(path), "%s/inside", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(text, sizeof(text),
		"v\t80\tpush\tsockets\n"
		"m\t/\tfile\t%s\ta.html\n"
		"m\t/messages\tpublish\n"
		"m\t/sse/messages\tevents\n"
		"m\t/ws/messages\tsockets\n"
		"m\t/more\tfile\t%s\tnone.html\n"
		"m\t/proxied\tlws\n"
		"v\t81\tbare\tlws\n"
		"m\t/files\tfile\t%s\ta.html\n"
		"v\t82\tfirst\tsockets\n"
		"v\t82\tsecond\tsockets\n"
		"v\t83\todd\t?\n"
		"v\t84\ttwin\tsockets\n"
		"v\t85\ttwin\tsockets\n",
		folder, folder, folder);
	*state = push_vhosts_create(text);
	return *state ? 0 : -1;
}

static int
tear_down(void **state)
{
	char path[64];

	push_vhosts_destroy(*state);
	snprintf(path, sizeof(path), "rm -r %s", folder);
	return system(path);
}

static void
a_request_is_whose_lws_would_say_it_is(void **state)
{
	static const struct {
		int port;
		bool is_upgrade;
		const char *path;
		enum push_whose whose;
		enum push_place place;
		size_t rest_size;
	} rows[] = {
		{80, false, "/messages", PUSH_WHOSE_PUSH, PUSH_PLACE_PUBLISH, 0},
		{80, false, "/messages/x", PUSH_WHOSE_PUSH, PUSH_PLACE_PUBLISH, 2},
		{80, false, "/messagesx", PUSH_WHOSE_PUSH, PUSH_PLACE_SOCKETS, 10},
		{80, false, "/sse/messages/", PUSH_WHOSE_PUSH, PUSH_PLACE_EVENTS, 1},
		{80, false, "/ws/messages", PUSH_WHOSE_PUSH, PUSH_PLACE_SOCKETS, 0},
		{80, true, "/ws/messages", PUSH_WHOSE_PUSH, PUSH_PLACE_SOCKETS, 0},
		{80, true, "/ws/messages/", PUSH_WHOSE_PUSH, PUSH_PLACE_SOCKETS, 0},
		{80, true, "/messages", PUSH_WHOSE_LWS, 0, 0},
		{80, true, "/", PUSH_WHOSE_LWS, 0, 0},
		{80, true, "/proxied/x", PUSH_WHOSE_UNKNOWN, 0, 0},
		{80, false, "/proxied/x", PUSH_WHOSE_LWS, 0, 0},
		{80, false, "/", PUSH_WHOSE_LWS, 0, 0},       /* its page */
		{80, false, "/a.html", PUSH_WHOSE_LWS, 0, 0}, /* a file */
		{80, false, "/none", PUSH_WHOSE_PUSH, PUSH_PLACE_SOCKETS, 5},
		{80, false, "/a.html/x", PUSH_WHOSE_PUSH, PUSH_PLACE_SOCKETS, 9},
		{80, false, "/inside", PUSH_WHOSE_UNKNOWN, 0, 0}, /* a folder */
		{80, false, "/a.zip", PUSH_WHOSE_UNKNOWN, 0, 0},  /* lws looks into them */
		{80, false, "/more", PUSH_WHOSE_LWS, 0, 0},       /* a redirect to /more/ */
		{80, false, "/more/", PUSH_WHOSE_PUSH, PUSH_PLACE_SOCKETS, 6},
		{80, false, "/more/a.html", PUSH_WHOSE_LWS, 0, 0},
		{80, false, "//messages", PUSH_WHOSE_UNKNOWN, 0, 0},
		{80, false, "/./messages", PUSH_WHOSE_UNKNOWN, 0, 0},
		{80, false, "/x/../messages", PUSH_WHOSE_UNKNOWN, 0, 0},
		{80, false, "/mess%61ges", PUSH_WHOSE_UNKNOWN, 0, 0},
		{80, false, "/messages;x", PUSH_WHOSE_UNKNOWN, 0, 0},
		{80, false, "/a+b", PUSH_WHOSE_UNKNOWN, 0, 0},
		{80, false, "/\xc3\xa4", PUSH_WHOSE_UNKNOWN, 0, 0},
		{80, false, "messages", PUSH_WHOSE_UNKNOWN, 0, 0},
		{80, false, "", PUSH_WHOSE_UNKNOWN, 0, 0},
		{81, false, "/messages", PUSH_WHOSE_LWS, 0, 0}, /* nothing is mounted there */
		{81, false, "/files/none", PUSH_WHOSE_LWS, 0, 0},
		{81, true, "/ws/messages", PUSH_WHOSE_LWS, 0, 0},
		{82, false, "/messages", PUSH_WHOSE_UNKNOWN, 0, 0}, /* lws goes by the Host */
		{83, false, "/messages", PUSH_WHOSE_UNKNOWN, 0, 0},
		{84, false, "/messages", PUSH_WHOSE_UNKNOWN, 0, 0}, /* not told apart by their names */
		{85, false, "/messages", PUSH_WHOSE_UNKNOWN, 0, 0},
		{86, false, "/messages", PUSH_WHOSE_UNKNOWN, 0, 0},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_vhosts_key key = {.port = rows[i].port,
			.is_upgrade = rows[i].is_upgrade,
			.path = {rows[i].path, strlen(rows[i].path)}};
		struct push_vhosts_found found;
		enum push_whose whose = push_vhosts_find(*state, &key, &found);

		if (whose != rows[i].whose)
			fail_msg("row %zu, %s: %d", i, rows[i].path, whose);
		if (whose != PUSH_WHOSE_PUSH)
			continue;
		assert_int_equal(found.place, rows[i].place);
		assert_string_equal(push_vhost_name(found.vhost), "push");
		if (!rows[i].is_upgrade)
			assert_int_equal(found.rest_size, rows[i].rest_size);
	}
}

static void
a_path_that_lws_would_cut_is_not_known(void **state)
{
	struct push_vhosts_found found;
	char path[256];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	for (size_t size = 200; size <= sizeof(path); size++) {
		const struct push_vhosts_key key = {.port = 80, .path = {path, size}};

		/* folder, slash, and the path without its own */
		assert_int_equal(push_vhosts_find(*state, &key, &found),
			strlen(folder) + size < 254 ? PUSH_WHOSE_PUSH : PUSH_WHOSE_UNKNOWN);
	}
}

static void
a_text_that_is_malformed_tells_nothing(void **state)
{
	static const char *const rows[] = {"x", "m\t/\tlws\n", "v\t80\tpush\n", "v\t80\tpush\tsockets\tx\n",
		"v\t80\tpush\tsockets\nm\t/\n", "v\t80\tpush\tsockets\nm\t/\tfile\n",
		"v\t80\tpush\tsockets\nm\t/\tpublish\t/x\ty\n", "v\t80\tpush\tsockets\nm\t/\tother\n",
		"t\tcert\tkey\t\t\t\t\t\t0\t0\t0\n", "v\t80\tpush\tsockets\nt\tcert\tkey\n",
		"v\t80\tpush\tsockets\nt\tcert\tkey\t\t\t\t\t\t0\t0\t0\tx\n",
		"v\t80\tpush\tsockets\nt\tcert\tkey\t\t\t\t\t\t0\t0\t0\nt\tcert\tkey\t\t\t\t\t\t0\t0\t0\n"};

	(void)state;
	assert_null(push_vhosts_create(NULL));
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_null(push_vhosts_create(rows[i]));
}

#define TLS "t\tcert\tkey\t\t\t\t\t\t0\t0\t0\n"

static void
a_vhost_with_tls_is_found_by_tls_only(void **state)
{
	static const struct {
		int port;
		bool is_tls;
		enum push_whose whose;
	} rows[] = {
		{443, true, PUSH_WHOSE_PUSH},
		{443, false, PUSH_WHOSE_UNKNOWN},
		{80, false, PUSH_WHOSE_PUSH},
		{80, true, PUSH_WHOSE_UNKNOWN},
	};
	struct push_vhosts *vhosts =
		push_vhosts_create("v\t443\tpush\tsockets\n" TLS "m\t/messages\tpublish\n"
				   "v\t80\tplain\tsockets\nm\t/messages\tpublish\n");

	(void)state;
	assert_non_null(vhosts);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct push_vhosts_key key = {
			.port = rows[i].port, .is_tls = rows[i].is_tls, .path = {"/messages", 9}};
		struct push_vhosts_found found;

		assert_int_equal(push_vhosts_find(vhosts, &key, &found), rows[i].whose);
	}
	push_vhosts_destroy(vhosts);
}

static void
a_port_has_tls_if_all_of_its_vhosts_do(void **state)
{
	static struct push_tls_vhost tls[PUSH_TLS_VHOSTS_MAX];
	static const struct {
		int port;
		size_t count;
	} rows[] = {{443, 2}, {444, 0}, {445, 0}, {446, 0}, {80, 0}, {1, 0}};
	struct push_vhosts *vhosts = push_vhosts_create(
		"v\t443\tone\tsockets\n"
		"t\tcert\tkey\tca\tciphers\t13\tcurve\th2\t4294967296\t2\t1\n"
		"v\t80\tplain\tsockets\n"
		"v\t443\ttwo\tlws\n" TLS "v\t444\tthree\tsockets\n" TLS "v\t444\tfour\tsockets\n"
		"v\t445\tfive\tsockets\n" TLS "v\t445\t?\t?\n"
		"v\t446\ttwin\tsockets\n" TLS "v\t447\ttwin\tsockets\n" TLS);
	int ports[8];

	(void)state;
	assert_non_null(vhosts);
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(push_vhosts_tls(vhosts, rows[i].port, tls), rows[i].count);
	assert_int_equal(push_vhosts_tls(vhosts, 443, tls), 2);
	assert_string_equal(tls[0].name, "one");
	assert_string_equal(tls[0].cert, "cert");
	assert_string_equal(tls[0].key, "key");
	assert_string_equal(tls[0].ca, "ca");
	assert_string_equal(tls[0].ciphers, "ciphers");
	assert_string_equal(tls[0].tls13_ciphers, "13");
	assert_string_equal(tls[0].curve, "curve");
	assert_string_equal(tls[0].alpn, "h2");
	assert_true(tls[0].options_set == UINT64_C(4294967296) && tls[0].options_clear == 2);
	assert_true(tls[0].requires_client_cert);
	assert_string_equal(tls[1].name, "two");
	assert_null(tls[1].ca);
	assert_null(tls[1].alpn);
	assert_false(tls[1].requires_client_cert);
	assert_int_equal(push_vhosts_ports(vhosts, ports, COUNT(ports)), 6);
	assert_int_equal(ports[0], 443);
	assert_int_equal(ports[1], 80);
	assert_int_equal(push_vhosts_ports(vhosts, ports, 1), 1);
	push_vhosts_destroy(vhosts);
}

static void
a_vhost_keeps_a_route_for_each_place(void **state)
{
	const struct push_vhosts_key key = {.port = 80, .path = {"/messages", 9}};
	const struct push_claim claim = {.place = PUSH_PLACE_PUBLISH, .extra = "x: y\r\n", .extra_size = 6};
	struct push_vhosts_found found;
	struct push_route **route;

	assert_int_equal(push_vhosts_find(*state, &key, &found), PUSH_WHOSE_PUSH);
	route = push_vhost_route(found.vhost, found.place);
	assert_null(*route);
	*route = push_route_create(&claim); /* given back by the end */
	assert_ptr_equal(push_vhost_route(found.vhost, PUSH_PLACE_PUBLISH), route);
	assert_null(*push_vhost_route(found.vhost, PUSH_PLACE_EVENTS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_whose_lws_would_say_it_is),
		cmocka_unit_test(a_path_that_lws_would_cut_is_not_known),
		cmocka_unit_test(a_text_that_is_malformed_tells_nothing),
		cmocka_unit_test(a_vhost_with_tls_is_found_by_tls_only),
		cmocka_unit_test(a_port_has_tls_if_all_of_its_vhosts_do),
		cmocka_unit_test(a_vhost_keeps_a_route_for_each_place),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
