/*
 * http1_body.h - the body of an HTTP/1.1 request, taken out of the bytes that have come (RFC 9112, 6
 * and 7.1).
 *
 * No socket inside: bytes in, pieces out.  Trailers are read and dropped.
 */
#ifndef PUSH_DIRECT_HTTP1_BODY_H
#define PUSH_DIRECT_HTTP1_BODY_H

#include "direct/head.h"

struct push_http1_body {
	llhttp_t parser; /* of a chunked one */
	bool chunked;
	uint64_t left; /* bytes of one with a length; of a chunked one 1 until its last chunk has come */
};

enum push_http1_result {
	PUSH_HTTP1_MORE, /* all bytes were the body's, and more are to come */
	PUSH_HTTP1_LAST, /* the body is over */
	PUSH_HTTP1_BAD   /* its chunks are malformed */
};

/* Gets a piece, borrowed; is_last comes once, maybe with an empty one. */
typedef void (*push_http1_piece_fn)(void *context, struct push_str piece, bool is_last);

/* push_http1_body_begin - @parser: as push_head_read() has left it. */
void
push_http1_body_begin(struct push_http1_body *body, const struct push_head *head, const llhttp_t *parser);

/*
 * push_http1_body_read - give the pieces that are in these bytes to `take`; `*ret_used`: how many were the
 * body's.
 */
enum push_http1_result
push_http1_body_read(struct push_http1_body *body, const char *bytes, size_t size, size_t *ret_used,
	push_http1_piece_fn take, void *context);

#endif
