/* jwk.c - see jwk.h. */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base64url.h"
#include "core/buf.h"
#include "core/jsonscan.h"
#include "jwk.h"
#include "limits.h"

enum member { KTY, USE, KEY_OPS, ALG, KID, CRV, X, Y, N, E, K, D, MEMBER_COUNT };

/* An RSA modulus may have a zero in front, as some write it. */
#define NUMBER_BYTES_MAX (PUSH_KEY_RSA_BITS_MAX / 8 + 1)

/* Of a coordinate, that may be missing: of random keys one in 2^32 has more. */
#define COORDINATE_ZEROS_MAX 4

struct jwk {
	struct push_json_member members[MEMBER_COUNT];
	struct push_key_facts facts;
	struct push_buf id, algorithm; /* what the facts point to */
	struct push_error *error;
};

static enum push_status
fail(struct jwk *jwk, enum push_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

static enum push_status
fail(struct jwk *jwk, enum push_status status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(jwk->error->text, sizeof(jwk->error->text), format, args);
	va_end(args);
	return status;
}

static bool
is(const struct push_json_member *member, const char *text)
{
	size_t size = strlen(text);

	return push_json_is_string(member) && member->size == size + 2 &&
	       !memcmp(member->text + 1, text, size);
}

/* The bytes of a member in base64url. */
static enum push_status
take_bytes(struct jwk *jwk, enum member which, unsigned char *to, size_t room, size_t *ret_size)
{
	const struct push_json_member *member = &jwk->members[which];

	if (!member->text)
		return fail(jwk, PUSH_INVALID, "'%s' is missing", member->name);
	if (!push_json_is_string(member) ||
		!push_base64url_decode(
			(struct push_str){member->text + 1, member->size - 2}, to, room, ret_size))
		return fail(
			jwk, PUSH_INVALID, "'%s' is not base64url of at most %zu bytes", member->name, room);
	return PUSH_OK;
}

/* Likewise, exactly `size` bytes. */
static enum push_status
take_exactly(struct jwk *jwk, enum member which, unsigned char *to, size_t size)
{
	size_t taken = 0;
	enum push_status status = take_bytes(jwk, which, to, size, &taken);

	if (status == PUSH_OK && taken != size)
		return fail(jwk, PUSH_INVALID, "'%s' has %zu bytes; it must have %zu",
			jwk->members[which].name, taken, size);
	return status;
}

/* Likewise, of a point: zeros in front may be missing, which RFC 7518, 6.2.1.2, does not allow, and which libraries
 * that many use leave out all the same. */
static enum push_status
take_coordinate(struct jwk *jwk, enum member which, unsigned char *to, size_t size)
{
	size_t taken = 0;
	enum push_status status = take_bytes(jwk, which, to, size, &taken);

	if (status == PUSH_OK && taken + COORDINATE_ZEROS_MAX < size)
		return fail(jwk, PUSH_INVALID, "'%s' has %zu bytes; it must have %zu",
			jwk->members[which].name, taken, size);
	if (status == PUSH_OK) {
		memmove(to + (size - taken), to, taken);
		memset(to, 0, size - taken);
	}
	return status;
}

static EVP_PKEY *
import(const char *kind, OSSL_PARAM *params)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, kind, NULL);
	EVP_PKEY *pkey = NULL;

	if (context && EVP_PKEY_fromdata_init(context) == 1)
		(void)EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params);
	EVP_PKEY_CTX_free(context);
	return pkey;
}

/* A point that is not on its curve is not imported. */
static enum push_status
read_ec(struct jwk *jwk, EVP_PKEY **ret_pkey)
{
	bool is_256 = is(&jwk->members[CRV], "P-256");
	size_t size = is_256 ? 32 : 48;
	unsigned char point[1 + 2 * 48] = {POINT_CONVERSION_UNCOMPRESSED};
	char curve[] = "P-256";
	OSSL_PARAM params[3];
	enum push_status status;

	if (!is_256 && !is(&jwk->members[CRV], "P-384"))
		return fail(jwk, PUSH_NOT_FOUND, "an EC key must be on P-256 or P-384");
	status = take_coordinate(jwk, X, point + 1, size);
	if (status == PUSH_OK)
		status = take_coordinate(jwk, Y, point + 1 + size, size);
	if (status != PUSH_OK)
		return status;
	memcpy(curve, is_256 ? "P-256" : "P-384", sizeof(curve));
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0);
	params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * size);
	params[2] = OSSL_PARAM_construct_end();
	*ret_pkey = import("EC", params);
	return *ret_pkey ? PUSH_OK : fail(jwk, PUSH_INVALID, "'x' and 'y' are not a point of the curve");
}

static enum push_status
read_okp(struct jwk *jwk, EVP_PKEY **ret_pkey)
{
	unsigned char bytes[32];
	enum push_status status;

	if (!is(&jwk->members[CRV], "Ed25519"))
		return fail(jwk, PUSH_NOT_FOUND, "an OKP key must be on Ed25519");
	status = take_exactly(jwk, X, bytes, sizeof(bytes));
	if (status != PUSH_OK)
		return status;
	*ret_pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, bytes, sizeof(bytes));
	return *ret_pkey ? PUSH_OK : fail(jwk, PUSH_INVALID, "'x' is not an Ed25519 key");
}

static EVP_PKEY *
import_rsa(const BIGNUM *modulus, const BIGNUM *exponent)
{
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *pkey = NULL;

	if (builder && modulus && exponent &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) == 1 &&
		OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent) == 1)
		params = OSSL_PARAM_BLD_to_param(builder);
	if (params)
		pkey = import("RSA", params);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(builder);
	return pkey;
}

static enum push_status
read_rsa(struct jwk *jwk, EVP_PKEY **ret_pkey)
{
	unsigned char n[NUMBER_BYTES_MAX], e[PUSH_KEY_RSA_EXPONENT_BYTES_MAX];
	size_t n_size = 0, e_size = 0;
	BIGNUM *modulus, *exponent;
	enum push_status status = take_bytes(jwk, N, n, sizeof(n), &n_size);

	if (status == PUSH_OK)
		status = take_bytes(jwk, E, e, sizeof(e), &e_size);
	if (status != PUSH_OK)
		return status;
	modulus = BN_bin2bn(n, (int)n_size, NULL);
	exponent = BN_bin2bn(e, (int)e_size, NULL);
	*ret_pkey = import_rsa(modulus, exponent);
	BN_free(modulus);
	BN_free(exponent);
	return *ret_pkey ? PUSH_OK : fail(jwk, PUSH_INVALID, "'n' and 'e' are not an RSA key");
}

static enum push_status
read_secret(struct jwk *jwk, struct push_key **ret_key)
{
	unsigned char secret[PUSH_KEY_SECRET_BYTES_MAX];
	size_t size = 0;
	enum push_status status = take_bytes(jwk, K, secret, sizeof(secret), &size);

	if (status == PUSH_OK)
		status = push_key_create_secret(secret, size, &jwk->facts, ret_key, jwk->error);
	OPENSSL_cleanse(secret, sizeof(secret));
	return status;
}

static enum push_status
read_kind(struct jwk *jwk, struct push_key **ret_key)
{
	const struct push_json_member *kind = &jwk->members[KTY];
	enum push_status status;
	EVP_PKEY *pkey = NULL;

	if (!push_json_is_string(kind))
		return fail(jwk, PUSH_INVALID, "'kty' is missing or not a string");
	if (is(kind, "oct"))
		return read_secret(jwk, ret_key);
	if (!is(kind, "EC") && !is(kind, "OKP") && !is(kind, "RSA"))
		return fail(jwk, PUSH_NOT_FOUND, "its 'kty' is not supported");
	if (jwk->members[D].text)
		return fail(jwk, PUSH_INVALID,
			"a private key; Push must have the public key only (without 'd' and the like)");
	status = is(kind, "EC")    ? read_ec(jwk, &pkey)
		 : is(kind, "OKP") ? read_okp(jwk, &pkey)
				   : read_rsa(jwk, &pkey);
	return status == PUSH_OK ? push_key_create(pkey, &jwk->facts, ret_key, jwk->error) : status;
}

/* Whether `use` and `key_ops`, if they are there, are for signatures (RFC 7517, 4.2 and 4.3). */
static enum push_status
check_purpose(struct jwk *jwk)
{
	const struct push_json_member *use = &jwk->members[USE], *ops = &jwk->members[KEY_OPS];
	const char *at, *element;
	size_t count, size;

	if (use->text && !is(use, "sig"))
		return fail(jwk, PUSH_NOT_FOUND, "its 'use' is not sig");
	if (!ops->text)
		return PUSH_OK;
	if (push_json_scan_array(ops->text, ops->size, &count, jwk->error) != PUSH_OK)
		return fail(jwk, PUSH_INVALID, "'key_ops' is not an array");
	at = ops->text;
	while (push_json_next_element(&at, ops->text + ops->size, &element, &size))
		if (is(&(struct push_json_member){.text = element, .size = size}, "verify"))
			return PUSH_OK;
	return fail(jwk, PUSH_NOT_FOUND, "its 'key_ops' are without verify");
}

static enum push_status
take_text(struct jwk *jwk, enum member which, struct push_buf *to, struct push_str *ret_text)
{
	const struct push_json_member *member = &jwk->members[which];

	if (!member->text)
		return PUSH_OK;
	if (!push_json_is_string(member))
		return fail(jwk, PUSH_INVALID, "'%s' is not a string", member->name);
	push_json_decode_string(to, member->text, member->size);
	if (to->status == PUSH_TOO_LARGE)
		return fail(jwk, PUSH_INVALID, "'%s' is longer than %zu bytes", member->name, to->max);
	*ret_text = (struct push_str){to->size ? to->bytes : "", to->size};
	return to->status;
}

static enum push_status
read_members(struct jwk *jwk, struct push_key **ret_key)
{
	enum push_status status = check_purpose(jwk);

	if (status == PUSH_OK)
		status = take_text(jwk, KID, &jwk->id, &jwk->facts.id);
	if (status == PUSH_OK)
		status = take_text(jwk, ALG, &jwk->algorithm, &jwk->facts.algorithm);
	if (status != PUSH_OK)
		return status;
	status = read_kind(jwk, ret_key);
	ERR_clear_error();
	return status;
}

enum push_status
push_jwk_read(struct push_str text, struct push_key **ret_key, struct push_error *error)
{
	struct jwk jwk = {.members = {[KTY] = {.name = "kty"},
				  [USE] = {.name = "use"},
				  [KEY_OPS] = {.name = "key_ops"},
				  [ALG] = {.name = "alg"},
				  [KID] = {.name = "kid"},
				  [CRV] = {.name = "crv"},
				  [X] = {.name = "x"},
				  [Y] = {.name = "y"},
				  [N] = {.name = "n"},
				  [E] = {.name = "e"},
				  [K] = {.name = "k"},
				  [D] = {.name = "d"}},
		.error = error};
	enum push_status status =
		push_json_scan_object(text.bytes, text.size, jwk.members, MEMBER_COUNT, error);

	if (status == PUSH_OK)
		status = push_json_check_unique(text.bytes, text.size, error);
	if (status != PUSH_OK)
		return status == PUSH_TOO_MANY ? PUSH_INVALID : status;
	push_buf_init(&jwk.id, PUSH_KEY_ID_BYTES_MAX);
	push_buf_init(&jwk.algorithm, text.size);
	status = read_members(&jwk, ret_key);
	push_buf_fini(&jwk.id);
	push_buf_fini(&jwk.algorithm);
	return status;
}
