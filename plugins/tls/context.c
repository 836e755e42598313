/* context.c - see context.h. */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tls/certificate.h"
#include "tls/context.h"
#include "tls/key_updates.h"

/* lws' list has CBC and DHE, too: HTTP/2 forbids the one (RFC 9113, 9.2.2), and the other costs a server ten times an
 * ECDHE.  These are all that any client of the last ten years needs. */
#define DEFAULT_CIPHERS                                                                                      \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                         \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                                         \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"

/* AES-128 first: a third cheaper to seal a broadcast with. */
#define DEFAULT_TLS13_CIPHERS "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

/* lws offers P-256 alone, for which most browsers would need a second round trip.  Without P-521 and X448, of which a
 * client could demand a millisecond each. */
#define DEFAULT_CURVES "X25519:P-256:P-384"

/* One: a client that comes back has one connection to resume, and each ticket is 250 bytes and a seal.  OpenSSL's
 * default is two. */
#define TICKETS_OF_A_HANDSHAKE 1

static const char *
or_default(const char *text, const char *by_default)
{
	return text && *text ? text : by_default;
}

/* As lws does it: its own, then what is to be set, then what is to be cleared.  The rest is not up for choice. */
static void
set_options(SSL_CTX *context, const struct push_tls_vhost *vhost)
{
	(void)SSL_CTX_set_options(context, SSL_OP_SINGLE_DH_USE | SSL_OP_SINGLE_ECDH_USE |
						   SSL_OP_CIPHER_SERVER_PREFERENCE | vhost->options_set);
	(void)SSL_CTX_clear_options(context, vhost->options_clear | SSL_OP_ENABLE_KTLS);
	/* a peer that closes its socket without a word is the normal case, and HTTP has ends of its own */
	(void)SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
						   SSL_OP_IGNORE_UNEXPECTED_EOF |
						   (vhost->allows_ktls ? SSL_OP_ENABLE_KTLS : 0));
	(void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
						SSL_MODE_ENABLE_PARTIAL_WRITE);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(context, 1);
	push_tls_key_updates_limit(context);
}

bool
push_tls_curves_use(SSL *ssl, const struct push_tls_vhost *vhost)
{
	return SSL_set1_groups_list(ssl, or_default(vhost->curve, DEFAULT_CURVES));
}

static enum push_status
set_algorithms(SSL_CTX *context, const struct push_tls_vhost *vhost, struct push_error *error)
{
	const char *ciphers = or_default(vhost->ciphers, DEFAULT_CIPHERS);
	const char *tls13 = or_default(vhost->tls13_ciphers, DEFAULT_TLS13_CIPHERS);
	const char *curve = or_default(vhost->curve, DEFAULT_CURVES);

	if (!SSL_CTX_set_cipher_list(context, ciphers))
		return push_tls_fail(vhost, "ciphers", ciphers, NULL, error);
	if (!SSL_CTX_set_ciphersuites(context, tls13))
		return push_tls_fail(vhost, "tls13-ciphers", tls13, NULL, error);
	if (!SSL_CTX_set1_groups_list(context, curve))
		return push_tls_fail(vhost, "ecdh-curve", curve, "unknown", error);
	return PUSH_OK;
}

/* Without a protocol in common the handshake goes on without one, as lws does it. */
static int
choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_size, const unsigned char *offered,
	unsigned int offered_size, void *context)
{
	const struct push_tls_protocols *protocols = context;
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, ret_size, protocols->list, protocols->size, offered,
		    offered_size) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

bool
push_tls_protocols_read(const char *text, struct push_tls_protocols *ret)
{
	struct push_tls_protocols protocols = {.size = 0};
	unsigned char *item = NULL;

	for (; text && *text; text++) {
		if (*text == ' ')
			continue;
		if (*text == ',') {
			item = NULL;
			continue;
		}
		if (protocols.size + 2u > sizeof(protocols.list))
			return false;
		if (!item)
			item = &protocols.list[protocols.size++];
		protocols.list[protocols.size++] = (unsigned char)*text;
		++*item;
	}
	*ret = protocols;
	return true;
}

SSL_CTX *
push_tls_context_of_vhost(const struct push_tls_vhost *vhost, const struct push_tls_protocols *protocols,
	struct push_error *error)
{
	SSL_CTX *context = SSL_CTX_new(TLS_server_method());

	if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) ||
		!SSL_CTX_set_num_tickets(context, TICKETS_OF_A_HANDSHAKE)) {
		SSL_CTX_free(context);
		(void)push_tls_fail(vhost, "host-ssl-cert", vhost->cert, NULL, error);
		return NULL;
	}
	set_options(context, vhost);
	if (protocols->size)
		SSL_CTX_set_alpn_select_cb(context, choose_protocol, (void *)protocols);
	if (set_algorithms(context, vhost, error) == PUSH_OK &&
		push_tls_certificate_use(context, vhost, error) == PUSH_OK &&
		push_tls_ca_use(context, vhost, error) == PUSH_OK) {
		ERR_clear_error();
		return context;
	}
	SSL_CTX_free(context);
	return NULL;
}
