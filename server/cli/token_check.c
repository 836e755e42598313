/*
 * token_check.c - push token check, push token explain: is it valid, and what does it say?
 *
 * A token is checked by the server's own code (plugins/auth), so that both say the same.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "auth/base64url.h"
#include "auth/claims.h"
#include "auth/jws.h"
#include "say.h"
#include "token_check.h"
#include "token_claims.h"
#include "token_files.h"

#define PART_BYTES_MAX 65536

/* Parts of a token, in base64url. */
enum { HEADER, PAYLOAD, SIGNATURE, PART_COUNT };

static bool
split(struct push_str token, struct push_str parts[PART_COUNT])
{
	for (int i = 0; i < PART_COUNT; i++) {
		const char *dot = memchr(token.bytes, '.', token.size);

		if (!dot != (i == SIGNATURE))
			return false;
		parts[i] = (struct push_str){token.bytes, dot ? (size_t)(dot - token.bytes) : token.size};
		if (dot)
			token = (struct push_str){dot + 1, token.size - parts[i].size - 1};
	}
	return true;
}

/* What stands in a part, as it is. */
static bool
print_part(const char *name, struct push_str part, char *bytes, size_t room, size_t *ret_size)
{
	if (!push_base64url_decode(part, (unsigned char *)bytes, room, ret_size)) {
		say("the token's %s is not in base64url without padding", name);
		return false;
	}
	token_row_print(name, bytes, *ret_size);
	return true;
}

/* What is refused may be the name of a file, for which the word is @FILE. */
static void
hint_at_file(const char *word)
{
	if (word[0] != '@' && strcmp(word, "-") != 0 && !access(word, R_OK))
		say("to read the token from the file, write @%s", word);
}

enum cli_exit
token_explain_run(const struct cli_arguments *arguments)
{
	static char bytes[PART_BYTES_MAX];
	struct push_str parts[PART_COUNT], token;
	enum cli_exit code = CLI_NO;
	struct push_buf text;
	size_t size;

	token = token_take(arguments->words[0], &text);
	if (!token.bytes) {
		code = CLI_NO;
	} else if (!split(token, parts)) {
		say("not a signed token: it must have three parts with dots between them");
		hint_at_file(arguments->words[0]);
	} else {
		say("not verified: anybody can write such a token (push token check verifies it)");
		if (print_part("header", parts[HEADER], bytes, sizeof(bytes), &size) &&
			print_part("payload", parts[PAYLOAD], bytes, sizeof(bytes), &size)) {
			putchar('\n');
			if (token_claims_print((struct push_str){bytes, size}))
				code = CLI_DONE;
			else
				say("the token's payload is not a JSON object");
		}
	}
	push_buf_fini(&text);
	return code;
}

static bool
find_right(const char *word, size_t size, enum push_right *ret_right)
{
	static const char *const words[PUSH_RIGHT_COUNT] = {
#define X(name, text) [PUSH_RIGHT_##name] = text,
		PUSH_RIGHT_MAP(X)
#undef X
	};

	for (int i = 0; i < PUSH_RIGHT_COUNT; i++)
		if (strlen(words[i]) == size && !memcmp(words[i], word, size)) {
			*ret_right = (enum push_right)i;
			return true;
		}
	return false;
}

/* One of `publish:news,subscribe:chat:1`. */
static bool
parse_question(const char *item, size_t size, enum push_right *ret_right, struct push_str *ret_channel)
{
	const char *colon = memchr(item, ':', size);

	if (colon && find_right(item, (size_t)(colon - item), ret_right) && item + size > colon + 1) {
		*ret_channel = (struct push_str){colon + 1, (size_t)(item + size - colon - 1)};
		return true;
	}
	say("--may %.*s: must be subscribe:CHANNEL, publish:CHANNEL or history:CHANNEL", (int)size, item);
	return false;
}

/* Answers each question of --may; without an identity it only checks that they are questions. */
static enum cli_exit
answer(const char *may, const struct push_identity *identity)
{
	enum cli_exit code = CLI_DONE;

	for (size_t size; may && *may; may += size + (may[size] == ',')) {
		enum push_right right;
		struct push_str channel;
		struct push_error error;

		size = strcspn(may, ",");
		if (!parse_question(may, size, &right, &channel))
			return CLI_USAGE;
		if (!identity)
			continue;
		push_identity_refusal(identity, right, channel, &error);
		if (push_identity_may(identity, right, channel)) {
			printf("may %.*s\n", (int)size, may);
		} else {
			printf("%s\n", error.text);
			code = CLI_NO;
		}
	}
	return code;
}

static void
note_key(void *context, const char *line)
{
	say("%s: %s", (const char *)context, line);
}

static struct push_key_set *
read_keys(const char *path)
{
	struct push_key_reading reading = {.note = note_key, .context = (void *)path};
	struct push_key_set *set = push_key_set_create();
	struct push_error error = {"out of memory"};

	if (set && push_key_set_add_path(set, path, &reading, &error) == PUSH_OK)
		return set;
	say("--keys %s", error.text);
	push_key_set_destroy(set);
	return NULL;
}

static bool
set_option(struct push_options *options, const char *name, const char *value)
{
	struct push_error error;

	if (!value || push_options_set(options, name, value, &error) == PUSH_OK)
		return true;
	say("%s", error.text);
	return false;
}

static struct push_claims_clock
clock_now(void)
{
	struct push_claims_clock clock;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	clock.wall_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	clock_gettime(CLOCK_MONOTONIC, &now);
	clock.now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	return clock;
}

static enum cli_exit
check(struct push_str token, const struct push_key_set *set, const struct push_options *options,
	const char *may)
{
	static struct push_jws jws;
	struct push_claims_clock clock = clock_now();
	const struct push_identity *identity = NULL;
	struct push_error error = {""};
	struct push_str payload;
	enum cli_exit code = CLI_NO;

	if (push_jws_verify(&set, 1, token, &jws, &error) != PUSH_TOKEN_OK) {
		say("refused: %s", error.text);
		return CLI_NO;
	}
	payload = (struct push_str){jws.payload, jws.payload_size};
	if (push_claims_read(payload, options, &clock, jws.signer, &identity, &error) != PUSH_TOKEN_OK)
		say("refused: %s", error.text);
	else
		printf("valid\n");
	(void)token_claims_print(payload);
	if (identity)
		code = answer(may, identity);
	push_identity_unref(identity);
	return code;
}

enum cli_exit
token_check_run(const struct cli_arguments *arguments)
{
	struct push_options options;
	struct push_key_set *set;
	enum cli_exit code = CLI_NO;
	struct push_buf text;
	struct push_str token;

	push_options_init(&options);
	if (!arguments->keys) {
		say("--keys PATH: say which keys a token must be signed with, as push.auth.keys does");
		return CLI_USAGE;
	}
	if (!set_option(&options, "push.auth.issuer", arguments->issuer) ||
		!set_option(&options, "push.auth.audience", arguments->audience) ||
		answer(arguments->may, NULL) != CLI_DONE)
		return CLI_USAGE;
	set = read_keys(arguments->keys);
	if (!set)
		return CLI_NO;
	token = token_take(arguments->words[0], &text);
	if (token.bytes)
		code = check(token, set, &options, arguments->may);
	if (token.bytes && code != CLI_DONE)
		hint_at_file(arguments->words[0]);
	push_buf_fini(&text);
	push_key_set_destroy(set);
	return code;
}
