/*
 * page.h - what operators see and change: a table of paths, each with what answers its methods.
 *
 * A row is all that a page needs.  HEAD, OPTIONS, 404, 405 and the rules of bodies (JSON, up to
 * PUSH_PAGE_BODY_BYTES_MAX) are those of every exchange:
 *
 *   {.path = "/tokens/revoke", .post = tokens_revoke},
 *
 *   static void
 *   tokens_revoke(const struct push_page_call *call)
 *   {
 *           ... call->body ...; now or later: call->answer(call->context, &answer), once
 *   }
 *
 * A later answer copies `answer` and `context`; a client that has gone is the exchange's matter.
 */
#ifndef PUSH_REQUEST_PAGE_H
#define PUSH_REQUEST_PAGE_H

#include "broker/broker.h"
#include "request/request.h"

struct push_page_call {
	const struct push_pages *pages;     /* the whole table, and the broker */
	const struct push_request *request; /* NULL for `post`: the head has gone */
	struct push_str name;               /* of a page that takes one */
	struct push_str body;               /* for `post` */
	push_answer_fn answer;              /* to be called once */
	void *context;
};

typedef void (*push_page_fn)(const struct push_page_call *call);

struct push_page {
	const char *path;
	push_page_fn get, post; /* NULL: 405; HEAD is answered as GET */
	bool takes_name;        /* the path is PATH/NAME */
	bool without_broker;    /* answers without one, too; the others: 503 */
	/* for a list of pages, and for Spring's links: `rel`, and what follows the path in a template */
	const char *what, *rel, *more_rel, *more;
};

struct push_pages {
	const struct push_page *list;
	size_t count;
	struct push_broker_link *link; /* NULL: there is no broker, for this reason: */
	const char *trouble;           /* static, or the link's */
};

/* push_page_find - the page of a path, and the name in it; NULL: none. */
const struct push_page *
push_page_find(const struct push_pages *pages, struct push_str path, struct push_str *ret_name);

/* push_page_allow - its methods, for `Allow`. */
const char *
push_page_allow(const struct push_page *page);

/* push_page_answer - answer with a body of `type` (NULL: JSON), which it fini()s; 503 if that was cut. */
void
push_page_answer(
	const struct push_page_call *call, unsigned int status, const char *type, struct push_buf *body);

/* push_page_refuse - answer `{"error":"text"}`. */
void
push_page_refuse(const struct push_page_call *call, unsigned int status, const char *text);

#endif
