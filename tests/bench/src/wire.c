/* wire.c - see wire.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire.h"

/* What browsers offer first, and nothing else: each server seals with the same cipher. */
#define CIPHERS_13 "TLS_AES_128_GCM_SHA256"
#define CIPHERS_12 "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"

static int
socket_read(BIO *bio, char *to, int size)
{
	struct wire *wire = BIO_get_data(bio);
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (wire->is_empty) {
		errno = EAGAIN;
		BIO_set_retry_read(bio);
		return -1;
	}
	got = recv(wire->fd, to, (size_t)size, MSG_DONTWAIT);
	if (got < 0 && errno == EAGAIN)
		BIO_set_retry_read(bio);
	wire->is_empty = !wire->may_end && got > 0 && got < size;
	return (int)got;
}

static int
socket_write(BIO *bio, const char *from, int size)
{
	const struct wire *wire = BIO_get_data(bio);
	ssize_t sent = send(wire->fd, from, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (sent < 0 && errno == EAGAIN)
		BIO_set_retry_write(bio);
	return (int)sent;
}

static long
socket_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio;
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH;
}

static BIO *
make_bio(struct wire *wire)
{
	BIO *bio = BIO_new(wire->settings->method);

	if (bio) {
		BIO_set_data(bio, wire);
		BIO_set_init(bio, 1);
	}
	return bio;
}

static BIO_METHOD *
make_method(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wire");

	if (!method)
		return NULL;
	BIO_meth_set_read(method, socket_read);
	BIO_meth_set_write(method, socket_write);
	BIO_meth_set_ctrl(method, socket_control);
	return method;
}

/* The newest ticket is resumed by all that connect from now on. */
static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	SSL_SESSION_free(tls->session);
	tls->session = session;
	return 1;
}

static void
choose_versions(SSL_CTX *context, uint64_t version)
{
	SSL_CTX_set_min_proto_version(context, version == TLS_VERSION_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_max_proto_version(context, version == TLS_VERSION_12 ? TLS1_2_VERSION : TLS1_3_VERSION);
}

const char *
tls_init(struct tls *tls, const struct options *options, const char *host)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	unsigned char address[sizeof(struct in6_addr)];

	*tls = (struct tls){.context = context, .method = make_method(), .host = host};
	tls->has_address = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
	if (!context || !tls->method || !SSL_CTX_set_ciphersuites(context, CIPHERS_13) ||
		!SSL_CTX_set_cipher_list(context, CIPHERS_12))
		return "OpenSSL could not be set up";
	choose_versions(context, options->tls_version);
	SSL_CTX_set_app_data(context, tls);
	SSL_CTX_set_read_ahead(context, 1);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	/* A server may end a stream by closing its socket: that is seen as an end, not as an attack. */
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(context, options->tls_resume
							? SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL
							: SSL_SESS_CACHE_OFF);
	if (options->tls_resume)
		SSL_CTX_sess_set_new_cb(context, keep_session);
	if (!*options->ca)
		return NULL;
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	return SSL_CTX_load_verify_file(context, options->ca) ? NULL : "no certificate can be read from it";
}

void
tls_fini(struct tls *tls)
{
	SSL_SESSION_free(tls->session);
	SSL_CTX_free(tls->context);
	BIO_meth_free(tls->method);
}

static bool
offer(SSL *ssl, const char *alpn)
{
	unsigned char wanted[32];
	size_t size = alpn ? strlen(alpn) : 0;

	if (!size || size >= sizeof(wanted))
		return !size;
	wanted[0] = (unsigned char)size;
	memcpy(wanted + 1, alpn, size);
	return !SSL_set_alpn_protos(ssl, wanted, (unsigned int)size + 1);
}

static bool
expect_host(SSL *ssl, const struct tls *tls)
{
	if (tls->has_address)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), tls->host);
	return SSL_set_tlsext_host_name(ssl, tls->host) && SSL_set1_host(ssl, tls->host);
}

static bool
begin_tls(struct wire *wire, struct tls *tls, const char *alpn)
{
	SSL *ssl = SSL_new(tls->context);
	BIO *bio;

	wire->tls = ssl;
	wire->settings = tls;
	bio = ssl ? make_bio(wire) : NULL;
	if (!bio)
		return false;
	SSL_set_bio(ssl, bio, bio);
	SSL_set_connect_state(ssl);
	if (tls->session)
		SSL_set_session(ssl, tls->session);
	return offer(ssl, alpn) && expect_host(ssl, tls);
}

int
wire_open(
	struct wire *wire, const struct target *target, uint32_t index, int receive_buffer, const char *alpn)
{
	*wire = (struct wire){.fd = net_connect(target, index, receive_buffer)};
	if (wire->fd < 0)
		return -1;
	if (target->tls && !begin_tls(wire, target->tls, alpn)) {
		wire_close(wire);
		errno = ENOMEM;
		return -1;
	}
	return 0;
}

void
wire_wake(struct wire *wire, bool ends)
{
	wire->is_empty = false;
	wire->may_end = ends;
}

static void
note_handshake(struct wire *wire)
{
	struct tls *tls = wire->settings;

	if (!tls->handshakes++)
		snprintf(tls->name, sizeof(tls->name), "%s %s", SSL_get_version(wire->tls),
			SSL_get_cipher_name(wire->tls));
	tls->resumed += (uint64_t)SSL_session_reused(wire->tls);
}

static const char *
tls_error(const struct wire *wire)
{
	long verdict = SSL_get_verify_result(wire->tls);
	const char *text = verdict ? X509_verify_cert_error_string(verdict)
				   : ERR_reason_error_string(ERR_peek_last_error());

	return text ? text : "the server closed in the middle of the TLS handshake";
}

enum wire_progress
wire_handshake(struct wire *wire, const char **ret_error)
{
	int error = net_error(wire->fd), code;

	if (error) {
		*ret_error = strerror(error);
		return WIRE_FAILED;
	}
	if (!wire->tls)
		return WIRE_READY;
	ERR_clear_error();
	code = SSL_do_handshake(wire->tls);
	if (code == 1) {
		note_handshake(wire);
		return WIRE_READY;
	}
	code = SSL_get_error(wire->tls, code);
	if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE)
		return WIRE_AGAIN;
	*ret_error = tls_error(wire);
	return WIRE_FAILED;
}

bool
wire_speaks(const struct wire *wire, const char *alpn)
{
	const unsigned char *chosen;
	unsigned int size;

	if (!wire->tls)
		return true;
	SSL_get0_alpn_selected(wire->tls, &chosen, &size);
	return size == strlen(alpn) && !memcmp(chosen, alpn, size);
}

/* What read(2) and write(2) would have returned. */
static ssize_t
outcome(const struct wire *wire, int code)
{
	switch (SSL_get_error(wire->tls, code)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE: errno = EAGAIN; return -1;
	case SSL_ERROR_ZERO_RETURN: return 0;
	case SSL_ERROR_SYSCALL: break;
	default: errno = EPROTO;
	}
	if (!errno)
		errno = ECONNRESET;
	return -1;
}

ssize_t
wire_read(struct wire *wire, void *to, size_t size)
{
	size_t got;
	int code;

	if (!wire->tls)
		return read(wire->fd, to, size);
	ERR_clear_error();
	code = SSL_read_ex(wire->tls, to, size, &got);
	return code == 1 ? (ssize_t)got : outcome(wire, code);
}

ssize_t
wire_write(struct wire *wire, const void *from, size_t size)
{
	size_t sent;
	int code;

	if (!wire->tls)
		return write(wire->fd, from, size);
	ERR_clear_error();
	code = SSL_write_ex(wire->tls, from, size, &sent);
	return code == 1 ? (ssize_t)sent : outcome(wire, code);
}

void
wire_close(struct wire *wire)
{
	/* Or the newest session would count as broken, and could not be resumed. */
	if (wire->tls)
		SSL_set_shutdown(wire->tls, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(wire->tls);
	wire->tls = NULL;
	if (wire->fd >= 0)
		close(wire->fd);
	wire->fd = -1;
}
