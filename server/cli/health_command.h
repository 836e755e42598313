/* health_command.h - push health. */
#ifndef PUSH_CLI_HEALTH_COMMAND_H
#define PUSH_CLI_HEALTH_COMMAND_H

#include "arguments.h"

enum cli_exit
health_command_run(const struct cli_arguments *arguments);

#endif
