/* head.c - see head.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/push_assert.h"
#include "direct/head.h"
#include "direct/post_head.h"
#include "request/fields.h"
#include "request/limits.h"

/* What the callbacks fill; the last header's name says where its value belongs. */
struct reading {
	struct push_head *head;
	struct push_str url, name, value;
	struct push_str coding; /* Transfer-Encoding */
	bool offers_websocket;
	bool is_twice; /* a header came twice that may come once */
};

/* llhttp may give a span in several pieces, which lie behind one another. */
static void
extend(struct push_str *str, const char *bytes, size_t size)
{
	if (!str->bytes)
		*str = (struct push_str){bytes, 0};
	PUSH_ASSERT(bytes == str->bytes + str->size);
	str->size += size;
}

static int
on_url(llhttp_t *parser, const char *bytes, size_t size)
{
	extend(&((struct reading *)parser->data)->url, bytes, size);
	return 0;
}

static int
on_header_field(llhttp_t *parser, const char *bytes, size_t size)
{
	extend(&((struct reading *)parser->data)->name, bytes, size);
	return 0;
}

static int
on_header_value(llhttp_t *parser, const char *bytes, size_t size)
{
	extend(&((struct reading *)parser->data)->value, bytes, size);
	return 0;
}

static int
on_header_value_complete(llhttp_t *parser)
{
	struct reading *reading = parser->data;
	struct push_str name = reading->name, value = push_str_trim(reading->value);

	if (PUSH_FIELD_IS(name, "upgrade")) /* may be a list, in one line or in several */
		reading->offers_websocket |= push_str_has_token(value, "websocket");
	else if (!PUSH_FIELD_IS(name, "transfer-encoding"))
		reading->is_twice |= !push_fields_add(&reading->head->request, name, value);
	else if (reading->coding.bytes)
		reading->is_twice = true;
	else /* an empty value gives no span, and is there all the same */
		reading->coding = value.bytes ? value : (struct push_str){"", 0};
	reading->name = reading->value = (struct push_str){NULL, 0};
	return 0;
}

static int
on_headers_complete(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
	.on_url = on_url,
	.on_header_field = on_header_field,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
};

static enum push_head_result
bad(struct push_head *head, unsigned int status, const char *why)
{
	head->status = status;
	snprintf(head->error.text, sizeof(head->error.text), "%s", why);
	return PUSH_HEAD_BAD;
}

static enum push_head_result
malformed(struct push_head *head, const char *reason)
{
	head->status = 400;
	snprintf(head->error.text, sizeof(head->error.text), "the head of the request is malformed: %s",
		reason);
	return PUSH_HEAD_BAD;
}

/*
 * The request target (RFC 9112, 3.2): a path, `*`, or a whole URL, whose authority then counts instead of
 * Host. Returns false where it is none of them.
 */
static bool
split_target(struct push_request *request, struct push_str url)
{
	const char *mark;
	size_t scheme = url.size > 7 && !strncasecmp(url.bytes, "http://", 7)    ? 7
			: url.size > 8 && !strncasecmp(url.bytes, "https://", 8) ? 8
										 : 0;

	if (memchr(url.bytes, '#', url.size))
		return false;
	if (scheme) {
		struct push_str host = {url.bytes + scheme, 0};

		while (scheme + host.size < url.size && host.bytes[host.size] != '/' &&
			host.bytes[host.size] != '?')
			host.size++;
		if (!host.size)
			return false;
		request->host = host;
		url = (struct push_str){host.bytes + host.size, url.size - scheme - host.size};
	}
	mark = url.size ? memchr(url.bytes, '?', url.size) : NULL;
	request->path = (struct push_str){url.bytes, mark ? (size_t)(mark - url.bytes) : url.size};
	if (mark)
		request->query = (struct push_str){mark + 1, url.size - request->path.size - 1};
	if (scheme && !request->path.size) /* the last slash of `//` */
		request->path = (struct push_str){request->host.bytes - 1, 1};
	return request->path.size &&
	       (*request->path.bytes == '/' ||
		       (request->path.size == 1 && *request->path.bytes == '*' && !mark));
}

static enum push_method
method_of(uint8_t method)
{
	switch (method) {
	case HTTP_GET: return PUSH_METHOD_GET;
	case HTTP_HEAD: return PUSH_METHOD_HEAD;
	case HTTP_POST: return PUSH_METHOD_POST;
	case HTTP_OPTIONS: return PUSH_METHOD_OPTIONS;
	default: return PUSH_METHOD_OTHER;
	}
}

/* llhttp takes several spaces for one, and other protocols whose requests look the same (RFC 9112, 3).  The
 * version has been read. */
static bool
is_request_line(struct push_str url)
{
	static const char protocol[] = " HTTP/";

	return url.bytes[-1] == ' ' && url.bytes[-2] != ' ' &&
	       !memcmp(url.bytes + url.size, protocol, sizeof(protocol) - 1);
}

/* What llhttp leaves to its users. */
static enum push_head_result
settle(struct reading *reading, const llhttp_t *parser)
{
	struct push_head *head = reading->head;
	struct push_request *request = &head->request;

	head->http_1_1 = parser->http_major == 1 && parser->http_minor == 1;
	head->keep_alive = llhttp_should_keep_alive(parser);
	head->chunked = parser->flags & F_CHUNKED;
	request->method = method_of(parser->method);
	request->has_length = parser->flags & F_CONTENT_LENGTH;
	request->length = request->has_length ? parser->content_length : 0;
	request->has_body = head->chunked || request->length;
	request->wants_websocket = parser->upgrade && reading->offers_websocket && head->http_1_1 &&
				   request->method == PUSH_METHOD_GET;
	if (parser->http_major != 1)
		return bad(head, 505, "the version must be HTTP/1.0 or HTTP/1.1");
	if (!is_request_line(reading->url))
		return malformed(head, "one space must separate the method, the target and HTTP/1.1");
	if (reading->is_twice)
		return bad(head, 400, "a header that may occur only once is repeated");
	if (reading->coding.bytes && !head->http_1_1)
		return bad(head, 400, "Transfer-Encoding is not supported with HTTP/1.0");
	if (reading->coding.bytes && !push_str_is(reading->coding, "chunked"))
		return bad(head, 501, "Transfer-Encoding must be chunked");
	if (head->http_1_1 && !request->host.bytes)
		return bad(head, 400, "Host is missing");
	if (!split_target(request, reading->url))
		return bad(head, 400, "the target of the request must be a path or an http URL");
	if (!push_str_is_host(request->host))
		return bad(head, 400, "Host is malformed");
	if (!head->http_1_1)
		request->expect = (struct push_str){NULL, 0}; /* RFC 9110, 10.1.1 */
	return PUSH_HEAD_WHOLE;
}

/* The handshake of TLS (RFC 8446, 5.1), and the preface of HTTP/2 (RFC 9113, 3.4). */
static bool
is_foreign(const char *bytes, size_t size)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n";

	return (size && *bytes == PUSH_TLS_HANDSHAKE) ||
	       (size >= sizeof(preface) - 1 && !memcmp(bytes, preface, sizeof(preface) - 1));
}

/* A method is letters; the end of anything else would be waited for in vain. */
static bool
begins_a_method(const char *bytes, size_t size)
{
	return !size || (*bytes == '\r' && size == 1) || isalpha((unsigned char)*bytes);
}

static enum push_head_result
parse(struct push_head *head, llhttp_t *parser, const char *bytes, size_t size)
{
	struct reading reading = {.head = head};
	llhttp_errno_t result;

	llhttp_init(parser, HTTP_REQUEST, &settings);
	parser->data = &reading;
	result = llhttp_execute(parser, bytes, size);
	parser->data = NULL;
	/* the same number stands for a version that cannot be read */
	if (result == HPE_INVALID_VERSION && !strcmp(llhttp_get_error_reason(parser), "Invalid HTTP version"))
		return bad(head, 505, "the version must be HTTP/1.0 or HTTP/1.1");
	if (result == HPE_INVALID_METHOD)
		return bad(head, 501, "unknown method");
	if (result != HPE_OK && result != HPE_PAUSED)
		return malformed(head, llhttp_get_error_reason(parser));
	/* its lines end in a way that others read otherwise */
	if (result != HPE_PAUSED || !reading.url.size || llhttp_get_error_pos(parser) != bytes + size)
		return malformed(head, "a line must end with CR LF");
	head->size = size;
	return settle(&reading, parser);
}

enum push_head_result
push_head_read(struct push_head *ret_head, llhttp_t *parser, const char *bytes, size_t size, size_t size_max)
{
	static const char blank[] = "\r\n\r\n";
	const char *start = bytes, *end;
	size_t head_size;

	memset(ret_head, 0, sizeof(*ret_head));
	/* empty lines before a request are none of it (RFC 9112, 2.2) */
	while (size - (size_t)(start - bytes) >= 2 && start[0] == '\r' && start[1] == '\n')
		start += 2;
	if (is_foreign(start, size - (size_t)(start - bytes)))
		return PUSH_HEAD_FOREIGN;
	if (!begins_a_method(start, size - (size_t)(start - bytes)))
		return malformed(ret_head, "it must begin with a method");
	end = memmem(start, size - (size_t)(start - bytes), blank, sizeof(blank) - 1);
	if (!end && memmem(start, size - (size_t)(start - bytes), "\n\n", 2))
		return malformed(ret_head, "a line must end with CR LF");
	if (!end)
		return size >= size_max ? PUSH_HEAD_TOO_LARGE : PUSH_HEAD_PARTIAL;
	head_size = (size_t)(end - bytes) + sizeof(blank) - 1;
	return head_size > size_max ? PUSH_HEAD_TOO_LARGE : parse(ret_head, parser, bytes, head_size);
}

size_t
push_post_head_size(const char *bytes, size_t size, uint64_t length)
{
	struct push_head head;
	llhttp_t parser;

	if (!size || *bytes != 'P' ||
		push_head_read(&head, &parser, bytes, size, PUSH_HEAD_BYTES_MAX) != PUSH_HEAD_WHOLE ||
		head.request.method != PUSH_METHOD_POST || !head.request.has_length ||
		head.request.length != length)
		return 0;
	return head.size;
}
