/*
 * http_request.h - a request of HTTP/1.1 as it goes over the wire.
 *
 * Nothing that a header or a body brings can end the head: a value with a control character is refused.
 */
#ifndef PUSH_LOOP_HTTP_REQUEST_H
#define PUSH_LOOP_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/http_url.h"
#include "core/str.h"
#include "loop/limits.h"

struct push_http_header {
	const char *name;
	struct push_str value; /* without bytes: this header is not sent */
};

struct push_http_request {
	bool is_post; /* else GET */
	const struct push_http_url *url;
	const struct push_http_header *headers; /* besides Host, User-Agent, Content-Length, Connection */
	size_t header_count;
	struct push_str body;
};

/*
 * push_http_request_write - append it.
 *
 * @is_last: of its connection.
 * Errors: PUSH_INVALID: a header with a character that it may not have; PUSH_TOO_LARGE: over the buffer's
 * limit; PUSH_OUT_OF_MEMORY.
 */
enum push_status PUSH_MUST_USE
push_http_request_write(struct push_buf *to, const struct push_http_request *request, bool is_last);

#endif
