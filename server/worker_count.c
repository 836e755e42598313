/* worker_count.c - see worker_count.h. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "cpu_limit.h"
#include "worker_count.h"

enum push_status
worker_count_parse(const char *name, const char *text, int *ret, struct push_error *error)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (!*text || *end || value < 1 || value > WORKER_COUNT_MAX) {
		snprintf(error->text, sizeof(error->text), "%s %.*s: not a number from 1 to %d", name,
			PUSH_ERROR_QUOTE_BYTES_MAX, text, WORKER_COUNT_MAX);
		return PUSH_INVALID;
	}
	*ret = (int)value;
	return PUSH_OK;
}

enum push_status
worker_count_from_environment(struct settings *settings, struct push_error *error)
{
	const char *text = getenv(WORKER_COUNT_VARIABLE);
	enum push_status status = PUSH_OK;

	if (text && *text && !settings->workers)
		status = worker_count_parse(WORKER_COUNT_VARIABLE, text, &settings->workers, error);
	unsetenv(WORKER_COUNT_VARIABLE);
	return status;
}

static size_t
count_cpus(void)
{
	cpu_set_t allowed;
	size_t count = sched_getaffinity(0, sizeof(allowed), &allowed) ? 1 : (size_t)CPU_COUNT(&allowed);
	size_t limit = cpu_limit_read("");

	/* more than the time is enough for would only take it from each other */
	return limit && limit < count ? limit : count;
}

enum push_status
worker_count_decide(
	const struct settings *settings, const struct config *config, size_t *ret, struct push_error *error)
{
	size_t most = config->options.redis_url[0] ? WORKER_COUNT_MAX : WORKER_COUNT_EMBEDDED_MAX;

	*ret = settings->workers ? (size_t)settings->workers : count_cpus();
	if (*ret <= most)
		return PUSH_OK;
	if (!settings->workers) {
		*ret = most;
		return PUSH_OK;
	}
	snprintf(error->text, sizeof(error->text),
		"--workers %d (or " WORKER_COUNT_VARIABLE
		"): the embedded broker has room for %zu; for more, use Redis (push.redis.url)",
		settings->workers, most);
	return PUSH_INVALID;
}
