/* help.h - push --help, push COMMAND --help: from the table of commands. */
#ifndef PUSH_CLI_HELP_H
#define PUSH_CLI_HELP_H

#include "arguments.h"

void
help_print(void);

/* help_print_group - of commands whose first word it is. */
void
help_print_group(const char *group);

void
help_print_command(const struct cli_command *command);

#endif
