/*
 * http_client.h - calls of a few other servers by HTTP/1.1, on the loop and never holding it up.
 *
 *   call ─▶ queue ─▶ idle connection ──────────────────────▶ request ─▶ answer ─▶ done
 *             │  └─▶ addresses of the name ─▶ connect ─▶ TLS ─▶ ┘
 *             └── full: refused at once
 *
 * Each server is an origin, which is made once and has its own addresses, idle connections and limits, so that
 * calls to a slow one hold up no others.  Names are looked up in a thread (resolve.h), sockets are non-blocking
 * and lie in an epoll set of the client's own.  Redirects are answers; cookies and caches are the caller's.
 *
 * `done` is called exactly once for each call that was accepted, from push_http_client_ready(), _tick() or
 * _destroy() and never from push_http_call(); it may begin and cancel calls, but not destroy the client.
 */
#ifndef PUSH_LOOP_HTTP_CLIENT_H
#define PUSH_LOOP_HTTP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "core/http_url.h"
#include "core/options.h"
#include "core/status.h"
#include "loop/http_request.h"

struct push_http_client;
struct push_http_origin;
struct push_http_call;

/* What an origin may cost. */
struct push_http_limits {
	unsigned int calls_max;   /* under way, a connection each */
	unsigned int waiting_max; /* for one of these to end; further calls are refused */
	unsigned int idle_max;    /* connections that are kept; 0: each is closed after its call */
};

/* Borrowed until `done` returns. */
struct push_http_result {
	/* PUSH_OK: there is an answer, whatever its status; PUSH_UNAVAILABLE: none, or not in time; PUSH_TOO_LARGE:
	 * its body; PUSH_INVALID: not HTTP; PUSH_OUT_OF_MEMORY; PUSH_CLOSED: the client was destroyed */
	enum push_status status;
	const char *error; /* why, for the operator: `connection refused`; "" with PUSH_OK */
	uint64_t now_us;   /* as the client was given it */
	unsigned int http_status; /* also with PUSH_TOO_LARGE */
	struct push_str body;
	/* headers; "": not there */
	const char *cache_control, *content_type, *age;
	bool is_cache_control_long; /* it is not kept, and says nobody knows what */
	unsigned int retry_after_s; /* 0: it does not say, or says a date */
};

typedef void (*push_http_done_fn)(void *context, const struct push_http_result *result);

struct push_http_ask {
	struct push_http_request request; /* copied */
	uint64_t deadline_us;             /* monotonic: it is over by then, within a tick */
	size_t body_max;                  /* of the answer, in bytes */
	/* if the server closes an idle connection just when the request comes, it is sent again over a new one,
	 * and may have been seen twice (RFC 9110, 9.2.2) */
	bool is_repeatable;
	push_http_done_fn done;
	void *context;
};

/* push_http_client_create - NULL when memory or descriptors are out. */
struct push_http_client *
push_http_client_create(void);

/* push_http_client_destroy - all calls end with PUSH_CLOSED; origins are freed.  NULL is allowed. */
void
push_http_client_destroy(struct push_http_client *client);

/*
 * push_http_client_trust - the CAs of https; needed before the first origin with it.
 *
 * @ca_file: PEM; "": the system's.  @name: of its option, for the error.
 * Errors: PUSH_INVALID, with the option and the reason in `error`.
 */
enum push_status PUSH_MUST_USE
push_http_client_trust(
	struct push_http_client *client, const char *name, const char *ca_file, struct push_error *error);

/*
 * push_http_client_add - an origin, which the client owns.  NULL when memory is out.
 *
 * @url: of which scheme, host and port count; copied.
 */
struct push_http_origin *
push_http_client_add(struct push_http_client *client, const struct push_http_url *url,
	const struct push_http_limits *limits);

/* push_http_client_fd - readable when push_http_client_ready() has something to do. */
int
push_http_client_fd(const struct push_http_client *client);

void
push_http_client_ready(struct push_http_client *client, uint64_t now_us);

/* push_http_client_tick - end what takes too long.  To be called every PUSH_TICK_US. */
void
push_http_client_tick(struct push_http_client *client, uint64_t now_us);

/*
 * push_http_call - ask.
 *
 * @ret_call: for push_http_call_cancel(), until `done` is called; may be NULL.
 * Errors, after which `done` is not called: PUSH_TOO_MANY: the queue is full; PUSH_INVALID: a header with a
 * character that it may not have; PUSH_TOO_LARGE: the request is over PUSH_HTTP_REQUEST_BYTES_MAX;
 * PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_http_call(struct push_http_origin *origin, const struct push_http_ask *ask, uint64_t now_us,
	struct push_http_call **ret_call);

/* push_http_call_cancel - `done` is not called. */
void
push_http_call_cancel(struct push_http_call *call);

/* push_http_origin_count - of calls, for metrics. */
void
push_http_origin_count(
	const struct push_http_origin *origin, unsigned int *ret_under_way, unsigned int *ret_waiting);

#endif
