/*
 * config_check.c - what can be known to be wrong with a configuration; see config.h.
 *
 * lwsws ignores keys that it does not know, so a misspelt one would silently mean its default.  The known
 * ones are those of libwebsockets 4.3's own reader.
 */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

extern char **environ;

/* lwsws mishandles longer values. */
#define VALUE_BYTES_MAX 250

static const char *const file_keys[] = {"global", "vhosts", NULL};
static const char *const global_keys[] = {"uid", "gid", "username", "groupname", "count-threads", "init-ssl",
	"server-string", "plugin-dir", "ws-pingpong-secs", "timeout-secs", "reject-service-keywords",
	"default-alpn", "ip-limit-ah", "ip-limit-wsi", "rlimit-nofile", NULL};
static const char *const vhost_keys[] = {"name", "port", "interface", "unix-socket", "unix-socket-perms",
	"sts", "host-ssl-key", "host-ssl-cert", "host-ssl-ca", "access-log", "mounts", "ws-protocols",
	"keepalive_timeout", "enable-client-ssl", "ciphers", "ecdh-curve", "noipv6", "ipv6only",
	"ssl-option-set", "ssl-option-clear", "headers", "client-ssl-key", "client-ssl-cert",
	"client-ssl-ca", "client-ssl-ciphers", "onlyraw", "client-cert-required", "ignore-missing-cert",
	"error-document-404", "alpn", "fo-listen-queue", "ssl-client-option-set", "ssl-client-option-clear",
	"tls13-ciphers", "client-tls13-ciphers", "strict-host-check", "listen-accept-role",
	"listen-accept-protocol", "apply-listen-accept", "fallback-listen-accept", "allow-non-tls",
	"redirect-http", "allow-http-on-https", "disable-no-protocol-ws-upgrades",
	"h2-half-closed-long-poll", NULL};
static const char *const mount_keys[] = {"mountpoint", "origin", "protocol", "default", "auth-mask",
	"cgi-timeout", "cgi-env", "cache-max-age", "cache-reuse", "cache-revalidate", "basic-auth",
	"cache-intermediaries", "extra-mimetypes", "interpret", "pmo", NULL};

static enum push_status
fail(struct push_error *error, const struct config_file *file, const char *key, const char *value,
	const char *why)
{
	snprintf(error->text, sizeof(error->text), "%s: %s=%.*s: %s", file->name, key,
		PUSH_ERROR_QUOTE_BYTES_MAX, value ? value : "", why);
	return PUSH_INVALID;
}

static enum push_status
check_keys(const struct config_file *file, struct json_object *object, const char *const *known,
	const char *where, struct push_error *error)
{
	if (!json_object_is_type(object, json_type_object))
		return fail(error, file, where, json_object_to_json_string(object), "not an object");

	struct json_object_iterator it = json_object_iter_begin(object), end = json_object_iter_end(object);

	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		const char *key = json_object_iter_peek_name(&it);
		const char *value = json_object_get_string(json_object_iter_peek_value(&it));
		const char *const *name = known;

		while (*name && strcmp(*name, key))
			name++;
		if (!*name)
			return fail(error, file, key, value, "lwsws knows no such key here");
		if (json_object_is_type(json_object_iter_peek_value(&it), json_type_string) &&
			strlen(value) > VALUE_BYTES_MAX)
			return fail(error, file, key, value, "longer than 250 bytes");
	}
	return PUSH_OK;
}

static enum push_status
check_file(const struct config_file *file, const char *key, const char *path, struct push_error *error)
{
	if (path && access(path, R_OK))
		return fail(error, file, key, path, strerror(errno));
	return PUSH_OK;
}

static enum push_status
check_mount(const struct config_file *file, struct json_object *mount, struct push_error *error)
{
	enum push_status status = check_keys(file, mount, mount_keys, "mounts", error);
	const char *origin = status == PUSH_OK ? config_text(mount, "origin") : NULL;

	if (status != PUSH_OK)
		return status;
	if (!config_text(mount, "mountpoint") || !origin)
		return fail(error, file, "mounts", json_object_to_json_string(mount),
			"needs a mountpoint and an origin");
	if (!strncmp(origin, "file://", 7))
		return check_file(file, "origin", origin + 7, error);
	return PUSH_OK;
}

/* libprotocol_push_ws.so for "push-ws"; protocols that are not Push's are left to lwsws. */
static enum push_status
check_plugin(const struct config_file *file, const char *protocol, const char *plugins, struct push_error *error)
{
	char path[4096], *p;
	size_t start;

	if (strncmp(protocol, "push-", 5) || !plugins)
		return PUSH_OK;
	start = strlen(plugins) + strlen("/libprotocol_");
	snprintf(path, sizeof(path), "%s/libprotocol_%s.so", plugins, protocol);
	for (p = path + start; *p; p++)
		if (*p == '-')
			*p = '_';
	return check_file(file, protocol, path, error);
}

/* Of the vhost that owns the broker; one that shares another's has no options of its own. */
static enum push_status
read_broker_options(struct config *config, const struct config_file *file, struct json_object *given,
	struct push_error *error)
{
	struct json_object_iterator it = json_object_iter_begin(given), end = json_object_iter_end(given);

	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		const char *key = json_object_iter_peek_name(&it);
		const char *value = json_object_get_string(json_object_iter_peek_value(&it));
		struct push_error why;
		char name[128];

		if (!strcmp(key, "status") || !strcmp(key, "default") || !strcmp(key, "push-broker-vhost") ||
			!strcmp(key, "push.broker.vhost"))
			continue;
		snprintf(name, sizeof(name), "%s", key);
		for (char *p = name; *p; p++)
			if (*p == '-')
				*p = '.';
		if (push_options_set(&config->options, name, value ? value : "", &why) != PUSH_OK) {
			snprintf(error->text, sizeof(error->text), "%s: %.300s", file->name, why.text);
			return PUSH_INVALID;
		}
	}
	return PUSH_OK;
}

struct check {
	struct config *config;
	const char *plugins;
	struct push_error *error;
	struct {
		int port;
		const char *interface;
	} listens[CONFIG_FILES_MAX];
	size_t listen_count;
	bool has_broker;
};

static enum push_status
check_protocols(struct check *check, struct config_file *file, struct json_object *protocols)
{
	for (size_t i = 0; i < json_object_array_length(protocols); i++) {
		struct json_object *entry = json_object_array_get_idx(protocols, i);

		if (!json_object_is_type(entry, json_type_object))
			return fail(check->error, file, "ws-protocols", json_object_to_json_string(entry),
				"not an object");

		struct json_object_iterator it = json_object_iter_begin(entry), end = json_object_iter_end(entry);

		for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
			const char *name = json_object_iter_peek_name(&it);
			struct json_object *given = json_object_iter_peek_value(&it);

			if (check_plugin(file, name, check->plugins, check->error) != PUSH_OK)
				return PUSH_INVALID;
			if (strcmp(name, "push-broker"))
				continue;
			if (!json_object_is_type(given, json_type_object) ||
				!json_object_object_length(given))
				return fail(check->error, file, name, json_object_to_json_string(given),
					"lwsws needs at least one option: write {\"status\":\"ok\"}");
			check->has_broker = true;
			if (read_broker_options(check->config, file, given, check->error) != PUSH_OK)
				return PUSH_INVALID;
		}
	}
	return PUSH_OK;
}

static enum push_status
check_port(struct check *check, struct config_file *file, struct json_object *vhost)
{
	const char *text = config_text(vhost, "port"), *interface = config_text(vhost, "interface");
	char *end;
	long port;

	if (config_text(vhost, "unix-socket"))
		return PUSH_OK;
	port = text ? strtol(text, &end, 10) : 0;
	if (!text || !*text || *end || port < 1 || port > 65535)
		return fail(check->error, file, "port", text, "not a port (1 to 65535)");
	for (size_t i = 0; i < check->listen_count; i++)
		if (check->listens[i].port == port &&
			(!interface || !check->listens[i].interface ||
				!strcmp(interface, check->listens[i].interface)))
			return fail(check->error, file, "port", text, "another vhost listens there already");
	if (check->listen_count == CONFIG_FILES_MAX)
		return fail(check->error, file, "port", text, "too many vhosts");
	check->listens[check->listen_count].port = (int)port;
	check->listens[check->listen_count++].interface = interface;
	return PUSH_OK;
}

static enum push_status
check_vhost(struct config_file *file, struct json_object *vhost, void *context)
{
	struct check *check = context;
	struct json_object *part;
	enum push_status status = check_keys(file, vhost, vhost_keys, "vhosts", check->error);

	if (status == PUSH_OK && !config_text(vhost, "name"))
		status = fail(check->error, file, "name", "", "every vhost needs one");
	if (status == PUSH_OK)
		status = check_port(check, file, vhost);
	if (status == PUSH_OK)
		status = check_file(
			file, "host-ssl-cert", config_text(vhost, "host-ssl-cert"), check->error);
	if (status == PUSH_OK)
		status = check_file(file, "host-ssl-key", config_text(vhost, "host-ssl-key"), check->error);
	if (status == PUSH_OK && json_object_object_get_ex(vhost, "mounts", &part))
		for (size_t i = 0; i < json_object_array_length(part) && status == PUSH_OK; i++)
			status = check_mount(file, json_object_array_get_idx(part, i), check->error);
	if (status == PUSH_OK && json_object_object_get_ex(vhost, "ws-protocols", &part))
		status = check_protocols(check, file, part);
	return status;
}

static enum push_status
check_globals(struct check *check)
{
	for (size_t i = 0; i < check->config->file_count; i++) {
		struct config_file *file = &check->config->files[i];
		struct json_object *global, *vhosts;

		if (check_keys(file, file->tree, file_keys, file->name, check->error) != PUSH_OK)
			return PUSH_INVALID;
		if (json_object_object_get_ex(file->tree, "vhosts", &vhosts) &&
			!json_object_is_type(vhosts, json_type_array))
			return fail(check->error, file, "vhosts", "", "not an array");
		if (!json_object_object_get_ex(file->tree, "global", &global))
			continue;
		if (check_keys(file, global, global_keys, "global", check->error) != PUSH_OK)
			return PUSH_INVALID;
		if (config_text(global, "count-threads") && strcmp(config_text(global, "count-threads"), "1"))
			return fail(check->error, file, "count-threads", config_text(global, "count-threads"),
				"lwsws runs one thread: must be 1");
		if (config_text(global, "plugin-dir"))
			check->plugins = config_text(global, "plugin-dir");
	}
	return PUSH_OK;
}

enum push_status
config_check(struct config *config, struct push_error *error)
{
	struct check check = {.config = config, .error = error};
	enum push_status status = check_globals(&check);

	if (status == PUSH_OK)
		status = config_for_each_vhost(config, check_vhost, &check);
	if (status == PUSH_OK && !check.has_broker) {
		snprintf(error->text, sizeof(error->text), "conf.d: no vhost has the protocol push-broker");
		status = PUSH_INVALID;
	}
	if (status == PUSH_OK)
		status = push_options_set_from_environment(&config->options, environ, error);
	if (status == PUSH_OK)
		status = push_options_check(&config->options, error);
	if (status == PUSH_OK && config->options.redis_url[0]) {
		snprintf(error->text, sizeof(error->text),
			"push.redis.url=%.*s: this version has the embedded broker only; leave it empty",
			PUSH_ERROR_QUOTE_BYTES_MAX, config->options.redis_url);
		status = PUSH_INVALID;
	}
	return status == PUSH_OK ? PUSH_OK : PUSH_INVALID;
}
