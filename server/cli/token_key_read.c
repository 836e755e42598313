/* token_key_read.c - the private key in a file; see token_signer.h. */
#include <errno.h>
#include <json-c/json.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "auth/base64url.h"
#include "token_signer.h"

#define NUMBER_BYTES_MAX (PUSH_KEY_RSA_BITS_MAX / 8)
#define NUMBERS_MAX      8
#define POINT_BYTES_MAX  97 /* a mark, x and y of P-384 */
#define GROUP_BYTES_MAX  64

/* What it takes to read one key. */
struct reading {
	struct token_signer *signer;
	const char *algorithm; /* asked for; NULL: nothing is */
	const char *why;       /* static: what is wrong */
};

static bool
fail(struct reading *reading, const char *why)
{
	reading->why = why;
	return false;
}

static const char *
text_of(struct json_object *jwk, const char *name)
{
	struct json_object *member;

	return json_object_object_get_ex(jwk, name, &member) && json_object_is_type(member, json_type_string)
		       ? json_object_get_string(member)
		       : NULL;
}

/* The bytes of a member in base64url; false: there is none, or it is malformed. */
static bool
bytes_of(struct json_object *jwk, const char *name, unsigned char *to, size_t room, size_t *ret_size)
{
	const char *text = text_of(jwk, name);

	return text && push_base64url_decode((struct push_str){text, strlen(text)}, to, room, ret_size) &&
	       *ret_size;
}

static BIGNUM *
number_of(struct json_object *jwk, const char *name)
{
	unsigned char bytes[NUMBER_BYTES_MAX];
	size_t size;
	BIGNUM *number = NULL;

	if (bytes_of(jwk, name, bytes, sizeof(bytes), &size))
		number = BN_bin2bn(bytes, (int)size, NULL);
	OPENSSL_cleanse(bytes, sizeof(bytes));
	return number;
}

static EVP_PKEY *
key_from(const char *type, OSSL_PARAM_BLD *build)
{
	OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *pkey = NULL;

	if (!parameters || !context || EVP_PKEY_fromdata_init(context) != 1 ||
		EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_KEYPAIR, parameters) != 1)
		pkey = NULL;
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(parameters);
	return pkey;
}

static bool
read_rsa(struct json_object *jwk, struct reading *reading)
{
	static const struct {
		const char *name, *parameter;
	} members[NUMBERS_MAX] = {
		{"n", OSSL_PKEY_PARAM_RSA_N},
		{"e", OSSL_PKEY_PARAM_RSA_E},
		{"d", OSSL_PKEY_PARAM_RSA_D},
		{"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
		{"q", OSSL_PKEY_PARAM_RSA_FACTOR2},
		{"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
		{"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2},
		{"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1},
	};
	OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	BIGNUM *numbers[NUMBERS_MAX] = {NULL};
	bool is_whole = build != NULL;

	for (size_t i = 0; is_whole && i < NUMBERS_MAX; i++) {
		numbers[i] = number_of(jwk, members[i].name);
		is_whole = numbers[i] && OSSL_PARAM_BLD_push_BN(build, members[i].parameter, numbers[i]);
	}
	if (is_whole)
		reading->signer->pkey = key_from("RSA", build);
	for (size_t i = 0; i < NUMBERS_MAX; i++)
		BN_clear_free(numbers[i]);
	OSSL_PARAM_BLD_free(build);
	if (!reading->signer->pkey)
		return fail(reading, "an RSA key needs the members n, e, d, p, q, dp, dq and qi");
	return true;
}

/* 4, x, y (SEC 1, 2.3.3). */
static bool
point_of(struct json_object *jwk, size_t half, unsigned char point[POINT_BYTES_MAX])
{
	size_t x_size, y_size;

	point[0] = 4;
	return bytes_of(jwk, "x", point + 1, half, &x_size) && x_size == half &&
	       bytes_of(jwk, "y", point + 1 + half, half, &y_size) && y_size == half;
}

static bool
is_pair(EVP_PKEY *pkey)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
	bool is_one = context && EVP_PKEY_pairwise_check(context) == 1;

	EVP_PKEY_CTX_free(context);
	return is_one;
}

static bool
read_ec(struct json_object *jwk, struct reading *reading)
{
	const char *curve = text_of(jwk, "crv");
	bool is_p256 = curve && !strcmp(curve, "P-256"), is_p384 = curve && !strcmp(curve, "P-384");
	size_t half = is_p256 ? 32 : 48;
	unsigned char point[POINT_BYTES_MAX];
	OSSL_PARAM_BLD *build;
	BIGNUM *private_number;

	if (!is_p256 && !is_p384)
		return fail(reading, "crv must be P-256 or P-384");
	reading->signer->algorithm = is_p256 ? PUSH_KEY_ES256 : PUSH_KEY_ES384;
	if (!point_of(jwk, half, point))
		return fail(reading, "x and y must be numbers of the curve in base64url");
	build = OSSL_PARAM_BLD_new();
	private_number = number_of(jwk, "d");
	if (build && private_number &&
		OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) &&
		OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 2 * half + 1) &&
		OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, private_number))
		reading->signer->pkey = key_from("EC", build);
	BN_clear_free(private_number);
	OSSL_PARAM_BLD_free(build);
	return (reading->signer->pkey && is_pair(reading->signer->pkey)) ||
	       fail(reading, "d is not the private key of x and y");
}

static bool
read_okp(struct json_object *jwk, struct reading *reading)
{
	const char *curve = text_of(jwk, "crv");
	unsigned char secret[32], public[32], own[32];
	size_t size = 0, public_size = 0, own_size = sizeof(own);

	if (!curve || strcmp(curve, "Ed25519") != 0)
		return fail(reading, "crv must be Ed25519");
	reading->signer->algorithm = PUSH_KEY_EDDSA;
	if (bytes_of(jwk, "d", secret, sizeof(secret), &size) && size == sizeof(secret))
		reading->signer->pkey = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, size);
	OPENSSL_cleanse(secret, sizeof(secret));
	return (reading->signer->pkey && bytes_of(jwk, "x", public, sizeof(public), &public_size) &&
		       EVP_PKEY_get_raw_public_key(reading->signer->pkey, own, &own_size) == 1 &&
		       public_size == own_size && !memcmp(public, own, own_size)) ||
	       fail(reading, "d is not the private key of x");
}

static bool
read_oct(struct json_object *jwk, struct reading *reading)
{
	struct token_signer *signer = reading->signer;

	signer->algorithm = PUSH_KEY_HS256;
	if (!bytes_of(jwk, "k", signer->secret, sizeof(signer->secret), &signer->secret_size) ||
		signer->secret_size < PUSH_KEY_SECRET_BYTES_MIN)
		return fail(reading, "k must be a secret of 32 to 512 bytes in base64url");
	return true;
}

_Static_assert(PUSH_KEY_SECRET_BYTES_MIN == 32 && PUSH_KEY_SECRET_BYTES_MAX == 512, "as the text says");

_Static_assert(PUSH_KEY_RSA_BITS_MIN == 2048 && PUSH_KEY_RSA_BITS_MAX == 8192, "as the text says");

/* Which of the two an RSA key is for: as its file says, else as is asked for. */
static bool
choose_rsa(struct reading *reading, const char *said)
{
	const char *name = said ? said : reading->algorithm ? reading->algorithm : "RS256";

	if (strcmp(name, "RS256") != 0 && strcmp(name, "PS256") != 0)
		return fail(reading, "an RSA key is for RS256 or PS256");
	reading->signer->algorithm = strcmp(name, "RS256") != 0 ? PUSH_KEY_PS256 : PUSH_KEY_RS256;
	return true;
}

/* That the file and --alg do not say something else, and that a server takes it. */
static bool
is_algorithm(struct reading *reading, const char *said)
{
	const char *name = push_key_algorithm_name(reading->signer->algorithm);
	int bits = reading->signer->pkey ? EVP_PKEY_get_bits(reading->signer->pkey) : 0;
	bool is_rsa =
		reading->signer->algorithm == PUSH_KEY_RS256 || reading->signer->algorithm == PUSH_KEY_PS256;

	if (is_rsa && (bits < PUSH_KEY_RSA_BITS_MIN || bits > PUSH_KEY_RSA_BITS_MAX))
		return fail(reading, "an RSA key must have 2048 to 8192 bits");

	if (said && strcmp(said, name) != 0)
		return fail(reading, "alg does not fit the kind of key");
	if (reading->algorithm && strcmp(reading->algorithm, name) != 0)
		return fail(reading, "it is for another algorithm than --alg");
	return true;
}

static bool
read_jwk(struct json_object *jwk, struct reading *reading)
{
	const char *kind = text_of(jwk, "kty"), *algorithm = text_of(jwk, "alg"), *id = text_of(jwk, "kid");
	bool is_read;

	if (!kind)
		return fail(reading, "no kty: not a JWK");
	if (strcmp(kind, "oct") != 0 && !text_of(jwk, "d"))
		return fail(reading, "a public key: tokens are made with the private one");
	if (!strcmp(kind, "RSA"))
		is_read = choose_rsa(reading, algorithm) && read_rsa(jwk, reading);
	else if (!strcmp(kind, "EC"))
		is_read = read_ec(jwk, reading);
	else if (!strcmp(kind, "OKP"))
		is_read = read_okp(jwk, reading);
	else if (!strcmp(kind, "oct"))
		is_read = read_oct(jwk, reading);
	else
		return fail(reading, "kty must be EC, OKP, RSA or oct");
	if (!is_read || !is_algorithm(reading, algorithm))
		return false;
	if (id && strlen(id) > PUSH_KEY_ID_BYTES_MAX)
		return fail(reading, "kid is longer than 255 bytes");
	if (id)
		strcpy(reading->signer->id, id);
	else if (reading->signer->pkey && !token_signer_set_thumbprint(reading->signer))
		return fail(reading, "OpenSSL cannot read it");
	return true;
}

/* The key of a set that is asked for; the only one, if nothing is. */
static struct json_object *
key_of_set(struct json_object *keys, const char *id, struct reading *reading)
{
	size_t count = json_object_array_length(keys);
	struct json_object *found = NULL;

	for (size_t i = 0; i < count; i++) {
		struct json_object *key = json_object_array_get_idx(keys, i);
		const char *own = text_of(key, "kid");

		if (!id || (own && !strcmp(own, id)))
			found = key;
	}
	if (!id && count > 1)
		(void)fail(reading, "a set of several keys: choose one with --kid");
	else if (!found)
		(void)fail(reading, id ? "no key of the set has the kid of --kid" : "a set without keys");
	return reading->why ? NULL : found;
}

static bool
read_json(const char *text, size_t size, const char *id, struct reading *reading)
{
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *document = tokener ? json_tokener_parse_ex(tokener, text, (int)size) : NULL,
			   *keys, *jwk = document;
	bool is_read = false;

	if (!json_object_is_type(document, json_type_object))
		(void)fail(reading, "not valid JSON");
	else if (json_object_object_get_ex(document, "keys", &keys) &&
		 json_object_is_type(keys, json_type_array))
		jwk = key_of_set(keys, id, reading);
	if (!reading->why)
		is_read = read_jwk(jwk, reading);
	json_object_put(document);
	json_tokener_free(tokener);
	return is_read;
}

/* Nobody is asked for a passphrase. */
static int
no_passphrase(char *to, int size, int is_writing, void *context)
{
	(void)to;
	(void)size;
	(void)is_writing;
	(void)context;
	return -1;
}

static bool
is_group(const EVP_PKEY *pkey, const char *name)
{
	char group[GROUP_BYTES_MAX];

	return EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) == 1 && !strcmp(group, name);
}

static bool
find_algorithm(struct reading *reading)
{
	struct token_signer *signer = reading->signer;

	switch (EVP_PKEY_get_base_id(signer->pkey)) {
	case EVP_PKEY_ED25519: signer->algorithm = PUSH_KEY_EDDSA; break;
	case EVP_PKEY_RSA_PSS: signer->algorithm = PUSH_KEY_PS256; break;
	case EVP_PKEY_RSA:
		if (!choose_rsa(reading, NULL))
			return false;
		break;
	case EVP_PKEY_EC:
		if (!is_group(signer->pkey, "prime256v1") && !is_group(signer->pkey, "secp384r1"))
			return fail(reading, "the curve must be P-256 or P-384");
		signer->algorithm = is_group(signer->pkey, "prime256v1") ? PUSH_KEY_ES256 : PUSH_KEY_ES384;
		break;
	default: return fail(reading, "must be an EC, an Ed25519 or an RSA key");
	}
	return true;
}

static bool
read_pem(const char *text, size_t size, struct reading *reading)
{
	BIO *bio = BIO_new_mem_buf(text, (int)size);

	reading->signer->pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
	BIO_free(bio);
	ERR_clear_error();
	if (!reading->signer->pkey && memmem(text, size, "ENCRYPTED", 9))
		return fail(reading, "encrypted: remove the passphrase first (openssl pkey -in ...)");
	if (!reading->signer->pkey && memmem(text, size, "PUBLIC KEY-----", 15))
		return fail(reading, "a public key: tokens are made with the private one");
	if (!reading->signer->pkey)
		return fail(reading, "neither a JWK nor a private key in PEM");
	if (!find_algorithm(reading) || !is_algorithm(reading, NULL))
		return false;
	return token_signer_set_thumbprint(reading->signer) || fail(reading, "OpenSSL cannot read it");
}

static bool
read_file(const char *path, struct push_buf *text, struct push_error *error)
{
	char piece[4096];
	FILE *file = fopen(path, "re");
	size_t size;

	while (file && text->status == PUSH_OK && (size = fread(piece, 1, sizeof(piece), file)) > 0)
		push_buf_append(text, piece, size);
	if (!file || ferror(file))
		snprintf(error->text, sizeof(error->text), "%s: %s", path, strerror(errno));
	else if (text->status == PUSH_TOO_LARGE)
		snprintf(error->text, sizeof(error->text), "%s: larger than 256 kB: not a key", path);
	else
		error->text[0] = '\0';
	if (file)
		fclose(file);
	OPENSSL_cleanse(piece, sizeof(piece));
	return !error->text[0] && text->status == PUSH_OK;
}

bool
token_signer_read(struct token_signer *ret_signer, const char *path, const char *algorithm, const char *id,
	struct push_error *error)
{
	struct token_signer signer = {.pkey = NULL};
	struct reading reading = {.signer = &signer, .algorithm = algorithm};
	struct push_buf text;
	size_t space = 0;
	bool is_read;

	push_buf_init(&text, TOKEN_KEY_FILE_BYTES_MAX);
	is_read = read_file(path, &text, error);
	while (is_read && space < text.size && strchr(" \t\r\n", text.bytes[space]))
		space++;
	if (is_read) {
		is_read = space < text.size && text.bytes[space] == '{'
				  ? read_json(text.bytes + space, text.size - space, id, &reading)
				  : read_pem(text.size ? text.bytes : "", text.size, &reading);
		if (!is_read)
			snprintf(error->text, sizeof(error->text), "%s: %s", path, reading.why);
	}
	if (text.bytes)
		OPENSSL_cleanse(text.bytes, text.capacity);
	push_buf_fini(&text);
	if (is_read && id)
		snprintf(signer.id, sizeof(signer.id), "%s", id);
	if (is_read)
		*ret_signer = signer;
	else
		token_signer_fini(&signer);
	return is_read;
}
