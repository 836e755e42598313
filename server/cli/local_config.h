/* local_config.h - the configuration on this machine, read as pushd reads it (server/config.h). */
#ifndef PUSH_CLI_LOCAL_CONFIG_H
#define PUSH_CLI_LOCAL_CONFIG_H

#include "arguments.h"
#include "settings.h"

#define LOCAL_CONFIG_DEFAULT "/etc/push"

/* local_config_settings - what pushd would be told; `arguments` are borrowed. */
struct settings
local_config_settings(const struct cli_arguments *arguments);

#endif
