/* head.c - see head.h. */
#include <ctype.h>
#include <string.h>

#include "core/push_assert.h"
#include "direct/head.h"

/* What the callbacks fill; the last header's name says where its value belongs. */
struct reading {
	struct push_head *head;
	struct push_span url, name;
	struct push_span *place;
	bool failed;
};

bool
push_span_is(struct push_span span, const char *lower_case)
{
	size_t i;

	for (i = 0; i < span.size && lower_case[i]; i++)
		if (tolower((unsigned char)span.bytes[i]) != lower_case[i])
			return false;
	return span.bytes && i == span.size && !lower_case[i];
}

bool
push_span_has_token(struct push_span list, const char *lower_case)
{
	const char *p = list.bytes, *end = p ? p + list.size : NULL;

	while (p && p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p)), *stop = comma ? comma : end;
		struct push_span token = {p, (size_t)(stop - p)};

		while (token.size && (*token.bytes == ' ' || *token.bytes == '\t'))
			token.bytes++, token.size--;
		while (token.size &&
			(token.bytes[token.size - 1] == ' ' || token.bytes[token.size - 1] == '\t'))
			token.size--;
		if (push_span_is(token, lower_case))
			return true;
		p = comma ? comma + 1 : end;
	}
	return false;
}

/* llhttp may give a span in several pieces, which lie behind one another. */
static void
extend(struct push_span *span, const char *bytes, size_t size)
{
	if (!span->bytes)
		*span = (struct push_span){bytes, 0};
	PUSH_ASSERT(bytes == span->bytes + span->size);
	span->size += size;
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

static struct push_span *
place_of(struct push_head *head, struct push_span name)
{
	static const struct {
		const char *name;
		size_t offset;
	} rows[] = {
#define X(field, text) {text, offsetof(struct push_head, field)},
		PUSH_HEAD_FIELD_MAP(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (push_span_is(name, rows[i].name))
			return (struct push_span *)(void *)((char *)head + rows[i].offset);
	return NULL;
}

static int
on_header_field_complete(llhttp_t *parser)
{
	struct reading *reading = parser->data;

	reading->place = place_of(reading->head, reading->name);
	reading->name = (struct push_span){NULL, 0};
	if (reading->place && reading->place->bytes) {
		reading->head->odd = true;
		reading->place = NULL;
	}
	return 0;
}

static int
on_header_value(llhttp_t *parser, const char *bytes, size_t size)
{
	struct reading *reading = parser->data;

	if (reading->place)
		extend(reading->place, bytes, size);
	return 0;
}

/* An empty value gives no span; it counts as there all the same. */
static int
on_header_value_complete(llhttp_t *parser)
{
	struct reading *reading = parser->data;

	if (reading->place && !reading->place->bytes)
		reading->head->odd = true;
	reading->place = NULL;
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
	.on_header_field_complete = on_header_field_complete,
	.on_header_value = on_header_value,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
};

static void
trim_right(struct push_span *span)
{
	while (span->size && (span->bytes[span->size - 1] == ' ' || span->bytes[span->size - 1] == '\t'))
		span->size--;
}

static void
split_url(struct push_head *head, struct push_span url)
{
	const char *mark = memchr(url.bytes, '?', url.size), *fragment = memchr(url.bytes, '#', url.size);

	head->odd = head->odd || fragment || url.bytes[0] != '/';
	head->path = (struct push_span){url.bytes, mark ? (size_t)(mark - url.bytes) : url.size};
	if (mark)
		head->query = (struct push_span){mark + 1, url.size - head->path.size - 1};
}

static void
settle(struct push_head *head, const llhttp_t *parser)
{
	head->method = parser->method;
	head->http_1_1 = parser->http_major == 1 && parser->http_minor == 1;
	head->keep_alive = llhttp_should_keep_alive(parser);
	head->chunked = parser->flags & F_CHUNKED;
	head->has_length = parser->flags & F_CONTENT_LENGTH;
	head->length = head->has_length ? parser->content_length : 0;
#define X(field, name) trim_right(&head->field);
	PUSH_HEAD_FIELD_MAP(X)
#undef X
	/* a coding before "chunked", which nobody here would take off again */
	if (head->transfer_encoding.bytes && !push_span_is(head->transfer_encoding, "chunked"))
		head->odd = true;
}

/* A method is letters; TLS and other protocols begin otherwise, and their end would be waited for in vain. */
static bool
begins_a_method(const char *bytes, size_t size)
{
	return !size || (*bytes == '\r' && size == 1) || isalpha((unsigned char)*bytes);
}

enum push_head_result
push_head_read(struct push_head *ret_head, llhttp_t *parser, const char *bytes, size_t size, size_t size_max)
{
	static const char blank[] = "\r\n\r\n";
	struct reading reading = {.head = ret_head};
	const char *start = bytes, *end;
	llhttp_errno_t result;
	size_t head_size;

	/* empty lines before a request are none of it (RFC 9112, 2.2) */
	while (size - (size_t)(start - bytes) >= 2 && start[0] == '\r' && start[1] == '\n')
		start += 2;
	end = memmem(start, size - (size_t)(start - bytes), blank, sizeof(blank) - 1);
	if (!begins_a_method(start, size - (size_t)(start - bytes)) ||
		(!end && memmem(start, size - (size_t)(start - bytes), "\n\n", 2)))
		return PUSH_HEAD_BAD;
	if (!end)
		return size >= size_max ? PUSH_HEAD_TOO_LARGE : PUSH_HEAD_PARTIAL;
	head_size = (size_t)(end - bytes) + sizeof(blank) - 1;
	if (head_size > size_max)
		return PUSH_HEAD_TOO_LARGE;

	memset(ret_head, 0, sizeof(*ret_head));
	llhttp_init(parser, HTTP_REQUEST, &settings);
	parser->data = &reading;
	result = llhttp_execute(parser, bytes, head_size);
	parser->data = NULL;
	if (result != HPE_PAUSED || !reading.url.size || llhttp_get_error_pos(parser) > bytes + head_size)
		return PUSH_HEAD_BAD;
	ret_head->size = (size_t)(llhttp_get_error_pos(parser) - bytes);
	if (ret_head->size != head_size) /* its lines end in a way that others read otherwise */
		return PUSH_HEAD_BAD;
	split_url(ret_head, reading.url);
	settle(ret_head, parser);
	return PUSH_HEAD_WHOLE;
}
