/* A key is what it says and for one algorithm; whatever else comes as a key is none. */
#include "unit.h"

#include "failing_alloc.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "auth/jwk.h"
#include "auth/limits.h"
#include "auth/pem.h"
#include "token_maker.h"

#define P256_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define P256_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define P256   "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_Y "\""
#define ED     "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
#define SECRET "\"kty\":\"oct\",\"k\":\"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U\""
/* of RFC 7515, A.2 */
#define RSA                                                                                                  \
	"\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\""                                                            \
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-" \
	"yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e" \
	"-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-"              \
	"DWNmoudF8NAco9"                                                                                     \
	"_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\""

static struct push_str
str(const char *text)
{
	return (struct push_str){text, strlen(text)};
}

/* --- JWK --- */

static void
a_jwk_is_for_one_algorithm(void **state)
{
	static const struct {
		const char *jwk;
		enum push_key_algorithm algorithm;
	} rows[] = {
		{"{" P256 "}", PUSH_KEY_ES256},
		{"{" P256 ",\"alg\":\"ES256\",\"use\":\"sig\",\"key_ops\":[\"sign\",\"verify\"]}",
			PUSH_KEY_ES256},
		{"{" ED "}", PUSH_KEY_EDDSA},
		{"{" ED ",\"alg\":\"EdDSA\"}", PUSH_KEY_EDDSA},
		{"{" ED ",\"alg\":\"Ed25519\"}", PUSH_KEY_EDDSA},
		{"{" RSA "}", PUSH_KEY_RS256},
		{"{" RSA ",\"alg\":\"RS256\",\"x5c\":[\"MII\"],\"x5t\":\"a\",\"n.b.\":{}}", PUSH_KEY_RS256},
		{"{" RSA ",\"alg\":\"PS256\"}", PUSH_KEY_PS256},
		{"{" SECRET "}", PUSH_KEY_HS256},
		{"{" SECRET ",\"alg\":\"HS256\"}", PUSH_KEY_HS256},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_error error;
		struct push_key *key;

		if (push_jwk_read(str(rows[i].jwk), &key, &error) != PUSH_OK)
			fail_msg("%s: %s", rows[i].jwk, error.text);
		assert_int_equal(push_key_algorithm(key), rows[i].algorithm);
		assert_int_equal(push_key_id(key).size, 0);
		push_key_destroy(key);
	}
}

static void
a_jwk_that_is_not_for_us_is_not_found(void **state)
{
	static const char *const rows[] = {
		"{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"AA\",\"y\":\"AA\"}",
		"{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\",\"y\":\"AA\"}",
		"{\"kty\":\"EC\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed448\",\"x\":\"AA\"}",
		"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08\"}",
		"{\"kty\":\"AKP\",\"alg\":\"ML-DSA-44\",\"pub\":\"AA\"}",
		"{\"kty\":\"\"}",
		"{" P256 ",\"use\":\"enc\"}",
		"{" P256 ",\"use\":\"\"}",
		"{" P256 ",\"use\":1}",
		"{" P256 ",\"key_ops\":[]}",
		"{" P256 ",\"key_ops\":[\"sign\",\"deriveKey\"]}",
		"{" P256 ",\"alg\":\"ECDH-ES\"}",
		"{" RSA ",\"alg\":\"RS512\"}",
		"{" RSA ",\"alg\":\"RSA-OAEP\"}",
		"{" SECRET ",\"alg\":\"HS512\"}",
		"{" SECRET ",\"alg\":\"none\"}",
		"{" SECRET ",\"alg\":\"\"}",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_error error = {.text = ""};
		struct push_key *key;

		if (push_jwk_read(str(rows[i]), &key, &error) != PUSH_NOT_FOUND || !error.text[0])
			fail_msg("%s: %s", rows[i], error.text);
	}
}

static void
a_bad_jwk_is_refused_with_a_line(void **state)
{
	static const struct {
		const char *jwk, *text;
	} rows[] = {
		{"", "not JSON"},
		{"[]", "not a JSON object"},
		{"{}", "'kty' is missing"},
		{"{\"kty\":1}", "'kty' is missing or not a string"},
		{"{" P256 ",\"kid\":\"a\",\"kid\":\"b\"}", "comes twice"},
		{"{" P256 ",\"kid\":7}", "'kid' is not a string"},
		{"{" P256 ",\"alg\":7}", "'alg' is not a string"},
		{"{" P256 ",\"key_ops\":\"verify\"}", "'key_ops' is not an array"},
		/* what it is for comes from what it is */
		{"{" P256 ",\"alg\":\"HS256\"}", "its 'alg' is HS256, but it is a key for ES256"},
		{"{" P256 ",\"alg\":\"ES384\"}", "its 'alg' is ES384, but it is a key for ES256"},
		{"{" ED ",\"alg\":\"ES256\"}", "its 'alg' is ES256, but it is a key for EdDSA"},
		{"{" RSA ",\"alg\":\"HS256\"}", "its 'alg' is HS256, but it is a key for RS256"},
		{"{" SECRET ",\"alg\":\"RS256\"}", "its 'alg' is RS256, but it is a key for HS256"},
		{"{" P256 ",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}", "a private key"},
		{"{" ED ",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}", "a private key"},
		{"{" RSA ",\"d\":null}", "a private key"},
		{"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\"}", "'y' is missing"},
		{"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"AA\"}",
			"'y' has 1 bytes; it must have 32"},
		{"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"AA==\"}",
			"'y' is not base64url"},
		{"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":[]}", "'y' is not base64url"},
		/* an attack on ECDH, and nothing to verify with either */
		{"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" P256_X "\",\"y\":\"" P256_X "\"}",
			"not a point of the curve"},
		{"{\"kty\":\"OKP\",\"crv\":\"Ed25519\"}", "'x' is missing"},
		{"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", "'x' has 3 bytes; it must have 32"},
		{"{\"kty\":\"RSA\",\"e\":\"AQAB\"}", "'n' is missing"},
		{"{\"kty\":\"RSA\",\"n\":\"AQAB\"}", "'e' is missing"},
		{"{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"AQAB\"}",
			"an RSA key of 17 bits; it must have 2048 to 8192"},
		{"{\"kty\":\"oct\"}", "'k' is missing"},
		{"{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}", "a secret of 6 bytes; it must have 32 to 512"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct push_error error = {.text = ""};
		struct push_key *key;

		if (push_jwk_read(str(rows[i].jwk), &key, &error) != PUSH_INVALID ||
			!strstr(error.text, rows[i].text))
			fail_msg("%s: %s", rows[i].jwk, error.text);
		assert_int_equal(ERR_peek_error(), 0);
	}
}

/* An RSA key's JWK with a modulus of so many bits, all set, and this exponent. */
static enum push_status
read_rsa(size_t bits, const char *exponent)
{
	unsigned char modulus[2048];
	char jwk[4096] = "{\"kty\":\"RSA\",\"n\":\"";
	struct push_error error;
	struct push_key *key = NULL;
	enum push_status status;

	memset(modulus, 0xFF, sizeof(modulus));
	modulus[0] = (unsigned char)(0xFFu >> (8 - (bits - 1) % 8 - 1));
	append_base64url(jwk, modulus, (bits + 7) / 8);
	sprintf(jwk + strlen(jwk), "\",\"e\":\"%s\"}", exponent);
	status = push_jwk_read(str(jwk), &key, &error);
	push_key_destroy(key);
	return status;
}

static void
rsa_keys_have_bounds(void **state)
{
	(void)state;
	assert_int_equal(read_rsa(2048, "AQAB"), PUSH_OK);
	assert_int_equal(read_rsa(2047, "AQAB"), PUSH_INVALID);
	assert_int_equal(read_rsa(8192, "AQAB"), PUSH_OK);
	assert_int_equal(read_rsa(8193, "AQAB"), PUSH_INVALID);
	assert_int_equal(read_rsa(16384, "AQAB"), PUSH_INVALID);
	/* 3, 1, 0, 65536, eight bytes and nine, none */
	assert_int_equal(read_rsa(2048, "Aw"), PUSH_OK);
	assert_int_equal(read_rsa(2048, "AQ"), PUSH_INVALID);
	assert_int_equal(read_rsa(2048, "AA"), PUSH_INVALID);
	assert_int_equal(read_rsa(2048, "AQAA"), PUSH_INVALID);
	assert_int_equal(read_rsa(2048, "AQAAAAAAAAE"), PUSH_OK);
	assert_int_equal(read_rsa(2048, "AQAAAAAAAAAB"), PUSH_INVALID);
	assert_int_equal(read_rsa(2048, ""), PUSH_INVALID);
}

static void
secrets_and_names_have_bounds(void **state)
{
	struct push_error error;
	struct push_key *key;

	(void)state;
	for (size_t size = 0; size <= 520; size++) {
		unsigned char secret[520] = {0};
		char jwk[1024] = "{\"kty\":\"oct\",\"k\":\"";
		enum push_status status;

		append_base64url(jwk, secret, size);
		strcat(jwk, "\"}");
		status = push_jwk_read(str(jwk), &key, &error);
		assert_int_equal(status, size >= 32 && size <= 512 ? PUSH_OK : PUSH_INVALID);
		if (status == PUSH_OK)
			push_key_destroy(key);
	}
	for (int size = 255; size <= 256; size++) {
		char jwk[1024];

		sprintf(jwk, "{" P256 ",\"kid\":\"%0*d\"}", size, 0);
		assert_int_equal(push_jwk_read(str(jwk), &key, &error), size == 255 ? PUSH_OK : PUSH_INVALID);
		if (size > 255)
			break;
		assert_int_equal(push_key_id(key).size, 255);
		push_key_destroy(key);
	}
}

/* --- PEM --- */

struct found {
	struct push_key *keys[8];
	size_t count;
};

static enum push_status
note(void *context, struct push_key *key)
{
	struct found *found = context;

	assert_true(found->count < COUNT(found->keys));
	found->keys[found->count++] = key;
	return PUSH_OK;
}

static void
forget(struct found *found)
{
	while (found->count)
		push_key_destroy(found->keys[--found->count]);
}

/* What is written to it, as a text; the caller frees it. */
static char *
text_of(BIO *bio)
{
	char *bytes, *text;
	long size = BIO_get_mem_data(bio, &bytes);

	text = calloc(1, (size_t)size + 1);
	memcpy(text, bytes, (size_t)size);
	BIO_free(bio);
	return text;
}

/* A certificate that ended long ago and signs itself. */
static void
write_certificate(BIO *bio, EVP_PKEY *pkey)
{
	X509 *certificate = X509_new();

	ASN1_TIME_set(X509_getm_notBefore(certificate), 0);
	ASN1_TIME_set(X509_getm_notAfter(certificate), 1);
	assert_int_equal(X509_set_pubkey(certificate, pkey), 1);
	assert_true(X509_sign(certificate, pkey, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_bio_X509(bio, certificate), 1);
	X509_free(certificate);
}

static void
a_pem_text_may_have_several_keys(void **state)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct found found = {.count = 0};
	struct maker one, other, third;
	struct push_error error;
	char *text;

	(void)state;
	maker_init(&one, PUSH_KEY_ES256);
	maker_init(&other, PUSH_KEY_EDDSA);
	maker_init(&third, PUSH_KEY_ES384);
	BIO_puts(bio, "# of the first server\n");
	PEM_write_bio_PUBKEY(bio, one.pkey);
	BIO_puts(bio, "\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n");
	PEM_write_bio_PUBKEY(bio, other.pkey);
	write_certificate(bio, third.pkey);
	text = text_of(bio);
	if (push_pem_read(str(text), note, &found, &error) != PUSH_OK)
		fail_msg("%s", error.text);
	assert_int_equal(found.count, 3);
	assert_int_equal(push_key_algorithm(found.keys[0]), PUSH_KEY_ES256);
	assert_int_equal(push_key_algorithm(found.keys[1]), PUSH_KEY_EDDSA);
	assert_int_equal(push_key_algorithm(found.keys[2]), PUSH_KEY_ES384);
	assert_int_equal(push_key_id(found.keys[0]).size, 0);
	forget(&found);
	free(text);
	maker_fini(&one);
	maker_fini(&other);
	maker_fini(&third);
	assert_int_equal(ERR_peek_error(), 0);
}

static EVP_PKEY *
public_rsa(const char *jwk_rsa_n)
{
	unsigned char n[256], e[] = {1, 0, 1};
	OSSL_PARAM params[3];
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	EVP_PKEY *pkey = NULL;
	size_t size;

	assert_true(push_base64url_decode((struct push_str){jwk_rsa_n, 342}, n, sizeof(n), &size));
	for (size_t i = 0; i < size / 2; i++) {
		unsigned char byte = n[i];

		n[i] = n[size - 1 - i]; /* little-endian, as the machine is */
		n[size - 1 - i] = byte;
	}
	params[0] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, n, size);
	params[1] = OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, e, sizeof(e));
	params[2] = OSSL_PARAM_construct_end();
	assert_int_equal(EVP_PKEY_fromdata_init(context), 1);
	assert_int_equal(EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, params), 1);
	EVP_PKEY_CTX_free(context);
	return pkey;
}

static void
an_rsa_key_in_pem_is_for_rs256(void **state)
{
	EVP_PKEY *pkey = public_rsa(strstr(RSA, "ofgW"));
	struct found found = {.count = 0};
	BIO *bio = BIO_new(BIO_s_mem());
	unsigned char *der = NULL;
	struct push_error error;
	char *text;
	int size;

	(void)state;
	PEM_write_bio_PUBKEY(bio, pkey);
	size = i2d_PublicKey(pkey, &der);
	PEM_write_bio(bio, "RSA PUBLIC KEY", "", der, size);
	text = text_of(bio);
	assert_int_equal(push_pem_read(str(text), note, &found, &error), PUSH_OK);
	assert_int_equal(found.count, 2);
	assert_int_equal(push_key_algorithm(found.keys[0]), PUSH_KEY_RS256);
	assert_int_equal(push_key_algorithm(found.keys[1]), PUSH_KEY_RS256);
	forget(&found);
	free(text);
	OPENSSL_free(der);
	EVP_PKEY_free(pkey);
}

static void
a_bad_pem_text_is_refused_with_a_line(void **state)
{
	static const struct {
		const char *pem, *text;
	} rows[] = {
		{"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
			"'PUBLIC KEY' is not a public key"},
		{"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
			"'CERTIFICATE' is not a public key"},
		{"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
			"'X509 CRL' is not a public key"},
		{"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
			"openssl pkey -in FILE -pubout"},
		{"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
			"a private key"},
		{"-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "a private key"},
		{"-----BEGIN PUBLIC KEY-----\nAAAA\n", "a PEM block is malformed"},
		{"-----BEGIN PUBLIC KEY-----\n?\n-----END PUBLIC KEY-----\n", "a PEM block is malformed"},
		{"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "a PEM block is malformed"},
		{"-----BEGIN ", "a PEM block is malformed"},
		{"", "a PEM block is malformed"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct found found = {.count = 0};
		struct push_error error = {.text = ""};

		if (push_pem_read(str(rows[i].pem), note, &found, &error) != PUSH_INVALID ||
			!strstr(error.text, rows[i].text))
			fail_msg("%s: %s", rows[i].pem, error.text);
		assert_int_equal(found.count, 0);
		assert_int_equal(ERR_peek_error(), 0);
	}
}

static void
pem_keys_that_are_not_for_us_are_named(void **state)
{
	static const struct {
		const char *kind, *group, *text;
	} rows[] = {
		{"EC", "P-521", "on P-256 or P-384"},
		{"EC", "secp256k1", "on P-256 or P-384"},
		{"X25519", NULL, "EC, Ed25519 or RSA"},
		{"ED448", NULL, "EC, Ed25519 or RSA"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		EVP_PKEY *pkey = rows[i].group ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", rows[i].group)
					       : EVP_PKEY_Q_keygen(NULL, NULL, rows[i].kind);
		struct found found = {.count = 0};
		BIO *bio = BIO_new(BIO_s_mem());
		struct push_error error = {.text = ""};
		char *text;

		PEM_write_bio_PUBKEY(bio, pkey);
		text = text_of(bio);
		assert_int_equal(push_pem_read(str(text), note, &found, &error), PUSH_NOT_FOUND);
		assert_non_null(strstr(error.text, rows[i].text));
		free(text);
		EVP_PKEY_free(pkey);
	}
}

static void
every_allocation_may_fail(void **state)
{
	static const char *const rows[] = {"{" P256 ",\"kid\":\"\\u0061\",\"alg\":\"ES256\"}",
		"{" ED ",\"kid\":\"a\"}", "{" SECRET ",\"kid\":\"a\"}", "{" RSA "}"};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		enum push_status status = PUSH_OUT_OF_MEMORY;

		for (long left = 0; status != PUSH_OK; left++) {
			struct push_error error;
			struct push_key *key;

			assert_true(left < 100);
			allocations_left = left;
			status = push_jwk_read(str(rows[i]), &key, &error);
			allocations_left = -1;
			if (status == PUSH_OK)
				push_key_destroy(key);
			else
				assert_int_equal(status, PUSH_OUT_OF_MEMORY);
		}
	}
}

static void
an_ed25519_key_of_small_order_is_refused(void **state)
{
	static const char *const points[] = {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA", "7P_______________________________________38",
		"7P________________________________________8", "7f_______________________________________38",
		"7f________________________________________8", "7v_______________________________________38",
		"7v________________________________________8", "JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU",
		"JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_IU", "xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA3o",
		"xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA_o"};
	struct push_key *key;
	struct push_error error;
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		snprintf(text, sizeof(text), "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}", points[i]);
		assert_int_equal(
			push_jwk_read((struct push_str){text, strlen(text)}, &key, &error), PUSH_INVALID);
		assert_non_null(strstr(error.text, "Ed25519 key"));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_ed25519_key_of_small_order_is_refused),
		cmocka_unit_test(a_jwk_is_for_one_algorithm),
		cmocka_unit_test(a_jwk_that_is_not_for_us_is_not_found),
		cmocka_unit_test(a_bad_jwk_is_refused_with_a_line),
		cmocka_unit_test(rsa_keys_have_bounds),
		cmocka_unit_test(secrets_and_names_have_bounds),
		cmocka_unit_test(a_pem_text_may_have_several_keys),
		cmocka_unit_test(an_rsa_key_in_pem_is_for_rs256),
		cmocka_unit_test(a_bad_pem_text_is_refused_with_a_line),
		cmocka_unit_test(pem_keys_that_are_not_for_us_are_named),
		cmocka_unit_test(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
