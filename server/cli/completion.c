/* completion.c - see completion.h. */
#include <stdio.h>
#include <string.h>

#include "completion.h"
#include "say.h"

/* Commands of two words stand together in the table: whether this one is the first of its group. */
static bool
begins_group(const struct cli_command *commands, size_t i)
{
	size_t size = cli_group_size(&commands[i]);

	return size && (!i || cli_group_size(&commands[i - 1]) != size ||
			       memcmp(commands[i - 1].name, commands[i].name, size) != 0);
}

/* The first words of all, each once. */
static void
print_names(void)
{
	size_t count;
	const struct cli_command *commands = cli_commands(&count);

	for (size_t i = 0; i < count; i++) {
		size_t size = cli_group_size(&commands[i]);

		if (!size || begins_group(commands, i))
			printf("%s%.*s", i ? " " : "", size ? (int)size : (int)strlen(commands[i].name),
				commands[i].name);
	}
}

/* The second words of the group that begins with this command. */
static void
print_second_words(const struct cli_command *commands, size_t i, size_t count)
{
	size_t size = cli_group_size(&commands[i]);

	for (size_t k = i; k < count && (k == i || !begins_group(commands, k)); k++)
		if (cli_group_size(&commands[k]) == size)
			printf("%s%s", k == i ? "" : " ", commands[k].name + size + 1);
}

static bool
takes_file(const struct cli_option *option)
{
	return option->value && (!strcmp(option->value, "FILE") || !strcmp(option->value, "PATH"));
}

static void
print_words(const struct cli_command *command)
{
	for (const struct cli_option *option = command->options; option->name; option++)
		printf("--%s ", option->name);
	printf("--help%s%s", command->choices ? " " : "", command->choices ? command->choices : "");
}

static void
print_bash_command(const struct cli_command *command)
{
	printf("\t'%s') words='", command->name);
	print_words(command);
	printf("'");
	for (const struct cli_option *option = command->options; option->name; option++)
		if (takes_file(option))
			printf(" files=\"$files --%s\"", option->name);
	printf(" ;;\n");
}

/* The second word of a group, which makes a name of both. */
static void
print_bash_groups(const struct cli_command *commands, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int size = (int)cli_group_size(&commands[i]);

		if (!begins_group(commands, i))
			continue;
		printf("\tif [ \"$name\" = %.*s ]; then\n"
		       "\t\tname=\"$name ${COMP_WORDS[2]}\"\n"
		       "\t\tif [ \"$COMP_CWORD\" = 2 ]; then\n"
		       "\t\t\tCOMPREPLY=($(compgen -W '",
			size, commands[i].name);
		print_second_words(commands, i, count);
		printf(" --help' -- \"$word\"))\n"
		       "\t\t\treturn\n"
		       "\t\tfi\n"
		       "\tfi\n");
	}
}

static void
print_bash(void)
{
	size_t count;
	const struct cli_command *commands = cli_commands(&count);

	printf("# push completion bash\n"
	       "_push() {\n"
	       "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words files\n"
	       "\tlocal name=${COMP_WORDS[1]}\n"
	       "\tif [ \"$COMP_CWORD\" = 1 ]; then\n"
	       "\t\tCOMPREPLY=($(compgen -W '");
	print_names();
	printf(" --help --version' -- \"$word\"))\n"
	       "\t\treturn\n"
	       "\tfi\n"
	       "\tcase $before in\n"
	       "\t--config | --plugins | --mounts) COMPREPLY=($(compgen -d -- \"$word\")); return ;;\n"
	       "\tesac\n");
	print_bash_groups(commands, count);
	printf("\tcase $name in\n");
	for (size_t i = 0; i < count; i++)
		print_bash_command(&commands[i]);
	printf("\tesac\n"
	       "\tif [[ \" $files \" == *\" $before \"* ]]; then\n"
	       "\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n"
	       "\t\treturn\n"
	       "\tfi\n"
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
	printf("\t'%s')\n\t\t_arguments", command->name);
	for (const struct cli_option *option = command->options; option->name; option++) {
		printf(" \\\n\t\t\t'%s--%s%s[", option->kind == CLI_HEADER ? "*" : "", option->name,
			option->value ? "=" : "");
		print_quoted(option->help, "'\\''");
		printf("]%s%s'", option->value ? ":value:" : "",
			takes_folder(option) ? "_files -/"
			: takes_file(option) ? "_files"
					     : "");
	}
	printf(" \\\n\t\t\t'--help[all about the command]'");
	if (command->choices)
		printf(" \\\n\t\t\t'1:word:(%s)'", command->choices);
	printf("\n\t\t;;\n");
}

static void
print_zsh_summary(const char *name, const char *summary)
{
	printf("\t\t'%s:", name);
	print_quoted(summary, "'\\''");
	printf("'\n");
}

static void
print_zsh_group(const struct cli_command *commands, size_t i, size_t count)
{
	size_t size = cli_group_size(&commands[i]);

	printf("\tif [ \"$name\" = %.*s ]; then\n\t\tcommands=(\n", (int)size, commands[i].name);
	for (size_t k = i; k < count && (k == i || !begins_group(commands, k)); k++)
		if (cli_group_size(&commands[k]) == size)
			print_zsh_summary(commands[k].name + size + 1, commands[k].summary);
	printf("\t\t)\n"
	       "\t\tif ((CURRENT == 2)); then\n"
	       "\t\t\t_describe command commands\n"
	       "\t\t\treturn\n"
	       "\t\tfi\n"
	       "\t\tname=\"$name ${words[2]}\"\n"
	       "\t\tshift words\n"
	       "\t\t((CURRENT--))\n"
	       "\tfi\n");
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
	for (size_t i = 0; i < count; i++)
		if (!cli_group_size(&commands[i]))
			print_zsh_summary(commands[i].name, commands[i].summary);
		else if (begins_group(commands, i))
			printf("\t\t'%.*s'\n", (int)cli_group_size(&commands[i]), commands[i].name);
	printf("\t)\n"
	       "\tif ((CURRENT == 2)); then\n"
	       "\t\t_describe command commands\n"
	       "\t\treturn\n"
	       "\tfi\n"
	       "\tlocal name=${words[2]}\n"
	       "\tshift words\n"
	       "\t((CURRENT--))\n");
	for (size_t i = 0; i < count; i++)
		if (begins_group(commands, i))
			print_zsh_group(commands, i, count);
	printf("\tcase $name in\n");
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
	printf("complete -c push -n '__push_command %s' -l %s%s -d '", command, option->name,
		!option->value         ? ""
		: takes_folder(option) ? " -xa '(__fish_complete_directories)'"
		: takes_file(option)   ? " -rF"
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

	printf("# push completion fish\n"
	       "# whether the line so far begins with these words\n"
	       "function __push_command\n"
	       "\tset -l words (commandline -opc)\n"
	       "\tset -l last (math (count $argv) + 1)\n"
	       "\ttest (count $words) -ge $last; and test \"$words[2..$last]\" = \"$argv\"\n"
	       "end\n"
	       "complete -c push -f\n");
	for (size_t i = 0; i < count; i++) {
		int size = (int)cli_group_size(&commands[i]);

		if (begins_group(commands, i))
			printf("complete -c push -n __fish_use_subcommand -a %.*s\n", size, commands[i].name);
		if (size)
			printf("complete -c push -n '__push_command %.*s; and test (count (commandline "
			       "-opc)) -eq "
			       "2' -a %s -d '",
				size, commands[i].name, commands[i].name + size + 1);
		else
			printf("complete -c push -n __fish_use_subcommand -a %s -d '", commands[i].name);
		for (const char *at = commands[i].summary; *at; at++)
			printf(*at == '\'' ? "\\'" : "%c", *at);
		printf("'\n");
		for (const struct cli_option *option = commands[i].options; option->name; option++)
			print_fish_option(commands[i].name, option);
		if (commands[i].choices)
			printf("complete -c push -n '__push_command %s' -a '%s'\n", commands[i].name,
				commands[i].choices);
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
