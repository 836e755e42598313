/* lines.c - see lines.h. */
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/jsonscan.h"
#include "core/limits.h"
#include "core/push_assert.h"
#include "lines.h"
#include "message.h"
#include "permission.h"

struct line {
	struct push_message message; /* first: the two are cast into each other */
	struct push_lines *lines;
	bool is_over;
};

struct push_lines {
	struct push_publisher *publisher;
	struct push_account *account; /* what it is charged to */
	void (*ready)(void *context); /* NULL: nobody waits any more */
	void *context;
	struct push_buf line;    /* the beginning of one */
	struct push_buf waiting; /* bytes that are not looked at yet, from `waiting_at` on */
	size_t waiting_at;
	struct push_buf answers;
	uint32_t head, count; /* of window */
	bool is_too_long;     /* the line that has begun */
	bool is_ended, is_working, has_parent;
	const struct push_identity *identity; /* a reference; NULL: they may be published nowhere */
	struct push_trace parent;             /* of all that do not bring their own */
	bool has_address;                     /* of the client; for limits */
	struct push_address address;
	bool has_asked; /* his request, for an application that is asked: */
	struct push_asked asked;
	struct push_permission
		*permission;  /* for the last line of the window; owned; NULL: none is waited for */
	struct push_buf kept; /* that line */
	struct line window[PUSH_LINES_UNANSWERED_MAX];
};

/* Answers that wait to be taken: of all lines of one feed and of the window. */
#define ANSWERS_BYTES_MAX (64u * 1024 * 1024)

struct push_lines *
push_lines_create(struct push_publisher *publisher, void (*ready)(void *context), void *context)
{
	struct push_lines *lines = malloc(sizeof(*lines));

	if (!lines)
		return NULL;
	lines->publisher = publisher;
	lines->ready = ready;
	lines->context = context;
	push_buf_init(&lines->line, publisher->options->message_bytes_max);
	push_buf_init(&lines->waiting, SIZE_MAX);
	push_buf_init(&lines->answers, ANSWERS_BYTES_MAX);
	lines->account = &publisher->memory->accounts[PUSH_MEMORY_REQUESTS];
	push_buf_init(&lines->kept, SIZE_MAX); /* of a line, which is bounded */
	push_buf_charge(&lines->line, lines->account);
	push_buf_charge(&lines->kept, lines->account);
	push_buf_charge(&lines->waiting, lines->account);
	push_buf_charge(&lines->answers, lines->account);
	push_account_add(lines->account, sizeof(*lines));
	lines->identity = NULL;
	lines->waiting_at = 0;
	lines->permission = NULL;
	lines->has_address = lines->has_asked = false;
	lines->head = lines->count = 0;
	lines->is_too_long = lines->is_ended = lines->is_working = lines->has_parent = false;
	return lines;
}

void
push_lines_set_parent(struct push_lines *lines, const struct push_trace *parent)
{
	lines->has_parent = true;
	lines->parent = *parent;
}

void
push_lines_set_identity(struct push_lines *lines, const struct push_identity *identity)
{
	lines->identity = push_identity_ref(identity);
}

void
push_lines_set_address(struct push_lines *lines, const struct push_address *address)
{
	lines->has_address = true;
	lines->address = *address;
}

void
push_lines_set_asked(struct push_lines *lines, const struct push_asked *asked)
{
	lines->has_asked = true;
	lines->asked = *asked;
}

static void
free_lines(struct push_lines *lines)
{
	push_identity_unref(lines->identity);
	push_buf_fini(&lines->line);
	push_buf_fini(&lines->kept);
	push_buf_fini(&lines->waiting);
	push_buf_fini(&lines->answers);
	push_account_take(lines->account, sizeof(*lines));
	free(lines);
}

/* A line without its end. */
static bool
has_begun(const struct push_lines *lines)
{
	return lines->line.size || lines->line.status != PUSH_OK;
}

static struct line *
at(struct push_lines *lines, uint32_t index)
{
	return &lines->window[(lines->head + index) % PUSH_LINES_UNANSWERED_MAX];
}

static void
take_answers(struct push_lines *lines)
{
	while (lines->count && at(lines, 0)->is_over) {
		struct line *line = at(lines, 0);

		push_message_append_answer(&line->message, true, &lines->answers);
		push_buf_append_text(&lines->answers, "\n");
		push_message_fini(&line->message);
		lines->head = (lines->head + 1) % PUSH_LINES_UNANSWERED_MAX;
		lines->count--;
	}
}

static void
work(struct push_lines *lines);

/* Something has been answered, outside of a call to the stream. */
static void
go_on(struct push_lines *lines)
{
	take_answers(lines);
	if (!lines->ready) {
		if (!lines->count)
			free_lines(lines);
		return;
	}
	work(lines);
	lines->ready(lines->context);
}

static void
on_over(struct push_message *message)
{
	struct line *line = (struct line *)message;

	line->is_over = true;
	if (!line->lines->is_working)
		go_on(line->lines);
}

static struct line *
begin_line(struct push_lines *lines)
{
	struct line *line;

	PUSH_ASSERT(lines->count < PUSH_LINES_UNANSWERED_MAX);
	line = at(lines, lines->count++);
	line->lines = lines;
	line->is_over = false;
	push_message_init(&line->message, lines->publisher, on_over);
	line->message.identity = lines->identity;
	line->message.parent = lines->has_parent ? &lines->parent : NULL;
	line->message.address = lines->has_address ? &lines->address : NULL;
	return line;
}

static void
fail_line(struct push_lines *lines, unsigned int status, const char *text)
{
	struct line *line = begin_line(lines);

	push_message_fail(&line->message, status, text);
	line->is_over = true;
}

/* --- asking first --- */

static void
on_permission(struct push_permission *permission)
{
	struct push_lines *lines = permission->context;
	struct push_buf text = lines->kept; /* is ours now */

	push_buf_init(&lines->kept, SIZE_MAX);
	push_buf_charge(&lines->kept, lines->account);
	lines->permission = NULL;
	lines->is_working = true;
	push_permission_publish(
		permission, &at(lines, lines->count - 1)->message, (struct push_str){text.bytes, text.size});
	lines->is_working = false;
	push_buf_fini(&text);
	go_on(lines);
}

static void
ask_first(struct push_lines *lines, struct line *line, const char *text, size_t size)
{
	struct push_permission_query query = {.identity = lines->identity,
		.address = line->message.address,
		.asked = lines->has_asked ? &lines->asked : NULL};
	struct push_permission *permission = push_permission_ask_about(
		&line->message, (struct push_str){text, size}, &query, on_permission, lines);

	if (permission && !permission->is_answered) {
		push_buf_append(&lines->kept, text, size);
		if (lines->kept.status == PUSH_OK) {
			lines->permission = permission;
			return;
		}
		push_buf_reset(&lines->kept);
		push_permission_give_up(permission, push_status_text(PUSH_OUT_OF_MEMORY));
	}
	push_permission_publish(permission, &line->message, (struct push_str){text, size});
}

/* --- lines --- */

static void
publish_text(struct push_lines *lines, const char *text, size_t size)
{
	struct line *line = begin_line(lines);

	if (!push_message_publish(&line->message, text, size, PUSH_PUBLISH_SENDS_MAX))
		ask_first(lines, line, text, size);
}

static void
publish_line(struct push_lines *lines, const char *text, size_t size)
{
	if (lines->is_too_long || size > lines->publisher->options->message_bytes_max)
		fail_line(lines, 413, "the line is over push.message.max.size");
	else if (!push_json_is_blank(text, size))
		publish_text(lines, text, size);
	lines->is_too_long = false;
	take_answers(lines);
}

/* The rest of a line that has begun before. */
static void
end_line(struct push_lines *lines, const char *rest, size_t size)
{
	if (!has_begun(lines)) {
		publish_line(lines, rest, size);
		return;
	}
	push_buf_append(&lines->line, rest, size);
	if (lines->line.status == PUSH_TOO_LARGE)
		lines->is_too_long = true;
	if (lines->line.status == PUSH_OUT_OF_MEMORY)
		fail_line(lines, 503, push_status_text(PUSH_OUT_OF_MEMORY));
	else
		publish_line(lines, lines->line.bytes ? lines->line.bytes : "", lines->line.size);
	push_buf_clear(&lines->line);
	take_answers(lines);
}

static bool
takes_lines(const struct push_lines *lines)
{
	return lines->count < PUSH_LINES_UNANSWERED_MAX && !lines->permission;
}

/* Returns how many bytes were looked at. */
static size_t
take_lines(struct push_lines *lines, const char *bytes, size_t size)
{
	const char *p = bytes, *end = bytes + size;

	while (p < end && takes_lines(lines)) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		if (!stop) {
			/* a failure stays until the line ends */
			push_buf_append(&lines->line, p, (size_t)(end - p));
			return size;
		}
		end_line(lines, p, (size_t)(stop - p));
		p = stop + 1;
	}
	return (size_t)(p - bytes);
}

/* What waits, as far as there is room for its answers. */
static void
work(struct push_lines *lines)
{
	struct push_buf *waiting = &lines->waiting;

	lines->is_working = true;
	if (lines->waiting_at < waiting->size)
		lines->waiting_at += take_lines(
			lines, waiting->bytes + lines->waiting_at, waiting->size - lines->waiting_at);
	if (lines->waiting_at == waiting->size) {
		push_buf_clear(waiting);
		lines->waiting_at = 0;
		if (lines->is_ended && has_begun(lines) && takes_lines(lines))
			end_line(lines, "", 0);
	}
	lines->is_working = false;
}

void
push_lines_feed(struct push_lines *lines, const char *bytes, size_t size)
{
	size_t taken = 0;

	PUSH_ASSERT(!lines->is_ended);
	if (!lines->waiting.size) {
		lines->is_working = true;
		taken = take_lines(lines, bytes, size);
		lines->is_working = false;
	}
	push_buf_append(&lines->waiting, bytes + taken, size - taken);
	if (lines->waiting.status != PUSH_OK)
		lines->answers.status = PUSH_OUT_OF_MEMORY;
}

void
push_lines_end(struct push_lines *lines)
{
	lines->is_ended = true;
	work(lines);
}

bool
push_lines_is_full(const struct push_lines *lines)
{
	return lines->waiting.size > 0 || !takes_lines(lines);
}

bool
push_lines_is_over(const struct push_lines *lines)
{
	return lines->is_ended && !lines->count && !lines->waiting.size && !has_begun(lines);
}

struct push_buf *
push_lines_answers(struct push_lines *lines)
{
	return &lines->answers;
}

void
push_lines_destroy(struct push_lines *lines)
{
	if (!lines)
		return;
	lines->ready = NULL;
	lines->has_asked = false;
	push_buf_clear(&lines->waiting);
	lines->waiting_at = 0;
	if (!lines->count)
		free_lines(lines);
}
