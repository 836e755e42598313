/* url.c - see url.h. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "url.h"

static const struct {
	const char *text;
	bool is_tls;
} schemes[] = {{"http://", false}, {"https://", true}, {"ws://", false}, {"wss://", true}};

static enum push_status
fail(struct push_error *error, const char *name, const char *text, const char *why)
{
	snprintf(error->text, sizeof(error->text), "%s=%.100s: %s", name, text, why);
	return PUSH_INVALID;
}

/* Returns what follows the scheme; NULL for one that is not known. */
static const char *
skip_scheme(const char *text, bool *ret_is_tls)
{
	*ret_is_tls = false;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (!strncasecmp(text, schemes[i].text, strlen(schemes[i].text))) {
			*ret_is_tls = schemes[i].is_tls;
			return text + strlen(schemes[i].text);
		}
	return strstr(text, "://") ? NULL : text;
}

/* host, [IPv6], each with a port or without.  Returns what is wrong with it, or NULL. */
static const char *
parse_authority(struct url *url, const char *text, size_t size)
{
	const char *end = text + size, *colon, *host_end;
	char port[8] = "";
	bool is_v6 = size && *text == '[';

	if (memchr(text, '@', size))
		return "a user in the URL is not supported; use --header 'Authorization: ...'";
	host_end = is_v6 ? memchr(text, ']', size) : memchr(text, ':', size);
	if (is_v6 && !host_end)
		return "the address has no closing bracket";
	if (!host_end)
		host_end = end;
	colon = is_v6 ? host_end + 1 : host_end;
	text += is_v6;
	if (host_end == text || host_end - text > CLI_HOST_BYTES_MAX)
		return "must name a host";
	snprintf(url->host, sizeof(url->host), "%.*s", (int)(host_end - text), text);
	if (colon < end) {
		snprintf(port, sizeof(port), "%.*s", (int)(end - colon - 1), colon + 1);
		url->port = (int)strtol(port, NULL, 10);
		if (*colon != ':' || strspn(port, "0123456789") != (size_t)(end - colon - 1) ||
			url->port < 1 || url->port > 65535)
			return "the port must be a number from 1 to 65535";
	}
	return NULL;
}

static void
describe(struct url *url)
{
	const char *open = strchr(url->host, ':') ? "[" : "", *close = *open ? "]" : "";
	bool is_usual = url->port == (url->is_tls ? 443 : 80);
	char port[16] = "";

	if (!is_usual)
		snprintf(port, sizeof(port), ":%d", url->port);
	snprintf(url->authority, sizeof(url->authority), "%s%s%s%s", open, url->host, close, port);
	snprintf(url->text, sizeof(url->text), "http%s://%s%s", url->is_tls ? "s" : "", url->authority,
		url->path);
}

enum push_status
url_parse(struct url *ret_url, const char *name, const char *text, struct push_error *error)
{
	struct url url = {.port = 0};
	const char *rest = skip_scheme(text, &url.is_tls), *wrong;
	size_t size;

	if (!rest)
		return fail(error, name, text, "must begin with http:// or https://");
	for (const char *at = text; *at; at++)
		if ((unsigned char)*at <= ' ' || *at == 0x7F)
			return fail(error, name, text, "must not contain spaces or control characters");
	url.port = url.is_tls ? 443 : 80;
	size = strcspn(rest, "/?#");
	wrong = parse_authority(&url, rest, size);
	if (wrong)
		return fail(error, name, text, wrong);
	rest += size;
	size = strlen(rest);
	if (strpbrk(rest, "?#"))
		return fail(error, name, text, "must not have a query");
	while (size && rest[size - 1] == '/')
		size--;
	if (size > CLI_PATH_BYTES_MAX)
		return fail(error, name, text, "the path is too long");
	snprintf(url.path, sizeof(url.path), "%.*s", (int)size, rest);
	describe(&url);
	*ret_url = url;
	return PUSH_OK;
}

void
url_append_encoded(struct push_buf *to, const char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (isalnum(c) || (c && strchr("-._~", c)))
			push_buf_append(to, text, 1);
		else
			push_buf_printf(to, "%%%02X", c);
	}
}

void
url_fill(const struct url *url, struct lws_client_connect_info *info)
{
	info->address = url->host;
	info->port = url->port;
	info->host = url->authority;
	info->ssl_connection = (url->is_tls ? LCCSCF_USE_SSL : 0) | LCCSCF_HTTP_NO_FOLLOW_REDIRECT;
	/* Push's own sockets speak HTTP/1.1, and lws drops some of Push's headers in HTTP/2 */
	info->alpn = "http/1.1";
}
