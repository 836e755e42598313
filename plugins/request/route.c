/*
 * route.c - which request is served how: the table of paths and methods.
 *
 *   /messages              POST publish, GET and HEAD history (where it is kept), OPTIONS
 *   /sse/messages          GET an event stream, HEAD its head, OPTIONS
 *   /sse/messages/TOKEN    POST a change of that stream's channels, OPTIONS
 *   /ws/messages           GET with an upgrade: a WebSocket
 *   /auth/tickets          POST a ticket, OPTIONS; only where clients have to show who they are
 *
 *   the operators' pages   as their table says (page.h)
 *
 * The paths are where the vhost's mounts are; the first three are whatever is mounted to push-http and
 * push-sse.  The last one belongs to the vhost's default protocol, which also gets every path that nothing is
 * mounted to.
 */
#include <stdio.h>
#include <string.h>

#include "core/paths.h"
#include "request/exchange_private.h"
#include "request/query.h"
#include "request/route.h"
#include "request/socket_opening.h"

/* Sixteen bytes in base64 (RFC 6455, 4.1). */
#define WS_KEY_BYTES 24

static bool
is_end(struct push_str rest)
{
	return !rest.size || (rest.size == 1 && *rest.bytes == '/');
}

/* `/TOKEN`. */
static bool
is_token(struct push_str rest, struct push_str *ret_token)
{
	if (rest.size < 1 || *rest.bytes != '/' || !push_token_is_shaped(rest.bytes + 1, rest.size - 1))
		return false;
	*ret_token = (struct push_str){rest.bytes + 1, rest.size - 1};
	return true;
}

/* A body that is not read ends the connection: nothing of it may be taken for a request (RFC 9112, 9.3). */
static void
end_with_body(struct push_exchange *x, const struct push_request *request)
{
	x->head.closes |= request->has_body;
}

static void
not_found(struct push_exchange *x, const struct push_request *request)
{
	char path[PUSH_PATH_BYTES_MAX] = "";
	struct push_error error = {""};

	if (request->path.size < sizeof(path)) {
		memcpy(path, request->path.bytes, request->path.size);
		path[request->path.size] = '\0';
	}
	(void)push_path_not_found(request->pages ? PUSH_PORT_OPERATORS : PUSH_PORT_CLIENTS, path, &error);
	end_with_body(x, request);
	exchange_refuse(x, 404, error.text);
}

static void
wrong_method(struct push_exchange *x, const struct push_request *request, const char *allow, const char *text)
{
	end_with_body(x, request);
	x->head.allow = allow;
	exchange_refuse(x, 405, text);
}

/* Also what a browser asks before a page of another origin may send the request (WHATWG Fetch, 4.8). */
static void
options(struct push_exchange *x, const struct push_request *request, const char *allow)
{
	end_with_body(x, request);
	x->head.allow = allow;
	x->head.is_preflight = !request->pages; /* whose vhost says itself what pages may do */
	x->head.allows_key = !request->pages && x->ops->is_guarded(x->broker);
	exchange_answer(x, 204, NULL, (struct push_str){NULL, 0});
}

/* `OPTIONS *` and `OPTIONS /` ask for the server as a whole (RFC 9110, 9.3.7): balancers check by them. */
static bool
asks_for_server(const struct push_request *request)
{
	return request->method == PUSH_METHOD_OPTIONS && request->path.size == 1 &&
	       (!request->pages || *request->path.bytes == '*');
}

static bool
query_has(const struct push_request *request, const char *name)
{
	struct push_buf value;
	bool has;

	push_buf_init(&value, PUSH_HEAD_BYTES_MAX);
	has = push_query_values(request->query, name, &value) != PUSH_QUERY_NONE;
	push_buf_fini(&value);
	return has;
}

static bool
asks_for_history(const struct push_request *request)
{
	return (request->method == PUSH_METHOD_GET || request->method == PUSH_METHOD_HEAD) &&
	       query_has(request, "channel");
}

static void
messages(struct push_exchange *x, const struct push_request *request)
{
	bool reads = x->ops->reads_history(x->broker), is_get = request->method == PUSH_METHOD_GET;

	if (!is_end(request->rest)) {
		not_found(x, request);
	} else if (request->method == PUSH_METHOD_POST) {
		exchange_identify(x, request, PUSH_RIGHT_PUBLISH, exchange_begin_publish);
	} else if (request->method == PUSH_METHOD_OPTIONS) {
		options(x, request, reads ? "GET, HEAD, POST, OPTIONS" : "POST, OPTIONS");
	} else if (asks_for_history(request) || (reads && (is_get || request->method == PUSH_METHOD_HEAD))) {
		end_with_body(x, request);
		exchange_identify(x, request, PUSH_RIGHT_HISTORY, exchange_read);
	} else {
		x->verb = EXCHANGE_PUBLISH; /* counted as one that failed */
		if (reads)
			wrong_method(x, request, "GET, HEAD, POST, OPTIONS",
				"method not allowed, use GET or POST");
		else
			wrong_method(x, request, "POST, OPTIONS",
				is_get ? "method not allowed, use POST; " PUSH_PATH_SUBSCRIBE_HINT
				       : "method not allowed, use POST");
	}
}

/* Whether it may have what it asks for; if not, that is answered. */
static bool
grant(struct push_exchange *x, struct push_subscription *subscription)
{
	struct push_error error = {""};

	switch (push_subscription_grant(subscription, x->identity, x->ops->options(x->broker), &error)) {
	case PUSH_OK: return true;
	case PUSH_INVALID: exchange_refuse(x, 400, error.text); break;
	case PUSH_REFUSED:
		x->ops->count_auth_refused(x->broker, push_identity_refused_as(x->identity), error.text);
		exchange_deny(x, push_identity_status(x->identity),
			push_identity_status(x->identity) == 403 ? "insufficient_scope" : NULL, error.text);
		break;
	default: exchange_refuse(x, 503, push_channels_join_error(PUSH_OUT_OF_MEMORY));
	}
	return false;
}

/* The stream's head, or a stream. */
static void
open_granted(
	struct push_exchange *x, const struct push_request *request, struct push_subscription *subscription)
{
	const struct push_opening opening = {.subscription = subscription, .identity = x->identity};
	struct push_response head = x->head;
	struct push_error error = {""};
	enum push_status status;
	unsigned int refused;

	head.status = 200;
	head.content_type = "text/event-stream";
	head.is_stream = true;
	if (request->method == PUSH_METHOD_HEAD) {
		x->head.is_stream = true;
		exchange_answer(x, head.status, head.content_type, (struct push_str){NULL, 0});
		return;
	}
	refused = exchange_admit_stream(x, request, &error);
	if (refused) {
		exchange_refuse(x, refused, error.text);
		return;
	}
	head.closes = true;                   /* nothing follows it on its connection */
	x->head.closes |= x->limiter != NULL; /* which is one client's from now on */
	status = x->wire->subscribe(x->owner, &head, &opening);
	if (status == PUSH_OK)
		x->state = PUSH_EXCHANGE_STREAM;
	else if (push_user_limit_text(status))
		exchange_refuse(x, 429, push_user_limit_text(status));
	else
		exchange_refuse(x, 503, push_channels_join_error(status));
}

static void
open_events(struct push_exchange *x, const struct push_request *request)
{
	struct push_subscription subscription;
	struct push_error error = {""};

	switch (push_subscription_read(&subscription, request, PUSH_ENCODING_SSE,
		x->ops->is_guarded(x->broker), x->ops->options(x->broker), &error)) {
	case PUSH_OK:
		if (grant(x, &subscription))
			open_granted(x, request, &subscription);
		break;
	case PUSH_INVALID: exchange_refuse(x, 400, error.text); break;
	default: exchange_refuse(x, 503, push_channels_join_error(PUSH_OUT_OF_MEMORY));
	}
	push_subscription_fini(&subscription);
}

static void
events(struct push_exchange *x, const struct push_request *request)
{
	struct push_str token;

	if (is_token(request->rest, &token)) {
		if (request->method == PUSH_METHOD_POST)
			exchange_begin_change(x, request, token);
		else if (request->method == PUSH_METHOD_OPTIONS)
			options(x, request, "POST, OPTIONS");
		else
			wrong_method(x, request, "POST, OPTIONS", "method not allowed, use POST");
	} else if (!is_end(request->rest)) {
		not_found(x, request);
	} else if (request->method == PUSH_METHOD_OPTIONS) {
		options(x, request, "GET, HEAD, OPTIONS");
	} else if (request->method != PUSH_METHOD_GET && request->method != PUSH_METHOD_HEAD) {
		wrong_method(x, request, "GET, HEAD, OPTIONS",
			request->method == PUSH_METHOD_POST
				? "method not allowed, use GET; " PUSH_PATH_PUBLISH_HINT
				: "method not allowed, use GET");
	} else if (x->ops->is_draining(x->broker)) {
		exchange_refuse(x, 503, "the server is draining");
	} else {
		end_with_body(x, request);
		exchange_identify(x, request, PUSH_RIGHT_SUBSCRIBE, open_events);
	}
}

/* Of the whole path, wherever the mounts are. */
static bool
is_path(const struct push_request *request, const char *known)
{
	char path[PUSH_PATH_BYTES_MAX];

	if (request->path.size >= sizeof(path))
		return false;
	memcpy(path, request->path.bytes, request->path.size);
	path[request->path.size] = '\0';
	return push_path_is(path, known);
}

static bool
is_socket_path(const struct push_request *request)
{
	return is_path(request, PUSH_PATH_WS);
}

/* A ticket that made others would be good for as long as the token that it was made of, whoever has seen its URL. */
static void
refuse_ticket(struct push_exchange *x, const struct push_request *request)
{
	static const char text[] = "a ticket is for event streams and WebSockets only";

	end_with_body(x, request);
	x->ops->count_auth_refused(x->broker, PUSH_AUTH_MALFORMED, text);
	exchange_deny(x, 401, "invalid_token", text);
}

static void
tickets(struct push_exchange *x, const struct push_request *request)
{
	if (request->method == PUSH_METHOD_OPTIONS)
		options(x, request, "POST, OPTIONS");
	else if (request->method != PUSH_METHOD_POST)
		wrong_method(x, request, "POST, OPTIONS", "method not allowed, use POST");
	else if (query_has(request, "ticket"))
		refuse_ticket(x, request);
	else
		exchange_identify(x, request, PUSH_RIGHT_SUBSCRIBE, exchange_begin_ticket);
}

unsigned int
push_route_check_socket(const struct push_request *request, struct push_error *error)
{
	if (!is_socket_path(request)) {
		snprintf(error->text, sizeof(error->text), "no WebSocket here; it is at " PUSH_PATH_WS);
		return 404;
	}
	/* RFC 6455, 4.4; over HTTP/2 no server has ever asked for it, so that a client may leave it out */
	if (!push_str_is(request->ws_version, "13") && (!request->is_http_2 || request->ws_version.bytes)) {
		snprintf(error->text, sizeof(error->text), "Sec-WebSocket-Version must be 13");
		return 426;
	}
	if (!request->is_http_2 && request->ws_key.size != WS_KEY_BYTES) {
		snprintf(error->text, sizeof(error->text), "Sec-WebSocket-Key must be 16 bytes in base64");
		return 400;
	}
	return 0;
}

/* From here on errors are told over the WebSocket: a browser shows no answer to a handshake to its page. */
static void
open_socket(struct push_exchange *x, const struct push_request *request)
{
	struct push_response head = {.status = 101};
	struct push_socket_opening socket;
	char address[PUSH_ADDRESS_TEXT_BYTES];
	enum push_status status;

	push_socket_opening_read(&socket, request, x->ops, x->broker);
	socket.asked.address = exchange_address_text(x, address);
	if (!socket.subscription.refusal.text[0])
		socket.subscription.is_put_off =
			exchange_admit_stream(x, request, &socket.subscription.refusal) == 503;
	status = x->wire->subscribe(x->owner, &head, &socket.opening);
	push_socket_opening_fini(&socket);
	x->state = PUSH_EXCHANGE_STREAM;
	if (status != PUSH_OK)
		exchange_refuse(x, 503, push_channels_join_error(status));
}

static void
sockets(struct push_exchange *x, const struct push_request *request)
{
	struct push_error error = {""};
	unsigned int status;

	if (!request->wants_websocket) {
		if (!is_socket_path(request)) {
			not_found(x, request);
			return;
		}
		end_with_body(x, request);
		x->head.upgrades = true;
		exchange_refuse(x, 426, "this is a WebSocket: send an Upgrade");
		return;
	}
	x->head.closes = true; /* whatever follows an upgrade is no request */
	status = push_route_check_socket(request, &error);
	x->head.upgrades = status == 426;
	if (status)
		exchange_refuse(x, status, error.text);
	else
		open_socket(x, request);
}

/* What operators see. */
static void
pages(struct push_exchange *x, const struct push_request *request)
{
	struct push_str name;
	const struct push_page *page = push_page_find(request->pages, request->path, &name);
	bool is_get = request->method == PUSH_METHOD_GET || request->method == PUSH_METHOD_HEAD;

	if (!page) {
		not_found(x, request);
	} else if (request->method == PUSH_METHOD_OPTIONS) {
		options(x, request, push_page_allow(page));
	} else if (page->get && is_get) {
		end_with_body(x, request);
		exchange_call_page(x, request, page, name);
	} else if (page->post && request->method == PUSH_METHOD_POST) {
		exchange_begin_page(x, request, page);
	} else if (page->get && page->post) {
		wrong_method(x, request, push_page_allow(page), "method not allowed, use GET or POST");
	} else {
		wrong_method(x, request, push_page_allow(page),
			page->get ? "method not allowed, use GET" : "method not allowed, use POST");
	}
}

void
exchange_route(struct push_exchange *x, const struct push_request *request)
{
	if (request->expect.bytes && !push_str_is(request->expect, "100-continue")) {
		end_with_body(x, request);
		exchange_refuse(x, 417, "'Expect' must be 100-continue");
		return;
	}
	if (asks_for_server(request)) {
		options(x, request, "GET, HEAD, POST, OPTIONS");
		return;
	}
	if (!request->pages && x->ops->is_guarded(x->broker) && is_path(request, PUSH_PATH_TICKETS)) {
		tickets(x, request);
		return;
	}
	switch (request->place) {
	case PUSH_PLACE_PUBLISH: messages(x, request); break;
	case PUSH_PLACE_EVENTS: events(x, request); break;
	case PUSH_PLACE_SOCKETS: sockets(x, request); break;
	case PUSH_PLACE_OPERATORS: pages(x, request); break;
	default: not_found(x, request); break;
	}
}
