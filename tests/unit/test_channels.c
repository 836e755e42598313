#include "unit.h"

#include <stdio.h>

#include "core/channels.h"

static struct push_options options;

static int
setup(void **state)
{
	(void)state;
	push_options_init(&options);
	return 0;
}

static void
a_list_is_split_and_duplicates_collapse(void **state)
{
	static const char list[] = "a,b c,\xC3\xA9,a,b c";
	struct push_channels channels;
	struct push_error error;

	(void)state;
	assert_int_equal(push_channels_parse(&channels, list, sizeof(list) - 1, &options, &error), PUSH_OK);
	assert_int_equal(channels.count, 3);
	assert_memory_equal(channels.names[0].text, "a", 1);
	assert_int_equal(channels.names[1].size, 3);
	assert_memory_equal(channels.names[2].text, "\xC3\xA9", 2);
	push_channels_fini(&channels);
}

static void
a_bad_name_refuses_the_whole_list_and_is_named(void **state)
{
	static const struct {
		const char *list;
		size_t size;
		const char *error;
	} rows[] = {
		{"", 0, "'': empty"},
		{",", 1, "'': empty"},
		{",,", 2, "'': empty"},
		{",a", 2, "'': empty"},
		{"a,,b", 4, "'': empty"},
		{"a,b\nc", 5, "'b?c': has a control character"},
		{"x\x7f", 2, "control character"},
		{"x\xC2\x85", 3, "control character"},
		{"x\0y", 3, "'x?y': has a control character"},
		{"ok,\xFF", 4, "'?': not valid UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_channels channels;
		struct push_error error;

		assert_int_equal(push_channels_parse(&channels, rows[i].list, rows[i].size, &options, &error),
			PUSH_INVALID);
		assert_non_null(strstr(error.text, rows[i].error));
	}
}

static void
commas_at_the_end_of_a_list_are_ignored(void **state)
{
	static const char *const lists[] = {"a,b", "a,b,", "a,b,,,"};

	(void)state;
	for (size_t i = 0; i < COUNT(lists); i++) {
		struct push_channels channels;
		struct push_error error;

		assert_int_equal(push_channels_parse(&channels, lists[i], strlen(lists[i]), &options, &error),
			PUSH_OK);
		assert_int_equal(channels.count, 2);
		push_channels_fini(&channels);
	}
}

static void
a_comma_is_in_no_name(void **state)
{
	struct push_error error;

	(void)state;
	assert_int_equal(push_channel_name_check("a,b", 3, 255, &error), PUSH_INVALID);
	assert_string_equal(error.text, "bad channel name 'a,b': a comma separates names");
}

static void
the_longest_name_passes_and_one_byte_more_does_not(void **state)
{
	char name[256];
	struct push_error error;

	(void)state;
	memset(name, 'n', sizeof(name));
	assert_int_equal(push_channel_name_check(name, 255, 255, &error), PUSH_OK);
	assert_int_equal(push_channel_name_check(name, 256, 255, &error), PUSH_INVALID);
	assert_non_null(strstr(error.text, "256 bytes, at most 255"));
}

static void
one_channel_too_many_is_named(void **state)
{
	char list[1024] = "";
	struct push_channels channels;
	struct push_error error;
	size_t size = 0;

	(void)state;
	for (int i = 0; i < 128; i++)
		size += (size_t)sprintf(list + size, "%sc%d", i ? "," : "", i);
	assert_int_equal(push_channels_parse(&channels, list, size, &options, &error), PUSH_OK);
	assert_int_equal(channels.count, 128);
	push_channels_fini(&channels);
	/* a duplicate is not one too many */
	size += (size_t)sprintf(list + size, ",c7");
	assert_int_equal(push_channels_parse(&channels, list, size, &options, &error), PUSH_OK);
	push_channels_fini(&channels);
	size += (size_t)sprintf(list + size, ",c128");
	assert_int_equal(push_channels_parse(&channels, list, size, &options, &error), PUSH_TOO_MANY);
	assert_non_null(strstr(error.text, "'c128' is over the 128"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_split_and_duplicates_collapse),
		cmocka_unit_test(a_bad_name_refuses_the_whole_list_and_is_named),
		cmocka_unit_test(commas_at_the_end_of_a_list_are_ignored),
		cmocka_unit_test(a_comma_is_in_no_name),
		cmocka_unit_test(the_longest_name_passes_and_one_byte_more_does_not),
		cmocka_unit_test(one_channel_too_many_is_named),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
