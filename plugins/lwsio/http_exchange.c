/* http_exchange.c - see http_exchange.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "direct/post_head.h"
#include "lwsio/claim.h"
#include "lwsio/client.h"
#include "lwsio/find_broker.h"
#include "lwsio/head.h"
#include "lwsio/http_exchange.h"
#include "lwsio/request.h"
#include "lwsio/upgrade.h"
#include "request/exchange.h"

/* How long, and for how much, the rest of a refused body is read. */
#define LINGER_S         2
#define LINGER_BYTES_MAX (4 * 1024 * 1024)

struct push_http_exchange {
	struct lws *wsi;
	struct push_broker_link *link;
	struct push_http_session *session;
	struct push_exchange *exchange;
	bool is_head;                    /* the method is HEAD */
	bool ended;                      /* all of the body has come */
	bool in_callback;                /* of lws; else the exchange has been answered late */
	bool behind_another, skip_stale; /* see head_before_body() */
	uint64_t length;                 /* of the body; UINT64_MAX: unknown */
	uint64_t received, discarded;
	struct push_buf
		early; /* of the body: while the authenticator is asked; lws does not leave it in the socket */
	int result;
	struct push_address *entered;      /* owned; see lwsio/client.h */
	struct push_kept_response *answer; /* owned; written by the end of a callback of lws; NULL: none */
};

static bool
is_mux(struct lws *wsi)
{
	return lws_get_network_wsi(wsi) != wsi;
}

/* --- the wire --- */

/* lws, given the end of an answer, may end the session within the call: so an answer is kept until an
 * exchange has nothing more to do, and written as the last thing of a callback. */
static void
wire_answer(void *owner, const struct push_response *response)
{
	struct push_http_exchange *self = owner;

	self->answer = push_response_keep(response);
	if (!self->answer) /* the client is to see an end at least */
		lws_set_timeout(self->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

static bool
wire_peer(void *owner, struct push_address *ret)
{
	const struct push_http_exchange *self = owner;

	return push_lws_client_peer(self->wsi, self->link, ret);
}

static bool
wire_claim(void *owner, const struct push_address *client, enum push_limit *ret_limit)
{
	struct push_http_exchange *self = owner;

	return push_lws_client_claim(self->wsi, self->link, client, &self->entered, ret_limit);
}

static void
wire_turn(void *owner)
{
	struct push_http_exchange *self = owner;
	bool is_coming =
		push_exchange_state(self->exchange) == PUSH_EXCHANGE_BODY && self->received && !self->ended;

	/* the rest of a body calls by itself */
	if (is_coming)
		lws_set_timer_usecs(self->wsi, (lws_usec_t)push_exchange_stall_us(self->exchange));
	else
		lws_callback_on_writable(self->wsi);
}

/* From here on the response is a stream that lasts; its headers are no longer needed. */
static enum push_status
wire_subscribe(void *owner, const struct push_response *head, const struct push_opening *opening)
{
	struct push_http_exchange *self = owner;
	const struct push_broker_ops *ops = self->link->ops;
	struct push_connection *connection =
		push_connection_open(self->wsi, self->link, opening->subscription->encoding);
	struct push_response response = *head;
	enum push_status status = PUSH_OUT_OF_MEMORY;

	if (connection) {
		response.is_chunked = connection->chunked;
		status = push_opening_settle(opening, ops, self->link->broker, connection->subscriber);
	}
	/* outside of its callbacks nothing is written to lws */
	if (status == PUSH_OK && (!self->in_callback || ops->subscriber_will_wait(connection->subscriber)))
		status = push_connection_keep_head(connection, &response);
	else if (status == PUSH_OK)
		self->result = push_connection_send_head(self->wsi, &response);
	if (status != PUSH_OK) {
		push_connection_destroy(connection);
		return status;
	}
	/* from here on the callback that ends the connection frees it */
	self->session->stream = connection;
	connection->entered = self->entered;
	self->entered = NULL;
	lws_set_timeout(self->wsi, NO_PENDING_TIMEOUT, 0);
	if (!self->result)
		push_opening_start(opening, ops, self->link->broker, connection->subscriber);
	return PUSH_OK;
}

static const struct push_wire wire = {
	.answer = wire_answer,
	.subscribe = wire_subscribe,
	.turn = wire_turn,
	.peer = wire_peer,
	.claim = wire_claim,
};

/* --- lws' callbacks --- */

static void
destroy(struct push_http_exchange *self)
{
	if (!self)
		return;
	push_exchange_drop(self->exchange);
	if (self->entered)
		push_lws_client_leave(self->link->ops, self->link->broker, self->entered);
	push_buf_fini(&self->early);
	free(self->answer);
	free(self);
}

void
push_http_session_end(struct push_http_session *session)
{
	if (!session)
		return;
	push_connection_destroy(session->stream);
	destroy(session->exchange);
	*session = (struct push_http_session){NULL, NULL};
}

static int
reply_none(struct lws *wsi, const struct push_broker_link *link)
{
	return push_reply_error(wsi, (struct push_response){.status = 503, .retries = true, .closes = true},
		link ? "out of memory" : push_find_broker_trouble(wsi));
}

/* lws never answers it (RFC 9110, 10.1.1). */
static int
answer_expect(struct lws *wsi)
{
	unsigned char text[LWS_PRE + 32];
	int size =
		lws_snprintf((char *)text + LWS_PRE, sizeof(text) - LWS_PRE, "HTTP/1.1 100 Continue\r\n\r\n");

	return lws_write(wsi, text + LWS_PRE, (size_t)size, LWS_WRITE_RAW) < 0 ? -1 : 0;
}

static struct push_http_exchange *
create(struct push_http_session *session, struct lws *wsi, struct push_broker_link *link)
{
	struct push_http_exchange *self = calloc(1, sizeof(*self));

	if (!self)
		return NULL;
	self->wsi = wsi;
	self->link = link;
	self->session = session;
	push_buf_init(&self->early, link ? link->ops->options(link->broker)->message_bytes_max : 0);
	if (link)
		push_buf_charge(
			&self->early, &link->ops->memory(link->broker)->accounts[PUSH_MEMORY_REQUESTS]);
	self->exchange =
		push_exchange_create(link ? link->ops : NULL, link ? link->broker : NULL, &wire, self);
	if (!self->exchange) {
		free(self);
		return NULL;
	}
	return self;
}

static void
arm(struct push_http_exchange *self)
{
	lws_set_timer_usecs(self->wsi, (lws_usec_t)push_exchange_stall_us(self->exchange));
}

/* The last thing of a callback: `self` may be gone after it.  If the body is still coming, the connection
 * lingers. */
static int
write_answer(struct push_http_exchange *self)
{
	bool is_early = self->behind_another || (self->received < self->length && self->length != UINT64_MAX);
	struct push_kept_response *kept = self->answer;
	bool closes = kept->response.closes;
	struct lws *wsi = self->wsi;
	int result;

	self->answer = NULL;
	lws_set_timer_usecs(wsi, LWS_SET_TIMER_USEC_CANCEL);
	result = push_response_send(wsi, &kept->response, self->is_head);
	free(kept);
	if (!result || is_mux(wsi))
		return 0;
	if (!closes || !is_early || lws_partial_buffered(wsi) ||
		shutdown((int)lws_get_socket_fd(wsi), SHUT_WR))
		return -1;
	lws_set_timeout(wsi, PENDING_TIMEOUT_HTTP_CONTENT, LINGER_S);
	return 0;
}

/* Likewise: what has become of the exchange? */
static int
settle(struct push_http_session *session)
{
	struct push_http_exchange *self = session->exchange;
	int result = self->result;

	if (self->answer)
		return write_answer(self);
	if (push_exchange_take_continue(self->exchange) && answer_expect(self->wsi))
		return -1;
	switch (push_exchange_state(self->exchange)) {
	case PUSH_EXCHANGE_BODY: arm(self); break;
	case PUSH_EXCHANGE_ASKED: lws_set_timer_usecs(self->wsi, LWS_SET_TIMER_USEC_CANCEL); break;
	case PUSH_EXCHANGE_STREAM:
		session->exchange = NULL;
		destroy(self);
		break;
	default: break;
	}
	return result;
}

static int
serve(struct push_http_session *session, struct push_lws_head *head)
{
	struct push_http_exchange *self = session->exchange;
	const struct push_request *request = &head->request;

	self->is_head = request->method == PUSH_METHOD_HEAD;
	self->length = request->has_length ? request->length : request->has_body ? UINT64_MAX : 0;
	self->ended = !self->length && !is_mux(self->wsi);
	self->in_callback = true;
	push_exchange_begin(self->exchange, request, false);
	self->in_callback = false;
	return settle(session);
}

/* `link` may be NULL if there are pages. */
static int
begin(struct push_http_session *session, struct lws *wsi, struct push_broker_link *link,
	enum push_place place, const char *rest, const struct push_pages *pages)
{
	struct push_lws_head head;
	struct push_error error;
	unsigned int status = push_lws_head_read(&head, wsi, link, place, rest, &error);

	if (status)
		return push_reply_error(
			wsi, (struct push_response){.status = status, .closes = true}, error.text);
	head.request.pages = pages;
	session->exchange = link || pages ? create(session, wsi, link) : NULL;
	return session->exchange ? serve(session, &head) : reply_none(wsi, link);
}

int
push_http_session_begin(
	struct push_http_session *session, struct lws *wsi, enum push_place place, const char *rest)
{
	struct push_broker_link *link;

	push_http_session_end(session); /* of the last request on this connection */
	if (push_upgrade_has_tunnel(wsi))
		return -1;
	link = push_find_broker(wsi);
	if (link && push_claim(wsi, link, place, rest))
		return -1;
	return begin(session, wsi, link, place, rest, NULL);
}

int
push_http_session_begin_page(
	struct push_http_session *session, struct lws *wsi, const struct push_page *list, size_t count)
{
	struct push_broker_link *link = push_find_broker(wsi);
	const struct push_pages pages = {list, count, link, link ? NULL : push_find_broker_trouble(wsi)};

	push_http_session_end(session);
	return push_upgrade_has_tunnel(wsi) ? -1
					    : begin(session, wsi, link, PUSH_PLACE_OPERATORS, "", &pages);
}

/* Throws away what comes behind an answer that ends the connection, or the stream. */
static int
discard(struct push_http_exchange *self, size_t size)
{
	self->discarded += size;
	if (self->received + self->discarded >= self->length)
		self->ended = !push_request_on_body_end(self->wsi);
	return self->discarded > LINGER_BYTES_MAX ? -1 : 0;
}

/*
 * lws 4.3, given a publish behind another request in one segment, hands over all of it, head and body, then
 * the body again from memory that it has freed, and does not see the body's end.  So the body is taken from
 * the first call, and the second one's bytes are not looked at.
 *
 * Returns the size of the head in front of the body, 0 if there is none.
 */
static size_t
head_before_body(const struct push_http_exchange *self, const char *bytes, size_t size)
{
	/* any other head is a body that somebody has sent */
	return self->received || is_mux(self->wsi) ? 0 : push_post_head_size(bytes, size, self->length);
}

static void
keep_early(struct push_http_exchange *self, const char *bytes, size_t size)
{
	if (push_memory_has_room(self->link->ops->memory(self->link->broker), size))
		push_buf_append(&self->early, bytes, size);
	else if (self->early.status == PUSH_OK)
		self->early.status = PUSH_OUT_OF_MEMORY;
}

/* It is known whose it is: what has come of the body meanwhile. */
static void
give_early(struct push_http_exchange *self)
{
	struct push_buf *early = &self->early;

	if (push_exchange_state(self->exchange) == PUSH_EXCHANGE_BODY) {
		if (early->status == PUSH_TOO_LARGE)
			push_exchange_break(self->exchange, 413, "the body is over push.message.max.size");
		else if (early->status != PUSH_OK)
			push_exchange_break(self->exchange, 503, PUSH_MEMORY_SHORT_TEXT);
		else if (early->size)
			push_exchange_body(self->exchange, early->bytes, early->size, false);
	}
	push_buf_reset(early);
}

static int
take(struct push_http_session *session, const char *bytes, size_t size)
{
	struct push_http_exchange *self = session->exchange;
	size_t wanted, head = head_before_body(self, bytes, size);
	bool is_last;

	if (head)
		self->behind_another = self->skip_stale = true;
	bytes += head;
	wanted = size -= head;
	if (wanted > self->length - self->received)
		wanted = (size_t)(self->length - self->received);
	self->received += wanted;
	self->behind_another |= wanted < size; /* the others are lost, so that the connection must end */
	if (self->behind_another)
		push_exchange_close_after(self->exchange);
	/* else it is answered when lws has seen the body's end, which it does not see here */
	is_last = self->behind_another && self->received == self->length;
	self->ended |= is_last;
	if (push_exchange_awaits_identity(self->exchange))
		keep_early(self, bytes, wanted);
	else
		push_exchange_body(self->exchange, bytes, wanted, is_last);
	if (is_mux(self->wsi) && self->received == self->length)
		return push_http_session_body_end(session, self->wsi);
	return settle(session);
}

int
push_http_session_body(struct push_http_session *session, struct lws *wsi, const char *bytes, size_t size)
{
	struct push_http_exchange *self = session->exchange;

	if (push_request_on_body(wsi, size))
		return -1;
	if (!self)
		return 0;
	if (self->skip_stale) {
		self->skip_stale = false;
		return 0;
	}
	if (!push_exchange_awaits_identity(self->exchange)) {
		give_early(self);
		if (push_exchange_state(self->exchange) != PUSH_EXCHANGE_BODY)
			return discard(self, size);
	}
	return take(session, bytes, size);
}

int
push_http_session_body_end(struct push_http_session *session, struct lws *wsi)
{
	struct push_http_exchange *self = session->exchange;

	push_request_on_body_end(wsi);
	if (!self)
		return 0;
	self->ended |= self->length > 0; /* else the frame that ends the stream may be on its way */
	if (!push_exchange_awaits_identity(self->exchange))
		give_early(self);
	if (is_mux(wsi) || push_exchange_state(self->exchange) != PUSH_EXCHANGE_BODY)
		return 0;
	push_exchange_body(self->exchange, "", 0, true);
	return settle(session);
}

int
push_http_session_timer(struct push_http_session *session, struct lws *wsi)
{
	struct push_http_exchange *self = session->exchange;

	if (!self || push_exchange_state(self->exchange) == PUSH_EXCHANGE_ANSWERED)
		return push_request_give_up(wsi);
	if (push_exchange_state(self->exchange) != PUSH_EXCHANGE_BODY || self->ended)
		return 0;
	push_exchange_break_stalled(self->exchange);
	(void)settle(session);
	return -1;
}

/* An answer that was late, or one that is due: of HTTP/2, whose body is whole.  A stream of HTTP/2 is
 * answered and forgotten at one go: a client that had the answer earlier would open another, one too many
 * perhaps, for which lws 4.3 ends the connection, and so it does for an empty frame with END_STREAM that
 * follows in the same read. */
int
push_http_session_writeable(struct push_http_session *session, struct lws *wsi)
{
	struct push_http_exchange *self = session->exchange;
	bool gives_up;
	int result;

	if (session->stream) {
		destroy(self); /* a stream whose identity was found out late has left it */
		session->exchange = NULL;
		return push_connection_on_writeable(session->stream);
	}
	if (!self)
		return push_request_give_up(wsi);
	if (!push_exchange_awaits_identity(self->exchange))
		give_early(self);
	if (push_exchange_state(self->exchange) == PUSH_EXCHANGE_BODY && self->ended)
		push_exchange_body(self->exchange, "", 0, true);
	gives_up =
		is_mux(wsi) && self->ended && push_exchange_state(self->exchange) == PUSH_EXCHANGE_ANSWERED;
	result = settle(session);
	return result || !gives_up ? result : push_request_give_up(wsi);
}

int
push_http_session_callback(enum push_place place, struct lws *wsi, enum lws_callback_reasons reason,
	struct push_http_session *session, void *in, size_t size)
{
	switch (reason) {
	/* of a vhost whose default protocol this is */
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE: (void)push_upgrade_is_websocket(wsi, in); return 0;
	case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return -1; /* named as a subprotocol: no WebSocket */
	case LWS_CALLBACK_HTTP: return push_http_session_begin(session, wsi, place, in);
	case LWS_CALLBACK_HTTP_BODY: return push_http_session_body(session, wsi, in, size);
	case LWS_CALLBACK_HTTP_BODY_COMPLETION: return push_http_session_body_end(session, wsi);
	case LWS_CALLBACK_TIMER: return push_http_session_timer(session, wsi);
	case LWS_CALLBACK_HTTP_WRITEABLE: return push_http_session_writeable(session, wsi);
	/* lws may tell both of the socket and of the protocol that they end */
	case LWS_CALLBACK_CLOSED_HTTP:
	case LWS_CALLBACK_HTTP_DROP_PROTOCOL: push_http_session_end(session); return 0;
	default: return 0;
	}
}
