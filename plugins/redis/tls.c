/* tls.c - see tls.h. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "loop/tls.h"
#include "redis/tls.h"

static SSL_CTX *
fail(SSL_CTX *context, struct push_error *error, const char *option, const char *value)
{
	unsigned long code = ERR_get_error();
	const char *why =
		ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);

	ERR_clear_error();
	snprintf(error->text, sizeof(error->text), "%s=%s: %s", option, value, why ? why : "cannot be used");
	SSL_CTX_free(context);
	return NULL;
}

SSL_CTX *
push_redis_tls_context_create(const struct push_options *options, struct push_error *error)
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION))
		return fail(context, error, "push.redis.url", "rediss");
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (options->redis_tls_ca[0]) {
		if (!SSL_CTX_load_verify_locations(context, options->redis_tls_ca, NULL))
			return fail(context, error, "push.redis.tls.ca", options->redis_tls_ca);
	} else if (!SSL_CTX_set_default_verify_paths(context)) {
		return fail(context, error, "push.redis.tls.ca", "");
	}
	if (options->redis_tls_cert[0] &&
		SSL_CTX_use_certificate_chain_file(context, options->redis_tls_cert) != 1)
		return fail(context, error, "push.redis.tls.cert", options->redis_tls_cert);
	if (options->redis_tls_key[0] &&
		SSL_CTX_use_PrivateKey_file(context, options->redis_tls_key, SSL_FILETYPE_PEM) != 1)
		return fail(context, error, "push.redis.tls.key", options->redis_tls_key);
	return context;
}

void
push_redis_tls_context_destroy(SSL_CTX *context)
{
	SSL_CTX_free(context);
}

SSL *
push_redis_tls_create(SSL_CTX *context, const char *host)
{
	SSL *tls = SSL_new(context);

	if (tls && push_tls_set_host(tls, host))
		return tls;
	SSL_free(tls);
	return NULL;
}

void
push_redis_tls_destroy(SSL *tls)
{
	SSL_free(tls);
}

bool
push_redis_tls_is_done(const SSL *tls)
{
	return SSL_is_init_finished(tls);
}

const char *
push_redis_tls_verdict(const SSL *tls)
{
	long result = SSL_get_verify_result(tls);

	return result == X509_V_OK ? NULL : X509_verify_cert_error_string(result);
}
