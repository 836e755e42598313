/* token_signer.c - see token_signer.h: making a key and signing with it.  token_key_text.c writes it,
 * token_key_read.c reads it. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <string.h>

#include "auth/base64url.h"
#include "token_signer.h"

#define RSA_BITS         3072 /* as strong as P-256 (NIST SP 800-57, table 2) */
#define SECRET_BYTES     32
#define ID_BYTES         12
#define SIGNATURE_BYTES  (PUSH_KEY_RSA_BITS_MAX / 8)
#define ES256_HALF_BYTES 32
#define ES384_HALF_BYTES 48
#define DIGEST_BYTES     32

void
token_append_base64url(struct push_buf *to, const void *bytes, size_t size)
{
	char text[PUSH_BASE64URL_ENCODED_BYTES(SIGNATURE_BYTES)];
	const unsigned char *at = bytes;

	/* in pieces that end at a whole character */
	while (size) {
		size_t piece = size < SIGNATURE_BYTES / 3 * 3 ? size : SIGNATURE_BYTES / 3 * 3;

		push_base64url_encode(at, piece, text);
		push_buf_append(to, text, PUSH_BASE64URL_ENCODED_BYTES(piece));
		at += piece;
		size -= piece;
	}
}

static EVP_PKEY *
generate_rsa(const char *type)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (!context || EVP_PKEY_keygen_init(context) <= 0 ||
		EVP_PKEY_CTX_set_rsa_keygen_bits(context, RSA_BITS) <= 0 ||
		EVP_PKEY_generate(context, &pkey) <= 0)
		pkey = NULL;
	EVP_PKEY_CTX_free(context);
	return pkey;
}

static EVP_PKEY *
generate(enum push_key_algorithm algorithm)
{
	switch (algorithm) {
	case PUSH_KEY_ES256: return EVP_EC_gen("P-256");
	case PUSH_KEY_ES384: return EVP_EC_gen("P-384");
	case PUSH_KEY_EDDSA: return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	case PUSH_KEY_RS256: return generate_rsa("RSA");
	/* so that PEM says what it is for, too */
	case PUSH_KEY_PS256: return generate_rsa("RSA-PSS");
	default: return NULL;
	}
}

_Static_assert(PUSH_BASE64URL_ENCODED_BYTES(ID_BYTES) <= PUSH_KEY_ID_BYTES_MAX, "an id fits");

static bool
set_random_id(struct token_signer *signer)
{
	unsigned char bytes[ID_BYTES];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	push_base64url_encode(bytes, sizeof(bytes), signer->id);
	signer->id[PUSH_BASE64URL_ENCODED_BYTES(sizeof(bytes))] = '\0';
	return true;
}

bool
token_signer_generate(
	struct token_signer *ret_signer, enum push_key_algorithm algorithm, struct push_error *error)
{
	struct token_signer signer = {.algorithm = algorithm};
	bool is_made;

	if (algorithm == PUSH_KEY_HS256) {
		signer.secret_size = SECRET_BYTES;
		is_made = RAND_priv_bytes(signer.secret, SECRET_BYTES) == 1 && set_random_id(&signer);
	} else {
		signer.pkey = generate(algorithm);
		is_made = signer.pkey && token_signer_set_thumbprint(&signer);
	}
	if (is_made) {
		*ret_signer = signer;
		return true;
	}
	token_signer_fini(&signer);
	snprintf(error->text, sizeof(error->text), "OpenSSL cannot make a key");
	return false;
}

void
token_signer_fini(struct token_signer *signer)
{
	EVP_PKEY_free(signer->pkey);
	OPENSSL_cleanse(signer, sizeof(*signer));
}

/* From ASN.1 to two numbers of a fixed length (RFC 7518, 3.4). */
static size_t
flatten(unsigned char *signature, size_t size, size_t half)
{
	const unsigned char *at = signature;
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)size);
	bool is_flat = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, (int)half) == (int)half &&
		       BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + half, (int)half) == (int)half;

	ECDSA_SIG_free(pair);
	return is_flat ? 2 * half : 0;
}

static const EVP_MD *
digest_of(enum push_key_algorithm algorithm)
{
	if (algorithm == PUSH_KEY_EDDSA)
		return NULL;
	return algorithm == PUSH_KEY_ES384 ? EVP_sha384() : EVP_sha256();
}

/* Returns the signature's size; 0: it failed. */
static size_t
sign_by_key(const struct token_signer *signer, struct push_str text, unsigned char *signature)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *parameters;
	size_t size = SIGNATURE_BYTES;
	bool is_signed = context && EVP_DigestSignInit(context, &parameters, digest_of(signer->algorithm),
					    NULL, signer->pkey) == 1;

	if (is_signed && signer->algorithm == PUSH_KEY_PS256)
		is_signed = EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
			    EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, DIGEST_BYTES) == 1;
	is_signed = is_signed && EVP_DigestSign(context, signature, &size, (const unsigned char *)text.bytes,
					 text.size) == 1;
	EVP_MD_CTX_free(context);
	if (!is_signed)
		return 0;
	if (signer->algorithm == PUSH_KEY_ES256)
		return flatten(signature, size, ES256_HALF_BYTES);
	if (signer->algorithm == PUSH_KEY_ES384)
		return flatten(signature, size, ES384_HALF_BYTES);
	return size;
}

bool
token_signer_sign(const struct token_signer *signer, struct push_str text, struct push_buf *to)
{
	unsigned char signature[SIGNATURE_BYTES];
	unsigned int secret_size = 0;
	size_t size;

	if (signer->pkey)
		size = sign_by_key(signer, text, signature);
	else
		size = HMAC(EVP_sha256(), signer->secret, (int)signer->secret_size,
			       (const unsigned char *)text.bytes, text.size, signature, &secret_size)
			       ? secret_size
			       : 0;
	token_append_base64url(to, signature, size);
	return size != 0;
}
