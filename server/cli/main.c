/*
 * main.c - push: one command line for clients and operators.
 *
 *   arguments.c, commands.c   the table of commands and options; help.c, man.c, completion.c print it
 *   sub.c                     session.c (connections), session_events.c (events), copies.c, held.c
 *   link.c                    one connection: ws_link.c, or sse_link.c with sse_parser.c
 *   pub.c                     publish.c (one message), publish_lines.c (stdin)
 *   history.c                 message.c prints a message for it and for sub.c
 *   health_command.c          check.c, show_config.c: with pushd's own reading of its configuration
 *   top.c, bench.c            metrics.c; the load tool
 *   token_key.c, ...          token_signer.c (private keys); plugins/auth reads public keys and checks tokens
 *   login.c                   --token: who the command is to the server
 *   http.c, loop.c            requests and the event loop, on lws; url.c, server_url.c: where to
 */
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "help.h"
#include "man.h"
#include "say.h"

static bool
is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h") || !strcmp(word, "help");
}

/* What names no command: a group's first word alone is a question. */
static enum cli_exit
refuse_command(int argc, char **argv)
{
	bool is_group = cli_is_group(argv[1]), has_more = is_group && argc > 2;
	const char *nearest;
	char name[64];

	if (is_group && (!has_more || is_help(argv[2]))) {
		help_print_group(argv[1]);
		return has_more ? CLI_DONE : CLI_USAGE;
	}
	snprintf(name, sizeof(name), "%s%s%s", argv[1], has_more ? " " : "", has_more ? argv[2] : "");
	nearest = cli_nearest_command(name);
	say("%s: no such command%s%s%s (push %s%s--help)", name, nearest ? "; did you mean " : "",
		nearest ? nearest : "", nearest ? "?" : "", is_group ? argv[1] : "", is_group ? " " : "");
	return CLI_USAGE;
}

static enum cli_exit
run_command(int argc, char **argv)
{
	struct cli_arguments arguments = {.program = argv[0]};
	int words;
	const struct cli_command *command = cli_command_find(argc - 1, argv + 1, &words);
	bool wants_help;

	if (!command)
		return refuse_command(argc, argv);
	words++; /* the program's */
	if (!cli_arguments_parse(command, argc - words, argv + words, &arguments, &wants_help))
		return CLI_USAGE;
	if (!wants_help)
		return command->run(&arguments);
	help_print_command(command);
	return CLI_DONE;
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		help_print();
		return CLI_USAGE;
	}
	if (is_help(argv[1]))
		help_print();
	else if (!strcmp(argv[1], "--version"))
		printf("push " PUSH_VERSION "\n");
	/* for the build, which makes push.1 of it */
	else if (!strcmp(argv[1], "--man"))
		man_print();
	else
		return (int)run_command(argc, argv);
	return CLI_DONE;
}
