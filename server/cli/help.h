/* help.h - push --help, push COMMAND --help: from the table of commands. */
#ifndef PUSH_CLI_HELP_H
#define PUSH_CLI_HELP_H

#include "arguments.h"

void
help_print(void);

void
help_print_command(const struct cli_command *command);

#endif
