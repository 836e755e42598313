/* token_key.h - push token key, push token publish-key. */
#ifndef PUSH_CLI_TOKEN_KEY_H
#define PUSH_CLI_TOKEN_KEY_H

#include "arguments.h"

enum cli_exit
token_key_run(const struct cli_arguments *arguments);

enum cli_exit
token_publish_key_run(const struct cli_arguments *arguments);

#endif
