/* server_url.c - see server_url.h. */
#include <stdlib.h>

#include "say.h"
#include "server_url.h"

static bool
choose(const char *option, const char *given, const char *variable, const char *usual, struct url *ret_url)
{
	const char *set = getenv(variable);
	struct push_error error = {""};

	if (set && !*set)
		set = NULL;
	if (url_parse(ret_url, given ? option : variable,
		    given ? given
		    : set ? set
			  : usual,
		    &error) == PUSH_OK)
		return true;
	say("%s", error.text);
	return false;
}

bool
server_url(const struct cli_arguments *arguments, struct url *ret_url)
{
	return choose("--url", arguments->url, SERVER_URL_VARIABLE, SERVER_URL_DEFAULT, ret_url);
}

bool
server_url_management(const struct cli_arguments *arguments, struct url *ret_url)
{
	return choose("--management", arguments->management, MANAGEMENT_URL_VARIABLE, MANAGEMENT_URL_DEFAULT,
		ret_url);
}

void
server_url_hint(const struct cli_arguments *arguments)
{
	const char *set = getenv(SERVER_URL_VARIABLE);

	if (!arguments->url && !(set && *set))
		say("is Push running there? Start it, or set " SERVER_URL_VARIABLE
		    " (or --url) to another server");
}
