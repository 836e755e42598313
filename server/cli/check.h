/* check.h - push check. */
#ifndef PUSH_CLI_CHECK_H
#define PUSH_CLI_CHECK_H

#include "arguments.h"

enum cli_exit
check_run(const struct cli_arguments *arguments);

#endif
