/* http_request.c - see http_request.h. */
#include <string.h>

#include "loop/http_request.h"

enum push_status
push_http_request_write(struct push_buf *to, const struct push_http_request *request, bool is_last)
{
	push_buf_append_text(to, request->is_post ? "POST " : "GET ");
	push_buf_append_text(to, request->url->path);
	push_buf_append_text(to, " HTTP/1.1\r\nHost: ");
	push_buf_append_text(to, request->url->authority);
	push_buf_append_text(to, "\r\nUser-Agent: push/" PUSH_VERSION "\r\n");
	for (size_t i = 0; i < request->header_count; i++) {
		const struct push_http_header *header = &request->headers[i];

		if (!header->value.bytes)
			continue;
		if (!push_str_is_field_name((struct push_str){header->name, strlen(header->name)}) ||
			!push_str_is_field_value(header->value))
			return PUSH_INVALID;
		push_buf_append_text(to, header->name);
		push_buf_append_text(to, ": ");
		push_buf_append(to, header->value.bytes, header->value.size);
		push_buf_append_text(to, "\r\n");
	}
	if (request->is_post)
		push_buf_printf(to, "Content-Length: %zu\r\n", request->body.size);
	push_buf_append_text(to, is_last ? "Connection: close\r\n\r\n" : "\r\n");
	if (request->is_post && request->body.size)
		push_buf_append(to, request->body.bytes, request->body.size);
	return to->status;
}
