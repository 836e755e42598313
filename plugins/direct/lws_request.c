/* lws_request.c - see lws_request.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "direct/direct_private.h"
#include "direct/lws_answer.h"
#include "direct/lws_request.h"

struct direct_lws_request {
	struct push_source source; /* our end of the pair */
	struct push_direct *direct;
	const struct direct_lws_handler *handler;
	void *context;
	struct direct_burden burden; /* listed while something is kept here */
	struct direct_timer timer;   /* armed when lws has hung up: for what the client has to read yet */
	struct direct_lws_answer answer;
	struct push_buf body; /* of the answer, read up to: */
	size_t body_read;
	struct push_buf unsent; /* of the request's body, from: */
	size_t unsent_at;
	uint64_t left; /* of the request's body: announced, and not come */
	int lws_fd;    /* lws' end, and */
	uint64_t lws_cookie;
	uint8_t refs;     /* the caller's, and the source's */
	bool is_closed;   /* by the caller */
	bool has_told;    /* of the answer's head */
	bool is_unheard;  /* lws reads no more: what it has not read does not matter */
	bool has_hung_up; /* lws' end is closed, and what it sent has yet to be read */
};

static struct push_sources *
set_of(const struct direct_lws_request *request)
{
	return &request->direct->sets[PUSH_DIRECT_STREAMS];
}

static void
unref(struct direct_lws_request *request)
{
	if (!--request->refs)
		free(request);
}

static void
close_end(struct direct_lws_request *request)
{
	struct push_direct *direct = request->direct;

	if (request->source.fd < 0)
		return;
	direct_ends_remove(&direct->ends, request->lws_fd, request->lws_cookie);
	push_source_close(set_of(request), &request->source);
	direct->relay_sources--;
}

static void
drop_kept(struct direct_lws_request *request)
{
	push_timer_disarm(&request->timer.timer);
	push_list_remove(&request->burden.link);
	push_buf_reset(&request->unsent);
	request->unsent_at = 0;
	push_buf_reset(&request->body);
	request->body_read = 0;
	direct_lws_answer_fini(&request->answer);
}

/* Nothing more comes of it. */
static void
give_up(struct direct_lws_request *request)
{
	close_end(request);
	drop_kept(request);
	request->answer.state = DIRECT_LWS_ANSWER_BAD;
}

static void
fail(struct direct_lws_request *request, unsigned int status)
{
	give_up(request);
	if (!request->is_closed)
		request->handler->failed(request->context, status);
}

static void
request_destroy(struct push_source *source)
{
	unref(push_container_of(source, struct direct_lws_request, source));
}

static bool
is_passing(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS;
}

static bool
has_unsent(const struct direct_lws_request *request)
{
	return request->unsent.size > 0;
}

static bool
has_body(const struct direct_lws_request *request)
{
	return request->body.size > request->body_read;
}

/* What the client has sent is taken before it sends more, and what lws has sent is read before it is asked for more. */
static void
settle(struct direct_lws_request *request)
{
	uint32_t events = has_body(request) ? EPOLLRDHUP : EPOLLIN | EPOLLRDHUP;

	if (request->source.fd < 0)
		return;
	if (has_unsent(request))
		events |= EPOLLOUT;
	if (has_unsent(request) || has_body(request))
		direct_burden_list(request->direct, &request->burden);
	else
		push_list_remove(&request->burden.link);
	if (request->has_hung_up && has_body(request)) /* epoll(7) would show it again and again */
		push_source_pause(set_of(request), &request->source);
	else if (!push_source_want(set_of(request), &request->source, events))
		fail(request, 503);
}

/* --- the request --- */

/* Returns how many bytes of `unsent` lws has taken. */
static size_t
send_unsent(struct direct_lws_request *request)
{
	size_t waiting = request->unsent.size - request->unsent_at;
	ssize_t sent;

	if (!waiting || request->source.fd < 0)
		return 0;
	sent = send(request->source.fd, request->unsent.bytes + request->unsent_at, waiting,
		MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0 && is_passing(errno))
		return 0;
	if (sent < 0) { /* it may have answered before */
		request->is_unheard = true;
		sent = (ssize_t)waiting;
	}
	request->unsent_at += (size_t)sent;
	if (request->unsent_at == request->unsent.size) {
		push_buf_reset(&request->unsent);
		request->unsent_at = 0;
	}
	return (size_t)sent;
}

ssize_t
direct_lws_request_write(struct direct_lws_request *request, const char *bytes, size_t size)
{
	size_t waiting = request->unsent.size - request->unsent_at, taken;

	if (size > request->left || waiting + size > PUSH_LWS_BODY_BYTES ||
		request->answer.state == DIRECT_LWS_ANSWER_BAD) {
		give_up(request);
		return -1;
	}
	request->left -= size;
	if (request->source.fd < 0 || request->is_unheard) /* it has answered without the rest */
		return (ssize_t)size;
	if (request->unsent_at) {
		memmove(request->unsent.bytes, request->unsent.bytes + request->unsent_at, waiting);
		request->unsent.size = waiting;
		request->unsent_at = 0;
	}
	push_buf_append(&request->unsent, bytes, size);
	if (request->unsent.status != PUSH_OK) {
		give_up(request);
		return -1;
	}
	/* `taken` comes for what was written before */
	taken = waiting ? 0 : send_unsent(request);
	settle(request);
	return (ssize_t)taken;
}

bool
direct_lws_request_end(struct direct_lws_request *request)
{
	if (!request->left)
		return true;
	give_up(request);
	return false;
}

/* --- the answer --- */

static void
show(struct direct_lws_request *request)
{
	struct direct_lws_answer *answer = &request->answer;
	bool is_whole = answer->state == DIRECT_LWS_ANSWER_WHOLE, is_last = is_whole && !has_body(request);

	if (!request->has_told) {
		request->has_told = true;
		request->handler->head(request->context, answer->status,
			(struct push_str){answer->lines.bytes ? answer->lines.bytes : "", answer->lines.size},
			is_last);
		direct_lws_answer_fini(answer);
		if (is_last)
			return;
	}
	if (!request->is_closed && (has_body(request) || is_whole))
		request->handler->readable(request->context);
}

static void
receive(struct direct_lws_request *request)
{
	char *piece = request->direct->scratch;
	ssize_t size = recv(request->source.fd, piece, PUSH_RELAY_PIECE_BYTES, MSG_DONTWAIT);
	enum direct_lws_answer_state state;

	if (size < 0 && is_passing(errno))
		return;
	state = direct_lws_answer_feed(&request->answer, piece, size > 0 ? (size_t)size : 0);
	if (state == DIRECT_LWS_ANSWER_WHOLE)
		close_end(request);
	if (state == DIRECT_LWS_ANSWER_BAD)
		fail(request, 502);
	else if (state != DIRECT_LWS_ANSWER_HEAD)
		show(request);
}

/* Of lws. */
static void
hang_up(struct direct_lws_request *request)
{
	if (!request->has_hung_up && !request->is_closed && request->source.fd >= 0)
		direct_arm(request->direct, &request->timer, PUSH_ANSWERS_US);
	request->has_hung_up = true;
}

static void
request_ready(struct push_source *source, uint32_t events)
{
	struct direct_lws_request *request = push_container_of(source, struct direct_lws_request, source);
	size_t taken = events & EPOLLOUT ? send_unsent(request) : 0;

	if (taken)
		request->handler->taken(request->context, taken);
	if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
		hang_up(request);
	if (request->source.fd >= 0 && !has_body(request) && events & ~(uint32_t)EPOLLOUT)
		receive(request);
	if (!request->is_closed)
		settle(request);
}

size_t
direct_lws_request_read(struct direct_lws_request *request, char *to, size_t max)
{
	size_t size = request->body.size - request->body_read;

	if (size > max)
		size = max;
	if (size)
		memcpy(to, request->body.bytes + request->body_read, size);
	request->body_read += size;
	if (request->body.size && !has_body(request)) {
		push_buf_reset(&request->body);
		request->body_read = 0;
		if (request->has_hung_up && request->source.fd >= 0)
			direct_arm(request->direct, &request->timer, PUSH_ANSWERS_US);
		settle(request);
	}
	return size;
}

bool
direct_lws_request_is_over(const struct direct_lws_request *request)
{
	return request->answer.state == DIRECT_LWS_ANSWER_WHOLE && !has_body(request);
}

/* --- its life --- */

/* Its client does not read. */
static void
on_timer(struct direct_timer *timer, uint64_t now_us)
{
	(void)now_us;
	fail(push_container_of(timer, struct direct_lws_request, timer), 503);
}

static void
relieve(struct direct_burden *burden)
{
	fail(push_container_of(burden, struct direct_lws_request, burden), 503);
}

static const struct push_source_kind request_kind = {request_ready, request_destroy};

static struct direct_lws_request *
create(struct push_direct *direct, const struct direct_lws_head *head)
{
	struct direct_lws_request *request = calloc(1, sizeof(*request));

	if (!request)
		return NULL;
	request->source.fd = -1;
	request->direct = direct;
	request->refs = 1;
	request->left = head->has_body ? head->length : 0;
	request->burden.relieve = relieve;
	push_timer_init(&request->timer.timer);
	request->timer.due = on_timer;
	push_list_init(&request->burden.link);
	push_buf_init(&request->body, PUSH_RELAY_PIECE_BYTES);
	push_buf_charge(&request->body, direct->requests_account);
	push_buf_init(&request->unsent, PUSH_LWS_BODY_BYTES);
	push_buf_charge(&request->unsent, direct->requests_account);
	direct_lws_answer_init(&request->answer, push_str_is(head->method, "head"), &request->body);
	return request;
}

/* A new pair has room for a head.  Returns false without descriptors. */
static bool
connect_to_lws(struct direct_lws_request *request, const struct direct_end_client *client, int port,
	const struct push_buf *head)
{
	struct push_direct *direct = request->direct;
	int ends[2];

	if (!direct_pair_open(direct, ends))
		return false;
	if (send(ends[0], head->bytes, head->size, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)head->size) {
		close(ends[0]);
		close(ends[1]);
		return false;
	}
	push_source_open(set_of(request), &request->source, &request_kind, ends[0]);
	request->refs++;
	direct->relay_sources++;
	request->lws_fd = ends[1];
	request->lws_cookie = direct_ends_add(&direct->ends, ends[1], client);
	if (!push_source_want(set_of(request), &request->source, EPOLLIN)) {
		close(ends[1]);
		give_up(request);
		return false;
	}
	direct->host.hand_over_plain(direct->host.context, ends[1], port);
	return true;
}

unsigned int
direct_lws_request_open(struct push_direct *direct, const struct direct_end_client *client, int port,
	const struct direct_lws_head *head, const struct direct_lws_handler *handler, void *context,
	struct direct_lws_request **ret)
{
	struct direct_lws_request *request;
	struct push_buf text;
	unsigned int status;

	push_buf_init(&text, 2 * PUSH_HEAD_BYTES_MAX);
	status = direct_lws_head_write(&text, head);
	request = status ? NULL : create(direct, head);
	if (!status && !request)
		status = 503;
	if (request) {
		request->handler = handler;
		request->context = context;
		status = connect_to_lws(request, client, port, &text) ? 0 : 503;
	}
	if (request && status)
		unref(request);
	else if (request)
		*ret = request;
	push_buf_fini(&text);
	return status;
}

void
direct_lws_request_close(struct direct_lws_request *request)
{
	if (!request)
		return;
	request->is_closed = true;
	close_end(request);
	drop_kept(request);
	unref(request);
}
