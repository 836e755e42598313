/* Only a token that one of the keys has signed, with that key's algorithm, is taken. */
#include "unit.h"

#include "failing_alloc.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "auth/jws.h"
#include "token_maker.h"

static const struct push_key_reading strict;

static struct push_str
str(const char *text)
{
	return (struct push_str){text, strlen(text)};
}

/* A set with one more JWK. */
static void
add(struct push_key_set *set, const char *jwk)
{
	struct push_error error = {.text = ""};

	assert_int_equal(push_key_set_add(set, str(jwk), &strict, &error), PUSH_OK);
}

static struct push_key_set *
set_of(const struct maker *maker, const char *more)
{
	struct push_key_set *set = push_key_set_create();
	char *jwk = make_jwk(maker, more);

	assert_non_null(set);
	add(set, jwk);
	free(jwk);
	return set;
}

static enum push_token_refusal
verify(const struct push_key_set *set, const char *token)
{
	static struct push_jws jws;
	struct push_error error = {.text = ""};
	enum push_token_refusal refusal = push_jws_verify(&set, 1, str(token), &jws, &error);

	assert_true((refusal == PUSH_TOKEN_OK) == !error.text[0]);
	return refusal;
}

/* --- what others have published --- */

/* A set of the key in a line; NULL if it cannot be used. */
static struct push_key_set *
set_of_line(const char *jwk)
{
	struct push_key_set *set = push_key_set_create();
	struct push_error error = {.text = ""};
	enum push_status status = push_key_set_add(set, str(jwk), &strict, &error);

	if (status == PUSH_OK)
		return set;
	assert_int_equal(status, PUSH_NOT_FOUND);
	push_key_set_destroy(set);
	return NULL;
}

static void
every_published_vector_has_its_verdict(void **state)
{
	FILE *file = fopen(PUSH_TEST_DATA "/jws_vectors.txt", "r");
	struct push_key_set *set = NULL;
	size_t good = 0, bad = 0;
	char line[8192];

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		char verdict[8], name[80], token[4200];

		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "key ", 4)) {
			push_key_set_destroy(set);
			set = set_of_line(line + 4);
			continue;
		}
		if (*line == '#')
			continue;
		assert_int_equal(sscanf(line, "%7s %79s %4199s", verdict, name, token), 3);
		if ((verify(set, token) == PUSH_TOKEN_OK) != !strcmp(verdict, "good"))
			fail_msg("%s is %s", name, verdict);
		*(*verdict == 'g' ? &good : &bad) += 1;
	}
	push_key_set_destroy(set);
	fclose(file);
	assert_true(good >= 25 && bad >= 150);
}

/* --- the form --- */

#define PAYLOAD "{\"sub\":\"me\"}"

static void
headers_are_strict(void **state)
{
	static const struct {
		const char *header;
		enum push_token_refusal refusal;
	} rows[] = {
		{"{\"alg\":\"HS256\"}", PUSH_TOKEN_OK},
		{" { \"alg\" : \"HS256\" , \"typ\" : \"JWT\" } ", PUSH_TOKEN_OK},
		{"{\"alg\":\"HS256\",\"typ\":\"jwt\"}", PUSH_TOKEN_OK},
		{"{\"alg\":\"HS256\",\"typ\":\"at+JWT\"}", PUSH_TOKEN_OK},
		{"{\"alg\":\"HS256\",\"typ\":\"application/jwt\"}", PUSH_TOKEN_OK},
		{"{\"alg\":\"HS256\",\"typ\":\"application/at+jwt\"}", PUSH_TOKEN_OK},
		{"{\"\\u0061lg\":\"\\u0048S256\"}", PUSH_TOKEN_OK},
		{"{\"alg\":\"HS256\",\"kid\":\"\"}", PUSH_TOKEN_OK},
		{"{\"alg\":\"HS256\",\"x5c\":[],\"x5t\":\"a\",\"cty\":\"a\",\"own\":{\"a\":1}}",
			PUSH_TOKEN_OK},
		/* a token for something else (RFC 8725, 3.11) */
		{"{\"alg\":\"HS256\",\"typ\":\"logout+jwt\"}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"typ\":\"JOSE\"}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"typ\":\"\"}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"typ\":null}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"typ\":[\"JWT\"]}", PUSH_TOKEN_HEADER},
		/* two readers may take another one of the two */
		{"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"none\",\"alg\":\"HS256\"}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"\\u0061lg\":\"HS256\"}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"own\":1,\"own\":2}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"crit\":[]}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"crit\":null}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"b64\":true}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"b64\":false}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"jku\":\"https://example.com\"}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"x5u\":\"https://example.com\"}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"jwk\":{}}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"j\\u0077k\":{}}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"kid\":1}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"HS256\",\"kid\":null}", PUSH_TOKEN_HEADER},
		{"{}", PUSH_TOKEN_HEADER},
		{"{\"alg\":256}", PUSH_TOKEN_HEADER},
		{"{\"alg\":null}", PUSH_TOKEN_HEADER},
		{"{\"alg\":[\"HS256\"]}", PUSH_TOKEN_HEADER},
		{"{\"alg\":\"\"}", PUSH_TOKEN_ALGORITHM},
		{"{\"alg\":\"none\"}", PUSH_TOKEN_ALGORITHM},
		{"{\"alg\":\"nOnE\"}", PUSH_TOKEN_ALGORITHM},
		{"{\"alg\":\"hs256\"}", PUSH_TOKEN_ALGORITHM},
		{"{\"alg\":\"HS256\\u0000\"}", PUSH_TOKEN_ALGORITHM},
		{"{\"alg\":\"HS256 \"}", PUSH_TOKEN_ALGORITHM},
		{"{\"alg\":\"HS384\"}", PUSH_TOKEN_ALGORITHM},
		{"{\"alg\":\"a name that is longer than any algorithm has\"}", PUSH_TOKEN_ALGORITHM},
		{"{\"alg\":\"ES256\"}", PUSH_TOKEN_UNKNOWN_KEY},
		{"", PUSH_TOKEN_MALFORMED},
		{"null", PUSH_TOKEN_MALFORMED},
		{"[]", PUSH_TOKEN_MALFORMED},
		{"\"HS256\"", PUSH_TOKEN_MALFORMED},
		{"{\"alg\":\"HS256\"", PUSH_TOKEN_MALFORMED},
		{"{\"alg\":\"HS256\"}}", PUSH_TOKEN_MALFORMED},
		{"{\"alg\":\"HS256\",}", PUSH_TOKEN_MALFORMED},
		{"{'alg':'HS256'}", PUSH_TOKEN_MALFORMED},
		{"{\"alg\":\"HS256\",\"own\":\"\xff\"}", PUSH_TOKEN_MALFORMED},
	};
	struct push_key_set *set;
	struct maker maker;

	(void)state;
	maker_init(&maker, PUSH_KEY_HS256);
	set = set_of(&maker, "");
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *token = make_token(&maker, rows[i].header, PAYLOAD);
		enum push_token_refusal refusal = verify(set, token);

		if (refusal != rows[i].refusal)
			fail_msg("%s: %s", rows[i].header, push_token_refusal_label(refusal));
		free(token);
	}
	push_key_set_destroy(set);
}

/* A header with a `kid` of so many bytes, or so many members beside `alg`. */
static enum push_token_refusal
verify_sized(const struct push_key_set *set, const struct maker *maker, size_t kid_size, size_t members)
{
	char header[4096] = "{\"alg\":\"HS256\"", *token;
	enum push_token_refusal refusal;

	if (kid_size)
		sprintf(header + strlen(header), ",\"kid\":\"%0*d\"", (int)kid_size, 0);
	for (size_t i = 0; i < members; i++)
		sprintf(header + strlen(header), ",\"%zu\":0", i);
	strcat(header, "}");
	token = make_token(maker, header, "");
	refusal = verify(set, token);
	free(token);
	return refusal;
}

static void
sizes_are_bounded(void **state)
{
	static const char header[] = "{\"alg\":\"HS256\"}";
	char payload[4096];
	struct push_key_set *set;
	struct maker maker;

	(void)state;
	maker_init(&maker, PUSH_KEY_HS256);
	set = set_of(&maker, "");
	assert_int_equal(verify_sized(set, &maker, 255, 0), PUSH_TOKEN_OK);
	assert_int_equal(verify_sized(set, &maker, 256, 0), PUSH_TOKEN_HEADER);
	assert_int_equal(verify_sized(set, &maker, 0, 127), PUSH_TOKEN_OK);
	assert_int_equal(verify_sized(set, &maker, 0, 128), PUSH_TOKEN_HEADER);
	/* 20 for the header, 43 for the signature, two dots: 4031 for the payload */
	for (size_t size = 3022; size <= 3025; size++) {
		char *token;

		memset(payload, ' ', size);
		payload[size] = '\0';
		token = make_token(&maker, header, payload);
		assert_int_equal(verify(set, token),
			strlen(token) <= PUSH_TOKEN_BYTES_MAX ? PUSH_TOKEN_OK : PUSH_TOKEN_TOO_LONG);
		free(token);
	}
	push_key_set_destroy(set);
}

static void
a_token_has_three_parts_in_base64url(void **state)
{
	static const char *const rows[] = {"", ".", "..", "...", "a", "e30.e30", "e30.e30.AA.AA", ".e30.AA",
		"e30=.e30.AA", "e30.e30=.AA", "e30.e30.AA==", "e30.e30.A", " e30.e30.AA", "e30.e30.AA\n",
		"e3 0.e30.AA", "e31.e30.AA", "e30.e31.AA", "e30.e30.AB", "{}.e30.AA"};
	struct push_key_set *set;
	struct maker maker;

	(void)state;
	maker_init(&maker, PUSH_KEY_HS256);
	set = set_of(&maker, "");
	for (size_t i = 0; i < COUNT(rows); i++)
		if (verify(set, rows[i]) != PUSH_TOKEN_MALFORMED)
			fail_msg("'%s'", rows[i]);
	push_key_set_destroy(set);
}

static void
the_payload_is_what_was_signed(void **state)
{
	static struct push_jws jws;
	struct push_key_set *set;
	struct push_error error = {.text = ""};
	struct maker maker;
	char *token;

	(void)state;
	maker_init(&maker, PUSH_KEY_HS256);
	set = set_of(&maker, "");
	token = make_token(&maker, "{\"alg\":\"HS256\"}", PAYLOAD);
	assert_int_equal(
		push_jws_verify((const struct push_key_set *const *)&set, 1, str(token), &jws, &error),
		PUSH_TOKEN_OK);
	assert_int_equal(jws.payload_size, strlen(PAYLOAD));
	assert_memory_equal(jws.payload, PAYLOAD, jws.payload_size);
	free(token);
	push_key_set_destroy(set);
}

/* --- forgeries --- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=";

static void
a_token_with_any_character_changed_is_refused(void **state)
{
	static const enum push_key_algorithm algorithms[] = {
		PUSH_KEY_HS256, PUSH_KEY_ES256, PUSH_KEY_ES384, PUSH_KEY_EDDSA};

	(void)state;
	for (size_t i = 0; i < COUNT(algorithms); i++) {
		struct push_key_set *set;
		struct maker maker;
		char header[64], *token;

		maker_init(&maker, algorithms[i]);
		set = set_of(&maker, "");
		sprintf(header, "{\"alg\":\"%s\"}", push_key_algorithm_name(algorithms[i]));
		token = make_token(&maker, header, "{}");
		assert_int_equal(verify(set, token), PUSH_TOKEN_OK);
		for (char *at = token; *at; at++) {
			char was = *at;

			/* all in the last one, of which the lower bits are unused; valgrind is slow with EC */
			size_t step = at[1] ? sizeof(alphabet) - 1 : 1;

			if (algorithms[i] == PUSH_KEY_ES384 && (at - token) % 8)
				continue;
			for (size_t j = at[1] ? (size_t)(at - token) % step : 0; j < sizeof(alphabet) - 1;
				j += step) {
				if (alphabet[j] == was)
					continue;
				*at = alphabet[j];
				assert_int_not_equal(verify(set, token), PUSH_TOKEN_OK);
			}
			*at = was;
		}
		for (size_t size = strlen(token); size--;) {
			token[size] = '\0';
			assert_int_not_equal(verify(set, token), PUSH_TOKEN_OK);
		}
		free(token);
		push_key_set_destroy(set);
		maker_fini(&maker);
	}
}

/* The public key as somebody may have it: `form` 0 its point, 1 in DER, 2 in PEM. */
static size_t
public_bytes(const struct maker *maker, int form, unsigned char *to)
{
	unsigned char *at = to;
	char *pem;
	size_t size = 512;
	BIO *bio;

	if (!form)
		return EVP_PKEY_get_octet_string_param(maker->pkey, OSSL_PKEY_PARAM_PUB_KEY, to, size, &size)
			       ? size
			       : 0;
	if (form == 1)
		return (size_t)i2d_PUBKEY(maker->pkey, &at);
	bio = BIO_new(BIO_s_mem());
	PEM_write_bio_PUBKEY(bio, maker->pkey);
	size = (size_t)BIO_get_mem_data(bio, &pem);
	memcpy(to, pem, size);
	BIO_free(bio);
	return size;
}

static void
a_public_key_is_no_secret(void **state)
{
	struct push_key_set *set, *named;
	struct maker maker;

	(void)state;
	maker_init(&maker, PUSH_KEY_ES256);
	set = set_of(&maker, "");
	named = set_of(&maker, ",\"kid\":\"k\"");
	for (int form = 0; form < 3; form++) {
		unsigned char secret[512], mac[32];
		char token[512] = "", *dot;
		unsigned int length;

		append_base64url(token, "{\"alg\":\"HS256\",\"kid\":\"k\"}", 25);
		strcat(token, ".e30");
		HMAC(EVP_sha256(), secret, (int)public_bytes(&maker, form, secret), (unsigned char *)token,
			strlen(token), mac, &length);
		dot = token + strlen(token);
		strcpy(dot, ".");
		append_base64url(token, mac, sizeof(mac));
		assert_int_equal(verify(set, token), PUSH_TOKEN_UNKNOWN_KEY);
		assert_int_equal(verify(named, token), PUSH_TOKEN_ALGORITHM);
		/* nor is nothing a signature */
		dot[1] = '\0';
		assert_int_equal(verify(named, token), PUSH_TOKEN_ALGORITHM);
	}
	push_key_set_destroy(set);
	push_key_set_destroy(named);
	maker_fini(&maker);
}

static void
a_signature_has_its_exact_length(void **state)
{
	static const enum push_key_algorithm algorithms[] = {
		PUSH_KEY_HS256, PUSH_KEY_ES256, PUSH_KEY_ES384, PUSH_KEY_EDDSA};

	(void)state;
	for (size_t i = 0; i < COUNT(algorithms); i++) {
		unsigned char signature[256] = {0};
		struct push_key_set *set;
		struct maker maker;
		char header[64], *token, *part;
		size_t size;

		maker_init(&maker, algorithms[i]);
		set = set_of(&maker, "");
		sprintf(header, "{\"alg\":\"%s\"}", push_key_algorithm_name(algorithms[i]));
		token = make_token(&maker, header, "{}");
		part = strrchr(token, '.') + 1;
		assert_true(push_base64url_decode(str(part), signature, sizeof(signature), &size));
		for (size_t length = 0; length < sizeof(signature) - 2; length++) {
			*part = '\0';
			append_base64url(token, signature, length);
			assert_int_equal(
				verify(set, token), length == size ? PUSH_TOKEN_OK : PUSH_TOKEN_SIGNATURE);
		}
		free(token);
		push_key_set_destroy(set);
		maker_fini(&maker);
	}
}

static void
a_signature_in_der_is_refused(void **state)
{
	unsigned char der[128];
	size_t size = sizeof(der);
	char token[512] = "eyJhbGciOiJFUzI1NiJ9.e30";
	struct push_key_set *set;
	EVP_MD_CTX *context;
	struct maker maker;

	(void)state;
	maker_init(&maker, PUSH_KEY_ES256);
	set = set_of(&maker, "");
	context = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit_ex(context, NULL, "SHA256", NULL, NULL, maker.pkey, NULL), 1);
	assert_int_equal(EVP_DigestSign(context, der, &size, (unsigned char *)token, strlen(token)), 1);
	EVP_MD_CTX_free(context);
	strcat(token, ".");
	append_base64url(token, der, size);
	assert_int_equal(verify(set, token), PUSH_TOKEN_SIGNATURE);
	push_key_set_destroy(set);
	maker_fini(&maker);
}

/* --- which key --- */

static void
a_key_is_found_by_its_name(void **state)
{
	struct maker one, other, stranger;
	struct push_key_set *set;
	char *jwk, *token;

	(void)state;
	maker_init(&one, PUSH_KEY_ES256);
	maker_init(&other, PUSH_KEY_ES256);
	maker_init(&stranger, PUSH_KEY_ES256);
	set = set_of(&one, ",\"kid\":\"one\"");
	jwk = make_jwk(&other, ",\"kid\":\"o\\u0074her\"");
	add(set, jwk);
	free(jwk);
	{
		const struct {
			const struct maker *maker;
			const char *header;
			enum push_token_refusal refusal;
		} rows[] = {
			{&one, "{\"alg\":\"ES256\",\"kid\":\"one\"}", PUSH_TOKEN_OK},
			{&other, "{\"alg\":\"ES256\",\"kid\":\"other\"}", PUSH_TOKEN_OK},
			{&other, "{\"alg\":\"ES256\"}", PUSH_TOKEN_OK},
			{&one, "{\"alg\":\"ES256\",\"kid\":\"other\"}", PUSH_TOKEN_SIGNATURE},
			{&one, "{\"alg\":\"ES256\",\"kid\":\"one \"}", PUSH_TOKEN_UNKNOWN_KEY},
			{&one, "{\"alg\":\"ES256\",\"kid\":\"One\"}", PUSH_TOKEN_UNKNOWN_KEY},
			{&stranger, "{\"alg\":\"ES256\"}", PUSH_TOKEN_SIGNATURE},
			{&stranger, "{\"alg\":\"ES256\",\"kid\":\"one\"}", PUSH_TOKEN_SIGNATURE},
		};

		for (size_t i = 0; i < COUNT(rows); i++) {
			token = make_token(rows[i].maker, rows[i].header, "{}");
			assert_int_equal(verify(set, token), rows[i].refusal);
			free(token);
		}
	}
	/* one without a name may be that of a token that names one, unless another key has it */
	jwk = make_jwk(&stranger, "");
	add(set, jwk);
	free(jwk);
	token = make_token(&stranger, "{\"alg\":\"ES256\",\"kid\":\"its own\"}", "{}");
	assert_int_equal(verify(set, token), PUSH_TOKEN_OK);
	free(token);
	token = make_token(&stranger, "{\"alg\":\"ES256\",\"kid\":\"one\"}", "{}");
	assert_int_equal(verify(set, token), PUSH_TOKEN_SIGNATURE);
	free(token);
	/* the wrong one, but the right one may not have been fetched yet */
	token = make_token(&one, "{\"alg\":\"ES256\",\"kid\":\"new\"}", "{}");
	assert_int_equal(verify(set, token), PUSH_TOKEN_UNKNOWN_KEY);
	free(token);
	push_key_set_destroy(set);
	maker_fini(&one);
	maker_fini(&other);
	maker_fini(&stranger);
}

static void
keys_of_several_sets_are_tried_but_only_so_many(void **state)
{
	struct maker makers[PUSH_KEY_CANDIDATES_MAX + 1];
	struct push_key_set *sets[3] = {push_key_set_create(), NULL, push_key_set_create()};
	static struct push_jws jws;
	struct push_error error = {.text = ""};

	(void)state;
	for (size_t i = 0; i < COUNT(makers); i++) {
		char *jwk;

		maker_init(&makers[i], PUSH_KEY_EDDSA);
		jwk = make_jwk(&makers[i], "");
		add(sets[i < 3 ? 0 : 2], jwk);
		free(jwk);
	}
	for (size_t i = 0; i < COUNT(makers); i++) {
		char *token = make_token(&makers[i], "{\"alg\":\"EdDSA\"}", "{}");

		assert_int_equal(push_jws_verify((const struct push_key_set *const *)sets, 3, str(token),
					 &jws, &error),
			i < PUSH_KEY_CANDIDATES_MAX ? PUSH_TOKEN_OK : PUSH_TOKEN_SIGNATURE);
		free(token);
		/* RFC 9864's name for it */
		token = make_token(&makers[i], "{\"alg\":\"Ed25519\"}", "{}");
		assert_int_equal(push_jws_verify((const struct push_key_set *const *)sets, 3, str(token),
					 &jws, &error),
			i < PUSH_KEY_CANDIDATES_MAX ? PUSH_TOKEN_OK : PUSH_TOKEN_SIGNATURE);
		free(token);
		maker_fini(&makers[i]);
	}
	push_key_set_destroy(sets[0]);
	push_key_set_destroy(sets[2]);
}

/* --- what else could go wrong --- */

static void
a_refusal_leaves_no_error_for_tls(void **state)
{
	struct push_key_set *set;
	struct maker maker;
	char *token;

	(void)state;
	maker_init(&maker, PUSH_KEY_ES256);
	set = set_of(&maker, "");
	token = make_token(&maker, "{\"alg\":\"ES256\"}", "{}");
	strcpy(strrchr(token, '.') + 1,
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	ERR_clear_error();
	assert_int_equal(verify(set, token), PUSH_TOKEN_SIGNATURE);
	assert_int_equal(ERR_peek_error(), 0);
	free(token);
	push_key_set_destroy(set);
	maker_fini(&maker);
}

static void
no_forged_token_is_taken_when_memory_is_out(void **state)
{
	static const enum push_key_algorithm algorithms[] = {PUSH_KEY_HS256, PUSH_KEY_ES256, PUSH_KEY_EDDSA};

	(void)state;
	for (size_t i = 0; i < COUNT(algorithms); i++) {
		enum push_token_refusal refusal = PUSH_TOKEN_MEMORY;
		struct push_key_set *set;
		struct maker maker;
		char header[64], *token, *forged;

		maker_init(&maker, algorithms[i]);
		set = set_of(&maker, ",\"kid\":\"k\"");
		sprintf(header, "{\"alg\":\"%s\",\"kid\":\"k\"}", push_key_algorithm_name(algorithms[i]));
		token = make_token(&maker, header, "{}");
		sprintf(header, "{\"alg\":\"%s\",\"kid\":\"\\u006b\"}",
			push_key_algorithm_name(algorithms[i]));
		forged = make_token(&maker, header, "{}");
		strcpy(strrchr(forged, '.'), strrchr(token, '.'));
		for (long left = 0; refusal != PUSH_TOKEN_OK; left++) {
			assert_true(left < 10000);
			allocations_left = left;
			refusal = verify(set, token);
			allocations_left = left;
			assert_int_not_equal(verify(set, forged), PUSH_TOKEN_OK);
			allocations_left = -1;
			/* some of OpenSSL's own failures do not say that memory is out */
			if (refusal != PUSH_TOKEN_OK && refusal != PUSH_TOKEN_MEMORY)
				assert_true(refusal == PUSH_TOKEN_SIGNATURE && maker.pkey);
		}
		free(token);
		free(forged);
		push_key_set_destroy(set);
		maker_fini(&maker);
	}
}

static void *
openssl_malloc(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(size);
}

static void *
openssl_realloc(void *old, size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return realloc(old, size);
}

static void
openssl_free(void *bytes, const char *file, int line)
{
	(void)file;
	(void)line;
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_published_vector_has_its_verdict),
		cmocka_unit_test(headers_are_strict),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(a_token_has_three_parts_in_base64url),
		cmocka_unit_test(the_payload_is_what_was_signed),
		cmocka_unit_test(a_token_with_any_character_changed_is_refused),
		cmocka_unit_test(a_public_key_is_no_secret),
		cmocka_unit_test(a_signature_has_its_exact_length),
		cmocka_unit_test(a_signature_in_der_is_refused),
		cmocka_unit_test(a_key_is_found_by_its_name),
		cmocka_unit_test(keys_of_several_sets_are_tried_but_only_so_many),
		cmocka_unit_test(a_refusal_leaves_no_error_for_tls),
		cmocka_unit_test(no_forged_token_is_taken_when_memory_is_out),
	};

	/* OpenSSL's allocations can fail, too */
	if (CRYPTO_set_mem_functions(openssl_malloc, openssl_realloc, openssl_free) != 1)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
