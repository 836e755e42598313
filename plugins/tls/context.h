/*
 * context.h - the SSL_CTX of one vhost (server_context.h); for the files of tls/.
 */
#ifndef PUSH_TLS_CONTEXT_H
#define PUSH_TLS_CONTEXT_H

#include "tls/server_context.h"

/* What ALPN may choose, as it is sent (RFC 7301, 3.1): each behind its size, the preferred one first. */
struct push_tls_protocols {
	unsigned char size, list[PUSH_TLS_ALPN_BYTES_MAX];
};

/* push_tls_protocols_read - of a list as `h2,http/1.1`; NULL: none.  Returns false if it is too long. */
bool
push_tls_protocols_read(const char *text, struct push_tls_protocols *ret);

/*
 * push_tls_context_of_vhost - from its settings and files, without what vhosts of a port share.
 *
 * @protocols: borrowed for as long as the context may shake hands.  Returns NULL with one line in *error, and otherwise the caller's.
 */
SSL_CTX *
push_tls_context_of_vhost(const struct push_tls_vhost *vhost, const struct push_tls_protocols *protocols,
	struct push_error *error);

/* push_tls_curves_use - those of this vhost, instead of another one's. */
bool
push_tls_curves_use(SSL *ssl, const struct push_tls_vhost *vhost);

#endif
