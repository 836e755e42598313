/* token_check.h - push token check, push token explain. */
#ifndef PUSH_CLI_TOKEN_CHECK_H
#define PUSH_CLI_TOKEN_CHECK_H

#include "arguments.h"

enum cli_exit
token_check_run(const struct cli_arguments *arguments);

enum cli_exit
token_explain_run(const struct cli_arguments *arguments);

#endif
