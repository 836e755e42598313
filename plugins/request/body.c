/*
 * body.c - the body of an exchange: a publish, a stream of lines, or a change of an event stream's channels.
 *
 * What the head says wrong is answered after the body, which is thrown away as it comes, so that the
 * connection can be used again; except where its end cannot be found, it is too long, or its client waits for
 * a word before it sends it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/mediatype.h"
#include "core/push_assert.h"
#include "request/exchange_private.h"
#include "request/query.h"

static void
refuse_later(struct push_exchange *x, unsigned int status, const char *text)
{
	if (x->refusal_status)
		return;
	x->refusal_status = status;
	x->refusal = text;
}

static const char *
too_large(const struct push_exchange *x)
{
	if (x->verb == EXCHANGE_PAGE)
		return "the body is over 16 kB";
	return x->verb == EXCHANGE_CHANGE || x->verb == EXCHANGE_TICKET
		       ? PUSH_CLIENT_MESSAGE_TOO_LARGE_TEXT
		       : "the body is over push.message.max.size";
}

/* --- what the head says --- */

/* The header counts more than the query, which is for clients whose headers get lost (lws over HTTP/2). */
static void
read_key(struct push_exchange *x, const struct push_request *request)
{
	struct push_str key = request->idempotency_key;

	if (key.bytes) {
		x->has_key = true;
		/* one that is too long stays empty, which is as wrong */
		if (key.size < x->key.max)
			push_buf_append(&x->key, key.bytes, key.size);
		return;
	}
	x->has_key = push_query_values(request->query, "idempotency_key", &x->key) != PUSH_QUERY_NONE;
	if (x->key.status == PUSH_TOO_LARGE)
		push_buf_reset(&x->key);
}

static void
read_parent(struct push_exchange *x, const struct push_request *request)
{
	struct push_str text = request->traceparent;

	x->has_parent = text.bytes && x->ops->options(x->broker)->trace_url[0] &&
			push_traceparent_parse(&x->parent, text.bytes, text.size);
}

static void
read_wait(struct push_exchange *x, const struct push_request *request)
{
	static const char written[] = "written";
	struct push_buf value;

	push_buf_init(&value, sizeof(written) - 1);
	switch (push_query_values(request->query, "wait", &value)) {
	case PUSH_QUERY_NONE: break;
	case PUSH_QUERY_FOUND:
		x->wait_written =
			value.size == sizeof(written) - 1 && !memcmp(value.bytes, written, value.size);
		if (x->wait_written)
			break;
		/* fall through */
	default: refuse_later(x, 400, "'wait' must be 'written'");
	}
	push_buf_fini(&value);
}

static void
read_query(struct push_exchange *x, const struct push_request *request)
{
	if (!request->query.size)
		return;
	if (push_query_check(request->query) == PUSH_QUERY_BAD)
		refuse_later(x, 400, PUSH_QUERY_BAD_TEXT);
	else
		read_wait(x, request);
}

/* A body that is packed, in whatever way, is refused: unpacked it could be of any size. */
static void
check_coding(struct push_exchange *x, const struct push_request *request)
{
	if (request->content_encoding.bytes && !push_str_is(request->content_encoding, "identity"))
		refuse_later(x, 415, "Content-Encoding is not supported: send the body as it is");
}

/* --- asking the broker --- */

static void
publish(struct push_exchange *x, const char *body, size_t size)
{
	const struct push_asked asked =
		x->kept ? exchange_asked(x->kept, PUSH_RIGHT_PUBLISH) : (struct push_asked){0};
	const struct push_publish_request request = {.body = body,
		.size = size,
		.is_lines = x->verb == EXCHANGE_LINES,
		.wait_written = x->wait_written,
		.key = x->has_key ? (x->key.bytes ? x->key.bytes : "") : NULL,
		.key_size = x->key.size,
		.parent = x->has_parent ? &x->parent : NULL,
		.identity = x->identity,
		.address = x->limiter && x->has_address ? &x->address : NULL,
		.asked = x->kept ? &asked : NULL};

	x->body_bytes = size;
	x->ops->publish_request(x->broker, &request, exchange_on_answer, x);
}

static void
change(struct push_exchange *x, const char *body, size_t size)
{
	const struct push_control_request request = {
		.token = x->token, .token_size = PUSH_TOKEN_BYTES, .body = body, .size = size};

	x->ops->control_request(x->broker, &request, exchange_on_answer, x);
}

static void
post_page(struct push_exchange *x, const char *body, size_t size)
{
	const struct push_page_call call = {
		.pages = &x->pages, .body = {body, size}, .answer = exchange_on_answer, .context = x};

	x->page->post(&call);
}

static void
on_ticket(void *context, enum push_status status, const char *ticket, uint64_t expires_in_s)
{
	static const char away[] = "{\"error\":\"tickets cannot be kept now, try again\"}";
	struct push_answer answer = {503, "application/json", away, sizeof(away) - 1, 0};
	char text[PUSH_REPLY_BYTES_MAX];

	if (status == PUSH_OK) {
		int size = snprintf(text, sizeof(text), "{\"ticket\":\"%s\",\"expires_in\":%" PRIu64 "}",
			ticket, expires_in_s);

		answer = (struct push_answer){200, "application/json", text, (size_t)size, 0};
	}
	exchange_on_answer(context, &answer);
}

/* The body is there. */
static void
ask(struct push_exchange *x, const char *body, size_t size)
{
	if (x->refusal_status) {
		exchange_refuse(x, x->refusal_status, x->refusal);
		return;
	}
	if (x->body.status == PUSH_OUT_OF_MEMORY || x->key.status == PUSH_OUT_OF_MEMORY) {
		exchange_refuse(x, 503, push_status_text(PUSH_OUT_OF_MEMORY));
		return;
	}
	x->state = PUSH_EXCHANGE_ASKED;
	switch (x->verb) {
	case EXCHANGE_PAGE: post_page(x, body, size); break;
	case EXCHANGE_CHANGE: change(x, body, size); break;
	case EXCHANGE_TICKET: x->ops->issue_ticket(x->broker, x->identity, on_ticket, x); break;
	default: publish(x, body, size);
	}
}

static void
ask_with_kept(struct push_exchange *x)
{
	struct push_buf body = x->body;

	/* its bytes are `body`'s now: what is under way is not the client's to keep */
	push_buf_init(&x->body, body.max);
	push_buf_charge(&x->body, body.account);
	x->body.status = body.status;
	ask(x, body.bytes ? body.bytes : "", body.size);
	push_buf_fini(&body);
}

/* --- a stream of lines --- */

static void
end_lines(struct push_exchange *x, bool is_whole)
{
	x->state = PUSH_EXCHANGE_ANSWERED;
	x->ops->lines_destroy(x->lines);
	x->lines = NULL;
	if (x->kept)
		exchange_forget_kept(x);
	x->wire->end(x->owner, is_whole);
}

/* What is answered so far; the head goes with the first of it. */
static void
advance_lines(struct push_exchange *x)
{
	bool is_over = x->ops->lines_is_over(x->lines), has_failed;
	struct push_buf *ready = x->ops->lines_answers(x->lines);
	struct push_response head = x->head;

	PUSH_ASSERT(x->wire->begin); /* else there would be no stream (begin_lines) */
	if (!x->has_begun && (ready->size || is_over)) {
		head.status = 202;
		head.content_type = "application/x-ndjson";
		x->ops->count_publish(x->broker, head.status, 0);
		x->has_begun = true;
		x->wire->begin(x->owner, &head);
	}
	if (ready->size && x->limiter)
		x->brought_us = x->ops->now_us();
	if (ready->size)
		x->wire->piece(x->owner, ready->bytes, ready->size);
	has_failed = ready->status != PUSH_OK;
	push_buf_clear(ready);
	if (is_over || has_failed)
		end_lines(x, !has_failed);
}

static void
on_lines_ready(void *context)
{
	struct push_exchange *x = context;

	advance_lines(x);
	x->wire->turn(x->owner);
}

static void
begin_lines(struct push_exchange *x)
{
	struct push_asked asked;

	if (!x->wire->begin)
		return; /* the body is kept, and answered as a whole */
	x->lines = x->ops->lines_create(x->broker, on_lines_ready, x);
	if (!x->lines) {
		x->head.closes = true;
		exchange_refuse(x, 503, push_status_text(PUSH_OUT_OF_MEMORY));
		return;
	}
	x->brought_us = x->started_us;
	x->ops->lines_set_identity(x->lines, x->identity);
	if (x->has_parent)
		x->ops->lines_set_parent(x->lines, &x->parent);
	if (x->limiter && x->has_address)
		x->ops->lines_set_address(x->lines, &x->address);
	if (x->kept) {
		asked = exchange_asked(x->kept, PUSH_RIGHT_PUBLISH);
		x->ops->lines_set_asked(x->lines, &asked);
	}
}

static void
feed_lines(struct push_exchange *x, const char *bytes, size_t size, bool is_last)
{
	x->ops->lines_feed(x->lines, bytes, size);
	if (is_last) {
		x->state = PUSH_EXCHANGE_ASKED;
		x->ops->lines_end(x->lines);
	}
	advance_lines(x);
}

/* --- the body --- */

/* A body that would not be read ends the connection, so that nothing of it is taken for a request. */
static void
refuse_body(struct push_exchange *x, unsigned int status, const char *text)
{
	x->head.closes = true;
	exchange_refuse(x, status, text);
}

static void
begin_body(struct push_exchange *x, const struct push_request *request, size_t bytes_max)
{
	bool is_streamed = x->verb == EXCHANGE_LINES && x->wire->begin && !x->refusal_status;

	x->body.max = bytes_max;
	x->awaits_continue = request->awaits_continue;
	x->started_us = x->ops->now_us();
	if (!request->has_length && !request->has_body) {
		refuse_body(x, 411, "Content-Length is missing");
	} else if (!request->has_length && !x->wire->reads_any_length) {
		refuse_body(x, 411, "a chunked body is not accepted, send Content-Length");
	} else if (request->length > bytes_max && !is_streamed) {
		refuse_body(x, 413, too_large(x));
	} else if (x->refusal_status && request->awaits_continue) {
		refuse_body(x, x->refusal_status, x->refusal);
	} else {
		x->state = PUSH_EXCHANGE_BODY;
		if (is_streamed)
			begin_lines(x);
		if (x->state == PUSH_EXCHANGE_BODY && request->has_length && !request->length) {
			if (x->lines)
				feed_lines(x, "", 0, true);
			else
				ask(x, "", 0);
		}
	}
}

void
exchange_begin_publish(struct push_exchange *x, const struct push_request *request)
{
	const struct push_str type = request->content_type;
	bool is_lines = push_media_type_is_lines(type.bytes, type.size);

	x->verb = is_lines ? EXCHANGE_LINES : EXCHANGE_PUBLISH;
	read_key(x, request);
	read_parent(x, request);
	if (!is_lines && !push_media_type_is_json(type.bytes, type.size))
		refuse_later(x, 415, "Content-Type must be application/json or application/x-ndjson");
	check_coding(x, request);
	read_query(x, request);
	if (is_lines && (x->has_key || x->wait_written))
		refuse_later(x, 400, "Idempotency-Key and wait are not supported with application/x-ndjson");
	if (x->ops->asks_about_publishes(x->broker, x->identity) && !exchange_keep(x, request))
		refuse_later(x, 503, push_status_text(PUSH_OUT_OF_MEMORY));
	begin_body(x, request, x->ops->options(x->broker)->message_bytes_max);
}

void
exchange_begin_change(struct push_exchange *x, const struct push_request *request, struct push_str token)
{
	x->verb = EXCHANGE_CHANGE;
	PUSH_ASSERT(token.size == PUSH_TOKEN_BYTES);
	memcpy(x->token, token.bytes, PUSH_TOKEN_BYTES);
	if (!push_media_type_is_json(request->content_type.bytes, request->content_type.size))
		refuse_later(x, 415, "Content-Type must be application/json");
	check_coding(x, request);
	begin_body(x, request, x->ops->client_message_max(x->broker));
}

/* Also since a page in the operator's browser may send any other type than JSON without asking first. */
void
exchange_begin_page(struct push_exchange *x, const struct push_request *request, const struct push_page *page)
{
	x->verb = EXCHANGE_PAGE;
	x->page = page;
	x->pages = *request->pages;
	if (!x->broker) {
		refuse_body(x, 503, x->pages.trouble);
		return;
	}
	if (!push_media_type_is_json(request->content_type.bytes, request->content_type.size))
		refuse_later(x, 415, "Content-Type must be application/json");
	check_coding(x, request);
	begin_body(x, request, PUSH_PAGE_BODY_BYTES_MAX);
}

/* Whatever the body says, which may be missing. */
void
exchange_begin_ticket(struct push_exchange *x, const struct push_request *request)
{
	static const char no_token[] = "a ticket needs a token";

	if (push_identity_facts(x->identity).is_anonymous) {
		x->head.closes |= request->has_body;
		x->ops->count_auth_refused(x->broker, PUSH_AUTH_MISSING, no_token);
		exchange_deny(x, 401, NULL, no_token);
		return;
	}
	x->verb = EXCHANGE_TICKET;
	x->head.no_store = true;
	if (request->has_body || request->length) {
		begin_body(x, request, x->ops->options(x->broker)->client_message_bytes_max);
	} else {
		ask(x, "", 0);
	}
}

bool
push_exchange_take_continue(struct push_exchange *x)
{
	bool awaits = x->state == PUSH_EXCHANGE_BODY && x->awaits_continue;

	x->awaits_continue = false;
	return awaits;
}

/* Bodies give way last when memory is short.  Returns false if this one has. */
static bool
has_room(struct push_exchange *x, size_t size)
{
	if (push_memory_has_room(x->ops->memory(x->broker), size))
		return true;
	x->ops->count_relieved_publish(x->broker);
	push_exchange_break(x, 503, PUSH_MEMORY_SHORT_TEXT);
	return false;
}

static void
keep(struct push_exchange *x, const char *bytes, size_t size, bool is_last)
{
	if (!x->refusal_status)
		push_buf_append(&x->body, bytes, size);
	if (x->body.status == PUSH_TOO_LARGE)
		refuse_body(x, 413, too_large(x));
	else if (is_last)
		ask_with_kept(x);
}

static bool
end_idle(struct push_exchange *x)
{
	if (!exchange_has_idled(x))
		return false;
	push_exchange_break(x, 408, push_limit_text(PUSH_LIMIT_NDJSON_IDLE));
	return true;
}

void
push_exchange_body(struct push_exchange *x, const char *bytes, size_t size, bool is_last)
{
	PUSH_ASSERT(x->state == PUSH_EXCHANGE_BODY);
	if (!has_room(x, size))
		return;
	if (x->lines && end_idle(x))
		return;
	x->in_call = true;
	if (x->lines)
		feed_lines(x, bytes, size, is_last);
	else if (is_last && !x->body.size && size <= x->body.max)
		ask(x, bytes, size);
	else
		keep(x, bytes, size, is_last);
	x->in_call = false;
}

void
push_exchange_break(struct push_exchange *x, unsigned int status, const char *text)
{
	x->in_call = true;
	if (x->lines && x->has_begun) /* all that can still be said is that the answer has no end */
		end_lines(x, false);
	else
		refuse_body(x, status, text);
	x->in_call = false;
}

void
push_exchange_break_stalled(struct push_exchange *x)
{
	if (x->lines && end_idle(x))
		return;
	if (x->awaits_line)
		return; /* one has come since its time was set */
	push_exchange_break(x, 408, "the body did not arrive in time");
}

/* A dry run leaves the time as it is. */
static uint64_t
line_left_us(const struct push_exchange *x)
{
	return x->limiter && !x->ops->options(x->broker)->limit_dry_run ? exchange_idle_left_us(x)
									: UINT64_MAX;
}

uint64_t
push_exchange_stall_us(struct push_exchange *x)
{
	uint64_t age_us = x->ops->now_us() - x->started_us;
	uint64_t left_us = age_us < PUSH_BODY_TOTAL_US ? PUSH_BODY_TOTAL_US - age_us : 1;

	if (x->lines) /* however long it takes */
		left_us = line_left_us(x);
	x->awaits_line = x->lines && left_us < PUSH_BODY_STALL_US;
	return left_us < PUSH_BODY_STALL_US ? left_us : PUSH_BODY_STALL_US;
}

enum push_exchange_state
push_exchange_state(const struct push_exchange *x)
{
	return (enum push_exchange_state)x->state;
}

bool
push_exchange_takes_body(const struct push_exchange *x)
{
	return x->state == PUSH_EXCHANGE_BODY && (!x->lines || !x->ops->lines_is_full(x->lines));
}

size_t
push_exchange_keeps(const struct push_exchange *x)
{
	return x->body.size;
}

bool
push_exchange_is_lines(const struct push_exchange *x)
{
	return x->lines != NULL;
}

bool
push_exchange_is_publish(const struct push_exchange *x)
{
	return x->verb == EXCHANGE_PUBLISH || x->verb == EXCHANGE_LINES;
}
