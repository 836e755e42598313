/* http1_body.c - see http1_body.h. */
#include "direct/http1_body.h"

/* Where the pieces of one call go. */
struct reading {
	push_http1_piece_fn take;
	void *context;
};

static int
on_piece(llhttp_t *parser, const char *bytes, size_t size)
{
	const struct reading *reading = parser->data;

	reading->take(reading->context, (struct push_str){bytes, size}, false);
	return 0;
}

static int
on_end(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {.on_body = on_piece, .on_message_complete = on_end};

void
push_http1_body_begin(struct push_http1_body *body, const struct push_head *head, const llhttp_t *parser)
{
	body->chunked = head->chunked;
	body->left = head->chunked ? 1 : head->request.length;
	if (!head->chunked)
		return;
	body->parser = *parser;
	body->parser.upgrade = 0; /* a body's end is its end, whatever was offered */
	body->parser.settings = (void *)(uintptr_t)&settings;
}

static enum push_http1_result
read_chunks(struct push_http1_body *body, const char *bytes, size_t size, size_t *ret_used,
	struct reading *reading)
{
	llhttp_t *parser = &body->parser;
	llhttp_errno_t result;

	parser->data = reading;
	if (llhttp_get_errno(parser) == HPE_PAUSED)
		llhttp_resume(parser);
	result = llhttp_execute(parser, bytes, size);
	parser->data = NULL;
	*ret_used = size;
	if (result == HPE_OK)
		return PUSH_HTTP1_MORE;
	if (result != HPE_PAUSED)
		return PUSH_HTTP1_BAD;
	*ret_used = (size_t)(llhttp_get_error_pos(parser) - bytes);
	body->left = 0;
	reading->take(reading->context, (struct push_str){bytes, 0}, true);
	return PUSH_HTTP1_LAST;
}

enum push_http1_result
push_http1_body_read(struct push_http1_body *body, const char *bytes, size_t size, size_t *ret_used,
	push_http1_piece_fn take, void *context)
{
	struct reading reading = {take, context};

	if (body->chunked)
		return read_chunks(body, bytes, size, ret_used, &reading);
	*ret_used = size < body->left ? size : (size_t)body->left;
	body->left -= *ret_used;
	take(context, (struct push_str){bytes, *ret_used}, !body->left);
	return body->left ? PUSH_HTTP1_MORE : PUSH_HTTP1_LAST;
}
