/* key_updates.c - see key_updates.h. */
#include <openssl/ssl.h>
#include <stdint.h>

#include "tls/key_updates.h"
#include "tls/limits.h"

/* For each message and record; the first byte of a handshake's message is its type. */
static void
on_message(int is_sent, int version, int type, const void *bytes, size_t size, SSL *ssl, void *context)
{
	uintptr_t count;

	(void)version;
	(void)context;
	if (is_sent || type != SSL3_RT_HANDSHAKE || !size ||
		*(const unsigned char *)bytes != SSL3_MT_KEY_UPDATE)
		return;
	/* the number itself, so that nothing is kept for those who never do it */
	count = (uintptr_t)SSL_get_app_data(ssl) + 1;
	if (count > PUSH_TLS_KEY_UPDATES_MAX || !SSL_set_app_data(ssl, (void *)count))
		SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* as if it were over */
}

void
push_tls_key_updates_limit(SSL_CTX *context)
{
	SSL_CTX_set_msg_callback(context, on_message);
}
