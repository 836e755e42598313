/*
 * fake_broker.h - a broker and a wire for exchanges: what is asked and answered becomes one text, event after event.
 *
 * Nothing of a test framework inside: fuzzers use it, too.  The broker answers at once, or, if it is late, when
 * fake_broker_answer() says so.
 *
 *   asked BODY;  change BODY;  read;  <STATUS BODY>  <STATUS close BODY>  begin STATUS;  |pieces|  end;  broken;
 */
#ifndef PUSH_TESTS_FAKE_BROKER_H
#define PUSH_TESTS_FAKE_BROKER_H

#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/memory.h"
#include "core/push_assert.h"
#include "request/exchange.h"

#define FAKE_TEXT_BYTES_MAX (16 * 1024 * 1024)

struct fake_broker {
	struct push_options options;
	struct push_memory memory;
	uint64_t now_us;
	bool is_late, is_draining, reads_history, refuses_origins, is_guarded, is_known, is_anonymous;
	bool asks_about_publishes; /* then a request says whose it is */
	push_verdict_fn verdict;   /* NULL: nobody waits for one */
	void *verdict_context;
	push_answer_fn answer; /* NULL: nobody waits for one */
	void *context;
	struct push_limiter *limiter;
	struct push_lines *lines; /* that are there */
	struct push_buf log;
	unsigned int answers, turns, subscribers, counted_status, auth_refusals;
	bool is_in_pieces, closes;     /* closes: an answer said so */
	struct push_response response; /* the last one that was whole, without its body */
};

struct push_lines {
	struct fake_broker *broker;
	struct push_buf answers;
	void (*ready)(void *context);
	void *context;
	size_t unanswered;
	bool has_begun, is_ended;
};

static const struct push_options *
fake_options(const struct push_broker *broker)
{
	return &((const struct fake_broker *)(const void *)broker)->options;
}

static struct fake_broker *the_fake_clock;

static uint64_t
fake_now_us(void)
{
	return the_fake_clock->now_us;
}

static void
fake_count_publish(struct push_broker *broker, unsigned int http_status, size_t body_bytes)
{
	(void)body_bytes;
	((struct fake_broker *)(void *)broker)->counted_status = http_status;
}

static bool
fake_is_draining(const struct push_broker *broker)
{
	return ((const struct fake_broker *)(const void *)broker)->is_draining;
}

static bool
fake_reads_history(const struct push_broker *broker)
{
	return ((const struct fake_broker *)(const void *)broker)->reads_history;
}

static void
fake_broker_answer(struct fake_broker *fake)
{
	static const struct push_answer answer = {202, "application/json", "{}", 2, 0};
	push_answer_fn function = fake->answer;

	PUSH_ASSERT(function);
	fake->answer = NULL;
	function(fake->context, &answer);
}

static void
fake_ask(struct push_broker *broker, const char *what, const char *body, size_t size, push_answer_fn answer,
	void *context)
{
	struct fake_broker *fake = (struct fake_broker *)(void *)broker;

	PUSH_ASSERT(!fake->answer);
	push_buf_append_text(&fake->log, what);
	push_buf_append(&fake->log, body, size);
	push_buf_append_text(&fake->log, "; ");
	fake->answer = answer;
	fake->context = context;
	if (!fake->is_late)
		fake_broker_answer(fake);
}

static void
fake_publish_request(struct push_broker *broker, const struct push_publish_request *request,
	push_answer_fn answer, void *context)
{
	struct fake_broker *fake = (struct fake_broker *)(void *)broker;

	PUSH_ASSERT(request->identity); /* whoever is not known publishes nothing */
	PUSH_ASSERT(!request->asked == !fake->asks_about_publishes);
	if (request->asked) {
		push_buf_append(&fake->log, request->asked->cookie.bytes, request->asked->cookie.size);
		push_buf_append_text(&fake->log, " ");
	}
	fake_ask(broker, "asked ", request->body, request->size, answer, context);
}

static void
fake_control_request(struct push_broker *broker, const struct push_control_request *request,
	push_answer_fn answer, void *context)
{
	fake_ask(broker, "change ", request->body, request->size, answer, context);
}

static void
fake_read_request(struct push_broker *broker, const struct push_read_request *request, push_answer_fn answer,
	void *context)
{
	PUSH_ASSERT(request->identity);
	fake_ask(broker, "read", "", 0, answer, context);
}

static struct push_lines *
fake_lines_create(struct push_broker *broker, void (*ready)(void *context), void *context)
{
	struct fake_broker *fake = (struct fake_broker *)(void *)broker;
	struct push_lines *lines = calloc(1, sizeof(*lines));

	PUSH_ASSERT(lines && !fake->lines);
	*lines = (struct push_lines){.broker = fake, .ready = ready, .context = context};
	push_buf_init(&lines->answers, FAKE_TEXT_BYTES_MAX);
	fake->lines = lines;
	return lines;
}

static void
fake_lines_destroy(struct push_lines *lines)
{
	lines->broker->lines = NULL;
	push_buf_fini(&lines->answers);
	free(lines);
}

static void
fake_lines_work(struct push_lines *lines)
{
	for (; lines->unanswered; lines->unanswered--)
		push_buf_append_text(&lines->answers, "line\n");
}

static void
fake_lines_feed(struct push_lines *lines, const char *bytes, size_t size)
{
	PUSH_ASSERT(!lines->is_ended);
	for (size_t i = 0; i < size; i++) {
		lines->has_begun = bytes[i] != '\n';
		lines->unanswered += bytes[i] == '\n';
	}
	if (!lines->broker->is_late)
		fake_lines_work(lines);
}

static void
fake_lines_end(struct push_lines *lines)
{
	lines->unanswered += lines->has_begun;
	lines->is_ended = true;
	if (!lines->broker->is_late)
		fake_lines_work(lines);
}

static bool
fake_lines_is_full(const struct push_lines *lines)
{
	return lines->unanswered > 2;
}

static bool
fake_lines_is_over(const struct push_lines *lines)
{
	return lines->is_ended && !lines->unanswered;
}

static struct push_buf *
fake_lines_answers(struct push_lines *lines)
{
	return &lines->answers;
}

static bool
fake_admits_origin(struct push_broker *broker, const char *origin, size_t origin_size, const char *host,
	size_t host_size, struct push_error *error)
{
	(void)origin;
	(void)origin_size;
	(void)host;
	(void)host_size;
	strcpy(error->text, "not this origin");
	return !((struct fake_broker *)(void *)broker)->refuses_origins;
}

static struct push_memory *
fake_memory(const struct push_broker *broker)
{
	return &((struct fake_broker *)(uintptr_t)broker)->memory;
}

static void
fake_count_relieved(struct push_broker *broker)
{
	(void)broker;
}

static size_t
fake_client_message_max(const struct push_broker *broker)
{
	return ((const struct fake_broker *)(const void *)broker)->options.client_message_bytes_max;
}

static bool
fake_is_guarded(const struct push_broker *broker)
{
	return ((const struct fake_broker *)(const void *)broker)->is_guarded;
}

/* What is shown is `no` or `yes`; the answer comes at once, or with fake_broker_identify(). */
static void
fake_broker_identify(struct fake_broker *fake)
{
	static const struct push_verdict no = {.status = 401, .code = "invalid_token", .text = "no"};
	const struct push_identity_facts facts = {
		.expires_us = UINT64_MAX, .issued_s = INT64_MIN, .is_anonymous = true};
	const struct push_identity *identity = fake->is_anonymous
						       ? push_identity_done(push_identity_build(&facts))
						       : push_identity_everybody();
	const struct push_verdict yes = {.identity = identity};
	push_verdict_fn function = fake->verdict;

	PUSH_ASSERT(function && identity);
	fake->verdict = NULL;
	function(fake->verdict_context, fake->is_known ? &yes : &no);
	push_identity_unref(identity);
}

static void
fake_identify(struct push_broker *broker, const struct push_credential *credential,
	const struct push_asked *asked, push_verdict_fn done, void *context)
{
	struct fake_broker *fake = (struct fake_broker *)(void *)broker;

	(void)asked;
	PUSH_ASSERT(!fake->verdict);
	fake->is_known = credential->text.size == 3 && !memcmp(credential->text.bytes, "yes", 3);
	fake->verdict = done;
	fake->verdict_context = context;
	if (!fake->is_late)
		fake_broker_identify(fake);
}

static void
fake_count_auth_refused(struct push_broker *broker, enum push_auth_refusal why, const char *text)
{
	(void)text;
	PUSH_ASSERT(why < PUSH_AUTH_REFUSAL_COUNT);
	((struct fake_broker *)(void *)broker)->auth_refusals++;
}

static void
fake_issue_ticket(
	struct push_broker *broker, const struct push_identity *identity, push_ticket_fn done, void *context)
{
	(void)broker;
	PUSH_ASSERT(identity);
	done(context, PUSH_OK, "the-ticket", 30);
}

static void
fake_lines_set_identity(struct push_lines *lines, const struct push_identity *identity)
{
	PUSH_ASSERT(identity);
	(void)lines;
}

static struct push_limiter *
fake_limiter(const struct push_broker *broker)
{
	return ((const struct fake_broker *)(const void *)broker)->limiter;
}

static void
fake_lines_set_address(struct push_lines *lines, const struct push_address *address)
{
	(void)lines;
	(void)address;
}

static bool
fake_asks_about_publishes(const struct push_broker *broker, const struct push_identity *identity)
{
	PUSH_ASSERT(identity);
	return ((const struct fake_broker *)(const void *)broker)->asks_about_publishes;
}

static void
fake_lines_set_asked(struct push_lines *lines, const struct push_asked *asked)
{
	push_buf_append_text(&lines->broker->log, "path ");
	push_buf_append(&lines->broker->log, asked->path.bytes, asked->path.size);
	push_buf_append_text(&lines->broker->log, "; ");
}

static const struct push_broker_ops fake_ops = {
	.asks_about_publishes = fake_asks_about_publishes,
	.lines_set_asked = fake_lines_set_asked,
	.is_guarded = fake_is_guarded,
	.client_message_max = fake_client_message_max,
	.identify = fake_identify,
	.issue_ticket = fake_issue_ticket,
	.count_auth_refused = fake_count_auth_refused,
	.lines_set_identity = fake_lines_set_identity,
	.limiter = fake_limiter,
	.lines_set_address = fake_lines_set_address,
	.options = fake_options,
	.now_us = fake_now_us,
	.count_publish = fake_count_publish,
	.is_draining = fake_is_draining,
	.reads_history = fake_reads_history,
	.publish_request = fake_publish_request,
	.control_request = fake_control_request,
	.read_request = fake_read_request,
	.lines_create = fake_lines_create,
	.lines_destroy = fake_lines_destroy,
	.lines_feed = fake_lines_feed,
	.lines_end = fake_lines_end,
	.lines_is_full = fake_lines_is_full,
	.lines_is_over = fake_lines_is_over,
	.lines_answers = fake_lines_answers,
	.admits_origin = fake_admits_origin,
	.memory = fake_memory,
	.count_relieved_publish = fake_count_relieved,
};

/* --- the wire: its owner is the broker --- */

static void
fake_wire_answer(void *owner, const struct push_response *response)
{
	struct fake_broker *fake = owner;

	fake->answers++;
	fake->response = *response;
	fake->response.body.bytes = NULL;
	fake->closes |= response->closes;
	push_buf_printf(&fake->log, response->closes ? "<%u close " : "<%u ", response->status);
	push_buf_append(&fake->log, response->body.bytes ? response->body.bytes : "", response->body.size);
	push_buf_append_text(&fake->log, "> ");
}

static void
fake_wire_begin(void *owner, const struct push_response *head)
{
	struct fake_broker *fake = owner;

	PUSH_ASSERT(!fake->is_in_pieces);
	fake->is_in_pieces = true;
	fake->closes |= head->closes;
	push_buf_printf(&fake->log, "begin %u; |", head->status);
}

static void
fake_wire_piece(void *owner, const char *bytes, size_t size)
{
	struct fake_broker *fake = owner;

	PUSH_ASSERT(fake->is_in_pieces);
	push_buf_append(&fake->log, bytes, size);
}

static void
fake_wire_end(void *owner, bool is_whole)
{
	struct fake_broker *fake = owner;

	PUSH_ASSERT(fake->is_in_pieces);
	fake->is_in_pieces = false;
	fake->answers++;
	fake->closes |= !is_whole;
	push_buf_append_text(&fake->log, is_whole ? "| end; " : "| broken; ");
}

static enum push_status
fake_wire_subscribe(void *owner, const struct push_response *head, const struct push_opening *opening)
{
	struct fake_broker *fake = owner;

	/* a WebSocket is opened before it is known whose it is, but never without a question */
	PUSH_ASSERT(opening->identity || (fake->is_guarded && opening->credential && opening->asked));
	fake->subscribers++;
	push_buf_printf(&fake->log, "subscribe %u; ", head->status);
	return PUSH_OK;
}

static void
fake_wire_turn(void *owner)
{
	((struct fake_broker *)owner)->turns++;
}

static const struct push_wire fake_wire = {
	.reads_any_length = true,
	.answer = fake_wire_answer,
	.begin = fake_wire_begin,
	.piece = fake_wire_piece,
	.end = fake_wire_end,
	.subscribe = fake_wire_subscribe,
	.turn = fake_wire_turn,
};

static void
fake_broker_init(struct fake_broker *fake)
{
	memset(fake, 0, sizeof(*fake));
	push_options_init(&fake->options);
	push_memory_init(&fake->memory);
	push_buf_init(&fake->log, FAKE_TEXT_BYTES_MAX);
	fake->now_us = 1000000;
	the_fake_clock = fake;
}

/* Nothing is left behind. */
static void
fake_broker_fini(struct fake_broker *fake)
{
	PUSH_ASSERT(!fake->lines);
	PUSH_ASSERT(!fake->answer);
	PUSH_ASSERT(fake->memory.bytes == 0);
	push_buf_fini(&fake->log);
}

static struct push_exchange *
fake_exchange(struct fake_broker *fake)
{
	return push_exchange_create(&fake_ops, (struct push_broker *)(void *)fake, &fake_wire, fake);
}

#endif
