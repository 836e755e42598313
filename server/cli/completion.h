/* completion.h - push completion: scripts for bash, zsh and fish, from the table of commands. */
#ifndef PUSH_CLI_COMPLETION_H
#define PUSH_CLI_COMPLETION_H

#include "arguments.h"

enum cli_exit
completion_run(const struct cli_arguments *arguments);

#endif
