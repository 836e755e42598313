/* config_keys.c - see config_keys.h. */
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "config_keys.h"

/* lwsws reads strings in pieces of 254 bytes and keeps the last piece. */
#define VALUE_BYTES_MAX 250

struct key {
	const char *name;
	enum config_kind kind;
};

static const struct key file_keys[] = {{"global", CONFIG_GLOBAL}, {"vhosts", CONFIG_VHOSTS}, {0}};

static const struct key global_keys[] = {{"uid", CONFIG_NUMBER}, {"gid", CONFIG_NUMBER},
	{"username", CONFIG_TEXT}, {"groupname", CONFIG_TEXT}, {"count-threads", CONFIG_NUMBER},
	{"init-ssl", CONFIG_TEXT}, {"server-string", CONFIG_TEXT}, {"plugin-dir", CONFIG_TEXT},
	{"ws-pingpong-secs", CONFIG_NUMBER}, {"timeout-secs", CONFIG_NUMBER},
	{"reject-service-keywords", CONFIG_MAPS}, {"default-alpn", CONFIG_TEXT},
	{"ip-limit-ah", CONFIG_NUMBER}, {"ip-limit-wsi", CONFIG_NUMBER}, {"rlimit-nofile", CONFIG_NUMBER},
	{0}};

static const struct key vhost_keys[] = {{"name", CONFIG_TEXT}, {"port", CONFIG_TEXT},
	{"interface", CONFIG_TEXT}, {"unix-socket", CONFIG_TEXT}, {"unix-socket-perms", CONFIG_TEXT},
	{"sts", CONFIG_TEXT}, {"host-ssl-key", CONFIG_TEXT}, {"host-ssl-cert", CONFIG_TEXT},
	{"host-ssl-ca", CONFIG_TEXT}, {"access-log", CONFIG_TEXT}, {"mounts", CONFIG_MOUNTS},
	{"ws-protocols", CONFIG_PROTOCOLS}, {"keepalive_timeout", CONFIG_NUMBER},
	{"enable-client-ssl", CONFIG_TEXT}, {"ciphers", CONFIG_TEXT}, {"ecdh-curve", CONFIG_TEXT},
	{"noipv6", CONFIG_TEXT}, {"ipv6only", CONFIG_TEXT}, {"ssl-option-set", CONFIG_NUMBER},
	{"ssl-option-clear", CONFIG_NUMBER}, {"headers", CONFIG_HEADERS}, {"client-ssl-key", CONFIG_TEXT},
	{"client-ssl-cert", CONFIG_TEXT}, {"client-ssl-ca", CONFIG_TEXT}, {"client-ssl-ciphers", CONFIG_TEXT},
	{"onlyraw", CONFIG_TEXT}, {"client-cert-required", CONFIG_TEXT}, {"ignore-missing-cert", CONFIG_TEXT},
	{"error-document-404", CONFIG_TEXT}, {"alpn", CONFIG_TEXT}, {"fo-listen-queue", CONFIG_NUMBER},
	{"ssl-client-option-set", CONFIG_NUMBER}, {"ssl-client-option-clear", CONFIG_NUMBER},
	{"tls13-ciphers", CONFIG_TEXT}, {"client-tls13-ciphers", CONFIG_TEXT},
	{"strict-host-check", CONFIG_TEXT}, {"listen-accept-role", CONFIG_TEXT},
	{"listen-accept-protocol", CONFIG_TEXT}, {"apply-listen-accept", CONFIG_TEXT},
	{"fallback-listen-accept", CONFIG_TEXT}, {"allow-non-tls", CONFIG_TEXT},
	{"redirect-http", CONFIG_TEXT}, {"allow-http-on-https", CONFIG_TEXT},
	{"disable-no-protocol-ws-upgrades", CONFIG_TEXT}, {"h2-half-closed-long-poll", CONFIG_TEXT}, {0}};

static const struct key mount_keys[] = {{"mountpoint", CONFIG_TEXT}, {"origin", CONFIG_TEXT},
	{"protocol", CONFIG_TEXT}, {"default", CONFIG_TEXT}, {"auth-mask", CONFIG_NUMBER},
	{"cgi-timeout", CONFIG_NUMBER}, {"cgi-env", CONFIG_MAPS}, {"cache-max-age", CONFIG_NUMBER},
	{"cache-reuse", CONFIG_TEXT}, {"cache-revalidate", CONFIG_TEXT}, {"basic-auth", CONFIG_TEXT},
	{"cache-intermediaries", CONFIG_TEXT}, {"extra-mimetypes", CONFIG_MAP}, {"interpret", CONFIG_MAP},
	{"pmo", CONFIG_MAPS}, {0}};

/* Where we are, so that the leaves can say so. */
struct place {
	const struct config_file *file;
	const char *key;
	struct push_error *error;
};

enum push_status
config_fail(struct push_error *error, const struct config_file *file, const char *key, const char *value,
	const char *why)
{
	snprintf(error->text, sizeof(error->text), "%s: %s=%.*s: %s", file->name, key,
		PUSH_ERROR_QUOTE_BYTES_MAX, value ? value : "", why);
	return PUSH_INVALID;
}

static enum push_status
fail(const struct place *at, struct json_object *value, const char *why)
{
	return config_fail(at->error, at->file, at->key, json_object_get_string(value), why);
}

static enum push_status
check_scalar(const struct place *at, struct json_object *value, enum config_kind kind)
{
	const char *text = json_object_get_string(value);
	enum json_type type = json_object_get_type(value);

	if (type == json_type_null || type == json_type_object || type == json_type_array)
		return fail(at, value, "must be a string or a number");
	if (kind != CONFIG_HEADERS && strlen(text) > VALUE_BYTES_MAX)
		return fail(at, value, "longer than 250 bytes, where lwsws would cut it off");
	if (kind == CONFIG_NUMBER && (!*text || text[strspn(text, "0123456789")]))
		return fail(at, value, "not a number");
	return PUSH_OK;
}

static enum push_status
check_map(const struct place *at, struct json_object *map, enum config_kind kind)
{
	if (!json_object_is_type(map, json_type_object))
		return fail(at, map, "must be an object: {\"name\": \"value\"}");
	json_object_object_foreach(map, name, value)
	{
		struct place inside = {at->file, name, at->error};
		enum push_status status = check_scalar(&inside, value, kind);

		if (status != PUSH_OK)
			return status;
	}
	return PUSH_OK;
}

static enum push_status
check_protocols(const struct place *at, struct json_object *protocols)
{
	if (!json_object_is_type(protocols, json_type_object))
		return fail(at, protocols, "must be an object: {\"protocol\": {\"status\": \"ok\"}}");
	json_object_object_foreach(protocols, name, options)
	{
		struct place inside = {at->file, name, at->error};
		enum push_status status = check_map(&inside, options, CONFIG_MAP);

		if (status != PUSH_OK)
			return status;
		if (!json_object_object_length(options))
			return fail(&inside, options,
				"lwsws needs at least one option: write {\"status\": \"ok\"}");
	}
	return PUSH_OK;
}

static enum push_status
check_object(const struct place *at, struct json_object *object, const struct key *known);

static enum push_status
check_element(const struct place *at, struct json_object *value, enum config_kind kind)
{
	switch (kind) {
	case CONFIG_VHOSTS: return check_object(at, value, vhost_keys);
	case CONFIG_MOUNTS: return check_object(at, value, mount_keys);
	case CONFIG_PROTOCOLS: return check_protocols(at, value);
	default: return check_map(at, value, kind);
	}
}

static enum push_status
check_array(const struct place *at, struct json_object *array, enum config_kind kind)
{
	enum push_status status = PUSH_OK;

	if (!json_object_is_type(array, json_type_array))
		return fail(at, array, "must be an array: [{...}]");
	for (size_t i = 0; i < json_object_array_length(array) && status == PUSH_OK; i++)
		status = check_element(at, json_object_array_get_idx(array, i), kind);
	return status;
}

static enum push_status
check_member(const struct place *at, struct json_object *value, enum config_kind kind)
{
	switch (kind) {
	case CONFIG_TEXT:
	case CONFIG_NUMBER: return check_scalar(at, value, kind);
	case CONFIG_MAP: return check_map(at, value, kind);
	case CONFIG_GLOBAL: return check_object(at, value, global_keys);
	default: return check_array(at, value, kind);
	}
}

/* It goes only as deep as the tables do. */
static enum push_status
check_object(const struct place *at, struct json_object *object, const struct key *known)
{
	if (!json_object_is_type(object, json_type_object))
		return fail(at, object, "must be an object: {...}");
	json_object_object_foreach(object, name, value)
	{
		struct place inside = {at->file, name, at->error};
		const struct key *key = known;
		enum push_status status;

		while (key->name && strcmp(key->name, name))
			key++;
		if (!key->name)
			return fail(&inside, value, "lwsws has no such key here");
		status = check_member(&inside, value, key->kind);
		if (status != PUSH_OK)
			return status;
	}
	return PUSH_OK;
}

enum push_status
config_check_keys(const struct config_file *file, struct push_error *error)
{
	return check_object(&(struct place){file, "", error}, file->tree, file_keys);
}

/* Larger than what lwsws really takes: a record of four pointers for a name with its value, one of some 200
 * bytes for a mount, each aligned. */
#define SCALAR_WEIGHT 64u
#define OBJECT_WEIGHT 256u

size_t
config_weigh(struct json_object *tree)
{
	size_t weight = OBJECT_WEIGHT;

	if (json_object_is_type(tree, json_type_object)) {
		json_object_object_foreach(tree, name, value)
		{
			weight += strlen(name) + config_weigh(value);
		}
	} else if (json_object_is_type(tree, json_type_array)) {
		for (size_t i = 0; i < json_object_array_length(tree); i++)
			weight += config_weigh(json_object_array_get_idx(tree, i));
	} else {
		weight = SCALAR_WEIGHT + strlen(json_object_get_string(tree));
	}
	return weight;
}
