/* page.c - see page.h. */
#include <string.h>

#include "request/page.h"

const struct push_page *
push_page_find(const struct push_pages *pages, struct push_str path, struct push_str *ret_name)
{
	*ret_name = (struct push_str){NULL, 0};
	for (size_t i = 0; i < pages->count; i++) {
		const struct push_page *page = &pages->list[i];
		size_t size = strlen(page->path), rest;

		if (path.size < size || memcmp(path.bytes, page->path, size) != 0)
			continue;
		rest = path.size - size;
		if (page->takes_name && rest > 1 && path.bytes[size] == '/') {
			*ret_name = (struct push_str){path.bytes + size + 1, rest - 1};
			return page;
		}
		/* with a slash at its end or without */
		if (!page->takes_name && (!rest || (rest == 1 && path.bytes[size] == '/')))
			return page;
	}
	return NULL;
}

const char *
push_page_allow(const struct push_page *page)
{
	if (page->get && page->post)
		return "GET, HEAD, POST, OPTIONS";
	return page->get ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
}

void
push_page_refuse(const struct push_page_call *call, unsigned int status, const char *text)
{
	struct push_answer answer = {.status = status, .content_type = "application/json"};
	struct push_buf body;

	push_buf_init(&body, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_json_append_error(&body, text);
	answer.body = body.bytes ? body.bytes : "";
	answer.size = body.size;
	call->answer(call->context, &answer);
	push_buf_fini(&body);
}

void
push_page_answer(
	const struct push_page_call *call, unsigned int status, const char *type, struct push_buf *body)
{
	const struct push_answer answer = {.status = status,
		.content_type = type ? type : "application/json",
		.body = body->bytes ? body->bytes : "",
		.size = body->size};

	if (body->status == PUSH_OK)
		call->answer(call->context, &answer);
	else
		push_page_refuse(call, 503, push_status_text(PUSH_OUT_OF_MEMORY));
	push_buf_fini(body);
}
