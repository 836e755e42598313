/*
 * config_vhosts.c - what the workers are told of their vhosts (plugins/direct/vhosts.h); see config.h.
 *
 * Told is only what is understood: a vhost with a key that is not in the list below, or with a default
 * protocol that is not Push's, is told as `?`.
 */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "config_tls.h"

/* Keys that change nothing of whose a request is.  The last ones are of connections without TLS on a port that has it:
 * lws gets those. */
static const char *const vhost_keys[] = {"name", "port", "interface", "keepalive_timeout", "headers",
	"mounts", "ws-protocols", "sts", "access-log", "noipv6", "ipv6only", "fo-listen-queue",
	"allow-non-tls", "redirect-http", "allow-http-on-https", NULL};
/* Told with TLS, and without meaning where there is none. */
static const char *const tls_keys[] = {"host-ssl-cert", "host-ssl-key", "host-ssl-ca", "ciphers",
	"tls13-ciphers", "ecdh-curve", "alpn", "ssl-option-set", "ssl-option-clear", "client-cert-required",
	NULL};
static const char *const mount_keys[] = {"mountpoint", "origin", "default", "cgi-timeout", "cgi-env",
	"cache-max-age", "cache-reuse", "cache-revalidate", "cache-intermediaries", "extra-mimetypes",
	"interpret", NULL};

#define DEFAULT_PAGE "index.html"

static bool
is_listed(const char *name, const char *const *list)
{
	while (*list && strcmp(*list, name) != 0)
		list++;
	return *list;
}

static bool
has_only(struct json_object *object, const char *const *list)
{
	json_object_object_foreach(object, name, value)
	{
		(void)value;
		if (!is_listed(name, list))
			return false;
	}
	return true;
}

static bool
has_only_known_keys(struct json_object *vhost)
{
	json_object_object_foreach(vhost, name, value)
	{
		(void)value;
		if (!is_listed(name, vhost_keys) && !is_listed(name, tls_keys))
			return false;
	}
	return true;
}

/* A word of a line. */
static bool
is_word(const char *text)
{
	return text && *text && !strpbrk(text, "\t\n");
}

/* What is mounted by a callback, or the default. */
static const char *
kind_of(const char *protocol)
{
	static const struct {
		const char *protocol, *kind;
	} kinds[] = {
		{"push-http", "publish"}, {"push-sse", "events"}, {"push-ws", "sockets"}, {"p", "sockets"}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].protocol, protocol))
			return kinds[i].kind;
	return "lws";
}

/* Of the ws-protocols of a vhost.  Returns false if something of them is not understood. */
struct protocols {
	bool has_broker;
	const char *by_default; /* NULL: none */
};

static bool
add_protocol(struct protocols *found, const char *name, struct json_object *options)
{
	if (json_object_object_get_ex(options, "basic-auth", NULL))
		return false;
	found->has_broker |= !strcmp(name, "push-broker");
	if (!json_object_object_get_ex(options, "default", NULL))
		return true;
	if (found->by_default)
		return false; /* which one counts depends on the order in which plugins are loaded */
	found->by_default = name;
	return true;
}

static bool
read_protocols(struct json_object *vhost, struct protocols *found)
{
	struct json_object *list;

	*found = (struct protocols){false, NULL};
	if (!json_object_object_get_ex(vhost, "ws-protocols", &list))
		return true;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object_object_foreach(json_object_array_get_idx(list, i), name, options)
		{
			if (!add_protocol(found, name, options))
				return false;
		}
	}
	return true;
}

/* NULL: not understood. */
static const char *
default_kind(const struct protocols *protocols)
{
	static const char *const ours[] = {"push-ws", "p", "push-management", NULL};

	if (!protocols->by_default)
		return "lws";
	if (!is_listed(protocols->by_default, ours))
		return NULL;
	return protocols->has_broker ? kind_of(protocols->by_default) : "lws";
}

/* Returns false if it is not understood. */
static bool
add_mount(struct push_buf *to, struct json_object *mount, bool has_broker)
{
	static const char callback[] = "callback://", file[] = "file://";
	const char *point = config_text(mount, "mountpoint"), *origin = config_text(mount, "origin"),
		   *page = config_text(mount, "default");

	if (!is_word(point) || !is_word(origin) || (page && !is_word(page)))
		return false;
	if (json_object_object_get_ex(mount, "basic-auth", NULL)) {
		push_buf_printf(to, "m\t%s\tlws\n", point);
		return true;
	}
	if (!has_only(mount, mount_keys))
		return false;
	if (!strncmp(origin, file, sizeof(file) - 1))
		push_buf_printf(to, "m\t%s\tfile\t%s\t%s\n", point, origin + sizeof(file) - 1,
			page ? page : DEFAULT_PAGE);
	else if (!strncmp(origin, callback, sizeof(callback) - 1))
		push_buf_printf(to, "m\t%s\t%s\n", point,
			has_broker ? kind_of(origin + sizeof(callback) - 1) : "lws");
	else
		push_buf_printf(to, "m\t%s\tlws\n", point);
	return true;
}

/* --- TLS --- */

/* Nothing but what direct sockets speak. */
static bool
is_alpn(const char *text)
{
	static const char *const spoken[] = {"h2", "http/1.1", NULL};
	char copy[64], *rest = copy, *name;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return false;
	while ((name = strsep(&rest, ", ")))
		if (*name && !is_listed(name, spoken))
			return false;
	return true;
}

/* Returns false if it is not understood. */
static bool
add_tls(struct push_buf *to, const struct push_tls_vhost *vhost)
{
	const char *const texts[] = {vhost->cert, vhost->key, vhost->ca, vhost->ciphers, vhost->tls13_ciphers,
		vhost->curve, vhost->alpn};

	if (!is_alpn(vhost->alpn))
		return false;
	push_buf_append_text(to, "t");
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i] && *texts[i] && !is_word(texts[i]))
			return false;
		push_buf_append_text(to, "\t");
		push_buf_append_text(to, texts[i] ? texts[i] : "");
	}
	push_buf_printf(to, "\t%" PRIu64 "\t%" PRIu64 "\t%d\n", vhost->options_set, vhost->options_clear,
		vhost->requires_client_cert);
	return true;
}

/* --- a vhost --- */

static bool
add_understood(struct push_buf *to, struct json_object *vhost, long port, const struct config_tls *tls)
{
	const char *name = config_text(vhost, "name"), *kind;
	struct push_tls_vhost settings;
	struct protocols protocols;
	struct json_object *mounts;

	if (!is_word(name) || !has_only_known_keys(vhost) || !read_protocols(vhost, &protocols))
		return false;
	kind = default_kind(&protocols);
	if (!kind)
		return false;
	push_buf_printf(to, "v\t%ld\t%s\t%s\n", port, name, kind);
	if (config_tls_vhost(vhost, tls, &settings) && !add_tls(to, &settings))
		return false;
	if (!json_object_object_get_ex(vhost, "mounts", &mounts))
		return true;
	for (size_t i = 0; i < json_object_array_length(mounts); i++)
		if (!add_mount(to, json_object_array_get_idx(mounts, i), protocols.has_broker))
			return false;
	return true;
}

void
config_tell_vhosts(struct json_object *tree, const struct config_tls *tls, struct push_buf *to)
{
	struct json_object *vhosts;

	if (!json_object_object_get_ex(tree, "vhosts", &vhosts))
		return;
	for (size_t i = 0; i < json_object_array_length(vhosts); i++) {
		struct json_object *vhost = json_object_array_get_idx(vhosts, i);
		const char *text = config_text(vhost, "port");
		long port = text ? strtol(text, NULL, 10) : 0;
		size_t before = to->size;

		if (add_understood(to, vhost, port, tls))
			continue;
		if (to->status == PUSH_OK)
			to->size = before;
		push_buf_printf(to, "v\t%ld\t?\t?\n", port);
	}
}
