/* relay.c - see relay.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "direct/direct_private.h"
#include "direct/relay.h"

#define READING (EPOLLIN | EPOLLRDHUP)

/* What one end has sent and the other has not taken. */
struct kept {
	struct push_buf bytes;
	size_t sent;
};

struct relay {
	struct push_source client, lws; /* lws: our end of the pair */
	struct push_direct *direct;
	struct direct_bytes bytes; /* the client's */
	struct kept to_lws, to_client;
	struct direct_burden burden; /* listed while the client does not read */
	struct direct_timer timer;   /* armed when lws has ended: for what the client has to read yet */
	int lws_fd;                  /* lws' own end, and */
	uint64_t lws_cookie;         /* which one it is */
	uint8_t parts;               /* sources that are not destroyed */
	bool client_ended;           /* it sends no more */
	bool lws_ended;              /* nor does lws, but for what is in the pair; it reads no more either */
	bool is_lingering;           /* all is sent */
};

static struct push_sources *
set_of(const struct relay *relay)
{
	return &relay->direct->sets[PUSH_DIRECT_STREAMS];
}

static void
close_lws_end(struct relay *relay)
{
	struct push_direct *direct = relay->direct;

	if (relay->lws.fd < 0)
		return;
	direct_ends_remove(&direct->ends, relay->lws_fd, relay->lws_cookie);
	push_source_close(set_of(relay), &relay->lws);
	direct->relay_sources--;
}

static void
relay_close(struct relay *relay)
{
	struct push_direct *direct = relay->direct;

	close_lws_end(relay);
	if (relay->client.fd < 0)
		return;
	if (relay->to_client.bytes.size || direct_bytes_is_blocked(&relay->bytes))
		push_source_abort(&relay->client);
	push_timer_disarm(&relay->timer.timer);
	push_list_remove(&relay->burden.link);
	direct_forget(direct, relay->client.fd);
	push_source_close(set_of(relay), &relay->client);
	direct->relay_sources--;
}

static void
part_destroy(struct relay *relay)
{
	if (--relay->parts)
		return;
	/* the set may have been closed with all that was in it */
	push_timer_disarm(&relay->timer.timer);
	push_list_remove(&relay->burden.link);
	direct_bytes_fini(&relay->bytes);
	push_buf_fini(&relay->to_lws.bytes);
	push_buf_fini(&relay->to_client.bytes);
	free(relay);
}

static bool
is_passing(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ENOBUFS;
}

/* Returns false without memory. */
static bool
keep(struct kept *kept, const char *bytes, size_t size)
{
	push_buf_append(&kept->bytes, bytes, size);
	return kept->bytes.status == PUSH_OK;
}

/* The client goes on reading what is left. */
static void
note_progress(struct relay *relay)
{
	if (relay->lws_ended)
		direct_arm(relay->direct, &relay->timer, PUSH_ANSWERS_US);
}

static void
took(struct kept *kept, size_t size)
{
	kept->sent += size;
	if (kept->sent < kept->bytes.size)
		return;
	push_buf_reset(&kept->bytes);
	kept->sent = 0;
}

/* --- from the client to lws --- */

/* As send(2), but 0 if nothing can be taken now. */
static ssize_t
send_to_lws(const struct relay *relay, const char *bytes, size_t size)
{
	ssize_t sent = send(relay->lws.fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

	return sent < 0 && is_passing(errno) ? 0 : sent;
}

/* lws will read no more of what the client sends: nothing is read any more for it, and nothing kept. */
static void
end_of_lws(struct relay *relay)
{
	if (relay->lws_ended)
		return;
	relay->lws_ended = true;
	push_buf_reset(&relay->to_lws.bytes);
	relay->to_lws.sent = 0;
	direct_arm(relay->direct, &relay->timer, PUSH_ANSWERS_US);
}

/* Returns false if it takes no more now. */
static bool
give_to_lws(struct relay *relay, const char *bytes, size_t size)
{
	ssize_t sent = send_to_lws(relay, bytes, size);

	if (sent < 0) {
		end_of_lws(relay);
		return false;
	}
	if ((size_t)sent == size)
		return true;
	if (!keep(&relay->to_lws, bytes + sent, size - (size_t)sent))
		relay_close(relay);
	return false;
}

/* Returns false if some of it is left, or lws has gone. */
static bool
give_kept_to_lws(struct relay *relay)
{
	struct kept *kept = &relay->to_lws;
	ssize_t sent;

	if (!kept->bytes.size)
		return true;
	sent = send_to_lws(relay, kept->bytes.bytes + kept->sent, kept->bytes.size - kept->sent);
	if (sent < 0)
		end_of_lws(relay);
	else
		took(kept, (size_t)sent);
	return sent >= 0 && !kept->bytes.size;
}

/* What it takes from a silent socket has been read from it before, and epoll(7) does not show it. */
static void
from_client(struct relay *relay)
{
	char *piece = relay->direct->scratch;
	ssize_t size;

	do {
		size = direct_bytes_read(&relay->bytes, relay->client.fd, piece, PUSH_RELAY_PIECE_BYTES);
		if (size < 0 && is_passing(errno))
			return;
		if (size < 0) {
			relay_close(relay);
			return;
		}
		if (!size) {
			relay->client_ended = true;
			(void)shutdown(relay->lws.fd, SHUT_WR);
			return;
		}
	} while (give_to_lws(relay, piece, (size_t)size) &&
		 (direct_bytes_has_more(&relay->bytes) || relay->bytes.is_over));
}

/* --- from lws to the client --- */

/* Returns false if some of it is left, or the connection has ended. */
static bool
give_kept_to_client(struct relay *relay)
{
	struct kept *kept = &relay->to_client;
	ssize_t sent;

	if (!direct_bytes_flush(&relay->bytes)) {
		relay_close(relay);
		return false;
	}
	if (direct_bytes_is_blocked(&relay->bytes))
		return false;
	if (!kept->bytes.size)
		return true;
	sent = direct_bytes_send(&relay->bytes, relay->client.fd, kept->bytes.bytes + kept->sent,
		kept->bytes.size - kept->sent);
	if (sent < 0 && !is_passing(errno)) {
		relay_close(relay);
		return false;
	}
	if (sent > 0) {
		took(kept, (size_t)sent);
		note_progress(relay);
	}
	return !kept->bytes.size && !direct_bytes_is_blocked(&relay->bytes);
}

/* Returns false if it takes no more now, or has gone. */
static bool
give_to_client(struct relay *relay, const char *bytes, size_t size)
{
	ssize_t sent = direct_bytes_send(&relay->bytes, relay->client.fd, bytes, size);

	if (sent < 0 && !is_passing(errno)) {
		relay_close(relay);
		return false;
	}
	if (sent < 0)
		sent = 0;
	if ((size_t)sent < size && !keep(&relay->to_client, bytes + sent, size - (size_t)sent)) {
		relay_close(relay);
		return false;
	}
	return (size_t)sent == size && !direct_bytes_is_blocked(&relay->bytes);
}

/* lws has ended, and all that it sent is with the client's socket. */
static void
linger(struct relay *relay)
{
	relay->is_lingering = true;
	close_lws_end(relay);
	direct_bytes_end(&relay->bytes, relay->client.fd);
	direct_arm(relay->direct, &relay->timer, PUSH_LINGER_US);
}

static void
from_lws(struct relay *relay)
{
	char *piece = relay->direct->scratch;
	size_t moved = 0;
	ssize_t size;

	do {
		size = recv(relay->lws.fd, piece, PUSH_RELAY_PIECE_BYTES, MSG_DONTWAIT);
		if (size < 0 && is_passing(errno))
			return;
		if (size <= 0) {
			end_of_lws(relay);
			linger(relay);
			return;
		}
		moved += (size_t)size;
		note_progress(relay);
	} while (give_to_client(relay, piece, (size_t)size) && moved < PUSH_RELAY_TURN_BYTES);
}

/* --- both --- */

static bool
is_client_blocked(const struct relay *relay)
{
	return relay->to_client.bytes.size || direct_bytes_is_blocked(&relay->bytes);
}

static bool
want_of_client(struct relay *relay)
{
	uint32_t events = 0;

	if (relay->is_lingering || (!relay->client_ended && !relay->lws_ended && !relay->to_lws.bytes.size))
		events |= READING;
	if (is_client_blocked(relay))
		events |= EPOLLOUT;
	return push_source_want(set_of(relay), &relay->client, events);
}

static bool
want_of_lws(struct relay *relay)
{
	uint32_t events = EPOLLRDHUP;

	/* epoll(7) shows the end of a socket always; it has been seen */
	if (relay->lws_ended && is_client_blocked(relay)) {
		push_source_pause(set_of(relay), &relay->lws);
		return true;
	}
	if (!is_client_blocked(relay))
		events |= EPOLLIN;
	if (relay->to_lws.bytes.size)
		events |= EPOLLOUT;
	return push_source_want(set_of(relay), &relay->lws, events);
}

/* Waits for what is to come. */
static void
settle(struct relay *relay)
{
	if (relay->client.fd < 0)
		return;
	if (is_client_blocked(relay))
		direct_burden_list(relay->direct, &relay->burden);
	else
		push_list_remove(&relay->burden.link);
	if (!want_of_client(relay) || !want_of_lws(relay))
		relay_close(relay);
}

static void
discard(struct relay *relay)
{
	ssize_t size = direct_bytes_discard(
		&relay->bytes, relay->client.fd, relay->direct->scratch, PUSH_RELAY_PIECE_BYTES);

	if (!size || (size < 0 && !is_passing(errno)))
		relay_close(relay);
}

static void
client_ready(struct push_source *source, uint32_t events)
{
	struct relay *relay = push_container_of(source, struct relay, client);

	if (events & (EPOLLERR | EPOLLHUP)) {
		relay_close(relay);
		return;
	}
	if (relay->is_lingering) {
		discard(relay);
		return;
	}
	if (events & EPOLLOUT && give_kept_to_client(relay) && relay->client.fd >= 0)
		from_lws(relay);
	if (events & READING && relay->client.fd >= 0 && !relay->client_ended && !relay->lws_ended &&
		!relay->to_lws.bytes.size)
		from_client(relay);
	settle(relay);
}

static void
lws_ready(struct push_source *source, uint32_t events)
{
	struct relay *relay = push_container_of(source, struct relay, lws);

	if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
		end_of_lws(relay);
	if (events & EPOLLOUT && !relay->lws_ended && give_kept_to_lws(relay) && !relay->client_ended)
		from_client(relay);
	if (relay->client.fd >= 0 && events & ~(uint32_t)EPOLLOUT && !is_client_blocked(relay))
		from_lws(relay);
	settle(relay);
}

static void
client_destroy(struct push_source *source)
{
	part_destroy(push_container_of(source, struct relay, client));
}

static void
lws_destroy(struct push_source *source)
{
	part_destroy(push_container_of(source, struct relay, lws));
}

static const struct push_source_kind client_kind = {client_ready, client_destroy};
static const struct push_source_kind lws_kind = {lws_ready, lws_destroy};

/* Its client has not read, or does not read to the end. */
static void
on_timer(struct direct_timer *timer, uint64_t now_us)
{
	(void)now_us;
	relay_close(push_container_of(timer, struct relay, timer));
}

static void
relieve(struct direct_burden *burden)
{
	struct relay *relay = push_container_of(burden, struct relay, burden);

	push_buf_reset(&relay->to_client.bytes);
	push_buf_reset(&relay->to_lws.bytes);
	push_source_abort(&relay->client);
	relay_close(relay);
}

bool
direct_pair_open(const struct push_direct *direct, int ends[2])
{
	int size = PUSH_RELAY_SOCKET_BYTES / 2; /* of which the kernel makes twice as much (socket(7)) */

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends))
		return false;
	if (ends[0] >= direct->files_max || ends[1] >= direct->files_max) {
		close(ends[0]);
		close(ends[1]);
		return false;
	}
	(void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return true;
}

static struct relay *
create(struct push_direct *direct, int fd, struct direct_bytes *bytes, int ends[2])
{
	struct relay *relay = calloc(1, sizeof(*relay));

	if (!relay || !direct_pair_open(direct, ends)) {
		free(relay);
		return NULL;
	}
	relay->direct = direct;
	relay->bytes = *bytes;
	*bytes = (struct direct_bytes){.tls = NULL};
	relay->parts = 2;
	push_buf_init(&relay->to_lws.bytes, PUSH_RELAY_PIECE_BYTES);
	push_buf_charge(&relay->to_lws.bytes, direct->requests_account);
	push_buf_init(&relay->to_client.bytes, PUSH_RELAY_PIECE_BYTES);
	push_buf_charge(&relay->to_client.bytes, direct->requests_account);
	relay->burden.relieve = relieve;
	push_list_init(&relay->burden.link);
	relay->timer.due = on_timer;
	push_timer_init(&relay->timer.timer);
	push_source_open(set_of(relay), &relay->client, &client_kind, fd);
	push_source_open(set_of(relay), &relay->lws, &lws_kind, ends[0]);
	direct->relay_sources += 2;
	relay->lws_fd = ends[1];
	relay->lws_cookie = direct_ends_add(
		&direct->ends, ends[1], &(struct direct_end_client){fd, &relay->bytes, false});
	return relay;
}

void
direct_relay_open(
	struct push_direct *direct, int fd, int port, struct direct_bytes *bytes, struct push_str early)
{
	int ends[2];
	struct relay *relay = create(direct, fd, bytes, ends);

	if (!relay) {
		direct_bytes_fini(bytes);
		direct_forget(direct, fd);
		close(fd);
		return;
	}
	if (!early.size || give_to_lws(relay, early.bytes, early.size))
		from_client(relay);
	settle(relay);
	if (relay->client.fd < 0)
		close(ends[1]);
	else
		direct->host.hand_over_plain(direct->host.context, ends[1], port);
}
