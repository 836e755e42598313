/*
 * http_answer.h - an answer of HTTP/1.1, read as it comes, in bounded memory.
 *
 * By llhttp, as requests are (direct/head.h).  Of the head only what is needed is kept; a body over its limit
 * is not read to its end.
 */
#ifndef PUSH_LOOP_HTTP_ANSWER_H
#define PUSH_LOOP_HTTP_ANSWER_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "loop/limits.h"

enum push_http_answer_state {
	PUSH_HTTP_ANSWER_PARTIAL,
	PUSH_HTTP_ANSWER_WHOLE,
	PUSH_HTTP_ANSWER_BAD,       /* not HTTP/1.x, or cut off */
	PUSH_HTTP_ANSWER_TOO_LARGE, /* its body is over the limit */
	PUSH_HTTP_ANSWER_NO_MEMORY,
};

/* Headers that are kept.  X(member, name) */
#define PUSH_HTTP_ANSWER_FIELD_MAP(X)                                                                        \
	X(cache_control, "cache-control")                                                                    \
	X(content_type, "content-type")                                                                      \
	X(retry_after, "retry-after")                                                                        \
	X(age, "age")

/* A header's value; of one that comes several times all, joined by a comma. */
struct push_http_value {
	char text[PUSH_HTTP_VALUE_BYTES_MAX]; /* NUL-terminated; "": there is none, or is_long */
	bool is_there, is_long;
};

struct push_http_answer {
	llhttp_t parser; /* its data points here: not to be moved */
	unsigned int status;
	bool is_whole;
	bool is_keepable; /* the connection is good for another exchange */
	size_t taken;     /* bytes that have come */
	char name[16];
	size_t name_size;              /* as it came, which may be more than is kept */
	struct push_http_value *value; /* of the header that is being read; NULL: nobody wants it */
#define X(member, name) struct push_http_value member;
	PUSH_HTTP_ANSWER_FIELD_MAP(X)
#undef X
	struct push_buf body;
};

/* push_http_answer_init - nothing is allocated.  @body_max: bytes. */
void
push_http_answer_init(struct push_http_answer *answer, size_t body_max);

/* push_http_answer_fini - free the body. */
void
push_http_answer_fini(struct push_http_answer *answer);

/* push_http_answer_feed - the next bytes of the connection, or with size 0 its end.  Not after any but PARTIAL. */
enum push_http_answer_state PUSH_MUST_USE
push_http_answer_feed(struct push_http_answer *answer, const char *bytes, size_t size);

/* push_http_answer_has_begun - whether a byte of it has come. */
bool
push_http_answer_has_begun(const struct push_http_answer *answer);

/* push_http_retry_after_s - the seconds of a Retry-After, at most PUSH_HTTP_RETRY_AFTER_S_MAX; 0: a date, or
 * nothing of use. */
unsigned int
push_http_retry_after_s(const char *value);

#endif
