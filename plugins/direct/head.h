/*
 * head.h - the head of one HTTP/1.1 request, read where it lies.
 *
 * The grammar is llhttp's, Node.js' parser, with nothing lenient switched on: what two servers could read in
 * two ways (two lengths, a length beside chunks, line breaks without CR) is an error (RFC 9112, 11.2).  It is
 * given a head only when the empty line that ends it is there, so that every value is one span of the bytes
 * and nothing is kept between two reads.
 */
#ifndef PUSH_DIRECT_HEAD_H
#define PUSH_DIRECT_HEAD_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of the head, borrowed; bytes is NULL where there is no such header. */
struct push_span {
	const char *bytes;
	size_t size;
};

/* X(field, name in lower case).  A header that comes twice makes the head `odd`. */
#define PUSH_HEAD_FIELD_MAP(X)                                                                               \
	X(host, "host")                                                                                      \
	X(authorization, "authorization")                                                                    \
	X(content_type, "content-type")                                                                      \
	X(content_encoding, "content-encoding")                                                              \
	X(last_event_id, "last-event-id")                                                                    \
	X(idempotency_key, "idempotency-key")                                                                \
	X(traceparent, "traceparent")                                                                        \
	X(origin, "origin")                                                                                  \
	X(expect, "expect")                                                                                  \
	X(transfer_encoding, "transfer-encoding")                                                            \
	X(upgrade, "upgrade")                                                                                \
	X(ws_key, "sec-websocket-key")                                                                       \
	X(ws_version, "sec-websocket-version")                                                               \
	X(ws_protocols, "sec-websocket-protocol")

struct push_head {
	struct push_span path, query; /* as sent, not decoded; query.bytes is NULL without a `?` */
#define X(field, name) struct push_span field;
	PUSH_HEAD_FIELD_MAP(X)
#undef X
	uint8_t method;  /* HTTP_GET, HTTP_POST ... of llhttp */
	bool http_1_1;   /* else 1.0 */
	bool keep_alive; /* the connection may carry another request */
	bool chunked;    /* the body is; else it has `length` bytes */
	bool has_length;
	bool odd;        /* right, but nothing that a client of ours would send */
	uint64_t length; /* of the body; 0 without has_length */
	size_t size;     /* of the head, with its empty line */
};

enum push_head_result {
	PUSH_HEAD_WHOLE,
	PUSH_HEAD_PARTIAL,   /* its end has not come */
	PUSH_HEAD_TOO_LARGE, /* longer than size_max, whole or not */
	PUSH_HEAD_BAD,       /* no HTTP/1.x request */
};

/*
 * push_head_read - read the head at the start of the bytes.
 *
 * @parser: set up by the call.  When it returns PUSH_HEAD_WHOLE the parser stands behind the head, and a
 * chunked body may be given to it.
 */
enum push_head_result
push_head_read(struct push_head *ret_head, llhttp_t *parser, const char *bytes, size_t size, size_t size_max);

/* push_span_is - whether it is this text, without regard to case. */
bool
push_span_is(struct push_span span, const char *lower_case);

/* push_span_has_token - whether a comma-separated list (RFC 9110, 5.6.1) has this token, in any case. */
bool
push_span_has_token(struct push_span list, const char *lower_case);

#endif
