/* tls.c - see tls.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "loop/tls.h"

static const char *
reason_of(unsigned long code)
{
	return ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);
}

struct ssl_ctx_st *
push_tls_context_create(const char *ca_file, const char **ret_why)
{
	static const unsigned char protocols[] = "\x08http/1.1";
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());

	if (context && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) &&
		!SSL_CTX_set_alpn_protos(context, protocols, sizeof(protocols) - 1) &&
		(*ca_file ? SSL_CTX_load_verify_locations(context, ca_file, NULL)
			  : SSL_CTX_set_default_verify_paths(context))) {
		SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
		(void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
		(void)SSL_CTX_set_mode(
			context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
		return context;
	}
	*ret_why = reason_of(ERR_get_error());
	if (!*ret_why)
		*ret_why = "cannot be used";
	ERR_clear_error();
	SSL_CTX_free(context);
	return NULL;
}

void
push_tls_context_destroy(struct ssl_ctx_st *context)
{
	SSL_CTX_free(context);
}

bool
push_tls_set_host(struct ssl_st *tls, const char *host)
{
	unsigned char address[16];

	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host);
	return SSL_set1_host(tls, host) && SSL_set_tlsext_host_name(tls, host);
}

struct ssl_st *
push_tls_create(struct ssl_ctx_st *context, const char *host)
{
	SSL *tls = SSL_new(context);

	if (tls)
		SSL_set_hostflags(tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (tls && push_tls_set_host(tls, host))
		return tls;
	ERR_clear_error();
	SSL_free(tls);
	return NULL;
}

void
push_tls_destroy(struct ssl_st *tls)
{
	SSL_free(tls);
}

void
push_tls_why(const struct ssl_st *tls, char *to, size_t size)
{
	int system_error = errno;
	unsigned long code = ERR_peek_error();
	const char *why = code ? reason_of(code) : NULL;
	long verdict = SSL_get_verify_result(tls);

	if (verdict != X509_V_OK)
		snprintf(to, size, "certificate verify failed: %s", X509_verify_cert_error_string(verdict));
	else
		snprintf(to, size, "TLS: %s",
			why            ? why
			: system_error ? strerror(system_error)
				       : "the connection was closed");
	ERR_clear_error();
}
