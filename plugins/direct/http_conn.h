/*
 * http_conn.h - a connection on which requests come: from accept until it is a stream, lws' or gone.
 *
 *            ┌────────── the answer is out, the connection stays ─────────┐
 *            ▼                                                            │
 *   HEAD ──▶ whole and ours? ──▶ BODY ──▶ ASKED (the broker) ──▶ answer ──┤
 *    │  ▲       │  │   └─ WebSocket, SSE ─▶ stream.c                      └─▶ LINGER ─▶ closed
 *    │  └─ PROBING ◀┘ not known yet        malformed: 400 ──────────────────▲
 *    └─ well-formed, and not Push's ─▶ lws
 *
 * In HEAD nothing is taken from a plain socket until it is decided who serves the request; what waits for its
 * rest waits in the kernel (SO_RCVLOWAT), so that a slow sender costs no memory here and can still be given
 * to lws.  Over TLS the rest of a head waits here (bytes.h), and lws is given the connection by a relay.  One request at a time; the answers of pipelined ones go out together, in order.
 *
 * This file moves bytes and keeps times.  What a request means is request/exchange.h's to decide, and how
 * HTTP/1.1 is read and written is in head.h, http1_body.h and http1_answer.h.
 */
#ifndef PUSH_DIRECT_HTTP_CONN_H
#define PUSH_DIRECT_HTTP_CONN_H

#include "direct/bytes.h"
#include "direct/direct_private.h"
#include "direct/http1_answer.h"
#include "direct/http1_body.h"
#include "request/exchange.h"

enum conn_state { CONN_HEAD, CONN_PROBING, CONN_BODY, CONN_ASKED, CONN_LINGER };

struct push_http_conn {
	struct push_source source;
	struct push_direct *direct;
	struct push_sources *set;    /* one of direct's */
	struct push_list link;       /* in direct->requests */
	struct direct_waiter waiter; /* CONN_PROBING */
	struct direct_burden burden; /* listed while its client does not read answers or end a body */
	struct direct_timer timer;
	struct direct_bytes bytes; /* of the socket */
	uint8_t state;             /* enum conn_state */
	bool keep_alive;           /* behind the answers that are there, another request may come */
	bool probed;               /* lws was asked about this request already */
	bool head_taken;           /* from the socket already: it was to be a stream's */
	bool has_published;        /* an earlier request: it is a publisher's connection */
	bool may_be_proxied;       /* its first bytes may be a PROXY header */
	bool is_resting;           /* in HEAD: not called by what is there (await_head) */
	bool is_over_limit;        /* it is refused, by: */
	enum push_limit limit;
	int port;
	uint64_t head_end_us; /* of a head that has begun */
	size_t low_water; /* SO_RCVLOWAT, if it is set: so many bytes of a head that has begun are awaited */
	struct push_exchange *exchange; /* owned; NULL until the first request */
	const struct push_head *head;   /* of the request that is being begun; NULL: none */
	struct push_http1_body body;
	struct push_http1_form form; /* of this request's answer */
	struct push_route *route;    /* of this request */
	struct push_buf answers;     /* not yet sent, from `answers_sent` on */
	size_t answers_sent;
};

#endif
