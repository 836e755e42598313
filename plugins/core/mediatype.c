/* mediatype.c - see mediatype.h. */
#include <string.h>
#include <strings.h>

#include "mediatype.h"

static void
skip_space(const char **type, size_t *size)
{
	while (*size && (**type == ' ' || **type == '\t')) {
		(*type)++;
		(*size)--;
	}
}

static bool
is_type(const char *type, size_t size, const char *name)
{
	const size_t length = strlen(name);

	skip_space(&type, &size);
	if (size < length || strncasecmp(type, name, length) != 0)
		return false;
	return size == length || type[length] == ';' || type[length] == ' ' || type[length] == '\t';
}

/* application/NAME+json (RFC 6839, 3.1). */
static bool
has_json_suffix(const char *type, size_t size)
{
	static const char prefix[] = "application/", suffix[] = "+json";
	const size_t prefix_size = sizeof(prefix) - 1, suffix_size = sizeof(suffix) - 1;
	size_t length = 0;

	skip_space(&type, &size);
	while (length < size && !strchr("; \t,", type[length]))
		length++;
	if (length <= prefix_size + suffix_size || strncasecmp(type, prefix, prefix_size) != 0 ||
		strncasecmp(type + length - suffix_size, suffix, suffix_size) != 0)
		return false;
	return length == size || type[length] != ',';
}

bool
push_media_type_is_json(const char *type, size_t size)
{
	return is_type(type, size, "application/json") || has_json_suffix(type, size);
}

bool
push_media_type_is_lines(const char *type, size_t size)
{
	return is_type(type, size, "application/x-ndjson");
}
