/*
 * lws_request.h - one request to lws, for a client whose wire lws is not given: a stream of HTTP/2.
 *
 * lws gets one end of a pair of local sockets and reads HTTP/1.1 from it: a request and its end.  What it answers is taken
 * apart, and waits here until it is read: one piece at a time, so that a slow client stops lws.
 *
 *   open ─▶ write, write ... ─▶ head ─▶ readable ─▶ read, read ... ─▶ is_over ─▶ close
 *                                  └──────── failed ─────────────────────────────▲
 */
#ifndef PUSH_DIRECT_LWS_REQUEST_H
#define PUSH_DIRECT_LWS_REQUEST_H

#include <sys/types.h>

#include "direct/lws_head.h"

struct direct_end_client;
struct push_direct;
struct direct_lws_request;

/*
 * What becomes of it.  Each is called with `context` when a socket is ready, never from within one of the functions
 * below, and any of those may be called from there, direct_lws_request_close() too.
 */
struct direct_lws_handler {
	/* The answer's head.  @lines: fields, each with CRLF, names in lower case, none of a connection's; borrowed.
	 * @is_last: no body follows, and nothing else. */
	void (*head)(void *context, unsigned int status, struct push_str lines, bool is_last);
	/* There is something to be read, or the end has come. */
	void (*readable)(void *context);
	/* So many bytes more of the request's body are with lws. */
	void (*taken)(void *context, size_t size);
	/* It ends early: lws has closed, or what it sends is no HTTP.  @status: of an answer, if there was no head. */
	void (*failed)(void *context, unsigned int status);
};

/*
 * direct_lws_request_open - ask lws.
 * * @client: its bytes are borrowed until the request is closed.  @port: to which it came.  @head: borrowed until this
 * returns.
 * Returns 0 with *ret, which is owned by the caller; or the status of an answer: 400, 411, 431, 501 (lws_head.h), 503
 * without descriptors or memory.
 */
unsigned int PUSH_MUST_USE
direct_lws_request_open(struct push_direct *direct, const struct direct_end_client *client, int port,
	const struct direct_lws_head *head, const struct direct_lws_handler *handler, void *context,
	struct direct_lws_request **ret);

/* direct_lws_request_close - what is under way ends, and nobody is called any more.  NULL is allowed. */
void
direct_lws_request_close(struct direct_lws_request *request);

/*
 * direct_lws_request_write - the next bytes of the body; copied.
 *
 * Returns how many are with lws already; of the others `taken` says so.  Where more come than were announced, more than
 * PUSH_LWS_BODY_BYTES wait, or lws has gone, the request is over: -1, and `failed` is not called.
 */
ssize_t
direct_lws_request_write(struct direct_lws_request *request, const char *bytes, size_t size);

/* direct_lws_request_end - the body is over.  Returns false if less has come than was announced: the request is over. */
bool
direct_lws_request_end(struct direct_lws_request *request);

/* direct_lws_request_read - take up to `max` bytes of the answer's body; returns how many. */
size_t
direct_lws_request_read(struct direct_lws_request *request, char *to, size_t max);

/* direct_lws_request_is_over - the answer has been read to its end. */
bool
direct_lws_request_is_over(const struct direct_lws_request *request);

#endif
