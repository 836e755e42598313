/* http1_answer.c - see http1_answer.h. */
#include "direct/http1_answer.h"

static void
add_field(void *context, const char *name, const char *value)
{
	struct push_buf *to = context;

	push_buf_append_text(to, name);
	push_buf_append_text(to, ": ");
	push_buf_append_text(to, value);
	push_buf_append_text(to, "\r\n");
}

static void
append_head(struct push_buf *to, const struct push_response *response, const struct push_http1_form *form)
{
	/* of each publish, for which printf() would be a tenth of what is done here */
	const char digits[] = {(char)('0' + response->status / 100), (char)('0' + response->status / 10 % 10),
		(char)('0' + response->status % 10), ' '};

	push_buf_append_text(to, "HTTP/1.1 ");
	push_buf_append(to, digits, sizeof(digits));
	push_buf_append_text(to, push_status_words(response->status));
	push_buf_append_text(to, "\r\n");
	push_buf_append(to, form->extra.bytes, form->extra.size);
	push_response_fields(response, add_field, to);
	if (response->closes)
		add_field(to, "connection", response->upgrades ? "close, upgrade" : "close");
	else if (response->upgrades)
		add_field(to, "connection", "upgrade");
	else if (form->http_1_0)
		add_field(to, "connection", "keep-alive");
}

void
push_http1_answer_append(
	struct push_buf *to, const struct push_response *response, const struct push_http1_form *form)
{
	append_head(to, response, form);
	/* RFC 9110, 8.6 */
	if (response->status != 204 && response->status >= 200 && !response->is_stream)
		push_buf_printf(to, "content-length: %zu\r\n", response->body.size);
	push_buf_append_text(to, "\r\n");
	if (!form->is_head)
		push_buf_append(to, response->body.bytes, response->body.size);
}

void
push_http1_head_append(
	struct push_buf *to, const struct push_response *response, const struct push_http1_form *form)
{
	append_head(to, response, form);
	if (form->can_chunk)
		push_buf_append_text(to, "transfer-encoding: chunked\r\n");
	push_buf_append_text(to, "\r\n");
}

void
push_http1_chunk_append(struct push_buf *to, const char *bytes, size_t size)
{
	push_buf_printf(to, "%zx\r\n", size);
	push_buf_append(to, bytes, size);
	push_buf_append_text(to, "\r\n");
}
