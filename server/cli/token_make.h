/* token_make.h - push token make. */
#ifndef PUSH_CLI_TOKEN_MAKE_H
#define PUSH_CLI_TOKEN_MAKE_H

#include "arguments.h"

enum cli_exit
token_make_run(const struct cli_arguments *arguments);

#endif
