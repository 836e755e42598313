/* http_url.c - see http_url.h. */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "http_url.h"

#define HTTP       "http://"
#define HTTPS      "https://"
#define HTTP_PORT  80
#define HTTPS_PORT 443

/* A user and a password, which nobody shall see, are not among what is shown: they stand behind the scheme.
 */
static enum push_status
fail(struct push_error *error, const char *name, const char *text, const char *why)
{
	if (strchr(text, '@'))
		text = "...@...";
	snprintf(
		error->text, sizeof(error->text), "%s=%.*s: %s", name, PUSH_ERROR_QUOTE_BYTES_MAX, text, why);
	return PUSH_INVALID;
}

static bool
is_host(const char *text, size_t size, bool is_address)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";

	for (size_t i = 0; i < size; i++)
		if (!text[i] || !strchr(is_address ? "0123456789abcdefABCDEF:." : letters, text[i]))
			return false;
	return size > 0;
}

/* Digits up to `end`, or none. */
static bool
read_port(const char *text, const char *end, uint16_t *ret)
{
	unsigned long port = 0;

	for (; text < end; text++) {
		if (*text < '0' || *text > '9')
			return false;
		port = port * 10 + (unsigned long)(*text - '0');
		if (port > UINT16_MAX)
			return false;
	}
	*ret = (uint16_t)port;
	return port > 0;
}

/* What may stand in a request line: it is sent as it is. */
static bool
is_path(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~' || strchr("#\"<>\\^`{|}", *text))
			return false;
	return true;
}

enum push_status
push_http_url_parse(struct push_http_url *ret, const char *name, const char *text, struct push_error *error)
{
	bool is_tls = !strncmp(text, HTTPS, strlen(HTTPS)), is_address;
	const char *authority = text + strlen(is_tls ? HTTPS : HTTP), *end, *host, *host_end;

	if (strlen(text) > PUSH_OPTION_TEXT_BYTES_MAX)
		return fail(error, name, text, "longer than 240 bytes");
	if (!is_tls && strncmp(text, HTTP, strlen(HTTP)) != 0)
		return fail(error, name, text, "must begin with http:// or https://");
	end = authority + strcspn(authority, "/?");
	if (memchr(authority, '@', (size_t)(end - authority)))
		return fail(error, name, text, "a user and a password are not supported");
	is_address = *authority == '[';
	host = authority + is_address;
	host_end = is_address ? memchr(host, ']', (size_t)(end - host)) : host;
	if (!is_address)
		while (host_end < end && *host_end != ':')
			host_end++;
	if (!host_end || !is_host(host, (size_t)(host_end - host), is_address))
		return fail(error, name, text, "no such host");
	*ret = (struct push_http_url){.is_tls = is_tls, .port = is_tls ? HTTPS_PORT : HTTP_PORT};
	memcpy(ret->host, host, (size_t)(host_end - host));
	memcpy(ret->authority, authority, (size_t)(end - authority));
	host_end += is_address;
	if (host_end < end && (*host_end != ':' || !read_port(host_end + 1, end, &ret->port)))
		return fail(error, name, text, "the port must be from 1 to 65535");
	if (!is_path(end))
		return fail(error, name, text, "the path has a character that must be percent-encoded");
	snprintf(ret->path, sizeof(ret->path), "%s%s", *end == '/' ? "" : "/", end);
	return PUSH_OK;
}

bool
push_http_url_is_local(const struct push_http_url *url)
{
	struct in_addr address;

	if (!strcasecmp(url->host, "localhost") || !strcmp(url->host, "::1"))
		return true;
	return inet_pton(AF_INET, url->host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}
