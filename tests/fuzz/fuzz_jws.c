/*
 * fuzz_jws.c - whole tokens against fixed keys, and payloads as if they were signed.
 *
 * No input is a signature of one of the keys, but for HS256, whose secret the fuzzer cannot know either: nothing
 * is ever taken but the one good token.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/claims.h"
#include "auth/jws.h"
#include "core/push_assert.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* RFC 7515, A.1 to A.3, and RFC 8037, A.4; the first is the token below's. */
static const char keys[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"h\",\"k\":"
			   "\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0"
			   "iPS4hcgUuTwjAzZr1Z9CAow\"},{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":"
			   "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
			   "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},{\"kty\":\"OKP\",\"crv\":"
			   "\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7Ty"
			   "WQHOg7hcvPapiMlrwIaaPcHURo\"},{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":"
			   "\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji"
			   "9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_"
			   "YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OM"
			   "g0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
			   "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aG"
			   "hyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\"}]}";

static const struct push_key_set *
make_set(void)
{
	static const struct push_key_reading strict;
	struct push_key_set *set = push_key_set_create();
	struct push_error error;

	PUSH_ASSERT(set);
	PUSH_ASSERT(
		push_key_set_add(set, (struct push_str){keys, sizeof(keys) - 1}, &strict, &error) == PUSH_OK);
	return set;
}

static void
check_token(const struct push_key_set *set, const char *text, size_t size)
{
	static struct push_jws jws;
	struct push_error error = {.text = ""};
	enum push_token_refusal refusal =
		push_jws_verify(&set, 1, (struct push_str){text, size}, &jws, &error);

	PUSH_ASSERT(refusal < PUSH_TOKEN_REFUSAL_COUNT);
	PUSH_ASSERT(refusal != PUSH_TOKEN_OK);
	PUSH_ASSERT(error.text[0]);
	/* nothing of the token but what the texts name */
	PUSH_ASSERT(strlen(error.text) < 128);
}

/* As a header, which is in base64url in a token. */
static void
check_header(const struct push_key_set *set, const char *text, size_t size)
{
	static char token[2 * PUSH_TOKEN_BYTES_MAX];
	size_t length = PUSH_BASE64URL_ENCODED_BYTES(size);

	if (length > PUSH_TOKEN_BYTES_MAX)
		return;
	push_base64url_encode((const unsigned char *)text, size, token);
	memcpy(token + length, ".e30.AAAA", 9);
	check_token(set, token, length + 9);
}

static void
check_payload(const char *text, size_t size)
{
	const struct push_claims_clock clock = {.wall_us = 1700000000000000, .now_us = 5000000};
	const struct push_identity *identity = NULL;
	struct push_options options;
	struct push_error error;

	push_options_init(&options);
	memcpy(options.auth_issuer, "a", 2);
	if (push_claims_read((struct push_str){text, size}, &options, &clock, 1, &identity, &error) ==
		PUSH_TOKEN_OK) {
		PUSH_ASSERT(identity && push_identity_facts(identity).expires_us > clock.now_us);
		PUSH_ASSERT(push_identity_facts(identity).user.size <= PUSH_USER_BYTES_MAX);
	} else
		PUSH_ASSERT(!identity);
	push_identity_unref(identity);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct push_key_set *set;
	char *text;

	if (!set)
		set = make_set();
	/* of its own size, so that a read behind it is seen */
	text = malloc(size + !size);
	memcpy(text, data, size);
	check_token(set, text, size);
	check_header(set, text, size);
	check_payload(text, size);
	free(text);
	return 0;
}
