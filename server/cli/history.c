/*
 * history.c - push history: what is kept of a channel, page by page, the oldest first.
 *
 * The server reads on behind an id; up to which one is decided here, since ids are opaque and only the server
 * knows which is the older one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "history.h"
#include "login.h"
#include "http.h"
#include "message.h"
#include "say.h"
#include "server_url.h"

struct reading {
	const struct login *login;
	const struct cli_arguments *arguments;
	struct push_json_member channel;
	uint64_t printed;
	char since[CLI_ID_BYTES_MAX + 1];
	bool is_over, has_more;
};

static void
write_path(const struct reading *reading, struct push_buf *path)
{
	uint64_t left = reading->arguments->limit ? reading->arguments->limit - reading->printed
						  : CLI_PAGE_MESSAGES_MAX;

	push_buf_clear(path);
	push_buf_append_text(path, "/messages?channel=");
	url_append_encoded(path, reading->arguments->words[0]);
	if (reading->since[0]) {
		push_buf_append_text(path, "&since=");
		url_append_encoded(path, reading->since);
	}
	push_buf_printf(path, "&limit=%u",
		(unsigned int)(left < CLI_PAGE_MESSAGES_MAX ? left : CLI_PAGE_MESSAGES_MAX));
	push_buf_append(path, "", 1);
}

/* One element of `messages`: {"message":...,"id":"..."}. */
static void
take_element(struct reading *reading, const char *text, size_t size)
{
	struct push_json_member members[] = {{.name = "message"}, {.name = "id"}};
	char id[CLI_ID_BYTES_MAX + 1];
	struct push_error error;
	struct message message;

	if (push_json_scan_object(text, size, members, 2, &error) != PUSH_OK || !members[0].text)
		return;
	message_text(&members[1], id, sizeof(id));
	if (reading->arguments->before && !strcmp(id, reading->arguments->before)) {
		reading->is_over = true;
		return;
	}
	message = (struct message){.channel = reading->channel, .value = members[0], .id = id};
	message_print(&message, reading->arguments->json);
	reading->printed++;
	if (reading->printed == reading->arguments->limit)
		reading->is_over = true;
}

static void
say_missed(const struct reading *reading, const struct push_json_member *missed)
{
	if (!missed->text || (missed->size == 1 && missed->text[0] == '0'))
		return;
	if (push_json_is_string(missed))
		say("gap: messages of %s may be missing", reading->arguments->words[0]);
	else
		say("gap: %.*s messages of %s are missing", (int)missed->size, missed->text,
			reading->arguments->words[0]);
}

/* Returns false when the answer is not what Push answers. */
static bool
take_page(struct reading *reading, const struct push_buf *body)
{
	struct push_json_member members[] = {{.name = "channel"}, {.name = "messages"}, {.name = "missed"},
		{.name = "id"}, {.name = "more"}};
	const char *at, *end, *text;
	struct push_error error;
	size_t size;

	if (!body->size || push_json_scan_object(body->bytes, body->size, members, 5, &error) != PUSH_OK ||
		!push_json_is_string(&members[0]) || !members[1].text || members[1].text[0] != '[')
		return false;
	reading->channel = members[0];
	say_missed(reading, &members[2]);
	at = members[1].text;
	end = at + members[1].size;
	while (!reading->is_over && push_json_next_element(&at, end, &text, &size))
		take_element(reading, text, size);
	message_text(&members[3], reading->since, sizeof(reading->since));
	reading->has_more = members[4].text && members[4].size == 4 && reading->since[0];
	return true;
}

static enum cli_exit
read_page(struct reading *reading, struct loop *loop, const struct url *url)
{
	enum cli_exit code = CLI_DONE;
	struct http_request request = {.method = "GET"};
	struct http_answer answer;
	struct push_buf path;

	push_buf_init(&path, CLI_TARGET_BYTES_MAX);
	write_path(reading, &path);
	if (path.status != PUSH_OK) {
		say("the channel name and the id are too long for a request");
		push_buf_fini(&path);
		return CLI_USAGE;
	}
	request.path = path.bytes;
	http_ask(loop, url, reading->arguments->headers, &request, &answer);
	if (answer.result != HTTP_ANSWERED || answer.status != 200) {
		code = http_report(url, &answer);
		login_hint(reading->login, answer.status);
	} else if (!take_page(reading, &answer.body)) {
		say("%s: the answer is not a history: is that Push?", url->text);
		code = CLI_BROKEN;
	}
	http_answer_fini(&answer);
	push_buf_fini(&path);
	return code;
}

static enum cli_exit
read_all(struct reading *reading, struct loop *loop, const struct url *url)
{
	enum cli_exit code;

	do {
		code = read_page(reading, loop, url);
	} while (code == CLI_DONE && reading->has_more && !reading->is_over && !loop->signal);
	if (code == CLI_DONE && reading->arguments->before && !reading->is_over && !loop->signal) {
		say("--before %s: no kept message of %s has this id", reading->arguments->before,
			reading->arguments->words[0]);
		code = CLI_REFUSED;
	}
	if (fflush(stdout) && code == CLI_DONE)
		code = CLI_NO;
	return code;
}

enum cli_exit
history_run(const struct cli_arguments *arguments)
{
	struct login login;
	struct reading reading = {.login = &login, .arguments = &login.arguments};
	enum cli_exit code = CLI_NO;
	struct loop loop;
	struct url url;

	if (!server_url(arguments, &url))
		return CLI_USAGE;
	if (arguments->from && strlen(arguments->from) > CLI_ID_BYTES_MAX) {
		say("--from: must be an id of up to %d bytes", CLI_ID_BYTES_MAX);
		return CLI_USAGE;
	}
	if (!login_begin(&login, arguments, LOGIN_SUBSCRIBE))
		return CLI_USAGE;
	if (arguments->from)
		strcpy(reading.since, arguments->from);
	if (loop_init(&loop))
		code = read_all(&reading, &loop, &url);
	loop_fini(&loop);
	login_end(&login);
	if (code == CLI_UNREACHABLE)
		server_url_hint(arguments);
	return code;
}
