/* top.h - push top. */
#ifndef PUSH_CLI_TOP_H
#define PUSH_CLI_TOP_H

#include "arguments.h"

enum cli_exit
top_run(const struct cli_arguments *arguments);

#endif
