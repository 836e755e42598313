/* credentials.c - see credentials.h. */
#include <string.h>

#include "core/cors.h"
#include "request/credentials.h"
#include "request/query.h"

static struct push_credential
broken(const char *why)
{
	return (struct push_credential){.kind = PUSH_CREDENTIAL_BROKEN, .why = why};
}

static bool
is_scheme(struct push_str header, const char *lower_case)
{
	size_t size = strlen(lower_case);

	return header.size >= size && push_str_is((struct push_str){header.bytes, size}, lower_case) &&
	       (header.size == size || header.bytes[size] == ' ');
}

static struct push_credential
bearer(struct push_str header)
{
	static const char scheme[] = "bearer";
	struct push_str text;

	if (!header.bytes || !is_scheme(header, scheme))
		return (struct push_credential){.kind = PUSH_CREDENTIAL_NONE};
	text = push_str_trim(
		(struct push_str){header.bytes + sizeof(scheme) - 1, header.size - (sizeof(scheme) - 1)});
	if (!text.size)
		return broken("'Authorization: Bearer' has no token");
	return (struct push_credential){.kind = PUSH_CREDENTIAL_BEARER, .text = text};
}

static struct push_credential
plain(enum push_credential_kind kind, struct push_str text)
{
	if (!text.bytes)
		return (struct push_credential){.kind = PUSH_CREDENTIAL_NONE};
	return text.size ? (struct push_credential){.kind = kind, .text = text}
			 : broken("an empty credential");
}

static struct push_credential
argument(const struct push_request *request, enum push_credential_kind kind, const char *name,
	struct push_buf *text)
{
	push_buf_init(text, PUSH_SECRET_BYTES_MAX);
	switch (push_query_values(request->query, name, text)) {
	case PUSH_QUERY_NONE: return (struct push_credential){.kind = PUSH_CREDENTIAL_NONE};
	case PUSH_QUERY_FOUND:
		return plain(kind, (struct push_str){text->bytes ? text->bytes : "", text->size});
	default: return broken("the credential in the query is malformed");
	}
}

/* `a=1; NAME=TOKEN; b=2` (RFC 6265, 4.2.1).  Of two with this name, all from the first on, which is no token: one may
 * have been planted from another host of the same site. */
static struct push_str
cookie(struct push_str header, const char *name)
{
	const char *at = header.bytes, *end = at + header.size;
	struct push_str found = {NULL, 0};
	size_t name_size = strlen(name);

	while (at && at < end) {
		const char *stop = memchr(at, ';', (size_t)(end - at));
		struct push_str pair =
			push_str_trim((struct push_str){at, (size_t)((stop ? stop : end) - at)});

		if (pair.size > name_size && pair.bytes[name_size] == '=' &&
			!memcmp(pair.bytes, name, name_size)) {
			if (found.bytes)
				return (struct push_str){found.bytes, (size_t)(end - found.bytes)};
			found = (struct push_str){pair.bytes + name_size + 1, pair.size - name_size - 1};
		}
		at = stop ? stop + 1 : end;
	}
	return found;
}

static struct push_credential
certificate(const struct push_request *request, const struct push_options *options)
{
	const struct push_str origin = request->origin, host = request->host;

	if (!request->certificate.bytes)
		return (struct push_credential){.kind = PUSH_CREDENTIAL_NONE};
	if (!push_cors_trusts(options->cors_origins, origin.bytes, origin.size, host.bytes, host.size))
		return broken(
			"a web page's client certificate needs push.cors.allowed.origins to list its origin");
	return (struct push_credential){.kind = PUSH_CREDENTIAL_CERTIFICATE,
		.text = request->certificate,
		.from_s = request->certificate_from_s,
		.until_s = request->certificate_until_s};
}

struct push_credential
push_credentials_read(
	const struct push_request *request, const struct push_options *options, struct push_buf *text)
{
	struct push_credential shown[5], found = {.kind = PUSH_CREDENTIAL_NONE};
	struct push_buf token;

	shown[0] = bearer(request->authorization);
	shown[1] = plain(PUSH_CREDENTIAL_KEY, request->push_key);
	shown[2] = plain(PUSH_CREDENTIAL_TOKEN, request->ws_token);
	shown[3] = argument(request, PUSH_CREDENTIAL_TICKET, "ticket", text);
	push_buf_init(&token, PUSH_SECRET_BYTES_MAX);
	shown[4] = options->auth_query ? argument(request, PUSH_CREDENTIAL_TOKEN, "token", &token)
				       : (struct push_credential){.kind = PUSH_CREDENTIAL_NONE};
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
		if (shown[i].kind == PUSH_CREDENTIAL_NONE)
			continue;
		found = found.kind == PUSH_CREDENTIAL_NONE
				? shown[i]
				: broken("credentials were sent in two ways, send one");
	}
	if (shown[4].kind != PUSH_CREDENTIAL_NONE) {
		push_credentials_forget(text);
		*text = token;
	} else {
		push_buf_fini(&token);
	}
	if (found.kind == PUSH_CREDENTIAL_NONE && options->auth_cookie[0]) {
		struct push_str value = cookie(request->cookie, options->auth_cookie);

		if (value.size) /* an empty one is of a client that has logged out */
			found = plain(PUSH_CREDENTIAL_TOKEN, value);
	}
	if (found.kind == PUSH_CREDENTIAL_NONE)
		return certificate(request, options);
	if (found.text.size > PUSH_SECRET_BYTES_MAX)
		return broken("the credential is over 4 kB");
	return found;
}

void
push_credentials_forget(struct push_buf *text)
{
	if (text->bytes)
		explicit_bzero(text->bytes, text->size);
	push_buf_fini(text);
}
