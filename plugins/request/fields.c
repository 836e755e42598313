/* fields.c - see fields.h. */
#include <stddef.h>

#include "request/fields.h"

/* Where a header's value belongs, of those that may come once; NULL: nobody wants to know. */
static struct push_str *
place_of(struct push_request *request, struct push_str name)
{
	static const struct {
		const char *name;
		size_t size, offset;
	} rows[] = {
#define X(member, text) {text, sizeof(text) - 1, offsetof(struct push_request, member)},
		PUSH_REQUEST_FIELD_MAP(X)
#undef X
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (name.size == rows[i].size && push_str_is(name, rows[i].name))
			return (struct push_str *)(void *)((char *)request + rows[i].offset);
	return NULL;
}

static void
read_protocols(struct push_request *request, struct push_str offer)
{
	struct push_str token = push_str_token_after(offer, PUSH_WS_TOKEN_PREFIX);

	request->offers_push_ws |= push_str_has_token(offer, PUSH_WS_PROTOCOL);
	request->offers_push_v1 |= push_str_has_token(offer, PUSH_WS_V1_PROTOCOL);
	if (token.bytes) /* in two lines: none */
		request->ws_token = request->ws_token.bytes ? (struct push_str){"", 0} : token;
}

bool
push_fields_add(struct push_request *request, struct push_str name, struct push_str value)
{
	struct push_str *place = place_of(request, name);

	/* these may come as lists, in one line or in several */
	if (PUSH_FIELD_IS(name, "sec-websocket-protocol"))
		read_protocols(request, value);
	else if (PUSH_FIELD_IS(name, "cookie") && !request->cookie.bytes)
		request->cookie = value;
	else if (PUSH_FIELD_IS(name, "push-key"))
		request->push_key =
			value.bytes && !request->push_key.bytes ? value : (struct push_str){"", 0};
	else if (PUSH_FIELD_IS(name, "x-forwarded-for"))
		push_forwarded_add(&request->x_forwarded_for, value);
	else if (PUSH_FIELD_IS(name, "forwarded"))
		push_forwarded_add(&request->forwarded, value);
	if (!place)
		return true;
	if (place->bytes)
		return false;
	*place = value.bytes ? value : (struct push_str){"", 0}; /* an empty one is there all the same */
	return true;
}
