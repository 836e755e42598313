/*
 * fields.h - the head of an HTTP/2 request (RFC 9113, 8.3), and that of an answer.
 *
 * nghttp2 has checked each field by then, and that the pseudo fields are there, once, and first.
 */
#ifndef PUSH_H2_FIELDS_H
#define PUSH_H2_FIELDS_H

#include <nghttp2/nghttp2.h>

#include "core/buf.h"
#include "request/request.h"
#include "request/response.h"

/* A request's head and its texts. */
struct push_h2_head {
	struct push_request
		request; /* without its place and rest; points into texts, behind push_h2_head_finish() */
	struct push_buf texts; /* each field as it came, and what was made of them */
	size_t fields_size;    /* of the fields in texts */
	size_t list_size;      /* as RFC 9113, 6.5.2, counts it */
	unsigned int field_count;
	bool is_last;            /* no body follows */
	unsigned int status;     /* of the answer, where it is refused, and */
	struct push_error error; /* why; 0: it is not */
};

/* push_h2_head_create - nothing has come of it.  NULL: memory is out. */
struct push_h2_head *
push_h2_head_create(struct push_account *account);

/* push_h2_head_destroy - NULL is allowed. */
void
push_h2_head_destroy(struct push_h2_head *head);

/* push_h2_head_add - the next field. */
void
push_h2_head_add(struct push_h2_head *head, struct push_str name, struct push_str value);

/* push_h2_head_finish - all of it is there: what it asks for, or why it is refused. */
void
push_h2_head_finish(struct push_h2_head *head, bool is_last);

/* push_h2_head_next - field after field, as they came: *at begins with 0.  Returns false behind the last one. */
bool
push_h2_head_next(
	const struct push_h2_head *head, size_t *at, struct push_str *ret_name, struct push_str *ret_value);

/*
 * push_h2_answer_append - the fields of an answer, as lines, each with CRLF, after its status alone.
 *
 * @extra: lines that the vhost adds.  @has_length: with the length of its body.
 */
void
push_h2_answer_append(
	struct push_buf *to, const struct push_response *response, struct push_str extra, bool has_length);

/* Fields of an answer: more are left out. */
#define PUSH_H2_ANSWER_FIELDS_MAX 64

/* push_h2_answer_fields - such lines as nghttp2 wants them; borrowed from them.  Names become lower case in place; what
 * is of HTTP/1.1's connections only is left out.  Returns their number. */
size_t
push_h2_answer_fields(char *lines, size_t size, nghttp2_nv fields[PUSH_H2_ANSWER_FIELDS_MAX]);

#endif
