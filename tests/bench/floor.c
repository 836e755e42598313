/*
 * floor.c - the least that a server can do: what is left of the cost when all that Push promises is left out.
 *
 * It takes WebSocket and SSE subscribers and HTTP publishes from pushload, with the same bytes on the wire as
 * Push, and sends each subscriber what waits for it with one send() per turn of its loop.  It knows no
 * heartbeat, no lifetime, no queue, no limit, no malformed request; a socket that is full is waited for.  So
 * its CPU per delivery is what the kernel takes on this machine, and a figure of Push divided by the floor's
 * can be compared between machines.
 *
 * With a certificate it does the same over TLS: one SSL_write() for each client, which seals a record and sends it.
 * Its memory per client is then OpenSSL's own, and its CPU per connection a handshake and nothing else.
 *
 * usage: floor [CERTIFICATE KEY]      prints the port it has chosen, and serves until it is killed
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "src/ws.h"

#define CHANNELS_MAX 65536
#define FILES_MAX    65536
#define READ_BYTES   (2u << 20)
#define BATCH        256

/* A connection that has not subscribed: a publisher, or somebody on the way to subscribe. */
struct connection {
	int fd;
	SSL *tls; /* NULL: plain */
	size_t size;
	char *bytes;
};

struct subscriber {
	int fd;
	bool is_ws;
	SSL *tls;
};

struct channel {
	struct subscriber *all;
	size_t count, capacity;
	char *waiting[2]; /* for SSE, for WebSocket */
	size_t waiting_size[2], waiting_capacity[2];
	bool is_dirty;
};

static struct connection *connections[FILES_MAX]; /* by descriptor */
static struct channel channels[CHANNELS_MAX];
static struct channel *dirty[CHANNELS_MAX];
static size_t dirty_count;
static SSL_CTX *tls_context; /* NULL: plain */
static int epoll_fd;

_Noreturn static void
die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *
grow(void *bytes, size_t size)
{
	bytes = realloc(bytes, size);
	if (!bytes)
		die("memory");
	return bytes;
}

static void
append(struct channel *channel, bool is_ws, const void *bytes, size_t size)
{
	size_t wanted = channel->waiting_size[is_ws] + size;

	if (wanted > channel->waiting_capacity[is_ws]) {
		channel->waiting_capacity[is_ws] = wanted * 2;
		channel->waiting[is_ws] = grow(channel->waiting[is_ws], wanted * 2);
	}
	memcpy(channel->waiting[is_ws] + channel->waiting_size[is_ws], bytes, size);
	channel->waiting_size[is_ws] = wanted;
}

/* The body is {"channel":...,"message":...} already: it is only wrapped. */
static void
publish(struct channel *channel, const char *body, size_t size)
{
	static const char open[] = "{\"event\":\"message\",\"data\":";
	size_t length = sizeof(open) - 1 + size + 1;
	unsigned char head[10] = {0x81, 127};
	size_t head_size = length < 126 ? 2 : length < 65536 ? 4 : 10;
	char chunk_head[24];
	int chunk_head_size;

	if (head_size < 10)
		head[1] = (unsigned char)(head_size == 2 ? length : 126);
	for (size_t i = 2; i < head_size; i++)
		head[i] = (unsigned char)(length >> 8 * (head_size - 1 - i));
	append(channel, true, head, head_size);
	append(channel, true, open, sizeof(open) - 1);
	append(channel, true, body, size);
	append(channel, true, "}", 1);
	chunk_head_size = snprintf(chunk_head, sizeof(chunk_head), "%zx\r\n", 19 + size + 2);
	append(channel, false, chunk_head, (size_t)chunk_head_size);
	append(channel, false, "event:message\ndata:", 19);
	append(channel, false, body, size);
	append(channel, false, "\n\n\r\n", 4);
	if (!channel->is_dirty) {
		channel->is_dirty = true;
		dirty[dirty_count++] = channel;
	}
}

/* As send(2) and read(2): -1 with EAGAIN where the socket is full or empty. */
static ssize_t
outcome(SSL *tls, int code)
{
	int error = code > 0 ? SSL_ERROR_NONE : SSL_get_error(tls, code);

	if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		errno = EAGAIN;
	else if (error != SSL_ERROR_NONE)
		errno = ECONNRESET;
	return error == SSL_ERROR_ZERO_RETURN ? 0 : error ? -1 : code;
}

static ssize_t
send_some(int fd, SSL *tls, const char *bytes, size_t size)
{
	if (!tls)
		return send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	ERR_clear_error();
	return outcome(tls, SSL_write(tls, bytes, (int)size));
}

static ssize_t
read_some(int fd, SSL *tls, char *to, size_t size)
{
	int code;

	if (!tls)
		return read(fd, to, size);
	ERR_clear_error();
	if (!SSL_is_init_finished(tls) && (code = SSL_do_handshake(tls)) != 1)
		return outcome(tls, code);
	return outcome(tls, SSL_read(tls, to, (int)size));
}

/* Returns false if the subscriber is gone. */
static bool
send_all(int fd, SSL *tls, const char *bytes, size_t size)
{
	while (size) {
		ssize_t sent = send_some(fd, tls, bytes, size);

		if (sent < 0 && errno == EAGAIN)
			poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
		else if (sent < 0)
			return false;
		else
			bytes += sent, size -= (size_t)sent;
	}
	return true;
}

static void
flush(void)
{
	for (size_t d = 0; d < dirty_count; d++) {
		struct channel *channel = dirty[d];

		for (size_t i = 0; i < channel->count; i++) {
			struct subscriber *to = &channel->all[i];

			if (send_all(to->fd, to->tls, channel->waiting[to->is_ws],
				    channel->waiting_size[to->is_ws]))
				continue;
			SSL_free(to->tls);
			close(to->fd);
			*to = channel->all[--channel->count];
			i--;
		}
		channel->waiting_size[0] = channel->waiting_size[1] = 0;
		channel->is_dirty = false;
	}
	dirty_count = 0;
}

/* The channel behind `mark`, a number after "ch". */
static struct channel *
channel_of(const char *head, const char *mark)
{
	const char *at = strstr(head, mark);

	return &channels[at ? strtoul(at + strlen(mark), NULL, 10) % CHANNELS_MAX : 0];
}

static void
subscribe(struct connection *connection)
{
	bool is_ws = strncmp(connection->bytes, "GET /ws/", 8) == 0;
	const char *answer =
		is_ws ? "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			"Sec-WebSocket-Accept: " WS_ACCEPT "\r\n\r\n"
		      : "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
			"Transfer-Encoding: chunked\r\n\r\n";
	struct channel *channel = channel_of(connection->bytes, "channels=ch");

	if (channel->count == channel->capacity) {
		channel->capacity = channel->capacity ? channel->capacity * 2 : 4;
		channel->all = grow(channel->all, channel->capacity * sizeof(*channel->all));
	}
	channel->all[channel->count++] = (struct subscriber){connection->fd, is_ws, connection->tls};
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, connection->fd, NULL);
	send_all(connection->fd, connection->tls, answer, strlen(answer));
	free(connection->bytes);
	free(connection);
}

/* Takes a request that is whole; returns its length, 0 if it is not. */
static size_t
take_publish(struct connection *connection, char *bytes, size_t size)
{
	char *body = memmem(bytes, size, "\r\n\r\n", 4), *length_at, answer[128];
	struct channel *channel;
	size_t length, total;

	if (!body)
		return 0;
	body += 4;
	length_at = strcasestr(bytes, "content-length:");
	length = length_at && length_at < body ? strtoul(length_at + 15, NULL, 10) : 0;
	total = (size_t)(body - bytes) + length;
	if (total > size)
		return 0;
	channel = channel_of(body, "\"channel\":\"ch");
	publish(channel, body, length);
	length = (size_t)snprintf(answer, sizeof(answer), "{\"subscribers\":%zu}", channel->count);
	length = (size_t)snprintf(answer, sizeof(answer),
		"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n"
		"{\"subscribers\":%zu}",
		length, channel->count);
	send_all(connection->fd, connection->tls, answer, length);
	return total;
}

static void
serve(struct connection *connection)
{
	static char scratch[READ_BYTES + 1];
	size_t used = 0, taken;
	ssize_t got;

	if (connection->size)
		memcpy(scratch, connection->bytes, connection->size);
	got = read_some(
		connection->fd, connection->tls, scratch + connection->size, READ_BYTES - connection->size);
	if (got < 0 && errno == EAGAIN)
		return;
	if (got <= 0) {
		SSL_free(connection->tls);
		close(connection->fd);
		free(connection->bytes);
		free(connection);
		return;
	}
	connection->size += (size_t)got;
	scratch[connection->size] = 0;
	if (!strncmp(scratch, "GET ", 4) && strstr(scratch, "\r\n\r\n")) {
		connection->bytes = grow(connection->bytes, connection->size + 1);
		memcpy(connection->bytes, scratch, connection->size + 1);
		subscribe(connection);
		return;
	}
	while ((taken = take_publish(connection, scratch + used, connection->size - used)))
		used += taken;
	connection->size -= used;
	if (connection->size) {
		connection->bytes = grow(connection->bytes, connection->size);
		memcpy(connection->bytes, scratch + used, connection->size);
	}
}

static SSL *
begin_tls(int fd)
{
	SSL *tls;

	if (!tls_context)
		return NULL;
	tls = SSL_new(tls_context);
	if (!tls || !SSL_set_fd(tls, fd))
		die("TLS");
	SSL_set_accept_state(tls);
	return tls;
}

static void
accept_all(int listener)
{
	int yes = 1, fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

		if (fd >= FILES_MAX)
			die("too many connections");
		connections[fd] = grow(NULL, sizeof(struct connection));
		*connections[fd] = (struct connection){.fd = fd, .tls = begin_tls(fd)};
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
		if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
			die("epoll_ctl");
	}
	if (errno != EAGAIN && errno != ECONNABORTED)
		die("accept");
}

static int
listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event event = {.events = EPOLLIN};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	event.data.fd = fd;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) || listen(fd, 4096) ||
		getsockname(fd, (struct sockaddr *)&address, &size) ||
		epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
		die("listen");
	printf("floor is ready on port %u\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

static void
prepare_tls(const char *certificate, const char *key)
{
	tls_context = SSL_CTX_new(TLS_server_method());
	if (!tls_context || SSL_CTX_use_certificate_chain_file(tls_context, certificate) != 1 ||
		SSL_CTX_use_PrivateKey_file(tls_context, key, SSL_FILETYPE_PEM) != 1)
		die("certificate or key");
	SSL_CTX_set_mode(tls_context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF);
}

int
main(int argc, char **argv)
{
	struct rlimit limit;
	int listener;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3)
		prepare_tls(argv[1], argv[2]);
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	listener = listen_somewhere();
	for (;;) {
		struct epoll_event events[BATCH];
		int count = epoll_wait(epoll_fd, events, BATCH, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.fd != listener)
				serve(connections[events[i].data.fd]);
			else
				accept_all(listener);
		}
		flush();
	}
}
