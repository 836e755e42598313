/*
 * http_conn.h - a connection on which requests come: from accept until it is a stream, lws' or gone.
 *
 *            ┌──────────── the answer is out, the connection stays ───────────┐
 *            ▼                                                                │
 *   HEAD ──▶ whole and ours? ──▶ BODY ──▶ WAITING for the broker ──▶ answer ──┤
 *    │  ▲         │  └─ WebSocket, SSE ─▶ stream.c                            └─▶ LINGER ─▶ closed
 *    │  └─ PROBING ◀┘ not known yet
 *    └─ anything else ─▶ lws
 *
 * In HEAD nothing is taken from the socket until it is decided who serves the request; what waits for its
 * rest waits in the kernel (SO_RCVLOWAT), so that a slow sender costs no memory here and can still be given
 * to lws. One request at a time; the answers of pipelined ones go out together, in order.
 */
#ifndef PUSH_DIRECT_HTTP_CONN_H
#define PUSH_DIRECT_HTTP_CONN_H

#include "direct/direct_private.h"

enum conn_state { CONN_HEAD, CONN_PROBING, CONN_BODY, CONN_WAITING, CONN_LINGER };

struct push_http_conn {
	struct push_source source;
	struct push_direct *direct;
	struct push_sources *set;    /* one of direct's */
	struct push_list link;       /* in direct->requests */
	struct push_list probe_link; /* in a probe's waiting */
	struct direct_burden burden; /* listed while its client does not read answers or end a body */
	struct push_timer timer;
	uint8_t state;      /* enum conn_state */
	bool keep_alive;    /* of the request that is being read */
	bool chunked;       /* its body is: the parser reads it */
	bool probed;        /* lws was asked about this request already */
	bool published;     /* the broker's answer is there */
	bool wait_written;  /* ?wait=written */
	bool has_key;       /* an Idempotency-Key came, though memory for it may have been out */
	bool has_begun;     /* the head of the answer to a stream of lines is out */
	bool is_read;       /* a request for history, not a publish */
	bool has_published; /* an earlier request: it is a publisher's connection */
	bool in_call;       /* the broker is being asked */
	bool has_parent;    /* a traceparent came, and something is traced: */
	struct push_trace parent;
	int port;
	size_t low_water;    /* SO_RCVLOWAT where it is set: a head has begun, and so many bytes of it are
				awaited */
	uint64_t started_us; /* of the body */
	uint64_t body_left;  /* bytes of a body with a length */
	llhttp_t parser;     /* of a chunked body */
	size_t body_bytes;   /* of the body that was published */
	struct push_buf body;
	struct push_buf answers; /* not yet sent, from `answers_sent` on */
	size_t answers_sent;
	struct push_route *route; /* of this request */
	char *origin;             /* the request's Origin; owned; NULL: none */
	struct push_lines *lines; /* a body that is a stream of lines; owned; NULL: it is none */
	char *key;                /* Idempotency-Key; owned; NULL: none */
};

#endif
