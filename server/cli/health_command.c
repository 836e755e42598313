/*
 * health_command.c - push health: of the server on this machine as pushd --health asks it (server/health.h),
 * or of any other one by the URL of its management port.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "health.h"
#include "health_command.h"
#include "http.h"
#include "local_config.h"
#include "login.h"
#include "say.h"
#include "server_url.h"

static enum cli_exit
ask(struct loop *loop, const struct url *url, const char *const *headers, const char *path)
{
	struct http_request request = {.method = "GET", .path = path};
	enum cli_exit code = CLI_NO;
	struct http_answer answer;

	http_ask(loop, url, headers, &request, &answer);
	if (answer.result == HTTP_ANSWERED && health_says_up(answer.body.size ? answer.body.bytes : "")) {
		printf("%s\n", answer.body.bytes);
		code = CLI_DONE;
	} else if (answer.result == HTTP_ANSWERED && answer.status == 503) {
		printf("%s\n", answer.body.size ? answer.body.bytes : "");
		say("%s%s: answered 503", url->text, path);
	} else if (answer.result == HTTP_ANSWERED && answer.status == 200) {
		say("%s%s: answered 200 without {\"status\":\"UP\"}: is that Push?", url->text, path);
		code = CLI_BROKEN;
	} else {
		code = http_report(url, &answer);
	}
	http_answer_fini(&answer);
	return code;
}

static enum cli_exit
ask_url(const struct cli_arguments *arguments, const char *path)
{
	enum cli_exit code = CLI_NO;
	struct login login;
	struct loop loop;
	struct url url;

	if (!server_url_management(arguments, &url) || !login_begin(&login, arguments, LOGIN_MANAGEMENT))
		return CLI_USAGE;
	if (loop_init(&loop))
		code = ask(&loop, &url, login.arguments.headers, path);
	loop_fini(&loop);
	login_end(&login);
	return code;
}

static enum cli_exit
ask_here(const struct cli_arguments *arguments, const char *question)
{
	struct settings settings = local_config_settings(arguments);
	struct push_error error;

	settings.health = question;
	if (health_ask(&settings, &error) == PUSH_OK)
		return CLI_DONE;
	say("%s", error.text);
	return CLI_NO;
}

enum cli_exit
health_command_run(const struct cli_arguments *arguments)
{
	const char *question = arguments->word_count ? arguments->words[0] : "ready";
	const char *path = health_path(question), *set = getenv(MANAGEMENT_URL_VARIABLE);
	bool is_asked_by_url = arguments->management || arguments->token || arguments->headers[0];

	if (!path) {
		say("health %s: must be live or ready", question);
		return CLI_USAGE;
	}
	if (arguments->config && is_asked_by_url) {
		say("--config is not supported with --management, --token and --header");
		return CLI_USAGE;
	}
	if (arguments->config)
		return ask_here(arguments, question);
	if (is_asked_by_url || (set && *set) || access(LOCAL_CONFIG_DEFAULT "/conf", F_OK))
		return ask_url(arguments, path);
	return ask_here(arguments, question);
}
