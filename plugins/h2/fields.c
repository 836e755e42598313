/* fields.c - see fields.h. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "h2/fields.h"
#include "h2/limits.h"
#include "request/fields.h"

/* What RFC 9113, 6.5.2, counts for each field. */
#define FIELD_BYTES 32

struct sizes {
	uint16_t name, value;
};

_Static_assert(PUSH_H2_HEAD_BYTES_MAX <= UINT16_MAX, "the size of a field fits");

struct push_h2_head *
push_h2_head_create(struct push_account *account)
{
	struct push_h2_head *head = calloc(1, sizeof(*head));

	if (!head)
		return NULL;
	/* the cookie's crumbs are there twice */
	push_buf_init(&head->texts, (size_t)2 * PUSH_H2_HEAD_BYTES_MAX);
	if (account)
		push_buf_charge(&head->texts, account);
	return head;
}

void
push_h2_head_destroy(struct push_h2_head *head)
{
	if (!head)
		return;
	push_buf_fini(&head->texts);
	free(head);
}

static void
refuse(struct push_h2_head *head, unsigned int status, const char *why)
{
	if (head->status)
		return;
	head->status = status;
	snprintf(head->error.text, sizeof(head->error.text), "%s", why);
}

void
push_h2_head_add(struct push_h2_head *head, struct push_str name, struct push_str value)
{
	struct sizes sizes;

	head->list_size += name.size + value.size + FIELD_BYTES;
	if (head->list_size > PUSH_H2_HEAD_BYTES_MAX)
		refuse(head, 431, "the head of the request is over 16 kB");
	else if (++head->field_count > PUSH_H2_FIELDS_MAX)
		refuse(head, 431, "the request has over 128 header fields");
	if (head->status)
		return;
	sizes = (struct sizes){(uint16_t)name.size, (uint16_t)value.size};
	push_buf_append(&head->texts, &sizes, sizeof(sizes));
	push_buf_append(&head->texts, name.bytes, name.size);
	push_buf_append(&head->texts, value.bytes, value.size);
	head->fields_size = head->texts.size;
}

bool
push_h2_head_next(
	const struct push_h2_head *head, size_t *at, struct push_str *ret_name, struct push_str *ret_value)
{
	struct sizes sizes;

	if (*at >= head->fields_size)
		return false;
	memcpy(&sizes, head->texts.bytes + *at, sizeof(sizes));
	*ret_name = (struct push_str){head->texts.bytes + *at + sizeof(sizes), sizes.name};
	*ret_value = (struct push_str){ret_name->bytes + sizes.name, sizes.value};
	*at += sizeof(sizes) + sizes.name + sizes.value;
	return true;
}

/* A copy behind the fields, which may move while they grow. */
static void
append_copy(struct push_buf *texts, struct push_str value)
{
	size_t from = (size_t)(value.bytes - texts->bytes);

	for (size_t i = 0; i < value.size; i++) {
		const char byte = texts->bytes[from + i];

		push_buf_append(texts, &byte, 1);
	}
}

/* A cookie may come in crumbs, to be put together again (RFC 9113, 8.2.3), behind the fields: where *ret_at is not 0.
 * Returns its size. */
static size_t
join_cookie(struct push_h2_head *head, size_t *ret_at)
{
	struct push_str name, value;
	size_t at = 0, count = 0;

	while (push_h2_head_next(head, &at, &name, &value))
		count += PUSH_FIELD_IS(name, "cookie");
	*ret_at = count > 1 ? head->texts.size : 0;
	for (at = 0; *ret_at && push_h2_head_next(head, &at, &name, &value);) {
		if (!PUSH_FIELD_IS(name, "cookie"))
			continue;
		if (head->texts.size > *ret_at)
			push_buf_append_text(&head->texts, "; ");
		append_copy(&head->texts, value);
	}
	return head->texts.size - *ret_at;
}

static enum push_method
method_of(struct push_str method)
{
	static const struct {
		const char *name;
		enum push_method method;
	} rows[] = {{"GET", PUSH_METHOD_GET}, {"HEAD", PUSH_METHOD_HEAD}, {"POST", PUSH_METHOD_POST},
		{"OPTIONS", PUSH_METHOD_OPTIONS}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (method.size == strlen(rows[i].name) && !memcmp(method.bytes, rows[i].name, method.size))
			return rows[i].method;
	return PUSH_METHOD_OTHER;
}

static void
split_path(struct push_request *request, struct push_str path)
{
	const char *mark = memchr(path.bytes, '?', path.size);

	request->path = (struct push_str){path.bytes, mark ? (size_t)(mark - path.bytes) : path.size};
	if (mark)
		request->query = (struct push_str){mark + 1, path.size - request->path.size - 1};
}

/* What is CONNECT without a path of its own, for a proxy, is none of ours. */
struct pseudo {
	struct push_str method, path, protocol;
};

static void
read_pseudo(struct push_h2_head *head, struct pseudo *pseudo, struct push_str name, struct push_str value)
{
	if (PUSH_FIELD_IS(name, ":method"))
		pseudo->method = value;
	else if (PUSH_FIELD_IS(name, ":path"))
		pseudo->path = value;
	else if (PUSH_FIELD_IS(name, ":protocol"))
		pseudo->protocol = value;
	else if (PUSH_FIELD_IS(name, ":authority"))
		head->request.host = value;
}

static bool
is_same(struct push_str a, struct push_str b)
{
	return a.size == b.size && !strncasecmp(a.bytes, b.bytes, a.size);
}

/* nghttp2 has read it: a number, and no other comes. */
static void
read_length(struct push_request *request, struct push_str value)
{
	request->has_length = true;
	request->length = 0;
	for (size_t i = 0; i < value.size; i++)
		request->length = request->length * 10 + (uint64_t)(value.bytes[i] - '0');
}

static void
read_field(struct push_h2_head *head, struct push_str name, struct push_str value)
{
	struct push_request *request = &head->request;

	if (PUSH_FIELD_IS(name, "cookie") && request->cookie.bytes)
		return; /* joined */
	if (PUSH_FIELD_IS(name, "host") && request->host.bytes) {
		if (!is_same(request->host, value)) /* RFC 9113, 8.3.1 */
			refuse(head, 400, "Host differs from :authority");
	} else if (PUSH_FIELD_IS(name, "content-length")) {
		read_length(request, value);
	} else if (!push_fields_add(request, name, value)) {
		refuse(head, 400, "a header that may occur only once is repeated");
	}
}

/* Without one it is a CONNECT to somewhere else. */
static bool
is_target(struct push_str path)
{
	return path.size && (*path.bytes == '/' || push_str_is(path, "*")) &&
	       !memchr(path.bytes, '#', path.size);
}

static void
settle(struct push_h2_head *head, const struct pseudo *pseudo)
{
	struct push_request *request = &head->request;

	request->method = method_of(pseudo->method);
	if (pseudo->protocol.bytes) {
		request->method = PUSH_METHOD_GET;
		request->wants_websocket = push_str_is(pseudo->protocol, "websocket");
		if (!request->wants_websocket)
			refuse(head, 501, "':protocol' must be websocket");
	}
	if (!is_target(pseudo->path))
		refuse(head, 400, "the target of the request must be a path or an http URL");
	else if (*pseudo->path.bytes != '/' && request->method != PUSH_METHOD_OPTIONS)
		refuse(head, 400, "'*' is allowed only with OPTIONS");
	else
		split_path(request, pseudo->path);
	if (!request->host.bytes)
		refuse(head, 400, "Host is missing");
	else if (!push_str_is_host(request->host))
		refuse(head, 400, "Host is malformed");
	if (head->is_last && !request->wants_websocket) {
		request->has_length = true;
		request->length = 0;
	}
	request->has_body =
		!head->is_last && !request->wants_websocket && (!request->has_length || request->length);
	request->awaits_continue = request->expect.bytes && request->has_body;
}

void
push_h2_head_finish(struct push_h2_head *head, bool is_last)
{
	struct push_request *request = &head->request;
	struct pseudo pseudo = {.path = {NULL, 0}};
	struct push_str name, value;
	size_t at = 0, cookie_at, cookie_size = join_cookie(head, &cookie_at);

	head->is_last = is_last;
	request->is_http_2 = true;
	if (head->texts.status != PUSH_OK)
		refuse(head, 503, push_status_text(PUSH_OUT_OF_MEMORY));
	if (head->status) {
		while (push_h2_head_next(head, &at, &name, &value))
			read_pseudo(head, &pseudo, name, value);
		request->method = method_of(pseudo.method);
		return;
	}
	if (cookie_at)
		request->cookie = (struct push_str){head->texts.bytes + cookie_at, cookie_size};
	while (push_h2_head_next(head, &at, &name, &value)) {
		if (name.size && *name.bytes == ':')
			read_pseudo(head, &pseudo, name, value);
		else
			read_field(head, name, value);
	}
	settle(head, &pseudo);
}

/* --- answers --- */

static void
add_field(void *context, const char *name, const char *value)
{
	struct push_buf *to = context;

	push_buf_append_text(to, name);
	push_buf_append_text(to, ": ");
	push_buf_append_text(to, value);
	push_buf_append_text(to, "\r\n");
}

void
push_h2_answer_append(
	struct push_buf *to, const struct push_response *response, struct push_str extra, bool has_length)
{
	push_buf_printf(to, ":status: %u\r\n", response->status);
	push_buf_append(to, extra.bytes, extra.size);
	push_response_fields(response, add_field, to);
	if (has_length && response->status != 204 && response->status >= 200 && !response->is_stream)
		push_buf_printf(to, "content-length: %zu\r\n", response->body.size);
}

/* RFC 9113, 8.2.2. */
static bool
is_of_connection(struct push_str name)
{
	return PUSH_FIELD_IS(name, "connection") || PUSH_FIELD_IS(name, "upgrade") ||
	       PUSH_FIELD_IS(name, "keep-alive") || PUSH_FIELD_IS(name, "proxy-connection") ||
	       PUSH_FIELD_IS(name, "transfer-encoding");
}

static bool
read_line(char *line, size_t size, nghttp2_nv *ret)
{
	char *colon =
		size > 1 ? memchr(line + 1, ':', size - 1) : NULL; /* the first may be of a pseudo field */
	struct push_str name, value;

	if (!colon)
		return false;
	for (char *c = line; c < colon; c++)
		*c = (char)tolower((unsigned char)*c);
	name = (struct push_str){line, (size_t)(colon - line)};
	value = push_str_trim((struct push_str){colon + 1, size - name.size - 1});
	*ret = (nghttp2_nv){.name = (uint8_t *)line,
		.namelen = name.size,
		.value = (uint8_t *)(uintptr_t)(value.bytes ? value.bytes : ""),
		.valuelen = value.size};
	return !is_of_connection(name);
}

size_t
push_h2_answer_fields(char *lines, size_t size, nghttp2_nv fields[PUSH_H2_ANSWER_FIELDS_MAX])
{
	size_t count = 0;

	for (char *line = lines, *end = lines + size, *next; line < end && count < PUSH_H2_ANSWER_FIELDS_MAX;
		line = next) {
		char *stop = memmem(line, (size_t)(end - line), "\r\n", 2);

		next = stop ? stop + 2 : end;
		count += read_line(line, (size_t)((stop ? stop : end) - line), &fields[count]);
	}
	return count;
}
