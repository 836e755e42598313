/*
 * query.h - arguments of a request's query.
 */
#ifndef PUSH_DIRECT_QUERY_H
#define PUSH_DIRECT_QUERY_H

#include "core/acks_request.h"
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

/*
 * push_query_last_id - what the client has read last (push_position_is_argument), percent-decoded.
 *
 * Returns false where the query has no such argument.  One that cannot be decoded is the empty text.
 */
bool
push_query_last_id(struct push_span query, struct push_buf *to);

/*
 * push_query_acks - what a query says of acknowledgements.
 *
 * Returns false where that is wrong, or may be: the request is left to lws' path, which says what.
 */
bool
push_query_acks(struct push_span query, enum push_encoding encoding, const struct push_options *options,
	struct push_acks_request *ret_request);

#endif
