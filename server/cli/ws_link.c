/* ws_link.c - see link.h. */
#include <stdio.h>
#include <string.h>

#include "core/json.h"
#include "core/jsonscan.h"
#include "http.h"
#include "link.h"
#include "ws_link.h"

#define CLOSE_CODE_BYTES 2
#define STATUS_SWITCHING 101

/* A member's plain text without its quotes; "" where there is none. */
static void
copy_text(const struct push_json_member *member, char *to, size_t size)
{
	struct push_buf text;

	to[0] = '\0';
	if (!push_json_is_string(member))
		return;
	push_buf_init(&text, size - 1);
	push_json_decode_string(&text, member->text, member->size);
	if (text.status == PUSH_OK)
		snprintf(to, size, "%.*s", (int)text.size, text.size ? text.bytes : "");
	push_buf_fini(&text);
}

static void
read_frame(struct link *link, const char *text, size_t size)
{
	struct push_json_member members[] = {{.name = "event"}, {.name = "data"}, {.name = "error"}};
	struct push_json_member id = {.name = "id"};
	struct link_event event = {.data = ""};
	struct push_error error;
	char name[32];

	if (push_json_scan_object(text, size, members, 3, &error) != PUSH_OK) {
		link->end.is_broken = true;
		link_fail_text(link, "a frame is not JSON: is that Push?");
		lws_set_timeout(link->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_ASYNC);
		return;
	}
	copy_text(&members[0], name, sizeof(name));
	if (!name[0])
		copy_text(&members[2], link->end.why, sizeof(link->end.why));
	event.name = name;
	if (members[1].text && members[1].text[0] == '{') {
		event.data = members[1].text;
		event.data_size = members[1].size;
		if (push_json_scan_object(event.data, event.data_size, &id, 1, &error) == PUSH_OK)
			copy_text(&id, event.id, sizeof(event.id));
	}
	link->handlers->on_event(link->owner, link, &event);
}

static int
receive(struct link *link, struct lws *wsi, const char *bytes, size_t size)
{
	if (link->is_closed || link->is_ended)
		return 0;
	push_buf_append(&link->in, bytes, size);
	if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi))
		return 0;
	if (link->in.status != PUSH_OK) {
		link_fail_text(link, "a message is too large");
		return -1;
	}
	read_frame(link, link->in.bytes, link->in.size);
	push_buf_clear(&link->in);
	return 0;
}

static int
write_ack(struct link *link, struct lws *wsi)
{
	unsigned char piece[LWS_PRE + CLI_ID_BYTES_MAX * 2 + 64];
	struct push_buf text;
	int size;

	push_buf_init(&text, CLI_ID_BYTES_MAX * 2);
	push_json_append_string(&text, link->ack, strlen(link->ack));
	size = snprintf((char *)piece + LWS_PRE, sizeof(piece) - LWS_PRE,
		"{\"event\":\"ack\",\"data\":{\"id\":%.*s}}", (int)text.size,
		text.size ? text.bytes : "\"\"");
	push_buf_fini(&text);
	link->ack[0] = '\0';
	return lws_write(wsi, piece + LWS_PRE, (size_t)size, LWS_WRITE_TEXT) < size ? -1 : 0;
}

static int
write_auth(struct link *link, struct lws *wsi)
{
	unsigned char piece[LWS_PRE + 2 * CLI_TOKEN_BYTES_MAX + 64];
	struct push_buf text;
	int size;

	push_buf_init(&text, 2 * CLI_TOKEN_BYTES_MAX);
	push_json_append_string(&text, link->token, strlen(link->token));
	size = snprintf((char *)piece + LWS_PRE, sizeof(piece) - LWS_PRE,
		"{\"event\":\"auth\",\"data\":{\"token\":%.*s}}", (int)text.size,
		text.size ? text.bytes : "\"\"");
	if (text.bytes)
		explicit_bzero(text.bytes, text.size);
	push_buf_fini(&text);
	link->token = NULL;
	size = lws_write(wsi, piece + LWS_PRE, (size_t)size, LWS_WRITE_TEXT) < size ? -1 : 0;
	explicit_bzero(piece, sizeof(piece));
	lws_callback_on_writable(wsi);
	return size;
}

static int
write_waiting(struct link *link, struct lws *wsi)
{
	if (link->token)
		return write_auth(link, wsi);
	if (link->ack[0] && write_ack(link, wsi))
		return -1;
	if (!link->is_closed)
		return 0;
	lws_close_reason(wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
	return -1;
}

/* What the server answers in place of 101. */
static int
read_head(struct link *link, struct lws *wsi)
{
	unsigned int status = 0;

	http_read_head(wsi, &status, &link->end.retry_after_s);
	if (status != STATUS_SWITCHING) {
		link->end.status = status;
		snprintf(link->end.why, sizeof(link->end.why), "answered %u instead of opening a WebSocket",
			status);
	}
	return 0;
}

static void
read_close(struct link *link, const unsigned char *code, size_t size)
{
	if (size < CLOSE_CODE_BYTES)
		return;
	link->end.code = (unsigned int)code[0] << 8 | code[1];
	if (!link->end.why[0])
		snprintf(link->end.why, sizeof(link->end.why), "closed by the server, code %u",
			link->end.code);
}

int
ws_link_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
	struct link *link = lws_get_opaque_user_data(wsi);

	(void)user;
	if (!link)
		return 0;
	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: return link_send_head(link, wsi, in, size);
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP: return read_head(link, wsi);
	case LWS_CALLBACK_CLIENT_RECEIVE: return receive(link, wsi, in, size);
	case LWS_CALLBACK_CLIENT_WRITEABLE: return write_waiting(link, wsi);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: read_close(link, in, size); return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR: link_has_failed(link, wsi, in); return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
		link_fail_text(link, "closed by the server");
		link_is_over(link);
		return 0;
	default: return 0;
	}
}
