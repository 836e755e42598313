/* exchange.c - see exchange.h: the life of an exchange, and its answers. */
#include <stdlib.h>
#include <string.h>

#include "core/json.h"
#include "core/push_assert.h"
#include "request/exchange_private.h"

/* What belongs to one request. */
static void
forget(struct push_exchange *x)
{
	push_buf_reset(&x->body);
	push_buf_reset(&x->key);
	free(x->origin);
	x->origin = NULL;
	if (x->lines)
		x->ops->lines_destroy(x->lines);
	x->lines = NULL;
	if (x->kept)
		exchange_forget_kept(x);
	exchange_forget_identity(x);
}

struct push_exchange *
push_exchange_create(const struct push_broker_ops *ops, struct push_broker *broker,
	const struct push_wire *wire, void *owner)
{
	struct push_exchange *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->ops = ops;
	x->broker = broker;
	x->wire = wire;
	x->owner = owner;
	x->limiter = broker ? ops->limiter(broker) : NULL;
	x->state = PUSH_EXCHANGE_ANSWERED;
	push_buf_init(&x->key, PUSH_IDEMPOTENCY_KEY_BYTES_MAX + 1);
	push_buf_init(&x->body, 0); /* each body has a limit of its own */
	if (broker)
		push_buf_charge(&x->body, &ops->memory(broker)->accounts[PUSH_MEMORY_REQUESTS]);
	return x;
}

void
push_exchange_drop(struct push_exchange *x)
{
	if (!x)
		return;
	x->owner = NULL;
	/* a stream of lines waits for no single answer, and is not called again */
	if (x->state == PUSH_EXCHANGE_ASKED && !x->lines)
		return;
	forget(x);
	push_buf_fini(&x->body);
	push_buf_fini(&x->key);
	free(x);
}

static void
count(struct push_exchange *x, unsigned int status)
{
	if (x->verb == EXCHANGE_PUBLISH || x->verb == EXCHANGE_LINES)
		x->ops->count_publish(x->broker, status, x->body_bytes);
}

void
exchange_answer(struct push_exchange *x, unsigned int status, const char *type, struct push_str body)
{
	struct push_response response = x->head;

	response.status = status;
	response.content_type = type;
	response.body = body;
	response.retries |= status == 503 || status == 429;
	if (status == 401 && !response.www_authenticate)
		response.www_authenticate = "Bearer";
	count(x, status);
	x->state = PUSH_EXCHANGE_ANSWERED;
	x->wire->answer(x->owner, &response);
	forget(x);
}

void
exchange_refuse(struct push_exchange *x, unsigned int status, const char *text)
{
	struct push_buf body;

	push_buf_init(&body, 8 * PUSH_ERROR_TEXT_BYTES_MAX);
	push_json_append_error(&body, text);
	exchange_answer(
		x, status, "application/json", (struct push_str){body.bytes ? body.bytes : "", body.size});
	push_buf_fini(&body);
}

/* A publish that is refused is counted, too. */
static uint8_t
verb_of(const struct push_request *request)
{
	return request->place == PUSH_PLACE_PUBLISH && request->method == PUSH_METHOD_POST ? EXCHANGE_PUBLISH
											   : EXCHANGE_NONE;
}

/* Whether a page of this origin may send the request, and what its answer says of it.  What operators see is
 * not for pages, unless the vhost's own headers say so.  Returns false with a line in `error`. */
static bool
check_origin(struct push_exchange *x, const struct push_request *request, struct push_error *error)
{
	if (request->pages)
		return true;
	if (request->origin.bytes)
		x->origin = strndup(request->origin.bytes, request->origin.size);
	x->head.cors = push_cors_answer(x->ops->options(x->broker)->cors_origins, x->origin);
	/* a preflight asks what a page may do, and does nothing */
	return request->method == PUSH_METHOD_OPTIONS ||
	       x->ops->admits_origin(x->broker, request->origin.bytes, request->origin.size,
		       request->host.bytes, request->host.size, error);
}

void
push_exchange_begin(struct push_exchange *x, const struct push_request *request, bool closes)
{
	struct push_error error = {""};

	PUSH_ASSERT(x->state == PUSH_EXCHANGE_ANSWERED);
	forget(x); /* what the one before has left, however it ended: a stream of lines keeps its Origin */
	x->verb = verb_of(request);
	x->refusal_status = 0;
	x->has_begun = x->wait_written = x->has_key = x->has_parent = x->awaits_continue = false;
	x->body_bytes = 0;
	x->head = (struct push_response){.closes = closes || (x->broker && x->ops->is_draining(x->broker)),
		.no_store = request->pages};
	x->has_address = false;
	if (x->limiter)
		exchange_find_client(x, request);
	x->in_call = true;
	if (!check_origin(x, request, &error)) {
		x->head.closes |= request->has_body;
		exchange_refuse(x, 403, error.text);
	} else if (request->is_over_limit && !request->wants_websocket) { /* that has an error of its own */
		x->head.closes = true;
		exchange_refuse(x, 429, push_limit_text(request->over_limit));
	} else {
		exchange_route(x, request);
	}
	x->in_call = false;
}

/* --- the broker's answer --- */

void
exchange_on_answer(void *context, const struct push_answer *answer)
{
	struct push_exchange *x = context;

	if (!x->owner) { /* its client has gone */
		x->state = PUSH_EXCHANGE_ANSWERED;
		push_exchange_drop(x);
		return;
	}
	x->head.retry_after_s = answer->retry_after_s;
	if ((answer->status == 401 || answer->status == 403) && x->verb != EXCHANGE_PAGE &&
		x->ops->is_guarded(x->broker))
		exchange_answer_denied(x, answer);
	else
		exchange_answer(x, answer->status, answer->content_type,
			(struct push_str){answer->body, answer->size});
	if (!x->in_call)
		x->wire->turn(x->owner);
}

void
push_exchange_close_after(struct push_exchange *x)
{
	x->head.closes = true;
}
