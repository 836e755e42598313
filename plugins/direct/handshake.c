/*
 * handshake.c - a connection to a port with TLS, from accept until it is known what is spoken on it.
 *
 *   accept ─▶ a PROXY header, from a proxy that is trusted ─▶ first byte ──▶ 0x16: the handshake ─┬─▶ HTTP/1.1: http_conn.c
 *                                                               └─▶ another: lws                  └─▶ HTTP/2: h2_conn.c
 *
 * A handshake costs 0.1 to 0.7 ms of crypto.  So they have an epoll set of their own, which does a few in a turn: a
 * thousand clients that come at once wait for each other, and nobody waits for them.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/proxy_header.h"
#include "direct/bytes.h"
#include "direct/direct_private.h"
#include "direct/head.h"

#define READING (EPOLLIN | EPOLLRDHUP)

struct handshake {
	struct push_source source;
	struct push_direct *direct;
	struct push_list link;     /* in direct->handshakes */
	struct direct_timer timer; /* for all of it */
	int port;
	struct direct_arrival arrival;
	struct push_tls_session *session; /* owned; NULL until the first byte has been seen */
	bool has_begun;                   /* something was done with what has come */
};

static struct push_sources *
set_of(const struct handshake *handshake)
{
	return &handshake->direct->sets[PUSH_DIRECT_HANDSHAKES];
}

static void
count(const struct handshake *handshake, enum push_handshake result)
{
	handshake->direct->ops->count_handshake(handshake->direct->broker, result);
}

static void
handshake_close(struct handshake *handshake)
{
	if (handshake->session && handshake->source.fd >= 0)
		count(handshake, PUSH_HANDSHAKE_FAILED);
	direct_forget(handshake->direct, handshake->source.fd);
	push_source_close(set_of(handshake), &handshake->source);
}

static void
handshake_destroy(struct push_source *source)
{
	struct handshake *handshake = push_container_of(source, struct handshake, source);

	push_timer_disarm(&handshake->timer.timer);
	push_list_remove(&handshake->link);
	handshake->direct->refusal_count -= handshake->arrival.is_over_limit;
	push_tls_session_destroy(handshake->session);
	free(handshake);
}

static void
want(struct handshake *handshake, uint32_t events)
{
	if (!push_source_want(set_of(handshake), &handshake->source, events))
		handshake_close(handshake);
}

static void
set_low_water(const struct handshake *handshake, size_t bytes)
{
	int value = (int)bytes;

	(void)setsockopt(handshake->source.fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value));
}

/* --- what comes first --- */

enum next { GO_ON, STOP };

static void
identify(struct handshake *handshake, const struct push_proxy_header *header)
{
	struct push_direct *direct = handshake->direct;
	struct direct_arrival *arrival = &handshake->arrival;

	if (!header->has_address || push_limiter_identify(direct->limiter, handshake->source.fd,
					    &header->address, direct->ops->now_us(), &arrival->limit))
		return;
	arrival->is_over_limit = true;
	if (direct->refusal_count++ >= PUSH_REFUSALS_MAX)
		handshake_close(handshake);
}

/* As http_conn.c takes one from a plain connection.  Returns STOP if there is nothing behind it yet. */
static enum next
read_proxy_header(struct handshake *handshake, const char *bytes, size_t size)
{
	struct push_proxy_header header;

	switch (push_proxy_header_read(&header, bytes, size)) {
	case PUSH_PROXY_NONE: handshake->arrival.is_proxy = false; return GO_ON;
	case PUSH_PROXY_PARTIAL: set_low_water(handshake, size + 1); return STOP;
	case PUSH_PROXY_BAD: handshake_close(handshake); return STOP;
	default: break;
	}
	handshake->arrival.is_proxy = false;
	set_low_water(handshake, 1);
	(void)recv(handshake->source.fd, NULL, header.size, MSG_TRUNC | MSG_DONTWAIT);
	identify(handshake, &header);
	return STOP;
}

/* lws knows what the port's configuration says of those who speak no TLS there. */
static void
leave_to_lws(struct handshake *handshake)
{
	struct push_direct *direct = handshake->direct;

	if (handshake->arrival.is_over_limit)
		handshake_close(handshake);
	else
		direct_hand_over(
			direct, push_source_release(set_of(handshake), &handshake->source), handshake->port);
}

static void
begin(struct handshake *handshake)
{
	struct ssl_ctx_st *context = direct_tls_context(handshake->direct, handshake->port);

	handshake->session = context ? push_tls_session_create(context, handshake->source.fd) : NULL;
	if (!handshake->session)
		handshake_close(handshake);
}

static void
look(struct handshake *handshake)
{
	char *bytes = handshake->direct->scratch;
	size_t wanted = handshake->arrival.is_proxy ? PUSH_PROXY_HEADER_BYTES_MAX : 1;
	ssize_t size = recv(handshake->source.fd, bytes, wanted, MSG_PEEK | MSG_DONTWAIT);

	if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
		want(handshake, READING);
		return;
	}
	if (size <= 0) {
		handshake_close(handshake);
		return;
	}
	if (handshake->arrival.is_proxy && read_proxy_header(handshake, bytes, (size_t)size) == STOP) {
		want(handshake, READING);
		return;
	}
	if (*bytes == PUSH_TLS_HANDSHAKE)
		begin(handshake);
	else
		leave_to_lws(handshake);
	want(handshake, READING); /* what it costs waits for its turn */
}

/* --- the handshake --- */

static void
finish(struct handshake *handshake)
{
	struct direct_bytes bytes = {.tls = handshake->session};
	struct push_direct *direct = handshake->direct;
	int port = handshake->port, fd = push_source_release(set_of(handshake), &handshake->source);

	count(handshake, push_tls_session_was_resumed(handshake->session) ? PUSH_HANDSHAKE_RESUMED
									  : PUSH_HANDSHAKE_FULL);
	handshake->session = NULL;
	if (push_tls_session_speaks_h2(bytes.tls))
		direct_h2_open(direct, fd, port, &handshake->arrival, &bytes, (struct push_str){NULL, 0});
	else
		direct_request_open(direct, fd, port, &handshake->arrival, &bytes);
}

static void
go_on(struct handshake *handshake)
{
	handshake->has_begun = true;
	if (!push_tls_session_flush(handshake->session)) {
		handshake_close(handshake);
		return;
	}
	switch (push_tls_session_handshake(handshake->session)) {
	case PUSH_TLS_DONE: finish(handshake); break;
	case PUSH_TLS_AGAIN:
		want(handshake,
			push_tls_session_is_blocked(handshake->session) ? READING | EPOLLOUT : READING);
		break;
	default: handshake_close(handshake); break;
	}
}

static void
handshake_ready(struct push_source *source, uint32_t events)
{
	struct handshake *handshake = push_container_of(source, struct handshake, source);

	/* a client that ends before our first flight cannot finish the handshake, and costs no crypto */
	if (events & (EPOLLERR | EPOLLHUP) ||
		(handshake->session && !handshake->has_begun && events & EPOLLRDHUP))
		handshake_close(handshake);
	else if (handshake->session)
		go_on(handshake);
	else
		look(handshake);
}

static const struct push_source_kind handshake_kind = {handshake_ready, handshake_destroy};

static void
on_timer(struct direct_timer *timer, uint64_t now_us)
{
	(void)now_us;
	handshake_close(push_container_of(timer, struct handshake, timer));
}

void
direct_handshake_open(struct push_direct *direct, int fd, int port, const struct direct_arrival *arrival)
{
	struct handshake *handshake = calloc(1, sizeof(*handshake));

	if (!handshake) {
		direct_forget(direct, fd);
		close(fd);
		return;
	}
	handshake->direct = direct;
	handshake->port = port;
	handshake->arrival = *arrival;
	direct->refusal_count += arrival->is_over_limit;
	push_list_append(&direct->handshakes, &handshake->link);
	push_timer_init(&handshake->timer.timer);
	handshake->timer.due = on_timer;
	direct_arm(direct, &handshake->timer, PUSH_HEAD_US);
	push_source_open(set_of(handshake), &handshake->source, &handshake_kind, fd);
	look(handshake);
}
