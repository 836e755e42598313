/* http.h - one request and its answer, by lws' HTTP client; the loop runs until the answer is there. */
#ifndef PUSH_CLI_HTTP_H
#define PUSH_CLI_HTTP_H

#include <libwebsockets.h>

#include "arguments.h"
#include "core/buf.h"
#include "loop.h"
#include "url.h"

struct http_request {
	const char *method;
	const char *path;         /* with its query, behind the URL's own path */
	const char *content_type; /* NULL: no body */
	const char *key;          /* Idempotency-Key; NULL: none */
	const char *body;
	size_t body_size;
};

enum http_result {
	HTTP_ANSWERED,
	HTTP_UNREACHABLE, /* no connection: the server has not seen the request */
	HTTP_LOST,        /* the connection ended before the answer: the server may have carried it out */
	HTTP_BROKEN,      /* the answer is not HTTP */
	HTTP_STOPPED,     /* a signal */
};

struct http_answer {
	enum http_result result;
	unsigned int status;
	unsigned int retry_after_s;
	struct push_buf body; /* with a NUL behind it that does not count */
	char why[200];        /* unless it was answered */
};

/* http_ask - http_answer_fini() is the caller's.  @headers: more of them, NULL-terminated. */
void
http_ask(struct loop *loop, const struct url *url, const char *const *headers,
	const struct http_request *request, struct http_answer *ret_answer);

void
http_answer_fini(struct http_answer *answer);

/*
 * http_error_text - what the server says of a refusal: the text of {"error":"..."}, or the body's beginning.
 *
 * Returns `to`.
 */
const char *
http_error_text(const struct http_answer *answer, char *to, size_t size);

/* http_report - a line on stderr about an answer that is no success, and the exit code that it means. */
enum cli_exit
http_report(const struct url *url, const struct http_answer *answer);

#define HTTP_TEXT_NO_ANSWER "closed the connection without an answer"
#define HTTP_TEXT_NO_HTTP   "the answer is not HTTP: is that Push?"

/* http_is_no_answer - of a connection that failed after its request: nothing came, rather than something
 * else. */
bool
http_is_no_answer(struct lws *wsi);

/* http_append_headers - those of --header to the head of a request; true: they do not fit. */
bool
http_append_headers(struct lws *wsi, const char *const *headers, unsigned char **at, unsigned char *end);

/* http_read_head - status and Retry-After of the answer that has just begun. */
void
http_read_head(struct lws *wsi, unsigned int *ret_status, unsigned int *ret_retry_after_s);

int
http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size);

#endif
