/* pub.c - push pub: one message from the command line, or one for each line of stdin. */
#include <stdio.h>
#include <string.h>

#include "core/utf8.h"
#include "login.h"
#include "pub.h"
#include "publish.h"
#include "say.h"
#include "server_url.h"

#define FROM_STDIN "-"

static bool
check(const struct cli_arguments *arguments, bool reads_stdin)
{
	const char *channel = arguments->words[0];

	if (reads_stdin && arguments->key) {
		say("--key is not supported with lines from stdin: each would need a key of its own");
		return false;
	}
	if (reads_stdin && arguments->wait) {
		say("--wait is not supported with lines from stdin");
		return false;
	}
	if (reads_stdin && arguments->token && !strcmp(arguments->token, FROM_STDIN)) {
		say("--token - is not supported with lines from stdin: name a file with --token @FILE");
		return false;
	}
	if (!push_utf8_is_valid(channel, strlen(channel)) ||
		(arguments->ttl && !push_utf8_is_valid(arguments->ttl, strlen(arguments->ttl)))) {
		say("the channel and --ttl must be UTF-8");
		return false;
	}
	return true;
}

enum cli_exit
pub_run(const struct cli_arguments *arguments)
{
	bool reads_stdin = !strcmp(arguments->words[1], FROM_STDIN);
	enum cli_exit code = CLI_NO;
	struct login login;
	struct loop loop;
	struct url url;

	if (!check(arguments, reads_stdin) || !server_url(arguments, &url) ||
		!login_begin(&login, arguments, LOGIN_PUBLISH))
		return CLI_USAGE;
	if (loop_init(&loop))
		code = reads_stdin ? publish_lines(&loop, &url, &login) : publish_one(&loop, &url, &login);
	loop_fini(&loop);
	login_end(&login);
	if (code == CLI_UNREACHABLE)
		server_url_hint(arguments);
	return code;
}
