/* local_config.c - see local_config.h. */
#include "local_config.h"

struct settings
local_config_settings(const struct cli_arguments *arguments)
{
	return (struct settings){.config = arguments->config ? arguments->config : LOCAL_CONFIG_DEFAULT,
		.plugins = arguments->plugins,
		.mounts = arguments->mounts};
}
