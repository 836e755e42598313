/* read.c - what is read: history, with its arguments, and the pages of operators. */
#include "request/exchange_private.h"
#include "request/query.h"

/* NULL: there is no such argument. */
static const struct push_buf *
argument_of(const struct push_request *request, const char *name, struct push_buf *buf)
{
	push_buf_init(buf, PUSH_HEAD_BYTES_MAX);
	return push_query_values(request->query, name, buf) == PUSH_QUERY_FOUND ? buf : NULL;
}

void
exchange_read(struct push_exchange *x, const struct push_request *request)
{
	struct push_read_request read;
	struct push_buf channel, since, limit;

	if (push_query_check(request->query) == PUSH_QUERY_BAD) {
		exchange_refuse(x, 400, PUSH_QUERY_BAD_TEXT);
		return;
	}
	read.channel = argument_of(request, "channel", &channel);
	read.since = argument_of(request, "since", &since);
	read.limit = argument_of(request, "limit", &limit);
	read.identity = x->identity;
	x->verb = EXCHANGE_READ;
	x->state = PUSH_EXCHANGE_ASKED;
	x->ops->read_request(x->broker, &read, exchange_on_answer, x);
	push_buf_fini(&channel);
	push_buf_fini(&since);
	push_buf_fini(&limit);
}

void
exchange_call_page(struct push_exchange *x, const struct push_request *request, const struct push_page *page,
	struct push_str name)
{
	const struct push_page_call call = {.pages = request->pages,
		.request = request,
		.name = name,
		.answer = exchange_on_answer,
		.context = x};

	if (!x->broker && !page->without_broker) {
		exchange_refuse(x, 503, request->pages->trouble);
		return;
	}
	x->verb = EXCHANGE_PAGE;
	x->state = PUSH_EXCHANGE_ASKED;
	page->get(&call);
}
