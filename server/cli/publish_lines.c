/*
 * publish_lines.c - see publish.h: lines from stdin.
 *
 * What stdin has at the moment, up to CLI_BATCH_LINES_MAX lines, is one request of application/x-ndjson; the
 * next one follows when its answers have come.  So a line that is typed is published at once, a file goes by
 * the thousand, no proxy and no TLS has to pass a body without an end, no body stalls while stdin is quiet
 * (the server allows 4 s), and after an error it is known which lines have been published.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/jsonscan.h"
#include "http.h"
#include "publish.h"
#include "say.h"

#define READ_BYTES          65536
#define STATUS_TOO_LARGE    413
#define STATUS_UNAUTHORIZED 401
#define CONTENT_TYPE        "application/x-ndjson"
#define BATCH_BUF_BYTES_MAX (CLI_LINE_BYTES_MAX + CLI_BATCH_BYTES_MAX)

struct lines {
	struct loop *loop;
	const struct url *url;
	struct login *login;
	const struct cli_arguments *arguments; /* the login's */
	struct push_buf in;                    /* read, and not published yet */
	size_t used;                           /* of `in` */
	struct push_buf batch;                 /* the request's body */
	size_t batch_max;                      /* lines of one request: fewer where the server takes fewer */
	uint64_t numbers[CLI_BATCH_LINES_MAX];
	size_t count;
	uint64_t line;
	bool is_at_end, is_unauthorized; /* is_unauthorized: of a batch or a line */
	enum cli_exit code;
};

/* Appends what there is; false: a signal, or an error. */
static bool
read_more(struct lines *lines)
{
	char piece[READ_BYTES];
	ssize_t size;

	if (!loop_await_input(lines->loop, STDIN_FILENO))
		return false;
	size = read(STDIN_FILENO, piece, sizeof(piece));
	if (size < 0 && errno == EINTR)
		return true;
	if (size < 0) {
		say("stdin: %s", strerror(errno));
		lines->code = CLI_NO;
		return false;
	}
	if (lines->used) {
		memmove(lines->in.bytes, lines->in.bytes + lines->used, lines->in.size - lines->used);
		lines->in.size -= lines->used;
		lines->used = 0;
	}
	lines->is_at_end = !size;
	push_buf_append(&lines->in, piece, (size_t)size);
	if (lines->in.status == PUSH_OK)
		return true;
	say("stdin: line %llu is longer than %u bytes", (unsigned long long)lines->line + 1,
		CLI_LINE_BYTES_MAX);
	lines->code = CLI_USAGE;
	return false;
}

/* The next whole line, or what is left at the end; NULL: there is none yet. */
static const char *
next_line(struct lines *lines, size_t *ret_size)
{
	const char *start, *newline;

	if (lines->used == lines->in.size)
		return NULL;
	start = lines->in.bytes + lines->used;
	newline = memchr(start, '\n', lines->in.size - lines->used);
	if (!newline && !lines->is_at_end)
		return NULL;
	*ret_size = newline ? (size_t)(newline - start) : lines->in.size - lines->used;
	lines->used += *ret_size + (newline != NULL);
	if (*ret_size && start[*ret_size - 1] == '\r')
		(*ret_size)--;
	return start;
}

static void
fill_batch(struct lines *lines)
{
	size_t size;

	push_buf_clear(&lines->batch);
	lines->count = 0;
	while (lines->count < lines->batch_max && lines->batch.size < CLI_BATCH_BYTES_MAX) {
		const char *line = next_line(lines, &size), *wrong;
		size_t before = lines->batch.size;

		if (!line)
			break;
		lines->line++;
		if (lines->arguments->json && push_json_is_blank(line, size))
			continue;
		wrong = publish_append(&lines->batch, lines->arguments, line, size);
		if (wrong) {
			say("line %llu: the message %s", (unsigned long long)lines->line, wrong);
			lines->batch.size = before;
			lines->batch.status = PUSH_OK;
			lines->code = CLI_REFUSED;
			continue;
		}
		push_buf_append(&lines->batch, "\n", 1);
		lines->numbers[lines->count++] = lines->line;
	}
}

/* One line of the answer: {"subscribers":1}, or {"error":"...","status":400}. */
static void
take_answer(struct lines *lines, uint64_t number, const char *text, size_t size)
{
	struct push_json_member members[] = {{.name = "error"}, {.name = "status"}};
	struct push_error error;

	if (push_json_scan_object(text, size, members, 2, &error) != PUSH_OK) {
		say("line %llu: the answer is not JSON: is that Push?", (unsigned long long)number);
		lines->code = CLI_BROKEN;
	} else if (members[0].text) {
		int status = members[1].text ? (int)strtol(members[1].text, NULL, 10) : 0;

		say("line %llu: %d: %.*s", (unsigned long long)number, status, (int)members[0].size,
			members[0].text);
		lines->is_unauthorized = lines->is_unauthorized || status == STATUS_UNAUTHORIZED;
		lines->code = status >= 500 || status == 408 || status == 409 ? CLI_UNAVAILABLE : CLI_REFUSED;
	} else {
		printf("%.*s\n", (int)size, text);
	}
}

static void
take_answers(struct lines *lines, const struct http_answer *answer)
{
	const char *at = answer->body.size ? answer->body.bytes : "", *end = at + answer->body.size;
	size_t i;

	for (i = 0; i < lines->count && at < end; i++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		size_t size = newline ? (size_t)(newline - at) : (size_t)(end - at);

		take_answer(lines, lines->numbers[i], at, size);
		at += size + (newline != NULL);
	}
	fflush(stdout);
	if (i == lines->count)
		return;
	say("line %llu: no answer: it may have been published", (unsigned long long)lines->numbers[i]);
	lines->code = CLI_UNAVAILABLE;
}

/* None of the batch was published, and it can be sent in another way: fewer lines, or another token. */
static bool
is_to_be_repeated(struct lines *lines, const struct http_answer *answer)
{
	if (answer->result != HTTP_ANSWERED)
		return false;
	if (answer->status == STATUS_UNAUTHORIZED)
		return login_renew(lines->login);
	if (answer->status != STATUS_TOO_LARGE || lines->count < 2)
		return false;
	lines->batch_max = lines->count / 2;
	return true;
}

/* Returns false when nothing further can be sent. */
static bool
send_batch(struct lines *lines, size_t begin, uint64_t line)
{
	struct http_request request = {.method = "POST",
		.path = "/messages",
		.content_type = CONTENT_TYPE,
		.body = lines->batch.bytes,
		.body_size = lines->batch.size};
	struct http_answer answer;
	bool goes_on = true;

	http_ask(lines->loop, lines->url, lines->arguments->headers, &request, &answer);
	if (answer.result == HTTP_ANSWERED && answer.status >= 200 && answer.status < 300) {
		take_answers(lines, &answer);
	} else if (is_to_be_repeated(lines, &answer)) {
		lines->used = begin;
		lines->line = line;
	} else if (answer.result != HTTP_STOPPED) {
		enum cli_exit code = http_report(lines->url, &answer);

		lines->is_unauthorized = answer.status == STATUS_UNAUTHORIZED;
		say("lines %llu to %llu were %s", (unsigned long long)lines->numbers[0],
			(unsigned long long)lines->numbers[lines->count - 1],
			answer.result == HTTP_LOST ? "sent: they may have been published" : "not published");
		goes_on = answer.result == HTTP_ANSWERED && answer.status == STATUS_TOO_LARGE;
		lines->code = code;
	}
	http_answer_fini(&answer);
	return goes_on && !lines->loop->signal;
}

enum cli_exit
publish_lines(struct loop *loop, const struct url *url, struct login *login)
{
	struct lines *lines = calloc(1, sizeof(*lines));
	enum cli_exit code;
	bool goes_on = lines != NULL;

	if (!lines)
		return CLI_NO;
	*lines = (struct lines){.loop = loop,
		.url = url,
		.login = login,
		.arguments = &login->arguments,
		.batch_max = CLI_BATCH_LINES_MAX};
	push_buf_init(&lines->in, CLI_LINE_BYTES_MAX);
	push_buf_init(&lines->batch, 2ul * BATCH_BUF_BYTES_MAX);
	while (goes_on) {
		size_t begin = lines->used;
		uint64_t line = lines->line;

		fill_batch(lines);
		if (lines->count)
			goes_on = send_batch(lines, begin, line);
		else if (lines->is_at_end && lines->used == lines->in.size)
			break;
		else
			goes_on = read_more(lines);
	}
	login_hint(login, lines->is_unauthorized ? STATUS_UNAUTHORIZED : 0);
	code = lines->code;
	push_buf_fini(&lines->in);
	push_buf_fini(&lines->batch);
	free(lines);
	return code;
}
