/*
 * head.h - the head of one HTTP/1.x request, read where it lies.
 *
 * The grammar is llhttp's, Node.js' parser, with nothing lenient switched on: what two servers could read in
 * two ways (two lengths, a length beside chunks, line breaks without CR) is an error (RFC 9112, 11.2), and so
 * is what llhttp leaves to its users: no Host or two, a malformed one, a coding that is not `chunked`, a
 * header that comes twice of which one may come.  It is given a head only when the empty line that ends it is
 * there, so that every value is one span of the bytes and nothing is kept between two reads.
 */
#ifndef PUSH_DIRECT_HEAD_H
#define PUSH_DIRECT_HEAD_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "request/request.h"

/* The first byte of TLS (RFC 8446, 5.1). */
#define PUSH_TLS_HANDSHAKE 0x16

struct push_head {
	struct push_request request; /* without its place and rest, and without awaits_continue */
	bool http_1_1;               /* else 1.0 */
	bool keep_alive;             /* the connection may carry another request */
	bool chunked;                /* the body is */
	size_t size;                 /* of the head, with its empty line */
	unsigned int status;         /* PUSH_HEAD_BAD: of the answer, and */
	struct push_error error;     /* its text */
};

enum push_head_result {
	PUSH_HEAD_WHOLE,
	PUSH_HEAD_PARTIAL,   /* its end has not come */
	PUSH_HEAD_TOO_LARGE, /* longer than size_max, whole or not */
	PUSH_HEAD_BAD,       /* a request that is malformed: to be refused, and the connection closed */
	PUSH_HEAD_FOREIGN    /* no HTTP/1.x at all: TLS, HTTP/2 */
};

/*
 * push_head_read - read the head at the start of the bytes.
 *
 * @parser: set up by the call.  When it returns PUSH_HEAD_WHOLE the parser stands behind the head, and a
 * chunked body may be given to it.
 */
enum push_head_result
push_head_read(struct push_head *ret_head, llhttp_t *parser, const char *bytes, size_t size, size_t size_max);

#endif
