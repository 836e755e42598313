/*
 * certificate.h - the files of a vhost: its certificate with its key, and the CA of its clients.
 */
#ifndef PUSH_TLS_CERTIFICATE_H
#define PUSH_TLS_CERTIFICATE_H

#include "tls/server_context.h"

/* push_tls_fail - write "vhost NAME: KEY=VALUE: why"; why NULL: what OpenSSL says.  Clears its queue.  Returns
 * PUSH_INVALID. */
enum push_status
push_tls_fail(const struct push_tls_vhost *vhost, const char *key, const char *value, const char *why,
	struct push_error *error);

/* push_tls_certificate_use - read a chain and its key, and use them if they belong together.  Errors: PUSH_INVALID. */
enum push_status PUSH_MUST_USE
push_tls_certificate_use(SSL_CTX *context, const struct push_tls_vhost *vhost, struct push_error *error);

/* push_tls_ca_use - read the CA, if there is one, and ask for client certificates where they are required.  Errors:
 * PUSH_INVALID. */
enum push_status PUSH_MUST_USE
push_tls_ca_use(SSL_CTX *context, const struct push_tls_vhost *vhost, struct push_error *error);

#endif
