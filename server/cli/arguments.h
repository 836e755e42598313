/*
 * arguments.h - the command line of `push`: one table of commands, each with a table of its options.
 *
 * A row is the single source of an option: the parser, `push COMMAND --help`, the manual page and the
 * completions of three shells come from it.  A new option needs a row in commands.c and a member below.
 */
#ifndef PUSH_CLI_ARGUMENTS_H
#define PUSH_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "exit_code.h"
#include "cli_limits.h"

/* What the command line says, of all commands: each uses its own. */
struct cli_arguments {
	const char *program; /* argv[0], for bench to find its tool beside it */
	const char *url, *management, *from, *before, *name, *ttl, *key, *config, *plugins, *mounts, *out;
	const char *token, *alg, *kid, *keys, *user, *subscribe, *publish, *read_history, *channels, *expires,
		*issuer, *audience, *may, *rate, *bytes;
	bool sse, json, wait, retry, quiet, once;
	uint64_t count, limit, clients, seconds;
	const char *headers[CLI_HEADERS_MAX + 2]; /* with that of login.h */
	const char *words[CLI_WORDS_MAX + 1];     /* what is no option */
	size_t word_count;
};

enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_COUNT, CLI_HEADER };

struct cli_option {
	const char *name; /* without the dashes */
	enum cli_kind kind;
	size_t offset;     /* in struct cli_arguments */
	const char *value; /* what stands for its value in help texts; NULL: it has none */
	const char *help;
};

#define CLI_OPTIONS_MAX 14

struct cli_command {
	const char *name;      /* one word, or two of which several commands have the first: token make */
	const char *arguments; /* CHANNEL... */
	const char *summary;   /* one line */
	const char *details;   /* paragraphs, in lines of up to 78 characters */
	const char *examples;  /* likewise */
	const char *choices;   /* words that a completion may propose; NULL: none */
	size_t words_min, words_max;
	struct cli_option options[CLI_OPTIONS_MAX + 1]; /* until one without a name */
	enum cli_exit (*run)(const struct cli_arguments *arguments);
};

/* cli_commands - all of them, in the order of the documentation. */
const struct cli_command *
cli_commands(size_t *ret_count);

/*
 * cli_command_find - the command that the first words name, `argc` of them.
 *
 * *ret_words is set to how many those are.  NULL: there is no such command.
 */
const struct cli_command *
cli_command_find(int argc, char **argv, int *ret_words);

/* cli_group_size - the length of the first of a command's two words; 0 for a command of one word. */
size_t
cli_group_size(const struct cli_command *command);

/* cli_is_of_group - whether that is its first word. */
bool
cli_is_of_group(const struct cli_command *command, const char *group);

/* cli_is_group - whether commands have this as the first of two words. */
bool
cli_is_group(const char *word);

/*
 * cli_arguments_parse - read the words behind the command's name.
 *
 * Options may stand before, between and behind the others; what follows `--` is no option.
 * Returns false with a line on stderr that names what is wrong, and the option that was probably meant.
 * *ret_help is set where --help (or -h) was among them; nothing else is checked then.
 */
bool
cli_arguments_parse(const struct cli_command *command, int argc, char **argv,
	struct cli_arguments *ret_arguments, bool *ret_help);

/* cli_nearest_command - the command that was probably meant; NULL: none is similar. */
const char *
cli_nearest_command(const char *name);

#endif
