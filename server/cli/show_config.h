/* show_config.h - push config. */
#ifndef PUSH_CLI_SHOW_CONFIG_H
#define PUSH_CLI_SHOW_CONFIG_H

#include "arguments.h"

enum cli_exit
show_config_run(const struct cli_arguments *arguments);

#endif
