/*
 * mediatype.h - is this body JSON, by its Content-Type (RFC 9110, 8.3.1)?
 */
#ifndef PUSH_CORE_MEDIATYPE_H
#define PUSH_CORE_MEDIATYPE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * push_media_type_is_json - `application/json`, or `application/NAME+json` (RFC 6839, 3.1), in any case, with
 * parameters or without.  NULL is no type.
 */
bool
push_media_type_is_json(const char *type, size_t size);

/* push_media_type_is_lines - likewise `application/x-ndjson`: JSON texts, one a line. */
bool
push_media_type_is_lines(const char *type, size_t size);

#endif
