/*
 * tls.h - TLS to Redis: OpenSSL's context for all links, and a session for each.
 *
 * hiredis_ssl brings the handshake and the reading; what it lacks is done here: a certificate is accepted
 * only if it is for the host that was asked for (RFC 6125).
 */
#ifndef PUSH_REDIS_TLS_H
#define PUSH_REDIS_TLS_H

#include <stdbool.h>

#include "core/options.h"

struct ssl_ctx_st;
struct ssl_st;

/*
 * push_redis_tls_context_create - by push.redis.tls.ca, .cert and .key.
 *
 * Returns NULL with a line in `error` that names the option and the file.
 */
struct ssl_ctx_st *
push_redis_tls_context_create(const struct push_options *options, struct push_error *error);

/* push_redis_tls_context_destroy - NULL is allowed. */
void
push_redis_tls_context_destroy(struct ssl_ctx_st *context);

/* push_redis_tls_create - a session with `host`, a name or an address.  NULL when memory is out. */
struct ssl_st *
push_redis_tls_create(struct ssl_ctx_st *context, const char *host);

void
push_redis_tls_destroy(struct ssl_st *tls);

/* push_redis_tls_is_done - whether the handshake is over. */
bool
push_redis_tls_is_done(const struct ssl_st *tls);

/* push_redis_tls_verdict - what is wrong with the certificate; static.  NULL: nothing, or none has come. */
const char *
push_redis_tls_verdict(const struct ssl_st *tls);

#endif
