/* metrics.c - see metrics.h.  A sample is a line NAME{LABELS} VALUE; a line that begins with # is a comment. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "metrics.h"

#define NAME_BYTES_MAX 128

/* The next sample of this name from `at` on; NULL: there is none. */
static const char *
find(const char *at, const char *name)
{
	size_t size = strlen(name);

	while (at && *at) {
		if (!strncmp(at, name, size) && (at[size] == ' ' || at[size] == '{'))
			return at;
		at = strchr(at, '\n');
		at += at != NULL;
	}
	return NULL;
}

static double
value_of(const char *sample)
{
	size_t size = strcspn(sample, "\n");
	const char *space = memrchr(sample, ' ', size);

	return space ? strtod(space, NULL) : 0;
}

bool
metrics_has(const char *text, const char *name)
{
	return find(text, name) != NULL;
}

double
metrics_value(const char *text, const char *sample)
{
	size_t size = strlen(sample);

	while (text && *text) {
		if (!strncmp(text, sample, size) && text[size] == ' ')
			return value_of(text);
		text = strchr(text, '\n');
		text += text != NULL;
	}
	return 0;
}

double
metrics_sum(const char *text, const char *name)
{
	double sum = 0;

	for (const char *at = find(text, name); at; at = find(at + 1, name))
		sum += value_of(at);
	return sum;
}

static bool
read_label(const char *sample, const char *label, char *to, int size)
{
	char wanted[NAME_BYTES_MAX];
	size_t line = strcspn(sample, "\n");
	const char *found;

	snprintf(wanted, sizeof(wanted), "%s=\"", label);
	found = memmem(sample, line, wanted, strlen(wanted));
	to[0] = '\0';
	if (!found)
		return false;
	found += strlen(wanted);
	snprintf(to, (size_t)size, "%.*s", (int)strcspn(found, "\"\n"), found);
	return true;
}

const char *
metrics_label(const char *text, const char *name, const char *label, char *to, int size)
{
	const char *sample = find(text, name);

	to[0] = '\0';
	if (sample)
		read_label(sample, label, to, size);
	return to;
}

bool
metrics_next(const char **at, const char *name, const char *label, char *to, int size, double *ret_value)
{
	const char *sample = find(*at, name);

	if (!sample || !read_label(sample, label, to, size))
		return false;
	*ret_value = value_of(sample);
	*at = sample + strcspn(sample, "\n");
	return true;
}

double
metrics_quantile(const char *before, const char *after, const char *name, double quantile)
{
	char bucket[NAME_BYTES_MAX], sample[NAME_BYTES_MAX * 2], bound[32];
	const char *at = after;
	double total, count;

	snprintf(sample, sizeof(sample), "%s_count", name);
	total = metrics_value(after, sample) - metrics_value(before, sample);
	if (total <= 0)
		return 0;
	snprintf(bucket, sizeof(bucket), "%s_bucket", name);
	while (metrics_next(&at, bucket, "le", bound, sizeof(bound), &count)) {
		snprintf(sample, sizeof(sample), "%s{le=\"%s\"}", bucket, bound);
		if (count - metrics_value(before, sample) >= quantile * total)
			return strcmp(bound, "+Inf") ? strtod(bound, NULL) : (double)INFINITY;
	}
	return (double)INFINITY;
}
