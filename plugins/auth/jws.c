/* jws.c - see jws.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/jsonscan.h"
#include "jws.h"

enum member { ALG, TYP, KID, CRIT, B64, JKU, X5U, JWK, MEMBER_COUNT };

struct header {
	enum push_key_algorithm algorithm;
	bool is_algorithm_known;
	size_t id_size;
	char id[PUSH_KEY_ID_BYTES_MAX];
};

/* A token in its parts, as they are written. */
struct parts {
	struct push_str header, payload, signature;
	struct push_str signed_text; /* header and payload, with the dot between them */
};

static enum push_token_refusal
refuse(enum push_token_refusal refusal, struct push_error *error)
{
	snprintf(error->text, sizeof(error->text), "%s", push_token_refusal_text(refusal));
	return refusal;
}

static enum push_token_refusal
refuse_header(struct push_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

static enum push_token_refusal
refuse_header(struct push_error *error, const char *format, ...)
{
	char why[128];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	snprintf(error->text, sizeof(error->text), "%s: %s", push_token_refusal_text(PUSH_TOKEN_HEADER), why);
	return PUSH_TOKEN_HEADER;
}

static bool
split(struct push_str token, struct parts *parts)
{
	const char *end = token.bytes + token.size, *second;
	const char *first = memchr(token.bytes, '.', token.size);

	if (!first)
		return false;
	second = memchr(first + 1, '.', (size_t)(end - first - 1));
	if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
		return false;
	parts->header = (struct push_str){token.bytes, (size_t)(first - token.bytes)};
	parts->payload = (struct push_str){first + 1, (size_t)(second - first - 1)};
	parts->signature = (struct push_str){second + 1, (size_t)(end - second - 1)};
	parts->signed_text = (struct push_str){token.bytes, (size_t)(second - token.bytes)};
	return true;
}

/* Copies what a string means.  Returns false for anything else, and for one that does not fit. */
static bool
copy_string(
	const struct push_json_member *member, char *to, size_t room, size_t *ret_size, bool *ret_no_memory)
{
	struct push_buf buf;
	bool fits;

	if (!push_json_is_string(member))
		return false;
	push_buf_init(&buf, room);
	push_json_decode_string(&buf, member->text, member->size);
	fits = buf.status == PUSH_OK;
	*ret_no_memory |= buf.status == PUSH_OUT_OF_MEMORY;
	if (fits && buf.size)
		memcpy(to, buf.bytes, buf.size);
	*ret_size = fits ? buf.size : 0;
	push_buf_fini(&buf);
	return fits;
}

static bool
is_token_type(struct push_str type)
{
	return push_str_is(type, "jwt") || push_str_is(type, "at+jwt") ||
	       push_str_is(type, "application/jwt") || push_str_is(type, "application/at+jwt");
}

static enum push_token_refusal
read_header_members(const struct push_json_member *members, struct header *header, struct push_error *error)
{
	char text[32]; /* longer than any that is known */
	size_t size = 0;
	bool no_memory = false;

	for (unsigned int i = CRIT; i < MEMBER_COUNT; i++)
		if (members[i].text)
			return refuse_header(error, "'%s'", members[i].name);
	if (!push_json_is_string(&members[ALG]))
		return refuse_header(error, "'alg' is missing or not a string");
	header->is_algorithm_known =
		copy_string(&members[ALG], text, sizeof(text), &size, &no_memory) &&
		push_key_algorithm_parse((struct push_str){text, size}, &header->algorithm);
	if (members[TYP].text && (!copy_string(&members[TYP], text, sizeof(text), &size, &no_memory) ||
					 !is_token_type((struct push_str){text, size})))
		return no_memory ? refuse(PUSH_TOKEN_MEMORY, error)
				 : refuse_header(error, "'typ' is not JWT");
	if (members[KID].text &&
		!copy_string(&members[KID], header->id, sizeof(header->id), &header->id_size, &no_memory))
		return no_memory ? refuse(PUSH_TOKEN_MEMORY, error)
				 : refuse_header(error, "'kid' is not a string of at most %d bytes",
					   PUSH_KEY_ID_BYTES_MAX);
	if (no_memory)
		return refuse(PUSH_TOKEN_MEMORY, error);
	return header->is_algorithm_known ? PUSH_TOKEN_OK : refuse(PUSH_TOKEN_ALGORITHM, error);
}

static enum push_token_refusal
read_header(struct push_str text, struct header *header, struct push_error *error)
{
	struct push_json_member members[MEMBER_COUNT] = {[ALG] = {.name = "alg"},
		[TYP] = {.name = "typ"},
		[KID] = {.name = "kid"},
		[CRIT] = {.name = "crit"},
		[B64] = {.name = "b64"},
		[JKU] = {.name = "jku"},
		[X5U] = {.name = "x5u"},
		[JWK] = {.name = "jwk"}};
	struct push_error why;
	enum push_status status = push_json_scan_object(text.bytes, text.size, members, MEMBER_COUNT, &why);

	if (status == PUSH_INVALID)
		return refuse(PUSH_TOKEN_MALFORMED, error);
	if (status == PUSH_OK)
		status = push_json_check_unique(text.bytes, text.size, &why);
	if (status == PUSH_OK)
		return read_header_members(members, header, error);
	return status == PUSH_OUT_OF_MEMORY ? refuse(PUSH_TOKEN_MEMORY, error)
					    : refuse_header(error, "a member comes twice, or too many do");
}

static enum push_token_refusal
try_keys(const struct push_key_candidates *candidates, struct push_str id, struct push_str text,
	const unsigned char *signature, size_t size, uint64_t *ret_signer)
{
	bool no_memory = false;

	for (size_t i = 0; i < candidates->count; i++)
		switch (push_key_verify(candidates->keys[i], text, signature, size)) {
		case PUSH_OK: *ret_signer = push_key_signer(candidates->keys[i]); return PUSH_TOKEN_OK;
		case PUSH_OUT_OF_MEMORY: no_memory = true; break;
		default: break;
		}
	if (no_memory)
		return PUSH_TOKEN_MEMORY;
	if (candidates->is_id_known)
		return candidates->count ? PUSH_TOKEN_SIGNATURE : PUSH_TOKEN_ALGORITHM;
	/* keys without a `kid` were tried, but it may be one that is not here yet */
	return candidates->count && !id.size ? PUSH_TOKEN_SIGNATURE : PUSH_TOKEN_UNKNOWN_KEY;
}

enum push_token_refusal
push_jws_verify(const struct push_key_set *const *sets, size_t set_count, struct push_str token,
	struct push_jws *jws, struct push_error *error)
{
	unsigned char text[PUSH_BASE64URL_DECODED_BYTES(PUSH_TOKEN_BYTES_MAX)];
	unsigned char signature[PUSH_KEY_RSA_BITS_MAX / 8];
	struct push_key_candidates candidates;
	struct header header = {.id_size = 0};
	size_t size = 0, signature_size = 0;
	enum push_token_refusal refusal;
	struct parts parts;

	if (token.size > PUSH_TOKEN_BYTES_MAX)
		return refuse(PUSH_TOKEN_TOO_LONG, error);
	if (!token.size || !split(token, &parts) ||
		!push_base64url_decode(parts.header, text, sizeof(text), &size) ||
		!push_base64url_decode(parts.payload, (unsigned char *)jws->payload, sizeof(jws->payload),
			&jws->payload_size) ||
		!push_base64url_decode(parts.signature, signature, sizeof(signature), &signature_size))
		return refuse(PUSH_TOKEN_MALFORMED, error);
	refusal = read_header((struct push_str){(const char *)text, size}, &header, error);
	if (refusal != PUSH_TOKEN_OK)
		return refusal;
	push_key_set_find(
		sets, set_count, header.algorithm, (struct push_str){header.id, header.id_size}, &candidates);
	refusal = try_keys(&candidates, (struct push_str){header.id, header.id_size}, parts.signed_text,
		signature, signature_size, &jws->signer);
	return refusal == PUSH_TOKEN_OK ? PUSH_TOKEN_OK : refuse(refusal, error);
}
