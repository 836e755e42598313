/* vhost_options.c - see vhost_options.h. */
#include <stdbool.h>
#include <string.h>

#include "lwsio/vhost_options.h"

#define OPTION_NAME_BYTES_MAX 64

extern char **environ;

/* What lws itself understands in a protocol's options. */
static bool
is_of_lws(const char *name)
{
	return !strcmp(name, "status") || !strcmp(name, "default") || !strcmp(name, "raw");
}

/*
 * lwsws cuts the name of an option at its first dot, so in its JSON push.drain.duration is written
 * push-drain-duration.  pushd, which reads the JSON first, takes both.
 */
static enum push_status
set_option(struct push_options *options, const struct lws_protocol_vhost_options *given,
	struct push_error *error)
{
	char name[OPTION_NAME_BYTES_MAX];
	size_t i;

	if (!strcmp(given->name, "push")) {
		lws_snprintf(error->text, sizeof(error->text),
			"an option of push-broker with the value %.*s has a dot in its name, which lwsws "
			"does not support: write push-drain-duration for push.drain.duration",
			PUSH_ERROR_QUOTE_BYTES_MAX, given->value);
		return PUSH_INVALID;
	}
	for (i = 0; i + 1 < sizeof(name) && given->name[i]; i++)
		name[i] = given->name[i] == '-' ? '.' : given->name[i];
	name[i] = '\0';
	return push_options_set(options, name, given->value, error);
}

enum push_status
push_vhost_options_read(struct push_options *options, const struct lws_protocol_vhost_options *given,
	char *shared_vhost, size_t shared_vhost_size, struct push_error *error)
{
	enum push_status status = PUSH_OK;

	push_options_init(options);
	for (; given && status == PUSH_OK; given = given->next) {
		if (is_of_lws(given->name))
			continue;
		if (!strcmp(given->name, "push-broker-vhost"))
			lws_strncpy(shared_vhost, given->value, shared_vhost_size);
		else
			status = set_option(options, given, error);
	}
	if (status == PUSH_OK)
		status = push_options_set_from_environment(options, environ, error);
	if (status == PUSH_OK)
		status = push_options_check(options, error);
	return status;
}
