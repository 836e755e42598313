/* tickets.c - see tickets.h. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>

#include "tls/tickets.h"

/* What SSL_CTX_set_tlsext_ticket_key_evp_cb(3) asks to be returned. */
enum { FAILED = -1, NO_TICKET = 0, AS_IT_IS = 1, TO_BE_RENEWED = 2 };

static bool
set_mac(EVP_MAC_CTX *mac, const struct push_tls_ticket_key *key)
{
	OSSL_PARAM parameters[3];

	parameters[0] =
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof(key->mac));
	parameters[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0);
	parameters[2] = OSSL_PARAM_construct_end();
	return EVP_MAC_CTX_set_params(mac, parameters);
}

static int
seal(const struct push_tls_ticket_keys *keys, unsigned char name[16], unsigned char *iv,
	EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	const struct push_tls_ticket_key *key = push_tls_ticket_keys_newest(keys);

	memcpy(name, key->name, sizeof(key->name));
	if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1 ||
		!EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher, iv, NULL) || !set_mac(mac, key))
		return FAILED;
	return AS_IT_IS;
}

static int
open_ticket(const struct push_tls_ticket_keys *keys, const unsigned char name[16], const unsigned char *iv,
	EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, bool is_used_once)
{
	const struct push_tls_ticket_key *key = push_tls_ticket_keys_find(keys, name);

	if (!key)
		return NO_TICKET;
	if (!set_mac(mac, key) || !EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key->cipher, iv, NULL))
		return FAILED;
	return key == push_tls_ticket_keys_newest(keys) && !is_used_once ? AS_IT_IS : TO_BE_RENEWED;
}

/* Clients use a ticket of TLS 1.3 once (RFC 8446, C.4), and need another one then. */
static int
on_ticket(
	SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seals)
{
	const struct push_tls_ticket_keys *keys = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

	return seals ? seal(keys, name, iv, cipher, mac)
		     : open_ticket(keys, name, iv, cipher, mac, SSL_version(ssl) == TLS1_3_VERSION);
}

bool
push_tls_tickets_use(SSL_CTX *context, const struct push_tls_ticket_keys *keys)
{
	SSL_CTX_set_timeout(context, PUSH_TLS_TICKET_S);
	return SSL_CTX_set_app_data(context, (void *)keys) &&
	       SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
}
