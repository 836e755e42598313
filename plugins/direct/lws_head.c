/* lws_head.c - see lws_head.h. */
#include <string.h>

#include "direct/lws_head.h"
#include "request/fields.h"

/* The methods of lws 4.3, and whether it reads a body with them.  With the others the body would be its next request. */
static const struct method {
	const char *name;
	bool takes_body;
} methods[] = {
	{"GET", false},
	{"HEAD", false},
	{"OPTIONS", false},
	{"DELETE", false},
	{"POST", true},
	{"PUT", true},
	{"PATCH", true},
};

static const struct method *
find_method(struct push_str name)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strlen(methods[i].name) == name.size && !memcmp(methods[i].name, name.bytes, name.size))
			return &methods[i];
	return NULL;
}

/* RFC 9112, 3.2.1 and 3.2.4; a fragment is not sent. */
static bool
is_target(const struct direct_lws_head *head)
{
	struct push_str target = head->target;

	if (target.size == 1 && *target.bytes == '*')
		return push_str_is(head->method, "options");
	if (!target.size || *target.bytes != '/')
		return false;
	for (size_t i = 0; i < target.size; i++)
		if (target.bytes[i] <= ' ' || target.bytes[i] >= 0x7f || target.bytes[i] == '#')
			return false;
	return true;
}

bool
direct_lws_field_is_hop(struct push_str name)
{
	static const char *const names[] = {"connection", "keep-alive", "proxy-connection",
		"transfer-encoding", "upgrade", "te", "trailer", "http2-settings"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (push_str_is(name, names[i]))
			return true;
	return false;
}

/* What is written from other sources; lws sends no 100 (Continue). */
static bool
is_ours(struct push_str name)
{
	return PUSH_FIELD_IS(name, "host") || PUSH_FIELD_IS(name, "content-length") ||
	       PUSH_FIELD_IS(name, "expect");
}

static void
append(struct push_buf *to, struct push_str text)
{
	push_buf_append(to, text.bytes, text.size);
}

static void
append_line(struct push_buf *to, const char *name, struct push_str value)
{
	push_buf_append_text(to, name);
	append(to, value);
	push_buf_append_text(to, "\r\n");
}

/* HTTP/2 may split it (RFC 9113, 8.2.3). */
static void
append_cookies(struct push_buf *to, const struct direct_lws_head *head)
{
	const char *before = "cookie: ";

	for (size_t i = 0; i < head->field_count; i++) {
		if (!PUSH_FIELD_IS(head->fields[i].name, "cookie"))
			continue;
		push_buf_append_text(to, before);
		append(to, head->fields[i].value);
		before = "; ";
	}
	if (*before == ';')
		push_buf_append_text(to, "\r\n");
}

/* Returns false if one of them is malformed. */
static bool
append_fields(struct push_buf *to, const struct direct_lws_head *head)
{
	for (size_t i = 0; i < head->field_count; i++) {
		const struct direct_lws_field *field = &head->fields[i];

		if (field->name.size && *field->name.bytes == ':')
			continue;
		if (!push_str_is_field_name(field->name) || !push_str_is_field_value(field->value))
			return false;
		if (direct_lws_field_is_hop(field->name) || is_ours(field->name) ||
			PUSH_FIELD_IS(field->name, "cookie"))
			continue;
		append(to, field->name);
		append_line(to, ": ", field->value);
	}
	append_cookies(to, head);
	return true;
}

static unsigned int
check(const struct direct_lws_head *head, const struct method *method)
{
	if (!is_target(head) || !head->authority.size || !push_str_is_host(head->authority))
		return 400;
	if (head->has_body && !method->takes_body)
		return 400;
	return head->has_body && !head->has_length ? 411 : 0;
}

static unsigned int
status_of(const struct push_buf *to)
{
	switch (to->status) {
	case PUSH_OK: return 0;
	case PUSH_TOO_LARGE: return 431;
	default: return 503;
	}
}

unsigned int
direct_lws_head_write(struct push_buf *to, const struct direct_lws_head *head)
{
	const struct method *method = find_method(head->method);
	unsigned int status = method ? check(head, method) : 501;

	if (status)
		return status;
	append(to, head->method);
	push_buf_append_text(to, " ");
	append(to, head->target);
	append_line(to, " HTTP/1.1\r\nhost: ", head->authority);
	if (!append_fields(to, head))
		return 400;
	/* lws awaits a body of these where no length is given */
	if (method->takes_body)
		push_buf_printf(to, "content-length: %llu\r\n",
			head->has_body ? (unsigned long long)head->length : 0ull);
	push_buf_append_text(to, "connection: close\r\n\r\n");
	return status_of(to);
}
