#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/pattern.h"

#define CASES        200000
#define COMPILED_MAX 16384

static struct push_str
text(const char *bytes)
{
	return (struct push_str){bytes, bytes ? strlen(bytes) : 0};
}

static bool
matches(const char *pattern, const char *user, const char *name)
{
	struct push_buf compiled;
	bool is_match;

	push_buf_init(&compiled, COMPILED_MAX);
	is_match = push_pattern_compile(&compiled, text(pattern), text(user)) &&
		   push_pattern_matches((struct push_str){compiled.bytes, compiled.size}, text(name));
	assert_int_equal(compiled.status, PUSH_OK);
	push_buf_fini(&compiled);
	return is_match;
}

static bool
template_matches(const char *selector, const char *name)
{
	struct push_buf compiled;
	bool is_match;

	push_buf_init(&compiled, COMPILED_MAX);
	push_pattern_compile_template(&compiled, text(selector));
	is_match = push_pattern_matches((struct push_str){compiled.bytes, compiled.size}, text(name));
	push_buf_fini(&compiled);
	return is_match;
}

static void
the_table_of_matches(void **state)
{
	static const struct {
		const char *pattern, *user, *name;
		bool is_match;
	} rows[] = {
		{"news", NULL, "news", true},
		{"news", NULL, "News", false},
		{"news", NULL, "new", false},
		{"news", NULL, "newsroom", false},
		{"news", NULL, "", false},
		{"chat:*", NULL, "chat:7", true},
		{"chat:*", NULL, "chat:", true},
		{"chat:*", NULL, "chat", false},
		{"chat:*", NULL, "chat:7:typing", false},
		{"chat:**", NULL, "chat:7:typing", true},
		{"chat:**", NULL, "chat:", true},
		{"chat:**", NULL, "chatter:7", false},
		{"*", NULL, "news", true},
		{"*", NULL, "chat:7", false},
		{"**", NULL, "chat:7", true},
		{"*:*", NULL, "chat:7", true},
		{"*:*", NULL, "chat:7:typing", false},
		{"*:*:*", NULL, "chat:7:typing", true},
		{"chat:*:typing", NULL, "chat:7:typing", true},
		{"chat:*:typing", NULL, "chat:7:8:typing", false},
		{"chat:**:typing", NULL, "chat:7:8:typing", true},
		{"chat:*:typing", NULL, "chat:typing", false},
		{"*s", NULL, "news", true},
		{"n*w*s", NULL, "news", true},
		{"***", NULL, "a:b", true},
		/* a text in front and one behind may not share bytes */
		{"aa*aa", NULL, "aaa", false},
		{"aa*aa", NULL, "aaaa", true},
		/* what a later `**` allows an earlier `*` does not need */
		{"*a**b", NULL, "xa:xb", true},
		{"**a*b", NULL, "a:ab", true},
		{"**:*b", NULL, "a:a:bb", true},
		{"user:{sub}", "ann", "user:ann", true},
		{"user:{sub}", "ann", "user:anna", false},
		{"user:{sub}", "ann", "user:{sub}", false},
		{"user:{sub}:*", "ann", "user:ann:inbox", true},
		{"{sub}-{sub}", "ann", "ann-ann", true},
		/* without a user it is nothing, and not a text */
		{"user:{sub}", NULL, "user:{sub}", false},
		{"user:{sub}", "", "user:", false},
		/* a user's name is never a wildcard, nor read again */
		{"user:{sub}", "*", "user:ann", false},
		{"user:{sub}", "*", "user:*", true},
		{"user:{sub}", "**", "user:a:b", false},
		{"user:{sub}", "{sub}", "user:{sub}", true},
		{"user:{sub}:*", "a:b", "user:a:b:c", true},
		{"user:{sub}", "\x01", "user:x", false},
		{"user:{sub}", "\x02", "user:x", false},
		{"user:{sub}", "\x03", "user:x", false},
		{"user:{sub}", "\x02", "user:\x02", false},
		{"user:{sub}", "a\nb", "user:a", false},
		{"user:{sub}", "\xFF", "user:\xFF", false},
		/* braces around anything else stand for themselves */
		{"{user}", "ann", "{user}", true},
		{"{sub", "ann", "{sub", true},
		{"{{sub}}", "ann", "{ann}", true},
		{"\xC3\xA9*", NULL, "\xC3\xA9t\xC3\xA9", true},
		{"?", NULL, "a", false},
		{"[a]", NULL, "a", false},
		{"a\\*", NULL, "a*", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (matches(rows[i].pattern, rows[i].user, rows[i].name) != rows[i].is_match)
			fail_msg("row %zu: '%s' of '%s' and '%s'", i, rows[i].pattern,
				rows[i].user ? rows[i].user : "nobody", rows[i].name);
}

static void
a_topic_selector_matches_what_mercure_would(void **state)
{
	static const struct {
		const char *selector, *name;
		bool is_match;
	} rows[] = {
		{"*", "https://example.com/books/1", true},
		{"https://example.com/books/1", "https://example.com/books/1", true},
		{"https://example.com/books/1", "https://example.com/books/12", false},
		{"https://example.com/books/{id}", "https://example.com/books/1", true},
		{"https://example.com/books/{id}", "https://example.com/books/a-b.c_d~e", true},
		{"https://example.com/books/{id}", "https://example.com/books/", true},
		{"https://example.com/books/{id}", "https://example.com/books/1/2", false},
		{"https://example.com/books/{id}", "https://example.com/books/a%2Fb", true},
		{"https://example.com/books/{id}", "https://example.com/books/a%2", false},
		{"https://example.com/books/{id}", "https://example.com/books/%zz", false},
		{"https://example.com/books/{id}", "https://example.com/books/\xC3\xA9", false},
		{"/{a}/{b}", "/1/2", true},
		{"/{a}{b}", "/12", true},
		{"/{a}41", "/%4141", true},
		{"/{a}1", "/%41", false},
		/* what is no wildcard there is none here */
		{"/books/*", "/books/1", false},
		{"/books/*", "/books/*", true},
		{"**", "news", false},
		{"{sub}", "ann", true}, /* a variable as any other */
		/* expressions of other kinds, and what is no template */
		{"/books{/id}", "/books/1", false},
		{"/books{/id}", "/books{/id}", true},
		{"/books/{+id}", "/books/1", false},
		{"/books/{id:3}", "/books/123", false},
		{"/books/{id*}", "/books/1", false},
		{"/books/{a,b}", "/books/1", false},
		{"/books/{}", "/books/1", false},
		{"/books/{id", "/books/1", false},
		{"/books/{id}/{+x}", "/books/1/2", false},
		{"/books/{id}}", "/books/1}", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (template_matches(rows[i].selector, rows[i].name) != rows[i].is_match)
			fail_msg("row %zu: '%s' and '%s'", i, rows[i].selector, rows[i].name);
}

/* As the definition has it, however long it takes. */
static bool
is_match_by_definition(const char *pattern, const char *name)
{
	if (!*pattern)
		return !*name;
	if (*pattern == '*') {
		bool any = pattern[1] == '*';

		if (is_match_by_definition(pattern + 1 + any, name))
			return true;
		return *name && (any || *name != ':') && is_match_by_definition(pattern, name + 1);
	}
	return *pattern == *name && is_match_by_definition(pattern + 1, name + 1);
}

static void
draw(char *to, size_t size_max, const char *alphabet, unsigned int *seed)
{
	size_t size = (size_t)rand_r(seed) % (size_max + 1), letters = strlen(alphabet);

	for (size_t i = 0; i < size; i++)
		to[i] = alphabet[(size_t)rand_r(seed) % letters];
	to[size] = '\0';
}

static void
random_patterns_match_what_the_definition_says(void **state)
{
	unsigned int seed = 20261130;
	size_t match_count = 0;

	(void)state;
	print_message("seed %u\n", seed);
	for (int i = 0; i < CASES; i++) {
		char pattern[12], name[10];
		bool expected;

		draw(pattern, sizeof(pattern) - 1, "ab:**", &seed);
		draw(name, sizeof(name) - 1, "aab:", &seed);
		expected = is_match_by_definition(pattern, name);
		match_count += expected;
		if (matches(pattern, NULL, name) != expected)
			fail_msg("case %d: '%s' and '%s'", i, pattern, name);
	}
	/* the cases are not all of one kind */
	assert_in_range(match_count, CASES / 20, CASES / 2);
}

/* `$` is a variable. */
static bool
is_template_match_by_definition(const char *pattern, const char *name)
{
	if (!*pattern)
		return !*name;
	if (*pattern != '$')
		return *pattern == *name && is_template_match_by_definition(pattern + 1, name + 1);
	if (is_template_match_by_definition(pattern + 1, name))
		return true;
	if (name[0] == '%' && name[1] == '4' && name[2] == '4')
		return is_template_match_by_definition(pattern, name + 3);
	return name[0] == '4' && is_template_match_by_definition(pattern, name + 1);
}

static void
random_templates_match_what_the_definition_says(void **state)
{
	unsigned int seed = 20261130;
	size_t match_count = 0;

	(void)state;
	for (int i = 0; i < CASES / 4; i++) {
		char pattern[8], selector[64] = "", name[10];
		bool expected;

		draw(pattern, sizeof(pattern) - 1, "4%/$$", &seed);
		for (const char *p = pattern; *p; p++)
			strcat(selector, *p == '$' ? "{v}" : (char[]){*p, '\0'});
		draw(name, sizeof(name) - 1, "444%/", &seed);
		expected = is_template_match_by_definition(pattern, name);
		match_count += expected;
		if (template_matches(selector, name) != expected)
			fail_msg("case %d: '%s' and '%s'", i, selector, name);
	}
	assert_in_range(match_count, CASES / 400, CASES / 8);
}

static void
the_worst_pattern_goes_through_the_name_once_for_each_byte(void **state)
{
	char pattern[PUSH_PATTERN_BYTES_MAX + 1] = "", name[256];

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	/* each star may stop anywhere: that many ways are more than any machine tries */
	while (strlen(pattern) + 5 < sizeof(pattern))
		strcat(pattern, strlen(pattern) % 3 ? "*a" : "**a");
	strcat(pattern, "b");
	for (int i = 0; i < 100; i++)
		assert_false(matches(pattern, NULL, name));
	pattern[strlen(pattern) - 1] = 'a';
	assert_true(matches(pattern, NULL, name));
	strcat(pattern, "*");
	assert_true(matches(pattern, NULL, name));
}

static void
a_name_longer_than_any_matches_nothing(void **state)
{
	static char name[PUSH_QUERY_BYTES_MAX + 2];

	(void)state;
	memset(name, 'a', PUSH_QUERY_BYTES_MAX);
	assert_true(matches("**", NULL, name));
	assert_true(matches("*a*", NULL, name));
	name[PUSH_QUERY_BYTES_MAX] = 'a';
	assert_false(matches("**", NULL, name));
	assert_false(matches("*a*", NULL, name));
}

static void
a_bad_pattern_is_named(void **state)
{
	char longest[PUSH_PATTERN_BYTES_MAX + 2];
	static const struct {
		const char *pattern, *error;
	} rows[] = {
		{"", "bad pattern '': empty"},
		{"a\nb", "bad pattern 'a?b': has a control character"},
		{"a\x01", "has a control character"},
		{"a\xC2\x85", "has a control character"},
		{"\xFF", "bad pattern '?': not valid UTF-8"},
		{"a,b", "bad pattern 'a,b': a comma separates names"},
	};
	struct push_error error = {""};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(push_pattern_check(text(rows[i].pattern), &error), PUSH_INVALID);
		assert_non_null(strstr(error.text, rows[i].error));
	}
	memset(longest, '*', sizeof(longest));
	assert_int_equal(
		push_pattern_check((struct push_str){longest, PUSH_PATTERN_BYTES_MAX}, &error), PUSH_OK);
	assert_int_equal(push_pattern_check((struct push_str){longest, PUSH_PATTERN_BYTES_MAX + 1}, &error),
		PUSH_INVALID);
	assert_non_null(strstr(error.text, "256 bytes, at most 255 are allowed"));
}

static void
what_does_not_fit_shows_in_the_buffer(void **state)
{
	struct push_buf small;

	(void)state;
	push_buf_init(&small, 3);
	assert_true(push_pattern_compile(&small, text("a**b"), text(NULL)));
	assert_int_equal(small.status, PUSH_OK);
	assert_true(push_pattern_compile(&small, text("c"), text(NULL)));
	assert_int_equal(small.status, PUSH_TOO_LARGE);
	push_buf_fini(&small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_of_matches),
		cmocka_unit_test(a_topic_selector_matches_what_mercure_would),
		cmocka_unit_test(random_patterns_match_what_the_definition_says),
		cmocka_unit_test(random_templates_match_what_the_definition_says),
		cmocka_unit_test(the_worst_pattern_goes_through_the_name_once_for_each_byte),
		cmocka_unit_test(a_name_longer_than_any_matches_nothing),
		cmocka_unit_test(a_bad_pattern_is_named),
		cmocka_unit_test(what_does_not_fit_shows_in_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
