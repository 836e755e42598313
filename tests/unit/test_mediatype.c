#include "unit.h"

#include "core/mediatype.h"

static void
json_is_told_from_what_only_begins_like_it(void **state)
{
	static const struct {
		const char *type;
		bool json;
	} rows[] = {
		{"application/json", true},
		{"Application/JSON", true},
		{" application/json", true},
		{"application/json; charset=utf-8", true},
		{"application/json;x", true},
		{"application/json ", true},
		{"application/vnd.api+json", true},
		{"Application/Problem+JSON; charset=utf-8", true},
		{"application/+json", false},
		{"application/x+jsonp", false},
		{"application/x+json5", false},
		{"application/x y+json", false},
		{"application/x,application/y+json", false},
		{"application/xml;a+json", false},
		{"text/x+json", false},
		{"application/jsonp", false},
		{"application/json5", false},
		{"application/jso", false},
		{"", false},
		{"text/plain", false},
		{"application/json,text/plain", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(push_media_type_is_json(rows[i].type, strlen(rows[i].type)), rows[i].json);
	assert_false(push_media_type_is_json(NULL, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_is_told_from_what_only_begins_like_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
