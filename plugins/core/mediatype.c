/* mediatype.c - see mediatype.h. */
#include <strings.h>

#include "mediatype.h"

bool
push_media_type_is_json(const char *type, size_t size)
{
	static const char json[] = "application/json";
	const size_t length = sizeof(json) - 1;

	while (size && (*type == ' ' || *type == '\t')) {
		type++;
		size--;
	}
	if (size < length || strncasecmp(type, json, length))
		return false;
	return size == length || type[length] == ';' || type[length] == ' ' || type[length] == '\t';
}
