/*
 * lws_answer.h - lws' answer to one request (lws_request.h), read as it comes.
 *
 * By llhttp.  No socket inside: bytes in; the head's fields, and bytes of the body, out.
 */
#ifndef PUSH_DIRECT_LWS_ANSWER_H
#define PUSH_DIRECT_LWS_ANSWER_H

#include <llhttp.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"

enum direct_lws_answer_state {
	DIRECT_LWS_ANSWER_HEAD, /* its end has not come */
	DIRECT_LWS_ANSWER_BODY,
	DIRECT_LWS_ANSWER_WHOLE,
	DIRECT_LWS_ANSWER_BAD /* malformed, cut off, too long a head, or no memory */
};

struct direct_lws_answer {
	llhttp_t parser; /* its data points here: not to be moved */
	enum direct_lws_answer_state state;
	unsigned int status;
	bool answers_head; /* the request is a HEAD, whose answer has no body */
	bool has_body;     /* in BODY and WHOLE: there may be a byte of it */
	size_t line_at;    /* of the line that is being read in `lines` */
	/* The fields, as lines, each with CRLF, names in lower case; those of a connection are left out. */
	struct push_buf lines;
	struct push_buf *body; /* borrowed: where bytes of the body are put */
};

/* direct_lws_answer_init - @body: takes what one call of direct_lws_answer_feed() brings. */
void
direct_lws_answer_init(struct direct_lws_answer *answer, bool answers_head, struct push_buf *body);

/* direct_lws_answer_fini - may be called twice. */
void
direct_lws_answer_fini(struct direct_lws_answer *answer);

/* direct_lws_answer_feed - the next bytes, or with size 0 the end of them.  Not behind WHOLE and BAD. */
enum direct_lws_answer_state
direct_lws_answer_feed(struct direct_lws_answer *answer, const char *bytes, size_t size);

#endif
