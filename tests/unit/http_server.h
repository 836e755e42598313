/*
 * http_server.h - a server for tests of clients, in threads of the test itself: each connection is given to a
 * function, which reads and writes as the test wants it to.  With a certificate it speaks TLS.
 */
#ifndef PUSH_TESTS_HTTP_SERVER_H
#define PUSH_TESTS_HTTP_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVER_CONNECTIONS_MAX 64
#define SERVER_REQUEST_MAX     16384

struct server;

struct peer {
	struct server *server;
	int fd;
	unsigned int number; /* of the connection, from 0 */
	SSL *tls;
	char request[SERVER_REQUEST_MAX]; /* the last one, NUL-terminated */
	size_t size;
};

struct server {
	void (*serve)(struct peer *peer);
	const char *text; /* for serve() */
	SSL_CTX *tls;
	int fd;
	uint16_t port;
	pthread_t thread, threads[SERVER_CONNECTIONS_MAX];
	struct peer peers[SERVER_CONNECTIONS_MAX];
	atomic_uint connections, requests, at_once, at_once_most;
};

static inline ssize_t
peer_recv(struct peer *peer, char *to, size_t size)
{
	return peer->tls ? SSL_read(peer->tls, to, (int)size) : recv(peer->fd, to, size, 0);
}

static inline void
peer_send(struct peer *peer, const char *bytes, size_t size)
{
	while (size) {
		ssize_t sent = peer->tls ? SSL_write(peer->tls, bytes, (int)size)
					 : send(peer->fd, bytes, size, MSG_NOSIGNAL);

		if (sent <= 0)
			return;
		bytes += sent;
		size -= (size_t)sent;
	}
}

static inline void
peer_say(struct peer *peer, const char *text)
{
	peer_send(peer, text, strlen(text));
}

/* The next request, with its body; false: the client has closed. */
static inline bool
peer_hear(struct peer *peer)
{
	const char *end, *length;
	size_t size = 0, whole = SERVER_REQUEST_MAX;

	while (size < whole) {
		ssize_t got = peer_recv(peer, peer->request + size, SERVER_REQUEST_MAX - 1 - size);

		if (got <= 0)
			return false;
		size += (size_t)got;
		peer->request[size] = '\0';
		end = strstr(peer->request, "\r\n\r\n");
		length = strcasestr(peer->request, "\r\ncontent-length:");
		if (end)
			whole = (size_t)(end - peer->request) + 4 +
				(length ? (size_t)strtoul(length + 17, NULL, 10) : 0);
	}
	peer->size = size;
	atomic_fetch_add(&peer->server->requests, 1);
	return true;
}

/* Until the client closes. */
static inline void
peer_wait(struct peer *peer)
{
	char byte[256];

	while (peer_recv(peer, byte, sizeof(byte)) > 0)
		;
}

/* serve() for most tests: each request is answered with server->text. */
static inline void
serve_text(struct peer *peer)
{
	while (peer_hear(peer))
		peer_say(peer, peer->server->text);
}

static inline void *
server_serve(void *context)
{
	struct peer *peer = context;
	struct server *server = peer->server;
	unsigned int now = atomic_fetch_add(&server->at_once, 1) + 1, most = server->at_once_most;

	while (now > most && !atomic_compare_exchange_weak(&server->at_once_most, &most, now))
		;
	if (server->tls) {
		peer->tls = SSL_new(server->tls);
		SSL_set_fd(peer->tls, peer->fd);
	}
	if (!peer->tls || SSL_accept(peer->tls) == 1)
		server->serve(peer);
	if (peer->tls) {
		(void)SSL_shutdown(peer->tls);
		SSL_free(peer->tls);
	}
	ERR_clear_error();
	close(peer->fd);
	atomic_fetch_sub(&server->at_once, 1);
	return NULL;
}

static inline void *
server_accept(void *context)
{
	struct server *server = context;

	for (unsigned int i = 0; i < SERVER_CONNECTIONS_MAX; i++) {
		struct peer *peer = &server->peers[i];

		*peer = (struct peer){.server = server, .number = i};
		peer->fd = accept(server->fd, NULL, NULL);
		if (peer->fd < 0)
			return NULL;
		atomic_store(&server->connections, i + 1);
		if (pthread_create(&server->threads[i], NULL, server_serve, peer))
			abort();
	}
	return NULL;
}

/* A socket of 127.0.0.1 that listens. */
static inline int
listen_somewhere(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (const struct sockaddr *)&address, size) || listen(fd, 64) ||
		getsockname(fd, (struct sockaddr *)&address, &size))
		abort();
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static inline void
server_start(struct server *server, void (*serve)(struct peer *peer), const char *text, SSL_CTX *tls)
{
	memset(server, 0, sizeof(*server));
	server->serve = serve;
	server->text = text;
	server->tls = tls;
	server->fd = listen_somewhere(&server->port);
	signal(SIGPIPE, SIG_IGN);
	if (pthread_create(&server->thread, NULL, server_accept, server))
		abort();
}

/* When its clients have gone. */
static inline void
server_stop(struct server *server)
{
	shutdown(server->fd, SHUT_RDWR);
	pthread_join(server->thread, NULL);
	for (unsigned int i = 0; i < server->connections; i++)
		pthread_join(server->threads[i], NULL);
	close(server->fd);
	SSL_CTX_free(server->tls);
}

/* --- certificates --- */

struct authority {
	EVP_PKEY *key;
	X509 *certificate;
	char file[64]; /* its certificate */
};

static inline X509 *
make_certificate(EVP_PKEY *key, const char *name, const char *host, long from_s, long to_s,
	const struct authority *signer)
{
	X509 *made = X509_new();
	X509_NAME *subject = X509_get_subject_name(made);
	X509V3_CTX context;
	char value[128];

	X509_set_version(made, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(made), host ? 2 : 1);
	X509_gmtime_adj(X509_getm_notBefore(made), from_s);
	X509_gmtime_adj(X509_getm_notAfter(made), to_s);
	X509_set_pubkey(made, key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(made, signer ? X509_get_subject_name(signer->certificate) : subject);
	X509V3_set_ctx(&context, signer ? signer->certificate : made, made, NULL, NULL, 0);
	snprintf(value, sizeof(value), "%s", host ? host : "critical,CA:TRUE");
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(
		NULL, &context, host ? NID_subject_alt_name : NID_basic_constraints, value);
	X509_add_ext(made, extension, -1);
	X509_EXTENSION_free(extension);
	X509_sign(made, signer ? signer->key : key, EVP_sha256());
	return made;
}

static inline void
authority_make(struct authority *authority, const char *name)
{
	int fd;
	FILE *file;

	authority->key = EVP_EC_gen("P-256");
	authority->certificate = make_certificate(authority->key, name, NULL, -3600, 3600, NULL);
	snprintf(authority->file, sizeof(authority->file), "/tmp/push-test-ca-XXXXXX");
	fd = mkstemp(authority->file);
	file = fdopen(fd, "w");
	if (!file || !PEM_write_X509(file, authority->certificate))
		abort();
	fclose(file);
}

static inline void
authority_free(struct authority *authority)
{
	unlink(authority->file);
	X509_free(authority->certificate);
	EVP_PKEY_free(authority->key);
}

/* What a server presents.  @host: DNS:name or IP:address. */
static inline SSL_CTX *
present(const struct authority *authority, const char *host, long from_s, long to_s)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *certificate = make_certificate(key, "server", host, from_s, to_s, authority);

	if (SSL_CTX_use_certificate(context, certificate) != 1 || SSL_CTX_use_PrivateKey(context, key) != 1)
		abort();
	X509_free(certificate);
	EVP_PKEY_free(key);
	return context;
}

#endif
