/* request.c - see request.h. */
#include <stdlib.h>
#include <string.h>

#include "request/request.h"

/* All of its texts. */
#define TEXTS(X)                                                                                             \
	PUSH_REQUEST_FIELD_MAP(X)                                                                            \
	X(path, "")                                                                                          \
	X(rest, "")                                                                                          \
	X(query, "")                                                                                         \
	X(cookie, "")                                                                                        \
	X(push_key, "")                                                                                      \
	X(ws_token, "")                                                                                      \
	X(certificate, "")

const char *
push_request_subprotocol(const struct push_request *request)
{
	return request->offers_push_v1   ? PUSH_WS_V1_PROTOCOL
	       : request->offers_push_ws ? PUSH_WS_PROTOCOL
					 : NULL;
}

static struct push_str
move(struct push_str text, char **to)
{
	struct push_str moved = {*to, text.size};

	if (!text.bytes)
		return text;
	memcpy(*to, text.bytes, text.size);
	*to += text.size;
	return moved;
}

struct push_request *
push_request_keep(const struct push_request *request, size_t *ret_bytes)
{
	struct push_request *kept;
	size_t size = sizeof(*kept) + 1; /* an empty text has bytes, too */
	char *to;

#define X(member, name) size += request->member.size;
	TEXTS(X)
#undef X
	kept = malloc(size);
	if (!kept)
		return NULL;
	*ret_bytes = size;
	*kept = *request;
	kept->x_forwarded_for.count = kept->forwarded.count = 0; /* the client's address has been found */
	to = (char *)(kept + 1);
#define X(member, name) kept->member = move(request->member, &to);
	TEXTS(X)
#undef X
	return kept;
}
