/*
 * acks_request.h - what a subscribe request says of acknowledgements: `acks=true`, `client=NAME`.
 */
#ifndef PUSH_CORE_ACKS_REQUEST_H
#define PUSH_CORE_ACKS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "encoding.h"
#include "limits.h"
#include "options.h"
#include "status.h"

/* An argument of the query, percent-decoded; NULL where there is none.  Of one that comes twice, both with a
 * comma between, which is no value of either. */
struct push_acks_query {
	const char *acks, *client;
	size_t acks_size, client_size;
};

struct push_acks_request {
	bool is_wanted;                              /* the client acknowledges */
	char client[PUSH_CLIENT_NAME_BYTES_MAX + 1]; /* whose position is kept; empty: nobody's */
};

/*
 * push_acks_request_read - check what a client asks for.
 *
 * @encoding: an EventSource cannot acknowledge, and is refused.
 * Where the server keeps no history at all these are arguments like any that it does not know, and nothing is
 * wanted.  Errors: PUSH_INVALID with the argument and what is wrong with it in `error`.
 */
enum push_status PUSH_MUST_USE
push_acks_request_read(struct push_acks_request *ret_request, const struct push_acks_query *query,
	enum push_encoding encoding, const struct push_options *options, struct push_error *error);

#endif
