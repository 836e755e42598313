/* hook_answer.c - see hook_answer.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "auth/hook_answer.h"
#include "core/json.h"
#include "core/jsonscan.h"
#include "core/utf8.h"

enum member { SUB, EXPIRES_IN, PUSH, MEMBER_COUNT };

/* --- what the client gets --- */

void
push_hook_answer_fail(struct push_hook_answer *ret, const char *why, unsigned int retry_after_s)
{
	memset(ret, 0, sizeof(*ret));
	ret->is_failure = true;
	ret->verdict = (struct push_verdict){.status = 503,
		.why = PUSH_AUTH_UNAVAILABLE,
		.text = "the application that decides on this cannot be reached, try again",
		.retry_after_s = retry_after_s ? retry_after_s : PUSH_HOOK_RETRY_S};
	snprintf(ret->why.text, sizeof(ret->why.text), "%s", why);
}

/* One line of valid UTF-8, without control characters. */
static void
take_reason(struct push_hook_answer *ret, const struct push_buf *reason)
{
	size_t size = push_utf8_cut(reason->bytes, reason->size, PUSH_HOOK_REASON_BYTES_MAX);

	memcpy(ret->text, reason->bytes, size);
	ret->text[size] = '\0';
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)ret->text[i];

		if (byte < ' ' || byte == 0x7f)
			ret->text[i] = ' ';
		else if (byte == 0xc2 && (unsigned char)ret->text[i + 1] < 0xa0) /* C1 */
			ret->text[i] = ret->text[i + 1] = ' ';
	}
	if (size)
		ret->verdict.text = ret->text;
}

static void
refuse(struct push_hook_answer *ret, const struct push_http_result *result)
{
	struct push_json_member error = {.name = "error"};
	struct push_error ignored;
	struct push_buf reason;

	memset(ret, 0, sizeof(*ret));
	ret->verdict = (struct push_verdict){.status = result->http_status,
		.why = PUSH_AUTH_HOOK,
		.code = result->http_status == 401 ? "invalid_token" : "insufficient_scope",
		.text = "the application refuses this"};
	if (push_json_scan_object(result->body.bytes, result->body.size, &error, 1, &ignored) != PUSH_OK ||
		!push_json_is_string(&error))
		return;
	push_buf_init(&reason, result->body.size);
	push_json_decode_string(&reason, error.text, error.size);
	if (reason.status == PUSH_OK && reason.size)
		take_reason(ret, &reason);
	push_buf_fini(&reason);
}

/* --- rights --- */

/* What is a name, and would not be another thing as a pattern. */
static bool
is_plain(struct push_str channel)
{
	return channel.size && !memchr(channel.bytes, '*', channel.size) &&
	       !memmem(channel.bytes, channel.size, "{sub}", 5);
}

static void
append_channels(struct push_buf *to, const char *right, struct push_str channels)
{
	struct push_str channel;
	const char *comma = "";
	size_t at = 0;

	push_buf_printf(to, "\"%s\":[", right);
	while (push_hook_next_channel(channels, &at, &channel)) {
		if (!is_plain(channel))
			continue;
		push_buf_append_text(to, comma);
		push_json_append_string(to, channel.bytes, channel.size);
		comma = ",";
	}
	push_buf_append_text(to, "]");
}

/* What was asked for; whoever may subscribe may read what was missed. */
static void
append_asked(struct push_buf *to, const struct push_asked *asked)
{
	push_buf_append_text(to, ",\"push\":{");
	if (asked->right == PUSH_RIGHT_PUBLISH) {
		append_channels(to, "publish", asked->channels);
	} else {
		if (asked->right == PUSH_RIGHT_SUBSCRIBE) {
			append_channels(to, "subscribe", asked->channels);
			push_buf_append_text(to, ",");
		}
		append_channels(to, "history", asked->channels);
	}
	push_buf_append_text(to, "}");
}

/* Digits, and not 0.  Returns false where it is there and is something else. */
static bool
read_seconds(const struct push_json_member *member, uint64_t *ret)
{
	uint64_t seconds = 0;

	*ret = 0;
	for (size_t i = 0; member->text && i < member->size; i++) {
		if (member->text[i] < '0' || member->text[i] > '9')
			return false;
		seconds = seconds * 10 + (uint64_t)(member->text[i] - '0');
		if (seconds > PUSH_HOOK_EXPIRES_S_MAX)
			seconds = PUSH_HOOK_EXPIRES_S_MAX;
	}
	*ret = seconds;
	return !member->text || seconds;
}

/* The answer as the claims of a token, so that there is one reader of rights. */
static void
append_claims(struct push_buf *to, const struct push_json_member *members, uint64_t expires_in_s,
	const struct push_hook_question *question, const struct push_claims_clock *clock)
{
	uint64_t wall_s = clock->wall_us / 1000000;

	push_buf_printf(to, "{\"iat\":%" PRIu64, wall_s);
	/* a part of a second is rounded up */
	if (expires_in_s)
		push_buf_printf(to, ",\"exp\":%" PRIu64, wall_s + expires_in_s + 1);
	if (members[SUB].text) {
		push_buf_append_text(to, ",\"sub\":");
		push_buf_append(to, members[SUB].text, members[SUB].size);
	} else if (question->user.bytes) {
		push_buf_append_text(to, ",\"sub\":");
		push_json_append_string(to, question->user.bytes, question->user.size);
	}
	if (members[PUSH].text) {
		push_buf_append_text(to, ",\"push\":");
		push_buf_append(to, members[PUSH].text, members[PUSH].size);
	} else {
		append_asked(to, question->asked);
	}
	push_buf_append_text(to, "}");
}

static void
read_claims(struct push_hook_answer *ret, struct push_str claims, const struct push_options *options,
	const struct push_claims_clock *clock)
{
	static const char of_tokens[] = "the token's ";
	struct push_error error = {""};
	enum push_token_refusal refusal;

	memset(ret, 0, sizeof(*ret));
	refusal = push_claims_read(claims, options, clock, 0, &ret->verdict.identity, &error);
	if (refusal == PUSH_TOKEN_OK)
		return;
	if (!strncmp(error.text, of_tokens, sizeof(of_tokens) - 1))
		memmove(error.text, error.text + sizeof(of_tokens) - 1,
			strlen(error.text + sizeof(of_tokens) - 1) + 1);
	push_hook_answer_fail(ret, error.text, 0);
}

static void
allow(struct push_hook_answer *ret, const struct push_http_result *result,
	const struct push_hook_question *question, const struct push_options *options,
	const struct push_claims_clock *clock)
{
	struct push_json_member members[MEMBER_COUNT] = {
		[SUB] = {.name = "sub"}, [EXPIRES_IN] = {.name = "expires_in"}, [PUSH] = {.name = "push"}};
	struct push_str body = result->body;
	struct push_error error = {""};
	struct push_buf claims;
	uint64_t expires_in_s;

	if (push_json_is_blank(body.bytes, body.size))
		body = (struct push_str){"{}", 2};
	if (push_json_scan_request(body.bytes, body.size, members, MEMBER_COUNT, &error) != PUSH_OK ||
		push_json_check_unique(body.bytes, body.size, &error) != PUSH_OK) {
		push_hook_answer_fail(ret, error.text, 0);
		return;
	}
	if (!read_seconds(&members[EXPIRES_IN], &expires_in_s)) {
		push_hook_answer_fail(ret, "'expires_in' must be a whole number of seconds, at least 1", 0);
		return;
	}
	push_buf_init(&claims, PUSH_HOOK_CLAIMS_BYTES_MAX);
	append_claims(&claims, members, expires_in_s, question, clock);
	if (claims.status == PUSH_OK)
		read_claims(ret, (struct push_str){claims.bytes, claims.size}, options, clock);
	else
		push_hook_answer_fail(ret, push_status_text(claims.status), 0);
	push_buf_fini(&claims);
}

void
push_hook_answer_read(struct push_hook_answer *ret, const struct push_http_result *result,
	const struct push_hook_question *question, const struct push_options *options,
	const struct push_claims_clock *clock)
{
	char why[64];

	if (result->status != PUSH_OK) {
		push_hook_answer_fail(ret, result->error, 0);
	} else if (result->http_status >= 200 && result->http_status < 300) {
		allow(ret, result, question, options, clock);
	} else if (result->http_status == 401 || result->http_status == 403) {
		refuse(ret, result);
	} else {
		snprintf(why, sizeof(why), "answered with status %u", result->http_status);
		push_hook_answer_fail(ret, why, result->retry_after_s);
	}
}

void
push_hook_answer_fini(struct push_hook_answer *answer)
{
	push_identity_unref(answer->verdict.identity);
	answer->verdict.identity = NULL;
}
