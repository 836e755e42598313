/* config_override.c - what command line and environment change in a configuration; see config.h. */
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "core/environment.h"

/* Where the configuration that Push brings says that the console lies. */
#define INSTALLED_MOUNTS "/usr/share/push/mounts"
#define FILE_ORIGIN      "file://"

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

		if (strcmp(name, ports[i].vhost) || !value || !*value)
			continue;
		/* a Service that is called "server" or "management-server" */
		if (push_environment_is_service_link(ports[i].variable, value))
			continue;
		if (!config_parse_port(value)) {
			snprintf(error->text, sizeof(error->text), "%s=%.*s: not a port (1 to 65535)",
				ports[i].variable, PUSH_ERROR_QUOTE_BYTES_MAX, value);
			return PUSH_INVALID;
		}
		json_object_object_add(vhost, "port", json_object_new_string(value));
	}
	return PUSH_OK;
}

/* Folders below the installed one, and relative ones, lie in the folder that was asked for. */
static void
override_origin(struct json_object *mount, const char *mounts)
{
	const char *origin = config_text(mount, "origin"), *rest;
	size_t installed = strlen(INSTALLED_MOUNTS);
	char text[2 * PATH_MAX];

	if (!origin || strncmp(origin, FILE_ORIGIN, strlen(FILE_ORIGIN)))
		return;
	rest = origin + strlen(FILE_ORIGIN);
	if (!strncmp(rest, INSTALLED_MOUNTS, installed) && (!rest[installed] || rest[installed] == '/'))
		snprintf(text, sizeof(text), FILE_ORIGIN "%s%s", mounts, rest + installed);
	else if (rest[0] != '/')
		snprintf(text, sizeof(text), FILE_ORIGIN "%s/%s", mounts, rest);
	else
		return;
	json_object_object_add(mount, "origin", json_object_new_string(text));
}

/* Shapes are checked later: what is not as it should be is left as it is. */
static enum push_status
override_vhost(const struct config_file *file, struct json_object *vhost, void *context)
{
	const struct override *override = context;
	struct json_object *mounts;

	(void)file;
	if (!json_object_is_type(vhost, json_type_object))
		return PUSH_OK;
	if (override->settings->mounts && json_object_object_get_ex(vhost, "mounts", &mounts) &&
		json_object_is_type(mounts, json_type_array))
		for (size_t i = 0; i < json_object_array_length(mounts); i++)
			override_origin(json_object_array_get_idx(mounts, i), override->settings->mounts);
	return override_port(vhost, override->error);
}

/* lwsws collects all plugin-dirs that it finds: the one that was asked for takes the place of all. */
static void
override_plugins(struct config *config, const char *plugins)
{
	struct json_object *global;

	for (size_t i = 0; i < config->file_count; i++)
		if (json_object_object_get_ex(config->files[i].tree, "global", &global) &&
			json_object_is_type(global, json_type_object))
			json_object_object_del(global, "plugin-dir");

	if (!json_object_object_get_ex(config->files[0].tree, "global", &global)) {
		global = json_object_new_object();
		json_object_object_add(config->files[0].tree, "global", global);
	}
	if (json_object_is_type(global, json_type_object))
		json_object_object_add(global, "plugin-dir", json_object_new_string(plugins));
}

/* Said here, where it is known that the command line named it. */
static enum push_status
check_folder(const char *option, const char *path, struct push_error *error)
{
	struct stat about;

	if (!path || (!stat(path, &about) && S_ISDIR(about.st_mode)))
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "%s %.250s: no such folder", option, path);
	return PUSH_INVALID;
}

enum push_status
config_override(struct config *config, const struct settings *settings, struct push_error *error)
{
	struct override override = {settings, error};

	if (check_folder("--plugins", settings->plugins, error) != PUSH_OK ||
		check_folder("--mounts", settings->mounts, error) != PUSH_OK)
		return PUSH_INVALID;
	if (settings->plugins)
		override_plugins(config, settings->plugins);
	return config_for_each_vhost(config, override_vhost, &override);
}
