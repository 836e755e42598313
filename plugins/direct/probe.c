/*
 * probe.c - how lws is asked what it would do with a request: it is given the same head by a socket of its
 * own.
 *
 * If one of Push's plugins is called with it, that plugin tells (push_direct_claim) and ends the connection.
 * Whatever else becomes visible at the other end, an answer or the end, means that the request is not for
 * Push: connections that wait for this go to lws.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "direct/direct_private.h"
#include "direct/http_conn.h"

struct probe {
	struct push_source source; /* our end */
	struct push_direct *direct;
	struct push_list link;    /* in direct->probes */
	struct push_list waiting; /* connections */
	uint64_t cookie;          /* of lws' end */
	uint64_t end_us;
	struct push_route_key key;
};

static void
resume_all(struct probe *probe, bool ours)
{
	while (!push_list_is_empty(&probe->waiting)) {
		struct push_http_conn *conn =
			push_container_of(probe->waiting.next, struct push_http_conn, probe_link);

		push_list_remove(&conn->probe_link);
		direct_request_resume(conn, ours);
	}
}

static void
end(struct probe *probe, bool ours)
{
	push_list_remove(&probe->link);
	probe->direct->probe_count--;
	push_source_close(&probe->direct->sets[PUSH_DIRECT_ARRIVALS], &probe->source);
	resume_all(probe, ours);
}

static void
probe_ready(struct push_source *source, uint32_t events)
{
	(void)events;
	end(push_container_of(source, struct probe, source), false);
}

static void
probe_destroy(struct push_source *source)
{
	struct probe *probe = push_container_of(source, struct probe, source);

	push_list_remove(&probe->link);
	while (!push_list_is_empty(&probe->waiting))
		push_list_remove(probe->waiting.next);
	free(probe);
}

/* A number for each socket since the machine started, where a descriptor's would come again (socket(7)). */
static uint64_t
cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t size = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &size) ? 0 : cookie;
}

static const struct push_source_kind probe_kind = {probe_ready, probe_destroy};

static struct probe *
find(const struct push_direct *direct, const struct push_route_key *key)
{
	for (struct push_list *item = direct->probes.next; item != &direct->probes; item = item->next) {
		struct probe *probe = push_container_of(item, struct probe, link);

		if (push_route_key_is(&probe->key, key))
			return probe;
	}
	return NULL;
}

/* The head without its Authorization. */
static bool
show(int fd, const char *bytes, const struct push_head *head)
{
	const char *end = bytes + head->size, *line = end, *next = end;
	struct iovec parts[2];
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

	if (head->authorization.bytes) {
		line = (const char *)memrchr(bytes, '\n', (size_t)(head->authorization.bytes - bytes)) + 1;
		next = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
	}
	parts[0] = (struct iovec){(void *)(uintptr_t)bytes, (size_t)(line - bytes)};
	parts[1] = (struct iovec){(void *)(uintptr_t)next, (size_t)(end - next)};
	return sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)(parts[0].iov_len + parts[1].iov_len);
}

static struct probe *
start(struct push_direct *direct, const struct push_route_key *key, int port, const char *bytes,
	const struct push_head *head)
{
	struct probe *probe;
	int ends[2];

	if (direct->probe_count == PUSH_PROBES_MAX ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
		return NULL;
	probe = calloc(1, sizeof(*probe));
	if (!probe || !show(ends[0], bytes, head)) {
		free(probe);
		close(ends[0]);
		close(ends[1]);
		return NULL;
	}
	probe->direct = direct;
	probe->cookie = cookie_of(ends[1]);
	probe->key = *key;
	probe->end_us = direct->ops->now_us() + PUSH_PROBE_US;
	push_list_init(&probe->waiting);
	push_list_append(&direct->probes, &probe->link);
	direct->probe_count++;
	push_source_open(&direct->sets[PUSH_DIRECT_ARRIVALS], &probe->source, &probe_kind, ends[0]);
	/* where the set takes no more, the time limit ends it */
	(void)push_source_want(&direct->sets[PUSH_DIRECT_ARRIVALS], &probe->source, EPOLLIN);
	direct->host.hand_over(direct->host.context, ends[1], port);
	return probe;
}

bool
direct_probe(struct push_direct *direct, struct push_http_conn *conn, const struct push_route_key *key,
	int port, const char *bytes, const struct push_head *head)
{
	struct probe *probe = find(direct, key);

	if (!probe)
		probe = start(direct, key, port, bytes, head);
	if (!probe)
		return false;
	push_list_append(&probe->waiting, &conn->probe_link);
	return true;
}

void
direct_probe_forget(struct push_http_conn *conn)
{
	push_list_remove(&conn->probe_link);
}

void
direct_probes_tick(struct push_direct *direct, uint64_t now_us)
{
	while (!push_list_is_empty(&direct->probes)) {
		struct probe *oldest = push_container_of(direct->probes.next, struct probe, link);

		if (now_us < oldest->end_us)
			return;
		end(oldest, false);
	}
}

bool
push_direct_claim(struct push_direct *direct, int lws_fd, enum push_direct_kind kind, const char *extra,
	size_t extra_size)
{
	uint64_t cookie = push_list_is_empty(&direct->probes) ? 0 : cookie_of(lws_fd);

	for (struct push_list *item = direct->probes.next; cookie && item != &direct->probes;
		item = item->next) {
		struct probe *probe = push_container_of(item, struct probe, link);
		bool ours = probe->key.bytes[0] == (char)kind && extra_size <= PUSH_EXTRA_HEADERS_BYTES_MAX;

		if (probe->cookie != cookie)
			continue;
		if (ours)
			push_routes_add(&direct->routes, &probe->key, extra, extra_size);
		end(probe, ours);
		return true;
	}
	return false;
}
