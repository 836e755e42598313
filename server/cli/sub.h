/* sub.h - push sub. */
#ifndef PUSH_CLI_SUB_H
#define PUSH_CLI_SUB_H

#include "arguments.h"

enum cli_exit
sub_run(const struct cli_arguments *arguments);

#endif
