/*
 * http1_answer.h - answers as HTTP/1.1 writes them (RFC 9112, 4 and 7.1).
 *
 * No socket inside: they are appended to a buffer.
 */
#ifndef PUSH_DIRECT_HTTP1_ANSWER_H
#define PUSH_DIRECT_HTTP1_ANSWER_H

#include "core/buf.h"
#include "request/response.h"

/* What belongs to the connection, not to the answer. */
struct push_http1_form {
	struct push_str extra; /* header lines that the vhost adds, each with CRLF */
	bool is_head;          /* the answer to HEAD: the length of a body, and none (RFC 9110, 9.3.2) */
	bool http_1_0;         /* the client is: it must be told that the connection stays */
	bool can_chunk;        /* a body of unknown length has chunks; else it ends with the connection */
};

/* push_http1_answer_append - a whole answer. */
void
push_http1_answer_append(
	struct push_buf *to, const struct push_response *response, const struct push_http1_form *form);

/* push_http1_head_append - the head of one whose body comes in pieces. */
void
push_http1_head_append(
	struct push_buf *to, const struct push_response *response, const struct push_http1_form *form);

/* push_http1_chunk_append - a piece of it; of no size: its end. */
void
push_http1_chunk_append(struct push_buf *to, const char *bytes, size_t size);

#endif
