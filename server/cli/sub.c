/* sub.c - push sub: prints the messages of channels, whatever happens to the connection (session.h). */
#include <string.h>

#include "login.h"
#include "say.h"
#include "server_url.h"
#include "session.h"
#include "sub.h"

static void
on_signal(void *owner)
{
	struct session *session = owner;

	session->is_ending = true;
	loop_stop(session->loop);
}

static bool
check(const struct cli_arguments *arguments)
{
	if (arguments->name && arguments->sse) {
		say("--name is not supported with --sse: an event stream cannot acknowledge");
		return false;
	}
	if (arguments->from && strlen(arguments->from) > CLI_ID_BYTES_MAX) {
		say("--from: must be an id of up to %d bytes", CLI_ID_BYTES_MAX);
		return false;
	}
	for (size_t i = 0; i < arguments->word_count; i++)
		if (strchr(arguments->words[i], ',')) {
			say("'%s': a channel name must not contain a comma; give each channel as a word of "
			    "its own",
				arguments->words[i]);
			return false;
		}
	return true;
}

enum cli_exit
sub_run(const struct cli_arguments *arguments)
{
	struct login login;
	struct session session = {.login = &login, .arguments = &login.arguments, .exit_code = CLI_DONE};
	enum cli_exit code = CLI_NO;
	struct loop loop;
	struct url url;

	if (!check(arguments) || !server_url(arguments, &url) || !login_begin(&login, arguments, LOGIN_SUBSCRIBE))
		return CLI_USAGE;
	if (loop_init(&loop)) {
		session.loop = &loop;
		session.url = &url;
		if (arguments->from)
			strcpy(session.id, arguments->from);
		loop.on_signal = on_signal;
		code = session_run(&session);
	}
	loop_fini(&loop);
	login_end(&login);
	if (code == CLI_UNREACHABLE)
		server_url_hint(arguments);
	return code;
}
