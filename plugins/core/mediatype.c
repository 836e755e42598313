/* mediatype.c - see mediatype.h. */
#include <string.h>
#include <strings.h>

#include "mediatype.h"

static bool
is_type(const char *type, size_t size, const char *name)
{
	const size_t length = strlen(name);

	while (size && (*type == ' ' || *type == '\t')) {
		type++;
		size--;
	}
	if (size < length || strncasecmp(type, name, length) != 0)
		return false;
	return size == length || type[length] == ';' || type[length] == ' ' || type[length] == '\t';
}

bool
push_media_type_is_json(const char *type, size_t size)
{
	return is_type(type, size, "application/json");
}

bool
push_media_type_is_lines(const char *type, size_t size)
{
	return is_type(type, size, "application/x-ndjson");
}
