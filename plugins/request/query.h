/*
 * query.h - the arguments of a request's query (WHATWG URL, 5.1 "application/x-www-form-urlencoded parsing").
 *
 * `&` parts arguments, and so does `;` (HTML 4.01, B.2.2), since lws reads queries that way and shows them to
 * nobody as they were; `=` ends a name, `+` is a space, and `%41` is a byte.  Names are compared as they are
 * sent: no client escapes the letters of `channels`.
 */
#ifndef PUSH_REQUEST_QUERY_H
#define PUSH_REQUEST_QUERY_H

#include "core/buf.h"
#include "core/str.h"

enum push_query_result {
	PUSH_QUERY_NONE,  /* no such argument */
	PUSH_QUERY_FOUND, /* its value is appended */
	PUSH_QUERY_BAD,   /* a `%` that begins no byte */
	PUSH_QUERY_LONG   /* more than fits into the buffer, or memory is out: see its status */
};

/* What is wrong with a request whose query is PUSH_QUERY_BAD. */
#define PUSH_QUERY_BAD_TEXT "the query is malformed: '%' must be followed by two hexadecimal digits"

/* push_query_check - PUSH_QUERY_NONE or PUSH_QUERY_BAD, for the whole query. */
enum push_query_result
push_query_check(struct push_str query);

/* push_query_values - append the values of all arguments `name`, decoded, joined by commas. */
enum push_query_result
push_query_values(struct push_str query, const char *name, struct push_buf *to);

/*
 * push_query_last_id - append the id after which the client wants to begin (push_position_is_argument).
 *
 * Of several the last one that is not empty counts: proxies and pages add theirs.
 */
enum push_query_result
push_query_last_id(struct push_str query, struct push_buf *to);

#endif
