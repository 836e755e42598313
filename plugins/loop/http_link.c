/* http_link.c - see http_link.h. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/push_assert.h"
#include "loop/http_link.h"
#include "loop/tls.h"

#define WHY_BYTES 128

static void
end(struct push_http_link *link, enum push_http_link_end how, const char *why)
{
	push_source_close(link->sources, &link->source);
	link->ended(link, how, why);
}

/* --- bytes in and out --- */

/* Of a call of OpenSSL that did not succeed: whether it has only to be repeated. */
static bool
may_repeat(struct push_http_link *link, int result)
{
	switch (SSL_get_error(link->tls, result)) {
	case SSL_ERROR_WANT_WRITE: link->wants_out = true; return true;
	case SSL_ERROR_WANT_READ: return true;
	default: return false;
	}
}

/* How much went out; 0: it has to wait; -1: it failed. */
static ssize_t
write_some(struct push_http_link *link, const char *bytes, size_t size)
{
	ssize_t written;

	if (!link->tls) {
		written = send(link->source.fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (written < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)) {
			link->wants_out = true;
			return 0;
		}
		return written;
	}
	ERR_clear_error();
	errno = 0;
	written = SSL_write(link->tls, bytes, (int)size);
	if (written > 0)
		return written;
	return may_repeat(link, (int)written) ? 0 : -1;
}

/* How much came; 0: the end, or with *ret_waits nothing yet; -1: it failed. */
static ssize_t
read_some(struct push_http_link *link, char *bytes, size_t size, bool *ret_waits)
{
	ssize_t got;

	*ret_waits = false;
	if (!link->tls) {
		got = recv(link->source.fd, bytes, size, MSG_DONTWAIT);
		*ret_waits = got < 0 && (errno == EAGAIN || errno == EINTR);
		return *ret_waits ? 0 : got;
	}
	ERR_clear_error();
	errno = 0;
	got = SSL_read(link->tls, bytes, (int)size);
	if (got > 0)
		return got;
	if (SSL_get_error(link->tls, (int)got) == SSL_ERROR_ZERO_RETURN)
		return 0;
	*ret_waits = may_repeat(link, (int)got);
	return *ret_waits ? 0 : -1;
}

static void
lost(struct push_http_link *link)
{
	char why[WHY_BYTES];

	if (link->tls) {
		push_tls_why(link->tls, why, sizeof(why));
		end(link, PUSH_HTTP_LINK_LOST, why);
	} else {
		end(link, PUSH_HTTP_LINK_LOST, strerror(errno));
	}
}

/* --- an exchange --- */

/* Returns false where the link has ended. */
static bool
send_more(struct push_http_link *link)
{
	while (link->sent < link->request.size && !link->is_write_over) {
		ssize_t size =
			write_some(link, link->request.bytes + link->sent, link->request.size - link->sent);

		if (!size)
			return true;
		if (size > 0) {
			link->sent += (size_t)size;
		} else if (link->tls || (errno != EPIPE && errno != ECONNRESET)) {
			lost(link);
			return false;
		} else { /* it may have answered before it closed */
			link->is_write_over = true;
		}
	}
	return true;
}

static void
answered(struct push_http_link *link)
{
	bool is_kept = link->answer->is_keepable && link->sent == link->request.size;

	link->state = PUSH_HTTP_LINK_IDLE;
	link->answer = NULL;
	link->request = (struct push_str){NULL, 0};
	if (!is_kept || !push_source_want(link->sources, &link->source, EPOLLIN))
		push_http_link_close(link);
	link->ended(link, PUSH_HTTP_LINK_ANSWERED, "");
}

/* Returns whether more can be read. */
static bool
feed(struct push_http_link *link, const char *bytes, size_t size)
{
	switch (push_http_answer_feed(link->answer, bytes, size)) {
	case PUSH_HTTP_ANSWER_PARTIAL: return true;
	case PUSH_HTTP_ANSWER_WHOLE: answered(link); return false;
	case PUSH_HTTP_ANSWER_TOO_LARGE: end(link, PUSH_HTTP_LINK_TOO_LARGE, ""); return false;
	case PUSH_HTTP_ANSWER_NO_MEMORY: end(link, PUSH_HTTP_LINK_NO_MEMORY, ""); return false;
	default: break;
	}
	if (size)
		end(link, PUSH_HTTP_LINK_BAD, "");
	else
		end(link, PUSH_HTTP_LINK_LOST, "it closes before its answer is whole");
	return false;
}

/* Returns false where the link has ended. */
static bool
receive(struct push_http_link *link)
{
	char bytes[PUSH_HTTP_READ_BYTES];

	for (int i = 0; i < PUSH_HTTP_READS_MAX; i++) {
		bool waits;
		ssize_t size = read_some(link, bytes, sizeof(bytes), &waits);

		if (waits)
			return true;
		if (size < 0) {
			lost(link);
			return false;
		}
		if (!feed(link, bytes, (size_t)size))
			return false;
	}
	return true;
}

/* A record of TLS fits into what is read at once, so that the rest of it lies in the kernel, which wakes us. */
_Static_assert(PUSH_HTTP_READ_BYTES >= 16384, "a record of TLS fits (RFC 8446, 5.1)");

static void
exchange(struct push_http_link *link)
{
	link->wants_out = false;
	if (!send_more(link) || !receive(link))
		return;
	if (!push_source_want(link->sources, &link->source, link->wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN))
		lost(link);
}

/* The server closes it, or sends what nobody has asked for; or it is TLS' own. */
static void
look_at_idle(struct push_http_link *link)
{
	char byte;
	bool waits;

	(void)read_some(link, &byte, 1, &waits);
	if (!waits)
		end(link, PUSH_HTTP_LINK_LOST, "");
}

/* --- a connection --- */

static void
not_connected(struct push_http_link *link)
{
	char why[WHY_BYTES];

	push_tls_why(link->tls, why, sizeof(why));
	end(link, PUSH_HTTP_LINK_NOT_CONNECTED, why);
}

static void
shake_hands(struct push_http_link *link)
{
	int result;

	ERR_clear_error();
	errno = 0;
	link->wants_out = false;
	result = SSL_connect(link->tls);
	if (result == 1) {
		link->state = PUSH_HTTP_LINK_EXCHANGING;
		exchange(link);
	} else if (!may_repeat(link, result) || !push_source_want(link->sources, &link->source,
							link->wants_out ? EPOLLIN | EPOLLOUT : EPOLLIN)) {
		not_connected(link);
	}
}

static void
on_connected(struct push_http_link *link)
{
	int error = 0;
	socklen_t size = sizeof(error);

	if (getsockopt(link->source.fd, SOL_SOCKET, SO_ERROR, &error, &size) || error) {
		end(link, PUSH_HTTP_LINK_NOT_CONNECTED, strerror(error ? error : errno));
	} else if (link->tls) {
		link->state = PUSH_HTTP_LINK_HANDSHAKING;
		shake_hands(link);
	} else {
		link->state = PUSH_HTTP_LINK_EXCHANGING;
		exchange(link);
	}
}

static void
on_ready(struct push_source *source, uint32_t events)
{
	struct push_http_link *link = push_container_of(source, struct push_http_link, source);

	(void)events;
	switch (link->state) {
	case PUSH_HTTP_LINK_CONNECTING: on_connected(link); break;
	case PUSH_HTTP_LINK_HANDSHAKING: shake_hands(link); break;
	case PUSH_HTTP_LINK_EXCHANGING: exchange(link); break;
	case PUSH_HTTP_LINK_IDLE: look_at_idle(link); break;
	}
}

static void
on_closed(struct push_source *source)
{
	struct push_http_link *link = push_container_of(source, struct push_http_link, source);

	push_tls_destroy(link->tls);
	free(link);
}

static const struct push_source_kind kind = {on_ready, on_closed};

static struct push_http_link *
create(struct ssl_ctx_st *context, const char *host, int fd)
{
	struct push_http_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	if (!context)
		return link;
	link->tls = push_tls_create(context, host);
	if (link->tls && SSL_set_fd(link->tls, fd))
		return link;
	push_tls_destroy(link->tls);
	free(link);
	return NULL;
}

struct push_http_link *
push_http_link_open(struct push_sources *sources, const struct sockaddr_storage *address,
	struct ssl_ctx_st *context, const char *host, push_http_link_ended_fn ended)
{
	socklen_t size =
		address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error, on = 1;
	struct push_http_link *link;

	if (fd < 0)
		return NULL;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (const struct sockaddr *)address, size) && errno != EINPROGRESS) {
		error = errno;
		close(fd);
		errno = error;
		return NULL;
	}
	link = create(context, host, fd);
	if (!link) {
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	link->sources = sources;
	link->ended = ended;
	push_list_init(&link->node);
	push_source_open(sources, &link->source, &kind, fd);
	if (push_source_want(sources, &link->source, EPOLLOUT))
		return link;
	error = errno;
	push_http_link_close(link);
	errno = error;
	return NULL;
}

void
push_http_link_begin(struct push_http_link *link, struct push_str request, struct push_http_answer *answer)
{
	PUSH_ASSERT(!link->answer);
	link->request = request;
	link->sent = 0;
	link->answer = answer;
	if (link->state != PUSH_HTTP_LINK_IDLE)
		return;
	link->is_reused = true;
	link->state = PUSH_HTTP_LINK_EXCHANGING;
	(void)push_source_want(link->sources, &link->source, EPOLLIN | EPOLLOUT);
}

void
push_http_link_close(struct push_http_link *link)
{
	if (link->tls && link->source.fd >= 0 && link->state == PUSH_HTTP_LINK_IDLE)
		(void)SSL_shutdown(link->tls); /* it says goodbye; the answer is nobody's */
	push_source_close(link->sources, &link->source);
}
