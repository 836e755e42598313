/*
 * sse_link.c - see link.h.
 *
 * An answer that is no success is read as the text of an error.
 */
#include <stdio.h>
#include <string.h>

#include "core/jsonscan.h"
#include "http.h"
#include "link.h"
#include "sse_link.h"

#define READ_BYTES      16384
#define STATUS_OK       200
#define ERROR_BYTES_MAX 4096

static bool
on_event(void *context, const struct sse_event *event)
{
	struct link *link = context;
	struct link_event brought = {.name = event->name, .data = event->data, .data_size = event->data_size};

	snprintf(brought.id, sizeof(brought.id), "%s", event->id);
	link->handlers->on_event(link->owner, link, &brought);
	return !link->is_closed && !link->is_ended;
}

static int
receive(struct link *link, const char *bytes, size_t size)
{
	if (link->is_closed || link->is_ended || sse_parser_take(&link->sse, bytes, size, on_event, link))
		return 0;
	link_fail_text(link, "a message is too large");
	return -1;
}

static int
read_head(struct link *link, struct lws *wsi)
{
	char type[64] = "";
	unsigned int status = 0;

	http_read_head(wsi, &status, &link->end.retry_after_s);
	lws_hdr_copy(wsi, type, sizeof(type), WSI_TOKEN_HTTP_CONTENT_TYPE);
	if (status != STATUS_OK) {
		link->end.status = status;
	} else if (strncmp(type, "text/event-stream", 17)) {
		link->end.is_broken = true;
		link_fail_text(link, "the answer is not an event stream: is that Push?");
		return -1;
	}
	return 0;
}

/* The body of an answer that is no success, as it stands, or the text of its member `error`. */
static void
read_error(struct link *link)
{
	struct http_answer answer = {.body = link->in};
	char text[sizeof(link->end.why)];

	if (!link->end.status || link->end.why[0])
		return;
	http_error_text(&answer, text, sizeof(text));
	snprintf(link->end.why, sizeof(link->end.why), "answered %u: %.200s", link->end.status, text);
}

static int
read_body(struct lws *wsi)
{
	char piece[LWS_PRE + READ_BYTES], *start = piece + LWS_PRE;
	int size = READ_BYTES;

	return lws_http_client_read(wsi, &start, &size) < 0 ? -1 : 0;
}

static void
end(struct link *link)
{
	read_error(link);
	link_fail_text(link, "closed by the server");
	link_is_over(link);
}

int
sse_link_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size)
{
	struct link *link = lws_get_opaque_user_data(wsi);

	(void)user;
	if (!link)
		return 0;
	switch (reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: return link_send_head(link, wsi, in, size);
	case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP: return read_head(link, wsi);
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP: return read_body(wsi);
	case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
		if (!link->end.status)
			return receive(link, in, size);
		if (link->in.size < ERROR_BYTES_MAX)
			push_buf_append(&link->in, in, size);
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR: link_has_failed(link, wsi, in); return 0;
	case LWS_CALLBACK_COMPLETED_CLIENT_HTTP: return -1;
	case LWS_CALLBACK_CLOSED_CLIENT_HTTP: end(link); return 0;
	default: return 0;
	}
}
