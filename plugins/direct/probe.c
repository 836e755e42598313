/*
 * probe.c - how lws is asked whose a path is: it is given a head by a socket of its own, a GET with the path
 * and the Host, and an upgrade if the request has one.  What else a client sends can thus neither stand in
 * the way of the answer nor get into it.
 *
 * If one of Push's plugins is called with it, that plugin says so (direct_claim) and ends the connection.
 * Whatever else becomes visible at the other end, an answer or the end, means that the request is not for
 * Push: connections that wait for this go to lws.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "direct/direct_private.h"

struct probe {
	struct push_source source; /* our end */
	struct push_direct *direct;
	struct push_list link;    /* in direct->probes */
	struct push_list waiting; /* of struct direct_waiter */
	uint64_t cookie;          /* of lws' end */
	uint64_t end_us;
	struct push_route_key key;
};

static void
resume_all(struct probe *probe, bool ours)
{
	while (!push_list_is_empty(&probe->waiting)) {
		struct direct_waiter *waiter =
			push_container_of(probe->waiting.next, struct direct_waiter, link);

		push_list_remove(&waiter->link);
		waiter->resume(waiter, ours);
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

/* What makes a request one for a WebSocket, with a key of 16 zeros. */
#define UPGRADE_LINES                                                                                        \
	"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                         \
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"

static bool
show(int fd, bool is_upgrade, struct push_str host, struct push_str path)
{
	struct push_buf text;
	bool shown;

	push_buf_init(&text, PUSH_HEAD_BYTES_MAX);
	push_buf_append_text(&text, "GET ");
	push_buf_append(&text, path.bytes, path.size);
	push_buf_append_text(&text, " HTTP/1.1\r\nHost: ");
	push_buf_append(&text, host.bytes, host.size);
	push_buf_append_text(&text, is_upgrade ? "\r\n" UPGRADE_LINES "\r\n" : "\r\n\r\n");
	shown = text.status == PUSH_OK && send(fd, text.bytes, text.size, MSG_NOSIGNAL) == (ssize_t)text.size;
	push_buf_fini(&text);
	return shown;
}

/* A request that came unencrypted to a port with TLS must not be taken for Push's: lws refuses the bytes of such a
 * probe as it would refuse the request's. */
static void
give_end(struct push_direct *direct, int fd, const struct push_route_key *key)
{
	int port = push_route_key_port(key);

	if (push_route_key_is_tls(key))
		direct->host.hand_over_plain(direct->host.context, fd, port);
	else
		direct->host.hand_over(direct->host.context, fd, port);
}

static struct probe *
start(struct push_direct *direct, const struct push_route_key *key, struct push_str host,
	struct push_str path)
{
	struct probe *probe;
	int ends[2];

	if (direct->probe_count == PUSH_PROBES_MAX ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
		return NULL;
	probe = calloc(1, sizeof(*probe));
	if (!probe || !show(ends[0], push_route_key_is_upgrade(key), host, path)) {
		free(probe);
		close(ends[0]);
		close(ends[1]);
		return NULL;
	}
	probe->direct = direct;
	probe->cookie = direct_cookie(ends[1]);
	probe->key = *key;
	probe->end_us = direct->ops->now_us() + PUSH_PROBE_US;
	push_list_init(&probe->waiting);
	push_list_append(&direct->probes, &probe->link);
	direct->probe_count++;
	direct->ops->count_route_probe(direct->broker);
	push_source_open(&direct->sets[PUSH_DIRECT_ARRIVALS], &probe->source, &probe_kind, ends[0]);
	/* if the set takes no more, the time limit ends it */
	(void)push_source_want(&direct->sets[PUSH_DIRECT_ARRIVALS], &probe->source, EPOLLIN);
	give_end(direct, ends[1], key);
	return probe;
}

/*
 * Each probe uses up its share of a second.  What is used may be ahead of the clock by a burst, and is never
 * further behind it.
 */
static bool
may_start(struct push_direct *direct)
{
	const uint64_t share_us = 1000000 / PUSH_PROBES_A_SECOND, burst_us = share_us * PUSH_PROBES_BURST;
	uint64_t now_us = direct->ops->now_us(),
		 used_us = direct->probes_used_us > now_us ? direct->probes_used_us : now_us;

	if (used_us + share_us > now_us + burst_us) {
		direct->ops->count_limited_route(direct->broker);
		return false;
	}
	direct->probes_used_us = used_us + share_us;
	return true;
}

bool
direct_probe(struct push_direct *direct, struct direct_waiter *waiter, const struct push_route_key *key,
	struct push_str host, struct push_str path)
{
	struct probe *probe = find(direct, key);

	if (!probe && may_start(direct))
		probe = start(direct, key, host, path);
	if (!probe)
		return false;
	push_list_append(&probe->waiting, &waiter->link);
	return true;
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
direct_claim(struct push_direct *direct, int lws_fd, const struct push_claim *claim)
{
	uint64_t cookie = push_list_is_empty(&direct->probes) ? 0 : direct_cookie(lws_fd);

	for (struct push_list *item = direct->probes.next; cookie && item != &direct->probes;
		item = item->next) {
		struct probe *probe = push_container_of(item, struct probe, link);
		bool ours = claim->extra_size <= PUSH_EXTRA_HEADERS_BYTES_MAX;

		if (probe->cookie != cookie)
			continue;
		if (ours)
			push_routes_add(&direct->routes, &probe->key, claim);
		end(probe, ours);
		return true;
	}
	return false;
}
