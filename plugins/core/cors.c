/* cors.c - see cors.h.  Origins are compared byte by byte, as browsers serialise them (RFC 6454, 6.1). */
#include <stdbool.h>
#include <string.h>

#include "cors.h"

static bool
is_listed(const char *list, const char *wanted)
{
	size_t wanted_size = strlen(wanted);

	while (*list) {
		size_t size, skipped = strspn(list, ", ");

		list += skipped;
		size = strcspn(list, ", ");
		if (size == wanted_size && size > 0 && !memcmp(list, wanted, size))
			return true;
		list += size;
	}
	return false;
}

const char *
push_cors_allowed_origin(const char *allowed, const char *origin)
{
	if (is_listed(allowed, "*"))
		return "*";
	return origin && is_listed(allowed, origin) ? origin : NULL;
}
