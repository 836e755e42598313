/* publish_key_line.c - see publish_key_line.h. */
#include <ctype.h>
#include <string.h>

#include "core/options.h"
#include "core/pattern.h"
#include "core/units.h"
#include "publish_key_line.h"

/* `100/s`, `64gb/m`: no number that is accepted is longer. */
#define AMOUNT_BYTES_MAX 24

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Takes the next word off the line; it has no bytes at the end, and where a comment begins. */
static struct push_str
take_word(struct push_str *line)
{
	struct push_str word;
	size_t i = 0;

	while (line->size && is_blank(*line->bytes))
		line->bytes++, line->size--;
	while (i < line->size && !is_blank(line->bytes[i]))
		i++;
	word = (struct push_str){line->bytes, i};
	line->bytes += i;
	line->size -= i;
	if (word.size && *word.bytes == '#')
		word.size = line->size = 0;
	return word;
}

static bool
is_name(struct push_str word)
{
	for (size_t i = 0; i < word.size; i++)
		if (!isalnum((unsigned char)word.bytes[i]) && !memchr("._-", word.bytes[i], 3))
			return false;
	return word.size && word.size <= PUSH_PUBLISH_KEY_NAME_BYTES_MAX;
}

static int
digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
parse_digest(struct push_str word, unsigned char digest[PUSH_PUBLISH_KEY_DIGEST_BYTES])
{
	if (word.size != 2 * PUSH_PUBLISH_KEY_DIGEST_BYTES)
		return false;
	for (size_t i = 0; i < PUSH_PUBLISH_KEY_DIGEST_BYTES; i++) {
		int high = digit_value(word.bytes[2 * i]), low = digit_value(word.bytes[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		digest[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}

/* What `sha256sum` says of no bytes: of a variable that was not set, for one. */
static bool
is_digest_of_nothing(const unsigned char digest[PUSH_PUBLISH_KEY_DIGEST_BYTES])
{
	static const unsigned char nothing[PUSH_PUBLISH_KEY_DIGEST_BYTES] = {0xe3, 0xb0, 0xc4, 0x42, 0x98,
		0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4,
		0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55};

	return !memcmp(digest, nothing, sizeof(nothing));
}

bool
push_publish_key_line_next(struct push_str *list, struct push_str *ret_pattern)
{
	const char *comma;

	if (!list->bytes)
		return false;
	comma = memchr(list->bytes, ',', list->size);
	*ret_pattern = (struct push_str){list->bytes, comma ? (size_t)(comma - list->bytes) : list->size};
	*list = comma ? (struct push_str){comma + 1, list->size - ret_pattern->size - 1}
		      : (struct push_str){NULL, 0};
	return true;
}

static const char *
find_fault_of_patterns(struct push_str patterns)
{
	struct push_str pattern;
	struct push_error error;

	if (!patterns.size)
		return "has no patterns: write NAME SHA256 PATTERNS";
	while (push_publish_key_line_next(&patterns, &pattern)) {
		if (push_pattern_check(pattern, &error) != PUSH_OK)
			return "PATTERNS must be separated by commas, and each 1 to 255 bytes of UTF-8 "
			       "without"
			       " control characters";
		if (memmem(pattern.bytes, pattern.size, "{sub}", 5))
			return "{sub} is the user of a token, and a key has none";
	}
	return NULL;
}

_Static_assert(PUSH_PATTERN_BYTES_MAX == 255, "as the text says");

/* `100/s`; size: in bytes, with their units. */
static bool
parse_rate(struct push_str word, bool is_size, struct push_rate *ret)
{
	static const struct {
		char letter;
		uint64_t us;
	} units[] = {{'s', 1000000}, {'m', 60000000}, {'h', 3600000000}};
	char amount[AMOUNT_BYTES_MAX];
	uint64_t number;

	if (word.size < 3 || word.size - 2 >= sizeof(amount) || word.bytes[word.size - 2] != '/')
		return false;
	memcpy(amount, word.bytes, word.size - 2);
	amount[word.size - 2] = '\0';
	if (memchr(amount, '\0', word.size - 2) ||
		(is_size ? push_memory_parse(amount, &number) : push_count_parse(amount, &number)) !=
			PUSH_OK ||
		!number)
		return false;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (units[i].letter == word.bytes[word.size - 1]) {
			*ret = (struct push_rate){number, units[i].us};
			return true;
		}
	return false;
}

/* Whether the word is `name` and a value; it is without the name, then. */
static bool
take_name(struct push_str *word, const char *name)
{
	size_t size = strlen(name);

	if (word->size < size || memcmp(word->bytes, name, size) != 0)
		return false;
	word->bytes += size;
	word->size -= size;
	return true;
}

static const char *
parse_limit(struct push_str word, struct push_publish_key_line *line)
{
	if (take_name(&word, "rate=")) {
		if (line->messages.amount)
			return "rate= comes twice";
		return parse_rate(word, false, &line->messages)
			       ? NULL
			       : "rate= must be a number of messages by s, m or h, such as rate=100/s";
	}
	if (take_name(&word, "bytes=")) {
		if (line->bytes.amount)
			return "bytes= comes twice";
		return parse_rate(word, true, &line->bytes)
			       ? NULL
			       : "bytes= must be a size by s, m or h, such as bytes=1mb/s";
	}
	return "behind PATTERNS there may only be limits, such as rate=100/s or bytes=1mb/s";
}

static const char *
parse(struct push_str rest, struct push_publish_key_line *line)
{
	struct push_str digest = take_word(&rest), word;
	const char *why;

	if (!is_name(line->name))
		return "NAME must be 1 to 64 letters, digits and . _ -";
	if (!parse_digest(digest, line->digest))
		return "SHA256 must be the key's SHA-256 in 64 hexadecimal digits";
	if (is_digest_of_nothing(line->digest))
		return "SHA256 is that of an empty key";
	line->patterns = take_word(&rest);
	why = find_fault_of_patterns(line->patterns);
	while (!why && (word = take_word(&rest)).size)
		why = parse_limit(word, line);
	return why;
}

_Static_assert(PUSH_PUBLISH_KEY_NAME_BYTES_MAX == 64, "as the text says");

enum push_status
push_publish_key_line_parse(struct push_str line, struct push_publish_key_line *ret, const char **ret_why)
{
	struct push_publish_key_line parsed = {.name = take_word(&line)};

	if (!parsed.name.size)
		return PUSH_NOT_FOUND;
	*ret_why = parse(line, &parsed);
	if (*ret_why)
		return PUSH_INVALID;
	*ret = parsed;
	return PUSH_OK;
}
