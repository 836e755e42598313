/* token_make.c - push token make: a token, signed with a private key. */
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/channels.h"
#include "core/identity.h"
#include "core/json.h"
#include "core/pattern.h"
#include "core/utf8.h"
#include "say.h"
#include "token_files.h"
#include "token_make.h"
#include "token_signer.h"

#define EXPIRES_DEFAULT  "1h"
#define EXPIRES_S_MAX    (100ull * 365 * 86400) /* a number of seconds that no reader of JSON rounds */
#define TOKEN_ID_BYTES   16
#define CLAIMS_BYTES_MAX (64u * 1024)

/* The members of the claim `push`. */
struct list {
	const char *option, *member, *text;
	bool is_names;
};

static bool
check_item(const struct list *list, const char *item, size_t size)
{
	struct push_error error;
	enum push_status status =
		list->is_names ? push_channel_name_check(item, size, PUSH_PATTERN_BYTES_MAX, &error)
			       : push_pattern_check((struct push_str){item, size}, &error);

	if (status != PUSH_OK) {
		say("--%s: %s", list->option, error.text);
		return false;
	}
	/* as plugins/auth/claims.c: such a token is refused */
	if (list->is_names && (memchr(item, '*', size) || memmem(item, size, "{sub}", 5))) {
		say("--%s: must be names, not patterns: '%.*s'", list->option, (int)size, item);
		return false;
	}
	return true;
}

/* `a,b` as ["a","b"]. */
static bool
append_list(struct push_buf *to, const struct list *list, bool is_first, size_t *count)
{
	const char *item = list->text;

	push_buf_printf(to, "%s\"%s\":[", is_first ? "" : ",", list->member);
	for (;;) {
		size_t size = strcspn(item, ",");

		if (!check_item(list, item, size))
			return false;
		if (++*count > PUSH_IDENTITY_PATTERNS_MAX) {
			say("more than %d patterns and channels: a server refuses such a token",
				PUSH_IDENTITY_PATTERNS_MAX);
			return false;
		}
		push_buf_append_text(to, item == list->text ? "" : ",");
		push_json_append_string(to, item, size);
		if (!item[size])
			break;
		item += size + 1;
	}
	push_buf_append(to, "]", 1);
	return true;
}

static bool
append_rights(struct push_buf *to, const struct cli_arguments *arguments)
{
	const struct list lists[] = {
		{"subscribe", "subscribe", arguments->subscribe, false},
		{"publish", "publish", arguments->publish, false},
		{"history", "history", arguments->read_history, false},
		{"channels", "channels", arguments->channels, true},
	};
	size_t count = 0, printed = 0;

	push_buf_append_text(to, ",\"push\":{");
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (lists[i].text && !append_list(to, &lists[i], !printed++, &count))
			return false;
	push_buf_append_text(to, "}");
	if (!printed)
		say("this token has no rights: see --subscribe, --publish, --history and --channels");
	return true;
}

static bool
append_text(struct push_buf *to, const char *option, const char *member, const char *text)
{
	if (!text)
		return true;
	if (!*text || !push_utf8_is_valid(text, strlen(text))) {
		say("--%s '%s': must be a text in UTF-8", option, text);
		return false;
	}
	push_buf_printf(to, ",\"%s\":", member);
	push_json_append_string(to, text, strlen(text));
	return true;
}

/* `90s`, `15m`, `1h`, `30d`. */
static bool
parse_lifetime(const char *text, uint64_t *ret_s)
{
	static const struct {
		char letter;
		uint64_t s;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
	char *end;
	uint64_t number;

	if (*text < '0' || *text > '9')
		return false;
	number = strtoull(text, &end, 10);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (*end == units[i].letter && !end[1] && number && number <= EXPIRES_S_MAX / units[i].s) {
			*ret_s = number * units[i].s;
			return true;
		}
	return false;
}

static bool
append_times(struct push_buf *to, const char *expires)
{
	uint64_t now_s = (uint64_t)time(NULL), lifetime_s = 0;

	push_buf_printf(to, "\"iat\":%" PRIu64, now_s);
	if (!strcmp(expires, "never")) {
		say("a token without an end is only accepted with push.auth.exp.required=off");
		return true;
	}
	if (!parse_lifetime(expires, &lifetime_s)) {
		say("--expires %s: must be a duration, such as 90s, 15m, 1h or 30d, or never", expires);
		return false;
	}
	push_buf_printf(to, ",\"exp\":%" PRIu64, now_s + lifetime_s);
	return true;
}

static bool
append_token_id(struct push_buf *to)
{
	unsigned char bytes[TOKEN_ID_BYTES];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
		say("OpenSSL has no random numbers");
		return false;
	}
	push_buf_append_text(to, ",\"jti\":\"");
	token_append_base64url(to, bytes, sizeof(bytes));
	push_buf_append_text(to, "\"");
	return true;
}

static bool
append_claims(struct push_buf *to, const struct cli_arguments *arguments)
{
	push_buf_append_text(to, "{");
	if (!append_times(to, arguments->expires ? arguments->expires : EXPIRES_DEFAULT) ||
		!append_token_id(to) || !append_text(to, "sub", "sub", arguments->user) ||
		!append_text(to, "iss", "iss", arguments->issuer) ||
		!append_text(to, "aud", "aud", arguments->audience) || !append_rights(to, arguments))
		return false;
	push_buf_append_text(to, "}");
	return true;
}

static void
append_header(struct push_buf *to, const struct token_signer *signer)
{
	push_buf_printf(to, "{\"alg\":\"%s\",\"typ\":\"JWT\"", push_key_algorithm_name(signer->algorithm));
	if (signer->id[0]) {
		push_buf_append_text(to, ",\"kid\":");
		push_json_append_string(to, signer->id, strlen(signer->id));
	}
	push_buf_append_text(to, "}");
}

static void
append_encoded(struct push_buf *to, const struct push_buf *part)
{
	token_append_base64url(to, part->bytes, part->size);
}

static enum cli_exit
print_token(const struct token_signer *signer, const struct push_buf *claims)
{
	enum cli_exit code = CLI_NO;
	struct push_buf header, token;
	bool is_signed;

	push_buf_init(&header, CLAIMS_BYTES_MAX);
	push_buf_init(&token, 4 * CLAIMS_BYTES_MAX);
	append_header(&header, signer);
	append_encoded(&token, &header);
	push_buf_append_text(&token, ".");
	append_encoded(&token, claims);
	is_signed = token.status == PUSH_OK;
	if (is_signed) {
		struct push_str text = {token.bytes, token.size};
		struct push_buf signature;

		push_buf_init(&signature, CLAIMS_BYTES_MAX);
		is_signed = token_signer_sign(signer, text, &signature);
		push_buf_append_text(&token, ".");
		push_buf_append(&token, signature.bytes, signature.size);
		push_buf_fini(&signature);
	}
	if (!is_signed || token.status != PUSH_OK)
		say("OpenSSL cannot sign with this key");
	else if (token.size > PUSH_TOKEN_BYTES_MAX)
		say("the token would have %zu bytes, and a server takes %d at most: give it fewer rights",
			token.size, PUSH_TOKEN_BYTES_MAX);
	else
		code = printf("%.*s\n", (int)token.size, token.bytes) < 0 ? CLI_NO : CLI_DONE;
	push_buf_fini(&token);
	push_buf_fini(&header);
	return code;
}

enum cli_exit
token_make_run(const struct cli_arguments *arguments)
{
	enum cli_exit code = CLI_USAGE;
	struct token_signer signer;
	struct push_error error;
	struct push_buf claims;

	if (!arguments->key) {
		say("--key FILE: say which private key signs it (push token key makes one)");
		return CLI_USAGE;
	}
	if (!token_is_id(arguments->kid))
		return CLI_USAGE;
	if (!token_signer_read(&signer, arguments->key, arguments->alg, arguments->kid, &error)) {
		say("%s", error.text);
		return CLI_NO;
	}
	push_buf_init(&claims, CLAIMS_BYTES_MAX);
	if (append_claims(&claims, arguments) && claims.status == PUSH_OK)
		code = print_token(&signer, &claims);
	else if (claims.status != PUSH_OK)
		say("too much for one token");
	push_buf_fini(&claims);
	token_signer_fini(&signer);
	return code;
}
