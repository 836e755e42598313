/* similar_name.c - see similar_name.h. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "similar_name.h"

/* What all options begin with says nothing about which one is meant. */
#define COMMON_PREFIX "push."

/* Returns the length; 0 where it is too long. */
static size_t
normalize(const char *name, char to[PUSH_SIMILAR_NAME_BYTES_MAX + 1])
{
	size_t size = strlen(name);

	if (size > PUSH_SIMILAR_NAME_BYTES_MAX)
		return 0;
	for (size_t i = 0; i < size; i++)
		to[i] = name[i] == '_' || name[i] == '-' ? '.' : (char)tolower((unsigned char)name[i]);
	to[size] = '\0';
	return size;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Optimal string alignment: Levenshtein's distance, with two swapped neighbours as one change. */
static size_t
distance(const char *a, size_t a_size, const char *b, size_t b_size)
{
	size_t rows[3][PUSH_SIMILAR_NAME_BYTES_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t k = 0; k <= b_size; k++)
		above[k] = k;
	for (size_t i = 1; i <= a_size; i++) {
		size_t *oldest = before;

		row[0] = i;
		for (size_t k = 1; k <= b_size; k++) {
			row[k] =
				least(least(above[k], row[k - 1]) + 1, above[k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				row[k] = least(row[k], before[k - 2] + 1);
		}
		before = above;
		above = row;
		row = oldest;
	}
	return above[b_size];
}

static bool
has_word(const char *text, const char *word, size_t size)
{
	while (*text) {
		size_t length = strcspn(text, ".");

		if (length == size && !memcmp(text, word, size))
			return true;
		text += length + (text[length] == '.');
	}
	return false;
}

/* Every word of `name` is one of `other`, in any order. */
static bool
has_words_of(const char *other, const char *name)
{
	while (*name) {
		size_t length = strcspn(name, ".");

		if (!length || !has_word(other, name, length))
			return false;
		name += length + (name[length] == '.');
	}
	return true;
}

bool
push_similar_name_distance(const char *name, const char *other, size_t *ret_distance)
{
	char a[PUSH_SIMILAR_NAME_BYTES_MAX + 1], b[PUSH_SIMILAR_NAME_BYTES_MAX + 1];
	size_t a_size = normalize(name, a), b_size = normalize(other, b), prefix = strlen(COMMON_PREFIX);

	if (!a_size || !b_size)
		return false;
	*ret_distance = distance(a, a_size, b, b_size);
	if (strncmp(a, COMMON_PREFIX, prefix) != 0)
		prefix = 0;
	else if (a_size == prefix)
		return false;
	return *ret_distance * 3 <= a_size - prefix || has_words_of(b, a + prefix);
}

/* Of names shorter than this too many words of others are one slip away. */
#define SLIP_BYTES_MIN       3
#define SLIP_SHORT_BYTES_MAX 4

static bool
is_same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Whether the two are the same from `a` and `b` on. */
static bool
ends_same(const char *a, size_t a_size, const char *b, size_t b_size)
{
	return a_size == b_size && !strncasecmp(a, b, a_size);
}

static bool
is_plausible(char c, const char *other, size_t other_size)
{
	if (c <= ' ' || c > '~')
		return false;
	return other_size > SLIP_SHORT_BYTES_MAX || memchr(other, tolower((unsigned char)c), other_size);
}

bool
push_similar_name_is_slip(const char *name, size_t size, const char *other)
{
	size_t other_size = strlen(other), i = 0, rest, other_rest;
	const char *at, *other_at;

	if (other_size < SLIP_BYTES_MIN || size + 1 < other_size || size > other_size + 1)
		return false;
	while (i < size && i < other_size && is_same(name[i], other[i]))
		i++;
	at = name + i;
	other_at = other + i;
	rest = size - i;
	other_rest = other_size - i;
	if (!rest && !other_rest)
		return memcmp(name, other, size) != 0; /* capitals */
	if (other_rest && ends_same(at, rest, other_at + 1, other_rest - 1))
		return true; /* left out */
	if (rest >= 2 && other_rest >= 2 && is_same(at[0], other_at[1]) && is_same(at[1], other_at[0]) &&
		ends_same(at + 2, rest - 2, other_at + 2, other_rest - 2))
		return true; /* swapped */
	if (!rest || !is_plausible(*at, other, other_size))
		return false;
	return ends_same(at + 1, rest - 1, other_at, other_rest) /* added */ ||
	       (other_rest && ends_same(at + 1, rest - 1, other_at + 1, other_rest - 1)) /* changed */;
}
