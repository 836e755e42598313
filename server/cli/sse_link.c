/*
 * sse_link.c - see link.h.
 *
 * An event stream by HTML's "Server-sent events", 9.2.6: lines end with LF, CR or CRLF, an empty one ends an
 * event, one space behind a field's colon does not count, several `data` lines are joined by LF.  An answer
 * that is no success is read as the text of an error.
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

static void
dispatch(struct link *link)
{
	struct link_event event = {.name = link->sse.name, .data = ""};

	if (link->sse.data.size) {
		event.data = link->sse.data.bytes;
		event.data_size = link->sse.data.size;
	}
	snprintf(event.id, sizeof(event.id), "%s", link->sse.id);
	if (link->sse.name[0] && !link->is_closed && !link->is_ended)
		link->handlers->on_event(link->owner, link, &event);
	link->sse.name[0] = link->sse.id[0] = '\0';
	push_buf_clear(&link->sse.data);
}

static void
copy_value(char *to, size_t room, const char *value, size_t size)
{
	if (size < room) {
		memcpy(to, value, size);
		to[size] = '\0';
	}
}

static void
take_line(struct link *link, const char *line, size_t size)
{
	const char *colon = memchr(line, ':', size), *value = line + size;
	size_t name_size = colon ? (size_t)(colon - line) : size, value_size = 0;

	if (!size) {
		dispatch(link);
		return;
	}
	if (colon) {
		value = colon + 1;
		value += value < line + size && *value == ' ';
		value_size = (size_t)(line + size - value);
	}
	if (name_size == 5 && !memcmp(line, "event", 5)) {
		copy_value(link->sse.name, sizeof(link->sse.name), value, value_size);
	} else if (name_size == 2 && !memcmp(line, "id", 2)) {
		copy_value(link->sse.id, sizeof(link->sse.id), value, value_size);
	} else if (name_size == 4 && !memcmp(line, "data", 4)) {
		if (link->sse.data.size)
			push_buf_append(&link->sse.data, "\n", 1);
		push_buf_append(&link->sse.data, value, value_size);
	}
}

static int
receive(struct link *link, const char *bytes, size_t size)
{
	const char *end = bytes + size;

	while (bytes < end && !link->is_closed && !link->is_ended) {
		const char *stop = bytes;

		if (link->sse.skips_newline && *bytes == '\n')
			stop = ++bytes;
		link->sse.skips_newline = false;
		while (stop < end && *stop != '\n' && *stop != '\r')
			stop++;
		push_buf_append(&link->in, bytes, (size_t)(stop - bytes));
		if (link->in.status != PUSH_OK) {
			link_fail_text(link, "a message is too large");
			return -1;
		}
		if (stop == end)
			return 0;
		link->sse.skips_newline = *stop == '\r';
		take_line(link, link->in.size ? link->in.bytes : "", link->in.size);
		push_buf_clear(&link->in);
		bytes = stop + 1;
	}
	return 0;
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
		link_fail_text(link, "the answer is no event stream: is that Push?");
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
