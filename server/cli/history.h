/* history.h - push history. */
#ifndef PUSH_CLI_HISTORY_H
#define PUSH_CLI_HISTORY_H

#include "arguments.h"

enum cli_exit
history_run(const struct cli_arguments *arguments);

#endif
