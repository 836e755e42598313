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

/*
 * push_tls_server_create - read all certificates, those of the first vhost are the default.
 *
 * @vhosts: borrowed for the call; their texts longer, see above.
 * Returns NULL with one line in *error that names the vhost, the key and its value.
 */
struct push_tls_server *
push_tls_server_create(const struct push_tls_vhost *vhosts, size_t count, struct push_error *error);

/* push_tls_server_destroy - no handshake may go on.  Sessions that are done live on.  NULL is allowed. */
void
push_tls_server_destroy(struct push_tls_server *server);

/* push_tls_server_context - for the next connection; borrowed, and SSL_new() makes it its own. */
SSL_CTX *
push_tls_server_context(const struct push_tls_server *server);

#endif
