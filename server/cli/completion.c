/* completion.c - see completion.h. */
#include <stdio.h>
#include <string.h>

#include "completion.h"
#include "say.h"

static void
print_names(void)
{
	size_t count;
	const struct cli_command *commands = cli_commands(&count);

	for (size_t i = 0; i < count; i++)
		printf("%s%s", i ? " " : "", commands[i].name);
}

static void
print_words(const struct cli_command *command)
{
	for (const struct cli_option *option = command->options; option->name; option++)
		printf("--%s ", option->name);
	printf("--help%s%s", command->choices ? " " : "", command->choices ? command->choices : "");
}

static void
print_bash(void)
{
	size_t count;
	const struct cli_command *commands = cli_commands(&count);

	printf("# push completion bash\n"
	       "_push() {\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words\n"
	       "\tif [ \"$COMP_CWORD\" = 1 ]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W '");
	print_names();
	printf(" --help --version' -- \"$word\"))\n"
	       "\t\treturn\n"
	       "\tfi\n"
	       "\tcase $before in\n"
	       "\t--config | --plugins | --mounts) COMPREPLY=($(compgen -d -- \"$word\")); return ;;\n"
	       "\tesac\n"
	       "\tcase ${COMP_WORDS[1]} in\n");
	for (size_t i = 0; i < count; i++) {
		printf("\t%s) words='", commands[i].name);
		print_words(&commands[i]);
		printf("' ;;\n");
	}
	printf("\tesac\n"
	       "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
	       "}\n"
	       "complete -F _push push\n");
}

/* Apostrophes end a word of zsh's and fish's. */
static void
print_quoted(const char *text, const char *apostrophe)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs(apostrophe, stdout);
		else if (*text == '[' || *text == ']' || *text == ':')
			printf("\\%c", *text);
		else
			putchar(*text == '\n' ? ' ' : *text);
	}
}

static bool
takes_folder(const struct cli_option *option)
{
	return option->value && !strcmp(option->value, "DIR");
}

static void
print_zsh_command(const struct cli_command *command)
{
	printf("\t%s)\n\t\t_arguments", command->name);
	for (const struct cli_option *option = command->options; option->name; option++) {
		printf(" \\\n\t\t\t'%s--%s%s[", option->kind == CLI_HEADER ? "*" : "", option->name,
			option->value ? "=" : "");
		print_quoted(option->help, "'\\''");
		printf("]%s%s'", option->value ? ":value:" : "", takes_folder(option) ? "_files -/" : "");
	}
	printf(" \\\n\t\t\t'--help[all about the command]'");
	if (command->choices)
		printf(" \\\n\t\t\t'1:word:(%s)'", command->choices);
	printf("\n\t\t;;\n");
}

static void
print_zsh(void)
{
	size_t count;
	const struct cli_command *commands = cli_commands(&count);

	printf("#compdef push\n"
	       "# push completion zsh\n"
	       "_push() {\n"
	       "\tlocal -a commands\n"
	       "\tcommands=(\n");
	for (size_t i = 0; i < count; i++) {
		printf("\t\t'%s:", commands[i].name);
		print_quoted(commands[i].summary, "'\\''");
		printf("'\n");
	}
	printf("\t)\n"
	       "\tif ((CURRENT == 2)); then\n"
	       "\t\t_describe command commands\n"
	       "\t\treturn\n"
	       "\tfi\n"
	       "\tlocal name=${words[2]}\n"
	       "\tshift words\n"
	       "\t((CURRENT--))\n"
	       "\tcase $name in\n");
	for (size_t i = 0; i < count; i++)
		print_zsh_command(&commands[i]);
	printf("\tesac\n"
	       "}\n"
	       "if [ \"$funcstack[1]\" = _push ]; then\n"
	       "\t_push \"$@\"\n"
	       "else\n"
	       "\tcompdef _push push\n"
	       "fi\n");
}

static void
print_fish_option(const char *command, const struct cli_option *option)
{
	printf("complete -c push -n '__fish_seen_subcommand_from %s' -l %s%s -d '", command, option->name,
		!option->value         ? ""
		: takes_folder(option) ? " -xa '(__fish_complete_directories)'"
				       : " -x");
	for (const char *at = option->help; *at; at++)
		if (*at == '\'')
			fputs("\\'", stdout);
		else
			putchar(*at == '\n' ? ' ' : *at);
	printf("'\n");
}

static void
print_fish(void)
{
	size_t count;
	const struct cli_command *commands = cli_commands(&count);

	printf("# push completion fish\ncomplete -c push -f\n");
	for (size_t i = 0; i < count; i++) {
		printf("complete -c push -n __fish_use_subcommand -a %s -d '", commands[i].name);
		for (const char *at = commands[i].summary; *at; at++)
			printf(*at == '\'' ? "\\'" : "%c", *at);
		printf("'\n");
		for (const struct cli_option *option = commands[i].options; option->name; option++)
			print_fish_option(commands[i].name, option);
		if (commands[i].choices)
			printf("complete -c push -n '__fish_seen_subcommand_from %s' -a '%s'\n",
				commands[i].name, commands[i].choices);
	}
}

enum cli_exit
completion_run(const struct cli_arguments *arguments)
{
	const char *shell = arguments->words[0];

	if (!strcmp(shell, "bash"))
		print_bash();
	else if (!strcmp(shell, "zsh"))
		print_zsh();
	else if (!strcmp(shell, "fish"))
		print_fish();
	else
		say("completion %s: must be bash, zsh or fish", shell);
	return !strcmp(shell, "bash") || !strcmp(shell, "zsh") || !strcmp(shell, "fish") ? CLI_DONE
											 : CLI_USAGE;
}
