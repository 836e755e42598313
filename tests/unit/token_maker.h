/*
 * token_maker.h - keys and the tokens that they sign, for tests of what verifies them.
 *
 * RSA is left out: making a key takes seconds under valgrind, and data/jws_vectors.txt has enough.
 */
#ifndef PUSH_TESTS_TOKEN_MAKER_H
#define PUSH_TESTS_TOKEN_MAKER_H

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/base64url.h"
#include "auth/key.h"

struct maker {
	enum push_key_algorithm algorithm;
	EVP_PKEY *pkey;
	unsigned char secret[32];
};

static inline void
maker_init(struct maker *maker, enum push_key_algorithm algorithm)
{
	*maker = (struct maker){.algorithm = algorithm};
	switch (algorithm) {
	case PUSH_KEY_ES256: maker->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"); break;
	case PUSH_KEY_ES384: maker->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"); break;
	case PUSH_KEY_EDDSA: maker->pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"); break;
	default: memset(maker->secret, 's', sizeof(maker->secret)); return;
	}
	assert_non_null(maker->pkey);
}

static inline void
maker_fini(struct maker *maker)
{
	EVP_PKEY_free(maker->pkey);
}

/* Appends in base64url. */
static inline void
append_base64url(char *to, const void *bytes, size_t size)
{
	size_t before = strlen(to), length = PUSH_BASE64URL_ENCODED_BYTES(size);

	push_base64url_encode(bytes, size, to + before);
	to[before + length] = '\0';
}

/* The two numbers of a signature in DER. */
static inline void
append_ecdsa(char *to, const unsigned char *der, size_t size, int bytes)
{
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)size);
	unsigned char raw[2 * 48];

	assert_non_null(pair);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, bytes), bytes);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + bytes, bytes), bytes);
	ECDSA_SIG_free(pair);
	append_base64url(to, raw, (size_t)(2 * bytes));
}

static inline void
append_signature(const struct maker *maker, char *token)
{
	unsigned char signature[256];
	size_t size = sizeof(signature), text_size = strlen(token);
	const char *digest = maker->algorithm == PUSH_KEY_ES256   ? "SHA256"
			     : maker->algorithm == PUSH_KEY_ES384 ? "SHA384"
								  : NULL;
	EVP_MD_CTX *context;

	if (maker->algorithm == PUSH_KEY_HS256) {
		unsigned int length = 0;

		HMAC(EVP_sha256(), maker->secret, sizeof(maker->secret), (unsigned char *)token, text_size,
			signature, &length);
		strcat(token, ".");
		append_base64url(token, signature, length);
		return;
	}
	context = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit_ex(context, NULL, digest, NULL, NULL, maker->pkey, NULL), 1);
	assert_int_equal(EVP_DigestSign(context, signature, &size, (unsigned char *)token, text_size), 1);
	EVP_MD_CTX_free(context);
	strcat(token, ".");
	if (digest)
		append_ecdsa(token, signature, size, maker->algorithm == PUSH_KEY_ES256 ? 32 : 48);
	else
		append_base64url(token, signature, size);
}

/* The caller frees it. */
static inline char *
make_token(const struct maker *maker, const char *header, const char *payload)
{
	char *token = calloc(1, 2 * (strlen(header) + strlen(payload)) + 512);

	append_base64url(token, header, strlen(header));
	strcat(token, ".");
	append_base64url(token, payload, strlen(payload));
	append_signature(maker, token);
	return token;
}

/* A JWK with the public key, or the secret.  @more: members, each with a comma before it.  The caller frees it. */
static inline char *
make_jwk(const struct maker *maker, const char *more)
{
	char *jwk = calloc(1, strlen(more) + 1024);
	unsigned char bytes[128];
	size_t size = sizeof(bytes);

	switch (maker->algorithm) {
	case PUSH_KEY_HS256:
		strcpy(jwk, "{\"kty\":\"oct\",\"k\":\"");
		append_base64url(jwk, maker->secret, sizeof(maker->secret));
		break;
	case PUSH_KEY_EDDSA:
		assert_int_equal(EVP_PKEY_get_raw_public_key(maker->pkey, bytes, &size), 1);
		strcpy(jwk, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"");
		append_base64url(jwk, bytes, size);
		break;
	default:
		assert_int_equal(EVP_PKEY_get_octet_string_param(
					 maker->pkey, OSSL_PKEY_PARAM_PUB_KEY, bytes, sizeof(bytes), &size),
			1);
		sprintf(jwk, "{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"",
			maker->algorithm == PUSH_KEY_ES256 ? "P-256" : "P-384");
		append_base64url(jwk, bytes + 1, size / 2);
		strcat(jwk, "\",\"y\":\"");
		append_base64url(jwk, bytes + 1 + size / 2, size / 2);
	}
	strcat(jwk, "\"");
	strcat(jwk, more);
	strcat(jwk, "}");
	return jwk;
}

#endif
