/* bench.h - push bench. */
#ifndef PUSH_CLI_BENCH_H
#define PUSH_CLI_BENCH_H

#include "arguments.h"

enum cli_exit
bench_run(const struct cli_arguments *arguments);

#endif
