/*
 * server_context.h - the certificates of one port, and what a handshake with them allows.
 *
 * Several virtual hosts may share a port.  A client names one in its ClientHello (SNI), and the port answers with
 * that vhost's certificate:
 *
 *   push_tls_server          a port: what all of its vhosts share, above all the keys of session tickets (tickets.h)
 *    ├ vhost "push"          SSL_CTX (context.h): certificate, key, CA, ciphers, ALPN.  The first is the default.
 *    └ vhost "example.org"   SSL_CTX
 *
 * The settings are those that lws has for a vhost, with its defaults, and stricter where nothing can depend on it:
 * TLS 1.2 and newer, forward secrecy and authenticated encryption unless a vhost has its own `ciphers`, no
 * renegotiation, no compression, no early data, no session kept in memory.
 *
 * Files are looked at every PUSH_TLS_LOOK_US.  If they have changed, an SSL_CTX is made of them and takes the place of
 * the one before, which lives on by its sessions' references.  What is not whole, as a certificate whose key is still to
 * be written, changes nothing and is logged; the next change is tried again.  lws reads its files before it gives up
 * root and this does it then, too, but later as whoever it is: what it may not read any more, it says, and a SIGHUP to
 * pushd starts workers that may.
 *
 * lws staples no OCSP response, and neither does this.
 *
 * OpenSSL does the work.  Its error queue is left empty, because sessions of the same thread read it.
 */
#ifndef PUSH_TLS_SERVER_CONTEXT_H
#define PUSH_TLS_SERVER_CONTEXT_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/log_level.h"
#include "core/options.h"
#include "core/status.h"
#include "tls/limits.h"

/* Of one vhost, by lws' keys.  Texts are borrowed for as long as the server lives; NULL or "": the default. */
struct push_tls_vhost {
	const char *name;
	const char *cert, *key;    /* host-ssl-cert, a chain, and host-ssl-key: PEM files */
	const char *ca;            /* host-ssl-ca: whose client certificates are accepted */
	const char *ciphers;       /* of TLS 1.2 */
	const char *tls13_ciphers; /* tls13-ciphers */
	const char *curve;         /* ecdh-curve */
	const char *alpn;          /* with commas, the preferred one first; no default */
	uint64_t options_set;      /* ssl-option-set: bits of SSL_OP_..., set first */
	uint64_t options_clear;    /* ssl-option-clear: then cleared */
	bool requires_client_cert; /* client-cert-required */
	bool asks_client_cert; /* without that, and if there is a CA: a client need not have one (push.auth.certificate) */
	bool allows_ktls; /* push.tls.ktls */
};

struct push_tls_server;
struct push_tls_ticket_keys;

/* Who is told what happens to certificates. */
struct push_tls_host {
	void (*log)(void *context, enum push_log_level level, const char *line);
	void *context;
};

/* Of a vhost's certificate. */
struct push_tls_certificate {
	const char *vhost; /* borrowed */
	int64_t expiry_s;  /* since 1970 */
	bool is_stale;     /* its files have changed, and cannot be used */
};

/*
 * push_tls_server_create - read all certificates, those of the first vhost are the default.
 *
 * @vhosts: borrowed for the call; their texts longer, see above.
 * @keys: of session tickets, borrowed for as long as the server lives; NULL: OpenSSL makes its own.
 * Returns NULL with one line in *error that names the vhost, the key and its value.
 */
struct push_tls_server *
push_tls_server_create(const struct push_tls_vhost *vhosts, size_t count,
	const struct push_tls_ticket_keys *keys, struct push_error *error);

/* push_tls_server_destroy - no handshake may go on.  Sessions that are done live on.  NULL is allowed. */
void
push_tls_server_destroy(struct push_tls_server *server);

/* push_tls_server_context - for the next connection; borrowed, and SSL_new() makes it its own. */
SSL_CTX *
push_tls_server_context(const struct push_tls_server *server);

/*
 * push_tls_server_tick - look at the files, if it is time.  To be called often.
 *
 * @now_us: of the monotonic clock.  @wall_s: of the other one, since 1970.  Returns whether it was time.
 */
bool
push_tls_server_tick(
	struct push_tls_server *server, uint64_t now_us, int64_t wall_s, const struct push_tls_host *host);

/* push_tls_server_certificate - the one of a vhost, in order.  Returns false if there are no more. */
bool
push_tls_server_certificate(
	const struct push_tls_server *server, size_t index, struct push_tls_certificate *ret);

#endif
