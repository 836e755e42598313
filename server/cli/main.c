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
 *   http.c, loop.c            requests and the event loop, on lws; url.c, server_url.c: where to
 */
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "help.h"
#include "man.h"
#include "say.h"

static enum cli_exit
run_command(int argc, char **argv)
{
	struct cli_arguments arguments = {.program = argv[0]};
	const struct cli_command *command = cli_command_find(argv[1]);
	const char *nearest;
	bool wants_help;

	if (!command) {
		nearest = cli_nearest_command(argv[1]);
		say("%s: no such command%s%s%s (push --help)", argv[1], nearest ? "; did you mean " : "",
			nearest ? nearest : "", nearest ? "?" : "");
		return CLI_USAGE;
	}
	if (!cli_arguments_parse(command, argc - 2, argv + 2, &arguments, &wants_help))
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
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
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
