/* publisher.c - see publisher.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"
#include "publisher.h"
#include "resp.h"
#include "response.h"
#include "template.h"

/* Of a request's head, its path and the further headers not counted. */
#define FIXED_HEAD_BYTES 1024

static void
disconnect(struct publisher *publisher)
{
	if (publisher->wire.fd >= 0) {
		loop_remove(publisher->load->loop, LOOP_MAIN, publisher->wire.fd);
		wire_close(&publisher->wire);
	}
	publisher->is_connected = false;
	publisher->out_size = publisher->in_size = 0;
}

static void
die(struct publisher *publisher, const char *what, const char *detail)
{
	disconnect(publisher);
	publisher->is_dead = true;
	load_publisher_died(publisher, what, detail);
}

/* The connection is over; what is pending will not be answered. */
static void
lose(struct publisher *publisher, const char *what, const char *detail)
{
	load_unanswered(publisher);
	publisher->pending_count = 0;
	if (!publisher->answers) {
		die(publisher, what, detail);
		return;
	}
	disconnect(publisher);
	publisher->load->counts.reconnects++;
	publisher_connect(publisher);
}

static void
answer(struct publisher *publisher, unsigned int status, const char *body, size_t size)
{
	struct pending pending = publisher->pending[publisher->pending_first];

	publisher->pending_first =
		(publisher->pending_first + 1) % (uint32_t)publisher->load->options->pipeline;
	publisher->pending_count--;
	publisher->answers++;
	load_answered(publisher, &pending, status, body, size);
}

/*
 * The body behind a head.  Returns its length with its framing, -1 if it is not whole yet; *ret_body and
 * *ret_size are what it says.
 */
static long
take_body(const struct response *response, char *bytes, size_t size, char *copy, const char **ret_body,
	size_t *ret_size)
{
	struct chunked chunked = {0};
	size_t used;
	long decoded;

	*ret_body = bytes;
	*ret_size = (size_t)response->length;
	if (!response->is_chunked) {
		if (!response->has_length && response->status != 204)
			return (long)(*ret_size = size); /* to the end of the connection */
		return size < response->length ? -1 : (long)response->length;
	}
	memcpy(copy, bytes, size);
	decoded = chunked_decode(&chunked, copy, size, &used);
	if (decoded < 0 || chunked.state != CHUNK_DONE)
		return -1;
	*ret_body = copy;
	*ret_size = (size_t)decoded;
	return (long)used;
}

/* The returns are those of take_answer(). */
static long
take_redis_answer(struct publisher *publisher, const char *in, size_t size)
{
	struct resp reply;
	long length = resp_parse(in, size, &reply);

	if (length <= 0)
		return length;
	if (!publisher->pending_count || (reply.kind != ':' && reply.kind != '-'))
		return -1;
	/* Redis knows no codes: its refusals are told as HTTP's "bad request" is. */
	answer(publisher, reply.kind == ':' ? 200 : 400, reply.parts[0].bytes, reply.parts[0].size);
	return length;
}

/* Takes the first answer out of `in`.  Returns its length, 0 if it is not whole yet, -1 if it is none. */
static long
take_answer(struct publisher *publisher, char *in, size_t size, bool *ret_closes)
{
	static char copy[PUBLISHER_ANSWER_BYTES_MAX];
	struct response response;
	const char *body;
	size_t body_size;
	long head, length;

	if (publisher->load->options->publish_by == PUBLISH_BY_REDIS)
		return take_redis_answer(publisher, in, size);
	head = response_parse(in, size, &response);
	if (head <= 0)
		return head;
	if (response.status < 200)
		return head;
	length = take_body(&response, in + head, size - (size_t)head, copy, &body, &body_size);
	if (length < 0)
		return 0;
	if (!publisher->pending_count)
		return -1;
	*ret_closes =
		response.closes || (!response.has_length && !response.is_chunked && response.status != 204);
	answer(publisher, response.status, body, body_size);
	return head + length;
}

/* Takes all answers that are whole.  Returns false if the connection is over. */
static bool
take_answers(struct publisher *publisher)
{
	size_t used = 0;
	bool closes = false;

	while (used < publisher->in_size && !closes) {
		long taken = take_answer(publisher, publisher->in + used, publisher->in_size - used, &closes);

		if (taken < 0) {
			lose(publisher, "the answer to a publish could not be made out", NULL);
			return false;
		}
		if (!taken)
			break;
		used += (size_t)taken;
	}
	if (closes) {
		lose(publisher, "closed after an answer", NULL);
		return false;
	}
	publisher->in_size -= used;
	memmove(publisher->in, publisher->in + used, publisher->in_size);
	return true;
}

static void
receive(struct publisher *publisher)
{
	for (;;) {
		size_t room = PUBLISHER_ANSWER_BYTES_MAX - publisher->in_size;
		ssize_t got =
			room ? wire_read(&publisher->wire, publisher->in + publisher->in_size, room) : 0;

		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0) {
			lose(publisher, got < 0 ? strerror(errno) : "closed without an answer", NULL);
			return;
		}
		publisher->in_size += (size_t)got;
		if (!take_answers(publisher) || (!publisher->wire.tls && (size_t)got < room))
			return;
	}
}

static void
ready(struct handler *handler, uint32_t events)
{
	struct publisher *publisher = (struct publisher *)handler;

	if (publisher->wire.fd < 0)
		return;
	wire_wake(&publisher->wire, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	if (!publisher->is_connected) {
		const char *error;
		enum wire_progress progress = wire_handshake(&publisher->wire, &error);

		if (progress == WIRE_FAILED)
			die(publisher, "connect", error);
		if (progress != WIRE_READY)
			return;
		publisher->is_connected = true;
		publisher->answers = 0;
		load_connected(publisher);
	}
	if (events & EPOLLOUT)
		publisher_flush(publisher);
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR) && publisher->wire.fd >= 0)
		receive(publisher);
}

void
publisher_connect(struct publisher *publisher)
{
	struct load *load = publisher->load;

	publisher->handler.ready = ready;
	if (wire_open(&publisher->wire, load->target, LOAD_SOURCE + publisher->index, 0, NULL))
		die(publisher, "connect", strerror(errno));
	else if (loop_add(load->loop, LOOP_MAIN, publisher->wire.fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP,
			 &publisher->handler))
		die(publisher, "epoll", strerror(errno));
}

static size_t
put_head(const struct options *options, const char *channel, size_t body_size, char *to, size_t room)
{
	size_t size = (size_t)sprintf(to, "POST ");

	size += template_fill(options->publish_path, channel, NULL, 0, to + size);
	size += (size_t)snprintf(to + size, room - size,
		" HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n",
		net_place(options->target), options->content_type, body_size);
	for (const char *const *header = options->headers; *header && size < room; header++)
		size += (size_t)snprintf(to + size, room - size, "%s\r\n", *header);
	if (size + sizeof("\r\n") > room)
		return 0;
	return size + (size_t)sprintf(to + size, "\r\n");
}

static bool
reserve(struct publisher *publisher, size_t more)
{
	size_t wanted = publisher->out_size + more;
	char *grown;

	if (wanted <= publisher->out_capacity)
		return true;
	grown = realloc(publisher->out, wanted * 2);
	if (!grown)
		return false;
	publisher->out = grown;
	publisher->out_capacity = wanted * 2;
	return true;
}

/* Returns false if memory is out. */
static bool
put_redis(struct publisher *publisher, const char *channel, const char *message, size_t size)
{
	const char *body_template = publisher->load->options->publish_body;
	size_t body_room = template_size(body_template, size);
	struct resp_text words[] = {{"PUBLISH", 7}, {channel, strlen(channel)}, {NULL, body_room}};
	size_t room = resp_size(words, 3);
	char *to, *text;

	if (!reserve(publisher, room + body_room))
		return false;
	/* The body is made behind the room for the command, which says its length first. */
	to = publisher->out + publisher->out_size;
	text = to + room;
	words[2] = (struct resp_text){text, template_fill(body_template, channel, message, size, text)};
	publisher->out_size += resp_put(to, words, 3);
	return true;
}

static bool
put_http(struct publisher *publisher, const char *channel, const char *message, size_t size)
{
	const struct options *options = publisher->load->options;
	size_t head_room = template_size(options->publish_path, 0) + FIXED_HEAD_BYTES +
			   strlen(options->target) + strlen(options->content_type);
	size_t body_room = template_size(options->publish_body, size), head, body;
	char *to, *text;

	for (const char *const *header = options->headers; *header; header++)
		head_room += strlen(*header) + 2;
	if (!reserve(publisher, head_room + 2 * body_room))
		return false;
	/* The head says how long the body is, so the body is made first, where it will not be overwritten. */
	to = publisher->out + publisher->out_size;
	text = to + head_room + body_room;
	body = template_fill(options->publish_body, channel, message, size, text);
	head = put_head(options, channel, body, to, head_room);
	if (!head)
		return false;
	memmove(to + head, text, body);
	publisher->out_size += head + body;
	return true;
}

struct pending *
publisher_put(struct publisher *publisher, const char *channel, const char *message, size_t size)
{
	const struct options *options = publisher->load->options;
	bool is_redis = options->publish_by == PUBLISH_BY_REDIS;
	uint32_t place;

	if (!(is_redis ? put_redis : put_http)(publisher, channel, message, size))
		return NULL;
	place = (publisher->pending_first + publisher->pending_count++) % (uint32_t)options->pipeline;
	return &publisher->pending[place];
}

void
publisher_flush(struct publisher *publisher)
{
	size_t sent = 0;

	while (sent < publisher->out_size) {
		ssize_t taken =
			wire_write(&publisher->wire, publisher->out + sent, publisher->out_size - sent);

		/* An error other than "full" shows again when the answer is read. */
		if (taken < 0)
			break;
		sent += (size_t)taken;
	}
	publisher->out_size -= sent;
	if (publisher->out_size)
		memmove(publisher->out, publisher->out + sent, publisher->out_size);
}

void
publisher_fini(struct publisher *publisher)
{
	disconnect(publisher);
	free(publisher->out);
	free(publisher->in);
	free(publisher->pending);
}
