/* key.c - see key.h. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "limits.h"

#define HMAC_BYTES        32
#define ED25519_BYTES     64
#define ED25519_KEY_BYTES 32

struct push_key {
	enum push_key_algorithm algorithm;
	EVP_PKEY *pkey; /* owned; NULL: of a secret */
	uint64_t signer;
	size_t id_size, secret_size;
	char id[PUSH_KEY_ID_BYTES_MAX];
	unsigned char secret[PUSH_KEY_SECRET_BYTES_MAX];
};

static const char *const names[] = {
#define X(name, text) text,
	PUSH_KEY_ALGORITHM_MAP(X)
#undef X
};

const char *
push_key_algorithm_name(enum push_key_algorithm algorithm)
{
	return names[algorithm];
}

static bool
is_text(struct push_str str, const char *text)
{
	return str.bytes && str.size == strlen(text) && !memcmp(str.bytes, text, str.size);
}

bool
push_key_algorithm_parse(struct push_str name, enum push_key_algorithm *ret_algorithm)
{
	for (unsigned int i = 0; i < PUSH_KEY_ALGORITHM_COUNT; i++)
		if (is_text(name, names[i])) {
			*ret_algorithm = (enum push_key_algorithm)i;
			return true;
		}
	*ret_algorithm = PUSH_KEY_EDDSA;
	return is_text(name, "Ed25519");
}

static enum push_status
fail(struct push_error *error, enum push_status status, const char *text)
{
	snprintf(error->text, sizeof(error->text), "%s", text);
	return status;
}

/* What an EC key is for, by its curve. */
static enum push_status
find_curve(const EVP_PKEY *pkey, enum push_key_algorithm *ret_algorithm, struct push_error *error)
{
	char curve[64] = "";

	if (EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), NULL) == 1) {
		*ret_algorithm = PUSH_KEY_ES256;
		if (!strcmp(curve, "prime256v1") || !strcmp(curve, "P-256"))
			return PUSH_OK;
		*ret_algorithm = PUSH_KEY_ES384;
		if (!strcmp(curve, "secp384r1") || !strcmp(curve, "P-384"))
			return PUSH_OK;
	}
	return fail(error, PUSH_NOT_FOUND, "an EC key must be on P-256 or P-384");
}

static enum push_status
check_rsa(const EVP_PKEY *pkey, struct push_error *error)
{
	int bits = EVP_PKEY_get_bits(pkey);
	enum push_status status = PUSH_OK;
	BIGNUM *exponent = NULL;

	if (bits < PUSH_KEY_RSA_BITS_MIN || bits > PUSH_KEY_RSA_BITS_MAX) {
		snprintf(error->text, sizeof(error->text), "an RSA key of %d bits; it must have %d to %d",
			bits, PUSH_KEY_RSA_BITS_MIN, PUSH_KEY_RSA_BITS_MAX);
		return PUSH_INVALID;
	}
	if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &exponent) != 1)
		return PUSH_OUT_OF_MEMORY;
	/* with the exponent 1 every text is its own signature */
	if (!BN_is_odd(exponent) || BN_is_one(exponent) ||
		BN_num_bytes(exponent) > PUSH_KEY_RSA_EXPONENT_BYTES_MAX)
		status = fail(error, PUSH_INVALID, "an RSA key with a bad public exponent");
	BN_free(exponent);
	return status;
}

/* A point of small order as an Ed25519 key: anybody can sign for it (RFC 8032, 8.9, leaves it to the verifier). */
static bool
is_of_small_order(const EVP_PKEY *pkey)
{
	static const char *const ys[] = {"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"};
	unsigned char y[ED25519_KEY_BYTES];
	size_t size = sizeof(y);
	char text[2 * ED25519_KEY_BYTES + 1];

	if (EVP_PKEY_get_raw_public_key(pkey, y, &size) != 1 || size != sizeof(y))
		return true;
	y[ED25519_KEY_BYTES - 1] &= 0x7f; /* the sign of x */
	for (size_t i = 0; i < size; i++)
		snprintf(text + 2 * i, 3, "%02x", y[i]);
	for (size_t i = 0; i < sizeof(ys) / sizeof(ys[0]); i++)
		if (!strcmp(text, ys[i]))
			return true;
	return false;
}

/* What a key is for if nothing else is said, and whether its `alg` may say so. */
static enum push_status
find_algorithm(const EVP_PKEY *pkey, enum push_key_algorithm *ret_algorithm, bool *ret_is_open,
	struct push_error *error)
{
	*ret_is_open = false;
	if (EVP_PKEY_is_a(pkey, "EC"))
		return find_curve(pkey, ret_algorithm, error);
	*ret_algorithm = PUSH_KEY_EDDSA;
	if (EVP_PKEY_is_a(pkey, "ED25519"))
		return is_of_small_order(pkey)
			       ? fail(error, PUSH_INVALID, "an Ed25519 key that anybody can sign for")
			       : PUSH_OK;
	*ret_algorithm = PUSH_KEY_PS256;
	if (EVP_PKEY_is_a(pkey, "RSA-PSS"))
		return check_rsa(pkey, error);
	*ret_algorithm = PUSH_KEY_RS256;
	*ret_is_open = true;
	if (EVP_PKEY_is_a(pkey, "RSA"))
		return check_rsa(pkey, error);
	return fail(error, PUSH_NOT_FOUND, "a public key must be of EC, Ed25519 or RSA");
}

/* `alg` and what the key is. */
static enum push_status
settle_algorithm(
	enum push_key_algorithm *algorithm, bool is_open, struct push_str said, struct push_error *error)
{
	enum push_key_algorithm named;

	if (!said.bytes)
		return PUSH_OK;
	if (!push_key_algorithm_parse(said, &named))
		return fail(error, PUSH_NOT_FOUND, "its 'alg' is not supported");
	if (is_open && (named == PUSH_KEY_RS256 || named == PUSH_KEY_PS256))
		*algorithm = named;
	if (named == *algorithm)
		return PUSH_OK;
	snprintf(error->text, sizeof(error->text), "its 'alg' is %s, but it is a key for %s", names[named],
		names[*algorithm]);
	return PUSH_INVALID;
}

static enum push_status
create(const struct push_key_facts *facts, enum push_key_algorithm algorithm, struct push_key **ret_key,
	struct push_error *error)
{
	struct push_key *key;

	if (facts->id.size > sizeof(key->id)) {
		snprintf(error->text, sizeof(error->text), "its 'kid' is longer than %d bytes",
			PUSH_KEY_ID_BYTES_MAX);
		return PUSH_INVALID;
	}
	key = calloc(1, sizeof(*key));
	if (!key)
		return PUSH_OUT_OF_MEMORY;
	key->algorithm = algorithm;
	key->id_size = facts->id.size;
	if (key->id_size)
		memcpy(key->id, facts->id.bytes, key->id_size);
	*ret_key = key;
	return PUSH_OK;
}

/* Returns false if memory is out. */
static bool
find_signer(const unsigned char *bytes, size_t size, uint64_t *ret)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	uint64_t number = 0;

	if (EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	for (size_t i = 0; i < sizeof(number); i++)
		number = number << 8 | digest[i];
	*ret = (number >> 11) | 1;
	return true;
}

static bool
find_signer_of_public(const EVP_PKEY *pkey, uint64_t *ret)
{
	unsigned char *bytes = NULL;
	int size = i2d_PUBKEY(pkey, &bytes);
	bool is_found = size > 0 && find_signer(bytes, (size_t)size, ret);

	OPENSSL_free(bytes);
	return is_found;
}

enum push_status
push_key_create_secret(const unsigned char *secret, size_t size, const struct push_key_facts *facts,
	struct push_key **ret_key, struct push_error *error)
{
	enum push_key_algorithm algorithm = PUSH_KEY_HS256;
	enum push_status status = settle_algorithm(&algorithm, false, facts->algorithm, error);

	if (status != PUSH_OK)
		return status;
	if (size < PUSH_KEY_SECRET_BYTES_MIN || size > PUSH_KEY_SECRET_BYTES_MAX) {
		snprintf(error->text, sizeof(error->text), "a secret of %zu bytes; it must have %d to %d",
			size, PUSH_KEY_SECRET_BYTES_MIN, PUSH_KEY_SECRET_BYTES_MAX);
		return PUSH_INVALID;
	}
	status = create(facts, algorithm, ret_key, error);
	if (status != PUSH_OK)
		return status;
	(*ret_key)->secret_size = size;
	memcpy((*ret_key)->secret, secret, size);
	if (find_signer(secret, size, &(*ret_key)->signer))
		return PUSH_OK;
	push_key_destroy(*ret_key);
	return PUSH_OUT_OF_MEMORY;
}

void
push_key_destroy(struct push_key *key)
{
	if (!key)
		return;
	EVP_PKEY_free(key->pkey);
	OPENSSL_cleanse(key->secret, key->secret_size);
	free(key);
}

enum push_key_algorithm
push_key_algorithm(const struct push_key *key)
{
	return key->algorithm;
}

uint64_t
push_key_signer(const struct push_key *key)
{
	return key->signer;
}

struct push_str
push_key_id(const struct push_key *key)
{
	return (struct push_str){.bytes = key->id, .size = key->id_size};
}

static enum push_status
verify_secret(const struct push_key *key, struct push_str text, const unsigned char *signature, size_t size)
{
	unsigned char expected[EVP_MAX_MD_SIZE];
	unsigned int expected_size = 0;

	if (size != HMAC_BYTES)
		return PUSH_REFUSED;
	if (!HMAC(EVP_sha256(), key->secret, (int)key->secret_size, (const unsigned char *)text.bytes,
		    text.size, expected, &expected_size) ||
		expected_size != HMAC_BYTES)
		return PUSH_OUT_OF_MEMORY;
	return CRYPTO_memcmp(expected, signature, HMAC_BYTES) ? PUSH_REFUSED : PUSH_OK;
}

/* A digest of EVP's, with a signature as EVP takes it. */
static enum push_status
verify_digest(const struct push_key *key, const char *digest, struct push_str text,
	const unsigned char *signature, size_t size)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	enum push_status status = PUSH_OUT_OF_MEMORY;
	EVP_PKEY_CTX *options; /* of the context */

	if (!context)
		return PUSH_OUT_OF_MEMORY;
	if (EVP_DigestVerifyInit_ex(context, &options, digest, NULL, NULL, key->pkey, NULL) != 1)
		goto done;
	if (key->algorithm == PUSH_KEY_PS256 &&
		(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
			EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1 ||
			EVP_PKEY_CTX_set_rsa_mgf1_md_name(options, digest, NULL) != 1))
		goto done;
	status = EVP_DigestVerify(context, signature, size, (const unsigned char *)text.bytes, text.size) == 1
			 ? PUSH_OK
			 : PUSH_REFUSED;
done:
	EVP_MD_CTX_free(context);
	return status;
}

/* r and s of the same length, one after the other, are two numbers in DER for OpenSSL. */
static enum push_status
verify_ecdsa(const struct push_key *key, const char *digest, int bytes, struct push_str text,
	const unsigned char *signature)
{
	BIGNUM *r = BN_bin2bn(signature, bytes, NULL), *s = BN_bin2bn(signature + bytes, bytes, NULL);
	ECDSA_SIG *pair = ECDSA_SIG_new();
	enum push_status status = PUSH_OUT_OF_MEMORY;
	unsigned char *der = NULL;
	int der_size;

	if (!r || !s || !pair || ECDSA_SIG_set0(pair, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		ECDSA_SIG_free(pair);
		return PUSH_OUT_OF_MEMORY;
	}
	der_size = i2d_ECDSA_SIG(pair, &der);
	if (der_size > 0)
		status = verify_digest(key, digest, text, der, (size_t)der_size);
	OPENSSL_free(der);
	ECDSA_SIG_free(pair);
	return status;
}

static enum push_status
verify(const struct push_key *key, struct push_str text, const unsigned char *signature, size_t size)
{
	switch (key->algorithm) {
	case PUSH_KEY_HS256: return verify_secret(key, text, signature, size);
	case PUSH_KEY_ES256:
		return size == 64 ? verify_ecdsa(key, "SHA256", 32, text, signature) : PUSH_REFUSED;
	case PUSH_KEY_ES384:
		return size == 96 ? verify_ecdsa(key, "SHA384", 48, text, signature) : PUSH_REFUSED;
	case PUSH_KEY_EDDSA:
		return size == ED25519_BYTES ? verify_digest(key, NULL, text, signature, size) : PUSH_REFUSED;
	case PUSH_KEY_RS256:
	case PUSH_KEY_PS256:
		return size == (size_t)EVP_PKEY_get_size(key->pkey)
			       ? verify_digest(key, "SHA256", text, signature, size)
			       : PUSH_REFUSED;
	default: return PUSH_REFUSED;
	}
}

enum push_status
push_key_verify(const struct push_key *key, struct push_str text, const unsigned char *signature, size_t size)
{
	enum push_status status;
	unsigned long error;

	ERR_clear_error();
	status = verify(key, text, signature, size);
	/* a signature that could not be looked at is not a wrong one */
	while ((error = ERR_get_error()))
		if (status == PUSH_REFUSED && ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
			status = PUSH_OUT_OF_MEMORY;
	return status;
}

/* Whether OpenSSL gets so far with it that it finds a signature wrong. */
static bool
is_usable(const struct push_key *key)
{
	static const unsigned char wrong[PUSH_KEY_RSA_BITS_MAX / 8];

	return push_key_verify(key, (struct push_str){"", 0}, wrong, (size_t)EVP_PKEY_get_size(key->pkey)) ==
	       PUSH_REFUSED;
}

enum push_status
push_key_create(EVP_PKEY *pkey, const struct push_key_facts *facts, struct push_key **ret_key,
	struct push_error *error)
{
	enum push_key_algorithm algorithm;
	bool is_open;
	enum push_status status;

	status = find_algorithm(pkey, &algorithm, &is_open, error);
	ERR_clear_error();
	if (status == PUSH_OK)
		status = settle_algorithm(&algorithm, is_open, facts->algorithm, error);
	if (status == PUSH_OK)
		status = create(facts, algorithm, ret_key, error);
	if (status == PUSH_OK)
		(*ret_key)->pkey = pkey;
	else
		EVP_PKEY_free(pkey);
	if (status == PUSH_OK && !find_signer_of_public(pkey, &(*ret_key)->signer)) {
		push_key_destroy(*ret_key);
		return PUSH_OUT_OF_MEMORY;
	}
	/* an RSA-PSS key may be for other parameters only */
	if (status == PUSH_OK && algorithm == PUSH_KEY_PS256 && !is_usable(*ret_key)) {
		push_key_destroy(*ret_key);
		return fail(error, PUSH_NOT_FOUND, "an RSA-PSS key for other parameters than those of PS256");
	}
	return status;
}
