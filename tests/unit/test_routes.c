/* Routes: what makes two requests the same to lws, and which are remembered. */
#include "unit.h"

#include <stdio.h>

#include "direct/routes.h"

static struct push_str
span(const char *text)
{
	return (struct push_str){text, text ? strlen(text) : 0};
}

static struct push_route_key
key_of(const struct push_routes *routes, const char *host, const char *path)
{
	struct push_route_key key;

	assert_true(push_route_key_make(&key, routes, 0, 8080, span(host), span(path)));
	assert_false(push_route_key_is_upgrade(&key));
	assert_int_equal(push_route_key_port(&key), 8080);
	return key;
}

static void
keys_differ_where_lws_could_decide_otherwise(void **state)
{
	struct push_route_key keys[7];
	struct push_routes routes;

	(void)state;
	push_routes_init(&routes, 1);
	assert_true(push_route_key_make(&keys[0], &routes, 0, 8080, span("a"), span("/m")));
	assert_true(push_route_key_make(&keys[1], &routes, PUSH_ROUTE_UPGRADE, 8080, span("a"), span("/m")));
	assert_true(push_route_key_make(&keys[2], &routes, 0, 8080 + 256, span("a"), span("/m")));
	keys[3] = key_of(&routes, "a/", "m"); /* the same letters, parted elsewhere */
	keys[4] = key_of(&routes, "A", "/m");
	keys[5] = key_of(&routes, NULL, "/m");
	assert_true(push_route_key_make(&keys[6], &routes, PUSH_ROUTE_TLS, 8080, span("a"), span("/m")));
	assert_true(push_route_key_is_tls(&keys[6]) && !push_route_key_is_upgrade(&keys[6]));
	assert_true(push_route_key_is_upgrade(&keys[1]) && !push_route_key_is_tls(&keys[1]));
	for (size_t i = 0; i < COUNT(keys); i++)
		for (size_t j = 0; j < COUNT(keys); j++)
			assert_int_equal(push_route_key_is(&keys[i], &keys[j]), i == j);
	push_routes_fini(&routes);
}

static void
a_key_that_is_too_long_is_none(void **state)
{
	char path[PUSH_ROUTE_KEY_BYTES_MAX + 1];
	struct push_route_key key;
	struct push_routes routes;

	(void)state;
	memset(path, 'x', sizeof(path));
	push_routes_init(&routes, 1);
	assert_false(push_route_key_make(
		&key, &routes, 0, 80, span("a"), (struct push_str){path, sizeof(path) - 1}));
	push_routes_fini(&routes);
}

static void
the_route_that_was_not_used_for_longest_makes_room(void **state)
{
	const struct push_claim claim = {
		.place = PUSH_PLACE_EVENTS, .rest_size = 3, .extra = "x-a: b\r\n", .extra_size = 8};
	struct push_routes routes;
	struct push_route_key keys[PUSH_ROUTES_MAX + 1];
	struct push_route *used;

	(void)state;
	push_routes_init(&routes, 7);
	for (size_t i = 0; i < COUNT(keys); i++) {
		char host[16];

		snprintf(host, sizeof(host), "h%zu", i);
		keys[i] = key_of(&routes, host, "/m");
	}
	for (size_t i = 0; i < PUSH_ROUTES_MAX; i++)
		push_routes_add(&routes, &keys[i], &claim);
	used = push_routes_find(&routes, &keys[0]);
	assert_non_null(used);
	assert_int_equal(used->place, PUSH_PLACE_EVENTS);
	assert_int_equal(used->rest_size, 3);
	push_routes_add(&routes, &keys[PUSH_ROUTES_MAX], &claim);
	assert_null(push_routes_find(&routes, &keys[1]));
	assert_ptr_equal(push_routes_find(&routes, &keys[0]), used);
	push_route_unref(used);
	/* in use by a request, it outlives being forgotten */
	push_routes_fini(&routes);
	assert_memory_equal(used->extra, "x-a: b\r\n", used->extra_size);
	push_route_unref(used);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_differ_where_lws_could_decide_otherwise),
		cmocka_unit_test(a_key_that_is_too_long_is_none),
		cmocka_unit_test(the_route_that_was_not_used_for_longest_makes_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
