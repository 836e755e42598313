/*
 * ws_echo.c - a WebSocket server that echoes, for clients that test servers by their echo.
 *
 * Push itself never echoes, and test suites for the protocol expect nothing else.  So this program puts the
 * very code that reads and writes frames in Push, core/wsreader and core/wsframe, behind the simplest socket
 * loop there is: blocking, one client after the other.  Everything that a suite finds here is theirs.
 *
 *   ws_echo [LIMIT]     the longest message in bytes; listens on a free port of 127.0.0.1 and prints it
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/wsframe.h"
#include "core/wsreader.h"

#define HEAD_BYTES_MAX  4096
#define READ_BYTES      65536
#define LIMIT_DEFAULT   (64U << 20)
#define SILENCE_S_MAX   60
#define KEY_HEADER      "\r\nSec-WebSocket-Key:"
#define KEY_BYTES       24
#define ACCEPT_GUID     "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */
#define SHA1_BYTES      20
#define SHA1_BASE64_MAX 32

static bool
send_all(int fd, const void *bytes, size_t size)
{
	const char *at = bytes;

	while (size) {
		ssize_t sent = send(fd, at, size, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent <= 0)
			return false;
		at += sent;
		size -= (size_t)sent;
	}
	return true;
}

static bool
send_frame(int fd, enum push_ws_opcode opcode, const void *payload, size_t size)
{
	unsigned char header[PUSH_WS_HEADER_BYTES_MAX];

	return send_all(fd, header, push_ws_put_header(header, opcode, size)) && send_all(fd, payload, size);
}

static bool
send_close(int fd, unsigned int code)
{
	unsigned char payload[] = {(unsigned char)(code >> 8), (unsigned char)code};

	return send_frame(fd, PUSH_WS_CLOSE, payload, sizeof(payload));
}

/* RFC 6455, 4.2.2: the answer to the client's key. */
static bool
send_upgrade(int fd, const char *head)
{
	const char *key = strcasestr(head, KEY_HEADER);
	char joined[KEY_BYTES + sizeof(ACCEPT_GUID)], answer[256];
	unsigned char digest[SHA1_BYTES], accept[SHA1_BASE64_MAX + 1];
	int size;

	if (!key)
		return false;
	key += strlen(KEY_HEADER);
	key += strspn(key, " ");
	if (strcspn(key, " \r\n") != KEY_BYTES)
		return false;
	memcpy(joined, key, KEY_BYTES);
	memcpy(joined + KEY_BYTES, ACCEPT_GUID, sizeof(ACCEPT_GUID));
	if (!EVP_Digest(joined, strlen(joined), digest, NULL, EVP_sha1(), NULL))
		return false;
	EVP_EncodeBlock(accept, digest, sizeof(digest));
	size = snprintf(answer, sizeof(answer),
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Accept: %s\r\n\r\n",
		(const char *)accept);
	return send_all(fd, answer, (size_t)size);
}

/* Reads a request's head and no byte more, so that frames right behind it stay in the socket. */
static bool
read_head(int fd, char *head)
{
	size_t size = 0;

	while (size < HEAD_BYTES_MAX - 1) {
		if (recv(fd, head + size, 1, 0) != 1)
			return false;
		head[++size] = '\0';
		if (size >= 4 && !memcmp(head + size - 4, "\r\n\r\n", 4))
			return true;
	}
	return false;
}

/* Returns false when nothing more is to be read. */
static bool
answer_event(int fd, const struct push_ws_event *event)
{
	switch (event->kind) {
	case PUSH_WS_EVENT_MESSAGE: return send_frame(fd, PUSH_WS_TEXT, event->bytes, event->size);
	case PUSH_WS_EVENT_PING: return send_frame(fd, PUSH_WS_PONG, event->bytes, event->size);
	case PUSH_WS_EVENT_CLOSE:
	case PUSH_WS_EVENT_FAULT: (void)send_close(fd, event->code); return false;
	default: return true;
	}
}

static void
echo(int fd, size_t limit)
{
	static unsigned char scratch[READ_BYTES];
	struct push_ws_reader reader;
	bool open = true;
	ssize_t got = 0;

	push_ws_reader_init(&reader, limit);
	while (open && (got = recv(fd, scratch, sizeof(scratch), 0)) > 0) {
		unsigned char *bytes = scratch;
		size_t size = (size_t)got;
		struct push_ws_event event;

		while (open &&
			(event = push_ws_reader_next(&reader, &bytes, &size)).kind != PUSH_WS_EVENT_NONE)
			open = answer_event(fd, &event);
	}
	push_ws_reader_fini(&reader);
	/* the client gets all that was said to it, whatever it still sends */
	(void)shutdown(fd, SHUT_WR);
	while (got > 0)
		got = recv(fd, scratch, sizeof(scratch), 0);
}

static void
serve(int fd, size_t limit)
{
	const struct timeval silence = {.tv_sec = SILENCE_S_MAX};
	const int on = 1;
	char head[HEAD_BYTES_MAX];

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &silence, sizeof(silence));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &silence, sizeof(silence));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (read_head(fd, head) && send_upgrade(fd, head))
		echo(fd, limit);
	close(fd);
}

int
main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	size_t limit = argc > 1 ? strtoul(argv[1], NULL, 10) : LIMIT_DEFAULT;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	/* a test that is killed leaves no server behind */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (!limit) {
		fprintf(stderr, "ws_echo: LIMIT is the longest message in bytes, not '%s'\n", argv[1]);
		return 2;
	}
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) || listen(listener, 16) ||
		getsockname(listener, (struct sockaddr *)&address, &size)) {
		perror("ws_echo: cannot listen on 127.0.0.1");
		return 1;
	}
	printf("listening on 127.0.0.1:%d\n", ntohs(address.sin_port));
	fflush(stdout);
	while ((fd = accept(listener, NULL, NULL)) >= 0 || errno == EINTR || errno == ECONNABORTED)
		if (fd >= 0)
			serve(fd, limit);
	perror("ws_echo: cannot accept");
	return 1;
}
