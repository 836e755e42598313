/* pub.h - push pub. */
#ifndef PUSH_CLI_PUB_H
#define PUSH_CLI_PUB_H

#include "arguments.h"

enum cli_exit
pub_run(const struct cli_arguments *arguments);

#endif
