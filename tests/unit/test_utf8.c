#include "unit.h"

#include "core/utf8.h"

static void
well_formed_text_is_accepted_and_nothing_else(void **state)
{
	static const struct {
		const char *text;
		size_t size;
		bool valid;
	} rows[] = {
		{"", 0, true}, {"hello, world: long enough for words", 35, true}, {"\0", 1, true},
		{"\xC3\xA9", 2, true}, {"\xE2\x82\xAC", 3, true}, {"\xF0\x9F\x98\x80", 4, true},
		{"\xF4\x8F\xBF\xBF", 4, true}, /* U+10FFFF */
		{"\xEF\xBF\xBF", 3, true},     /* U+FFFF */
		{"\x80", 1, false},            /* a lone continuation */
		{"\xC3", 1, false},            /* cut */
		{"\xE2\x82", 2, false}, {"\xF0\x9F\x98", 3, false}, {"\xC0\xAF", 2, false}, /* overlong */
		{"\xE0\x80\xAF", 3, false}, {"\xF0\x80\x80\xAF", 4, false},
		{"\xED\xA0\x80", 3, false},     /* a surrogate */
		{"\xF4\x90\x80\x80", 4, false}, /* past U+10FFFF */
		{"\xF5\x80\x80\x80", 4, false}, {"\xFF", 1, false}, {"abcdefgh\xC3(ijklmnop", 18, false},
		{"abcdefg\xC3\xA9hijklmn", 16, true}, /* across the words of the fast path */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(push_utf8_is_valid(rows[i].text, rows[i].size), rows[i].valid);
}

static void
a_cut_never_splits_a_sequence(void **state)
{
	const char *text = "a\xC3\xA9\xE2\x82\xAC";

	(void)state;
	assert_int_equal(push_utf8_cut(text, 6, 10), 6);
	assert_int_equal(push_utf8_cut(text, 6, 5), 3);
	assert_int_equal(push_utf8_cut(text, 6, 3), 3);
	assert_int_equal(push_utf8_cut(text, 6, 2), 1);
	assert_int_equal(push_utf8_cut(text, 6, 0), 0);
}

/* A text that still grows is refused at the first byte that nothing can mend. */
static void
a_growing_text_is_taken_as_far_as_its_whole_sequences(void **state)
{
	static const struct {
		const char *text;
		size_t size, taken;
		bool hopeful;
	} rows[] = {
		{"", 0, 0, true},
		{"abc", 3, 3, true},
		{"a\xE2\x82", 3, 1, true},
		{"a\xE2\x82\xAC", 4, 4, true},
		{"\xF0", 1, 0, true},
		{"\xF0\x9F", 2, 0, true},
		{"\xF4\x8F\xBF", 3, 0, true},
		{"\xF4\x90", 2, 0, false},
		{"\xE0\x80", 2, 0, false},
		{"\xED\xA0", 2, 0, false},
		{"\xED\x9F", 2, 0, true},
		{"ab\xC0", 3, 2, false},
		{"\x80", 1, 0, false},
		{"\xC3(", 2, 0, false},
		{"\xF0\x9F\x98(", 4, 0, false},
		{"\xFF", 1, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t taken = 99;

		assert_int_equal(push_utf8_take(rows[i].text, rows[i].size, &taken), rows[i].hopeful);
		assert_int_equal(taken, rows[i].taken);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(well_formed_text_is_accepted_and_nothing_else),
		cmocka_unit_test(a_cut_never_splits_a_sequence),
		cmocka_unit_test(a_growing_text_is_taken_as_far_as_its_whole_sequences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
