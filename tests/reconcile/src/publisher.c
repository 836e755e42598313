/* publisher.c - see publisher.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "proof.h"
#include "response.h"

#define ANSWER_NS_MAX (30 * NS_PER_S)
#define RETRY_NS      (100 * NS_PER_MS)
#define SOURCE        1000000u

bool
publisher_init(struct publisher *publisher, struct proof *proof, uint32_t channel)
{
	*publisher = (struct publisher){.proof = proof, .channel = channel, .fd = -1};
	publisher->node = channel % (uint32_t)proof->options->target_count;
	publisher->is_once = proof->options->publishers == PUBLISHERS_ONCE ||
			     (proof->options->publishers == PUBLISHERS_BOTH && channel % 2);
	publisher->in = malloc(PUBLISHER_IN_BYTES);
	return publisher->in != NULL;
}

static void
decide(struct publisher *publisher, enum number_state state)
{
	struct proof *proof = publisher->proof;

	publisher->is_waiting = false;
	numbers_decide(&publisher->numbers, state, proof_now_ms(proof));
	proof->published++;
	proof->acknowledged += state == NUMBER_ACKNOWLEDGED;
	proof->uncertain += state == NUMBER_UNCERTAIN;
	proof->refused += state == NUMBER_REFUSED;
}

/* The next connection leads to the next node. */
static void
leave(struct publisher *publisher)
{
	if (publisher->fd >= 0) {
		loop_remove(&publisher->proof->loop, LOOP_MAIN, publisher->fd);
		close(publisher->fd);
	}
	publisher->fd = -1;
	publisher->is_connected = false;
	publisher->in_size = publisher->answers = 0;
	publisher->node = (publisher->node + 1) % (uint32_t)publisher->proof->options->target_count;
}

/* The connection is over.  One that idles after an answer may end, any other one may not. */
static void
lose(struct publisher *publisher)
{
	if (publisher->is_waiting)
		decide(publisher, NUMBER_UNCERTAIN);
	else if (publisher->answers)
		publisher->proof->ended_idle++;
	else
		publisher->proof->publish_failures++;
	leave(publisher);
	publisher->due_ns = clock_ns() + RETRY_NS;
}

static uint64_t
member(const char *body, size_t size, const char *key)
{
	const char *at = memmem(body, size, key, strlen(key));

	/* it ends with a brace */
	return at ? strtoull(at + strlen(key), NULL, 10) : UINT64_MAX;
}

static void
take_counts(struct publisher *publisher, const char *body, size_t size)
{
	struct proof *proof = publisher->proof;
	uint64_t subscribers = member(body, size, "\"subscribers\":"),
		 written = member(body, size, "\"written\":");
	struct number *number = &publisher->numbers.all[publisher->numbers.sent];

	number->subscribers = subscribers < UINT32_MAX ? (uint32_t)subscribers : UINT32_MAX;
	publisher->subscribers = subscribers;
	publisher->written = written;
	if (publisher->is_counting)
		publisher->is_counted = subscribers == publisher->clients && written == publisher->clients;
	else if (publisher->waits && written > subscribers && proof->options->counts == COUNTS_ALL)
		report_written(proof, publisher);
}

static void
take_status(struct publisher *publisher, unsigned int status, const char *body, size_t size)
{
	char text[120];

	if (status >= 200 && status < 300) {
		take_counts(publisher, body, size);
		decide(publisher, NUMBER_ACKNOWLEDGED);
		return;
	}
	if (status != 503 && status != 429 && status != 500 && status != 502 && status != 504) {
		snprintf(text, sizeof(text), "%u %.*s", status, (int)(size < 100 ? size : 100), body);
		proof_fail("a publish was answered with", text);
	}
	/* Push says which it is; another error says nothing. */
	decide(publisher, status == 503 && !memmem(body, size, "may have been", 13) ? NUMBER_REFUSED
										    : NUMBER_UNCERTAIN);
	publisher->due_ns = clock_ns() + RETRY_NS;
}

/* Takes the answer, if it is whole.  Returns false if the connection is over. */
static bool
take_answer(struct publisher *publisher)
{
	struct response response;
	struct chunked chunked = {0};
	long head = response_parse(publisher->in, publisher->in_size, &response), size;
	size_t used = 0;
	char *body = publisher->in + head;

	if (head <= 0)
		return head == 0;
	size = (long)response.length;
	if (response.is_chunked) {
		char copy[PUBLISHER_IN_BYTES];

		memcpy(copy, body, publisher->in_size - (size_t)head);
		size = chunked_decode(&chunked, copy, publisher->in_size - (size_t)head, &used);
		if (size >= 0 && chunked.state != CHUNK_DONE)
			return true;
		if (size >= 0)
			memcpy(body, copy, (size_t)size);
	} else if (publisher->in_size - (size_t)head < response.length) {
		return publisher->in_size < PUBLISHER_IN_BYTES;
	}
	if (size < 0 || !publisher->is_waiting)
		return false;
	publisher->in_size = 0;
	publisher->answers++;
	take_status(publisher, response.status, body, (size_t)size);
	if (response.closes || publisher->is_once) {
		publisher->proof->ended_with_answer += !publisher->is_once;
		leave(publisher);
	}
	return true;
}

static void
ready(struct handler *handler, uint32_t events)
{
	struct publisher *publisher = (struct publisher *)handler;

	if (publisher->fd < 0)
		return;
	if (!publisher->is_connected) {
		if (net_error(publisher->fd)) {
			lose(publisher);
			return;
		}
		publisher->is_connected = true;
		publisher->proof->publish_connections++;
	}
	while (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		ssize_t got = read(publisher->fd, publisher->in + publisher->in_size,
			PUBLISHER_IN_BYTES - publisher->in_size);

		if (got < 0 && errno == EAGAIN)
			return;
		if (got > 0)
			publisher->in_size += (uint32_t)got;
		if (got <= 0 || !take_answer(publisher)) {
			lose(publisher);
			return;
		}
		if (publisher->fd < 0)
			return;
	}
}

static void
connect_publisher(struct publisher *publisher)
{
	struct proof *proof = publisher->proof;

	publisher->handler.ready = ready;
	publisher->sent_ns = clock_ns();
	publisher->fd = net_connect(&proof->targets[publisher->node], SOURCE + publisher->channel, 0);
	if (publisher->fd < 0 || loop_add(&proof->loop, LOOP_MAIN, publisher->fd,
					 EPOLLIN | EPOLLOUT | EPOLLRDHUP, &publisher->handler))
		lose(publisher);
}

/* {"channel":"reconcile-7","message":"123 more......"} */
static int
put_request(const struct publisher *publisher, uint32_t number, char *to, size_t room)
{
	const struct options *options = publisher->proof->options;
	char message[4096], body[4300];
	int size = snprintf(message, sizeof(message), "%u %s", number, publisher->is_last ? "last" : "more");

	for (; (uint64_t)size < options->size; size++)
		message[size] = '.';
	message[size] = 0;
	size = snprintf(body, sizeof(body), "{\"channel\":\"%s%u\",\"message\":\"%s\"}",
		options->channel_name, publisher->channel, message);
	return snprintf(to, room,
		"POST /messages%s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
		"%sContent-Length: %d\r\n\r\n%s",
		publisher->waits ? "?wait=written" : "", options->targets[publisher->node],
		publisher->is_once ? "Connection: close\r\n" : "", size, body);
}

static void
send_next(struct publisher *publisher, uint64_t now_ns)
{
	char request[5000];
	struct proof *proof = publisher->proof;
	uint64_t interval_ns = NS_PER_S * proof->options->channels / proof->options->rate;
	uint32_t number = numbers_send(&publisher->numbers);
	int size;

	if (!number)
		proof_fail("memory is out", "");
	publisher->is_counting = proof->phase == PHASE_COUNT;
	publisher->waits = publisher->is_counting ||
			   (proof->options->counts == COUNTS_ALL && publisher->channel % 4 == 1);
	size = put_request(publisher, number, request, sizeof(request));
	publisher->is_waiting = true;
	publisher->sent_ns = now_ns;
	publisher->due_ns = now_ns + interval_ns / 2 + proof_random(proof, interval_ns + 1);
	/* an idle connection takes a request as a whole */
	if (write(publisher->fd, request, (size_t)size) != size)
		lose(publisher);
}

void
publisher_tick(struct publisher *publisher, uint64_t now_ns, bool may_send)
{
	bool is_under_way = publisher->is_waiting || (publisher->fd >= 0 && !publisher->is_connected);

	if (is_under_way && now_ns > publisher->sent_ns + ANSWER_NS_MAX)
		lose(publisher);
	/* not connected before there is something to send, either: a server may end who says nothing */
	if (is_under_way || now_ns < publisher->due_ns || !may_send)
		return;
	if (publisher->fd < 0)
		connect_publisher(publisher);
	else
		send_next(publisher, now_ns);
}

void
publisher_close(struct publisher *publisher)
{
	if (publisher->is_waiting)
		decide(publisher, NUMBER_UNCERTAIN);
	leave(publisher);
}

void
publisher_fini(struct publisher *publisher)
{
	if (publisher->fd >= 0)
		close(publisher->fd);
	free(publisher->in);
	numbers_fini(&publisher->numbers);
}
