/* read.c - a request for history: its arguments, and the broker's answer to it. */
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
	x->verb = EXCHANGE_READ;
	x->state = PUSH_EXCHANGE_ASKED;
	x->ops->read_request(x->broker, &read, exchange_on_answer, x);
	push_buf_fini(&channel);
	push_buf_fini(&since);
	push_buf_fini(&limit);
}
