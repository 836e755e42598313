/* redis_url.c - see redis_url.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis_url.h"
#include "units.h"

#define REDIS_PORT    6379
#define SENTINEL_PORT 26379

static const struct {
	const char *scheme;
	enum push_redis_kind kind;
	bool tls, is_path;
} schemes[] = {
	{"redis://", PUSH_REDIS_STANDALONE, false, false},
	{"rediss://", PUSH_REDIS_STANDALONE, true, false},
	{"unix://", PUSH_REDIS_STANDALONE, false, true},
	{"redis+sentinel://", PUSH_REDIS_SENTINEL, false, false},
	{"rediss+sentinel://", PUSH_REDIS_SENTINEL, true, false},
	{"redis+cluster://", PUSH_REDIS_CLUSTER, false, false},
	{"rediss+cluster://", PUSH_REDIS_CLUSTER, true, false},
};

struct parser {
	struct push_redis_url *url;
	struct push_error *error;
	const char *text;
};

/* `part` is shown, so it may hold no secret. */
static enum push_status
fail(const struct parser *parser, const char *why, const char *part, size_t size)
{
	char masked[PUSH_OPTION_TEXT_BYTES_MAX + 1];

	push_redis_url_mask(parser->text, masked, sizeof(masked));
	snprintf(parser->error->text, sizeof(parser->error->text), "push.redis.url=%.*s: %s%s%.*s%s", 120,
		masked, why, size ? " '" : "",
		(int)(size < PUSH_ERROR_QUOTE_BYTES_MAX ? size : PUSH_ERROR_QUOTE_BYTES_MAX), part,
		size ? "'" : "");
	return PUSH_INVALID;
}

void
push_redis_url_mask(const char *text, char *to, size_t size)
{
	const char *begin = strstr(text, "://"), *at, *colon;

	begin = begin ? begin + 3 : text;
	at = strrchr(begin, '@');
	colon = at ? memchr(begin, ':', (size_t)(at - begin)) : NULL;
	if (!at)
		snprintf(to, size, "%s", text);
	else if (colon)
		snprintf(to, size, "%.*s:***%s", (int)(colon - text), text, at);
	else
		snprintf(to, size, "%.*s***%s", (int)(begin - text), text, at);
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
decode(const char *text, size_t size, char *to, size_t to_size)
{
	size_t length = 0;

	for (size_t i = 0; i < size; i++) {
		int byte = (unsigned char)text[i];

		if (byte == '%') {
			int high = i + 2 < size ? hex(text[i + 1]) : -1,
			    low = i + 2 < size ? hex(text[i + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			byte = high * 16 + low;
			i += 2;
		}
		if (!byte || length + 1 >= to_size)
			return false;
		to[length++] = (char)byte;
	}
	to[length] = '\0';
	return true;
}

/* user:password, :password, or user alone, which is refused: it would be no login. */
static enum push_status
parse_login(struct parser *parser, const char *text, size_t size)
{
	struct push_redis_url *url = parser->url;
	const char *colon = memchr(text, ':', size);

	if (!colon)
		return fail(parser, "a user without a password, write user:password@ or :password@", "", 0);
	if (!decode(text, (size_t)(colon - text), url->user, sizeof(url->user)))
		return fail(parser, "the user is too long, or badly percent-encoded", "", 0);
	if (!decode(colon + 1, (size_t)(text + size - colon - 1), url->password, sizeof(url->password)))
		return fail(parser, "the password is too long, or badly percent-encoded", "", 0);
	if (!url->password[0])
		return fail(parser, "the password is empty", "", 0);
	return PUSH_OK;
}

static bool
parse_number(const char *text, size_t size, unsigned long max, unsigned long *ret)
{
	unsigned long value = 0;

	if (!size || size > 6)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (unsigned long)(text[i] - '0');
	}
	*ret = value;
	return value <= max;
}

static bool
is_host(const char *text, size_t size, bool is_bracketed)
{
	if (!size || size > PUSH_REDIS_HOST_BYTES_MAX)
		return false;
	for (size_t i = 0; i < size; i++) {
		char c = text[i], letter = (char)(c | 0x20);

		if (!((letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || strchr("-._", c) ||
			    (is_bracketed && strchr(":%", c))))
			return false;
	}
	return true;
}

static enum push_status
parse_host(struct parser *parser, const char *text, size_t size)
{
	struct push_redis_url *url = parser->url;
	unsigned long port = url->kind == PUSH_REDIS_SENTINEL ? SENTINEL_PORT : REDIS_PORT;
	bool is_bracketed = size && *text == '[';
	const char *name = text + is_bracketed, *end = memchr(text, is_bracketed ? ']' : ':', size);
	size_t name_size = end ? (size_t)(end - name) : (size_t)(text + size - name);
	const char *after = end ? end + is_bracketed : text + size;
	struct push_redis_host *host;

	if ((is_bracketed && !end) || !is_host(name, name_size, is_bracketed))
		return fail(parser, "not a host", text, size);
	if (after < text + size &&
		(*after != ':' || !parse_number(after + 1, (size_t)(text + size - after - 1), 65535, &port) ||
			!port))
		return fail(parser, "not a host:port", text, size);
	if (url->host_count == PUSH_REDIS_HOSTS_MAX)
		return fail(parser, "more than 16 hosts", "", 0);
	host = &url->hosts[url->host_count++];
	memcpy(host->name, name, name_size);
	host->name[name_size] = '\0';
	host->port = (uint16_t)port;
	return PUSH_OK;
}

static enum push_status
parse_hosts(struct parser *parser, const char *text, size_t size)
{
	const char *end = text + size;

	for (;;) {
		const char *comma = memchr(text, ',', (size_t)(end - text));
		enum push_status status = parse_host(parser, text, (size_t)((comma ? comma : end) - text));

		if (status != PUSH_OK || !comma)
			break;
		text = comma + 1;
	}
	if (!parser->url->host_count || parser->error->text[0])
		return PUSH_INVALID;
	if (parser->url->kind == PUSH_REDIS_STANDALONE && parser->url->host_count > 1)
		return fail(parser, "several hosts: write redis+sentinel:// or redis+cluster://", "", 0);
	return PUSH_OK;
}

static enum push_status
parse_database(struct parser *parser, const char *text, size_t size)
{
	unsigned long database;

	if (!parse_number(text, size, PUSH_REDIS_DATABASE_MAX, &database))
		return fail(parser, "not a database number", text, size);
	if (database && parser->url->kind == PUSH_REDIS_CLUSTER)
		return fail(parser, "a cluster has only database 0, not", text, size);
	parser->url->database = (unsigned int)database;
	return PUSH_OK;
}

/* What stands behind the hosts' slash; NULL: none. */
static enum push_status
parse_path(struct parser *parser, const char *text)
{
	struct push_redis_url *url = parser->url;
	const char *slash;
	size_t size;

	if (url->kind == PUSH_REDIS_SENTINEL) {
		if (!text || !*text || *text == '/')
			return fail(parser,
				"the name of the master is missing, write it after the sentinels: /name", "",
				0);
		slash = strchr(text, '/');
		size = slash ? (size_t)(slash - text) : strlen(text);
		if (size >= sizeof(url->master_name))
			return fail(parser, "the master's name is too long", "", 0);
		memcpy(url->master_name, text, size);
		text = slash ? slash + 1 : NULL;
	}
	return text && *text ? parse_database(parser, text, strlen(text)) : PUSH_OK;
}

static enum push_status
parse_unix(struct parser *parser, const char *text)
{
	struct push_redis_url *url = parser->url;
	const char *query = strchr(text, '?');
	size_t size = query ? (size_t)(query - text) : strlen(text);

	if (*text != '/' || size >= sizeof(url->unix_path))
		return fail(parser, "not the absolute path of a socket, or over 107 bytes", text, size);
	memcpy(url->unix_path, text, size);
	if (!query)
		return PUSH_OK;
	if (strncmp(query, "?db=", 4))
		return fail(parser, "unknown, only ?db= may follow:", query, strlen(query));
	return parse_database(parser, query + 4, strlen(query + 4));
}

enum push_status
push_redis_url_parse(struct push_redis_url *url, const char *text, struct push_error *error)
{
	struct parser parser = {.url = url, .error = error, .text = text};
	const char *rest = NULL, *at, *slash;
	bool is_path = false;

	memset(url, 0, sizeof(*url));
	error->text[0] = '\0';
	for (size_t i = 0; !rest && i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t size = strlen(schemes[i].scheme);

		if (strncmp(text, schemes[i].scheme, size))
			continue;
		rest = text + size;
		url->kind = schemes[i].kind;
		url->tls = schemes[i].tls;
		is_path = schemes[i].is_path;
	}
	if (!rest)
		return fail(&parser,
			"must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://",
			"", 0);
	at = strrchr(rest, '@');
	if (at && parse_login(&parser, rest, (size_t)(at - rest)) != PUSH_OK)
		return PUSH_INVALID;
	rest = at ? at + 1 : rest;
	if (is_path)
		return parse_unix(&parser, rest);
	slash = strchr(rest, '/');
	if (parse_hosts(&parser, rest, slash ? (size_t)(slash - rest) : strlen(rest)) != PUSH_OK)
		return PUSH_INVALID;
	return parse_path(&parser, slash ? slash + 1 : NULL);
}
