/*
 * pushload - a load tool for push servers, and their judge: it loads, measures and checks.
 *
 *   options    what to do             scenario   the phases, one after the other
 *   fleet      all subscribers        subscriber one of them; ws, sse, resp, response, tracker: what it reads
 *   wire       the bytes: TCP or TLS h2         HTTP/2 connections, whose streams are subscribers
 *   load       when to publish        publisher  one connection that does
 *   crowd      those that leave, stall or arrive in the middle, in a process of their own
 *   process    what the server costs  histogram, report: what is told
 *
 * One thread.  On a machine with few cores a second one would take from the server what it gives to the tool;
 * `tool` in the report says how busy it was, so that its limit is not taken for the server's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "report.h"

static int
write_json(const struct scenario *scenario, const char *path)
{
	FILE *file = strcmp(path, "-") ? fopen(path, "ae") : stdout;

	if (!file) {
		fprintf(stderr, "pushload: --json %s: %s\n", path, strerror(errno));
		return -1;
	}
	report_json(file, scenario);
	return file == stdout ? fflush(file) : fclose(file);
}

int
main(int argc, char **argv)
{
	/* Static: the histograms in it are larger than a stack frame should be. */
	static struct scenario scenario;
	static struct options options;
	int status = 2;

	options_parse(&options, argc, argv);
	if (!scenario_run(&scenario, &options)) {
		report_table(options.json && !strcmp(options.json, "-") ? stderr : stdout, &scenario);
		status = scenario_faults(&scenario) ? 1 : 0;
		if (options.json && write_json(&scenario, options.json))
			status = 2;
	}
	scenario_fini(&scenario);
	return status;
}
