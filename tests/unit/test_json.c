#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/json.h"
#include "core/jsonscan.h"
#include "core/limits.h"

static struct push_options options;

static int
setup(void **state)
{
	(void)state;
	push_options_init(&options);
	return 0;
}

static void
the_value_arrives_as_it_was_written_without_its_white_space(void **state)
{
	static const struct {
		const char *body, *channel, *value;
	} rows[] = {
		{"{\"channel\":\"qwerty\",\"message\":\"hello\"}", "qwerty", "\"hello\""},
		{"\r\n{ \"message\" :\t{ \"a\" : [ 1 , 2 ] } , \"channel\" : \"c\" }\n", "c",
			"{\"a\":[1,2]}"},
		{"{\"channel\":\"c\",\"message\":null}", "c", "null"},
		{"{\"channel\":\"c\",\"message\":false}", "c", "false"},
		{"{\"channel\":\"c\",\"message\":12345678901234567890123}", "c", "12345678901234567890123"},
		{"{\"channel\":\"c\",\"message\":-0.10e+05}", "c", "-0.10e+05"},
		{"{\"channel\":\"c\",\"message\":\"a\\u0041\\n\\/\"}", "c", "\"a\\u0041\\n\\/\""},
		{"{\"channel\":\"c\",\"message\":\" spaces  stay \"}", "c", "\" spaces  stay \""},
		{"{\"channel\":\"a\\u0062\",\"message\":1}", "ab", "1"},
		{"{\"ch\\u0061nnel\":\"c\",\"m\\u0065ssage\":7}", "c", "7"}, /* keys may be spelt so */
		{"{\"channel\":\"a\",\"message\":1,\"message\":2,\"channel\":\"b\"}", "b",
			"2"}, /* the last counts */
		{"{\"channel\":\"c\",\"message\":{\"message\":3},\"x\":{\"message\":4}}", "c",
			"{\"message\":3}"},
		{"{\"channel\":\"c\",\"message\":[],\"extra\":[{}]}", "c", "[]"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_publication publication;
		struct push_error error;

		assert_int_equal(push_publication_parse(
					 &publication, rows[i].body, strlen(rows[i].body), &options, &error),
			PUSH_OK);
		assert_int_equal(publication.channel_size, strlen(rows[i].channel));
		assert_memory_equal(publication.channel, rows[i].channel, publication.channel_size);
		assert_int_equal(publication.value_size, strlen(rows[i].value));
		assert_memory_equal(publication.value, rows[i].value, publication.value_size);
		push_publication_fini(&publication);
	}
}

static void
a_message_may_have_many_channels_each_once(void **state)
{
	static const char body[] =
		"{\"message\":1,\"channels\":[\"a\", \"b\\u0063\",\"a\",\"bc\", \"\\u00e9d\"]}";
	static const char *const names[] = {"a", "bc",
		"\xC3\xA9"
		"d"};
	struct push_publication publication;
	struct push_error error;

	(void)state;
	assert_int_equal(push_publication_parse(&publication, body, strlen(body), &options, &error), PUSH_OK);
	assert_int_equal(publication.channels.count, COUNT(names));
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_int_equal(publication.channels.names[i].size, strlen(names[i]));
		assert_memory_equal(publication.channels.names[i].text, names[i], strlen(names[i]));
	}
	assert_int_equal(publication.channel_size, 1);
	push_publication_fini(&publication);
}

static void
channels_are_limited_as_those_of_a_connection_are(void **state)
{
	struct push_publication publication;
	struct push_error error;
	struct push_options few = options;
	char body[512];

	(void)state;
	few.channels_max = 3;
	for (int count = 3; count <= 4; count++) {
		snprintf(body, sizeof(body), "{\"message\":1,\"channels\":[\"c1\",\"c2\",\"c1\",\"c3\"%s]}",
			count > 3 ? ",\"c4\"" : "");
		assert_int_equal(push_publication_parse(&publication, body, strlen(body), &few, &error),
			count > 3 ? PUSH_TOO_MANY : PUSH_OK);
		if (count == 3)
			push_publication_fini(&publication);
		else
			assert_non_null(strstr(error.text, "'c4' is over the 3 allowed"));
	}
}

static void
a_message_may_have_a_time_of_its_own(void **state)
{
	static const struct {
		const char *ttl;
		uint64_t us;
	} rows[] = {{"1", 1000}, {"1500", 1500000}, {"\"30s\"", 30000000}, {"\"250\"", 250000},
		{"\"24h\"", 86400000000ull}, {"86400000", 86400000000ull}};
	struct push_publication publication;
	struct push_error error;
	char body[128];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		snprintf(body, sizeof(body), "{\"channel\":\"c\",\"message\":1,\"ttl\":%s}", rows[i].ttl);
		assert_int_equal(
			push_publication_parse(&publication, body, strlen(body), &options, &error), PUSH_OK);
		assert_true(publication.ttl_us == rows[i].us);
		push_publication_fini(&publication);
	}
}

#define MARK "\xEF\xBB\xBF"

/* RFC 8259, 8.1: it may be ignored in front; anywhere else but in a string it is no JSON, and in that it is data. */
static void
a_byte_order_mark_is_skipped_in_front_and_is_data_in_strings(void **state)
{
	static const char object[] = MARK "{\"channel\":\"c\",\"message\":\"" MARK "\\uFEFF\"}",
			  array[] = MARK "[1,2]", value[] = "\"" MARK "\\uFEFF\"";
	static const char *const bad[] = {MARK, MARK MARK "{\"channel\":\"c\",\"message\":1}",
		" " MARK "{\"channel\":\"c\",\"message\":1}", "{" MARK "\"channel\":\"c\",\"message\":1}",
		"{\"channel\":\"c\",\"message\":" MARK "1}", "{\"channel\":\"c\",\"message\":1}" MARK,
		"\xEF\xBB"};
	struct push_publication publication;
	struct push_error error;
	const char *at = array, *text;
	size_t count, size;

	(void)state;
	assert_int_equal(
		push_publication_parse(&publication, object, strlen(object), &options, &error), PUSH_OK);
	assert_int_equal(publication.value_size, strlen(value));
	assert_memory_equal(publication.value, value, strlen(value));
	push_publication_fini(&publication);
	assert_true(push_json_is_array_text(array, strlen(array)));
	assert_int_equal(push_json_scan_array(array, strlen(array), &count, &error), PUSH_OK);
	assert_int_equal(count, 2);
	assert_true(push_json_next_element(&at, array + strlen(array), &text, &size));
	assert_memory_equal(text, "1", size);
	for (size_t i = 0; i < COUNT(bad); i++)
		if (push_publication_parse(&publication, bad[i], strlen(bad[i]), &options, &error) !=
			PUSH_INVALID)
			fail_msg("%s", bad[i]);
	assert_int_equal(push_json_scan_array("[" MARK "1]", 6, &count, &error), PUSH_INVALID);
}

static void
an_array_is_gone_through_element_by_element(void **state)
{
	static const char array[] = " [ 1 ,{\"a\":[2,3]}, \"],[\" ,[] ]\n";
	static const char *const elements[] = {"1", "{\"a\":[2,3]}", "\"],[\"", "[]"};
	static const char *const bad[] = {
		"", "[", "[1", "[1,]", "[,]", "[1]]", "[1] x", "{}", "[1 2]", "[\xFF]"};
	const char *at = array, *text;
	struct push_error error;
	size_t count, size;

	(void)state;
	assert_int_equal(push_json_scan_array(array, strlen(array), &count, &error), PUSH_OK);
	assert_int_equal(count, COUNT(elements));
	for (size_t i = 0; i < count; i++) {
		assert_true(push_json_next_element(&at, array + strlen(array), &text, &size));
		assert_int_equal(size, strlen(elements[i]));
		assert_memory_equal(text, elements[i], size);
	}
	assert_false(push_json_next_element(&at, array + strlen(array), &text, &size));
	at = "[ ]";
	assert_int_equal(push_json_scan_array(at, 3, &count, &error), PUSH_OK);
	assert_int_equal(count, 0);
	assert_false(push_json_next_element(&at, at + 3, &text, &size));
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(push_json_scan_array(bad[i], strlen(bad[i]), &count, &error), PUSH_INVALID);
		assert_non_null(strstr(error.text, "not JSON"));
	}
	assert_true(push_json_is_array_text(" \n[", 3));
	assert_false(push_json_is_array_text(" {", 2));
	assert_true(push_json_is_blank(" \r\n\t", 4));
	assert_false(push_json_is_blank(" x", 2));
}

static void
what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *body, *error;
	} rows[] = {
		{"", "not JSON"},
		{"hello", "not JSON"},
		{"{", "not JSON: ends too early"},
		{"[]", "not a JSON object"},
		{"null", "not a JSON object"},
		{"\"x\"", "not a JSON object"},
		{"{}", "missing"},
		{"{\"channel\":\"c\"}", "'message' is missing"},
		{"{\"message\":1}", "'channel' is missing"},
		{"{\"channel\":1,\"message\":1}", "'channel' must be a string"},
		{"{\"channel\":null,\"message\":1}", "'channel' must be a string"},
		{"{\"channel\":\"\",\"message\":1}", "bad channel name '': empty"},
		{"{\"channel\":\"a\\nb\",\"message\":1}", "control character"},
		{"{\"channel\":\"a\\u0000b\",\"message\":1}", "control character"},
		{"{\"channel\":\"c\",\"channels\":[\"c\"],\"message\":1}",
			"is not supported with 'channels'"},
		{"{\"channels\":\"c\",\"message\":1}", "'channels' must be an array of strings"},
		{"{\"channels\":[\"c\",1],\"message\":1}", "'channels' must be an array of strings"},
		{"{\"channels\":[],\"message\":1}", "'channels' is empty"},
		{"{\"channels\":[\"c\",\"\"],\"message\":1}", "bad channel name '': empty"},
		{"{\"channels\":[\"c\",\"a\\nb\"],\"message\":1}", "control character"},
		{"{\"channel\":\"c\",\"message\":1,\"ttl\":0}", "'ttl' must be"},
		{"{\"channel\":\"c\",\"message\":1,\"ttl\":-1}", "'ttl' must be"},
		{"{\"channel\":\"c\",\"message\":1,\"ttl\":1.5}", "'ttl' must be"},
		{"{\"channel\":\"c\",\"message\":1,\"ttl\":\"\"}", "'ttl' must be"},
		{"{\"channel\":\"c\",\"message\":1,\"ttl\":\"30x\"}", "'ttl' must be"},
		{"{\"channel\":\"c\",\"message\":1,\"ttl\":\"25h\"}", "'ttl' must be"},
		{"{\"channel\":\"c\",\"message\":1,\"ttl\":null}", "'ttl' must be"},
		{"{\"channel\":\"c\",\"message\":1,\"ttl\":111111111111111111111111111111111111}",
			"'ttl' must be"},
		{"{\"channel\":\"c\",\"message\":1} x", "not JSON"},
		{"{\"channel\":\"c\",\"message\":1}{}", "not JSON"},
		/* what json-c lets pass */
		{"{\"channel\":\"c\",\"message\":NaN}", "not JSON"},
		{"{\"channel\":\"c\",\"message\":Infinity}", "not JSON"},
		{"{\"channel\":\"c\",\"message\":1.}", "not JSON"},
		{"{\"channel\":\"c\",\"message\":-01}", "not JSON"},
		{"{\"channel\":\"c\",\"message\":\"a\nb\"}", "not JSON"},
		{"{'channel':\"c\",\"message\":1}", "not JSON"},
		{"{\"channel\":\"c\",\"message\":\"\xED\xA0\x80\"}", "not valid UTF-8"},
		{"{\"channel\":\"c\",\"message\":\"\xFF\"}", "not valid UTF-8"},
		{"{\"channel\":\"c\",\"message\":[1,]}", "not JSON"},
		{"{\"channel\":\"c\",\"message\":1,}", "not JSON"},
		{"{\"channel\":\"c\",\"message\":TRUE}", "not JSON"},
		{"/**/{\"channel\":\"c\",\"message\":1}", "not JSON"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_publication publication;
		struct push_error error;

		assert_int_equal(push_publication_parse(
					 &publication, rows[i].body, strlen(rows[i].body), &options, &error),
			PUSH_INVALID);
		if (!strstr(error.text, rows[i].error))
			fail_msg("%s: \"%s\", not \"%s\"", rows[i].body, error.text, rows[i].error);
	}
}

/* Every document up to three tokens beside "message", by a table of what each is. */
static void
tokens_stand_where_the_grammar_allows(void **state)
{
	static const struct {
		const char *value;
		bool valid;
	} rows[] = {
		{"{}", true},
		{"[]", true},
		{"[[],{}]", true},
		{"{\"a\":{\"b\":[1,{}]}}", true},
		{"[1,2]", true},
		{"[1 2]", false},
		{"[,1]", false},
		{"[1,,2]", false},
		{"{,}", false},
		{"{\"a\"}", false},
		{"{\"a\":}", false},
		{"{\"a\":1,}", false},
		{"{\"a\":1 \"b\":2}", false},
		{"{1:2}", false},
		{"[1}", false},
		{"{\"a\":1]", false},
		{"]", false},
		{":", false},
		{"", false},
		{"[", false},
		{"01", false},
		{"-", false},
		{"-0", true},
		{"1e", false},
		{"1e+", false},
		{"1E-0", true},
		{".5", false},
		{"+1", false},
		{"0.0", true},
		{"tru", false},
		{"truex", false},
		{"nul", false},
		{"\"\\x\"", false},
		{"\"\\u12\"", false},
		{"\"\\u12G4\"", false},
		{"\"\\uD800\"", true},
		{"\"\\\"\"", true},
		{"\"\t\"", false},
		{"\"\x7f\"", true},
		{"\"", false},
		{"\"\\", false},
		{"'a'", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_publication publication;
		struct push_error error;
		char body[128];
		int size = snprintf(body, sizeof(body), "{\"channel\":\"c\",\"message\":%s}", rows[i].value);
		enum push_status status =
			push_publication_parse(&publication, body, (size_t)size, &options, &error);

		if ((status == PUSH_OK) != rows[i].valid)
			fail_msg("%s: %s", body, status == PUSH_OK ? "accepted" : error.text);
		if (status == PUSH_OK)
			push_publication_fini(&publication);
	}
}

static void
a_byte_zero_ends_nothing(void **state)
{
	static const char body[] = "{\"channel\":\"c\",\"message\":1}\0{";
	struct push_publication publication;
	struct push_error error;

	(void)state;
	assert_int_equal(
		push_publication_parse(&publication, body, sizeof(body) - 1, &options, &error), PUSH_INVALID);
}

/* The body itself is one level. */
static char *
nested(int depth)
{
	char *body = malloc((size_t)(2 * depth + 64)), *p = body;

	p += sprintf(p, "{\"channel\":\"c\",\"message\":");
	for (int i = 0; i < depth; i++)
		*p++ = '[';
	*p++ = '1';
	for (int i = 0; i < depth; i++)
		*p++ = ']';
	strcpy(p, "}");
	return body;
}

static void
nesting_is_bounded(void **state)
{
	static const struct {
		int depth;
		enum push_status status;
	} rows[] = {
		{1, PUSH_OK},
		{PUSH_JSON_DEPTH_MAX - 1, PUSH_OK},
		{PUSH_JSON_DEPTH_MAX, PUSH_INVALID},
		{30000, PUSH_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *body = nested(rows[i].depth);
		struct push_publication publication;
		struct push_error error;

		assert_int_equal(push_publication_parse(&publication, body, strlen(body), &options, &error),
			rows[i].status);
		if (rows[i].status == PUSH_OK)
			push_publication_fini(&publication);
		else
			assert_non_null(strstr(error.text, "nested deeper than 128"));
		free(body);
	}
}

static void
a_member_that_comes_twice_is_found(void **state)
{
	static const struct {
		const char *text;
		enum push_status status;
	} rows[] = {
		{"{}", PUSH_OK},
		{" { } ", PUSH_OK},
		{"{\"a\":1}", PUSH_OK},
		{"{\"a\":1,\"b\":1,\"A\":1,\"aa\":1,\"\":1}", PUSH_OK},
		/* of the object itself only */
		{"{\"a\":{\"b\":1,\"b\":2},\"b\":[{\"a\":1}],\"c\":\"a\"}", PUSH_OK},
		{"{\"a\":1,\"a\":1}", PUSH_INVALID},
		{" { \"a\" : [1, 2] , \"b\" : { } , \"a\" : null } ", PUSH_INVALID},
		{"{\"a\":1,\"\\u0061\":1}", PUSH_INVALID},
		{"{\"\xc3\xb6\":1,\"\\u00f6\":1}", PUSH_INVALID},
		{"{\"a\\u0000\":1,\"a\":1}", PUSH_OK},
		{"{\"a\\u0000\":1,\"a\\u0000\":1}", PUSH_INVALID},
		{"{\"\":1,\"\":1}", PUSH_INVALID},
		{"{\"\\\"\":1,\"\\u0022\":1}", PUSH_INVALID},
	};
	struct push_error error;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(
			push_json_scan_object(rows[i].text, strlen(rows[i].text), NULL, 0, &error), PUSH_OK);
		if (push_json_check_unique(rows[i].text, strlen(rows[i].text), &error) != rows[i].status)
			fail_msg("%s", rows[i].text);
	}
	for (int count = PUSH_JSON_UNIQUE_MEMBERS_MAX; count <= PUSH_JSON_UNIQUE_MEMBERS_MAX + 1; count++) {
		char text[2048] = "{";

		for (int i = 0; i < count; i++)
			sprintf(text + strlen(text), "%s\"%d\":0", i ? "," : "", i);
		strcat(text, "}");
		assert_int_equal(push_json_check_unique(text, strlen(text), &error),
			count == PUSH_JSON_UNIQUE_MEMBERS_MAX ? PUSH_OK : PUSH_TOO_MANY);
	}
}

static void
commands_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		enum push_status status;
		enum push_command_kind command;
	} rows[] = {
		{"{\"event\":\"ping\"}", PUSH_OK, PUSH_COMMAND_PING},
		{"{\"event\":\"pong\",\"data\":{}}", PUSH_OK, PUSH_COMMAND_PONG},
		{"{\"event\":\"resume\"}", PUSH_OK, PUSH_COMMAND_RESUME},
		{"{\"event\":\"unheard of\"}", PUSH_OK, PUSH_COMMAND_UNKNOWN},
		{"{}", PUSH_OK, PUSH_COMMAND_UNKNOWN},
		{"{\"event\":7}", PUSH_OK, PUSH_COMMAND_UNKNOWN},
		{"ping", PUSH_INVALID, PUSH_COMMAND_PING},
		{"", PUSH_INVALID, PUSH_COMMAND_PING},
		{"[]", PUSH_INVALID, PUSH_COMMAND_PING},
		{"{\"event\":\"ping\"", PUSH_INVALID, PUSH_COMMAND_PING},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_command command = {.kind = PUSH_COMMAND_PING};
		struct push_error error;

		assert_int_equal(push_command_parse(&command, rows[i].text, strlen(rows[i].text), &error),
			rows[i].status);
		assert_int_equal(command.kind, rows[i].command);
	}
}

static void
what_a_command_is_given_is_taken_only_where_it_is_a_plain_string(void **state)
{
	static const struct {
		const char *text, *id; /* NULL: none */
	} rows[] = {
		{"{\"event\":\"resume\",\"data\":{\"id\":\"0.1.2\"}}", "0.1.2"},
		{"{\"data\":{\"more\":[1],\"id\":\"\"},\"event\":\"resume\"}", ""},
		{"{\"event\":\"resume\",\"data\":{\"id\":7}}", NULL},
		{"{\"event\":\"resume\",\"data\":{\"id\":\"a\\n\"}}", NULL},
		{"{\"event\":\"resume\",\"data\":\"id\"}", NULL},
		{"{\"event\":\"resume\",\"data\":{}}", NULL},
		{"{\"event\":\"resume\"}", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_command command;
		struct push_error error;
		const char *id = NULL;
		size_t size = 0;
		bool found;

		assert_int_equal(
			push_command_parse(&command, rows[i].text, strlen(rows[i].text), &error), PUSH_OK);
		found = push_command_text(&command, "id", &id, &size);
		assert_int_equal(found, rows[i].id != NULL);
		if (!found)
			continue;
		assert_int_equal(size, strlen(rows[i].id));
		assert_memory_equal(id, rows[i].id, size);
	}
}

static void
strings_are_escaped(void **state)
{
	struct push_buf buf;

	(void)state;
	push_buf_init(&buf, 1000);
	push_json_append_string(&buf, "a\"b\\c\n\x01\x1f\x7f\xC3\xA9", 11);
	assert_int_equal(buf.size, strlen("\"a\\\"b\\\\c\\n\\u0001\\u001f\x7f\xC3\xA9\""));
	assert_memory_equal(buf.bytes, "\"a\\\"b\\\\c\\n\\u0001\\u001f\x7f\xC3\xA9\"", buf.size);
	push_buf_clear(&buf);
	push_json_append_error(&buf, "no");
	assert_memory_equal(buf.bytes, "{\"error\":\"no\"}", buf.size);
	push_buf_fini(&buf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_value_arrives_as_it_was_written_without_its_white_space),
		cmocka_unit_test(a_message_may_have_many_channels_each_once),
		cmocka_unit_test(channels_are_limited_as_those_of_a_connection_are),
		cmocka_unit_test(a_message_may_have_a_time_of_its_own),
		cmocka_unit_test(a_byte_order_mark_is_skipped_in_front_and_is_data_in_strings),
		cmocka_unit_test(an_array_is_gone_through_element_by_element),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(tokens_stand_where_the_grammar_allows),
		cmocka_unit_test(a_byte_zero_ends_nothing),
		cmocka_unit_test(nesting_is_bounded),
		cmocka_unit_test(a_member_that_comes_twice_is_found),
		cmocka_unit_test(commands_are_told_apart),
		cmocka_unit_test(what_a_command_is_given_is_taken_only_where_it_is_a_plain_string),
		cmocka_unit_test(strings_are_escaped),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
