/*
 * spring_redis.c - see spring_redis.h.
 *
 * Variables are collected into fields first, whatever they are called; then the fields make the URL.  A
 * variable that is not understood is an error: ignoring it would leave a server with the embedded broker, or
 * without a password, that looks well.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "environment.h"
#include "redis_url.h"
#include "spring_redis.h"

#define NAME_BYTES_MAX 63

enum field {
	URL,
	HOST,
	PORT,
	DATABASE,
	USERNAME,
	PASSWORD,
	SSL,
	CLUSTER,
	MASTER,
	SENTINELS,
	SENTINEL_USERNAME,
	SENTINEL_PASSWORD,
	FIELD_COUNT
};

static const struct {
	const char *name; /* behind the prefix */
	enum field field;
} names[] = {{"URL", URL}, {"HOST", HOST}, {"PORT", PORT}, {"DATABASE", DATABASE}, {"USERNAME", USERNAME},
	{"PASSWORD", PASSWORD}, {"SSL", SSL}, {"SSL_ENABLED", SSL}, {"CLUSTER_NODES", CLUSTER},
	{"SENTINEL_MASTER", MASTER}, {"SENTINEL_NODES", SENTINELS}, {"SENTINEL_USERNAME", SENTINEL_USERNAME},
	{"SENTINEL_PASSWORD", SENTINEL_PASSWORD}};

/* They tune Spring's own client, which is not here, and do not say where Redis is. */
static const char *const ignored[] = {"TIMEOUT", "CONNECTTIMEOUT", "CONNECT_TIMEOUT", "CLIENTNAME",
	"CLIENT_NAME", "CLIENTTYPE", "CLIENT_TYPE", "CLUSTER_MAXREDIRECTS", "CLUSTER_MAX_REDIRECTS"};
static const char *const ignored_groups[] = {"JEDIS_", "LETTUCE_", "REPOSITORIES_"};

/* Spring Boot 3's first, as both are normalized names' beginnings. */
static const char *const prefixes[] = {"SPRING_DATA_REDIS_", "SPRING_REDIS_"};

struct value {
	const char *variable; /* NAME=VALUE; NULL: not given */
	const char *text;
	const char *nodes[PUSH_REDIS_HOSTS_MAX]; /* of a list that is given by its elements */
};

struct spring {
	struct value values[FIELD_COUNT];
	struct push_error *error;
};

static enum push_status
fail(const struct spring *spring, const char *variable, const char *why)
{
	snprintf(spring->error->text, sizeof(spring->error->text), "%.*s: %.300s",
		(int)strcspn(variable, "="), variable, why);
	return PUSH_INVALID;
}

/* spring.redis.cluster.nodes[0] and SPRING_REDIS_CLUSTER_NODES_0 are one name, as Spring has it.  False where
 * it is too long to be known. */
static bool
normalize(const char *variable, char name[NAME_BYTES_MAX + 1])
{
	size_t size = strcspn(variable, "="), length = 0;

	for (size_t i = 0; i < size; i++) {
		char c = variable[i];

		if (c == '-' || c == ']')
			continue;
		if (length == NAME_BYTES_MAX)
			return false;
		name[length++] = c == '.' || c == '[' ? '_' : (char)toupper((unsigned char)c);
	}
	name[length] = '\0';
	return true;
}

/* What stands behind one of the prefixes; NULL: it is none of these variables. */
static const char *
without_prefix(const char *name)
{
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (!strncmp(name, prefixes[i], strlen(prefixes[i])))
			return name + strlen(prefixes[i]);
	return NULL;
}

static bool
is_ignored(const char *name)
{
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		if (!strcmp(name, ignored[i]))
			return true;
	for (size_t i = 0; i < sizeof(ignored_groups) / sizeof(ignored_groups[0]); i++)
		if (!strncmp(name, ignored_groups[i], strlen(ignored_groups[i])))
			return true;
	return false;
}

static enum push_status
set_text(const struct spring *spring, struct value *value, const char *variable, const char *text)
{
	if (value->text && strcmp(value->text, text) != 0) {
		snprintf(spring->error->text, sizeof(spring->error->text),
			"%.*s and %.*s have different values", (int)strcspn(value->variable, "="),
			value->variable, (int)strcspn(variable, "="), variable);
		return PUSH_INVALID;
	}
	value->variable = variable;
	value->text = text;
	return PUSH_OK;
}

/* CLUSTER_NODES_0; `index` stands behind the last underscore. */
static bool
set_node(struct value *value, const char *variable, const char *index, const char *text)
{
	size_t digits = strspn(index, "0123456789"), at = 0;

	if (!digits || digits > 2 || index[digits])
		return false;
	for (size_t i = 0; i < digits; i++)
		at = at * 10 + (size_t)(index[i] - '0');
	if (at >= PUSH_REDIS_HOSTS_MAX)
		return false;
	value->variable = variable;
	value->nodes[at] = text;
	return true;
}

static enum push_status
take(struct spring *spring, const char *variable, const char *name, const char *text)
{
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct value *value = &spring->values[names[i].field];
		size_t size = strlen(names[i].name);

		if (!strcmp(name, names[i].name))
			return set_text(spring, value, variable, text);
		if ((names[i].field == CLUSTER || names[i].field == SENTINELS) &&
			!strncmp(name, names[i].name, size) && name[size] == '_' &&
			set_node(value, variable, name + size + 1, text))
			return PUSH_OK;
	}
	if (is_ignored(name))
		return PUSH_OK;
	return fail(spring, variable, "not supported: set push.redis.url");
}

static enum push_status
collect(struct spring *spring, char *const *environment)
{
	for (; *environment; environment++) {
		const char *equals = strchr(*environment, '=');
		char name[NAME_BYTES_MAX + 1];
		enum push_status status;

		/* an empty variable counts as not set */
		if (!equals || !equals[1] || strncasecmp(*environment, "spring", 6) != 0)
			continue;
		if (!normalize(*environment, name))
			continue;
		if (!strcmp(name, "SPRING_APPLICATION_JSON") && strcasestr(equals, "redis"))
			return fail(spring, *environment,
				"configures Redis, but Push does not read it: set push.redis.url");
		if (!without_prefix(name) || push_environment_is_service_link(name, equals + 1))
			continue;
		status = take(spring, *environment, without_prefix(name), equals + 1);
		if (status != PUSH_OK)
			return status;
	}
	return PUSH_OK;
}

static const char *
text_of(const struct spring *spring, enum field field)
{
	return spring->values[field].text;
}

static bool
is_given(const struct spring *spring, enum field field)
{
	return spring->values[field].variable;
}

static void
append_escaped(struct push_buf *to, const char *text)
{
	for (; *text; text++)
		if (isalnum((unsigned char)*text) || strchr("-._~", *text))
			push_buf_append(to, text, 1);
		else
			push_buf_printf(to, "%%%02X", (unsigned int)(unsigned char)*text);
}

static void
append_login(const struct spring *spring, struct push_buf *to)
{
	if (!is_given(spring, PASSWORD))
		return;
	if (is_given(spring, USERNAME))
		append_escaped(to, text_of(spring, USERNAME));
	push_buf_append_text(to, ":");
	append_escaped(to, text_of(spring, PASSWORD));
	push_buf_append_text(to, "@");
}

/* Spring takes an address of IPv6 without brackets, with a port behind its last colon. */
static void
append_node(struct push_buf *to, const char *text, size_t size, bool has_port)
{
	const char *first = memchr(text, ':', size), *last = memrchr(text, ':', size);
	size_t host = has_port && last ? (size_t)(last - text) : size;

	if (!first || first == last || *text == '[') {
		push_buf_append(to, text, size);
		return;
	}
	push_buf_append_text(to, "[");
	push_buf_append(to, text, host);
	push_buf_append_text(to, "]");
	push_buf_append(to, text + host, size - host);
}

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Separated by commas, with spaces around as people write them. */
static void
append_list(struct push_buf *to, const char *text, size_t begin)
{
	while (*text) {
		size_t length = strcspn(text, ","), size = length;
		const char *node = text;

		text += length + (text[length] == ',');
		for (; size && is_space(*node); size--)
			node++;
		while (size && is_space(node[size - 1]))
			size--;
		if (!size)
			continue;
		if (to->size > begin)
			push_buf_append_text(to, ",");
		append_node(to, node, size, true);
	}
}

static void
append_nodes(const struct spring *spring, enum field field, struct push_buf *to)
{
	const struct value *value = &spring->values[field];
	size_t begin = to->size;

	if (value->text)
		append_list(to, value->text, begin);
	for (size_t i = 0; !value->text && i < PUSH_REDIS_HOSTS_MAX; i++)
		if (value->nodes[i])
			append_list(to, value->nodes[i], begin);
}

static enum push_status
read_ssl(const struct spring *spring, bool *ret)
{
	static const char *const yes[] = {"true", "on", "yes", "1"}, *const no[] = {
									     "false", "off", "no", "0"};
	const char *text = text_of(spring, SSL);

	*ret = false;
	for (size_t i = 0; text && i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (!strcasecmp(text, no[i]))
			return PUSH_OK;
		*ret |= !strcasecmp(text, yes[i]);
	}
	return !text || *ret ? PUSH_OK : fail(spring, spring->values[SSL].variable, "must be true or false");
}

/* The URL as it is, with what it lacks: a login, the database, TLS. */
static enum push_status
append_url(const struct spring *spring, bool tls, struct push_buf *to)
{
	const char *text = text_of(spring, URL), *rest = NULL, *at, *slash;

	if (!strncmp(text, "redis://", 8)) {
		rest = text + 8;
	} else if (!strncmp(text, "rediss://", 9)) {
		rest = text + 9;
		tls = true;
	}
	if (!rest)
		return fail(spring, spring->values[URL].variable, "must begin with redis:// or rediss://");
	push_buf_append_text(to, tls ? "rediss://" : "redis://");
	at = strrchr(rest, '@');
	if (!at)
		append_login(spring, to);
	/* a user's name alone is the password in Spring */
	else if (!memchr(rest, ':', (size_t)(at - rest)))
		push_buf_append_text(to, ":");
	push_buf_append_text(to, rest);
	slash = strchr(at ? at : rest, '/');
	if ((!slash || !slash[1]) && is_given(spring, DATABASE))
		push_buf_printf(to, "%s%.16s", slash ? "" : "/", text_of(spring, DATABASE));
	return PUSH_OK;
}

static void
append_sentinels(const struct spring *spring, bool tls, struct push_buf *to)
{
	push_buf_append_text(to, tls ? "rediss+sentinel://" : "redis+sentinel://");
	append_login(spring, to);
	append_nodes(spring, SENTINELS, to);
	push_buf_append_text(to, "/");
	push_buf_append_text(to, text_of(spring, MASTER));
	if (is_given(spring, DATABASE))
		push_buf_printf(to, "/%.16s", text_of(spring, DATABASE));
}

static void
append_cluster(const struct spring *spring, bool tls, struct push_buf *to)
{
	push_buf_append_text(to, tls ? "rediss+cluster://" : "redis+cluster://");
	append_login(spring, to);
	append_nodes(spring, CLUSTER, to);
	if (is_given(spring, DATABASE))
		push_buf_printf(to, "/%.16s", text_of(spring, DATABASE));
}

static void
append_server(const struct spring *spring, bool tls, struct push_buf *to)
{
	const char *host = text_of(spring, HOST);

	push_buf_append_text(to, tls ? "rediss://" : "redis://");
	append_login(spring, to);
	append_node(to, host, strlen(host), false);
	push_buf_append_text(to, ":");
	push_buf_append_text(to, is_given(spring, PORT) ? text_of(spring, PORT) : "6379");
	push_buf_append_text(to, "/");
	push_buf_append_text(to, is_given(spring, DATABASE) ? text_of(spring, DATABASE) : "0");
}

static bool
is_same(const struct spring *spring, enum field a, enum field b)
{
	return is_given(spring, a) && is_given(spring, b) && !strcmp(text_of(spring, a), text_of(spring, b));
}

/* Variables that say nothing without another one, or more than Push can do. */
static enum push_status
check(const struct spring *spring)
{
	static const struct {
		enum field given;
		const char *why;
	} rows[] = {{PORT, "needs SPRING_REDIS_HOST"}, {DATABASE, "needs SPRING_REDIS_HOST"},
		{USERNAME, "needs SPRING_REDIS_HOST"}, {PASSWORD, "needs SPRING_REDIS_HOST"},
		{SSL, "needs SPRING_REDIS_HOST"}};
	bool has_place = is_given(spring, URL) || is_given(spring, HOST) || is_given(spring, CLUSTER) ||
			 is_given(spring, SENTINELS);

	if (is_given(spring, MASTER) != is_given(spring, SENTINELS))
		return fail(spring, spring->values[is_given(spring, MASTER) ? MASTER : SENTINELS].variable,
			"SPRING_REDIS_SENTINEL_NODES and SPRING_REDIS_SENTINEL_MASTER need each other");
	for (size_t i = 0; !has_place && i < sizeof(rows) / sizeof(rows[0]); i++)
		if (is_given(spring, rows[i].given))
			return fail(spring, spring->values[rows[i].given].variable, rows[i].why);
	if (is_given(spring, URL) && (is_given(spring, CLUSTER) || is_given(spring, SENTINELS)))
		return fail(spring, spring->values[URL].variable,
			"names one server, and another variable a cluster or sentinels");
	if (is_given(spring, USERNAME) && !is_given(spring, PASSWORD))
		return fail(spring, spring->values[USERNAME].variable, "needs SPRING_REDIS_PASSWORD");
	if (is_given(spring, SENTINEL_USERNAME) && !is_same(spring, SENTINEL_USERNAME, USERNAME))
		return fail(spring, spring->values[SENTINEL_USERNAME].variable,
			"must be SPRING_REDIS_USERNAME: sentinels get the same login as the servers");
	if (is_given(spring, SENTINEL_PASSWORD) && !is_same(spring, SENTINEL_PASSWORD, PASSWORD))
		return fail(spring, spring->values[SENTINEL_PASSWORD].variable,
			"must be SPRING_REDIS_PASSWORD: sentinels get the same login as the servers");
	return PUSH_OK;
}

/* Read once here, so that an error names what the operator has set. */
static enum push_status
check_url(const struct spring *spring, enum field field, struct push_buf *to, size_t begin)
{
	struct push_error why = {""};
	struct push_redis_url url;
	enum push_status status;

	push_buf_append(to, "", 1);
	if (to->status != PUSH_OK)
		return fail(
			spring, spring->values[field].variable, "the resulting push.redis.url is too long");
	to->size--;
	status = push_redis_url_parse(&url, to->bytes + begin, &why);
	explicit_bzero(url.password, sizeof(url.password));
	if (status == PUSH_OK)
		return PUSH_OK;
	return fail(spring, spring->values[field].variable, why.text);
}

enum push_status
push_spring_redis_url(char *const *environment, struct push_buf *to, struct push_error *error)
{
	struct spring spring = {.error = error};
	size_t begin = to->size;
	enum field field;
	bool tls;

	if (collect(&spring, environment) != PUSH_OK || check(&spring) != PUSH_OK ||
		read_ssl(&spring, &tls) != PUSH_OK)
		return PUSH_INVALID;
	/* where several are given, Spring takes them in this order */
	if (is_given(&spring, SENTINELS)) {
		field = SENTINELS;
		append_sentinels(&spring, tls, to);
	} else if (is_given(&spring, CLUSTER)) {
		field = CLUSTER;
		append_cluster(&spring, tls, to);
	} else if (is_given(&spring, URL)) {
		field = URL;
		if (append_url(&spring, tls, to) != PUSH_OK)
			return PUSH_INVALID;
	} else if (is_given(&spring, HOST)) {
		field = HOST;
		append_server(&spring, tls, to);
	} else {
		return PUSH_OK;
	}
	return check_url(&spring, field, to, begin);
}
