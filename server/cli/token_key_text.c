/* token_key_text.c - private keys as JSON and PEM; see token_signer.h.  token_key_read.c reads them. */
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "auth/base64url.h"
#include "core/json.h"
#include "token_signer.h"

#define NUMBER_BYTES_MAX (PUSH_KEY_RSA_BITS_MAX / 8)
#define THUMBPRINT_BYTES 32

/* A member of a JWK whose value is a number, or bytes. */
struct member {
	const char *name, *parameter;
	bool is_private;
};

enum { RSA_E, RSA_N };

static const struct member rsa_members[] = {
	{"e", OSSL_PKEY_PARAM_RSA_E, false},
	{"n", OSSL_PKEY_PARAM_RSA_N, false},
	{"d", OSSL_PKEY_PARAM_RSA_D, true},
	{"p", OSSL_PKEY_PARAM_RSA_FACTOR1, true},
	{"q", OSSL_PKEY_PARAM_RSA_FACTOR2, true},
	{"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1, true},
	{"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2, true},
	{"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, true},
};

static const struct member ec_members[] = {
	{"x", OSSL_PKEY_PARAM_EC_PUB_X, false},
	{"y", OSSL_PKEY_PARAM_EC_PUB_Y, false},
	{"d", OSSL_PKEY_PARAM_PRIV_KEY, true},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Of each number. */
static size_t
ec_bytes(enum push_key_algorithm algorithm)
{
	return algorithm == PUSH_KEY_ES256 ? 32 : 48;
}

static void
append_member(struct push_buf *to, const char *name, const unsigned char *bytes, size_t size)
{
	bool is_first = to->size && to->bytes[to->size - 1] == '{';

	push_buf_printf(to, "%s\"%s\":\"", is_first ? "" : ",", name);
	token_append_base64url(to, bytes, size);
	push_buf_append(to, "\"", 1);
}

/* size: of a number with a fixed length; 0: as long as it is. */
static bool
append_number(const EVP_PKEY *pkey, const struct member *member, size_t size, struct push_buf *to)
{
	unsigned char bytes[NUMBER_BYTES_MAX];
	BIGNUM *number = NULL;
	bool is_read = EVP_PKEY_get_bn_param(pkey, member->parameter, &number) == 1;

	if (is_read && !size)
		size = (size_t)BN_num_bytes(number);
	is_read = is_read && size <= sizeof(bytes) && BN_bn2binpad(number, bytes, (int)size) == (int)size;
	if (is_read)
		append_member(to, member->name, bytes, size);
	BN_clear_free(number);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return is_read;
}

static bool
append_numbers(const EVP_PKEY *pkey, const struct member *members, size_t count, size_t size, bool is_private,
	struct push_buf *to)
{
	for (size_t i = 0; i < count; i++)
		if ((is_private || !members[i].is_private) && !append_number(pkey, &members[i], size, to))
			return false;
	return true;
}

static bool
append_ed25519(const EVP_PKEY *pkey, bool is_private, struct push_buf *to)
{
	unsigned char bytes[32];
	size_t size = sizeof(bytes);
	bool is_read = EVP_PKEY_get_raw_public_key(pkey, bytes, &size) == 1;

	if (is_read)
		append_member(to, "x", bytes, size);
	if (is_read && is_private) {
		is_read = EVP_PKEY_get_raw_private_key(pkey, bytes, &size) == 1;
		if (is_read)
			append_member(to, "d", bytes, size);
	}
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return is_read;
}

static bool
append_values(const struct token_signer *signer, bool is_private, struct push_buf *to)
{
	switch (signer->algorithm) {
	case PUSH_KEY_HS256:
		push_buf_append_text(to, "\"kty\":\"oct\"");
		append_member(to, "k", signer->secret, signer->secret_size);
		return true;
	case PUSH_KEY_EDDSA:
		push_buf_append_text(to, "\"kty\":\"OKP\",\"crv\":\"Ed25519\"");
		return append_ed25519(signer->pkey, is_private, to);
	case PUSH_KEY_ES256:
	case PUSH_KEY_ES384:
		push_buf_printf(to, "\"kty\":\"EC\",\"crv\":\"%s\"",
			signer->algorithm == PUSH_KEY_ES256 ? "P-256" : "P-384");
		return append_numbers(signer->pkey, ec_members, COUNT(ec_members),
			ec_bytes(signer->algorithm), is_private, to);
	default:
		push_buf_append_text(to, "\"kty\":\"RSA\"");
		return append_numbers(signer->pkey, rsa_members, COUNT(rsa_members), 0, is_private, to);
	}
}

bool
token_signer_append_jwk(const struct token_signer *signer, bool is_private, struct push_buf *to)
{
	push_buf_append(to, "{", 1);
	if (!append_values(signer, is_private, to))
		return false;
	push_buf_printf(to, ",\"alg\":\"%s\"", push_key_algorithm_name(signer->algorithm));
	if (signer->pkey && !is_private)
		push_buf_append_text(to, ",\"use\":\"sig\"");
	if (signer->id[0]) {
		push_buf_append_text(to, ",\"kid\":");
		push_json_append_string(to, signer->id, strlen(signer->id));
	}
	push_buf_append(to, "}", 1);
	return to->status == PUSH_OK;
}

bool
token_signer_append_pem(const struct token_signer *signer, struct push_buf *to)
{
	BIO *bio = signer->pkey ? BIO_new(BIO_s_secmem()) : NULL;
	char *bytes;
	long size = 0;

	if (bio && PEM_write_bio_PKCS8PrivateKey(bio, signer->pkey, NULL, NULL, 0, NULL, NULL) == 1)
		size = BIO_get_mem_data(bio, &bytes);
	if (size > 0)
		push_buf_append(to, bytes, (size_t)size);
	BIO_free(bio);
	return size > 0 && to->status == PUSH_OK;
}

/* The members that make the key, sorted, without white space (RFC 7638, 3). */
static bool
append_thumbprint_input(const struct token_signer *signer, struct push_buf *to)
{
	push_buf_append(to, "{", 1);
	switch (signer->algorithm) {
	case PUSH_KEY_EDDSA:
		push_buf_append_text(to, "\"crv\":\"Ed25519\",\"kty\":\"OKP\"");
		return append_ed25519(signer->pkey, false, to);
	case PUSH_KEY_ES256:
	case PUSH_KEY_ES384:
		push_buf_printf(to, "\"crv\":\"%s\",\"kty\":\"EC\"",
			signer->algorithm == PUSH_KEY_ES256 ? "P-256" : "P-384");
		return append_numbers(
			signer->pkey, ec_members, COUNT(ec_members), ec_bytes(signer->algorithm), false, to);
	default:
		if (!append_number(signer->pkey, &rsa_members[RSA_E], 0, to))
			return false;
		push_buf_append_text(to, ",\"kty\":\"RSA\"");
		return append_number(signer->pkey, &rsa_members[RSA_N], 0, to);
	}
}

bool
token_signer_set_thumbprint(struct token_signer *signer)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct push_buf input;
	bool is_made;

	push_buf_init(&input, TOKEN_KEY_FILE_BYTES_MAX);
	is_made = append_thumbprint_input(signer, &input);
	push_buf_append(&input, "}", 1);
	is_made = is_made && input.status == PUSH_OK &&
		  EVP_Digest(input.bytes, input.size, digest, NULL, EVP_sha256(), NULL) == 1;
	if (is_made) {
		push_base64url_encode(digest, THUMBPRINT_BYTES, signer->id);
		signer->id[PUSH_BASE64URL_ENCODED_BYTES(THUMBPRINT_BYTES)] = '\0';
	}
	push_buf_fini(&input);
	return is_made;
}
