/* config.c - reading an lwsws configuration; see config.h. */
#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config.h"

/* Blanks out lwsws' `#` comments, outside strings, so that JSON is left; lines keep their numbers. */
static void
blank_comments(char *text)
{
	bool in_string = false;

	while (*text) {
		if (*text == '#' && !in_string) {
			while (*text && *text != '\n')
				*text++ = ' ';
			continue;
		}
		if (*text == '"')
			in_string = !in_string;
		else if (*text == '\\' && text[1])
			text++;
		text++;
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
	if (size > CONFIG_FILE_BYTES_MAX || memchr(text, '\0', size)) {
		snprintf(error->text, sizeof(error->text), "%s: longer than %d bytes, or contains a NUL byte",
			path, CONFIG_FILE_BYTES_MAX);
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
parse_with(const char *path, const char *text, int flags, struct push_error *error)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *tree;

	if (!tokener) {
		snprintf(error->text, sizeof(error->text), "%s: out of memory", path);
		return NULL;
	}
	json_tokener_set_flags(tokener, flags);
	tree = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
	if (json_tokener_get_error(tokener) != json_tokener_success) {
		snprintf(error->text, sizeof(error->text), "%s:%d: not JSON: %s", path,
			line_at(text, json_tokener_get_parse_end(tokener)),
			json_tokener_error_desc(json_tokener_get_error(tokener)));
		json_object_put(tree);
		tree = NULL;
	} else if (!json_object_is_type(tree, json_type_object)) {
		snprintf(error->text, sizeof(error->text), "%s: not a JSON object", path);
		json_object_put(tree);
		tree = NULL;
	}
	json_tokener_free(tokener);
	return tree;
}

/* json-c 0.18, which Debian 13 has, takes the bytes of all but ASCII for control characters where it is
 * strict: the strict reading is of a copy without them, which is as long, so that lines are counted rightly.
 */
static struct json_object *
parse_text(const char *path, const char *text, struct push_error *error)
{
	char *plain = strdup(text);
	struct json_object *tree;

	if (!plain) {
		snprintf(error->text, sizeof(error->text), "%s: out of memory", path);
		return NULL;
	}
	for (char *at = plain; *at; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	tree = parse_with(path, plain, JSON_TOKENER_STRICT, error);
	free(plain);
	if (!tree)
		return NULL;
	json_object_put(tree);
	return parse_with(path, text, 0, error);
}

static enum push_status
add_file(struct config *config, const char *folder, const char *name, struct push_error *error)
{
	struct config_file *file = &config->files[config->file_count];
	char path[PATH_MAX], *text;

	if (config->file_count == CONFIG_FILES_MAX || strlen(name) >= sizeof(file->name)) {
		snprintf(error->text, sizeof(error->text),
			"%s/%s: too many files (at most %d), or the name is too long", folder, name,
			CONFIG_FILES_MAX);
		return PUSH_INVALID;
	}
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	strcpy(file->name, name);
	text = read_file(path, error);
	file->tree = NULL;
	if (text) {
		blank_comments(text);
		file->tree = parse_text(path, text, error);
		free(text);
	}
	if (!file->tree)
		return PUSH_INVALID;
	config->file_count++;
	return PUSH_OK;
}

/* Like lwsws, all files whatever their names, sorted; unlike lwsws, not what editors hide behind a dot. */
static int
is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static enum push_status
add_conf_d(struct config *config, const char *folder, struct push_error *error)
{
	enum push_status status = PUSH_OK;
	struct dirent **entries;
	char path[PATH_MAX];
	int count;

	snprintf(path, sizeof(path), "%s/conf.d", folder);
	count = scandir(path, &entries, is_visible, alphasort);
	if (count < 0) {
		snprintf(error->text, sizeof(error->text), "%s: %s", path, strerror(errno));
		return PUSH_INVALID;
	}
	for (int i = 0; i < count; i++) {
		char name[sizeof(entries[i]->d_name) + 8];
		struct stat about;

		snprintf(name, sizeof(name), "conf.d/%s", entries[i]->d_name);
		snprintf(path, sizeof(path), "%s/%s", folder, name);
		if (status == PUSH_OK && (stat(path, &about) || !S_ISDIR(about.st_mode)))
			status = add_file(config, folder, name, error);
		free(entries[i]);
	}
	free(entries);
	return status;
}

struct config *
config_read(const struct settings *settings, struct push_error *error)
{
	struct config *config = calloc(1, sizeof(*config));

	if (!config) {
		snprintf(error->text, sizeof(error->text), "out of memory");
		return NULL;
	}
	push_options_init(&config->options);
	if (add_file(config, settings->config, "conf", error) == PUSH_OK &&
		add_conf_d(config, settings->config, error) == PUSH_OK &&
		config_override(config, settings, error) == PUSH_OK)
		return config;
	config_close(config);
	return NULL;
}

struct config *
config_open(const struct settings *settings, struct push_error *error)
{
	struct config *config = config_read(settings, error);

	if (!config || config_check(config, error) == PUSH_OK)
		return config;
	config_close(config);
	return NULL;
}

void
config_close(struct config *config)
{
	if (!config)
		return;
	for (size_t i = 0; i < config->file_count; i++)
		json_object_put(config->files[i].tree);
	free(config);
}

enum push_status
config_for_each_vhost(const struct config *config, config_visitor *visit, void *context)
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

bool
config_flag(struct json_object *object, const char *name)
{
	const char *text = config_text(object, name);

	return text && (strtol(text, NULL, 10) || !strcasecmp(text, "on") || !strcasecmp(text, "yes") ||
			       !strcasecmp(text, "true"));
}

int
config_parse_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	long port = digits > 0 && digits <= 5 && !text[digits] ? strtol(text, NULL, 10) : 0;

	return port <= 65535 ? (int)port : 0;
}

int
config_port(struct json_object *vhost)
{
	const char *port = config_text(vhost, "port");

	return port && !config_flag(vhost, "unix-socket") ? config_parse_port(port) : 0;
}

struct option_search {
	const char *name, *found;
	const struct config_file *file; /* where it was found */
};

static void
search_broker(const struct config_file *file, struct json_object *broker, struct option_search *search)
{
	if (!json_object_is_type(broker, json_type_object))
		return;
	json_object_object_foreach(broker, name, value)
	{
		const char *wanted = search->name, *p = name;

		/* dots count as dashes */
		while (*wanted && (*p == *wanted || (*p == '-' && *wanted == '.'))) {
			wanted++;
			p++;
		}
		if (!*wanted && !*p) {
			search->found = json_object_get_string(value);
			search->file = file;
		}
	}
}

/* Whatever shape it has. */
static enum push_status
search_vhost(const struct config_file *file, struct json_object *vhost, void *context)
{
	struct json_object *protocols, *broker;

	if (!json_object_object_get_ex(vhost, "ws-protocols", &protocols) ||
		!json_object_is_type(protocols, json_type_array))
		return PUSH_OK;
	for (size_t i = 0; i < json_object_array_length(protocols); i++)
		if (json_object_object_get_ex(
			    json_object_array_get_idx(protocols, i), "push-broker", &broker))
			search_broker(file, broker, context);
	return PUSH_OK;
}

const char *
config_option_in(const struct config *config, const char *name, const char **ret_file)
{
	struct option_search search = {.name = name};

	(void)config_for_each_vhost(config, search_vhost, &search);
	if (search.found)
		*ret_file = search.file->name;
	return search.found;
}

const char *
config_option(const struct config *config, const char *name)
{
	const char *ignored;

	return config_option_in(config, name, &ignored);
}

uid_t
config_worker_user(const struct config *config)
{
	uid_t user = geteuid();

	for (size_t i = 0; i < config->file_count; i++) {
		const char *name, *number;
		struct passwd *entry;
		struct json_object *global;

		if (!json_object_object_get_ex(config->files[i].tree, "global", &global))
			continue;
		number = config_text(global, "uid");
		if (number)
			user = (uid_t)strtoul(number, NULL, 10);
		/* lws asks for the name at last */
		name = config_text(global, "username");
		entry = name ? getpwnam(name) : NULL;
		if (entry)
			user = entry->pw_uid;
	}
	return user;
}

struct search {
	const char *name;
	struct json_object *found;
};

static enum push_status
match_name(const struct config_file *file, struct json_object *vhost, void *context)
{
	struct search *search = context;
	const char *name = config_text(vhost, "name");

	(void)file;
	if (name && !strcmp(name, search->name))
		search->found = vhost;
	return PUSH_OK;
}

struct json_object *
config_find_vhost(const struct config *config, const char *name)
{
	struct search search = {.name = name};

	(void)config_for_each_vhost(config, match_name, &search);
	return search.found;
}
