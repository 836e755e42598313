/*
 * tls.h - TLS as a client, by OpenSSL: TLS 1.2 and newer, and a certificate is accepted only if a known CA
 * has signed it for the host that was asked for (RFC 6125).
 */
#ifndef PUSH_LOOP_TLS_H
#define PUSH_LOOP_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/status.h"

struct ssl_ctx_st;
struct ssl_st;

/*
 * push_tls_context_create - for all connections with the same CAs.
 *
 * @ca_file: of PEM certificates; "": the system's.
 * Returns NULL with the reason, a static text or strerror()'s, in *ret_why.
 */
struct ssl_ctx_st *
push_tls_context_create(const char *ca_file, const char **ret_why);

/* push_tls_context_destroy - NULL is allowed. */
void
push_tls_context_destroy(struct ssl_ctx_st *context);

/* push_tls_create - a session with `host`, a name or an address.  NULL when memory is out. */
struct ssl_st *
push_tls_create(struct ssl_ctx_st *context, const char *host);

/* push_tls_set_host - the certificate must be this host's, a name or an address; a name is sent, too (SNI).  Returns
 * false when memory is out. */
bool
push_tls_set_host(struct ssl_st *tls, const char *host);

/* push_tls_destroy - NULL is allowed. */
void
push_tls_destroy(struct ssl_st *tls);

/* push_tls_why - why the last call failed, as `certificate verify failed: hostname mismatch`, in `to`. */
void
push_tls_why(const struct ssl_st *tls, char *to, size_t size);

#endif
