/* session.c - see session.h. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tls/limits.h"
#include "tls/session.h"

struct push_tls_session {
	SSL *ssl;
	int fd;
	bool is_over;     /* the socket has nothing more to be read */
	bool may_receive; /* from the socket, in this call */
	bool is_broken;   /* the socket is beyond use */
	bool is_done;     /* the handshake */
	bool kernel_seals;
	uint32_t sealed_size, sealed_sent;
	char *sealed; /* owned: what waits for the socket; NULL: nothing */
};

/* --- the BIO --- */

static bool
is_passing(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS || error == EINTR;
}

static int
bio_read(BIO *bio, char *to, int size)
{
	struct push_tls_session *session = BIO_get_data(bio);
	size_t wanted = (size_t)size < PUSH_TLS_RECV_BYTES ? (size_t)size : PUSH_TLS_RECV_BYTES;
	ssize_t got;

	BIO_clear_retry_flags(bio);
	if (!session->may_receive) {
		BIO_set_retry_read(bio);
		return -1;
	}
	session->may_receive = !session->is_done;
	got = recv(session->fd, to, wanted, MSG_DONTWAIT);
	if (got < 0 && is_passing(errno))
		BIO_set_retry_read(bio);
	session->is_over |= !got;
	return (int)got;
}

/* What the socket has not taken. */
static bool
keep(struct push_tls_session *session, const char *bytes, size_t size)
{
	char *sealed;

	if (session->sealed_size + size > PUSH_TLS_SEALED_BYTES_MAX)
		return false;
	sealed = realloc(session->sealed, session->sealed_size + size);
	if (!sealed)
		return false;
	memcpy(sealed + session->sealed_size, bytes, size);
	session->sealed = sealed;
	session->sealed_size += (uint32_t)size;
	return true;
}

static ssize_t
put(const struct push_tls_session *session, const char *bytes, size_t size)
{
	ssize_t sent = send(session->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

	return sent < 0 && is_passing(errno) ? 0 : sent;
}

static int
bio_write(BIO *bio, const char *bytes, int size)
{
	struct push_tls_session *session = BIO_get_data(bio);
	ssize_t sent = session->sealed ? 0 : put(session, bytes, (size_t)size);

	BIO_clear_retry_flags(bio);
	if (sent < 0 || (sent < size && !keep(session, bytes + sent, (size_t)(size - sent)))) {
		session->is_broken = true;
		return -1;
	}
	return size;
}

static long
bio_control(BIO *bio, int command, long number, void *pointer)
{
	const struct push_tls_session *session = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	return command == BIO_CTRL_EOF ? session->is_over : command == BIO_CTRL_FLUSH;
}

/* One for the process, and read only once it is made: OpenSSL has no static ones, and room for 127
 * (BIO_get_new_index(3)). */
static BIO_METHOD *
bio_method(void)
{
	static BIO_METHOD *method;

	if (method)
		return method;
	method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "push socket");
	if (method) {
		BIO_meth_set_read(method, bio_read);
		BIO_meth_set_write(method, bio_write);
		BIO_meth_set_ctrl(method, bio_control);
	}
	return method;
}

static bool
use_own_bio(struct push_tls_session *session)
{
	BIO_METHOD *method = bio_method();
	BIO *bio = method ? BIO_new(method) : NULL;

	if (!bio)
		return false;
	BIO_set_data(bio, session);
	BIO_set_init(bio, 1);
	SSL_set_bio(session->ssl, bio, bio);
	return true;
}

/* --- a session --- */

static bool
may_use_ktls(const struct push_tls_session *session)
{
	return SSL_get_options(session->ssl) & SSL_OP_ENABLE_KTLS;
}

struct push_tls_session *
push_tls_session_create(struct ssl_ctx_st *context, int fd)
{
	struct push_tls_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->fd = fd;
	session->ssl = SSL_new(context);
	if (session->ssl && (may_use_ktls(session) ? SSL_set_fd(session->ssl, fd) : use_own_bio(session))) {
		SSL_set_accept_state(session->ssl);
		return session;
	}
	ERR_clear_error();
	push_tls_session_destroy(session);
	return NULL;
}

void
push_tls_session_destroy(struct push_tls_session *session)
{
	if (!session)
		return;
	SSL_free(session->ssl);
	free(session->sealed);
	free(session);
}

/* The kernel cannot, or does not know the cipher: as if it had not been asked. */
static bool
settle_ktls(struct push_tls_session *session)
{
	session->kernel_seals = BIO_get_ktls_send(SSL_get_wbio(session->ssl));
	return session->kernel_seals || use_own_bio(session);
}

enum push_tls_progress
push_tls_session_handshake(struct push_tls_session *session)
{
	int result;

	if (session->is_broken)
		return PUSH_TLS_FAILED;
	ERR_clear_error();
	session->may_receive = true;
	result = SSL_do_handshake(session->ssl);
	if (result == 1 && may_use_ktls(session) && !settle_ktls(session))
		result = 0;
	if (result == 1) {
		session->is_done = true;
		return session->is_broken ? PUSH_TLS_FAILED : PUSH_TLS_DONE;
	}
	switch (SSL_get_error(session->ssl, result)) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE: return session->is_broken ? PUSH_TLS_FAILED : PUSH_TLS_AGAIN;
	default: ERR_clear_error(); return PUSH_TLS_FAILED;
	}
}

static ssize_t
read_some(struct push_tls_session *session, char *to, size_t size)
{
	size_t got;

	ERR_clear_error();
	if (SSL_read_ex(session->ssl, to, size, &got))
		return (ssize_t)got;
	switch (SSL_get_error(session->ssl, 0)) {
	case SSL_ERROR_ZERO_RETURN: return 0;
	case SSL_ERROR_WANT_READ: errno = EAGAIN; return -1;
	default: break;
	}
	ERR_clear_error();
	session->is_broken = true; /* SSL_shutdown(3) must not be called any more */
	errno = EPROTO;
	return -1;
}

ssize_t
push_tls_session_read(struct push_tls_session *session, char *to, size_t size)
{
	session->may_receive = true;
	return read_some(session, to, size);
}

ssize_t
push_tls_session_read_rest(struct push_tls_session *session, char *to, size_t size)
{
	/* the kernel has taken nothing from its socket that it has not given */
	if (session->kernel_seals ? !SSL_pending(session->ssl) : !SSL_has_pending(session->ssl)) {
		errno = EAGAIN;
		return -1;
	}
	session->may_receive = false;
	return read_some(session, to, size);
}

ssize_t
push_tls_session_write(struct push_tls_session *session, const char *bytes, size_t size)
{
	size_t taken = 0;

	if (session->is_broken) {
		errno = EPIPE;
		return -1;
	}
	if (session->kernel_seals)
		return send(session->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (session->sealed) {
		errno = EAGAIN;
		return -1;
	}
	ERR_clear_error();
	while (taken < size && !session->sealed) {
		size_t piece = size - taken < PUSH_TLS_RECORD_BYTES ? size - taken : PUSH_TLS_RECORD_BYTES,
		       sealed;

		if (!SSL_write_ex(session->ssl, bytes + taken, piece, &sealed)) {
			ERR_clear_error();
			session->is_broken = true;
			errno = EPIPE;
			return -1;
		}
		taken += sealed;
	}
	return (ssize_t)taken;
}

bool
push_tls_session_is_blocked(const struct push_tls_session *session)
{
	return session->sealed || (!session->is_done && SSL_want_write(session->ssl));
}

bool
push_tls_session_flush(struct push_tls_session *session)
{
	ssize_t sent;

	if (!session->sealed || session->is_broken)
		return !session->is_broken;
	sent = put(
		session, session->sealed + session->sealed_sent, session->sealed_size - session->sealed_sent);
	if (sent < 0) {
		session->is_broken = true;
		return false;
	}
	session->sealed_sent += (uint32_t)sent;
	if (session->sealed_sent == session->sealed_size) {
		free(session->sealed);
		session->sealed = NULL;
		session->sealed_size = session->sealed_sent = 0;
	}
	return true;
}

void
push_tls_session_end(struct push_tls_session *session)
{
	if (session->is_broken || session->sealed || !session->is_done)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(session->ssl);
	ERR_clear_error();
}

bool
push_tls_session_speaks_h2(const struct push_tls_session *session)
{
	const unsigned char *name;
	unsigned int size;

	SSL_get0_alpn_selected(session->ssl, &name, &size);
	return size == 2 && !memcmp(name, "h2", 2);
}

bool
push_tls_session_client(
	const struct push_tls_session *session, enum push_certificate_name name, struct push_tls_client *ret)
{
	const X509 *certificate = SSL_get0_peer_certificate(session->ssl);

	return certificate && SSL_get_verify_result(session->ssl) == X509_V_OK &&
	       push_tls_client_read(certificate, name, ret);
}

bool
push_tls_session_kernel_seals(const struct push_tls_session *session)
{
	return session->kernel_seals;
}

bool
push_tls_session_was_resumed(const struct push_tls_session *session)
{
	return SSL_session_reused(session->ssl);
}
