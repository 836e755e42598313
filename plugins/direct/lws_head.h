/*
 * lws_head.h - the head of a request that is lws', from any wire, as HTTP/1.1.
 *
 * Nothing that a client sends can end a line or the head, or make lws see another body than the one that follows: what
 * frames the message is written here, and nothing of it is taken over (RFC 9113, 8.2.2 and 10.3).
 */
#ifndef PUSH_DIRECT_LWS_HEAD_H
#define PUSH_DIRECT_LWS_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/str.h"

struct direct_lws_field {
	struct push_str name, value;
};

/* All of it borrowed, and in need of no check. */
struct direct_lws_head {
	struct push_str method, target; /* target: the path with its query; `*` with OPTIONS */
	struct push_str authority;
	const struct direct_lws_field
		*fields; /* pseudo fields (`:path`) and those of a connection are left out */
	size_t field_count;
	bool has_body;   /* something follows it, and */
	bool has_length; /* its length is known: */
	uint64_t length;
};

/*
 * direct_lws_head_write - append it, with `Connection: close`.
 *
 * Returns 0, or the status of an answer that refuses the request: 400, 411 a body without a length, 431 longer than `to`
 * may be, 501 a method that lws does not know, 503 without memory.
 */
unsigned int PUSH_MUST_USE
direct_lws_head_write(struct push_buf *to, const struct direct_lws_head *head);

/* direct_lws_field_is_hop - whether a field is of one connection only (RFC 9110, 7.6.1). */
bool
direct_lws_field_is_hop(struct push_str name);

#endif
