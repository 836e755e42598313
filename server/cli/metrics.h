/* metrics.h - samples of a text in Prometheus' exposition format, as Push's management port answers it. */
#ifndef PUSH_CLI_METRICS_H
#define PUSH_CLI_METRICS_H

#include <stdbool.h>

/* metrics_has - whether there is a sample of this name. */
bool
metrics_has(const char *text, const char *name);

/* metrics_value - of one sample, its labels as they stand there: push_connections{transport="ws"}; 0: there
 * is none. */
double
metrics_value(const char *text, const char *sample);

/* metrics_sum - of all samples of a name, whatever their labels. */
double
metrics_sum(const char *text, const char *name);

/* metrics_label - a label of the first sample of a name; "" where there is none.  Returns `to`. */
const char *
metrics_label(const char *text, const char *name, const char *label, char *to, int size);

/*
 * metrics_quantile - of what a histogram without other labels has counted between two texts: the upper bound
 * of the bucket that has it; 0 where nothing was counted, INFINITY beyond the last bound.
 */
double
metrics_quantile(const char *before, const char *after, const char *name, double quantile);

/* metrics_next - goes through the samples of a name: *at is the text at first.  Returns the label's value in
 * `to`. */
bool
metrics_next(const char **at, const char *name, const char *label, char *to, int size, double *ret_value);

#endif
