/*
 * report.h - what a run has shown: a table for people, a line of JSON for programs.
 */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdio.h>

#include "scenario.h"

/* report_table - for people. */
void report_table(FILE *to, const struct scenario *scenario);

/* report_json - one object on one line. */
void report_json(FILE *to, const struct scenario *scenario);

#endif
