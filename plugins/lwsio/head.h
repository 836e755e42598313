/*
 * head.h - the head of a request as lws has it, as one for request/exchange.h.
 *
 * lws has decoded the query and cut it into pieces, over HTTP/2 and HTTP/1.1 alike; it is put together again,
 * encoded, so that there is one reader of queries.
 */
#ifndef PUSH_LWSIO_HEAD_H
#define PUSH_LWSIO_HEAD_H

#include <libwebsockets.h>

#include "request/limits.h"
#include "request/request.h"
#include "tls/client_name.h"

/* A request and its texts; lives as long as `request` is used. */
struct push_lws_head {
	struct push_request request;
	size_t used;
	bool has_nul;                  /* a header has one in its value */
	bool is_cut;                   /* its texts are longer than a head may be */
	struct push_tls_client client; /* by its certificate */
	char texts[PUSH_HEAD_BYTES_MAX];
};

/*
 * push_lws_head_read - of the request that lws has now.
 * * @link: NULL: there is no broker.  @rest: the path behind the mount, as lws gives it to the callback.
 * Returns 0, or the status of the answer, after which the connection ends, with a line in `error`.
 */
unsigned int
push_lws_head_read(struct push_lws_head *head, struct lws *wsi, const struct push_broker_link *link,
	enum push_place place, const char *rest, struct push_error *error);

#endif
