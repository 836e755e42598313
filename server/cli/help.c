/* help.c - see help.h. */
#include <stdio.h>
#include <string.h>

#include "help.h"
#include "login.h"
#include "server_url.h"

#define LEFT_WIDTH 24

/* Help texts break at \n; what follows stands below the first line. */
static void
print_row(const char *left, const char *right)
{
	const char *newline;

	if (strlen(left) > LEFT_WIDTH - 1) {
		printf("  %s\n", left);
		left = "";
	}
	while ((newline = strchr(right, '\n'))) {
		printf("  %-*s%.*s\n", LEFT_WIDTH, left, (int)(newline - right), right);
		left = "";
		right = newline + 1;
	}
	printf("  %-*s%s\n", LEFT_WIDTH, left, right);
}

static void
print_exit_codes(void)
{
	char left[8];

	printf("\nExit codes\n");
#define X(name, code, meaning)                                                                               \
	snprintf(left, sizeof(left), "%d", code);                                                            \
	print_row(left, meaning);
	CLI_EXIT_MAP(X)
#undef X
}

void
help_print(void)
{
	size_t count;
	const struct cli_command *commands = cli_commands(&count);

	printf("push - subscribe to, publish to and monitor a Push server\n"
	       "\n"
	       "usage: push COMMAND [argument...] [option...]\n"
	       "\n"
	       "Commands\n");
	for (size_t i = 0; i < count; i++)
		print_row(commands[i].name, commands[i].summary);
	printf("\nOptions\n");
	print_row("--help", "this text; push COMMAND --help: help for a command");
	print_row("--version", "the version");
	printf("\nEnvironment\n");
	print_row(SERVER_URL_VARIABLE, "the server, by default " SERVER_URL_DEFAULT
				       "\n(https:// if it has a certificate; SSL_CERT_FILE "
				       "names a file with trusted CA certificates)");
	print_row(MANAGEMENT_URL_VARIABLE, "its management port, by default " MANAGEMENT_URL_DEFAULT);
	print_row(LOGIN_TOKEN_VARIABLE,
		"the token of push sub, pub, history and bench, as --token: TOKEN or @FILE");
	print_row(LOGIN_KEY_VARIABLE, "the publish key of push pub, likewise");
	print_exit_codes();
	printf("\nExamples\n"
	       "  push sub chat                    in one terminal\n"
	       "  push pub chat hello              in another one\n"
	       "  PUSH_URL=https://push.example push history chat --json\n");
}

void
help_print_group(const char *group)
{
	size_t count;
	const struct cli_command *commands = cli_commands(&count);

	printf("usage: push %s COMMAND [argument...] [option...]\n\nCommands\n", group);
	for (size_t i = 0; i < count; i++)
		if (cli_is_of_group(&commands[i], group))
			print_row(commands[i].name, commands[i].summary);
	printf("\nOptions\n");
	print_row("--help", "this text; with a command, its help");
}

static void
print_options(const struct cli_command *command)
{
	char left[64];

	printf("\nOptions\n");
	for (const struct cli_option *option = command->options; option->name; option++) {
		snprintf(left, sizeof(left), "--%s%s%s", option->name, option->value ? " " : "",
			option->value ? option->value : "");
		print_row(left, option->help);
	}
	print_row("--help", "this text");
}

void
help_print_command(const struct cli_command *command)
{
	const char *line = command->examples, *newline;

	printf("push %s - %s\n\nusage: push %s%s%s [option...]\n\n%s\n", command->name, command->summary,
		command->name, command->arguments[0] ? " " : "", command->arguments, command->details);
	print_options(command);
	print_exit_codes();
	printf("\nExamples\n");
	while ((newline = strchr(line, '\n'))) {
		printf("  %.*s\n", (int)(newline - line), line);
		line = newline + 1;
	}
	printf("  %s\n", line);
}
