/* settings.h - what pushd's command line says. */
#ifndef PUSHD_SETTINGS_H
#define PUSHD_SETTINGS_H

#include <stdbool.h>

struct log;

struct settings {
	const char *config;  /* folder with conf and conf.d/ */
	const char *plugins; /* NULL: as the configuration says */
	const char *mounts;  /* NULL: likewise */
	const char *lwsws;   /* program, in PATH if it has no slash; NULL: the package's, or "lwsws" */
	const char *run_dir; /* where the rendered configuration goes; NULL: the usual places */
	int workers;         /* 0: as many as fit */
	const char *health;  /* what to ask a running Push; NULL: nothing */
	bool check;
	char **arguments; /* all of them, as they were given, the program's name first */
	struct log *log;  /* of all that pushd says */
};

#endif
