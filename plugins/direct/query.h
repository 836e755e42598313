/*
 * query.h - arguments of a request's query.
 */
#ifndef PUSH_DIRECT_QUERY_H
#define PUSH_DIRECT_QUERY_H

#include "core/buf.h"
#include "direct/head.h"

/*
 * push_query_values - append the values of all arguments `name`, percent-decoded, joined by commas.
 *
 * Returns false where there is none, or the query has something that is read in more than one way (`+`, `;`,
 * a
 * `%` that begins no byte, a NUL): such a request is left to lws.
 */
bool
push_query_values(struct push_span query, const char *name, struct push_buf *to);

#endif
