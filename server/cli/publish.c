/* publish.c - see publish.h: one message. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "core/backoff.h"
#include "core/json.h"
#include "core/jsonscan.h"
#include "core/utf8.h"
#include "http.h"
#include "publish.h"
#include "say.h"

const char *
publish_append(struct push_buf *to, const struct cli_arguments *arguments, const char *message, size_t size)
{
	bool is_compact;

	if (!push_utf8_is_valid(message, size))
		return "must be UTF-8";
	if (arguments->json && !push_json_scan_value(message, size, &is_compact))
		return "must be JSON";
	push_buf_append_text(to, "{\"channel\":");
	push_json_append_string(to, arguments->words[0], strlen(arguments->words[0]));
	push_buf_append_text(to, ",\"message\":");
	if (arguments->json)
		push_json_append_compact(to, message, size);
	else
		push_json_append_string(to, message, size);
	if (arguments->ttl) {
		push_buf_append_text(to, ",\"ttl\":");
		push_json_append_string(to, arguments->ttl, strlen(arguments->ttl));
	}
	push_buf_append_text(to, "}");
	return to->status == PUSH_OK ? NULL : "is too large";
}

/* With a key a repeat publishes nothing twice, whatever became of the request before it. */
static bool
is_worth_a_repeat(const struct cli_arguments *arguments, const struct http_answer *answer)
{
	if (!arguments->key)
		return false;
	if (answer->result == HTTP_ANSWERED)
		return answer->status == 503 || answer->status == 409;
	return answer->result == HTTP_LOST;
}

/* Returns false when a signal has come. */
static bool
wait_to_repeat(struct loop *loop, const struct http_answer *answer, unsigned int tries, uint64_t *random)
{
	uint64_t pause = push_backoff_us(tries, CLI_RETRY_FIRST_US, CLI_RETRY_LAST_US, random);
	char text[256];

	if (pause < answer->retry_after_s * 1000000ull)
		pause = answer->retry_after_s * 1000000ull;
	say("%s; sending it again in %.1f s",
		answer->result == HTTP_ANSWERED ? http_error_text(answer, text, sizeof(text)) : answer->why,
		(double)pause / 1e6);
	loop_pause(loop, pause);
	return !loop->signal;
}

static enum cli_exit
send_one(struct loop *loop, const struct url *url, const struct login *login,
	const struct http_request *request)
{
	const struct cli_arguments *arguments = &login->arguments;
	enum cli_exit code = CLI_DONE;
	struct http_answer answer;
	uint64_t random;
	bool again;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random) || !random)
		random = 1;
	for (unsigned int tries = 0;; tries++) {
		http_ask(loop, url, arguments->headers, request, &answer);
		again = tries + 1 < CLI_PUBLISH_TRIES_MAX && is_worth_a_repeat(arguments, &answer) &&
			wait_to_repeat(loop, &answer, tries, &random);
		if (!again)
			break;
		http_answer_fini(&answer);
	}
	if (answer.result == HTTP_ANSWERED && answer.status >= 200 && answer.status < 300)
		printf("%s\n", answer.body.size ? answer.body.bytes : "");
	else {
		code = http_report(url, &answer);
		login_hint(login, answer.status);
	}
	http_answer_fini(&answer);
	return code;
}

enum cli_exit
publish_one(struct loop *loop, const struct url *url, const struct login *login)
{
	const struct cli_arguments *arguments = &login->arguments;
	const char *message = arguments->words[1], *wrong;
	struct http_request request = {.method = "POST",
		.path = arguments->wait ? "/messages?wait=written" : "/messages",
		.content_type = "application/json",
		.key = arguments->key};
	enum cli_exit code = CLI_USAGE;
	struct push_buf body;

	push_buf_init(&body, CLI_MESSAGE_BYTES_MAX);
	wrong = publish_append(&body, arguments, message, strlen(message));
	if (wrong) {
		say("the message %s", wrong);
	} else {
		request.body = body.bytes;
		request.body_size = body.size;
		code = send_one(loop, url, login, &request);
	}
	push_buf_fini(&body);
	return code;
}
