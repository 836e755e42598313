/* claims.c - see claims.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "claims.h"
#include "core/buf.h"
#include "core/channels.h"
#include "core/jsonscan.h"
#include "core/utf8.h"

/* The largest whole number that every JSON reader takes for itself (RFC 8259, 6). */
#define NUMBER_MAX (1ull << 53)

#define SECOND_US 1000000ull

enum member { EXP, NBF, IAT, ISS, AUD, SUB, JTI, PUSH, MERCURE, MEMBER_COUNT };

struct claims {
	struct push_json_member members[MEMBER_COUNT];
	const struct push_options *options;
	const struct push_claims_clock *clock;
	struct push_identity_facts facts;
	struct push_buf user, token_id; /* what the facts point to */
	struct push_identity_builder *builder;
	struct push_error *error;
};

static enum push_token_refusal
refuse(struct claims *claims, enum push_token_refusal refusal)
{
	snprintf(claims->error->text, sizeof(claims->error->text), "%s", push_token_refusal_text(refusal));
	return refusal;
}

static enum push_token_refusal
malformed(struct claims *claims, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says what is wrong with a claim. */
static enum push_token_refusal
malformed(struct claims *claims, const char *format, ...)
{
	char why[PUSH_ERROR_TEXT_BYTES_MAX - 32];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	snprintf(claims->error->text, sizeof(claims->error->text), "the token's %s", why);
	return PUSH_TOKEN_CLAIMS;
}

/* What a status of scanning, decoding or granting means. */
static enum push_token_refusal
refuse_for(struct claims *claims, enum push_status status, const char *claim, const char *why)
{
	if (status == PUSH_OUT_OF_MEMORY)
		return refuse(claims, PUSH_TOKEN_MEMORY);
	return malformed(claims, "%s: %s", claim, why);
}

/* A NumericDate without its fraction: digits only. */
static enum push_token_refusal
take_seconds(struct claims *claims, enum member which, bool *ret_is_there, uint64_t *ret_seconds)
{
	const struct push_json_member *member = &claims->members[which];
	uint64_t seconds = 0;

	*ret_is_there = member->text != NULL;
	for (size_t i = 0; member->text && i < member->size; i++) {
		char c = member->text[i];

		if (c < '0' || c > '9' || (seconds = seconds * 10 + (uint64_t)(c - '0')) > NUMBER_MAX)
			return malformed(
				claims, "'%s' must be a whole number of seconds since 1970", member->name);
	}
	*ret_seconds = seconds;
	return PUSH_TOKEN_OK;
}

/* Seconds in microseconds; at most so many that a sum with another time is still a time. */
static uint64_t
in_us(uint64_t seconds)
{
	return seconds > UINT64_MAX / 2 / SECOND_US ? UINT64_MAX / 2 : seconds * SECOND_US;
}

static enum push_token_refusal
check_times(struct claims *claims)
{
	uint64_t exp = 0, nbf = 0, iat = 0, wall_us = claims->clock->wall_us,
		 leeway_us = claims->options->auth_leeway_us;
	bool has_exp = false, has_nbf = false, has_iat = false;
	enum push_token_refusal refusal = take_seconds(claims, EXP, &has_exp, &exp);

	if (refusal == PUSH_TOKEN_OK)
		refusal = take_seconds(claims, NBF, &has_nbf, &nbf);
	if (refusal == PUSH_TOKEN_OK)
		refusal = take_seconds(claims, IAT, &has_iat, &iat);
	if (refusal != PUSH_TOKEN_OK)
		return refusal;
	if (!has_exp && claims->options->auth_exp_required)
		return malformed(claims, "'exp' is missing");
	if (has_exp && wall_us >= in_us(exp) + leeway_us)
		return refuse(claims, PUSH_TOKEN_EXPIRED);
	/* one that is issued in the future comes from a clock that nothing can be said by */
	if ((has_nbf && in_us(nbf) > wall_us + leeway_us) || (has_iat && in_us(iat) > wall_us + leeway_us))
		return refuse(claims, PUSH_TOKEN_NOT_YET);
	claims->facts.expires_us =
		has_exp ? claims->clock->now_us + (in_us(exp) + leeway_us - wall_us) : UINT64_MAX;
	claims->facts.issued_s = has_iat ? (int64_t)iat : INT64_MIN;
	return PUSH_TOKEN_OK;
}

static enum push_token_refusal
take_name(struct claims *claims, enum member which, struct push_buf *to, struct push_str *ret_name)
{
	const struct push_json_member *member = &claims->members[which];

	if (!member->text)
		return PUSH_TOKEN_OK;
	if (!push_json_is_string(member))
		return malformed(claims, "'%s' must be a string", member->name);
	push_json_decode_string(to, member->text, member->size);
	if (to->status == PUSH_OUT_OF_MEMORY)
		return refuse(claims, PUSH_TOKEN_MEMORY);
	if (to->status != PUSH_OK || !to->size)
		return malformed(claims, "'%s' must have 1 to %zu bytes", member->name, to->max);
	if (push_utf8_has_control(to->bytes, to->size))
		return malformed(claims, "'%s' has a control character", member->name);
	/* all halves of surrogate pairs are decoded to it: two users would have one name */
	if (memmem(to->bytes, to->size, "\xef\xbf\xbd", 3))
		return malformed(claims, "'%s' has half of a surrogate pair, or U+FFFD", member->name);
	*ret_name = (struct push_str){to->bytes, to->size};
	return PUSH_TOKEN_OK;
}

/* Whether a string's text means this.  False, too, when memory is out. */
static bool
means(const char *text, size_t size, const char *expected)
{
	struct push_buf buf;
	bool is_same;

	if (*text != '"')
		return false;
	push_buf_init(&buf, strlen(expected));
	push_json_decode_string(&buf, text, size);
	is_same = buf.status == PUSH_OK && buf.size == strlen(expected) &&
		  !memcmp(buf.bytes, expected, buf.size);
	push_buf_fini(&buf);
	return is_same;
}

static enum push_token_refusal
check_issuer(struct claims *claims)
{
	const struct push_json_member *issuer = &claims->members[ISS];
	const char *expected = claims->options->auth_issuer;

	if (!*expected || (issuer->text && means(issuer->text, issuer->size, expected)))
		return PUSH_TOKEN_OK;
	return refuse(claims, PUSH_TOKEN_ISSUER);
}

/* One string, or an array of them (RFC 7519, 4.1.3). */
static enum push_token_refusal
check_audience(struct claims *claims)
{
	const struct push_json_member *audience = &claims->members[AUD];
	const char *expected = claims->options->auth_audience, *at = audience->text, *element;
	struct push_error ignored;
	bool is_found = false;
	size_t count, size;

	if (!*expected)
		return PUSH_TOKEN_OK;
	if (!audience->text)
		return refuse(claims, PUSH_TOKEN_AUDIENCE);
	if (means(audience->text, audience->size, expected))
		return PUSH_TOKEN_OK;
	if (push_json_scan_array(audience->text, audience->size, &count, &ignored) != PUSH_OK)
		return push_json_is_string(audience)
			       ? refuse(claims, PUSH_TOKEN_AUDIENCE)
			       : malformed(claims, "'aud' must be a string or an array of strings");
	while (push_json_next_element(&at, audience->text + audience->size, &element, &size)) {
		if (*element != '"')
			return malformed(claims, "'aud' must be a string or an array of strings");
		is_found |= means(element, size, expected);
	}
	return is_found ? PUSH_TOKEN_OK : refuse(claims, PUSH_TOKEN_AUDIENCE);
}

typedef enum push_status (*grant_fn)(struct claims *claims, struct push_str text);

static enum push_status
grant_subscribe(struct claims *claims, struct push_str text)
{
	return push_identity_grant(claims->builder, PUSH_RIGHT_SUBSCRIBE, text, claims->error);
}

static enum push_status
grant_publish(struct claims *claims, struct push_str text)
{
	return push_identity_grant(claims->builder, PUSH_RIGHT_PUBLISH, text, claims->error);
}

static enum push_status
grant_history(struct claims *claims, struct push_str text)
{
	return push_identity_grant(claims->builder, PUSH_RIGHT_HISTORY, text, claims->error);
}

/* One that looks like a pattern would be subscribed to as it stands, which nobody means. */
static enum push_status
add_channel(struct claims *claims, struct push_str text)
{
	enum push_status status = push_channel_name_check(
		text.bytes, text.size, claims->options->channel_name_bytes_max, claims->error);

	if (status != PUSH_OK)
		return status;
	if (memchr(text.bytes, '*', text.size) || memmem(text.bytes, text.size, "{sub}", 5)) {
		snprintf(claims->error->text, sizeof(claims->error->text), "must be names, not patterns");
		return PUSH_INVALID;
	}
	return push_identity_add_channel(claims->builder, text, claims->error);
}

static enum push_status
grant_mercure_subscribe(struct claims *claims, struct push_str text)
{
	enum push_status status =
		push_identity_grant_template(claims->builder, PUSH_RIGHT_SUBSCRIBE, text, claims->error);

	if (status != PUSH_OK)
		return status;
	return push_identity_grant_template(claims->builder, PUSH_RIGHT_HISTORY, text, claims->error);
}

static enum push_status
grant_mercure_publish(struct claims *claims, struct push_str text)
{
	return push_identity_grant_template(claims->builder, PUSH_RIGHT_PUBLISH, text, claims->error);
}

/* One string of a list. */
static enum push_token_refusal
grant_one(struct claims *claims, const char *claim, const char *element, size_t size, grant_fn grant)
{
	enum push_token_refusal refusal = PUSH_TOKEN_OK;
	enum push_status status;
	struct push_error why;
	struct push_buf text;

	if (*element != '"')
		return malformed(claims, "'%s' must be an array of strings", claim);
	push_buf_init(&text, size);
	push_json_decode_string(&text, element, size);
	status = text.status;
	if (status == PUSH_OK) {
		snprintf(claims->error->text, sizeof(claims->error->text), "%s",
			push_status_text(PUSH_TOO_MANY));
		status = grant(claims, (struct push_str){text.size ? text.bytes : "", text.size});
	}
	if (status != PUSH_OK) {
		why = *claims->error;
		refusal = refuse_for(claims, status, claim, why.text);
	}
	push_buf_fini(&text);
	return refusal;
}

static enum push_token_refusal
grant_all(struct claims *claims, const char *claim, const struct push_json_member *list, grant_fn grant)
{
	const char *at = list->text, *element;
	enum push_token_refusal refusal = PUSH_TOKEN_OK;
	struct push_error ignored;
	size_t count, size;

	if (!list->text)
		return PUSH_TOKEN_OK;
	if (push_json_scan_array(list->text, list->size, &count, &ignored) != PUSH_OK)
		return malformed(claims, "'%s' must be an array of strings", claim);
	while (refusal == PUSH_TOKEN_OK &&
		push_json_next_element(&at, list->text + list->size, &element, &size))
		refusal = grant_one(claims, claim, element, size, grant);
	return refusal;
}

/* A row of what an object grants. */
struct grant {
	const char *name, *claim;
	grant_fn grant;
};

#define GRANTS_MAX 4

/* @is_ours: a misspelt member is an error. */
static enum push_token_refusal
grant_object(struct claims *claims, enum member which, const struct grant *grants, size_t count, bool is_ours)
{
	const struct push_json_member *object = &claims->members[which];
	struct push_json_member members[GRANTS_MAX] = {{.name = NULL}};
	enum push_token_refusal refusal = PUSH_TOKEN_OK;
	enum push_status status;
	struct push_error why;

	if (!object->text)
		return PUSH_TOKEN_OK;
	if (*object->text != '{')
		return malformed(claims, "'%s' must be an object", object->name);
	for (size_t i = 0; i < count; i++)
		members[i].name = grants[i].name;
	status = (is_ours ? push_json_scan_request : push_json_scan_object)(
		object->text, object->size, members, count, &why);
	if (status == PUSH_OK)
		status = push_json_check_unique(object->text, object->size, &why);
	if (status != PUSH_OK)
		return refuse_for(claims, status, object->name, why.text);
	for (size_t i = 0; refusal == PUSH_TOKEN_OK && i < count; i++)
		refusal = grant_all(claims, grants[i].claim, &members[i], grants[i].grant);
	return refusal;
}

static enum push_token_refusal
grant_rights(struct claims *claims)
{
	static const struct grant push[] = {{"subscribe", "push.subscribe", grant_subscribe},
		{"publish", "push.publish", grant_publish}, {"history", "push.history", grant_history},
		{"channels", "push.channels", add_channel}};
	static const struct grant mercure[] = {{"subscribe", "mercure.subscribe", grant_mercure_subscribe},
		{"publish", "mercure.publish", grant_mercure_publish}};
	enum push_token_refusal refusal =
		grant_object(claims, PUSH, push, sizeof(push) / sizeof(push[0]), true);

	if (refusal != PUSH_TOKEN_OK)
		return refusal;
	return grant_object(claims, MERCURE, mercure, sizeof(mercure) / sizeof(mercure[0]), false);
}

static enum push_token_refusal
build(struct claims *claims, const struct push_identity **ret_identity)
{
	enum push_token_refusal refusal;

	claims->builder = push_identity_build(&claims->facts);
	if (!claims->builder)
		return refuse(claims, PUSH_TOKEN_MEMORY);
	refusal = grant_rights(claims);
	if (refusal != PUSH_TOKEN_OK) {
		push_identity_abandon(claims->builder);
		return refusal;
	}
	*ret_identity = push_identity_done(claims->builder);
	return *ret_identity ? PUSH_TOKEN_OK : refuse(claims, PUSH_TOKEN_MEMORY);
}

static enum push_token_refusal
read_members(struct claims *claims, const struct push_identity **ret_identity)
{
	enum push_token_refusal refusal = check_times(claims);

	if (refusal == PUSH_TOKEN_OK)
		refusal = check_issuer(claims);
	if (refusal == PUSH_TOKEN_OK)
		refusal = check_audience(claims);
	if (refusal == PUSH_TOKEN_OK)
		refusal = take_name(claims, SUB, &claims->user, &claims->facts.user);
	if (refusal == PUSH_TOKEN_OK)
		refusal = take_name(claims, JTI, &claims->token_id, &claims->facts.token_id);
	return refusal == PUSH_TOKEN_OK ? build(claims, ret_identity) : refusal;
}

enum push_token_refusal
push_claims_read(struct push_str payload, const struct push_options *options,
	const struct push_claims_clock *clock, uint64_t signer, const struct push_identity **ret_identity,
	struct push_error *error)
{
	struct claims claims = {.members = {[EXP] = {.name = "exp"},
					[NBF] = {.name = "nbf"},
					[IAT] = {.name = "iat"},
					[ISS] = {.name = "iss"},
					[AUD] = {.name = "aud"},
					[SUB] = {.name = "sub"},
					[JTI] = {.name = "jti"},
					[PUSH] = {.name = "push"},
					[MERCURE] = {.name = "mercure"}},
		.facts = {.signer = signer, .asks_application = !signer},
		.options = options,
		.clock = clock,
		.error = error};
	enum push_token_refusal refusal;
	struct push_error why;
	enum push_status status =
		push_json_scan_object(payload.bytes, payload.size, claims.members, MEMBER_COUNT, &why);

	if (status == PUSH_OK)
		status = push_json_check_unique(payload.bytes, payload.size, &why);
	if (status != PUSH_OK)
		return refuse_for(&claims, status, "payload", why.text);
	push_buf_init(&claims.user, PUSH_USER_BYTES_MAX);
	push_buf_init(&claims.token_id, PUSH_TOKEN_ID_BYTES_MAX);
	refusal = read_members(&claims, ret_identity);
	push_buf_fini(&claims.user);
	push_buf_fini(&claims.token_id);
	return refusal;
}
