/*
 * show_config.c - push config: each option's value and where it comes from.
 *
 * The order is the server's (core/options.c, config_check.c): the environment counts for more than the files,
 * these for more than the defaults; Spring's variables make push.redis.url where nothing else does.  What is
 * wrong with a value is said at the end, so that all of them can be seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "core/json.h"
#include "core/redis_url.h"
#include "core/similar_name.h"
#include "core/spring_redis.h"
#include "local_config.h"
#include "say.h"
#include "show_config.h"
#include "worker_count.h"

#define NAME_SIZE   64
#define VALUE_SIZE  (PUSH_OPTION_URL_BYTES_MAX + 1)
#define SOURCE_SIZE (CONFIG_NAME_BYTES_MAX + 32)
#define NAME_WIDTH  40
#define VALUE_WIDTH 24

struct shown {
	const char *name;
	char value[VALUE_SIZE], source[SOURCE_SIZE];
};

static const char *
variable_of(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Every URL may hold a password; other values have none that could be mistaken for one. */
static void
set_value(struct shown *shown, const char *value)
{
	push_redis_url_mask(value, shown->value, sizeof(shown->value));
}

/* Of push.redis.url only; true where Spring's variables make it. */
static bool
find_spring(struct shown *shown)
{
	struct push_error error;
	struct push_buf url;
	bool is_found;

	push_buf_init(&url, VALUE_SIZE);
	is_found = push_spring_redis_url(environ, &url, &error) == PUSH_OK && url.size;
	if (is_found) {
		push_buf_append(&url, "", 1);
		set_value(shown, url.bytes);
		snprintf(shown->source, sizeof(shown->source), "environment SPRING_...REDIS_...");
	}
	if (url.bytes)
		explicit_bzero(url.bytes, url.capacity);
	push_buf_fini(&url);
	return is_found;
}

static void
find_option(const struct config *config, const struct push_option_info *info, struct shown *shown)
{
	char variable[NAME_SIZE];
	const char *file = NULL, *value;

	shown->name = info->name;
	push_option_env_name(info->name, variable, sizeof(variable));
	value = variable_of(variable);
	if (value) {
		snprintf(shown->source, sizeof(shown->source), "environment %s", variable);
	} else if ((value = config_option_in(config, info->name, &file)) && *value) {
		snprintf(shown->source, sizeof(shown->source), "%s", file);
	} else if (!strcmp(info->name, "push.redis.url") && find_spring(shown)) {
		return;
	} else {
		value = info->default_value;
		snprintf(shown->source, sizeof(shown->source), "default");
	}
	set_value(shown, value);
}

static void
print_text(const struct shown *shown)
{
	printf("%-*s %-*s %s\n", NAME_WIDTH, shown->name, VALUE_WIDTH, shown->value[0] ? shown->value : "-",
		shown->source);
}

static void
print_json(const struct shown *shown, bool is_first)
{
	struct push_buf line;

	push_buf_init(&line, VALUE_SIZE * 8);
	push_buf_append_text(&line, is_first ? "[{\"name\":" : ",\n {\"name\":");
	push_json_append_string(&line, shown->name, strlen(shown->name));
	push_buf_append_text(&line, ",\"value\":");
	push_json_append_string(&line, shown->value, strlen(shown->value));
	push_buf_append_text(&line, ",\"source\":");
	push_json_append_string(&line, shown->source, strlen(shown->source));
	push_buf_append_text(&line, "}");
	if (line.size)
		fwrite(line.bytes, 1, line.size, stdout);
	push_buf_fini(&line);
}

static bool
is_wanted(const struct cli_arguments *arguments, const char *name)
{
	for (size_t i = 0; i < arguments->word_count; i++)
		if (!strcmp(arguments->words[i], name))
			return true;
	return !arguments->word_count;
}

/* Names that are no options: false, with the one that was probably meant. */
static bool
check_names(const struct cli_arguments *arguments)
{
	size_t count, distance, least = SIZE_MAX;
	const struct push_option_info *options = push_options_table(&count);
	const char *nearest = NULL;

	for (size_t i = 0; i < arguments->word_count; i++) {
		const char *word = arguments->words[i];
		size_t k = 0;

		while (k < count && strcmp(options[k].name, word))
			k++;
		if (k < count)
			continue;
		for (k = 0; k < count; k++)
			if (push_similar_name_distance(word, options[k].name, &distance) &&
				distance < least) {
				least = distance;
				nearest = options[k].name;
			}
		say("%s: no such option%s%s%s", word, nearest ? "; did you mean " : "",
			nearest ? nearest : "", nearest ? "?" : "");
		return false;
	}
	return true;
}

static void
print_all(const struct config *config, const struct cli_arguments *arguments)
{
	struct shown *shown = malloc(sizeof(*shown));
	bool is_first = true;
	size_t count;
	const struct push_option_info *options = push_options_table(&count);

	for (size_t i = 0; shown && i < count; i++) {
		if (!is_wanted(arguments, options[i].name))
			continue;
		find_option(config, &options[i], shown);
		if (arguments->json)
			print_json(shown, is_first);
		else
			print_text(shown);
		is_first = false;
	}
	if (arguments->json)
		printf(is_first ? "[]\n" : "]\n");
	free(shown);
}

static void
print_port(const struct config *config, const char *vhost_name, const char *variable)
{
	struct json_object *vhost = config_find_vhost(config, vhost_name);
	char label[NAME_SIZE];

	if (!vhost || !config_port(vhost))
		return;
	snprintf(label, sizeof(label), "port of the vhost %s", vhost_name);
	printf("%-*s %-*d %s%s\n", NAME_WIDTH, label, VALUE_WIDTH, config_port(vhost),
		variable_of(variable) ? "environment " : "conf.d", variable_of(variable) ? variable : "");
}

/* Of a checked configuration, as pushd would start them here. */
static void
print_workers(const struct settings *settings, const struct config *config, bool is_set)
{
	struct push_error error;
	size_t count;

	if (worker_count_decide(settings, config, &count, &error) == PUSH_OK)
		printf("%-*s %-*zu %s\n", NAME_WIDTH, "workers", VALUE_WIDTH, count,
			is_set ? "environment " WORKER_COUNT_VARIABLE : "default");
	else
		say("%s", error.text);
}

enum cli_exit
show_config_run(const struct cli_arguments *arguments)
{
	struct settings settings = local_config_settings(arguments);
	bool is_whole = !arguments->json && !arguments->word_count;
	bool has_workers = variable_of(WORKER_COUNT_VARIABLE) != NULL;
	struct push_error error;
	struct config *config;
	enum cli_exit code = CLI_DONE;

	if (!check_names(arguments))
		return CLI_USAGE;
	config = config_read(&settings, &error);
	if (!config) {
		say("%s", error.text);
		return CLI_NO;
	}
	if (is_whole) {
		print_port(config, "push", "SERVER_PORT");
		print_port(config, "management", "MANAGEMENT_SERVER_PORT");
	}
	print_all(config, arguments);
	if (worker_count_from_environment(&settings, &error) != PUSH_OK ||
		config_check(config, &error) != PUSH_OK) {
		say("%s", error.text);
		code = CLI_NO;
	} else if (is_whole) {
		print_workers(&settings, config, has_workers);
	}
	config_close(config);
	return code;
}
