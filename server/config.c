/* config.c - reading an lwsws configuration; see config.h. */
#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

/* Blanks out lwsws' `#` comments, outside strings, so that JSON is left; lines keep their numbers. */
static void
blank_comments(char *text)
{
	bool in_string = false;

	for (char *p = text; *p; p++) {
		if (in_string && *p == '\\' && p[1])
			p++;
		else if (*p == '"')
			in_string = !in_string;
		else if (*p == '#' && !in_string)
			while (*p && *p != '\n')
				*p++ = ' ';
		if (!*p)
			break;
	}
}

static char *
read_file(const char *path, struct push_error *error)
{
	char *text = malloc(CONFIG_FILE_BYTES_MAX + 1);
	FILE *file = text ? fopen(path, "re") : NULL;
	size_t size;

	if (!file) {
		snprintf(error->text, sizeof(error->text), "%s: %s", path, strerror(errno));
		free(text);
		return NULL;
	}
	size = fread(text, 1, CONFIG_FILE_BYTES_MAX + 1, file);
	fclose(file);
	if (size > CONFIG_FILE_BYTES_MAX) {
		snprintf(error->text, sizeof(error->text), "%s: longer than %d bytes", path,
			CONFIG_FILE_BYTES_MAX);
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

static int
line_at(const char *text, size_t offset)
{
	int line = 1;

	for (size_t i = 0; i < offset && text[i]; i++)
		line += text[i] == '\n';
	return line;
}

static struct json_object *
parse_file(const char *path, struct push_error *error)
{
	struct json_tokener *tokener;
	struct json_object *tree;
	char *text = read_file(path, error);

	if (!text)
		return NULL;
	blank_comments(text);
	tokener = json_tokener_new();
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	tree = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
	if (json_tokener_get_error(tokener) != json_tokener_success ||
		!json_object_is_type(tree, json_type_object)) {
		snprintf(error->text, sizeof(error->text), "%s:%d: not a JSON object: %s", path,
			line_at(text, json_tokener_get_parse_end(tokener)),
			json_tokener_error_desc(json_tokener_get_error(tokener)));
		json_object_put(tree);
		tree = NULL;
	}
	json_tokener_free(tokener);
	free(text);
	return tree;
}

static enum push_status
add_file(struct config *config, const char *folder, const char *name, struct push_error *error)
{
	struct config_file *file = &config->files[config->file_count];
	char path[4096];

	if (config->file_count == CONFIG_FILES_MAX || strlen(name) >= sizeof(file->name)) {
		snprintf(error->text, sizeof(error->text), "%s/%s: more than %d files, or too long a name",
			folder, name, CONFIG_FILES_MAX);
		return PUSH_INVALID;
	}
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	strcpy(file->name, name);
	file->tree = parse_file(path, error);
	if (!file->tree)
		return PUSH_INVALID;
	config->file_count++;
	return PUSH_OK;
}

static int
is_config_file(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

enum push_status
config_load(struct config *config, const char *folder, struct push_error *error)
{
	enum push_status status;
	struct dirent **entries;
	char path[4096];
	int count;

	memset(config, 0, sizeof(*config));
	push_options_init(&config->options);
	status = add_file(config, folder, "conf", error);
	if (status != PUSH_OK)
		return status;

	snprintf(path, sizeof(path), "%s/conf.d", folder);
	count = scandir(path, &entries, is_config_file, alphasort);
	if (count < 0) {
		snprintf(error->text, sizeof(error->text), "%.200s: %s", path, strerror(errno));
		return PUSH_INVALID;
	}
	for (int i = 0; i < count; i++) {
		char name[300];

		snprintf(name, sizeof(name), "conf.d/%s", entries[i]->d_name);
		if (status == PUSH_OK)
			status = add_file(config, folder, name, error);
		free(entries[i]);
	}
	free(entries);
	return status;
}

void
config_free(struct config *config)
{
	for (size_t i = 0; i < config->file_count; i++)
		json_object_put(config->files[i].tree);
	config->file_count = 0;
}

enum push_status
config_for_each_vhost(struct config *config,
	enum push_status (*visit)(struct config_file *file, struct json_object *vhost, void *context),
	void *context)
{
	for (size_t i = 0; i < config->file_count; i++) {
		struct json_object *vhosts;

		if (!json_object_object_get_ex(config->files[i].tree, "vhosts", &vhosts) ||
			!json_object_is_type(vhosts, json_type_array))
			continue;
		for (size_t k = 0; k < json_object_array_length(vhosts); k++) {
			enum push_status status =
				visit(&config->files[i], json_object_array_get_idx(vhosts, k), context);

			if (status != PUSH_OK)
				return status;
		}
	}
	return PUSH_OK;
}

const char *
config_text(struct json_object *object, const char *name)
{
	struct json_object *member;

	return json_object_object_get_ex(object, name, &member) ? json_object_get_string(member) : NULL;
}

int
config_port(struct json_object *vhost)
{
	const char *port = config_text(vhost, "port");

	return port && !config_text(vhost, "unix-socket") ? atoi(port) : 0;
}

struct port_search {
	const char *name;
	int port;
};

static enum push_status
match_name(struct config_file *file, struct json_object *vhost, void *context)
{
	struct port_search *search = context;
	const char *name = config_text(vhost, "name");

	(void)file;
	if (name && !strcmp(name, search->name))
		search->port = config_port(vhost);
	return PUSH_OK;
}

int
config_find_port(struct config *config, const char *vhost_name)
{
	struct port_search search = {.name = vhost_name};

	(void)config_for_each_vhost(config, match_name, &search);
	return search.port;
}
