/*
 * session.h - one client's TLS connection, without blocking: records are OpenSSL's, the socket is read and written
 * here.
 *
 * Between OpenSSL and the socket is a BIO of our own (BIO_meth_new(3)).  With OpenSSL's, a record that the socket takes
 * in part must be written again, by the same bytes, before anything else can be: but what is next for a slow client
 * may have changed by then.  So a sealed record is always taken, what the socket does not take of it waits here, and
 * nothing more is sealed until that is gone: at most PUSH_TLS_SEALED_BYTES_MAX.
 *
 * With kTLS (Linux, networking/tls.rst) the kernel seals, and what is written goes to the socket as it is.  OpenSSL can
 * switch it on only through its own BIO, which is there during the handshake then.
 *
 * Idle, a session is OpenSSL's 14 kB and 100 bytes: its read and write buffers are freed (SSL_MODE_RELEASE_BUFFERS).
 */
#ifndef PUSH_TLS_SESSION_H
#define PUSH_TLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/str.h"
#include "tls/client_name.h"

struct ssl_ctx_st;
struct push_tls_session;

enum push_tls_progress {
	PUSH_TLS_DONE,
	PUSH_TLS_AGAIN, /* when the socket can be read, or written where push_tls_session_is_blocked() */
	PUSH_TLS_FAILED
};

/*
 * push_tls_session_create - the server's side of a connection.
 *
 * @context: a reference is kept.  @fd: a socket, borrowed, non-blocking or not.
 * Returns NULL when memory is out.
 */
struct push_tls_session *
push_tls_session_create(struct ssl_ctx_st *context, int fd);

/* push_tls_session_destroy - the socket is not closed.  NULL is allowed. */
void
push_tls_session_destroy(struct push_tls_session *session);

/* push_tls_session_handshake - go on with the handshake, and do nothing else before it is done. */
enum push_tls_progress
push_tls_session_handshake(struct push_tls_session *session);

/*
 * push_tls_session_read - as recv(2): at most `size` bytes, 0 at the end, -1 with errno; EAGAIN: none are there.
 *
 * The socket is read once at most, so that a client that sends without a pause has a turn like all others.
 */
ssize_t
push_tls_session_read(struct push_tls_session *session, char *to, size_t size);

/* push_tls_session_read_rest - likewise of what has been taken from the socket already: epoll(7) does not show it. */
ssize_t
push_tls_session_read_rest(struct push_tls_session *session, char *to, size_t size);

/*
 * push_tls_session_write - as send(2): the bytes taken, -1 with errno; EAGAIN while sealed bytes wait.
 *
 * What was taken may wait: push_tls_session_is_blocked().
 */
ssize_t
push_tls_session_write(struct push_tls_session *session, const char *bytes, size_t size);

/* push_tls_session_is_blocked - whether sealed bytes wait for the socket. */
bool
push_tls_session_is_blocked(const struct push_tls_session *session);

/* push_tls_session_flush - the socket can be written to.  Returns false if it is beyond use. */
bool
push_tls_session_flush(struct push_tls_session *session);

/* push_tls_session_end - say that no more follows (close_notify: RFC 8446, 6.1), unless sealed bytes wait. */
void
push_tls_session_end(struct push_tls_session *session);

/* push_tls_session_speaks_h2 - whether HTTP/2 was agreed upon (RFC 7301). */
bool
push_tls_session_speaks_h2(const struct push_tls_session *session);

/*
 * push_tls_session_client - who the client is, by its certificate (client_name.h).
 *
 * Returns false without a certificate that the vhost's CA has verified and that has such a name.  That of a resumed
 * session was verified when the session began: it may have ended since.
 */
bool
push_tls_session_client(
	const struct push_tls_session *session, enum push_certificate_name name, struct push_tls_client *ret);

/* push_tls_session_was_resumed - by a ticket. */
bool
push_tls_session_was_resumed(const struct push_tls_session *session);

/* push_tls_session_kernel_seals - whether kTLS is on for what is written. */
bool
push_tls_session_kernel_seals(const struct push_tls_session *session);

#endif
