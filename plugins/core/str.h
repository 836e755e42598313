/*
 * str.h - a piece of text that lies somewhere else: a part of a request, borrowed and not NUL-terminated.
 */
#ifndef PUSH_CORE_STR_H
#define PUSH_CORE_STR_H

#include <stdbool.h>
#include <stddef.h>

/* bytes is NULL if there is no such part; an empty part has bytes and no size. */
struct push_str {
	const char *bytes;
	size_t size;
};

/* push_str_is - whether it is this text, in any case. */
bool
push_str_is(struct push_str str, const char *lower_case);

/* push_str_has_token - whether a comma-separated list (RFC 9110, 5.6.1) has this token, in any case. */
bool
push_str_has_token(struct push_str list, const char *lower_case);

/* push_str_token_after - of the token of such a list that begins with `prefix`, what follows that; without bytes: there
 * is none.  Of several, all from the first on, with their commas: a secret that is shown twice is none. */
struct push_str
push_str_token_after(struct push_str list, const char *prefix);

/* push_str_is_host - whether this may be a Host: a name or an address, and maybe a port (RFC 3986, 3.2.2
 * and 3.2.3). */
bool
push_str_is_host(struct push_str str);

/* push_str_is_field_name - a token (RFC 9110, 5.6.2). */
bool
push_str_is_field_name(struct push_str str);

/* push_str_is_field_value - visible characters, spaces, tabs, and bytes of other alphabets (RFC 9110, 5.5). */
bool
push_str_is_field_value(struct push_str str);

/* push_str_trim - without spaces and tabs at both ends (OWS, RFC 9110, 5.6.3). */
struct push_str
push_str_trim(struct push_str str);

#endif
