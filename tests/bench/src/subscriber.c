/* subscriber.c - see subscriber.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "h2.h"
#include "resp.h"
#include "sse.h"
#include "subscriber.h"
#include "template.h"
#include "ws.h"

#define REQUEST_BYTES_MAX 8192 /* with a token of 4 kB */

static void
forget(struct subscriber *subscriber)
{
	h2_leave(subscriber);
	if (subscriber->wire.fd >= 0) {
		loop_remove(subscriber->fleet->loop, LOOP_READERS, subscriber->wire.fd);
		wire_close(&subscriber->wire);
	}
	free(subscriber->rest);
	free(subscriber->partial);
	subscriber->rest = subscriber->partial = NULL;
	subscriber->rest_size = subscriber->partial_size = 0;
}

void
subscriber_fini(struct subscriber *subscriber)
{
	if (subscriber->state == SUBSCRIBER_CONNECTING || subscriber->state == SUBSCRIBER_OPEN)
		forget(subscriber);
	subscriber->state = SUBSCRIBER_NEW;
}

static void
fail(struct subscriber *subscriber, const char *what, const char *detail, size_t detail_size)
{
	struct fleet *fleet = subscriber->fleet;

	fleet_failed(fleet, what, detail, detail_size);
	forget(subscriber);
	subscriber->state = SUBSCRIBER_FAILED;
	fleet->connecting--;
	fleet->counts.failed++;
}

/* The connection was open and is over. */
static void
end(struct subscriber *subscriber, enum fleet_end how)
{
	struct fleet *fleet = subscriber->fleet;
	uint32_t source = fleet->source + (uint32_t)(subscriber - fleet->all);

	forget(subscriber);
	subscriber->state = SUBSCRIBER_CLOSED;
	fleet->open--;
	fleet->changes++;
	fleet->counts.closed++;
	fleet->counts.ends[how]++;
	if (subscriber->is_announced)
		fleet->counts.closed_announced++;
	if (subscriber->channel < fleet->streams->channels) {
		uint64_t sent = streams_sent(fleet->streams, subscriber->channel);

		fleet->channel_open[subscriber->channel]--;
		if (sent > subscriber->received)
			fleet->accounted += sent - subscriber->received;
	}
	if (subscriber->is_announced && fleet->options->reconnect)
		subscriber_connect(subscriber, source);
}

static void
opened(struct subscriber *subscriber, uint64_t now_ns)
{
	struct fleet *fleet = subscriber->fleet;

	subscriber->state = SUBSCRIBER_OPEN;
	fleet->connecting--;
	fleet->open++;
	fleet->changes++;
	fleet->counts.opened++;
	fleet->connect_until_ns = now_ns;
	histogram_add(&fleet->connect_latency, now_ns - subscriber->started_ns);
	if (subscriber->channel >= fleet->streams->channels)
		return;
	fleet->channel_open[subscriber->channel]++;
	for (uint32_t i = 0; i < fleet->streams->per_channel; i++)
		tracker_init(
			&subscriber->trackers[i], streams_at(fleet->streams, subscriber->channel, i)->sent);
	/* What was sent before it came is not owed to it: the same account as that of a message received. */
	subscriber->received = streams_sent(fleet->streams, subscriber->channel);
	subscriber->has_joined_late = subscriber->received != 0;
}

static void
take_message(struct subscriber *subscriber, const struct stamp *stamp, uint64_t now_ns)
{
	struct fleet *fleet = subscriber->fleet;
	enum tracker_verdict verdict;

	if (stamp->channel != subscriber->channel || stamp->stream >= fleet->streams->per_channel) {
		fleet->counts.misrouted++;
		return;
	}
	verdict = tracker_take(&subscriber->trackers[stamp->stream], stamp->number);
	if (verdict == TRACKER_DUPLICATE) {
		fleet->counts.duplicates++;
		return;
	}
	if (verdict == TRACKER_LATE)
		fleet->counts.late++;
	subscriber->order =
		(subscriber->order ^ stamp->number ^ (uint64_t)stamp->stream << 32) * 0x9e3779b97f4a7c15ull;
	subscriber->order ^= subscriber->order >> 29;
	subscriber->received++;
	fleet->counts.delivered++;
	fleet->accounted++;
	if (fleet->latency && stamp->sent_ns >= fleet->latency_from_ns)
		histogram_add(fleet->latency, now_ns > stamp->sent_ns ? now_ns - stamp->sent_ns : 0);
}

static void
send_frame(struct subscriber *subscriber, unsigned char opcode, const char *text, size_t size)
{
	char frame[WS_CLIENT_HEAD_BYTES + WS_CONTROL_BYTES_MAX];

	/* A few bytes that a working connection always has room for; a broken one shows when it is read. */
	(void)!wire_write(&subscriber->wire, frame, ws_frame_put(frame, opcode, text, size));
}

static bool
has_event(const char *text, size_t size, const char *event)
{
	return memmem(text, size, event, strlen(event)) != NULL;
}

/* With --greeting: the first event ends the handshake.  Returns whether this was it. */
static bool
take_greeting(struct subscriber *subscriber, uint64_t now_ns)
{
	if (subscriber->state != SUBSCRIBER_CONNECTING)
		return false;
	opened(subscriber, now_ns);
	return true;
}

/* Anything that a WebSocket server sends beside messages. */
static void
take_event(struct subscriber *subscriber, const char *text, size_t size)
{
	static const char pong[] = "{\"event\":\"pong\"}";
	struct fleet_counts *counts = &subscriber->fleet->counts;

	if (has_event(text, size, "\"event\":\"ping\"")) {
		counts->pings++;
		send_frame(subscriber, WS_TEXT, pong, sizeof(pong) - 1);
	} else if (has_event(text, size, "\"event\":\"reconnect\"")) {
		counts->reconnect_events++;
		subscriber->is_announced = true;
	} else if (has_event(text, size, "\"error\"")) {
		counts->error_events++;
		fleet_failed(subscriber->fleet, "a subscriber was told", text, size);
	} else {
		counts->unknown_events++;
	}
}

/* Returns whether it was a message, whole or not. */
static bool
take_payload(struct subscriber *subscriber, const char *text, size_t size, uint64_t now_ns)
{
	struct stamp stamp;

	switch (payload_read(subscriber->fleet->payload, text, size, &stamp)) {
	case PAYLOAD_READ: take_message(subscriber, &stamp, now_ns); return true;
	case PAYLOAD_DAMAGED: subscriber->fleet->counts.damaged++; return true;
	case PAYLOAD_ABSENT: break;
	}
	return false;
}

/* A text holds one event, or several, one a line. */
static void
take_text(struct subscriber *subscriber, const char *text, size_t size, uint64_t now_ns)
{
	const char *end = text + size, *feed;

	for (; text < end; text = feed + 1) {
		feed = memchr(text, '\n', (size_t)(end - text));
		if (!feed)
			feed = end;
		if (feed == text || take_greeting(subscriber, now_ns))
			continue;
		if (!take_payload(subscriber, text, (size_t)(feed - text), now_ns))
			take_event(subscriber, text, (size_t)(feed - text));
	}
}

/* Gathers a fragmented message.  Returns -1 if it grows too long. */
static int
take_fragment(struct subscriber *subscriber, const struct ws_frame *frame, uint64_t now_ns)
{
	size_t size = subscriber->partial_size + frame->size;
	char *grown = size <= SUBSCRIBER_SCRATCH_BYTES ? realloc(subscriber->partial, size + 1) : NULL;

	if (!grown)
		return -1;
	memcpy(grown + subscriber->partial_size, frame->text, frame->size);
	subscriber->partial = grown;
	subscriber->partial_size = (uint32_t)size;
	if (!frame->is_last)
		return 0;
	take_text(subscriber, grown, size, now_ns);
	free(subscriber->partial);
	subscriber->partial = NULL;
	subscriber->partial_size = 0;
	return 0;
}

static int
take_frame(struct subscriber *subscriber, const struct ws_frame *frame, uint64_t now_ns)
{
	switch (frame->opcode) {
	case WS_TEXT:
		if (frame->is_last) {
			take_text(subscriber, frame->text, frame->size, now_ns);
			return 0;
		}
		return take_fragment(subscriber, frame, now_ns);
	case WS_CONTINUATION: return take_fragment(subscriber, frame, now_ns);
	case WS_PING: send_frame(subscriber, WS_PONG, frame->text, frame->size); return 0;
	case WS_PONG: return 0;
	case WS_CLOSE:
		subscriber->close_code = 1005; /* none given, 7.1.5 */
		if (frame->size >= 2)
			subscriber->close_code = (uint16_t)((unsigned char)frame->text[0] << 8 |
							    (unsigned char)frame->text[1]);
		send_frame(subscriber, WS_CLOSE, frame->text, frame->size < 2 ? 0 : 2);
		return 0;
	default: return -1;
	}
}

static void
take_sse_event(struct subscriber *subscriber, const struct sse_event *event, uint64_t now_ns)
{
	struct fleet_counts *counts = &subscriber->fleet->counts;

	if (!event->data)
		return; /* a comment */
	if (take_greeting(subscriber, now_ns))
		return;
	if (take_payload(subscriber, event->data, event->data_size, now_ns))
		return;
	if (event->name_size == 9 && !memcmp(event->name, "heartbeat", 9)) {
		counts->heartbeats++;
	} else if (event->name_size == 9 && !memcmp(event->name, "reconnect", 9)) {
		counts->reconnect_events++;
		subscriber->is_announced = true;
	} else {
		counts->unknown_events++;
	}
}

static int
take_reply(struct subscriber *subscriber, const struct resp *reply, uint64_t now_ns)
{
	static const char message[] = "message";

	if (reply->kind == '-')
		return -1;
	if (reply->count == 3 && reply->parts[0].size == sizeof(message) - 1 &&
		!memcmp(reply->parts[0].bytes, message, sizeof(message) - 1) &&
		take_payload(subscriber, reply->parts[2].bytes, reply->parts[2].size, now_ns))
		return 0;
	subscriber->fleet->counts.unknown_events++;
	return 0;
}

/* Takes one frame, event or reply; the returns are those of take_stream(). */
static long
take_one(struct subscriber *subscriber, char *bytes, size_t size, uint64_t now_ns)
{
	struct sse_event event;
	struct ws_frame frame;
	struct resp reply;
	long taken;

	switch ((enum transport)subscriber->fleet->options->transport) {
	case TRANSPORT_SSE:
	case TRANSPORT_H2:
		taken = (long)sse_event_parse(bytes, size, &event);
		if (taken > 0)
			take_sse_event(subscriber, &event, now_ns);
		return taken;
	case TRANSPORT_REDIS:
		taken = resp_parse(bytes, size, &reply);
		return taken > 0 && take_reply(subscriber, &reply, now_ns) ? -1 : taken;
	case TRANSPORT_WS: break;
	}
	taken = ws_frame_parse(bytes, size, &frame);
	return taken > 0 && take_frame(subscriber, &frame, now_ns) ? -1 : taken;
}

/* Takes all that is whole.  Returns the bytes used, -1 if the server breaks the protocol. */
static long
take_stream(struct subscriber *subscriber, char *bytes, size_t size, uint64_t now_ns)
{
	size_t used = 0;

	while (used < size) {
		long taken = take_one(subscriber, bytes + used, size - used, now_ns);

		if (taken < 0)
			return -1;
		if (!taken)
			break;
		used += (size_t)taken;
	}
	return (long)used;
}

/* NULL, or what is wrong with the answer to the handshake. */
static const char *
refusal(const struct subscriber *subscriber, const struct response *response)
{
	if (subscriber->fleet->options->transport == TRANSPORT_WS) {
		if (response->status != 101)
			return "the upgrade was refused";
		return strcmp(response->accept, WS_ACCEPT) ? "wrong Sec-WebSocket-Accept in" : NULL;
	}
	if (response->status != 200)
		return "the event stream was refused";
	return strncasecmp(response->content_type, "text/event-stream", 17) ? "this is no event stream"
									    : NULL;
}

/* take_head() for Redis: the first reply is that to SUBSCRIBE. */
static long
take_subscribed(struct subscriber *subscriber, const char *bytes, size_t size, uint64_t now_ns)
{
	static const char subscribe[] = "subscribe";
	struct resp reply;
	long head = resp_parse(bytes, size, &reply);

	if (!head)
		return 0;
	if (head < 0 || reply.count != 3 || reply.parts[0].size != sizeof(subscribe) - 1 ||
		memcmp(reply.parts[0].bytes, subscribe, sizeof(subscribe) - 1)) {
		fail(subscriber, head < 0 ? "this is no Redis" : "SUBSCRIBE was refused", bytes, size);
		return -1;
	}
	opened(subscriber, now_ns);
	return head;
}

/* Returns the bytes of the head, 0 if more are needed, -1 if it has failed (and is failed). */
static long
take_head(struct subscriber *subscriber, const char *bytes, size_t size, uint64_t now_ns)
{
	struct response response;
	const char *error;
	long head;

	if (subscriber->fleet->options->transport == TRANSPORT_REDIS)
		return take_subscribed(subscriber, bytes, size, now_ns);
	head = response_parse(bytes, size, &response);
	if (!head)
		return 0;
	error = head < 0 ? "this is no HTTP answer" : refusal(subscriber, &response);
	if (error) {
		fail(subscriber, error, bytes, size);
		return -1;
	}
	subscriber->is_chunked = response.is_chunked;
	subscriber->has_answer = true;
	if (!subscriber->fleet->options->greeting)
		opened(subscriber, now_ns);
	return head;
}

/* Keeps what is not whole yet for the next read. */
static int
keep_rest(struct subscriber *subscriber, const char *bytes, size_t size)
{
	if (!size) {
		free(subscriber->rest);
		subscriber->rest = NULL;
	} else {
		char *kept = realloc(subscriber->rest, size);

		if (!kept)
			return -1;
		memcpy(kept, bytes, size);
		subscriber->rest = kept;
	}
	subscriber->rest_size = (uint32_t)size;
	return 0;
}

/* Takes the chunk framing out of the bytes that are new; returns how many are left of them. */
static long
unchunk(struct subscriber *subscriber, char *bytes, size_t size)
{
	size_t used;

	return subscriber->is_chunked ? chunked_decode(&subscriber->chunked, bytes, size, &used) : (long)size;
}

/* `fresh` bytes have come behind the rest in scratch.  Returns false if the connection is over. */
static bool
take_bytes(struct subscriber *subscriber, size_t fresh, uint64_t now_ns)
{
	char *bytes = subscriber->fleet->scratch;
	size_t size = subscriber->rest_size;
	long used;

	if (subscriber->state == SUBSCRIBER_CONNECTING && !subscriber->has_answer) {
		used = take_head(subscriber, bytes, size + fresh, now_ns);
		if (used < 0)
			return false;
		if (!used)
			return !keep_rest(subscriber, bytes, size + fresh);
		bytes += used;
		fresh = size + fresh - (size_t)used;
		size = 0;
	}
	used = unchunk(subscriber, bytes + size, fresh);
	if (used >= 0) {
		size += (size_t)used;
		used = take_stream(subscriber, bytes, size, now_ns);
	}
	if (used < 0 || keep_rest(subscriber, bytes + used, size - (size_t)used)) {
		if (subscriber->state == SUBSCRIBER_CONNECTING) {
			fail(subscriber, "the greeting cannot be parsed", bytes, size < 80 ? size : 80);
			return false;
		}
		fleet_failed(subscriber->fleet, "a subscriber could not make out what the server sent", bytes,
			size < 80 ? size : 80);
		subscriber->fleet->counts.damaged++;
		end(subscriber, END_OTHER_CODE);
		return false;
	}
	return true;
}

/* Nothing more will come: `error` is 0 for an end in order. */
static void
take_end(struct subscriber *subscriber, int error)
{
	uint16_t code = subscriber->close_code;

	if (subscriber->state == SUBSCRIBER_CONNECTING)
		fail(subscriber, error ? strerror(error) : "closed before its answer was whole",
			subscriber->rest, subscriber->rest_size);
	else if (code)
		end(subscriber, code >= 1000 && code < 1016 ? (enum fleet_end)(code - 1000) : END_OTHER_CODE);
	else
		end(subscriber, error ? END_RESET : END_OF_STREAM);
}

void
subscriber_read(struct subscriber *subscriber, bool to_the_end)
{
	struct fleet *fleet = subscriber->fleet;

	wire_wake(&subscriber->wire, to_the_end);
	for (;;) {
		size_t room = SUBSCRIBER_SCRATCH_BYTES - subscriber->rest_size;
		ssize_t got;

		if (subscriber->rest_size)
			memcpy(fleet->scratch, subscriber->rest, subscriber->rest_size);
		got = wire_read(&subscriber->wire, fleet->scratch + subscriber->rest_size, room);
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0) {
			take_end(subscriber, got < 0 ? errno : 0);
			return;
		}
		fleet->counts.reads++;
		fleet->counts.read_bytes += (uint64_t)got;
		if (!take_bytes(subscriber, (size_t)got, clock_ns()))
			return;
		/* A short read has emptied the socket: a further arrival is a new edge. */
		if (!to_the_end && !subscriber->wire.tls && (size_t)got < room)
			return;
	}
}

void
subscriber_answered(struct subscriber *subscriber, const struct response *response, uint64_t now_ns)
{
	char status[24];
	const char *error = refusal(subscriber, response);

	if (error) {
		fail(subscriber, error, status,
			(size_t)snprintf(status, sizeof(status), "HTTP/2 %u", response->status));
		return;
	}
	subscriber->has_answer = true;
	if (!subscriber->fleet->options->greeting)
		opened(subscriber, now_ns);
}

void
subscriber_received(struct subscriber *subscriber, const char *bytes, size_t size, uint64_t now_ns)
{
	char *scratch = subscriber->fleet->scratch;

	/* What is longer than all that may be waiting for its end is no event of this tool's messages. */
	if (subscriber->rest_size + size > SUBSCRIBER_SCRATCH_BYTES)
		size = SUBSCRIBER_SCRATCH_BYTES - subscriber->rest_size;
	if (subscriber->rest_size)
		memcpy(scratch, subscriber->rest, subscriber->rest_size);
	memcpy(scratch + subscriber->rest_size, bytes, size);
	take_bytes(subscriber, size, now_ns);
}

void
subscriber_ended(struct subscriber *subscriber, const char *error)
{
	if (subscriber->state == SUBSCRIBER_CONNECTING)
		fail(subscriber, error ? error : "the stream ended before its answer was whole", NULL, 0);
	else if (subscriber->state == SUBSCRIBER_OPEN)
		end(subscriber, error ? END_RESET : END_OF_STREAM);
}

/* Puts the request of a WebSocket or of an event stream; returns its length, 0 if it is too long. */
static size_t
put_http(const struct options *options, const char *channel, char *request)
{
	bool is_ws = options->transport == TRANSPORT_WS;
	const char *path_template = is_ws ? options->ws_path : options->sse_path;
	char path[REQUEST_BYTES_MAX / 2];
	size_t size;

	if (template_size(path_template, 0) > sizeof(path))
		return 0;
	path[template_fill(path_template, channel, NULL, 0, path)] = 0;
	size = (size_t)snprintf(request, REQUEST_BYTES_MAX, "GET %s HTTP/1.1\r\nHost: %s\r\n%s", path,
		net_place(options->target),
		is_ws ? "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
			"Sec-WebSocket-Key: " WS_KEY "\r\n"
		      : "Accept: text/event-stream\r\n");
	for (const char *const *header = options->headers; *header && size < REQUEST_BYTES_MAX; header++)
		size += (size_t)snprintf(request + size, REQUEST_BYTES_MAX - size, "%s\r\n", *header);
	if (size + sizeof("\r\n") > REQUEST_BYTES_MAX)
		return 0;
	return size + (size_t)sprintf(request + size, "\r\n");
}

static size_t
put_subscribe(const char *channel, char *request)
{
	const struct resp_text words[] = {{"SUBSCRIBE", 9}, {channel, strlen(channel)}};

	return resp_put(request, words, 2);
}

static void
send_request(struct subscriber *subscriber)
{
	const struct options *options = subscriber->fleet->options;
	char request[REQUEST_BYTES_MAX], channel[TEMPLATE_NAME_BYTES_MAX];
	size_t size;

	template_channel(options->channel_name, subscriber->channel, channel);
	size = options->transport == TRANSPORT_REDIS ? put_subscribe(channel, request)
						     : put_http(options, channel, request);
	if (!size) {
		fail(subscriber, "the request is too long", NULL, 0);
		return;
	}
	/* A new socket takes a request as a whole. */
	if (wire_write(&subscriber->wire, request, size) != (ssize_t)size) {
		fail(subscriber, strerror(errno), NULL, 0);
		return;
	}
	subscriber->has_sent_request = true;
}

static void
shake_hands(struct subscriber *subscriber)
{
	const char *error;

	switch (wire_handshake(&subscriber->wire, &error)) {
	case WIRE_READY: send_request(subscriber); break;
	case WIRE_FAILED: fail(subscriber, error, NULL, 0); break;
	case WIRE_AGAIN: break;
	}
}

static void
ready(struct handler *handler, uint32_t events)
{
	struct subscriber *subscriber = (struct subscriber *)handler;

	if (subscriber->wire.fd < 0 || subscriber->fleet->is_stalled)
		return;
	wire_wake(&subscriber->wire, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	if (!subscriber->has_sent_request) {
		if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
			shake_hands(subscriber);
		return;
	}
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		subscriber_read(subscriber, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

/* As put_http(), which has the same room for the path. */
static void
connect_stream(struct subscriber *subscriber, uint32_t source)
{
	const struct options *options = subscriber->fleet->options;
	char path[REQUEST_BYTES_MAX / 2], channel[TEMPLATE_NAME_BYTES_MAX];
	const char *error;

	subscriber->wire.fd = -1;
	if (template_size(options->sse_path, 0) > sizeof(path)) {
		fail(subscriber, "the request is too long", NULL, 0);
		return;
	}
	template_channel(options->channel_name, subscriber->channel, channel);
	path[template_fill(options->sse_path, channel, NULL, 0, path)] = 0;
	error = h2_subscribe(subscriber, source, path);
	if (error)
		fail(subscriber, "connect", error, strlen(error));
}

void
subscriber_connect(struct subscriber *subscriber, uint32_t source)
{
	struct fleet *fleet = subscriber->fleet;

	subscriber->handler.ready = ready;
	subscriber->state = SUBSCRIBER_CONNECTING;
	subscriber->has_sent_request = subscriber->has_answer = false;
	subscriber->is_announced = subscriber->is_chunked = false;
	subscriber->close_code = 0;
	subscriber->order = 0;
	subscriber->chunked = (struct chunked){0};
	subscriber->started_ns = clock_ns();
	fleet->connecting++;
	if (fleet->options->transport == TRANSPORT_H2) {
		connect_stream(subscriber, source);
		return;
	}
	if (wire_open(&subscriber->wire, fleet->target, source, fleet->receive_buffer, NULL)) {
		fail(subscriber, "connect", strerror(errno), strlen(strerror(errno)));
		return;
	}
	if (loop_add(fleet->loop, LOOP_READERS, subscriber->wire.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP,
		    &subscriber->handler))
		fail(subscriber, "epoll", strerror(errno), strlen(strerror(errno)));
}
