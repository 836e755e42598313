/* arguments.c - see arguments.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "core/similar_name.h"
#include "say.h"

size_t
cli_group_size(const struct cli_command *command)
{
	const char *space = strchr(command->name, ' ');

	return space ? (size_t)(space - command->name) : 0;
}

bool
cli_is_of_group(const struct cli_command *command, const char *group)
{
	size_t size = cli_group_size(command);

	return size && strlen(group) == size && !memcmp(command->name, group, size);
}

bool
cli_is_group(const char *word)
{
	size_t count;
	const struct cli_command *commands = cli_commands(&count);

	for (size_t i = 0; i < count; i++)
		if (cli_is_of_group(&commands[i], word))
			return true;
	return false;
}

const struct cli_command *
cli_command_find(int argc, char **argv, int *ret_words)
{
	size_t count;
	const struct cli_command *commands = cli_commands(&count);

	for (size_t i = 0; i < count; i++) {
		const struct cli_command *command = &commands[i];
		size_t size = cli_group_size(command);

		*ret_words = size ? 2 : 1;
		if (size ? argc > 1 && cli_is_of_group(command, argv[0]) &&
					!strcmp(command->name + size + 1, argv[1])
			 : !strcmp(command->name, argv[0]))
			return command;
	}
	return NULL;
}

const char *
cli_nearest_command(const char *name)
{
	size_t count, distance, least = SIZE_MAX;
	const struct cli_command *commands = cli_commands(&count);
	const char *nearest = NULL;

	for (size_t i = 0; i < count; i++)
		if (push_similar_name_distance(name, commands[i].name, &distance) && distance < least) {
			least = distance;
			nearest = commands[i].name;
		}
	return nearest;
}

static const struct cli_option *
find_option(const struct cli_command *command, const char *name, size_t size)
{
	for (const struct cli_option *option = command->options; option->name; option++)
		if (strlen(option->name) == size && !memcmp(option->name, name, size))
			return option;
	return NULL;
}

static void
refuse_unknown(const struct cli_command *command, const char *word, size_t name_size)
{
	char name[PUSH_SIMILAR_NAME_BYTES_MAX + 1];
	size_t distance, least = SIZE_MAX;
	const char *nearest = NULL;

	snprintf(name, sizeof(name), "%.*s", (int)name_size, word + 2);
	for (const struct cli_option *option = command->options; option->name; option++)
		if (push_similar_name_distance(name, option->name, &distance) && distance < least) {
			least = distance;
			nearest = option->name;
		}
	say("%.*s: push %s has no such option%s%s%s (push %s --help)", (int)name_size + 2, word,
		command->name, nearest ? "; did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "",
		command->name);
}

static bool
set_count(uint64_t *to, const struct cli_option *option, const char *text)
{
	char *end;

	errno = 0;
	*to = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end && !errno && *to)
		return true;
	say("--%s %s: must be a number of at least 1", option->name, text);
	return false;
}

static bool
add_header(const char **to, const char *text)
{
	size_t count = 0;

	while (to[count])
		count++;
	if (count == CLI_HEADERS_MAX) {
		say("--header: at most %d are allowed", CLI_HEADERS_MAX);
		return false;
	}
	if (!strchr(text, ':') || *text == ':' || strpbrk(text, "\r\n")) {
		say("--header %s: must be one line, 'NAME: VALUE'", text);
		return false;
	}
	to[count] = text;
	return true;
}

static bool
set(struct cli_arguments *arguments, const struct cli_option *option, const char *text)
{
	void *to = (char *)arguments + option->offset;

	switch (option->kind) {
	case CLI_FLAG: *(bool *)to = true; return true;
	case CLI_TEXT: *(const char **)to = text; return true;
	case CLI_COUNT: return set_count(to, option, text);
	case CLI_HEADER: return add_header(to, text);
	}
	return false;
}

/* One option, `--name value` or `--name=value`.  Returns how many words it took; 0: it is wrong. */
static int
take_option(const struct cli_command *command, char **words, struct cli_arguments *arguments)
{
	const char *equals = strchr(words[0], '=');
	size_t size = equals ? (size_t)(equals - words[0]) - 2 : strlen(words[0]) - 2;
	const struct cli_option *option = find_option(command, words[0] + 2, size);
	const char *value = equals ? equals + 1 : words[1];

	if (!option) {
		refuse_unknown(command, words[0], size);
		return 0;
	}
	if (option->kind == CLI_FLAG && equals) {
		say("--%s: takes no value", option->name);
		return 0;
	}
	if (option->kind != CLI_FLAG && !value) {
		say("--%s: needs a value, %s", option->name, option->value);
		return 0;
	}
	if (!set(arguments, option, value))
		return 0;
	return option->kind == CLI_FLAG || equals ? 1 : 2;
}

static bool
add_word(const struct cli_command *command, struct cli_arguments *arguments, const char *word)
{
	if (arguments->word_count == command->words_max || arguments->word_count == CLI_WORDS_MAX) {
		say("%s: unexpected (push %s --help)", word, command->name);
		return false;
	}
	arguments->words[arguments->word_count++] = word;
	return true;
}

static bool
asks_for_help(int argc, char **argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return true;
	return false;
}

bool
cli_arguments_parse(const struct cli_command *command, int argc, char **argv,
	struct cli_arguments *ret_arguments, bool *ret_help)
{
	bool only_words = false;
	int taken;

	*ret_help = asks_for_help(argc, argv);
	if (*ret_help)
		return true;
	for (int i = 0; i < argc; i += taken) {
		taken = 1;
		if (!only_words && !strcmp(argv[i], "--")) {
			only_words = true;
		} else if (!only_words && !strncmp(argv[i], "--", 2)) {
			taken = take_option(command, argv + i, ret_arguments);
			if (!taken)
				return false;
		} else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
			say("%s: options begin with --; put -- before a word that begins with - (push %s "
			    "--help)",
				argv[i], command->name);
			return false;
		} else if (!add_word(command, ret_arguments, argv[i])) {
			return false;
		}
	}
	if (ret_arguments->word_count >= command->words_min)
		return true;
	say("usage: push %s %s [option...] (push %s --help)", command->name, command->arguments,
		command->name);
	return false;
}
