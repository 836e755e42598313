/*
 * request.h - a request whose head has come, over whichever wire: what the rules of HTTP and of Push go by.
 */
#ifndef PUSH_REQUEST_REQUEST_H
#define PUSH_REQUEST_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/broker.h"
#include "core/forwarded.h"
#include "core/str.h"

enum push_method {
	PUSH_METHOD_GET,
	PUSH_METHOD_HEAD,
	PUSH_METHOD_POST,
	PUSH_METHOD_OPTIONS,
	PUSH_METHOD_OTHER
};

/*
 * X(member, header name in lower case): headers of which only one may come, with one value.
 *
 * What a list may be in, and what frames the message, is the wire's to read.
 */
#define PUSH_REQUEST_FIELD_MAP(X)                                                                            \
	X(host, "host")                                                                                      \
	X(authorization, "authorization")                                                                    \
	X(content_type, "content-type")                                                                      \
	X(content_encoding, "content-encoding")                                                              \
	X(last_event_id, "last-event-id")                                                                    \
	X(idempotency_key, "idempotency-key")                                                                \
	X(traceparent, "traceparent")                                                                        \
	X(origin, "origin")                                                                                  \
	X(expect, "expect")                                                                                  \
	X(ws_key, "sec-websocket-key")                                                                       \
	X(ws_version, "sec-websocket-version")

struct push_pages;

/* Borrowed, all of it, from the wire, until the function that is given it returns. */
struct push_request {
	enum push_method method;
	enum push_place place; /* whose mount the path is in */
	struct push_str path;  /* as it was sent, without the query */
	struct push_str rest;  /* its part behind the mount */
	struct push_str query; /* as it was sent; without bytes: no `?` */
#define X(member, name) struct push_str member;
	PUSH_REQUEST_FIELD_MAP(X)
#undef X
	struct push_str accept;         /* of PUSH_PLACE_OPERATORS only */
	bool is_tls;                    /* likewise */
	const struct push_pages *pages; /* of PUSH_PLACE_OPERATORS: what is there (page.h) */
	/* what may be in a list, or come more than once: */
	struct push_str cookie;              /* the first Cookie line */
	struct push_str push_key;            /* Push-Key */
	struct push_str ws_token;            /* of `push.token.TOKEN` among Sec-WebSocket-Protocol */
	bool offers_push_v1, offers_push_ws; /* likewise, as subprotocols (RFC 6455, 4.1) */
	/* The user that push.auth.certificate names of the connection's verified certificate, and when that is valid, in
	 * seconds since 1970; without bytes: none. */
	struct push_str certificate;
	int64_t certificate_from_s, certificate_until_s;
	struct push_forwarded x_forwarded_for, forwarded;
	bool is_over_limit; /* its connection is one too many, by this limit: the request is refused */
	enum push_limit over_limit;
	bool wants_websocket; /* Upgrade: websocket, named by Connection, in a request that can be upgraded */
	bool has_body;        /* bytes follow that are no request */
	bool has_length;      /* and their number is known: */
	uint64_t length;      /* 0 without has_length */
	bool awaits_continue; /* Expect: 100-continue, and the body has not come yet (RFC 9110, 10.1.1) */
	bool is_http_2;       /* whose WebSockets have neither version nor key (RFC 8441, 5) */
	bool may_have_been_cut; /* the wire loses headers that it does not know (lws over HTTP/2) */
};

/* push_request_subprotocol - what a WebSocket is opened with, of what the client offers; NULL: none. */
const char *
push_request_subprotocol(const struct push_request *request);

/* push_request_is_for_server - `OPTIONS *` and `OPTIONS /` ask for the server, not for a mount (RFC 9110, 9.3.7):
 * balancers check by them. */
static inline bool
push_request_is_for_server(const struct push_request *request)
{
	return request->method == PUSH_METHOD_OPTIONS && request->path.size == 1;
}

/* push_request_keep - a copy with its texts, in one allocation of `*ret_bytes`, to be freed.  NULL when memory is
 * out. */
struct push_request *
push_request_keep(const struct push_request *request, size_t *ret_bytes);

#endif
