/*
 * http.c - see http.h.
 *
 * A connection serves one request: lws keeps one for the next only where the header Host has no port.  A
 * request has been sent once lws asks for its headers: an error before that is a server that cannot be
 * reached, one after it leaves open whether the server has carried the request out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/jsonscan.h"
#include "http.h"
#include "received.h"
#include "say.h"

#define READ_BYTES  8192
#define WRITE_BYTES 16384

struct exchange {
	struct loop *loop;
	const struct http_request *request;
	const char *const *headers;
	struct http_answer *answer;
	size_t written;
	bool is_sent, is_done;
};

static void
finish(struct exchange *exchange, enum http_result result, const char *why)
{
	if (exchange->is_done)
		return;
	exchange->is_done = true;
	exchange->answer->result = result;
	if (why)
		snprintf(exchange->answer->why, sizeof(exchange->answer->why), "%s", why);
	loop_stop(exchange->loop);
}

static bool
add_header(struct lws *wsi, const char *name, const char *value, unsigned char **at, unsigned char *end)
{
	return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value,
		       (int)strlen(value), at, end) != 0;
}

bool
http_append_headers(struct lws *wsi, const char *const *headers, unsigned char **at, unsigned char *end)
{
	char name[128];

	for (; headers && *headers; headers++) {
		const char *colon = strchr(*headers, ':');
		const char *value = colon + 1 + strspn(colon + 1, " ");

		snprintf(name, sizeof(name), "%.*s:", (int)(colon - *headers), *headers);
		if (add_header(wsi, name, value, at, end))
			return true;
	}
	return false;
}

static int
send_head(struct exchange *exchange, struct lws *wsi, unsigned char **at, size_t room)
{
	const struct http_request *request = exchange->request;
	unsigned char *end = *at + room;
	char length[24];

	exchange->is_sent = true;
	if (add_header(wsi, "user-agent:", "push/" PUSH_VERSION, at, end) ||
		http_append_headers(wsi, exchange->headers, at, end))
		return -1;
	if (!request->content_type)
		return 0;
	snprintf(length, sizeof(length), "%zu", request->body_size);
	if (add_header(wsi, "content-type:", request->content_type, at, end) ||
		add_header(wsi, "content-length:", length, at, end) ||
		(request->key && add_header(wsi, "idempotency-key:", request->key, at, end)))
		return -1;
	lws_client_http_body_pending(wsi, 1);
	lws_callback_on_writable(wsi);
	return 0;
}

static int
send_body(struct exchange *exchange, struct lws *wsi)
{
	const struct http_request *request = exchange->request;
	unsigned char piece[LWS_PRE + WRITE_BYTES];
	size_t left = request->body_size - exchange->written, size = left < WRITE_BYTES ? left : WRITE_BYTES;
	bool is_last = size == left;

	if (!request->content_type || !left)
		return 0;
	memcpy(piece + LWS_PRE, request->body + exchange->written, size);
	if (lws_write(wsi, piece + LWS_PRE, size, is_last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) <
		(int)size)
		return -1;
	exchange->written += size;
	if (is_last)
		lws_client_http_body_pending(wsi, 0);
	else
		lws_callback_on_writable(wsi);
	return 0;
}

void
http_read_head(struct lws *wsi, unsigned int *ret_status, unsigned int *ret_retry_after_s)
{
	char text[16];

	*ret_status = lws_http_client_http_response(wsi);
	if (lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_HTTP_RETRY_AFTER) > 0)
		*ret_retry_after_s = (unsigned int)strtoul(text, NULL, 10);
}

static int
read_body(struct lws *wsi)
{
	char piece[LWS_PRE + READ_BYTES], *start = piece + LWS_PRE;
	int size = READ_BYTES;

	return lws_http_client_read(wsi, &start, &size) < 0 ? -1 : 0;
}

bool
http_is_no_answer(struct lws *wsi)
{
	return lws_is_ssl(wsi) || !received_anything((int)lws_get_socket_fd(wsi));
}

static void
fail(struct exchange *exchange, struct lws *wsi, const char *text)
{
	if (!exchange->is_sent)
		finish(exchange, HTTP_UNREACHABLE, loop_failure_text(text));
	else if (http_is_no_answer(wsi))
		finish(exchange, HTTP_LOST, HTTP_TEXT_NO_ANSWER);
	else
		finish(exchange, HTTP_BROKEN, HTTP_TEXT_NO_HTTP);
}

int
http_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
	struct exchange *exchange = lws_get_opaque_user_data(wsi);

	(void)user;
	/* it has ended, or nobody waits for it any more */
	if (!exchange)
		return 0;
	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: return send_head(exchange, wsi, in, size);
	case LWS_CALLBACK_CLIENT_HTTP_WRITEABLE: return send_body(exchange, wsi);
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
		http_read_head(wsi, &exchange->answer->status, &exchange->answer->retry_after_s);
		return 0;
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP: return read_body(wsi);
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
		push_buf_append(&exchange->answer->body, in, size);
		return 0;
	case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
		lws_set_opaque_user_data(wsi, NULL);
		finish(exchange, HTTP_ANSWERED, NULL);
		return -1;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		lws_set_opaque_user_data(wsi, NULL);
		fail(exchange, wsi, in);
		return 0;
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
		lws_set_opaque_user_data(wsi, NULL);
		finish(exchange, exchange->answer->status ? HTTP_ANSWERED : HTTP_LOST, HTTP_TEXT_NO_ANSWER);
		return 0;
	default: return 0;
	}
}

void
http_ask(struct loop *loop, const struct url *url, const char *const *headers,
	const struct http_request *request, struct http_answer *ret_answer)
{
	struct exchange exchange = {
		.loop = loop, .request = request, .headers = headers, .answer = ret_answer};
	struct lws_client_connect_info info = {.context = loop->context, .vhost = loop->vhost};
	struct push_buf path;
	struct lws *wsi = NULL;

	*ret_answer = (struct http_answer){.result = HTTP_STOPPED};
	push_buf_init(&ret_answer->body, CLI_ANSWER_BYTES_MAX);
	push_buf_init(&path, CLI_TARGET_BYTES_MAX);
	push_buf_append_text(&path, url->path);
	push_buf_append_text(&path, request->path);
	push_buf_append(&path, "", 1);
	url_fill(url, &info);
	info.path = path.bytes;
	info.method = request->method;
	info.local_protocol_name = LOOP_HTTP;
	info.opaque_user_data = &exchange;
	info.pwsi = &wsi;
	if (path.status != PUSH_OK)
		finish(&exchange, HTTP_UNREACHABLE, "the request is too long");
	else if (!lws_client_connect_via_info(&info))
		finish(&exchange, HTTP_UNREACHABLE, "connection failed");
	if (!exchange.is_done)
		loop_run(loop);
	/* a signal has stopped the loop: nothing may point here any more */
	if (!exchange.is_done && wsi) {
		lws_set_opaque_user_data(wsi, NULL);
		lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
	}
	push_buf_append(&ret_answer->body, "", 1);
	ret_answer->body.size -= ret_answer->body.size && ret_answer->body.status == PUSH_OK;
	push_buf_fini(&path);
}

void
http_answer_fini(struct http_answer *answer)
{
	push_buf_fini(&answer->body);
}

const char *
http_error_text(const struct http_answer *answer, char *to, size_t size)
{
	struct push_json_member error = {.name = "error"};
	struct push_error ignored;
	struct push_buf text;

	snprintf(to, size, "%.*s", (int)(answer->body.size < 120 ? answer->body.size : 120),
		answer->body.size ? answer->body.bytes : "");
	if (!answer->body.size ||
		push_json_scan_object(answer->body.bytes, answer->body.size, &error, 1, &ignored) !=
			PUSH_OK ||
		!push_json_is_string(&error))
		return to;
	push_buf_init(&text, CLI_ANSWER_BYTES_MAX);
	push_json_decode_string(&text, error.text, error.size);
	snprintf(to, size, "%.*s", (int)text.size, text.size ? text.bytes : "");
	push_buf_fini(&text);
	return to;
}

enum cli_exit
http_report(const struct url *url, const struct http_answer *answer)
{
	char text[512];

	switch (answer->result) {
	case HTTP_STOPPED: return CLI_DONE;
	case HTTP_UNREACHABLE:
		say("%s cannot be reached: %s", url->text, answer->why);
		return CLI_UNREACHABLE;
	case HTTP_LOST: say("%s: %s", url->text, answer->why); return CLI_UNAVAILABLE;
	case HTTP_BROKEN: say("%s: %s", url->text, answer->why); return CLI_BROKEN;
	case HTTP_ANSWERED: break;
	}
	if (answer->status >= 300 && answer->status < 400) {
		say("%s: %u, a redirect: set PUSH_URL or --url to the new address", url->text,
			answer->status);
		return CLI_REFUSED;
	}
	say("%s: %u: %s", url->text, answer->status, http_error_text(answer, text, sizeof(text)));
	if (answer->status == 408 || answer->status == 409 || answer->status == 429 || answer->status >= 500)
		return CLI_UNAVAILABLE;
	return CLI_REFUSED;
}
