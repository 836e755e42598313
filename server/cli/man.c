/* man.c - see man.h.  man(7): a line that begins with a dot or an apostrophe is a request, a plain - a
 * hyphen. */
#include <stdio.h>
#include <string.h>

#include "arguments.h"
#include "man.h"
#include "login.h"
#include "server_url.h"

static void
print_escaped(const char *text)
{
	bool is_start = true;

	for (; *text; text++) {
		if (is_start && (*text == '.' || *text == '\''))
			printf("\\&");
		is_start = *text == '\n';
		if (*text == '\\')
			printf("\\e");
		else if (*text == '-')
			printf("\\-");
		else
			putchar(*text);
	}
}

/* Paragraphs are separated by empty lines. */
static void
print_paragraphs(const char *text)
{
	const char *gap;

	while ((gap = strstr(text, "\n\n"))) {
		char piece[1024];

		snprintf(piece, sizeof(piece), "%.*s", (int)(gap - text), text);
		print_escaped(piece);
		printf("\n.PP\n");
		text = gap + 2;
	}
	print_escaped(text);
	putchar('\n');
}

static void
print_tagged(const char *tag, const char *value, const char *help)
{
	printf(".TP\n.B ");
	print_escaped(tag);
	if (value) {
		printf(" \\fI");
		print_escaped(value);
		printf("\\fR");
	}
	putchar('\n');
	print_escaped(help);
	putchar('\n');
}

static void
print_command(const struct cli_command *command)
{
	char tag[64];

	printf(".SS push %s ", command->name);
	print_escaped(command->arguments);
	putchar('\n');
	print_paragraphs(command->details);
	for (const struct cli_option *option = command->options; option->name; option++) {
		snprintf(tag, sizeof(tag), "--%s", option->name);
		print_tagged(tag, option->value, option->help);
	}
}

static void
print_synopsis(const struct cli_command *commands, size_t count)
{
	printf(".SH NAME\npush \\- subscribe to, publish to and monitor a Push server\n.SH SYNOPSIS\n");
	for (size_t i = 0; i < count; i++) {
		printf("%s.B push %s\n", i ? ".br\n" : "", commands[i].name);
		print_escaped(commands[i].arguments);
		printf(" [option...]\n");
	}
	printf(".br\n.B push\n\\-\\-help | \\-\\-version | COMMAND \\-\\-help\n");
}

static void
print_surroundings(void)
{
	char code[8];

	printf(".SH ENVIRONMENT\n");
	print_tagged(SERVER_URL_VARIABLE, NULL, "the server; by default " SERVER_URL_DEFAULT);
	print_tagged(
		MANAGEMENT_URL_VARIABLE, NULL, "its management port; by default " MANAGEMENT_URL_DEFAULT);
	print_tagged(LOGIN_TOKEN_VARIABLE, NULL,
		"the token of push sub, pub and history, as --token: TOKEN or @FILE");
	print_tagged(LOGIN_KEY_VARIABLE, NULL, "the publish key of push pub, likewise");
	print_tagged("SSL_CERT_FILE", NULL, "file with trusted CA certificates, instead of the system's");
	print_tagged("PUSH_..., SERVER_PORT, MANAGEMENT_SERVER_PORT", NULL,
		"options of the server, for push check, push config and push health; see pushd(8)");
	printf(".SH FILES\n");
	print_tagged("/etc/push/conf, /etc/push/conf.d/", NULL,
		"the configuration that push check, push config and push health read");
	print_tagged("/etc/default/push", NULL,
		"environment of push.service; push does not read it: set -a; . /etc/default/push before push "
		"config");
	printf(".SH EXIT STATUS\n");
#define X(name, number, meaning)                                                                             \
	snprintf(code, sizeof(code), "%d", number);                                                          \
	print_tagged(code, NULL, meaning);
	CLI_EXIT_MAP(X)
#undef X
}

void
man_print(void)
{
	size_t count;
	const struct cli_command *commands = cli_commands(&count);

	printf(".TH PUSH 1 \"\" \"push " PUSH_VERSION "\" \"User Commands\"\n");
	print_synopsis(commands, count);
	printf(".SH DESCRIPTION\n");
	print_paragraphs(
		"push is the command line of Push, a real-time push messaging server: it subscribes to "
		"channels "
		"and publishes to them, reads their history, and shows operators the state of a server.\n\n"
		"Messages and answers are on standard output; connections, gaps and errors are reported on "
		"standard error, one per line.");
	printf(".SH COMMANDS\n");
	for (size_t i = 0; i < count; i++)
		print_command(&commands[i]);
	print_surroundings();
	printf(".SH EXAMPLES\n.nf\n");
	for (size_t i = 0; i < count; i++) {
		print_escaped(commands[i].examples);
		putchar('\n');
	}
	printf(".fi\n.SH SEE ALSO\n.BR pushd (8)\n");
}
