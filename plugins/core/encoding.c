/* encoding.c - see encoding.h. */
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "encoding.h"
#include "json.h"
#include "limits.h"
#include "position.h"
#include "push_assert.h"
#include "sse.h"
#include "wsframe.h"

static const char ws_message_head[] = "{\"event\":\"message\",\"data\":";
static const char ws_id_head[] = ",\"id\":\"";
static const char ws_message_tail[] = "}}";
static const char sse_message_name[] = "message";

const char *
push_encoding_label(enum push_encoding encoding)
{
	static const char *const labels[] = {
#define X(name, label) label,
		PUSH_ENCODING_MAP(X)
#undef X
	};

	return labels[encoding];
}

const char *
push_close_reason_label(enum push_close_reason reason)
{
	static const char *const labels[] = {
#define X(name, label, code) label,
		PUSH_CLOSE_REASON_MAP(X)
#undef X
	};

	return labels[reason];
}

static unsigned int
close_code(enum push_close_reason reason)
{
	static const unsigned short codes[] = {
#define X(name, label, code) code,
		PUSH_CLOSE_REASON_MAP(X)
#undef X
	};

	return codes[reason];
}

bool
push_encoding_has_answers(enum push_encoding encoding)
{
	return encoding == PUSH_ENCODING_WS;
}

static unsigned char *
put(unsigned char *to, const void *bytes, size_t size)
{
	memcpy(to, bytes, size);
	return to + size;
}

static struct push_frame *
ws_message(const struct push_message_data *data, const char *id, size_t id_size, uint64_t accepted_us)
{
	unsigned char header[PUSH_WS_HEADER_BYTES_MAX];
	size_t head = sizeof(ws_message_head) - 1, tail = sizeof(ws_message_tail) - 1;
	size_t id_part = id_size ? sizeof(ws_id_head) - 1 + id_size + 1 : 0;
	size_t size = head + data->size + id_part + tail, text_size = data->text ? data->text->size : 0;
	size_t header_size = push_ws_put_header(header, PUSH_WS_TEXT, size + text_size);
	struct push_frame *frame = push_frame_create_around(
		header_size + size, data->text, header_size + head + data->size, accepted_us);
	unsigned char *p;

	if (!frame)
		return NULL;
	p = put(frame->bytes, header, header_size);
	p = put(p, ws_message_head, head);
	p = put(p, data->bytes, data->size);
	if (id_size) {
		p = put(p, ws_id_head, sizeof(ws_id_head) - 1);
		p = put(p, id, id_size);
		p = put(p, "\"", 1);
	}
	(void)put(p, ws_message_tail, tail);
	return frame;
}

static struct push_frame *
sse_message(const struct push_message_data *data, const char *id, size_t id_size, uint64_t accepted_us)
{
	return push_sse_frame(&(struct push_sse_event){
		.name = sse_message_name,
		.data = data->bytes,
		.data_size = data->size,
		.text = data->text,
		.data_end = "}",
		.id = id,
		.id_size = id_size,
		.accepted_us = accepted_us,
	});
}

/* The PING's payload, which comes back in the PONG: lws 4.3 keeps an empty PONG to itself. */
static const char ping_payload[] = "push";

/* One frame of text; with `ping`, a protocol PING follows it in the same bytes. */
static struct push_frame *
ws_text(const char *text, size_t size, bool ping)
{
	unsigned char header[PUSH_WS_HEADER_BYTES_MAX], ping_header[PUSH_WS_HEADER_BYTES_MAX];
	size_t header_size = push_ws_put_header(header, PUSH_WS_TEXT, size);
	size_t payload_size = ping ? sizeof(ping_payload) - 1 : 0;
	size_t ping_size = ping ? push_ws_put_header(ping_header, PUSH_WS_PING, payload_size) : 0;
	struct push_frame *frame = push_frame_create(header_size + size + ping_size + payload_size, 0);

	if (!frame)
		return NULL;
	memcpy(frame->bytes, header, header_size);
	memcpy(frame->bytes + header_size, text, size);
	memcpy(frame->bytes + header_size + size, ping_header, ping_size);
	memcpy(frame->bytes + header_size + size + ping_size, ping_payload, payload_size);
	return frame;
}

static struct push_frame *
ws_control(enum push_control control)
{
	static const char *const texts[] = {
		[PUSH_CONTROL_HEARTBEAT] = "{\"event\":\"ping\",\"data\":{}}",
		[PUSH_CONTROL_RECONNECT] = "{\"event\":\"reconnect\",\"data\":{}}",
		[PUSH_CONTROL_PONG] = "{\"event\":\"pong\",\"data\":{}}",
		[PUSH_CONTROL_GAP] = "{\"event\":\"gap\",\"data\":{}}",
	};

	return ws_text(texts[control], strlen(texts[control]), control == PUSH_CONTROL_HEARTBEAT);
}

static struct push_frame *
sse_control(enum push_control control)
{
	static const char *const names[] = {
		[PUSH_CONTROL_HEARTBEAT] = "heartbeat",
		[PUSH_CONTROL_RECONNECT] = "reconnect",
		[PUSH_CONTROL_PONG] = NULL,
		[PUSH_CONTROL_GAP] = "gap",
	};

	return names[control] ? push_encoding_event(PUSH_ENCODING_SSE, names[control], "{}", 2, NULL, 0)
			      : NULL;
}

struct push_frame *
push_encoding_message(enum push_encoding encoding, const struct push_message_data *data, const char *id,
	size_t id_size, uint64_t accepted_us)
{
	return encoding == PUSH_ENCODING_WS ? ws_message(data, id, id_size, accepted_us)
					    : sse_message(data, id, id_size, accepted_us);
}

struct push_message_data
push_encoding_message_data(enum push_encoding encoding, const struct push_frame *frame, size_t id_size)
{
	enum push_ws_opcode opcode;
	size_t before, behind, size, end, text_size = frame->text ? frame->text->size : 0;

	if (encoding == PUSH_ENCODING_WS) {
		behind = sizeof(ws_message_tail) - 1 + (id_size ? sizeof(ws_id_head) - 1 + id_size + 1 : 0);
		before = push_ws_take_header(frame->bytes, &opcode, &size) + sizeof(ws_message_head) - 1;
	} else {
		push_sse_event_span(frame, &before, &end);
		behind = frame->size - end + strlen("}\n\n") + (id_size ? strlen("\nid:") + id_size : 0);
		before += push_sse_data_offset(sizeof(sse_message_name) - 1);
	}
	PUSH_ASSERT(before + behind + text_size < frame->size);
	return (struct push_message_data){.bytes = (const char *)frame->bytes + before,
		.size = frame->size - text_size - before - behind,
		.text = frame->text};
}

struct push_frame *
push_encoding_event(enum push_encoding encoding, const char *name, const char *data, size_t data_size,
	const char *id, size_t id_size)
{
	struct push_frame *frame = NULL;
	struct push_buf text;

	if (encoding == PUSH_ENCODING_SSE)
		return push_sse_frame(&(struct push_sse_event){
			.name = name, .data = data, .data_size = data_size, .id = id, .id_size = id_size});
	push_buf_init(&text, PUSH_EVENT_BYTES_MAX);
	push_buf_printf(&text, "{\"event\":\"%s\",\"data\":", name);
	push_buf_append(&text, data, data_size);
	push_buf_append(&text, "}", 1);
	if (text.status == PUSH_OK)
		frame = ws_text(text.bytes, text.size, false);
	push_buf_fini(&text);
	return frame;
}

struct push_frame *
push_encoding_heartbeat(enum push_encoding encoding, const char *id, size_t id_size, unsigned int retry_ms)
{
	char text[sizeof("{\"event\":\"ping\",\"data\":{\"id\":\"\"}}") + PUSH_ID_BYTES_MAX];
	int size;

	PUSH_ASSERT(id_size <= PUSH_ID_BYTES_MAX);
	if (encoding == PUSH_ENCODING_SSE)
		return push_sse_frame(&(struct push_sse_event){.name = "heartbeat",
			.data = "{}",
			.data_size = 2,
			.id = id,
			.id_size = id_size,
			.retry_ms = retry_ms});
	size = snprintf(
		text, sizeof(text), "{\"event\":\"ping\",\"data\":{\"id\":\"%.*s\"}}", (int)id_size, id);
	return ws_text(text, (size_t)size, true);
}

struct push_frame *
push_encoding_new_ping(const char *id, size_t id_size)
{
	static const char name[] = "{\"event\":\"ping\",\"data\":{", end[] = "\"new\":true}}";
	char text[sizeof(name) + sizeof("\"id\":\"\",") + sizeof(end) + PUSH_ID_BYTES_MAX];
	int size;

	PUSH_ASSERT(id_size <= PUSH_ID_BYTES_MAX);
	if (id_size)
		size = snprintf(text, sizeof(text), "%s\"id\":\"%.*s\",%s", name, (int)id_size, id, end);
	else
		size = snprintf(text, sizeof(text), "%s%s", name, end);
	return ws_text(text, (size_t)size, true);
}

struct push_frame *
push_encoding_control(enum push_encoding encoding, enum push_control control)
{
	return encoding == PUSH_ENCODING_WS ? ws_control(control) : sse_control(control);
}

/* Whether the connection ends where something is missing: a response that is cut off shows that. */
static bool
is_cut(enum push_close_reason reason)
{
	return reason == PUSH_CLOSE_SLOW || reason == PUSH_CLOSE_MEMORY || reason == PUSH_CLOSE_FAULT;
}

struct push_frame *
push_encoding_close(enum push_encoding encoding, enum push_close_reason reason)
{
	if (encoding == PUSH_ENCODING_SSE)
		return is_cut(reason) ? NULL : push_sse_last_chunk();
	return push_encoding_close_code(encoding, close_code(reason));
}

struct push_frame *
push_encoding_close_code(enum push_encoding encoding, unsigned int code)
{
	unsigned char header[PUSH_WS_HEADER_BYTES_MAX];
	struct push_frame *frame;
	size_t header_size;

	if (encoding != PUSH_ENCODING_WS)
		return NULL;
	header_size = push_ws_put_header(header, PUSH_WS_CLOSE, 2);
	frame = push_frame_create(header_size + 2, 0);
	if (!frame)
		return NULL;
	memcpy(frame->bytes, header, header_size);
	frame->bytes[header_size] = (unsigned char)(code >> 8);
	frame->bytes[header_size + 1] = (unsigned char)code;
	return frame;
}

struct push_frame *
push_encoding_pong(enum push_encoding encoding, const void *payload, size_t size)
{
	unsigned char header[PUSH_WS_HEADER_BYTES_MAX];
	struct push_frame *frame;
	size_t header_size;

	if (encoding != PUSH_ENCODING_WS)
		return NULL;
	PUSH_ASSERT(size <= PUSH_WS_CONTROL_BYTES_MAX);
	header_size = push_ws_put_header(header, PUSH_WS_PONG, size);
	frame = push_frame_create(header_size + size, 0);
	if (!frame)
		return NULL;
	memcpy(frame->bytes, header, header_size);
	memcpy(frame->bytes + header_size, payload, size);
	return frame;
}

struct push_frame *
push_encoding_error(enum push_encoding encoding, const char *text)
{
	struct push_frame *frame = NULL;
	struct push_buf json;

	if (encoding != PUSH_ENCODING_WS)
		return NULL;
	push_buf_init(&json, PUSH_REPLY_BYTES_MAX * 4);
	push_json_append_error(&json, text);
	if (json.status == PUSH_OK)
		frame = ws_text(json.bytes, json.size, false);
	push_buf_fini(&json);
	return frame;
}

struct push_frame *
push_encoding_last_error(enum push_encoding encoding, const char *text)
{
	struct push_frame *frame = NULL;
	struct push_buf json;

	if (encoding == PUSH_ENCODING_WS)
		return push_encoding_error(encoding, text);
	push_buf_init(&json, PUSH_REPLY_BYTES_MAX * 4);
	push_json_append_error(&json, text);
	if (json.status == PUSH_OK)
		frame = push_encoding_event(encoding, "error", json.bytes, json.size, NULL, 0);
	push_buf_fini(&json);
	return frame;
}
