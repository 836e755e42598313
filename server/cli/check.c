/* check.c - push check: what pushd --check does, with the same code. */
#include <stdio.h>
#include <time.h>

#include "check.h"
#include "config.h"
#include "config_tls.h"
#include "local_config.h"
#include "say.h"
#include "worker_count.h"

enum cli_exit
check_run(const struct cli_arguments *arguments)
{
	struct settings settings = local_config_settings(arguments);
	struct config *config = NULL;
	struct push_error error;
	size_t workers;
	bool is_valid = false;

	if (worker_count_from_environment(&settings, &error) == PUSH_OK)
		config = config_open(&settings, &error);
	if (config)
		is_valid = worker_count_decide(&settings, config, &workers, &error) == PUSH_OK;
	if (is_valid && config_tls_expires(config, time(NULL), &error))
		say("%s", error.text);
	config_close(config);
	if (!is_valid) {
		say("%s", error.text);
		return CLI_NO;
	}
	printf("%s: configuration is valid\n", settings.config);
	return CLI_DONE;
}
