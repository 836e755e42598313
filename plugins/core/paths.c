/* paths.c - see paths.h. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "paths.h"
#include "similar_name.h"

static const struct {
	const char *path;
	enum push_port port;
} known[] = {
	{PUSH_PATH_PUBLISH, PUSH_PORT_CLIENTS},
	{PUSH_PATH_SSE, PUSH_PORT_CLIENTS},
	{PUSH_PATH_WS, PUSH_PORT_CLIENTS},
	{PUSH_PATH_ACTUATOR, PUSH_PORT_OPERATORS},
	{PUSH_PATH_HEALTH, PUSH_PORT_OPERATORS},
	{PUSH_PATH_LIVENESS, PUSH_PORT_OPERATORS},
	{PUSH_PATH_READINESS, PUSH_PORT_OPERATORS},
	{PUSH_PATH_PROMETHEUS, PUSH_PORT_OPERATORS},
	{PUSH_PATH_SHORT_METRICS, PUSH_PORT_OPERATORS},
	{PUSH_PATH_METRICS, PUSH_PORT_OPERATORS},
	{PUSH_PATH_CHANNELS, PUSH_PORT_OPERATORS},
	{PUSH_PATH_LOGGERS, PUSH_PORT_OPERATORS},
	{PUSH_PATH_LOGGER, PUSH_PORT_OPERATORS},
	{PUSH_PATH_REVOKE, PUSH_PORT_OPERATORS},
	{PUSH_PATH_DISCONNECT, PUSH_PORT_OPERATORS},
};

bool
push_path_is_end(const char *rest)
{
	return !rest[0] || (rest[0] == '/' && !rest[1]);
}

bool
push_path_is(const char *path, const char *wanted)
{
	size_t size = strlen(wanted);

	return !strncmp(path, wanted, size) && push_path_is_end(path + size);
}

/* The words of a path are compared as those of an option are. */
static void
to_name(const char *path, char to[PUSH_PATH_BYTES_MAX])
{
	size_t size = 0;

	path += strspn(path, "/");
	while (path[size] && size + 1 < PUSH_PATH_BYTES_MAX) {
		to[size] = path[size];
		if (to[size] == '/')
			to[size] = '.';
		size++;
	}
	while (size && to[size - 1] == '.')
		size--;
	to[size] = '\0';
}

/* Returns the index of the nearest one, or -1. */
static int
nearest(const char *path)
{
	char name[PUSH_PATH_BYTES_MAX], other[PUSH_PATH_BYTES_MAX];
	size_t distance, least = SIZE_MAX;
	int found = -1;

	to_name(path, name);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		to_name(known[i].path, other);
		if (!push_similar_name_distance(name, other, &distance) || distance >= least)
			continue;
		least = distance;
		found = (int)i;
	}
	return found;
}

bool
push_path_not_found(enum push_port port, const char *path, struct push_error *error)
{
	int found = strlen(path) < PUSH_PATH_BYTES_MAX ? nearest(path) : -1;
	const char *text = port == PUSH_PORT_OPERATORS ? "GET / lists what is here"
						       : PUSH_PATH_PUBLISH_HINT ", " PUSH_PATH_SUBSCRIBE_HINT;

	if (found < 0)
		snprintf(error->text, sizeof(error->text), "not found; %s", text);
	else if (known[found].port == port)
		snprintf(error->text, sizeof(error->text), "not found; did you mean %s?", known[found].path);
	else
		snprintf(error->text, sizeof(error->text), "not found here; %s is on the %s",
			known[found].path,
			port == PUSH_PORT_CLIENTS ? "management port (8000 by default)"
						  : "main port (8080 by default)");
	return found >= 0;
}
