/* config_render.c - a configuration with overrides, written for lwsws; see config.h. */
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"

/* Where the configuration that Push brings says that the console lies. */
#define INSTALLED_MOUNTS "/usr/share/push/mounts"

struct override {
	const struct settings *settings;
	struct push_error *error;
};

/* Environment variables that are a vhost's port. */
static const struct {
	const char *vhost, *variable;
} ports[] = {
	{"push", "SERVER_PORT"},
	{"management", "MANAGEMENT_SERVER_PORT"},
};

static enum push_status
override_port(struct json_object *vhost, struct push_error *error)
{
	const char *name = config_text(vhost, "name");

	for (size_t i = 0; name && i < sizeof(ports) / sizeof(ports[0]); i++) {
		const char *value = getenv(ports[i].variable);
		char *end;
		long port;

		if (strcmp(name, ports[i].vhost) || !value || !*value)
			continue;
		port = strtol(value, &end, 10);
		if (*end || port < 1 || port > 65535) {
			snprintf(error->text, sizeof(error->text), "%s=%.*s: not a port (1 to 65535)",
				ports[i].variable, PUSH_ERROR_QUOTE_BYTES_MAX, value);
			return PUSH_INVALID;
		}
		json_object_object_add(vhost, "port", json_object_new_string(value));
	}
	return PUSH_OK;
}

static void
override_mounts(struct json_object *vhost, const char *mounts)
{
	static const char installed[] = "file://" INSTALLED_MOUNTS;
	struct json_object *list;

	if (!mounts || !json_object_object_get_ex(vhost, "mounts", &list) ||
		!json_object_is_type(list, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *mount = json_object_array_get_idx(list, i);
		const char *origin = config_text(mount, "origin");
		char text[PATH_MAX + 16];

		if (!origin || strncmp(origin, installed, sizeof(installed) - 1))
			continue;
		snprintf(text, sizeof(text), "file://%s%s", mounts, origin + sizeof(installed) - 1);
		json_object_object_add(mount, "origin", json_object_new_string(text));
	}
}

static enum push_status
override_vhost(struct config_file *file, struct json_object *vhost, void *context)
{
	const struct override *override = context;

	(void)file;
	if (!json_object_is_type(vhost, json_type_object))
		return PUSH_OK; /* config_check() says so */
	override_mounts(vhost, override->settings->mounts);
	return override_port(vhost, override->error);
}

enum push_status
config_override(struct config *config, const struct settings *settings, struct push_error *error)
{
	struct override override = {settings, error};

	for (size_t i = 0; i < config->file_count && settings->plugins; i++) {
		struct json_object *global;

		if (json_object_object_get_ex(config->files[i].tree, "global", &global) &&
			json_object_is_type(global, json_type_object))
			json_object_object_add(global, "plugin-dir", json_object_new_string(settings->plugins));
	}
	return config_for_each_vhost(config, override_vhost, &override);
}

/* lwsws cuts names at dots: push.drain.duration becomes push-drain-duration. */
static void
dash_names(struct json_object *options)
{
	struct json_object *renamed = json_object_new_object();
	struct json_object_iterator it = json_object_iter_begin(options), end = json_object_iter_end(options);

	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it)) {
		char name[128];

		snprintf(name, sizeof(name), "%s", json_object_iter_peek_name(&it));
		for (char *p = name; *p; p++)
			if (*p == '.')
				*p = '-';
		json_object_object_add(
			renamed, name, json_object_new_string(json_object_get_string(json_object_iter_peek_value(&it))));
	}
	it = json_object_iter_begin(renamed);
	end = json_object_iter_end(renamed);
	while (json_object_object_length(options) > 0) {
		struct json_object_iterator first = json_object_iter_begin(options);

		json_object_object_del(options, json_object_iter_peek_name(&first));
	}
	for (; !json_object_iter_equal(&it, &end); json_object_iter_next(&it))
		json_object_object_add(options, json_object_iter_peek_name(&it),
			json_object_get(json_object_iter_peek_value(&it)));
	json_object_put(renamed);
}

static enum push_status
dash_vhost(struct config_file *file, struct json_object *vhost, void *context)
{
	struct json_object *protocols, *options;

	(void)file;
	(void)context;
	if (!json_object_object_get_ex(vhost, "ws-protocols", &protocols))
		return PUSH_OK;
	for (size_t i = 0; i < json_object_array_length(protocols); i++)
		if (json_object_object_get_ex(
			    json_object_array_get_idx(protocols, i), "push-broker", &options) &&
			json_object_is_type(options, json_type_object))
			dash_names(options);
	return PUSH_OK;
}

enum push_status
config_render(struct config *config, const char *folder, struct push_error *error)
{
	char path[PATH_MAX];

	(void)config_for_each_vhost(config, dash_vhost, NULL);
	snprintf(path, sizeof(path), "%s/conf.d", folder);
	if (mkdir(path, 0700) && errno != EEXIST) {
		snprintf(error->text, sizeof(error->text), "%.200s: %s", path, strerror(errno));
		return PUSH_INVALID;
	}
	for (size_t i = 0; i < config->file_count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, config->files[i].name);
		if (json_object_to_file_ext(path, config->files[i].tree,
			    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE)) {
			snprintf(error->text, sizeof(error->text), "%.200s: %s", path, json_util_get_last_err());
			return PUSH_INVALID;
		}
	}
	return PUSH_OK;
}
