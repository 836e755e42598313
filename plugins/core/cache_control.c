/* cache_control.c - see cache_control.h. */
#include <string.h>
#include <strings.h>

#include "cache_control.h"

/* The number of `max-age=N`, which may be in quotes. */
static uint32_t
read_seconds(const char *text, size_t size)
{
	uint64_t seconds = 0;

	if (size >= 2 && text[0] == '"' && text[size - 1] == '"') {
		text++;
		size -= 2;
	}
	if (!size)
		return 0;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		seconds = seconds * 10 + (uint64_t)(text[i] - '0');
		if (seconds >= PUSH_MAX_AGE_NONE)
			seconds = PUSH_MAX_AGE_NONE - 1;
	}
	return (uint32_t)seconds;
}

static bool
is(const char *text, size_t size, const char *lower_case)
{
	return size == strlen(lower_case) && !strncasecmp(text, lower_case, size);
}

/* Up to the next comma outside of quotes. */
static size_t
directive_size(const char *text)
{
	bool is_quoted = false;
	size_t size = 0;

	for (; text[size] && (is_quoted || text[size] != ','); size++) {
		if (text[size] == '"')
			is_quoted = !is_quoted;
		else if (is_quoted && text[size] == '\\' && text[size + 1])
			size++;
	}
	return size;
}

struct push_cache_control
push_cache_control_parse(const char *text)
{
	static const char max_age[] = "max-age=";
	struct push_cache_control ret = {.max_age_s = PUSH_MAX_AGE_NONE};

	for (;;) {
		size_t size;

		text += strspn(text, ", \t");
		if (!*text)
			return ret;
		size = directive_size(text);
		const char *next = text + size;

		while (size && (text[size - 1] == ' ' || text[size - 1] == '\t'))
			size--;
		if (size >= sizeof(max_age) - 1 && is(text, sizeof(max_age) - 1, max_age)) {
			uint32_t seconds =
				read_seconds(text + sizeof(max_age) - 1, size - (sizeof(max_age) - 1));

			ret.max_age_s = seconds < ret.max_age_s ? seconds : ret.max_age_s;
		} else if (is(text, size, "no-store") || is(text, size, "no-cache") ||
			   (size > 9 && is(text, 9, "no-cache="))) {
			ret.no_store = true;
		}
		text = next;
	}
}
