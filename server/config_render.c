/*
 * config_render.c - a checked configuration, written as lwsws reads it best; see config.h.
 *
 * lwsws forgets to end values that are no strings, so that they run into the next one: all become strings. It
 * cuts names at dots, so options of Push get dashes: push.drain.duration is push-drain-duration.
 */
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "config_tls.h"

#define OPTION_NAME_SIZE 128

static struct json_object *
as_lwsws_reads(struct json_object *given, bool dashes);

static void
add_member(struct json_object *to, const char *name, struct json_object *value, bool dashes)
{
	char text[OPTION_NAME_SIZE];
	bool is_broker = !strcmp(name, "push-broker");

	if (!dashes) {
		json_object_object_add(to, name, as_lwsws_reads(value, is_broker));
		return;
	}
	snprintf(text, sizeof(text), "%s", name);
	for (char *p = text; *p; p++)
		if (*p == '.')
			*p = '-';
	json_object_object_add(to, text, as_lwsws_reads(value, false));
}

/* A copy; `dashes`: the names of this object's members get them. */
static struct json_object *
as_lwsws_reads(struct json_object *given, bool dashes)
{
	struct json_object *copy;

	if (json_object_is_type(given, json_type_object)) {
		copy = json_object_new_object();
		json_object_object_foreach(given, name, value)
		{
			add_member(copy, name, value, dashes);
		}
		return copy;
	}
	if (json_object_is_type(given, json_type_array)) {
		copy = json_object_new_array();
		for (size_t i = 0; i < json_object_array_length(given); i++)
			json_object_array_add(
				copy, as_lwsws_reads(json_object_array_get_idx(given, i), false));
		return copy;
	}
	/* "true" and "false" are what lwsws takes for a flag */
	return json_object_new_string(json_object_get_string(given));
}

enum push_status
config_render(
	const struct config *config, const char *folder, struct push_buf *vhosts, struct push_error *error)
{
	struct config_tls tls;
	char path[PATH_MAX];

	config_tls_read(config, &tls);
	snprintf(path, sizeof(path), "%s/conf.d", folder);
	if (mkdir(path, 0700)) {
		snprintf(error->text, sizeof(error->text), "%s: %s", path, strerror(errno));
		return PUSH_INVALID;
	}
	for (size_t i = 0; i < config->file_count; i++) {
		struct json_object *tree = as_lwsws_reads(config->files[i].tree, false);
		int failed;

		if (!config->options.console)
			config_hide_console(tree);
		config_tell_vhosts(tree, &tls, vhosts);
		snprintf(path, sizeof(path), "%s/%s", folder, config->files[i].name);
		failed = json_object_to_file_ext(
			path, tree, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
		json_object_put(tree);
		if (failed) {
			snprintf(error->text, sizeof(error->text), "%s: %s", path, json_util_get_last_err());
			return PUSH_INVALID;
		}
	}
	return PUSH_OK;
}
